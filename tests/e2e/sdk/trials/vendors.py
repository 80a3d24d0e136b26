"""Mistral's, Qwen's and MiniMax's other routes: their own SDK if there is one, Anthropic's if their pages say so."""

import base64
import hashlib
from typing import Any

from tests.e2e.sdk.sdks import Name
from tests.e2e.sdk.trials.trial import TOOL_CALL, Cancel, Cost, Deed, Refusal, Trial
from tests.e2e.sdk.trials.voices import sound_of
from tests.support import (
    fake_anthropic,
    fake_deepseek,
    fake_minimax,
    fake_mistral,
    fake_moonshot,
    fake_qwen,
)
from tests.support.fake_anthropic import TEXT
from tests.support.fake_chat import as_messages
from tests.support.fake_provider import Answer, Gate

HELLO = [{"role": "user", "content": "Hello"}]
MISTRAL: Name = ("mistral", "python")
DASHSCOPE: Name = ("dashscope", "python")
ANTHROPIC: Name = ("anthropic", "python")


def mistral(modality: str, call: Deed, **more: Any) -> Trial:
    """One of Mistral's."""
    refusal = Refusal(fake_mistral.MISTRAL.refusal(400, "as scripted"), 400, "SDKError")
    return Trial("mistral", modality, MISTRAL, "/mistral", "", "SDKError", call, refusal=refusal, **more)


def qwen(modality: str, call: Deed, **more: Any) -> Trial:
    """One of Qwen's own. Its SDK raises nothing; `Refused` is the driver's name for an answer that is an error."""
    refusal = Refusal(fake_qwen.refusal(400, "as scripted"), 400, "Refused")
    return Trial(
        "qwen", modality, DASHSCOPE, "/qwen/api/v1", "/api/v1", "Refused", call, refusal=refusal, **more
    )


def messages(provider: str, path: str, model: str, usage: dict[str, Any], cost: Cost) -> Trial:
    """Anthropic's wire as another vendor speaks it."""
    ask: dict[str, Any] = {"model": model, "max_tokens": 500, "messages": HELLO}
    schema = {"type": "object", "properties": {"q": {"type": "integer"}}}
    with_tool = {**ask, "tools": [{"name": "get", "description": "Get it", "input_schema": schema}]}

    def waiting(gate: Gate) -> Answer:
        return fake_anthropic.compatible({**ask, "stream": True}, model, usage, gate=gate)

    return Trial(
        provider=provider,
        modality="text (messages)",
        sdk=ANTHROPIC,
        path=f"/{provider}{path}",
        own_path=path,
        cap_kind="PaymentRequiredError",
        call=Deed("create", ask, TEXT, cost),
        stream=Deed("stream", ask, TEXT, cost),
        tools=Deed("create", with_tool, TOOL_CALL, cost),
        streamed_tools=Deed("stream", with_tool, TOOL_CALL, cost),
        refusal=Refusal(fake_anthropic.refusal(400, "as scripted"), 400, "BadRequestError"),
        cancel=Cancel(Deed("cancel", ask, "Hello", cost), waiting),
    )


EMBED = {"model": fake_mistral.EMBEDDER, "inputs": ["Hello"]}
HEAR = {"model": fake_mistral.TRANSCRIBER, "file": sound_of(12)}
SAY = {"model": fake_mistral.SPEAKER, "input": "Hello there.", "voice_id": "v-1"}
READ = {
    "model": fake_mistral.READER,
    "document": {"type": "document_url", "document_url": "https://example.com/paper.pdf"},
}
FILL = {"model": fake_mistral.CODER.model, "prompt": "def hello():"}
SPEECH = base64.b64encode(fake_mistral.SPEECH).decode()
SPEECH_DIGEST = hashlib.sha256(fake_mistral.SPEECH).hexdigest()
ASK: dict[str, Any] = {"model": fake_qwen.MODEL, "messages": HELLO}
PARAMETERS = {"type": "object", "properties": {"q": {"type": "integer"}}}
WITH_TOOL = {**ASK, "tools": [{"type": "function", "function": {"name": "get", "parameters": PARAMETERS}}]}
PAINT = {
    "model": fake_qwen.PAINTER,
    "messages": [{"role": "user", "content": [{"text": "A pixel"}]}],
}
QWEN_SPEECH = hashlib.sha256(fake_qwen.SPEECH).hexdigest()
TELL = {"model": fake_qwen.SPEAKER, "text": "Hello there.", "voice": "Cherry"}

TRIALS = [
    mistral(
        "embeddings",
        Deed(
            "embed", EMBED, fake_mistral.EMBEDDING, fake_mistral.EMBEDDING_COST_MICROS, {"input_tokens": 250}
        ),
    ),
    mistral(
        "transcription",
        Deed(
            "transcribe",
            HEAR,
            fake_mistral.TRANSCRIPT,
            fake_mistral.TRANSCRIPTION_COST_MICROS,
            {"audio_seconds": 12},
        ),
        stream=Deed(
            "transcribe_stream", HEAR, fake_mistral.TRANSCRIPT, fake_mistral.TRANSCRIPTION_COST_MICROS
        ),
    ),
    mistral(
        "speech",
        Deed("speech", SAY, SPEECH, fake_mistral.SPEECH_COST_MICROS, {"characters": 12}),
        stream=Deed("speech_stream", SAY, SPEECH_DIGEST, fake_mistral.SPEECH_COST_MICROS, {"characters": 12}),
        cancel=Cancel(
            Deed("speech_cancel", SAY, 500, fake_mistral.SPEECH_COST_MICROS),
            lambda gate: fake_mistral.speech_stream(gate=gate),
        ),
    ),
    mistral(
        "text (completion)",
        Deed("fill", FILL, TEXT, fake_mistral.CODE_COST_MICROS),
        stream=Deed("fill_stream", FILL, TEXT, fake_mistral.CODE_COST_MICROS),
        cancel=Cancel(
            Deed("fill_cancel", FILL, "Hello", fake_mistral.CODE_COST_MICROS),
            lambda gate: fake_mistral.CODER.stream(gate=gate),
        ),
    ),
    mistral("ocr", Deed("ocr", READ, 3, fake_mistral.OCR_COST_MICROS)),
    qwen(
        "text (native)",
        Deed("call", ASK, fake_qwen.TEXT, fake_qwen.NATIVE_COST_MICROS),
        stream=Deed("stream", ASK, fake_qwen.TEXT, fake_qwen.NATIVE_COST_MICROS),
        tools=Deed("call", WITH_TOOL, TOOL_CALL, fake_qwen.NATIVE_COST_MICROS),
        streamed_tools=Deed("stream", WITH_TOOL, TOOL_CALL, fake_qwen.NATIVE_COST_MICROS),
        cancel=Cancel(
            Deed("cancel", ASK, "Hello", fake_qwen.NATIVE_COST_MICROS),
            lambda gate: fake_qwen.native_stream(gate=gate),
        ),
    ),
    qwen(
        "images",
        Deed("image", PAINT, "https://example.com/1.png", fake_qwen.PICTURE_COST_MICROS, {"images": 1}),
    ),
    qwen(
        "speech",
        Deed("speech", TELL, "https://example.com/1.wav", fake_qwen.SPEECH_COST_MICROS, {"characters": 34}),
        stream=Deed("speech_stream", TELL, QWEN_SPEECH, fake_qwen.SPEECH_COST_MICROS, {"characters": 34}),
        cancel=Cancel(
            Deed("speech_cancel", TELL, 500, fake_qwen.SPEECH_COST_MICROS),
            lambda gate: fake_qwen.speech_stream(gate=gate),
        ),
    ),
    messages(
        "minimax",
        "/anthropic",
        fake_minimax.MINIMAX.model,
        fake_minimax.MESSAGES_USAGE,
        fake_minimax.MESSAGES_COST_MICROS,
    ),
    messages(
        "qwen", "/apps/anthropic", fake_qwen.MODEL, fake_qwen.MESSAGES_USAGE, fake_qwen.NATIVE_COST_MICROS
    ),
    messages(
        "deepseek",
        "/anthropic",
        fake_deepseek.DEEPSEEK.model,
        as_messages(fake_deepseek.DEEPSEEK.usage),
        fake_deepseek.costs_at,
    ),
    messages(
        "moonshot",
        "/anthropic",
        fake_moonshot.MOONSHOT.model,
        as_messages(fake_moonshot.MOONSHOT.usage),
        fake_moonshot.COST_MICROS,
    ),
]
