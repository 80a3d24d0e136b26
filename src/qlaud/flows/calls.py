"""One model call as values: what came in, where it may go, how its answer is carried back."""

from typing import Protocol

from msgspec import Struct

from qlaud.core.catalog import Host, Model
from qlaud.core.demand import Worst
from qlaud.core.errors import QlaudError
from qlaud.core.ids import RequestId
from qlaud.core.ledger import HoldAsk
from qlaud.core.paths import PathPattern
from qlaud.core.price_book import PriceBook
from qlaud.core.pricing import RateCard
from qlaud.core.providers import Provider
from qlaud.flows.keyring import KeyRing
from qlaud.ports import Headers, Upload, Upstream
from qlaud.wire.types import Asked, ModelCall, Wire


class Incoming(Struct, frozen=True, gc=False):
    """A request as the edge read it."""

    id: RequestId
    secret: str
    wire: Wire
    wire_name: str
    """The wire's name in the registry (`messages`, `openai_chat`)."""
    surface: str
    headers: Headers
    asked: Asked
    method: str = "POST"
    provider: str = ""
    """The provider the path names; empty where the model decides."""
    target: bytes = b""
    """Then: the raw path as the vendor knows it."""
    pattern: PathPattern | None = None
    """Then: what `target` matches."""
    is_metered: bool = True
    """False: no rule says what the path costs."""
    upload: Upload | None = None
    """The body, where it is no JSON. Closed by whoever ends the call."""


class Route(Struct, frozen=True, gc=False):
    """One host the call may go to, with the price that holds there."""

    host: Host
    provider: Provider
    upstream: Upstream
    card: RateCard | None
    """None: the model has no price here."""
    keys: KeyRing | None = None
    """Of a provider with several keys."""
    book: PriceBook | None = None
    """Where the price of another model stands, for an answer that says it came from one."""

    def card_of(self, served_model: str, at_ms: int) -> RateCard | None:
        """The price of what was served: that of the model that answered if it has one, else of the one asked."""
        if not served_model or self.card is None or self.book is None or served_model == self.card.model:
            return self.card
        return self.book.card(self.provider.slug, served_model, at_ms) or self.card


class Prepared(Struct, frozen=True, gc=False):
    """A call that may ask for its hold."""

    incoming: Incoming
    call: ModelCall
    model: Model
    routes: tuple[Route, ...]
    """Never empty; tried in this order under one hold."""
    ask: HoldAsk
    worst: Worst | None
    """None without a price."""
    input_bound: int
    beyond_tokens: int = 0
    """Output tokens a candidate may have beside its limit; they are in `worst`."""
    other_models: tuple[str, ...] = ()
    """Of a batch: the models it calls beside `model`."""


class Relay(Protocol):
    """The caller's side of a call. Owned by the edge; the pump writes to it while it lives."""

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer at once."""
        ...

    async def start(self, status: int, headers: Headers) -> None:
        """The head of an answer whose body follows."""
        ...

    async def write(self, chunk: bytes) -> None:
        """The next bytes. Returns when the caller's side can take more."""
        ...

    async def end(self) -> None:
        """The clean end of the body."""
        ...

    async def fail(self, error: QlaudError) -> None:
        """An error of ours, in the shape of the surface; only before `start`."""
        ...

    def abort(self) -> None:
        """Break the connection: the body is not whole and must not look so."""
        ...
