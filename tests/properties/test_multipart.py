"""Any form, cut anywhere, is the same form; another parser reads the same; and bytes that are no form never crash."""

import contextlib
import email
from email.message import Message

from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.forms import BOUNDARY, KIND, joined, part, read

from qlaud.core.errors import BadRequest
from qlaud.wire.form import Form
from qlaud.wire.multipart import FormReader
from qlaud.wire.splice import apply

NAMES = st.sampled_from(["model", "file", "stamps[]", "é", "a b", "n"])
NEAR = [
    b"\r\n--" + BOUNDARY[:-1],
    b"\n",
    b"\r",
    b"\r\n",
    b"--",
    b"\r\n\r\n",
    b"--" + BOUNDARY,
    BOUNDARY,
    b"\r\n--",
    b'Content-Disposition: form-data; name="model"',
]
"""What nearly ends a part."""
VALUES = st.lists(st.sampled_from(NEAR) | st.binary(max_size=6), max_size=6).map(b"".join)
PARTS = st.lists(
    st.builds(part, NAMES, VALUES, filename=st.none() | st.sampled_from(["a.wav", ""])), max_size=5
)
CUTS = st.lists(st.integers(0, 400), max_size=12).map(sorted)
BODIES = st.builds(
    lambda parts, before, behind: before + joined(*parts) + behind,
    PARTS,
    st.sampled_from([b"", b"\r\n", b"old mailers\r\n"]),
    st.sampled_from([b"", b"\n", b"bye"]),
)
BROKEN = st.lists(st.sampled_from([*NEAR, b"\r\n--" + BOUNDARY, b"\x00", b'"', b"; name="]), max_size=25).map(
    b"".join
)


def outcome(body: bytes, cuts: list[int]) -> Form | None:
    """The form; None if it was refused."""
    try:
        return read(body, cuts=cuts)
    except BadRequest:
        return None


@given(BODIES | BROKEN, CUTS)
@example(joined(part("model", b"m")), list(range(200)))
@example(b"\r\n--" + BOUNDARY + b"\r\n" + b"\r\n" * 9, [1, 3])
def test_any_chunking_gives_the_same_form(body: bytes, cuts: list[int]) -> None:
    assert outcome(body, cuts) == outcome(body, []) == outcome(body, list(range(len(body))))


@given(PARTS)
def test_a_form_that_is_taken_reads_as_another_parser_reads_it(parts: list[bytes]) -> None:
    body = joined(*parts)
    found = outcome(body, [])
    if found is None or not parts or b"\r--" + BOUNDARY in body:
        return  # that parser takes a lone CR for a line break
    message = email.message_from_bytes(b"Content-Type: " + KIND + b"\r\n\r\n" + body)
    theirs = [name_of(one) for one in message.walk() if one is not message]
    ours = sorted(
        [(start, name) for name, spans in found.spans.items() for start, _ in spans]
        + [(file.offset, file.name) for file in found.files]
    )
    assert [name.replace("é", "??") for _, name in ours] == theirs


def name_of(one: Message) -> str:
    words = str(one["content-disposition"]).split('"')
    return words[1].encode("ascii", "replace").decode()


@given(BODIES, VALUES, CUTS)
def test_edits_change_what_they_name_and_nothing_else(body: bytes, value: bytes, cuts: list[int]) -> None:
    before = outcome(body, [])
    if before is None:
        return
    try:
        edits = before.edits({"model": value, "stream": b"true"})
    except BadRequest:
        return
    edited = apply(body, edits)
    after = read(edited, cuts=cuts)
    assert after.fields == {**before.fields, "model": (value,), "stream": (b"true",)}
    assert [edited[file.offset :][: file.size] for file in after.files] == [
        body[file.offset :][: file.size] for file in before.files
    ]


@given(st.binary(max_size=80))
def test_a_content_type_of_any_bytes_is_read_or_refused(kind: bytes) -> None:
    for header in (kind, b"multipart/form-data;" + kind):
        with contextlib.suppress(BadRequest):
            reader = FormReader(header)
            reader.feed(b"--")
            assert b"boundary=" in header.lower()
