"""The unit of work: hooks that stamp and keep a diary, a soft delete by veto, a rollback, and a dry run."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

import trio

import evsession

DATABASE = os.environ.get("EVSESSION_DATABASE", "Examples")


@evsession.document
@dataclass
class Dog:
    """A dog; one that is gone is kept, and marked."""

    name: str
    age: int
    version: int = 0
    gone: bool = False
    id: str | None = None


@evsession.document(key=lambda entry: entry.dog.replace("/", "-"))
@dataclass
class Diary:
    """What was done to a dog."""

    dog: str
    lines: list[str] = field(default_factory=list)


def count_versions(event: evsession.CommitEvent) -> None:
    for dog in event.entities:
        dog.version += 1


def keep(event: evsession.CommitEvent) -> None:
    event.prevent()
    for dog in event.entities:
        dog.gone = True


async def write_diary(event: evsession.CommitEvent) -> None:
    for dog, changes in zip(event.entities, event.changes, strict=True):
        diary = await event.session.load(f"diaries/{dog.id.replace('/', '-')}") or Diary(dog.id)
        diary.lines.append(", ".join(f"{name}: {change.old} -> {change.new}" for name, change in sorted(changes.items())))
        event.session.add(diary)


async def main() -> None:
    url = os.environ.get("EVSESSION_URL", "http://127.0.0.1:8080")
    store = evsession.Store(url, database=DATABASE)
    store.on("update.pre", count_versions, type=Dog)
    store.on("update.pre", write_diary, type=Dog)
    store.on("delete.pre", keep, type=Dog)
    async with store:
        with contextlib.suppress(evsession.ConcurrencyError):  # 409: there is one of this name already
            await store.create_database(DATABASE)
        session = store.open_session()
        await session.delete(["diaries/dogs-max", "diaries/dogs-jess"])
        max, jess = Dog("Max", 12, id="dogs/max"), Dog("Jess", 7, id="dogs/jess")
        print("new:", await session.add(max, jess).commit())

        max.age = 13
        session.remove(jess)
        plan = session.plan()
        print("planned:", [dog.name for dog in plan.updates], [dog.name for dog in plan.deletes])
        print("written:", await session.commit(), "in rounds:", session.rounds)
        print("kept:", jess.name, jess.gone, jess.version)
        print("diary:", [diary.lines for diary in await session.load(["diaries/dogs-max", "diaries/dogs-jess"])])

        session.use_transaction()
        max.age = 99
        await session.flush()
        await session.rollback()
        print("rolled back, still pending:", session.changes(max))
        session.revert(max)
        print("reverted:", max.age)


if __name__ == "__main__":
    trio.run(main)
