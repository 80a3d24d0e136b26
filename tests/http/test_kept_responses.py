"""Responses that OpenAI keeps: continued and asked for again by their owner alone, in the background billed once."""

from typing import Any

import httpx
import pytest
from tests.support.fake_openai_responses import COST_MICROS, TEXT
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey, until

MODEL = "gpt-6-sol"
ASKED = {"model": MODEL, "input": "Hello", "max_output_tokens": 4000}
KEPT = {**ASKED, "metadata": {"kept": "yes"}}
IN_BACKGROUND = {**ASKED, "background": True}


@pytest.fixture(autouse=True)
def provider(openai_provider: FakeProvider) -> FakeProvider:
    return openai_provider


@pytest.fixture
def rich(gateway: Gateway) -> MintedKey:
    return gateway.mint(max_spend_usd=50)


def call(
    gateway: Gateway, key: MintedKey, method: str, path: str = "", body: Any = None, prefix: str = ""
) -> httpx.Response:
    return httpx.request(
        method,
        f"{gateway.origin}{prefix}/v1/responses{path}",
        json=body,
        headers={"authorization": f"Bearer {key.secret}"},
        trust_env=False,
        timeout=20,
    )


def finish(gateway: Gateway, key: MintedKey, response: str) -> Any:
    return until(
        lambda: (got := call(gateway, key, "GET", f"/{response}").json())["status"] == "completed" and got,
        "it is completed",
    )


@pytest.mark.parametrize("prefix", ["", "/openai"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_response_is_continued_and_asked_for_again_by_its_owner(
    gateway: Gateway, rich: MintedKey, prefix: str, stream: bool
) -> None:
    first = call(gateway, rich, "POST", body={**KEPT, "stream": stream}, prefix=prefix)
    name = first.text.partition('"resp_')[2].partition('"')[0]
    kept = f"resp_{name}"
    again = call(gateway, rich, "GET", f"/{kept}", prefix=prefix)
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (200, kept, "completed")
    assert call(gateway, rich, "GET", f"/{kept}/input_items", prefix=prefix).json()["object"] == "list"
    second = call(gateway, rich, "POST", body={**ASKED, "previous_response_id": kept}, prefix=prefix)
    assert (second.status_code, second.json()["output"][0]["content"][0]["text"]) == (200, TEXT)
    usage = gateway.wait_settled(rich, 2)
    assert [event["cost_micros"] for event in usage["events"]] == [COST_MICROS, COST_MICROS]
    assert call(gateway, rich, "DELETE", f"/{kept}", prefix=prefix).json()["deleted"] is True
    assert call(gateway, rich, "GET", f"/{kept}", prefix=prefix).status_code == 404


@pytest.mark.parametrize("body", [KEPT, IN_BACKGROUND])
def test_nobody_else_continues_or_sees_it(
    gateway: Gateway, rich: MintedKey, provider: FakeProvider, body: dict[str, object]
) -> None:
    kept = call(gateway, rich, "POST", body=body).json()["id"]
    other = gateway.mint(max_spend_usd=50)
    asked = [one for one in provider.calls if one.method != "GET"]
    for prefix in ("", "/openai"):
        for method, path in (("GET", ""), ("GET", "/input_items"), ("POST", "/cancel"), ("DELETE", "")):
            refused = call(gateway, other, method, f"/{kept}{path}", prefix=prefix)
            assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
        refused = call(gateway, other, "POST", body={**ASKED, "previous_response_id": kept}, prefix=prefix)
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    assert [one for one in provider.calls if one.method != "GET"] == asked
    assert gateway.key(other)["held_micros"] == 0
    finish(gateway, rich, kept)


def test_a_response_nobody_made_here_is_nobodys(gateway: Gateway, rich: MintedKey) -> None:
    refused = call(gateway, rich, "POST", body={**ASKED, "previous_response_id": "resp_of_the_operator"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    assert call(gateway, rich, "GET", "/resp_of_the_operator").status_code == 404


def test_what_is_not_kept_is_not_continued(gateway: Gateway, rich: MintedKey) -> None:
    answer = call(gateway, rich, "POST", body={**KEPT, "store": False})
    refused = call(gateway, rich, "POST", body={**ASKED, "previous_response_id": answer.json()["id"]})
    assert refused.status_code == 404


def test_a_conversation_stands_in_the_operators_account(gateway: Gateway, rich: MintedKey) -> None:
    refused = call(gateway, rich, "POST", body={**ASKED, "conversation": "conv_1"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_field")


def test_a_response_in_the_background_is_held_until_its_record_says_what_it_cost(
    gateway: Gateway, rich: MintedKey
) -> None:
    answer = call(gateway, rich, "POST", body=IN_BACKGROUND)
    response = answer.json()
    assert (answer.status_code, response["status"], "x-qlaud-cost-micros" in answer.headers) == (
        200, "queued", False,
    )  # fmt: skip
    assert gateway.key(rich)["held_micros"] > 4000 * 10
    assert gateway.request(answer.headers["request-id"]).status_code == 202
    done = finish(gateway, rich, response["id"])
    assert done["output"][0]["content"][0]["text"] == TEXT
    for _ in range(3):
        assert call(gateway, rich, "GET", f"/{response['id']}").json() == done
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["id"], event["cost_micros"], event["estimated"], event["surface"]) == (
        answer.headers["request-id"], COST_MICROS, False, "responses",
    )  # fmt: skip
    assert gateway.key(rich)["held_micros"] == 0


def test_nobody_needs_to_ask_for_it(gateway: Gateway, rich: MintedKey) -> None:
    call(gateway, rich, "POST", body=IN_BACKGROUND)
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["cost_micros"], event["estimated"]) == (COST_MICROS, False)


def test_its_stream_that_broke_is_read_again_and_billed_once(gateway: Gateway, rich: MintedKey) -> None:
    body = {**IN_BACKGROUND, "stream": True, "metadata": {"breaks": "yes"}}
    with httpx.Client(trust_env=False, timeout=20) as client:
        text = ""
        try:
            with client.stream(
                "POST",
                f"{gateway.origin}/v1/responses",
                json=body,
                headers={"authorization": f"Bearer {rich.secret}"},
            ) as stream:
                for piece in stream.iter_text():
                    text += piece
        except httpx.RemoteProtocolError:
            pass
    response = "resp_" + text.partition('"resp_')[2].partition('"')[0]
    for _ in range(2):
        again = call(gateway, rich, "GET", f"/{response}?stream=true&starting_after=3")
        assert (again.status_code, "response.completed" in again.text) == (200, True)
        assert again.headers["content-type"].startswith("text/event-stream")
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["cost_micros"], event["estimated"]) == (COST_MICROS, False)


def test_a_stream_that_came_to_its_end_is_billed_by_it(gateway: Gateway, rich: MintedKey) -> None:
    answer = call(gateway, rich, "POST", body={**IN_BACKGROUND, "stream": True})
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["cost_micros"], event["estimated"], event["stream"]) == (COST_MICROS, False, True)
    kept = "resp_" + answer.text.partition('"resp_')[2].partition('"')[0]
    assert call(gateway, rich, "GET", f"/{kept}").status_code == 200
    assert len(gateway.wait_settled(rich, 1)["events"]) == 1


def test_one_that_was_cancelled_costs_its_input_as_an_estimate(gateway: Gateway, rich: MintedKey) -> None:
    response = call(gateway, rich, "POST", body=IN_BACKGROUND).json()["id"]
    cancelled = call(gateway, rich, "POST", f"/{response}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert event["estimated"]
    assert 0 < event["cost_micros"] < 4000


def test_other_providers_have_no_background(gateway: Gateway, rich: MintedKey, sim_key: MintedKey) -> None:
    for key in (sim_key,):
        refused = call(gateway, key, "POST", body=IN_BACKGROUND)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_field")
        refused = call(gateway, key, "POST", body={**ASKED, "previous_response_id": "resp_1"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_field")
