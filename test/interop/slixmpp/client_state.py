"""Client state indication (XEP-0352): presence waits for a client that nobody looks at."""
from client import Client, befriend, body, presence, run, same


async def presence_waits():
    alice, bob = await Client("alice", plugins=("xep_0352",)).online(), await Client("bob").online()
    await befriend(alice, bob)
    same("offered", alice["xep_0352"].enabled, True)
    alice["xep_0352"].send_inactive()
    await alice.sync()
    for show in ("away", "xa", "dnd"):
        bob.send_presence(pshow=show)
    bob.sent(alice.boundjid.full, "look here")
    await alice.inbox.take("the message", body("look here"))
    seen = [s["type"] for s in alice.inbox.waiting if s.name == "presence" and s["from"] == bob.boundjid]
    same("presence before the message", seen, ["dnd"])
    alice["xep_0352"].send_active()
    bob.send_presence(pshow="chat")
    await alice.inbox.take("presence at once", presence("chat", bob.bare))
    await alice.logout()
    await bob.logout()


run(presence_waits)
