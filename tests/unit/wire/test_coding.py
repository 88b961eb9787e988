"""gzip in pieces, members, bombs and fragments."""

from __future__ import annotations

import gzip
import zlib

import pytest

from evsession.errors import ProtocolError
from evsession.wire.coding import Decoder, decoder_for

PLAIN = b"".join(b"%d," % number for number in range(5000))
PACKED = gzip.compress(PLAIN)


def drain(decoder: Decoder, data: bytes, limit: int) -> bytes:
    pieces = [decoder.feed(data, limit)]
    while decoder.pending:
        pieces.append(decoder.feed(b"", limit))
    assert all(len(piece) <= limit for piece in pieces)
    return b"".join(pieces)


def gzip_decoder() -> Decoder:
    decoder = decoder_for("gzip")
    assert decoder is not None
    return decoder


@pytest.mark.parametrize("limit", [1, 7, 258, 1000, 100_000])
@pytest.mark.parametrize("size", [1, 13, 100_000])
def test_pieces_of_any_size(limit: int, size: int) -> None:
    decoder = gzip_decoder()
    data = PACKED + PACKED
    plain = b"".join(drain(decoder, data[start : start + size], limit) for start in range(0, len(data), size))
    decoder.finish()
    assert plain == PLAIN + PLAIN


@pytest.mark.parametrize("limit", range(1, 300))
def test_nothing_is_left_inside_at_the_limit(limit: int) -> None:
    decoder = gzip_decoder()
    assert drain(decoder, gzip.compress(bytes(2000)), limit) == bytes(2000)
    decoder.finish()


def test_a_bomb_is_opened_no_further_than_the_limit() -> None:
    decoder = gzip_decoder()
    assert len(decoder.feed(gzip.compress(bytes(50_000_000)), 1000)) == 1000
    assert decoder.pending


@pytest.mark.parametrize("cut", [1, 9, 10, 20, len(PACKED) - 8, len(PACKED) - 1])
def test_a_cut_body_is_not_taken_for_a_whole_one(cut: int) -> None:
    decoder = gzip_decoder()
    drain(decoder, PACKED[:cut], 100_000)
    with pytest.raises(ProtocolError, match="ends early"):
        decoder.finish()


@pytest.mark.parametrize("data", [b"plain text", zlib.compress(PLAIN), PACKED + b"trailing", PACKED[:-8] + b"x" * 8])
def test_what_is_no_gzip(data: bytes) -> None:
    decoder = gzip_decoder()
    with pytest.raises(ProtocolError, match="not the gzip"):
        drain(decoder, data, 100_000)


def test_no_body_is_no_broken_body() -> None:
    gzip_decoder().finish()


@pytest.mark.parametrize(("codings", "known"), [("", False), ("identity", False), (" GZIP ", True), ("x-gzip", True)])
def test_known_codings(codings: str, known: bool) -> None:
    assert (decoder_for(codings) is not None) is known


@pytest.mark.parametrize("codings", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br"])
def test_unknown_codings(codings: str) -> None:
    with pytest.raises(ProtocolError, match="unknown Content-Encoding"):
        decoder_for(codings)
