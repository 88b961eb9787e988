"""What must hold when a random program on a graph session has ended, whatever the order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsession.standins import is_reference
from tests.unit.session.graphs.programs import Told

if TYPE_CHECKING:
    from tests.unit.session.graphs.runs import Run


class Wrong(AssertionError):
    """What must not be."""


def check(is_right: bool, wrong: str) -> None:
    """Raise what is wrong."""
    if not is_right:
        raise Wrong(wrong)


def settle(told: Told) -> None:
    """Take over what a callback was told, and check that it was told once."""
    if told.outcome == "refused":
        return
    operation = told.operation
    check(operation is None or operation.is_done, f"{told} has not ended")
    if told.has_callback and operation is not None:
        check(len(told.answers) == 1, f"{told} has called back {len(told.answers)} times")
    if told.answers:
        error, value = told.answers[0]
        is_one = told.outcome not in ("ok", "failed") or (error is None) == (told.outcome == "ok")
        check(is_one, f"{told} has told two things")
        told.outcome, told.error, told.value = ("ok" if error is None else "failed"), error, value
    elif operation is not None and told.outcome in ("", "left"):
        operation._heard = True
        told.error = operation._error
        told.outcome = "ok" if told.error is None else "failed"


def check_nothing_left(run: Run) -> None:
    """Check that nothing is left of what has ended, and that what is open is the program's."""
    session = run.session
    check(not session._enders, "something that ends a transaction is counted for ever")
    check(not session._turns.all(), "somebody keeps a turn")
    check(session._coming is None and session._managed is None, "a transaction is awaited for ever")
    current = session._current
    check((current is None) == (session._unit.journal is None), "the unit of work has another transaction than the session")
    check(current is None or any(current is tx for tx in run.transactions), f"nobody has {current!r}, which is open")
    for tx in run.transactions if session._is_open else ():
        check(tx._asked is tx._phase, f"{tx!r} is asked to end for ever")
    for entity in run.kept:
        check(getattr(entity, "_writing", None) is None, f"{entity!r} is being written for ever")


def check_nodes(run: Run, nodes: list[dict[str, Any]]) -> None:
    """Check that the session is right about the nodes of its entities."""
    unit = run.session._unit
    check(not unit._frozen and not any(known.writes for known in unit.map), "something is being written for ever")
    nodes = [node for node in nodes if node["id"] not in run.forgotten]
    there = {node["id"]: node for node in nodes}
    # A commit whose outcome is not known may be committed again, and then is there twice: the manual says so.
    check(len(there) == len(nodes) or bool(run.session._lost), f"a node is there twice: {nodes}")
    known = {one.entity.id: one for one in unit.map if not one.is_flushed and one.entity.id not in run.forgotten}
    if run.tracks:
        # What a hook has added or vetoed leaves the session also when its commit is lost, and a model saves what has left it.
        may_be_there = run.free if run.session._lost or any(told.verb == "save" for told in run.told) else set()
        unknown = [key for key in there.keys() - known.keys() - may_be_there if key[0] != "s"]
        check(not unknown, f"the session does not know {unknown}, which are there")
    for key, one in known.items():
        if one.unsure is not None:
            continue
        if one.snapshot is None:
            check(key not in there, f"the session believes that there is no {key}")
            continue
        believed, node = unit.mapper.fields(one.snapshot.known), there.get(key)
        if one.is_reference and node is not None:
            node = {name: node[name] for name in believed}
        check(node == believed or (one.is_reference and node is None), f"the session believes {believed}, there is {node}")


def check_wishes(run: Run, nodes: list[dict[str, Any]]) -> None:
    """Check that all is as the program wanted it in the end."""
    if run.session._lost:
        return
    there = {node["id"]: node for node in nodes}
    for key, entity in run.wanted.items():
        if key in run.forgotten or key in run.free:
            continue
        shown = {"id": key, "v": run.values[id(entity)], "n": run.sums.get(id(entity), 0)} if entity is not None else None
        check(there.get(key) == shown, f"{shown} was wanted, there is {there.get(key)}")
        is_known = not run.tracks or entity is None or entity in run.session.identity_map
        check(is_known, f"{entity!r} is not known any more")
        if entity is not None and not is_reference(entity):
            check((entity.id, entity.v, entity.n) == tuple(shown.values()), f"{entity!r} is not {shown}")  # type: ignore[union-attr]
