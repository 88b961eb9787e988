"""URLs of servers."""

from __future__ import annotations

import pytest

from evsession.errors import ConfigurationError
from evsession.transport import Node, parse_urls


@pytest.mark.parametrize(
    ("url", "node", "shown"),
    [
        ("http://localhost", Node("http", "localhost", 8080), "http://localhost:8080"),
        ("http://localhost/", Node("http", "localhost", 8080), "http://localhost:8080"),
        ("https://db.example", Node("https", "db.example", 443), "https://db.example:443"),
        ("HTTP://DB.Example:81", Node("http", "db.example", 81), "http://db.example:81"),
        ("http://[::1]:9000/", Node("http", "::1", 9000), "http://[::1]:9000"),
        ("http://[fe80::1]", Node("http", "fe80::1", 8080), "http://[fe80::1]:8080"),
        ("http://m\u00fcller.example", Node("http", "xn--mller-kva.example", 8080), "http://xn--mller-kva.example:8080"),
    ],
)
def test_urls(url: str, node: Node, shown: str) -> None:
    assert parse_urls(url) == parse_urls([url, url]) == (node,)
    assert node.url == shown


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://localhost:8080/databases", "path '/databases'"),
        ("http://localhost?x=1", "query"),
        ("http://localhost/?", "query"),
        ("http://localhost/#a", "fragment"),
        ("localhost:8080", "neither http:// nor https://"),
        ("ftp://localhost", "neither http:// nor https://"),
        ("", "neither"),
        ("http://", "no host"),
        ("http://:80", "no host"),
        ("http://localhost:0", "0 is no port"),
        ("http://localhost:65536", "Port out of range"),
        ("http://localhost:x", "Port could not"),
        ("http://[::1", "Invalid IPv6"),
        ("http://local host", "space"),
        ("http://localhost\n", "control"),
        ("http://a\\b", "backslash"),
        (f"http://{'a' * 64}.example", "no host name"),
        (3, "int"),
    ],
)
def test_what_is_no_url(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        parse_urls([url])
    if isinstance(url, str):
        assert repr(url) in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@localhost",
        "http://user:secret@localhost:x",
        "http://user:sec/ret@localhost",
        "http://user:s\\ecret@localhost",
        "http://secret@localhost/a@b",
        "http://user:secret:1@localhost",
        "ftp://user:secret@localhost",
        "user:secret@localhost",
        "http://[secret@localhost",
        "http://user:[secret]@localhost:8080",
    ],
)
def test_credentials_are_refused_and_hidden(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_urls([url])
    told = f"{caught.value!r} {caught.value} {caught.value.__cause__!r}"
    assert "ecret" not in told
    assert "sec/" not in told


def test_no_url_and_mixed_schemes() -> None:
    with pytest.raises(ConfigurationError, match="no URL"):
        parse_urls([])
    with pytest.raises(ConfigurationError, match="either all URLs are https or none"):
        parse_urls(["https://a", "http://b"])
