"""Rosters and subscriptions (RFC 6121 sections 2 and 3)."""
from client import Client, befriend, holds, presence, refused, run, same


async def item(client, jid):
    """The item as the server has it, or None."""
    iq = client.make_iq_get()
    iq.enable("roster")
    answer = await iq.send()
    return answer["roster"]["items"].get(jid)


def push(jid):
    return lambda s: s.name == "iq" and s["type"] == "set" and jid in s["roster"]["items"]


async def set_push_remove():
    desk = await Client("alice", "desk").online()
    phone = await Client("alice", "phone").online()
    await desk.update_roster("dave@example.net", name="Dave & <co>", groups=["Work", "Friends"])
    for c in (desk, phone):
        pushed = (await c.inbox.take("the push", push("dave@example.net")))["roster"]["items"]["dave@example.net"]
        same("the pushed name", pushed["name"], "Dave & <co>")
    got = await item(phone, "dave@example.net")
    same("subscription", got["subscription"], "none")
    same("groups", sorted(got["groups"]), ["Friends", "Work"])
    await desk.del_roster_item("dave@example.net")
    await phone.inbox.take("the push of the removal", push("dave@example.net"))
    same("after the removal", await item(desk, "dave@example.net"), None)
    await refused(desk.del_roster_item("dave@example.net"), "item-not-found")
    await desk.logout()
    await phone.logout()


async def versions():
    """Who has the newest roster gets an empty answer; who does not, what has changed as pushes."""
    alice = await Client("alice").online()
    await alice.update_roster("erin@example.net", name="Erin")
    holds(alice.client_roster.version, "the roster has no version")
    iq = alice.make_iq_get()
    iq.enable("roster")
    iq["roster"]["ver"] = old = alice.client_roster.version
    answer = await iq.send()
    holds(not answer.xml.findall("{jabber:iq:roster}query"), "there is a roster in the answer to the newest version")
    await alice.update_roster("erin@example.net", name="Erin again")
    await alice.inbox.take("the push", lambda s: push("erin@example.net")(s) and s["roster"]["items"]["erin@example.net"]["name"] == "Erin again")
    iq = alice.make_iq_get()
    iq.enable("roster")
    iq["roster"]["ver"] = old
    answer = await iq.send()
    if not answer.xml.findall("{jabber:iq:roster}query"):
        await alice.inbox.take("what has changed", push("erin@example.net"))
    await alice.logout()


async def subscribe_and_cancel():
    alice = await Client("alice").online(pshow="dnd", pstatus="busy")
    bob = await Client("bob").online()
    await befriend(alice, bob)
    for a, b in ((alice, bob), (bob, alice)):
        same("subscription", (await item(a, b.bare))["subscription"], "both")
    alice.send_presence_subscription(pto=bob.bare, ptype="unsubscribe")
    await bob.inbox.take("unsubscribe", presence("unsubscribe", alice.bare))
    await alice.inbox.take("unavailable", presence("unavailable", bob.bare))
    same("alice's item", (await item(alice, bob.bare))["subscription"], "from")
    same("bob's item", (await item(bob, alice.bare))["subscription"], "to")
    await alice.del_roster_item(bob.bare)
    await bob.inbox.take("unsubscribed", presence("unsubscribed", alice.bare))
    await bob.inbox.take("unavailable", presence("unavailable", alice.bare))
    same("bob's item", (await item(bob, alice.bare))["subscription"], "none")
    await bob.del_roster_item(alice.bare)
    await alice.logout()
    await bob.logout()


async def request_waits():
    """A request to somebody who is away is delivered at the next login, each time until it is answered."""
    alice = await Client("alice").online()
    alice.send_presence_subscription(pto="carol@example.net")
    await alice.sync()
    same("ask", (await item(alice, "carol@example.net"))["ask"], "subscribe")
    for answer in (None, "unsubscribed"):
        carol = Client("carol")
        carol.auto_authorize = None
        await carol.online()
        await carol.inbox.take("the request", presence("subscribe", alice.bare))
        if answer:
            carol.send_presence(pto=alice.bare, ptype=answer)
            await alice.inbox.take("the refusal", presence("unsubscribed", carol.bare))
        await carol.logout()
    same("ask", (await item(alice, "carol@example.net"))["ask"], "")
    await alice.logout()


async def pre_approval():
    """The server offers it, and answers in the name of who has approved before (RFC 6121 section 3.4)."""
    alice = Client("alice")
    alice.auto_authorize = None
    await alice.online()
    holds("preapproval" in alice.features, "pre-approval is not offered")
    alice.send_presence(pto="carol@example.net", ptype="subscribed")
    await alice.sync()
    carol = await Client("carol").online()
    carol.send_presence_subscription(pto=alice.bare)
    await carol.inbox.take("the approval", presence("subscribed", alice.bare))
    await carol.inbox.take("presence", presence("available", alice.bare))
    await alice.sync()
    holds(not [s for s in alice.inbox.waiting if presence("subscribe", carol.bare)(s)], "alice was asked all the same")
    await alice.logout()
    await carol.logout()


run(set_push_remove, versions, subscribe_and_cancel, request_waits, pre_approval)
