"""How much a call may cost before it leaves: what was asked for, and the bound that follows from it."""

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from qlaud.core.money import MARKUP_BASE_BP, PICOS_PER_MICRO, Micros, with_markup
from qlaud.core.usage import Usage

NOTHING_ELSE: Mapping[str, int] = {}


class Demand(Struct, frozen=True, gc=False):
    """What a request asks for, as far as money is concerned. Read by a wire, priced by a rate card."""

    input_tokens: int
    """An upper bound of the billable input that stands in the body, never an estimate."""
    whole_context: bool = False
    """Input that is not in the body (file ids, document URLs, provider tools): counts as the whole context."""
    inputs: int = 1
    """How many inputs there are that have a context each (embeddings)."""
    candidates: int = 1
    max_output: int | None = None
    """The caller's own output limit, per candidate."""
    thinking_budget: int = 0
    cache_ttls: frozenset[str] = frozenset()
    """Cache writes asked for: of "5m", "1h", "30m", "12h". Implicit caching is the rate card's business."""
    tier: str = ""
    """Service tier asked for, in the provider's words."""
    speed: str = ""
    geo: str = ""
    grade: str = ""
    """Size, quality or resolution asked for, in the words of the price list."""
    most: Mapping[str, int] = field(default_factory=lambda: NOTHING_ELSE)
    """The most of every quantity that no token limit bounds, by its name in `core.usage`: `web_searches` 5,
    `characters` 900, `audio_ms` 60000, `image_out_tokens` 4160."""
    instead: Mapping[str, int] = field(default_factory=lambda: NOTHING_ELSE)
    """The same as `most`, in the units another price list counts in. A card needs a price for one of the two; where it
    has both, the dearer counts."""
    unbounded_tool: str | None = None
    """A provider tool whose cost nobody can bound."""


def most_input(demand: Demand, context_window: int | None) -> int | None:
    """The most input that may be billed, by the context that each of its inputs has (None: not known).

    None where it has no bound: it stands elsewhere, and nobody knows how large a context is.
    """
    if context_window is None:
        return None if demand.whole_context else demand.input_tokens
    most = context_window * demand.inputs
    return most if demand.whole_context else min(demand.input_tokens, most)


PROVIDER_TOOLS = frozenset(("web_searches", "tool_calls"))
"""Quantities a provider decides to use; being allowed to is not having used them."""


def as_asked(demand: Demand, input_tokens: int) -> Usage:
    """What a call used that did what was asked, where nobody tells: its input, and the media it asked for."""
    asked = Usage(
        input_tokens=input_tokens, tier=demand.tier, speed=demand.speed, geo=demand.geo, grade=demand.grade
    )
    made = {name: most for name, most in demand.most.items() if name not in PROVIDER_TOOLS}
    return replace(asked, **made) if made else asked


class Worst(Struct, frozen=True, gc=False):
    """W(x) of the contract, section 6.2: `base + x * slope`, with markup, rounded up to whole micros."""

    base_picos: int
    slope_picos: int
    """Dearest output rate times candidates; 0 where no limit applies (media)."""
    markup_bp: int

    def micros(self, max_output: int) -> Micros:
        """The most a call with this output limit can cost."""
        return with_markup(self.base_picos + max_output * self.slope_picos, self.markup_bp)

    def largest_limit(self, free_micros: int) -> int:
        """The largest x with W(x) <= free_micros; negative when not even W(0) fits."""
        affordable = free_micros * MARKUP_BASE_BP * PICOS_PER_MICRO // (MARKUP_BASE_BP + self.markup_bp)
        rest = affordable - self.base_picos
        if self.slope_picos == 0:
            return 0 if rest >= 0 else -1
        return rest // self.slope_picos
