"""Google's SDKs, Python below the gateway's own paths and Node below the provider's name."""

import hashlib
from typing import Any

from tests.e2e.sdk.sdks import Name
from tests.e2e.sdk.trials.trial import TOOL_CALL, Cancel, Deed, Refusal, Trial
from tests.support import fake_google as fake
from tests.support import fake_interactions as talks

ASK: dict[str, Any] = {"model": fake.MODEL, "contents": "Hello"}
PARAMETERS = {"type": "OBJECT", "properties": {"q": {"type": "INTEGER"}}}
DECLARATION: dict[str, Any] = {"name": "get", "description": "Get it", "parameters": PARAMETERS}


def text(sdk: Name, path: str) -> Trial:
    """Text by one of the SDKs."""
    names = "function_declarations" if sdk[1] == "python" else "functionDeclarations"
    with_tool = {**ASK, "config": {"tools": [{names: [DECLARATION]}]}}
    kind = "ClientError" if sdk[1] == "python" else "ApiError"
    return Trial(
        provider="google",
        modality="text (native)",
        sdk=sdk,
        path=path,
        own_path="",
        cap_kind=kind,
        call=Deed("call", ASK, fake.TEXT, fake.COST_MICROS),
        stream=Deed("stream", ASK, fake.TEXT, fake.COST_MICROS),
        tools=Deed("call", with_tool, TOOL_CALL, fake.COST_MICROS),
        streamed_tools=Deed("stream", with_tool, TOOL_CALL, fake.COST_MICROS),
        refusal=Refusal(fake.refusal(429, "as scripted"), 429, kind),
        cancel=Cancel(
            Deed("cancel", ASK, "Hello", fake.COST_MICROS), lambda gate: fake.text_stream(gate=gate)
        ),
    )


def other(sdk: Name, path: str, modality: str, deed: Deed, **more: Any) -> Trial:
    """Another modality."""
    kind = "ClientError" if sdk[1] == "python" else "ApiError"
    return Trial(
        provider="google",
        modality=modality,
        sdk=sdk,
        path=path,
        own_path="",
        cap_kind=kind,
        call=deed,
        refusal=Refusal(fake.refusal(400, "as scripted"), 400, kind),
        **more,
    )


EMBED = Deed(
    "embed",
    {"model": fake.EMBEDDER, "contents": "Hello"},
    fake.EMBEDDING,
    fake.EMBEDDING_COST_MICROS,
    {"input_tokens": 35},
)
PAINT = Deed(
    "image",
    {"model": fake.PAINTER, "contents": "A pixel"},
    hashlib.sha256(fake.PICTURE).hexdigest(),
    fake.PICTURE_COST_MICROS,
)
SPEECH = hashlib.sha256(fake.SPEECH).hexdigest()
SAY = {"model": fake.SPEAKER, "contents": "Say hello", "config": {"response_modalities": ["AUDIO"]}}
SPEAK = Deed("speech", SAY, SPEECH, fake.SPEECH_COST_MICROS)
SPEAK_STREAM = Deed("speech_stream", SAY, SPEECH, fake.SPEECH_COST_MICROS)
SPEAK_CANCEL = Cancel(
    Deed("speech_cancel", SAY, 1024, fake.SPEECH_COST_MICROS), lambda gate: fake.speech_stream(gate=gate)
)
PYTHON: Name = ("google", "python")
NODE: Name = ("google", "node")

TALK: dict[str, Any] = {"model": fake.MODEL, "input": "Hello", "store": False}
FUNCTION = {
    "type": "function",
    "name": "get",
    "description": "Get it",
    "parameters": {"type": "object", "properties": {"q": {"type": "integer"}}},
}
ASK_TOOL: dict[str, Any] = {**TALK, "tools": [FUNCTION]}
TELL_RESULT: dict[str, Any] = {
    **ASK_TOOL,
    "input": [
        {"type": "user_input", "content": [{"type": "text", "text": "Hello"}]},
        {"type": "function_call", "id": "call_1", "name": "get", "arguments": {"q": 1}},
        {"type": "function_result", "call_id": "call_1", "name": "get", "result": "one"},
    ],
}
TALKED = (talks.TEXT, talks.COST_MICROS, talks.COUNTS)
CALLED = (TOOL_CALL, talks.TOOL_COST_MICROS, talks.TOOL_COUNTS)
INTERACTIONS = Trial(
    provider="google",
    modality="text (interactions)",
    sdk=PYTHON,
    path="/google",
    own_path="",
    cap_kind="APIStatusError",
    call=Deed("interact", TALK, *TALKED),
    stream=Deed("interact_stream", TALK, *TALKED),
    tools=Deed("interact", ASK_TOOL, *CALLED),
    streamed_tools=Deed("interact_stream", ASK_TOOL, *CALLED),
    refusal=Refusal(fake.refusal(400, "as scripted"), 400, "APIStatusError"),
    cancel=Cancel(
        Deed("interact_cancel", TALK, "Hello", talks.COST_MICROS, talks.COUNTS),
        lambda gate: talks.stream(fake.MODEL, fake.HEADERS, gate=gate),
    ),
    more=(Deed("interact", TELL_RESULT, *TALKED),),
)

TRIALS = [
    INTERACTIONS,
    text(PYTHON, ""),
    text(NODE, "/google"),
    other(PYTHON, "/google", "embeddings", EMBED),
    other(NODE, "", "embeddings", EMBED),
    other(PYTHON, "", "images", PAINT),
    other(PYTHON, "", "speech", SPEAK, stream=SPEAK_STREAM, cancel=SPEAK_CANCEL),
]
