"""What one call used, in disjoint quantities, and how sure we are of it.

Each quantity has its own price and none contains another, with one exception that is stated: the reasoning
part of `output_tokens` is also told apart in `reasoning_tokens`, which is priced only where a provider
prices it differently. So the bill is a plain sum, and nothing is charged twice.
"""

from msgspec import Struct, field

EMPTY: dict[str, int] = {}
"""No detail. Shared, never written to."""


class Usage(Struct, frozen=True, gc=False):
    """Billed quantities of one call. All are whole numbers >= 0; durations are milliseconds.

    The rate a quantity has may depend on `tier` (service tier *as answered*), `speed`, `geo`, `grade`, and on the
    prompt's length (`prompt_tokens`, what every long-context band compares with).
    """

    input_tokens: int = 0
    """Uncached text input, tool prompts included."""
    cache_read_tokens: int = 0
    cache_read_explicit_tokens: int = 0
    """Read from a cache the caller wrote on purpose, where that costs less than one the provider keeps (Qwen)."""
    cache_write_5m_tokens: int = 0
    """Written to a short cache; also "the provider did not say which"."""
    cache_write_1h_tokens: int = 0
    cache_write_30m_tokens: int = 0
    cache_write_12h_tokens: int = 0
    output_tokens: int = 0
    """Everything billed as text output, reasoning included."""
    reasoning_tokens: int = 0
    """A part of `output_tokens`, told apart."""
    audio_in_tokens: int = 0
    audio_cache_read_tokens: int = 0
    audio_out_tokens: int = 0
    image_in_tokens: int = 0
    image_cache_read_tokens: int = 0
    video_in_tokens: int = 0
    image_out_tokens: int = 0
    video_out_tokens: int = 0
    images: int = 0
    """Pictures made, where a provider bills by the picture."""
    images_in: int = 0
    """Pictures sent, likewise."""
    characters: int = 0
    audio_ms: int = 0
    video_ms: int = 0
    pages: int = 0
    calls: int = 0
    """Per-call fees: 1 for the call itself where a provider charges one."""
    web_searches: int = 0
    tool_calls: int = 0
    credits: int = 0
    """A provider's own unit, where it bills in nothing else (ElevenLabs' sound effects and music)."""
    tier: str = ""
    speed: str = ""
    geo: str = ""
    grade: str = ""
    """What was made, where the price of one depends on it: size and quality of a picture, resolution of a film."""
    vendor_cost_picos: int = 0
    """What the provider itself says the call costs; 0 where it does not say (xAI, OpenRouter)."""
    served_model: str = ""
    """The model name in the answer, when it differs from what was asked it decides the price."""
    detail: dict[str, int] = field(default_factory=dict[str, int])
    """Counts kept for the record that have no price of their own."""
    instead: "Usage | None" = None
    """The same call in the units another price list counts in, as well as we can tell: for a card that has no price
    for these. Speech may cost by the character or by the token, a transcription by the minute or by the token."""

    @property
    def prompt_tokens(self) -> int:
        """Every input token, cached or not."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_read_explicit_tokens
            + self.cache_write_tokens
            + self.audio_in_tokens
            + self.audio_cache_read_tokens
            + self.image_in_tokens
            + self.image_cache_read_tokens
            + self.video_in_tokens
        )

    @property
    def cache_write_tokens(self) -> int:
        """Every cache write, whatever its time to live."""
        return (
            self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
            + self.cache_write_30m_tokens
            + self.cache_write_12h_tokens
        )


NO_QUANTITIES = frozenset(
    ("tier", "speed", "geo", "grade", "vendor_cost_picos", "served_model", "detail", "instead")
)
"""The fields of a record that are not counted in units."""

QUANTITIES: tuple[str, ...] = tuple(name for name in Usage.__struct_fields__ if name not in NO_QUANTITIES)
"""The names of the billed quantities, in the order of the record."""


class Exact(Struct, frozen=True, gc=False):
    """The provider's own terminal usage was seen."""

    usage: Usage


class AtLeast(Struct, frozen=True, gc=False):
    """The stream broke before its terminal usage: counted input and what was relayed. Billed as an estimate."""

    usage: Usage


class Nothing(Struct, frozen=True, gc=False):
    """The call failed without billable usage."""


class Begun(Struct, frozen=True, gc=False):
    """The call began a job whose own record will say what it cost; the hold lives as long as the job."""

    job: str
    """The provider's id of it."""
    planned: Usage
    """What the job will cost if it does what was asked; its record may say better."""


Metered = Exact | AtLeast | Nothing | Begun
