"""Messages for those who are away (XEP-0160), with the time they were sent (XEP-0203)."""
import datetime

from client import Client, body, holds, run, same


async def kept_in_order():
    alice = await Client("alice").online()
    began = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    texts = [f"number {i}" for i in range(30)]
    for t in texts:
        alice.sent("bob@example.net", t)
    await alice.sync()
    bob = await Client("bob", plugins=("xep_0203",)).online()
    alice.sent(bob.boundjid.full, "now")
    await bob.inbox.take("what is sent now", body("now"))
    messages = [s for s in bob.inbox.waiting if s.name == "message"]
    same("what was kept", [m["body"] for m in messages], texts)
    for m in messages:
        same("from", str(m["from"]), alice.boundjid.full)
        stamp = m["delay"]["stamp"]
        holds(began <= stamp <= datetime.datetime.now(datetime.timezone.utc), f"the time {stamp} is not when it was sent")
    await bob.logout()
    again = await Client("bob").online()
    same("kept after it was delivered", again.inbox.bodies(), [])
    await again.logout()
    holds(not [s for s in alice.inbox.waiting if s["type"] == "error"], "errors came back")
    await alice.logout()


async def not_for_everything():
    """Headlines are for those who are there; a client of negative priority gets nothing that was kept."""
    alice = await Client("alice").online()
    alice.sent("bob@example.net", "news", mtype="headline")
    alice.sent("bob@example.net", "keep me")
    await alice.sync()
    shy = await Client("bob", "shy").online(ppriority=-1)
    same("what came to the shy one", shy.inbox.bodies(), [])
    bob = await Client("bob", "desk").online()
    await bob.inbox.take("what was kept", body("keep me"))
    same("besides", bob.inbox.bodies(), [])
    for c in (alice, shy, bob):
        await c.logout()


run(kept_in_order, not_for_everything)
