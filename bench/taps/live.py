"""Live sessions: what the caller sends and what the provider answers, as frames of a WebSocket."""

import json

from bench.taps.sound import PIECES, piece
from bench.taps.streams import Fields, Session, compact, word

_ITEM: Fields = {
    "response_id": "resp_0123456789abcdef",
    "item_id": "item_0123456789abcdef",
    "output_index": 0,
}


def _event(kind: str, n: int, **fields: object) -> str:
    return compact({"type": kind, "event_id": f"event_{n:020}", **fields})


def _append(n: int) -> str:
    return _event("input_audio_buffer.append", n, audio=PIECES[n % 16])


def _delta(n: int) -> str:
    return _event("response.output_audio.delta", n, **_ITEM, content_index=0, delta=PIECES[n % 16])


def _transcript(n: int) -> str:
    return _event("response.output_audio_transcript.delta", n, **_ITEM, content_index=0, delta=word(n))


def _results(n: int) -> str:
    heard: Fields = {"transcript": word(n), "confidence": 0.99, "words": []}
    where: Fields = {"channel_index": [0, 1], "duration": 0.5, "start": n / 2, "is_final": False}
    return compact({"type": "Results", **where, "speech_final": False, "channel": {"alternatives": [heard]}})


def _turn(n: int) -> str:
    window: Fields = {"audio_window_start": 0.0, "audio_window_end": n / 4, "turn_index": 0}
    return compact({"type": "TurnInfo", "event": "Update", **window, "transcript": word(n), "words": []})


def _speak(n: int) -> str:
    return compact({"type": "Speak", "text": word(n)})


def _text(n: int) -> str:
    return compact({"text": word(n) + " ", "try_trigger_generation": False})


def _spoken(n: int) -> str:
    return compact({"audio": PIECES[n % 16], "isFinal": None, "alignment": None})


def _heard(n: int) -> str:
    return compact({"message_type": "input_audio_chunk", "audio_base_64": PIECES[n % 16], "commit": False})


def _partial(n: int) -> str:
    return compact({"message_type": "partial_transcript", "text": word(n)})


def _heard_as_it_happens(n: int) -> str:
    """The setup, then sound."""
    if n == 1:
        return compact({"setup": {"model": "models/gemini-3.8-live"}})
    return compact({"realtimeInput": {"audio": {"data": PIECES[n % 16], "mimeType": "audio/pcm;rate=16000"}}})


def _model_turn(n: int) -> bytes:
    """Google writes its JSON in binary messages, and in lines."""
    sound: Fields = {"mimeType": "audio/pcm;rate=24000", "data": PIECES[n % 16]}
    return json.dumps({"serverContent": {"modelTurn": {"parts": [{"inlineData": sound}]}}}, indent=2).encode()


def _output_transcript(n: int) -> bytes:
    return json.dumps({"serverContent": {"outputTranscription": {"text": word(n)}}}, indent=2).encode()


LISTENS = "model=nova-3&encoding=linear16&sample_rate=16000"

LIVE = (
    Session("openai_realtime", "sound up", _append, is_callers=True),
    Session("openai_realtime", "sound down", _delta, is_callers=False),
    Session("openai_realtime", "transcript down", _transcript, is_callers=False),
    Session("gemini_live", "sound up", _heard_as_it_happens, is_callers=True),
    Session("gemini_live", "sound down", _model_turn, is_callers=False),
    Session("gemini_live", "transcript down", _output_transcript, is_callers=False),
    Session("xai_realtime", "sound up", _append, is_callers=True),
    Session("xai_realtime", "sound down", _delta, is_callers=False),
    Session("deepgram_live_listen", "sound up", piece, is_callers=True, query=LISTENS),
    Session("deepgram_live_listen", "results down", _results, is_callers=False, query=LISTENS),
    Session("deepgram_live_flux", "sound up", piece, is_callers=True, query=LISTENS),
    Session("deepgram_live_flux", "turns down", _turn, is_callers=False, query=LISTENS),
    Session("deepgram_live_speak", "text up", _speak, is_callers=True),
    Session("deepgram_live_speak", "sound down", piece, is_callers=False),
    Session("deepgram_live_speak_v2", "text up", _speak, is_callers=True),
    Session("deepgram_live_speak_v2", "sound down", piece, is_callers=False),
    Session("elevenlabs_live_speech", "text up", _text, is_callers=True),
    Session("elevenlabs_live_speech", "sound down", _spoken, is_callers=False),
    Session("elevenlabs_live_transcription", "sound up", _heard, is_callers=True),
    Session("elevenlabs_live_transcription", "transcript down", _partial, is_callers=False),
)
