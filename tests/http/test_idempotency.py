"""A management POST that is repeated does its work once and answers the same."""

import asyncio
from typing import Any

import pytest
from tests.support.management import DAY_MS, Office, in_office

from qlaud.core.errors import StoreUnavailable
from qlaud.flows.idempotency import Answer, Asked
from qlaud.ports_management import Session

ONCE = {"idempotency-key": "signup-7"}


async def count_keys(office: Office) -> int:
    return len((await office.call("GET", "/v1/keys")).json()["keys"])


def test_a_repeated_mint_makes_one_key_and_shows_the_same_secret(database_url: str) -> None:
    async def journey(office: Office) -> None:
        body = {"name": "user_7", "max_spend_usd": 5}
        first = await office.call("POST", "/v1/keys", body, headers=ONCE)
        second = await office.call("POST", "/v1/keys", body, headers=ONCE)
        assert "idempotency-replayed" not in first.headers
        assert second.headers["idempotency-replayed"] == "true"
        assert (second.status_code, second.content) == (201, first.content)
        assert await count_keys(office) == 2
        other = await office.call("POST", "/v1/keys", {"name": "user_8"}, headers=ONCE)
        assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_mismatch")
        assert other.headers["x-should-retry"] == "false"

    in_office(database_url, journey)


def test_the_kept_answer_is_not_readable_in_the_database(database_url: str) -> None:
    async def journey(office: Office) -> None:
        made = await office.call("POST", "/v1/keys", {"name": "user_7"}, headers=ONCE)
        rows = await office.sql("SELECT * FROM idempotency")
        assert len(rows) == 1
        kept = bytes(rows[0]["answer"])
        assert made.json()["secret"].encode() not in kept
        assert b"user_7" not in kept

    in_office(database_url, journey)


def test_a_slot_belongs_to_one_caller_and_one_path(database_url: str) -> None:
    async def journey(office: Office) -> None:
        second = await office.mint(scope="admin")
        key = await office.mint(max_spend_usd=1)
        await office.call("POST", "/v1/keys", {"name": "a"}, headers=ONCE)
        mine = await office.call("POST", "/v1/keys", {"name": "b"}, headers=ONCE, key=second["secret"])
        assert mine.status_code == 201
        credited = await office.call("POST", f"/v1/keys/{key['id']}/credit", {"amount_usd": 1}, headers=ONCE)
        assert credited.status_code == 200

    in_office(database_url, journey)


def test_after_a_day_the_slot_is_free_again_and_can_be_erased(database_url: str) -> None:
    async def journey(office: Office) -> None:
        await office.call("POST", "/v1/keys", {"name": "a"}, headers=ONCE)
        office.clock.at_ms += DAY_MS - 1
        assert await office.desk.once.erase(10) == 0
        replayed = await office.call("POST", "/v1/keys", {"name": "a"}, headers=ONCE)
        assert replayed.headers["idempotency-replayed"] == "true"
        office.clock.at_ms += 1
        fresh = await office.call("POST", "/v1/keys", {"name": "b"}, headers=ONCE)
        assert (fresh.status_code, fresh.json()["name"]) == (201, "b")
        office.clock.at_ms += DAY_MS
        assert await office.desk.once.erase(10) == 1
        assert await office.sql("SELECT 1 FROM idempotency") == []

    in_office(database_url, journey)


def test_a_credit_is_given_once_whichever_way_its_key_is_sent(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=1)
        path = f"/v1/keys/{key['id']}/credit"
        body = {"amount_usd": 2.5, "idempotency_key": "c-1"}
        for _ in range(3):
            assert (await office.call("POST", path, body)).json()["credit_micros"] == 2_500_000
        both = await office.call("POST", path, body, headers={"idempotency-key": "c-1"})
        assert both.headers["idempotency-replayed"] == "true"
        differ = await office.call("POST", path, body, headers={"idempotency-key": "c-2"})
        assert differ.status_code == 400
        assert len(await office.sql("SELECT 1 FROM credits")) == 1

    in_office(database_url, journey)


def test_a_rotation_is_done_once(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint()
        path = f"/v1/keys/{key['id']}/rotate"
        first = await office.call("POST", path, {}, headers=ONCE)
        assert (await office.call("POST", path, {}, headers=ONCE)).content == first.content
        assert (await office.call("GET", "/v1/account", key=first.json()["secret"])).status_code == 200

    in_office(database_url, journey)


def test_an_answer_sealed_before_the_caller_was_rotated_is_not_made_twice(database_url: str) -> None:
    async def journey(office: Office) -> None:
        admin = await office.mint(scope="admin")
        await office.call("POST", "/v1/keys", {"name": "a"}, headers=ONCE, key=admin["secret"])
        rotated = await office.call("POST", f"/v1/keys/{admin['id']}/rotate", {})
        again = await office.call(
            "POST", "/v1/keys", {"name": "a"}, headers=ONCE, key=rotated.json()["secret"]
        )
        assert again.status_code == 409
        assert await count_keys(office) == 3

    in_office(database_url, journey)


def test_a_refusal_is_kept_too(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint()
        path = f"/v1/keys/{key['id']}/credit"
        first = await office.call("POST", path, {"amount_usd": 1}, headers=ONCE)
        assert first.json()["error"]["code"] == "key_not_capped"
        await office.call("PATCH", f"/v1/keys/{key['id']}", {"max_spend_usd": 1})
        again = await office.call("POST", path, {"amount_usd": 1}, headers=ONCE)
        assert (again.status_code, again.content) == (400, first.content)
        assert again.headers["idempotency-replayed"] == "true"

    in_office(database_url, journey)


def test_of_many_at_once_one_works_and_the_others_wait_or_see_its_answer(database_url: str) -> None:
    async def journey(office: Office) -> None:
        answers = await asyncio.gather(
            *(office.call("POST", "/v1/keys", {"name": "a"}, headers=ONCE) for _ in range(8))
        )
        for answer in answers:
            assert answer.status_code in (201, 409)
            if answer.status_code == 409:
                assert answer.json()["error"]["code"] == "idempotency_in_progress"
                assert answer.headers["retry-after"] == "1"
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
        assert await count_keys(office) == 2

    in_office(database_url, journey)


def asked(office: Office, key_id: Any) -> Asked:
    return Asked(key_id, office.master, "/v1/keys", b"{}", "k")


def test_while_the_first_one_runs_the_second_is_told_to_come_back(database_url: str) -> None:
    async def journey(office: Office) -> None:
        caller = await office.desk.principals.of(office.master)
        entered, leave = asyncio.Event(), asyncio.Event()

        async def slow(session: Session) -> Answer:
            entered.set()
            await leave.wait()
            return Answer(201, b"first")

        async def never(session: Session) -> Answer:
            raise AssertionError("ran twice")

        def refuse(error: Exception) -> Answer:
            raise AssertionError(error)

        running = asyncio.create_task(office.desk.once.run(asked(office, caller.key_id), slow, refuse))
        await entered.wait()
        with pytest.raises(Exception, match="still running"):
            await office.desk.once.run(asked(office, caller.key_id), never, refuse)
        leave.set()
        assert (await running).body == b"first"
        replayed = await office.desk.once.run(asked(office, caller.key_id), never, refuse)
        assert (replayed.body, replayed.replayed) == (b"first", True)

    in_office(database_url, journey)


def test_a_failure_of_ours_is_not_kept_and_leaves_nothing_behind(database_url: str) -> None:
    async def journey(office: Office) -> None:
        caller = await office.desk.principals.of(office.master)

        async def broken(session: Session) -> Answer:
            await session.keys.revoke(caller.key_id, 1)
            raise StoreUnavailable

        async def fine(session: Session) -> Answer:
            return Answer(200, b"fine")

        def refuse(error: Exception) -> Answer:
            raise AssertionError(error)

        with pytest.raises(StoreUnavailable):
            await office.desk.once.run(asked(office, caller.key_id), broken, refuse)
        assert await office.sql("SELECT 1 FROM keys WHERE revoked_at IS NOT NULL") == []
        assert (await office.desk.once.run(asked(office, caller.key_id), fine, refuse)).body == b"fine"

    in_office(database_url, journey)


def test_a_key_that_is_empty_or_too_long_is_refused(database_url: str) -> None:
    async def journey(office: Office) -> None:
        for text, status in (("", 400), ("x" * 256, 400), ("x" * 255, 201)):
            made = await office.call("POST", "/v1/keys", {"name": "a"}, headers={"idempotency-key": text})
            assert made.status_code == status

    in_office(database_url, journey)
