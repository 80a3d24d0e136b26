"""The conformance checklist of the API contract (section 23), a test for each item the gateway of today can meet:
keys, caps, usage and the two text surfaces. Its numbers are the contract's.
"""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import fake_anthropic
from tests.support.asgi import call
from tests.support.fake_provider import FakeProvider, Gate
from tests.support.gateway import Gateway, MintedKey, gateway_process, until
from tests.support.house import MODEL, House, open_house
from tests.support.postgres import Databases

START_MS = 1_798_761_600_000
"""2027-01-01T00:00:00Z."""
DAY_MS = 86_400_000
CLAUDE = {
    "model": fake_anthropic.MODEL,
    "max_tokens": 20,
    "messages": [{"role": "user", "content": "hi"}],
}
ADMIN_PATHS = ("/v1/keys", "/v1/usage", "/v1/holds")


@pytest.fixture(scope="session")
def house_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("house")


def post(gateway: Gateway, path: str, body: object, headers: dict[str, str]) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(gateway.origin + path, content=raw, headers=headers, trust_env=False, timeout=20)


def test_01_a_key_is_accepted_in_each_of_six_headers_and_in_the_query_of_google_alone(
    gateway: Gateway, key: MintedKey, anthropic_provider: FakeProvider
) -> None:
    forms = (
        ("x-api-key", "{}"), ("authorization", "Bearer {}"), ("authorization", "Token {}"), ("xi-api-key", "{}"),
        ("x-goog-api-key", "{}"), ("api-key", "{}"),
    )  # fmt: skip
    for name, form in forms:
        answer = post(gateway, "/v1/messages", CLAUDE, {name: form.format(key.secret)})
        assert answer.status_code == 200, (name, answer.text)
    everything = repr([(sent.target, sent.headers, sent.body) for sent in anthropic_provider.calls])
    assert key.secret not in everything
    answer = post(gateway, f"/v1/messages?key={key.secret}&secret=1", CLAUDE, {})
    assert answer.json()["error"]["code"] == "missing_key"
    for query, status in ((f"key={key.secret}&secret=1", 200), ("key=", 401)):
        url = f"{gateway.origin}/v1beta/models?{query}"
        assert httpx.get(url, trust_env=False).status_code == status


def test_02_two_different_credentials_conflict_and_the_same_one_twice_works(
    gateway: Gateway, key: MintedKey
) -> None:
    other = gateway.mint()
    for second, status in ((key.secret, 200), (other.secret, 401)):
        headers = {"x-api-key": key.secret, "authorization": f"Bearer {second}"}
        answer = post(gateway, "/v1/messages", CLAUDE, headers)
        assert answer.status_code == status
    assert answer.json()["error"]["code"] == "conflicting_credentials"


def test_03_no_log_line_holds_a_key_a_query_or_a_credential_of_a_provider(
    gateway: Gateway, key: MintedKey, anthropic_provider: FakeProvider
) -> None:
    query = "?secret=in-the-query"
    post(gateway, f"/v1/messages{query}", CLAUDE, {"x-api-key": key.secret})
    post(gateway, f"/v1/messages{query}", b"{", {"x-api-key": key.secret})
    post(gateway, f"/v1/nothing{query}", b"{", {"authorization": f"Bearer {key.secret}"})
    post(gateway, f"/v1/keys{query}", {"name": "a"}, {"x-api-key": gateway.master_key})
    anthropic_provider.script(fake_anthropic.broken_off_stream(), fake_anthropic.refusal(401))
    post(gateway, f"/v1/messages{query}", {**CLAUDE, "stream": True}, {"x-api-key": key.secret})
    post(gateway, f"/v1/messages{query}", CLAUDE, {"x-api-key": key.secret})
    gateway.wait_settled(key, 3)
    assert "debug" in gateway.log
    for secret in ("in-the-query", "qlk_", "sk-ant-operator", key.secret[9:]):
        assert secret not in gateway.log


def test_04_a_standard_key_is_kept_out_of_administration_and_of_the_requests_of_others(
    gateway: Gateway, key: MintedKey
) -> None:
    for path in ADMIN_PATHS:
        refused = gateway.api("GET", path, key=key.secret)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_too_small")
    other = gateway.mint()
    made = gateway.api("POST", "/v1/messages", CLAUDE, key=other.secret)
    request_id = made.headers["x-request-id"]
    assert gateway.event(request_id, key=other)["id"] == request_id
    assert gateway.request(request_id, key=key).status_code == 404


def test_05_json_needs_no_content_type_and_broken_json_is_told_with_its_place(
    gateway: Gateway, key: MintedKey
) -> None:
    for path, body, secret, status in (
        ("/v1/messages", CLAUDE, key.secret, 200),
        ("/v1/messages/count_tokens", CLAUDE, key.secret, 200),
        ("/v1/keys", {"name": "a"}, gateway.master_key, 201),
    ):
        for given in (
            {},
            {"content-type": "text/plain"},
            {"content-type": "application/x-www-form-urlencoded"},
        ):
            assert post(gateway, path, body, {"x-api-key": secret, **given}).status_code == status
        broken = post(gateway, path, b'{\n "a":}', {"x-api-key": secret})
        assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")
        assert "line 2" in broken.json()["error"]["message"]
        assert "column" in broken.json()["error"]["message"]
        large = post(gateway, path, b" " * 33_554_433, {"x-api-key": secret})
        assert (large.status_code, large.json()["error"]["code"]) == (413, "body_too_large")


def test_06_keys_are_made_with_201_listed_without_secrets_and_revoked_twice_with_200(
    gateway: Gateway,
) -> None:
    made = gateway.api("POST", "/v1/keys", {"name": "a"})
    assert made.status_code == 201
    listed = gateway.api("GET", "/v1/keys")
    assert made.json()["id"] in [key["id"] for key in listed.json()["keys"]]
    assert "secret" not in listed.text
    url = f"/v1/keys/{made.json()['id']}"
    assert gateway.api("PATCH", url, {"name": "b"}).json()["name"] == "b"
    assert [gateway.api("DELETE", url).json() for _ in range(2)] == [{"ok": True}] * 2


def test_07_amounts_are_exact_and_the_seventh_decimal_is_refused(gateway: Gateway) -> None:
    for given, micros in ((0.000001, 1), ("0.1", 100_000), (0.3, 300_000)):
        made = gateway.api("POST", "/v1/keys", {"name": "a", "max_spend_usd": given})
        assert made.json()["remaining_micros"] == micros
    refused = gateway.api("POST", "/v1/keys", {"name": "a", "max_spend_usd": 0.0000001})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_amount")


def test_08_a_change_made_on_one_replica_is_obeyed_by_the_next_request_on_another(
    databases: Databases, tmp_path: Path
) -> None:
    dsn, master = databases.clone(), "qlk_live_" + "8" * 64
    with (
        gateway_process(dsn, tmp_path, master_key=master) as one,
        gateway_process(dsn, tmp_path, master_key=master) as two,
    ):
        asked = {**CLAUDE, "model": "sim/echo"}
        for _ in range(5):
            key = one.mint(mode="test", max_spend_usd=1)
            assert two.api("POST", "/v1/messages", asked, key=key.secret).status_code == 200
            assert one.api("PATCH", f"/v1/keys/{key.id}", {"max_spend_usd": 0}).status_code == 200
            assert two.api("POST", "/v1/messages", asked, key=key.secret).status_code == 402
            assert one.api("PATCH", f"/v1/keys/{key.id}", {"max_spend_usd": 1}).status_code == 200
            assert two.api("POST", "/v1/messages", asked, key=key.secret).status_code == 200
            assert one.api("DELETE", f"/v1/keys/{key.id}").status_code == 200
            refused = two.api("POST", "/v1/messages", asked, key=key.secret)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "revoked_key")
    databases.drop(dsn)


def test_10_after_load_nothing_is_held_and_all_books_agree_to_the_micro(
    database_url: str, house_folder: Path
) -> None:
    async def main() -> None:
        terms = {"wallet": "prepaid", "markup_bp": 333}
        async with open_house(database_url, house_folder, at_ms=START_MS, **terms) as house:
            await house.pay_in(10_000_000, "adj_1")
            keys = [await house.mint(name=f"user_{n}", max_spend_usd=1) for n in range(5)]
            calls = [house.say(keys[n % 5], 100 + 7 * n, 1 + 3 * n) for n in range(60)]
            answers = await asyncio.gather(*calls)
            assert {answer.status for answer in answers} == {200}
            told = sum(int(answer.headers["x-qlaud-cost-micros"]) for answer in answers)
            (events,) = await house.sql(
                "SELECT sum(cost_micros)::bigint AS cost, count(*) AS count FROM usage_events"
            )
            assert (events["cost"], events["count"]) == (told, 60)
            house.clock.at_ms += 1
            usage = await house.api("GET", "/v1/usage")
            assert usage["total_cost_micros"] == told
            assert sum([(await house.key(key))["spent_micros"] for key in keys]) == told
            assert (await house.api("GET", "/v1/wallet"))["balance_micros"] == 10_000_000 - told
            await house.check_healthy()

    asyncio.run(main())


def test_11_a_call_without_a_limit_goes_upstream_with_the_largest_affordable_one(
    database_url: str, house_folder: Path
) -> None:
    async def main() -> None:
        async with open_house(database_url, house_folder, at_ms=START_MS) as house:
            key = await house.mint(max_spend_usd="0.05")
            body = _of_length(2000, None)
            answer = await call(house.app, "POST", "/v1/messages", body, key=key["secret"])
            assert answer.headers["x-qlaud-max-tokens-applied"] == "9500"
            assert _sent(house)["max_tokens"] == 9500

    asyncio.run(main())


def test_12_the_example_of_the_contract_gives_9500_by_clamp_and_402_by_refusal(
    database_url: str, house_folder: Path
) -> None:
    async def main() -> None:
        async with open_house(database_url, house_folder, at_ms=START_MS) as house:
            body = _of_length(2000, 16_000)
            clamped = await house.mint(max_spend_usd="0.05")
            answer = await call(house.app, "POST", "/v1/messages", body, key=clamped["secret"])
            assert (answer.status, answer.headers["x-qlaud-max-tokens-applied"]) == (200, "9500")
            assert _sent(house)["max_tokens"] == 9500
            event = await house.api("GET", f"/v1/requests/{answer.request_id}")
            assert event["clamped"] is True

            refusing = await house.mint(max_spend_usd="0.05", on_cap="refuse")
            answer = await call(house.app, "POST", "/v1/messages", body, key=refusing["secret"])
            assert (answer.status, answer.code) == (402, "key_cap_exceeded")
            assert answer.json["error"]["details"]["affordable_max_tokens"] == 9500
            assert "16000 output tokens asked for, 9500 affordable" in answer.json["error"]["message"]

            small = _of_length(2000, 30)  # 2500 + 30 x 5 = 2650
            for cap, status in (("0.00265", 200), ("0.002649", 402)):
                key = await house.mint(max_spend_usd=cap)
                answer = await call(house.app, "POST", "/v1/messages", small, key=key["secret"])
                assert answer.status == status
                assert "x-qlaud-max-tokens-applied" not in answer.headers
            for budget, status in ((9499, 200), (9500, 402)):
                thinking = {"thinking": {"type": "enabled", "budget_tokens": budget}}
                key = await house.mint(max_spend_usd="0.05")
                body = _of_length(2000, 16_000, **thinking)
                answer = await call(house.app, "POST", "/v1/messages", body, key=key["secret"])
                assert answer.status == status

    asyncio.run(main())


def test_13_money_tied_up_is_a_429_to_retry_and_spent_money_a_402_to_leave_alone(
    gateway: Gateway, anthropic_provider: FakeProvider
) -> None:
    # W(20) of this body is at most 110 x 5 + 20 x 20 micros: two of them do not fit, one does.
    key = gateway.mint(max_spend_usd="0.0012", on_cap="refuse")
    gate = Gate()
    anthropic_provider.script(fake_anthropic.small_answer(gate=gate))
    with ThreadPoolExecutor(1) as background:
        first = background.submit(post, gateway, "/v1/messages", CLAUDE, {"x-api-key": key.secret})
        until(lambda: anthropic_provider.calls, "the first call is with the provider")
        contended = gateway.api("POST", "/v1/messages", CLAUDE, key=key.secret)
        assert (contended.status_code, contended.json()["error"]["code"]) == (429, "cap_contended")
        assert contended.headers["retry-after"] == "1"
        gate.open()
        assert first.result(20).status_code == 200
    gateway.api("PATCH", f"/v1/keys/{key.id}", {"max_spend_usd": "0.000001"})
    spent = gateway.api("POST", "/v1/messages", CLAUDE, key=key.secret)
    assert (spent.status_code, spent.headers["x-should-retry"]) == (402, "false")


def test_14_the_402_has_the_shape_of_its_surface_and_the_published_sentence(gateway: Gateway) -> None:
    key = gateway.mint(max_spend_usd=0)
    asked = {**CLAUDE, "model": "gpt-6-sol"}
    for path, body, kind in (
        ("/v1/messages", CLAUDE, "authentication_error"),
        ("/v1/chat/completions", asked, "insufficient_quota"),
    ):
        answer = gateway.api("POST", path, body, key=key.secret)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"]) == (402, kind, "key_cap_exceeded")
        assert error["message"].startswith("this API key has reached its spending cap")


def test_15_what_has_no_price_is_refused_on_a_capped_key_and_flagged_on_an_uncapped_one(
    gateway: Gateway, key: MintedKey, openai_provider: FakeProvider
) -> None:
    asked = {**CLAUDE, "model": "gpt-6-sol", "service_tier": "ultrafast"}
    refused = gateway.api("POST", "/v1/chat/completions", asked, key=key.secret)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "model_not_priced")
    assert openai_provider.calls == []
    free = gateway.mint()
    assert gateway.api("POST", "/v1/chat/completions", asked, key=free.secret).status_code == 200


def test_18_a_period_begins_at_its_utc_boundary_and_takes_its_credit_with_it(
    database_url: str, house_folder: Path
) -> None:
    async def main() -> None:
        async with open_house(database_url, house_folder, at_ms=START_MS, wallet="prepaid") as house:
            await house.pay_in(5_000_000, "adj_1")
            key = await house.mint(max_spend_usd="0.005", cap_period="day", on_cap="refuse")
            assert (await house.say(key, 1000, 500)).status == 200  # 3500
            house.clock.at_ms = START_MS + DAY_MS - 1
            assert (await house.say(key, 1000, 500)).status == 402
            credited = await house.api("POST", f"/v1/keys/{key['id']}/credit", {"amount_usd": 2.50})
            assert credited["credit_micros"] == 2_500_000
            usage = await house.api("GET", f"/v1/keys/{key['id']}/usage")
            assert usage["cap_micros"] == 2_505_000
            assert (await house.api("GET", "/v1/wallet"))["balance_micros"] == 5_000_000 - 3500
            house.clock.at_ms = START_MS + DAY_MS
            usage = await house.api("GET", f"/v1/keys/{key['id']}/usage")
            assert (usage["cap_micros"], usage["credit_micros"], usage["cost_micros"]) == (5000, 0, 0)
            assert (await house.say(key, 1000, 500)).status == 200
            await house.check_healthy()

    asyncio.run(main())


def test_20_the_usage_of_a_key_has_both_published_sets_of_names(gateway: Gateway, key: MintedKey) -> None:
    gateway.api("POST", "/v1/messages", CLAUDE, key=key.secret)
    usage = gateway.wait_settled(key, 1)
    assert usage["total_cost_micros"] == usage["cost_micros"] > 0
    assert usage["max_spend_micros"] == usage["cap_micros"] == 1_000_000
    assert usage["by_model"][0]["model"] == fake_anthropic.MODEL
    assert usage["events"][0]["cost_micros"] == usage["cost_micros"]


def test_21_a_window_holds_its_first_moment_and_not_its_last_and_days_sum_up(
    database_url: str, house_folder: Path
) -> None:
    async def main() -> None:
        async with open_house(database_url, house_folder, at_ms=START_MS) as house:
            key = await house.mint()
            for day in range(3):
                house.clock.at_ms = START_MS + day * DAY_MS
                assert (await house.say(key, 1000, 100 * (day + 1))).status == 200  # 1500, 2000, 2500
            first, last = START_MS, START_MS + 2 * DAY_MS
            for from_ms, to_ms, cost in (
                (first, last, 3500), (first, last + 1, 6000), (first + 1, last, 2000), (last, last, 0),
            ):  # fmt: skip
                found = await house.api("GET", f"/v1/usage?from_ms={from_ms}&to_ms={to_ms}&group_by=day")
                assert found["total_cost_micros"] == cost
                assert sum(group["cost_micros"] for group in found["groups"]) == cost
                assert sum(group["request_count"] for group in found["groups"]) == found["request_count"]

    asyncio.run(main())


def test_22_every_model_answer_names_the_request_that_shows_its_event(
    gateway: Gateway, key: MintedKey
) -> None:
    for fields in ({}, {"stream": True}, {"model": "no-such-model"}):
        answer = gateway.api("POST", "/v1/messages", {**CLAUDE, **fields}, key=key.secret)
        request_id = answer.headers["x-request-id"]
        assert request_id == answer.headers["request-id"]
        if answer.status_code == 200:
            event = gateway.event(request_id, key=key)
            assert (event["id"], event["calls"], event["provider_cost_micros"]) == (request_id, [], None)
            assert event["total_cost_micros"] == event["cost_micros"]
        else:
            assert gateway.request(request_id, key=key).status_code == 404


def test_26_slugs_match_in_any_case_and_a_provider_that_refuses_us_is_a_502(
    gateway: Gateway, key: MintedKey, anthropic_provider: FakeProvider
) -> None:
    unknown = gateway.api("POST", "/v1/messages", {**CLAUDE, "model": "claude-haiku-45"}, key=key.secret)
    assert unknown.status_code == 404
    assert unknown.json()["error"]["message"].count(", ") == 2
    loud = {**CLAUDE, "model": fake_anthropic.MODEL.upper()}
    assert gateway.api("POST", "/v1/messages", loud, key=key.secret).status_code == 200
    assert anthropic_provider.last.json["model"] == fake_anthropic.MODEL
    for status in (401, 402):
        anthropic_provider.script(fake_anthropic.refusal(status))
        answer = gateway.api("POST", "/v1/messages", CLAUDE, key=key.secret)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_auth_failed")


def test_42_a_test_key_reaches_no_provider_and_changes_no_live_total(
    gateway: Gateway, sim_key: MintedKey, anthropic_provider: FakeProvider, openai_provider: FakeProvider
) -> None:
    before = gateway.read("/v1/usage")
    for path, model in (("/v1/messages", fake_anthropic.MODEL), ("/v1/chat/completions", "gpt-6-sol")):
        for stream in (False, True):
            asked = {**CLAUDE, "model": model, "stream": stream}
            assert gateway.api("POST", path, asked, key=sim_key.secret).status_code == 200
    counted = gateway.api("POST", "/v1/messages/count_tokens", CLAUDE, key=sim_key.secret)
    assert counted.status_code == 200
    usage = gateway.wait_settled(sim_key, 4)
    assert usage["cost_micros"] > 0
    assert (anthropic_provider.calls, openai_provider.calls) == ([], [])
    after = gateway.read("/v1/usage")
    assert after["total_cost_micros"] == before["total_cost_micros"]
    assert after["request_count"] == before["request_count"]


def _of_length(size: int, limit: int | None, **fields: object) -> bytes:
    """A call of exactly that many bytes, which are its bound of input tokens."""
    limits: dict[str, Any] = {} if limit is None else {"max_tokens": limit}

    def body(text: str) -> bytes:
        messages = [{"role": "user", "content": text}]
        return json.dumps({"model": MODEL, **limits, **fields, "messages": messages}).encode()

    start = "10 10 "
    return body(start + "x" * (size - len(body(start))))


def _sent(house: House) -> Any:
    sent = house.provider.asked[-1].body
    assert isinstance(sent, bytes)
    return json.loads(sent)
