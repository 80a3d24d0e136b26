"""Usage over HTTP: half-open windows, exact sums, the account of a key, single requests."""

import asyncio
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.management import DAY_MS, MIDNIGHT_MS, START_MS, Office, in_office, open_office
from tests.support.postgres import Databases

MONTH_START_MS = 1_775_001_600_000
"""2026-04-01."""
SUMS = ("cost_micros", "request_count", "input_tokens", "output_tokens")


async def usage(office: Office, query: str = "", **options: Any) -> dict[str, Any]:
    answer = await office.call("GET", f"/v1/usage?{query}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_report_sums_a_month_by_key_and_model(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(name="user_7", external_id="cus_7")
        tokens = {"input_tokens": 5, "cache_read_tokens": 20, "cache_write_tokens": 300, "output_tokens": 7}
        await office.spend(key["id"], 1, latency_ms=1, **tokens)
        await office.spend(key["id"], 10, latency_ms=4, model="gpt-4o-mini", output_tokens=3)
        await office.call("DELETE", f"/v1/keys/{key['id']}")
        haiku = {"model_slug": "claude-haiku-4-5", "cost_micros": 1, "request_count": 1, "input_tokens": 325,
                 "output_tokens": 7, "avg_latency_ms": 1}  # fmt: skip
        mini = {"model_slug": "gpt-4o-mini", "cost_micros": 10, "request_count": 1, "input_tokens": 0,
                "output_tokens": 3, "avg_latency_ms": 4}  # fmt: skip
        office.clock.at_ms += 1
        assert await usage(office) == {
            "from_ms": MONTH_START_MS, "to_ms": START_MS + 1, "total_cost_micros": 11, "total_input_tokens": 325,
            "total_output_tokens": 10, "request_count": 2, "avg_latency_ms": 3,
            "by_key": [{
                "key_id": key["id"], "key_name": "user_7", "name": "user_7", "key_prefix": key["prefix"],
                "external_id": "cus_7", "cost_micros": 11, "request_count": 2, "input_tokens": 325,
                "output_tokens": 10, "avg_latency_ms": 3, "by_model": [mini, haiku],
            }],
            "by_model": [mini, haiku],
        }  # fmt: skip

    in_office(database_url, journey)


def test_an_event_at_from_is_in_the_window_and_one_at_to_is_not(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint()
        for at_ms, cost in ((999, 1), (1000, 10), (1999, 100), (2000, 1000)):
            await office.spend(key["id"], cost, created_at=at_ms)
        assert (await usage(office, "from_ms=1000&to_ms=2000"))["total_cost_micros"] == 110
        empty = await usage(office, "from_ms=2000&to_ms=2000")
        assert (empty["total_cost_micros"], empty["request_count"], empty["avg_latency_ms"]) == (0, 0, None)
        assert (empty["by_key"], empty["by_model"]) == ([], [])
        for query in (
            "from_ms=2000&to_ms=1999",
            "from_ms=x",
            "to_ms=-1",
            "from_ms=1e3",
            "group_by=week",
            "key_id=x",
        ):
            assert (await office.call("GET", f"/v1/usage?{query}")).status_code == 400, query

    in_office(database_url, journey)


def test_filters_narrow_the_sums(database_url: str) -> None:
    async def journey(office: Office) -> None:
        one, two = await office.mint(), await office.mint()
        await office.spend(one["id"], 1, end_user_id="u")
        await office.spend(one["id"], 10, model="gpt-4o-mini")
        await office.spend(two["id"], 100, end_user_id="u")
        office.clock.at_ms += 1
        for query, cost in (
            ("", 111),
            (f"key_id={one['id']}", 11),
            ("end_user_id=u", 101),
            ("model=gpt-4o-mini", 10),
            (f"key_id={one['id']}&end_user_id=u", 1),
            ("end_user_id=nobody", 0),
        ):
            assert (await usage(office, query))["total_cost_micros"] == cost

    in_office(database_url, journey)


def test_groups_carry_their_identity_and_sum_to_the_totals(database_url: str) -> None:
    async def journey(office: Office) -> None:
        one, two = await office.mint(name="one"), await office.mint(name="two")
        await office.spend(one["id"], 1, created_at=MIDNIGHT_MS - 1, end_user_id="u")
        await office.spend(one["id"], 20, created_at=MIDNIGHT_MS)
        await office.spend(two["id"], 300, created_at=MIDNIGHT_MS + 1, model="gpt-4o-mini", end_user_id="u")
        identities = {
            "key": [(two["id"], "two", two["prefix"]), (one["id"], "one", one["prefix"])],
            "model": [("gpt-4o-mini",), ("claude-haiku-4-5",)],
            "day": [(MIDNIGHT_MS - DAY_MS,), (MIDNIGHT_MS,)],
            "end_user": [("u",), (None,)],
        }
        names = {
            "key": ("key_id", "key_name", "key_prefix"),
            "model": ("model_slug",),
            "day": ("day_ms",),
            "end_user": ("end_user_id",),
        }
        for group_by, expected in identities.items():
            found = await usage(office, f"group_by={group_by}")
            assert found["group_by"] == group_by
            assert [tuple(group[name] for name in names[group_by]) for group in found["groups"]] == expected
            assert all(len(group) == len(names[group_by]) + 5 for group in found["groups"])
            assert sum(group["cost_micros"] for group in found["groups"]) == found["total_cost_micros"] == 321
        assert "groups" not in await usage(office)

    in_office(database_url, journey)


def test_one_mode_and_one_account_see_nothing_of_the_others(database_url: str) -> None:
    async def journey(office: Office) -> None:
        live = await office.mint()
        master = await office.mint(scope="admin", mode="test")
        test = await office.mint(mode="test")
        _, other = await office.desk.accounts.create("Other", None)
        event = await office.spend(live["id"], 1)
        await office.spend(test["id"], 20)
        hold = await office.hold(live["id"], 5)
        office.clock.at_ms += 1
        for key, cost in ((office.master, 1), (master["secret"], 20), (other, 0)):
            assert (await usage(office, key=key))["total_cost_micros"] == cost
        for key in (master["secret"], other):
            assert (await office.call("GET", f"/v1/requests/{event}", key=key)).status_code == 404
            assert (await office.call("GET", f"/v1/requests/{hold}", key=key)).status_code == 404
            assert (await office.call("GET", "/v1/holds", key=key)).json()["data"] == []

    in_office(database_url, journey)


def test_the_account_of_a_key_has_both_published_field_sets(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=5)
        for n in range(9):
            office.clock.at_ms = START_MS + n
            await office.spend(key["id"], 13_717 if n else 13_720)
        await office.hold(key["id"], 1000)
        await office.hold(key["id"], 200, "lost")
        found = (await office.call("GET", f"/v1/keys/{key['id']}/usage")).json()
        events = found.pop("events")
        assert found == {
            "key_id": key["id"], "total_cost_micros": 123_456, "cost_micros": 123_456,
            "max_spend_micros": 5_000_000, "cap_micros": 5_000_000, "held_micros": 1200,
            "remaining_micros": 4_875_344, "credit_micros": 0, "lifetime_cost_micros": 123_456, "period": None,
            "by_model": [{"model": "claude-haiku-4-5", "model_slug": "claude-haiku-4-5", "cost_micros": 123_456,
                          "request_count": 9}],
            "has_more": False, "next_before": None,
        }  # fmt: skip
        assert [event["created_at"] for event in events] == [START_MS + n for n in reversed(range(9))]

    in_office(database_url, journey)


def test_events_are_paged_so_that_each_is_seen_once(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key, other = await office.mint(), await office.mint()
        foreign = await office.spend(other["id"], 1)
        made = [await office.spend(key["id"], 1, created_at=START_MS + n // 3) for n in range(10)]
        seen: list[str] = []
        query = "limit=3"
        while True:
            page = (await office.call("GET", f"/v1/keys/{key['id']}/usage?{query}")).json()
            seen += [event["id"] for event in page["events"]]
            if not page["has_more"]:
                break
            query = f"limit=3&before={page['next_before']}"
        assert seen == list(reversed(made))
        for before in (foreign, "x"):
            assert (
                await office.call("GET", f"/v1/keys/{key['id']}/usage?before={before}")
            ).status_code == 400

    in_office(database_url, journey)


def test_money_of_a_key_is_that_of_the_period_and_lifetime_is_all(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(max_spend_usd=5, cap_period="day")
        await office.spend(key["id"], 7)
        office.clock.at_ms += DAY_MS
        found = (await office.call("GET", f"/v1/keys/{key['id']}/usage")).json()
        assert (found["cost_micros"], found["lifetime_cost_micros"], found["by_model"]) == (0, 7, [])
        assert found["period"] == {"start_ms": MIDNIGHT_MS + DAY_MS, "end_ms": MIDNIGHT_MS + 2 * DAY_MS}
        assert len(found["events"]) == 1

    in_office(database_url, journey)


def test_a_request_shows_its_event_and_the_calls_made_for_it(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint()
        parent = await office.spend(key["id"], 5, audio_ms=1500, provider_cost_micros=4)
        calls = [await office.spend(key["id"], 10, parent_id=UUID(parent)) for _ in range(2)]
        found = (await office.call("GET", f"/v1/requests/{parent}")).json()
        assert (found["calls"], found["total_cost_micros"], found["cost_micros"]) == (calls, 25, 5)
        assert (found["audio_seconds"], found["provider_cost_micros"], found["model_slug"]) == (
            1.5,
            4,
            found["model"],
        )
        own = (await office.call("GET", f"/v1/requests/{parent}", key=key["secret"])).json()
        assert own == {**found, "provider_cost_micros": None}
        stranger = await office.mint()
        assert (await office.call("GET", f"/v1/requests/{parent}", key=stranger["secret"])).status_code == 404
        assert (await office.call("GET", f"/v1/requests/{key['id']}")).status_code == 404

    in_office(database_url, journey)


def test_a_request_in_flight_is_answered_with_202(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key, stranger = await office.mint(), await office.mint()
        for state, shown in (("held", "in_flight"), ("lost", "lost")):
            hold = await office.hold(key["id"], 70, state)
            answer = await office.call("GET", f"/v1/requests/{hold}", key=key["secret"])
            assert (answer.status_code, answer.json()) == (
                202,
                {"id": hold, "state": shown, "held_micros": 70},
            )
            assert (
                await office.call("GET", f"/v1/requests/{hold}", key=stranger["secret"])
            ).status_code == 404

    in_office(database_url, journey)


CALLS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(("a", "b")),
        st.sampled_from(("u", "v", None)),
        st.integers(0, 3 * DAY_MS),
        st.integers(0, 2**40),
        st.integers(0, 2**40),
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=CALLS, start=st.integers(0, 3 * DAY_MS), length=st.integers(0, 3 * DAY_MS))
def test_every_way_of_summing_gives_the_sum_of_the_events(
    databases: Databases, calls: list[Any], start: int, length: int
) -> None:
    async def main(dsn: str) -> None:
        async with open_office(dsn) as office:
            keys = [(await office.mint())["id"] for _ in range(2)]
            for key, model, user, at_ms, cost, tokens in calls:
                await office.spend(
                    keys[key], cost, model=model, end_user_id=user, created_at=at_ms, cache_read_tokens=tokens
                )
            inside = [call for call in calls if start <= call[3] < start + length]
            expected = (sum(call[4] for call in inside), len(inside), sum(call[5] for call in inside), 0)
            for group_by in ("key", "model", "day", "end_user"):
                found = await usage(office, f"from_ms={start}&to_ms={start + length}&group_by={group_by}")
                total = (found["total_cost_micros"], found["request_count"], found["total_input_tokens"], 0)
                assert total == expected
                inner = [model for key in found["by_key"] for model in key["by_model"]]
                for groups in (found["groups"], found["by_key"], found["by_model"], inner):
                    assert tuple(sum(group[name] for group in groups) for name in SUMS) == expected
            assert await office.doctor.examine() == []

    dsn = databases.clone()
    try:
        asyncio.run(main(dsn))
    finally:
        databases.drop(dsn)
