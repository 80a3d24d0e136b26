"""The bytes of an answer on either wire, in pieces that know how many tokens were generated when they leave.

An answer is written from the provider's side: what was asked for, what the script wants, what is billed. `told`
marks the piece after which the client has the provider's own usage in hand.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from bench.prove.prices import Model, Used
from bench.prove.scripts import MOST_EVENTS, PAST_LIMIT, Script
from bench.prove.texts import make_text

FIRST_REPORT_MORE = 7
"""Tokens by which the usage shrinks from the first report to the last."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes, the output tokens generated when they leave, and those of them a reader of the bytes can see."""

    content: bytes
    generated: int
    shown: int = 0
    told: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer as it would leave if nothing went wrong."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: tuple[Piece, ...]
    used: Used
    """What is billed when it was generated to its end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the provider read it."""

    model: Model
    body: Mapping[str, Any]
    limit: int
    candidates: int
    stream: bool
    wants_usage: bool
    input_tokens: int
    context: str


def read_asked(model: Model, body: Mapping[str, Any], input_tokens: int, script: Script) -> Asked:
    """The request by the provider's own rules: of two limits it goes by the larger."""
    if model.wire == "anthropic":
        given = [body["max_tokens"]] if "max_tokens" in body else []
        asked = body.get("speed", "") or body.get("inference_geo", "")
        wants = True
    else:
        given = [body[name] for name in ("max_completion_tokens", "max_tokens") if body.get(name)]
        asked = body.get("service_tier", "")
        wants = bool((body.get("stream_options") or {}).get("include_usage"))
    context = asked if asked in model.contexts and not (script.downgraded and asked != "us") else ""
    candidates = int(body.get("n") or 1)
    limit = max(given, default=model.max_output)
    return Asked(model, body, limit, candidates, bool(body.get("stream")), wants, input_tokens, context)


def billed(asked: Asked, script: Script) -> Used:
    """What the provider will bill if it comes to its end."""
    prompt = asked.input_tokens + (script.extra if script.fault == "expands" else 0)
    ttl = _ttl(asked)
    read = prompt * script.read_pct // 100
    written = (prompt - read) * script.write_pct // 100 if ttl else 0
    most = asked.limit * asked.candidates
    output = min(script.wanted, most)
    if script.fault in PAST_LIMIT:
        output = most + script.extra
    writes = {ttl: written} if ttl and written else {}
    return Used(prompt - read - written, read, writes, output, asked.context)


def _ttl(asked: Asked) -> str | None:
    """The cache write this request may be billed."""
    if not asked.model.writes:
        return None
    if asked.model.wire == "openai":
        options = asked.body.get("prompt_cache_options") or {}
        return "12h" if options.get("ttl") == "12h" else "30m"
    text = json.dumps(asked.body.get("system"))
    if "cache_control" not in text:
        return None
    return "1h" if '"1h"' in text else "5m"


def write_answer(dice: Random, asked: Asked, script: Script) -> Answer:
    """The answer of a 200."""
    used = billed(asked, script)
    kind = "event-stream" if asked.stream else "json"
    from_wire = anthropic if asked.model.wire == "anthropic" else openai
    pieces = from_wire(dice, asked, script, used)
    headers = [("content-type", "text/event-stream" if kind == "event-stream" else "application/json")]
    if "gzip" in script.quirks:
        headers.append(("content-encoding", "gzip"))
        pieces = _zipped(pieces)
    return Answer(script.status, tuple(headers), tuple(pieces), used)


def _zipped(pieces: list[Piece]) -> list[Piece]:
    """Compressed, flushed after every piece; the usage is only surely told at the end."""
    stream = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    zipped = [
        replace(piece, content=stream.compress(piece.content) + stream.flush(zlib.Z_SYNC_FLUSH))
        for piece in pieces
    ]
    return [*zipped, Piece(stream.flush(), pieces[-1].generated)]


def shares(total: int, parts: int) -> list[int]:
    """`total` in at most `parts` shares of at least one."""
    parts = max(1, min(parts, total))
    return [total // parts + (1 if number < total % parts else 0) for number in range(parts)] if total else []


def content(dice: Random, script: Script, tokens: int) -> str:
    """Text that shows `tokens` tokens: at least a character each."""
    return make_text(dice, script.text_kind, tokens + dice.randint(0, tokens))


def visible(script: Script, used: Used) -> int:
    """How much of the output a reader sees."""
    if script.fault == "runs_on_hidden":
        return min(used.output - script.extra, used.output) * script.visible_pct // 100
    return used.output if script.fault in PAST_LIMIT else used.output * script.visible_pct // 100


def event(name: str, fields: Mapping[str, Any]) -> bytes:
    """One Anthropic event."""
    text = json.dumps({"type": name, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n".encode()


def chunk(fields: Any) -> bytes:
    """One OpenAI event."""
    return b"data: " + json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def anthropic_usage(used: Used, output: int, quirks: frozenset[str]) -> dict[str, Any]:
    """The usage object of Anthropic, with the split of cache writes."""
    written = sum(used.writes.values())
    counts: dict[str, Any] = {
        "input_tokens": used.fresh,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": used.read,
        "output_tokens": output,
    }
    if "usage_strings" in quirks:
        counts = {name: str(count) if count % 2 else float(count) for name, count in counts.items()}
    counts["cache_creation"] = {
        "ephemeral_5m_input_tokens": used.writes.get("5m", 0),
        "ephemeral_1h_input_tokens": used.writes.get("1h", 0),
    }
    speed = "fast" if used.context == "fast" else "standard"
    geo = "us" if used.context == "us" else "global"
    return {**counts, "service_tier": "standard", "inference_geo": geo, "speed": speed}


def openai_usage(used: Used, output: int, shown: int, quirks: frozenset[str]) -> dict[str, Any]:
    """The usage object of OpenAI: cached and written tokens are inside the prompt."""
    written = sum(used.writes.values())
    spelled: Any = str if "usage_strings" in quirks else int
    details: dict[str, Any] = {"cached_tokens": used.read, "cache_write_tokens": written}
    if used.writes.get("12h"):
        details["cache_write_tokens_details"] = {"ttl_30m_tokens": 0, "ttl_12h_tokens": written}
    return {
        "prompt_tokens": spelled(used.prompt),
        "completion_tokens": spelled(output),
        "total_tokens": used.prompt + output,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": max(0, output - shown)},
    }


def garbled(text: bytes) -> bytes:
    """The same bytes with the JSON broken in its middle."""
    at = text.find(b'"usage"')
    return text[:at] + b"}{" + text[at + 2 :] if at >= 0 else b"}{" + text


def anthropic(dice: Random, asked: Asked, script: Script, used: Used) -> list[Piece]:
    """A Messages answer."""
    shown = visible(script, used)
    text = content(dice, script, shown)
    untold = script.fault in ("usage_missing", "usage_garbled", "runs_on_silent")
    if not asked.stream:
        return [_anthropic_body(asked, script, used, text, shown, untold)]
    usage = anthropic_usage(used, 1, script.quirks)
    if script.fault == "expands":
        usage["input_tokens"] = max(1, used.fresh - script.extra)
    if "usage_last_only" in script.quirks:
        usage = {"input_tokens": 0, "output_tokens": 0}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked.model.name,
        "content": [],
        "stop_reason": None,
        "usage": usage,
    }
    pieces = [Piece(event("message_start", {"message": message}), 0)]
    block = {"type": "text", "text": ""}
    pieces.append(Piece(event("content_block_start", {"index": 0, "content_block": block}), 0))
    pieces += _deltas(script, used, text, shown, lambda part: event("content_block_delta", _delta(part)))
    pieces.append(Piece(event("content_block_stop", {"index": 0}), used.output, shown))
    if "usage_shrinks" in script.quirks and used.output:
        larger = anthropic_usage(used, used.output + FIRST_REPORT_MORE, frozenset())
        stop: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}
        pieces.append(Piece(event("message_delta", {"delta": stop, "usage": larger}), used.output, shown))
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    ending: dict[str, Any] = {"delta": stop}
    if script.fault not in ("usage_missing", "runs_on_silent"):
        ending["usage"] = anthropic_usage(used, used.output, script.quirks)
    last = event("message_delta", ending)
    if script.fault == "usage_garbled":
        last = garbled(last)
    twice = 2 if "terminal_twice" in script.quirks else 1
    pieces += [Piece(last, used.output, shown, told=not untold)] * twice
    return pieces + [Piece(event("message_stop", {}), used.output, shown)] * twice


def _anthropic_body(asked: Asked, script: Script, used: Used, text: str, shown: int, untold: bool) -> Piece:
    whole: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked.model.name,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
    }
    if script.fault not in ("usage_missing", "runs_on_silent"):
        whole["usage"] = anthropic_usage(used, used.output, script.quirks)
    body = json.dumps(whole, ensure_ascii=False).encode()
    if script.fault == "usage_garbled":
        body = garbled(body)
    return Piece(body, used.output, shown, told=not untold)


def _delta(part: str) -> dict[str, Any]:
    return {"index": 0, "delta": {"type": "text_delta", "text": part}}


def _deltas(script: Script, used: Used, text: str, shown: int, write: Any) -> list[Piece]:
    """The content in events; hidden tokens are generated before the first of them shows."""
    pieces: list[Piece] = []
    hidden = used.output - shown
    seen = at = 0
    counts = shares(shown, min(script.pieces, MOST_EVENTS))
    for number, count in enumerate(counts):
        seen += count
        end = len(text) if number == len(counts) - 1 else len(text) * seen // shown
        pieces.append(Piece(write(text[at:end]), hidden + seen, seen))
        at = end
        if "noise" in script.quirks and number % 3 == 0:
            pieces.append(Piece(b": keep-alive\n\n", hidden + seen, seen))
    return pieces


def openai(dice: Random, asked: Asked, script: Script, used: Used) -> list[Piece]:
    """A Chat Completions answer."""
    shown = visible(script, used)
    text = content(dice, script, shown)
    untold = script.fault in ("usage_missing", "usage_garbled", "runs_on_silent")
    tier = used.context or "default"
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": asked.model.name,
        "service_tier": tier,
    }
    usage = openai_usage(used, used.output, shown, script.quirks)
    if not asked.stream:
        message = {"role": "assistant", "content": text}
        whole: dict[str, Any] = {
            **head,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        if script.fault not in ("usage_missing", "runs_on_silent"):
            whole["usage"] = usage
        body = json.dumps(whole, ensure_ascii=False).encode()
        body = garbled(body) if script.fault == "usage_garbled" else body
        return [Piece(body, used.output, shown, told=not untold)]
    head["object"] = "chat.completion.chunk"
    null = {"usage": None} if asked.wants_usage else {}

    def delta(part: str) -> bytes:
        index = len(part) % asked.candidates
        choice = {"index": index, "delta": {"content": part}, "finish_reason": None}
        return chunk({**head, "choices": [choice], **null})

    role = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
    pieces = [Piece(chunk({**head, "choices": [role], **null}), 0)]
    pieces += _deltas(script, used, text, shown, delta)
    stops = [{"index": number, "delta": {}, "finish_reason": "stop"} for number in range(asked.candidates)]
    pieces.append(Piece(chunk({**head, "choices": stops, **null}), used.output, shown))
    twice = 2 if "terminal_twice" in script.quirks else 1
    if asked.wants_usage and script.fault not in ("usage_missing", "runs_on_silent"):
        if "usage_shrinks" in script.quirks and used.output:
            larger = openai_usage(used, used.output + FIRST_REPORT_MORE, shown, frozenset())
            pieces.append(Piece(chunk({**head, "choices": [], "usage": larger}), used.output, shown))
        last = chunk({**head, "choices": [], "usage": usage})
        last = garbled(last) if script.fault == "usage_garbled" else last
        pieces += [Piece(last, used.output, shown, told=not untold)] * twice
    return pieces + [Piece(b"data: [DONE]\n\n", used.output, shown)] * twice
