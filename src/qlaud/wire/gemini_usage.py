"""Gemini usage objects turned into `Usage`. One function for streams, arrays and bodies, so that they cannot differ.

Facts (Google's pages on tokens, pricing and grounding, google-genai 3.4.0, recorded traffic; seen 2026-11): cached
tokens are inside `promptTokenCount`; thoughts are outside `candidatesTokenCount` and the prompts of tools outside
`promptTokenCount`, so input is prompt + tools and output is candidates + thoughts; a count of zero is left out; the
details split each count by modality, and a document costs what a picture costs.
"""

from msgspec import Struct

from qlaud.core.usage import EMPTY, Usage
from qlaud.wire.counts import Fields, count, number, objects, word
from qlaud.wire.gemini_names import searches_by_request

PROMPT = "promptTokenCount"
MEDIA = ("AUDIO", "IMAGE", "VIDEO")
SHOWN = {"DOCUMENT": "IMAGE"}
"""Modalities that have the price of another one."""


class Grounding(Struct, frozen=True, gc=False):
    """What an answer says it looked up."""

    queries: frozenset[str] = frozenset()
    """Distinct searches, empty ones left out: those that are billed."""
    is_searched: bool = False
    """Results of a search were used, told or not told which."""
    is_mapped: bool = False
    """Results of Google Maps were used."""


NOT_GROUNDED = Grounding()


class Served(Struct, frozen=True, gc=False):
    """What stands around the usage and decides its price."""

    model: str = ""
    tier: str = ""
    """As answered in the head; the usage may say it too."""
    asked_tier: str = ""
    makes: str = ""
    """`AUDIO`, `IMAGE` or `VIDEO` where the answer holds or was to hold that: what output is without details."""
    grounding: Grounding = NOT_GROUNDED


def is_whole(fields: Fields) -> bool:
    """Whether the prompt's count makes sense, so that the rest, which may be left out as zero, can be believed."""
    return bool(count(fields.get(PROMPT)))


def tier_word(text: str) -> str:
    """A service tier in lower case, without the prefix of its enum; "" where none is said."""
    tier = text.lower().removeprefix("service_tier_")
    return "" if tier == "unspecified" else tier


def read_usage(fields: Fields, served: Served) -> Usage:
    """The billed quantities of one call. Numbers that make no sense count as 0."""
    prompt, tools = number(fields, PROMPT), number(fields, "toolUsePromptTokenCount")
    cached = min(number(fields, "cachedContentTokenCount"), prompt)
    # embeddings spell the same list in the singular
    sent = _shares(fields, "promptTokensDetails") or _shares(fields, "promptTokenDetails")
    kept = _within(_shares(fields, "cacheTokensDetails"), cached)
    fresh = _within({name: sent.get(name, 0) - kept.get(name, 0) for name in MEDIA}, prompt - cached)
    fetched = _within(_shares(fields, "toolUsePromptTokensDetails"), tools)
    audio, image, video = (fresh.get(name, 0) + fetched.get(name, 0) for name in MEDIA)
    candidates, thoughts = number(fields, "candidatesTokenCount"), number(fields, "thoughtsTokenCount")
    made = _within(_shares(fields, "candidatesTokensDetails") or {served.makes: candidates}, candidates)
    audio_kept, image_kept = kept.get("AUDIO", 0), kept.get("IMAGE", 0)
    searches, detail = _searches(served)
    return Usage(
        input_tokens=prompt - cached + tools - audio - image - video,
        cache_read_tokens=cached - audio_kept - image_kept,
        output_tokens=candidates - sum(made.values()) + thoughts,
        reasoning_tokens=thoughts,
        audio_in_tokens=audio,
        audio_cache_read_tokens=audio_kept,
        image_in_tokens=image,
        image_cache_read_tokens=image_kept,
        video_in_tokens=video,
        audio_out_tokens=made.get("AUDIO", 0),
        image_out_tokens=made.get("IMAGE", 0),
        video_out_tokens=made.get("VIDEO", 0),
        web_searches=searches,
        tier=served.tier or tier_word(word(fields, "serviceTier")) or served.asked_tier,
        served_model=served.model,
        detail=detail,
    )


def _searches(served: Served) -> tuple[int, dict[str, int]]:
    """Look-ups as they are billed, and what they were.

    Up to Gemini 2.x one a call, later one for each query. A look-up on Google Maps counts as a search: that is what
    it costs from Gemini 3 on, and less than a search before.
    """
    grounding = served.grounding
    queries = len(grounding.queries)
    searched = bool(queries or grounding.is_searched)
    searches = int(searched) if searches_by_request(served.model) else max(queries, int(searched))
    detail = {"search_queries": queries, "maps_lookups": int(grounding.is_mapped)}
    return searches + int(grounding.is_mapped), {name: n for name, n in detail.items() if n} or EMPTY


def _shares(fields: Fields, name: str) -> dict[str, int]:
    """Tokens by modality, where the details tell them."""
    shares: dict[str, int] = {}
    for item in objects(fields, name):
        modality = word(item, "modality").upper()
        modality = SHOWN.get(modality, modality)
        shares[modality] = shares.get(modality, 0) + number(item, "tokenCount")
    return shares


def _within(shares: dict[str, int], total: int) -> dict[str, int]:
    """What is no text, none below zero and together no more than `total`."""
    kept: dict[str, int] = {}
    for name in MEDIA:
        if (share := min(shares.get(name, 0), total)) > 0:
            kept[name] = share
            total -= share
    return kept
