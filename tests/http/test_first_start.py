"""The owner account, the master key, and the doctor who checks every sum."""

import pytest
from tests.support.management import START_MS, Office, in_office

from qlaud.flows.accounts import MasterKeyRefused
from qlaud.ports_management import Difference

GIVEN = "qlk_live_" + "ab" * 32


def test_a_given_master_key_is_installed_once_and_told_when_it_is_of_no_use(database_url: str) -> None:
    async def journey(office: Office) -> None:
        ensure = office.desk.accounts.ensure_owner
        assert (await ensure()).step == "found"
        installed = await ensure(GIVEN)
        assert (installed.step, installed.secret) == ("installed", None)
        assert (await ensure(GIVEN)).step == "found"
        keys = (await office.call("GET", "/v1/keys", key=GIVEN)).json()["keys"]
        assert len(keys) == 2
        await office.call("DELETE", f"/v1/keys/{keys[0]['id']}")
        assert (await ensure(GIVEN)).step == "unusable"
        standard = await office.mint()
        assert (await ensure(standard["secret"])).step == "unusable"

    in_office(database_url, journey)


@pytest.mark.parametrize("text", ["", "sk-1", "qlk_live_" + "AB" * 32, "qlk_test_" + "ab" * 32, GIVEN + "0"])
def test_a_master_key_of_another_form_is_refused_and_not_repeated(database_url: str, text: str) -> None:
    async def journey(office: Office) -> None:
        with pytest.raises(MasterKeyRefused) as refused:
            await office.desk.accounts.ensure_owner(text)
        assert not text or text not in str(refused.value)

    in_office(database_url, journey)


def test_the_first_start_takes_a_given_key_and_shows_no_secret(database_url: str) -> None:
    async def journey(office: Office) -> None:
        await office.sql("TRUNCATE accounts, wallets, keys, credits, wallet_entries")
        first = await office.desk.accounts.ensure_owner(GIVEN)
        assert (first.step, first.secret) == ("made", None)
        assert (await office.call("GET", "/v1/keys", key=GIVEN)).status_code == 200
        wallets = await office.sql("SELECT mode FROM wallets ORDER BY mode")
        assert [row["mode"] for row in wallets] == ["live", "test"]

    in_office(database_url, journey)


def test_the_doctor_finds_every_projection_that_is_not_its_rows_and_mends_it(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=5, cap_period="day")
        free = await office.mint()
        await office.spend(key["id"], 100, created_at=START_MS - 10**9)
        await office.spend(key["id"], 20)
        await office.hold(key["id"], 7)
        await office.hold(key["id"], 3, "lost")
        await office.call("POST", f"/v1/keys/{key['id']}/credit", {"amount_usd": 1})
        assert await office.doctor.examine() == []
        await office.sql(
            "UPDATE keys SET posted_micros = 21, held_micros = 8, lost_micros = 4, credit_micros = 5,"
            " lifetime_micros = 1, ceiling_micros = 90 WHERE name = 'user' AND max_spend_micros IS NOT NULL"
        )
        await office.sql("UPDATE keys SET held_micros = 1 WHERE id = $1", free["id"])
        await office.sql("UPDATE wallets SET paid_in_micros = 9 WHERE mode = 'test'")
        await office.sql("UPDATE accounts SET overage_micros = 11")
        found = await office.doctor.examine()
        assert {(one.table, one.column, one.stored, one.actual) for one in found if one.id == key["id"]} == {
            ("keys", "posted_micros", 21, 20),
            ("keys", "held_micros", 8, 7),
            ("keys", "lost_micros", 4, 3),
            ("keys", "credit_micros", 5, 1_000_000),
            ("keys", "lifetime_micros", 1, 120),
            ("keys", "ceiling_micros", 90, 5_000_005),
        }
        assert Difference("keys", free["id"], "held_micros", 1, 0) in found
        assert {one.table for one in found} == {"keys", "wallets", "accounts"}
        assert await office.doctor.mend() == found
        shown = (await office.call("GET", f"/v1/keys/{key['id']}")).json()
        assert (shown["spent_micros"], shown["remaining_micros"]) == (20, 5_999_970)

    in_office(database_url, journey)


def test_metrics_tell_what_is_tied_up(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint()
        await office.hold(key["id"], 7)
        await office.hold(key["id"], 3, "lost")
        gauges = {name: value for name, (_, value) in (await office.desk.usage.gauges()).items()}
        assert gauges == {
            "qlaud_holds": 1, "qlaud_held_micros": 7, "qlaud_lost_holds": 1, "qlaud_lost_micros": 3,
            "qlaud_overage_micros_total": 0,
        }  # fmt: skip

    in_office(database_url, journey)
