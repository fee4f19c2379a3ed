"""What the server keeps for users and tells of itself: private XML (XEP-0049), vCards (XEP-0054), last activity
(XEP-0012), time (XEP-0202), contact addresses (XEP-0157)."""
import asyncio
import datetime

from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0048.stanza import Bookmarks

from client import DOMAIN, PATIENCE, Client, befriend, holds, presence, refused, run, same


async def private_xml():
    """Bookmarks of one client are there for the next, and for nobody else."""
    alice = await Client("alice", plugins=("xep_0048", "xep_0049")).online()
    marks = Bookmarks()
    marks.add_conference("room@chat.example", "alice", name="A room & more")
    await alice["xep_0048"].set_bookmarks(marks, method="xep_0049")
    await alice.logout()
    for user, want in (("alice", ["room@chat.example"]), ("bob", [])):
        client = await Client(user, "other", plugins=("xep_0048", "xep_0049")).online()
        got = (await client["xep_0048"].get_bookmarks(method="xep_0049"))["private"]["bookmarks"]["conferences"]
        same(f"bookmarks of {user}", [str(c["jid"]) for c in got], want)
        await client.logout()


async def vcards():
    alice, bob = await Client("alice", plugins=("xep_0054",)).online(), await Client("bob", plugins=("xep_0054",)).online()
    card = alice["xep_0054"].make_vcard()
    card["FN"] = "Alice Liddell"
    card["PHOTO"]["TYPE"], card["PHOTO"]["BINVAL"] = "image/png", b"\x89PNG" * 1000
    await alice["xep_0054"].publish_vcard(card)
    for client, to in ((alice, None), (bob, alice.bare)):
        got = (await client["xep_0054"].get_vcard(to, local=False))["vcard_temp"]
        same("the name", got["FN"], "Alice Liddell")
        same("the photo", got["PHOTO"]["BINVAL"], b"\x89PNG" * 1000)
    refusal = alice["xep_0054"].make_vcard()
    refusal["FN"] = "Not Bob"
    await refused(alice["xep_0054"].publish_vcard(refusal, jid=bob.bare), "forbidden")
    await alice.logout()
    await bob.logout()


async def until_noted(client, jid):
    """The seconds since somebody was here; the server notes that once the presence has been sent."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            return (await client["xep_0012"].get_last_activity(jid))["last_activity"]["seconds"]
        except IqError as e:
            if e.condition != "item-not-found" or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)  # the pause of a poll


async def last_activity():
    alice, bob = await Client("alice", plugins=("xep_0012",)).online(), await Client("bob", plugins=("xep_0012",)).online()
    carol = await Client("carol", plugins=("xep_0012",)).online()
    await befriend(alice, bob)
    up = (await alice["xep_0012"].get_last_activity(DOMAIN))["last_activity"]["seconds"]
    holds(0 <= up < 600, f"the server is up for {up} s")
    same("of who is there", (await alice["xep_0012"].get_last_activity(bob.bare))["last_activity"]["seconds"], 0)
    await bob.logout()
    await alice.inbox.take("bob's end", presence("unavailable", bob.bare))
    gone = await until_noted(alice, bob.bare)
    holds(0 <= gone < 60, f"bob is away for {gone} s")
    await refused(carol["xep_0012"].get_last_activity(bob.bare), "forbidden")
    await alice.logout()
    await carol.logout()


async def time():
    alice = await Client("alice", plugins=("xep_0202",)).online()
    answer = await alice["xep_0202"].get_entity_time(DOMAIN)
    # slixmpp 1.8 fails to parse what itself would send: look at the text.
    same("the offset", answer.xml.findtext(".//{urn:xmpp:time}tzo"), "+00:00")
    now = datetime.datetime.fromisoformat(answer.xml.findtext(".//{urn:xmpp:time}utc"))
    off = abs((datetime.datetime.now(datetime.timezone.utc) - now).total_seconds())
    holds(off < 60, f"the clocks are {off} s apart")
    await alice.logout()


async def contact_addresses():
    alice = await Client("alice", plugins=("xep_0030", "xep_0004")).online()
    info = await alice["xep_0030"].get_info(jid=DOMAIN)
    form = info["disco_info"]["form"]
    same("the form", form.get_fields()["FORM_TYPE"]["value"], ["http://jabber.org/network/serverinfo"])
    same("whom to tell of abuse", form.get_fields()["abuse-addresses"]["value"], ["mailto:abuse@example.net"])
    await alice.logout()


run(private_xml, vcards, last_activity, time, contact_addresses)
