"""Fifty calls at once for the last cents of a cap, over two gateways: the cap is never passed, at no sampled moment."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anthropic
import asyncpg
import pytest
from tests.support.fake_anthropic import MODEL, answer_to_the_limit
from tests.support.fake_provider import FakeProvider, Gate
from tests.support.gateway import Gateway, MintedKey, gateway_process, until

CALLS = 50
CAP_MICROS = 50_000
WANTED = 500
HELLO: Any = [{"role": "user", "content": "Hello"}]
OK = "200"
CONTENDED = "429 cap_contended, try again: 1"
SPENT = "402 key_cap_exceeded, try again: never"


@pytest.fixture
def replicas(
    database_url: str, gateway_folder: Path, anthropic_provider: FakeProvider
) -> Iterator[tuple[Gateway, Gateway]]:
    """Two processes on one database, which make a call wait for no longer than half a second."""
    bases, settings = {"anthropic": anthropic_provider.origin}, {"hold_wait_s": "0.5"}
    with (
        gateway_process(database_url, gateway_folder, providers=bases, settings=settings) as one,
        gateway_process(
            database_url, gateway_folder, providers=bases, settings=settings, master_key=one.master_key
        ) as other,
    ):
        yield one, other


async def call(client: anthropic.AsyncAnthropic) -> str:
    """How one call ends."""
    try:
        await client.messages.create(model=MODEL, max_tokens=WANTED, messages=HELLO)
    except anthropic.APIStatusError as error:
        body: Any = error.body
        wait_s = error.response.headers.get("retry-after", "never")
        return f"{error.status_code} {body['error']['code']}, try again: {wait_s}"
    return OK


def fifty(
    database_url: str, replicas: tuple[Gateway, Gateway], key: MintedKey, gate: Gate | None = None
) -> Counter[str]:
    """How many of fifty calls ended how. The gate is opened when every call that has no hold was refused."""

    async def main() -> list[str]:
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(
                    anthropic.AsyncAnthropic(base_url=one.origin, api_key=key.secret, max_retries=0)
                )
                for one in replicas
            ]
            calls = [asyncio.ensure_future(call(clients[number % 2])) for number in range(CALLS)]
            if gate is not None:
                await asyncio.to_thread(
                    until,
                    lambda: (
                        sum(one.done() for one in calls) + len(replicas[0].read("/v1/holds")["data"]) == CALLS
                    ),
                    "every call has ended or has a hold",
                )
                gate.open()
            return await asyncio.gather(*calls)

    with sampled(database_url, key) as samples:
        ends = asyncio.run(main())
    assert len(samples) > 10
    assert max(taken for _, taken in samples) <= CAP_MICROS
    assert [posted for posted, _ in samples] == sorted(posted for posted, _ in samples)
    return Counter(ends)


@contextmanager
def sampled(database_url: str, key: MintedKey) -> Iterator[list[tuple[int, int]]]:
    """The key's posted and taken money, at every moment it could be asked for while the block runs."""
    samples: list[tuple[int, int]] = []
    ended = threading.Event()

    async def sample() -> None:
        connection = await asyncpg.connect(database_url)
        try:
            while not ended.is_set():
                row = await connection.fetchrow(
                    "SELECT posted_micros, held_micros, lost_micros FROM keys WHERE id = $1", key.id
                )
                assert row is not None
                samples.append((row["posted_micros"], sum(row.values())))
        finally:
            await connection.close()

    sampler = threading.Thread(target=lambda: asyncio.run(sample()), daemon=True)
    sampler.start()
    try:
        yield samples
    finally:
        ended.set()
        sampler.join()


def assert_books_agree(gateway: Gateway, provider: FakeProvider, key: MintedKey, admitted: int) -> None:
    """The provider's bill, the events, the key's total and the doctor say the same."""
    bill = sum(64 + 20 * call.json["max_tokens"] for call in provider.calls)
    usage = gateway.wait_settled(key, admitted)
    assert len(provider.calls) == admitted
    assert sum(event["cost_micros"] for event in usage["events"]) == usage["total_cost_micros"] == bill
    assert bill <= CAP_MICROS
    gateway.doctor()


def test_what_is_tied_up_is_refused_for_now_and_what_is_spent_for_good(
    database_url: str, replicas: tuple[Gateway, Gateway], anthropic_provider: FakeProvider
) -> None:
    key = replicas[0].mint(max_spend_usd="0.05")
    gate = Gate()
    anthropic_provider.script(*[partial(answer_to_the_limit, gate=gate)] * CALLS)
    ends = fifty(database_url, replicas, key, gate)
    # Four whole calls fit, and one that was lowered to what is left: 50000 - 4 x 10064 is less than a fifth.
    assert ends == {OK: 5, CONTENDED: CALLS - 5}
    limits = sorted(call.json["max_tokens"] for call in anthropic_provider.calls)
    assert limits[1:] == [WANTED] * 4
    assert 256 <= limits[0] < WANTED
    assert fifty(database_url, replicas, key) == {SPENT: CALLS}
    anthropic_provider.scripted.clear()
    assert_books_agree(replicas[0], anthropic_provider, key, 5)


def test_a_rush_spends_what_fits_and_not_a_micro_more(
    database_url: str, replicas: tuple[Gateway, Gateway], anthropic_provider: FakeProvider
) -> None:
    key = replicas[1].mint(max_spend_usd="0.05")
    anthropic_provider.script(*[answer_to_the_limit] * CALLS)
    ends = fifty(database_url, replicas, key)
    anthropic_provider.scripted.clear()
    assert set(ends) <= {OK, CONTENDED, SPENT}
    assert ends[OK] >= 5
    assert_books_agree(replicas[1], anthropic_provider, key, ends[OK])
    # What is left is not enough for another call of 256 tokens, the least that a call is lowered to.
    assert replicas[0].key(key)["remaining_micros"] < 256 * 20 + 1000
