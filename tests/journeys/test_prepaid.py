"""A prepaid wallet over two months: money comes in, two users spend it, a refund takes it out, nothing is lost."""

import asyncio
from pathlib import Path

import pytest
from tests.support.house import House, open_house

JANUARY_MS, FEBRUARY_MS = 1_798_761_600_000, 1_801_440_000_000
"""2027-01-01 and 2027-02-01."""
DAY_MS = 86_400_000


async def balance(house: House) -> tuple[int, int]:
    wallet = await house.api("GET", "/v1/wallet")
    return wallet["balance_micros"], wallet["available_micros"]


async def month(house: House, from_ms: int, to_ms: int) -> int:
    return (await house.api("GET", f"/v1/usage?from_ms={from_ms}&to_ms={to_ms}"))["total_cost_micros"]


def test_a_wallet_is_what_was_paid_in_less_the_invoices(database_url: str, house_folder: Path) -> None:
    async def main() -> None:
        terms = {"markup_bp": 700, "wallet": "prepaid"}
        async with open_house(database_url, house_folder, at_ms=JANUARY_MS, **terms) as house:
            free, capped = (
                await house.mint(name="free"),
                await house.mint(name="capped", max_spend_usd="0.01"),
            )
            empty = await house.say(free, 1000, 200)
            assert (empty.status, empty.code) == (402, "wallet_exhausted")
            assert "the wallet of its account is empty" in empty.json["error"]["message"]
            assert empty.headers["x-should-retry"] == "false"

            assert await house.pay_in(50_000, "adj_1")
            assert not await house.pay_in(50_000, "adj_1"), "the same movement again moves nothing"
            assert await balance(house) == (50_000, 50_000)
            assert (await house.say(free, 10_000, 2000)).status == 200  # 21400
            assert (await house.say(capped, 1000, 200)).status == 200  # 2140
            assert await balance(house) == (26_460, 26_460)
            assert await month(house, JANUARY_MS, FEBRUARY_MS) == 23_540

            house.clock.at_ms = FEBRUARY_MS
            # Its worst case is above its own cent, not above the wallet.
            over = await house.say(capped, 1000, 2000)
            assert (over.status, over.headers["x-qlaud-max-tokens-applied"] < "2000") == (200, True)
            spent = int(over.headers["x-qlaud-cost-micros"])
            assert await balance(house) == (26_460 - spent, 26_460 - spent)
            await house.pay_in(-10_000, "refund_1")
            left = 16_460 - spent
            assert await balance(house) == (left, left)
            assert (await house.say(free, 10_000, 2000)).code == "wallet_exhausted"
            assert await month(house, FEBRUARY_MS, FEBRUARY_MS + DAY_MS) == spent
            await house.pay_in(100_000, "adj_2")
            assert (await house.say(free, 10_000, 2000)).status == 200  # 21400
            total = 23_540 + spent + 21_400
            assert await balance(house) == (140_000 - total, 140_000 - total)
            assert await month(house, JANUARY_MS, FEBRUARY_MS + DAY_MS) == total
            await house.check_healthy()

    asyncio.run(main())


@pytest.mark.parametrize("refund_micros", [30_000, 60_000])
def test_a_refund_below_what_is_spent_stops_every_key_until_money_comes(
    database_url: str, house_folder: Path, refund_micros: int
) -> None:
    async def main() -> None:
        async with open_house(database_url, house_folder, at_ms=JANUARY_MS, wallet="prepaid") as house:
            key = await house.mint()
            await house.pay_in(50_000, "adj_1")
            assert (await house.say(key, 10_000, 2000)).status == 200  # 20000
            await house.pay_in(-refund_micros, "refund_1")
            assert (await balance(house))[0] == 30_000 - refund_micros
            assert (await house.say(key, 1, 1)).code == "wallet_exhausted"
            await house.pay_in(refund_micros, "adj_2")
            assert (await house.say(key, 1, 1)).status == 200
            await house.check_healthy()

    asyncio.run(main())
