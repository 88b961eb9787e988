"""PATCH scripts: JavaScript on one document, in an engine that can be stopped. Knows RavenDB's functions, but no storage.

The engine is QuickJS by the package ``quickjs-ng`` of the extra ``embedded``. Compared in November 2026, on CPython 3.11:

===========  =======================  ==================================  ===================================================
package      upkeep                   wheels                              limits and cost
===========  =======================  ==================================  ===================================================
quickjs-ng   0.17, a release a month  one abi3 wheel of 0.5 - 2.5 MB for  memory, stack and CPU time, regular expressions
             by now                   every CPython from 3.10: Linux,     included; 0.09 ms for a fresh context, no thread
                                      Windows, macOS on ARM (on Intel it
                                      builds from source)
quickjs      archived since 2023      none for CPython 3.13               the same, but regular expressions cannot be stopped
mini-racer   0.14, every other month  V8 for all systems, 15 - 22 MB      memory and time; 120 ms to start, 40 MB, an asyncio
                                                                          thread that outlives the store
dukpy        0.6, twice a year        all                                 none
===========  =======================  ==================================  ===================================================

What differs from RavenDB, seen on 7.1:

* RavenDB counts statements (10,000), this server CPU time (`TIME_LIMIT`); the error is the same. Memory beyond the limit is an
  error of the same kind, too; RavenDB runs on until it has counted, or answers 503.
* Reading a property of what is missing is a TypeError, as everywhere in JavaScript. RavenDB gives null, 0 or nothing.
* A call of a function that does not exist is a ReferenceError. RavenDB ignores it.
* Numbers that the script leaves alone keep every digit, in lists as well, which RavenDB rounds as soon as one is read.
* Where a script puts its document into itself, the lists around it do not repeat there.
* Objects of JavaScript's own, such as ``new String('x')`` or errors, are stored with other members.
* Counters, time series, attachments, compare-exchange values and spatial functions do not exist.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from evsession.embedded.failures import RavenFailure
from evsession.embedded.sandbox import SANDBOX
from evsession.wire.json import JSON, decode, encode

__all__ = ["MEMORY_LIMIT", "TIME_LIMIT", "PatchOutcome", "ScriptError", "check_script", "project", "run_patch"]

TIME_LIMIT = 1.0
"""Seconds of CPU that a script may take; other writers wait for it. RavenDB's 10,000 statements take milliseconds."""

MEMORY_LIMIT = 64 << 20
"""Bytes that a script may use besides its document, of which there are `COPIES`."""

COPIES = 16
"""Times the size of its JSON that a document takes in the engine, with room for a second one."""

STACK_LIMIT = 512 << 10
"""Bytes of the worker thread's stack; documents may be about 1,000 levels deep. Threads have 1 MiB on Windows, more elsewhere."""

Host: TypeAlias = Mapping[str, Callable[..., JSON]]

_UNUSUAL = re.compile(rb"\d{16}|\d\.0+(?!\d)|[0-9]e", re.IGNORECASE)
"""Numbers, or what looks like them, that JavaScript may print differently than they were written."""

_SCRIPT_FAILED = "Raven.Client.Exceptions.Documents.Patching.JavaScriptException"
_INVALID = "System.InvalidOperationException"

_KINDS: dict[str, tuple[str, str]] = {
    "syntax": ("Raven.Client.Exceptions.Documents.Patching.JavaScriptParseException", "Failed to parse: {text}"),
    "runtime": (_SCRIPT_FAILED, "Script failed for document ID '{key}'. {text}"),
    "misuse": (_INVALID, "{text}"),
    "recursion": ("Jint.Runtime.RecursionDepthOverflowException", "The recursion is forbidden by script host."),
    "timeout": (_SCRIPT_FAILED, f"Script failed for document ID '{{key}}'. It ran for more than {TIME_LIMIT:g} second(s)."),
    "memory": (_SCRIPT_FAILED, f"Script failed for document ID '{{key}}'. It used more than {MEMORY_LIMIT >> 20} MiB of memory."),
    "missing engine": (
        "System.NotSupportedException",
        "The embedded server of evsession runs scripts with the package quickjs-ng, which is not installed: "
        "pip install 'evsession[embedded]'",
    ),
}
"""Kind of failure -> RavenDB's exception (seen on 7.1) and the message."""


class ScriptError(RavenFailure):
    """The script cannot be run, or did not come to its end; nothing of it counts.

    Attributes:
        kind: ``"syntax"``, ``"runtime"``, ``"misuse"`` (of RavenDB's functions), ``"recursion"``, ``"timeout"``, ``"memory"`` or
            ``"missing engine"``.
    """

    def __init__(self, kind: str, *, key: str = "", text: str = "") -> None:
        type, message = _KINDS[kind]
        super().__init__(500, type, message.format(key=key, text=text))
        self.kind = kind


@dataclass(frozen=True, slots=True)
class PatchOutcome:
    """What a script left behind.

    Attributes:
        document: The document as the script left it, ``@metadata`` included; equal to what was given if it changed nothing.
        output: What it told ``output`` and ``console.log``, for ``debug=true``.
    """

    document: dict[str, JSON]
    output: list[str]


def run_patch(
    script: str,
    args: Mapping[str, JSON],
    document: dict[str, JSON],
    *,
    key: str,
    load: Callable[[str], dict[str, JSON] | None],
    put: Callable[..., str],
    delete: Callable[..., object],
) -> PatchOutcome:
    """Run a script on a document: `this` is the document, `args` (and ``$name``) are the values.

    ``id(document)``, ``getMetadata(document)``, ``lastModified(document)``, ``load(id or ids)``, ``put(id, document)``,
    ``del(id)``, ``output(...)`` and ``console.log`` exist as on RavenDB. Time and randomness stand still for one run.

    The engine can be stopped or can call Python, not both. So a script stops where it needs the storage, and starts anew, with
    the answers so far, when Python has done what it asked for; each `load`, `put` and `delete` is called once and in order.

    Args:
        script: The body of a function in JavaScript, in strict mode.
        args: The values.
        document: The document with its ``@metadata``; it is not changed.
        key: Its id.
        load: Returns a document with ``@metadata``, or None.
        put: Called with an id, which may be empty or end in a slash, a document, and its change vector if the script gives one;
            stores it and returns the id.
        delete: Called with an id, and a change vector if the script gives one; deletes the document, true if there was one.

    Raises:
        ScriptError: see there. What `load`, `put` and `delete` raise goes through.
    """
    task = {"form": "patch", "script": script, "args": dict(args), "document": document, "key": key}
    host: Host = {"load": _each(load), "put": put, "del": lambda *call: bool(delete(*call))}
    answer = _run(task, host, key=key)
    return PatchOutcome(answer["value"], answer["output"])


def project(source: str, arguments: Mapping[str, JSON], *, load: Callable[[str], dict[str, JSON] | None]) -> JSON:
    """Return the value of a program in JavaScript: of its last statement, which is an expression.

    Args:
        source: Declarations of functions, then the expression.
        arguments: The values of global variables.
        load: Returns a document with ``@metadata``, or None.

    Raises:
        ScriptError: see there.
    """
    task = {"form": "project", "script": source, "args": dict(arguments)}
    return _run(task, {"load": _each(load)}, key="")["value"]


def check_script(script: str) -> None:
    """Parse the script of a patch, and no more.

    Raises:
        ScriptError: it is none, or there is no engine.
    """
    _run({"form": "check", "script": script, "args": {}}, {}, key="")


def _each(load: Callable[[str], JSON]) -> Callable[[list[str]], list[JSON]]:
    return lambda keys: [load(key) for key in keys]


def _run(task: dict[str, JSON], host: Host, *, key: str) -> dict[str, Any]:
    """Run until the script needs nothing from outside any more."""
    task |= {"calls": [], "answers": [], "now": time.time_ns() // 1_000_000, "seed": random.getrandbits(32)}
    left = TIME_LIMIT
    while True:
        begun = time.thread_time()
        answer = _run_once(encode(task), left, key)
        left = max(left - (time.thread_time() - begun), TIME_LIMIT / 1000)
        if "error" in answer:
            raise ScriptError(answer["error"], key=key, text=answer["text"])
        if "call" not in answer:
            return answer
        name, *arguments = answer["call"]
        task["calls"].append(answer["said"])
        task["answers"].append(host[name](*arguments))


def _run_once(task: bytes, seconds: float, key: str) -> dict[str, Any]:
    try:
        import quickjs  # not at the top: everything but scripts works without it
    except ImportError as error:
        raise ScriptError("missing engine") from error
    context = quickjs.Context()
    context.set_max_stack_size(STACK_LIMIT)
    limit = MEMORY_LIMIT + COPIES * len(task)
    context.set_memory_limit(limit)
    context.set_time_limit(seconds)
    try:
        run = context.eval(SANDBOX)
        answer: dict[str, Any] = decode(run(task.decode(), _UNUSUAL.search(task) is not None).encode())
        if answer.get("text") == "null" and context.memory()["malloc_size"] > limit * 0.9:
            answer["error"] = "memory"  # the engine throws null where it has no room for an error
    except quickjs.JSException as error:
        # What scripts throw is caught in the sandbox. This is the engine: stopped, or without memory even to say so.
        raise ScriptError("timeout" if "interrupted" in str(error) else "memory", key=key) from error
    return answer
