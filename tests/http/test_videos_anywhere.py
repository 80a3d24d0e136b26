"""Videos of xAI, Qwen, MiniMax and Google on the common paths: asked for in their words, shown in the caller's."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from tests.support import fake_videos as fake
from tests.support.fake_google import serve_google
from tests.support.fake_minimax import serve_minimax
from tests.support.fake_provider import FakeProvider
from tests.support.fake_qwen import serve_qwen
from tests.support.fake_xai import serve_xai
from tests.support.gateway import Gateway, MintedKey, base_url_at, gateway_process, until
from tests.support.postgres import Databases

SERVED = {"xai": serve_xai, "qwen": serve_qwen, "minimax": serve_minimax, "google": serve_google}
PROMPT = f"A pixel, {fake.KEPT_HERE}"
ASKED = {"prompt": PROMPT, "seconds": "6", "size": "1280x720"}
SENT: dict[str, dict[str, Any]] = {
    "xai": {
        "model": "grok-imagine-video",
        "prompt": PROMPT,
        "duration": 6,
        "resolution": "720p",
        "aspect_ratio": "16:9",
    },
    "qwen": {
        "model": "wan3.0-video",
        "input": {"prompt": PROMPT},
        "parameters": {"duration": 6, "resolution": "720P", "ratio": "16:9"},
    },
    "minimax": {
        "model": "MiniMax-H3",
        "content": [{"type": "text", "text": PROMPT}],
        "duration": 6,
        "resolution": "768P",
        "ratio": "16:9",
    },
    "google": {
        "instances": [{"prompt": PROMPT}],
        "parameters": {"durationSeconds": 6, "resolution": "720p", "aspectRatio": "16:9"},
    },
}
"""What each provider is asked for `ASKED`."""
COSTS = {"xai": fake.XAI_COST_MICROS, "qwen": 6 * 82_513, "minimax": 6 * 80_000, "google": 6 * 100_000}
HELD = {"xai": 6 * 70_000, "qwen": 6 * 82_513, "minimax": 6 * 80_000, "google": 6 * 100_000}
everywhere = pytest.mark.parametrize("slug", SERVED)


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, FakeProvider]]:
    with ExitStack() as stack:
        yield {slug: stack.enter_context(serve()) for slug, serve in SERVED.items()}


@pytest.fixture(scope="module")
def gateway(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, running: dict[str, FakeProvider]
) -> Iterator[Gateway]:
    bases = {slug: base_url_at(provider.origin, slug) for slug, provider in running.items()}
    with gateway_process(databases.clone(), tmp_path_factory.mktemp("videos"), providers=bases) as gateway:
        yield gateway
        gateway.doctor()


@pytest.fixture
def rich(gateway: Gateway) -> MintedKey:
    return gateway.mint(max_spend_usd=5)


def call(gateway: Gateway, key: MintedKey, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"x-api-key": key.secret}
    return httpx.request(
        method, gateway.origin + path, json=body, headers=headers, trust_env=False, timeout=20
    )


def posted(provider: FakeProvider) -> list[Any]:
    return [sent.json for sent in provider.calls if sent.method == "POST"]


def made(gateway: Gateway, key: MintedKey, path: str, done: str) -> Any:
    """The record of a video once it is made."""
    return until(
        lambda: (got := call(gateway, key, "GET", path).json())["status"] == done and got, "the video is made"
    )


@everywhere
def test_a_video_is_asked_for_in_openais_words_and_comes_back_in_them(
    gateway: Gateway, rich: MintedKey, running: dict[str, FakeProvider], slug: str
) -> None:
    answer = call(gateway, rich, "POST", "/v1/videos", {"model": fake.MODELS[slug], **ASKED})
    video = answer.json()
    assert answer.status_code == 200, answer.text
    assert (video["object"], video["status"], video["seconds"]) == ("video", "queued", "6")
    assert (video["model"], answer.headers["x-qlaud-provider"]) == (fake.MODELS[slug], slug)
    assert posted(running[slug])[-1] == SENT[slug]
    assert gateway.key(rich)["held_micros"] == HELD[slug]
    done = made(gateway, rich, f"/v1/videos/{video['id']}", "completed")
    assert (done["id"], done["progress"], done["error"]) == (video["id"], 100, None)
    assert call(gateway, rich, "GET", f"/v1/videos/{video['id']}/content").content == fake.FILM
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["id"], event["cost_micros"]) == (answer.headers["request-id"], COSTS[slug])
    assert (event["provider_slug"], event["estimated"], event["surface"]) == (slug, False, "videos")


@everywhere
def test_the_simple_form_shows_the_same_video_at_an_address_that_needs_no_key(
    gateway: Gateway, rich: MintedKey, slug: str
) -> None:
    asked = {"model": fake.MODELS[slug], "prompt": PROMPT}
    begun = call(gateway, rich, "POST", "/v1/videos/generations", asked).json()
    assert begun.keys() == {"id", "status"}
    assert begun["status"] == "queued"
    done = made(gateway, rich, f"/v1/videos/generations/{begun['id']}", "succeeded")
    assert done.keys() == {"id", "status", "video_url", "error"}
    assert done["video_url"].startswith(f"{gateway.origin}/v1/videos/{begun['id']}/content?token=")
    film = httpx.get(done["video_url"], trust_env=False)
    assert (film.status_code, film.content, film.headers["content-type"]) == (200, fake.FILM, "video/mp4")
    assert made(gateway, rich, f"/v1/videos/{begun['id']}", "completed")["id"] == begun["id"]


@everywhere
def test_another_key_sees_neither_the_video_nor_its_record_at_the_provider(
    gateway: Gateway, rich: MintedKey, slug: str
) -> None:
    other = gateway.mint(max_spend_usd=5)
    begun = call(gateway, rich, "POST", "/v1/videos", {"model": fake.MODELS[slug], **ASKED}).json()
    _, record, _ = fake.ROUTES[slug]
    own = f"/{slug}{record.format(job=begun['id'])}"
    for path in (f"/v1/videos/{begun['id']}", f"/v1/videos/{begun['id']}/content", own):
        assert call(gateway, other, "GET", path).status_code == 404
    assert call(gateway, rich, "GET", own).status_code == 200


@everywhere
def test_what_a_provider_cannot_do_is_said_in_openais_shape(
    gateway: Gateway, rich: MintedKey, slug: str
) -> None:
    begun = call(gateway, rich, "POST", "/v1/videos", {"model": fake.MODELS[slug], **ASKED}).json()
    for method, path in (
        ("POST", f"/v1/videos/{begun['id']}/remix"),
        ("DELETE", f"/v1/videos/{begun['id']}"),
    ):
        answer = call(gateway, rich, method, path, {"prompt": "Again"} if method == "POST" else None)
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_files_are_refused_where_they_cannot_be_handed_on(gateway: Gateway, rich: MintedKey) -> None:
    answer = httpx.post(
        f"{gateway.origin}/v1/videos",
        data={"model": fake.MODELS["qwen"], "prompt": "A pixel"},
        files={"input_reference": ("first.png", b"\x89PNG", "image/png")},
        headers={"x-api-key": rich.secret},
        trust_env=False,
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input_reference")
    assert gateway.key(rich)["held_micros"] == 0
