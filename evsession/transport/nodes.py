"""Nodes: the servers that the caller named. Knows URLs, opens nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

import msgspec

from evsession.errors import ConfigurationError

__all__ = ["DEFAULT_LOGIN", "DEFAULT_PORTS", "Node", "parse_urls"]

DEFAULT_PORTS = {"http": 8080, "https": 443}
"""RavenDB listens on 8080 unless it is told otherwise; secured servers are usually set up on HTTPS' own port."""

DEFAULT_LOGIN = "RavenDB knows clients by their certificate"

_UNPRINTABLE = r"[\x00-\x20\x7f\\]"


class Node(msgspec.Struct, frozen=True):
    """One server.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        host: Lower case, without the brackets of an IPv6 address; an international name is in its ASCII form.
        port: From 1 to 65,535.
    """

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as in a URL and in the Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return f"{self.scheme}://{self.authority}"


def parse_urls(
    urls: str | Sequence[str], *, ports: Mapping[str, int] = DEFAULT_PORTS, login: str = DEFAULT_LOGIN
) -> tuple[Node, ...]:
    """Return the nodes that the URLs name, in order and without repetition.

    Args:
        urls: Each is a scheme (http or https), a host and optionally a port.
        ports: The port of each scheme where a URL names none.
        login: How clients log in instead of by credentials in a URL, for the message.

    Raises:
        ConfigurationError: naming the URL that is none, without the credentials that it may hold; also for no URL at all,
            and for http and https side by side, since failing over must not silently end encryption.
    """
    nodes = tuple(dict.fromkeys(_parse(url, ports, login) for url in ([urls] if isinstance(urls, str) else urls)))
    if not nodes:
        raise ConfigurationError("no URL was given")
    if len({node.scheme for node in nodes}) > 1:
        raise ConfigurationError(f"either all URLs are https or none: {', '.join(node.url for node in nodes)}")
    return nodes


def _parse(url: object, ports: Mapping[str, int], login: str) -> Node:
    if not isinstance(url, str):
        raise ConfigurationError(f"a URL is a string, not {type(url).__name__}")
    # Checked before anything can quote it in a message.
    if "@" in url:
        _refuse(_without_credentials(url), f"credentials do not belong in it; {login}")
    # urlsplit drops tabs and line ends without a word.
    if re.search(_UNPRINTABLE, url):
        _refuse(url, "a space, a backslash or a control character is in it")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        _refuse(url, str(error), error)
    _check_parts(url, parts)
    if not host:
        _refuse(url, "there is no host in it")
    return Node(parts.scheme, _ascii_host(url, host), _checked_port(url, port, ports[parts.scheme]))


def _check_parts(url: str, parts: SplitResult) -> None:
    if parts.scheme not in DEFAULT_PORTS:
        _refuse(url, "it starts with neither http:// nor https://")
    if parts.path not in ("", "/"):
        _refuse(url, f"the path {parts.path!r} is in it; only scheme, host and port belong there")
    if "?" in url or "#" in url:
        _refuse(url, "a query or a fragment is in it; only scheme, host and port belong there")


def _ascii_host(url: str, host: str) -> str:
    if ":" in host:
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        _refuse(url, f"{host!r} is no host name", error)


def _checked_port(url: str, port: int | None, default: int) -> int:
    if port == 0:
        _refuse(url, "0 is no port")
    return port or default


def _refuse(url: str, reason: str, cause: Exception | None = None) -> NoReturn:
    raise ConfigurationError(f"{url!r} is not the URL of a server: {reason}") from cause


def _without_credentials(url: str) -> str:
    # All up to the last "@" may be one: a password with a slash in it would look like a path.
    scheme, separator, _ = url.partition("://")
    return f"{scheme + separator if scheme.lower() in DEFAULT_PORTS else ''}***@{url.rpartition('@')[2]}"
