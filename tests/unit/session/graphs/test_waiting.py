"""What hooks and the work of transactions ask of their own graph session: answered or refused, never waited for in vain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from tests.unit.neo4j.typed import ROLLED_BACK, committed, opened, refused, rows
from tests.unit.session.graphs.scripted import scripted_graph, sent
from tests.unit.session.graphs.test_work import Dog, found

Session = evsession.GraphSession

READS: dict[str, tuple[Callable[[Session], Awaitable[Any]], evsession.Response]] = {
    "run": (lambda session: session.run("RETURN 1"), rows(1, bookmark=None, transaction={"id": "t1"})),
    "load": (lambda session: session.load(Dog, "9"), found(transaction=True)),
    "find": (lambda session: session.find(Dog), found(transaction=True)),
    "hydrate": (lambda session: session.hydrate(session.get_reference(Dog, "9")), found(transaction=True)),
}


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize("hook", ["commit.pre", "insert.pre", "insert.post"])
async def test_a_hook_reads_in_the_transaction_of_the_commit(hook: str, name: str) -> None:
    read, answer = READS[name]
    insert = opened("t1", 1)
    script = (insert, answer, committed()) if hook == "insert.post" else (answer, insert, committed())
    async with scripted_graph(*script) as (session, transport):
        told: list[Any] = []

        @session.on(hook)
        async def ask(event: evsession.CommitEvent) -> None:
            try:
                told.append(await read(session))
            except evsession.SessionError as error:
                told.append(error.status_code)

        with trio.fail_after(5):
            assert await session.add(Dog("1")).commit() == ["Dog/1"]
        assert len(told) == 1
        assert sent(transport) == ["POST /tx", "POST /tx/t1", "POST /tx/t1/commit"]
        assert b"CREATE" in transport.requests[0 if hook == "insert.post" else 1].body
        assert (session.state, session.has_transaction()) == ("idle", False)


async def test_what_a_hook_began_is_undone_when_it_raises() -> None:
    async with scripted_graph(opened("t1", 1), ROLLED_BACK) as (session, transport):

        @session.on("insert.pre")
        async def ask(event: evsession.CommitEvent) -> None:
            await session.run("RETURN 1")
            raise ValueError("no")

        dog = Dog("1")
        with pytest.raises(ValueError, match="no"):
            await session.add(dog).commit()
        assert sent(transport) == ["POST /tx", "DELETE /tx/t1"]
        assert (session.state, session.is_dirty(dog)) == ("idle", True)


async def test_a_statement_of_a_hook_that_fails_ends_the_commit() -> None:
    async with scripted_graph(refused("Neo.ClientError.Statement.SyntaxError")) as (session, transport):

        @session.on("insert.pre")
        async def ask(event: evsession.CommitEvent) -> None:
            with pytest.raises(evsession.QueryError):
                await session.run("RETRUN 1")

        with pytest.raises(evsession.TransactionError) as caught:
            await session.add(Dog("1")).commit()
        assert isinstance(caught.value.__cause__, evsession.QueryError)
        assert (sent(transport), session.state) == (["POST /tx"], "idle")


@pytest.mark.parametrize("hook", ["commit.post", "rollback.post"])
async def test_a_hook_after_the_end_reads_by_itself(hook: str) -> None:
    script = (opened("t1", 1), committed()) if hook == "commit.post" else ()
    async with scripted_graph(*script, rows(5), rows(6)) as (session, transport):
        told: list[Any] = []

        @session.on(hook)
        async def ask(event: evsession.CommitEvent) -> None:
            told.append((await session.run("RETURN 5")).value())
            told.append((await runner.run("RETURN 6", None, session)).value())

        runner = evsession.GraphStore(transport=transport).query_runner
        with trio.fail_after(5):
            if hook == "rollback.post":
                session.use_transaction()
                await session.rollback()
            else:
                await session.add(Dog("1")).commit()
        assert told == [5, 6]
        assert sent(transport)[-2:] == ["POST -", "POST -"]


async def test_a_hook_that_writes_what_must_be_of_a_number_waits_for_nobody() -> None:
    async with scripted_graph(opened("t1", 1), committed(), opened("t2", 1), committed("t2")) as (session, transport):
        graph = evsession.GraphStore(transport=transport)
        users = graph.model("User", relationships={"friends": {"model": "self", "name": "KNOWS"}})

        @session.on("commit.post")
        async def relate(event: evsession.CommitEvent) -> None:
            assert await users.relate_to("friends", {"source": None, "target": None}, expected=1, session=session) == 1

        with trio.fail_after(5):
            await session.add(Dog("1")).commit()
        assert sent(transport)[2:] == ["POST /tx", "POST /tx/t2/commit"]


@pytest.mark.parametrize("hook", ["insert.pre", "commit.post"])
@pytest.mark.parametrize("begin", ["begin_transaction", "write_transaction", "transaction"])
async def test_a_hook_begins_no_transaction(begin: str, hook: str) -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, _):
        arguments = () if begin == "begin_transaction" else (lambda tx: None,)

        @session.on(hook)
        async def ask(event: evsession.CommitEvent) -> None:
            with pytest.raises(evsession.TransactionError, match=rf"{begin}\(\) in a hook"):
                await getattr(session, begin)(*arguments)

        with trio.fail_after(5):
            await session.add(Dog("1")).commit()


async def test_a_hook_s_callback_hears_that_no_transaction_begins() -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, _):
        told: list[Any] = []

        @session.on("insert.pre")
        def ask(event: evsession.CommitEvent) -> None:
            session.begin_transaction(lambda error, tx: told.append(error))

        await session.add(Dog("1")).commit()
        await session.drain()
        assert isinstance(told[0], evsession.TransactionError)


async def test_a_hook_may_have_its_session_closed_later() -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, transport):
        told: list[Any] = []

        @session.on("insert.pre")
        def ask(event: evsession.CommitEvent) -> None:
            with pytest.raises(evsession.TransactionError, match="hook"):
                session.close()
            session.close(told.append)

        await session.add(Dog("1")).commit()
        await trio.testing.wait_all_tasks_blocked()
        assert (told, session.state, sent(transport)[-1]) == ([None], "closed", "POST /tx/t1/commit")


WAITS = [
    "commit",
    "save",
    "flush",
    "rollback",
    "commit_transaction",
    "transaction",
    "drain",
    "aclose",
    "close",
    "use_transaction",
]


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize("style", ["async", "callback"])
async def test_the_work_of_a_managed_transaction_does_not_wait_for_itself(style: str, name: str) -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, transport):
        arguments = (lambda session: None,) if name == "transaction" else ()

        def refuse() -> None:
            with pytest.raises(evsession.TransactionError, match=name.replace("save", "commit")):
                getattr(session, name)(*arguments)

        async def refuse_later() -> None:
            with pytest.raises(evsession.TransactionError, match=name):
                await getattr(session, name)()

        is_late = name in ("drain", "aclose")

        async def work(tx: evsession.GraphTransaction) -> None:
            await tx.run("RETURN 1")
            await refuse_later() if is_late else refuse()

        def work_by_callbacks(tx: evsession.GraphTransaction, done: Any) -> None:
            def ran(error: Any, result: Any) -> None:
                if not is_late:
                    refuse()
                done(error)

            tx.run("RETURN 1", ran)

        with trio.fail_after(5):
            await session.write_transaction(work if style == "async" else work_by_callbacks)
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit"]
        assert session.state == "idle"


async def test_callbacks_hear_that_they_would_wait_for_the_work() -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, _):
        told: list[Any] = []

        def work(tx: evsession.GraphTransaction, done: Any) -> None:
            def ended(error: Any, *results: Any) -> None:
                told.append(error)
                if len(told) == 2:
                    tx.run("RETURN 1", done)

            session.commit(ended)
            session.close(ended)

        with trio.fail_after(5):
            await session.write_transaction(work)
        assert [type(error) for error in told] == [evsession.TransactionError] * 2


async def test_work_of_one_session_within_that_of_another() -> None:
    async with scripted_graph(opened("t1", 1), opened("t2", 1), committed("t2"), committed()) as (one, transport):
        other = evsession.GraphStore(transport=transport)
        async with other, other.open_session() as two:

            async def inner(tx: evsession.GraphTransaction) -> None:
                await tx.run("RETURN 2")
                with pytest.raises(evsession.TransactionError):
                    one.commit()

            async def outer(tx: evsession.GraphTransaction) -> None:
                await tx.run("RETURN 1")
                await two.write_transaction(inner)
                assert await two.commit() == []

            with trio.fail_after(5):
                await one.write_transaction(outer)
            assert await one.commit() == []


async def test_the_work_of_a_transaction_may_commit_but_not_wait_for_everything() -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, transport):

        async def work(session: Session) -> None:
            session.add(Dog("1"))
            with pytest.raises(evsession.TransactionError, match=r"drain\(\) in the work of transaction"):
                await session.drain()
            await session.commit()

        with trio.fail_after(5):
            await session.transaction(work)
            assert await evsession.get_session(session, lambda session: 5) == 5
            with pytest.raises(evsession.TransactionError, match=r"aclose\(\) in the work of get_session"):
                await evsession.get_session(session, lambda session: session.aclose())
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit"]
        assert session.state == "idle"


async def test_what_fails_in_the_transaction_of_the_unit_of_work_is_told_to_handlers_once() -> None:
    bad = refused("Neo.ClientError.Statement.SyntaxError")
    async with scripted_graph(bad, bad, bad, opened("t1"), bad) as (session, _):
        told: list[Any] = []
        session.on(400, told.append)
        for ask in (lambda: session.run("RETRUN"), lambda: session.load(Dog, "1"), lambda: session.add(Dog("1")).commit()):
            session.use_transaction()
            with pytest.raises(evsession.QueryError):
                await ask()
            await session.rollback()
        assert len(told) == 3
        tx = await session.begin_transaction()
        with pytest.raises(evsession.QueryError):
            await session.commit()
        assert (len(told), tx.is_open) == (4, False)


async def test_a_flush_that_is_called_after_a_commit_is_one_of_its_own(autojump_clock: trio.testing.MockClock) -> None:
    script = (opened("t1", 1), opened("t1", 1), committed(), opened("t2", 1), committed("t2"))
    async with scripted_graph(*script) as (session, transport):
        tx = session.use_transaction()
        await tx.run("RETURN 1")
        committing = session.add(Dog("1")).commit(lambda *_: None)
        flushing = session.add(Dog("2")).flush(lambda *_: None)
        assert (await committing, await flushing) == (["Dog/1"], ["Dog/2"])
        assert sent(transport) == ["POST /tx", "POST /tx/t1", "POST /tx/t1/commit", "POST /tx", "POST /tx/t2/commit"]


async def test_a_commit_that_was_called_before_does_not_write_into_a_later_transaction() -> None:
    script = (opened("t1", 1), committed(), opened("t2"), opened("t2", 5), ROLLED_BACK)
    async with scripted_graph(*script) as (session, transport):
        committing = session.add(Dog("1")).commit()
        beginning = session.begin_transaction()
        assert session.has_transaction() is False
        for begin in (session.begin_transaction, session.use_transaction, lambda: session.run("RETURN 1")):
            with pytest.raises(evsession.TransactionError):
                begin()
        tx = await beginning
        assert (await committing, tx.is_open) == (["Dog/1"], True)
        assert (await tx.run("RETURN 5")).value() == 5
        await tx.rollback()
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit", "POST /tx", "POST /tx/t2", "DELETE /tx/t2"]


async def test_a_transaction_that_never_began_leaves_the_session_free() -> None:
    async with scripted_graph(opened("t1", 1), committed(), rows(1)) as (session, _):
        committing = session.add(Dog("1")).commit()
        beginning = session.begin_transaction()
        beginning.cancel()
        with pytest.raises(evsession.OperationCancelled):
            await beginning
        await committing
        assert (await session.run("RETURN 1")).value() == 1


async def test_statements_of_others_stay_out_of_the_transaction_of_a_commit() -> None:
    async with scripted_graph(opened("t1", 1), committed(), rows(7), found()) as (session, transport):
        others: list[Any] = []

        @session.on("insert.post")
        async def pause(event: evsession.CommitEvent) -> None:
            going.set()
            await trio.testing.wait_all_tasks_blocked()

        async def ask() -> None:
            await going.wait()
            running, loading = session.run("RETURN 7"), session.load(Dog, "9")
            others.extend([(await running).value(), await loading])

        going = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await session.add(Dog("1")).commit()
        assert others == [7, None]
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit", "POST -", "POST -"]
