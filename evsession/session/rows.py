"""Results of any size, one item at a time, whoever makes the items. Nothing is remembered."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import trio

from evsession.errors import SessionClosed, SessionError
from evsession.session.callbacks import Callback
from evsession.session.operation import Operation, Owner, Steps, pass_uncertainty_on
from evsession.session.streaming import Streaming
from evsession.session.works import Work

__all__ = ["Rows", "consume"]

E = TypeVar("E")
R = TypeVar("R", bound="Rows[Any]")


class Rows(Streaming, Generic[E]):
    """An asynchronous iterator over an answer that is read in pieces; what inherits knows how to ask and how to read."""

    name = "stream"

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner)
        self._items: deque[E] = deque()
        self._made = 0
        self._is_ended = False
        self._filling: trio.CancelScope | None = None
        self._broken: SessionError | None = None

    @property
    def count(self) -> int:
        """How many were given so far."""
        return self._made - len(self._items)

    def __aiter__(self: R) -> R:
        return self

    async def __anext__(self) -> E:
        try:
            # Nearly every item is there already: one coroutine and one call in C for each.
            return self._items.popleft() if self._items else await self.take()
        except SessionError as error:
            self._tell(error)
            raise

    async def take(self) -> E:
        """Return the next item, or raise StopAsyncIteration; handlers are not told of a failure."""
        while not self._items:
            if self._go_on():
                continue
            if self._broken is not None:
                await trio.lowlevel.checkpoint()
                raise self._broken
            if self._is_ended:
                await trio.lowlevel.checkpoint()
                raise StopAsyncIteration
            if self._filling is not None:
                raise trio.BusyResourceError("another task is waiting for this stream's next item; one task at a time")
            try:
                with trio.CancelScope() as self._filling:
                    async with self._guarded():
                        await self._fill()
            except SessionError as error:
                self._break(error)
                raise
            except BaseException:
                self._pass_uncertainty_on()
                # Never an end that looks like the end of the items.
                self._stop_short("the stream was cut off while it waited for the server")
                raise
            finally:
                self._filling = None
        return self._items.popleft()

    def _may_have_written(self) -> bool:
        """Return whether what was sent may have changed the database; a stream that is no query's says so."""
        return False

    def _pass_uncertainty_on(self) -> None:
        """Let an operation that is cut off with this stream say what may have happened."""
        if self._may_have_written():
            pass_uncertainty_on()

    def _stop_short(self, why: str) -> None:
        """Fail from now on; nobody knows what the server makes of what it was asked."""
        self._break(SessionClosed(why, operation=self.name, uncertain=self._may_have_written()))

    def _break(self, error: SessionError) -> None:
        """Fail from now on, with what has failed first."""
        self._broken = self._broken or error

    def _go_on(self) -> bool:
        """Make items of some of what has come already; return whether there was any."""
        return False

    async def _fill(self) -> None:
        """Wait for more items, or for the end; what inherits does it."""

    def _add(self, items: Iterable[E]) -> None:
        """Keep more items; those that were made before a failure count."""
        before = len(self._items)
        try:
            self._items.extend(items)
        finally:
            self._made += len(self._items) - before

    def _end(self) -> None:
        """Know that everything was read."""
        super().close()
        self._is_ended = True

    def cut_off(self) -> None:
        """End the stream because its session ends; who waits for more, or asks later, is told so."""
        if not self._is_ended:
            why = f"the session was closed before its stream had ended, which gave {self.count} until then"
            self._stop_short(why)
            self.close()
            if self._filling is not None:
                self._filling.cancel()

    def close(self) -> None:
        """End the stream; what had come and was not given is dropped. Never waits."""
        self._is_ended = True
        self._made -= len(self._items)
        self._items.clear()
        super().close()

    async def aclose(self) -> None:
        """Do the same; for `contextlib.aclosing`."""
        self.close()
        await trio.lowlevel.checkpoint()

    def __del__(self) -> None:
        # Leaving "async for" early drops the stream without a word; that is no mistake worth a warning.
        if getattr(self, "_exchange", None) is not None:
            self.close()


def consume(
    owner: Owner, build: Callable[[], Rows[Any]], name: str, on_item: Callable[[Any], object] | None, callback: Callback | None
) -> Operation[int]:
    """Return the operation that reads a whole stream.

    Args:
        owner: Whose stream it is.
        build: Makes the stream, or says what is wrong with it.
        name: The name of the next argument, for people.
        on_item: Called with each item; plain or async.
        callback: Called with the error and the number of items.
    """

    def steps() -> Steps:
        if on_item is not None and not callable(on_item):
            raise TypeError(f"{name} must be callable, not {on_item!r}")
        stream = build()
        yield _Consumption(stream, on_item)
        return (stream.count,)

    return Operation(owner, Rows.name, steps(), callback, 1, timed=False)


class _Consumption:
    """The pause of an operation while its stream is read."""

    def __init__(self, stream: Rows[Any], on_item: Callable[[Any], object] | None) -> None:
        self._stream = stream
        self._on_item = on_item
        self._work = Work(stream._owner, stream.name)

    async def wait(self) -> None:
        """Read to the end."""
        await self._work.run(self._read)

    async def _read(self) -> None:
        stream = self._stream
        try:
            while True:
                try:
                    item = await stream.take()
                except StopAsyncIteration:
                    return
                result = None if self._on_item is None else self._on_item(item)
                if inspect.iscoroutine(result):
                    await result
                await trio.lowlevel.checkpoint_if_cancelled()  # the items that are there already come without one
        except trio.Cancelled:
            stream._pass_uncertainty_on()
            raise
        finally:
            stream.close()
