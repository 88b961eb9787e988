"""Many documents in constant memory: a bulk insert writes them while they are made, a stream reads them while they come."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import trio

import evsession

DATABASE = os.environ.get("EVSESSION_DATABASE", "Examples")
COUNT = 5_000


@evsession.document
@dataclass
class Reading:
    """What a sensor has measured."""

    sensor: str
    value: float
    id: str | None = None


async def main() -> None:
    url = os.environ.get("EVSESSION_URL", "http://127.0.0.1:8080")
    async with evsession.Store(url, database=DATABASE) as store:
        with contextlib.suppress(evsession.ConcurrencyError):  # 409: there is one of this name already
            await store.create_database(DATABASE)

        # `store` waits while the server is slower than this loop. Not atomic: what was taken before a failure stays.
        async with store.bulk_insert() as insert:
            for number in range(COUNT):
                await insert.store(Reading(f"s{number % 10}", number / 4, id=f"readings/{number}"))
        print("inserted", insert.count)

        async with store.open_session() as session:
            total = 0.0
            async for reading in session.stream(Reading):
                total += reading.value
            print("sum of all:", total)

            # The same with a callback for each document; the result is their number.
            high: list[str] = []
            count = await session.stream(
                "from Readings where value >= $least",
                {"least": 1240.0},
                on_document=lambda reading: high.append(reading.sensor),
            )
            print(count, "are high, of the sensors", sorted(set(high)))

            # Leaving early ends the request.
            async for reading in session.stream(Reading, {"sensor": "s7"}, sort="-value"):
                print("highest of s7:", reading.value)
                break


if __name__ == "__main__":
    trio.run(main)
