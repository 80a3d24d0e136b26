"""Every order in which the things that can happen to a call can happen, not a sample of them.

A call is played from its hold on the stage of `tests/support/pump_stage.py`. After each event the walk asks which
events are possible now and plays each of them in a call of its own, up to `DEPTH` events. Each event comes either
when everybody waits, or at once after the one before, before the pump had a turn: that is where a cancellation meets
a result. Every walk is then brought to its end (the provider ends, the caller reads, the ledger commits), and
whatever came before, there must be exactly one settlement, or a hold given back because nothing had left; nothing
written to a caller who left; every answer of the provider closed; no estimate above the hold. After a crash there
may be no settlement, and never two.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from tests.support.pump_stage import (
    DELTA,
    ENDS,
    EXACT_MICROS,
    HEAD,
    HOLD_MICROS,
    START,
    STOP,
    TERMS,
    WHOLE,
    WHOLE_HEAD,
    Head,
    Move,
    Stage,
)

from qlaud.core.errors import Internal
from qlaud.ports import UpstreamBroken, UpstreamUnreachable

DEPTH = 5
LOUD = 2
"""In the first events of a call, an event may also come at once after the one before."""
CALLS_PLAYED_AT_LEAST = 16_000
"""Of each scene; in 2026-11 there were 16195, 17740, 16921, 16320 and 16320."""


@dataclass(frozen=True)
class Scene:
    """A kind of call: what the provider says, and what its key says about callers who leave."""

    head: Head
    parts: tuple[bytes, ...]
    stream: bool = True
    on_disconnect: str = "drain"
    overruns: bool = False


SCENES = {
    "a stream that is drained": Scene(HEAD, (START + DELTA[:50], DELTA[50:] + STOP)),
    "a stream that is cancelled": Scene(HEAD, (START + DELTA, STOP), on_disconnect="cancel"),
    "a stream that runs past its hold": Scene(HEAD, (START + DELTA * 1_100, STOP), overruns=True),
    "a whole answer": Scene(WHOLE_HEAD, (WHOLE,), stream=False),
    "a refusal": Scene(Head(429, b"application/json"), (b'{"error":{"message":"slow down"}}',)),
}


class Played:
    """One call under way."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.stage = Stage(stream=scene.stream, on_disconnect=scene.on_disconnect)  # type: ignore[arg-type]
        self.stage.ledger.commits.clear()
        self.told = 0
        """Moves of the provider so far; its head is the first."""
        self.provider_over = False
        self.once: set[str] = set()

    def provider(self, move: Move, *, over: bool = False) -> None:
        self.stage.upstream.script.put(move)
        self.told += 1
        self.provider_over |= over

    def leave(self) -> None:
        self.stage.relay.left = True
        self.stage.pump.client_left()

    def pass_time(self, ms: float) -> None:
        self.stage.clock.at_ms += int(ms) + 1
        self.stage.pump.tick()

    def refuse(self) -> None:
        self.stage.ledger.refusal = Internal()
        self.stage.ledger.commits.set()

    def crash(self) -> None:
        assert self.stage.task is not None
        self.stage.task.cancel()

    def possible(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """The events that can come now, each with what it does."""
        stage, scene, told = self.stage, self.scene, self.told
        assert stage.task is not None
        if "the gateway crashes" in self.once:
            return
        if not self.provider_over:
            if told == 0:
                yield "the provider answers", lambda: self.provider(scene.head)
                yield (
                    "the provider is not reached",
                    lambda: self.provider(UpstreamUnreachable("no"), over=True),
                )
            elif told <= len(scene.parts):
                yield "a part comes", lambda: self.provider(scene.parts[told - 1])
            else:
                yield "the answer ends", lambda: self.provider(ENDS, over=True)
            yield "the provider dies", lambda: self.provider(UpstreamBroken("reset"), over=True)
        if stage.task.done():
            return
        if not stage.relay.left:
            yield "the caller leaves", self.leave
            yield "the caller stops reading", stage.relay.reads.clear
        if not stage.relay.reads.is_set():
            yield "the caller has not read for too long", lambda: self.pass_time(TERMS.client_stall_ms)
            yield "the caller reads on", stage.relay.reads.set
        if stage.relay.left:
            yield "the drain takes too long", lambda: self.pass_time(TERMS.drain_max_ms)
        yield "shutdown", stage.pump.shut_down
        if stage.ledger.pending:
            yield "the settlement is late", lambda: self.pass_time(TERMS.settle_patience_ms)
            yield "the settlement commits", stage.ledger.commits.set
            yield "the settlement is refused", self.refuse
        yield "the gateway crashes", self.crash

    async def play(self, path: tuple[str, ...]) -> list[str]:
        """Play these events; what is possible after them. An event that begins with `!` comes at once."""
        stage = self.stage
        name, blocked = "", False
        stage.start(await stage.calls.admit(stage.prepared.ask, since_ticks_ms=0))
        for step in path:
            if step[0] != "!":
                await stage.rest()
            name = step.removeprefix("!")
            blocked = stage.relay.writing > 0
            dict(self.possible())[name]()
            self.once.add(name)
        at_once = [
            f"!{name}" for name, _ in self.possible() if name not in self.once or name == "a part comes"
        ]
        await stage.rest()
        self.judge_now(name, blocked=blocked)
        now = [name for name, _ in self.possible() if name not in self.once or name == "a part comes"]
        return now + (at_once if len(path) < LOUD else [])

    def judge_now(self, last: str, *, blocked: bool) -> None:
        """What must have happened by now, because of the last event. `blocked`: it came upon a write that waits."""
        stage = self.stage
        assert stage.task is not None
        assert not (stage.task.done() and stage.relay.writing), (
            "the pump has ended, and with it the stall limit"
        )
        cuts = {"shutdown", "the drain takes too long"}
        if (
            self.scene.on_disconnect == "cancel" and not stage.relay.aborted
        ):  # given up before: cut at the next tick
            cuts.add("the caller leaves")
        if last in cuts:
            assert stage.ledger.settlements or stage.ledger.voided, "cut, and nothing came of it"
        if last == "the caller has not read for too long" and blocked and not stage.relay.left:
            assert stage.relay.aborted, "a caller who does not read is kept"
        if last == "the settlement is late" and "the answer ends" in self.once and not self.scene.stream:
            late = stage.relay.status or stage.relay.left or "shutdown" in self.once
            assert late or self.scene.head.status != 200, "the answer waits for its books"

    async def end(self) -> None:
        """Everybody does what is left to do."""
        stage = self.stage
        stage.relay.reads.set()
        stage.ledger.commits.set()
        if not self.provider_over:
            stage.upstream.script.put(*(self.scene.head, *self.scene.parts, ENDS)[self.told :])
        await stage.rest()
        await stage.rest()

    def judge(self) -> str:
        """How the call ended. Raises AssertionError where it must not end so."""
        stage = self.stage
        assert stage.task is not None
        assert stage.task.done(), "the pump waits for ever"
        assert stage.relay.written_after_leaving == 0, "written to a caller who had left"
        assert all(response.closed for response in stage.upstream.responses), "an answer was left open"
        ends = len(stage.ledger.settlements) + len(stage.ledger.voided)
        assert ends <= 1, "settled twice"
        if "the gateway crashes" in self.once and ends == 0:
            return "crashed"  # and with the process its renewals
        assert stage.calls.in_flight() == 0, "a hold is renewed that nobody owns"
        assert stage.task.cancelled() or stage.task.exception() is None
        assert ends == 1, "never settled"
        if stage.ledger.voided:
            assert not stage.upstream.requests, "given back, though the call had left"
            return "given back"
        return self._judge_bill()

    def _judge_bill(self) -> str:
        stage = self.stage
        settlement = stage.ledger.only_settlement()
        assert settlement.cost_micros <= HOLD_MICROS
        whole = "the answer ends" in self.once and not self.scene.overruns
        if whole and not self.once & {"shutdown", "the drain takes too long", "the caller leaves"}:
            if self.scene.head.status == 200:
                assert settlement.cost_micros == EXACT_MICROS
            assert not settlement.estimated
        told = stage.relay.ended or stage.relay.aborted or stage.relay.left
        assert told or "the gateway crashes" in self.once, "a caller who is still there was told nothing"
        if stage.relay.ended and stage.relay.error is None and self.scene.stream and not stage.relay.left:
            assert stage.relay.body.endswith((STOP, b"}\n\n", self.scene.parts[-1])), (
                "an end that only looks like one"
            )
        return "estimated" if settlement.estimated else "exact"


@pytest.mark.parametrize("scene", SCENES)
def test_a_call_ends_in_one_settlement_whatever_happens_in_whatever_order(scene: str) -> None:
    async def walk(path: tuple[str, ...]) -> None:
        played = Played(SCENES[scene])
        try:
            nexts = await played.play(path)
            await played.end()
            ends[played.judge()] += 1
        except AssertionError as flaw:
            flaw.add_note("after: " + ", then ".join(path))
            raise
        if len(path) < DEPTH:
            for name in nexts:
                await walk((*path, name))

    ends: Counter[str] = Counter()
    asyncio.run(walk(()))
    played = sum(ends.values())
    assert played > CALLS_PLAYED_AT_LEAST, f"only {played} calls were played: events have become impossible"
    assert ends.keys() >= {"estimated", "given back", "crashed"}, ends
