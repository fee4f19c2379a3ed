"""What the server tells about itself: disco (XEP-0030), ping (XEP-0199), version (XEP-0092)."""
from client import DOMAIN, Client, holds, refused, run, same

PLUGINS = ("xep_0030", "xep_0199", "xep_0092")


async def server_info():
    alice = await Client("alice", plugins=PLUGINS).online()
    info = await alice["xep_0030"].get_info(jid=DOMAIN)
    same("the identities", [(i[0], i[1]) for i in info["disco_info"]["identities"]], [("server", "im")])
    features = info["disco_info"]["features"]
    for f in ("http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "urn:xmpp:ping", "jabber:iq:version"):
        holds(f in features, f"{f} is not among {features}")
    await alice["xep_0030"].get_items(jid=DOMAIN)
    await refused(alice["xep_0030"].get_info(jid=DOMAIN, node="no such node"), "item-not-found")
    await alice.logout()


async def account_info():
    alice = await Client("alice", plugins=PLUGINS).online()
    info = await alice["xep_0030"].get_info(jid=alice.bare)
    holds(("account", "registered") in [(i[0], i[1]) for i in info["disco_info"]["identities"]], "no account/registered")
    await alice.logout()


async def of_a_client():
    """The answer comes from the other client, through the server."""
    alice, bob = await Client("alice", plugins=PLUGINS).online(), await Client("bob", plugins=PLUGINS).online()
    info = await alice["xep_0030"].get_info(jid=bob.boundjid.full)
    holds("urn:xmpp:ping" in info["disco_info"]["features"], "bob's features lack ping")
    await alice.logout()
    await bob.logout()


async def ping():
    alice, bob = await Client("alice", plugins=PLUGINS).online(), await Client("bob", plugins=PLUGINS).online()
    for to in (DOMAIN, alice.bare, bob.boundjid.full):
        await alice["xep_0199"].send_ping(to)
    await refused(alice["xep_0199"].send_ping(bob.bare + "/away"), "service-unavailable")
    await alice.logout()
    await bob.logout()


async def version():
    alice = await Client("alice", plugins=PLUGINS).online()
    got = await alice["xep_0092"].get_version(DOMAIN)
    same("the name", got["software_version"]["name"], "RosterDB xmppd")
    holds(got["software_version"]["version"], "no version")
    await alice.logout()


async def capabilities():
    """The server's features come with the stream as a hash (XEP-0115), which slixmpp verifies by asking."""
    alice = Client("alice", plugins=PLUGINS + ("xep_0115",))
    await alice.online()
    holds("caps" in alice.features, "no capabilities among the stream features")
    await alice.sync()  # the answer to slixmpp's own request came before
    ver = await alice["xep_0115"].get_verstring(DOMAIN)
    holds(ver, "slixmpp could not verify the hash")
    bob = await Client("bob").online()
    await alice["xep_0115"].update_caps(broadcast=False)
    alice.send_presence(pto=bob.bare)
    got = await bob.inbox.take("alice's presence", lambda s: s.name == "presence" and s["from"].bare == alice.bare)
    holds(got.xml.find("{http://jabber.org/protocol/caps}c") is not None, "the capabilities of a client did not pass")
    await alice.logout()
    await bob.logout()


async def unknown_request():
    alice = await Client("alice").online()
    await refused(alice.make_iq_get(queryxmlns="urn:example:unheard-of", ito=DOMAIN).send(), "service-unavailable")
    await alice.logout()


run(server_info, account_info, of_a_client, ping, version, capabilities, unknown_request)
