"""Which headers cross the gateway (contract, sections 5 and 10). Everything not named here passes untouched.

A caller's credentials, cookies, and who it came through never go upstream; the operator's organisation, cookies
and rate limits never come back.
"""

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote_plus

from qlaud.ports import Headers

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
CREDENTIALS = frozenset(
    (b"authorization", b"x-api-key", b"api-key", b"xi-api-key", b"x-goog-api-key", b"cookie")
)
FORWARDING = frozenset(
    (
        b"forwarded",
        b"via",
        b"cdn-loop",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-original-forwarded-for",
        b"true-client-ip",
        b"fastly-client-ip",
        b"x-azure-clientip",
        b"x-amzn-trace-id",
    )
)
BROWSER = frozenset((b"origin", b"referer"))
"""About the page that calls us. CORS is between it and us; Anthropic refuses calls that have an origin."""
TENANCY = frozenset(
    (
        b"openai-organization",
        b"openai-project",
        b"anthropic-organization-id",
        b"anthropic-workspace-id",
        b"x-goog-user-project",
    )
)
MASKS = frozenset((b"x-goog-fieldmask", b"x-http-method-override"))
"""What makes Google answer less than was paid for (its usage, for one), or something else than was asked."""
OURS = frozenset(
    (
        b"host",
        b"content-length",
        b"expect",
        b"accept-encoding",
        b"idempotency-key",
        b"x-request-id",
        b"request-id",
    )
)

NOT_SENT = HOP_BY_HOP | CREDENTIALS | FORWARDING | BROWSER | TENANCY | MASKS | OURS
NOT_SENT_PREFIXES = (b"x-forwarded-", b"x-qlaud-", b"cf-", b"fly-", b"x-envoy-", b"sec-fetch-")
NOT_RETURNED = (
    HOP_BY_HOP
    | TENANCY
    | frozenset((b"set-cookie", b"x-request-id", b"request-id", b"alt-svc", b"strict-transport-security"))
    | frozenset((b"current-concurrent-requests", b"maximum-concurrent-requests"))  # rate limits at ElevenLabs
)
NOT_RETURNED_PREFIXES = (
    b"anthropic-ratelimit-",
    b"x-ratelimit",
    b"x-rate-limit",
    b"ratelimit",
    b"access-control-",
    b"cf-",
    b"x-qlaud-",
)
CONNECTION = (b"keep-alive", b"close", b"upgrade")
JSON_TYPE = (b"content-type", b"application/json")

SECRET_PREFIX = b"qlk_"
"""Every key of ours begins with it."""

REQUEST_IDS = (b"request-id", b"x-request-id", b"dg-request-id", b"mistral-correlation-id", b"inference-id")
"""Under which names providers tell the id of a call: most, then Deepgram, Mistral, Cerebras."""

ENCODINGS_WE_READ = (b"gzip", b"deflate", b"identity")


def to_upstream(headers: Headers, *, stream: bool, extra: Headers) -> list[tuple[bytes, bytes]]:
    """The headers a call leaves with: the caller's, less what is not sent, with `extra` in place of its twins.

    Of the caller's `accept-encoding` stays what the tap can read; a stream is asked for unencoded.
    """
    sent = [pair for pair in headers if _is_sent(pair[0])]
    for name, value in headers:
        if name == b"connection" and value.lower() not in CONNECTION:
            named = {part.strip().lower() for part in value.split(b",")}
            sent = [pair for pair in sent if pair[0] not in named]
    for name, value in extra:
        if name in NOT_SENT or first(headers, (name,)) is None:
            sent.append((name, value))
    sent.append((b"accept-encoding", b"identity" if stream else _readable(headers)))
    return sent


def as_json(headers: Headers) -> Headers:
    """The headers of a body that is JSON, whatever its caller called it: providers go by what it is called."""
    for name, value in headers:
        if name == b"content-type" and b"json" in value.lower():
            return headers
    return [*(pair for pair in headers if pair[0] != b"content-type"), JSON_TYPE]


def to_upstream_query(query: bytes) -> bytes:
    """The caller's query, less any parameter that carries a key of ours, in place of a header or by mistake."""
    if b"key=" not in query and SECRET_PREFIX not in query:
        return query
    parts = query.split(b"&")
    return b"&".join(part for part in parts if not part.startswith(b"key=") and SECRET_PREFIX not in part)


def with_model(query: bytes, asked: str, name: str) -> bytes:
    """The query with `name` in place of the model `asked`, where it names that one (Deepgram)."""
    if b"model=" not in query:
        return query
    parts = query.split(b"&")
    return b"&".join(
        b"model=" + quote(name, safe="").encode()
        if part.startswith(b"model=") and unquote_plus(part[6:].decode("latin-1")) == asked
        else part
        for part in parts
    )


def to_client(headers: Headers, *, drop: frozenset[bytes] = frozenset()) -> list[tuple[bytes, bytes]]:
    """The provider's headers that a caller gets to see, less `drop`."""
    return [
        pair
        for pair in headers
        if pair[0] not in NOT_RETURNED
        and pair[0] not in drop
        and not pair[0].startswith(NOT_RETURNED_PREFIXES)
    ]


def upstream_request_id(headers: Headers) -> bytes | None:
    """The provider's own id of the call."""
    return first(headers, REQUEST_IDS)


def first(headers: Headers, names: Iterable[bytes]) -> bytes | None:
    """The value of the first header that has one of these names, in order of the names."""
    for wanted in names:
        for name, value in headers:
            if name == wanted:
                return value
    return None


@lru_cache(maxsize=1024)
def _is_sent(name: bytes) -> bool:
    """Remembered, because names repeat on every request."""
    return name not in NOT_SENT and not name.startswith(NOT_SENT_PREFIXES)


def _readable(headers: Headers) -> bytes:
    asked = first(headers, (b"accept-encoding",))
    if asked is None:
        return b"identity"
    kept = [part for part in asked.split(b",") if part.split(b";")[0].strip().lower() in ENCODINGS_WE_READ]
    return b",".join(kept).strip() or b"identity"
