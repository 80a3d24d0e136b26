"""Performs one scenario against a deployment and collects what happened, for the audit."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

import asyncpg

from bench.prove.client import GONE, Connection, Seen, perform
from bench.prove.scenario import Act, KeyPlan, Scenario
from bench.prove.stage import Deployment
from bench.prove.upstream import Provider
from bench.prove.watch import LOST, Watch

REST_S = 25.0
POLL_S = 0.03
LASTING_S = 0.6
HELD = "SELECT count(*) FROM holds WHERE key_id = ANY ($1::uuid[]) AND state = 'held'"
FUND = """
WITH entry AS (
    INSERT INTO wallet_entries (id, account_id, mode, type, amount_micros, balance_after_micros, note, created_at)
    SELECT $2::text, account_id, mode, 'adjustment', $1::bigint, 0, NULL, 0 FROM wallets WHERE mode = 'live'
)
UPDATE wallets SET paid_in_micros = paid_in_micros + $1,
                   ceiling_micros = GREATEST(posted_micros + held_micros + lost_micros, paid_in_micros + $1)
 WHERE mode = 'live'
"""
OPEN_WALLET = """
INSERT INTO wallets (account_id, mode) SELECT account_id, 'live' FROM keys WHERE scope = 'admin' LIMIT 1
ON CONFLICT DO NOTHING
"""
WALLET = "SELECT paid_in_micros - posted_micros - held_micros - lost_micros FROM wallets WHERE mode = 'live'"


class CannotRun(Exception):
    """The deployment refused what the run needs (a key, a credit)."""


@dataclass(frozen=True, slots=True)
class Key:
    """A minted key."""

    id: UUID
    secret: str
    plan: KeyPlan


@dataclass(frozen=True, slots=True)
class Change:
    """The allowance of a key was moved between two instants, or the key revoked."""

    key: int
    kind: str
    sent_ms: int
    answered_ms: int
    status: int
    amount: int
    """The new `max_spend`, or the credit; the wallet has none."""


@dataclass(slots=True)
class Ran:
    """Everything that is known from outside about a finished run."""

    scenario: Scenario
    keys: Sequence[Key]
    seen: list[Seen] = field(default_factory=list[Seen])
    changes: list[Change] = field(default_factory=list[Change])
    stepped: bool = False
    """A clock was moved: instants of the database and of the harness do not compare."""
    disturbed: bool = False
    """A process was killed or the database was away."""
    killed: bool = False
    """A gateway process was killed: its holds may be lost."""
    told_to_stop: bool = False
    samples_above: int = 0
    """Keys and wallets found above their allowance."""
    findings: list[str] = field(default_factory=list[str])


class Runner:
    """Runs scenarios on one deployment."""

    def __init__(self, deployment: Deployment, provider: Provider, watch: Watch) -> None:
        self.deployment, self.provider, self.watch = deployment, provider, watch
        self._desks: list[Connection] = []
        self._minting = asyncio.Semaphore(4)

    async def api(
        self, method: str, path: str, body: Any = None, *, port: int | None = None
    ) -> tuple[int, Any]:
        """A management call with the master key."""
        desk = Connection(port or self.deployment.ports[0]) if port else self._desk()
        try:
            return await desk.request(method, path, self.deployment.make.master_key, body)
        finally:
            if port:
                desk.close()
            else:
                self._desks.append(desk)

    def close(self) -> None:
        """Hang up the management connections."""
        for desk in self._desks:
            desk.close()

    def _desk(self) -> Connection:
        return self._desks.pop() if self._desks else Connection(self.deployment.ports[0])

    async def mint(self, plan: KeyPlan, name: str) -> Key:
        """A key of this plan."""
        fields: dict[str, Any] = {"name": name, "on_cap": plan.on_cap, "on_disconnect": plan.on_disconnect}
        fields |= {
            "rpm_limit": plan.rpm_limit,
            "max_parallel": plan.max_parallel,
            "cap_period": plan.cap_period,
        }
        fields["max_spend_usd"] = None if plan.cap_micros is None else usd(plan.cap_micros)
        async with self._minting:
            status, made = await self.api("POST", "/v1/keys", fields)
        if status != 201:
            raise CannotRun(f"mint: {status} {made}")
        return Key(UUID(made["id"]), made["secret"], plan)

    async def prepare(self, scenario: Scenario) -> Ran:
        """Keys minted, scripts laid down, the wallet filled as planned."""
        keys = await asyncio.gather(
            *(self.mint(plan, f"{scenario.seed}#{number}") for number, plan in enumerate(scenario.keys))
        )
        for call in scenario.calls:
            self.provider.books.scripts[call.tag] = call.script
        if scenario.wallet_micros is not None:
            pool = self.deployment.pool
            await pool.execute(OPEN_WALLET)
            there = await pool.fetchval(WALLET)
            await pool.execute(FUND, scenario.wallet_micros - there, f"adj_{scenario.seed}_{time.time_ns()}")
        for key in keys:
            self.watch.add(key.id, key.plan.cap_micros)
        return Ran(scenario, keys)

    async def run(self, scenario: Scenario) -> Ran:
        """The whole run, up to rest."""
        ran = await self.prepare(scenario)
        dice = Random(scenario.seed)
        async with asyncio.TaskGroup() as group:
            for calls in scenario.clients:
                group.create_task(
                    self.client(ran, calls, dice.randrange(30), dice.choice(self.deployment.ports))
                )
            group.create_task(self.acts(ran))
        await self.rest(ran)
        return ran

    async def client(self, ran: Ran, calls: Sequence[Any], wait_ms: int, port: int) -> None:
        """One client: its calls one after the other on one connection."""
        await asyncio.sleep(wait_ms / 1000)
        connection = Connection(port)
        for call in calls:
            ran.seen.append(await perform(connection, ran.keys[call.key].secret, call))
        connection.close()

    async def acts(self, ran: Ran) -> None:
        """What happens to keys and clocks in mid-flight."""
        begun = time.monotonic()
        ports = self.deployment.ports
        for number, act in enumerate(ran.scenario.acts):
            await asyncio.sleep(max(0.0, act.after_ms / 1000 - (time.monotonic() - begun)))
            if act.kind == "clock":
                dial = self.deployment.make.dial
                if dial is not None:
                    dial.offset_ms += act.amount
                    ran.stepped = True
                continue
            await self._act(ran, act, ports[number % len(ports)])

    async def _act(self, ran: Ran, act: Act, port: int) -> None:
        key = ran.keys[act.key]
        path = f"/v1/keys/{key.id}"
        asked: tuple[str, str, Any]
        match act.kind:
            case "cap":
                asked = ("PATCH", path, {"max_spend_usd": usd(act.amount)})
            case "credit":
                asked = ("POST", f"{path}/credit", {"amount_usd": usd(act.amount)})
            case _:
                asked = ("DELETE", path, None)
        granted = sum(change.amount for change in ran.changes if change.key == act.key) + (
            key.plan.cap_micros or 0
        )
        self.watch.touch(key.id, granted + act.amount)
        sent_ms = time.time_ns() // 1_000_000
        try:
            status, _ = await self.api(*asked, port=port)
        except (*GONE, OSError, ValueError):
            status = 0
        answered_ms = time.time_ns() // 1_000_000
        self.watch.touch(key.id, 0)
        ran.changes.append(Change(act.key, act.kind, sent_ms, answered_ms, status, act.amount))

    async def rest(self, ran: Ran) -> None:
        """Wait until the provider is through and nothing is held; what stays held is a finding."""
        tags = {call.tag for call in ran.scenario.calls}
        ids = [key.id for key in ran.keys]
        deadline = time.monotonic() + REST_S
        # A request whose caller left may still wait for its hold: rest must last.
        lasting_s = LASTING_S if any(seen.left or seen.broken for seen in ran.seen) else 0.0
        quiet_since = time.monotonic()
        while True:
            busy = self.provider.busy(tags)
            try:
                held = await self.deployment.pool.fetchval(HELD, ids)
            except LOST:
                held = -1
            if busy or held:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= lasting_s:
                break
            if time.monotonic() > deadline:
                ran.findings.append(f"at rest {held} holds are held, the provider answers {busy} calls")
                break
            await asyncio.sleep(POLL_S)
        try:
            await self.watch.look()
        except LOST as fault:
            ran.findings.append(f"the database does not answer at rest: {fault}")
        if self.watch.any_lost(ids) and not ran.disturbed:
            ran.findings.append("a hold was taken for lost although every process lived")
        above = self.watch.drop(ids) + self.watch.wallet_findings
        ran.samples_above += len(above)
        ran.findings += above
        self.watch.wallet_findings.clear()


def usd(micros: int) -> str:
    """Dollars as the API takes them, exact."""
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"


async def rows(pool: asyncpg.Pool, ids: Sequence[UUID]) -> tuple[list[Any], list[Any], list[Any]]:
    """Events, holds and keys of these keys."""
    events = await pool.fetch("SELECT * FROM usage_events WHERE key_id = ANY ($1::uuid[])", ids)
    holds = await pool.fetch("SELECT * FROM holds WHERE key_id = ANY ($1::uuid[])", ids)
    keys = await pool.fetch("SELECT * FROM keys WHERE id = ANY ($1::uuid[])", ids)
    return events, holds, keys
