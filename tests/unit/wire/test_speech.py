"""Text to speech: what is held, what is billed, and that no byte of the sound is looked at."""

import json

import pytest

from qlaud.core.errors import BadRequest, KeyCapExceeded
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.wire.openai_speech import PAUSE_TOKENS, SOUND_TOKENS_PER_BYTE
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import AnswerHead, Asked, Changes, ModelCall

SOUND = AnswerHead(headers=((b"content-type", b"audio/mpeg"),))
EVENTS = AnswerHead(headers=((b"content-type", b"text/event-stream"),))
JSON = AnswerHead(headers=((b"content-type", b"application/json"),))


def read(
    wire: str, *, query: bytes = b"", model: str = "usual", stream: bool = False, **fields: object
) -> ModelCall:
    body = json.dumps(fields, ensure_ascii=False).encode()
    return WIRES[wire].read_call(Asked(body=body, query=query, model=model, stream=stream))


def capped() -> KeyCapExceeded:
    return KeyCapExceeded(cap_micros=5, spent_micros=5, held_micros=0)


@pytest.mark.parametrize(
    ("wire", "text_field"),
    [
        ("openai_speech", "input"),
        ("mistral_speech", "input"),
        ("elevenlabs_speech", "text"),
        ("cartesia_speech", "transcript"),
        ("xai_speech", "text"),
    ],
)
def test_what_is_spoken_is_held_for_and_billed_by_its_code_points(wire: str, text_field: str) -> None:
    call = read(wire, **{text_field: "Grüße 😀"})
    assert call.demand.most == {"characters": 7}
    tap = WIRES[wire].tap(call, strip_usage=False, head=SOUND)
    outcome = tap.outcome(input_bound=0)
    assert isinstance(outcome, Exact)
    assert outcome.usage.characters == 7


@pytest.mark.parametrize("wire", [name for name in WIRES if name.endswith("_speech")])
def test_a_text_that_stands_twice_is_refused_for_either_might_be_spoken(wire: str) -> None:
    body = (
        b'{"text":"a","text":"aaaaaaaaa","input":"a","input":"aaaaaaaa","transcript":"a","transcript":"aaaa"}'
    )
    with pytest.raises(BadRequest, match="stands twice"):
        WIRES[wire].read_call(Asked(body=body, model="m"))


def test_a_voice_that_is_named_twice_is_refused_for_either_might_speak() -> None:
    with pytest.raises(BadRequest, match="`model` stands twice in the query"):
        read("deepgram_speak", query=b"model=aura-asteria-en&model=aura-2-thalia-en", text="hi")


def test_a_dialogue_costs_all_of_its_lines() -> None:
    call = read("elevenlabs_speech", inputs=[{"text": "ab", "voice_id": "x"}, {"text": "cde"}, "no line", {}])
    assert call.demand.most == {"characters": 5}
    assert call.model == "eleven_v3"


@pytest.mark.parametrize(
    ("wire", "field"),
    [("elevenlabs_speech", "model_id"), ("cartesia_speech", "model_id"), ("openai_speech", "model")],
)
def test_the_model_is_the_one_named_else_that_of_the_path(wire: str, field: str) -> None:
    assert read(wire, **{field: "named"}).model == "named"
    assert read(wire).model == "usual"


def test_a_path_without_a_model_has_one_of_ours() -> None:
    assert read("xai_speech", model="grok-tts", text="a").model == "grok-tts"


def test_only_the_name_of_the_model_changes_on_the_way() -> None:
    body = b'{ "text": "a",  "model_id":"alias" }'
    wire = WIRES["elevenlabs_speech"]
    call = wire.read_call(Asked(body=body, model="usual"))
    assert wire.rewrite(body, call, Changes()) == body
    assert wire.rewrite(body, call, Changes(model="alias")) == body
    assert wire.rewrite(body, call, Changes(model="eleven_v3")) == b'{ "text": "a",  "model_id":"eleven_v3" }'


@pytest.mark.parametrize("wire", ["xai_speech", "deepgram_speak"])
def test_a_body_that_names_no_model_is_never_given_one(wire: str) -> None:
    body = b'{"text":"a"}'
    call = WIRES[wire].read_call(Asked(body=body, model="m"))
    assert WIRES[wire].rewrite(body, call, Changes(model="another")) == body
    assert call.model_field == ""


@pytest.mark.parametrize(
    ("voice", "family"),
    [
        ("aura-2-thalia-en", "aura-2"),
        ("aura-2", "aura-2"),
        ("aura-asteria-en", "aura"),
        ("Aura-2-Thalia-EN", "aura-2"),
        ("flux-tts", "flux-tts"),
    ],
)
def test_a_voice_of_deepgram_has_the_price_of_its_family(voice: str, family: str) -> None:
    assert read("deepgram_speak", query=f"model={voice}".encode(), text="a").model == family


def test_deepgram_is_held_by_bytes_and_billed_by_its_own_count() -> None:
    call = read("deepgram_speak", text="Grüße")
    assert call.demand.most == {"characters": 7}
    wire = WIRES["deepgram_speak"]
    counted = AnswerHead(headers=((b"content-type", b"audio/mpeg"), (b"dg-char-count", b"6")))
    assert wire.tap(call, strip_usage=False, head=counted).outcome(input_bound=0) == Exact(
        Usage(characters=6)
    )
    assert wire.tap(call, strip_usage=False, head=SOUND).outcome(input_bound=0) == AtLeast(
        Usage(characters=5)
    )


@pytest.mark.parametrize("told", [b"", b"many", b"-3", b"1e400", b"nan"])
def test_a_count_that_makes_no_sense_is_none(told: bytes) -> None:
    call = read("deepgram_speak", text="abc")
    head = AnswerHead(headers=((b"dg-char-count", told),))
    tap = WIRES["deepgram_speak"].tap(call, strip_usage=False, head=head)
    assert tap.outcome(input_bound=0) == AtLeast(Usage(characters=3))


def test_credits_are_kept_beside_the_characters() -> None:
    head = AnswerHead(headers=((b"content-type", b"audio/mpeg"), (b"character-cost", b"403")))
    call = read("elevenlabs_speech", text="a" * 735)
    outcome = WIRES["elevenlabs_speech"].tap(call, strip_usage=False, head=head).outcome(input_bound=0)
    assert outcome == Exact(Usage(characters=735, detail={"credits": 403}))


@pytest.mark.parametrize("wire", ["elevenlabs_speech", "openai_speech", "mistral_speech", "deepgram_speak"])
def test_sound_goes_on_as_it_comes_and_a_json_body_waits_for_its_bill(wire: str) -> None:
    call = read(wire, text="a", input="a")
    assert WIRES[wire].tap(call, strip_usage=False, head=SOUND).as_it_comes
    assert not WIRES[wire].tap(call, strip_usage=False, head=JSON).as_it_comes


def test_json_by_the_line_goes_on_as_it_comes_where_the_path_streams() -> None:
    call = read("elevenlabs_speech", text="a", stream=True)
    assert WIRES["elevenlabs_speech"].tap(call, strip_usage=False, head=JSON).as_it_comes


@pytest.mark.parametrize("wire", [name for name in WIRES if name.endswith(("_speech", "_speak"))])
def test_a_refusal_costs_nothing(wire: str) -> None:
    call = read(wire, text="a", input={"text": "a"} if wire == "qwen_speech" else "a", transcript="a")
    tap = WIRES[wire].tap(call, strip_usage=False, head=AnswerHead(422, JSON.headers))
    tap.feed(b'{"detail":[{"loc":["body"],"msg":"no","type":"x"}],"error":{"message":"no"},"code":"x",')
    tap.feed(b'"base_resp":{"status_code":2013}}')
    tap.finish()
    assert tap.outcome(input_bound=5) == Nothing()


def test_tokens_are_held_for_eight_times_what_usual_speech_needs() -> None:
    call = read("openai_speech", input="abcd", instructions="slowly")
    assert call.demand.instead == {"audio_out_tokens": 4 * SOUND_TOKENS_PER_BYTE + PAUSE_TOKENS}
    assert call.demand.input_tokens >= len("abcdslowly")
    assert call.demand.max_output == 0


def test_a_piece_of_sound_of_five_megabytes_is_relayed_and_not_kept() -> None:
    call = read("openai_speech", input="abcd", stream_format="sse")
    assert call.stream
    tap = WIRES["openai_speech"].tap(call, strip_usage=False, head=EVENTS)
    piece = b'data: {"type":"speech.audio.delta","audio":"%s"}\n\n' % (b"A" * 5_000_000)
    done = b'data: {"type":"speech.audio.done","usage":{"input_tokens":5,"output_tokens":9}}\n\n'
    relayed = b"".join(tap.feed(piece[at : at + 65_536]) for at in range(0, len(piece), 65_536))
    assert relayed + tap.feed(done) == piece + done
    outcome = tap.outcome(input_bound=0)
    assert isinstance(outcome, Exact)
    assert (outcome.usage.input_tokens, outcome.usage.audio_out_tokens) == (5, 9)


@pytest.mark.parametrize("usage", ["null", "{}", '{"output_tokens":0}', '{"output_tokens":"many"}', "[]"])
def test_events_without_a_usage_that_makes_sense_are_an_estimate(usage: str) -> None:
    call = read("openai_speech", input="abcd", stream_format="sse")
    tap = WIRES["openai_speech"].tap(call, strip_usage=False, head=EVENTS)
    tap.feed(b'data: {"type":"speech.audio.done","usage":%s}\n\n' % usage.encode())
    outcome = tap.outcome(input_bound=0)
    assert isinstance(outcome, AtLeast)
    assert outcome.usage.characters == 4


def test_an_error_of_ours_has_the_shape_of_the_surface() -> None:
    shapes = {
        "openai_speech": {"error": {"code": "key_cap_exceeded"}},
        "elevenlabs_speech": {"detail": {"status": "key_cap_exceeded"}},
        "deepgram_speak": {"err_code": "key_cap_exceeded", "request_id": "r"},
        "minimax_speech": {"base_resp": {"status_code": 1008}},
        "qwen_speech": {"code": "key_cap_exceeded", "request_id": "r"},
    }
    for wire, shape in shapes.items():
        event = WIRES[wire].error_event(capped(), "r")
        told = json.loads(event.split(b"data:")[1])
        for name, value in shape.items():
            assert told[name] == value or told[name].items() >= value.items()
