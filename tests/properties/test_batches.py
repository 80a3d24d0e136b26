"""A batch never costs more than was held for it, and costs exactly the sum of its lines, whatever is in it."""

import json
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from qlaud.core.catalog import Host, Model
from qlaud.core.pricing import RateCard
from qlaud.core.usage import Usage
from qlaud.flows.batches import Found, bound_of_batch
from qlaud.flows.calls import Route
from qlaud.flows.tally import Tally
from qlaud.providers.pricebook import load_prices
from qlaud.providers.registry import load_registry
from qlaud.providers.simulator import Simulator
from qlaud.wire.anthropic_batches import ANTHROPIC_BATCHES
from qlaud.wire.jobs import Line
from qlaud.wire.types import Asked

AT_MS = 1_795_262_400_000
WINDOW = 400_000
MODELS = ("claude-opus-5-5", "claude-haiku-4-5", "claude-haiku-5-5")
"""The last costs five times as much beyond 100,000 tokens of input."""


@cache
def cards() -> dict[str, RateCard]:
    book = load_prices(cache_dir=None).book
    found = {name: book.card("anthropic", name, AT_MS) for name in MODELS}
    return {name: card for name, card in found.items() if card is not None}


@cache
def found() -> dict[str, Found]:
    anthropic, outlet = load_registry({}).providers["anthropic"], Simulator()
    hosts = {name: Host("anthropic", name, ("anthropic_batches",), (card,)) for name, card in cards().items()}
    return {
        name: Found(
            Model(name, (host,), context_window=WINDOW, max_output=64_000),
            (Route(host, anthropic, outlet, cards()[name]),),
        )
        for name, host in hosts.items()
    }


@st.composite
def requests(draw: st.DrawFn) -> tuple[dict[str, object], Usage | None]:
    """A request, and what it used: None where it failed. All it may, at most."""
    words = draw(st.sampled_from((1, 50, 99_000, 130_000)))
    limit = draw(st.one_of(st.none(), st.integers(1, 2000)))
    params: dict[str, object] = {
        "model": draw(st.sampled_from(MODELS)),
        "messages": [{"role": "user", "content": "x" * words}],
    }
    if limit is not None:
        params["max_tokens"] = limit
    caches = draw(st.booleans())
    if caches:
        params["cache_control"] = {"type": "ephemeral", "ttl": draw(st.sampled_from(("5m", "1h")))}
    most = len(json.dumps(params))
    read = draw(st.sampled_from((1, most // 2, most)))
    written = draw(st.integers(0, read)) if caches else 0
    output = draw(st.sampled_from((0, limit or 64_000)))
    usage = Usage(
        input_tokens=read - written, cache_write_5m_tokens=written, output_tokens=output, tier="batch"
    )
    return params, draw(st.sampled_from((usage, usage, None)))


@settings(max_examples=60, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=6), st.sampled_from((0, 700)))
def test_the_lines_of_a_batch_fit_into_its_hold(
    batch: list[tuple[dict[str, object], Usage | None]], markup_bp: int
) -> None:
    body = json.dumps({"requests": [{"custom_id": "x", "params": params} for params, _ in batch]}).encode()
    call = ANTHROPIC_BATCHES.read_call(Asked(body=body))
    bound = bound_of_batch(call, "anthropic_batches", found(), markup_bp=markup_bp)
    assert bound.worst is not None
    tally = Tally(cards().get)
    exact = 0
    for params, usage in batch:
        if usage is not None:
            tally.add(Line(str(params["model"]), usage))
            exact += cards()[str(params["model"])].exact_picos(usage)
    charge = tally.charge(markup_bp)
    assert charge.cost_micros <= bound.worst.micros(0)
    assert charge.provider_cost_micros == -(-exact // 1_000_000)
