"""Who may call what, how errors look, and what needs no key: health, the document, the docs page."""

import asyncio
import json
from typing import Any

import pytest
from tests.support.management import REQUEST_ID, START_MS, Office, in_office

from qlaud.core.errors import StoreUnavailable

ADMIN_PATHS = (
    ("POST", "/v1/keys"),
    ("GET", "/v1/keys"),
    ("GET", "/v1/keys/0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10"),
    ("PATCH", "/v1/keys/0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10"),
    ("DELETE", "/v1/keys/0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10"),
    ("POST", "/v1/keys/0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10/credit"),
    ("POST", "/v1/keys/0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10/rotate"),
    ("GET", "/v1/keys/0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10/usage"),
    ("GET", "/v1/usage"),
    ("GET", "/v1/holds"),
    ("POST", "/v1/holds/0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10/resolve"),
    ("GET", "/v1/wallet"),
    ("GET", "/v1/wallet/entries"),
)


def test_a_standard_key_is_kept_out_of_the_control_plane(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint()
        for method, path in ADMIN_PATHS:
            refused = await office.call(method, path, {"name": "a"}, key=key["secret"])
            error = refused.json()["error"]
            assert (refused.status_code, error["code"], error["type"]) == (
                403,
                "scope_too_small",
                "permission_error",
            )
            missing = await office.call(method, path, key="")
            assert (missing.status_code, missing.json()["error"]["code"]) == (401, "missing_key")

    in_office(database_url, journey)


def test_every_header_form_carries_the_key_and_two_keys_conflict(database_url: str) -> None:
    async def journey(office: Office) -> None:
        other = (await office.mint(scope="admin"))["secret"]
        forms = [
            {"x-api-key": "{}"}, {"authorization": "Bearer {}"}, {"authorization": "token {}"},
            {"xi-api-key": "{}"}, {"x-goog-api-key": "{}"}, {"api-key": "{}"},
        ]  # fmt: skip
        for form in forms:
            headers = {name: text.format(office.master) for name, text in form.items()}
            assert (await office.call("GET", "/v1/keys", key="", headers=headers)).status_code == 200
        for second, status in ((office.master, 200), (other, 401)):
            headers = {"authorization": f"Bearer {second}"}
            answer = await office.call("GET", "/v1/keys", headers=headers)
            assert answer.status_code == status
        assert answer.json()["error"]["code"] == "conflicting_credentials"
        unread = await office.call("GET", f"/v1/keys?key={office.master}", key="")
        assert unread.json()["error"]["code"] == "missing_key"

    in_office(database_url, journey)


def test_a_key_stops_at_the_moment_it_expires(database_url: str) -> None:
    async def journey(office: Office) -> None:
        key = await office.mint(expires_at=START_MS + 1)
        assert (await office.call("GET", "/v1/account", key=key["secret"])).status_code == 200
        office.clock.at_ms += 1
        expired = await office.call("GET", "/v1/account", key=key["secret"])
        assert (expired.status_code, expired.json()["error"]["code"]) == (401, "expired_key")

    in_office(database_url, journey)


def test_every_error_has_the_shape_of_the_contract_and_the_request_id(database_url: str) -> None:
    async def journey(office: Office) -> None:
        for method, path, raw, status in (
            ("GET", "/v1/nothing", None, 404),
            ("GET", "/v1/keys/", None, 404),
            ("PUT", "/v1/keys", None, 405),
            ("POST", "/v1/keys", b"{", 400),
            ("POST", "/v1/keys", b'{"name":1}', 400),
        ):
            answer = await office.call(method, path, raw=raw)
            body = answer.json()
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/json"
            assert (body["type"], body["request_id"]) == ("error", str(REQUEST_ID))
            assert set(body["error"]) >= {"type", "message", "code"}
        wrong = await office.call("PUT", "/v1/keys/x")
        assert (wrong.headers["allow"], wrong.json()["error"]["code"]) == (
            "DELETE, GET, PATCH",
            "method_not_allowed",
        )

    in_office(database_url, journey)


def test_a_defect_is_answered_in_shape_without_its_details(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def journey(office: Office) -> None:
        async def broken(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError("secret details")

        monkeypatch.setattr(type(office.desk.wallets), "get", broken)
        answer = await office.call("GET", "/v1/wallet")
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
        assert "secret details" not in answer.text

    in_office(database_url, journey)


def test_health_needs_no_key_and_readiness_says_what_is_missing(database_url: str) -> None:
    async def journey(office: Office) -> None:
        for path in ("/healthz", "/health/liveliness", "/health/liveness"):
            answer = await office.call("GET", path, key="")
            assert (answer.status_code, answer.json()) == (200, {"ok": True})
        for missing, status, reason in (
            (None, 200, None),
            ("2 migrations are pending", 503, "2 migrations are pending"),
            (StoreUnavailable(), 503, StoreUnavailable().message),
        ):
            office.ready[0] = missing
            for path in ("/readyz", "/health/readiness"):
                answer = await office.call("GET", path, key="")
                assert answer.status_code == status
                assert answer.json() == {"ready": reason is None, "reason": reason}

    in_office(database_url, journey)


def test_the_document_describes_every_path_with_its_errors_and_examples(database_url: str) -> None:
    async def journey(office: Office) -> None:
        document = (await office.call("GET", "/openapi.json", key="")).json()
        assert document["openapi"].startswith("3.1")
        documented = {(m.upper(), path) for path, found in document["paths"].items() for m in found}
        served = {
            (method, route.path)
            for route in office.app.routes
            for method in getattr(route, "methods", ()) or ()
            if route.path not in ("/openapi.json", "/docs")  # type: ignore[attr-defined]
        }
        assert documented == served
        schemas = document["components"]["schemas"]
        names = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
        assert names <= set(schemas)
        assert "HTTPValidationError" not in schemas
        for found in document["paths"].values():
            for operation in found.values():
                assert "422" not in operation["responses"]
                for answer in operation["responses"].values():
                    assert answer["content"]["application/json"]["schema"]["$ref"].split("/")[-1] in schemas
                if operation["security"]:
                    assert {"401", "500", "503"} <= set(operation["responses"])
        cap = schemas["KeyOut"]["properties"]["max_spend_usd"]
        assert {one["type"] for one in cap["anyOf"]} == {"number", "null"}

    in_office(database_url, journey)


def test_the_examples_of_the_document_have_the_fields_of_their_schemas(database_url: str) -> None:
    async def journey(office: Office) -> None:
        document = (await office.call("GET", "/openapi.json", key="")).json()
        schemas = document["components"]["schemas"]
        for path, found in document["paths"].items():
            for method, operation in found.items():
                bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
                for content in (body.get("content", {}).get("application/json") for body in bodies):
                    if not content or "example" not in content:
                        continue
                    schema = schemas[content["schema"]["$ref"].split("/")[-1]]
                    example = set(content["example"])
                    assert set(schema.get("required", ())) <= example <= set(schema["properties"]), (
                        method,
                        path,
                    )

    in_office(database_url, journey)


def test_the_docs_page_loads_nothing_from_another_host(database_url: str) -> None:
    async def journey(office: Office) -> None:
        page = await office.call("GET", "/docs", key="")
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "//" not in page.text.replace("<!doctype html>", "")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")

    in_office(database_url, journey)


def test_gateways_that_start_at_once_make_one_owner(database_url: str) -> None:
    async def journey(office: Office) -> None:
        await office.sql("TRUNCATE accounts, wallets, keys, credits, wallet_entries")
        starts = await asyncio.gather(*(office.desk.accounts.ensure_owner() for _ in range(6)))
        assert sorted(start.step for start in starts) == ["found"] * 5 + ["made"]
        assert len({start.account_id for start in starts}) == 1
        (secret,) = [start.secret for start in starts if start.secret]
        assert (await office.call("GET", "/v1/keys", key=secret)).status_code == 200

    in_office(database_url, journey)
