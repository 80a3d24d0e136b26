"""Keys are changed while their calls run: no cap is passed, no spending is lost, and a change acts at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
from tests.support.management import DAY_MS, MIDNIGHT_MS, Office, in_office

from qlaud.core.errors import InvalidKey, QlaudError, RevokedKey
from qlaud.core.ids import RequestId
from qlaud.core.keys import secret_digest
from qlaud.core.ledger import CallFacts, Hold, HoldAsk, Settlement
from qlaud.core.money import Micros
from qlaud.core.usage import Usage
from qlaud.store.ledger import Ledger, Terms

FACTS = CallFacts("claude-haiku-4-5", "anthropic", "messages", "v1")


@asynccontextmanager
async def open_ledger(office: Office) -> AsyncIterator[Ledger]:
    pool = office.pool
    ledger = Ledger(pool.connect, pool.acquire, office.clock.now_ms, Terms(0, False, 10.0))
    ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close(5.0)


async def take(office: Office, ledger: Ledger, secret: str, micros: int) -> Hold | None:
    """A hold of exactly this much, None if there is not enough."""
    ask = HoldAsk(
        id=RequestId(office.numbers.uuid(office.clock.at_ms)),
        secret_sha256=secret_digest(secret),
        facts=FACTS,
        is_priced=True,
        unbounded_tool=None,
        want_output=None,
        want_micros=Micros(micros),
        floor_micros=Micros(micros),
        base_picos=micros * 1_000_000,
        slope_picos=0,
        no_limit=False,
    )
    admission = await ledger.hold(ask, has_waited=True)
    return admission if isinstance(admission, Hold) else None


async def settle(ledger: Ledger, hold: Hold, micros: int) -> None:
    await ledger.settle(
        Settlement(
            hold=hold,
            facts=FACTS,
            usage=Usage(),
            cost_micros=Micros(micros),
            provider_cost_micros=Micros(micros),
            latency_ms=1,
            first_token_ms=None,
            status=200,
            stream=False,
            estimated=False,
            clamped=False,
        )
    )


def test_changes_among_running_calls_lose_nothing_and_pass_no_cap(database_url: str) -> None:
    async def journey(office: Office) -> None:
        dice = Random(7)
        key = await office.mint(max_spend_usd="0.01", cap_period="day")
        path = f"/v1/keys/{key['id']}"

        async def caller(ledger: Ledger) -> int:
            spent = 0
            for _ in range(12):
                hold = await take(office, ledger, key["secret"], dice.randrange(1, 900))
                if hold is not None:
                    cost = dice.randrange(0, hold.amount_micros + 1)
                    await settle(ledger, hold, cost)
                    spent += cost
            return spent

        async def operator() -> int:
            credited = 0
            for n in range(15):
                period = dice.choice(("day", "week", "month", "lifetime"))
                body = {"max_spend_usd": dice.choice(("0.002", "0.01", 0)), "cap_period": period}
                assert (await office.call("PATCH", path, body)).status_code == 200
                once = {"idempotency-key": f"c{n // 2}"}
                answer = await office.call("POST", f"{path}/credit", {"amount_usd": "0.000100"}, headers=once)
                assert answer.status_code == 200
                credited += "idempotency-replayed" not in answer.headers
            return credited

        async with open_ledger(office) as ledger:
            credited, *spent = await asyncio.gather(operator(), *(caller(ledger) for _ in range(6)))
        assert await office.doctor.examine() == []
        assert credited == 8
        shown = (await office.call("GET", f"{path}/usage")).json()
        assert shown["lifetime_cost_micros"] == sum(spent)
        assert sum(spent) > 0
        assert (shown["held_micros"], shown["credit_micros"]) == (0, 800)

    in_office(database_url, journey)


def test_a_change_acts_on_the_very_next_hold(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd="0.001")
        path = f"/v1/keys/{key['id']}"
        async with open_ledger(office) as ledger:
            assert await take(office, ledger, key["secret"], 1001) is None
            await office.call("PATCH", path, {"max_spend_usd": "0.001001"})
            hold = await take(office, ledger, key["secret"], 1001)
            assert hold is not None
            await office.call("PATCH", path, {"max_spend_usd": "0.0005"})
            assert await take(office, ledger, key["secret"], 1) is None
            await settle(ledger, hold, 400)
            assert await take(office, ledger, key["secret"], 101) is None
            await office.call("POST", f"{path}/credit", {"amount_usd": "0.000001"})
            assert await take(office, ledger, key["secret"], 101) is not None
            rotated = (await office.call("POST", f"{path}/rotate", {})).json()["secret"]
            await refused(office, ledger, key["secret"], InvalidKey)
            await office.call("PATCH", path, {"max_spend_usd": None})
            assert await take(office, ledger, rotated, 10**9) is not None
            await office.call("DELETE", path)
            await refused(office, ledger, rotated, RevokedKey)

    in_office(database_url, journey)


async def refused(office: Office, ledger: Ledger, secret: str, error: type[QlaudError]) -> None:
    ask_refused = await _admission(office, ledger, secret)
    assert isinstance(ask_refused, error)


async def _admission(office: Office, ledger: Ledger, secret: str) -> QlaudError:
    ask = HoldAsk(
        RequestId(office.numbers.uuid(office.clock.at_ms)), secret_digest(secret), FACTS, True, None, None,
        Micros(0), Micros(0), 0, 0, False,
    )  # fmt: skip
    admission = await ledger.hold(ask, has_waited=True)
    return admission.error  # type: ignore[union-attr]


@pytest.mark.parametrize("touched_by", ["hold", "credit", "patch"])
def test_whoever_comes_first_begins_the_new_period(database_url: str, touched_by: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd="0.001", cap_period="day")
        path = f"/v1/keys/{key['id']}"
        async with open_ledger(office) as ledger:
            late = await take(office, ledger, key["secret"], 1000)
            assert late is not None
            office.clock.at_ms = MIDNIGHT_MS + DAY_MS
            if touched_by == "credit":
                await office.call("POST", f"{path}/credit", {"amount_usd": "0.0005"})
            elif touched_by == "patch":
                await office.call("PATCH", path, {"max_spend_usd": "0.0015"})
            expected = 1000 if touched_by == "hold" else 1500
            shown = (await office.call("GET", path)).json()
            assert (shown["held_micros"], shown["remaining_micros"]) == (0, expected)
            first = await take(office, ledger, key["secret"], expected)
            assert first is not None
            await settle(ledger, late, 900)
            await settle(ledger, first, 10)
        shown = (await office.call("GET", f"{path}/usage")).json()
        assert (shown["cost_micros"], shown["lifetime_cost_micros"]) == (10, 910)

    in_office(database_url, journey)
