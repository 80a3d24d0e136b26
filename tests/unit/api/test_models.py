"""The list of models, as each vendor's SDK reads it."""

from typing import Any

import pytest

from qlaud.api.models import listed_models, one_model, speaker_of
from qlaud.core.catalog import Host, Model

TEXT = Model(
    "m-1", (Host("p", "m-1", ()),), context_window=1000, max_output=100, author="P", display_name="M One"
)
EAR = Model("ear-1", (Host("p", "ear-1", ()),), task="stt")
VOICE = Model("voice-1", (Host("p", "voice-1", ()),), task="tts")
ALL = [TEXT, EAR, VOICE]


@pytest.mark.parametrize(
    ("headers", "path", "shape"),
    [
        (((b"authorization", b"Bearer K"),), "/v1/models", "openai"),
        (((b"authorization", b"Bearer K"), (b"anthropic-version", b"2026-10-21")), "/v1/models", "anthropic"),
        (((b"xi-api-key", b"K"),), "/v1/models", "elevenlabs"),
        (((b"authorization", b"token K"),), "/v1/models", "deepgram"),
        (((b"x-goog-api-key", b"K"),), "/v1/models", "google"),
        ((), "/v1beta/models", "google"),
    ],
)
def test_the_sdk_is_told_by_what_it_sends(
    headers: tuple[tuple[bytes, bytes], ...], path: str, shape: str
) -> None:
    assert speaker_of(headers, path) == shape


def test_openai_gets_an_object_with_a_list() -> None:
    listed: Any = listed_models("openai", ALL)
    assert listed["object"] == "list"
    assert [(row["id"], row["owned_by"]) for row in listed["data"]] == [
        ("m-1", "P"), ("ear-1", "p"), ("voice-1", "p")
    ]  # fmt: skip


def test_anthropic_gets_a_page_with_its_ends() -> None:
    listed: Any = listed_models("anthropic", ALL)
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("m-1", "voice-1", False)
    assert listed["data"][0]["display_name"] == "M One"
    assert listed_models("anthropic", []) == {
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


def test_google_gets_names_with_their_limits() -> None:
    listed: Any = listed_models("google", ALL)
    first = listed["models"][0]
    assert (first["name"], first["inputTokenLimit"], first["outputTokenLimit"]) == ("models/m-1", 1000, 100)
    assert one_model("google", TEXT) == first


def test_google_is_told_what_its_clients_may_ask_of_a_model() -> None:
    wires = ("gemini_generate", "gemini_embed", "openai_chat")
    methods = [
        listed_models("google", [Model("m", (Host("p", "m", (wire,)),))])["models"][0]  # type: ignore[index]
        for wire in wires
    ]
    assert [row["supportedGenerationMethods"] for row in methods] == [
        ["generateContent", "streamGenerateContent", "countTokens"],
        ["embedContent", "batchEmbedContents"],
        [],
    ]


def test_elevenlabs_gets_a_bare_array() -> None:
    own = Model("eleven-1", (Host("p", "eleven-1", ("elevenlabs_speech",)),), task="tts")
    listed: Any = listed_models("elevenlabs", [*ALL, own])
    assert [(row["model_id"], row["can_do_text_to_speech"]) for row in listed] == [
        ("m-1", False), ("ear-1", False), ("voice-1", False), ("eleven-1", True)
    ]  # fmt: skip


def test_deepgram_gets_ears_and_voices_apart() -> None:
    listed: Any = listed_models("deepgram", ALL)
    assert [row["name"] for row in listed["stt"]] == ["ear-1"]
    assert [row["name"] for row in listed["tts"]] == ["voice-1"]
