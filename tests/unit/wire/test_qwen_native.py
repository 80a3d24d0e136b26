"""DashScope's native paths: what is asked, what the last frame says, and the limit among the parameters."""

import json

import pytest

from qlaud.core.errors import BadRequest, KeyCapExceeded
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.qwen_request import IMAGE_TOKENS, PAUSE_TOKENS, SOUND_TOKENS_PER_BYTE
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import AnswerHead, Asked, Changes, Headers, ModelCall

WIRE = WIRES["qwen_generation"]
SSE = ((b"x-dashscope-sse", b"enable"),)
EVENTS = AnswerHead(headers=((b"content-type", b"text/event-stream;charset=UTF-8"),))
JSON = AnswerHead(headers=((b"content-type", b"application/json"),))
HELLO = {"messages": [{"role": "user", "content": "Hi"}]}


def body(given: object = HELLO, model: str = "qwen3.8-max", **parameters: object) -> bytes:
    fields: dict[str, object] = {"model": model, "input": given}
    if parameters:
        fields["parameters"] = parameters
    return json.dumps(fields, separators=(",", ":")).encode()


def read(text: bytes, headers: Headers = ()) -> ModelCall:
    return WIRE.read_call(Asked(body=text, headers=headers))


def frame(number: int, content: str, reason: str = "null", **usage: object) -> bytes:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": reason}
    fields = {"output": {"choices": [choice]}, "usage": usage, "request_id": "r"}
    text = json.dumps(fields, separators=(",", ":"))
    return f"id:{number}\nevent:result\n:HTTP_STATUS/200\ndata:{text}\n\n".encode()


def outcome(stream: bytes, *, size: int = 65_536, call: ModelCall | None = None) -> Metered:
    tap = WIRE.tap(call or read(body(), SSE), strip_usage=False, head=EVENTS)
    pieces = [tap.feed(stream[at : at + size]) for at in range(0, len(stream), size)]
    assert b"".join((*pieces, tap.finish())) == stream
    return tap.outcome(input_bound=77)


def test_the_fields_that_matter_are_read() -> None:
    call = read(body(max_tokens=50, n=2, thinking_budget=20), SSE)
    assert (call.model, call.stream, call.wants_usage) == ("qwen3.8-max", True, True)
    assert (call.demand.max_output, call.demand.candidates, call.demand.thinking_budget) == (50, 2, 20)
    assert call.demand.input_tokens >= len(body(max_tokens=50, n=2, thinking_budget=20))


@pytest.mark.parametrize(
    ("headers", "streams"),
    [
        ((), False),
        (SSE, True),
        (((b"x-dashscope-sse", b"Enable"),), True),
        (((b"x-dashscope-sse", b"disable"),), False),
        (((b"accept", b"text/event-stream"),), True),
    ],
)
def test_a_header_asks_for_a_stream(headers: Headers, streams: bool) -> None:
    assert read(body(), headers).stream is streams


@pytest.mark.parametrize(
    "given",
    [
        {"messages": [{"role": "user", "content": [{"audio": "https://example.com/a.wav"}]}]},
        {"messages": [{"role": "user", "content": [{"video": ["https://example.com/1.png"]}]}]},
        {"messages": [{"role": "user", "content": [{"doc_url": ["https://example.com/a.pdf"]}]}]},
        {"messages": [{"role": "user", "content": [{"image": ["https://a", "https://b"]}]}]},
        {"messages": [{"role": "system", "content": "fileid://file-1"}]},
        {"messages": HELLO["messages"], "file_ids": ["file-1"]},
        {"prompt": "Hi", "image_url": "https://example.com/a.png"},
        {"messages": "what nobody knows"},
    ],
)
def test_input_that_is_not_in_the_body_counts_as_the_whole_context(given: object) -> None:
    assert read(body(given)).demand.whole_context


def test_a_file_of_the_operators_account_is_named() -> None:
    assert read(body({"messages": [{"role": "system", "content": "fileid://file-1"}]})).account_resource
    assert read(body({"messages": HELLO["messages"], "file_ids": ["file-1"]})).account_resource
    assert read(body()).account_resource is None


@pytest.mark.parametrize("spelled", ["fileid:\\/\\/file-fe-1", "file\\u0069d://file-fe-1"])
def test_a_file_is_found_however_its_address_is_spelled(spelled: str) -> None:
    system = body({"messages": [{"role": "system", "content": "HERE"}]}).replace(b"HERE", spelled.encode())
    call = read(system)
    assert (call.account_resource, call.demand.whole_context) == ("fileid", True)
    chat = b'{"model":"qwen-long","messages":[{"role":"system","content":"%b"}]}' % spelled.encode()
    asked = WIRES["openai_chat"].read_call(Asked(body=chat))
    assert (asked.account_resource, asked.demand.whole_context) == ("fileid", True)


def test_a_task_that_tells_no_usage_has_no_bound() -> None:
    assert read(body(), ((b"x-dashscope-async", b"enable"),)).demand.unbounded_tool == "x-dashscope-async"


def test_speech_beside_members_that_are_null_is_speech() -> None:
    call = read(body({"text": "Hello", "messages": None}))
    assert call.demand.most == {"characters": 10}


def test_a_picture_counts_as_many_tokens_as_one_may_have_and_not_as_text() -> None:
    url = "data:image/png;base64," + "A" * 90_000
    inline = body({"messages": [{"role": "user", "content": [{"text": "what?"}, {"image": url}]}]})
    demand = read(inline).demand
    assert demand.input_tokens == len(inline) - len(url) - 2 + IMAGE_TOKENS
    assert not demand.whole_context
    remote = body({"messages": [{"role": "user", "content": [{"image": "https://example.com/a.png"}]}]})
    assert read(remote).demand.input_tokens == len(remote) + IMAGE_TOKENS


@pytest.mark.parametrize("field", ["enable_search", "search_options", "plugins"])
def test_what_the_provider_does_beside_cannot_be_bounded(field: str) -> None:
    assert read(body(**{field: True})).demand.unbounded_tool == field
    assert read(body(**{field: False})).demand.unbounded_tool is None
    plugin = ((b"x-dashscope-plugin", b"{}"),)
    assert read(body(), plugin).demand.unbounded_tool == "x-dashscope-plugin"


def test_a_limit_that_stands_twice_is_refused() -> None:
    with pytest.raises(BadRequest, match="stands twice"):
        read(b'{"model":"m","input":{},"parameters":{"max_tokens":1,"max_tokens":9999}}')


def test_a_written_cache_is_held_for() -> None:
    part = {"text": "long", "cache_control": {"type": "ephemeral"}}
    assert read(body({"messages": [{"role": "user", "content": [part]}]})).demand.cache_ttls == {"5m"}


def test_the_limit_is_put_among_the_parameters() -> None:
    plain, call = body(), read(body())
    assert WIRE.rewrite(plain, call, Changes()) == plain
    changed = json.loads(WIRE.rewrite(plain, call, Changes(max_output=9, model="qwen-plus")))
    assert changed == {"model": "qwen-plus", "input": HELLO, "parameters": {"max_tokens": 9}}
    given = body(temperature=1, max_tokens=50)
    assert WIRE.rewrite(given, read(given), Changes(max_output=50)) == given
    lowered = WIRE.rewrite(given, read(given), Changes(max_output=9))
    assert lowered == given.replace(b'"max_tokens":50', b'"max_tokens":9')
    null = b'{"model":"m","parameters":null}'
    assert json.loads(WIRE.rewrite(null, read(null), Changes(max_output=9)))["parameters"] == {
        "max_tokens": 9
    }


@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_the_last_frame_counts_and_nothing_is_added_up(size: int) -> None:
    stream = (
        frame(1, "Hel", input_tokens=12, output_tokens=1)
        + frame(2, "Hello", input_tokens=12, output_tokens=2)
        + frame(3, "Hello you", "stop", input_tokens=12, output_tokens=3)
    )
    assert outcome(stream, size=size) == Exact(Usage(input_tokens=12, output_tokens=3))
    cut = stream[: stream.index(b"id:3")]
    assert outcome(cut, size=size) == AtLeast(Usage(input_tokens=12, output_tokens=2))


def test_output_is_counted_while_it_comes() -> None:
    tap = WIRE.tap(read(body(), SSE), strip_usage=False, head=EVENTS)
    for tokens in (1, 20, 300):
        tap.feed(frame(tokens, "x", input_tokens=12, output_tokens=tokens))
        assert (tap.output_floor, tap.started, tap.complete) == (tokens, True, False)
    tap.feed(frame(4, "x", "stop", input_tokens=12, output_tokens=400))
    assert (tap.output_floor, tap.complete) == (400, True)


def test_an_error_first_costs_nothing_and_a_later_one_what_was_seen() -> None:
    error = b'id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling","message":"slow"}\n\n'
    assert outcome(error) == Nothing()
    begun = frame(1, "Hel", input_tokens=12, output_tokens=1)
    assert outcome(begun + error) == AtLeast(Usage(input_tokens=12, output_tokens=1))


def test_one_choice_that_goes_on_is_not_the_end() -> None:
    choices = [
        {"message": {"content": "a"}, "finish_reason": "stop"},
        {"message": {"content": "b"}, "finish_reason": "null"},
    ]
    fields = {"output": {"choices": choices}, "usage": {"input_tokens": 5, "output_tokens": 4}}
    assert isinstance(outcome(b"data:%s\n\n" % json.dumps(fields).encode()), AtLeast)


def test_a_frame_of_five_megabytes_is_read_at_its_end() -> None:
    large = frame(1, "x" * 5_000_000, "stop", input_tokens=12, output_tokens=9)
    assert outcome(large) == Exact(Usage(input_tokens=12, output_tokens=9))


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"input_tokens": 100, "audio_tokens": 60, "image_tokens": 30, "output_tokens": 5},
            Usage(input_tokens=10, audio_in_tokens=60, image_in_tokens=30, output_tokens=5),
        ),
        ({"image_count": 2}, Usage(images=2)),
        ({"output_image_count": 1, "input_image_count": 3, "image_count": 1}, Usage(images=1, images_in=3)),
        ({"duration": 12.5}, Usage(audio_ms=12_500)),
        ({"input_tokens": "7", "output_tokens": -1, "prompt_tokens_details": None}, Usage(input_tokens=7)),
        (
            {
                "input_tokens": 9,
                "output_tokens": 8,
                "output_tokens_details": {"audio_tokens": 6, "text_tokens": 2},
            },
            Usage(input_tokens=9, output_tokens=2, audio_out_tokens=6),
        ),
        (
            {"input_tokens": 5, "output_tokens": 1, "prompt_tokens_details": {"cached_tokens": 99}},
            Usage(cache_read_tokens=5, output_tokens=1),
        ),
    ],
)
def test_every_kind_of_usage_is_read(usage: dict[str, object], expected: Usage) -> None:
    tap = WIRE.tap(read(body()), strip_usage=False, head=JSON)
    tap.feed(json.dumps({"output": {}, "usage": usage}).encode())
    tap.finish()
    assert tap.outcome(input_bound=0) == Exact(expected)


def test_pictures_are_held_for_by_the_piece() -> None:
    assert read(body(model="qwen-image-3.0")).demand.most == {"images": 1}
    assert read(body(model="qwen-image-3.0", n=3)).demand.most == {"images": 3}
    assert read(body(model="wan2.6-image")).demand.most == {"images": 4}


def test_speech_is_held_for_by_the_character_and_by_the_token() -> None:
    text = body({"text": "Hi 世界", "voice": "Cherry"}, model="qwen3-tts-flash")
    for call in (read(text), WIRES["qwen_speech"].read_call(Asked(body=text))):
        assert call.demand.most == {"characters": 10}
        assert call.demand.instead == {"audio_out_tokens": 9 * SOUND_TOKENS_PER_BYTE + PAUSE_TOKENS}
        assert call.expected is not None
        assert call.expected.characters == 7


def test_speech_by_the_token_is_told_in_characters_too() -> None:
    call = read(body({"text": "Hi", "voice": "Cherry"}, model="qwen-tts"))
    tap = WIRE.tap(call, strip_usage=False, head=JSON)
    tap.feed(b'{"output":{"audio":{}},"usage":{"input_tokens":3,"output_tokens":70}}')
    tap.finish()
    tokens = Usage(input_tokens=3, audio_out_tokens=70, instead=Usage(characters=2))
    assert tap.outcome(input_bound=0) == Exact(tokens)
    assert tap.output_floor == 0


@pytest.mark.parametrize(
    ("second", "text"),
    [("Hello there", "Hello there"), (" x", "")],
    ids=["the whole text so far", "what is new"],
)
def test_a_stream_that_ran_out_ends_as_the_provider_ends_one(second: str, text: str) -> None:
    tap = WIRE.tap(read(body(), SSE), strip_usage=False, head=EVENTS)
    tap.feed(frame(1, "Hello", input_tokens=1, output_tokens=1))
    tap.feed(frame(2, second, input_tokens=1, output_tokens=2))
    event = WIRE.length_stop(tap)
    told = json.loads(event.split(b"data:")[1])
    assert event.startswith(b"event:result\n:HTTP_STATUS/200\n")
    assert told["output"]["choices"][0] == {
        "message": {"role": "assistant", "content": text},
        "finish_reason": "length",
    }
    assert told["usage"] == {"input_tokens": 1, "output_tokens": 2}
    tap.feed(frame(3, "x", "stop", input_tokens=1, output_tokens=3))
    assert WIRE.length_stop(tap) == b""
    assert WIRE.length_stop(WIRE.tap(read(body()), strip_usage=False, head=JSON)) == b""


def test_an_error_in_a_stream_is_an_error_event_of_the_provider() -> None:
    event = WIRE.error_event(KeyCapExceeded(cap_micros=5, spent_micros=5, held_micros=0), "r")
    head, _, text = event.partition(b"data:")
    assert head == b"event:error\n:HTTP_STATUS/402\n"
    assert json.loads(text)["code"] == "key_cap_exceeded"
