"""Which of several keys is used next."""

import pytest
from tests.support.ledger_desk import FrozenClock
from tests.support.pump_stage import provider

from qlaud.core.providers import Secret
from qlaud.flows.keyring import REST_MS, KeyRing


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def ring(clock: FrozenClock) -> KeyRing:
    return KeyRing(provider(api_keys=tuple(Secret(f"sk-{number}") for number in range(3))), clock)


def test_the_first_key_is_used_while_it_is_taken(ring: KeyRing) -> None:
    assert ring.order() == [0, 1, 2]


def test_a_key_that_is_not_taken_rests_and_comes_back(ring: KeyRing, clock: FrozenClock) -> None:
    ring.refused(0, 401, ())
    assert ring.order() == [1, 2, 0]
    clock.at_ms += int(REST_MS)
    assert ring.order() == [0, 1, 2]


@pytest.mark.parametrize(("asked", "rest_s"), [(b"7", 7), (b"3600", 60), (b"soon", 1), (None, 1)])
def test_a_rate_limit_lasts_as_long_as_the_provider_says_within_a_minute(
    ring: KeyRing, clock: FrozenClock, asked: bytes | None, rest_s: int
) -> None:
    ring.refused(0, 429, () if asked is None else ((b"retry-after", asked),))
    clock.at_ms += rest_s * 1000 - 1
    assert ring.order()[0] == 1
    clock.at_ms += 1
    assert ring.order()[0] == 0


@pytest.mark.parametrize("code", ["insufficient_quota", "exceeded_current_quota_error"])
def test_a_key_without_money_rests_as_one_that_is_not_taken(
    ring: KeyRing, clock: FrozenClock, code: str
) -> None:
    ring.refused(
        0, 429, ((b"retry-after", b"1"),), b'{"error":{"message":"...","type":"%b"}}' % code.encode()
    )
    clock.at_ms += int(REST_MS) - 1
    assert ring.order()[0] == 1
    clock.at_ms += 1
    assert ring.order()[0] == 0


def test_where_all_rest_the_one_that_is_due_first_is_tried_first(ring: KeyRing) -> None:
    ring.refused(0, 401, ())
    ring.refused(1, 429, ((b"retry-after", b"20"),))
    ring.refused(2, 429, ((b"retry-after", b"10"),))
    assert ring.order() == [2, 1, 0]
