"""Certificates, good and bad, and HTTP under TLS."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme

from evsession.errors import ConnectionFailed
from evsession.testing import ScriptedServer, Step, answer, close, forever, read_head, read_request, reset, send, stall
from evsession.transport import build_ssl_context
from evsession.wire.message import Request
from evsession.wire.transport import Trail
from tests.faults.wire import GET, OK, PUT, Watched, slots, transport_to


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_context(authority: trustme.CA, name: str = "127.0.0.1", *, asks_for_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    if asks_for_client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_requests_over_tls_share_a_connection(authority: trustme.CA, ca_file: Path) -> None:
    context = build_ssl_context(ca_file=ca_file)
    async with ScriptedServer([forever(answer(b"ok"))], ssl_context=server_context(authority)) as server:
        async with transport_to(server.url, ssl_context=context) as transport:
            body = bytes(range(256)) * 10_000
            for request in (GET, PUT, Request("PUT", "/large", body, writes=True), GET):
                assert (await transport.send(request, Trail())).body == b"ok"
            assert server.connections == 1
            assert server.requests[2].body == body


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_uploads_over_tls_are_not_stopped_by_session_tickets(
    authority: trustme.CA, ca_file: Path, version: ssl.TLSVersion
) -> None:
    server_side = server_context(authority)
    server_side.maximum_version = version
    async with ScriptedServer([answer(b"ok")], ssl_context=server_side) as server:
        async with transport_to(server.url, ssl_context=build_ssl_context(ca_file=ca_file)) as transport:
            exchange = await transport.open(PUT, Trail(), streams_body=True)
            await trio.testing.wait_all_tasks_blocked(0.01)
            for _ in range(3):
                assert await exchange.send(b"x" * 100_000)
            assert await exchange.read() == b"ok"
            assert len(server.requests[0].body) == 300_000


async def test_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    async with ScriptedServer([answer(b"ok")], ssl_context=server_context(authority)) as server:
        async with transport_to(server.url) as transport:
            with pytest.raises(ConnectionFailed, match=r"certificate was refused.*local issuer") as caught:
                await transport.send(PUT, Trail())
            assert not caught.value.uncertain
            assert server.url in caught.value.message


async def test_another_host_name_is_refused(authority: trustme.CA, ca_file: Path) -> None:
    async with ScriptedServer([answer(b"ok")], ssl_context=server_context(authority, "db.example")) as server:
        async with transport_to(server.url, ssl_context=build_ssl_context(ca_file=ca_file)) as transport:
            with pytest.raises(ConnectionFailed, match=r"not valid for '127\.0\.0\.1'"):
                await transport.send(GET, Trail())


async def test_a_refused_certificate_moves_on_to_the_next_node(authority: trustme.CA, ca_file: Path) -> None:
    context = build_ssl_context(ca_file=ca_file)
    bad, good = server_context(authority, "db.example"), server_context(authority)
    async with (
        ScriptedServer([answer(b"a")], ssl_context=bad) as first,
        ScriptedServer([answer(b"b")], ssl_context=good) as second,
    ):
        async with transport_to([first.url, second.url], ssl_context=context) as transport:
            assert (await transport.send(PUT, Trail())).body == b"b"


@pytest.mark.parametrize("form", ["pem", "pair"])
async def test_a_client_certificate(authority: trustme.CA, ca_file: Path, tmp_path: Path, form: str) -> None:
    issued = authority.issue_cert("client@example.org")
    pem, cert, key = tmp_path / "client.pem", tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(pem))
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    context = build_ssl_context(ca_file=ca_file, certificate=pem if form == "pem" else (cert, key))
    async with ScriptedServer([answer(b"ok")], ssl_context=server_context(authority, asks_for_client=True)) as server:
        async with transport_to(server.url, ssl_context=context) as transport:
            assert (await transport.send(GET, Trail())).body == b"ok"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_missing_client_certificate_is_named(authority: trustme.CA, ca_file: Path, version: ssl.TLSVersion) -> None:
    # Not a ScriptedServer: trio's server side closes without the alert that OpenSSL has ready.
    server_side = server_context(authority, asks_for_client=True)
    server_side.maximum_version = version

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client, pytest.raises(ssl.SSLError):
            server_side.wrap_socket(client, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        async with transport_to(url, ssl_context=build_ssl_context(ca_file=ca_file)) as transport, trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, serve, listener)
            with pytest.raises(ConnectionFailed, match="does the server ask for a client certificate"):
                await transport.send(GET, Trail())


async def test_http_spoken_to_a_tls_server_and_the_other_way_round(authority: trustme.CA, ca_file: Path) -> None:
    context = build_ssl_context(ca_file=ca_file)
    async with ScriptedServer([read_head(), stall()], ssl_context=server_context(authority)) as server:
        async with transport_to(server.url.replace("https", "http")) as transport:
            with pytest.raises(ConnectionFailed):
                await transport.send(GET, Trail())
    async with ScriptedServer([send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), close()]) as server:
        async with transport_to(server.url.replace("http", "https"), ssl_context=context) as transport:
            with pytest.raises(ConnectionFailed, match=r"TLS|reset"):
                await transport.send(GET, Trail())


@pytest.mark.parametrize("ending", [close(), reset(), send(b"HTTP/1.1 408 Timeout\r\n\r\n")], ids=["close", "reset", "unasked"])
async def test_a_stale_idle_connection_under_tls(authority: trustme.CA, ca_file: Path, ending: Step) -> None:
    context = build_ssl_context(ca_file=ca_file)
    first = [answer(b"1"), ending, stall()]
    server_side = server_context(authority)
    async with ScriptedServer(first, [answer(b"2")], ssl_context=server_side) as server:
        async with transport_to(server.url, ssl_context=context) as transport:
            await transport.send(PUT, Trail())
            await trio.testing.wait_all_tasks_blocked(0.01)
            trail = Watched()
            assert (await transport.send(PUT, trail)).body == b"2"
            assert trail.names == ["request", "response"]
            assert len(server.requests) == 2


@pytest.mark.parametrize("cut", [0, 10, len(OK) - 1])
async def test_an_answer_cut_under_tls(authority: trustme.CA, ca_file: Path, cut: int) -> None:
    context = build_ssl_context(ca_file=ca_file)
    for ending in (close(), reset()):
        steps = [read_request(), send(OK[:cut]), ending]
        async with ScriptedServer(steps, ssl_context=server_context(authority)) as server:
            async with transport_to(server.url, ssl_context=context) as transport:
                with pytest.raises(ConnectionFailed) as caught:
                    await transport.send(PUT, Trail())
                assert caught.value.uncertain
                assert slots(transport)["taken"] == 0


async def test_an_early_refusal_under_tls_is_heard(authority: trustme.CA, ca_file: Path) -> None:
    context = build_ssl_context(ca_file=ca_file)
    refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nmuch"
    large = Request("PUT", "/docs", bytes(30_000_000), writes=True)
    steps = [read_head(), send(refusal), reset()]
    async with ScriptedServer(steps, ssl_context=server_context(authority)) as server:
        async with transport_to(server.url, ssl_context=context) as transport:
            for _ in range(3):
                response = await transport.send(large, Trail())
                assert (response.status, response.body) == (413, b"much")


async def test_cancelling_the_handshake_frees_the_slot(ca_file: Path) -> None:
    async with ScriptedServer([stall()]) as server:
        url = server.url.replace("http", "https")
        async with transport_to(url, ssl_context=build_ssl_context(ca_file=ca_file)) as transport:
            with trio.move_on_after(0.02) as scope:
                await transport.send(GET, Trail())
            assert scope.cancelled_caught
            assert slots(transport)["taken"] == 0
