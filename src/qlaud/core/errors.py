"""Every condition a caller can be told about, as one tree.

    QlaudError                        status  code
    ├── BadRequest                    400     invalid_request
    │   ├── InvalidJson               400     invalid_json
    │   ├── InvalidAmount             400     invalid_amount
    │   ├── UnknownField              400     unknown_field
    │   ├── ModelNotPriced            400     model_not_priced
    │   ├── RouteNotMetered           400     route_not_metered
    │   ├── ProviderToolNotMetered    400     provider_tool_not_metered
    │   ├── UnsupportedField          400     unsupported_field
    │   ├── KeyNotCapped              400     key_not_capped
    │   └── WebsocketNotSupported     400     websocket_not_supported
    ├── BodyTooLarge                  413     body_too_large
    ├── Unauthorized                  401
    │   ├── MissingKey                401     missing_key
    │   ├── InvalidKey                401     invalid_key
    │   ├── RevokedKey                401     revoked_key
    │   ├── ExpiredKey                401     expired_key
    │   └── ConflictingCredentials    401     conflicting_credentials
    ├── OutOfMoney                    402
    │   ├── KeyCapExceeded            402     key_cap_exceeded
    │   ├── SessionOutOfMoney         402     key_cap_exceeded
    │   └── WalletExhausted           402     wallet_exhausted
    ├── Forbidden                     403
    │   ├── ScopeTooSmall             403     scope_too_small
    │   └── ModelNotAllowed           403     model_not_allowed
    ├── NotFound                      404     not_found
    │   └── ModelNotFound             404     model_not_found
    ├── MethodNotAllowed              405     method_not_allowed
    ├── Conflict                      409
    │   ├── IdempotencyInProgress     409     idempotency_in_progress
    │   ├── IdempotencyMismatch       409     idempotency_mismatch
    │   ├── KeyRevoked                409     key_revoked
    │   ├── LastAdminKey              409     last_admin_key
    │   └── HoldNotLost               409     hold_not_lost
    ├── TryLater                      429
    │   ├── CapContended              429     cap_contended
    │   ├── RateLimited               429     rate_limited
    │   └── ParallelLimited           429     parallel_limited
    ├── ProviderRefused               (its)   upstream_rate_limited, upstream_overloaded, upstream_error
    ├── ProviderUnreachable           502     upstream_error
    ├── ProviderTimeout               504     upstream_timeout
    ├── ProviderAuthFailed            502     provider_auth_failed
    ├── ProviderNotConfigured         503     provider_not_configured
    ├── ShuttingDown                  503     shutting_down
    ├── StoreUnavailable              503     store_unavailable
    ├── SpoolFull                     503     spool_full
    └── Internal                      500     internal

The class is the condition, its attributes are the facts, `str(error)` is one sentence that tells the caller
what to do. `headers` are sent along with it. The edge turns an error into the shape of the surface called.
"""

from collections.abc import Mapping, Sequence

NO_RETRY: Mapping[str, str] = {"x-should-retry": "false"}
NAME_CHARS = 200
"""So much of a name that a caller made up is said back."""
RETRY_SOON: Mapping[str, str] = {"retry-after": "1"}


def usd_text(amount: int, *, shortest: bool = False) -> str:
    """`$1.234567`; `shortest` drops four trailing zeros, as in `$5.00`."""
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), 1_000_000)
    digits = f"{rest:06d}"
    return f"{sign}${whole}.{digits[:2] if shortest and digits.endswith('0000') else digits}"


class QlaudError(Exception):
    """A condition with a status, a wire code and a sentence."""

    status: int = 500
    code: str = "internal"
    headers: Mapping[str, str] = {}

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def details(self) -> dict[str, object] | None:
        """Facts sent along with the message, or None."""
        return None


class BadRequest(QlaudError):
    """The input breaks a rule; `param` names the field."""

    status = 400
    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class InvalidJson(BadRequest):
    """The body is not JSON."""

    code = "invalid_json"

    def __init__(self, reason: str, *, line: int, column: int, offset: int) -> None:
        super().__init__(
            f"the body is not valid JSON: {reason} at line {line} column {column} (byte {offset})"
        )
        self.line, self.column, self.offset = line, column, offset


class InvalidAmount(BadRequest):
    """A money field is not a non-negative number of dollars with at most six decimals."""

    code = "invalid_amount"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(
            f"`{field}` {reason}; give dollars as a number or string with at most 6 decimals", param=field
        )


class UnknownField(BadRequest):
    """A money-deciding endpoint was sent a field it does not know."""

    code = "unknown_field"

    def __init__(self, field: str, nearest: str | None) -> None:
        hint = f"; did you mean `{nearest}`?" if nearest else ""
        super().__init__(f"unknown field `{field}`{hint}", param=field)


class ModelNotPriced(BadRequest):
    """A capped key asked for a model without a price. `because` is a sentence about why it has none."""

    code = "model_not_priced"

    def __init__(self, model: str, because: str = "") -> None:
        super().__init__(
            f'model "{model[:NAME_CHARS]}" has no price, so a key with a cap cannot call it; '
            + (because or "add a price or use an uncapped key"),
            param="model",
        )


class RouteNotMetered(BadRequest):
    """A path without a metering rule on a key that needs one."""

    code = "route_not_metered"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"no rule says what {path} costs, so it is open to admin keys without a cap only; "
            "use a path that is metered, or such a key"
        )


class ProviderToolNotMetered(BadRequest):
    """A tool the provider runs itself, whose cost cannot be bounded."""

    code = "provider_tool_not_metered"

    def __init__(self, tool: str) -> None:
        super().__init__(
            f'the cost of the provider tool "{tool}" cannot be bounded on a key with a cap', param="tools"
        )


class UnsupportedField(BadRequest):
    """A field that this surface cannot honour for this model."""

    code = "unsupported_field"


class KeyNotCapped(BadRequest):
    """Credit for a key without a cap."""

    code = "key_not_capped"

    def __init__(self) -> None:
        super().__init__("this key has no cap, so credit would change nothing; set max_spend_usd first")


class WebsocketNotSupported(BadRequest):
    """An upgrade on a path that has no live form."""

    code = "websocket_not_supported"


class BodyTooLarge(QlaudError):
    """The body passes the limit."""

    status = 413
    code = "body_too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"the body is larger than {limit_bytes} bytes; send less, or raise QLAUD_MAX_BODY_BYTES"
        )
        self.limit_bytes = limit_bytes


class Unauthorized(QlaudError):
    """No usable credential."""

    status = 401


class MissingKey(Unauthorized):
    """No credential at all."""

    code = "missing_key"

    def __init__(self) -> None:
        super().__init__("no API key was sent; send yours as `x-api-key` or `Authorization: Bearer`")


class InvalidKey(Unauthorized):
    """A credential nobody was given."""

    code = "invalid_key"

    def __init__(self) -> None:
        super().__init__(
            "this API key is not known here; check that it was copied whole and belongs to this server"
        )


class RevokedKey(Unauthorized):
    """The key was revoked."""

    code = "revoked_key"

    def __init__(self) -> None:
        super().__init__("this API key was revoked; ask for a new one")


class ExpiredKey(Unauthorized):
    """The key is past its `expires_at`."""

    code = "expired_key"

    def __init__(self) -> None:
        super().__init__("this API key has expired; ask for a new one")


class ConflictingCredentials(Unauthorized):
    """Two different credentials on one request."""

    code = "conflicting_credentials"

    def __init__(self) -> None:
        super().__init__("two different API keys were sent on one request; send one")


class OutOfMoney(QlaudError):
    """Money is spent, not merely tied up. Never worth a retry."""

    status = 402
    headers = NO_RETRY


class KeyCapExceeded(OutOfMoney):
    """The key's cap leaves nothing, or too little, for this call."""

    code = "key_cap_exceeded"

    def __init__(
        self,
        *,
        cap_micros: int,
        spent_micros: int,
        held_micros: int,
        asked_max_tokens: int | None = None,
        affordable_max_tokens: int | None = None,
    ) -> None:
        head = "this API key has reached its spending cap"
        if affordable_max_tokens is not None:
            message = (
                f"{head} for a call of this size: {asked_max_tokens} output tokens asked for, "
                f"{affordable_max_tokens} affordable"
            )
        else:
            cap = usd_text(cap_micros, shortest=True)
            message = f"{head} of {cap} ({usd_text(spent_micros)} spent, {usd_text(held_micros)} in flight)"
        super().__init__(message)
        self.cap_micros, self.spent_micros, self.held_micros = cap_micros, spent_micros, held_micros
        self.affordable_max_tokens = affordable_max_tokens

    @property
    def details(self) -> dict[str, object]:
        facts: dict[str, object] = {
            "error_code": self.code,
            "cap_micros": self.cap_micros,
            "spent_micros": self.spent_micros,
            "held_micros": self.held_micros,
        }
        if self.affordable_max_tokens is not None:
            facts["affordable_max_tokens"] = self.affordable_max_tokens
        return facts


class SessionOutOfMoney(OutOfMoney):
    """A live session has used its slice, and no money is free for the next."""

    code = "key_cap_exceeded"

    def __init__(self) -> None:
        super().__init__(
            "this API key has reached its spending cap: no money is free for the next slice of this session"
        )


class WalletExhausted(OutOfMoney):
    """The account's wallet is the bound that was met."""

    code = "wallet_exhausted"

    def __init__(self, *, affordable_max_tokens: int | None = None) -> None:
        super().__init__("this API key has reached its spending cap: the wallet of its account is empty")
        self.affordable_max_tokens = affordable_max_tokens

    @property
    def details(self) -> dict[str, object]:
        facts: dict[str, object] = {"error_code": self.code}
        if self.affordable_max_tokens is not None:
            facts["affordable_max_tokens"] = self.affordable_max_tokens
        return facts


class Forbidden(QlaudError):
    """A valid key that may not do this."""

    status = 403


class ScopeTooSmall(Forbidden):
    """A standard key on an admin path."""

    code = "scope_too_small"

    def __init__(self) -> None:
        super().__init__("this endpoint needs a master key (scope admin); this key has scope standard")


class ModelNotAllowed(Forbidden):
    """The key's `allowed_models` leave the model out."""

    code = "model_not_allowed"

    def __init__(self, model: str) -> None:
        super().__init__(f'this API key may not use model "{model}"')


class NotFound(QlaudError):
    """Unknown, deleted, or not the caller's."""

    status = 404
    code = "not_found"


class ModelNotFound(NotFound):
    """No such slug in the catalog."""

    code = "model_not_found"

    def __init__(self, model: str, nearest: Sequence[str]) -> None:
        super().__init__(f'unknown model "{model[:NAME_CHARS]}"; nearest: {", ".join(nearest)}')
        self.model, self.nearest = model, tuple(nearest)


class MethodNotAllowed(QlaudError):
    """A known path, a method it does not have."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"method not allowed; this path takes {', '.join(allowed)}")
        self.headers = {"allow": ", ".join(allowed)}


class Conflict(QlaudError):
    """The state of the thing forbids it."""

    status = 409
    headers = NO_RETRY


class IdempotencyInProgress(Conflict):
    """The first request with this key is still running."""

    code = "idempotency_in_progress"
    headers = RETRY_SOON

    def __init__(self) -> None:
        super().__init__("the first request with this Idempotency-Key is still running; retry in a second")


class IdempotencyMismatch(Conflict):
    """The key was used with another body."""

    code = "idempotency_mismatch"

    def __init__(self) -> None:
        super().__init__(
            "this Idempotency-Key was used with a different body; use a new key for a new request"
        )


class KeyRevoked(Conflict):
    """A change to a revoked key."""

    code = "key_revoked"

    def __init__(self) -> None:
        super().__init__("this key is revoked and stays so; mint a new one")


class LastAdminKey(Conflict):
    """The only live master key left."""

    code = "last_admin_key"

    def __init__(self) -> None:
        super().__init__("this is the last live admin key; mint another one before you revoke it")


class HoldNotLost(Conflict):
    """Only a lost hold can be resolved by hand."""

    code = "hold_not_lost"

    def __init__(self) -> None:
        super().__init__("this hold is not lost: its call is still running and settles by itself")


class TryLater(QlaudError):
    """A limit that passes with time."""

    status = 429
    headers = RETRY_SOON


class CapContended(TryLater):
    """The money is there but held by calls in flight."""

    code = "cap_contended"

    def __init__(self) -> None:
        super().__init__(
            "the rest of this key's budget is held by calls in flight; retry when they have ended"
        )


class RateLimited(TryLater):
    """The key's requests per minute are used up."""

    code = "rate_limited"

    def __init__(self, *, limit: int, retry_after_s: int) -> None:
        super().__init__(f"this API key may make {limit} requests a minute; retry in {retry_after_s} s")
        self.headers = {
            "retry-after": str(retry_after_s),
            "x-ratelimit-limit-requests": str(limit),
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{retry_after_s}s",
        }


class ParallelLimited(TryLater):
    """The key's calls in flight are used up."""

    code = "parallel_limited"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"this API key may have {limit} calls in flight; retry when one has ended")


class ProviderRefused(QlaudError):
    """The provider's own error status, message kept."""

    def __init__(self, status: int, message: str, *, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = {429: "upstream_rate_limited", 529: "upstream_overloaded"}.get(status, "upstream_error")
        self.headers = {"retry-after": retry_after} if retry_after else {}


class ProviderUnreachable(QlaudError):
    """No answer came from the provider."""

    status = 502
    code = "upstream_error"

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(f"{provider} could not be reached: {reason}")


class ProviderTimeout(QlaudError):
    """The provider was too slow. Not retried here: the call may have been billed."""

    status = 504
    code = "upstream_timeout"

    def __init__(self, provider: str, phase: str, timeout_s: float) -> None:
        super().__init__(f"{provider} did not answer in time ({phase}, {timeout_s:g} s)")


class ProviderAuthFailed(QlaudError):
    """The provider refused the operator's credential or account."""

    status = 502
    code = "provider_auth_failed"
    headers = NO_RETRY

    def __init__(self, provider: str) -> None:
        super().__init__(f"{provider} refused this gateway's own credential; the operator must check it")


class ProviderNotConfigured(QlaudError):
    """No credential for any host of the model."""

    status = 503
    code = "provider_not_configured"
    headers = NO_RETRY

    def __init__(self, provider: str, variable: str) -> None:
        super().__init__(f"no credential for {provider} on this gateway; the operator must set {variable}")


class ShuttingDown(QlaudError):
    """The gateway takes no new calls."""

    status = 503
    code = "shutting_down"
    headers = RETRY_SOON

    def __init__(self) -> None:
        super().__init__("this gateway is shutting down; retry")


class StoreUnavailable(QlaudError):
    """The database does not answer; nothing was admitted, nothing was charged."""

    status = 503
    code = "store_unavailable"
    headers = RETRY_SOON

    def __init__(self) -> None:
        super().__init__("the ledger cannot be reached, so no call is admitted; retry")


class SpoolFull(QlaudError):
    """The folder where uploads rest takes no more, or cannot be written at all; nothing was charged."""

    status = 503
    code = "spool_full"
    headers = RETRY_SOON

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"this gateway has no room for the upload ({reason.lower()}); retry, and tell its operator if it stays so"
        )


class Internal(QlaudError):
    """A defect of the gateway. The request id leads to its log line."""

    def __init__(self) -> None:
        super().__init__("internal error; the operator finds it in the log under this request id")
