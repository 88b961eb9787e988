"""Patches: etags, scripts, and what becomes of documents that the session knows."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import BILLY, MAX, Dog, Told, change, etag_of, read


@pytest.mark.usefixtures("family")
class TestEtags:
    async def test_one_that_matches(self, store: evsession.Store, session: evsession.Session) -> None:
        max = await session.load(MAX)
        await session.patch(MAX, [{"Type": "Inc", "Name": "age", "Value": 1}], etag_of(max))
        assert (await read(store, MAX)).age == 13

    async def test_one_that_does_not(self, store: evsession.Store, session: evsession.Session) -> None:
        old = etag_of(await session.load(MAX))
        await change(store, MAX, age=20)
        told = Told()
        with pytest.raises(evsession.ConcurrencyError) as caught:
            await session.patch(MAX, [{"Type": "Inc", "Name": "age", "Value": 1}], old, told)
        assert told.calls == [(caught.value,)]
        assert (caught.value.status_code, caught.value.key, caught.value.expected) == (409, MAX, old)
        assert caught.value.actual == etag_of(await read(store, MAX))
        assert (await read(store, MAX)).age == 20


@pytest.mark.usefixtures("family")
class TestScripts:
    async def test_with_values(self, store: evsession.Store, session: evsession.Session) -> None:
        patch = evsession.Patch("this.age += args.years; this.note = args.note;", {"years": 2, "note": {"by": ["😀", "'"]}})
        await session.patch(MAX, patch)
        dog = await read(store, MAX)
        assert (dog.age, dog.note) == (14, {"by": ["😀", "'"]})
        await session.patch(BILLY, patch, Told())
        assert (await read(store, BILLY)).age == 4

    @pytest.mark.parametrize("script", ["throw 'boom'", "this is no script", "this.nothing.at.all = 1", "while (true) {}"])
    async def test_one_that_fails(self, store: evsession.Store, session: evsession.Session, script: str) -> None:
        told = Told()
        with pytest.raises(evsession.PatchError) as caught:
            await session.patch(MAX, evsession.Patch(f"this.age = 99; {script}"), told)
        error = caught.value
        assert (error.key, error.status_code, error.uncertain, error.operation) == (MAX, 500, False, "patch")
        assert "   at " not in str(error)
        assert "Raven.Server" not in str(error)
        assert ("boom" in error.message) == ("boom" in script)
        assert told.calls == [(error,)]
        assert (await read(store, MAX)).age == 12

    @pytest.mark.parametrize("script", ["", " ", 5, None])
    def test_what_can_be_no_script(self, script: Any) -> None:
        with pytest.raises(evsession.ConfigurationError):
            evsession.Patch(script)
        with pytest.raises(evsession.ConfigurationError):
            evsession.Patch("x", [1])  # type: ignore[arg-type]


async def test_a_missing_document(session: evsession.Session) -> None:
    for patches in ([{"Type": "Inc", "Name": "age", "Value": 1}], evsession.Patch("this.age = 1")):
        told, handled = Told(), Told()
        session.on(404, handled)
        with pytest.raises(evsession.SessionError) as caught:
            await session.patch("dogs/nobody", patches, told)
        assert (caught.value.status_code, caught.value.key) == (404, "dogs/nobody")
        assert "dogs/nobody" in caught.value.message
        assert handled.calls == told.calls == [(caught.value,)]


@pytest.mark.usefixtures("family")
class TestKnownDocuments:
    async def test_one_without_edits_takes_the_result(self, session: evsession.Session, store: evsession.Store) -> None:
        session.options.use_optimistic_concurrency = True
        max = await session.load(MAX)
        before = etag_of(max)
        await session.patch("Dogs/MAX", [{"Type": "Inc", "Name": "age", "Value": 1}])
        assert max.age == 13
        assert before != etag_of(max) == etag_of(await read(store, MAX))
        assert await session.load(MAX) is max
        assert await session.save() == []
        max.age = 14
        assert await session.save() == [MAX]

    async def test_one_with_edits_keeps_them(self, session: evsession.Session, store: evsession.Store) -> None:
        max = await session.load(MAX)
        max.age = 50
        await session.patch(MAX, [{"Type": "Set", "Name": "weight", "Value": 1}])
        assert (max.age, "weight" in max) == (50, False)
        assert await session.save() == [MAX]
        assert (await read(store, MAX)).age == 50

    async def test_nothing_changed(self, session: evsession.Session) -> None:
        max = await session.load(MAX)
        before = etag_of(max)
        await session.patch(MAX, [{"Type": "Set", "Name": "age", "Value": 12}])
        assert (max.age, etag_of(max)) == (12, before)


@pytest.mark.usefixtures("family")
async def test_of_two_at_once_the_session_takes_the_later_result(session: evsession.Session, store: evsession.Store) -> None:
    max = await session.load(MAX)
    age = max.age
    for round in range(5):
        for operation in [session.patch(MAX, [{"Type": "Inc", "Name": "age", "Value": 1}]) for _ in range(4)]:
            await operation
        assert max.age == (await read(store, MAX))["age"] == age + 4 * round + 4


@pytest.mark.usefixtures("family")
async def test_what_stands_for_the_document_goes_on_doing_so(session: evsession.Session, store: evsession.Store) -> None:
    max = session.get_reference(Dog, MAX)
    await session.patch(MAX, [{"Type": "Inc", "Name": "age", "Value": 1}])
    assert (await read(store, MAX))["age"] == 13
    with pytest.raises(evsession.NotLoaded):
        assert max.age
    max.name = "Maxi"
    await session.patch(MAX, [{"Type": "Inc", "Name": "age", "Value": 1}])
    await session.save()
    stored = await read(store, MAX)
    assert (stored["age"], stored["name"]) == (14, "Maxi")
