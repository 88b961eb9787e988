"""What each method sends and makes of the answer; what a session remembers, and what it leaves as it was when something fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing

import evsession
from evsession import ConcurrencyError, ConfigurationError, InvalidDocument, KeyConflict, ProtocolError, SessionError
from evsession.testing.scripted import json_answer
from tests.unit.session.conftest import Scripted, loaded, refused, row, saved
from tests.unit.session.test_operation import Held

Dog = evsession.DocumentType("Dog")
PATCH = evsession.Patch("this.n = 1")


def deleted(*keys: str) -> evsession.Response:
    return json_answer({"Results": [{"Id": key, "Type": "DELETE", "Deleted": True} for key in keys]}, 201)


def commands(transport: Any, index: int = 0) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = transport.bodies()[index]["Commands"]
    return sent


async def test_a_second_load_is_the_same_object_without_a_request(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/max", age=1))) as (session, transport):
        first = await session.load("dogs/max")
        assert await session.load("DOGS/Max") is first
        assert await session.load(["dogs/max", "dogs/MAX"]) == [first, first]
        assert len(transport.requests) == 1


async def test_two_loads_at_once_give_the_same_object(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/max", age=1)), loaded(row("dogs/max", age=2))) as (session, _):
        one, two = session.load("dogs/max"), session.load("dogs/max")
        assert await one is await two


async def test_without_cache_a_load_asks_and_renews_what_has_no_edits(scripted: Scripted) -> None:
    async with scripted(*[loaded(row("dogs/max", f"A:{n}", age=n)) for n in range(1, 5)]) as (session, transport):
        session.options.cache = False
        max_ = await session.load("dogs/max")
        assert await session.load("dogs/max") is max_
        assert max_.age == 2
        assert max_.metadata["@change-vector"] == "A:2"
        max_.age = 50
        await session.load(["dogs/max"])
        assert max_.age == 50
        assert max_.metadata["@change-vector"] == "A:2"  # the version that the edit was made on
        assert len(transport.requests) == 3


async def test_what_became_known_after_the_question_is_not_renewed_by_its_answer(scripted: Scripted) -> None:
    other: dict[str, Any] = {"n": 1, "@metadata": {"@id": "strays/1", "@change-vector": "A:1", "@collection": "Strays"}}
    answers = [loaded(row("dogs/a")), loaded(other), loaded({**other, "n": 2, "@metadata": dict(other["@metadata"])})]
    async with scripted(*answers) as (session, _):
        session.options.cache = False
        await session.load("dogs/a")
        one, two = session.load("strays/1"), session.load("strays/1")
        assert await one is await two
        assert (await one).n in (1, 2)
        assert type(await one) is evsession.Document


async def test_load_many_asks_for_what_is_unknown_once(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/a")), loaded(row("dogs/b"), None)) as (session, transport):
        a = await session.load("dogs/a")
        documents = await session.load(["dogs/b", "dogs/a", "dogs/B", "dogs/none"])
        assert [document.id for document in documents] == ["dogs/b", "dogs/a", "dogs/b"]
        assert documents[1] is a
        assert documents.load("dogs/none") is None
        assert transport.bodies() == [{"Ids": ["dogs/b", "dogs/none"]}]


async def test_load_of_nothing_sends_nothing(scripted: Scripted) -> None:
    async with scripted() as (session, transport):
        assert await session.load([]) == []
        assert await session.load([], "puppy") == ([], [])
        assert transport.requests == []


async def test_a_document_that_was_stored_is_known_by_its_key(scripted: Scripted) -> None:
    async with scripted() as (session, transport):
        dog = Dog(name="Max")
        session.store(dog, key="dogs/max")
        assert await session.load("dogs/max") is dog
        plain = {"name": "Billy"}
        session.store(plain, key="dogs/billy", collection="Dogs")
        billy = await session.load("dogs/billy")
        assert isinstance(billy, evsession.Document)
        assert billy.name == "Billy"
        assert billy.id == "dogs/billy"
        assert transport.requests == []


async def test_includes_come_from_the_answer_the_results_and_memory(scripted: Scripted) -> None:
    first = loaded(
        row("dogs/max", pups=["dogs/a", "dogs/gone"]), row("dogs/a"), includes={"dogs/x": row("dogs/x"), "dogs/n": None}
    )
    second = loaded(row("dogs/eve", pups=["dogs/A"]))
    async with scripted(first, second) as (session, transport):
        documents, includes = await session.load(["dogs/max", "dogs/a"], "pups")
        assert [document.id for document in documents] == ["dogs/max", "dogs/a"]
        assert [document.id for document in includes] == ["dogs/a", "dogs/x"]
        eve, more = await session.load("dogs/eve", ["pups"])
        assert eve.id == "dogs/eve"
        assert [document.id for document in more] == ["dogs/a"]
        again, once_more = await session.load("dogs/eve", "pups")
        assert again is eve
        assert list(once_more) == list(more)
        assert len(transport.requests) == 2
        assert await session.load(["dogs/eve"], "pups") == ([eve], more)
        assert len(transport.requests) == 2


async def test_a_known_document_with_unknown_includes_is_asked_again(scripted: Scripted) -> None:
    includes = {"dogs/a": row("dogs/a")}
    answers = [loaded(row("dogs/max", pup="dogs/a")), loaded(row("dogs/max", pup="dogs/a"), includes=includes)]
    async with scripted(*answers, *answers) as (session, transport):
        max_ = await session.load("dogs/max")
        assert await session.load("dogs/max", "pup") == (max_, [await session.load("dogs/a")])
        assert len(transport.requests) == 2
    async with scripted(*answers) as (session, transport):
        max_ = await session.load("dogs/max")
        documents, found = await session.load(["dogs/max"], "pup")
        assert documents == [max_]
        assert [document.id for document in found] == ["dogs/a"]


async def test_includes_of_a_typed_document(scripted: Scripted) -> None:
    @dataclass
    class Owner:
        pet: str

    evsession.document(Owner, collection="Keepers")
    async with scripted(loaded(row("keepers/1", pet="dogs/a"), includes={"dogs/a": row("dogs/a")})) as (session, _):
        owner, includes = await session.load("keepers/1", "pet", type=Owner)
        assert owner == Owner("dogs/a")
        assert includes.load("DOGS/A") is not None


async def test_a_missing_document_with_includes(scripted: Scripted) -> None:
    async with scripted(json_answer(None, 404)) as (session, _):
        assert await session.load("dogs/max", "puppy") == (None, [])


@pytest.mark.parametrize("includes", [7, "", [""], [7], b"puppy"])
async def test_what_can_be_no_include_is_refused(scripted: Scripted, includes: Any) -> None:
    async with scripted() as (session, transport):
        with pytest.raises(ConfigurationError, match="include"):
            session.load("dogs/max", includes)
        assert transport.requests == []


@pytest.mark.parametrize("key", ["", " ", "a\nb", "dogs/", "dogs|", "x" * 513, "\ud800", 7, None])
async def test_what_can_be_no_key_is_refused(scripted: Scripted, key: Any) -> None:
    async with scripted() as (session, transport):
        for call in (session.load, session.exists, lambda key: session.load([key]), lambda key: session.patch(key, PATCH)):
            with pytest.raises((ConfigurationError, TypeError)):
                await call(key)
        assert transport.requests == []


async def test_type_must_be_a_class(scripted: Scripted) -> None:
    async with scripted() as (session, _):
        with pytest.raises(ConfigurationError, match="class"):
            session.load("dogs/max", type="Dog")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "response",
    [
        json_answer([]),
        json_answer({}),
        json_answer({"Results": []}),
        json_answer({"Results": 3}),
        evsession.Response(200, (), b"<html>"),
        json_answer(None),
    ],
)
async def test_an_answer_that_is_none_of_ravendb(scripted: Scripted, response: evsession.Response) -> None:
    async with scripted(repeat=response) as (session, _):
        with pytest.raises(ProtocolError) as caught:
            await session.load("dogs/max")
        assert not caught.value.uncertain
        session.store({"a": 1}, key="dogs/new")
        with pytest.raises(SessionError) as caught_by_save:
            await session.save()
        assert not isinstance(caught_by_save.value, ProtocolError) or caught_by_save.value.uncertain


async def test_metadata_that_is_none_is_taken_for_none(scripted: Scripted) -> None:
    async with scripted(loaded({"n": 1, "@metadata": 5})) as (session, _):
        assert (await session.load("dogs/max")).n == 1


@pytest.mark.parametrize("status", [200, 201, 204, 302])
async def test_a_save_that_is_answered_by_nonsense_is_uncertain(scripted: Scripted, status: int) -> None:
    async with scripted(repeat=evsession.Response(status, (), b"saved!")) as (session, _):
        session.store({"n": 1}, key="dogs/max")
        with pytest.raises(SessionError) as caught:
            await session.save()
        assert caught.value.uncertain


async def test_exists(scripted: Scripted) -> None:
    async with scripted(json_answer(None), json_answer(None, 404)) as (session, transport):
        assert [await session.exists("a"), await session.exists("b")] == [True, False]
        assert [request.method for request in transport.requests] == ["HEAD", "HEAD"]


async def test_a_head_that_fails_is_asked_again_for_its_reason(scripted: Scripted) -> None:
    reason = refused(500, "Raven.Client.Exceptions.Database.DatabaseDoesNotExistException", "Database 'db' does not exist.")
    async with scripted(json_answer(None, 500), reason, json_answer(None, 503), json_answer(None, 200)) as (session, _):
        with pytest.raises(evsession.DatabaseMissing):
            await session.exists("a")
        with pytest.raises(evsession.TransientError) as caught:
            await session.exists("a")
        assert caught.value.status_code == 503


async def test_save_with_nothing_to_do_sends_nothing(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/max", age=1))) as (session, transport):
        await session.load("dogs/max")
        assert await session.save() == []
        assert len(transport.requests) == 1


async def test_changed_documents_come_first_then_new_ones(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/a", n=1), row("dogs/b", n=1)), saved("dogs/b", "dogs/new")) as (session, transport):
        session.store(Dog(n=0), key="dogs/new")
        a, b = await session.load(["dogs/a", "dogs/b"])
        b.n = 2
        assert await session.save() == ["dogs/b", "dogs/new"]
        sent = commands(transport, 1)
        assert [command["Id"] for command in sent] == ["dogs/b", "dogs/new"]
        assert sent[0]["Document"] == {"n": 2, "@metadata": {"@collection": "Dogs"}}
        assert a.metadata["@change-vector"] == "A:1-x"
        assert b.metadata["@change-vector"] == "A:2-x"
        assert await session.save() == []


async def test_ids_land_on_the_objects(scripted: Scripted) -> None:
    @evsession.document
    @dataclass
    class Cat:
        name: str
        id: str | None = None

    async with scripted(saved("dogs/1", "cats/7", "plain/1")) as (session, transport):
        dog, cat, plain = Dog(name="Max"), Cat("Tom"), {"name": "Billy"}
        assert session.store([dog, cat]) is session
        session.store(plain, key="plain/1")
        assert await session.save() == ["dogs/1", "cats/7", "plain/1"]
        assert (dog.id, cat.id) == ("dogs/1", "cats/7")
        assert [command["Id"] for command in commands(transport)] == ["dogs|", "cats|", "plain/1"]
        assert commands(transport)[1]["Document"] == {"name": "Tom", "@metadata": {"@collection": "Cats"}}
        assert await session.load("cats/7") is cat
        billy = await session.load("plain/1")
        billy.name = "Bill"
        plain["name"] = "an edit of the dict is not seen any more, since the key was loaded"
        assert session._workspace.of(billy) is not None


async def test_a_failed_save_leaves_everything_to_be_sent_again(scripted: Scripted) -> None:
    answers = [loaded(row("dogs/a", n=1)), refused(500), ZeroDivisionError("a fault of the transport"), saved("dogs/a", "dogs/1")]
    async with scripted(*answers) as (session, transport):
        a = await session.load("dogs/a")
        a.n = 2
        new = Dog(n=3)
        session.store(new)
        with pytest.raises(SessionError):
            await session.save()
        assert new.id is None
        with pytest.raises(ZeroDivisionError):
            await session.save()
        assert await session.save() == ["dogs/a", "dogs/1"]
        sent = transport.bodies()
        assert sent[0] == sent[1] == sent[2]


async def test_an_edit_while_a_save_is_in_flight_stays_an_edit(scripted: Scripted) -> None:
    held = Held(saved("dogs/a"))
    async with scripted(loaded(row("dogs/a", n=1)), held, saved("dogs/a", version="A:3")) as (session, transport):
        a = await session.load("dogs/a")
        a.n = 2
        first = session.save()
        await held.asked.wait()
        a.n = 3
        held.release.set()
        await first
        assert await session.save() == ["dogs/a"]
        assert [command["Document"]["n"] for command in commands(transport, 0) + commands(transport, 1)] == [2, 3]


async def test_back_to_the_old_value_while_a_save_is_in_flight_is_an_edit(scripted: Scripted) -> None:
    held = Held(saved("dogs/a"))
    async with scripted(loaded(row("dogs/a", n=1)), held, saved("dogs/a")) as (session, transport):
        a = await session.load("dogs/a")
        a.n = 2
        session.save()
        await held.asked.wait()
        a.n = 1
        second = session.save()
        held.release.set()
        assert await second == ["dogs/a"]
        assert commands(transport, 1)[0]["Document"]["n"] == 1


async def test_two_saves_at_once_write_a_new_document_once(scripted: Scripted) -> None:
    async with scripted(saved("dogs/1"), saved("dogs/1", version="A:3")) as (session, transport):
        dog = Dog(n=1)
        session.store(dog)
        first, second = session.save(), session.save()
        dog.n = 2
        third = session.save()
        assert [await first, await second, await third] == [["dogs/1"], [], ["dogs/1"]]
        assert [command["Id"] for body in transport.bodies() for command in body["Commands"]] == ["dogs|", "dogs/1"]


async def test_what_cannot_be_stored_is_named_and_nothing_is_lost(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/a", n=1)), saved("dogs/a", "dogs/b")) as (session, transport):
        a = await session.load("dogs/a")
        a.n = 2
        b = Dog(tags={"old", "new"})
        session.store(b, key="dogs/b")
        with pytest.raises(InvalidDocument, match="tags") as caught:
            await session.save()
        assert (caught.value.key, caught.value.path, caught.value.operation) == ("dogs/b", "tags", "save")
        assert len(transport.requests) == 1
        b.tags = ["old", "new"]
        assert await session.save() == ["dogs/a", "dogs/b"]


async def test_a_loaded_document_that_became_nan_is_refused_not_overlooked(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/a", n=None))) as (session, _):
        a = await session.load("dogs/a")
        a.n = float("nan")  # JSON has only null for it, which is what there was
        with pytest.raises(InvalidDocument, match="n"):
            await session.save()


@pytest.mark.parametrize("thing", [5, "text", None, object(), {"a"}, [5]])
async def test_only_documents_can_be_stored(scripted: Scripted, thing: Any) -> None:
    async with scripted() as (session, _):
        with pytest.raises(TypeError, match="cannot be stored"):
            session.store(thing)
        assert await session.save() == []


async def test_of_a_list_with_something_unstorable_nothing_is_stored(scripted: Scripted) -> None:
    async with scripted() as (session, _):
        with pytest.raises(TypeError):
            session.store([Dog(n=1), 7])
        assert await session.save() == []


async def test_one_key_for_several_documents_is_refused(scripted: Scripted) -> None:
    async with scripted() as (session, _):
        with pytest.raises(TypeError, match="several"):
            session.store([{}, {}], key="dogs/max")


async def test_rows_of_a_query_are_met_again_learnt_or_only_looked_at(scripted: Scripted) -> None:
    part = {"age": 9, "@metadata": {"@id": "dogs/c", "@projection": True}}
    reduced = {"count": 3}
    rows = [row("dogs/a", age=8), part, reduced, row("dogs/b", age=2)]
    page = {"Results": rows, "TotalResults": 4, "IsStale": False}
    async with scripted(loaded(row("dogs/a", age=1)), json_answer(page)) as (session, transport):
        a = await session.load("dogs/a")
        documents, _statistics = await session.query("Dog")
        assert [dict(document) for document in documents] == [{"age": 1}, {"age": 9}, {"count": 3}, {"age": 2}]
        assert list(session.identity_map) == [a, documents[3]]
        documents[1]["age"] = documents[2]["count"] = 0
        assert await session.commit() == []
        assert len(transport.requests) == 2


async def test_a_projection_cannot_be_stored(scripted: Scripted) -> None:
    page = {"Results": [{"age": 1, "@metadata": {"@id": "dogs/a", "@projection": True}}], "TotalResults": 1, "IsStale": False}
    async with scripted(repeat=json_answer(page)) as (session, _):
        documents, _statistics = await session.query("Dog", projections="age")
        with pytest.raises(TypeError, match="projection"):
            session.store(documents[0])


async def test_one_key_for_two_objects_is_a_conflict(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/a"))) as (session, transport):
        await session.load("dogs/a")
        with pytest.raises(KeyConflict, match="dogs/A") as caught:
            session.store({}, key="dogs/A")
        assert caught.value.key == "dogs/A"
        one, two = Dog(n=1), Dog(n=2)
        session.store([one, two])
        one.id = two.id = "Same"
        with pytest.raises(KeyConflict, match="dogs/same"):
            await session.save()
        two.id = "A"
        with pytest.raises(KeyConflict, match="dogs/a"):
            await session.save()
        assert len(transport.requests) == 1


async def test_a_pending_document_is_known_by_the_key_that_its_id_means(scripted: Scripted) -> None:
    async with scripted(page(row("dogs/max", n=1)), saved("dogs/max")) as (session, transport):
        pending = Dog(n=2, id="Max")
        session.store(pending)
        assert await session.load("dogs/max") is pending
        documents, _ = await session.query("Dog")
        assert documents[0] is pending
        assert await session.save() == ["dogs/max"]
        assert len(transport.requests) == 2
        other = Dog(n=3)
        session.store(other)
        other.id = "Max"
        with pytest.raises(KeyConflict):
            await session.save()
        other.id = "/"
        with pytest.raises(ConfigurationError):
            await session.save()
        other.id = None
        await session.delete(other)
        assert await session.save() == []
        session.store(Dog(id="/"))
        with pytest.raises(ConfigurationError):
            await session.save()


async def test_an_id_that_is_set_later_counts_and_one_of_a_saved_object_cannot_change(scripted: Scripted) -> None:
    @evsession.document(collection="Tabbies")
    @dataclass
    class Tabby:
        n: int
        id: str | None = None

    async with scripted(saved("tabbies/tom"), saved("tabbies/tom")) as (session, transport):
        tabby = Tabby(1, "Wrong")
        session.store(tabby)
        tabby.id = "Tom"
        assert await session.save() == ["tabbies/tom"]
        assert commands(transport)[0]["Id"] == "tabbies/tom"
        tabby.n, tabby.id = 2, "tabbies/jerry"
        with pytest.raises(ConfigurationError, match="cannot change"):
            await session.save()
        tabby.id = "tabbies/tom"
        assert await session.save() == ["tabbies/tom"]


async def test_a_plain_dict_goes_on_being_tracked(scripted: Scripted) -> None:
    async with scripted(saved("dogs/a"), saved("dogs/a")) as (session, transport):
        plain = {"n": 1}
        session.store(plain, key="dogs/a", collection="Dogs")
        await session.save()
        plain["n"] = 2
        assert await session.save() == ["dogs/a"]
        assert commands(transport, 1)[0]["Document"]["n"] == 2
        assert (await session.load("dogs/a")).n == 2


@pytest.mark.parametrize(
    ("metadata", "error", "text"),
    [
        ({"x": float("nan")}, InvalidDocument, "@metadata.x"),
        ({1: 2}, InvalidDocument, "name 1"),
        ({"@id": "dogs/b"}, InvalidDocument, "@metadata.@id"),
        ({"@collection": "Cats"}, InvalidDocument, "@metadata.@collection"),
        (5, TypeError, "mapping"),
    ],
)
async def test_what_can_be_no_metadata_is_refused(scripted: Scripted, metadata: Any, error: type[Exception], text: str) -> None:
    async with scripted() as (session, _):
        with pytest.raises(error, match=text):
            session.store({}, key="dogs/a", metadata=metadata)
        assert await session.save() == []


async def test_storing_the_same_object_again_changes_nothing(scripted: Scripted) -> None:
    async with scripted(saved("dogs/1")) as (session, transport):
        dog = Dog(n=1)
        session.store(dog).store(dog)
        await session.save()
        session.store(dog)
        assert await session.save() == []
        assert len(commands(transport)) == 1


async def test_metadata_is_kept_and_the_servers_own_is_not_sent(scripted: Scripted) -> None:
    document = row("dogs/a", n=1)
    document["@metadata"] |= {"Custom": "kept", "@flags": "HasRevisions", "@attachments": [], "@expires": "2030-01-01T00:00:00Z"}
    async with scripted(loaded(document), saved("dogs/a", "dogs/b")) as (session, transport):
        a = await session.load("dogs/a")
        a.n = 2
        session.store({}, key="dogs/b", collection="Dogs", metadata={"Mine": 1})
        await session.save()
        assert [command["Document"]["@metadata"] for command in commands(transport)] == [
            {"@collection": "Dogs", "Custom": "kept", "@expires": "2030-01-01T00:00:00Z"},
            {"Mine": 1, "@collection": "Dogs"},
        ]
        assert a.metadata["Custom"] == "kept"


async def test_a_document_of_another_session_keeps_its_metadata(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/a", n=1)), options={"use_optimistic_concurrency": True}) as (session, _):
        a = await session.load("dogs/a")
    async with scripted(saved("dogs/a"), options={"use_optimistic_concurrency": True}) as (other, transport):
        other.store(a)
        await other.save()
        assert commands(transport) == [
            {"Type": "PUT", "Id": "dogs/a", "ChangeVector": "A:1-x", "Document": {"n": 1, "@metadata": {"@collection": "Dogs"}}}
        ]


async def test_optimistic_concurrency_sends_the_versions(scripted: Scripted) -> None:
    conflict = refused(
        409,
        "Raven.Client.Exceptions.ConcurrencyException",
        Id="dogs/a",
        ExpectedChangeVector="A:1-x",
        ActualChangeVector="A:9",
    )
    answers = [loaded(row("dogs/a", n=1)), conflict, saved("dogs/a", "dogs/chosen", "dogs/2")]
    async with scripted(*answers, options={"use_optimistic_concurrency": True}) as (session, transport):
        a = await session.load("dogs/a")
        a.n = 2
        session.store(Dog(n=1), key="dogs/chosen").store(Dog(n=2))
        with pytest.raises(ConcurrencyError) as caught:
            await session.save()
        assert (caught.value.key, caught.value.expected, caught.value.actual) == ("dogs/a", "A:1-x", "A:9")
        assert [command["ChangeVector"] for command in commands(transport)] == ["A:1-x", "", None]
        session.options.use_optimistic_concurrency = False
        await session.save()
        assert [command["ChangeVector"] for command in commands(transport, 1)] == [None, None, None]


async def test_an_identity_that_meets_a_chosen_key_is_tried_again(scripted: Scripted) -> None:
    taken = refused(409, "Raven.Client.Exceptions.ConcurrencyException", "expecting new document", Id="dogs/1")
    async with scripted(taken, taken, saved("dogs/3")) as (session, transport):
        session.store(Dog(n=1))
        assert await session.save() == ["dogs/3"]
        assert len(transport.requests) == 3
    async with scripted(repeat=taken) as (session, transport):
        session.store(Dog(n=1))
        with pytest.raises(ConcurrencyError):
            await session.save()
        assert len(transport.requests) == 64
    async with scripted(repeat=taken) as (session, transport):
        session.store(Dog(n=1), key="dogs/1").store(Dog(n=2))
        with pytest.raises(ConcurrencyError):
            await session.save()
        assert len(transport.requests) == 1


async def test_hilo_numbers_are_fetched_ahead_and_returned(scripted: Scripted) -> None:
    numbers = json_answer({"Prefix": "Dogs/", "Low": 1, "High": 3, "LastSize": 3, "ServerTag": "A", "LastRangeAt": "x"}, 201)
    more = json_answer({"Prefix": "Dogs/", "Low": 4, "High": 9, "LastSize": 6, "ServerTag": "A", "LastRangeAt": "y"}, 201)
    answers = [numbers, refused(500), saved("dogs/1-A", "dogs/2-A"), more, saved("dogs/3-A", "dogs/4-A"), json_answer(None)]
    async with scripted(*answers, conventions={"id_generation_strategy": "hilo"}) as (session, transport):
        session.store([Dog(n=1), Dog(n=2)])
        with pytest.raises(SessionError):
            await session.save()
        assert await session.save() == ["dogs/1-A", "dogs/2-A"]
        session.store([Dog(n=3), Dog(n=4)])
        assert await session.save() == ["dogs/3-A", "dogs/4-A"]
        keys = [[command["Id"] for command in body["Commands"]] for body in transport.bodies()]
        assert keys == [["dogs/1-A", "dogs/2-A"], ["dogs/1-A", "dogs/2-A"], ["dogs/3-A", "dogs/4-A"]]
    assert transport.requests[-1].method == "PUT"
    assert transport.requests[-1].target == "/databases/db/hilo/return?tag=Dogs&end=9&last=4"


async def test_a_range_that_cannot_be_returned_is_no_failure(scripted: Scripted) -> None:
    numbers = json_answer({"Prefix": "Dogs/", "Low": 1, "High": 3, "LastSize": 3, "ServerTag": "A", "LastRangeAt": "x"}, 201)
    async with scripted(numbers, saved("dogs/1-A"), conventions={"id_generation_strategy": "hilo"}) as (session, _):
        session.store(Dog(n=1))
        await session.save()


async def test_a_document_that_is_deleted_while_it_is_saved_is_forgotten(scripted: Scripted) -> None:
    held = Held(saved("dogs/a"))
    async with scripted(loaded(row("dogs/a", n=1)), held, deleted("dogs/a"), json_answer(None, 404)) as (session, _):
        a = await session.load("dogs/a")
        a.n = 2
        save = session.save()
        await held.asked.wait()
        delete = session.delete("dogs/a")
        await trio.testing.wait_all_tasks_blocked()
        held.release.set()
        await delete
        assert await save == ["dogs/a"]
        assert await session.load("dogs/a") is None


async def test_a_key_that_the_server_gives_again_belongs_to_the_new_document(scripted: Scripted) -> None:
    without_collection = json_answer(
        {"Results": [{"Type": "PUT", "@id": "dogs/1", "@change-vector": "A:9", "@last-modified": "t"}]}, 201
    )
    async with scripted(loaded(row("dogs/1", n=1)), without_collection) as (session, _):
        old = await session.load("dogs/1")
        new = Dog(n=2)
        session.store(new)
        assert await session.save() == ["dogs/1"]
        assert await session.load("dogs/1") is new is not old
        assert new.metadata["@collection"] == "Dogs"


def page(*rows: dict[str, Any], includes: dict[str, Any] | None = None) -> evsession.Response:
    facts: dict[str, Any] = {
        "TotalResults": len(rows),
        "SkippedResults": 0,
        "DurationInMs": 5,
        "IndexName": "I",
        "IsStale": False,
    }
    return json_answer(
        {**facts, "IndexTimestamp": "2026-11-21T03:17:38.6603334Z", "Results": list(rows), "Includes": includes or {}}
    )


async def test_every_kind_of_query_gives_documents_and_statistics(scripted: Scripted) -> None:
    told: list[Any] = []
    includes = {"dogs/b": row("dogs/b"), "dogs/gone": None}
    async with scripted(*[page(row("dogs/a", pup="dogs/b"), includes=includes)] * 3) as (session, transport):
        documents, statistics = await session.query(Dog, {"n": "1 TO 2"}, {"include": "pup"})
        assert (statistics.total, statistics.index, statistics.duration, statistics.stale) == (1, "I", 0.005, False)
        assert await session.load("dogs/b") is not None
        session.index("I", lambda error, found, facts: told.append((error, found, facts.total)))
        session.raw("from Dogs where n > $n", {"n": 1.5}, lambda error, found: told.append((error, found)))
        await session.drain()
        assert len(transport.requests) == 3
    assert sorted(told, key=len) == [(None, documents), (None, documents, 1)]


async def test_delete_by_key_document_and_list(scripted: Scripted) -> None:
    answers = [
        loaded(row("dogs/a"), row("dogs/b")),
        deleted("dogs/a"),
        deleted("dogs/b", "dogs/c", "dogs/d"),
        json_answer(None, 404),
    ]
    async with scripted(*answers) as (session, transport):
        a, b = await session.load(["dogs/a", "dogs/b"])
        a.n = 1
        await session.delete(a)
        assert await session.save() == []  # it is gone, and so is the edit
        await session.delete([b, "dogs/c", {"key": "dogs/d", "etag": "A:7"}])
        assert [(command["Id"], command["ChangeVector"]) for command in commands(transport, 2)] == [
            ("dogs/b", None),
            ("dogs/c", None),
            ("dogs/d", "A:7"),
        ]
        assert await session.load("dogs/a") is None


async def test_delete_with_etags(scripted: Scripted) -> None:
    answers = [loaded(row("dogs/a"), row("dogs/b")), deleted("dogs/a"), deleted("dogs/b"), deleted("dogs/c"), deleted("dogs/d")]
    async with scripted(*answers) as (session, transport):
        a, b = await session.load(["dogs/a", "dogs/b"])
        session.options.use_optimistic_concurrency = True
        told: list[Any] = []
        await session.delete(a)
        await session.delete(b, "A:8")
        await session.delete("dogs/c", told.append)
        await session.delete(evsession.Document(id="dogs/d"))
        versions = [commands(transport, index)[0]["ChangeVector"] for index in (1, 2, 3, 4)]
        assert versions == ["A:1-x", "A:8", None, None]
        assert told == [None]


async def test_deleting_what_was_never_saved_takes_it_back(scripted: Scripted) -> None:
    async with scripted(deleted("dogs/b")) as (session, transport):
        new, keyed = Dog(n=1), Dog(n=2)
        session.store(new).store(keyed, key="dogs/b")
        await session.delete([new])
        assert transport.requests == []
        await session.delete(keyed)
        assert await session.save() == []


async def test_an_answer_that_was_overtaken_by_a_delete_is_not_remembered(scripted: Scripted) -> None:
    slow = Held(loaded(row("dogs/a", n=1)))
    async with scripted(slow, deleted("dogs/a"), loaded(row("dogs/a", n=2))) as (session, transport):
        late = session.load("dogs/a")
        await slow.asked.wait()
        await session.delete("dogs/a")
        slow.release.set()
        assert (await late).n == 1
        again = await session.load("dogs/a")
        assert again.n == 2
        assert await session.load("dogs/a") is again
        assert len(transport.requests) == 3


async def test_a_read_that_is_answered_during_a_delete_does_not_bring_the_document_back(scripted: Scripted) -> None:
    slow = Held(deleted("dogs/a"))
    async with scripted(slow, loaded(row("dogs/a", n=1)), json_answer(None, 404)) as (session, transport):
        delete = session.delete("dogs/a")
        await slow.asked.wait()
        assert (await session.load("dogs/a")).n == 1
        slow.release.set()
        await delete
        assert await session.load("dogs/a") is None
        assert len(transport.requests) == 3


async def test_a_save_does_not_overtake_a_deletion_of_its_document(scripted: Scripted) -> None:
    slow = Held(deleted("dogs/a"))
    async with scripted(slow, patched("A:2", n=1), saved("dogs/b"), saved("dogs/a")) as (session, transport):
        delete = session.delete("dogs/a")
        await slow.asked.wait()
        await session.patch("dogs/b", PATCH)
        session.store(Dog(n=3), key="dogs/b")
        await session.save()  # of another document
        new = Dog(n=2)
        session.store(new, key="dogs/A")
        save = session.save()
        await trio.testing.wait_all_tasks_blocked()
        assert (len(transport.requests), save.is_done) == (3, False)
        slow.release.set()
        assert await save == ["dogs/a"]
        assert delete.is_done
        assert await session.load("dogs/a") is new


async def test_a_write_that_is_cancelled_holds_nothing_up(scripted: Scripted) -> None:
    slow = Held(deleted("dogs/a"))
    async with scripted(slow, saved("dogs/a")) as (session, _):
        delete = session.delete("dogs/a")
        await slow.asked.wait()
        session.store(Dog(n=2), key="dogs/a")
        save = session.save()
        delete.cancel()
        assert await save == ["dogs/a"]


async def test_a_new_document_is_deleted_by_the_key_that_its_id_means(scripted: Scripted) -> None:
    @evsession.document
    @dataclass
    class Cat:
        id: str

    async with scripted(deleted("dogs-max", "cats-tom")) as (session, transport):
        session.conventions.id_separator = "-"
        stored = Cat("Tom")
        session.store(stored)
        await session.delete([Dog(id="Max"), stored])
        assert [command["Id"] for command in commands(transport)] == ["dogs-max", "cats-tom"]
        assert await session.save() == []


async def test_a_failed_delete_forgets_nothing(scripted: Scripted) -> None:
    async with scripted(loaded(row("dogs/a")), refused(409, "Raven.Client.Exceptions.ConcurrencyException")) as (
        session,
        transport,
    ):
        a = await session.load("dogs/a")
        with pytest.raises(ConcurrencyError):
            await session.delete(a, "A:old")
        assert await session.load("dogs/a") is a
        assert len(transport.requests) == 2


@pytest.mark.parametrize(
    ("target", "etag", "error"),
    [
        ({"key": "a", "version": 1}, None, ConfigurationError),
        ({"name": "no key"}, None, ConfigurationError),
        (5, None, TypeError),
        ([5], None, TypeError),
        (["a"], "A:1", TypeError),
        ("a", 5, ConfigurationError),
        ("a", "x\r\ny", ConfigurationError),
        ("", None, ConfigurationError),
    ],
)
async def test_what_cannot_be_deleted_is_refused(scripted: Scripted, target: Any, etag: Any, error: type[Exception]) -> None:
    async with scripted() as (session, transport):
        with pytest.raises(error):
            session.delete(target, etag)
        assert transport.requests == []


def patched(version: str, **fields: Any) -> evsession.Response:
    document = {**fields, "@metadata": {"@collection": "Dogs"}}
    return json_answer(
        {"Status": "Patched", "ModifiedDocument": document, "ChangeVector": version, "LastModified": "2026-01-01T00:00:00Z"}
    )


async def test_a_patch_renews_a_document_without_edits(scripted: Scripted) -> None:
    answers = [loaded(row("dogs/a", n=1)), patched("A:2", n=2), patched("A:3", n=3), saved("dogs/a")]
    async with scripted(*answers, options={"use_optimistic_concurrency": True}) as (session, transport):
        a = await session.load("dogs/a")
        await session.patch("dogs/a", [{"Type": "Inc", "Name": "n", "Value": 1}])
        assert a.n == 2
        assert a.metadata["@change-vector"] == "A:2"
        a.n = 50
        await session.patch("dogs/a", evsession.Patch("this.n++"))
        assert a.n == 50
        await session.save()
        assert commands(transport, 2)[0]["ChangeVector"] == "A:2"  # so the server can refuse to overwrite the patch


async def test_an_answer_that_was_overtaken_by_a_save_changes_nothing(scripted: Scripted) -> None:
    slow = Held(loaded(row("dogs/a", "A:1-x", n=1)))
    async with scripted(loaded(row("dogs/a", "A:1-x", n=1)), slow, saved("dogs/a", version="A:3")) as (session, _):
        session.options.cache = False
        a = await session.load("dogs/a")
        late = session.load("dogs/a")
        await slow.asked.wait()
        a.n = 3
        await session.save()
        slow.release.set()
        await late
        assert (a.n, a.metadata["@change-vector"]) == (3, "A:3")


async def test_a_save_waits_for_a_patch_of_its_document(scripted: Scripted) -> None:
    slow = Held(patched("A:1-y", n=1))
    async with scripted(loaded(row("dogs/a", "A:1-x", n=1)), slow, saved("dogs/a", version="A:3")) as (session, _):
        a = await session.load("dogs/a")
        patch = session.patch("dogs/a", PATCH)
        await slow.asked.wait()
        a.n = 3
        save = session.save()
        slow.release.set()
        assert await save == ["dogs/a"]
        assert patch.is_done
        assert (a.n, a.metadata["@change-vector"]) == (3, "A:3")


async def test_a_patch_of_an_unknown_document_only_sends(scripted: Scripted) -> None:
    async with scripted(
        patched("A:2", n=2), json_answer({"Status": "NotModified", "ModifiedDocument": {}}), json_answer(None, 404)
    ) as (
        session,
        _,
    ):
        told: list[Any] = []
        await session.patch("dogs/a", evsession.Patch("this.n = args.n", {"n": 2}), "A:1", told.append)
        await session.patch("dogs/a", evsession.Patch("1"))
        assert told == [None]
        with pytest.raises(SessionError) as caught:
            await session.patch("dogs/gone", evsession.Patch("1"))
        assert (caught.value.status_code, caught.value.key) == (404, "dogs/gone")


async def test_leaving_a_session_waits_for_its_operations() -> None:
    from evsession.testing.scripted import ScriptedTransport

    held = Held(json_answer(None))
    told: list[Any] = []
    async with evsession.Store(transport=ScriptedTransport(held), database="db") as store:
        async with trio.open_nursery() as nursery, store.open_session() as session:
            session.exists("dogs/max", lambda error, found: told.append(found))
            assert "1 in flight" in repr(session)
            nursery.start_soon(held.asked.wait)
            await held.asked.wait()
            held.release.set()
        assert told == [True]


async def test_close_waits_for_what_is_in_flight(scripted: Scripted) -> None:
    held = Held(json_answer(None))
    told: list[str] = []
    async with scripted(held) as (session, _):
        session.exists("a", lambda error, found: told.append("exists"))
        await held.asked.wait()
        operation = session.close(lambda error: told.append("closed"))
        await trio.testing.wait_all_tasks_blocked()
        assert not operation.is_done
        held.release.set()
        await operation
        assert told == ["exists", "closed"]
        with pytest.raises(evsession.SessionClosed):
            session.exists("b")


async def test_close_may_be_called_again_and_last() -> None:
    from evsession.testing.scripted import ScriptedTransport

    told: list[Any] = []

    async def close_last() -> None:
        async with evsession.Store(transport=ScriptedTransport(repeat=json_answer(None)), database="db") as store:
            session = store.open_session()
            session.exists("a", lambda error, found: session.close(told.append))

    for _ in range(10):
        await close_last()
    assert told == [None] * 10
    async with evsession.Store(transport=ScriptedTransport(), database="db") as store:
        session = store.open_session()
        await session.close()
        await session.close()
        await session.aclose()


async def test_drain_waits_for_this_session_only() -> None:
    from evsession.testing.scripted import ScriptedTransport

    held = Held(json_answer(None))
    async with evsession.Store(transport=ScriptedTransport(held, json_answer(None)), database="db") as store:
        busy, quiet = store.open_session(), store.open_session()
        operation = busy.exists("a")
        await held.asked.wait()
        quiet.exists("b")
        await quiet.drain()
        assert not operation.is_done
        held.release.set()


async def test_sessions_have_their_own_conventions_and_options(scripted: Scripted) -> None:
    async with scripted(options={"timeout": 5}) as (session, _):
        session.options.timeout = None
        session.conventions.id_separator = "-"
        with pytest.raises(ConfigurationError, match="unknown option 'max_connections'"):
            session.options.max_connections = 5


async def test_a_reference_that_each_answer_is_too_old_for(scripted: Scripted) -> None:
    old = loaded(row("dogs/a", "A:1-x", n=1))
    async with scripted(patched("A:9-x", n=2), old, old, old, loaded(row("dogs/a", "A:9-x", n=2))) as (session, transport):
        a = session.get_reference(Dog, "a")
        await session.patch("dogs/a", PATCH)
        with pytest.raises(evsession.TransientError, match="older than what this session has written") as caught:
            await session.hydrate(a)
        assert (caught.value.key, caught.value.is_retryable()) == ("dogs/a", True)
        assert len(transport.requests) == 4
        await session.hydrate(a)
        assert a.n == 2
