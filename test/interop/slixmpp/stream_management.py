"""Stream management (XEP-0198): acknowledgements, and resumption after the connection was cut."""
import asyncio
import collections

from client import Cable, Client, available, befriend, body, holds, presence, run, same


class Kept(collections.deque):
    """What is not acknowledged yet. slixmpp 1.8 forgets it when it asks for resumption; this does not."""

    def clear(self):
        pass


async def managed(user, resource="desk", port=None):
    client = Client(user, resource, port=port, plugins=("xep_0198",))
    client["xep_0198"].unacked_queue = Kept()
    enabled = []
    client.add_event_handler("sm_enabled", enabled.append)
    await client.online()
    same("answers to enable", len(enabled), 1)
    holds(enabled[0]["resume"], "resumption is not offered")
    return client


async def acknowledgements():
    """The server acknowledges what it has got."""
    bob = await Client("bob").online()
    alice = await managed("alice")
    acked = []
    alice.add_event_handler("stanza_acked", acked.append)
    for i in range(10):
        alice.sent(bob.boundjid.full, f"number {i}")
    await alice.sync()
    alice["xep_0198"].request_ack()  # goes out at once, before what waits to be sent
    await alice.sync()
    same("acknowledged", [s["body"] for s in acked if s.name == "message"], [f"number {i}" for i in range(10)])
    await alice.logout()
    await bob.logout()


async def cut_and_resumed():
    """The connection is cut while both sides talk: all arrives, in order, once, and nobody notices."""
    async with Cable() as cable:
        bob = await Client("bob").online()
        alice = await managed("alice", port=cable.port)
        await befriend(alice, bob)
        address, said = alice.boundjid.full, []

        def both(first, last):
            for i in range(first, last):
                said.append(f"number {i}")
                alice.sent(bob.boundjid.full, said[-1])
                bob.sent(address, said[-1])

        both(0, 60)
        await alice.inbox.take("a message in the middle", lambda s: s["body"] == "number 25")
        await bob.inbox.take("a message in the middle", lambda s: s["body"] == "number 25")
        cable.hold()
        both(60, 120)
        await bob.sync()
        cable.cut()
        both(120, 180)  # alice has not noticed yet; what comes later, slixmpp sends before what it has to repeat
        await asyncio.wait_for(alice.over.wait(), 10)
        await bob.sync()
        await alice.login("session_resumed")
        same("the address", alice.boundjid.full, address)
        both(180, 200)
        for c in (alice, bob):
            await c.inbox.take("the last one", body("number 199"))
            same(f"what came to {c.bare}", c.inbox.bodies(), [t for t in said if t not in ("number 25", "number 199")])
        holds(not [s for s in bob.inbox.waiting if presence("unavailable", alice.bare)(s)], "bob heard that alice was gone")
        await alice.logout()
        await bob.inbox.take("alice's end", presence("unavailable", alice.bare))
        await bob.logout()


async def several_times():
    """A connection that is cut again and again."""
    async with Cable() as cable:
        bob = await Client("bob").online()
        alice = await managed("alice", port=cable.port)
        for i in range(5):
            cable.hold()
            bob.sent(alice.boundjid.full, f"round {i}")
            alice.sent(bob.boundjid.full, f"round {i}")
            await bob.sync()
            cable.cut()
            await asyncio.wait_for(alice.over.wait(), 10)
            await alice.login("session_resumed")
        bob.sent(alice.boundjid.full, "last")
        alice.sent(bob.boundjid.full, "last")
        for c in (alice, bob):
            await c.inbox.take("the last one", body("last"))
            same(f"what came to {c.bare}", c.inbox.bodies(), [f"round {i}" for i in range(5)])
        await alice.logout()
        await bob.logout()


async def unknown_session():
    """Resumption of a session that is not there fails, and the client goes on with a new one."""
    failed = []
    alice = Client("alice", plugins=("xep_0198",))
    alice["xep_0198"].sm_id = "no such session"
    alice.add_event_handler("sm_failed", failed.append)
    await alice.login()
    same("failures", len(failed), 1)
    await alice.sync()
    await alice.logout()


async def never_resumed():
    """What a lost client has not acknowledged, the next one gets in order, once, however soon it comes."""
    bob = await Client("bob").online()
    async with Cable() as cable:
        alice = await managed("alice", port=cable.port)
        await bob.inbox.take("alice", available(alice.bare))  # they are friends from above
        bob.sent(alice.boundjid.full, "handled")
        await alice.inbox.take("a message before", body("handled"))
        alice["xep_0198"].send_ack()
        await alice.sync()
        cable.hold()
        texts = [f"number {i}" for i in range(20)]
        for t in texts:
            bob.sent(alice.boundjid.full, t)
        await bob.sync()
        cable.cut()
        await bob.inbox.take("alice's end", presence("unavailable", alice.bare))
    alice = await Client("alice", "other").online()
    bob.sent(alice.boundjid.full, "last")
    await alice.inbox.take("what was sent to her new address", body("last"))
    same("what came", alice.inbox.bodies(), texts)
    same("errors", [s for s in bob.inbox.waiting if s["type"] == "error"], [])
    await alice.logout()
    await bob.logout()


run(acknowledgements, cut_and_resumed, several_times, unknown_session, never_resumed)
