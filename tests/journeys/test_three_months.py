"""A developer with four users, from January to March 2027, on a gateway with a markup of 7 %.

A call of (in, out) tokens costs the provider in + 5 x out micro-dollars, and the user that times 1.07, rounded up
once. All invoices below were worked out by hand.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.asgi import Exchange
from tests.support.house import House, open_house

LAST_MS = 1
SMALL, MIDDLE, LARGE = (1000, 200), (1000, 1000), (10_000, 2000)
SMALL_MICROS = 2140
"""(1000 + 5 x 200) x 1.07"""
MIDDLE_MICROS = 6420
"""(1000 + 5 x 1000) x 1.07"""
WEEKLY, WEEKLY_MICROS = (5000, 1000), 10_700
"""(5000 + 5 x 1000) x 1.07"""
LARGE_MICROS = 21_400
"""(10000 + 5 x 2000) x 1.07"""


def ms(text: str) -> int:
    """`2027-01-31` or `2027-01-31T12:30` in UTC, as epoch milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


class Shop:
    """The developer: four users, and a calendar."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.users: dict[str, dict[str, Any]] = {}

    async def sign_up(self, name: str, **fields: object) -> None:
        self.users[name] = await self.house.mint(name=name, external_id=f"cus_{name}", **fields)

    async def at(self, when: str, user: str, size: tuple[int, int], *, before_ms: int = 0) -> Exchange:
        """The user calls at this moment, or that long before it."""
        self.house.clock.at_ms = ms(when) - before_ms
        return await self.house.say(self.users[user], *size)

    async def pays(
        self, when: str, user: str, size: tuple[int, int], cost: int, *, before_ms: int = 0
    ) -> None:
        """The call is served and costs that."""
        made = await self.at(when, user, size, before_ms=before_ms)
        assert (made.status, made.headers["x-qlaud-cost-micros"]) == (200, str(cost)), (when, user, made)

    async def refused(
        self, when: str, user: str, size: tuple[int, int], code: str, *, before_ms: int = 0
    ) -> None:
        """The call is refused, and nothing of it left the house."""
        asked = len(self.house.provider.asked)
        made = await self.at(when, user, size, before_ms=before_ms)
        assert made.code == code, (when, user, made)
        assert len(self.house.provider.asked) == asked

    async def change(self, when: str, user: str, **fields: object) -> None:
        self.house.clock.at_ms = ms(when)
        await self.house.api("PATCH", f"/v1/keys/{self.users[user]['id']}", fields)

    async def post(self, when: str, user: str, verb: str, **fields: object) -> Any:
        self.house.clock.at_ms = ms(when)
        return await self.house.api("POST", f"/v1/keys/{self.users[user]['id']}/{verb}", fields)

    async def invoice(self, month: str, after: str) -> dict[str, int]:
        """What each user owes for a month, once it is over; sums are checked."""
        self.house.clock.at_ms = max(self.house.clock.at_ms, ms(after))
        found = await self.house.api("GET", f"/v1/usage?from_ms={ms(month)}&to_ms={ms(after)}&group_by=day")
        lines = {line["name"]: line["cost_micros"] for line in found["by_key"]}
        for parts in (found["by_key"], found["by_model"], found["groups"]):
            assert sum(part["cost_micros"] for part in parts) == found["total_cost_micros"]
            assert sum(part["request_count"] for part in parts) == found["request_count"]
        assert sum(lines.values()) == found["total_cost_micros"]
        await self.house.check_healthy()
        return lines


async def january(shop: Shop) -> None:
    # Ana: 10 cents a month that begins on the 31st, so her first period ends with January 30.
    await shop.sign_up("ana", max_spend_usd="0.1", cap_period="month", cap_anchor_day=31, on_cap="refuse")
    # Ben: 1 cent a day. Cai: 2 cents a week, from Monday. Dan: 5 cents, once, until the middle of February.
    await shop.sign_up("ben", max_spend_usd="0.01", cap_period="day", on_cap="refuse")
    await shop.sign_up("cai", max_spend_usd="0.02", cap_period="week", on_cap="refuse")
    await shop.sign_up("dan", max_spend_usd="0.05", expires_at=ms("2027-02-15"), on_cap="refuse")

    await shop.pays("2027-01-01", "ana", SMALL, SMALL_MICROS)
    await shop.pays("2027-01-20T12:00", "ana", LARGE, LARGE_MICROS)
    # (3 + 5 x 1) x 1.07 = 8.56, rounded up
    await shop.pays("2027-01-31", "ana", (3, 1), 9, before_ms=LAST_MS)
    assert (await shop.house.key(shop.users["ana"]))["spent_micros"] == SMALL_MICROS + LARGE_MICROS + 9
    await shop.pays("2027-01-31", "ana", SMALL, SMALL_MICROS)
    assert (await shop.house.key(shop.users["ana"]))["spent_micros"] == SMALL_MICROS

    await shop.pays("2027-01-01T08:00", "ben", MIDDLE, MIDDLE_MICROS)
    await shop.refused("2027-01-02", "ben", MIDDLE, "key_cap_exceeded", before_ms=LAST_MS)
    await shop.pays("2027-01-02", "ben", MIDDLE, MIDDLE_MICROS)
    assert (await shop.post("2027-01-02T01:00", "ben", "credit", amount_usd="0.01"))[
        "credit_micros"
    ] == 10_000
    await shop.pays("2027-01-02T02:00", "ben", MIDDLE, MIDDLE_MICROS)
    shop.house.clock.at_ms = ms("2027-01-03")
    ben = await shop.house.key(shop.users["ben"])
    assert (ben["credit_micros"], ben["remaining_micros"]) == (0, 10_000), "credit lasts for its period"

    # January 1 is a Friday: her week ends with Sunday the 3rd.
    await shop.pays("2027-01-01T09:00", "cai", WEEKLY, WEEKLY_MICROS)
    await shop.refused("2027-01-04", "cai", WEEKLY, "key_cap_exceeded", before_ms=LAST_MS)
    await shop.pays("2027-01-04", "cai", WEEKLY, WEEKLY_MICROS)

    await shop.pays("2027-01-05T10:00", "dan", LARGE, LARGE_MICROS)


async def february(shop: Shop) -> None:
    await shop.change("2027-02-20", "ana", max_spend_usd="0.002")  # she has spent 2140 of it since January 31
    await shop.refused("2027-02-20T00:01", "ana", (100, 50), "key_cap_exceeded")
    await shop.refused("2027-02-28", "ana", (100, 50), "key_cap_exceeded", before_ms=LAST_MS)
    # February has no 31st: her period begins on its last day. (100 + 5 x 50) x 1.07 = 374.5
    await shop.pays("2027-02-28", "ana", (100, 50), 375)

    shop.house.clock.at_ms = ms("2027-02-01")
    assert await shop.house.api("DELETE", f"/v1/keys/{shop.users['ben']['id']}") == {"ok": True}
    await shop.refused("2027-02-01", "ben", MIDDLE, "revoked_key")

    await shop.pays("2027-02-03", "cai", WEEKLY, WEEKLY_MICROS)

    await shop.pays("2027-02-15", "dan", SMALL, SMALL_MICROS, before_ms=LAST_MS)
    await shop.refused("2027-02-15", "dan", SMALL, "expired_key")
    await shop.change("2027-02-16", "dan", expires_at=None)
    await shop.pays("2027-02-16", "dan", SMALL, SMALL_MICROS)


async def march(shop: Shop) -> None:
    old = shop.users["ana"]
    shop.users["ana"] = await shop.post("2027-03-01", "ana", "rotate")
    assert (await shop.house.say(old, *SMALL)).code == "invalid_key"
    await shop.refused("2027-03-01", "ana", SMALL, "key_cap_exceeded")
    await shop.change("2027-03-01", "ana", max_spend_usd="0.1")
    await shop.pays("2027-03-01T00:01", "ana", SMALL, SMALL_MICROS)

    # Dan has 50000 - 21400 - 2 x 2140 = 24320 left: enough for what this call would cost, (10000 + 5 x 2500) x 1.07 =
    # 24075, not for its worst case, in which every byte is a token and all of them are written to a cache.
    await shop.refused("2027-03-02", "dan", (10_000, 2500), "key_cap_exceeded")
    await shop.post("2027-03-02", "dan", "credit", amount_usd="0.01")
    await shop.pays("2027-03-02", "dan", LARGE, LARGE_MICROS)
    assert (await shop.house.key(shop.users["dan"]))["remaining_micros"] == 60_000 - 47_080


def test_three_months_of_four_users_end_in_the_invoices_worked_out_by_hand(
    database_url: str, house_folder: Path
) -> None:
    async def main() -> None:
        async with open_house(database_url, house_folder, at_ms=ms("2027-01-01"), markup_bp=700) as house:
            shop = Shop(house)
            await january(shop)
            # ana 2140 + 21400 + 9 + 2140; ben 3 x 6420; cai 2 x 10700
            jan = {"ana": 25_689, "ben": 19_260, "cai": 21_400, "dan": 21_400}
            assert await shop.invoice("2027-01-01", "2027-02-01") == jan
            await february(shop)
            feb = {"ana": 375, "cai": 10_700, "dan": 4280}
            assert await shop.invoice("2027-02-01", "2027-03-01") == feb
            await march(shop)
            mar = {"ana": 2140, "dan": 21_400}
            assert await shop.invoice("2027-03-01", "2027-04-01") == mar
            assert await shop.invoice("2027-01-01", "2027-02-01") == jan, "a settled month does not change"
            # 87749 + 15355 + 23540
            whole = await shop.invoice("2027-01-01", "2027-04-01")
            assert sum(whole.values()) == 126_644
            (ours,) = await house.sql("SELECT sum(provider_cost_micros)::bigint AS cost FROM usage_events")
            # The provider's own bill: jan 24008 + 18000 + 20000 + 20000, feb 350 + 10000 + 4000, mar 2000 + 20000
            assert ours["cost"] == house.provider.bill_micros == 118_358

    asyncio.run(main())
