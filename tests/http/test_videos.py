"""Videos over HTTP: begun on either common path or on the provider's own, seen by their owner, billed once."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.support import fake_videos as fake
from tests.support.fake_openai import refusal
from tests.support.fake_provider import FakeProvider, answer_json
from tests.support.gateway import Gateway, MintedKey, until

ASKED = {"model": "sora-2", "prompt": "A pixel", "seconds": "8", "size": "1280x720"}
COST = fake.OPENAI_COST_MICROS
MADE: list[str] = []
"""Jobs of the test that runs."""


@pytest.fixture
def rich(gateway: Gateway) -> Iterator[MintedKey]:
    """A key with room for five such videos. At the end all of them are made, so that nothing looks at them any more."""
    key = gateway.mint(max_spend_usd=4)
    yield key
    running = {hold["id"] for hold in gateway.read(f"/v1/holds?key_id={key.id}")["data"]}
    for video in MADE:
        call(gateway, key, "GET", f"/v1/videos/{video}")
        call(gateway, key, "GET", f"/v1/videos/{video}")
    MADE.clear()
    until(lambda: not gateway.read(f"/v1/holds?key_id={key.id}")["data"], f"{running} are settled")


@pytest.fixture(autouse=True)
def provider(openai_provider: FakeProvider) -> FakeProvider:
    return openai_provider


def call(
    gateway: Gateway, key: MintedKey | None, method: str, path: str, body: Any = None, **more: Any
) -> httpx.Response:
    headers = {"x-api-key": key.secret} if key is not None else {}
    answer = httpx.request(
        method, gateway.origin + path, json=body, headers=headers, trust_env=False, timeout=20, **more
    )
    if method == "POST" and answer.status_code == 200:
        MADE.append(answer.json()["id"])
    return answer


def begun(gateway: Gateway, key: MintedKey, path: str = "/v1/videos", body: Any = ASKED) -> Any:
    answer = call(gateway, key, "POST", path, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def finish(gateway: Gateway, key: MintedKey, video: Any) -> None:
    """Ask until it is made."""
    until(
        lambda: call(gateway, key, "GET", f"/v1/videos/{video['id']}").json()["status"] == "completed",
        "it is made",
    )


def test_a_video_is_held_while_it_is_made_and_billed_by_its_record_once(
    gateway: Gateway, rich: MintedKey, provider: FakeProvider
) -> None:
    answer = call(gateway, rich, "POST", "/v1/videos", ASKED)
    assert (answer.status_code, answer.json().get("status")) == (200, "queued"), answer.text
    assert "x-qlaud-cost-micros" not in answer.headers
    assert answer.headers["x-qlaud-budget-remaining-micros"] == str(4_000_000 - COST)
    assert provider.calls[0].json == ASKED
    assert gateway.key(rich)["held_micros"] == COST
    request_id = answer.headers["request-id"]
    assert gateway.request(request_id).status_code == 202
    statuses = [
        call(gateway, rich, "GET", f"/v1/videos/{answer.json()['id']}").json()["status"] for _ in range(20)
    ]
    assert statuses[-1] == "completed"
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["id"], event["cost_micros"], event["video_seconds"], event["estimated"], event["surface"]) == (
        request_id, COST, 8, False, "videos",
    )  # fmt: skip


def test_a_video_nobody_asks_for_is_billed_all_the_same(gateway: Gateway, rich: MintedKey) -> None:
    begun(gateway, rich)
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["cost_micros"], gateway.key(rich)["spent_micros"]) == (COST, COST)


def test_the_small_form_shows_the_same_job(gateway: Gateway, rich: MintedKey, provider: FakeProvider) -> None:
    made = begun(
        gateway, rich, "/v1/videos/generations", {"model": "sora-2", "prompt": "A pixel", "seconds": 8}
    )
    assert set(made) == {"id", "status"}
    assert made["status"] == "queued"
    small = call(gateway, rich, "GET", f"/v1/videos/generations/{made['id']}").json()
    assert (small["id"], small["video_url"], small["error"]) == (made["id"], None, None)
    assert small["status"] in ("queued", "running")
    large = call(gateway, rich, "GET", f"/v1/videos/{made['id']}").json()
    assert (large["object"], large["id"], large["status"]) == ("video", made["id"], "completed")
    small = call(gateway, rich, "GET", f"/v1/videos/generations/{made['id']}").json()
    assert (small["status"], small["error"]) == ("succeeded", None)
    where = urlsplit(small["video_url"])
    assert f"{where.scheme}://{where.netloc}" == gateway.origin
    assert where.path == f"/v1/videos/{made['id']}/content"
    assert list(parse_qs(where.query)) == ["token"]
    film = httpx.get(small["video_url"], trust_env=False)
    assert (film.status_code, film.content, film.headers["content-type"]) == (200, fake.FILM, "video/mp4")
    assert "token" not in provider.last.target
    assert b"qlk_" not in repr(provider.last.headers).encode()


def test_a_token_opens_one_film_and_nothing_else(gateway: Gateway, rich: MintedKey) -> None:
    one, other = begun(gateway, rich), begun(gateway, rich)
    for video in (one, other):
        finish(gateway, rich, video)
    url = call(gateway, rich, "GET", f"/v1/videos/generations/{one['id']}").json()["video_url"]
    token = parse_qs(urlsplit(url).query)["token"][0]
    wrong = [
        f"/v1/videos/{other['id']}/content?token={token}",
        f"/v1/videos/{one['id']}/content?token={token[:-2]}xx",
        f"/v1/videos/{one['id']}/content?token=x",
    ]
    for path in wrong:
        answer = call(gateway, None, "GET", path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert call(gateway, None, "GET", f"/v1/videos/{one['id']}/content").status_code == 401
    assert call(gateway, None, "GET", f"/v1/videos/{one['id']}?token={token}").status_code == 401
    assert call(gateway, rich, "GET", f"/v1/videos/{one['id']}/content").content == fake.FILM


@pytest.mark.parametrize(
    "path", ["/v1/videos/{}", "/v1/videos/{}/content", "/v1/videos/generations/{}", "/openai/v1/videos/{}"]
)
def test_a_job_is_seen_by_its_key_and_by_admins_and_is_404_for_others(
    gateway: Gateway, rich: MintedKey, provider: FakeProvider, path: str
) -> None:
    video = begun(gateway, rich)
    finish(gateway, rich, video)
    stranger, tester = gateway.mint(), gateway.mint(mode="test")
    provider.calls.clear()
    for key in (stranger, tester):
        refused = call(gateway, key, "GET", path.format(video["id"]))
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    assert call(gateway, rich, "GET", path.format("video_of_nobody")).status_code == 404
    assert provider.calls == [], "the provider is not asked"
    admin = gateway.mint(scope="admin")
    assert call(gateway, rich, "GET", path.format(video["id"])).status_code == 200
    assert call(gateway, admin, "GET", path.format(video["id"])).status_code == 200


def test_a_provider_path_answers_byte_for_byte(
    gateway: Gateway, rich: MintedKey, provider: FakeProvider
) -> None:
    made = call(gateway, rich, "POST", "/openai/v1/videos", ASKED)
    record = {
        "id": made.json()["id"],
        "object": "video",
        "status": "completed",
        "seconds": "8",
        "odd": [1.50, None],
    }
    finish(gateway, rich, made.json())
    provider.script(answer_json(record))
    answer = call(gateway, rich, "GET", f"/openai/v1/videos/{made.json()['id']}?include=x")
    assert answer.json() == record
    assert answer.headers["content-type"] == "application/json"


def test_a_failed_video_costs_nothing(gateway: Gateway, rich: MintedKey, provider: FakeProvider) -> None:
    made = begun(gateway, rich)
    failed = {
        "id": made["id"],
        "object": "video",
        "status": "failed",
        "error": {"code": "c", "message": "blocked"},
    }
    provider.script(answer_json(failed), answer_json(failed))
    seen = [call(gateway, rich, "GET", f"/v1/videos/generations/{made['id']}").json() for _ in range(2)]
    assert seen[0]["status"] == "failed"
    assert seen[0]["error"] == "blocked"
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["cost_micros"], event["status"], event["estimated"]) == (0, 502, False)


def test_a_video_beyond_the_cap_is_refused_before_it_is_begun(
    gateway: Gateway, provider: FakeProvider
) -> None:
    poor = gateway.mint(max_spend_usd="0.79")
    answer = call(gateway, poor, "POST", "/v1/videos", ASKED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "key_cap_exceeded")
    assert answer.headers["x-should-retry"] == "false"
    assert provider.calls == []
    call(gateway, poor, "POST", "/v1/videos", {**ASKED, "seconds": "4"})
    assert gateway.key(poor)["held_micros"] <= 400_000


def test_a_refusal_of_the_provider_keeps_its_words_and_costs_nothing(
    gateway: Gateway, rich: MintedKey, provider: FakeProvider
) -> None:
    for path in ("/v1/videos", "/v1/videos/generations"):
        provider.script(refusal(400, "no such size"))
        answer = call(gateway, rich, "POST", path, ASKED)
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no such size")
    assert gateway.usage(rich)["total_cost_micros"] == 0
    assert gateway.key(rich)["held_micros"] == 0


def test_a_form_is_taken_as_the_sdk_sends_it(
    gateway: Gateway, rich: MintedKey, provider: FakeProvider
) -> None:
    files = {name: (None, value) for name, value in ASKED.items()} | {
        "input_reference": ("a.png", b"\x89PNG", "image/png")
    }
    answer = call(gateway, rich, "POST", "/v1/videos", files=files)
    assert answer.status_code == 200, answer.text
    form = provider.calls[0].form
    assert {name: form[name].text for name in ASKED} == ASKED
    assert gateway.key(rich)["held_micros"] == COST


def test_a_remix_holds_what_its_source_cost(
    gateway: Gateway, rich: MintedKey, provider: FakeProvider
) -> None:
    source = begun(gateway, rich)
    finish(gateway, rich, source)
    made = call(gateway, rich, "POST", f"/v1/videos/{source['id']}/remix", {"prompt": "blue"})
    assert (made.status_code, made.json()["prompt"]) == (200, "blue")
    remix = next(one for one in provider.calls if one.target.endswith("/remix"))
    assert (remix.target, remix.json) == (f"/v1/videos/{source['id']}/remix", {"prompt": "blue"})
    assert gateway.key(rich)["held_micros"] == COST
    stranger = gateway.mint()
    refused = call(gateway, stranger, "POST", f"/v1/videos/{source['id']}/remix", {"prompt": "blue"})
    assert refused.status_code == 404


def test_a_film_is_fetched_when_it_is_made_and_not_before(
    gateway: Gateway, rich: MintedKey, provider: FakeProvider
) -> None:
    made = begun(gateway, rich)
    early = call(gateway, rich, "GET", f"/v1/videos/{made['id']}/content")
    assert (early.status_code, early.json()["error"]["code"]) == (404, "not_found")


def test_a_deleted_video_is_settled_first(gateway: Gateway, rich: MintedKey, provider: FakeProvider) -> None:
    made = begun(gateway, rich)
    done = {"id": made["id"], "object": "video", "status": "completed", "seconds": "8", "size": "1280x720"}
    provider.script(
        answer_json(done), answer_json({"id": made["id"], "object": "video.deleted", "deleted": True})
    )
    answer = call(gateway, rich, "DELETE", f"/v1/videos/{made['id']}")
    assert (answer.status_code, answer.json()["deleted"]) == (200, True)
    assert gateway.usage(rich)["total_cost_micros"] == COST


def test_a_caller_nobody_knows_learns_nothing(gateway: Gateway, provider: FakeProvider) -> None:
    nobody = MintedKey("", "qlk_live_" + "0" * 64)
    for method, path, body in (
        ("POST", "/v1/videos", {"model": "no-such-model"}),
        ("POST", "/v1/videos/generations", ASKED),
        ("GET", "/v1/videos/video_1", None),
        ("POST", "/v1/videos/video_1/remix", {}),
        ("DELETE", "/v1/videos/video_1", None),
    ):
        answer = call(gateway, nobody, method, path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_key"), path
    assert provider.calls == []


def test_a_model_that_makes_no_videos_is_refused_by_name(gateway: Gateway, rich: MintedKey) -> None:
    answer = call(gateway, rich, "POST", "/v1/videos", {**ASKED, "model": "gpt-6-sol"})
    assert answer.status_code == 400
    assert "gpt-6-sol" in answer.json()["error"]["message"]


def test_a_test_key_makes_simulated_videos_that_cost_test_money(
    gateway: Gateway, sim_key: MintedKey, provider: FakeProvider
) -> None:
    answer = call(gateway, sim_key, "POST", "/v1/videos", ASKED)
    assert (answer.status_code, answer.headers["x-qlaud-provider"]) == (200, "sim")
    event = until(
        lambda: (
            (got := gateway.request(answer.headers["request-id"], key=sim_key)).status_code == 200
            and got.json()
        ),
        "the simulated video is made",
    )
    assert (event["cost_micros"], event["video_seconds"], event["provider_slug"]) == (COST, 8, "sim")
    made = call(gateway, sim_key, "GET", f"/v1/videos/generations/{answer.json()['id']}").json()
    assert made["status"] == "succeeded"
    assert httpx.get(made["video_url"], trust_env=False).content.startswith(b"\x00\x00\x00\x14ftyp")
    assert [made for made in provider.calls if made.method == "POST"] == []


def test_a_simulated_video_that_fails_costs_nothing(gateway: Gateway, sim_key: MintedKey) -> None:
    answer = call(gateway, sim_key, "POST", "/v1/videos/generations", {**ASKED, "model": "sim/film-fails"})
    event = until(
        lambda: (
            (got := gateway.request(answer.headers["request-id"], key=sim_key)).status_code == 200
            and got.json()
        ),
        "the simulated video has failed",
    )
    assert (event["cost_micros"], event["status"]) == (0, 502)
    made = call(gateway, sim_key, "GET", f"/v1/videos/generations/{answer.json()['id']}").json()
    assert (made["status"], made["error"]) == ("failed", "sim/film-fails never succeeds")
