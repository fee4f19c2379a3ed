"""Streams and logins (RFC 6120): STARTTLS, direct TLS (XEP-0368), the mechanisms, and who is refused."""
import asyncio
import os

from client import Client, Wrong, holds, old_tls, run, same


async def starttls():
    alice = await Client("alice", "starttls").login()
    same("the bound address", str(alice.boundjid), "alice@example.net/starttls")
    same("TLS", alice.socket.version(), "TLSv1.3")
    await alice.logout()


async def direct_tls():
    alice = await Client("alice", "direct", direct=True).login()
    same("the bound address", str(alice.boundjid), "alice@example.net/direct")
    same("TLS", alice.socket.version(), "TLSv1.3")
    await alice.logout()


async def scram_plus():
    for name in ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"):
        alice = await old_tls(Client("alice", mechanism=name)).login()
        same("the mechanism", alice.mechanism, name)
        await alice.logout()


async def best_of_tls_1_2():
    """Left to itself, slixmpp takes the strongest."""
    alice = await old_tls(Client("alice")).login()
    same("the mechanism", alice.mechanism, "SCRAM-SHA-256-PLUS")
    await alice.logout()


async def plain():
    alice = await Client("alice", mechanism="PLAIN").login()
    same("the mechanism", alice.mechanism, "PLAIN")
    await alice.logout()


async def external():
    """A certificate with an XMPP address logs in without a password (XEP-0178)."""
    alice = Client("alice", mechanism="EXTERNAL", password="not needed")
    alice.certfile, alice.keyfile = os.environ["XMPP_CERT"], os.environ["XMPP_KEY"]
    await alice.login()
    same("the mechanism", alice.mechanism, "EXTERNAL")
    await alice.logout()


async def server_chooses_resource():
    alice = Client("alice", "")
    await alice.login()
    holds(alice.boundjid.resource, "no resource was given")
    await alice.logout()


async def takes_resource_over():
    """The newer stream gets the resource, the older one ends with conflict."""
    errors = []
    old = Client("alice", "desk")
    old.add_event_handler("stream_error", lambda e: errors.append(e["condition"]))
    await old.login()
    new = await Client("alice", "desk").login()
    await asyncio.wait_for(old.over.wait(), 10)
    same("the older stream's error", errors, ["conflict"])
    await new.logout()


async def wrong_password():
    failures = []
    alice = Client("alice", mechanism="PLAIN", password="guess")
    alice.add_event_handler("failed_auth", lambda f: failures.append(f["condition"]))
    try:
        await alice.login()
    except Wrong:
        same("the failures", failures, ["not-authorized"])
    else:
        raise Wrong("a wrong password logs in")


async def unknown_authority():
    """The client does check the certificate: without our authority it does not go on."""
    alice = Client("alice")
    alice.ca_certs = None
    seen = []
    alice.add_event_handler("ssl_invalid_chain", lambda e: (seen.append(e), alice.disconnect()))
    try:
        await alice.login()
    except Wrong:
        holds(seen, "it ended without a word on the certificate")
    else:
        raise Wrong("an unknown authority is trusted")


run(starttls, direct_tls, scram_plus, best_of_tls_1_2, plain, external, server_chooses_resource, takes_resource_over,
    wrong_password, unknown_authority)
