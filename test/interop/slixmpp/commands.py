"""Ad-hoc commands (XEP-0050) for administrators (XEP-0133); alice is one."""
import asyncio

from client import DOMAIN, Client, refused, run, same

ADMIN = "http://jabber.org/protocol/admin#"
PLUGINS = ("xep_0050", "xep_0133")


async def run_command(client, node, **values):
    """Fills the command's form in and returns what the server answers then."""
    answer = await client["xep_0050"].send_command(DOMAIN, ADMIN + node)
    if answer["command"]["status"] == "completed":
        return answer
    same("the status", answer["command"]["status"], "executing")
    asked = set(answer["command"]["form"].get_fields())
    same("the fields", asked - {"FORM_TYPE"}, set(name.replace("_", "-") for name in values))
    form = client["xep_0004"].make_form("submit")
    form.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/admin")
    for name, value in values.items():
        form.add_field(name.replace("_", "-"), value=value)
    answer = await client["xep_0050"].send_command(DOMAIN, ADMIN + node, action="complete", payload=form,
                                                  sessionid=answer["command"]["sessionid"])
    same("the status", answer["command"]["status"], "completed")
    return answer


async def accounts():
    """An account is made, logs in, and is removed, which ends its session."""
    alice = await Client("alice", plugins=PLUGINS).online()
    offered = (await alice["xep_0050"].get_commands(DOMAIN))["disco_items"]["items"]
    same("add-user is offered", ADMIN + "add-user" in [i[1] for i in offered], True)
    await run_command(alice, "add-user", accountjid=f"zoe@{DOMAIN}", password="opener", password_verify="opener")
    zoe = await Client("zoe", password="opener").online()
    online = await run_command(alice, "get-online-users-list")
    same("who is on line", sorted(online["command"]["form"].get_values()["onlineuserjids"].split("\n")), [alice.boundjid.full, zoe.boundjid.full])
    await run_command(alice, "delete-user", accountjid=f"zoe@{DOMAIN}")
    await asyncio.wait_for(zoe.over.wait(), 10)
    await alice.logout()


async def others():
    """Who is no administrator sees no commands and may run none."""
    bob = await Client("bob", plugins=PLUGINS).online()
    same("commands", (await bob["xep_0050"].get_commands(DOMAIN))["disco_items"]["items"], set())
    await refused(bob["xep_0050"].send_command(DOMAIN, ADMIN + "delete-user"), "forbidden")
    await bob.logout()


run(accounts, others)
