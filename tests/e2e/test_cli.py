"""The operator's commands, on a real database and beside a real gateway."""

import csv
import io
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from tests.support.commands import Commands
from tests.support.embedded import run_sql
from tests.support.gateway import gateway_process, until
from tests.support.postgres import Databases, with_database

from qlaud.api.holds import HoldListOut, HoldOut
from qlaud.api.key_shapes import KeyListOut, KeyOut
from qlaud.api.usage_shapes import KeyGroupOut, KeySumOut, ModelSumOut, UsageOut


@pytest.fixture
def commands(database_url: str, tmp_path: Path) -> Commands:
    """Commands on a database that has its first account."""
    made = Commands(database_url, tmp_path)
    assert made.run("keys", "list").code == 0
    return made


def members(shape: type) -> set[str]:
    """The names of an API answer's members, as they stand in JSON."""
    return set(shape.__struct_encode_fields__)


def called(
    origin: str, secret: str, words: str = "one two three four five", **more: object
) -> httpx.Response:
    body = {"model": "sim/echo", "max_tokens": 50, "messages": [{"role": "user", "content": words}], **more}
    return httpx.post(f"{origin}/v1/messages", json=body, headers={"x-api-key": secret}, trust_env=False)


def test_the_first_command_on_an_empty_database_tells_the_master_key_beside_the_answer(
    database_url: str, tmp_path: Path
) -> None:
    commands = Commands(database_url, tmp_path)
    first = commands.run("keys", "list", "--json")
    assert [key["name"] for key in first.json["keys"]] == ["master"]
    assert first.err.startswith("master key (shown once, keep it): qlk_live_")
    assert "master key" not in commands.run("keys", "list").err


def test_a_secret_is_printed_once_and_is_in_no_list(commands: Commands) -> None:
    made = commands.run("keys", "mint", "user_42", "--cap", "0.05", "--period", "month", "--json")
    assert made.err == ""
    secret = made.json["secret"]
    assert secret.startswith("qlk_live_")
    assert len(secret) == len("qlk_live_") + 64
    for words in (("keys", "list", "--json"), ("keys", "list"), ("keys", "show", "user_42")):
        assert secret not in commands.done(*words).out


def test_json_has_the_members_of_the_api(commands: Commands) -> None:
    made = commands.json("keys", "mint", "user_42")
    assert made.keys() == members(KeyOut)
    listed = commands.json("keys", "list")
    assert listed.keys() == members(KeyListOut)
    assert all(key.keys() == members(KeyOut) - {"secret"} for key in listed["keys"])
    assert commands.json("usage", "--by", "day").keys() == members(UsageOut)
    assert commands.json("holds", "list").keys() == members(HoldListOut)


def test_every_option_of_mint_is_on_the_key(commands: Commands) -> None:
    made = commands.json(
        *("keys", "mint", "u", "--cap", "$5", "--period", "week", "--anchor-day", "3", "--on-cap", "refuse"),
        *(
            "--on-disconnect",
            "cancel",
            "--rpm",
            "60",
            "--parallel",
            "2",
            "--model",
            "sim/*",
            "--model",
            "sim/echo",
        ),
        *("--expires", "2030-01-02", "--external-id", "cus_7", "--admin", "--test"),
    )
    assert made["secret"].startswith("qlk_test_")
    told = {name: made[name] for name in ("max_spend_usd", "cap_period", "cap_anchor_day", "on_cap")}
    assert told == {"max_spend_usd": 5, "cap_period": "week", "cap_anchor_day": 3, "on_cap": "refuse"}
    assert (made["on_disconnect"], made["rpm_limit"], made["max_parallel"]) == ("cancel", 60, 2)
    assert made["allowed_models"] == ["sim/*", "sim/echo"]
    assert made["expires_at"] == 1893542400000
    assert (made["external_id"], made["scope"], made["mode"]) == ("cus_7", "admin", "test")


@pytest.mark.parametrize(
    ("text", "micros"), [("0.000001", 1), ("5", 5_000_000), ("$1234567.891011", 1_234_567_891_011), ("0", 0)]
)
def test_an_amount_is_exact(commands: Commands, text: str, micros: int) -> None:
    printed = commands.done("keys", "mint", "u", "--cap", text, "--json").out
    assert json.loads(printed, parse_float=Decimal)["max_spend_usd"] * 1_000_000 == micros
    assert commands.json("keys", "show", "u")["remaining_micros"] == micros


def test_a_key_is_meant_by_its_id_its_name_and_the_ends_of_its_id(commands: Commands) -> None:
    key_id = commands.json("keys", "mint", "user_42", "--external-id", "cus_42")["id"]
    for text in (key_id, "user_42", "cus_42", key_id[-8:]):
        assert commands.json("keys", "show", text)["id"] == key_id


def test_a_name_that_two_keys_have_is_refused_with_their_ids(commands: Commands) -> None:
    ids = [commands.json("keys", "mint", "twin", "--cap", "1")["id"] for _ in range(2)]
    outcome = commands.run("keys", "revoke", "twin")
    assert outcome.code == 1
    assert all(key_id in outcome.err for key_id in ids)
    commands.done("keys", "revoke", ids[0])
    assert commands.json("keys", "show", "twin")["id"] == ids[1]


def test_a_cap_is_changed_raised_by_credit_and_taken_away(commands: Commands) -> None:
    commands.json("keys", "mint", "u", "--cap", "1")
    assert commands.json("keys", "cap", "u", "10", "--period", "month")["cap_period"] == "month"
    assert commands.json("keys", "credit", "u", "2.5")["remaining_micros"] == 12_500_000
    assert commands.json("keys", "cap", "u", "--none")["max_spend_usd"] is None
    refused = commands.run("keys", "credit", "u", "1")
    assert refused.code == 1
    assert "has no cap" in refused.err or "no cap" in refused.err


def test_a_revoked_key_is_listed_only_on_request_and_the_last_master_key_stays(commands: Commands) -> None:
    key_id = commands.json("keys", "mint", "u")["id"]
    assert commands.json("keys", "revoke", "u") == {"ok": True, "id": key_id}
    assert key_id not in commands.done("keys", "list").out
    assert "revoked" in commands.done("keys", "list", "--all").out
    last = commands.run("keys", "revoke", "master")
    assert last.code == 1
    assert last.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "mint", "u", "--cap", "0.0000001"),
        ("keys", "mint", "u", "--cap", "much"),
        ("keys", "mint", "u", "--cap", "-1"),
        ("keys", "mint", "u", "--period", "year"),
        ("keys", "mint", "u", "--model", "a*b"),
        ("keys", "mint", "u", "--expires", "tomorrow"),
        ("keys", "mint", ""),
        ("keys", "mint", "x" * 201),
        ("keys", "cap", "u"),
        ("keys", "cap", "u", "1", "--none"),
        ("keys", "credit", "u", "0"),
        ("usage", "--json", "--csv"),
        ("usage", "--by", "week"),
        ("holds", "list", "--state", "gone"),
        ("holds", "resolve", "7", "1"),
        ("serve", "--workers", "0"),
        ("nonsense",),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing_to_standard_output(
    database_url: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    outcome = Commands(database_url, tmp_path).run(*words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err


def test_what_others_wrote_cannot_steer_the_terminal(commands: Commands) -> None:
    commands.json("keys", "mint", "\x1b[31mred [bold]x[/bold]\n")
    printed = commands.done("keys", "list").out
    assert "\x1b" not in printed
    assert "[bold]x[/bold]" in printed


def test_calls_of_a_gateway_show_up_in_usage_and_a_cap_set_by_command_stops_the_next(
    database_url: str, tmp_path: Path
) -> None:
    commands = Commands(database_url, tmp_path)
    with gateway_process(database_url, tmp_path / "gateway") as gateway:
        keys = {name: commands.json("keys", "mint", name, "--cap", "1") for name in ("ann", "bob")}
        for name, count in (("ann", 3), ("bob", 1)):
            for _ in range(count):
                answer = called(gateway.origin, keys[name]["secret"], metadata={"user_id": f"of {name}"})
                assert answer.status_code == 200
        total = gateway.read("/v1/usage?group_by=key")
        told = commands.json("usage", "--to", str(total["to_ms"]))
        assert told == total
        assert told["groups"][0].keys() == members(KeyGroupOut)
        assert told["by_key"][0].keys() == members(KeySumOut)
        assert told["by_model"][0].keys() == members(ModelSumOut)

        for by in ("key", "model", "day", "end_user"):
            rows = list(csv.DictReader(io.StringIO(commands.done("usage", "--by", by, "--csv").out)))
            assert sum(int(row["cost_micros"]) for row in rows) == told["total_cost_micros"]
            assert sum(Decimal(row["cost_usd"]) for row in rows) * 1_000_000 == told["total_cost_micros"]
        assert {row["end_user_id"] for row in rows} == {"of ann", "of bob"}

        table = commands.done("usage").out
        assert f"${Decimal(told['total_cost_micros']) / 1_000_000:.6f}" in table
        assert commands.json("usage", "--key", "ann")["request_count"] == 3
        event = gateway.read(f"/v1/keys/{keys['bob']['id']}/usage")["events"][0]
        at = str(event["created_at"])
        assert commands.json("usage", "--key", "bob", "--from", at)["request_count"] == 1
        assert commands.json("usage", "--key", "bob", "--to", at)["request_count"] == 0

        spent = commands.json("keys", "show", "ann")["spent_micros"]
        commands.done("keys", "cap", "ann", str(Decimal(spent) / 1_000_000))
        assert called(gateway.origin, keys["ann"]["secret"]).status_code == 402
        assert "cap reached" in commands.done("keys", "list").out
        commands.done("keys", "revoke", "bob")
        assert called(gateway.origin, keys["bob"]["secret"]).status_code == 401
        assert commands.json("holds", "list")["data"] == []
        assert commands.json("doctor") == {"fine": True, "mended": False, "differences": []}


def test_a_call_whose_gateway_was_killed_is_listed_as_lost_and_resolved_once(
    database_url: str, tmp_path: Path
) -> None:
    commands = Commands(database_url, tmp_path)
    quick = {"hold_renew_s": "0.2", "hold_lost_after_s": "0.5"}
    with gateway_process(database_url, tmp_path / "gateway", settings=quick) as gateway:
        key = gateway.mint(max_spend_usd="1")
        body = {
            "model": "sim/slow",
            "max_tokens": 500,
            "stream": True,
            "messages": [{"role": "user", "content": "slow " * 500}],
        }
        headers = {"x-api-key": key.secret}
        with httpx.stream(
            "POST", f"{gateway.origin}/v1/messages", json=body, headers=headers, trust_env=False
        ) as answer:
            pieces = answer.iter_bytes()
            next(pieces)
            held = commands.json("holds", "list", "--state", "held")["data"]
            assert [hold["key_id"] for hold in held] == [key.id]
            assert held[0].keys() == members(HoldOut) - {"cost_micros"}
            gateway.kill()
            with pytest.raises(httpx.HTTPError):
                list(pieces)
    hold_id = held[0]["id"]
    early = commands.run("holds", "resolve", hold_id, "0.0005")
    assert early.code == 1
    with gateway_process(database_url, tmp_path / "gateway", settings=quick):
        until(lambda: commands.json("holds", "list", "--state", "lost")["data"], "the hold is lost")
    assert "qlaud holds resolve" in commands.done("holds", "list").err
    assert commands.run("holds", "resolve", hold_id, "1000").code == 1
    resolved = commands.json("holds", "resolve", hold_id, "0.0005")
    assert (resolved["state"], resolved["cost_micros"]) == ("resolved", 500)
    assert resolved.keys() == members(HoldOut)
    assert commands.run("holds", "resolve", hold_id, "0.0005").code == 1
    assert commands.json("usage")["total_cost_micros"] == 500
    assert commands.json("holds", "list")["data"] == []


def test_a_wallet_is_moved_once_per_id(commands: Commands) -> None:
    first = commands.json("wallet", "credit", "12.345678", "--id", "invoice 7", "--note", "paid")
    assert (first["moved"], first["balance_micros"]) == (True, 12_345_678)
    again = commands.json("wallet", "credit", "12.345678", "--id", "invoice 7")
    assert (again["moved"], again["amount_micros"], again["balance_micros"]) == (False, 0, 12_345_678)
    assert commands.json("wallet", "debit", "2.345678")["balance_micros"] == 10_000_000
    shown = commands.json("wallet", "show")
    assert [entry["amount_micros"] for entry in shown["entries"]] == [-2_345_678, 12_345_678]
    assert commands.json("wallet", "show", "--test")["balance_micros"] == 0
    assert "$10.000000" in commands.done("wallet", "show").out


def test_a_further_account_has_its_own_keys_and_wallet(commands: Commands) -> None:
    made = commands.json("accounts", "create", "Bob & Co", "--email", "bob@example.org")
    commands.json("keys", "mint", "user_of_bob", "--account", made["id"])
    commands.json("wallet", "credit", "3", "--account", made["id"])
    assert {key["name"] for key in commands.json("keys", "list", "--account", made["id"])["keys"]} == {
        "master",
        "user_of_bob",
    }
    assert "user_of_bob" not in commands.done("keys", "list").out
    assert commands.json("wallet", "show")["balance_micros"] == 0
    stranger = commands.run("keys", "list", "--account", "0199c2a4-7b1e-7c30-9a51-3f6b2f1f7a10")
    assert stranger.code == 1
    assert "no account" in stranger.err


def test_the_doctor_finds_a_wrong_sum_and_mends_it_on_request(commands: Commands, database_url: str) -> None:
    commands.json("keys", "mint", "u", "--cap", "1")
    run_sql(database_url, "UPDATE keys SET posted_micros = 7 WHERE name = 'u'")
    ill = commands.run("doctor", "--json")
    assert ill.code == 1
    assert [
        (one["column"], one["stored_micros"], one["actual_micros"]) for one in ill.json["differences"]
    ] == [("posted_micros", 7, 0)]
    assert "--mend" in commands.run("doctor").err
    assert commands.json("keys", "show", "u")["spent_micros"] == 7
    assert commands.json("doctor", "--mend")["mended"] is True
    assert commands.json("keys", "show", "u")["spent_micros"] == 0
    assert "every sum" in commands.done("doctor").out


def test_migrate_check_changes_nothing(databases: Databases, tmp_path: Path) -> None:
    run_sql(databases.admin_dsn, "CREATE DATABASE unmigrated")
    dsn = with_database(databases.admin_dsn, "unmigrated")
    try:
        commands = Commands(dsn, tmp_path)
        for _ in range(2):
            looked = commands.run("migrate", "--check", "--json")
            assert looked.code == 1
            assert looked.json["applied"] == []
            assert looked.json["pending"][0] == "0001_base"
        assert commands.json("migrate")["applied"] == looked.json["pending"]
        assert commands.json("migrate", "--check") == {"applied": [], "pending": []}
    finally:
        databases.drop(dsn)


def test_a_command_in_the_wrong_folder_makes_no_database(empty_data_dir: Path) -> None:
    outcome = Commands("", empty_data_dir).run("usage")
    assert outcome.code == 1
    assert str(empty_data_dir) in outcome.err
    assert not empty_data_dir.exists()


def test_commands_use_the_embedded_database_and_leave_none_running(data_dir: Path) -> None:
    commands = Commands("", data_dir)
    commands.json("keys", "mint", "u", "--cap", "1")
    assert "u" in commands.done("keys", "list").out
    assert not (data_dir / "pg" / "cluster" / "postmaster.pid").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"port": "many"}, "QLAUD_PORT must be a number"),
        ({"config": "nowhere.toml"}, "nowhere.toml, which does not exist"),
        ({"database_url": "nonsense"}, "check QLAUD_DATABASE_URL"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_in_one_line(
    database_url: str, tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    outcome = Commands(database_url, tmp_path).run("usage", **settings)
    assert (outcome.code, outcome.out) == (1, "")
    assert words in outcome.err
    assert outcome.err.count("\n") == 1


def test_prices_are_shown_and_checked_by_a_program_of_their_own(tmp_path: Path) -> None:
    environ = {**os.environ, "QLAUD_DATA_DIR": str(tmp_path)}

    def prices(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "qlaud", "prices", *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    shown = prices("show", "sim/echo", "--json")
    rates = {
        rate["quantity"]: rate["usd"] for rate in json.loads(shown.stdout)["cards"][0]["bands"][0]["rates"]
    }
    assert (shown.returncode, rates["input_tokens"], rates["output_tokens"]) == (0, 1, 5)
    unknown = prices("show", "sim/ecco")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "sim/echo" in unknown.stderr
    checked = prices("check", "--max-age-days", "0", "--json")
    assert checked.returncode == 1
    assert json.loads(checked.stdout)["stale"]
