"""Names in Google's JSON, and in what may stand around it.

A field of protobuf may be written in camelCase or in snake_case, and an enum with or without its prefix; Google
takes either. A body that writes one field both ways is refused, because we and Google might each read another one.
Pure text; used by the Gemini wires.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from qlaud.core.errors import BadRequest, UnsupportedField
from qlaud.wire.body import Members, is_null, read_text

_CAPITAL = re.compile(r"[A-Z]")
_LOW_LINE = re.compile(r"_([a-z0-9])")
MODELS = "models/"
BY_REQUEST = ("gemini-1.", "gemini-2.")
"""Models whose searches are billed by the request; later ones pay for each query (the pricing page, 2026-11)."""
QUERY_NAMES = frozenset((b"alt", b"key", b"prettyPrint", b"$prettyPrint", b"quotaUser", b"$unique"))
"""Query parameters that do not change what an answer tells. `fields` would leave its usage out, `callback` and
`access_token` do other harm; Google itself refuses a name it does not know."""
FORMS = frozenset((b"alt=sse", b"alt=json"))


@lru_cache(maxsize=256)
def snake(name: str) -> str:
    """`maxOutputTokens` as `max_output_tokens`."""
    return _CAPITAL.sub(lambda found: "_" + found[0].lower(), name)


@lru_cache(maxsize=256)
def camel(name: str) -> str:
    """`max_output_tokens` as `maxOutputTokens`; a name in camelCase stays as it is."""
    return _LOW_LINE.sub(lambda found: found[1].upper(), name)


def spelled(members: Members, name: str) -> str:
    """The spelling in which a field stands among `members`, camelCase where it does not.

    Raises BadRequest if it stands there both ways.
    """
    other = snake(name)
    if other == name or other not in members:
        return name
    if name in members:
        raise BadRequest(f"`{name}` stands twice, as `{other}` too", param=name)
    return other


def by_camel(members: Members, name: str) -> Mapping[str, msgspec.Raw]:
    """The members that are not null, by their camelCase names. Raises BadRequest if one stands there both ways."""
    found: dict[str, msgspec.Raw] = {}
    for key, value in members.items():
        if is_null(value):
            continue
        if camel(key) in found:
            raise BadRequest(f"`{camel(key)}` stands twice in {name}", param=name.strip("`"))
        found[camel(key)] = value
    return found


def bare(model: str) -> str:
    """A model without the name of its collection."""
    return model.removeprefix(MODELS)


def searches_by_request(model: str) -> bool:
    """Whether this model's searches are billed by the request; anything unknown pays for each query."""
    return bare(model).lower().startswith(BY_REQUEST)


def check_model(members: Members, model: str) -> None:
    """Raises BadRequest if a body names another model than its path does."""
    inside = read_text(members, "model")
    if inside is not None and bare(inside) != bare(model):
        raise BadRequest(f"`model` in the body must be the path's: {MODELS}{bare(model)}", param="model")


def check_query(query: bytes) -> None:
    """Raises UnsupportedField for a parameter that could keep the usage out of the answer."""
    forms = 0
    for pair in query.split(b"&") if query else ():
        name = pair.partition(b"=")[0]
        forms += name == b"alt"
        if name and (name not in QUERY_NAMES or (name == b"alt" and pair not in FORMS) or forms > 1):
            text = name[:64].decode("latin-1")
            raise UnsupportedField(f"the query parameter `{text}` cannot be used here", param=text)


def list_error(body: bytes) -> bytes:
    """An error body without the list that may stand around it."""
    return body.strip().removeprefix(b"[").removesuffix(b"]")
