"""Jobs and the death of whoever began them: the bill comes right without anybody asking, once, also by many."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.fake_openai import serve_openai
from tests.support.fake_provider import Answer, Call, FakeProvider, Gate, answer_json
from tests.support.gateway import Gateway, MintedKey, gateway_process, until

SECONDS, MICROS_A_SECOND = 8, 100_000
ASKED = {"model": "sora-2", "prompt": "A pixel", "seconds": str(SECONDS), "size": "1280x720"}
COST = SECONDS * MICROS_A_SECOND
SOON_LOST = {"hold_lost_after_s": "1", "hold_renew_s": "0.3"}


class Records:
    """What the provider says of its jobs, from the test's hand."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.status = "in_progress"
        self.looks = 0

    def respond(self, call: Call) -> Answer:
        if call.method == "POST":
            self.begun.append(f"video_{len(self.begun)}")
            return answer_json(self.record(self.begun[-1], "queued"))
        self.looks += 1
        return answer_json(self.record(call.target.rpartition("/")[2], self.status))

    def record(self, job: str, status: str) -> dict[str, Any]:
        return {
            "id": job,
            "object": "video",
            "model": "sora-2",
            "status": status,
            "size": "1280x720",
            "seconds": "8",
        }


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def provider(records: Records) -> Iterator[FakeProvider]:
    with serve_openai(records.respond) as running:
        yield running


def begin(gateway: Gateway, key: MintedKey) -> str:
    """The id of a request that began a video."""
    answer = httpx.post(
        f"{gateway.origin}/v1/videos",
        json=ASKED,
        headers={"authorization": f"Bearer {key.secret}"},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return answer.headers["request-id"]


def test_a_killed_gateway_forgets_no_job_and_the_bill_comes_without_anybody_asking(
    database_url: str, tmp_path: Path, records: Records, provider: FakeProvider
) -> None:
    bases = {"openai": f"{provider.origin}/v1"}
    with gateway_process(database_url, tmp_path, providers=bases, settings=SOON_LOST) as gateway:
        key = gateway.mint(max_spend_usd=1)
        request_id = begin(gateway, key)
        assert gateway.key(key)["held_micros"] == COST
        gateway.kill()
    with gateway_process(
        database_url, tmp_path, providers=bases, settings=SOON_LOST, master_key=gateway.master_key
    ) as again:
        seen = records.looks
        until(lambda: records.looks > seen, "the next gateway looks")
        assert again.request(request_id).status_code == 202
        assert again.read("/v1/holds?state=lost")["data"] == [], "its hold is the job's, not a dead process's"
        assert again.key(key)["held_micros"] == COST
        records.status = "completed"
        event = again.event(request_id)
        assert (event["cost_micros"], event["video_seconds"], event["estimated"]) == (COST, SECONDS, False)
        row = again.key(key)
        assert (row["spent_micros"], row["held_micros"], row["remaining_micros"]) == (
            COST,
            0,
            1_000_000 - COST,
        )
        again.doctor()


def test_a_job_that_failed_while_no_gateway_ran_costs_nothing(
    database_url: str, tmp_path: Path, records: Records, provider: FakeProvider
) -> None:
    bases = {"openai": f"{provider.origin}/v1"}
    with gateway_process(database_url, tmp_path, providers=bases) as gateway:
        key = gateway.mint(max_spend_usd=1)
        request_id = begin(gateway, key)
        gateway.kill()
    records.status = "failed"
    with gateway_process(database_url, tmp_path, providers=bases, master_key=gateway.master_key) as again:
        event = again.event(request_id)
        assert (event["cost_micros"], event["status"], again.key(key)["held_micros"]) == (0, 502, 0)
        again.doctor()


def test_a_gateway_killed_before_it_could_write_the_job_down_leaves_a_lost_hold(
    database_url: str, tmp_path: Path, records: Records, provider: FakeProvider
) -> None:
    bases = {"openai": f"{provider.origin}/v1"}
    provider.script(answer_json(records.record("video_x", "queued"), gate=Gate()))
    with gateway_process(database_url, tmp_path, providers=bases, settings=SOON_LOST) as gateway:
        key = gateway.mint(max_spend_usd=1)
        with httpx.Client(trust_env=False, timeout=0.5) as client, pytest.raises(httpx.TimeoutException):
            client.post(f"{gateway.origin}/v1/videos", json=ASKED, headers={"x-api-key": key.secret})
        gateway.kill()
    with gateway_process(
        database_url, tmp_path, providers=bases, settings=SOON_LOST, master_key=gateway.master_key
    ) as again:
        (lost,) = until(lambda: again.read("/v1/holds?state=lost")["data"], "the hold is lost")
        assert lost["amount_micros"] == COST
        again.doctor()


def test_several_workers_follow_the_same_jobs_and_bill_each_once(
    database_url: str, tmp_path: Path, records: Records, provider: FakeProvider
) -> None:
    bases = {"openai": f"{provider.origin}/v1"}
    with gateway_process(database_url, tmp_path, providers=bases, workers=2) as gateway:
        key = gateway.mint(max_spend_usd=10)
        requests = [begin(gateway, key) for _ in range(10)]
        assert gateway.key(key)["held_micros"] == 10 * COST
        records.status = "completed"
        usage = gateway.wait_settled(key, 10)
        assert sorted(event["id"] for event in usage["events"]) == sorted(requests)
        assert usage["total_cost_micros"] == 10 * COST
        gateway.doctor()
