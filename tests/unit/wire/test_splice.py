"""Splicing: one member changes, every other byte stays."""

import json

from hypothesis import given
from hypothesis import strategies as st

from qlaud.wire.splice import set_in_items, set_members

NAMES = st.sampled_from(["model", "max_tokens", "n", "stream_options", "é", 'q"\\', "messages", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
SPACES = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n ")])


@given(st.dictionaries(NAMES, VALUES, max_size=6), VALUES, SPACES, st.booleans())
def test_setting_a_member_changes_that_member_alone(
    fields: dict[str, object], value: object, spaces: tuple[str, str], ascii_only: bool
) -> None:
    text = json.dumps(fields, separators=spaces, ensure_ascii=ascii_only).encode()
    put = json.dumps(value).encode()
    changed = set_members(text, {"model": put})
    assert json.loads(changed) == {**fields, "model": value}
    if "model" in fields:
        before = json.dumps(fields["model"], separators=spaces, ensure_ascii=ascii_only).encode()
        where = next(
            at
            for at in range(len(text))
            if text[at:].startswith(before) and text[:at] + put + text[at + len(before) :] == changed
        )
        assert changed.startswith(text[:where])
    else:
        assert changed in (b"{" + b'"model":' + put + text[1:], b'{"model":' + put + b"," + text[1:])


def test_a_body_that_says_it_already_is_returned_itself() -> None:
    text = b'{"model" : "a"}'
    assert set_members(text, {"model": b'"a"'}) is text


def test_members_of_nested_objects_are_left_alone() -> None:
    text = b'{"a":{"model":1},"model":2,"b":[{"model":3}]}'
    assert set_members(text, {"model": b"9"}) == b'{"a":{"model":1},"model":9,"b":[{"model":3}]}'


def test_a_renamed_member_keeps_its_place() -> None:
    text = b'{"a":1, "max_completion_tokens" : 5 ,"b":2}'
    changed = set_members(text, {"max_tokens": b"3"}, renames={"max_completion_tokens": "max_tokens"})
    assert changed == b'{"a":1, "max_tokens" : 3 ,"b":2}'


def test_an_escaped_name_is_found() -> None:
    assert set_members(b'{"mod\\u0065l":1}', {"model": b"2"}) == b'{"mod\\u0065l":2}'


def test_only_the_named_items_of_an_array_change() -> None:
    text = b'[{"type":"a"}, {"type":"b","max_uses":null} ,{}]'
    changed = set_in_items(text, {1: {"max_uses": b"5"}, 2: {"max_uses": b"5"}})
    assert changed == b'[{"type":"a"}, {"type":"b","max_uses":5} ,{"max_uses":5}]'
