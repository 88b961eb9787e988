"""What every store is: a place that sessions talk to, its settings and handlers, and the run in which operations take place.

Knows connections and runs. Which database answers, and what its sessions are, is known to the stores that inherit.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import isawaitable
from ssl import SSLContext
from types import TracebackType
from typing import Any, ClassVar, TypeVar, overload

import trio

from evsession.config import Conventions, Held, Options
from evsession.errors import ConfigurationError, SessionClosed
from evsession.session.events import Events, Listening
from evsession.session.gate import Gate
from evsession.session.runtime import Runtime
from evsession.session.works import refuse_generator
from evsession.transport import HTTPTransport, Node, build_ssl_context, parse_urls
from evsession.transport.nodes import DEFAULT_LOGIN, DEFAULT_PORTS
from evsession.wire.transport import Transport

__all__ = ["Endpoint", "State"]

S = TypeVar("S", bound="Endpoint")
T = TypeVar("T")


class State(enum.Enum):
    """CONFIGURING -> READY <-> RUNNING."""

    CONFIGURING = "not initialized"
    READY = "not running"
    RUNNING = "running"


class Endpoint(Listening):
    """A server or cluster as sessions see it; `Store` and `GraphStore` are made of it."""

    _ports: ClassVar[Mapping[str, int]] = DEFAULT_PORTS
    """The port of each scheme where a URL names none."""

    _login: ClassVar[str] = DEFAULT_LOGIN
    """What to say to somebody who wrote credentials into a URL."""

    conventions = Held(Conventions)
    options = Held(Options)

    def __init__(
        self,
        urls: str | Sequence[str] | None,
        host: str | None,
        port: int | None,
        *,
        certificate: str | tuple[str, str] | None,
        ca_file: str | None,
        ssl_context: SSLContext | None,
        transport: Transport | None,
        conventions: Conventions | Mapping[str, Any] | None,
        options: Options | Mapping[str, Any] | None,
    ) -> None:
        self._nodes: tuple[Node, ...] = ()
        if transport is None:
            self._nodes = parse_urls(_urls(urls, host, port), ports=self._ports, login=self._login)
        elif (urls, host, port) != (None, None, None):
            raise ConfigurationError("a transport says itself where it goes: give no urls, host or port")
        if ssl_context is not None and not isinstance(ssl_context, SSLContext):
            raise ConfigurationError(f"an ssl_context is one of the module ssl, not {ssl_context!r}")
        self._ssl_context = ssl_context
        if certificate is not None or ca_file is not None:
            if not all(node.scheme == "https" for node in self._nodes):
                raise ConfigurationError("certificate and ca_file are for https, but the URL is one of http")
            if ssl_context is not None and ca_file is not None:
                raise ConfigurationError("an ssl_context says itself whom it trusts: give no ca_file beside it")
            self._ssl_context = build_ssl_context(ssl_context, ca_file=ca_file, certificate=certificate)
        self._own_transport = transport
        self.conventions = conventions
        self.options = options
        self._events = Events()
        self._gate = Gate()
        self._state = State.CONFIGURING
        self._live: tuple[Runtime, Transport] | None = None
        self._scope: AbstractAsyncContextManager[None] | None = None

    def initialize(self: S) -> S:
        """Freeze conventions, options and handlers, and return the store; entering or running it does the same."""
        if self._state is State.CONFIGURING:
            self.conventions._freeze()
            self.options._freeze()
            self._state = State.READY
        return self

    async def __aenter__(self: S) -> S:
        """Start to run.

        Raises:
            ConfigurationError: it runs already.
        """
        if self._scope is not None:
            raise ConfigurationError("this store is running already")
        scope = self._scope = self._run_scope()
        try:
            await scope.__aenter__()
        except BaseException:
            self._scope = None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        scope, self._scope = self._scope, None
        assert scope is not None
        return await scope.__aexit__(kind, error, traceback)  # noqa: ASYNC102 - what must be shielded there is

    @asynccontextmanager
    async def _run_scope(self) -> AsyncIterator[None]:
        self.initialize()
        transport = self._own_transport or HTTPTransport([node.url for node in self._nodes], self.options, self._ssl_context)
        try:
            await self._get_ready()
            async with Runtime.open() as runtime:
                self._live, self._state = (runtime, transport), State.RUNNING
                yield
                await self._gate.wait()
                await self._say_goodbye(transport)
        finally:
            self._live, self._state = None, State.READY
            with trio.CancelScope(shield=True):
                await transport.aclose()

    async def _get_ready(self) -> None:
        """Do what must be done before anything can be sent."""

    async def _say_goodbye(self, transport: Transport) -> None:
        """Tell the server what it should know at the end of a run that succeeded."""

    @overload
    def run(self, main: Callable[..., Awaitable[T]], *args: Any) -> T: ...
    @overload
    def run(self, main: Callable[..., T], *args: Any) -> T: ...
    def run(self, main: Callable[..., Any], *args: Any) -> Any:
        """Start trio, run `main`, and return its result once every operation and callback is done.

        `main` is a plain or an async function. Ctrl-C stops everything and leaves as KeyboardInterrupt.
        """
        refuse_generator(main)

        async def run_main() -> Any:
            async with self:
                result = main(*args)
                return await result if isawaitable(result) else result

        return trio.run(run_main)

    def _running(self) -> tuple[Runtime, Transport]:
        if self._live is None or self._live[0].is_ended:
            raise SessionClosed(f"this store is {self._state.value}: use 'async with store' or store.run(main)")
        self._live[0].check_thread()
        return self._live

    def _check_listening(self) -> None:
        if self._state is not State.CONFIGURING:
            raise ConfigurationError("the store's handlers are frozen since it was initialized; add them before, or to a session")

    def _check_initialized(self) -> None:
        if self._state is State.CONFIGURING:
            raise ConfigurationError("initialize the store before opening a session: store.initialize(), 'async with' or run()")

    def _where(self) -> str:
        return ", ".join(node.url for node in self._nodes) or repr(self._own_transport)


def _urls(urls: str | Sequence[str] | None, host: str | None, port: int | None) -> Sequence[str]:
    if urls is not None:
        if host is not None or port is not None:
            raise ConfigurationError("give either urls or host and port, not both")
        if not isinstance(urls, (str, Sequence)):
            raise ConfigurationError(f"urls is a URL or a list of them, not {urls!r}")
        return [urls] if isinstance(urls, str) else list(urls)
    if host is None and port is None:
        raise ConfigurationError("where is the server? Give urls, host, or a transport")
    host = "localhost" if host is None else host
    literal = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return [f"http://{literal}" if port is None else f"http://{literal}:{port}"]
