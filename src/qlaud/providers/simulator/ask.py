"""What a request asks of the simulator, whatever wire it came on."""

from dataclasses import dataclass

import msgspec


class BadBody(Exception):
    """The body is refused with a 400; `param` is the path of the field, when one is to blame."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message, self.param = message, param


@dataclass(frozen=True, slots=True)
class Prompt:
    """The input of a call in disjoint token counts."""

    uncached: int
    read: int = 0
    """Read from the cache: a marked prefix that an earlier turn of the same conversation has sent."""
    written: int = 0
    """Written to the short cache (5 minutes at Anthropic, 30 at OpenAI)."""
    written_1h: int = 0

    @property
    def total(self) -> int:
        """Every input token."""
        return self.uncached + self.read + self.written + self.written_1h


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the caller runs; its JSON schema is read only if it is called."""

    name: str
    schema: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, read and checked."""

    model: str
    seed: str
    """Hexadecimal hash of the body: every id of the answer is made from it."""
    prompt: Prompt
    said: str
    """The last text of the user, or ""."""
    tool_result: str | None = None
    """The text of the tool results if they are the last turn."""
    stream: bool = False
    max_output: int | None = None
    tools: tuple[Tool, ...] = ()
    """Empty also when the caller forbids tools; only the named one when the caller names one."""
    must_call: bool = False
    thinking: bool = False
    """Whether thinking is asked for."""
    show_thinking: bool = True
    stops: tuple[str, ...] = ()
    choices: int = 1
    include_usage: bool = False
    tier: str = ""
    geo: str = ""
    speed: str = ""
