"""Messages and their routes (RFC 6121 sections 5 and 8)."""
from client import Client, body, holds, run, same


async def chat():
    alice, bob = await Client("alice").online(), await Client("bob").online()
    text = "Grüße, 世界 \U0001f44b <&> \"quoted\" 'too'\nsecond line"
    alice.sent(bob.boundjid.full, text)
    got = await bob.inbox.take("the message", lambda s: s.name == "message" and s["body"] == text)
    same("from", str(got["from"]), str(alice.boundjid))
    got.reply("answer").send()
    await alice.inbox.take("the answer", body("answer"))
    await alice.logout()
    await bob.logout()


async def in_order():
    """300 messages each way at once: all of them, in their order, once."""
    alice, bob = await Client("alice").online(), await Client("bob").online()
    texts = [f"number {i}" for i in range(300)]
    for t in texts:
        alice.sent(bob.boundjid.full, t)
        bob.sent(alice.boundjid.full, t)
    alice.sent(bob.boundjid.full, "last")
    bob.sent(alice.boundjid.full, "last")
    for c in (alice, bob):
        await c.inbox.take("the last one", body("last"))
        same("what came", c.inbox.bodies(), texts)
    await alice.logout()
    await bob.logout()


async def priorities():
    """A message to the account reaches its most available resource, none of negative priority."""
    alice = await Client("alice").online()
    desk = await Client("bob", "desk").online(ppriority=5)
    phone = await Client("bob", "phone").online(ppriority=1)
    shy = await Client("bob", "shy").online(ppriority=-1)
    alice.sent(desk.bare, "to the account")
    await desk.inbox.take("the message", body("to the account"))
    alice.sent(shy.boundjid.full, "to you alone")
    await shy.inbox.take("the message to the full JID", body("to you alone"))
    same("what came to the negative one besides", shy.inbox.bodies(), [])
    for c in (alice, desk, phone, shy):
        await c.logout()


async def undeliverable():
    """What nobody can take comes back as an error, with its id."""
    alice = await Client("alice").online()
    sent = alice.sent("nobody@example.net", "is there anybody?")
    error = await alice.inbox.take("the error", lambda s: s.name == "message" and s["type"] == "error")
    same("id", error["id"], sent["id"])
    same("condition", error["error"]["condition"], "service-unavailable")
    alice.sent("somebody@elsewhere.example", "far away")
    error = await alice.inbox.take("the error", lambda s: s.name == "message" and s["type"] == "error")
    holds(error["error"]["condition"] in ("remote-server-not-found", "service-unavailable"), f"condition {error['error']['condition']}")
    await alice.logout()


async def headline_and_large():
    alice, bob = await Client("alice").online(), await Client("bob").online()
    alice.sent(bob.bare, "news", mtype="headline")
    same("type", (await bob.inbox.take("the headline", body("news")))["type"], "headline")
    large = "large " * 20_000  # 120 kB: below the limit of stanza_bytes
    alice.sent(bob.boundjid.full, large)
    await bob.inbox.take("the large message", body(large))
    await alice.logout()
    await bob.logout()


run(chat, in_order, priorities, undeliverable, headline_and_large)
