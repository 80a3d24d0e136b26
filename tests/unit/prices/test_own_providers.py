"""An operator's providers: a few lines of TOML, and no Python."""

from pathlib import Path

import pytest

from qlaud.core.demand import Demand
from qlaud.core.usage import Usage
from qlaud.providers.models import Shelf, load_catalog
from qlaud.providers.provider_files import laid_over
from qlaud.providers.toml_files import BadFile

NOW = 1_795_564_800_000
VLLM = """
slug = "vllm"
like = "openai"
base_url = "http://10.0.0.5:8000/v1"
plain_http = true

[[model]]
slug = "llama-3.3-70b"
upstream = "meta-llama/Llama-3.3-70B-Instruct"
rates = { input_tokens = "0.10/M", output_tokens = "0.30/M" }
traits = { context_window = 131_072, max_output = 8_192 }

[[model]]
slug = "on-the-house"
rates = { input_tokens = "0/M", output_tokens = "0/M" }

[[model]]
slug = "nobody-knows"
"""


def shelf(tmp_path: Path, *texts: str, **env: str) -> Shelf:
    folder = tmp_path / "own"
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number}.toml").write_text(text)
    return load_catalog(env=env, cache_dir=None, at_ms=NOW, providers_dir=folder)


def test_a_server_like_openai_is_added_by_a_file(tmp_path: Path) -> None:
    found = shelf(tmp_path, VLLM)
    provider = found.registry.provider("vllm")
    assert (provider.origin, provider.target("openai_chat")) == (
        "http://10.0.0.5:8000",
        b"/v1/chat/completions",
    )
    assert provider.configured
    host = found.catalog.resolve("llama-3.3-70b").hosts[0]
    assert (host.upstream_name("llama-3.3-70b"), host.wires) == (
        "meta-llama/Llama-3.3-70B-Instruct",
        ("openai_chat",),
    )
    card = host.card_at(NOW)
    assert card is not None
    assert card.charge(Usage(input_tokens=1_000_000, output_tokens=1_000_000)).cost_micros == 400_000
    assert card.worst(Demand(1_000_000), context_window=131_072).micros(1_000_000) == 13_108 + 300_000
    model = found.catalog.resolve("llama-3.3-70b")
    assert (model.context_window, model.max_output) == (131_072, 8_192)


def test_what_is_free_is_said_to_be_and_what_has_no_rates_has_no_price(tmp_path: Path) -> None:
    catalog = shelf(tmp_path, VLLM).catalog
    free = catalog.resolve("on-the-house").hosts[0].card_at(NOW)
    assert free is not None
    assert free.charge(Usage(input_tokens=9, output_tokens=9)).cost_micros == 0
    assert catalog.resolve("nobody-knows").hosts[0].card_at(NOW) is None


def test_a_server_like_anthropic_with_a_key(tmp_path: Path) -> None:
    text = """
slug = "proxy"
like = "anthropic"
base_url = "https://proxy.example/claude"
auth = { variable = "PROXY_KEY" }
model = [{ slug = "house-model", rates = { input_tokens = "1/M", output_tokens = "2/M" } }]
"""
    provider = shelf(tmp_path, text, PROXY_KEY="k").registry.provider("proxy")
    assert provider.auth_headers() == ((b"authorization", b"Bearer k"),)
    assert (provider.target("messages"), provider.error_shape) == (b"/claude/v1/messages", "anthropic")


def test_a_shipped_provider_is_overridden_where_the_file_says_so_and_nowhere_else(tmp_path: Path) -> None:
    found = shelf(
        tmp_path,
        'slug = "openai"\nbase_url = "https://eu.api.openai.com/v1"\n[wires.openai_chat]\nlimit_field = "max_tokens"',
    )
    provider = found.registry.provider("openai")
    assert provider.origin == "https://eu.api.openai.com"
    assert provider.wires["openai_chat"].limit_field == "max_tokens"
    assert provider.wires["openai_chat"].surface == "chat_completions"
    assert provider.key_variable == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (VLLM.replace("plain_http = true", ""), "plain_http = true"),
        (VLLM.replace('"openai"', '"open-ai"'), "like: expected one of anthropic, openai"),
        (VLLM.replace("0.10/M", "ten"), "rates.input_tokens"),
        (VLLM.replace("upstream =", "up ="), "up"),
        (VLLM.replace('like = "openai"', ""), "wires"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadFile, match=r"0\.toml") as caught:
        shelf(tmp_path, text)
    assert complaint in str(caught.value)


def test_two_files_of_one_provider_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"stands in .*0\.toml too"):
        shelf(tmp_path, VLLM, VLLM)


def test_tables_are_joined_and_everything_else_is_replaced() -> None:
    below = {"a": {"x": 1, "y": [1]}, "b": 1}
    assert laid_over(below, {"a": {"y": [2]}, "b": {"z": 1}}) == {"a": {"x": 1, "y": [2]}, "b": {"z": 1}}
    assert below == {"a": {"x": 1, "y": [1]}, "b": 1}


MINE = """slug = "mine"
like = "openai"
base_url = "http://127.0.0.1:8000/v1"

[[model]]
slug = "m-1"
rates = { input_tokens = "0.10/M", output_tokens = "0.30/M" }
traits = { max_output = 8_192 }
"""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("like", "lik", "lik: is no key of this file; did you mean like?"),
        ("traits", "trait", "model[0].trait: is no key of this file; did you mean traits?"),
        (
            "max_output",
            "maxoutput",
            "model[0].traits.maxoutput: is no key of this file; did you mean max_output?",
        ),
        ("0.10/M", "0.10/X", 'model "m-1": rates.input_tokens: "0.10/X" is not a rate such as "3/M"'),
        ('"0.10/M"', "0.10", "model[0].rates[...]: expected text in quotes, got a number"),
        ("input_tokens", "input_token", "rates.input_token: is no quantity; did you mean input_tokens?"),
        (', output_tokens = "0.30/M"', "", "rates.output_tokens: is missing, and would cost nothing"),
        ("8_192", "-5", 'model "m-1": traits.max_output: expected a number of tokens above 0'),
        ("8_192", '"8k"', "model[0].traits.max_output: expected a whole number, got text in quotes"),
        ("max_output = 8_192", 'wires = ["messages"]', 'traits.wires: "messages" is none of openai_chat'),
        ("max_output = 8_192", 'task = "chat"', 'traits.task: "chat" is none of text-generation, '),
        ('"openai"', "openai", "is not TOML: Invalid value (at line 2, column 8)"),
        ('like = "openai"', "", 'wires: is missing; say like = "openai" or like = "anthropic"'),
        ("base_url", "#", "base_url: expected the address of the server"),
        ('slug = "mine"', "", "slug: is missing"),
        ('"mine"', '"v1"', "slug: expected another name"),
        ('"mine"', '"metrics"', "slug: expected another name"),
        ('slug = "m-1"', "", "model[0].slug: is missing"),
        (
            '"m-1"',
            '"m-1"\naliases = ["claude-opus-4-7[1m]"]',
            "already names claude-opus-4-7; choose another",
        ),
        ("[[model]]", '[[model]]\nslug = "m-1"\n[[model]]', 'model "m-1": stands twice'),
        ("[[model]]", "[model]", "model: expected a list, got a table"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_the_file_the_key_and_what_to_write(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in MINE
    with pytest.raises(BadFile) as caught:
        shelf(tmp_path, MINE.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'own' / '0.toml'}: ")
    assert complaint in str(caught.value)


def test_two_files_about_one_provider_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile) as caught:
        shelf(tmp_path, MINE, MINE)
    assert str(tmp_path / "own" / "0.toml") in str(caught.value)
    assert str(tmp_path / "own" / "1.toml") in str(caught.value)


def test_two_servers_may_serve_the_same_thing_under_names_of_their_own(tmp_path: Path) -> None:
    here = MINE.replace('"m-1"', '"m-1"\nupstream = "org/model"')
    there = here.replace('"mine"', '"theirs"').replace('"m-1"', '"m-2"')
    catalog = shelf(tmp_path, here, there).catalog
    assert [catalog.resolve(name).hosts[0].provider for name in ("m-1", "m-2")] == ["mine", "theirs"]
    assert catalog.resolve("org/model").slug == "m-1"
