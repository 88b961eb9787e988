"""A Neo4j in memory, as far as sessions of the unit of work need one: nodes, transactions, and answers that take their time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from random import Random
from typing import Any

import msgspec
import trio

import evsession
from tests.unit.neo4j.typed import GONE, ROLLED_BACK, answer, body, integer, refused, typed

CALL: ContextVar[int] = ContextVar("call of a program", default=0)
"""The number of what the program has called, in whose context a request is sent."""

Nodes = dict[int, dict[str, Any]]
"""The properties of nodes by identity; the label is one of them."""

LABEL = "~label"


class Effect(msgspec.Struct):
    """What a statement has done.

    Attributes:
        call: The number of the call.
        transaction: The transaction it was done in.
        what: A text for people.
        change: How it changes nodes.
    """

    call: int
    transaction: str
    what: str
    change: Callable[[Nodes], None] = msgspec.field(default=lambda nodes: None)


class Held(msgspec.Struct, eq=False):
    """A transaction that is open.

    Attributes:
        id: Its name.
        effects: What was done in it.
        running: The tag of the statement that runs, or ``"commit"``.
        is_terminated: Whether what runs is to fail.
    """

    id: str
    effects: list[Effect] = []
    running: str | None = None
    is_terminated: bool = False


class MemoryGraph:
    """A transport that is also the server.

    A request that was sent is carried out whatever becomes of who has sent it, as by a real server.

    Args:
        random: Decides how long things take, and what is lost.
        pauses: How long each step of an answer may take.
        losses: How likely a connection breaks, before or after the server has done what it was asked.

    Attributes:
        nodes: What is committed.
        opened: Transactions that are open.
        ended: How each other one has ended.
        excused: Transactions that nobody can be asked to end, for connections broke.
        effects: What was ever done.
        log: What was sent and answered, for people.
        most: How many transactions were open at once.
        losses: How likely a connection breaks.
        loses: The end of the path of the next request whose answer is lost.
    """

    def __init__(self, random: Random, *, pauses: Sequence[float] = (0.0, 0.01, 0.03, 0.1), losses: float = 0.0) -> None:
        self.nodes: Nodes = {}
        self.opened: dict[str, Held] = {}
        self.ended: dict[str, str] = {}
        self.effects: list[Effect] = []
        self.log: list[str] = []
        self.most = 0
        self.excused: set[str] = set()
        self.losses = losses
        self.loses: str | None = None
        self._random = random
        self._pauses = pauses
        self._count = 0
        self._identity = 0

    async def send(self, request: evsession.Request, trail: evsession.Trail) -> evsession.Response:
        """Carry it out in a task of its own."""
        trail.url = request.target
        await trio.lowlevel.checkpoint()
        await self._pause()
        trail.sent = True
        done, answers = trio.Event(), list[evsession.Response]()
        # Less than 0.5: the request is lost; less than 1: the answer.
        luck = 2 * self._random.random() / self.losses if self.losses else 1.0
        if self.loses is not None and request.target.endswith(self.loses):
            luck, self.loses = 0.5, None
        call = CALL.get()
        self.note(f"call {call} sends {request.method} {request.target[20:]} {_shown(request)}")

        async def carry() -> None:
            if luck >= 0.5:
                response = await self._serve(request, call)
                await self._pause()
                if luck >= 1:
                    answers.append(response)
                    self.note(f"call {call} is answered {response.status} {response.body[:150]!r}")
            if luck < 1 and (request.target.endswith("/tx") or b"TERMINATE" in request.body or request.method == "DELETE"):
                self.excused |= set(self.opened)  # nobody can know of it, or has found a way to end it
            done.set()

        trio.lowlevel.spawn_system_task(carry)
        await done.wait()
        if not answers:
            self.note(f"call {call} loses its connection")
            raise evsession.ConnectionFailed("the connection broke", uncertain=request.writes)
        trail.answered = True
        return answers[0]

    async def open(self, request: evsession.Request, trail: evsession.Trail, *, streams_body: bool = False) -> evsession.Exchange:
        """Begin an answer whose rows come in pieces."""
        trail.url = request.target
        await trio.lowlevel.checkpoint()
        await self._pause()
        trail.sent = True
        return MemoryExchange(self, request, CALL.get())

    async def aclose(self) -> None:
        """Nothing is open."""

    def note(self, text: str) -> None:
        """Remember what happens, and when."""
        self.log.append(f"{trio.current_time():8.3f} {text}")

    def put(self, label: str, **node: Any) -> None:
        """Let there be a node."""
        self._identity += 1
        self.nodes[self._identity] = {**node, LABEL: label}

    def loses_now(self) -> bool:
        """Return whether a connection breaks now."""
        return self._random.random() < self.losses

    async def stream(self, request: evsession.Request, call: int, give: Callable[[evsession.Response | bytes], bool]) -> None:
        """Carry out a statement whose answer is read in pieces, and end it at the next row if nobody reads them any more.

        Args:
            request: The statement.
            call: The number of the call.
            give: Takes the head, then pieces of the body; returns whether somebody still reads.
        """
        content = json.loads(request.body)
        held = self._open_alone()
        self.note(f"call {call} streams in {held.id}: {_shown(request)}")
        response = await self._run(held, content, call, is_alone=True)
        reads = give(response)
        if held.id not in self.opened:
            return
        with self._running(held, _plain(content["parameters"]["__evsession"])):
            length = len(response.body) // 4
            for place in range(4):
                await self._pause()
                if not reads or held.is_terminated:
                    self._end(held, "rolled back")
                    return
                reads = give(response.body[place * length : (place + 1) * length])
        await self._commit(held)
        give(response.body[4 * length :])

    async def _pause(self) -> None:
        pause = self._random.choice(self._pauses)
        if pause:
            await trio.sleep(pause)

    async def _serve(self, request: evsession.Request, call: int) -> evsession.Response:
        await self._pause()
        path = request.target.removeprefix("/db/neo4j/query/v2").strip("/").split("/")
        content = json.loads(request.body) if request.body else {}
        if request.target == "/":
            return answer({"neo4j_version": "5.26.31"}, 200)
        if path == [""]:
            return await self._run_alone(content, call)
        if len(path) == 1:
            self._count += 1
            held = Held(f"t{self._count}")
            self.opened[held.id] = held
            self.most = max(self.most, len(self.opened))
            if len(self.opened) > 1:
                self.note(f"--- two at once: {list(self.opened)}")
            return await self._run(held, content, call)
        held_or_none = self.opened.get(path[1])
        if held_or_none is None:
            return GONE
        held = held_or_none
        if held.running is not None:
            return refused("Neo.DatabaseError.General.UnknownError", "busy", 500)
        if request.method == "DELETE":
            self._end(held, "rolled back")
            return ROLLED_BACK
        if path[-1] == "commit":
            return await self._commit(held)
        return await self._run(held, content, call)

    @contextmanager
    def _running(self, held: Held, tag: str) -> Iterator[None]:
        held.running = tag
        try:
            yield
        finally:
            held.running = None

    async def _commit(self, held: Held) -> evsession.Response:
        with self._running(held, "commit"):
            await self._pause()
            for effect in held.effects:
                effect.change(self.nodes)
            self._end(held, "committed")
            await self._pause()
        return answer({"bookmarks": [f"FB:{held.id}"]})

    def _end(self, held: Held, how: str) -> None:
        del self.opened[held.id]
        self.ended[held.id] = how
        self.note(f"{held.id} is {how}")

    async def _run_alone(self, content: Any, call: int) -> evsession.Response:
        if "TERMINATE" in content["statement"]:
            return self._terminate(_plain(content["parameters"]["tag"]))
        held = self._open_alone()
        response = await self._run(held, content, call, is_alone=True)
        if held.id in self.opened:
            await self._commit(held)
        return response

    def _open_alone(self) -> Held:
        self._count += 1
        held = Held(f"a{self._count}")
        self.opened[held.id] = held
        self.most = max(self.most, len(self.opened))
        if len(self.opened) > 1:
            self.note(f"--- two at once: {list(self.opened)}")
        return held

    def _terminate(self, tag: str) -> evsession.Response:
        found = [held for held in self.opened.values() if held.running == tag]
        for held in found:
            held.is_terminated = True
        return answer(body(["message"], [[typed("String", "terminated")] for _ in found], bookmarks=["FB:0"]))

    async def _run(self, held: Held, content: Any, call: int, *, is_alone: bool = False) -> evsession.Response:
        more: dict[str, Any] = {"bookmarks": [f"FB:{held.id}"]} if is_alone else {"transaction": {"id": held.id}}
        if "statement" not in content:
            return answer(body([], [], **more))
        parameters = {name: _plain(value) for name, value in content["parameters"].items()}
        with self._running(held, parameters["__evsession"]):
            await self._pause()
            if held.is_terminated:
                self._end(held, "terminated")
                return refused("Neo.TransientError.Transaction.Terminated")
            view = {identity: dict(node) for identity, node in self.nodes.items()}
            for effect in held.effects:
                effect.change(view)
            try:
                fields, rows = self._execute(content["statement"], parameters, held, call, view)
            except LookupError as error:
                self._end(held, f"failed: {error}")
                return refused(str(error.args[0]))
        return answer(body(fields, rows, **more))

    def _do(self, held: Held, call: int, what: str, change: Callable[[Nodes], None], view: Nodes) -> None:
        effect = Effect(call, held.id, what, change)
        held.effects.append(effect)
        self.effects.append(effect)
        change(view)

    def _execute(self, text: str, given: Any, held: Held, call: int, view: Nodes) -> tuple[list[str], list[list[Any]]]:
        if text == "FAIL":
            raise LookupError("Neo.ClientError.Statement.SyntaxError")
        if text == "DEADLOCK":
            raise LookupError("Neo.TransientError.Transaction.DeadlockDetected")
        if text == "RETURN 1" or "count(r)" in text:
            return ["count"], [[0 if "nobody" in given.values() else 1]]
        label = re.search(r"\(n:`?(\w+)`?", text)[1]  # type: ignore[index]
        if " CREATE (n" in text or text.startswith("CREATE (n"):
            made = [self._create(held, call, label, row, view) for row in given.get("rows") or [{"id": given["id"]}]]
            if (rows := re.search(r"range\(1, (\d+)\)", text)) is not None:
                return ["row"], [[row] for row in range(1, int(rows[1]) + 1)]
            return ["n"], [[len(made)]] if "count(n)" in text else [[_node(view, one)] for one in made]
        if "SET n += row.set" in text:
            return self._update(text, given, held, call, label, view)
        if "DELETE n" in text:
            for key in given["keys"] if "keys" in given else [given["p0"]]:
                for identity in _find(view, label, key):
                    self._do(held, call, f"delete {label}/{key}", partial(_discard, identity=identity), view)
            return [], []
        if (set_name := re.search(r"SET n \+= \$(\w+)", text)) is not None:
            row, found = {"set": given[set_name[1]], "more": {}}, _find(view, label, given["p0"])
            for identity in found:
                self._change(held, call, label, row, identity, view)
            return ["n"], [[_node(view, one)] for one in found]
        if "$keys0" in text:
            return ["place", "n"], [[0, _node(view, one)] for key in given["keys0"] for one in _find(view, label, key)]
        if "WHERE n." in text:
            return ["n"], [[_node(view, one)] for one in _find(view, label, given["p0"])]
        return ["n"], [[_node(view, one)] for one, node in view.items() if node[LABEL] == label]

    def _create(self, held: Held, call: int, label: str, row: dict[str, Any], view: Nodes) -> int:
        self._identity += 1
        identity, node = self._identity, {**row, LABEL: label}
        self._do(held, call, f"create {label}/{row['id']}", lambda nodes: nodes.update({identity: dict(node)}), view)
        return identity

    def _update(self, text: str, given: Any, held: Held, call: int, label: str, view: Nodes) -> tuple[list[str], list[list[Any]]]:
        names = re.findall(r"n\.`?(\w+)`?", text.split(" AS made")[0].rpartition("[")[2])
        rows = []
        for row in given["rows"]:
            for identity in _find(view, label, row["key"]):
                self._change(held, call, label, row, identity, view)
                made = typed("List", [integer(view[identity][name]) for name in names])
                rows.append([row["place"], made])
        return ["place", "made"], rows

    def _change(self, held: Held, call: int, label: str, row: Any, identity: int, view: Nodes) -> None:
        def change(nodes: Nodes) -> None:
            node = nodes.get(identity)
            if node is not None:
                node.update(row["set"])
                for name, more in row["more"].items():
                    node[name] = node.get(name, 0) + more

        self._do(held, call, f"update {label}/{view[identity]['id']} {row['set']} {row['more']}", change, view)


class MemoryExchange:
    """An answer that is read in pieces.

    Args:
        server: Who answers.
        request: What is asked.
        call: The number of the call.
    """

    def __init__(self, server: MemoryGraph, request: evsession.Request, call: int) -> None:
        self._server = server
        self._is_closed = False
        self._give, self._pieces = trio.open_memory_channel[Any](9)
        self._begin = partial(trio.lowlevel.spawn_system_task, self._carry, request, call)

    async def _carry(self, request: evsession.Request, call: int) -> None:
        with self._give:
            await self._server.stream(request, call, self._take)

    def _take(self, piece: Any) -> bool:
        if not self._is_closed:
            self._give.send_nowait(piece)
        return not self._is_closed

    async def send(self, data: bytes) -> bool:
        """Refuse: requests have no pieces here."""
        raise NotImplementedError

    async def finish(self) -> evsession.Response:
        """Send the request, and return the head of the answer."""
        self._begin()
        self._response: evsession.Response = await self._next()
        return evsession.Response(self._response.status)

    async def receive(self) -> bytes:
        """Return the next piece."""
        piece: bytes = await self._next()
        return piece

    async def _next(self) -> Any:
        if self._server.loses_now():
            self.close()
            raise evsession.ConnectionFailed("the connection broke", uncertain=True)
        try:
            return await self._pieces.receive()
        except trio.EndOfChannel:
            return b""

    async def read(self) -> bytes:
        """Return the whole of a refusal."""
        return self._response.body

    def close(self) -> None:
        """Hang up."""
        self._is_closed = True


def _discard(nodes: Nodes, *, identity: int) -> None:
    nodes.pop(identity, None)


def _find(nodes: Nodes, label: str, key: Any) -> list[int]:
    return [identity for identity, node in nodes.items() if node[LABEL] == label and node.get("id") == key]


def _node(nodes: Nodes, identity: int) -> dict[str, Any]:
    node = nodes[identity]
    content = {
        name: integer(value) if isinstance(value, int) else typed("String", value)
        for name, value in node.items()
        if name != LABEL and value is not None
    }
    return typed("Node", {"_element_id": f"4:x:{identity}", "_labels": [node[LABEL]], "_properties": content})


def _plain(value: Any) -> Any:
    kind, content = value["$type"], value["_value"]
    if kind == "List":
        return [_plain(one) for one in content]
    if kind == "Map":
        return {name: _plain(one) for name, one in content.items()}
    return int(content) if kind == "Integer" else content


def _shown(request: evsession.Request) -> str:
    if not request.body:
        return ""
    content = json.loads(request.body)
    parameters = {name: _plain(value) for name, value in content.get("parameters", {}).items() if name not in ("__evsession",)}
    return f"{content.get('statement', '')[:90]} {parameters}"
