"""Queries: the same random ones on both servers, compared answer by answer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.differential.questions import BY_HAND, INDEXES, WRONG, WRONG_PARAMETERS, Question, Questions
from tests.differential.twins import Twins

STEPS = int(os.environ.get("EVSESSION_TEST_STEPS", "400"))
"""Queries for each set of documents; more by hand."""

FIRST = int(os.environ.get("EVSESSION_TEST_SEED", "0"))
"""The first seed; others by hand."""

DOCUMENTS = 60
COMPARED = ("TotalResults", "SkippedResults", "CappedMaxResults", "IncludedPaths", "IsStale", "Includes")


@pytest.fixture
def twins(real_raven_url: str) -> Iterator[Twins]:
    """Both servers, empty."""
    pair = Twins(real_raven_url, f"twin-{uuid4().hex}")
    yield pair
    pair.close()


def ask(twins: Twins, text: str, parameters: dict[str, Any]) -> tuple[Any, Any]:
    """Ask both, and return statuses and bodies."""
    body = {"Query": text, "QueryParameters": parameters, "WaitForNonStaleResults": True}
    real, ours = twins.ask("POST", "queries", body)
    return real[:2], ours[:2]


def compared(answer: Any, *, is_ordered: bool) -> Any:
    """Return what must be equal: rows in order if one was asked for, and the statistics that are no secret of the index."""
    status, body = answer
    if status != 200:
        return answer
    rows = [str(row) for row in body["Results"]]
    return [rows if is_ordered else sorted(rows), [body.get(name) for name in COMPARED], body["IndexName"].split("/")[:2]]


def fill(twins: Twins, questions: Questions) -> None:
    """Write the documents."""
    commands = [
        {"Id": key, "ChangeVector": None, "Type": "PUT", "Document": {**document, "@metadata": {"@collection": collection}}}
        for key, collection, document in questions.documents(DOCUMENTS)
    ]
    real, ours = twins.ask("POST", "bulk_docs", {"Commands": commands})
    assert real == ours


@pytest.mark.parametrize("seed", range(FIRST, FIRST + 3))
def test_random_queries(twins: Twins, seed: int) -> None:
    questions = Questions(seed)
    fill(twins, questions)
    ask(twins, questions.warm_up(), {})
    passed_over = 0
    for step in range(STEPS):
        asked = questions.question()
        real, ours = (compared(answer, is_ordered=asked.is_ordered) for answer in ask(twins, asked.text, asked.parameters))
        if ours != real and lets_more_in(twins, asked):
            passed_over += 1
            continue
        assert ours == real, f"{step}: {asked.text} {asked.parameters}"
    assert passed_over <= STEPS / 200


def lets_more_in(twins: Twins, asked: Question) -> bool:
    """Return whether RavenDB finds more by a range within ``and``, as `evsession.embedded.query.conditions` says it may."""
    if " and " not in asked.whole or not re.search(" [<>]=? | between ", asked.whole):
        return False
    real, ours = ({row["@metadata"]["@id"] for row in body["Results"]} for _, body in ask(twins, asked.whole, asked.parameters))
    return ours < real


@pytest.fixture(scope="module")
def filled(real_raven_url: str) -> Iterator[Twins]:
    """Both servers with documents and static indexes."""
    pair = Twins(real_raven_url, f"twin-{uuid4().hex}")
    fill(pair, Questions(0))
    for definition in INDEXES:
        for status, _, _ in pair.ask("PUT", "admin/indexes", {"Indexes": [definition]}):
            assert status == 201
    yield pair
    pair.close()


@pytest.mark.parametrize("text", BY_HAND)
def test_chosen_queries(filled: Twins, text: str) -> None:
    real, ours = (compared(answer, is_ordered=False) for answer in ask(filled, text, WRONG_PARAMETERS))
    assert ours == real


@pytest.mark.parametrize("text", WRONG)
def test_what_cannot_be_asked(twins: Twins, text: str) -> None:
    real, ours = ask(twins, text, WRONG_PARAMETERS)
    assert (ours[0], _kind(ours)) == (real[0], _kind(real))


def _kind(answer: Any) -> str:
    """Return the type of the error; RavenDB has two for what cannot be read, 6.2 a third, and all mean that."""
    _, body = answer
    kind = str(body["Type"]).rsplit(".", 1)[-1] if isinstance(body, dict) else ""
    return "InvalidQueryException" if kind in ("QueryParser+ParseException", "IndexOutOfRangeException") else kind
