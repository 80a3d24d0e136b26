"""Speech: relayed as it comes, billed from its first byte on, in constant memory; what has no bound is refused."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.http.sound.asking import WAIT_S, Peak, only_event, send
from tests.support import fake_cartesia, fake_deepgram, fake_elevenlabs, fake_minimax, fake_qwen
from tests.support.fake_provider import Answer, FakeProvider, Gate, Part
from tests.support.gateway import Gateway, MintedKey, until

VOICE = fake_elevenlabs.VOICE
SPEAK = f"/v1/text-to-speech/{VOICE}"
HELLO = {"text": fake_elevenlabs.TEXT}
MEGABYTE = 1 << 20
MEGABYTE_KB = 1024


@contextmanager
def speaking(gateway: Gateway, key: MintedKey, path: str, body: object) -> Iterator[httpx.Response]:
    """An answer whose body comes in pieces."""
    headers = {"xi-api-key": key.secret}
    with httpx.stream(
        "POST", gateway.origin + path, json=body, headers=headers, trust_env=False, timeout=WAIT_S
    ) as answer:
        yield answer


@pytest.mark.parametrize("path", [SPEAK, SPEAK + "/stream", f"/elevenlabs{SPEAK}"])
def test_sound_reaches_the_caller_before_its_provider_has_ended(
    gateway: Gateway, elevenlabs: FakeProvider, path: str
) -> None:
    gate = Gate()
    elevenlabs.script(fake_elevenlabs.speech(gate=gate))
    key = gateway.mint(max_spend_usd=1)
    with speaking(gateway, key, path, HELLO) as answer:
        pieces = answer.iter_raw()
        heard = next(pieces)
        assert gateway.request(answer.headers["x-request-id"]).status_code == 202
        gate.open()
        heard += b"".join(pieces)
    assert heard == fake_elevenlabs.SPEECH
    assert answer.headers["character-cost"] == "20"
    assert answer.headers["x-upstream-request-id"] == "req_el_1"
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["characters"]) == (fake_elevenlabs.SPEECH_COST_MICROS, 20)
    assert (event["surface"], event["stream"]) == ("audio_speech", path.endswith("/stream"))


def test_50_megabytes_of_sound_pass_in_constant_memory(gateway: Gateway, elevenlabs: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=1)
    assert send(gateway, key, SPEAK, HELLO).content == fake_elevenlabs.SPEECH
    piece = bytes(range(256)) * (MEGABYTE // 256)
    parts: list[Part] = [piece] * 50
    elevenlabs.script(Answer(parts, content_type="audio/mpeg", stream=True))
    peak = Peak(gateway.process.pid)
    size = 0
    with speaking(gateway, key, SPEAK, HELLO) as answer:
        for heard in answer.iter_raw():
            assert heard[0] == size % 256
            size += len(heard)
    grown_kb = peak.grown_kb
    assert size == 50 * MEGABYTE
    assert grown_kb < 8 * MEGABYTE_KB
    assert gateway.wait_settled(key, 2)["cost_micros"] == 2 * fake_elevenlabs.SPEECH_COST_MICROS


def test_a_caller_who_leaves_early_pays_for_all_of_it_and_fills_no_memory(
    gateway: Gateway, elevenlabs: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=1)
    parts: list[Part] = [bytes(MEGABYTE)] * 50
    elevenlabs.script(Answer(parts, content_type="audio/mpeg", stream=True))
    peak = Peak(gateway.process.pid)
    with speaking(gateway, key, SPEAK, HELLO) as answer:
        next(answer.iter_raw())
        assert gateway.request(answer.headers["x-request-id"]).status_code == 202
    usage = gateway.wait_settled(key, 1)
    assert usage["cost_micros"] == fake_elevenlabs.SPEECH_COST_MICROS
    assert peak.grown_kb < 8 * MEGABYTE_KB


def test_sound_that_breaks_off_is_billed_in_full_and_does_not_look_whole(
    gateway: Gateway, elevenlabs: FakeProvider
) -> None:
    elevenlabs.script(fake_elevenlabs.speech(breaks_off=True))
    key = gateway.mint(max_spend_usd=1)
    with (
        speaking(gateway, key, SPEAK, HELLO) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        answer.read()
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["characters"]) == (fake_elevenlabs.SPEECH_COST_MICROS, 20)


def test_timestamps_come_in_one_piece_with_their_bill_and_line_by_line_without(
    gateway: Gateway, elevenlabs: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=1)
    whole = send(gateway, key, SPEAK + "/with-timestamps", HELLO)
    assert whole.json()["alignment"]["characters"] == list(fake_elevenlabs.TEXT)
    assert whole.headers["x-qlaud-cost-micros"] == str(fake_elevenlabs.SPEECH_COST_MICROS)
    lines = send(gateway, key, SPEAK + "/stream/with-timestamps", HELLO)
    assert len(lines.text.split()) > 1
    assert "x-qlaud-cost-micros" not in lines.headers
    assert gateway.wait_settled(key, 2)["cost_micros"] == 2 * fake_elevenlabs.SPEECH_COST_MICROS


@pytest.mark.parametrize(("cap_usd", "status"), [("0.002", 200), ("0.001999", 402)])
def test_speech_is_held_for_to_the_character(
    gateway: Gateway, elevenlabs: FakeProvider, cap_usd: str, status: int
) -> None:
    key = gateway.mint(max_spend_usd=cap_usd)
    answer = send(gateway, key, SPEAK, HELLO)
    assert answer.status_code == status
    assert len(elevenlabs.calls) == (status == 200)
    if status == 402:
        assert answer.json()["detail"]["status"] == "key_cap_exceeded"


def test_the_providers_refusals_keep_their_words_and_cost_nothing(
    gateway: Gateway, elevenlabs: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=1)
    answer = send(gateway, key, "/v1/text-to-speech/nobody", HELLO)
    assert answer.status_code == 404
    assert answer.json()["detail"]["message"] == "A voice with voice_id nobody was not found."
    assert only_event(gateway, key)["cost_micros"] == 0
    elevenlabs.script(fake_elevenlabs.refusal(401, "You have 0 credits remaining.", "quota_exceeded"))
    spent = send(gateway, key, SPEAK, HELLO)
    assert spent.status_code == 502
    assert spent.json()["detail"]["status"] == "provider_auth_failed"


def test_sound_of_a_stated_length_is_held_for_and_billed_by_its_credits(
    gateway: Gateway, elevenlabs: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=1)
    answer = send(gateway, key, "/v1/sound-generation", {"text": "a door", "duration_seconds": 2})
    assert answer.status_code == 200, answer.text
    assert only_event(gateway, key)["cost_micros"] == fake_elevenlabs.CREDITS_COST_MICROS


def test_sound_of_a_length_left_open_is_refused_to_a_key_with_a_cap(
    gateway: Gateway, elevenlabs: FakeProvider
) -> None:
    capped, free = gateway.mint(max_spend_usd=1), gateway.mint()
    door = {"text": "a door"}
    refused = send(gateway, capped, "/v1/sound-generation", door)
    assert refused.status_code == 400
    assert refused.json()["detail"]["status"] == "provider_tool_not_metered"
    assert send(gateway, free, "/v1/sound-generation", door).status_code == 200
    assert only_event(gateway, free)["cost_micros"] == fake_elevenlabs.CREDITS_COST_MICROS
    assert len(elevenlabs.calls) == 1


def test_deepgram_says_how_many_characters_it_bills(gateway: Gateway, deepgram: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=1)
    path = f"/v1/speak?model={fake_deepgram.SPEAKER}&encoding=mp3"
    answer = send(gateway, key, path, {"text": fake_deepgram.TEXT})
    assert answer.content == fake_deepgram.SPEECH
    assert deepgram.last.target == path
    assert answer.headers["dg-char-count"] == "17"
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["model"]) == (fake_deepgram.SPEECH_COST_MICROS, "aura-2")


@pytest.mark.parametrize("path", ["/cartesia/tts/bytes", "/cartesia/v1/tts"])
def test_cartesia_speaks_on_both_of_its_paths(gateway: Gateway, path: str) -> None:
    key = gateway.mint(max_spend_usd=1)
    body = {"model_id": "sonic-3", "transcript": fake_cartesia.TEXT, "voice": {"mode": "id", "id": "v"}}
    answer = send(gateway, key, path, body, **{"x-api-key": key.secret})
    assert answer.content == fake_cartesia.SPEECH
    assert only_event(gateway, key)["cost_micros"] == fake_cartesia.SPEECH_COST_MICROS


def test_an_error_of_minimax_with_status_200_costs_nothing(gateway: Gateway, minimax: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd=1)
    minimax.script(fake_minimax.out_of_money())
    answer = send(gateway, key, "/v1/t2a_v2", {"model": "speech-2.8-hd", "text": "Hello there"})
    assert answer.json()["base_resp"]["status_code"] == 1008
    assert only_event(gateway, key)["cost_micros"] == 0


def test_minimax_is_refused_in_its_own_shape(gateway: Gateway, minimax: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd="0.0001")
    answer = send(gateway, key, "/v1/t2a_v2", {"model": "speech-2.8-hd", "text": "Hello there"})
    assert (answer.status_code, answer.json()["base_resp"]["status_code"]) == (402, 1008)
    assert minimax.calls == []


def test_a_header_makes_qwen_stream_and_the_last_frame_is_billed(
    gateway: Gateway, qwen: FakeProvider
) -> None:
    key = gateway.mint(max_spend_usd=1)
    body = {
        "model": "qwen3.8-max",
        "input": {"messages": [{"role": "user", "content": "hi"}]},
        "parameters": {"result_format": "message", "max_tokens": 500},
    }
    sse = {"x-dashscope-sse": "enable"}
    answer = send(gateway, key, fake_qwen.TEXT_PATH, body, **sse)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert qwen.last.header("x-dashscope-sse") == ["enable"]
    event = only_event(gateway, key)
    assert (event["cost_micros"], event["stream"]) == (fake_qwen.NATIVE_COST_MICROS, True)


def test_a_limit_lowered_by_money_stands_among_qwens_parameters(gateway: Gateway, qwen: FakeProvider) -> None:
    key = gateway.mint(max_spend_usd="0.9")
    body = {"model": "qwen3.8-max", "input": {"messages": [{"role": "user", "content": "hi"}]}}
    answer = send(gateway, key, fake_qwen.TEXT_PATH, body)
    assert answer.status_code == 200, answer.text
    applied = int(answer.headers["x-qlaud-max-tokens-applied"])
    assert qwen.last.json == {**body, "parameters": {"max_tokens": applied}}
    until(lambda: gateway.key(key)["held_micros"] == 0, "the hold is settled")


@pytest.mark.parametrize("path", ["/v1/voices", "/v2/voices?page_size=3", "/elevenlabs/v1/voices"])
def test_voices_are_listed_for_nothing_with_and_without_the_name_of_who_has_them(
    gateway: Gateway, elevenlabs: FakeProvider, path: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    answer = httpx.get(gateway.origin + path, headers={"xi-api-key": key.secret}, trust_env=False)
    assert (answer.status_code, answer.json()["voices"][0]["name"]) == (200, "Rachel")
    assert "maximum-concurrent-requests" not in answer.headers
    assert elevenlabs.last.target == path.removeprefix("/elevenlabs")
    assert gateway.usage(key)["events"] == []
