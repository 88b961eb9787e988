"""Patches change a document on the server without loading it: the list of commands known from 2012, or a script with values."""

from __future__ import annotations

import contextlib
import os

import trio

import evsession

DATABASE = os.environ.get("EVSESSION_DATABASE", "Examples")

Dog = evsession.DocumentType("Dog")


async def main() -> None:
    url = os.environ.get("EVSESSION_URL", "http://127.0.0.1:8080")
    async with evsession.Store(url, database=DATABASE) as store:
        with contextlib.suppress(evsession.ConcurrencyError):  # 409: there is one of this name already
            await store.create_database(DATABASE)

        async with store.open_session() as session:
            session.store(Dog(id="Max", name="Max", age=12, tags=["old"], owner={"name": "Ann"}))
            await session.save()

            # All commands are done, or none.
            await session.patch(
                "dogs/max",
                [
                    {"Type": "Inc", "Name": "age", "Value": 1},
                    {"Type": "Add", "Name": "tags", "Value": "friendly"},
                    {"Type": "Modify", "Name": "owner", "Nested": [{"Type": "Set", "Name": "city", "Value": "Oslo"}]},
                ],
            )
            max = await session.load("dogs/max")  # known here and without edits, so it has taken the result
            print(max.age, max.tags, max.owner)

            # The values are no part of the script's text, so they need no quoting.
            script = "this.age += args.years; this.nickname = args.name"
            await session.patch("dogs/max", evsession.Patch(script, {"years": 1, "name": "Mäxchen"}))
            print(max.age, max.nickname)

            try:  # only if the name is still another one
                await session.patch("dogs/max", [{"Type": "Set", "Name": "name", "PrevVal": "Moritz", "Value": "M"}])
            except evsession.ConcurrencyError as error:
                print("not patched:", error.status_code)

            etag = max.metadata["@change-vector"]
            await session.patch("dogs/max", [{"Type": "Unset", "Name": "nickname"}], etag)
            print("nickname" in max)

            try:
                await session.patch("dogs/nobody", [{"Type": "Inc", "Name": "age", "Value": 1}])
            except evsession.SessionError as error:
                print("no such document:", error.status_code, error.key)


if __name__ == "__main__":
    trio.run(main)
