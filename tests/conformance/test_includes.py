"""Includes: documents that are referred to come along in the same request, and are known from then on."""

from __future__ import annotations

from typing import Any

import pytest

import evsession
from tests.conformance.kennel import BILLY, JESS, MAX, MUM, Told, Wire, of, put

pytestmark = pytest.mark.usefixtures("family")


def keys(documents: Any) -> list[str]:
    return sorted(document.id for document in documents)


async def test_one_property(session: evsession.Session, wire: Wire) -> None:
    max, includes = await session.load(MAX, "puppy")
    assert isinstance(includes, evsession.Queryable)
    assert keys(includes) == [JESS]
    assert of(includes, max.puppy).name == "Jess"
    assert len(wire) == 1


async def test_several_properties(session: evsession.Session, wire: Wire) -> None:
    max, includes = await session.load(MAX, ["puppy", "mother"])
    assert of(includes, max.puppy).name == "Jess"
    assert of(includes, max.mother).name == "Mum"
    assert len(wire) == 1


async def test_a_callback_gets_them_third(session: evsession.Session) -> None:
    with_includes, without = Told(), Told()
    await session.load(MAX, "puppy", lambda error, document, includes: with_includes(error, document, includes))
    await session.load(MAX, "puppy", lambda error, document: without(error, document))
    error, document, includes = with_includes.calls[0]
    assert (error, document.id, keys(includes)) == (None, MAX, [JESS])
    assert without.calls == [(None, document)]


async def test_no_paths_give_no_includes(session: evsession.Session) -> None:
    told = Told()
    max, includes = await session.load(MAX, [], lambda error, document, includes: told(error, document, includes))
    assert (max.id, includes) == (MAX, [])
    assert told.calls == [(None, max, [])]
    documents, includes = await session.load([MAX, JESS], [])
    assert (len(documents), includes) == (2, [])


async def test_a_callback_may_ask_for_includes_that_were_not_wanted(session: evsession.Session) -> None:
    told = Told()
    await session.load(MAX, lambda error, document, includes: told(error, document, includes))
    assert told.calls[0][1].id == MAX
    assert not told.calls[0][2]


async def test_they_are_cached(session: evsession.Session, wire: Wire) -> None:
    max, includes = await session.load(MAX, "puppy")
    assert len(wire) == 1
    assert await session.load(max.puppy) is includes[0]
    assert (await session.load([JESS]))[0] is includes[0]
    assert len(wire) == 1


async def test_they_are_tracked(session: evsession.Session) -> None:
    _, includes = await session.load(MAX, "puppy")
    includes[0].age = 8
    assert await session.save() == [JESS]


async def test_of_several_documents(session: evsession.Session, wire: Wire) -> None:
    documents, includes = await session.load([MAX, JESS], "puppy")
    assert [document.id for document in documents] == [MAX, JESS]
    # Jess is a result herself, so the server does not send her twice; she is Max's puppy all the same.
    assert keys(includes) == [BILLY, JESS]
    assert of(includes, of(documents, MAX).puppy) is documents.load(JESS)
    assert of(includes, of(documents, JESS).puppy).name == "Billy"
    assert len(wire) == 1


async def test_several_properties_of_several_documents(session: evsession.Session) -> None:
    _, includes = await session.load([MAX, BILLY], ["puppy", "mother"])
    assert keys(includes) == [JESS, MUM]


async def test_known_ones_are_the_known_objects(session: evsession.Session) -> None:
    jess = await session.load(JESS)
    jess.age = 99
    _, includes = await session.load(MAX, "puppy")
    assert includes[0] is jess
    assert jess.age == 99


async def test_nothing_is_sent_when_all_is_known(session: evsession.Session, wire: Wire) -> None:
    await session.load([MAX, JESS, MUM])
    wire.take()
    max, includes = await session.load(MAX, ["puppy", "mother"])
    assert keys(includes) == [JESS, MUM]
    documents, includes = await session.load([MAX], "puppy")
    assert (documents[0], keys(includes)) == (max, [JESS])
    assert not wire.take()


async def test_a_known_document_with_an_unknown_include_costs_one_request(session: evsession.Session, wire: Wire) -> None:
    max = await session.load(MAX)
    max.age = 50
    wire.take()
    again, includes = await session.load(MAX, "mother")
    assert again is max
    assert max.age == 50
    assert keys(includes) == [MUM]
    assert len(wire) == 1


async def test_a_reference_that_leads_nowhere_is_absent(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"dogs/a": {"puppy": "dogs/nobody", "mother": None, "father": 5, "friend": {}, "uncle": ""}})
    document, includes = await session.load("dogs/a", ["puppy", "mother", "father", "friend", "uncle", "nothing"])
    assert document.puppy == "dogs/nobody"
    assert includes == []


async def test_of_a_missing_document(session: evsession.Session) -> None:
    assert await session.load("dogs/nobody", "puppy") == (None, [])
    documents, includes = await session.load(["dogs/nobody", BILLY], "mother")
    assert keys(documents) == [BILLY]
    assert keys(includes) == [JESS]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("owner.dog", {"owner": {"dog": MAX}}),
        ("pups", {"pups": [MAX, "dogs/nobody", JESS, None]}),
        ("pups[]", {"pups": [MAX, JESS]}),
        ("walks[].dog", {"walks": [{"dog": MAX}, {}, {"dog": JESS}]}),
        ("walks.dog", {"walks": [{"dog": MAX}, {"dog": JESS}]}),
        ("deep.walks[].party.dogs[]", {"deep": {"walks": [{"party": {"dogs": [MAX]}}, {"party": {"dogs": [JESS]}}]}}),
        ("Puppy", {"Puppy": MAX, "puppy": JESS}),
    ],
)
async def test_paths(session: evsession.Session, store: evsession.Store, wire: Wire, path: str, fields: dict[str, Any]) -> None:
    await put(store, {"groups/1": fields})
    _, includes = await session.load("groups/1", path)
    assert keys(includes) == sorted({JESS, MAX} if str(fields).count("dogs/") > 1 and path != "Puppy" else {MAX})
    for include in includes:
        assert await session.load(include.id) is include
    if None not in fields.get("pups", []):  # where all is known, the same is found without the server
        assert keys((await session.load("groups/1", path))[1]) == keys(includes)
        assert len(wire) == 1


async def test_a_prefix_makes_keys_of_numbers(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"groups/1": {"dog": 5}, "dogs/5": {"name": "Five"}})
    _, includes = await session.load("groups/1", "dog(dogs/)")
    assert keys(includes) == ["dogs/5"]


async def test_references_have_no_case(session: evsession.Session, store: evsession.Store) -> None:
    await put(store, {"groups/1": {"dog": "DOGS/Max"}})
    group, includes = await session.load("groups/1", "dog")
    assert of(includes, group.dog).name == "Max"


async def test_paths_have_case(session: evsession.Session) -> None:
    assert (await session.load(MAX, "Puppy"))[1] == []


@pytest.mark.parametrize("wrong", [5, [5], "", [""], ["puppy", None]])
async def test_what_can_be_no_path_is_refused(unsent: evsession.Session, wrong: Any) -> None:
    with pytest.raises(evsession.ConfigurationError):
        await unsent.load(MAX, wrong)
