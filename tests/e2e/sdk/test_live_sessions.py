"""Sessions by socket through the vendors' own SDKs: what is said comes through, what is used is billed."""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.sdk.conftest import Sdks
from tests.e2e.sdk.sdks import Name, Result
from tests.support.fake_live import Await, Close, FakeLive, serve_live
from tests.support.gateway import Gateway, MintedKey, base_url_at, gateway_process
from tests.support.postgres import Databases

SECOND = bytes(32_000)
"""Of linear16 at 16 kHz."""
SOUND = base64.b64encode(SECOND * 2).decode()
OPENAI: Name = ("openai", "python")
DEEPGRAM: Name = ("deepgram", "python")
ELEVENLABS: Name = ("elevenlabs", "python")
LISTEN = {"options": {"model": "nova-3", "encoding": "linear16", "sample_rate": 16000}, "sound": SOUND}
SPEAK = {"options": {"model": "aura-2-thalia-en"}, "text": "Hello, caller."}
CONVERSE = {"model": "gpt-realtime", "text": "Hello"}
TRANSCRIBE = {"model": "scribe_v2_realtime", "sound": SOUND}
CAP = "this API key has reached its spending cap"


@pytest.fixture(scope="module")
def running_live() -> Iterator[FakeLive]:
    with serve_live() as provider:
        yield provider


@pytest.fixture(scope="module")
def live_gateway(databases: Databases, gateway_folder: Path, running_live: FakeLive) -> Iterator[Gateway]:
    """A gateway whose providers answer by socket, with slices of a second."""
    dsn = databases.clone()
    bases = {slug: base_url_at(running_live.origin, slug) for slug in ("openai", "deepgram", "elevenlabs")}
    with gateway_process(dsn, gateway_folder, providers=bases, settings={"live_hold_s": "1"}) as gateway:
        yield gateway
    databases.drop(dsn)


@pytest.fixture
def live(running_live: FakeLive) -> Iterator[FakeLive]:
    """The provider without past."""
    running_live.sessions.clear()
    running_live.scripts.clear()
    yield running_live
    assert not running_live.scripts, "a socket was scripted that nobody opened"


def matrix(provider: str, modality: str, case: str, sdk: str) -> pytest.MarkDecorator:
    return pytest.mark.matrix(provider=provider, modality=modality, case=case, sdk=sdk)


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "e-1", **fields})


def do(sdks: Sdks, gateway: Gateway, key: MintedKey, name: Name, what: tuple[str, dict[str, Any]]) -> Result:
    return sdks[name].ask(what[0], what[1], origin=gateway.origin, key=key.secret)


def session_of(**fields: Any) -> str:
    session = {"type": "realtime", "model": "gpt-realtime", "max_output_tokens": 100, **fields}
    return event("session.created", session=session)


def done() -> str:
    """100 tokens of text came in, of them 20 from the cache, and 50 of sound; 10 and 40 went out."""
    cached = {"text_tokens": 20, "audio_tokens": 0, "image_tokens": 0}
    came = {"text_tokens": 100, "audio_tokens": 50, "cached_tokens": 20, "cached_tokens_details": cached}
    went = {"text_tokens": 10, "audio_tokens": 40}
    usage = {
        "total_tokens": 200,
        "input_tokens": 150,
        "output_tokens": 50,
        "input_token_details": came,
        "output_token_details": went,
    }
    return event("response.done", response={"id": "r1", "status": "completed", "output": [], "usage": usage})


CONVERSATION_MICROS = 80 * 4 + 8 + 50 * 32 + 10 * 16 + 40 * 64
"""gpt-realtime: text 4, cached 0.40, sound 32 in; text 16 and sound 64 out: 320 + 8 + 1600 + 160 + 2560."""


@matrix("openai", "live conversation", "call", "openai")
def test_a_conversation_is_answered_and_billed_to_the_micro(
    live_gateway: Gateway, live: FakeLive, running_sdks: Sdks
) -> None:
    delta = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0}
    begun = event("response.created", response={"id": "r1", "status": "in_progress", "output": []})
    words = [event("response.output_text.delta", **delta, delta=word) for word in ("Hello", " there.")]
    live.script(session_of(), Await(text="response.create"), begun, *words, done(), Close(1000))
    key = live_gateway.mint(max_spend_usd=1)
    result = do(running_sdks, live_gateway, key, OPENAI, ("converse", CONVERSE))
    assert result["shown"] == "Hello there."
    assert [json.loads(message)["type"] for message in live.last.messages] == [
        "conversation.item.create",
        "response.create",
    ]
    (settled,) = live_gateway.wait_settled(key, 1)["events"]
    assert (settled["cost_micros"], settled["estimated"]) == (CONVERSATION_MICROS, False)


@matrix("openai", "live conversation", "tools", "openai")
def test_a_conversation_calls_a_tool(live_gateway: Gateway, live: FakeLive, running_sdks: Sdks) -> None:
    where = {"response_id": "r1", "item_id": "i1", "output_index": 0, "call_id": "c1"}
    begun = event("response.created", response={"id": "r1", "status": "in_progress", "output": []})
    called = event("response.function_call_arguments.done", **where, name="get", arguments='{"q": 1}')
    live.script(session_of(), Await(text="response.create"), begun, called, done(), Close(1000))
    key = live_gateway.mint()
    result = do(running_sdks, live_gateway, key, OPENAI, ("converse", CONVERSE))
    assert result["tool"] == ["get", {"q": 1}]
    (settled,) = live_gateway.wait_settled(key, 1)["events"]
    assert settled["cost_micros"] == CONVERSATION_MICROS


@matrix("deepgram", "live transcription", "call", "deepgram-sdk")
def test_live_sound_is_written_down_and_billed_by_its_duration(
    live_gateway: Gateway, live: FakeLive, running_sdks: Sdks
) -> None:
    alternatives = [{"transcript": "Hello there.", "confidence": 0.99, "words": []}]
    model = {"name": "general-nova-3", "version": "v", "arch": "nova-3"}
    results = event(
        "Results",
        channel_index=[0, 1],
        duration=2.0,
        start=0.0,
        is_final=True,
        channel={"alternatives": alternatives},
        metadata={"request_id": "dg-1", "model_info": model, "model_uuid": "m"},
    )
    closing = event(
        "Metadata",
        transaction_key="deprecated",
        request_id="dg-1",
        sha256="0",
        created="2026-11-21T00:00:00.000Z",
        duration=2.0,
        channels=1,
        models=["m"],
        model_info={"m": model},
    )
    live.script(Await(text="CloseStream"), results, closing, Close(1000))
    key = live_gateway.mint(max_spend_usd=1)
    result = do(running_sdks, live_gateway, key, DEEPGRAM, ("listen_live", LISTEN))
    assert result["shown"] == "Hello there."
    usage = live_gateway.wait_settled(key, 1)
    # nova-3, streaming: 2 seconds at 4800 micros a minute.
    assert usage["total_cost_micros"] == 160
    assert usage["events"][0]["estimated"] is False


@matrix("deepgram", "live speech", "call", "deepgram-sdk")
def test_live_text_is_spoken_and_billed_by_the_character(
    live_gateway: Gateway, live: FakeLive, running_sdks: Sdks
) -> None:
    metadata = event(
        "Metadata", request_id="dg-2", model_name="aura-2-thalia-en", model_version="v", model_uuid="m"
    )
    flushed = event("Flushed", sequence_id=0)
    live.script(metadata, Await(2), b"so", b"und", flushed, Await(text="Close"), Close(1000))
    key = live_gateway.mint(max_spend_usd=1)
    result = do(running_sdks, live_gateway, key, DEEPGRAM, ("speak_live", SPEAK))
    assert result["shown"] == hashlib.sha256(b"sound").hexdigest()
    (settled,) = live_gateway.wait_settled(key, 1)["events"]
    assert (settled["characters"], settled["cost_micros"]) == (14, 420)  # 14 x 30


@matrix("elevenlabs", "live transcription", "call", "elevenlabs")
def test_live_sound_is_written_down_and_billed_as_it_was_sent(
    live_gateway: Gateway, live: FakeLive, running_sdks: Sdks
) -> None:
    started = json.dumps({"message_type": "session_started", "session_id": "s", "config": {}})
    heard = json.dumps({"message_type": "committed_transcript", "text": "Hello there."})
    live.script(started, Await(2), heard, Await(3), Close(1000))
    key = live_gateway.mint(max_spend_usd=1)
    result = do(running_sdks, live_gateway, key, ELEVENLABS, ("listen_live", TRANSCRIBE))
    assert result["shown"] == "Hello there."
    usage = live_gateway.wait_settled(key, 1)
    # 2 seconds at 0.39 dollars an hour: 216.7, rounded up.
    assert usage["total_cost_micros"] == 217


REFUSED = [
    pytest.param(
        *(OPENAI, ("converse", CONVERSE)),
        marks=matrix("openai", "live conversation", "cap", "openai"),
    ),
    pytest.param(
        *(DEEPGRAM, ("listen_live", LISTEN)),
        marks=matrix("deepgram", "live transcription", "cap", "deepgram-sdk"),
    ),
    pytest.param(
        *(DEEPGRAM, ("speak_live", SPEAK)),
        marks=matrix("deepgram", "live speech", "cap", "deepgram-sdk"),
    ),
    pytest.param(
        *(ELEVENLABS, ("listen_live", TRANSCRIBE)),
        marks=matrix("elevenlabs", "live transcription", "cap", "elevenlabs"),
    ),
]


@pytest.mark.parametrize(("name", "what"), REFUSED)
def test_a_key_without_money_gets_no_socket(
    live_gateway: Gateway,
    live: FakeLive,
    running_sdks: Sdks,
    name: Name,
    what: tuple[str, dict[str, Any]],
) -> None:
    broke = live_gateway.mint(max_spend_usd=0)
    result = do(running_sdks, live_gateway, broke, name, what)
    assert "InvalidStatus" in result.classes  # of websockets, which all of them are built on
    assert result["error"]["status"] == 402
    assert CAP in json.dumps(result["error"])
    assert live.sessions == []
