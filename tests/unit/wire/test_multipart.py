"""Forms: where their fields and files stand, what is edited, and what is refused because it has two readings."""

import pytest
from tests.support.forms import BOUNDARY, KIND, form, joined, part, read

from qlaud.core.errors import BadRequest
from qlaud.wire.form import FilePart
from qlaud.wire.multipart import (
    MAX_FIELD_BYTES,
    MAX_HEAD_BYTES,
    MAX_KEPT_BYTES,
    MAX_PARTS,
    FormReader,
)
from qlaud.wire.splice import apply

FILE = part("file", b"\x00\xff\r\n--not it\r\n\n-", filename="a.wav", kind="audio/wav")
MODEL = part("model", b"whisper-1")


def refusal(body: bytes, kind: bytes = KIND) -> str:
    """Why the form is not taken, whole and byte by byte."""
    with pytest.raises(BadRequest) as whole:
        read(body, kind)
    with pytest.raises(BadRequest) as bytewise:
        read(body, kind, cuts=range(len(body)))
    assert bytewise.value.message == whole.value.message
    return whole.value.message


def named(head: bytes, value: bytes = b"v") -> bytes:
    return joined(head + b"\r\n\r\n" + value)


def test_a_field_behind_a_file_is_found_and_the_file_is_only_located() -> None:
    body = joined(FILE, MODEL)
    found = read(body)
    assert found.text("model") == "whisper-1"
    (file,) = found.files
    assert (file.name, file.filename, file.content_type) == ("file", "a.wav", "audio/wav")
    assert body[file.offset : file.offset + file.size] == b"\x00\xff\r\n--not it\r\n\n-"
    ((start, end),) = found.spans["model"]
    assert body[start:end] == b"whisper-1"


def test_an_absent_field_is_none_and_an_empty_one_is_empty() -> None:
    found = form(("language", ""))
    assert (found.text("model"), found.text("language")) == (None, "")


def test_a_form_without_parts_is_an_empty_form() -> None:
    assert read(b"--%s--" % BOUNDARY).fields == {}


def test_every_value_of_a_repeated_field_is_kept_in_order() -> None:
    found = form(("keyterms", "a"), ("model", "m"), ("keyterms", "b"))
    assert found.fields["keyterms"] == (b"a", b"b")


@pytest.mark.parametrize(
    "parts",
    [(MODEL, MODEL), (MODEL, part("model", b"x", filename="m.txt")), (part("model", b"x", filename=""),)],
)
def test_a_field_that_matters_is_refused_when_it_stands_twice_or_comes_as_a_file(
    parts: tuple[bytes, ...],
) -> None:
    found = read(joined(*parts))
    with pytest.raises(BadRequest, match="`model`") as refused:
        found.text("model")
    assert refused.value.param == "model"
    with pytest.raises(BadRequest):
        found.edits({"model": b"other"})


@pytest.mark.parametrize("value", [b"\xff", b"a\x00b"])
def test_a_field_that_is_no_text_is_refused_when_it_is_read(value: bytes) -> None:
    with pytest.raises(BadRequest, match="`model`"):
        read(joined(part("model", value))).text("model")


def test_numbers_and_flags_are_read_strictly() -> None:
    found = form(
        ("n", "3"), ("size", "-1"), ("odd", "٣"), ("stream", "True"), ("off", "0"), ("vague", "maybe")
    )
    assert found.whole("n", least=1, most=10) == 3
    assert found.whole("absent", least=1) is None
    assert (found.flag("stream"), found.flag("off"), found.flag("absent")) == (True, False, False)
    for wrong in ("size", "odd", "vague"):
        with pytest.raises(BadRequest, match="whole number"):
            found.whole(wrong, least=0, most=10)
    with pytest.raises(BadRequest, match="from 4 to 10"):
        found.whole("n", least=4, most=10)
    with pytest.raises(BadRequest, match="true or false"):
        found.flag("vague")


@pytest.mark.parametrize("parts", [(FILE, MODEL), (MODEL, FILE), (FILE,), ()])
def test_an_edit_sets_a_field_and_leaves_every_other_byte(parts: tuple[bytes, ...]) -> None:
    before = joined(*parts)
    found = read(before)
    after = apply(before, found.edits({"model": b"gpt-4o-transcribe", "stream": b"true"}))
    again = read(after)
    assert (again.text("model"), again.text("stream")) == ("gpt-4o-transcribe", "true")
    assert [after[f.offset : f.offset + f.size] for f in again.files] == [
        before[f.offset : f.offset + f.size] for f in found.files
    ]
    if MODEL in parts:
        assert after.startswith(before[: found.spans["model"][0][0]])


def test_a_field_that_says_it_already_needs_no_edit() -> None:
    assert read(joined(MODEL)).edits({"model": b"whisper-1"}) == []


@pytest.mark.parametrize("value", [b"--" + BOUNDARY, b"a\r\n--" + BOUNDARY + b"--", b"a\n--" + BOUNDARY])
def test_a_value_cannot_end_its_own_part(value: bytes) -> None:
    with pytest.raises(BadRequest, match="boundary"):
        form(("model", "m")).edits({"model": value})


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"Content-Disposition: form-data; name=model", "model"),
        (b'content-disposition:form-data;name="model"', "model"),
        (b'Content-Disposition: form-data; name="model";', "model"),
        (b'Content-Disposition: FORM-DATA; NAME="model"', "model"),
        (b'Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: binary', "model"),
        (b'Content-Length: 1\r\nContent-Disposition: form-data; name="model"', "model"),
        (b'Content-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset=utf-8', "model"),
        (b'Content-Disposition: form-data; name="m\xc3\xb6del"', "m\u00f6del"),
        (b'Content-Disposition: form-data; name="stamps[]"', "stamps[]"),
    ],
)
def test_names_are_read_as_real_clients_write_them(head: bytes, name: str) -> None:
    assert read(named(head)).fields == {name: (b"v",)}


@pytest.mark.parametrize(
    ("rest", "filename"),
    [
        (b'filename="a b.wav"', "a b.wav"),
        (b"filename=a.wav", "a.wav"),
        (b'filename="a\\"b.wav"', 'a"b.wav'),
        (b'filename="a%22b.wav"', "a%22b.wav"),
        (b"filename*=UTF-8''na%C3%AFve.wav", "na\u00efve.wav"),
        (b"filename=\"naive.wav\"; filename*=utf-8'en'na%C3%AFve.wav", "na\u00efve.wav"),
        (b"filename=\"naive.wav\"; filename*=UTF-8''%FF", "naive.wav"),
        (b'filename=""', ""),
        (b'filename="\xff.wav"', "\ufffd.wav"),
    ],
)
def test_file_names_are_read_in_every_spelling(rest: bytes, filename: str) -> None:
    found = read(named(b'Content-Disposition: form-data; name="file"; ' + rest))
    assert [(file.name, file.filename, file.size) for file in found.files] == [("file", filename, 1)]


@pytest.mark.parametrize(
    "kind", [b'multipart/form-data; boundary="%s"', b"Multipart/Form-Data;BOUNDARY=%s; charset=UTF-8"]
)
def test_the_boundary_is_read_quoted_and_beside_other_parameters(kind: bytes) -> None:
    assert read(joined(MODEL), kind % BOUNDARY).text("model") == "whisper-1"


def test_preamble_epilogue_and_padding_are_passed_over() -> None:
    body = b"for old mailers\r\n" + joined(MODEL, FILE).replace(BOUNDARY + b"\r\n", BOUNDARY + b" \t\r\n")
    found = read(body + b"what comes\nlater")
    assert read(joined(MODEL) + b"x" * (MAX_FIELD_BYTES + 100)).text("model") == "whisper-1"
    assert found.text("model") == "whisper-1"
    assert body[found.files[0].offset :].startswith(b"\x00\xff")


@pytest.mark.parametrize("end", [b"--", b"--\r\n", b"--\n", b"-- \r\n", b"--\r"])
def test_the_closing_boundary_may_be_the_last_thing_sent(end: bytes) -> None:
    assert read(joined(MODEL).removesuffix(b"--\r\n") + end).text("model") == "whisper-1"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (b"multipart/form-data", "no boundary"),
        (b'multipart/form-data; boundary=""', "no boundary"),
        (b"multipart/form-data; boundary=" + b"x" * 71, "shorter"),
        (b'multipart/form-data; boundary="a\tb"', "visible ASCII"),
        (b"multipart/form-data; boundary=a; boundary=b", "two boundary"),
        (b"multipart/form-data; boundary=a; charset=utf-7", "UTF-8"),
        (b"multipart/form-data; boundary = a", "cannot be read"),
        (b"application/json", "multipart/form-data"),
        (b"", "multipart/form-data"),
    ],
)
def test_a_content_type_without_a_usable_boundary_is_refused(kind: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        FormReader(kind)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "ends before its closing boundary"),
        (b"model=whisper-1", "ends before its closing boundary"),
        (joined(MODEL).removesuffix(b"--\r\n"), "ends before its closing boundary"),
        (joined(MODEL).removesuffix(b"-\r\n"), "ends before its closing boundary"),
        (joined(MODEL, boundary=b"another"), "ends before its closing boundary"),
        (joined(MODEL, FILE)[:-60], "ends before its closing boundary"),
        (joined(MODEL).replace(b"\r\n", b"\n"), "CR LF"),
        (joined(MODEL).replace(b"whisper-1\r\n", b"whisper-1\n"), "CR LF"),
        (joined(MODEL).replace(b"whisper-1\r\n", b""), "line break of its own"),
        (joined(MODEL) + joined(FILE), "goes on behind its closing boundary"),
        (joined(MODEL, part("x", b"a\r\n--" + BOUNDARY + b"x")), "followed by something else"),
        (joined(MODEL).replace(b"--\r\n", b"--x\r\n"), "followed by something else"),
        (joined(MODEL).replace(BOUNDARY + b"\r\n", BOUNDARY + b" " * 65 + b"\r\n"), "followed by something"),
        (named(b"Content-Type: text/plain"), "no name"),
        (joined(b"\r\nvalue"), "no name"),
        (named(b"Content-Disposition: form-data"), "one name"),
        (named(b'Content-Disposition: form-data; name=""'), "one name"),
        (named(b'Content-Disposition: attachment; name="model"'), "form-data"),
        (named(b'Content-Disposition: form-data; name="a"; name="model"'), "two name"),
        (named(b"Content-Disposition: form-data; name*=UTF-8''model"), "one name"),
        (named(b'Content-Disposition: form-data; name="a"; filename="\\"; name="model"'), "cannot be read"),
        (named(b'Content-Disposition: form-data; name="a"; filename="\\"; name=\\"model"'), "one name"),
        (named(b'Content-Disposition: form-data; name="mod\\el"'), "backslash"),
        (named(b'Content-Disposition: form-data; name="a\\"; name=\\"model"'), "one name"),
        (named(b'Content-Disposition: form-data; name="\xff"'), "UTF-8"),
        (named(b'Content-Disposition: form-data; name="a\x00"'), "NUL"),
        (named(b'Content-Disposition: form-data; name="model" x'), "cannot be read"),
        (named(b'Content-Disposition: form-data;\r\n name="model"'), "header line"),
        (named(b'Content-Disposition: form-data; name="model"\nX: y'), "header line"),
        (named(b'Content-Disposition : form-data; name="model"'), "header line"),
        (
            named(b'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"'),
            "two content-disposition",
        ),
        (
            named(b'Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: base64'),
            "Content-Transfer-Encoding",
        ),
        (
            named(
                b'Content-Disposition: form-data; name="model"\r\nContent-Type: text/plain; charset="utf-7"'
            ),
            "UTF-8",
        ),
    ],
)
def test_a_form_with_two_readings_or_none_is_refused_with_what_to_do(body: bytes, words: str) -> None:
    assert words in refusal(body)


def test_a_head_is_taken_up_to_its_limit() -> None:
    start = b'Content-Disposition: form-data; name="model"\r\nX-Note: '
    # The limit counts the line break before the lines, and none behind them.
    longest = start + b"x" * (MAX_HEAD_BYTES - len(start) - 2)
    assert read(named(longest), cuts=range(MAX_HEAD_BYTES + 200)).text("model") == "v"
    assert f"more than {MAX_HEAD_BYTES} bytes" in refusal(named(longest + b"x"))


def test_a_field_is_taken_up_to_its_limit_and_a_file_has_none() -> None:
    longest = b"x" * MAX_FIELD_BYTES
    assert read(joined(part("prompt", longest)), cuts=[90, 400]).fields["prompt"] == (longest,)
    assert f"`prompt` has more than {MAX_FIELD_BYTES}" in refusal(joined(part("prompt", longest + b"x")))
    (file,) = read(joined(part("file", longest * 9, filename="a.bin"))).files
    assert file.size == 9 * MAX_FIELD_BYTES


def test_all_fields_together_are_taken_up_to_their_limit() -> None:
    parts = [part("prompt", b"x" * MAX_FIELD_BYTES) for _ in range(MAX_KEPT_BYTES // MAX_FIELD_BYTES)]
    assert len(read(joined(*parts[1:])).fields["prompt"]) == len(parts) - 1
    with pytest.raises(BadRequest, match=f"more than {MAX_KEPT_BYTES} bytes together"):
        read(joined(*parts))


def test_parts_are_taken_up_to_their_number() -> None:
    parts = [part("k", b"")] * MAX_PARTS
    assert len(read(joined(*parts)).fields["k"]) == MAX_PARTS
    with pytest.raises(BadRequest, match=f"more than {MAX_PARTS} parts"):
        read(joined(*parts, part("k", b"")))


def test_a_file_part_says_all_that_is_known_of_it() -> None:
    (file,) = form(file=b"RIFF").files
    assert file == FilePart("file", "audio.wav", "application/octet-stream", file.offset, 4)
