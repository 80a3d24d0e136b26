"""Revoked keys: how many calls succeed that were sent after the answer to the revocation. It must be none.

Each trial mints a key, lets clients call with it on every gateway, revokes it through one of them, and calls again
on all of them at once, on connections that stood before and on new ones. So every worker and process is asked.
"""

import asyncio
from itertools import count
from random import Random

from bench.prove.client import Connection, Seen, perform
from bench.prove.run import Runner
from bench.prove.scenario import Call, KeyPlan, Shape, draw
from bench.prove.scripts import Temper

SHAPE = Shape(clients=(10,), most_calls=1, temper=Temper(0, 0, (), 0), hang_up_pct=0, acts_pct=0)
CLIENTS, CALLS, LARGE_BYTES = 4, 24, 20_000


async def trial(runner: Runner, seed: str) -> tuple[int, int, list[str]]:
    """(successes after the answer, calls after it, findings) of one trial."""
    dice = Random(f"{seed} revocation")
    key = await runner.mint(KeyPlan(cap_micros=None), seed)
    calls = iter(_calls(seed))
    ports = runner.deployment.ports
    lines = [Connection(port) for port in ports for _ in range(CLIENTS // len(ports))]
    tags: list[str] = []

    async def call(line: Connection) -> Seen:
        one = next(calls)
        runner.provider.books.scripts[one.tag] = one.script
        tags.append(one.tag)
        return await perform(line, key.secret, one)

    before = await asyncio.gather(*(call(line) for line in lines))
    running = [asyncio.ensure_future(call(line)) for line in lines]
    await asyncio.sleep(dice.randrange(8) / 1000)
    status, _ = await runner.api("DELETE", f"/v1/keys/{key.id}", port=dice.choice(ports))
    fresh = [Connection(port) for port in ports for _ in range(2)]
    after = list(await asyncio.gather(*(call(line) for line in fresh)))
    await asyncio.gather(*running)
    after += await asyncio.gather(*(call(line) for line in lines))
    for line in (*lines, *fresh):
        line.close()
    runner.provider.books.forget(tags)
    findings: list[str] = []
    if status != 200 or any(seen.status != 200 for seen in before):
        findings.append(f"{seed}: the trial itself failed: {status}, {[seen.status for seen in before]}")
    late = [seen for seen in after if seen.status != 401 or seen.code != "revoked_key"]
    findings += [
        f"{seed}: a revoked key was answered {seen.status} {seen.code} {seen.broken}" for seen in late
    ]
    return sum(1 for seen in after if seen.status == 200), len(after), findings


def _calls(seed: str) -> list[Call]:
    """As many calls as a trial may need, none of them large."""
    found: list[Call] = []
    for part in count():
        if len(found) >= CALLS:
            return found
        found += [call for call in draw(f"{seed} r{part}", SHAPE).calls if len(call.body) < LARGE_BYTES]
    raise AssertionError
