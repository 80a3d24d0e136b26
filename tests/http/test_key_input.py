"""What a key is minted and changed with: amounts exactly, JSON strictly, rules with the field they are about."""

import json
from typing import Any

import pytest
from tests.support.management import Office, in_office

UNKNOWN = "0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10"


@pytest.mark.parametrize(
    ("text", "micros", "shown"),
    [
        ("0.000001", 1, "0.000001"),
        ('"0.1"', 100_000, "0.1"),
        ("0.3", 300_000, "0.3"),
        ("5.00", 5_000_000, "5"),
        ("1e1", 10_000_000, "10"),
        ("0", 0, "0"),
        ("9007199254.740991", 9_007_199_254_740_991, "9007199254.740991"),
    ],
)
def test_an_amount_is_kept_and_shown_exactly(database_url: str, text: str, micros: int, shown: str) -> None:
    async def journey(office: Office) -> None:
        made = await office.call("POST", "/v1/keys", raw=f'{{"name":"a","max_spend_usd":{text}}}'.encode())
        assert made.status_code == 201
        assert made.json()["remaining_micros"] == micros
        assert f'"max_spend_usd":{shown},' in made.text

    in_office(database_url, journey)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0.0000001", "invalid_amount"),
        ("-1", "invalid_amount"),
        ("true", "invalid_amount"),
        ('""', "invalid_amount"),
        ('"5 USD"', "invalid_amount"),
        ('"1_000"', "invalid_amount"),
        ('"NaN"', "invalid_amount"),
        ('"\u0661"', "invalid_amount"),  # a digit, but not one of JSON's
        ("[5]", "invalid_amount"),
        ("1e99", "invalid_amount"),
        ("1.00000000000000000000000000000000000000000001", "invalid_amount"),
        ("NaN", "invalid_json"),
        ("Infinity", "invalid_json"),
    ],
)
def test_an_amount_that_is_not_one_is_refused(database_url: str, text: str, code: str) -> None:
    async def journey(office: Office) -> None:
        for method, path in (("POST", "/v1/keys"), ("PATCH", f"/v1/keys/{UNKNOWN}")):
            refused = await office.call(method, path, raw=f'{{"name":"a","max_spend_usd":{text}}}'.encode())
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)
        assert len((await office.call("GET", "/v1/keys")).json()["keys"]) == 1

    in_office(database_url, journey)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"name": "a", "max_spent_usd": 5}, "unknown_field", "did you mean `max_spend_usd`"),
        ({}, "invalid_request", "`name`"),
        ({"name": " "}, "invalid_request", "`name`"),
        ({"name": "x" * 201}, "invalid_request", "200"),
        ({"name": "a\x00"}, "invalid_request", "`name`"),
        ({"name": 5}, "invalid_request", "`name`"),
        ({"name": "a", "cap_period": "year"}, "invalid_request", "lifetime, day, week, month"),
        ({"name": "a", "cap_period": "week", "cap_anchor_day": 8}, "invalid_request", "1 (Monday) to 7"),
        ({"name": "a", "cap_anchor_day": 32}, "invalid_request", "1 to 31"),
        ({"name": "a", "on_cap": "stop"}, "invalid_request", "clamp, refuse"),
        ({"name": "a", "rpm_limit": 0}, "invalid_request", "`rpm_limit`"),
        ({"name": "a", "rpm_limit": True}, "invalid_request", "`rpm_limit`"),
        ({"name": "a", "max_parallel": 1.5}, "invalid_request", "`max_parallel`"),
        ({"name": "a", "max_parallel": 2**31}, "invalid_request", "`max_parallel`"),
        ({"name": "a", "allowed_models": "gpt"}, "invalid_request", "`allowed_models`"),
        ({"name": "a", "allowed_models": ["g*t"]}, "invalid_request", "`*`"),
        ({"name": "a", "expires_at": -1}, "invalid_request", "`expires_at`"),
        ({"name": "a", "external_id": "x" * 257}, "invalid_request", "256"),
        ({"name": "a", "metadata": [1]}, "invalid_request", "`metadata`"),
        ({"name": "a", "metadata": {"a": "x" * 16384}}, "invalid_request", "16384"),
        ({"name": "a", "scope": "root"}, "invalid_request", "standard, admin"),
        ([], "invalid_request", "object"),
    ],
)
def test_a_body_that_breaks_a_rule_is_refused_with_the_field(
    database_url: str, body: Any, code: str, words: str
) -> None:
    async def journey(office: Office) -> None:
        refused = await office.call("POST", "/v1/keys", body)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["type"]) == (400, code, "invalid_request_error")
        assert words in error["message"]

    in_office(database_url, journey)


def test_json_is_read_without_a_content_type_and_broken_json_is_located(database_url: str) -> None:
    async def journey(office: Office) -> None:
        for headers in ({}, {"content-type": "text/plain"}, {"content-type": "multipart/form-data"}):
            made = await office.call("POST", "/v1/keys", raw=b'{"name":"a"}', headers=headers)
            assert made.status_code == 201
        broken = await office.call("POST", "/v1/keys", raw='{"name":"é",\n "x": }'.encode())
        assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")
        assert "line 2 column 7 (byte 20)" in broken.json()["error"]["message"]
        twice = await office.call("POST", "/v1/keys", raw=b'{"name":"a","max_spend_usd":1,"max_spend_usd":9}')
        assert "twice" in twice.json()["error"]["message"]

    in_office(database_url, journey)


def test_a_body_above_the_limit_is_refused_and_one_at_the_limit_is_read(database_url: str) -> None:
    async def journey(office: Office) -> None:
        body = b'{"name":"a"}'
        assert (await office.call("POST", "/v1/keys", raw=body.ljust(64))).status_code == 201
        refused = await office.call("POST", "/v1/keys", raw=body.ljust(65))
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
        assert refused.json()["error"]["type"] == "request_too_large"

    in_office(database_url, journey, limit_bytes=64)


def test_metadata_comes_back_byte_for_byte(database_url: str) -> None:
    async def journey(office: Office) -> None:
        raw = '{"z": 1.10, "a":{"b" : [1e30,"\\u00e9é"]}}'
        made = await office.call("POST", "/v1/keys", raw=f'{{"metadata": {raw} ,"name":"a"}}'.encode())
        assert made.status_code == 201
        assert f'"metadata":{raw},' in made.text
        shown = await office.call("GET", f"/v1/keys/{json.loads(made.text)['id']}")
        assert f'"metadata":{raw},' in shown.text

    in_office(database_url, journey)


def test_metadata_that_some_readers_cannot_take_is_refused(database_url: str) -> None:
    async def journey(office: Office) -> None:
        for raw in ('{"a":"\\ud800"}', '{"a":1e400}', '{"a":' * 2000 + "1" + "}" * 2000):
            made = await office.call("POST", "/v1/keys", raw=f'{{"metadata":{raw},"name":"a"}}'.encode())
            assert made.status_code == 400, raw

    in_office(database_url, journey)
