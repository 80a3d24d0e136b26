"""What the caller is told: the gateway's own headers, and a provider's refusal in words that fit."""

from qlaud.core.errors import (
    ProviderAuthFailed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnreachable,
    QlaudError,
)
from qlaud.core.ledger import Charged, Hold
from qlaud.core.providers import Provider
from qlaud.flows.calls import Prepared, Route
from qlaud.flows.headers import first, to_client, upstream_request_id
from qlaud.flows.keyring import refuses_us
from qlaud.ports import Headers, UpstreamFault, UpstreamSlow
from qlaud.wire.types import Wire

BUDGET = b"x-qlaud-budget-remaining-micros"

RETRY_AFTER_LIMIT_S = 60
"""A longer wait would put some SDKs to sleep for an hour."""


def answer_headers(
    prepared: Prepared, route: Route, hold: Hold, upstream: Headers, *, drop: frozenset[bytes] = frozenset()
) -> list[tuple[bytes, bytes]]:
    """The provider's headers a caller may see, and ours (contract, section 5)."""
    headers = to_client(upstream, drop=drop)
    headers.append((b"x-qlaud-provider", route.provider.slug.encode()))
    headers.append((b"x-qlaud-model", prepared.model.slug.encode()))
    if theirs := upstream_request_id(upstream):
        headers.append((b"x-upstream-request-id", theirs))
    if hold.remaining_micros is not None:
        headers.append((BUDGET, b"%d" % max(0, hold.remaining_micros)))
    if applied := applied_limit(prepared, hold):
        headers.append((b"x-qlaud-max-tokens-applied", b"%d" % applied))
    if hold.rpm_limit is not None and hold.rpm_used is not None:
        headers.append((b"x-ratelimit-limit-requests", b"%d" % hold.rpm_limit))
        headers.append((b"x-ratelimit-remaining-requests", b"%d" % max(0, hold.rpm_limit - hold.rpm_used)))
        headers.append((b"x-ratelimit-reset-requests", b"60s"))
    return headers


def tell_cost(headers: list[tuple[bytes, bytes]], hold: Hold, charged: Charged) -> None:
    """Add what the call cost, and count as free again what it had held and did not use."""
    headers.append((b"x-qlaud-cost-micros", b"%d" % charged.cost_micros))
    for position, (name, _) in enumerate(headers):
        if name == BUDGET and hold.remaining_micros is not None:
            remaining = hold.remaining_micros + hold.amount_micros - charged.cost_micros
            headers[position] = (BUDGET, b"%d" % max(0, remaining))


def applied_limit(prepared: Prepared, hold: Hold) -> int | None:
    """The output limit the gateway set or lowered because of money, if it did."""
    if hold.bounded and hold.max_output is not None and hold.max_output != prepared.call.demand.max_output:
        return hold.max_output
    return None


def is_clamped(prepared: Prepared, hold: Hold) -> bool:
    """Whether the call got less output than it wanted, because of money."""
    return (
        hold.max_output is not None
        and prepared.ask.want_output is not None
        and hold.max_output < prepared.ask.want_output
    )


def provider_error(wire: Wire, route: Route, status: int, headers: Headers, body: bytes) -> QlaudError:
    """What a provider's own error means for the caller."""
    sentence = wire.error_message(body)
    return refusal_of(route.provider, status, headers, body, sentence=sentence)


def refusal_of(
    provider: Provider, status: int, headers: Headers, body: bytes, *, sentence: str
) -> QlaudError:
    """The same, with the sentence its body holds."""
    if refuses_us(status, body):
        return ProviderAuthFailed(provider.display_name)
    if status < 400:  # never followed, never relayed: it would lead the caller's key elsewhere
        what = "with a redirect" if status >= 300 else "as if it had no WebSocket there"
        reason = f"it answered {what} (status {status}); the operator must check its base URL"
        return ProviderUnreachable(provider.display_name, reason)
    message = sentence or f"{provider.display_name} answered with status {status}"
    return ProviderRefused(status, message, retry_after=_bounded_wait(headers))


def fault_error(route: Route, fault: UpstreamFault) -> QlaudError:
    """What a provider that gave no answer means for the caller."""
    return silence_of(route.provider, fault)


def silence_of(provider: Provider, fault: UpstreamFault) -> QlaudError:
    """The same, for whoever has no route."""
    if isinstance(fault, UpstreamSlow) and fault.started:
        return ProviderTimeout(provider.display_name, fault.phase, fault.timeout_s)
    return ProviderUnreachable(provider.display_name, str(fault))


def _bounded_wait(headers: Headers) -> str | None:
    given = first(headers, (b"retry-after",))
    if given is None or not given.isdigit():
        return None
    return str(min(int(given), RETRY_AFTER_LIMIT_S))
