"""A run before it happens: keys, clients, calls, scripts and what is changed in mid-flight, all from one seed.

The seed decides everything but the order in which processes and sockets happen to get their turn. So a replay sends
the same bytes and breaks at the same places, but may need a few tries to meet the same race.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from bench.prove import texts
from bench.prove.prices import MODELS, Bound, Model, bound
from bench.prove.scripts import Script, Temper, draw_script

Stage = Literal["body", "sent", "head", "body_read"]
FLOOR_TOKENS = 256
TOOL_TOKENS = {"anthropic": 2_000, "openai": 1_000}
CLIENTS = (1, 10, 50, 200)


@dataclass(frozen=True, slots=True)
class HangUp:
    """Where a client leaves: while sending, after sending, after the head, or after some bytes of the body."""

    stage: Stage
    after_bytes: int = 0
    wait_ms: int = 0
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request of one client."""

    tag: str
    key: int
    """Index of the key in the scenario."""
    path: str
    body: bytes
    model: Model
    stream: bool
    limit: int | None
    candidates: int
    bound: Bound
    """W of this very request, computed here."""
    floor: int
    script: Script
    hang_up: HangUp | None = None

    @property
    def want(self) -> int:
        """The output it wants: its own limit, or all the model can give."""
        return self.limit if self.limit is not None else self.model.max_output


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A key as it is minted."""

    cap_micros: int | None
    on_cap: str = "clamp"
    on_disconnect: str = "drain"
    rpm_limit: int | None = None
    max_parallel: int | None = None
    cap_period: str = "lifetime"


@dataclass(frozen=True, slots=True)
class Act:
    """Something done to a key, the clock or a process while calls are under way."""

    kind: Literal["cap", "credit", "revoke", "clock"]
    key: int
    after_ms: int
    amount: int = 0
    """Micros, or milliseconds the clock moves."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole run."""

    seed: str
    keys: tuple[KeyPlan, ...]
    clients: tuple[tuple[Call, ...], ...]
    acts: tuple[Act, ...]
    markup_bp: int
    wallet_micros: int | None = None
    """On a prepaid deployment: what the wallet has to give in this run."""

    @property
    def calls(self) -> list[Call]:
        """Every call of every client."""
        return [call for calls in self.clients for call in calls]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a kind of deployment runs."""

    clients: Sequence[int] = (1, 1, 1, 10, 10, 10, 50, 50, 200)
    most_calls: int = 3
    temper: Temper | None = None
    markup_bp: int = 0
    wallet: bool = False
    clock: bool = False
    acts_pct: int = 30
    hang_up_pct: int = 20
    tightness: Sequence[int] = (2, 20, 60, 100, 150, 1000)
    """Cap in percent of what the calls would cost at their worst, one after the other."""


def draw(seed: str, shape: Shape) -> Scenario:
    """The scenario of a seed."""
    dice = Random(seed)
    clients = dice.choice(shape.clients)
    key_count = dice.choice((1, 1, max(1, clients // 5), clients))
    temper = shape.temper or Temper(
        fault_pct=dice.choice((0, 0, 20, 50)),
        slow_pct=dice.choice((0, 30, 80)) if clients < 200 else 10,
        greedy=dice.random() < 0.15,
    )
    most_calls = shape.most_calls if clients < 50 else 2
    keys = tuple(_key(dice, shape) for _ in range(key_count))
    plans: list[tuple[Call, ...]] = []
    big = dice.random() < 0.1 and clients <= 10
    for client in range(clients):
        count = dice.randint(1, most_calls)
        plans.append(
            tuple(
                _call(dice, f"{seed}/{client}.{number}", dice.randrange(key_count), shape, temper, big)
                for number in range(count)
            )
        )
    keys = _capped(dice, keys, plans, shape)
    acts = _acts(dice, shape, keys) if dice.randrange(100) < shape.acts_pct or shape.clock else ()
    wallet = None
    if shape.wallet:
        worst = sum(_expected(call) for calls in plans for call in calls)
        wallet = worst * dice.choice(shape.tightness) // 100 + dice.randrange(1000)
    return Scenario(seed, keys, tuple(plans), acts, shape.markup_bp, wallet)


def _key(dice: Random, shape: Shape) -> KeyPlan:
    return KeyPlan(
        cap_micros=None if dice.random() < 0.05 else 0,
        on_cap=dice.choice(("clamp", "clamp", "refuse")),
        on_disconnect=dice.choice(("drain", "drain", "cancel")),
        rpm_limit=dice.choice((1, 3, 20)) if dice.random() < 0.07 else None,
        max_parallel=dice.choice((1, 2, 8)) if dice.random() < 0.1 else None,
        cap_period=dice.choice(("day", "week", "month")) if shape.clock else "lifetime",
    )


def _expected(call: Call) -> int:
    """A generous guess of what a call costs."""
    return call.bound.micros(min(call.want, call.script.wanted + 64))


def _capped(
    dice: Random, keys: tuple[KeyPlan, ...], plans: list[tuple[Call, ...]], shape: Shape
) -> tuple[KeyPlan, ...]:
    """The keys with caps that bind: some percent of what their calls would cost."""
    costs = [0] * len(keys)
    floors = [0] * len(keys)
    for call in (call for calls in plans for call in calls):
        costs[call.key] += _expected(call)
        floors[call.key] = max(floors[call.key], call.bound.micros(call.floor))
    capped: list[KeyPlan] = []
    for key, cost, floor in zip(keys, costs, floors, strict=True):
        cap = cost * dice.choice(shape.tightness) // 100 + dice.randrange(1_000)
        if dice.random() < 0.6:
            cap = max(cap, floor * dice.choice((1, 2, 5)))
        capped.append(
            KeyPlan(
                cap if key.cap_micros is not None else None,
                key.on_cap,
                key.on_disconnect,
                key.rpm_limit,
                key.max_parallel,
                key.cap_period,
            )
        )
    return tuple(capped)


def _acts(dice: Random, shape: Shape, keys: tuple[KeyPlan, ...]) -> tuple[Act, ...]:
    acts: list[Act] = []
    for number, key in enumerate(keys[:20]):
        for _ in range(dice.choice((0, 1, 1, 2))):
            kind = dice.choice(("cap", "cap", "credit", "revoke"))
            if key.cap_micros is None and kind == "credit":
                kind = "cap"
            cap = key.cap_micros or 10_000
            amount = cap * dice.choice((0, 20, 50, 100, 200, 500)) // 100
            acts.append(
                Act(kind, number, dice.randint(0, 400), max(1, amount) if kind == "credit" else amount)
            )
    if shape.clock:
        day_ms = 86_400_000
        steps = (day_ms, day_ms, 7 * day_ms, 30 * day_ms, -day_ms, 3_600_000, -3_600_000, 70_000)
        acts += [
            Act("clock", 0, dice.randint(0, 500), dice.choice(steps))
            for _ in range(dice.choice((1, 1, 2, 3)))
        ]
    return tuple(sorted(acts, key=lambda act: act.after_ms))


def _call(dice: Random, tag: str, key: int, shape: Shape, temper: Temper, big: bool) -> Call:
    model = dice.choice(list(MODELS.values()))
    stream = dice.random() < 0.6
    kind = dice.choice(texts.KINDS)
    size = dice.choice((0, 3, 40, 400, 3_000)) if not big else dice.choice((20_000, 130_000, 300_000))
    limit = dice.choice((None, None, 1, 30, 256, 1_000, 8_000))
    body, facts = _body(dice, model, tag, make=(kind, size, limit, stream))
    input_bound = (
        len(body)
        - facts["picture_bytes"]
        + facts["pictures"] * model.image_tokens
        + (TOOL_TOKENS[model.wire] if facts["tools"] else 0)
    )
    candidates = facts["n"]
    worst = bound(
        model,
        input_bound,
        candidates=candidates,
        asked=facts["asked"],
        ttls=facts["ttls"],
        markup_bp=shape.markup_bp,
    )
    want = limit if limit is not None else model.max_output
    return Call(
        tag=tag,
        key=key,
        path="/v1/messages" if model.wire == "anthropic" else "/v1/chat/completions",
        body=body,
        model=model,
        stream=stream,
        limit=limit,
        candidates=candidates,
        bound=worst,
        floor=min(want, max(FLOOR_TOKENS, facts["thinking"] + 1)),
        script=draw_script(dice, temper, limit=want * candidates, prompt_kind=kind),
        hang_up=_hang_up(dice) if dice.randrange(100) < shape.hang_up_pct else None,
    )


def _hang_up(dice: Random) -> HangUp:
    stages: tuple[Stage, ...] = ("body", "sent", "sent", "head", "body_read", "body_read")
    return HangUp(
        stage=dice.choice(stages),
        after_bytes=dice.choice((1, 50, 400, 4_000)),
        wait_ms=dice.choice((0, 0, 10, 60)),
        reset=dice.random() < 0.5,
    )


def _body(
    dice: Random, model: Model, tag: str, *, make: tuple[str, int, int | None, bool]
) -> tuple[bytes, dict[str, Any]]:
    """A request body and what its bound depends on."""
    kind, size, limit, stream = make
    facts: dict[str, Any] = {"pictures": 0, "picture_bytes": 0, "tools": False, "asked": "", "thinking": 0}
    facts |= {"ttls": frozenset(), "n": 1}
    text = texts.make_text(dice, kind, size)
    body: dict[str, Any] = {"model": model.name, "messages": _messages(dice, model, text, facts)}
    if stream:
        body["stream"] = True
    if dice.random() < 0.1:
        facts["tools"] = True
        body["tools"] = [_tool(model)]
    context = dice.choice(list(model.contexts))
    if context and dice.random() < 0.4:
        facts["asked"] = context
        body["speed" if context == "fast" else "inference_geo" if context == "us" else "service_tier"] = (
            context
        )
    fill = _fill_anthropic if model.wire == "anthropic" else _fill_openai
    fill(dice, model, body, facts, (tag, limit))
    escape = dice.random() < 0.3
    spaces = (",", ":") if dice.random() < 0.5 else (", ", ": ")
    return json.dumps(body, ensure_ascii=escape, separators=spaces).encode(), facts


def _fill_anthropic(
    dice: Random, model: Model, body: dict[str, Any], facts: dict[str, Any], own: tuple[str, int | None]
) -> None:
    tag, limit = own
    body["metadata"] = {"user_id": tag}
    if limit is not None:
        body["max_tokens"] = limit
    if dice.random() < 0.3:
        block: dict[str, Any] = {"type": "text", "text": texts.make_text(dice, "ascii", 200)}
        if dice.random() < 0.7:
            block["cache_control"] = {"type": "ephemeral"}
            if dice.random() < 0.4:
                block["cache_control"]["ttl"] = "1h"
            facts["ttls"] = frozenset({"1h" if "ttl" in block["cache_control"] else "5m"})
        body["system"] = [block]
    if limit is not None and limit > 2_000 and dice.random() < 0.2:
        facts["thinking"] = 1_024
        body["thinking"] = {"type": "enabled", "budget_tokens": 1_024}


def _fill_openai(
    dice: Random, model: Model, body: dict[str, Any], facts: dict[str, Any], own: tuple[str, int | None]
) -> None:
    tag, limit = own
    body["user"] = tag
    if limit is not None:
        body[dice.choice(("max_tokens", "max_completion_tokens"))] = limit
    if body.get("stream") and dice.random() < 0.4:
        body["stream_options"] = {"include_usage": True}
    if dice.random() < 0.15:
        facts["n"] = body["n"] = dice.choice((2, 3))
    if "12h" in model.writes and dice.random() < 0.2:
        body["prompt_cache_options"] = {"ttl": "12h"}
        facts["ttls"] = frozenset({"12h"})


def _messages(dice: Random, model: Model, text: str, facts: dict[str, Any]) -> list[dict[str, Any]]:
    if dice.random() < 0.1:
        encoded = texts.make_picture(dice, dice.choice((64, 4_000, 60_000)))
        facts["pictures"], facts["picture_bytes"] = 1, len(encoded) + 2
        if model.wire == "anthropic":
            source = {"type": "base64", "media_type": "image/png", "data": encoded}
            picture: dict[str, Any] = {"type": "image", "source": source}
        else:
            url = f"data:image/png;base64,{encoded}"
            facts["picture_bytes"] = len(url) + 2
            picture = {"type": "image_url", "image_url": {"url": url}}
        return [{"role": "user", "content": [{"type": "text", "text": text}, picture]}]
    turns = dice.choice((1, 1, 3))
    share = len(text) // turns
    parts = [text[number * share : (number + 1) * share] for number in range(turns)]
    roles = ("user", "assistant")
    return [{"role": roles[number % 2], "content": part} for number, part in enumerate(parts)]


def _tool(model: Model) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    if model.wire == "anthropic":
        return {"name": "weather", "description": "looks outside", "input_schema": schema}
    return {"type": "function", "function": {"name": "weather", "parameters": schema}}
