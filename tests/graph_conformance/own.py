"""A Neo4j of one's own, to be stopped and killed, where EVSESSION_NEO4J_SERVER names the program that starts one.

``PROGRAM up --port N --version V --data DIR`` starts it in the background, ``PROGRAM down --port N`` stops it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

BOLT = 213
"""How far the port of Bolt is above that of HTTP."""


class OwnServer:
    """One server, whose data lasts when it ends.

    Attributes:
        port: Of HTTP.
        url: Of HTTP.
    """

    def __init__(self, program: str, version: str, data: Path, *settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._program = program
        self._arguments = ["--port", str(self.port), "--version", version, "--data", str(data)]
        for setting in settings:
            self._arguments += ["--set", setting]

    def up(self) -> None:
        """Start it, and wait until it answers; whether it asks for a login does not matter."""
        starting = subprocess.Popen([self._program, "up", *self._arguments], stdout=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 120
            while not self._answers():
                assert time.monotonic() < until, "the server does not start"
                assert starting.poll() in (None, 0), "the server cannot be started"
                time.sleep(0.1)
        finally:
            starting.kill()  # which is not the server, but waits for it
            starting.wait()

    def down(self) -> None:
        """Stop it, as one stops a server."""
        subprocess.run([self._program, "down", "--port", str(self.port)], check=True)
        while self._listens():
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as a power failure would."""
        os.kill(self._process(), signal.SIGKILL)

    def _process(self) -> int:
        """Return the process that listens."""
        marks = {f"{self.port:04X}"}
        inodes = set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in Path(table).read_text().splitlines()[1:]:
                parts = line.split()
                if parts[1].rpartition(":")[2] in marks and parts[3] == "0A":
                    inodes.add(f"socket:[{parts[9]}]")
        for link in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.readlink(link) in inodes:
                    return int(link.parts[2])
            except OSError:
                continue
        raise AssertionError("nobody listens")

    def _listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def _answers(self) -> bool:
        body = json.dumps({"statement": "RETURN 1"}).encode()
        request = urllib.request.Request(f"{self.url}/db/neo4j/query/v2", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return bool(answer.status == 202)
        except urllib.error.HTTPError as error:
            with error:
                return error.code == 401
        except OSError:
            return False


def free_port() -> int:
    """Return a port that is free, as is the one that Bolt then has; none of those that the system gives to connections."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as http, socket.socket() as bolt, suppress(OSError):
            http.bind(("127.0.0.1", port))
            bolt.bind(("127.0.0.1", port + BOLT))
            return port
    raise AssertionError("no port is free")
