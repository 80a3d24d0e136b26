"""OpenAI's and xAI's realtime through a gateway: every response billed once, one always held, the cap in a slice."""

import base64
import json
from typing import Any

import pytest
from tests.support.fake_live import Await, Close, FakeLive, Gate, Vanish
from tests.support.gateway import OPERATOR_KEYS, Gateway, until
from tests.support.live_client import dial, refused, request_id, rest
from websockets.exceptions import ConnectionClosed

REALTIME = "/v1/realtime?model=gpt-realtime"


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


def created(*, alone: bool = False, limit: int | str = 100, **fields: Any) -> str:
    detection = {"type": "server_vad"} if alone else None
    audio = {"input": {"turn_detection": detection, **fields}}
    return event("session.created", session={"type": "realtime", "max_output_tokens": limit, "audio": audio})


def begun(name: str) -> str:
    return event("response.created", response={"id": name})


def done(name: str, *, status: str = "completed", **usage: int) -> str:
    """A `response.done` of text and audio tokens in and out: `text`, `audio`, `cached`, `said`, `spoken`."""
    counts = {"text": 0, "audio": 0, "cached": 0, "said": 0, "spoken": 0, **usage}
    told = {
        "input_tokens": counts["text"] + counts["audio"],
        "output_tokens": counts["said"] + counts["spoken"],
        "input_token_details": {
            "text_tokens": counts["text"],
            "audio_tokens": counts["audio"],
            "cached_tokens": counts["cached"],
            "cached_tokens_details": {"text_tokens": counts["cached"], "audio_tokens": 0},
        },
        "output_token_details": {"text_tokens": counts["said"], "audio_tokens": counts["spoken"]},
    }
    return event("response.done", response={"id": name, "status": status, "usage": told})


ASK = event("response.create")


def audio(ms: int) -> str:
    return event("input_audio_buffer.append", audio=base64.b64encode(bytes(ms * 48)).decode())


@pytest.mark.parametrize("path", [REALTIME, "/openai" + REALTIME, "/realtime?model=gpt-realtime"])
def test_every_response_is_billed_by_its_own_usage(gateway: Gateway, provider: FakeLive, path: str) -> None:
    key = gateway.mint(max_spend_usd=1)
    first = done("r1", text=100, audio=50, cached=20, said=10, spoken=40)
    second = done("r2", status="cancelled", text=200, cached=120, spoken=5)
    provider.script(created(), Await(1), begun("r1"), first, Await(2), begun("r2"), second, Close(1000))
    with dial(gateway, path, key=key.secret) as socket:
        session = request_id(socket)
        assert socket.recv(20) == created()
        socket.send(ASK)
        assert [socket.recv(20), socket.recv(20)] == [begun("r1"), first]
        socket.send(ASK)
        assert rest(socket) == ([begun("r2"), second], 1000, "")
    assert provider.last.header("authorization") == [f"Bearer {OPERATOR_KEYS['openai']}"]
    assert provider.last.path == "/v1/realtime?model=gpt-realtime"
    usage = gateway.wait_settled(key, 2)
    # $4 and $0.40 a million in, $32 of audio; $16 out, $64 of audio.
    costs = {event["id"]: event["cost_micros"] for event in usage["events"]}
    assert costs.pop(session) == 4 * 80 + 32 * 50 + 8 + 16 * 10 + 64 * 40
    assert list(costs.values()) == [4 * 80 + 48 + 64 * 5]
    event = gateway.event(session)
    assert (event["surface"], event["model"], event["estimated"]) == ("realtime", "gpt-realtime", False)
    assert event["calls"] == list(costs)


def test_a_browser_brings_its_key_as_a_sub_protocol(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(created(), Close())
    names = ["realtime", f"openai-insecure-api-key.{key.secret}", "openai-beta.realtime-v1"]
    with dial(gateway, REALTIME, subprotocols=names) as socket:
        assert socket.subprotocol == "realtime"
        rest(socket)
    assert provider.last.header("sec-websocket-protocol") == ["realtime, openai-beta.realtime-v1"]
    assert provider.last.header("authorization") == [f"Bearer {OPERATOR_KEYS['openai']}"]
    assert key.secret not in str(provider.last.headers)


def test_two_different_keys_are_refused(gateway: Gateway, provider: FakeLive) -> None:
    key, other = gateway.mint(max_spend_usd=1), gateway.mint(max_spend_usd=1)
    names = ["realtime", f"openai-insecure-api-key.{other.secret}"]
    status, body = refused(gateway, REALTIME, key=key.secret, subprotocols=names)
    assert (status, json.loads(body)["error"]["code"]) == (401, "conflicting_credentials")


def test_one_response_is_held_while_it_may_begin_by_itself(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    gate = Gate()
    provider.script(created(alone=True, limit=200), Await(1), begun("r1"), gate, Close())
    with dial(gateway, REALTIME, key=key.secret) as socket:
        assert socket.recv(20)
        assert gateway.key(key)["held_micros"] > 200 * 64
        socket.send(audio(100))
        assert socket.recv(20) == begun("r1")
        gate.open()
        rest(socket)
    gateway.wait_settled(key, 1)


def test_what_a_session_will_never_need_is_given_back(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    gate = Gate()
    provider.script(created(alone=True, limit=100), gate, Close())
    with dial(gateway, REALTIME, key=key.secret) as socket:
        assert socket.recv(20)
        until(lambda: gateway.key(key)["held_micros"] < 50_000, "the hold is that of 100 tokens of audio")
        assert gateway.key(key)["held_micros"] > 100 * 64
        gate.open()
        rest(socket)
    assert gateway.wait_settled(key, 1)["cost_micros"] == 0


def test_a_session_that_may_answer_more_than_the_cap_is_refused(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=0.2)  # 4096 tokens of audio cost $0.262
    status, body = refused(gateway, REALTIME, key=key.secret)
    told = json.loads(body)["error"]
    assert (status, told["code"], told["type"]) == (402, "key_cap_exceeded", "insufficient_quota")
    assert provider.sessions == []


def test_the_socket_closes_with_an_error_event_when_no_response_can_be_held(
    gateway: Gateway, provider: FakeLive
) -> None:
    cap = 0.3
    key = gateway.mint(max_spend_usd=cap)
    expensive = done("r1", text=100, spoken=2000)  # $0.1284, so that 0.1716 are left
    provider.script(created(limit="inf"), Await(1), begun("r1"), expensive, Await(99))
    with dial(gateway, REALTIME, key=key.secret) as socket:
        socket.send(ASK)
        messages, code, reason = rest(socket)
    assert (code, reason) == (1008, "key_cap_exceeded")
    assert messages[:3] == [created(limit="inf"), begun("r1"), expensive]
    told = json.loads(messages[3])
    assert (told["type"], told["error"]["code"]) == ("error", "key_cap_exceeded")
    assert told["error"]["message"].startswith("this API key has reached its spending cap")
    usage = gateway.wait_settled(key, 1)
    assert usage["cost_micros"] == 400 + 64 * 2000


def test_audio_does_not_go_on_while_the_next_response_is_not_held(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=0.3)
    provider.script(created(alone=True, limit="inf"), Await(1), begun("r1"), Await(text="response.cancel"))
    with dial(gateway, REALTIME, key=key.secret) as socket:
        assert socket.recv(20)
        socket.send(audio(20))
        assert socket.recv(20) == begun("r1")  # now a second one would have to be held beside it
        _, code, reason = rest(socket)
    assert (code, reason) == (1008, "key_cap_exceeded")
    assert provider.last.closed.wait(20)
    assert provider.last.messages == [audio(20), '{"type":"response.cancel"}']


def test_a_caller_that_vanishes_in_a_response_is_billed_for_what_it_used(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    cancelled = done("r1", status="cancelled", text=10, spoken=7)
    provider.script(created(), Await(1), begun("r1"), Await(text="response.cancel"), cancelled, Close())
    with dial(gateway, REALTIME, key=key.secret) as socket:
        socket.send(ASK)
        assert [socket.recv(20), socket.recv(20)] == [created(), begun("r1")]
        socket.close(1000)
    (told,) = gateway.wait_settled(key, 1)["events"]
    assert (told["cost_micros"], told["estimated"]) == (40 + 64 * 7, False)


def test_a_provider_that_vanishes_in_a_response_leaves_an_estimate(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    gate = Gate()  # a connection that breaks takes along what was not read of it
    provider.script(created(), done("r0", text=30, said=5), Await(1), begun("r1"), gate, Vanish())
    with dial(gateway, REALTIME, key=key.secret) as socket:
        socket.send(ASK)
        assert [socket.recv(20) for _ in range(3)][2] == begun("r1")
        gate.open()
        assert rest(socket)[1] == 1006
    usage = gateway.wait_settled(key, 2)
    last, first = usage["events"]
    assert (first["cost_micros"], first["estimated"]) == (4 * 30 + 16 * 5, False)
    assert (last["estimated"], last["status"], last["input_tokens"]) == (True, 502, 35)


def test_transcription_has_events_of_its_own_on_its_own_model(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    update = event("session.update", session={"audio": {"input": {"transcription": {"model": "whisper-1"}}}})
    heard = event(
        "conversation.item.input_audio_transcription.completed",
        transcript="hi",
        usage={"type": "duration", "seconds": 2},
    )
    confirmed = created(transcription={"model": "whisper-1"}).replace("session.created", "session.updated")
    provider.script(created(), Await(1), confirmed, Await(2), heard, done("r1", audio=20, said=3), Close())
    with dial(gateway, REALTIME, key=key.secret) as socket:
        session = request_id(socket)
        assert socket.recv(20) == created()
        socket.send(update)
        assert socket.recv(20) == confirmed
        socket.send(audio(2000))
        rest(socket)
    usage = gateway.wait_settled(key, 2)
    by_model = {event["model"]: event for event in usage["events"]}
    assert by_model["gpt-realtime"]["cost_micros"] == 32 * 20 + 16 * 3
    told = by_model["whisper-1"]
    assert (told["cost_micros"], told["surface"]) == (200, "audio_transcription")  # $0.006 a minute
    assert told["parent_id"] == session


def test_a_template_of_the_operators_is_not_for_every_user(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(created(), Await(99))
    with dial(gateway, REALTIME, key=key.secret) as socket:
        assert socket.recv(20)
        socket.send(event("session.update", session={"prompt": {"id": "pmpt_1"}}))
        assert rest(socket)[1:] == (1008, "unsupported_field")
    assert provider.last.closed.wait(20)
    assert provider.last.messages == []
    provider.script(created(), Await(1), Close())
    with dial(gateway, REALTIME, key=gateway.master_key) as socket:
        assert socket.recv(20)
        socket.send(event("session.update", session={"prompt": {"id": "pmpt_1"}}))
        assert rest(socket)[1] == 1000
    assert len(provider.last.messages) == 1


def test_a_model_without_a_live_form_is_told(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    status, body = refused(gateway, "/v1/realtime?model=claude-haiku-4-5", key=key.secret)
    assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_request")
    status, body = refused(gateway, "/v1/realtime", key=key.secret)
    assert (status, json.loads(body)["error"]["param"]) == (400, "model")
    status, body = refused(gateway, "/v1/realtime?model=gpt-unreal", key=key.secret)
    assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")
    status, body = refused(gateway, REALTIME + "&call_id=rtc_1", key=key.secret)
    assert (status, json.loads(body)["error"]["code"]) == (400, "unsupported_field")
    assert provider.sessions == []


@pytest.mark.parametrize("path", ["/v1/realtime", "/xai/v1/realtime"])
def test_xai_is_billed_by_the_time_it_tells(gateway: Gateway, provider: FakeLive, path: str) -> None:
    key = gateway.mint(max_spend_usd=1)
    told = json.dumps(
        {
            "type": "response.done",
            "response": {"id": "r", "usage": {}},
            "usage": {"billable_audio_seconds": 3},
        }
    )
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    provider.script('{"type":"ping"}', Await(1), told, Close(1000))
    with dial(gateway, f"{path}?model=grok-voice-latest", key=key.secret) as socket:
        socket.send(event("conversation.item.create", item=item))
        assert rest(socket) == (['{"type":"ping"}', told], 1000, "")
    assert provider.last.path == "/grok/v1/realtime?model=grok-voice-latest"
    until(lambda: gateway.key(key)["held_micros"] == 0 and gateway.usage(key)["events"], "it is settled")
    usage = gateway.usage(key)
    assert sum(event["audio_seconds"] for event in usage["events"]) == 3
    assert usage["cost_micros"] == 4000 + 4000  # $4.80 an hour, and $0.004 for the message


def test_a_message_larger_than_the_limit_ends_the_session(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(created(), Await(99))
    with dial(gateway, REALTIME, key=key.secret) as socket:
        assert socket.recv(20)
        head = (
            b"\x81\xff" + (1_048_577).to_bytes(8, "big") + b"mask"
        )  # the rest would be lost on the way, and the
        socket.socket.sendall(head)  # close frame with it
        with pytest.raises(ConnectionClosed) as end:
            socket.recv(20)
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == 1009
    until(lambda: gateway.key(key)["held_micros"] == 0, "the session is settled")
