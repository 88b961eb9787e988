"""A callback script on Neo4j: no async anywhere. Each callback starts what comes next; failures of one kind go to one place."""

from __future__ import annotations

import os

import evsession

graph = evsession.GraphStore(os.environ.get("EVSESSION_GRAPH_URL", "http://127.0.0.1:7474"))


@graph.on("Neo.ClientError.Statement.SyntaxError")
def misspelt(error: evsession.SessionError) -> None:
    print("told once, in one place:", error.code)


def main() -> None:
    session = graph.open_session()

    def created(error: evsession.SessionError | None, result: evsession.Result) -> None:
        if error is None:
            print("created", result.summary.counters.nodes_created)
            session.run("MATCH (n:ExampleDog) WHERE n.age > $age RETURN n.name AS name ORDER BY name", {"age": 3}, found)

    def found(error: evsession.SessionError | None, result: evsession.Result) -> None:
        print("found", [record["name"] for record in result])
        session.run("MATSCH (n)", refused)

    def refused(error: evsession.SessionError | None) -> None:
        print("and the callback knows, too:", error is not None)
        session.begin_transaction(begun)

    def begun(error: evsession.SessionError | None, tx: evsession.GraphTransaction) -> None:
        tx.run("MATCH (n:ExampleDog) DELETE n")
        tx.commit(lambda error: print("deleted", error is None))

    dogs = [{"name": "Max", "age": 12}, {"name": "Jess", "age": 7}, {"name": "Pip", "age": 1}]
    session.run("UNWIND $dogs AS dog CREATE (n:ExampleDog) SET n = dog", {"dogs": dogs}, created)
    print("asked; the answer is not here yet")


graph.run(main)
