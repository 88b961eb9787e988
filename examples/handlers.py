"""Handlers per status: those of the store for all sessions, those of one session, and which of them is told.

For one failure the most specific event that has a handler fires, alone: the server's code, then the status, then its class,
then "error". Handlers run before the callback, and before the awaiting task goes on.
"""

from __future__ import annotations

import contextlib
import os

import trio

import evsession

DATABASE = os.environ.get("EVSESSION_DATABASE", "Examples")
URL = os.environ.get("EVSESSION_URL", "http://127.0.0.1:8080")

store = evsession.Store(URL, database=DATABASE)


@store.on(409)
def conflict(error: evsession.SessionError) -> None:
    print("store, 409:", error.operation)


@store.on("4xx")
def client_error(error: evsession.SessionError) -> None:
    print("store, 4xx:", error.status_code, error.key)


@store.on("error")
def anything_else(error: evsession.SessionError) -> None:
    print("store, error:", type(error).__name__)


@store.on("response")
def answered(event: evsession.WireEvent) -> None:
    if event.status_code == 409:
        print("seen on the wire:", event.method, event.status_code)


async def show(session: evsession.Session) -> None:
    @session.on(404)  # the session's own; a missing document is no error, but a handler of 404 is told of it
    def missing(error: evsession.SessionError) -> None:
        print("session, 404:", error.key)

    @session.add_listener(404)  # is told beside it
    async def also(error: evsession.SessionError) -> None:  # an async handler runs in the store's nursery
        await trio.lowlevel.checkpoint()  # it may wait
        print("session, 404 again")

    document = await session.load("dogs/nobody")
    await session.drain()  # waits for the async handler, too
    print(document)

    session.off(404)  # now "4xx" is the most specific one
    with contextlib.suppress(evsession.SessionError):
        await session.patch("dogs/nobody", evsession.Patch("this.age = 1"))  # of a missing document, this is an error

    with contextlib.suppress(evsession.QueryError):
        await session.raw("from Dogs where")  # status 500, for which only "error" has a handler
    session.on("ParseException", lambda error: print("session, by code:", error.code))
    with contextlib.suppress(evsession.QueryError):
        await session.raw("from Dogs where")


async def main() -> None:
    async with evsession.Store(URL) as plain:
        with contextlib.suppress(evsession.ConcurrencyError):  # 409: there is one of this name already
            await plain.create_database(DATABASE)
    async with store, store.open_session() as session:
        with contextlib.suppress(evsession.ConcurrencyError):
            await store.create_database(DATABASE)  # the second one of this name: told to `conflict`
        await show(session)


if __name__ == "__main__":
    trio.run(main)
