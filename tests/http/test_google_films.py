"""Films on Google's own paths: held by length, number and resolution, billed by the operation, fetched by the owner."""

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support import fake_videos as fake
from tests.support.fake_provider import FakeProvider
from tests.support.gateway import Gateway, MintedKey, until

BEGIN, RECORD, _ = fake.ROUTES["google"]
PROMPT = f"A pixel, {fake.KEPT_HERE}"
SECOND = 100_000
"""Micros of veo-3.1-fast at 720p."""


@pytest.fixture
def rich(gateway: Gateway) -> MintedKey:
    return gateway.mint(max_spend_usd=9)


def call(
    gateway: Gateway, key: MintedKey | None, method: str, path: str, body: Any = None, **headers: str
) -> httpx.Response:
    given = {"x-goog-api-key": key.secret} if key is not None else {}
    url = path if path.startswith("http") else gateway.origin + path
    return httpx.request(method, url, json=body, headers=given | headers, trust_env=False, timeout=20)


def asking(prompt: str = PROMPT, **parameters: object) -> dict[str, object]:
    return {"instances": [{"prompt": prompt}], "parameters": parameters}


def begun(gateway: Gateway, key: MintedKey, body: object, base: str = "/google") -> str:
    """The path of the operation of a film that was begun."""
    answer = call(gateway, key, "POST", base + BEGIN, body)
    assert answer.status_code == 200, answer.text
    return f"{base}/v1beta/{answer.json()['name']}"


def done(gateway: Gateway, key: MintedKey, operation: str) -> Any:
    return until(
        lambda: (got := call(gateway, key, "GET", operation).json()).get("done") and got, "the film is made"
    )


@pytest.mark.parametrize("base", ["/google", ""])
def test_a_film_is_held_for_billed_by_its_operation_and_fetched_through_the_gateway(
    gateway: Gateway, rich: MintedKey, google_provider: FakeProvider, base: str
) -> None:
    asked = asking(durationSeconds=6, sampleCount=2)
    operation = begun(gateway, rich, asked, base)
    sent = google_provider.last
    assert (sent.target, sent.json) == (BEGIN, asked)
    assert gateway.key(rich)["held_micros"] == 2 * 6 * SECOND
    made = done(gateway, rich, operation)
    assert f"{base}/v1beta/{made['name']}" == operation
    samples = made["response"]["generateVideoResponse"]["generatedSamples"]
    uris = [sample["video"]["uri"] for sample in samples]
    job = operation.rpartition("/")[2]
    here = f"{gateway.origin}{base}/v1beta/files/{job}:download?alt=media"
    assert uris == [here, f"{here}&sample=1"]
    for uri in uris:
        film = call(gateway, rich, "GET", uri)
        assert (film.status_code, film.content, film.headers["content-type"]) == (200, fake.FILM, "video/mp4")
    asked_for = [one.path for one in google_provider.calls if one.path.endswith(":download")]
    assert asked_for == [fake.LOCKED_PATH, fake.BEHIND_PATH] * 2
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["cost_micros"], event["video_seconds"], event["estimated"]) == (2 * 6 * SECOND, 12, False)
    assert (event["surface"], event["model"]) == ("videos", fake.MODELS["google"])
    assert gateway.key(rich)["held_micros"] == 0


def test_a_film_that_was_filtered_out_and_one_that_failed_are_free(
    gateway: Gateway, rich: MintedKey, google_provider: FakeProvider
) -> None:
    one_of_two = begun(gateway, rich, asking(f"{PROMPT}, {fake.FILTERED}", durationSeconds=4, sampleCount=2))
    made = done(gateway, rich, one_of_two)["response"]["generateVideoResponse"]
    assert (made["raiMediaFilteredCount"], len(made["generatedSamples"])) == (1, 1)
    none = begun(gateway, rich, asking(f"{PROMPT}, {fake.FILTERED}"))
    assert "generatedSamples" not in done(gateway, rich, none)["response"]["generateVideoResponse"]
    job = none.rpartition("/")[2]
    assert call(gateway, rich, "GET", f"/google/v1beta/files/{job}:download?alt=media").status_code == 404
    events = gateway.wait_settled(rich, 2)["events"]
    assert sorted(event["cost_micros"] for event in events) == [0, 4 * SECOND]


def test_a_film_nobody_asks_for_is_billed(
    gateway: Gateway, rich: MintedKey, google_provider: FakeProvider
) -> None:
    begun(gateway, rich, asking(resolution="4k"))
    assert gateway.key(rich)["held_micros"] == 8 * 300_000
    (event,) = gateway.wait_settled(rich, 1)["events"]
    assert (event["cost_micros"], event["estimated"]) == (8 * 300_000, False)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_an_operation_is_the_same_in_every_version(
    gateway: Gateway, rich: MintedKey, google_provider: FakeProvider, version: str
) -> None:
    operation = begun(gateway, rich, asking()).replace("v1beta", version)
    assert done(gateway, rich, operation)["done"] is True
    assert {one.path.split("/")[1] for one in google_provider.calls if "operations" in one.path} == {"v1beta"}


def test_another_key_sees_neither_the_operation_nor_the_film(
    gateway: Gateway, rich: MintedKey, google_provider: FakeProvider
) -> None:
    operation = begun(gateway, rich, asking())
    job = operation.rpartition("/")[2]
    done(gateway, rich, operation)
    other = gateway.mint(max_spend_usd=5)
    for path in (operation, f"/google/v1beta/files/{job}:download?alt=media", f"/v1/videos/{job}/content"):
        assert call(gateway, other, "GET", path).status_code == 404
        assert call(gateway, None, "GET", path).status_code == 401
    assert call(gateway, rich, "GET", f"/google/v1beta/files/{job}:download?sample=1").status_code == 404
    assert call(gateway, rich, "GET", f"/google/v1beta/files/{job}x:download").status_code == 404


def test_an_address_of_ours_is_what_the_owner_found_the_gateway_at(
    gateway: Gateway, rich: MintedKey, google_provider: FakeProvider
) -> None:
    operation = begun(gateway, rich, asking())
    done(gateway, rich, operation)
    seen = call(
        gateway, rich, "GET", operation, host="gateway.example", **{"x-forwarded-proto": "https"}
    ).json()
    (sample,) = seen["response"]["generateVideoResponse"]["generatedSamples"]
    where = urlsplit(sample["video"]["uri"])
    assert (where.scheme, where.netloc) == ("https", "gateway.example")


@pytest.mark.parametrize(
    "parameters",
    [
        {"sampleCount": "4"},
        {"sampleCount": 10**9},
        {"durationSeconds": -1},
        {"sampleCount": 1, "sample_count": 4},
    ],
)
def test_a_lie_about_the_length_is_refused_in_googles_shape(
    gateway: Gateway, rich: MintedKey, google_provider: FakeProvider, parameters: dict[str, object]
) -> None:
    answer = call(gateway, rich, "POST", f"/google{BEGIN}", asking(**parameters))
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert google_provider.calls == []


def test_what_the_account_holds_is_for_admins(
    gateway: Gateway, rich: MintedKey, google_provider: FakeProvider
) -> None:
    body = {"instances": [{"prompt": "x", "image": {"fileUri": "files/abc"}}]}
    answer = call(gateway, rich, "POST", f"/google{BEGIN}", body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert "`fileUri` names" in answer.json()["error"]["message"]
    assert google_provider.calls == []


def test_a_film_beyond_the_cap_is_refused_before_it_is_asked_for(
    gateway: Gateway, google_provider: FakeProvider
) -> None:
    poor = gateway.mint(max_spend_usd=1)
    answer = call(gateway, poor, "POST", f"/google{BEGIN}", asking(durationSeconds=6, sampleCount=2))
    assert (answer.status_code, answer.json()["error"]["status"]) == (402, "RESOURCE_EXHAUSTED")
    assert google_provider.calls == []
    assert gateway.key(poor)["held_micros"] == 0


def test_a_test_key_makes_simulated_films(gateway: Gateway, sim_key: MintedKey) -> None:
    operation = begun(gateway, sim_key, asking(durationSeconds=4, sampleCount=2))
    assert "error" not in call(gateway, sim_key, "GET", operation).json()
    assert gateway.key(sim_key)["held_micros"] == 2 * 4 * SECOND
    gateway.wait_settled(sim_key, 1)
