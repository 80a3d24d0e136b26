"""Changes single members of a JSON text and leaves every other byte as it was.

A provider may bind meaning to bytes (prompt caches compare prefixes), and a caller may rely on passthrough
being passthrough, so a body is never decoded and encoded again to change one number in it. A member that is
there has its value replaced, one that is not there is put right after the opening brace. Used by the wires.
"""

from collections.abc import Mapping

from qlaud.wire.body import Members, item_spans, member_spans, read_members

Edit = tuple[int, int, bytes]
"""Start, end, and what stands there instead."""


def set_members(
    text: bytes,
    values: Mapping[str, bytes],
    *,
    renames: Mapping[str, str] | None = None,
    members: Members | None = None,
) -> bytes:
    """The object `text` with the members of `values` (name to JSON value) set.

    `renames` (old name to new) puts another name on a member that is there; `values` then knows it by the new
    one. `members` is what `read_members` found in `text`, if the caller has it. `text` itself when every value
    stands there already.
    """
    members = read_members(text, "the body") if members is None else members
    edits: list[Edit] = []
    fresh = {key: value for key, value in values.items() if key not in members}
    if len(fresh) < len(values) or renames:
        spans = member_spans(text, members)
        for old, new in (renames or {}).items():
            name_start, name_end, value_start, value_end = spans.pop(old)
            edits.append((name_start, name_end, b'"%s"' % new.encode()))
            spans[new] = (name_start, name_end, value_start, value_end)
            fresh.pop(new, None)
        for key, value in values.items():
            span = spans.get(key)
            if span is not None and text[span[2] : span[3]] != value:
                edits.append((span[2], span[3], value))
    if fresh:
        opening = text.index(b"{") + 1
        put = b",".join(b'"%s":%s' % (key.encode(), value) for key, value in fresh.items())
        edits.append((opening, opening, put + b"," if members else put))
    return apply(text, edits)


def set_in_items(text: bytes, values: Mapping[int, Mapping[str, bytes]]) -> bytes:
    """The array `text` with members of the objects at the given indexes set."""
    spans = item_spans(text)
    edits: list[Edit] = []
    for index, members in values.items():
        start, end = spans[index]
        edits.append((start, end, set_members(text[start:end], members)))
    return apply(text, edits)


def apply(text: bytes, edits: list[Edit]) -> bytes:
    """`text` with the edits made; they must not overlap. `text` itself without edits."""
    if not edits:
        return text
    parts: list[bytes] = []
    at = 0
    for start, end, instead in sorted(edits, key=lambda edit: edit[:2]):
        parts += (text[at:start], instead)
        at = end
    parts.append(text[at:])
    return b"".join(parts)
