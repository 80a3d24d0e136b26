"""What every wire format gives to the rest: read a request, rewrite it, tap the answer, shape an error.

A wire is pure: bytes in, bytes out, no I/O, no clock. Native passthrough stays byte for byte what it was; only
`rewrite` changes a body, and only the fields named in `Changes`. May be imported by flows, api and providers.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from qlaud.core.demand import Demand
from qlaud.core.errors import QlaudError
from qlaud.core.usage import Metered, Usage
from qlaud.wire.form import Form

Headers = Sequence[tuple[bytes, bytes]]
"""Header pairs, names in lower case, in wire order."""


class Asked(Struct, frozen=True, gc=False):
    """A request as a wire reads it. What a wire does not have stays at its default."""

    body: bytes = b""
    """A JSON body, whole; empty for an upload."""
    model: str = ""
    """The model where it stands in the path; else what a call that names none is given."""
    query: bytes = b""
    stream: bool = False
    """The path says that the answer streams."""
    form: Form | None = None
    """The fields of a multipart upload; its files stay where they are."""
    upload_bytes: int = 0
    """Size of an upload that is no form: raw audio."""
    media_ms: int | None = None
    """Playing time of what was uploaded, None where it cannot be read."""
    media_most_ms: int = 14_400_000
    """The most that audio may play that cannot be read, or stands at an address."""
    headers: Headers = ()
    """The caller's, for a provider whose switches stand there (Qwen)."""


class AnswerHead(Struct, frozen=True, gc=False):
    """Status and headers of a provider's answer."""

    status: int = 200
    headers: Headers = ()

    @property
    def content_type(self) -> bytes:
        """In lower case; empty where there is none."""
        return self.header(b"content-type").lower()

    def header(self, name: bytes) -> bytes:
        """The value of the first header of that name; empty where there is none."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""


ANSWERED = AnswerHead()
"""A good answer that says nothing of itself."""


class ModelCall(Struct, frozen=True, gc=False):
    """What a request asks, as far as routing, money and the answer's tap need to know."""

    model: str
    stream: bool
    demand: Demand
    wants_usage: bool
    """The caller asked for usage in the stream (Anthropic: always true)."""
    end_user: str | None = None
    """The caller's own name for its user, at most 512 characters."""
    limit_fields: tuple[str, ...] = ()
    """Output limit fields that stand in the body with a number."""
    uncapped_tools: tuple[int, ...] = ()
    """Indexes in `tools` of provider tools without `max_uses`: `Changes.max_uses` gives it to them."""
    provider_tools: tuple[str, ...] = ()
    """Provider tools that `max_tool_calls` bounds, where the provider keeps to it (Responses)."""
    owned: tuple[str, ...] = ()
    """Ids of what the call continues at the provider (an earlier response): the caller's own only."""
    keeps: bool = False
    """The provider keeps what it answers, where it keeps anything, and the caller may ask for it again."""
    background: bool = False
    """The provider goes on whether or not anybody listens: the call may begin a job."""
    model_field: str = "model"
    """Where the model stands in a form, or in a body without output tokens; empty where it is in neither."""
    account_resource: str | None = None
    """The field that names something of the operator's own account at the provider (a file, a cache): one account
    serves all users, so only an admin key may."""
    expected: Usage | None = None
    """What it costs if nothing tells better. None: its input, and what was seen of the output."""
    parts: "tuple[ModelCall, ...]" = ()
    """Of a batch: what each of its requests asks, perhaps of another model."""


class Changes(Struct, frozen=True, gc=False):
    """What a body must say before it leaves. Fields left alone are None or False."""

    model: str | None = None
    max_output: int | None = None
    """The output limit to send, per candidate."""
    limit_field: str = "max_tokens"
    """The field this host knows the limit by; another limit field in the body is renamed to it."""
    include_usage: bool = False
    """Ask for usage in the stream (OpenAI chat)."""
    models: Mapping[str, str] = {}
    """Models of the parts of a batch by the name in the body, where this host calls them otherwise."""
    max_uses: int | None = None
    """Sent for every provider tool that came without it."""
    pictures: Literal["", "url", "inline"] = ""
    """Pictures stand in objects with their `url` here (xAI); `inline`: and are asked for in the answer itself."""


class Tap(Protocol):
    """Reads the usage out of one answer while its bytes are relayed. Never raises on what a provider sends."""

    @property
    def output_floor(self) -> int:
        """A lower bound of the output tokens generated so far, all candidates together.

        Reported usage, or the number of content deltas that held something.
        """
        ...

    @property
    def started(self) -> bool:
        """The first content was seen. Comments, pings and role chunks do not count."""
        ...

    @property
    def complete(self) -> bool:
        """Terminal usage or the format's own terminator was seen. A JSON body: known after `finish`."""
        ...

    at_boundary: bool
    """What was relayed ends between two events: only here may events of our own be put in."""
    as_it_comes: bool
    """Relayed as it arrives: events, sound, films. Any other answer waits for its bill, up to a size."""

    def feed(self, chunk: bytes) -> bytes:
        """The bytes to relay now: `chunk` itself when nothing is withheld."""
        ...

    def finish(self) -> bytes:
        """The withheld tail when the answer has ended, b"" if none. Call once, before `outcome`."""
        ...

    def outcome(self, *, input_bound: int) -> Metered:
        """What the call used, as far as it was seen.

        `Exact` if terminal usage was seen. `AtLeast` if content or provider work was seen without it: the
        provider's own input counts where it gave them, else `input_bound` tokens, and the bytes of relayed
        content as output tokens (each visible token is at least one byte; hidden reasoning is not visible, so
        the flow keeps this within the hold). `Nothing` if the provider did no billable work, as when the
        first event is an error.
        """
        ...


class Wire(Protocol):
    """One wire format."""

    @property
    def error_shape(self) -> str:
        """Whose errors it has, of `errors.SHAPES`."""
        ...

    @property
    def takes_form(self) -> bool:
        """Whether a body may be `multipart/form-data`."""
        ...

    def read_call(self, asked: Asked) -> ModelCall:
        """What is asked. Raises InvalidJson, or BadRequest naming the field that is wrong."""
        ...

    def rewrite(self, body: bytes, call: ModelCall, changes: Changes) -> bytes:
        """`body` with `changes` put in and every other byte as it was; `body` itself if it says so already.

        `call` is what `read_call` made of the same bytes. Only for JSON bodies: the model of an upload, a path
        or a query is put in by whoever sends it.
        """
        ...

    def tap(self, call: ModelCall, *, strip_usage: bool, head: AnswerHead = ANSWERED) -> Tap:
        """A tap for one answer to `call`.

        The content type of its `head` tells a stream from a JSON body, and without one the request decides; some
        providers put the usage into their headers. `strip_usage` hides the usage chunk that only the
        gateway asked for.
        """
        ...

    def error_event(self, error: QlaudError, request_id: str) -> bytes:
        """An error of ours within a stream that has begun; the stream ends after it. Needs an event boundary.

        Empty where the format has none: then the connection breaks.
        """
        ...

    def length_stop(self, tap: Tap, usage: Usage | None = None) -> bytes:
        """The format's own end of a stream that ran out of output tokens, for a stream the gateway cuts.

        `usage` fills its usage block; without it only the output seen so far is told. Empty for an answer
        that is not a stream. Needs an event boundary.
        """
        ...

    def error_message(self, body: bytes) -> str:
        """The sentence in a provider's error body, at most 1000 characters, "" if there is none."""
        ...
