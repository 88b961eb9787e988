from __future__ import annotations

import pickle

import pytest

from evsession import Node, Path, Point, ProtocolError, Relationship, Vector
from evsession.neo4j.things import parse_point, parse_vector

A = Node("4:x:0", frozenset({"Dog"}), {"name": "Max"})
B = Node("4:x:1", frozenset(), {})
R = Relationship("5:x:0", "KNOWS", "4:x:0", "4:x:1", {"since": 2012})


def test_nodes_and_relationships_read_like_mappings() -> None:
    assert (A["name"], dict(R), len(B), bool(B), "name" in A) == ("Max", {"since": 2012}, 0, True, True)
    assert repr(A) == "<Node '4:x:0' ['Dog'] {'name': 'Max'}>"
    assert repr(R) == "<Relationship '5:x:0' KNOWS {'since': 2012}>"


def test_they_are_equal_by_their_id() -> None:
    assert Node("4:x:0", frozenset(), {}) == A
    assert A != B
    assert A != R
    assert len({A, B, Node("4:x:0", frozenset(), {})}) == 2
    assert pickle.loads(pickle.dumps(A)).properties == A.properties


def test_paths() -> None:
    path = Path((A, B), (R,))
    assert (path.start_node, path.end_node, len(path), list(path)) == (A, B, 1, [R])
    assert bool(Path((A,), ()))


@pytest.mark.parametrize("point", [Point(7203, 1.5, -2.0), Point(4979, 1.0, 2.0, 3.0), Point(9999, 1.0, 2.0)])
def test_points_round_trip(point: Point) -> None:
    assert parse_point(str(point)) == point


@pytest.mark.parametrize("text", ["", "POINT (1 2)", "SRID=7203;POINT (1)", "SRID=9157;POINT Z (1 2)", "SRID=7203;POINT (a b)"])
def test_what_is_no_point_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_point(text)


def test_points_have_as_many_coordinates_as_their_system() -> None:
    with pytest.raises(ValueError, match="3 coordinates"):
        Point(9157, 1.0, 2.0)
    with pytest.raises(ValueError, match="2 coordinates"):
        Point(7203, 1.0, 2.0, 3.0)
    for wrong in ("a", None, True):
        with pytest.raises(TypeError, match="a coordinate of a point is a number"):
            Point(7203, 1.0, wrong)  # type: ignore[arg-type]


def test_vectors() -> None:
    vector = parse_vector("INT8", ["1", "-2"])
    assert (len(vector), list(vector), vector) == (2, [1, -2], Vector("INT8", (1, -2)))
    for kind, coordinates in (("INT9", ["1"]), ("INT8", ["x"])):
        with pytest.raises(ProtocolError):
            parse_vector(kind, coordinates)
    with pytest.raises(ValueError, match="INT9"):
        Vector("INT9", ())
