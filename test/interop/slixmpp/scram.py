"""SCRAM without channel binding, on a server that does not offer the bound forms."""
from client import Client, holds, run, same


async def sha_256():
    alice = await Client("alice").login()
    same("the mechanism", alice.mechanism, "SCRAM-SHA-256")
    same("TLS", alice.socket.version(), "TLSv1.3")
    await alice.logout()


async def sha_1():
    alice = await Client("alice", mechanism="SCRAM-SHA-1").login()
    same("the mechanism", alice.mechanism, "SCRAM-SHA-1")
    await alice.logout()


async def what_is_offered():
    alice = await Client("alice").login()
    offered = alice["feature_mechanisms"].mech_list
    same("the mechanisms", set(offered), {"SCRAM-SHA-256", "SCRAM-SHA-1"})
    holds(alice["feature_mechanisms"].mech._mutual_auth, "the server did not prove that it knows the password")
    await alice.logout()


run(sha_256, sha_1, what_is_offered)
