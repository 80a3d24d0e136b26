"""Compressed answers, made readable for the tap."""

import gzip
import zlib

import pytest

from qlaud.flows import decoding
from qlaud.flows.decoding import decoder_for

TEXT = b'{"usage":{"output_tokens":40}}' * 50


@pytest.mark.parametrize(
    ("encoding", "body"),
    [(b"gzip", gzip.compress(TEXT)), (b" GZIP ", gzip.compress(TEXT)), (b"deflate", zlib.compress(TEXT))],
)
def test_a_body_is_read_whatever_its_chunks(encoding: bytes, body: bytes) -> None:
    decoder = decoder_for([(b"content-encoding", encoding)])
    assert b"".join(decoder.decode(body[at : at + 1]) for at in range(len(body))) == TEXT
    assert not decoder.blind


def test_a_plain_body_is_itself() -> None:
    assert decoder_for([]).decode(TEXT) is TEXT


def test_an_encoding_nobody_asked_for_is_not_read_and_says_so() -> None:
    decoder = decoder_for([(b"content-encoding", b"br")])
    assert decoder.decode(TEXT) == b""
    assert decoder.blind


def test_a_broken_body_is_read_up_to_where_it_broke() -> None:
    decoder = decoder_for([(b"content-encoding", b"gzip")])
    assert decoder.decode(b"this is no gzip") == b""
    assert decoder.blind
    assert decoder.decode(gzip.compress(TEXT)) == b""


def test_a_bomb_stops_being_read_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "DECODED_LIMIT_BYTES", 1_000)
    decoder = decoder_for([(b"content-encoding", b"gzip")])
    assert len(decoder.decode(gzip.compress(b"x" * 1_000_000))) == 1_000
    assert decoder.blind
    assert decoder.decode(b"more") == b""
