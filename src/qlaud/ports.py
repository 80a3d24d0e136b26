"""What the flows need from the world, as Protocols. Plugs implement them; only `app` joins the two."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from qlaud.core.ids import RequestId
from qlaud.core.jobs import Job, Owner
from qlaud.core.ledger import Admission, Charged, Hold, HoldAsk, Settlement
from qlaud.core.money import Micros
from qlaud.wire.live import Frame
from qlaud.wire.splice import Edit
from qlaud.wire.types import Headers


class Clock(Protocol):
    """Reads the time. Frozen in tests."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds; may step."""
        ...

    def ticks_ms(self) -> float:
        """A monotonic reading for durations."""
        ...


class Ids(Protocol):
    """Makes ids. Seeded in tests."""

    def uuid(self, at_ms: int) -> UUID:
        """A fresh UUIDv7 of `at_ms`."""
        ...


class Upload(Protocol):
    """An upload that has arrived whole and rests until it leaves. Implemented by `api.spool`."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`: fewer only at the end. Blocks; any thread may call it."""
        ...

    def pieces(self, edits: Sequence[Edit] = ()) -> AsyncIterator[bytes]:
        """The whole body with the edits made, never blocking the event loop. Can be asked for again."""
        ...

    def close(self) -> None:
        """Forget it. Idempotent."""
        ...


class UpstreamRequest(Struct, frozen=True, gc=False):
    """One call as it leaves: absolute origin, raw target, final headers (host and content-length are added)."""

    method: str
    origin: str
    """`https://api.anthropic.com` or `http://127.0.0.1:9000`, without a path."""
    target: bytes
    """Path and query, raw, beginning with a slash."""
    headers: Headers
    body: bytes | AsyncIterator[bytes] | None = None
    """Bytes are sent with content-length; an iterator is sent chunked and never replayed."""
    content_length: int | None = None
    """Of an iterator whose length is known: sent with content-length instead of chunked."""
    first_byte_timeout_s: float | None = None
    """Overrides the client's own limit."""


class UpstreamResponse(Protocol):
    """An answer whose head has arrived. Read to the end or close it; either frees the connection."""

    status: int
    headers: Headers

    async def read(self) -> bytes:
        """The next body bytes as they arrived, b"" at the end.

        Raises UpstreamBroken if the body ends early or breaks the protocol, UpstreamSlow if nothing comes
        within the idle timeout.
        """
        ...

    def close(self) -> None:
        """Abort: hang up unless the body was read to its end. Idempotent, never raises."""
        ...


class Upstream(Protocol):
    """Sends calls to one kind of provider: over HTTP, or to the simulator inside the process."""

    async def send(self, request: UpstreamRequest) -> UpstreamResponse:
        """The response head. Raises UpstreamUnreachable, UpstreamSlow, UpstreamBroken."""
        ...

    async def aclose(self) -> None:
        """Close every idle connection."""
        ...


class UpstreamFault(Exception):
    """Why an upstream call failed, for the flow that decides what it means for money."""

    started = True
    """Whether the provider may have begun to work on the call (and to bill it)."""


class UpstreamUnreachable(UpstreamFault):
    """The request did not reach the provider: another host may be tried."""

    started = False


class UpstreamSlow(UpstreamFault):
    """A timeout: `phase` is `connect` (nothing was sent), `first_byte` or `idle`."""

    def __init__(self, phase: str, timeout_s: float) -> None:
        super().__init__(f"no answer within {timeout_s:g} s ({phase})")
        self.phase, self.timeout_s = phase, timeout_s
        self.started = phase != "connect"


class UpstreamBroken(UpstreamFault):
    """The connection died or the answer broke the protocol after the request was sent."""


class LiveRequest(Struct, frozen=True, gc=False):
    """A socket to be opened: as UpstreamRequest, without what the handshake itself says."""

    origin: str
    target: bytes
    headers: Headers
    subprotocols: tuple[str, ...] = ()


class LiveEnd(Struct, frozen=True, gc=False):
    """How a socket ended: the other side's code and reason, 1006 when it vanished, 1005 when it gave no code."""

    code: int
    reason: str


class LiveRefused(Exception):
    """The other side answered a handshake with a status. Nothing was begun."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(f"the handshake was answered with status {status}")
        self.status, self.headers, self.body = status, headers, body


class LiveSocket(Protocol):
    """An open socket to a provider. Whoever has it closes or aborts it."""

    headers: Headers
    """Of the provider's answer to the handshake."""
    subprotocol: str | None
    """The one the provider chose."""

    async def receive(self) -> Frame | LiveEnd:
        """The next message, or how the socket ended. May be cancelled without losing one."""
        ...

    async def send(self, frame: Frame) -> bool:
        """Send a message; returns when the socket takes more, False when it has ended."""
        ...

    async def close(self, code: int, reason: str = "") -> None:
        """End it in good manners. Idempotent, never raises."""
        ...

    def abort(self) -> None:
        """End it at once. Idempotent, never raises."""
        ...


class LiveUpstream(Protocol):
    """Opens sockets to providers."""

    async def connect(self, request: LiveRequest) -> LiveSocket:
        """A socket that was accepted. Raises UpstreamFault, and LiveRefused where the answer was a status."""
        ...


class LedgerStore(Protocol):
    """The durable ledger. Implemented by `store.ledger`."""

    async def hold(self, ask: HoldAsk, *, has_waited: bool) -> Admission:
        """Take the hold, or say why not. Raises StoreUnavailable when the database does not answer in time."""
        ...

    async def settle(self, settlement: Settlement) -> Charged:
        """Post, release and write the event, once per hold; returns when that is durable."""
        ...

    async def extend(self, hold: Hold, *, add_micros: Micros, add_output: int) -> bool:
        """Whether the hold grew by this much."""
        ...

    async def void(self, hold: Hold) -> None:
        """Give back the hold of a call that never left this machine; no event."""
        ...

    async def renew(self, ids: Sequence[RequestId]) -> None:
        """Say that the calls behind these holds are still ours."""
        ...

    async def sweep_lost(self, *, lost_after_ms: int, limit: int) -> list[tuple[UUID, Micros]]:
        """Mark holds nobody renewed as lost; returns (id, amount) of each."""
        ...

    async def void_orphans(self) -> int:
        """Give back holds whose caller left before the answer came; returns how many."""
        ...


class JobStore(Protocol):
    """Jobs that outlive their calls, and whose an object at a provider is. Implemented by `store.jobs`.

    Everything raises StoreUnavailable when the database is away.
    """

    async def begin(self, job: Job, *, now_ms: int, due_ms: int) -> bool:
        """Whether its hold is the job's now, durably. Again with the same job: the same answer.

        False: the provider has given this id before, to another call.
        """
        ...

    async def claim(self, *, now_ms: int, until_ms: int, limit: int) -> list[Job]:
        """Running jobs that are due, at most `limit`; nobody else is given them before `until_ms`."""
        ...

    async def put_off(self, job: Job, *, due_ms: int, answered_ms: int | None) -> None:
        """It runs on: look again at `due_ms`. `answered_ms` is when the provider knew it, if it did."""
        ...

    async def end(self, job: Job, *, now_ms: int) -> None:
        """It is settled: look at it no more."""
        ...

    async def find(self, upstream_id: str, provider: str) -> list[tuple[Job, Owner]]:
        """The jobs of that id, newest first, and whose they are; of one provider, or of any where it is empty."""
        ...

    async def own(self, provider: str, upstream_id: str, owner: Owner) -> None:
        """Write down whose an object is. Whoever is written down first stays."""
        ...

    async def owner(self, provider: str, upstream_id: str) -> Owner | None:
        """Whose it is, None if that was never written down, or is forgotten."""
        ...

    async def disown(self, provider: str, upstream_id: str) -> None:
        """The object is deleted."""
        ...

    async def forget(self, *, before_ms: int, limit: int) -> bool:
        """Erase at most `limit` jobs that ended before that, and as many owned objects that are older.

        Returns whether none is left.
        """
        ...
