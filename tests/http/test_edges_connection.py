"""What a connection may do to us, byte by byte: framing, upgrades, pipelines, slow and oversized requests."""

import json
import time

import pytest
from tests.support.gateway import Gateway, MintedKey, until
from tests.support.rawhttp import Closed, RawConnection, Reply, connected, request

MESSAGES = "/v1/messages"
BODY_LIMIT = 33_554_432


def ask(text: str = "hi", **fields: object) -> bytes:
    """A body for `/v1/messages`."""
    asked = {"model": "sim/echo", "max_tokens": 50, "messages": [{"role": "user", "content": text}]}
    return json.dumps({**asked, **fields}).encode()


def said(reply: Reply) -> str:
    assert reply.status == 200, reply
    return reply.json["content"][0]["text"]


def check_refused(reply: Reply, status: int, code: str) -> str:
    """The message of an error with a request id, in Anthropic's shape."""
    assert (reply.status, reply.json["error"]["code"]) == (status, code), reply
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"] == reply.headers["request-id"] == reply.json["request_id"]
    return reply.json["error"]["message"]


def drip(connection: RawConnection, *, for_s: float) -> None:
    """Send a byte now and then, as a slow attacker does."""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        connection.send(b" ")
        time.sleep(0.05)  # sleep: the pace is what is tested


def once(gateway: Gateway, *parts: bytes) -> Reply:
    with connected(gateway.origin) as connection:
        connection.send(*parts)
        return connection.reply()


NOT_HTTP = {
    "length and chunks": "POST / HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
    "a length with a sign": "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: +4\r\n\r\nabcd",
    "a negative length": "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: -4\r\n\r\nabcd",
    "chunks not last": "POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\nab",
    "an unknown coding": "POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\nab",
    "a space in a name": "GET /healthz HTTP/1.1\r\nhost: x\r\nx bad: 1\r\n\r\n",
    "a space before the colon": "GET /healthz HTTP/1.1\r\nhost : x\r\n\r\n",
    "a folded line": "GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: 1\r\n  folded\r\n\r\n",
    "a NUL in a value": "GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: a\0b\r\n\r\n",
    "bare line feeds": "GET /healthz HTTP/1.1\nhost: x\n\n",
    "an unknown method": "BREW /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    "a tunnel": "CONNECT evil.test:443 HTTP/1.1\r\nhost: x\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("raw", NOT_HTTP.values(), ids=NOT_HTTP)
def test_a_request_two_readers_could_read_differently_is_refused_and_the_connection_closed(
    gateway: Gateway, raw: str
) -> None:
    with connected(gateway.origin) as connection:
        connection.send(raw.encode("latin-1"))
        reply = connection.reply()
        assert (reply.status, reply.headers["connection"]) == (400, "close")
        assert "not an HTTP/1.1 request" in reply.json["error"]["message"]
        assert connection.closed()


def test_garbage_behind_a_request_does_not_cut_into_its_answer(gateway: Gateway, sim_key: MintedKey) -> None:
    with connected(gateway.origin) as connection:
        slow = ask("a few words to say", model="sim/slow", stream=True)
        connection.send(request("POST", MESSAGES, key=sim_key.secret, body=slow))
        head = connection.line()
        connection.send(b"\x00\x00\x00\r\n\r\n")
        rest = connection.rest()
    assert head == b"HTTP/1.1 200 OK"
    assert b"HTTP/1.1" not in rest
    until(lambda: gateway.key(sim_key)["held_micros"] == 0, "the call is settled")


@pytest.mark.parametrize("size", [70_000, 1_000_000])
@pytest.mark.parametrize("where", ["value", "name", "target", "many"])
def test_a_head_that_grows_without_end_is_refused(gateway: Gateway, where: str, size: int) -> None:
    filler = b"a" * size
    raw = {
        "value": b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: " + filler,
        "name": b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + filler,
        "target": b"GET /" + filler,
        "many": b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + b"x-a: b\r\n" * (size // 8),
    }[where]
    with connected(gateway.origin) as connection:
        try:
            for at in range(0, len(raw), 1000):
                connection.send(raw[at : at + 1000])
            reply = connection.reply()
        except (ConnectionError, Closed):
            return  # closed while we were still sending: as good
        assert reply.status == 431
        assert "larger than 65536 bytes" in reply.json["error"]["message"]


def test_a_head_of_sixty_kilobytes_is_served(gateway: Gateway) -> None:
    assert once(gateway, request("GET", "/healthz", "x-a: " + "a" * 60_000)).status == 200


def test_a_large_body_before_a_request_is_not_taken_for_its_head(
    gateway: Gateway, sim_key: MintedKey
) -> None:
    large = request("POST", MESSAGES, key=sim_key.secret, body=ask("word " * 60_000))
    with connected(gateway.origin) as connection:
        connection.send(large + b"GET /healthz HT")
        assert connection.reply().status == 200
        connection.send(b"TP/1.1\r\nhost: x\r\n\r\n")
        assert connection.reply().json == {"ok": True}


def test_pipelined_requests_are_answered_in_order_and_an_error_between_them_breaks_nothing(
    gateway: Gateway, sim_key: MintedKey
) -> None:
    good = [request("POST", MESSAGES, key=sim_key.secret, body=ask(word)) for word in ("one", "two")]
    bad = request("POST", MESSAGES, key=sim_key.secret, body=b'{"model": }')
    with connected(gateway.origin) as connection:
        connection.send(good[0] + bad + good[1])
        assert said(connection.reply()) == "one"
        check_refused(connection.reply(), 400, "invalid_json")
        assert said(connection.reply()) == "two"


def test_an_upgrade_nobody_offers_does_not_cost_the_request_its_body(
    gateway: Gateway, sim_key: MintedKey
) -> None:
    offers = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__")
    whole = ask("by length")
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(whole), whole)
    with connected(gateway.origin) as connection:
        connection.send(request("POST", MESSAGES, *offers, key=sim_key.secret, body=whole))
        assert said(connection.reply()) == "by length"
        head = request("POST", MESSAGES, *offers, "transfer-encoding: chunked", key=sim_key.secret)
        for at in range(0, len(chunked), 7):
            connection.send(head if at == 0 else b"", chunked[at : at + 7])
        assert said(connection.reply()) == "by length"
        connection.send(request("GET", "/healthz", *offers) + request("GET", "/readyz"))
        assert connection.reply().json == {"ok": True}
        assert connection.reply().json["ready"] is True


@pytest.mark.parametrize("path", ["/v1/keys", "/v1/messages", "/v1/realtime/x", "/v1/nothing", "/metrics"])
def test_a_websocket_is_refused_by_name_where_there_is_no_live_path(
    gateway: Gateway, path: str, key: MintedKey
) -> None:
    upgrade = ("connection: Upgrade", "upgrade: WebSocket", "sec-websocket-version: 13")
    with connected(gateway.origin) as connection:
        nonce = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="
        connection.send(request("GET", path, *upgrade, nonce, key=key.secret))
        reply = connection.reply()
        assert (reply.status, reply.json["error"]["code"]) == (400, "websocket_not_supported")
        connection.send(request("GET", "/healthz"))
        assert connection.reply().status == 200


def test_a_body_that_is_announced_is_asked_for_when_it_is_wanted(
    gateway: Gateway, sim_key: MintedKey
) -> None:
    body = ask()
    head = request(
        "POST", MESSAGES, "expect: 100-continue", f"content-length: {len(body)}", key=sim_key.secret
    )
    with connected(gateway.origin) as connection:
        connection.send(head)
        assert connection.reply().status == 100
        connection.send(body)
        assert said(connection.reply()) == "hi"


def test_a_refused_announcement_closes_the_connection_so_that_no_request_is_read_as_a_body(
    gateway: Gateway,
) -> None:
    with connected(gateway.origin) as connection:
        connection.send(request("POST", MESSAGES, "expect: 100-continue", "content-length: 40"))
        reply = connection.reply()
        check_refused(reply, 401, "missing_key")
        assert reply.headers["connection"] == "close"
        assert connection.closed()


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_an_old_client_gets_whole_answers_and_streams_without_chunks(
    gateway: Gateway, sim_key: MintedKey, version: str
) -> None:
    raw = [
        request(
            "POST",
            MESSAGES,
            "connection: close",
            key=sim_key.secret,
            version=version,
            body=ask(stream=stream),
        )
        for stream in (False, True)
    ]
    assert said(once(gateway, raw[0])) == "hi"
    stream = once(gateway, raw[1])
    assert ("transfer-encoding" in stream.headers) == (version == "HTTP/1.1")
    assert stream.headers["connection"] == "close"
    assert stream.body.startswith(b"event: message_start\n")
    assert stream.body.endswith(b'data: {"type":"message_stop"}\n\n')


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("http://gateway.test/v1/messages", 200),
        ("HTTP://other.test:99/v1/messages?beta=true", 200),
        ("/v1%2Fmessages", 200),
        ("/v1/messages?beta=true&t=1", 200),
        ("//v1/messages", 404),
        ("/v1/./messages", 404),
        ("/v1/../v1/messages", 404),
        ("/v1/messages/", 404),
        ("/V1/messages", 404),
        ("/v1/mess%00ages", 404),
        ("/v1/mess%FFages", 404),
    ],
)
def test_a_path_is_one_of_ours_or_none(gateway: Gateway, sim_key: MintedKey, path: str, status: int) -> None:
    reply = once(gateway, request("POST", path, key=sim_key.secret, body=ask()))
    assert reply.status == status
    if status == 404:
        check_refused(reply, 404, "not_found")


def test_a_chunked_body_is_read_whatever_the_cut(gateway: Gateway, sim_key: MintedKey) -> None:
    body = ask("in pieces")
    pieces = b"".join(b"1;ext=1\r\n%c\r\n" % byte for byte in body) + b"0\r\nx-trailer: 1\r\n\r\n"
    head = request("POST", MESSAGES, "transfer-encoding: chunked", key=sim_key.secret)
    assert said(once(gateway, head, pieces)) == "in pieces"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/keys"])
def test_a_body_one_byte_too_large_is_refused_by_its_length_before_it_is_sent(
    gateway: Gateway, path: str
) -> None:
    head = request("POST", path, f"content-length: {BODY_LIMIT + 1}", key=gateway.master_key)
    message = check_refused(once(gateway, head), 413, "body_too_large")
    assert "33554432 bytes" in message


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/keys"])
@pytest.mark.parametrize("excess", [0, 1])
def test_a_chunked_body_is_counted_to_the_byte(gateway: Gateway, path: str, excess: int) -> None:
    filler = b" " * (1 << 20)
    with connected(gateway.origin) as connection:
        connection.send(request("POST", path, "transfer-encoding: chunked", key=gateway.master_key))
        for _ in range(BODY_LIMIT >> 20):
            connection.send(b"%x\r\n" % len(filler), filler, b"\r\n")
        connection.send(b"1\r\n \r\n" * excess, b"0\r\n\r\n")
        reply = connection.reply()
        if excess:
            check_refused(reply, 413, "body_too_large")
        else:
            assert reply.status == 400, "white space is no call and no key"
        connection.send(request("GET", "/healthz"))
        assert connection.reply().status == 200, "what was refused has been read away"


def test_a_refused_caller_who_goes_on_sending_is_cut_off(gateway: Gateway) -> None:
    with connected(gateway.origin) as connection:
        connection.send(request("POST", MESSAGES, "content-length: 1000000"))
        check_refused(connection.reply(), 401, "missing_key")
        began = time.monotonic()
        with pytest.raises(ConnectionError):
            drip(connection, for_s=8)
        assert time.monotonic() - began > 3, "long enough to read the answer"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/messages/count_tokens"])
def test_a_body_that_does_not_arrive_is_given_up(gateway: Gateway, sim_key: MintedKey, path: str) -> None:
    with connected(gateway.origin) as connection:
        connection.send(request("POST", path, key=sim_key.secret, body=ask())[:-5])
        reply = connection.reply()
        assert (reply.status, reply.json["error"]["code"]) == (400, "invalid_request")
        assert "nothing came for 1 s" in reply.json["error"]["message"]
    assert gateway.key(sim_key)["held_micros"] == 0


def test_a_management_body_that_does_not_arrive_is_given_up(gateway: Gateway) -> None:
    with connected(gateway.origin) as connection:
        connection.send(request("POST", "/v1/keys", key=gateway.master_key, body=b'{"name":"a"}')[:-5])
        reply = connection.reply()
        check_refused(reply, 400, "invalid_request")


def test_a_caller_who_leaves_within_the_body_costs_nothing(gateway: Gateway, key: MintedKey) -> None:
    for path in (MESSAGES, "/v1/keys"):
        with connected(gateway.origin) as connection:
            connection.send(request("POST", path, key=key.secret, body=ask())[:-5])
    assert gateway.usage(key)["events"] == []
    assert gateway.key(key)["held_micros"] == 0


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/v1/keys", 200), ("/v1/models", 200),
     ("/v1/messages", 405), ("/v1/nothing", 404)],
)  # fmt: skip
def test_head_is_get_without_a_body(gateway: Gateway, path: str, allowed: int) -> None:
    with connected(gateway.origin) as connection:
        connection.send(request("HEAD", path, key=gateway.master_key))
        reply = connection.reply(to_head=True)
        assert reply.status == allowed
        assert int(reply.headers["content-length"]) > 0
        connection.send(request("GET", "/healthz"))
        assert connection.reply().json == {"ok": True}


def test_empty_lines_between_requests_do_not_keep_a_connection_alive(gateway: Gateway) -> None:
    with connected(gateway.origin) as connection:
        connection.send(b"\r\n\r\n", request("GET", "/healthz"))
        assert connection.reply().status == 200
        connection.send(b"\r\n", request("GET", "/healthz"))
        assert connection.reply().status == 200


def test_a_head_may_come_byte_by_byte(gateway: Gateway, sim_key: MintedKey) -> None:
    raw = request("POST", MESSAGES, key=sim_key.secret, body=ask("slowly"))
    with connected(gateway.origin) as connection:
        for byte in raw:
            connection.send(bytes((byte,)))
        assert said(connection.reply()) == "slowly"
