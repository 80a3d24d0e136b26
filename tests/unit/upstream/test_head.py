"""The head that leaves, the origins that may be called, the proxy that is chosen: pure tables."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.upstream.abusive import answering, call, serving, whole

from qlaud.ports import UpstreamRequest, UpstreamUnreachable
from qlaud.providers.upstream import HttpUpstream, ProxyRule, UpstreamLimits, proxy_from_environment
from qlaud.providers.upstream.head import encode_head
from qlaud.providers.upstream.origin import Origin, parse_origin


async def pieces() -> AsyncIterator[bytes]:
    yield b"x"


def encoded(**fields: object) -> bytes:
    request = {"method": "POST", "origin": "", "target": b"/v1?a=b", "headers": [], "body": b"hi", **fields}
    return encode_head(UpstreamRequest(**request), b"api.test")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "framing"),
    [
        ({"body": b"hello"}, b"content-length: 5\r\n"),
        ({"body": b""}, b"content-length: 0\r\n"),
        ({"body": None}, b"content-length: 0\r\n"),
        ({"body": None, "method": "GET"}, b""),
        ({"body": None, "method": "DELETE"}, b""),
        ({"body": pieces()}, b"transfer-encoding: chunked\r\n"),
        ({"body": pieces(), "content_length": 7}, b"content-length: 7\r\n"),
    ],
)
def test_the_body_decides_the_framing(fields, framing):
    method = str(fields.get("method", "POST")).encode()
    assert encoded(**fields) == method + b" /v1?a=b HTTP/1.1\r\nhost: api.test\r\n" + framing + b"\r\n"


@pytest.mark.parametrize(
    "header",
    [
        b"Host",
        b"content-length",
        b"Transfer-Encoding",
        b"CONNECTION",
        b"keep-alive",
        b"upgrade",
        b"te",
        b"trailer",
        b"expect",
        b"proxy-authorization",
        b"proxy-connection",
    ],
)
def test_headers_that_the_client_owns_are_dropped(header):
    assert encoded(headers=[(header, b"evil"), (b"X-Kept", b"1")]) == encoded(headers=[(b"x-kept", b"1")])


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": [(b"x", b"a\r\nevil: 1")]},
        {"headers": [(b"x", b"a\rb")]},
        {"headers": [(b"x", b"a\nb")]},
        {"headers": [(b"x", b"a\0b")]},
        {"headers": [(b"x\r\nevil", b"1")]},
        {"headers": [(b"x: 1\r\nevil", b"1")]},
        {"headers": [(b"x y", b"1")]},
        {"headers": [(b"x:", b"1")]},
        {"headers": [(b"", b"1")]},
        {"headers": [(b"x\n", b"1")]},
        {"target": b"/a b"},
        {"target": b"/a\r\nevil: 1"},
        {"target": b"/a\n"},
        {"target": b"a"},
        {"target": b""},
        {"target": b"http://other.test/"},
        {"method": "GET /evil"},
        {"method": ""},
        {"method": "G\r\n"},
        {"body": pieces(), "content_length": -1},
    ],
)
def test_what_could_break_out_of_its_place_is_refused_unsent(fields):
    with pytest.raises(UpstreamUnreachable, match="refused to send") as caught:
        encoded(**fields)
    assert not caught.value.started


def test_a_refusal_never_shows_a_header_s_value():
    with pytest.raises(UpstreamUnreachable) as caught:
        encoded(headers=[(b"x-api-key", b"sk-secret\r\n")])
    assert "secret" not in str(caught.value)


@given(
    st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=4), st.binary(max_size=12)
)
def test_no_bytes_of_a_caller_add_a_line(headers, target):
    try:
        head = encoded(headers=headers, target=b"/" + target)
    except UpstreamUnreachable:
        return
    lines = head.split(b"\r\n")
    kept = [name for name, _ in headers if encoded(headers=[(name, b"")]) != encoded(headers=[])]
    assert len(lines) == len(kept) + 5
    assert lines[-2:] == [b"", b""]
    assert b"\n" not in head.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("text", "origin", "host_header"),
    [
        ("https://api.test", Origin("api.test", 443, True), b"api.test"),
        ("https://API.test:443", Origin("api.test", 443, True), b"api.test"),
        ("https://api.test:8443", Origin("api.test", 8443, True), b"api.test:8443"),
        ("https://[2001:db8::1]:8443", Origin("2001:db8::1", 8443, True), b"[2001:db8::1]:8443"),
        ("https://[2001:db8::1]", Origin("2001:db8::1", 443, True), b"[2001:db8::1]"),
        ("http://localhost", Origin("localhost", 80, False), b"localhost"),
        ("http://127.0.0.1:9000", Origin("127.0.0.1", 9000, False), b"127.0.0.1:9000"),
        ("http://127.8.8.8:9000", Origin("127.8.8.8", 9000, False), b"127.8.8.8:9000"),
        ("http://[::1]:9000", Origin("::1", 9000, False), b"[::1]:9000"),
    ],
)
def test_an_origin_is_read(text, origin, host_header):
    assert parse_origin(text) == origin
    assert origin.host_header == host_header


@pytest.mark.parametrize(
    "text",
    [
        "http://api.test",
        "http://10.0.0.1:9000",
        "http://0.0.0.0:9000",
        "http://127.0.0.1.evil.test",
        "http://localhost.evil.test",
        "http://[::ffff:10.0.0.1]",
        "http://2130706433",
        "ftp://api.test",
        "api.test",
        "https://",
        "https://user:secret@api.test",
        "https://api.test/",
        "https://api.test/v1",
        "https://api.test?x",
        "https://api.test#x",
        "https://api.test?",
        "https://api.test:port",
        "https://api.test:0",
        "https://api.test:70000",
        "https://[::1",
        "https://api test",
        "https://ü.test",
        "",
    ],
)
def test_what_is_no_origin_or_plain_text_to_the_network_is_unreachable(text):
    with pytest.raises(UpstreamUnreachable) as caught:
        parse_origin(text)
    assert not caught.value.started
    assert "secret" not in str(caught.value)


def test_a_refused_origin_is_told_by_the_client_and_stays_refused(run):
    async def main() -> None:
        client = HttpUpstream()
        for _ in range(2):
            with pytest.raises(UpstreamUnreachable, match="plain http"):
                await client.send(call("http://api.test"))

    run(main)


def test_the_request_arrives_as_it_was_encoded(run):
    heard = list[bytes]()

    async def main() -> None:
        client = HttpUpstream()
        async with serving(answering(server=heard)) as server:
            request = call(server.origin, "PATCH", b"body", target=b"/a%20b?c=d&e", headers=[(b"X-A", b"1")])
            assert await whole(await client.send(request)) == b"ok"
            host = server.origin.removeprefix("http://").encode()
            start = b"PATCH /a%20b?c=d&e HTTP/1.1\r\nhost: " + host
            assert heard == [start + b"\r\nx-a: 1\r\ncontent-length: 4\r\n\r\nbody"]
            await client.aclose()

    run(main)


@pytest.mark.parametrize(
    ("environment", "rule"),
    [
        ({}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTP_PROXY": "http://proxy:1"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, ProxyRule("proxy", 3128)),
        ({"HTTPS_PROXY": "http://upper", "https_proxy": "http://lower"}, ProxyRule("lower", 80)),
        ({"ALL_PROXY": "proxy:3128"}, ProxyRule("proxy", 3128)),
        (
            {"https_proxy": "http://u%40x:p%3Aw@proxy:1", "NO_PROXY": " a.test, .B.test ,,"},
            ProxyRule("proxy", 1, b"Basic dUB4OnA6dw==", ("a.test", ".b.test")),
        ),
    ],
)
def test_the_proxy_is_read_from_the_environment_given(environment, rule):
    assert proxy_from_environment(environment) == rule


@pytest.mark.parametrize("url", ["https://u:secret@proxy", "socks5://u:secret@proxy:1", "http://"])
def test_a_proxy_that_cannot_be_used_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match="must be given as") as caught:
        proxy_from_environment({"HTTPS_PROXY": url})
    assert "secret" not in str(caught.value)


def test_a_rule_does_not_print_its_password():
    assert "c2VjcmV0" not in repr(ProxyRule("proxy", 1, b"Basic c2VjcmV0"))


@pytest.mark.parametrize(
    ("no_proxy", "origin", "covered"),
    [
        ("", "https://api.test", True),
        ("*", "https://api.test", False),
        ("api.test", "https://api.test", False),
        ("API.test", "https://api.test", False),
        ("test", "https://api.test", False),
        (".test", "https://api.test", False),
        ("*.test", "https://api.test", False),
        ("pi.test", "https://api.test", True),
        ("api.test:443", "https://api.test", False),
        ("api.test:8443", "https://api.test", True),
        ("10.0.0.0/8", "https://10.1.2.3", False),
        ("10.0.0.0/8", "https://11.1.2.3", True),
        ("10.0.0.0/8", "https://api.test", True),
        ("2001:db8::1", "https://[2001:db8::1]", False),
        ("[2001:db8::1]:443", "https://[2001:db8::1]", False),
        ("", "https://localhost", False),
        ("", "https://127.0.0.1", False),
        ("", "http://127.0.0.1:9000", False),
        ("", "https://[::1]:9000", False),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(no_proxy, origin, covered):
    rule = proxy_from_environment({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": no_proxy})
    assert rule is not None
    assert rule.covers(parse_origin(origin)) is covered


@pytest.mark.parametrize("name", ["connect_timeout_s", "max_connections_per_origin", "buffer_bytes"])
def test_a_limit_of_nothing_is_refused(name):
    with pytest.raises(ValueError, match=name):
        UpstreamLimits(**{name: 0})
