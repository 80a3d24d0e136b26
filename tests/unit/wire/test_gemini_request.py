"""What a Gemini request asks, that the bound on its input is a bound, and that only what must change does."""

import base64
import json

import pytest
from tests.support.media_files import FTYP, box, chunk, movie, stsz, stts, track, wav, wav_format

from qlaud.core.errors import BadRequest, InvalidJson, UnsupportedField
from qlaud.wire.gemini import GeminiWire
from qlaud.wire.gemini_media import IMAGE_TOKENS
from qlaud.wire.gemini_request import LARGE_PICTURE_TOKENS, PICTURE_TOKENS
from qlaud.wire.gemini_tools import COMPUTER_TOKENS, TOOL_PROMPT_TOKENS
from qlaud.wire.types import Asked, Changes, ModelCall

WIRE = GeminiWire()
MODEL = "gemini-3.8-flash"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(3000)
JPEG = b"\xff\xd8\xff\xe0" + bytes(3000)
WEBP = b"RIFF\x00\x00\x00\x00WEBP" + bytes(3000)
HEIC = b"\x00\x00\x00\x18ftypheic" + bytes(3000)
FILM = b"\x00\x00\x00\x18ftypisom" + bytes(3000)
PDF = b"%PDF-1.7\n" + bytes(3000)


def read_bytes(body: bytes, *, model: str = MODEL, query: bytes = b"", stream: bool = False) -> ModelCall:
    return WIRE.read_call(Asked(body=body, model=model, query=query, stream=stream))


def body(**fields: object) -> bytes:
    base: dict[str, object] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    return json.dumps({**base, **fields}, separators=(",", ":")).encode()


def read(*, model: str = MODEL, **fields: object) -> ModelCall:
    return read_bytes(body(**fields), model=model)


def user(*parts: object) -> list[object]:
    return [{"role": "user", "parts": list(parts)}]


def blob(data: bytes, kind: str, **more: object) -> dict[str, object]:
    return {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode(), **more}}


def test_the_fields_that_matter_are_read() -> None:
    config = {"maxOutputTokens": 50, "candidateCount": 3, "thinkingConfig": {"thinkingBudget": 700}}
    call = read_bytes(body(generationConfig=config, serviceTier="flex"), query=b"alt=sse", stream=True)
    assert (call.model, call.stream, call.wants_usage, call.end_user) == (MODEL, True, True, None)
    demand = call.demand
    assert (demand.max_output, demand.candidates, demand.thinking_budget, demand.tier) == (50, 3, 700, "flex")
    assert (demand.whole_context, demand.unbounded_tool, call.account_resource) == (False, None, None)


def test_protobufs_other_spelling_is_read_too() -> None:
    config = {"max_output_tokens": 50, "candidate_count": 3, "thinking_config": {"thinking_budget": 700}}
    call = read(
        generation_config=config, service_tier="SERVICE_TIER_PRIORITY", cached_content="cachedContents/x"
    )
    demand = call.demand
    assert (demand.max_output, demand.candidates, demand.thinking_budget) == (50, 3, 700)
    assert (demand.tier, demand.whole_context, call.account_resource) == ("priority", True, "cachedContent")


@pytest.mark.parametrize(
    "text",
    [
        b'{"generationConfig":{"maxOutputTokens":5},"generation_config":{"maxOutputTokens":900000}}',
        b'{"generationConfig":{"maxOutputTokens":5,"max_output_tokens":900000}}',
        b'{"generationConfig":{"maxOutputTokens":5,"maxOutputTokens":900000}}',
        b'{"generationConfig":{"maxOutputTokens":5,"maxOutput\\u0054okens":900000}}',
        b'{"contents":[],"contents":[{"parts":[{"text":"much"}]}]}',
        b'{"serviceTier":"flex","service_tier":"priority"}',
        b'{"tools":[{"googleSearch":{},"google_search":{}}]}',
    ],
)
def test_what_is_named_twice_is_refused(text: bytes) -> None:
    with pytest.raises(BadRequest, match="stands twice"):
        read_bytes(text)


@pytest.mark.parametrize("limit", ["50", 5.5, 0, -1, True, 2**40, [5]])
def test_a_limit_must_be_a_whole_number(limit: object) -> None:
    with pytest.raises(BadRequest, match="maxOutputTokens"):
        read(generationConfig={"maxOutputTokens": limit})


def test_null_is_as_good_as_absent() -> None:
    call = read(
        generationConfig=None, tools=None, cachedContent=None, systemInstruction=None, serviceTier=None
    )
    assert (call.demand.max_output, call.demand.whole_context, call.account_resource) == (None, False, None)
    assert read(generationConfig={"maxOutputTokens": None, "thinkingConfig": None}).demand.max_output is None


def test_a_body_that_is_no_object_is_refused_and_so_is_a_path_without_model() -> None:
    for text in (b"", b"{", b'{"contents": [}'):
        with pytest.raises(InvalidJson):
            read_bytes(text)
    for text in (b"[]", b'"text"', b"5"):
        with pytest.raises(BadRequest):
            read_bytes(text)
    with pytest.raises(BadRequest):
        read_bytes(body(), model="")


def test_a_body_cannot_name_another_model_than_its_path() -> None:
    assert read(model="gemini-3.8-flash").model == "gemini-3.8-flash"
    assert read_bytes(b'{"model":"models/gemini-3.8-flash"}').model == MODEL
    with pytest.raises(BadRequest, match="must be the path's"):
        read_bytes(b'{"model":"models/gemini-4-argon"}')


@pytest.mark.parametrize(
    "query", [b"", b"alt=sse", b"alt=json", b"key=x", b"alt=sse&key=x&prettyPrint=false"]
)
def test_query_parameters_that_change_no_usage_pass(query: bytes) -> None:
    assert read_bytes(body(), query=query).model == MODEL


@pytest.mark.parametrize(
    "query",
    [
        b"fields=candidates",
        b"$fields=candidates",
        b"%66ields=candidates",
        b"alt=proto",
        b"alt=sse&alt=proto",
        b"alt=sse&alt=json",
        b"%24alt=proto",
        b"callback=f",
        b"access_token=ya29",
        b"alt=sse&fields=candidates/content",
    ],
)
def test_a_query_parameter_that_could_hide_the_usage_is_refused(query: bytes) -> None:
    with pytest.raises(UnsupportedField):
        read_bytes(body(), query=query)


def test_text_is_bounded_by_its_bytes() -> None:
    text = "na\u00efve \U0001f600 " * 50
    demand = read(contents=user({"text": text}), systemInstruction={"parts": [{"text": text}]}).demand
    assert demand.input_tokens >= 2 * len(text.encode())
    assert not demand.whole_context


@pytest.mark.parametrize(
    ("data", "kind"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp"), (HEIC, "image/heic")]
)
def test_a_picture_counts_as_the_most_one_can_cost(data: bytes, kind: str) -> None:
    part = blob(data, kind)
    text = body(contents=user(part, {"text": "what is it"}))
    demand = read_bytes(text).demand
    written = len(json.dumps(part["inlineData"]["data"]))  # type: ignore[index]
    assert demand.input_tokens == len(text) - written + IMAGE_TOKENS
    assert not demand.whole_context


def test_every_spelling_and_place_of_a_picture_is_found() -> None:
    snake = {"inline_data": {"mime_type": "image/png", "data": base64.b64encode(PNG).decode()}}
    result = {"functionResponse": {"name": "f", "response": {}, "parts": [blob(PNG, "image/png")]}}
    for contents in (user(snake), {"parts": snake}, user(result), [{"parts": snake}]):
        demand = read(contents=contents).demand
        assert IMAGE_TOKENS <= demand.input_tokens < IMAGE_TOKENS + 400
        assert not demand.whole_context
    demand = read(systemInstruction={"parts": [blob(PNG, "image/png")]}).demand
    assert demand.input_tokens > IMAGE_TOKENS


def test_urlsafe_and_escaped_base64_is_a_picture_too() -> None:
    data = b"\xff\xd8\xff\xfb\xff\xfe" + bytes(60)
    urlsafe = base64.urlsafe_b64encode(data).decode()
    assert "_" in urlsafe
    parts = [{"inlineData": {"mimeType": "image/jpeg", "data": urlsafe}}]
    assert not read(contents=user(*parts)).demand.whole_context
    escaped = body(contents=user(blob(data, "image/jpeg"))).replace(b"/9j", b"\\/9j")
    assert b"\\/9j" in escaped
    assert not read_bytes(escaped).demand.whole_context


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PDF, "application/pdf"),
        (PDF, "image/png"),
        (PDF, "text/plain"),
        (b"\xef\xbb\xbf" + PDF, "text/plain"),
        (FILM, "video/mp4"),
        (FILM, "audio/mp4"),
        (b"no sound at all", "audio/wav"),
        (FILM, "image/heic"),
        (b"RIFF\x00\x00\x00\x00WAVE", "image/webp"),
        (b"GIF89a" + bytes(90), "image/gif"),
        (b"not a picture", "image/png"),
        (b"", "image/png"),
        (PNG, ""),
        (PNG, "application/octet-stream"),
    ],
)
def test_what_nothing_in_the_body_bounds_counts_as_the_whole_context(data: bytes, kind: str) -> None:
    assert read(contents=user(blob(data, kind))).demand.whole_context


SOUND = wav(wav_format(), chunk(b"data", bytes(320_000)))
"""Ten seconds."""
PICTURES_ENTRY = box(b"avc1", bytes(78))
PICTURES = track(
    PICTURES_ENTRY, stts((900, 1000)), stsz(900), scale=30_000, duration=900_000, handler=b"vide"
)
MOVIE = FTYP + movie(PICTURES, duration=30_000) + box(b"mdat", bytes(100))
"""Half a minute."""


def media_tokens(part: dict[str, object]) -> int:
    """What is added for a part that is no text."""
    text = body(contents=user(part))
    demand = read_bytes(text).demand
    assert not demand.whole_context
    data: str = part["inlineData"]["data"]  # type: ignore[index]
    return demand.input_tokens - len(text) + len(data) + 2


def test_sound_is_bounded_by_how_long_it_plays() -> None:
    for kind in ("audio/wav", "AUDIO/x-wav"):
        assert 320 <= media_tokens(blob(SOUND, kind)) <= 400
    lie = wav(wav_format(), chunk(b"data", bytes(320_000), says=3200))
    assert media_tokens(blob(lie, "audio/wav")) >= 320, "a header says less than is there"
    urlsafe = {"inlineData": {"mimeType": "audio/wav", "data": base64.urlsafe_b64encode(SOUND).decode()}}
    assert media_tokens(urlsafe) >= 320
    broken = {
        "inlineData": {"mimeType": "audio/wav", "data": base64.b64encode(SOUND).decode()[:-5] + "#===="}
    }
    assert read(contents=user(broken)).demand.whole_context


def test_a_film_is_bounded_by_its_frames() -> None:
    film = blob(MOVIE, "video/mp4")
    assert 30 * 300 <= media_tokens(film) <= 31 * 400
    for fast in ({"videoMetadata": {"fps": 5}}, {"video_metadata": {"fps": 5.0, "startOffset": "1s"}}):
        assert media_tokens({**film, **fast}) >= 5 * 30 * 300
    assert media_tokens({**film, "videoMetadata": {"fps": 0.1}}) >= 30 * 300
    for odd in (
        {"contentLayers": ["TRANSCRIPT"]},
        {"fps": "5"},
        {"fps": 1000},
        {"fps": -1},
        {"fps": 1e400},
        5,
    ):
        text = body(contents=user({**film, "videoMetadata": odd})).replace(b"Infinity", b"1e999")
        assert read_bytes(text).demand.whole_context
    twice = body(contents=user({**film, "videoMetadata": {"fps": 1}}))
    twice = twice.replace(b'"videoMetadata"', b'"videoMetadata":{"fps":24},"videoMetadata"')
    with pytest.raises(BadRequest, match="stands twice"):
        read_bytes(twice)


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "TEXT/CSV", "application/json"])
def test_a_text_file_is_bounded_by_its_bytes(kind: str) -> None:
    demand = read(contents=user(blob(b"a,b\n" * 500, kind))).demand
    assert demand.input_tokens >= 2000
    assert not demand.whole_context


@pytest.mark.parametrize(
    "part",
    [
        {"newThing": {"pages": 900}},
        {"text": "x", "mediaProcessing": "AGENTIC"},
        {"text": "x", "documentMetadata": {}},
        {"inlineData": "text"},
        {"inlineData": {"mimeType": "image/png"}},
        {"inlineData": {"mimeType": "image/png", "data": "###"}},
        {"functionResponse": {"name": "f", "parts": [{"newThing": 1}]}},
        "just text",
    ],
)
def test_an_unknown_part_counts_as_the_whole_context(part: object) -> None:
    assert read(contents=user(part)).demand.whole_context


@pytest.mark.parametrize("contents", ["text", 5, [[]], [{"parts": 5}], [{"pieces": []}]])
def test_unreadable_contents_count_as_the_whole_context(contents: object) -> None:
    assert read(contents=contents).demand.whole_context


@pytest.mark.parametrize(
    "twice",
    [
        '{"parts":[{"inlineData":PDF,"inlineData":PNG}]}',
        '{"parts":[{"inlineData":PDF}],"parts":[{"inlineData":PNG}]}',
        '{"parts":[{"inline\\u0044ata":PDF,"inlineData":PNG}]}',
        '{"parts":[{"functionResponse":{"parts":[{"inlineData":PDF,"inlineData":PNG}]}}]}',
        '{"parts":[{"inlineData":{"mimeType":"application/pdf","mimeType":"image/png","data":"D"}}]}',
        '{"parts":[{"inlineData":{"mimeType":"application/pdf","mime_type":"image/png","data":"D"}}]}',
    ],
)
def test_a_picture_cannot_hide_a_document_of_the_same_name(twice: str) -> None:
    png, pdf = (
        json.dumps(blob(data, kind)["inlineData"]) for data, kind in ((PNG, "image/png"), (PDF, "text/x"))
    )
    text = twice.replace("PNG", png).replace("PDF", pdf)
    with pytest.raises(BadRequest, match="stands twice"):
        read_bytes(b'{"contents":[%b]}' % text.encode())


def test_a_name_within_the_callers_own_data_is_no_second_picture() -> None:
    arguments = {"functionCall": {"name": "f", "args": {"inlineData": {"fileData": 1}, "note": "\u00e9"}}}
    demand = read_bytes(json.dumps({"contents": user(arguments, blob(PNG, "image/png"))}).encode()).demand
    assert IMAGE_TOKENS < demand.input_tokens < IMAGE_TOKENS + 400
    assert not demand.whole_context


@pytest.mark.parametrize(
    ("uri", "resource"),
    [
        ("https://generativelanguage.googleapis.com/v1beta/files/abc", "fileData"),
        ("https://GENERATIVELANGUAGE.googleapis.com/v1beta/files/abc", "fileData"),
        ("files/abc", "fileData"),
        ("gs://bucket/x", "fileData"),
        ("", "fileData"),
        ("https://www.youtube.com/watch?v=1", None),
        ("https://example.com/a.pdf", None),
    ],
)
def test_a_file_of_the_operators_account_is_told_apart_from_one_on_the_web(
    uri: str, resource: str | None
) -> None:
    for part in ({"fileData": {"fileUri": uri}}, {"file_data": {"file_uri": uri, "mime_type": "video/mp4"}}):
        call = read(contents=user(part))
        assert (call.demand.whole_context, call.account_resource) == (True, resource)


def test_a_file_in_a_shape_we_cannot_read_is_taken_for_the_operators() -> None:
    for text in (b'[{"parts":[{"fileData":5}]}]', b'[[{"fileData":{}}]]', b'[[{"file\\u0044ata":{}}]]'):
        assert read_bytes(b'{"contents":%b}' % text).account_resource == "fileData"


@pytest.mark.parametrize(
    ("tool", "model", "searches", "unbounded"),
    [
        ({"functionDeclarations": [{"name": "f"}]}, MODEL, 0, None),
        ({"googleSearch": {}}, "gemini-2.5-flash", 1, None),
        ({"google_search_retrieval": {}}, "gemini-2.0-flash", 1, None),
        ({"googleSearch": {}, "googleMaps": {}}, "gemini-2.5-pro", 2, None),
        ({"googleSearch": {}}, MODEL, 0, "googleSearch"),
        ({"googleMaps": {}}, "gemini-4-argon", 0, "googleMaps"),
        ({"google_search": {}}, "nano-banana", 0, "googleSearch"),
        ({"mcpServers": []}, MODEL, 0, "mcpServers"),
        ({"newTool": {}}, "gemini-2.5-flash", 0, "newTool"),
        ({"googleSearch": None}, MODEL, 0, None),
    ],
)
def test_a_search_is_bounded_where_it_is_billed_by_the_request(
    tool: object, model: str, searches: int, unbounded: str | None
) -> None:
    for tools in ([tool], tool):
        demand = read(model=model, tools=tools).demand
        assert (demand.most.get("web_searches", 0), demand.unbounded_tool) == (searches, unbounded)
        assert demand.whole_context == (searches > 0)


def test_tools_that_are_paid_in_tokens_count_as_the_whole_context() -> None:
    for name in ("urlContext", "codeExecution", "url_context", "code_execution"):
        call = read(tools=[{name: {}}])
        assert (call.demand.whole_context, call.demand.unbounded_tool, call.account_resource) == (
            True,
            None,
            None,
        )
    call = read(tools=[{"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/x"]}}])
    assert (call.demand.whole_context, call.account_resource) == (True, "fileSearch")


def test_going_on_with_an_answer_counts_as_the_whole_context() -> None:
    demand = read(continuationToken="opaque").demand
    assert (demand.whole_context, demand.unbounded_tool) == (True, None)


def test_hidden_prompts_of_tools_are_added() -> None:
    plain = read(tools=[]).demand.input_tokens
    declared = read(tools=[{"functionDeclarations": []}]).demand.input_tokens
    assert declared >= plain + TOOL_PROMPT_TOKENS
    assert read(tools=[{"computerUse": {}}]).demand.input_tokens >= plain + COMPUTER_TOKENS
    formatted = read(generationConfig={"responseJsonSchema": {}}).demand.input_tokens
    assert formatted >= read(generationConfig={}).demand.input_tokens + TOOL_PROMPT_TOKENS


@pytest.mark.parametrize("tools", ["googleSearch", 5, ["googleSearch"], [5]])
def test_tools_that_are_none_are_refused(tools: object) -> None:
    with pytest.raises(BadRequest, match="tools"):
        read(tools=tools)


def test_a_member_nobody_knows_may_cost_anything() -> None:
    assert read(agents=[]).demand.unbounded_tool == "agents"
    assert read(agents=None).demand.unbounded_tool is None
    known = read(safetySettings=[], toolConfig={}, store=True, labels={})
    assert (known.demand.unbounded_tool, known.demand.whole_context) == (None, False)


@pytest.mark.parametrize("budget", [-1, 0, None])
def test_a_budget_left_to_the_model_raises_no_floor(budget: int | None) -> None:
    assert read(generationConfig={"thinkingConfig": {"thinkingBudget": budget}}).demand.thinking_budget == 0


@pytest.mark.parametrize(
    ("model", "config", "floor"),
    [
        ("nano-banana", {}, PICTURE_TOKENS),
        ("gemini-3-pro-image-preview", {"imageConfig": {"imageSize": "4K"}}, LARGE_PICTURE_TOKENS),
        ("gemini-3-pro-image-preview", {"image_config": {"image_size": "2K"}}, LARGE_PICTURE_TOKENS),
        ("gemini-3-pro-image-preview", {"responseModalities": ["TEXT"]}, 0),
        (MODEL, {"responseModalities": ["Text", "Image"]}, PICTURE_TOKENS),
        (MODEL, {"response_modalities": ["AUDIO"]}, 0),
        ("gemini-3.8-flash-tts", {}, 0),
    ],
)
def test_money_lowers_no_limit_below_one_picture(model: str, config: object, floor: int) -> None:
    assert read(model=model, generationConfig=config).demand.thinking_budget == floor


def rewritten(text: bytes, **changes: object) -> bytes:
    return WIRE.rewrite(text, read_bytes(text), Changes(**changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (b'{"a":1}', b'{"generationConfig":{"maxOutputTokens":9},"a":1}'),
        (b"{}", b'{"generationConfig":{"maxOutputTokens":9}}'),
        (b'{"generationConfig": null}', b'{"generationConfig": {"maxOutputTokens":9}}'),
        (b'{"generation_config": {}}', b'{"generation_config": {"maxOutputTokens":9}}'),
        (
            b'{ "generationConfig" : { "topP": 0.10 , "maxOutputTokens" : 50 } }',
            b'{ "generationConfig" : { "topP": 0.10 , "maxOutputTokens" : 9 } }',
        ),
        (
            b'{"generation_config":{"max_output_tokens":50}}',
            b'{"generation_config":{"max_output_tokens":9}}',
        ),
        (
            b'{"generationConfig":{"max_output_tokens":null,"topK":1}}',
            b'{"generationConfig":{"max_output_tokens":9,"topK":1}}',
        ),
    ],
)
def test_a_limit_is_written_where_it_stands_and_nothing_else_changes(text: bytes, after: bytes) -> None:
    assert rewritten(text, max_output=9, limit_field="maxOutputTokens") == after
    assert read_bytes(after).demand.max_output == 9


def test_a_body_that_says_so_already_is_left_alone() -> None:
    text = b'{ "generationConfig":{"maxOutputTokens":9} ,"x": 1.50}'
    assert rewritten(text, max_output=9) is text
    assert rewritten(text, model="gemini-x") is text
    assert rewritten(text) is text


def test_a_model_that_the_body_repeats_follows_the_path() -> None:
    assert (
        rewritten(b'{"model":"models/gemini-3.8-flash"}', model="gemini-x") == b'{"model":"models/gemini-x"}'
    )
