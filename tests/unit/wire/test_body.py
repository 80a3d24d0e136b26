"""JSON bodies: where they are broken, and members that stand twice."""

import pytest

from qlaud.core.errors import BadRequest, InvalidJson
from qlaud.wire.body import item_spans, member_spans, read_body, read_flag, read_text, read_whole


@pytest.mark.parametrize(
    ("body", "line", "column", "offset"),
    [
        (b"", 1, 1, 0),
        (b'{"a":1', 1, 7, 6),
        (b'{"a":\n\n x}', 3, 2, 8),
        ('{"é":x}'.encode(), 1, 6, 6),
        (b"\xef\xbb\xbf{}", 1, 1, 0),
        (b'{"a":NaN}', 1, 6, 5),
        (b'{"a":1} b', 1, 9, 8),
        ("{}".encode("utf-16"), 1, 1, 0),
    ],
)
def test_broken_json_is_refused_with_its_place(body: bytes, line: int, column: int, offset: int) -> None:
    with pytest.raises(InvalidJson) as refused:
        read_body(body)
    assert (refused.value.line, refused.value.column, refused.value.offset) == (line, column, offset)


def test_a_body_nested_without_end_is_refused() -> None:
    with pytest.raises(InvalidJson, match="nested too deeply"):
        read_body(b'{"a":' * 100_000)


@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"null", b"7"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="must be a JSON object"):
        read_body(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","model":"a"}',
        b'{"model":"a","x":1,"model":"b","y":2}',
        b'{ "model" : "a" , "model" : "b" }',
        b'{"model":"a","\\u006dodel":"b"}',
        b'{"mo\\u0064el":"b","model":"a"}',
        b'{"model":12,"model":1}',
        b'{"model":1,"model":12}',
        b'{"model":{"model":1},"model":{"model":1}}',
        # as long as the same object written with spaces, so that only a look at the text tells
        b'{"a":1,"b":2,"c":3,"d":4,"model":"x","model":"y"}',
    ],
)
def test_a_member_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match="`model` stands twice"):
        read_body(body)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b" { } ",
        b'{"a":{"model":1},"b":{"model":2},"model":"x"}',
        b'{"a":"\\"model\\":1","model":"x"}',
        b'{\n  "\\u0061\\"\\\\": [1, 2],\n  "model": "x"\n}\n',
        '{"é":"ü","model":"x"}'.encode(),
    ],
)
def test_an_object_that_names_every_member_once_is_read(body: bytes) -> None:
    members = read_body(body)
    spans = member_spans(body, members)
    assert [body[start:end] for *_, start, end in spans.values()] == [
        bytes(value) for value in members.values()
    ]


def test_items_are_found_where_they_stand() -> None:
    text = b'[ {"a":1} ,"x, y",[1,2] ,\n3]'
    assert [text[start:end] for start, end in item_spans(text)] == [b'{"a":1}', b'"x, y"', b"[1,2]", b"3"]


@pytest.mark.parametrize(
    "value", [b"true", b"1.0", b"-1", b"1e3", b'"5"', b"[5]", b"99999999999", b"2147483648"]
)
def test_a_limit_that_is_no_whole_number_is_refused_by_name(value: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read_whole(read_body(b'{"max_tokens":%s}' % value), "max_tokens", least=0)
    assert refused.value.param == "max_tokens"


def test_null_and_absent_members_are_alike() -> None:
    members = read_body(b'{"a":null}')
    assert read_whole(members, "a", least=1) is read_whole(members, "b", least=1) is None
    assert read_text(members, "a") is read_text(members, "b") is None
    assert read_flag(members, "a") is read_flag(members, "b") is False


@pytest.mark.parametrize("value", [b'"true"', b"1", b"{}"])
def test_a_flag_that_is_no_boolean_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match="`stream` must be true or false"):
        read_flag(read_body(b'{"stream":%s}' % value), "stream")


def test_text_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(BadRequest, match="`model` must be a string"):
        read_text(read_body(b'{"model":"\xff"}'), "model")
