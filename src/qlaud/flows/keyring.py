"""Which of a provider's keys is used next, where the operator gave several. One ring a provider and process.

The first key is used until the provider refuses it; then the next. A refused key rests for a while and is tried
again, so that one that was topped up comes back by itself. If all of them rest, the one that rests longest is tried:
a call is never refused here.
"""

import re
from collections.abc import Awaitable, Callable, Mapping

from qlaud.core.providers import Provider
from qlaud.flows.headers import first
from qlaud.flows.read_answer import ReadAnswer, read_answer
from qlaud.ports import Clock, Headers, UpstreamResponse

REFUSES_US = frozenset((401, 402, 403))
"""Statuses that are about the operator's account at the provider, not about the caller (contract 4.3)."""
REFUSED = REFUSES_US | {429}
"""Statuses that are about the key, not about the call: unknown, out of money, not allowed, too many calls."""
REFUSES_US_IN_WORDS: Mapping[int, re.Pattern[bytes]] = {
    # Google, Anthropic, Qwen
    400: re.compile(
        rb'(?<!\\)"(API_KEY_INVALID"|API key (not valid|expired)|Your credit balance is too low|Arrearage")'
    ),
    # OpenAI, Kimi: no money, not too many calls
    429: re.compile(rb'(?<!\\)"(insufficient_quota|exceeded_current_quota_error)"'),
}
"""How refusals say that they are about the operator's key or account where their status does not. The words begin a
string, so that those of a caller that a provider repeats within one are not taken for its own."""
REST_MS = 300_000.0
"""How long a key rests that the provider does not take."""
LONGEST_LIMIT_REST_S = 60
SHORTEST_LIMIT_REST_S = 1


class KeyRing:
    """The keys of one provider, by their numbers."""

    def __init__(self, provider: Provider, clock: Clock) -> None:
        self._clock = clock
        self._rests_until = [0.0] * max(1, len(provider.api_keys))

    def order(self) -> list[int]:
        """The keys in the order to try them: those that rest come last, the one due first before the others."""
        now = self._clock.ticks_ms()
        numbers = range(len(self._rests_until))
        return sorted(numbers, key=lambda number: (max(self._rests_until[number], now), number))

    def refused(self, number: int, status: int, headers: Headers, body: bytes = b"") -> None:
        """Let a key rest that the provider refused; after a rate limit for as long as the provider says."""
        rest_ms = REST_MS
        if not refuses_us(status, body):
            asked = first(headers, (b"retry-after",)) or b""
            wait_s = int(asked) if asked.isdigit() else SHORTEST_LIMIT_REST_S
            rest_ms = 1000.0 * min(max(wait_s, SHORTEST_LIMIT_REST_S), LONGEST_LIMIT_REST_S)
        self._rests_until[number] = self._clock.ticks_ms() + rest_ms


def refuses_us(status: int, body: bytes) -> bool:
    """Whether a refusal is about the operator's key or account."""
    if status in REFUSES_US:
        return True
    words = REFUSES_US_IN_WORDS.get(status)
    return words is not None and words.search(body) is not None


def _never(answer: ReadAnswer) -> bool:
    del answer
    return False


async def ask_in_turn(
    ring: KeyRing | None,
    send: Callable[[int], Awaitable[UpstreamResponse]],
    *,
    is_billed: Callable[[ReadAnswer], bool] = _never,
) -> UpstreamResponse:
    """The answer by the first of the keys that the provider takes, else its last refusal. Raises as `send`.

    `send` is given the number of a key. A refusal that `is_billed` is not asked for again.
    """
    if ring is None:
        return await send(0)
    *others, final = ring.order()
    for number in (*others, final):
        response = await send(number)
        if response.status not in REFUSED and response.status != 400:
            return response
        answer = await read_answer(response)
        if answer.status != 429 and not refuses_us(answer.status, answer.text):
            return answer
        ring.refused(number, answer.status, answer.headers, answer.text)
        if number == final or is_billed(answer):
            return answer
    raise AssertionError("a ring has a key")
