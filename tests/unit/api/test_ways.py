"""Whose path is whose: what no rule knows is its provider's where the path says so, and speaks its error shape."""

import pytest

from qlaud.api.surfaces import Ways
from qlaud.providers.registry import load_registry

WAYS = Ways(load_registry({}))


@pytest.mark.parametrize(
    ("method", "path", "provider"),
    [
        ("GET", "/v1beta/files", "google"),
        ("POST", "/v1beta/models/veo-3:tuneSomething", "google"),
        ("POST", "/v1/models/veo-3:tuneSomething", "google"),
        ("POST", "/v1beta/cachedContents", "google"),
        ("POST", "/v1/text-to-speech/voice/unknown", "elevenlabs"),
        ("GET", "/v1/speech-to-text/transcripts/7", "elevenlabs"),
        ("GET", "/v1/listen/x", "deepgram"),
        ("GET", "/api/v1/tasks", "qwen"),
        ("GET", "/google/v1beta/files", "google"),
    ],
)
def test_a_path_without_a_rule_is_its_only_owners(method: str, path: str, provider: str) -> None:
    found = WAYS.find(method, path)
    assert found is not None
    assert (found.surface.provider, found.surface.is_metered) == (provider, False)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/images/variations"),  # several have such paths
        ("GET", "/v1/messages/batches/x/y"),
        ("GET", "/v1beta/models"),  # the gateway's own list
        ("GET", "/v1beta/models/a:b"),
        ("POST", "/v1/models/a"),
        ("GET", "/v1/text-to-speech/voice"),  # there is one, by another method
        ("TRACE", "/v1beta/files"),
        ("GET", "/v1beta/../v1/keys"),
        ("GET", "/v1/keys/unknown"),
        ("GET", "/google"),
    ],
)
def test_no_other_path_becomes_a_providers(method: str, path: str) -> None:
    assert WAYS.find(method, path) is None


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/chat/completions/x", "openai"),
        ("/v1/images/variations", "openai"),
        ("/v1/videos/a/b/c", "openai"),
        ("/v1/realtime/x", "openai"),
        ("/v1/messages/x", "anthropic"),
        ("/v1beta", "google"),
        ("/v1beta/../x", "google"),
        ("/google", "google"),
        ("/v1/language-models", "openai"),
        ("/v1/voices", "elevenlabs"),
        ("/v1/text-to-speech", "elevenlabs"),
        ("/v1/listen/x", "deepgram"),
        ("/deepgram/../x", "deepgram"),
        ("/v1/keys/x", None),
        ("/sim/x", None),
        ("/nobody/v1/x", None),
        ("/", None),
    ],
)
def test_every_path_of_models_has_its_error_shape(path: str, shape: str | None) -> None:
    assert WAYS.shape(path) == shape


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1beta/models/g:generateContent", ["OPTIONS", "POST"]),
        ("/v1beta/models", ["GET", "HEAD", "OPTIONS"]),
        ("/elevenlabs/v1/voices", ["GET", "HEAD", "OPTIONS"]),
        ("/v1/responses/resp_1", ["DELETE", "GET", "HEAD", "OPTIONS"]),
        ("/v1/images/variations", []),
    ],
)
def test_the_methods_of_a_path_are_those_it_is_served_by(path: str, methods: list[str]) -> None:
    assert WAYS.methods(path) == methods


def test_a_path_is_found_below_the_names_of_those_who_have_it() -> None:
    assert WAYS.below_a_name("GET", "/v1/language-models") == ["/xai/v1/language-models"]
    assert WAYS.below_a_name("POST", "/v1/language-models") == []
    assert "/groq/openai/v1/models" in WAYS.below_a_name("GET", "/openai/v1/models")


def test_what_is_free_and_one_providers_alone_needs_no_prefix() -> None:
    for path in ("/v1/voices", "/v2/voices", "/v1/voices/abc"):
        found = WAYS.find("GET", path)
        assert found is not None
        assert (found.surface.provider, found.surface.kind) == ("elevenlabs", "free")
    assert WAYS.find("POST", "/v1/voices/add") is None
    assert WAYS.find("GET", "/v1/models") is None
