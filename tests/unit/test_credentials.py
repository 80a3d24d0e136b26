"""The one key a request carries, whichever form its SDK sends."""

import pytest

from qlaud.core.credentials import read_secret
from qlaud.core.errors import ConflictingCredentials, InvalidKey, MissingKey, QlaudError

K = "qlk_live_" + "0a" * 32
OTHER = "qlk_test_" + "0b" * 32
RAW, SECOND = K.encode(), OTHER.encode()


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-api-key", RAW)],
        [(b"authorization", b"Bearer " + RAW)],
        [(b"authorization", b"bearer  " + RAW + b" ")],
        [(b"authorization", b"Token " + RAW)],
        [(b"xi-api-key", RAW)],
        [(b"x-goog-api-key", RAW)],
        [(b"api-key", RAW)],
        [(b"x-api-key", b""), (b"authorization", b"Bearer " + RAW)],
        [(b"x-api-key", RAW), (b"authorization", b"Bearer ")],
        [(b"authorization", b"Basic dXNlcjpwYXNz"), (b"x-api-key", RAW)],
        [(b"x-api-key", RAW), (b"api-key", RAW), (b"x-api-key", RAW)],
    ],
)
def test_every_form_gives_the_key(headers: list[tuple[bytes, bytes]]) -> None:
    assert read_secret(headers, "/v1/messages") == K


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([], MissingKey),
        ([(b"x-api-key", b" ")], MissingKey),
        ([(b"authorization", b"Basic dXNlcjpwYXNz")], MissingKey),
        ([(b"authorization", RAW)], MissingKey),
        ([(b"x-api-key", RAW[:-1])], InvalidKey),
        ([(b"x-api-key", RAW + b"0")], InvalidKey),
        ([(b"x-api-key", RAW + b"\n0")], InvalidKey),
        ([(b"x-api-key", RAW.upper())], InvalidKey),
        ([(b"x-api-key", b"\xff\xfe")], InvalidKey),
        ([(b"x-api-key", b"sk-ant-1")], InvalidKey),
        ([(b"x-api-key", RAW), (b"authorization", b"Bearer " + SECOND)], ConflictingCredentials),
        ([(b"x-api-key", RAW), (b"x-api-key", SECOND)], ConflictingCredentials),
        ([(b"x-api-key", RAW), (b"authorization", b"Bearer sk-1")], ConflictingCredentials),
    ],
)
def test_no_key_a_broken_key_and_two_keys_are_told_apart(
    headers: list[tuple[bytes, bytes]], error: type[QlaudError]
) -> None:
    with pytest.raises(error) as raised:
        read_secret(headers, "/v1/messages")
    assert "qlk_" not in str(raised.value)


def test_the_query_is_read_on_googles_paths_only() -> None:
    query = b"alt=sse&key=" + RAW
    for path in ("/v1beta/models/gemini:generateContent", "/google/v1beta/models"):
        assert read_secret([], path, query) == K
        assert read_secret([(b"x-goog-api-key", RAW)], path, query) == K
        with pytest.raises(ConflictingCredentials):
            read_secret([(b"x-goog-api-key", SECOND)], path, query)
        with pytest.raises(MissingKey):
            read_secret([], path, b"alt=sse&monkey=" + RAW)
    for path in ("/v1/messages", "/v1beta", "/googles/x", "/v1/v1beta/x"):
        with pytest.raises(MissingKey):
            read_secret([], path, query)
        assert read_secret([(b"x-api-key", SECOND)], path, query) == OTHER
