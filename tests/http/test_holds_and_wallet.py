"""Holds by hand, the account, the balance, the wallet."""

import asyncio
from typing import Any

from tests.support.management import START_MS, Office, in_office

from qlaud.core.money import Micros


def test_holds_are_listed_oldest_first_and_filtered(database_url: str) -> None:
    async def journey(office: Office) -> None:
        one, two = await office.mint(), await office.mint()
        made = [await office.hold(one["id"], n, created_at=START_MS + n // 2) for n in range(4)]
        lost = await office.hold(two["id"], 9, "lost", created_at=START_MS + 9)
        found = (await office.call("GET", "/v1/holds")).json()
        assert [hold["id"] for hold in found["data"]] == [*made, lost]
        assert found["data"][4] == {
            "id": lost, "object": "hold", "key_id": two["id"], "end_user_id": None, "thread_id": None,
            "model": "claude-haiku-4-5", "amount_micros": 9, "state": "lost", "created_at": START_MS + 9,
            "renewed_at": START_MS + 9, "lost_at": START_MS + 9,
        }  # fmt: skip
        for query, ids in (("state=lost", [lost]), ("state=held", made), (f"key_id={two['id']}", [lost])):
            listed = (await office.call("GET", f"/v1/holds?{query}")).json()["data"]
            assert [hold["id"] for hold in listed] == ids
        page = (await office.call("GET", "/v1/holds?limit=3")).json()
        rest = (await office.call("GET", f"/v1/holds?limit=3&after={page['next_after']}")).json()
        assert [hold["id"] for hold in (*page["data"], *rest["data"])] == [*made, lost]
        assert (rest["has_more"], rest["next_after"]) == (False, None)
        for query in ("state=resolved", "key_id=x", "after=x", "after=WzEsMl0"):
            assert (await office.call("GET", f"/v1/holds?{query}")).status_code == 400, query

    in_office(database_url, journey)


def test_a_lost_hold_is_resolved_once_with_its_cost(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=1)
        hold = await office.hold(key["id"], 5000, "lost")
        path = f"/v1/holds/{hold}/resolve"
        for body in ({"cost_micros": 5001}, {"cost_micros": -1}, {"cost_micros": 1.5}, {}, {"cost": 1}):
            assert (await office.call("POST", path, body)).status_code == 400, body
        once = {"idempotency-key": "r"}
        for _ in range(2):
            resolved = await office.call("POST", path, {"cost_micros": 1200}, headers=once)
            assert resolved.status_code == 200
            assert (resolved.json()["state"], resolved.json()["cost_micros"]) == ("resolved", 1200)
        assert (await office.call("POST", path, {"cost_micros": 1})).status_code == 404
        shown = (await office.call("GET", f"/v1/keys/{key['id']}")).json()
        assert (shown["spent_micros"], shown["held_micros"]) == (1200, 0)
        event = (await office.call("GET", f"/v1/requests/{hold}")).json()
        assert (event["estimated"], event["cost_micros"], event["provider_cost_micros"]) == (True, 1200, None)

    in_office(database_url, journey)


def test_a_hold_that_is_not_lost_cannot_be_resolved(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=1)
        hold = await office.hold(key["id"], 5000)
        refused = await office.call("POST", f"/v1/holds/{hold}/resolve", {"cost_micros": 1})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "hold_not_lost")
        assert (
            await office.call("POST", f"/v1/holds/{key['id']}/resolve", {"cost_micros": 1})
        ).status_code == 404

    in_office(database_url, journey)


def test_the_account_is_told_to_admins_and_only_its_id_to_others(database_url: str) -> None:
    async def journey(office: Office) -> None:
        account_id, secret = await office.desk.accounts.create("Ada King Lovelace", "ada@example.org")
        told = (await office.call("GET", "/v1/account", key=secret)).json()
        assert told == {
            "user_id": str(account_id), "email": "ada@example.org", "first_name": "Ada", "last_name": "King Lovelace",
        }  # fmt: skip
        key = (await office.call("POST", "/v1/keys", {"name": "a"}, key=secret)).json()["secret"]
        assert (await office.call("GET", "/v1/account", key=key)).json() == {
            "user_id": str(account_id), "email": None, "first_name": None, "last_name": None,
        }  # fmt: skip

    in_office(database_url, journey)


async def balance(office: Office, key: str | None = None) -> list[Any]:
    return list((await office.call("GET", "/v1/billing/balance", key=key)).json().values())


def test_without_a_wallet_the_balance_is_the_keys_own(database_url: str) -> None:
    async def journey(office: Office) -> None:
        capped, free = await office.mint(max_spend_usd="0.5"), await office.mint()
        await office.hold(capped["id"], 100_000)
        assert await balance(office) == [None, None, None, None, "off", "account"]
        assert await balance(office, free["secret"]) == [None, None, None, None, "off", "key"]
        assert await balance(office, capped["secret"]) == [0.4, 400_000, 100_000, 400_000, "off", "key"]

    in_office(database_url, journey)


def test_with_a_wallet_the_smaller_of_both_bounds_a_key(database_url: str) -> None:
    async def journey(office: Office) -> None:
        caller = await office.desk.principals.of(office.master)
        capped, free = await office.mint(max_spend_usd=1), await office.mint()
        assert await balance(office, free["secret"]) == [0, 0, 0, 0, "prepaid", "key"]
        for entry_id, micros in (("a", 600_000), ("a", 600_000), ("b", -100_000), ("c", 50)):
            await office.desk.wallets.credit(
                caller.account_id, "live", Micros(micros), note="by hand", entry_id=entry_id
            )
        assert await balance(office) == [0.50005, 500_050, 0, 500_050, "prepaid", "account"]
        assert (await balance(office, capped["secret"]))[3] == 500_050
        await office.spend(capped["id"], 600_000 - 99_950, on_wallet=True)
        assert (await balance(office, free["secret"]))[3] == 0
        wallet = (await office.call("GET", "/v1/wallet")).json()
        assert wallet == {
            "object": "wallet", "mode": "live", "balance_micros": 0, "held_micros": 0, "available_micros": 0,
            "low_balance_micros": 5_000_000,
        }  # fmt: skip

    in_office(database_url, journey, wallet="prepaid")


def test_wallet_entries_carry_a_balance_that_fits_from_page_to_page(database_url: str) -> None:
    async def journey(office: Office) -> None:
        caller = await office.desk.principals.of(office.master)
        key = await office.mint()
        expected: list[tuple[str, int, int]] = []
        total = 0
        for n in range(4):
            office.clock.at_ms = START_MS + 2 * n
            await office.desk.wallets.credit(
                caller.account_id, "live", Micros(1000), note=None, entry_id=f"e{n}"
            )
            total += 1000
            expected.append(("adjustment", 1000, total))
            office.clock.at_ms += 1
            await office.spend(key["id"], 30 + n, on_wallet=True)
            total -= 30 + n
            expected.append(("usage", -30 - n, total))
        await office.spend(key["id"], 0, on_wallet=True)
        seen: list[tuple[str, int, int]] = []
        query = "limit=3"
        while True:
            page = (await office.call("GET", f"/v1/wallet/entries?{query}")).json()
            seen += [(e["type"], e["amount_micros"], e["balance_after_micros"]) for e in page["data"]]
            if not page["has_more"]:
                break
            query = f"limit=3&before={page['next_before']}"
        assert seen == list(reversed(expected))

    in_office(database_url, journey, wallet="prepaid")


def test_one_movement_sent_by_many_at_once_moves_money_once(database_url: str) -> None:
    async def journey(office: Office) -> None:
        caller = await office.desk.principals.of(office.master)
        moved = await asyncio.gather(
            *(
                office.desk.wallets.credit(caller.account_id, "test", Micros(7), note=None, entry_id="x")
                for _ in range(6)
            )
        )
        assert sorted(moved) == [False] * 5 + [True]
        assert (await office.sql("SELECT paid_in_micros FROM wallets WHERE mode = 'test'"))[0][0] == 7

    in_office(database_url, journey)
