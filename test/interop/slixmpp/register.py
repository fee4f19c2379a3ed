"""In-band registration (XEP-0077) on a server that has it open."""
import asyncio

from client import Client, Wrong, holds, run, same


class Newcomer(Client):
    """Registers an account before it logs in with it."""

    def __init__(self, user, password):
        super().__init__(user, password=password)
        self.failures = []
        self._always_send_everything = True  # slixmpp 1.8 keeps requests back until login, its own to register too
        self.registered = False
        self.register_plugin("xep_0004")
        self.register_plugin("xep_0066")
        self.register_plugin("xep_0077", {"force_registration": True})
        self.add_event_handler("register", self.register)

    async def register(self, form):
        iq = self.make_iq_set()
        iq["register"]["username"] = self.requested_jid.user
        iq["register"]["password"] = self.password
        try:
            await iq.send()
            self.registered = True
        except Exception as e:  # its condition is what the check wants
            self.failures.append(e.condition)
            self.disconnect()


async def account():
    """Register, log in, change the password, log in with the new one, cancel."""
    zoe = Newcomer("zoe", "opener")
    await zoe.login()
    holds(zoe.registered, "logged in without having registered")
    await zoe["xep_0077"].change_password("closer")
    await zoe.logout()
    zoe = Client("zoe", password="closer", plugins=("xep_0077",))
    await zoe.login()
    await zoe["xep_0077"].cancel_registration()
    await asyncio.wait_for(zoe.over.wait(), 10)
    zoe = Client("zoe", password="closer", mechanism="PLAIN")
    failures = []
    zoe.add_event_handler("failed_auth", lambda f: failures.append(f["condition"]))
    try:
        await zoe.login()
    except Wrong:
        same("the failures", failures, ["not-authorized"])
    else:
        raise Wrong("an account that was cancelled logs in")


async def name_taken():
    thief = Newcomer("alice", "mine now")
    try:
        await thief.login()
    except Wrong:
        same("the failures", thief.failures, ["conflict"])
    else:
        raise Wrong("an account was registered a second time")


run(account, name_taken)
