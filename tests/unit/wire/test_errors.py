"""Errors of our own in each shape, errors of the provider read, and streams that the gateway ends."""

import json

import pytest

from qlaud.core.demand import Demand
from qlaud.core.errors import BadRequest, KeyCapExceeded, QlaudError, WalletExhausted
from qlaud.core.usage import Usage
from qlaud.wire.anthropic import AnthropicWire
from qlaud.wire.errors import anthropic_type, error_json, openai_type
from qlaud.wire.openai_chat import OpenAIChatWire
from qlaud.wire.types import AnswerHead, ModelCall

CAP = KeyCapExceeded(cap_micros=5_000_000, spent_micros=4_998_120, held_micros=0)


def call(*, wants_usage: bool = True, candidates: int = 1) -> ModelCall:
    return ModelCall(model="m", stream=True, demand=Demand(1, candidates=candidates), wants_usage=wants_usage)


@pytest.mark.parametrize(
    ("status", "anthropic", "openai"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "invalid_request_error"),
        (402, "authentication_error", "insufficient_quota"),
        (403, "permission_error", "invalid_request_error"),
        (404, "not_found_error", "invalid_request_error"),
        (405, "invalid_request_error", "invalid_request_error"),
        (409, "conflict_error", "conflict_error"),
        (413, "request_too_large", "invalid_request_error"),
        (422, "invalid_request_error", "invalid_request_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (500, "api_error", "server_error"),
        (502, "api_error", "server_error"),
        (503, "api_error", "server_error"),
        (504, "timeout_error", "server_error"),
        (529, "overloaded_error", "server_error"),
    ],
)
def test_every_status_has_the_type_of_the_contract(status: int, anthropic: str, openai: str) -> None:
    assert (anthropic_type(status), openai_type(status)) == (anthropic, openai)


def test_a_reached_cap_in_the_anthropic_shape() -> None:
    assert json.loads(error_json("anthropic", CAP, "r-1")) == {
        "type": "error",
        "request_id": "r-1",
        "error": {
            "type": "authentication_error",
            "code": "key_cap_exceeded",
            "message": "this API key has reached its spending cap of $5.00 ($4.998120 spent, $0.000000 in flight)",
            "details": {
                "error_code": "key_cap_exceeded",
                "cap_micros": 5_000_000,
                "spent_micros": 4_998_120,
                "held_micros": 0,
            },
        },
    }


def test_a_reached_cap_in_the_openai_shape() -> None:
    assert json.loads(error_json("openai", WalletExhausted(), "r-1")) == {
        "error": {
            "message": "this API key has reached its spending cap: the wallet of its account is empty",
            "type": "insufficient_quota",
            "param": None,
            "code": "wallet_exhausted",
        }
    }
    named = json.loads(error_json("openai", BadRequest("no", param="n"), "r-1"))
    assert named["error"]["param"] == "n"


def test_errors_within_a_stream_are_one_whole_event() -> None:
    anthropic = AnthropicWire().error_event(CAP, "r-1")
    name, data = anthropic.decode().removesuffix("\n\n").split("\n")
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: ")) == json.loads(error_json("anthropic", CAP, "r-1"))
    openai = OpenAIChatWire().error_event(QlaudError("broken"), "r-1")
    assert openai.startswith(b"data: {")
    assert openai.endswith(b"}\n\n")
    assert openai.count(b"\n") == 2


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', "Overloaded"),
        (b'{"error":{"message":"bad","code":null}}', "bad"),
        (b'{"code":"x","error":"upload_url is required"}', "upload_url is required"),
        (b'{"message":"flat"}', "flat"),
        (b'{"detail":{"status":"quota_exceeded","message":"no credits"}}', "no credits"),
        (b'{"error":{"error":{"error":{"error":{"message":"too deep"}}}}}', ""),
        (b"upstream connect error", "upstream connect error"),
        (b"<html>gateway</html>", ""),
        (b"[1]", ""),
        (b"{broken", ""),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_provider_s_sentence_is_found(body: bytes, sentence: str) -> None:
    assert AnthropicWire().error_message(body) == OpenAIChatWire().error_message(body) == sentence


def test_the_provider_s_sentence_is_bounded() -> None:
    assert len(OpenAIChatWire().error_message(b'{"error":{"message":"%s"}}' % (b"x" * 9000))) == 1000
    assert len(OpenAIChatWire().error_message(b"x" * 9000)) == 1000


def test_an_anthropic_stream_that_is_cut_ends_as_if_out_of_tokens() -> None:
    wire = AnthropicWire()
    tap = wire.tap(call(), strip_usage=False)
    tap.feed(
        b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":5}}}\n\n'
    )
    tap.feed(b'event: content_block_start\ndata: {"type":"content_block_start","index":1}\n\n')
    tap.feed(b'data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a"}}\n\n')
    ended = wire.length_stop(tap, Usage(input_tokens=5, cache_write_1h_tokens=2, output_tokens=9))
    assert ended == (
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":1}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"max_tokens",'
        b'"stop_sequence":null},"usage":{"input_tokens":5,"cache_creation_input_tokens":2,'
        b'"cache_read_input_tokens":0,"output_tokens":9}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )
    assert b'"usage":{"output_tokens":1}' in wire.length_stop(tap)


def test_an_openai_stream_that_is_cut_ends_as_if_out_of_tokens() -> None:
    wire = OpenAIChatWire()
    tap = wire.tap(call(candidates=2), strip_usage=False)
    tap.feed(b'data: {"id":"c","model":"g","created":7,"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
    events = wire.length_stop(tap, Usage(input_tokens=5, output_tokens=9)).split(b"\n\n")
    stop, usage = (json.loads(event.removeprefix(b"data: ")) for event in events[:2])
    assert events[2:] == [b"data: [DONE]", b""]
    assert (stop["id"], stop["model"], stop["created"]) == ("c", "g", 7)
    assert [(choice["index"], choice["finish_reason"]) for choice in stop["choices"]] == [
        (0, "length"),
        (1, "length"),
    ]
    assert usage["usage"] == {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}
    silent = wire.tap(call(wants_usage=False), strip_usage=True)
    assert b"usage" not in wire.length_stop(silent)


def test_an_answer_that_has_ended_is_not_ended_again() -> None:
    anthropic = AnthropicWire().tap(call(), strip_usage=False)
    anthropic.feed(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert AnthropicWire().length_stop(anthropic) == b""
    openai = OpenAIChatWire().tap(call(), strip_usage=False)
    openai.feed(b"data: [DONE]\n\n")
    assert OpenAIChatWire().length_stop(openai) == b""
    body = OpenAIChatWire().tap(
        call(), strip_usage=False, head=AnswerHead(headers=((b"content-type", b"application/json"),))
    )
    assert OpenAIChatWire().length_stop(body) == b""
