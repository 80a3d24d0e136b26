"""Keys over HTTP: minted, listed, changed, credited, rotated, revoked."""

import asyncio

from tests.support.management import DAY_MS, MIDNIGHT_MS, START_MS, Office, in_office

UNKNOWN = "0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10"


def test_a_minted_key_answers_every_field_of_the_contract(database_url: str) -> None:
    async def journey(office: Office) -> None:
        made = await office.call(
            "POST", "/v1/keys", {"name": "user_7", "max_spend_usd": 5, "external_id": "cus_7"}
        )
        assert made.status_code == 201
        key = made.json()
        secret = key["secret"]
        assert secret.startswith("qlk_live_")
        assert list(key)[:5] == ["id", "object", "name", "secret", "prefix"]
        assert key == {
            "id": key["id"], "object": "key", "name": "user_7", "secret": secret,
            "prefix": f"{secret[:13]}…{secret[-4:]}", "scope": "standard", "mode": "live", "max_spend_usd": 5,
            "cap_period": "lifetime", "cap_anchor_day": 1, "on_cap": "clamp", "on_disconnect": "drain",
            "rpm_limit": None, "max_parallel": None, "allowed_models": None, "expires_at": None,
            "external_id": "cus_7", "metadata": None, "credit_micros": 0, "spent_micros": 0, "held_micros": 0,
            "remaining_micros": 5_000_000, "created_at": START_MS, "last_used_at": None, "revoked": False,
        }  # fmt: skip
        stored = await office.sql("SELECT * FROM keys WHERE id = $1", key["id"])
        assert secret not in str(stored)

    in_office(database_url, journey)


def test_the_list_is_wrapped_newest_first_paged_filtered_and_without_secrets(database_url: str) -> None:
    async def journey(office: Office) -> None:
        names = [(await office.mint(name=f"k{n}", external_id=f"c{n % 2}"))["name"] for n in range(5)]
        gone = await office.mint(name="gone")
        await office.call("DELETE", f"/v1/keys/{gone['id']}")
        everything = (await office.call("GET", "/v1/keys")).json()
        assert list(everything) == ["keys", "has_more", "next_after"]
        assert [key["name"] for key in everything["keys"]] == ["gone", *reversed(names), "master"]
        assert "secret" not in str(everything)
        seen: list[str] = []
        after = ""
        while True:
            page = (await office.call("GET", f"/v1/keys?limit=3&after={after}&t=9&beta=true")).json()
            seen += [key["id"] for key in page["keys"]]
            if not page["has_more"]:
                assert page["next_after"] is None
                break
            after = page["next_after"]
        assert seen == [key["id"] for key in everything["keys"]]
        for query, count in (
            ("external_id=c0", 3),
            ("revoked=true", 1),
            ("revoked=false", 6),
            ("limit=99999", 7),
        ):
            assert len((await office.call("GET", f"/v1/keys?{query}")).json()["keys"]) == count
        for query in (
            "limit=0",
            "limit=-1",
            "limit=a",
            "limit=1.5",
            "limit=",
            "after=x",
            "revoked=maybe",
            "mode=prod",
        ):
            assert (await office.call("GET", f"/v1/keys?{query}")).status_code == 400, query

    in_office(database_url, journey)


def test_a_patch_changes_what_it_names_and_null_clears(database_url: str) -> None:
    async def journey(office: Office) -> None:
        made = await office.mint(
            max_spend_usd=5,
            rpm_limit=9,
            external_id="c",
            metadata={"a": 1},
            allowed_models=["gpt-*"],
            on_cap="refuse",
        )
        path = f"/v1/keys/{made['id']}"
        changed = (await office.call("PATCH", path, {"max_spend_usd": "0.05", "metadata": {"b": 2}})).json()
        del made["secret"]
        assert changed == {**made, "max_spend_usd": 0.05, "metadata": {"b": 2}, "remaining_micros": 50_000}
        cleared = await office.call(
            "PATCH",
            path,
            dict.fromkeys(
                ("max_spend_usd", "rpm_limit", "external_id", "metadata", "allowed_models", "on_cap")
            ),
        )
        assert cleared.json() == {
            **made, "max_spend_usd": None, "remaining_micros": None, "metadata": None, "rpm_limit": None,
            "external_id": None, "allowed_models": None, "on_cap": "clamp",
        }  # fmt: skip
        assert (await office.call("PATCH", path, {})).json() == cleared.json()
        for body in ({"scope": "admin"}, {"mode": "test"}, {"name": None}, {"max_spend": 1}, {"secret": "x"}):
            assert (await office.call("PATCH", path, body)).status_code == 400, body

    in_office(database_url, journey)


def test_changes_of_different_fields_at_the_same_moment_all_stay(database_url: str) -> None:
    async def journey(office: Office) -> None:
        path = f"/v1/keys/{(await office.mint())['id']}"
        changes = {"name": "b", "rpm_limit": 3, "max_parallel": 4, "external_id": "e", "on_cap": "refuse"}
        for _ in range(4):
            await office.call("PATCH", path, {**dict.fromkeys(changes), "name": "a"})
            await asyncio.gather(
                *(office.call("PATCH", path, {name: value}) for name, value in changes.items())
            )
            shown = (await office.call("GET", path)).json()
            assert {name: shown[name] for name in changes} == changes

    in_office(database_url, journey)


def test_a_cap_below_what_is_spent_leaves_nothing_and_can_be_raised_again(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=5)
        await office.spend(key["id"], 3_000_000)
        await office.hold(key["id"], 500_000)
        await office.hold(key["id"], 250_000, "lost")
        path = f"/v1/keys/{key['id']}"
        low = (await office.call("PATCH", path, {"max_spend_usd": 1})).json()
        assert (low["spent_micros"], low["held_micros"], low["remaining_micros"]) == (3_000_000, 750_000, 0)
        high = (await office.call("PATCH", path, {"max_spend_usd": 10})).json()
        assert high["remaining_micros"] == 6_250_000

    in_office(database_url, journey)


def test_a_change_of_the_period_counts_the_new_one_from_the_rows(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=5)
        path = f"/v1/keys/{key['id']}"
        await office.spend(key["id"], 1_000_000, created_at=MIDNIGHT_MS - 1)
        await office.spend(key["id"], 20, created_at=MIDNIGHT_MS)
        await office.hold(key["id"], 300, created_at=MIDNIGHT_MS - 1)
        await office.hold(key["id"], 4_000)
        await office.call("POST", f"{path}/credit", {"amount_usd": 1})
        daily = (await office.call("PATCH", path, {"cap_period": "day"})).json()
        assert (daily["spent_micros"], daily["held_micros"], daily["credit_micros"]) == (20, 4_000, 1_000_000)
        forever = (await office.call("PATCH", path, {"cap_period": "lifetime"})).json()
        assert (forever["spent_micros"], forever["held_micros"]) == (1_000_020, 4_300)

    in_office(database_url, journey)


def test_a_reader_sees_the_running_period_before_any_call_has_begun_it(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=5, cap_period="day")
        await office.spend(key["id"], 5_000_000)
        path = f"/v1/keys/{key['id']}"
        assert (await office.call("GET", path)).json()["remaining_micros"] == 0
        office.clock.at_ms = MIDNIGHT_MS + DAY_MS - 1
        assert (await office.call("GET", path)).json()["remaining_micros"] == 0
        office.clock.at_ms += 1
        for shown in (
            (await office.call("GET", path)).json(),
            (await office.call("GET", "/v1/keys")).json()["keys"][0],
            (await office.call("PATCH", path, {"name": "b"})).json(),
        ):
            assert (shown["spent_micros"], shown["remaining_micros"]) == (0, 5_000_000)

    in_office(database_url, journey)


def test_a_credit_raises_the_allowance_and_on_a_day_key_is_gone_the_next_day(database_url: str) -> None:
    async def journey(office: Office) -> None:
        for period, next_day in (("lifetime", 2_500_000), ("day", 0)):
            office.clock.at_ms = START_MS
            key = await office.mint(max_spend_usd=5, cap_period=period)
            path = f"/v1/keys/{key['id']}"
            credited = await office.call("POST", f"{path}/credit", {"amount_usd": 2.5})
            assert credited.status_code == 200
            assert (credited.json()["credit_micros"], credited.json()["remaining_micros"]) == (
                2_500_000,
                7_500_000,
            )
            assert credited.json()["max_spend_usd"] == 5
            assert (await office.call("GET", f"{path}/usage")).json()["cap_micros"] == 7_500_000
            office.clock.at_ms += DAY_MS
            assert (await office.call("GET", path)).json()["credit_micros"] == next_day
            again = await office.call("POST", f"{path}/credit", {"amount_usd": 1})
            assert again.json()["credit_micros"] == next_day + 1_000_000
        wallet = (await office.call("GET", "/v1/wallet")).json()
        assert wallet["balance_micros"] == 0
        uncapped = await office.mint()
        for key_id, body, code in (
            (uncapped["id"], {"amount_usd": 1}, "key_not_capped"),
            (key["id"], {"amount_usd": 0}, "invalid_amount"),
            (key["id"], {}, "invalid_amount"),
            (key["id"], {"amount_usd": "-1"}, "invalid_amount"),
            (key["id"], {"amount": 1}, "unknown_field"),
        ):
            refused = await office.call("POST", f"/v1/keys/{key_id}/credit", body)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)

    in_office(database_url, journey)


def test_a_rotated_secret_dies_at_once_and_the_key_lives_on(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=5)
        await office.spend(key["id"], 7)
        rotated = await office.call("POST", f"/v1/keys/{key['id']}/rotate", {})
        assert rotated.status_code == 200
        new = rotated.json()
        assert (new["id"], new["spent_micros"]) == (key["id"], 7)
        assert new["secret"] != key["secret"]
        assert new["prefix"].endswith(new["secret"][-4:])
        old = await office.call("GET", "/v1/account", key=key["secret"])
        assert (old.status_code, old.json()["error"]["code"]) == (401, "invalid_key")
        assert (await office.call("GET", "/v1/account", key=new["secret"])).status_code == 200
        assert (await office.call("POST", f"/v1/keys/{key['id']}/rotate")).status_code == 200

    in_office(database_url, journey)


def test_a_revoked_key_stays_revoked_and_deleting_it_again_is_fine(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=1)
        path = f"/v1/keys/{key['id']}"
        for _ in range(2):
            gone = await office.call("DELETE", path)
            assert (gone.status_code, gone.json()) == (200, {"ok": True})
        assert (await office.call("GET", path)).json()["revoked"] is True
        refused = await office.call("GET", "/v1/account", key=key["secret"])
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "revoked_key")
        for method, rest, body in (
            ("PATCH", "", {"name": "b"}),
            ("POST", "/credit", {"amount_usd": 1}),
            ("POST", "/rotate", {}),
        ):
            conflict = await office.call(method, path + rest, body)
            assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "key_revoked")
            assert conflict.headers["x-should-retry"] == "false"

    in_office(database_url, journey)


def test_what_is_unknown_or_of_another_account_is_not_found(database_url: str) -> None:
    async def journey(office: Office) -> None:
        _, other = await office.desk.accounts.create("Other Ltd", None)
        theirs = (await office.call("POST", "/v1/keys", {"name": "a"}, key=other)).json()["id"]
        for key_id in (UNKNOWN, "x", "0" * 32, theirs):
            for method, rest, body in (
                ("GET", "", None),
                ("PATCH", "", {"name": "b"}),
                ("DELETE", "", None),
                ("POST", "/credit", {"amount_usd": 1}),
                ("POST", "/rotate", {}),
                ("GET", "/usage", None),
            ):
                missing = await office.call(method, f"/v1/keys/{key_id}{rest}", body)
                assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
        assert [key["name"] for key in (await office.call("GET", "/v1/keys", key=other)).json()["keys"]] == [
            "a",
            "master",
        ]

    in_office(database_url, journey)


def test_of_admin_keys_revoked_at_the_same_moment_one_is_left(database_url: str) -> None:
    async def journey(office: Office) -> None:
        others = [await office.mint(scope="admin") for _ in range(3)]
        await office.mint(scope="admin", mode="test")
        await office.mint(scope="admin", expires_at=START_MS)
        ids = [key["id"] for key in others]
        master = next(
            key for key in (await office.call("GET", "/v1/keys")).json()["keys"] if key["name"] == "master"
        )
        answers = await asyncio.gather(
            *(office.call("DELETE", f"/v1/keys/{key_id}") for key_id in [*ids, master["id"]]),
        )
        refused = [answer for answer in answers if answer.status_code == 409]
        assert all(answer.json()["error"]["code"] == "last_admin_key" for answer in refused)
        left = await office.sql(
            "SELECT count(*) AS n FROM keys WHERE scope = 'admin' AND mode = 'live' AND revoked_at IS NULL"
            " AND expires_at IS NULL"
        )
        assert left[0]["n"] >= 1
        assert {answer.status_code for answer in answers} <= {200, 401, 409}

    in_office(database_url, journey)


def test_the_last_live_admin_key_cannot_be_revoked(database_url: str) -> None:
    async def journey(office: Office) -> None:
        master = (await office.call("GET", "/v1/keys")).json()["keys"][0]
        await office.mint(scope="admin", mode="test")
        await office.mint(scope="admin", expires_at=START_MS)
        refused = await office.call("DELETE", f"/v1/keys/{master['id']}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "last_admin_key")
        await office.mint(scope="admin")
        assert (await office.call("DELETE", f"/v1/keys/{master['id']}")).status_code == 200

    in_office(database_url, journey)


def test_test_keys_see_and_mint_test_keys_only(database_url: str) -> None:
    async def journey(office: Office) -> None:
        live = await office.mint(name="live")
        master = await office.mint(name="tm", scope="admin", mode="test")
        secret = master["secret"]
        assert secret.startswith("qlk_test_")
        made = (await office.call("POST", "/v1/keys", {"name": "t"}, key=secret)).json()
        assert (made["mode"], made["secret"][:9]) == ("test", "qlk_test_")
        refused = await office.call("POST", "/v1/keys", {"name": "x", "mode": "live"}, key=secret)
        assert refused.status_code == 400
        assert [key["name"] for key in (await office.call("GET", "/v1/keys", key=secret)).json()["keys"]] == [
            "t",
            "tm",
        ]
        for mode, status in (("test", 200), ("live", 400), ("all", 400)):
            assert (await office.call("GET", f"/v1/keys?mode={mode}", key=secret)).status_code == status
        for method in ("GET", "DELETE"):
            assert (await office.call(method, f"/v1/keys/{live['id']}", key=secret)).status_code == 404
        names = {}
        for mode in ("live", "test", "all"):
            names[mode] = [
                k["name"] for k in (await office.call("GET", f"/v1/keys?mode={mode}")).json()["keys"]
            ]
        assert names == {
            "live": ["live", "master"],
            "test": ["t", "tm"],
            "all": ["t", "tm", "live", "master"],
        }
        assert (await office.call("GET", f"/v1/keys/{made['id']}")).status_code == 200

    in_office(database_url, journey)
