"""What both OpenAI surfaces say about their input in the same words: pictures, caches, names, tools.

Facts: the provider's pages on vision, prompt caching and function calling, the types of its SDK 3.54.0, and Kimi's note
on the lives of its caches, which are asked for in the same words (5m, 1h), seen 2026-11.
Used by the readers of Chat Completions and of Responses.
"""

import msgspec
from msgspec import Raw

from qlaud.wire import body as json_body
from qlaud.wire import content
from qlaud.wire.body import Members
from qlaud.wire.content import NOTHING, Found
from qlaud.wire.counts import UNREADABLE

IMAGE_TOKENS = 24_600
"""The most one picture costs: 10000 patches at `detail: original`, times 2.46 on the smallest models. Covers the
16384 of Qwen-VL too."""
TILED_MINI_IMAGE_TOKENS = 48_200
"""gpt-4o-mini counts 2833 and 5667 a tile, eight tiles at most."""
TOOL_PROMPT_TOKENS = 1_000
DEFAULT_SEARCHES = 5
END_USER_CHARS = 512

TEXT_PARTS = frozenset(
    {"text", "refusal", "thinking", "input_text", "output_text", "summary_text", "reasoning_text"}
)
EVERY_TTL = frozenset({"5m", "1h", "30m", "12h"})


class _Image(msgspec.Struct):
    url: Raw = NOTHING


def image_tokens(model: str) -> int:
    """The most one picture costs on this model."""
    return TILED_MINI_IMAGE_TOKENS if "4o-mini" in model.lower() else IMAGE_TOKENS


def note_unknown(found: Found) -> None:
    """A shape we do not know: the provider will refuse it, or knows more than we do."""
    found.whole_context = True
    found.ttls |= EVERY_TTL


def note_breakpoints(found: Found, block: content.Block) -> None:
    """The cache writes that a part asks for."""
    if block.cache_control:
        content.note_cache(found, block.cache_control)
    if block.prompt_cache_breakpoint:
        found.ttls.add("12h" if b"12h" in bytes(block.prompt_cache_breakpoint) else "30m")


def note_image(found: Found, where: Raw) -> None:
    """Count a picture; a data URL is the picture itself, any other address stays counted as text."""
    found.images += 1
    url = where
    if content.opens_with(where, 0x7B):
        try:
            url = msgspec.json.decode(where, type=_Image).url
        except UNREADABLE:
            return
    scheme = bytes(memoryview(url)[:12]).lower()
    if scheme == b'"data:image/':
        found.image_bytes += len(url)
    elif not scheme.startswith(b'"http'):  # a stored file, or a film or sound under a picture's name
        found.whole_context = True


def cache_ttls(found: Found, members: Members) -> frozenset[str]:
    """Cache writes asked for; a breakpoint without a life of its own has that of the request."""
    if not json_body.is_null(members.get("prompt_cache_retention")):
        found.ttls |= {"30m", "12h"}
    options = members.get("prompt_cache_options")
    if options is not None and not json_body.is_null(options):
        text = bytes(options)
        named = {life for life in EVERY_TTL if b'"%s"' % life.encode() in text}
        if named:
            found.ttls.discard("30m")
        found.ttls |= named or {"30m"}
    return frozenset(found.ttls)


def first_given(members: Members, names: tuple[str, ...]) -> str | None:
    """The first of these members that is there and says something."""
    for name in names:
        if name in members and bytes(members[name]) not in (b"null", b"[]", b"{}", b"false"):
            return name
    return None


def end_user(members: Members) -> str | None:
    """The caller's own name for its user."""
    user = json_body.read_text(members, "user") or json_body.read_text(members, "safety_identifier")
    return user[:END_USER_CHARS] if user else None
