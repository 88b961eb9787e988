"""Transactions that the unit of work has opened, ended by themselves: what is pending is written first, and hooks are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

import evsession
from evsession.testing.scripted import ScriptedTransport
from tests.unit.neo4j.typed import ROLLED_BACK, committed, opened, refused, rows
from tests.unit.session.graphs.scripted import scripted_graph, sent
from tests.unit.session.graphs.test_overlaps import Clock, Thing, fail, memory_graph, things
from tests.unit.session.graphs.test_work import Dog

VIOLATION = "Neo.ClientError.Schema.ConstraintValidationFailed"

Ending = Callable[[evsession.GraphSession, Thing], Awaitable[object]]


async def _by_commit(session: evsession.GraphSession, thing: Thing) -> None:
    tx = session.use_transaction()
    session.add(thing)
    await tx.commit()
    assert not tx.is_open


async def _by_commit_of_a_begun_one(session: evsession.GraphSession, thing: Thing) -> None:
    tx = session.use_transaction()
    await tx.run("CREATE (n:R {id: $id})", {"id": "0"})
    session.add(thing)
    await tx.commit()


async def _by_leaving(session: evsession.GraphSession, thing: Thing) -> None:
    async with session.use_transaction():
        session.add(thing)


async def _by_block(session: evsession.GraphSession, thing: Thing) -> None:
    async with session.transaction() as tx:
        session.add(thing)
        await tx.commit()


async def _by_helper(session: evsession.GraphSession, thing: Thing) -> None:
    assert await evsession.get_transaction(session, lambda tx: tx.session.add(thing) and "value") == "value"


async def _by_helper_that_runs(session: evsession.GraphSession, thing: Thing) -> None:
    async def work(tx: evsession.GraphTransaction) -> None:
        await tx.run("CREATE (n:R {id: $id})", {"id": "0"})
        session.add(thing)

    await evsession.get_transaction(session, work)


ENDINGS: list[Ending] = [_by_commit, _by_commit_of_a_begun_one, _by_leaving, _by_block, _by_helper, _by_helper_that_runs]


@pytest.mark.parametrize("tracks", [True, False])
@pytest.mark.parametrize("end", ENDINGS)
async def test_what_is_pending_is_written(end: Ending, tracks: bool, autojump_clock: Clock) -> None:
    async with memory_graph(with_identity_map=tracks) as (session, server):
        await end(session, Thing("1"))
        assert (things(server), session.changes(), session.state) == ([{"id": "1", "v": 0}], [], "idle")
        assert len(set(server.ended)) == 1


async def test_a_helper_writes_what_is_pending_in_a_session_of_its_own() -> None:
    transport = ScriptedTransport(opened("t1", 1), committed())
    async with evsession.GraphStore(transport=transport) as graph:
        with trio.fail_after(5):
            await evsession.get_transaction(None, lambda tx: tx.session.add(Dog("1")), graph)
        assert sent(transport) == ["POST /tx", "POST /tx/t1/commit"]


@pytest.mark.parametrize("end", ENDINGS)
async def test_what_cannot_be_written_is_pending_as_before(end: Ending, autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        thing = Thing("1")

        @session.on("insert.post")
        def refuse(event: evsession.CommitEvent) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await end(session, thing)
        assert (things(server), [change.kind for change in session.changes()], session.state) == ([], ["insert"], "idle")
        session.off("insert.post", refuse)
        assert await session.commit() == ["E/1"]


@pytest.mark.parametrize("helps", [True, False])
async def test_a_write_that_the_server_refuses(helps: bool) -> None:
    script = (opened("t1", 1), refused(VIOLATION), opened("t2", 1), committed("t2"))
    async with scripted_graph(*script) as (session, transport):

        async def work(tx: evsession.GraphTransaction) -> None:
            await tx.run("RETURN 1")
            session.add(Dog("1"))

        async def by_hand() -> None:
            tx = session.use_transaction()
            await work(tx)
            await tx.commit()

        with pytest.raises(evsession.ConstraintError) as caught:
            await (evsession.get_transaction(session, work) if helps else by_hand())
        assert (caught.value.key, session.state, len(session.changes())) == ("Dog/1", "idle", 1)
        assert await session.commit() == ["Dog/1"]
        assert sent(transport) == ["POST /tx", "POST /tx/t1", "POST /tx", "POST /tx/t2/commit"]


async def test_what_cannot_be_stored_leaves_the_transaction_open() -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, _):
        tx, dog = session.use_transaction(), Dog("1", name={1})  # type: ignore[arg-type]
        session.add(dog)
        with pytest.raises(evsession.InvalidDocument):
            tx.commit()
        assert tx.is_open
        dog.name = "Rex"
        await tx.commit()
        with pytest.raises(evsession.TransactionError, match="Can't commit, transaction has been committed"):
            tx.commit()


async def test_one_in_which_something_has_failed_is_not_committed() -> None:
    async with scripted_graph(opened("t1", 1), refused("Neo.ClientError.Statement.SyntaxError")) as (session, _):
        tx = session.use_transaction()
        await tx.run("RETURN 1")
        await fail(tx.run("RETRUN 1"), evsession.QueryError)
        session.add(Dog("1"))
        with pytest.raises(evsession.TransactionError, match="can't be committed"):
            tx.commit()
        assert (session.state, len(session.changes())) == ("idle", 1)


async def test_what_is_added_between_two_commits_is_written_by_the_second(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        tx = session.use_transaction()
        session.add(Thing("1"))
        first = tx.commit(lambda *_: None)
        session.add(Thing("2"))
        with pytest.raises(evsession.TransactionError):
            tx.run("RETURN 1")
        second = tx.commit()
        await second
        assert first.is_done
        assert sorted(one["id"] for one in things(server)) == ["1", "2"]


async def test_a_second_commit_fails_with_the_first() -> None:
    script = (opened("t1", 1), refused(VIOLATION))
    async with scripted_graph(*script) as (session, _):
        tx = session.use_transaction()
        await tx.run("RETURN 1")
        session.add(Dog("1"))
        first, second = tx.commit(lambda *_: None), tx.commit(lambda *_: None)
        errors = []
        for operation in (first, second):
            with pytest.raises(evsession.ConstraintError) as caught:
                await operation
            errors.append(caught.value)
        assert errors[0] is errors[1]


async def test_a_commit_behind_that_of_the_session_leaves_a_later_transaction_alone(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        tx = session.use_transaction()
        session.add(Thing("1")).commit(lambda *_: None)
        other = session.use_transaction()
        session.add(Thing("2"))
        await tx.commit()
        assert (other.is_open, [one["id"] for one in things(server)], len(session.changes())) == (True, ["1"], 1)
        await other.commit()
        assert [one["id"] for one in things(server)] == ["1", "2"]


@pytest.mark.parametrize("cut", [True, False])
async def test_a_commit_does_not_wait_for_what_waits_for_it(cut: bool, autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        tx = session.use_transaction()
        tx.run("CREATE (n:R {id: $id})", {"id": "0"}, lambda *_: None)
        before = session.add(Thing("1")).commit(lambda *_: None) if cut else session.rollback(lambda *_: None)
        later = session.use_transaction()
        session.add(Thing("2"))
        if cut:
            before.cancel()
        with trio.fail_after(50):
            await tx.commit()
            assert not tx.is_open
            await session.drain()
        await later.close()
        assert "2" in [one["id"] for one in things(server)]


async def test_one_that_never_began_is_not_committed() -> None:
    async with scripted_graph() as (session, transport):
        session.use_transaction()

        @session.once("commit.pre")
        def refuse(event: evsession.CommitEvent) -> None:
            event.prevent()

        session.add(Dog("1")).commit(lambda *_: None)
        other = session.use_transaction()
        with pytest.raises(evsession.TransactionError):
            await other.commit()
        assert (transport.requests, len(session.changes())) == ([], 1)
        await session.rollback()


async def test_what_waits_for_the_end_does_not_wait_when_a_hook_refuses_it(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, _):
        tx = session.use_transaction()

        @session.once("commit.pre")
        async def refuse(event: evsession.CommitEvent) -> None:
            await trio.sleep(1)
            event.prevent()

        session.add(Thing("1"))
        ending = tx.commit(lambda *_: None)
        assert await session.load(Thing, "9") is None
        await fail(ending)
        assert (tx.is_open, session.state) == (False, "idle")


@pytest.mark.parametrize("where", ["behind a statement", "behind a commit", "in the write"])
async def test_a_commit_that_is_cut_off_ends_it(where: str, autojump_clock: Clock) -> None:
    async def slow(request: evsession.Request) -> evsession.Response:
        await trio.sleep(5)
        return rows()

    script = (slow,) if where == "in the write" else (opened("t1", 1), slow, ROLLED_BACK)
    async with scripted_graph(*script, repeat=rows()) as (session, transport):
        tx = session.use_transaction()
        if where == "behind a statement":
            await tx.run("RETURN 1")
            tx.run("RETURN 2", lambda *_: None)
        elif where == "behind a commit":
            session.add(Dog("0")).flush(lambda *_: None)
        session.add(Dog("1"))
        with trio.move_on_after(1):
            await tx.commit()
        assert not tx.is_open
        assert "POST /tx/t1/commit" not in sent(transport)
        assert "insert" in [change.kind for change in session.changes()]


async def test_one_that_a_hook_has_opened_is_committed_in_the_hook() -> None:
    async with scripted_graph(opened("t1", 1), committed(), opened("t2", 2), committed("t2")) as (session, transport):

        @session.once("commit.pre")
        async def note(event: evsession.CommitEvent) -> None:
            async def work(tx: evsession.GraphTransaction) -> None:
                await tx.run("CREATE (:Note)")
                session.add(Dog("2"))

            await evsession.get_transaction(session, work)

        assert sorted(await session.add(Dog("1")).commit()) == ["Dog/1", "Dog/2"]
        assert sent(transport)[:2] == ["POST /tx", "POST /tx/t1/commit"]


async def test_one_that_the_program_has_begun_is_none_to_use() -> None:
    script = (opened("t1"), opened("t1", 1), committed(), opened("t2", 1), committed("t2"))
    async with scripted_graph(*script) as (session, transport):
        tx = await session.begin_transaction()
        session.add(Dog("1"))
        with pytest.raises(evsession.TransactionError, match="begin_transaction") as caught:
            session.use_transaction()
        assert caught.value.operation == "use_transaction"
        assert await evsession.get_transaction(session, lambda given: given) is tx
        await session.flush()
        assert (tx.is_open, session.assigned_transaction is tx) == (True, True)
        await tx.commit()
        async with session.use_transaction():
            session.add(Dog("2"))
        assert sent(transport) == ["POST /tx", "POST /tx/t1", "POST /tx/t1/commit", "POST /tx", "POST /tx/t2/commit"]


async def test_one_that_is_used_while_that_of_the_program_ends(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        begun = await session.begin_transaction()
        ending = begun.commit(lambda *_: None)
        tx = session.use_transaction()
        session.add(Thing("1"))
        await tx.commit()
        assert (ending.is_done, tx is begun, things(server)) == (True, False, [{"id": "1", "v": 0}])


async def test_a_block_begins_when_what_ends_a_transaction_is_done(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        session.use_transaction()
        committing = session.add(Thing("1")).commit(lambda *_: None)
        async with session.transaction():
            assert committing.is_done
            session.add(Thing("2"))
        assert [one["id"] for one in things(server)] == ["1", "2"]


async def test_a_block_that_has_rolled_back_writes_nothing(autojump_clock: Clock) -> None:
    async with memory_graph() as (session, server):
        async with session.transaction():
            await session.add(Thing("1")).flush()
            await session.rollback()
        assert (things(server), len(session.changes())) == ([], 1)


def ends_told(session: evsession.GraphSession) -> list[str]:
    """The hooks of ends that have been called."""
    names: list[str] = []
    for name in ("commit.post", "rollback.post"):
        session.on(name, lambda event: names.append(event.name))
    return names


@pytest.mark.parametrize("end", ENDINGS)
async def test_hooks_of_a_commit_are_called(end: Ending, autojump_clock: Clock) -> None:
    async with memory_graph() as (session, _):
        names = ends_told(session)
        await end(session, Thing("1"))
        assert set(names) == {"commit.post"}


@pytest.mark.parametrize("fails", ["", "RETRUN 1"])
@pytest.mark.parametrize("how", ["rollback", "close", "leave", "helper", "session", "twice"])
async def test_hooks_of_a_rollback_are_called_once(how: str, fails: str) -> None:
    script = (opened("t1", 1), refused("Neo.ClientError.Statement.SyntaxError") if fails else ROLLED_BACK)
    async with scripted_graph(*script) as (session, _):
        names = ends_told(session)

        async def work(tx: evsession.GraphTransaction) -> None:
            session.add(Dog("1"))
            await session.flush()
            if fails:
                await fail(tx.run(fails), evsession.QueryError)
            raise ZeroDivisionError

        if how == "helper":
            with pytest.raises(ZeroDivisionError):
                await evsession.get_transaction(session, work)
        elif how == "leave":
            with pytest.raises(ZeroDivisionError):
                async with session.use_transaction() as tx:
                    await work(tx)
        else:
            tx = session.use_transaction()
            with pytest.raises(ZeroDivisionError):
                await work(tx)
            first = session.rollback(lambda *_: None) if how in ("session", "twice") else None
            await {"rollback": tx.rollback, "close": tx.close, "session": session.rollback, "twice": tx.rollback}[how]()
            if first is not None:
                await first
        assert (names, session.state, len(session.changes())) == (["rollback.post"], "idle", 1)
        await tx.close() if how != "helper" else None
        assert names == ["rollback.post"]


async def test_a_block_that_fails_after_its_rollback_tells_of_that_alone() -> None:
    async with scripted_graph(opened("t1", 1), ROLLED_BACK) as (session, _):
        names = ends_told(session)
        with pytest.raises(ZeroDivisionError):
            async with session.use_transaction() as tx:
                await tx.run("RETURN 1")
                await tx.rollback()
                raise ZeroDivisionError
        assert names == ["rollback.post"]


@pytest.mark.parametrize("reopens", [True, False])
@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_a_commit_whose_transaction_a_hook_ends_has_failed(end: str, reopens: bool) -> None:
    async with scripted_graph(opened("t1", 1), committed() if end == "commit" else ROLLED_BACK) as (session, transport):

        @session.on("insert.post")
        async def interfere(event: evsession.CommitEvent) -> None:
            await getattr(session.assigned_transaction, end)()
            if reopens:
                session.use_transaction()

        await fail(session.add(Dog("1")).commit(), match="Can't commit, transaction has been")
        assert (len(session.changes()), len(transport.requests)) == (0 if end == "commit" else 1, 2)
        await session.rollback()


@pytest.mark.parametrize("helps", [True, False])
async def test_a_commit_that_a_hook_refuses_is_a_rollback(helps: bool) -> None:
    async with scripted_graph(opened("t1", 1), ROLLED_BACK) as (session, transport):
        names = ends_told(session)

        @session.once("insert.pre")
        def refuse(event: evsession.CommitEvent) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            if helps:
                await evsession.get_transaction(session, lambda tx: (session.add(Dog("1")), tx.run("RETURN 1")))
            else:
                tx = session.add(Dog("1")).use_transaction()
                await tx.run("RETURN 1")
                await tx.commit()
        assert (sent(transport), len(session.changes())) == (["POST /tx", "DELETE /tx/t1"], 1)
        assert names == ["rollback.post"]


async def test_an_error_of_a_hook_does_not_hide_why_it_was_rolled_back() -> None:
    async with scripted_graph() as (session, _):

        @session.on("rollback.post")
        def refuse(event: evsession.CommitEvent) -> None:
            raise KeyError

        with pytest.raises(ZeroDivisionError) as caught:
            async with session.use_transaction():
                raise ZeroDivisionError
        assert isinstance(caught.value.__context__, KeyError)
        with pytest.raises(KeyError):
            await session.use_transaction().rollback()


@pytest.mark.parametrize("end", ["commit", "rollback", "close"])
async def test_hooks_are_not_called_by_a_transaction_that_the_program_begins(end: str) -> None:
    async with scripted_graph(opened("t1"), committed() if end == "commit" else ROLLED_BACK) as (session, transport):
        names, tx = ends_told(session), await session.begin_transaction()
        session.add(Dog("1"))
        await getattr(tx, end)()
        assert (names, len(transport.requests), len(session.changes())) == ([], 2, 1)


@pytest.mark.parametrize("retries", [0, 1])
async def test_work_that_has_failed_is_called_again_with_a_session_that_was_cleared(retries: int) -> None:
    async with scripted_graph(opened("t1", 1), committed()) as (session, _):
        errors: list[BaseException] = [evsession.ConcurrencyError("somebody was faster")]

        def work(given: evsession.GraphSession) -> None:
            given.add(Dog("1"))
            if errors:
                raise errors.pop()

        if retries:
            await session.transaction(work, retries=retries)
        else:
            await fail(session.transaction(work), evsession.ConcurrencyError)
            await fail(session.transaction(work), evsession.KeyConflict)
            session.clear()
            await session.transaction(work)
        assert session.changes() == []
