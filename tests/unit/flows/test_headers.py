"""Which headers and query parameters cross the gateway, in either direction."""

import pytest

from qlaud.flows.headers import as_json, to_client, to_upstream, to_upstream_query, upstream_request_id

KEY = b"qlk_live_" + b"0" * 64


@pytest.mark.parametrize(
    "name", [b"authorization", b"x-api-key", b"api-key", b"xi-api-key", b"x-goog-api-key", b"cookie"]
)
def test_no_credential_of_the_caller_goes_upstream(name: bytes) -> None:
    sent = to_upstream([(name, KEY)], stream=False, extra=[])
    assert KEY not in b"".join(value for _, value in sent)


def test_the_operators_credential_stands_in_place_of_the_callers() -> None:
    sent = to_upstream([(b"x-api-key", KEY)], stream=False, extra=[(b"x-api-key", b"sk-operator")])
    assert [value for name, value in sent if name == b"x-api-key"] == [b"sk-operator"]


def test_a_default_of_the_provider_yields_to_what_the_caller_sent() -> None:
    extra = [(b"anthropic-version", b"2023-06-01")]
    sent = to_upstream([(b"anthropic-version", b"2027-01-01")], stream=False, extra=extra)
    assert [value for name, value in sent if name == b"anthropic-version"] == [b"2027-01-01"]


@pytest.mark.parametrize(
    "name",
    [
        b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip", b"openai-organization", b"openai-project",
        b"anthropic-workspace-id", b"connection", b"transfer-encoding", b"content-length", b"host", b"expect",
        b"x-qlaud-anything", b"idempotency-key", b"proxy-authorization", b"x-client-ip", b"cf-connecting-ip",
        b"cf-ipcountry", b"x-cluster-client-ip", b"cdn-loop", b"fly-client-ip", b"origin", b"referer",
        b"sec-fetch-site",
    ],
)  # fmt: skip
def test_who_the_caller_came_through_and_how_goes_nowhere(name: bytes) -> None:
    assert name not in dict(to_upstream([(name, b"1")], stream=False, extra=[]))


def test_what_the_connection_names_is_for_one_hop() -> None:
    given = [(b"connection", b"X-Hop , close"), (b"x-hop", b"1"), (b"x-odd", b"2")]
    assert (b"x-hop", b"1") not in to_upstream(given, stream=False, extra=[])
    assert (b"x-odd", b"2") in to_upstream(given, stream=False, extra=[])


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([], [b"application/json"]),
        ([b"application/x-www-form-urlencoded"], [b"application/json"]),
        ([b"text/plain"], [b"application/json"]),
        ([b"application/json; charset=utf-8"], [b"application/json; charset=utf-8"]),
        ([b"Application/JSON"], [b"Application/JSON"]),
        ([b"application/vnd.api+json"], [b"application/vnd.api+json"]),
    ],
)
def test_json_is_called_json(given: list[bytes], sent: list[bytes]) -> None:
    headers = [(b"x-odd", b"1"), *((b"content-type", value) for value in given)]
    made = as_json(headers)
    assert [value for name, value in made if name == b"content-type"] == sent
    assert (b"x-odd", b"1") in made


def test_what_is_the_callers_own_business_passes_untouched() -> None:
    own = [(b"anthropic-beta", b"a,b"), (b"user-agent", b"SDK/1"), (b"x-stainless-retry-count", b"1")]
    assert to_upstream(own, stream=False, extra=[])[:3] == own


@pytest.mark.parametrize(
    ("asked", "stream", "sent"),
    [
        (b"gzip, br, zstd", False, b"gzip"),
        (b"br", False, b"identity"),
        (b"gzip;q=0.5,deflate", False, b"gzip;q=0.5,deflate"),
        (b"gzip", True, b"identity"),
        (None, False, b"identity"),
    ],
)
def test_only_encodings_the_tap_can_read_are_asked_for(
    asked: bytes | None, stream: bool, sent: bytes
) -> None:
    headers = [] if asked is None else [(b"accept-encoding", asked)]
    assert dict(to_upstream(headers, stream=stream, extra=[]))[b"accept-encoding"] == sent


@pytest.mark.parametrize(
    "name",
    [
        b"set-cookie", b"openai-organization", b"anthropic-organization-id", b"anthropic-ratelimit-tokens-remaining",
        b"x-ratelimit-remaining-requests", b"cf-ray", b"access-control-allow-origin", b"request-id",
        b"transfer-encoding", b"x-qlaud-cost-micros", b"strict-transport-security", b"ratelimit",
        b"ratelimit-remaining", b"x-rate-limit-reset", b"x-ratelimitbysize-limit", b"maximum-concurrent-requests",
    ],
)  # fmt: skip
def test_nothing_of_the_operators_account_comes_back(name: bytes) -> None:
    assert to_client([(name, b"1"), (b"content-type", b"a/b")]) == [(b"content-type", b"a/b")]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (b"beta=true", b"beta=true"),
        (b"key=" + KEY, b""),
        (b"key=" + KEY + b"&beta=true", b"beta=true"),
        (b"a=1&token=" + KEY + b"&b=2", b"a=1&b=2"),
        (b"monkey=1", b"monkey=1"),
        (b"", b""),
    ],
)
def test_a_key_in_the_query_does_not_go_upstream(given: bytes, sent: bytes) -> None:
    assert to_upstream_query(given) == sent


@pytest.mark.parametrize(
    "name", [b"request-id", b"x-request-id", b"dg-request-id", b"mistral-correlation-id", b"inference-id"]
)
def test_a_providers_own_id_of_a_call_is_found_by_whatever_name_it_has(name: bytes) -> None:
    assert upstream_request_id([(b"content-type", b"a/b"), (name, b"req-1")]) == b"req-1"
    assert upstream_request_id([(b"content-type", b"a/b")]) is None
