"""Models: nodes as objects, in a session, in a transaction, or each call on its own."""

from __future__ import annotations

import os

import trio

import evsession

graph = evsession.GraphStore(os.environ.get("EVSESSION_GRAPH_URL", "http://127.0.0.1:7474"))
Users = graph.model(
    "ExampleUser",
    properties={"id": str, "name": str, "age": int},
    primary_key="id",
    relationships={"friends": {"model": "self", "name": "FRIEND_OF", "direction": "out", "properties": {"since": int}}},
)


async def befriend(tx: evsession.GraphTransaction) -> int:
    ann = await Users.create_one({"id": "3", "name": "Ann", "age": 25}, session=tx)
    return await Users.relate_to("friends", {"source": ann, "target": {"age": {"gt": 20}}}, {"since": 2026}, session=tx)


async def main() -> None:
    async with graph:
        await Users.create_many([{"id": "1", "name": "John", "age": 38}, Users(id="2", name="Mia", age=17)])
        print("friends, Ann herself among them:", await graph.get_transaction(None, befriend))
        for user, friendship, friend in await Users.find_relationships("friends", {"target": {"name": "John"}}):
            print(user.name, friendship.type, friendship["since"], friend.name)
        john = await Users.find_one({"name": {"starts_with": "J"}}, must_exist=True)
        assert john is not None
        john.age += 1
        await john.save()
        print("oldest first:", [(user.name, user.age) for user in await Users.find_many(order="-age", limit=2)])
        try:
            await Users.create_one({"id": "4", "name": "Max", "age": "old"})
        except evsession.InvalidDocument as error:
            print("refused before anything is sent:", error.path)
        result = await graph.query_runner.run("MATCH (u:ExampleUser) RETURN avg(u.age) AS average")
        print("on average", round(result.value("average"), 1))
        print("deleted", await Users.delete(None, detach=True))


if __name__ == "__main__":
    trio.run(main)
