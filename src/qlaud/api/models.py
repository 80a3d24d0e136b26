"""The list of models in the shape of whoever asks: each vendor's SDK reads its own (contract, section 9).

Told by the credential the SDK sends, as `core.credentials` reads them: `xi-api-key` is ElevenLabs, the scheme `Token`
is Deepgram, `x-goog-api-key` or a path below `/v1beta` is Gemini, `anthropic-version` is Anthropic; all others
speak OpenAI. Shapes were read from the SDKs (providers.md, B.4: a wrong one breaks them).
"""

from collections.abc import Callable, Mapping, Sequence

from qlaud.core.catalog import Model
from qlaud.core.clock import iso_text
from qlaud.ports import Headers

MODELS_SINCE_S = 1_700_000_000
"""Catalog entries have no birthday; SDKs want one."""
SPEAKS_OPENAI = "openai"
GOOGLE_METHODS = (
    ("gemini_generate", ("generateContent", "streamGenerateContent", "countTokens")),
    ("gemini_embed", ("embedContent", "batchEmbedContents")),
    ("gemini_live", ("bidiGenerateContent",)),
)
"""What Google's clients may ask of a model that speaks a wire. Models of other wires are listed, and offer nothing."""


def speaker_of(headers: Headers, path: str) -> str:
    """Whose shape is wanted, by its name in `wire.errors.SHAPES`."""
    if path.startswith("/v1beta/"):
        return "google"
    found = SPEAKS_OPENAI
    for name, value in headers:
        if name == b"anthropic-version":
            return "anthropic"
        if name == b"xi-api-key":
            found = "elevenlabs"
        elif name == b"x-goog-api-key":
            found = "google"
        elif name == b"authorization" and value[:6].lower() == b"token ":
            found = "deepgram"
    return found


def one_model(shape: str, model: Model) -> object:
    """A single model. Shapes that no vendor's list has are OpenAI's."""
    return ONE.get(shape, _openai)(model)


def listed_models(shape: str, models: Sequence[Model]) -> object:
    """Every model, whole: there is no second page."""
    listed = [ONE.get(shape, _openai)(model) for model in models]
    match shape:
        case "anthropic":
            ends = (models[0].slug, models[-1].slug) if models else (None, None)
            return {"data": listed, "has_more": False, "first_id": ends[0], "last_id": ends[1]}
        case "google":
            return {"models": listed}
        case "elevenlabs":
            return listed
        case "deepgram":
            heard = [ONE[shape](model) for model in models if model.task == "stt"]
            spoken = [ONE[shape](model) for model in models if model.task == "tts"]
            return {"stt": heard, "tts": spoken}
        case _:
            return {"object": "list", "data": listed}


def _openai(model: Model) -> dict[str, object]:
    return {
        "id": model.slug,
        "object": "model",
        "created": MODELS_SINCE_S,
        "owned_by": model.author or model.hosts[0].provider,
    }


def _anthropic(model: Model) -> dict[str, object]:
    return {
        "type": "model",
        "id": model.slug,
        "display_name": model.display_name or model.slug,
        "created_at": iso_text(MODELS_SINCE_S * 1000),
    }


def _google(model: Model) -> dict[str, object]:
    spoken = {wire for host in model.hosts for wire in host.wires}
    methods = [method for wire, offered in GOOGLE_METHODS if wire in spoken for method in offered]
    limits: dict[str, object] = {}
    if model.context_window is not None:
        limits["inputTokenLimit"] = model.context_window
    if model.max_output:
        limits["outputTokenLimit"] = model.max_output
    return {
        "name": f"models/{model.slug}",
        "version": "001",
        "displayName": model.display_name or model.slug,
        "description": model.description,
        "supportedGenerationMethods": methods,
        **limits,
    }


def _elevenlabs(model: Model) -> dict[str, object]:
    spoken = {wire for host in model.hosts for wire in host.wires}
    return {
        "model_id": model.slug,
        "name": model.display_name or model.slug,
        "description": model.description,
        "can_do_text_to_speech": "elevenlabs_speech" in spoken,
        "can_do_voice_conversion": "elevenlabs_voice_changer" in spoken,
        "languages": [],
    }


def _deepgram(model: Model) -> dict[str, object]:
    return {
        "name": model.slug,
        "canonical_name": model.slug,
        "architecture": model.slug.split("-")[0],
        "languages": [],
        "version": "",
        "uuid": "",
    }


ONE: Mapping[str, Callable[[Model], dict[str, object]]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "google": _google,
    "elevenlabs": _elevenlabs,
    "deepgram": _deepgram,
}
