"""Chat Completions as it streams from each vendor that speaks it. Recorded or documented forms, seen 2026-11."""

from collections.abc import Callable

from bench.taps.streams import Fields, Stream, line, word

USAGE: Fields = {"prompt_tokens": 220, "completion_tokens": 2000, "total_tokens": 2220}
NONE: Fields = {}
DONE = b"data: [DONE]\n\n"
_HEAD: Fields = {
    "id": "chatcmpl-BEnCh0123456789abcdefghij",
    "object": "chat.completion.chunk",
    "created": 1790000000,
}
Delta = Callable[[int], Fields]


def _asks(model: str) -> Fields:
    return {
        "model": model,
        "messages": [{"role": "user", "content": "What does a gateway owe?"}],
        "max_tokens": 4096,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _chunk(model: str, choices: list[Fields], more: Fields = NONE) -> bytes:
    return line({**_HEAD, "model": model, "choices": choices, **more})


def _choice(delta: Fields, reason: str | None = None, beside: Fields = NONE) -> list[Fields]:
    return [{"index": 0, "delta": delta, **beside, "finish_reason": reason}]


def _text(n: int) -> Fields:
    return {"content": word(n)}


def _thoughts(n: int) -> Fields:
    return {"reasoning_content": word(n)}


def _reasoning(n: int) -> Fields:
    return {"reasoning": word(n)}


def _both(n: int) -> Fields:
    text = word(n)
    details = [{"type": "reasoning.text", "text": text, "format": "anthropic-claude-v1", "index": 0}]
    return {"role": "assistant", "content": "", "reasoning": text, "reasoning_details": details}


def _tool(n: int) -> Fields:
    return {"tool_calls": [{"index": 0, "function": {"arguments": word(n)}}]}


def _typed(n: int) -> Fields:
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": word(n)}]}]}


def _stream(
    vendor: str,
    model: str,
    delta: Delta = _text,
    *,
    more: Fields = NONE,
    beside: Fields = NONE,
    waiting: bytes = b"",
    wire: str = "openai_chat",
    end: bytes | None = None,
) -> Stream:
    """`more` and `beside` are what the vendor adds to each chunk and choice; `end` is where its usage stands."""
    usual = _chunk(model, _choice({}, "stop")) + _chunk(model, [], {"usage": USAGE})
    return Stream(
        wire,
        vendor,
        lambda n: _chunk(model, _choice(delta(n), beside=beside), more),
        _asks(model),
        waiting + _chunk(model, _choice({"role": "assistant", "content": ""}, beside=beside), more),
        (usual if end is None else end) + DONE,
    )


def _last(model: str) -> bytes:
    """Usage in the chunk that ends the choice."""
    return _chunk(model, _choice({"content": ""}, "stop"), {"usage": USAGE})


def _running(vendor: str, model: str, details: Fields, more: Fields = NONE) -> Stream:
    """A vendor that tells usage with every chunk, growing."""

    def told(n: int) -> Fields:
        usage = {"prompt_tokens": 220, "completion_tokens": n, "total_tokens": 220 + n, **details}
        return {"usage": usage, **more}

    return Stream(
        "openai_chat",
        vendor,
        lambda n: _chunk(model, _choice(_text(n)), told(n)),
        _asks(model),
        _chunk(model, _choice({"role": "assistant", "content": ""}), told(1)),
        _chunk(model, _choice({}, "stop"), told(2000)) + DONE,
    )


_PRINT: Fields = {"system_fingerprint": "fp_1"}
_OPENAI: Fields = {"service_tier": "default", **_PRINT, "usage": None, "obfuscation": "k3Jx9aQ"}
_LOGPROBS: Fields = {"logprobs": None}
_XAI: Fields = {
    "prompt_tokens_details": {"text_tokens": 220, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 163},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    "num_sources_used": 0,
}
_FOUND: Fields = {"citations": ["https://example.com/a"], "search_results": []}
_WELL: Fields = {"status_code": 0, "status_msg": ""}
_MINIMAX: Fields = {"usage": {"total_tokens": 0, "total_characters": 0}, "base_resp": _WELL}
_WHOLE = line(
    {**_HEAD, "object": "chat.completion", "model": "MiniMax-M2.7", "usage": USAGE, "base_resp": _WELL}
)

CHAT = (
    _stream("OpenAI", "gpt-6-sol", more=_OPENAI, beside=_LOGPROBS),
    _stream("OpenAI, tool", "gpt-6-sol", _tool, more=_OPENAI),
    _running("xAI, usage in each", "grok-4.7", _XAI),
    _running("Perplexity, likewise", "sonar-pro", {"search_context_size": "low"}, _FOUND),
    _stream(
        "DeepSeek", "deepseek-flash", more={"usage": None}, beside=_LOGPROBS, waiting=b": keep-alive\n\n"
    ),
    _stream("DeepSeek, thoughts", "deepseek-flash", _thoughts, more={"usage": None}),
    _stream("Mistral", "mistral-large-4", more={"p": "abcdefghijk"}, end=_last("mistral-large-4")),
    _stream("Mistral, typed", "mistral-large-4", _typed, end=_last("mistral-large-4")),
    _stream("Kimi", "kimi-k3", more=_PRINT),
    _stream("Qwen", "qwen3-max", more={"usage": None, "system_fingerprint": None}, beside=_LOGPROBS),
    _stream("Cerebras, thoughts", "qwen-3-coder", _reasoning, more=_PRINT, end=_last("qwen-3-coder")),
    _stream("Groq", "llama-5-70b", more={**_PRINT, "x_groq": None}, beside=_LOGPROBS),
    _stream(
        "OpenRouter, thoughts",
        "anthropic/claude-opus-5",
        _both,
        more={"provider": "Anthropic"},
        waiting=b": OPENROUTER PROCESSING\n\n",
    ),
    _stream("text", "MiniMax-M2.7", more=_MINIMAX, wire="minimax_chat", end=_WHOLE),
    _stream("text", "codestral-2", wire="mistral_fim", end=_last("codestral-2")),
)
