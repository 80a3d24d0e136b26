"""Compressed answers: what the tap gets to read, and whether it can say that it saw everything."""

import gzip

from qlaud.flows.decoding import decoder_for

TEXT = b'{"usage":{"input_tokens":3}}'
GZIP = ((b"content-encoding", b"gzip"),)


def test_a_whole_compressed_body_is_read_and_nothing_was_missed() -> None:
    decoder = decoder_for(GZIP)
    body = gzip.compress(TEXT)
    assert b"".join(decoder.decode(body[at : at + 5]) for at in range(0, len(body), 5)) == TEXT
    assert not decoder.blind


def test_a_broken_compressed_body_is_known_to_be_unread() -> None:
    decoder = decoder_for(GZIP)
    assert decoder.decode(b"\x1f\n\nnot gzip") == b""
    assert decoder.blind


def test_an_encoding_nobody_asked_for_is_known_to_be_unread() -> None:
    decoder = decoder_for(((b"content-encoding", b"br"),))
    assert decoder.decode(TEXT) == b""
    assert decoder.blind


def test_a_plain_body_is_never_unread() -> None:
    decoder = decoder_for(())
    assert decoder.decode(TEXT) == TEXT
    assert not decoder.blind
