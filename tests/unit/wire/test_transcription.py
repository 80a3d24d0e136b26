"""Speech to text: seconds or tokens, told or measured, and bounds that a lie does not lower."""

import json

import pytest

from qlaud.core.errors import BadRequest, UnsupportedField
from qlaud.core.usage import AtLeast, Exact, Metered, Nothing, Usage
from qlaud.wire.deepgram import FEATURE_TOKENS, TOKENS_PER_S, WHOLE_TEXT_TOKENS
from qlaud.wire.elevenlabs import CREDITS_PER_S
from qlaud.wire.form import FilePart, Form
from qlaud.wire.openai_transcription import AUDIO_TOKENS_PER_S
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import AnswerHead, Asked, ModelCall

JSON = AnswerHead(headers=((b"content-type", b"application/json"),))
TEXT = AnswerHead(headers=((b"content-type", b"text/plain"),))
FOUR_HOURS_MS = 14_400_000


def form(size: int = 1000, **fields: str) -> Form:
    parts = {name: (value.encode(),) for name, value in fields.items()}
    return Form(parts, {}, (FilePart("file", "a.mp3", "", 0, size),) if size else (), b"b", 0)


def asked(
    form: Form | None = None, media_ms: int | None = None, query: str = "", upload_bytes: int = 0
) -> Asked:
    return Asked(
        form=form,
        query=query.encode(),
        model="usual",
        media_ms=media_ms,
        upload_bytes=upload_bytes,
    )


def listen(query: str, *, body: bytes = b"", **more: int | None) -> ModelCall:
    made = asked(query=query, **more)  # type: ignore[arg-type]
    return WIRES["deepgram_listen"].read_call(
        Asked(
            body=body,
            query=made.query,
            model="base",
            media_ms=made.media_ms,
            upload_bytes=made.upload_bytes,
        )
    )


def outcome(wire: str, call: ModelCall, answer: bytes, head: AnswerHead = JSON) -> Metered:
    tap = WIRES[wire].tap(call, strip_usage=False, head=head)
    for at in range(0, len(answer), 65_536):
        tap.feed(answer[at : at + 65_536])
    tap.finish()
    return tap.outcome(input_bound=0)


@pytest.mark.parametrize(
    ("media_ms", "held_ms"),
    [(0, 10_000), (9_999, 10_000), (10_001, 11_000), (61_000, 61_000), (None, FOUR_HOURS_MS)],
)
def test_audio_is_held_for_by_the_second_and_unread_audio_as_long_as_it_may_be(
    media_ms: int | None, held_ms: int
) -> None:
    call = WIRES["openai_transcription"].read_call(asked(form(model="whisper-1"), media_ms))
    assert call.demand.most == {"audio_ms": held_ms}
    assert call.demand.instead["audio_in_tokens"] == held_ms // 1000 * AUDIO_TOKENS_PER_S
    assert call.model == "whisper-1"


@pytest.mark.parametrize(
    ("wire", "said", "bytes_per_s"),
    [
        ("elevenlabs_transcription", {"file_format": "pcm_s16le_16"}, 32_000),
        ("elevenlabs_voice_changer", {"file_format": "pcm_s16le_16"}, 32_000),
        ("xai_transcription", {"audio_format": "mulaw", "sample_rate": "8000"}, 8_000),
    ],
)
def test_a_file_that_is_called_raw_plays_as_its_samples_do_whatever_its_header_says(
    wire: str, said: dict[str, str], bytes_per_s: int
) -> None:
    call = WIRES[wire].read_call(asked(form(size=100 * bytes_per_s, **said), media_ms=1))
    assert call.demand.most in ({"audio_ms": 100_000}, {"credits": 100 * CREDITS_PER_S})
    longer = WIRES[wire].read_call(asked(form(size=100, **said), media_ms=90_000))
    assert longer.demand.most in ({"audio_ms": 90_000}, {"credits": 90 * CREDITS_PER_S})


@pytest.mark.parametrize("wire", ["openai_transcription", "elevenlabs_transcription", "xai_transcription"])
def test_a_body_that_is_no_form_is_refused(wire: str) -> None:
    with pytest.raises(BadRequest, match="multipart/form-data"):
        WIRES[wire].read_call(Asked(body=b'{"model":"m"}'))


def test_a_file_of_the_operators_account_is_named() -> None:
    call = WIRES["openai_transcription"].read_call(asked(form(0, model="m", file_id="f-1")))
    assert (call.account_resource, call.demand.most) == ("file_id", {"audio_ms": FOUR_HOURS_MS})


def test_a_model_that_stands_twice_is_refused_for_either_might_be_called() -> None:
    twice = Form({"model": (b"whisper-1", b"gpt-4o-transcribe")}, {}, (), b"b", 0)
    with pytest.raises(BadRequest, match="twice"):
        WIRES["openai_transcription"].read_call(asked(twice))


def test_audio_at_an_address_is_held_for_as_long_as_it_may_be() -> None:
    call = WIRES["elevenlabs_transcription"].read_call(
        asked(form(0, cloud_storage_url="https://example.com"))
    )
    assert call.demand.most == {"audio_ms": FOUR_HOURS_MS}
    assert call.expected == Usage(audio_ms=FOUR_HOURS_MS)


@pytest.mark.parametrize("wire", ["openai_transcription", "elevenlabs_transcription", "xai_transcription"])
@pytest.mark.parametrize("field", ["url", "file_url", "file_id", "cloud_storage_url", "source_url"])
def test_a_short_file_beside_an_address_is_held_for_like_the_address(wire: str, field: str) -> None:
    lie = form(model="m", model_id="m", **{field: "https://example.com/four-hours.mp3"})
    call = WIRES[wire].read_call(asked(lie, 1000))
    assert call.demand.most == {"audio_ms": FOUR_HOURS_MS}


def test_a_short_file_under_a_name_nobody_reads_is_no_measure() -> None:
    decoy = Form({"model": (b"m",)}, {}, (FilePart("decoy", "a.mp3", "", 0, 9),), b"b", 0)
    call = WIRES["openai_transcription"].read_call(asked(decoy, 1000))
    assert call.demand.most == {"audio_ms": FOUR_HOURS_MS}


def test_every_channel_that_is_written_down_by_itself_is_held_for() -> None:
    fields = form(use_multi_channel="TRUE", model_id="scribe_v2")
    call = WIRES["elevenlabs_transcription"].read_call(asked(fields, 60_000))
    assert call.demand.most == {"audio_ms": 300_000}
    assert listen("multichannel=true", media_ms=60_000).demand.most == {"audio_ms": 1_200_000}
    raw = "multichannel=true&encoding=linear16&sample_rate=8000&channels=2"
    assert listen(raw, upload_bytes=960_000).demand.most == {"audio_ms": 60_000}


def test_raw_samples_play_as_long_as_their_bytes_say() -> None:
    call = listen("encoding=linear16&sample_rate=16000", upload_bytes=3_200_000)
    assert call.demand.most == {"audio_ms": 100_000}
    assert call.expected == Usage(audio_ms=100_000)


def test_samples_that_are_called_raw_and_are_not_are_held_for_as_they_play() -> None:
    lie = "encoding=linear16&sample_rate=999999"
    assert listen(lie, upload_bytes=3_200, media_ms=90_000).demand.most == {"audio_ms": 90_000}


@pytest.mark.parametrize(
    "query",
    [
        "model=nova-3&model=whisper-large",
        "encoding=linear16&sample_rate=900000&sample_rate=8000",
        "multichannel=false&multichannel=true",
        "model=nova-3&%6Dodel=whisper-large",
    ],
)
def test_what_decides_about_money_may_not_be_said_twice(query: str) -> None:
    with pytest.raises(BadRequest, match="stands twice in the query"):
        listen(query, media_ms=1000)


@pytest.mark.parametrize("name", ["detect_entities", "diarize", "redact", "keyterm"])
def test_an_option_that_is_said_to_be_off_and_on_is_paid_for(name: str) -> None:
    call = listen(f"{name}=false&{name}=yes", media_ms=1000)
    assert call.demand.grade == name
    assert listen("diarize_model=v2", media_ms=1000).demand.grade == "diarize"
    assert listen("language=MULTI", media_ms=1000).demand.grade == "multi"
    features = listen("summarize=false&summarize=v2", media_ms=1000).demand.most
    assert features == listen("summarize=v2", media_ms=1000).demand.most


def test_channels_said_of_raw_sound_are_not_those_of_a_file() -> None:
    said = "multichannel=true&encoding=linear16&channels=1"
    assert listen(said, media_ms=60_000, upload_bytes=1_000_000).demand.most == {"audio_ms": 20 * 60_000}
    assert listen(said, upload_bytes=320_000).demand.most == {"audio_ms": 10_000}


def test_what_is_said_twice_alike_is_said_once() -> None:
    assert listen("model=nova-3&model=nova-3&keyterm=a&keyterm=b", media_ms=1000).model == "nova-3"


def test_the_options_that_cost_more_are_the_grade() -> None:
    query = "redact=pci&language=multi&detect_entities=true&diarize=false&keyterm=Ada"
    call = listen(query, media_ms=1000)
    assert call.demand.grade == "multi+detect_entities+keyterm+redact"
    fields = form(model_id="scribe_v2", keyterms="Ada", entity_detection="all")
    call = WIRES["elevenlabs_transcription"].read_call(asked(fields, 1000))
    assert call.demand.grade == "entities+keyterms"


def test_an_option_that_is_written_as_null_is_not_asked_for() -> None:
    fields = form(model_id="scribe_v2", keyterms="null", entity_detection="")
    assert WIRES["elevenlabs_transcription"].read_call(asked(fields, 1000)).demand.grade == ""


def test_features_that_understand_the_text_are_held_for_by_the_token() -> None:
    most = listen("summarize=v2&topics=true&intents=false", media_ms=60_000).demand.most
    assert most["input_tokens"] == most["output_tokens"] == 2 * (60 * TOKENS_PER_S + FEATURE_TOKENS)


@pytest.mark.parametrize("body", [b"", b'{"url":"https://example.com/a"}'])
def test_an_answer_that_goes_elsewhere_needs_audio_that_was_measured(body: bytes) -> None:
    with pytest.raises(UnsupportedField, match="callback"):
        listen("callback=https://example.com", body=body)
    assert listen("callback=https://example.com", media_ms=4000).expected == Usage(audio_ms=4000)


def test_a_text_to_read_is_held_for_once_for_every_feature() -> None:
    wire = WIRES["deepgram_read"]
    call = wire.read_call(
        Asked(body=b'{"text":"Gr\xc3\xbc\xc3\x9fe"}', query=b"topics=true&sentiment=true", model="m")
    )
    assert call.demand.most == dict.fromkeys(("input_tokens", "output_tokens"), 2 * (7 + FEATURE_TOKENS))
    call = wire.read_call(Asked(body=b'{"url":"https://example.com"}', query=b"topics=true", model="m"))
    assert call.demand.most["input_tokens"] == WHOLE_TEXT_TOKENS + FEATURE_TOKENS


def words(count: int) -> str:
    word = {
        "word": "hi",
        "start": 0.1,
        "end": 0.4,
        "duration": 0.3,
        "punctuated_word": 'say "metadata":{"duration":1}',
    }
    return json.dumps([word] * count)


def test_a_long_answer_of_deepgram_is_read_at_its_beginning() -> None:
    channels = f'{{"channels":[{{"alternatives":[{{"transcript":"","words":{words(30_000)}}}]}}]}}'
    answer = f'{{"metadata":{{"duration":7200.5,"channels":1}},"results":{channels}}}'
    assert len(answer) > 3_000_000
    call = listen("model=nova-3", media_ms=7_200_500)
    assert outcome("deepgram_listen", call, answer.encode()) == Exact(Usage(audio_ms=7_200_500))


def test_a_long_answer_of_elevenlabs_is_read_at_its_end() -> None:
    call = WIRES["elevenlabs_transcription"].read_call(asked(form(model_id="scribe_v2"), 7_200_500))
    answer = f'{{"text":"","words":{words(30_000)},"transcription_id":"t","audio_duration_secs":7200.5}}'
    assert outcome("elevenlabs_transcription", call, answer.encode()) == Exact(Usage(audio_ms=7_200_500))
    older = f'{{"text":"","words":{words(30_000)}}}'
    assert outcome("elevenlabs_transcription", call, older.encode()) == AtLeast(Usage(audio_ms=400))


def test_a_long_answer_of_openai_is_read_at_its_end_or_by_its_duration() -> None:
    call = WIRES["openai_transcription"].read_call(asked(form(model="whisper-1"), 7_200_500))
    end = '"usage":{"type":"duration","seconds":7201}'
    found = outcome("openai_transcription", call, (f'{{"text":"","words":{words(30_000)},{end}}}').encode())
    assert isinstance(found, Exact)
    assert found.usage.audio_ms == 7_201_000
    groq = '{{"duration":7200.5,"text":"","segments":{}}}'.format(
        json.dumps([{"end": 1.5, "text": "hi" * 40}] * 30_000)
    )
    found = outcome("openai_transcription", call, groq.encode())
    assert isinstance(found, Exact)
    assert found.usage.audio_ms == 7_200_500


@pytest.mark.parametrize("seconds", ["null", '"many"', "-1", "1e400", "true", "[]"])
def test_seconds_that_make_no_sense_are_not_billed_but_what_was_measured(seconds: str) -> None:
    call = listen("model=nova-3", media_ms=5000)
    answer = b'{"metadata":{"duration":%s,"channels":1},"results":{}}' % seconds.encode()
    assert outcome("deepgram_listen", call, answer) == AtLeast(Usage(audio_ms=5000))
    call = WIRES["openai_transcription"].read_call(asked(form(model="whisper-1"), 5000))
    found = outcome("openai_transcription", call, b'{"text":"","usage":{"seconds":%s}}' % seconds.encode())
    assert isinstance(found, AtLeast)
    assert found.usage.audio_ms == 5000


def test_a_price_by_the_token_and_one_by_the_minute_are_both_told() -> None:
    call = WIRES["openai_transcription"].read_call(asked(form(model="m"), 5000))
    by_minute = outcome("openai_transcription", call, b'{"usage":{"type":"duration","seconds":5}}')
    by_token = outcome("openai_transcription", call, b'{"usage":{"input_tokens":50,"output_tokens":7}}')
    assert isinstance(by_minute, Exact)
    assert isinstance(by_token, Exact)
    assert by_minute.usage.instead == Usage(audio_in_tokens=50, output_tokens=20)
    assert by_token.usage.instead == Usage(audio_ms=5000)
    assert (by_token.usage.audio_in_tokens, by_token.usage.output_tokens) == (50, 7)


def test_an_answer_that_never_came_costs_nothing() -> None:
    for wire in ("openai_transcription", "elevenlabs_transcription"):
        call = WIRES[wire].read_call(asked(form(model="m", model_id="m"), 5000))
        assert outcome(wire, call, b"") == Nothing()
    assert outcome("openai_transcription", call, b"1\n00:00 hi", TEXT) != Nothing()


PLAN = {"sections": [{"duration_ms": 3000}, {"duration_ms": 4000}]}
OPEN_PLAN = {"sections": [{"duration_ms": 3000}, {}]}


@pytest.mark.parametrize(
    ("wire", "fields", "spent"),
    [
        ("elevenlabs_credits", {"text": "a door", "duration_seconds": 2.5}, 250),
        ("elevenlabs_music", {"prompt": "a waltz", "music_length_ms": 10_001}, 1001),
        ("elevenlabs_music", {"composition_plan": PLAN}, 700),
        ("elevenlabs_music", {"composition_plan": PLAN, "music_length_ms": 1000}, 700),
    ],
)
def test_sound_of_a_stated_length_is_held_for(wire: str, fields: dict[str, object], spent: int) -> None:
    call = WIRES[wire].read_call(Asked(body=json.dumps(fields).encode(), model="m"))
    assert call.demand.most == {"credits": spent}
    assert call.demand.unbounded_tool is None


@pytest.mark.parametrize(
    ("wire", "fields"),
    [
        ("elevenlabs_credits", {"text": "a door"}),
        ("elevenlabs_credits", {"text": "a door", "duration_seconds": None}),
        ("elevenlabs_music", {"prompt": "a waltz", "music_length_ms": 0}),
        ("elevenlabs_music", {"composition_plan": OPEN_PLAN}),
        ("elevenlabs_music", {"composition_plan": OPEN_PLAN, "music_length_ms": 1000}),
        ("elevenlabs_voice_design", {"voice_description": "old", "text": "Hello"}),
    ],
)
def test_sound_of_a_length_that_is_left_to_the_provider_is_not_bounded(
    wire: str, fields: dict[str, object]
) -> None:
    call = WIRES[wire].read_call(Asked(body=json.dumps(fields).encode(), model="m"))
    assert call.demand.unbounded_tool


@pytest.mark.parametrize(
    ("wire", "fields"),
    [
        ("elevenlabs_music", {"prompt": "a waltz", "duration_seconds": 0.5}),
        ("elevenlabs_credits", {"text": "a door", "music_length_ms": 10}),
        ("elevenlabs_credits", {"text": "a door", "composition_plan": PLAN}),
        ("elevenlabs_voice_design", {"text": "Hello", "duration_seconds": 0.5}),
    ],
)
def test_a_length_that_its_path_does_not_read_bounds_nothing(wire: str, fields: dict[str, object]) -> None:
    call = WIRES[wire].read_call(Asked(body=json.dumps(fields).encode(), model="m"))
    assert call.demand.unbounded_tool


def test_a_changed_voice_is_held_for_as_long_as_it_speaks() -> None:
    call = WIRES["elevenlabs_voice_changer"].read_call(asked(form(model_id="eleven_english_sts_v2"), 20_000))
    assert call.demand.most == {"credits": 20 * CREDITS_PER_S}
    assert call.model == "eleven_english_sts_v2"
    head = AnswerHead(headers=((b"character-cost", b"333"),))
    told = WIRES["elevenlabs_voice_changer"].tap(call, strip_usage=False, head=head)
    assert told.outcome(input_bound=0) == Exact(Usage(credits=333))
    silent = WIRES["elevenlabs_voice_changer"].tap(call, strip_usage=False)
    assert silent.outcome(input_bound=0) == AtLeast(Usage(credits=20 * CREDITS_PER_S))
