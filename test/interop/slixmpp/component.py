"""External components (XEP-0114): slixmpp's ComponentXMPP serves gateway.example.net."""
import asyncio

from client import Client, Component, Wrong, befriend, body, presence, refused, run, same

NAME = "gateway.example.net"


async def talks_both_ways():
    gateway = await Component(NAME, "s3cret").login()
    alice = await Client("alice").online()
    alice.sent(f"bot@{NAME}", "out")
    got = await gateway.inbox.take("the message", body("out"))
    same("from", str(got["from"]), str(alice.boundjid))
    gateway.send_message(mto=alice.bare, mbody="in", mfrom=f"bot@{NAME}/x", mtype="chat")
    same("from", str((await alice.inbox.take("the answer", body("in")))["from"]), f"bot@{NAME}/x")
    await alice.logout()
    gateway.disconnect()


async def answers_requests():
    """The component's plugins answer disco and ping, and it asks the server."""
    gateway = await Component(NAME, "s3cret", ("xep_0030", "xep_0199")).login()
    gateway["xep_0030"].add_identity(category="gateway", itype="xmpp", name="Gateway")
    alice = await Client("alice", plugins=("xep_0030", "xep_0199")).online()
    info = await alice["xep_0030"].get_info(jid=NAME)
    same("the identity", {(i[0], i[1]) for i in info["disco_info"]["identities"]} >= {("gateway", "xmpp")}, True)
    await alice["xep_0199"].send_ping(NAME)
    await gateway["xep_0199"].send_ping(alice.boundjid.full, ifrom=NAME)
    await alice.logout()
    gateway.disconnect()


async def is_a_contact():
    gateway = await Component(NAME, "s3cret").login()
    gateway.auto_authorize = None
    alice = Client("alice")
    alice.auto_authorize = None
    await alice.online()
    bot = f"bot@{NAME}"
    alice.send_presence_subscription(pto=bot)
    await gateway.inbox.take("the request", presence("subscribe", alice.bare))
    gateway.send_presence(pto=alice.bare, pfrom=bot, ptype="subscribed")
    gateway.send_presence(pto=alice.bare, pfrom=bot + "/r", pshow="away", pstatus="dozing")
    await alice.inbox.take("the approval", presence("subscribed", bot))
    same("status", (await alice.inbox.take("presence", presence("away", bot)))["status"], "dozing")
    await alice.logout()
    gateway.disconnect()


async def wrong_secret():
    gateway = Component(NAME, "guess")
    errors = []
    gateway.add_event_handler("stream_error", lambda e: errors.append(e["condition"]))
    gateway.connect()
    await asyncio.wait_for(gateway.over.wait(), 10)
    same("the stream errors", errors, ["not-authorized"])


async def away():
    """Without the component its domain is nowhere."""
    alice = await Client("alice", plugins=("xep_0199",)).online()
    await refused(alice["xep_0199"].send_ping(NAME), "remote-server-not-found")
    await alice.logout()


run(talks_both_ways, answers_requests, is_a_contact, wrong_secret, away)
