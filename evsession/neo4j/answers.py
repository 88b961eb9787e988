"""The answers of the Query API, from bytes to rows and what comes with them.

202 is no success: an error that is met while rows are made comes behind it, in ``errors``, after the rows before it.
"""

# Annotations are not postponed: msgspec looks the names of unions up where they are defined.

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from evsession.errors import SessionError
from evsession.neo4j.decoding import TypedValue
from evsession.neo4j.errors import ServerFault, error_from, fault_error
from evsession.neo4j.summaries import Counters, Notification, QueryPlan, Summary
from evsession.wire.json import decode_as
from evsession.wire.message import Response

__all__ = ["Answer", "parse_answer", "summary_of"]


class _Rows(msgspec.Struct):
    fields: list[str] = []
    values: list[list[TypedValue]] = []


class _Open(msgspec.Struct):
    """A transaction that is open."""

    id: str
    expires: datetime | None = None


class _Plan(msgspec.Struct, rename="camel"):
    operator_type: str
    arguments: dict[str, TypedValue] = {}
    identifiers: list[str] = []
    children: "list[_Plan]" = []
    db_hits: int | None = None
    records: int | None = None
    has_page_cache_stats: bool | None = None
    page_cache_hits: int | None = None
    page_cache_misses: int | None = None
    page_cache_hit_ratio: float | None = None
    time: int | None = None


class Answer(msgspec.Struct, rename="camel"):
    """One answer; every part may be missing."""

    data: _Rows | None = None
    bookmarks: list[str] = []
    transaction: _Open | None = None
    counters: Counters | None = None
    notifications: list[Notification] = []
    query_plan: _Plan | None = None
    profiled_query_plan: _Plan | None = None
    query_type: str | None = None
    result_available_after: int | None = None
    result_consumed_after: int | None = None
    errors: list[ServerFault] = []


_FIGURES = _Plan.__struct_fields__[4:]


def parse_answer(response: Response, *, database: str, writes: bool) -> Answer:
    """Return the answer to a statement or a commit.

    Args:
        response: What came.
        database: The database that was asked, for errors.
        writes: Whether the request commits, so that some failures leave its outcome open.

    Raises:
        SessionError: it is a refusal, or a failure behind a 202.
    """
    if response.status != 202:
        raise error_from(response, database=database, writes=writes)
    try:
        answer = decode_as(response.body, Answer, lax=True)
    except SessionError as error:
        error.status_code = response.status
        raise
    if answer.errors:
        rows = None if answer.data is None else len(answer.data.values)
        raise fault_error(answer.errors, response.status, rows=rows, database=database, writes=writes)
    return answer


def summary_of(answer: Answer, query: str, parameters: Mapping[str, Any], database: str) -> Summary:
    """Return what the answer says beside its rows."""
    plan = answer.profiled_query_plan or answer.query_plan
    return Summary(
        query,
        parameters,
        database,
        answer.counters or Counters(),
        tuple(answer.notifications),
        None if plan is None else _plan(plan),
        answer.query_type,
        answer.result_available_after,
        answer.result_consumed_after,
    )


def _plan(plan: _Plan) -> QueryPlan:
    names = zip(_FIGURES, _Plan.__struct_encode_fields__[4:], strict=True)
    figures = {spelled: getattr(plan, name) for name, spelled in names if getattr(plan, name) is not None}
    arguments = {name: value.value for name, value in plan.arguments.items()}
    return QueryPlan(plan.operator_type, arguments, tuple(plan.identifiers), tuple(map(_plan, plan.children)), figures)
