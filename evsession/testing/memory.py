"""An embedded server in memory for tests: any number of stores on it, and a port if one is wanted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import trio

from evsession.config import Conventions, Options
from evsession.embedded.app import App
from evsession.embedded.serve import Server
from evsession.embedded.transport import EmbeddedTransport
from evsession.session.documents.store import Store

__all__ = ["MemoryServer"]


class MemoryServer:
    """The embedded server with its documents in memory; a context manager, which forgets them at its end.

    ::

        with MemoryServer() as server:
            server.store().run(main)                # in this process, without a port

            with server.serving() as url:           # and for other programs
                subprocess.run(["my-program", url])

    Attributes:
        app: What answers, for `evsession.embedded`.
    """

    def __init__(self) -> None:
        self.app = App()

    def __enter__(self) -> MemoryServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything. Stores on it must have ended."""
        self.app.close()

    def store(
        self,
        database: str = "default",
        *,
        conventions: Conventions | Mapping[str, Any] | None = None,
        options: Options | Mapping[str, Any] | None = None,
    ) -> Store:
        """Return a store on a database, which is made if it is missing. It does not run yet."""
        settings = options if isinstance(options, Options) else Options(options)
        transport = EmbeddedTransport(self.app, settings)
        transport.prepare(database)
        return Store(database=database, transport=transport, conventions=conventions, options=settings)

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        """Serve on loopback from a thread of its own, and give the URL; 0 takes a free port."""
        started: list[tuple[str, Server, trio.lowlevel.TrioToken]] = []
        failures: list[OSError] = []
        ready = threading.Event()

        async def serve() -> None:
            listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
            url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            server = Server(self.app)
            started.append((url, server, trio.lowlevel.current_trio_token()))
            ready.set()
            await server.run(listeners)

        def run() -> None:
            try:
                trio.run(serve)
            except OSError as error:
                failures.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=run, name="evsession memory server", daemon=True)
        thread.start()
        ready.wait()
        if not started:
            raise OSError(f"port {port} of 127.0.0.1 cannot be listened on: {failures}")
        url, server, token = started[0]
        try:
            yield url
        finally:
            trio.from_thread.run_sync(server.stop, trio_token=token)
            thread.join()
