"""Providers from files and the environment."""

from pathlib import Path

import pytest

from qlaud.core.providers import Secret
from qlaud.providers import provider_files
from qlaud.providers.provider_files import split_base_url
from qlaud.providers.registry import BadSetting, load_registry
from qlaud.providers.toml_files import BadFile

KEYS = {"ANTHROPIC_API_KEY": " sk-ant-1\n", "OPENAI_API_KEY": "sk-2"}


def test_each_vendor_gets_its_own_key_form() -> None:
    found = load_registry(KEYS)
    assert found.provider("anthropic").auth_headers() == ((b"x-api-key", b"sk-ant-1"),)
    assert found.provider("openai").auth_headers() == ((b"authorization", b"Bearer sk-2"),)
    assert found.provider("sim").auth_headers() == ()


def test_a_provider_is_configured_by_its_key() -> None:
    found = load_registry({"OPENAI_API_KEY": "k"}).providers.items()
    assert {slug for slug, provider in found if provider.configured} == {"openai", "sim"}
    assert load_registry({"OPENAI_API_KEY": "  "}).provider("openai").api_keys == ()


def test_several_keys_stand_in_a_variable_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("sk-3\nsk-4\n")
    named = load_registry({"OPENAI_API_KEY": "sk-1, sk-2,sk-1"}).provider("openai")
    assert [key.reveal() for key in named.api_keys] == ["sk-1", "sk-2"]
    filed = load_registry({"OPENAI_API_KEY_FILE": str(file)}).provider("openai")
    assert [key.reveal() for key in filed.api_keys] == ["sk-3", "sk-4"]
    assert filed.auth_headers(1) == ((b"authorization", b"Bearer sk-4"),)


def test_a_key_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text(" \n")
    for env, reason in (
        ({"OPENAI_API_KEY_FILE": str(tmp_path / "none")}, "cannot be read"),
        ({"OPENAI_API_KEY_FILE": str(empty)}, "is empty"),
        ({"OPENAI_API_KEY_FILE": str(empty), "OPENAI_API_KEY": "sk-1"}, "use one of the two"),
    ):
        with pytest.raises(BadSetting, match=reason) as caught:
            load_registry(env)
        assert caught.value.variable == "OPENAI_API_KEY_FILE"


@pytest.mark.parametrize(
    ("slug", "wire", "origin", "target"),
    [
        ("anthropic", "messages", "https://api.anthropic.com", b"/v1/messages"),
        ("anthropic", "count_tokens", "https://api.anthropic.com", b"/v1/messages/count_tokens"),
        ("openai", "openai_chat", "https://api.openai.com", b"/v1/chat/completions"),
        ("sim", "openai_chat", "", b"/v1/chat/completions"),
    ],
)
def test_wires_have_the_vendors_paths(slug: str, wire: str, origin: str, target: bytes) -> None:
    provider = load_registry({}).provider(slug)
    assert (provider.origin, provider.target(wire)) == (origin, target)


@pytest.mark.parametrize(
    ("text", "origin", "base_path"),
    [
        ("https://proxy.example", "https://proxy.example", ""),
        ("https://proxy.example/", "https://proxy.example", ""),
        ("https://proxy.example:8443/openai/v1//", "https://proxy.example:8443", "/openai/v1"),
        ("http://127.0.0.1:9000/v1/", "http://127.0.0.1:9000", "/v1"),
        ("http://localhost:9000", "http://localhost:9000", ""),
        ("http://[::1]:9000/v1", "http://[::1]:9000", "/v1"),
        ("http://127.9.9.9:1", "http://127.9.9.9:1", ""),
    ],
)
def test_a_base_url_can_be_overridden(text: str, origin: str, base_path: str) -> None:
    assert split_base_url(text) == (origin, base_path)
    provider = load_registry({"QLAUD_OPENAI_BASE_URL": text}).provider("openai")
    assert (provider.origin, provider.base_path) == (origin, base_path)


@pytest.mark.parametrize(
    "text",
    [
        "http://proxy.example/v1",
        "http://10.0.0.1/v1",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "ftp://127.0.0.1",
        "proxy.example/v1",
        "https://",
        "https://user:secret@proxy.example",
        "https://proxy.example?key=secret",
        "https://proxy.example/#x",
        "https://proxy.example:port",
        "https://proxy.example/a b",
        "https://proxy.example/\r\nx-evil: 1",
    ],
)
def test_a_base_url_that_cannot_be_used_stops_the_start(text: str) -> None:
    with pytest.raises(BadSetting, match="QLAUD_ANTHROPIC_BASE_URL") as caught:
        load_registry({"QLAUD_ANTHROPIC_BASE_URL": text})
    assert "secret" not in str(caught.value)


def test_a_key_that_cannot_be_a_header_is_refused_without_showing_it() -> None:
    for key in ("sk-a\nx-evil: 1", "sk-ü", "two words"):
        with pytest.raises(BadSetting, match="OPENAI_API_KEY") as caught:
            load_registry({"OPENAI_API_KEY": key})
        assert key not in str(caught.value)


def test_a_key_is_never_printed() -> None:
    found = load_registry(KEYS)
    for text in (repr(found), str(found.provider("openai")), f"{Secret('sk-2')}", repr(Secret("sk-2"))):
        assert "sk-2" not in text
    assert Secret("sk-2").reveal() == "sk-2"


def films(jobs: str) -> str:
    """A wire of jobs, with these paths about them."""
    more = f", jobs = {jobs}" if jobs else ""
    return f'wires = {{ openai_video = {{ paths = ["/v"], kind = "job"{more} }} }}'


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ('slug = "Acme"', "slug"),
        ('quirks = ["odd"]', "quirks"),
        ("in_process = true", "base_url"),
        ('base_url = "http://acme.example"', "base_url"),
        ('auth = { header = "X-Key", variable = "ACME_KEY" }', "auth.header"),
        ('auth = { header = "x-key", variable = "acme key" }', "auth.variable"),
        ('auth = { header = "x-key", variable = "ACME_KEY", format = "Bearer" }', "auth.format"),
        ('headers = { "X-Version" = "1" }', "headers.X-Version"),
        ('wires = { messages = { paths = ["v1"] } }', "wires.messages.paths"),
        ('wires = { messages = { paths = ["/{a}/{a}"] } }', "wires.messages.paths"),
        ("wires = { messages = {} }", "wires.messages.paths"),
        (films(""), "wires.openai_video.jobs"),
        (films('{ record = "/v" }'), "wires.openai_video.jobs"),
        (films('{ record = "/v/{job}", also = ["/w"] }'), "wires.openai_video.jobs"),
        (films('{ record = "/v/{job}", content = ["/w"] }'), "wires.openai_video.jobs"),
        (films('{ record = "/{x}/{job}" }'), "wires.openai_video.jobs.record"),
        ('wires = { acme_chat = { paths = ["/v1"] } }', "wires.acme_chat"),
        ('errors = "acme"', "errors"),
        ('free = { get = ["voices"] }', "free"),
        ("wires = {}", "wires"),
        ('colour = "red"', "colour"),
    ],
)
def test_a_wrong_provider_file_is_named_with_its_key(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, change: str, complaint: str
) -> None:
    rows = {
        "slug": 'slug = "acme"',
        "display_name": 'display_name = "Acme"',
        "base_url": 'base_url = "https://acme.example"',
        "wires": 'wires = { messages = { paths = ["/v1/messages"] } }',
    }
    rows[change.split(" ")[0]] = change
    file = tmp_path_factory.mktemp("providers") / "acme.toml"
    file.write_text("\n".join(rows.values()))
    monkeypatch.setattr(provider_files, "shipped", lambda _: [file])  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(BadFile) as caught:
        load_registry({})
    assert str(caught.value).startswith(str(file))
    assert complaint in str(caught.value)


def test_a_new_provider_is_a_file(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path_factory.mktemp("providers") / "acme.toml"
    file.write_text(
        'slug = "acme"\ndisplay_name = "Acme"\nbase_url = "https://acme.example/openai/v1"\n'
        '[auth]\nheader = "authorization"\nformat = "Token {key}"\nvariable = "ACME_KEY"\n'
        '[wires.openai_chat]\npaths = ["/chat/completions"]\nlimit_field = "max_tokens"\n'
    )
    monkeypatch.setattr(provider_files, "shipped", lambda _: [file, file][:1])  # pyright: ignore[reportUnknownLambdaType]
    acme = load_registry({"ACME_KEY": "k"}).provider("acme")
    assert acme.auth_headers() == ((b"authorization", b"Token k"),)
    assert acme.target("openai_chat") == b"/openai/v1/chat/completions"
    assert acme.wires["openai_chat"].limit_field == "max_tokens"
