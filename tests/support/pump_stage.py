"""A pump on a stage: a scripted provider, caller and ledger around the real pump, with a clock that stands still.

Every party waits until the test moves it, so a test can put the events of a call in any order:

    stage = Stage(stream=True)
    await stage.begin()
    await stage.answers(HEAD, START)      # the provider
    await stage.leaves()                  # the caller
    await stage.answers(END)
    assert stage.ledger.only_settlement().estimated is False
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from tests.support.ledger_desk import FrozenClock

from qlaud.core.catalog import Host, Model
from qlaud.core.demand import Worst
from qlaud.core.errors import QlaudError
from qlaud.core.ids import AccountId, KeyId, RequestId
from qlaud.core.keys import OnDisconnect
from qlaud.core.ledger import Admission, CallFacts, Charged, Hold, HoldAsk, Settlement
from qlaud.core.money import Micros
from qlaud.core.paths import PathPattern
from qlaud.core.pricing import STANDARD, RateCard
from qlaud.core.providers import Provider, Secret
from qlaud.core.providers import Wire as ProviderWire
from qlaud.core.rates import Band, Rate
from qlaud.flows.calls import Incoming, Prepared, Route
from qlaud.flows.metered import Metered
from qlaud.flows.pump import Pump, PumpTerms
from qlaud.ports import Headers, UpstreamFault, UpstreamRequest
from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.types import Asked

CARD = RateCard(
    provider="anthropic",
    model="m-1",
    version="7",
    lines={STANDARD: (Band.of(0, {"input_tokens": Rate(1_000_000), "output_tokens": Rate(5_000_000)}),)},
)
"""1 micro a token in, 5 out."""
HOST = Host("anthropic", "m-1", ("messages",), (CARD,))
MODEL = Model("m-1", (HOST,), context_window=200_000, max_output=8_000)
INPUT_BOUND, MAX_OUTPUT = 300, 1_000
HOLD_MICROS = INPUT_BOUND + 5 * MAX_OUTPUT
TERMS = PumpTerms(
    markup_bp=0,
    buffer_bytes=4_096,
    drain_max_ms=900_000,
    client_stall_ms=120_000,
    settle_patience_ms=2_000,
    drain_by_default=True,
)
TURNS = 12
"""Turns of the loop after which nothing is left to do without a further event."""


@dataclass(frozen=True)
class Head:
    """The provider's answer begins."""

    status: int = 200
    content_type: bytes = b"text/event-stream"
    more: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True)
class Ends:
    """The provider's answer ends."""


Move = Head | bytes | UpstreamFault | Exception | Ends

HEAD, ENDS = Head(), Ends()
WHOLE_HEAD = Head(content_type=b"application/json")


def event(name: str, fields: str) -> bytes:
    """One event of an Anthropic stream."""
    return b'event: %s\ndata: {"type":"%s"%s}\n\n' % (name.encode(), name.encode(), fields.encode())


START = event(
    "message_start", ',"message":{"id":"msg_1","usage":{"input_tokens":100,"output_tokens":1}}'
) + event("content_block_start", ',"index":0,"content_block":{"type":"text","text":""}')
DELTA = event("content_block_delta", ',"index":0,"delta":{"type":"text_delta","text":"hello"}')
STOP = event("content_block_stop", ',"index":0') + (
    event("message_delta", ',"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":40}')
    + event("message_stop", "")
)
EXACT_MICROS = 100 + 5 * 40
WHOLE = b'{"type":"message","content":[{"type":"text","text":"hello"}],"usage":{"input_tokens":100,"output_tokens":40}}'


class Script:
    """What one party does next; whoever needs it waits for it."""

    def __init__(self) -> None:
        self._moves: asyncio.Queue[Move] = asyncio.Queue()
        self.awaited = False

    def put(self, *moves: Move) -> None:
        """Add what comes next."""
        for move in moves:
            self._moves.put_nowait(move)

    async def next(self) -> Move:
        """The next move. Raises it if it is an exception."""
        self.awaited = True
        try:
            move = await self._moves.get()
        finally:
            self.awaited = False
        if isinstance(move, Exception):
            raise move
        return move


class ScriptedResponse:
    """An answer under way."""

    def __init__(self, head: Head, script: Script) -> None:
        self.status = head.status
        self.headers: Headers = [
            (b"content-type", head.content_type),
            (b"request-id", b"req_theirs"),
            *head.more,
        ]
        self._script = script
        self.ended = self.closed = False

    async def read(self) -> bytes:
        move = await self._script.next()
        if isinstance(move, Ends):
            self.ended = True
            return b""
        assert isinstance(move, bytes)
        return move

    def close(self) -> None:
        self.closed = True


class ScriptedUpstream:
    """A provider."""

    def __init__(self) -> None:
        self.script = Script()
        self.requests: list[UpstreamRequest] = []
        self.responses: list[ScriptedResponse] = []

    async def send(self, request: UpstreamRequest) -> ScriptedResponse:
        self.requests.append(request)
        head = await self.script.next()
        assert isinstance(head, Head)
        self.responses.append(ScriptedResponse(head, self.script))
        return self.responses[-1]

    async def aclose(self) -> None:
        return None


class ScriptedRelay:
    """A caller. While `reads` is clear, whatever is written to it waits."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.reads.set()
        self.status: int | None = None
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.ended = self.aborted = False
        self.error: QlaudError | None = None
        self.left = False
        self.written_after_leaving = 0
        self.writing = 0
        self.fault: Exception | None = None

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        self._head(status, headers)
        self.body += body
        self._end()
        await self._take()

    async def start(self, status: int, headers: Headers) -> None:
        self._head(status, headers)
        await self._take()

    async def write(self, chunk: bytes) -> None:
        assert self.status is not None
        assert not self.ended
        self.body += chunk
        await self._take()

    async def end(self) -> None:
        self._end()
        await self._take()

    async def fail(self, error: QlaudError) -> None:
        self.error = error
        await self.answer(error.status, [], b"")

    def abort(self) -> None:
        self.aborted = True

    def _head(self, status: int, headers: Headers) -> None:
        assert self.status is None, "one head"
        self.status, self.headers = status, dict(headers)

    def _end(self) -> None:
        assert not self.ended, "one end"
        self.ended = True

    async def _take(self) -> None:
        self.written_after_leaving += self.left
        if self.fault is not None:
            raise self.fault
        self.writing += 1
        try:
            await self.reads.wait()
        finally:
            self.writing -= 1


@dataclass
class ScriptedLedger:
    """A ledger that writes down what it is told. While `commits` is clear, settlements wait."""

    admissions: list[Admission] = field(default_factory=list)
    asked: list[tuple[HoldAsk, bool]] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    voided: list[UUID] = field(default_factory=list)
    renewed: list[UUID] = field(default_factory=list)
    extensions: list[int] = field(default_factory=list)
    grows: bool = False
    commits: asyncio.Event = field(default_factory=asyncio.Event)
    pending: int = 0
    refusal: QlaudError | None = None

    async def hold(self, ask: HoldAsk, *, has_waited: bool) -> Admission:
        self.asked.append((ask, has_waited))
        return self.admissions.pop(0)

    async def settle(self, settlement: Settlement) -> Charged:
        self.settlements.append(settlement)
        self.pending += 1
        try:
            await self.commits.wait()
        finally:
            self.pending -= 1
        if self.refusal is not None:
            raise self.refusal
        return Charged(settlement.cost_micros, Micros(0))

    async def extend(self, hold: Hold, *, add_micros: Micros, add_output: int) -> bool:
        self.extensions.append(add_micros)
        return self.grows

    async def void(self, hold: Hold) -> None:
        self.voided.append(hold.id)

    async def renew(self, ids: Sequence[RequestId]) -> None:
        self.renewed.extend(ids)

    async def sweep_lost(self, *, lost_after_ms: int, limit: int) -> list[tuple[UUID, Micros]]:
        return []

    async def void_orphans(self) -> int:
        return 0

    def only_settlement(self) -> Settlement:
        """The one settlement there must be."""
        assert len(self.settlements) == 1, self.settlements
        return self.settlements[0]


@dataclass
class CountedMeters:
    """What was reported."""

    overheads_s: list[float] = field(default_factory=list)
    ends: list[tuple[bool, bool, bool]] = field(default_factory=list)

    def overhead(self, seconds: float) -> None:
        self.overheads_s.append(seconds)

    def settled(self, *, estimated: bool, clamped: bool, unpriced: bool) -> None:
        self.ends.append((estimated, clamped, unpriced))


def provider(slug: str = "anthropic", **more: object) -> Provider:
    """A provider that speaks Messages."""
    facts: dict[str, object] = {
        "slug": slug,
        "display_name": slug.title(),
        "origin": "https://api.example",
        "base_path": "/v1",
        "wires": {
            "messages": ProviderWire("messages", (PathPattern("/messages"),), limit_field="max_tokens")
        },
        "auth_header": "x-api-key",
        "key_variable": "THEIR_KEY",
        "api_keys": (Secret("sk-operator"),),
        **more,
    }
    return Provider(**facts)  # type: ignore[arg-type]


def prepared(
    upstreams: Sequence[ScriptedUpstream],
    *,
    stream: bool = True,
    limit: int | None = MAX_OUTPUT,
    headers: Headers = (),
    query: bytes = b"",
) -> Prepared:
    """A call that may go to one provider for each of `upstreams`."""
    wire = AnthropicWire()
    limit_text = "" if limit is None else f'"max_tokens":{limit},'
    body = f'{{"model":"m-1",{limit_text}"stream":{str(stream).lower()},"messages":[]}}'.encode()
    asked = Asked(body=body, query=query)
    incoming = Incoming(
        RequestId(UUID(int=1)), "qlk_live_" + "0" * 64, wire, "messages", "messages", headers, asked
    )
    slugs = ("anthropic", "second", "third")
    routes = tuple(
        Route(HOST, provider(slug), upstream, CARD) for slug, upstream in zip(slugs, upstreams, strict=False)
    )
    worst = Worst(INPUT_BOUND * 1_000_000, 5_000_000, 0)
    want = limit or MODEL.max_output
    ask = HoldAsk(
        id=incoming.id, secret_sha256=b"s" * 32, facts=CallFacts("m-1", "anthropic", "messages", "7"),
        is_priced=True, unbounded_tool=None, want_output=want, want_micros=worst.micros(want),
        floor_micros=worst.micros(256), base_picos=worst.base_picos, slope_picos=worst.slope_picos,
        no_limit=limit is None,
    )  # fmt: skip
    return Prepared(incoming, wire.read_call(asked), MODEL, routes, ask, worst, INPUT_BOUND)


def hold(
    on_disconnect: OnDisconnect | None = None, *, max_output: int = MAX_OUTPUT, bounded: bool = True
) -> Hold:
    """The hold of such a call, on a key with a cap of $1."""
    return Hold(
        id=RequestId(UUID(int=1)), key_id=KeyId(UUID(int=2)), account_id=AccountId(UUID(int=3)), mode="live",
        on_wallet=False, amount_micros=Micros(INPUT_BOUND + 5 * max_output), max_output=max_output, bounded=bounded,
        on_disconnect=on_disconnect, created_at=FrozenClock().at_ms,
        remaining_micros=Micros(1_000_000 - INPUT_BOUND - 5 * max_output), rpm_limit=None, rpm_used=None,
    )  # fmt: skip


class Stage:
    """One call and its parties."""

    def __init__(
        self,
        *,
        stream: bool = True,
        on_disconnect: OnDisconnect | None = None,
        terms: PumpTerms = TERMS,
        hosts: int = 1,
    ) -> None:
        self.clock = FrozenClock()
        self.upstreams = [ScriptedUpstream() for _ in range(hosts)]
        self.relay = ScriptedRelay()
        self.ledger = ScriptedLedger()
        self.ledger.commits.set()
        self.meters = CountedMeters()
        self.calls = Metered(self.ledger, self.clock, self.meters, hold_wait_s=5.0)
        self.hold = hold(on_disconnect)
        self.ledger.admissions.append(self.hold)
        self.prepared = prepared(self.upstreams, stream=stream)
        self.pump = Pump(self.prepared, self.hold, self.relay, self.calls, self.clock, terms=terms)
        self.task: asyncio.Task[None] | None = None

    @property
    def upstream(self) -> ScriptedUpstream:
        return self.upstreams[0]

    async def begin(self) -> None:
        """Take the hold and start the pump, up to its first wait."""
        self.start(await self.calls.admit(self.prepared.ask, since_ticks_ms=self.clock.ticks_ms()))
        await self.rest()

    def start(self, taken: Hold) -> None:
        """Start the pump, which does not run before the loop turns."""
        assert taken is self.hold
        self.task = self.pump.start()

    async def answers(self, *moves: Move) -> None:
        """The (first) provider does this."""
        self.upstream.script.put(*moves)
        await self.rest()

    async def leaves(self) -> None:
        """The caller hangs up."""
        self.relay.left = True
        self.pump.client_left()
        await self.rest()

    async def passes(self, ms: float) -> None:
        """Time passes, and the limits are looked after."""
        self.clock.at_ms += int(ms)
        self.pump.tick()
        await self.rest()

    async def rest(self) -> None:
        """Let everyone go on until all wait for the next event."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def assert_over(self) -> None:
        """The pump has ended, its money is settled, and nothing is left open."""
        assert self.task is not None
        assert self.task.done(), "the pump still waits for something"
        assert not self.task.cancelled()
        assert self.task.exception() is None
        assert len(self.ledger.settlements) + len(self.ledger.voided) == 1
        assert self.calls.in_flight() == 0
        for upstream in self.upstreams:
            assert all(response.closed for response in upstream.responses)
        assert self.relay.written_after_leaving == 0
