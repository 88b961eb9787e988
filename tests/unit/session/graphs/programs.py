"""Random programs of several tasks on one graph session: what they are made of. `graph_runs` runs them."""

from __future__ import annotations

import dataclasses
from random import Random
from typing import Any

WAYS = ("await", "await", "await", "callback", "callback", "both", "cut", "cut", "cut both", "cancel", "timeout", "nobody")
VERBS = {
    "add": 8,
    "edit": 6,
    "remove": 3,
    "replace": 2,
    "add again": 2,
    "evict": 1,
    "revert": 1,
    "increment": 3,
    "commit": 10,
    "flush": 5,
    "commit_transaction": 2,
    "rollback": 4,
    "refresh": 2,
    "load": 2,
    "refer": 3,
    "hydrate": 2,
    "save": 3,
    "delete": 2,
    "relate": 1,
    "run": 5,
    "fail": 1,
    "stream": 2,
    "rows": 2,
    "begin": 3,
    "use": 3,
    "tx.run": 5,
    "tx.fail": 1,
    "tx.commit": 3,
    "tx.rollback": 2,
    "tx.close": 2,
    "transaction": 3,
    "block": 2,
    "get_transaction": 3,
    "get_runnable": 1,
    "write_transaction": 2,
    "read_transaction": 1,
    "reset": 1,
    "close": 1,
    "pause": 3,
}
WORKS = ("transaction", "block", "get_transaction", "get_runnable", "write_transaction", "read_transaction")
OF_MODELS = ("save", "delete", "relate")
STYLES = ("async", "async", "async", "plain", "operation", "done", "nothing")
HOOKS = (
    "insert.pre",
    "insert.pre",
    "insert.post",
    "insert.post",
    "update.pre",
    "update.post",
    "delete.pre",
    "delete.post",
    "commit.pre",
)
DEEDS = ("pause", "read", "raise", "edit", "increment", "add", "remove", "prevent")


@dataclasses.dataclass
class Step:
    """One thing that a task does.

    Attributes:
        verb: What.
        way: How it is listened to.
        delay: After how long it is cut off, or how long a pause is.
        target: Which entity or transaction.
        inner: What the work of a transaction does.
        raises: Whether that raises in the end.
        style: What kind of function that is: ``"async"``; ``"plain"``; a plain one that returns an ``"operation"``; one that
            calls ``"done"``, where there is such a thing; or one that takes ``"nothing"``, and is refused.
    """

    verb: str
    way: str = "await"
    delay: float = 0.0
    target: int = 0
    inner: list[Step] = dataclasses.field(default_factory=list)
    raises: bool = False
    style: str = "async"


@dataclasses.dataclass
class Program:
    """What several tasks do.

    Attributes:
        tasks: The steps of each.
        seed: Of whatever else is left to chance.
        losses: How likely connections break.
        hooks: What hooks do, with the event of each.
        pace: What all times are multiplied with.
        has_models: Whether entities are instances of a model.
        tracks: Whether the session has an identity map.
        cache: Whether it loads what it knows from there.
    """

    tasks: list[list[Step]]
    seed: int = 0
    losses: float = 0.0
    hooks: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    pace: float = 1.0
    has_models: bool = False
    tracks: bool = True
    cache: bool = True


@dataclasses.dataclass
class Told:
    """What was told of one call.

    Attributes:
        number: Its number.
        verb: What was called.
        outer: The call in whose work it was.
        answers: What the callback got.
        outcome: ``"ok"``, ``"failed"``, ``"refused"`` (nothing was begun), ``"left"`` (the task was cancelled), or nothing yet.
        error: What was raised.
        subject: The transaction that was asked.
        key: Of the entity it is about.
        is_handed_on: Whether a work has returned it, so that it is a part of the call of that.
    """

    number: int
    verb: str
    outer: int = 0
    answers: list[tuple[BaseException | None, Any]] = dataclasses.field(default_factory=list)
    has_callback: bool = False
    outcome: str = ""
    error: BaseException | None = None
    value: Any = None
    subject: Any = None
    operation: Any = None
    key: str = ""
    is_handed_on: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether it is known that nothing has happened."""
        return self.outcome == "refused" or (self.outcome == "failed" and not getattr(self.error, "uncertain", False))


def make_program(seed: int, *, pace: float = 1.0) -> Program:
    """Return the program of this seed."""
    random = Random(seed)
    has_models = random.random() < 0.3
    # Many programs have few verbs, so that these meet each other often.
    names = random.sample([name for name in VERBS if has_models or name not in OF_MODELS], random.randint(4, 12))
    names += [name for name in ("add", "commit") if name not in names]
    weights = [VERBS[name] for name in names]

    def step(depth: int) -> Step:
        verb = random.choices(names, weights)[0]
        if verb in WORKS and depth == 2:
            verb = "edit"
        inner = [step(depth + 1) for _ in range(random.randint(0, 3))] if verb in WORKS else []
        delay = random.choice((0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4)) * pace
        way, target, raises = random.choice(WAYS), random.randrange(6), random.random() < 0.3
        return Step(verb, way, delay, target, inner, raises, random.choice(STYLES))

    tasks = [[step(0) for _ in range(random.randint(1, 6))] for _ in range(random.randint(1, 4))]
    return Program(
        tasks,
        seed,
        losses=random.choice((0.0, 0.0, 0.0, 0.1)),
        hooks=[(random.choice(HOOKS), random.choice(DEEDS)) for _ in range(random.choice((0, 0, 0, 1, 1, 2, 3)))],
        pace=pace,
        has_models=has_models,
        tracks=random.random() < 0.8,
        cache=random.random() < 0.9,
    )
