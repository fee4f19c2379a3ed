"""The archive (XEP-0313), paged by result sets (XEP-0059), with stanza ids (XEP-0359) and preferences (XEP-0441)."""
import datetime

from client import Client, body, run, same

PLUGINS = ("xep_0313", "xep_0059", "xep_0359", "xep_0441")


async def archived(client, **query):
    """The bodies that a query finds, over all its pages, and their ids."""
    found = [m["mam_result"] async for m in client["xep_0313"].iterate(**query)]
    return [r["forwarded"]["stanza"]["body"] for r in found], [r["id"] for r in found]


async def backwards(client):
    """All bodies, the last one first. slixmpp 1.8 stops by itself after the last page: the others are asked for here."""
    found, ids = await archived(client, reverse=True, rsm={"max": 10})
    while True:
        page = (await client["xep_0313"].retrieve(rsm={"before": ids[-1], "max": 10}))["mam"]["results"]
        if not page:
            return found
        for r in reversed([m["mam_result"] for m in page]):
            found.append(r["forwarded"]["stanza"]["body"])
            ids.append(r["id"])


async def preferences():
    """Nothing is archived until the user wants it."""
    alice, bob = await Client("alice", plugins=PLUGINS).online(), await Client("bob").online()
    same("at first", (await alice["xep_0441"].get_preferences())[0], "never")
    alice.sent(bob.boundjid.full, "not to be remembered")
    await bob.inbox.take("the message", body("not to be remembered"))
    same("archived", (await archived(alice))[0], [])
    await alice["xep_0441"].set_preferences(default="always", always=[], never=["carol@example.net"])
    default, always, never = await alice["xep_0441"].get_preferences()
    same("preferences", (default, [str(j) for j in always], [str(j) for j in never]), ("always", [], ["carol@example.net"]))
    alice.sent("carol@example.net", "nor this")
    await alice.sync()
    same("archived", (await archived(alice))[0], [])
    await alice["xep_0441"].set_preferences(default="always", always=[], never=[])
    await alice.logout()
    await bob.logout()


async def pages():
    """57 messages in both directions, read ten at a time, forwards, backwards, by contact and by time."""
    alice, bob = await Client("alice", plugins=PLUGINS).online(), await Client("bob").online()
    texts, ids = [f"number {i}" for i in range(57)], []
    for i, t in enumerate(texts):
        sender, receiver = (alice, bob) if i % 3 else (bob, alice)
        sender.sent(receiver.boundjid.full, t)
        got = await receiver.inbox.take(t, body(t))
        if receiver is alice:
            ids.append(got["stanza_id"]["id"])
            same("by", str(got["stanza_id"]["by"]), alice.bare)
    bodies, all_ids = await archived(alice)
    same("all of it", bodies, texts)
    same("the ids that came with the messages", ids, all_ids[::3])
    phone = await Client("alice", "phone", plugins=PLUGINS).online()
    same("the same for another client", (await archived(phone, rsm={"max": 25}))[0], texts)
    same("backwards", await backwards(alice), texts[::-1])
    same("with bob", (await archived(alice, with_jid=bob.bare))[0], texts)
    same("with carol", (await archived(alice, with_jid="carol@example.net"))[0], [])
    future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    same("of the future", (await archived(alice, start=future))[0], [])
    same("up to then", len((await archived(alice, end=future))[0]), len(texts))
    for c in (alice, phone, bob):
        await c.logout()


async def of_messages_kept():
    """A message for somebody who is away is archived once, and delivered with its id."""
    alice = await Client("alice", plugins=PLUGINS).login()
    before = len((await archived(alice))[0])
    await alice.logout()
    bob = await Client("bob").online()
    bob.sent("alice@example.net", "while you were away")
    await bob.sync()
    alice = await Client("alice", plugins=PLUGINS).online()
    got = await alice.inbox.take("the message", body("while you were away"))
    bodies, ids = await archived(alice)
    same("archived since", bodies[before:], ["while you were away"])
    same("the id", got["stanza_id"]["id"], ids[-1])
    await alice.logout()
    await bob.logout()


run(preferences, pages, of_messages_kept)
