"""Invisible sessions (XEP-0186)."""
from slixmpp.plugins.xep_0186 import Invisible, Visible

from client import Client, available, befriend, body, holds, presence, run


async def come_and_go():
    Invisible.namespace = Visible.namespace = "urn:xmpp:invisible:1"  # slixmpp 1.8 has those of an early draft
    alice, bob = await Client("alice", plugins=("xep_0186",)).online(), await Client("bob").online()
    await befriend(alice, bob)
    await alice["xep_0186"].set_invisible()
    await bob.inbox.take("alice's end", presence("unavailable", alice.boundjid.full))
    bob.sent(alice.boundjid.full, "I know you are there")
    await alice.inbox.take("the message", body("I know you are there"))
    alice.send_presence(pstatus="not for anybody")
    await alice.sync()
    await bob.sync()
    holds(not [s for s in bob.inbox.waiting if available(alice.bare)(s)], "bob sees the invisible one")
    await alice["xep_0186"].set_visible()
    alice.send_presence(pstatus="here I am")
    await bob.inbox.take("alice again", available(alice.boundjid.full))
    await alice.logout()
    await bob.logout()


run(come_and_go)
