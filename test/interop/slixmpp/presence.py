"""Presence (RFC 6121 section 4): broadcasts, probes, directed presence, abrupt ends."""
from client import Cable, Client, befriend, holds, presence, refused, run, same


async def between_contacts():
    alice, bob = await Client("alice").online(), await Client("bob").online()
    await befriend(alice, bob)
    alice.send_presence(pshow="away", pstatus="tea & cake", ppriority=7)
    got = await bob.inbox.take("away", presence("away", alice.bare))
    same("status", got["status"], "tea & cake")
    same("priority", got["priority"], 7)
    same("from", str(got["from"]), str(alice.boundjid))
    late = await Client("bob", "late").online()
    got = await late.inbox.take("alice's presence at login", presence("away", alice.bare))
    same("status", got["status"], "tea & cake")
    await alice.inbox.take("the second resource", presence("available", "bob@example.net/late"))
    await late.logout()
    await alice.inbox.take("its end", presence("unavailable", "bob@example.net/late"))
    await alice.logout()
    await bob.inbox.take("alice's end", presence("unavailable", alice.bare))
    await bob.logout()


async def abrupt_loss():
    """The connection of a contact breaks: the others hear that it is unavailable."""
    bob = await Client("bob").online()
    async with Cable() as cable:
        alice = await Client("alice", "cable", port=cable.port).online()
        await bob.inbox.take("alice", presence("available", "alice@example.net/cable"))
        cable.cut()
        await bob.inbox.take("alice's end", presence("unavailable", "alice@example.net/cable"))
    await bob.logout()


async def directed():
    """Presence to a stranger, who also hears of the end."""
    alice, carol = await Client("alice").online(), await Client("carol").online()
    alice.send_presence(pto=carol.bare, pstatus="for you")
    got = await carol.inbox.take("directed presence", presence("available", alice.bare))
    same("status", got["status"], "for you")
    await alice.logout()
    await carol.inbox.take("the end", presence("unavailable", alice.bare))
    await carol.logout()


async def strangers_see_nothing():
    alice, carol = await Client("alice").online(), await Client("carol").online()
    alice.send_presence(pstatus="not for carol")
    await alice.sync()
    await carol.sync()
    holds(not [s for s in carol.inbox.waiting if s.name == "presence" and s["from"].bare == alice.bare], "carol sees alice")
    carol.send_presence(pto=alice.bare, ptype="probe")
    await carol.sync()
    holds(not [s for s in carol.inbox.waiting if presence("available", alice.bare)(s)], "a probe tells a stranger of alice")
    await alice.logout()
    await carol.logout()


run(between_contacts, abrupt_loss, directed, strangers_see_nothing)
