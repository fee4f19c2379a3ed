"""Message carbons (XEP-0280): all of somebody's clients see the conversation."""
from client import Client, body, run, same


async def with_carbons(resource, enable=True):
    client = Client("alice", resource, plugins=("xep_0280", "xep_0297"))
    client.copies = []
    client.add_event_handler("carbon_sent", lambda m: client.copies.append(("sent", m["carbon_sent"])))
    client.add_event_handler("carbon_received", lambda m: client.copies.append(("received", m["carbon_received"])))
    await client.online()
    if enable:
        await client["xep_0280"].enable()
    return client


def seen(client):
    return [(direction, m["body"]) for direction, m in client.copies]


async def both_directions():
    desk, phone, off = await with_carbons("desk"), await with_carbons("phone"), await with_carbons("off", False)
    bob = await Client("bob").online()
    desk.sent(bob.boundjid.full, "question")
    await bob.inbox.take("the question", body("question"))
    bob.sent(desk.boundjid.full, "answer")
    await desk.inbox.take("the answer", body("answer"))
    for c in (desk, phone, off):
        await c.sync()
    same("copies for the phone", seen(phone), [("sent", "question"), ("received", "answer")])
    same("copies for the desk", seen(desk), [])
    same("copies for who has not asked", seen(off), [])
    _, sent = phone.copies[0]
    same("the copy's from and to", (str(sent["from"]), str(sent["to"])), (desk.boundjid.full, bob.boundjid.full))

    private = desk.make_message(mto=bob.boundjid.full, mbody="for you alone", mtype="chat")
    private.enable("carbon_private")
    private.send()
    await bob.inbox.take("the private message", body("for you alone"))
    await phone["xep_0280"].disable()
    desk.sent(bob.boundjid.full, "after disable")
    await bob.inbox.take("the last one", body("after disable"))
    await phone.sync()
    same("copies for the phone at the end", len(phone.copies), 2)
    for c in (desk, phone, off, bob):
        await c.logout()


async def forged():
    """A copy that somebody else sends is no carbon: slixmpp takes those of the own account only."""
    alice, bob = await with_carbons("desk"), await Client("bob", plugins=("xep_0280",)).online()
    bob.send_raw(f"<message to='{alice.boundjid.full}' type='chat'><received xmlns='urn:xmpp:carbons:2'>"
                 "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='carol@example.net' type='chat'>"
                 "<body>forged</body></message></forwarded></received><body>outside</body></message>")
    await alice.inbox.take("the message", body("outside"))
    same("copies", seen(alice), [])
    await alice.logout()
    await bob.logout()


run(both_directions, forged)
