"""Speech, transcription, pages and pieces from the simulator: its wires meter them exactly, within what was held."""

import asyncio
import json
from typing import Any

import pytest
from tests.support.forms import KIND, joined, part, read
from tests.support.media_files import chunk, wav, wav_format

from qlaud.core.usage import Exact, Metered, Usage
from qlaud.ports import UpstreamRequest
from qlaud.providers.registry import load_registry
from qlaud.providers.simulator import Simulator
from qlaud.wire.shelf import WIRES
from qlaud.wire.types import AnswerHead, Asked, Headers, ModelCall

SIM = load_registry({}).provider("sim")
HELLO = {"model": "m", "input": "Hello you", "text": "Hello you", "transcript": "Hello you"}
SOUND = wav(wav_format(), chunk(b"data", bytes(96_000)))
"""Three seconds."""
FORM = joined(part("file", SOUND, filename="a.wav"), part("model", b"m"), part("model_id", b"m"))
JSON_KIND: Headers = ((b"content-type", b"application/json"),)
FORM_KIND: Headers = ((b"content-type", KIND),)


def metered(wire: str, call: ModelCall, body: bytes, headers: Headers) -> tuple[Metered, bytes]:
    """What the wire makes of the simulator's answer, and the answer."""

    async def main() -> tuple[AnswerHead, bytes]:
        response = await Simulator().send(
            UpstreamRequest("POST", "", SIM.target(wire, stream=call.stream), headers, body)
        )
        parts = b""
        while piece := await response.read():
            parts += piece
        return AnswerHead(response.status, response.headers), parts

    head, answer = asyncio.run(main())
    assert head.status == 200, answer
    tap = WIRES[wire].tap(call, strip_usage=False, head=head)
    assert tap.feed(answer) + tap.finish() == answer
    return tap.outcome(input_bound=call.demand.input_tokens), answer


def asked(wire: str, *, stream: bool = False, **fields: Any) -> tuple[Usage, bytes]:
    body = json.dumps({**HELLO, **fields}).encode()
    call = WIRES[wire].read_call(Asked(body=body, model="m", stream=stream))
    outcome, answer = metered(wire, call, body, JSON_KIND)
    assert isinstance(outcome, Exact)
    return outcome.usage, answer


def sent(wire: str, **fields: str) -> Usage:
    """Of a form with a sound in it."""
    more = b"".join(part(name, value.encode()) for name, value in fields.items())
    body = joined(part("file", SOUND, filename="a.wav"), part("model", b"m"), *([more] if more else []))
    call = WIRES[wire].read_call(Asked(form=read(body), model="m", media_ms=3000))
    outcome, _ = metered(wire, call, body, FORM_KIND)
    assert isinstance(outcome, Exact)
    return outcome.usage


@pytest.mark.parametrize(
    "wire",
    [
        "openai_speech",
        "elevenlabs_speech",
        "deepgram_speak",
        "cartesia_speech",
        "mistral_speech",
        "minimax_speech",
        "xai_speech",
    ],
)
def test_speech_is_silence_and_costs_its_characters(wire: str) -> None:
    usage, answer = asked(wire)
    assert usage.characters == 9
    assert answer


def test_speech_on_a_streaming_path_and_a_dialogue_are_silence_too() -> None:
    assert asked("elevenlabs_speech", stream=True)[0].characters == 9
    lines = [{"text": "Hi", "voice_id": "a"}, {"text": "Hello", "voice_id": "b"}]
    usage, _ = asked("elevenlabs_speech", text="", input="", transcript="", inputs=lines)
    assert usage.characters == 7


def test_speech_as_events_tells_its_tokens() -> None:
    usage, answer = asked("openai_speech", stream_format="sse")
    assert answer.endswith(b"\n\n")
    assert (usage.audio_out_tokens, usage.characters) == (18, 0)
    assert usage.instead == Usage(characters=9)


@pytest.mark.parametrize("wire", ["openai_transcription", "openai_translation", "xai_transcription"])
def test_a_transcription_costs_the_playing_time(wire: str) -> None:
    assert sent(wire).audio_ms == 3000


def test_a_transcription_as_events_does_too() -> None:
    assert sent("openai_transcription", stream="true").audio_ms == 3000


@pytest.mark.parametrize("wire", ["elevenlabs_music", "elevenlabs_credits", "elevenlabs_voice_design"])
def test_sounds_cost_credits(wire: str) -> None:
    assert asked(wire, duration_seconds=1)[0] == Usage(credits=10)


@pytest.mark.parametrize("wire", ["elevenlabs_voice_changer", "elevenlabs_isolation"])
def test_a_changed_recording_costs_credits(wire: str) -> None:
    assert sent(wire) == Usage(credits=10)


def test_pages_pieces_and_summaries_are_counted() -> None:
    assert asked("mistral_ocr")[0] == Usage(pages=1)
    assert asked("minimax_music", prompt="a waltz")[0] == Usage(calls=1)
    assert asked("minimax_image", n=2)[0] == Usage(images=2)
    usage, _ = asked("deepgram_read")
    assert usage.input_tokens > 0 < usage.output_tokens


def test_the_native_paths_of_qwen_say_back_or_speak() -> None:
    message = {"messages": [{"role": "user", "content": "How are you?"}]}
    usage, answer = asked("qwen_generation", input=message)
    assert json.loads(answer)["output"]["choices"][0]["message"]["content"] == "How are you?"
    assert usage.output_tokens == 3
    for wire in ("qwen_generation", "qwen_speech"):
        assert asked(wire, input={"text": "Hello you", "voice": "v"})[0].characters == 9
