"""The simulator as an upstream: heads, refusals, pace, hanging up."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.simulator.support import CHAT, COUNT, HELLO, MESSAGES, Pauses, ask, chat, messages, request

from qlaud.ports import Upstream, UpstreamRequest, UpstreamSlow
from qlaud.providers.simulator import Simulator


class FixedClock:
    def now_ms(self) -> int:
        return 1_800_000_000_500

    def ticks_ms(self) -> float:
        return 0.0


def test_it_answers_through_the_port_and_again_after_it_was_closed() -> None:
    upstream: Upstream = Simulator()
    asyncio.run(upstream.aclose())
    request = UpstreamRequest(
        "POST",
        "",
        b"/v1/messages/count_tokens",
        [],
        b'{"model":"sim/echo","messages":[{"role":"user","content":"hi"}]}',
    )
    assert asyncio.run(upstream.send(request)).status == 200


def test_heads_look_like_the_providers() -> None:
    whole, streamed = messages(), messages(stream=True)
    assert whole.headers["content-type"] == "application/json"
    assert int(whole.headers["content-length"]) == len(whole.body)
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in streamed.headers
    assert whole.headers["request-id"].startswith("req_")
    assert {"x-request-id", "openai-processing-ms", "openai-version"} <= chat().headers.keys()


def test_a_query_does_not_hide_the_path() -> None:
    assert ask(MESSAGES + b"?beta=true", {"model": "m", "max_tokens": 1, "messages": HELLO}).status == 200


def test_a_body_may_come_in_parts() -> None:
    raw = json.dumps({"model": "m", "max_tokens": 9, "messages": HELLO}).encode()

    async def parts() -> AsyncIterator[bytes]:
        yield raw[:10]
        yield raw[10:]

    assert ask(MESSAGES, parts()).body == ask(MESSAGES, raw).body


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (b'{"model":"\xff","messages":[]}', "JSON"),
        (b'{"x":' + b"[" * 200_000, "nested"),
        (b"[]", "object"),
        ({"messages": HELLO, "max_tokens": 5}, "model"),
        ({"model": "m", "max_tokens": 5}, "messages"),
        ({"model": "m", "max_tokens": 5, "messages": []}, "messages"),
        ({"model": "m", "max_tokens": "5", "messages": HELLO}, "max_tokens"),
        ({"model": "m", "max_tokens": -1, "messages": HELLO}, "max_tokens"),
        ({"model": "m", "max_tokens": 5, "messages": [{"role": "robot", "content": "x"}]}, "robot"),
        ({"model": "m", "max_tokens": 5, "messages": HELLO, "tool_choice": {"type": "any"}}, "tool_choice"),
    ],
)
def test_a_bad_body_is_refused_in_the_shape_of_each_provider(body: Any, word: str) -> None:
    got = ask(MESSAGES, body)
    assert (got.status, got.json["type"], got.json["error"]["type"]) == (
        400,
        "error",
        "invalid_request_error",
    )
    assert word in got.json["error"]["message"]
    assert got.json["request_id"] == got.headers["request-id"]
    if isinstance(body, dict) and isinstance(body.get("tool_choice"), dict):
        body = body | {"tool_choice": "required"}
    got = ask(CHAT, body)
    assert (got.status, got.json["error"]["type"]) == (400, "invalid_request_error")
    assert word in got.json["error"]["message"]


def test_each_wire_has_refusals_of_its_own() -> None:
    assert (
        ask(MESSAGES, {"model": "m", "messages": HELLO}).json["error"]["message"]
        == "max_tokens: Field required"
    )
    assert messages(thinking={"type": "enabled", "budget_tokens": 1000}, max_tokens=2000).status == 400
    assert messages(thinking={"type": "enabled", "budget_tokens": 2000}, max_tokens=2000).status == 400
    assert chat(n=0).json["error"]["param"] == "n"
    assert chat(stream_options={"include_usage": True}).json["error"]["param"] == "stream_options"
    assert ask(COUNT, {"model": "m", "messages": []}).status == 400


@pytest.mark.parametrize(
    ("path", "kind"), [(b"/v1/messages/batches", "not_found_error"), (b"/v1/nowhere", None)]
)
def test_an_unknown_path_is_a_404(path: bytes, kind: str | None) -> None:
    got = ask(path, {"model": "m"})
    assert got.status == 404
    assert got.json["error"]["type"] == (kind or "invalid_request_error")


def test_another_method_is_refused() -> None:
    async def main() -> int:
        return (await Simulator().send(UpstreamRequest("GET", "http://x", MESSAGES, []))).status

    assert asyncio.run(main()) == 405


def test_the_slow_model_pauses_before_each_event_and_reads_one_at_a_time() -> None:
    pauses = Pauses()
    body = {"model": "sim/slow", "max_tokens": 50, "messages": HELLO, "stream": True}
    got = ask(MESSAGES, body, Simulator(pace_s=0.05, pause=pauses))
    assert pauses.made_s == [0.05] * len(got.events)
    assert all(portion.count(b"\n\n") == 1 for portion in got.reads)


def test_a_whole_slow_answer_takes_as_long_as_its_events() -> None:
    pauses = Pauses()
    ask(CHAT, {"model": "sim/slow", "messages": HELLO}, Simulator(pause=pauses))
    assert pauses.made_s == [pytest.approx(4 * 0.2)]


def test_a_whole_slow_answer_gives_up_at_the_callers_timeout() -> None:
    pauses = Pauses()
    body = {"model": "sim/slow", "messages": HELLO}

    async def main() -> None:
        await Simulator(pause=pauses).send(request(CHAT, body, first_byte_timeout_s=0.5))

    with pytest.raises(UpstreamSlow) as raised:
        asyncio.run(main())
    assert (raised.value.phase, raised.value.started, pauses.made_s) == ("first_byte", True, [0.5])


def test_other_models_never_pause_and_give_several_events_to_a_read() -> None:
    pauses = Pauses()
    body = {"model": "sim/long", "max_tokens": 400, "messages": HELLO, "stream": True}
    got = ask(MESSAGES, body, Simulator(pause=pauses))
    assert pauses.made_s == []
    assert len(got.reads) < len(got.events) / 10


def test_a_long_answer_lets_others_run_between_reads() -> None:
    async def main() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        response = await Simulator().send(
            request(CHAT, {"model": "sim/long", "messages": HELLO, "max_tokens": 2000, "stream": True})
        )
        while await response.read():
            pass
        task.cancel()
        return turns

    assert asyncio.run(main()) > 10


def test_a_closed_answer_ends_at_once_even_in_a_pause() -> None:
    async def main() -> list[bytes]:
        at_pause, go_on = asyncio.Event(), asyncio.Event()

        async def pause(_: float) -> None:
            at_pause.set()
            await go_on.wait()

        body = {"model": "sim/slow", "max_tokens": 50, "messages": HELLO, "stream": True}
        response = await Simulator(pause=pause).send(request(MESSAGES, body))
        reading = asyncio.create_task(response.read())
        await at_pause.wait()
        response.close()
        response.close()
        go_on.set()
        return [await reading, await response.read()]

    assert asyncio.run(main()) == [b"", b""]


def test_a_read_that_was_cancelled_loses_no_event() -> None:
    async def main() -> bytes:
        at_pause, blocked = asyncio.Event(), True

        async def pause(_: float) -> None:
            if blocked:
                at_pause.set()
                await asyncio.Event().wait()

        body = {"model": "sim/slow", "max_tokens": 50, "messages": HELLO, "stream": True}
        response = await Simulator(pause=pause).send(request(MESSAGES, body))
        reading = asyncio.create_task(response.read())
        await at_pause.wait()
        reading.cancel()
        await asyncio.wait([reading])
        blocked = False
        return await response.read()

    assert asyncio.run(main()).startswith(b"event: message_start")


def test_reading_past_the_end_stays_empty() -> None:
    async def main() -> list[bytes]:
        response = await Simulator().send(request(CHAT, {"model": "m", "messages": HELLO}))
        return [await response.read() for _ in range(3)]

    first, *rest = asyncio.run(main())
    assert first
    assert rest == [b"", b""]


def test_the_time_of_an_answer_is_fixed_or_the_clocks() -> None:
    body = {"model": "m", "messages": HELLO}
    assert ask(CHAT, body).json["created"] == 1_790_000_000
    assert ask(CHAT, body, Simulator(clock=FixedClock())).json["created"] == 1_800_000_000
