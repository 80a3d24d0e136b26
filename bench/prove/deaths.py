"""Runs in which something dies: a worker, a gateway, PostgreSQL, its connections; or a gateway is told to stop.

After each, the lost holds are resolved with the provider's bill, as an operator would from his invoice, and then the
ledger must equal the books with nothing left over.
"""

import asyncio
import time
from contextlib import suppress
from random import Random
from typing import Any

import asyncpg

from bench.prove.books import Books
from bench.prove.client import GONE
from bench.prove.prices import exact_picos, micros
from bench.prove.run import CannotRun, Ran, Runner, rows
from bench.prove.scenario import Scenario, Shape
from bench.prove.scripts import Temper
from bench.prove.stage import Database, Gateway
from bench.prove.watch import LOST

KINDS = ("worker", "gateway", "stop", "postgres", "restart", "backends", "crowd")
SHAPE = Shape(
    clients=(10, 10, 50),
    most_calls=4,
    temper=Temper(fault_pct=5, quirk_pct=10, slow_pct=90),
    acts_pct=0,
    hang_up_pct=10,
    tightness=(60, 150, 1000),
)
CALM_SHAPE = Shape(
    clients=(20,),
    most_calls=4,
    temper=Temper(0, 0, (), 100),
    acts_pct=0,
    hang_up_pct=0,
    tightness=(1000,),
)
SETTINGS = {"HOLD_LOST_AFTER_S": "2", "STORE_TIMEOUT_S": "3"}
DATABASE_SETTINGS = {"max_connections": "48"}
WORKERS = (2, 1)
"""One gateway with two workers, and one that serves itself: to kill that one is to kill it whole."""
CUT_BACKENDS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'qlaud' AND datname = $1"
)


class DeathRunner:
    """Runs scenarios on a deployment of its own, and kills."""

    def __init__(self, runner: Runner, database: Database) -> None:
        self._runner, self._database = runner, database

    async def run(self, scenario: Scenario, kind: str) -> Ran:
        """The run with one death in its middle, up to rest, everything alive again."""
        ran = await self._runner.prepare(scenario)
        ran.disturbed = True
        dice = Random(f"{scenario.seed} death")
        async with asyncio.TaskGroup() as group:
            for calls in scenario.clients:
                port = dice.choice(self._runner.deployment.ports)
                group.create_task(self._runner.client(ran, calls, dice.randrange(300), port))
            group.create_task(self._die(ran, kind, dice))
        await self._runner.rest(ran)
        return ran

    async def _die(self, ran: Ran, kind: str, dice: Random) -> None:
        await asyncio.sleep(dice.randint(100, 1_200) / 1000)
        gateways = self._runner.deployment.gateways
        down_s = dice.choice((0.0, 0.3, 1.5))
        match kind:
            case "worker":
                ran.killed = True
                gateways[0].kill_worker(dice.randrange(2))
                await self._until_workers(gateways[0])
            case "gateway":
                ran.killed = True
                gateways[1].kill()
                await asyncio.sleep(down_s)
                await asyncio.to_thread(gateways[1].start)
            case "stop":
                ran.told_to_stop = True
                await asyncio.to_thread(gateways[1].stop)
                await asyncio.to_thread(gateways[1].start)
            case "postgres" | "restart":
                self._database.kill() if kind == "postgres" else self._database.shut_down()
                await asyncio.sleep(down_s)
                await asyncio.to_thread(self._database.bring_back)
            case "backends":
                await self._cut_backends()
            case _:
                await self._crowd(down_s)

    async def _until_workers(self, gateway: Gateway) -> None:
        deadline = time.monotonic() + 30
        while len(gateway.workers()) < WORKERS[0] and time.monotonic() < deadline:  # noqa: ASYNC110, polls /proc
            await asyncio.sleep(0.05)

    async def _cut_backends(self) -> None:
        with suppress(*LOST):
            pool = self._runner.deployment.pool
            await pool.execute(CUT_BACKENDS, await pool.fetchval("SELECT current_database()"))

    async def _crowd(self, down_s: float) -> None:
        """Take every connection the server has left, cut those of the gateways, and keep them out for a while."""
        taken: list[asyncpg.Connection] = []
        dsn = self._runner.deployment.make.dsn
        try:
            for cut in (False, True):
                if cut:
                    await self._cut_backends()
                with suppress(*LOST):
                    while len(taken) < 200:
                        taken.append(await asyncpg.connect(dsn, timeout=5))
            await asyncio.sleep(max(0.5, down_s))
        finally:
            for connection in taken:
                connection.terminate()

    async def resolve(self, ran: Ran, books: Books) -> list[str]:
        """Resolve the lost holds with what the provider bills; what does not add up then."""
        pool = self._runner.deployment.pool
        ids = [key.id for key in ran.keys]
        _, holds, _ = await rows(pool, ids)
        calls = {call.tag: call for call in ran.scenario.calls}
        found: list[str] = []
        for hold in holds:
            call = calls.get(hold["end_user_id"])
            entries = books.entries.get(hold["end_user_id"], [])
            picos = sum(exact_picos(call.model, entry.used) for entry in entries) if call else 0
            cost = min(micros(picos, ran.scenario.markup_bp), hold["amount_micros"])
            try:
                status, answer = await self._post(f"/v1/holds/{hold['id']}/resolve", {"cost_micros": cost})
            except (*GONE, OSError, CannotRun) as fault:
                status, answer = 0, str(fault)
            if status != 200 or answer["cost_micros"] != cost:
                found.append(f"a lost hold could not be resolved: {status} {answer}")
        _, left, keys = await rows(pool, ids)
        if left or any(key["lost_micros"] or key["held_micros"] for key in keys):
            found.append(f"{len(left)} holds are left after all lost ones were resolved")
        return found

    async def _post(self, path: str, body: Any) -> tuple[int, Any]:
        return await self._runner.api("POST", path, body, port=self._runner.deployment.ports[0])
