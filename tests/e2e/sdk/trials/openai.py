"""OpenAI's other APIs, and those of vendors who took them over, through OpenAI's SDKs."""

import base64
import hashlib
from typing import Any

from tests.e2e.sdk.sdks import Name
from tests.e2e.sdk.trials.trial import TOOL_CALL, Cancel, Cost, Deed, Refusal, Trial
from tests.e2e.sdk.trials.voices import sound_of
from tests.support import (
    fake_deepseek,
    fake_groq,
    fake_minimax,
    fake_mistral,
    fake_moonshot,
    fake_openai,
    fake_openai_media,
    fake_openai_responses,
    fake_openrouter,
    fake_perplexity,
    fake_qwen,
    fake_xai,
)
from tests.support.fake_chat import Dialect
from tests.support.fake_openai_responses import TEXT, Responses

PYTHON: Name = ("openai", "python")
NODE: Name = ("openai", "node")
KINDS = {"python": "APIStatusError", "node": "APIError"}
PICTURE = hashlib.sha256(fake_openai_media.PICTURE).hexdigest()
SPEECH = hashlib.sha256(fake_openai_media.SPEECH).hexdigest()
FUNCTION: dict[str, Any] = {
    "type": "function",
    "name": "get",
    "parameters": {
        "type": "object",
        "properties": {"q": {"type": "integer"}},
        "required": ["q"],
        "additionalProperties": False,
    },
    "strict": True,
}


def responses(sdk: Name, wire: Responses, cost: Cost, path: str, own_path: str = "/v1") -> Trial:
    """The Responses API. `path` is the base URL at the gateway, `own_path` at the provider."""
    ask: dict[str, Any] = {"model": wire.model, "input": "Hello"}
    with_tool = {**ask, "tools": [FUNCTION]}
    first = path.split("/")[1]
    provider = "openai" if first == "v1" else first
    refusal = fake_xai.XAI.refusal if provider == "xai" else fake_openai.refusal
    return Trial(
        provider=provider,
        modality="text (responses)",
        sdk=sdk,
        path=path,
        own_path=own_path,
        cap_kind=KINDS[sdk[1]],
        call=Deed("respond", ask, TEXT, cost),
        stream=Deed("respond_stream", ask, TEXT, cost),
        tools=Deed("respond", with_tool, TOOL_CALL, cost),
        streamed_tools=Deed("respond_stream", with_tool, TOOL_CALL, cost),
        refusal=Refusal(refusal(400, "as scripted"), 400, "BadRequestError"),
        cancel=Cancel(Deed("respond_cancel", ask, "Hello", cost), lambda gate: wire.stream(gate=gate)),
    )


def copied() -> list[Trial]:
    """Those who took the Responses API over. The counts are those of their chat, and so are the costs."""

    def trial(dialect: Dialect, cost: Cost) -> Trial:
        own_path = dialect.responses_path.removesuffix("/responses")
        return responses(PYTHON, dialect.responses, cost, f"/{dialect.slug}{own_path}", own_path)

    path = "/compatible-mode/v1"
    return [
        trial(fake_deepseek.DEEPSEEK, fake_deepseek.costs_at),
        trial(fake_groq.GROQ, fake_groq.COST_MICROS),
        trial(fake_minimax.MINIMAX, fake_minimax.COST_MICROS),
        trial(fake_mistral.MISTRAL, fake_mistral.COST_MICROS),
        trial(fake_moonshot.MOONSHOT, fake_moonshot.COST_MICROS),
        trial(fake_openrouter.OPENROUTER, fake_openrouter.COST_MICROS),
        responses(PYTHON, fake_qwen.RESPONSES, fake_qwen.COST_MICROS, f"/qwen{path}", path),
    ]


def media(sdk: Name) -> list[Trial]:
    """Embeddings, pictures, sound out, sound in."""

    def trial(modality: str, call: Deed, **more: Any) -> Trial:
        refusal = Refusal(fake_openai.refusal(400, "as scripted"), 400, "BadRequestError")
        return Trial("openai", modality, sdk, "/v1", "/v1", KINDS[sdk[1]], call, refusal=refusal, **more)

    embed = {"model": fake_openai_media.EMBEDDER, "input": "Hello"}
    paint = {"model": fake_openai_media.PAINTER, "prompt": "A pixel", "size": "1024x1024", "quality": "low"}
    edit = {**paint, "image": base64.b64encode(fake_openai_media.PICTURE).decode()}
    say = {"model": fake_openai_media.SPEAKER, "input": fake_openai_media.SPOKEN, "voice": "alloy"}
    hear = {"model": fake_openai_media.TRANSCRIBER, "file": sound_of(9)}
    tokens = {"model": fake_openai_media.NEW_TRANSCRIBER, "file": sound_of(9)}
    transcript = fake_openai_media.TRANSCRIPT
    cost, picture_cost = fake_openai_media.SPEECH_COST_MICROS, fake_openai_media.PICTURE_COST_MICROS
    duration_cost, token_cost = (
        fake_openai_media.TRANSCRIPTION_COST_MICROS,
        fake_openai_media.TOKENS_COST_MICROS,
    )
    counts = {"characters": 20}
    return [
        trial(
            "embeddings",
            Deed("embed", embed, fake_openai_media.EMBEDDING, fake_openai_media.EMBEDDING_COST_MICROS),
        ),
        trial(
            "images",
            Deed("image", paint, PICTURE, picture_cost),
            stream=Deed("image_stream", {**paint, "partial_images": 1}, PICTURE, picture_cost)
            if sdk == PYTHON
            else None,
            more=(Deed("edit", edit, PICTURE, picture_cost),),
        ),
        trial(
            "speech",
            Deed("speech", say, SPEECH, cost, counts),
            stream=Deed("speech_stream", say, SPEECH, cost, counts),
            cancel=Cancel(
                Deed("speech_cancel", say, 1024, cost), lambda gate: fake_openai_media.speech(gate=gate)
            ),
        ),
        trial(
            "transcription",
            Deed("transcribe", hear, transcript, duration_cost, {"audio_seconds": 9}),
            stream=Deed("transcribe_stream", tokens, transcript, token_cost),
            more=(
                Deed("transcribe", tokens, transcript, token_cost),
                Deed("transcribe", {**hear, "response_format": "verbose_json"}, transcript, duration_cost),
                # Plain text tells no usage: the sound that was sent is 9 seconds long.
                Deed(
                    "transcribe",
                    {**hear, "response_format": "text"},
                    transcript + "\n",
                    duration_cost,
                    estimated=True,
                ),
            ),
        ),
    ]


def groq() -> list[Trial]:
    """Groq's voices, through OpenAI's SDK."""

    def trial(modality: str, call: Deed, **more: Any) -> Trial:
        path = "/openai/v1"
        refusal = Refusal(fake_groq.GROQ.refusal(400, "as scripted"), 400, "BadRequestError")
        kind = KINDS["python"]
        return Trial("groq", modality, PYTHON, f"/groq{path}", path, kind, call, refusal=refusal, **more)

    say = {"model": fake_groq.SPEAKER, "input": fake_groq.SPOKEN, "voice": "hannah", "response_format": "wav"}
    hear = {"model": fake_groq.TRANSCRIBER, "file": sound_of(18)}
    digest = hashlib.sha256(fake_groq.SPEECH).hexdigest()
    cost, counts = fake_groq.SPEECH_COST_MICROS, {"characters": 20}
    return [
        trial(
            "speech",
            Deed("speech", say, digest, cost, counts),
            stream=Deed("speech_stream", say, digest, cost, counts),
            cancel=Cancel(Deed("speech_cancel", say, 1024, cost), lambda gate: fake_groq.speech(gate=gate)),
        ),
        trial(
            "transcription",
            Deed(
                "transcribe",
                hear,
                fake_groq.TRANSCRIPT,
                fake_groq.TRANSCRIPTION_COST_MICROS,
                {"audio_seconds": 18},
                estimated=True,
            ),
        ),
    ]


XAI_PAINT = Deed(
    "image",
    {"model": fake_xai.PAINTER, "prompt": "A pixel", "response_format": "b64_json"},
    hashlib.sha256(fake_xai.PICTURE).hexdigest(),
    fake_xai.PICTURE_COST_MICROS,
)

QWEN_EMBED = Deed(
    "embed",
    {"model": fake_qwen.EMBEDDER, "input": "Hello", "encoding_format": "float"},
    fake_qwen.EMBEDDING,
    fake_qwen.EMBEDDING_COST_MICROS,
    {"input_tokens": 250},
)

OPENROUTER_EMBED = Deed(
    "embed",
    {"model": fake_openrouter.EMBEDDER, "input": "Hello", "encoding_format": "float"},
    fake_openrouter.EMBEDDING,
    fake_openrouter.EMBEDDING_COST_MICROS,
    {"input_tokens": 2050},
)

TRIALS = [
    Trial(
        "openrouter",
        "embeddings",
        PYTHON,
        "/openrouter/api/v1",
        "/api/v1",
        KINDS["python"],
        OPENROUTER_EMBED,
        refusal=Refusal(fake_openrouter.OPENROUTER.refusal(400, "as scripted"), 400, "BadRequestError"),
    ),
    responses(PYTHON, fake_perplexity.AGENT, fake_perplexity.AGENT_COST_MICROS, "/perplexity/v1"),
    Trial(
        "qwen",
        "embeddings",
        PYTHON,
        "/qwen/compatible-mode/v1",
        "/compatible-mode/v1",
        KINDS["python"],
        QWEN_EMBED,
        refusal=Refusal(fake_qwen.QWEN.refusal(400, "as scripted"), 400, "BadRequestError"),
    ),
    responses(PYTHON, fake_openai.RESPONSES, fake_openai_responses.COST_MICROS, "/v1"),
    responses(NODE, fake_openai.RESPONSES, fake_openai_responses.COST_MICROS, "/openai/v1"),
    responses(PYTHON, fake_xai.RESPONSES, fake_xai.RESPONSES_COST_MICROS, "/xai/v1"),
    *copied(),
    *media(PYTHON),
    *media(NODE),
    *groq(),
    Trial(
        "xai",
        "images",
        PYTHON,
        "/xai/v1",
        "/v1",
        KINDS["python"],
        XAI_PAINT,
        refusal=Refusal(fake_xai.XAI.refusal(400, "as scripted"), 400, "BadRequestError"),
    ),
]
