"""What the scripts of this folder share: a slixmpp client that remembers what it got, and a report.

A script defines checks, coroutines that raise when something is wrong, and calls run(). Each check prints one
line, "PASS name: seconds" or "FAIL name: why"; the last line is "END n", the number of checks. The server is told by the
environment: XMPP_PORT, XMPP_TLS_PORT, XMPP_COMPONENT_PORT on 127.0.0.1, XMPP_CA (the authority's file),
XMPP_PASSWORD.
"""
import asyncio
import os
import ssl
import sys
import time
import traceback
from pathlib import Path

from slixmpp import ClientXMPP, ComponentXMPP
from slixmpp.exceptions import IqError

DOMAIN = "example.net"
PATIENCE = 15  # seconds; for what happens at once on an idle machine


class Wrong(Exception):
    """Something is not as it has to be."""


def same(what, got, want):
    if got == want:
        return
    if isinstance(got, list) and isinstance(want, list) and len(want) > 10:
        i = next((i for i, (g, w) in enumerate(zip(got, want)) if g != w), min(len(got), len(want)))
        got, want = f"{len(got)}, from {i} on {got[i:i + 3]}", f"{len(want)}, from there on {want[i:i + 3]}"
    raise Wrong(f"{what}: got {got!r}, want {want!r}")


def holds(condition, what):
    if not condition:
        raise Wrong(what)


async def refused(request, condition):
    """Awaits an IQ that has to fail with the condition."""
    try:
        await request
    except IqError as e:
        same("refused with", e.condition, condition)
    else:
        raise Wrong(f"not refused; {condition} was to be expected")


class Inbox:
    """Remembers every stanza in its order, until somebody takes it."""

    def __init__(self, stream):
        self.waiting = []
        self.news = asyncio.Event()
        stream.add_filter("in", self._came)

    def _came(self, stanza):
        self.waiting.append(stanza)
        self.news.set()
        return stanza

    async def take(self, what, fits):
        """Returns the first stanza that fits, and forgets it."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        looked = 0
        while True:
            for i in range(looked, len(self.waiting)):
                if fits(self.waiting[i]):
                    return self.waiting.pop(i)
            looked = len(self.waiting)
            self.news.clear()
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self.news.wait(), max(left, 0))
            except asyncio.TimeoutError:
                got = "\n  ".join(str(s) for s in self.waiting)
                raise Wrong(f"waited for {what} in vain; there were\n  {got}") from None

    def bodies(self):
        """The bodies of the messages that wait, in their order; it forgets these messages."""
        got, others = [], []
        for s in self.waiting:
            (got if s.name == "message" and s["body"] else others).append(s)
        self.waiting = others
        return [s["body"] for s in got]


def body(text):
    return lambda s: s.name == "message" and s["body"] == text


def presence(typ, sender):
    return lambda s: s.name == "presence" and s["type"] == typ and str(s["from"]).startswith(sender)


def available(sender):
    """Presence of somebody who is there, whatever it shows (slixmpp takes show for a type)."""
    return lambda s: s.name == "presence" and s["type"] in s.showtypes | {"available"} and str(s["from"]).startswith(sender)


class Client(ClientXMPP):
    """A client of one account. Names in plugins are of slixmpp, such as xep_0199."""

    def __init__(self, user, resource="desk", plugins=(), port=None, direct=False, mechanism=None, password=None, **more):
        super().__init__(f"{user}@{DOMAIN}" + (resource and f"/{resource}"), password or os.environ["XMPP_PASSWORD"], sasl_mech=mechanism, **more)
        self.ca_certs = Path(os.environ["XMPP_CA"])
        self.direct = direct
        self.port = port or int(os.environ["XMPP_TLS_PORT" if direct else "XMPP_PORT"])
        self.over = asyncio.Event()
        self.add_event_handler("disconnected", lambda _: self.over.set())
        self.inbox = Inbox(self)
        for p in plugins:
            self.register_plugin(p)

    @property
    def bare(self):
        return self.boundjid.bare

    @property
    def mechanism(self):
        return self["feature_mechanisms"].mech.name

    async def get_dns_records(self, domain, port=None):
        """Stands in for the DNS: the domain is served here."""
        return [(DOMAIN, "127.0.0.1", self.port)]

    async def login(self, event="session_start"):
        """Logs in; the event tells that it is done."""
        self.over.clear()
        done = asyncio.ensure_future(self.wait_until(event, PATIENCE))
        self.connect(use_ssl=self.direct)
        over = asyncio.ensure_future(self.over.wait())
        await asyncio.wait({done, over}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            done.cancel()
            raise Wrong(f"{self.requested_jid} is not logged in; the stream {'ended' if self.over.is_set() else 'stands still'}")
        over.cancel()
        await done
        return self

    async def online(self, **kwargs):
        """Logs in, fetches the roster, and sends presence."""
        await self.login()
        await self.get_roster()
        self.send_presence(**kwargs)
        await self.sync()
        return self

    async def sync(self):
        """Waits until the server has handled what was sent before, and what came before is here."""
        iq = self.make_iq_get(queryxmlns="http://jabber.org/protocol/disco#info", ito=DOMAIN)
        await iq.send(timeout=PATIENCE)

    def sent(self, to, text, **kwargs):
        """Sends a chat message and returns it."""
        message = self.make_message(mto=to, mbody=text, mtype=kwargs.pop("mtype", "chat"), **kwargs)
        message.send()
        return message

    async def logout(self):
        self.disconnect(wait=PATIENCE)
        await asyncio.wait_for(self.over.wait(), PATIENCE)


class Component(ComponentXMPP):
    """An external component."""

    def __init__(self, name, secret, plugins=()):
        super().__init__(name, secret, "127.0.0.1", int(os.environ["XMPP_COMPONENT_PORT"]))
        self.over = asyncio.Event()
        self.add_event_handler("disconnected", lambda _: self.over.set())
        self.inbox = Inbox(self)
        for p in plugins:
            self.register_plugin(p)

    async def get_dns_records(self, domain, port=None):
        return [(DOMAIN, "127.0.0.1", self.address[1])]

    async def login(self):
        self.connect()
        await asyncio.wait_for(self.wait_until("session_start", PATIENCE), PATIENCE)
        return self


async def befriend(one, other):
    """Subscribes two clients that are on line to each other's presence."""
    for a, b in ((one, other), (other, one)):
        a.auto_authorize = b.auto_authorize = None  # the check answers
        a.send_presence_subscription(pto=b.bare)
        await b.inbox.take("the request", presence("subscribe", a.bare))
        b.send_presence(pto=a.bare, ptype="subscribed")
        await a.inbox.take("the approval", presence("subscribed", b.bare))
    await one.inbox.take("the other's presence", available(other.bare))
    await other.inbox.take("the one's presence", available(one.bare))


class Cable:
    """A TCP connection to the server that can be cut, or held, in the middle of anything."""

    async def __aenter__(self):
        self.pairs, self.tasks, self.flows = [], set(), asyncio.Event()
        self.flows.set()
        self.server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        self.cut()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _connected(self, reader, writer):
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", int(os.environ["XMPP_PORT"]))
        self.pairs += [writer, there_writer]
        for r, w in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.ensure_future(self._copy(r, w))
            self.tasks.add(task)

    async def _copy(self, reader, writer):
        while chunk := await reader.read(64 << 10):
            await self.flows.wait()
            writer.write(chunk)
            await writer.drain()
        writer.close()

    def hold(self):
        """From now on nothing passes; what was sent lies in the cable, and is lost when it is cut."""
        self.flows.clear()

    def cut(self):
        """Ends the connections as a lost network does: without a word of XML."""
        for w in self.pairs:
            w.transport.abort()
        for t in self.tasks:
            t.cancel()
        self.pairs = []
        self.flows.set()


def run(*checks):
    """Runs the checks one after the other and exits."""
    failed = 0

    async def one(check):
        nonlocal failed
        name, began = check.__name__, time.monotonic()
        try:
            await asyncio.wait_for(check(), 4 * PATIENCE)
            print(f"PASS {name}: {time.monotonic() - began:.1f} s", flush=True)
        except Exception as e:  # whatever it is, the check has failed
            failed += 1
            print(f"FAIL {name}: {type(e).__name__}: {e}", flush=True)
            traceback.print_exc()

    async def everything():
        for check in checks:
            await one(check)

    asyncio.run(everything())
    print("END", len(checks), flush=True)
    sys.exit(1 if failed else 0)


def old_tls(client):
    """Keeps the client at TLS 1.2, the last one whose channel binding slixmpp knows."""
    client.ssl_context.maximum_version = ssl.TLSVersion.TLSv1_2
    return client
