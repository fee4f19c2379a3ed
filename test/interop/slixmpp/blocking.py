"""The blocking command (XEP-0191)."""
from client import Client, available, befriend, body, holds, presence, refused, run, same

PLUGINS = ("xep_0191", "xep_0199")


async def blocked(client):
    return sorted(str(j) for j in (await client["xep_0191"].get_blocked())["blocklist"]["items"])


async def block_and_unblock():
    alice, phone = await Client("alice", plugins=PLUGINS).online(), await Client("alice", "phone", plugins=PLUGINS).online()
    bob = await Client("bob", plugins=PLUGINS).online()
    await befriend(alice, bob)
    same("blocked at first", await blocked(alice), [])
    await blocked(phone)  # who has asked gets pushes

    await alice["xep_0191"].block(bob.bare)
    await bob.inbox.take("alice's end", presence("unavailable", alice.boundjid.full))
    await phone.inbox.take("the push", lambda s: s.name == "iq" and s["type"] == "set" and s.get_plugin("block", check=True))
    same("blocked", await blocked(phone), [bob.bare])

    sent = bob.sent(alice.bare, "let me in")
    error = await bob.inbox.take("the error", lambda s: s.name == "message" and s["type"] == "error")
    same("its id", error["id"], sent["id"])
    same("its condition", error["error"]["condition"], "service-unavailable")
    await refused(bob["xep_0199"].send_ping(alice.boundjid.full), "service-unavailable")
    bob.send_presence(pshow="away")
    await bob.sync()
    await alice.sync()
    same("what came to alice", alice.inbox.bodies(), [])
    holds(not [s for s in alice.inbox.waiting if presence("away", bob.bare)(s)], "alice sees who is blocked")

    alice.sent(bob.bare, "out")
    error = await alice.inbox.take("the error", lambda s: s.name == "message" and s["type"] == "error")
    same("its condition", error["error"]["condition"], "not-acceptable")
    holds(error["error"].xml.find("{urn:xmpp:blocking:errors}blocked") is not None, "it does not tell that she has blocked him")

    await alice["xep_0191"].unblock(bob.bare)
    await bob.inbox.take("alice again", available(alice.boundjid.full))
    bob.sent(alice.boundjid.full, "thanks")
    await alice.inbox.take("the message", body("thanks"))
    same("blocked at last", await blocked(phone), [])
    for c in (alice, phone, bob):
        await c.logout()


async def domain():
    """A blocked domain is all of its addresses; unblocking nothing in particular empties the list."""
    alice = await Client("alice", plugins=PLUGINS).online()
    await alice["xep_0191"].block(["spam.example", "troll@example.net"])
    same("blocked", await blocked(alice), ["spam.example", "troll@example.net"])
    await alice["xep_0191"].unblock([])
    same("blocked at last", await blocked(alice), [])
    await alice.logout()


run(block_and_unblock, domain)
