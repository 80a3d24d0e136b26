"""Gemini Live through a gateway: the model comes in the first message, every answer is billed by its own usage."""

import base64
import json
from socket import SHUT_RDWR
from urllib.parse import quote

import pytest
from tests.support import fake_gemini_live as fake
from tests.support.fake_gemini_live import (
    FIRST,
    FIRST_MICROS,
    PATH,
    READY,
    SECOND,
    SECOND_MICROS,
    calls,
    says,
    setup,
    small,
    sound,
    spoken,
    told,
)
from tests.support.fake_live import Await, Close, FakeLive, Gate, Vanish
from tests.support.gateway import OPERATOR_KEYS, Gateway, MintedKey, until
from tests.support.live_client import dial, refused, request_id, rest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

LIVE = {"provider": "google", "modality": "live conversation"}
ALONE = setup(generationConfig={"maxOutputTokens": 256})
"""Answers begin by themselves, when somebody has spoken."""


def begin(socket: ClientConnection, first: str = small()) -> None:
    socket.send(first)
    assert socket.recv(20) == READY


def closed(gateway: Gateway, key: MintedKey, *messages: str | bytes) -> tuple[list[str | bytes], int, str]:
    """How a socket ends on which these messages are sent."""
    with dial(gateway, PATH, key=key.secret) as socket:
        try:
            for message in messages:
                socket.send(message)
        except ConnectionClosed:
            pass
        return rest(socket)


@pytest.mark.matrix(**LIVE, case="call")
@pytest.mark.parametrize("place", ["", "/google", "/", "/google/"])
@pytest.mark.parametrize("version", ["v1beta", "v1alpha", "v1"])
def test_every_turn_is_billed_to_the_micro_by_its_own_usage(
    gateway: Gateway, provider: FakeLive, place: str, version: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    path = PATH.replace("v1beta", version)
    turns = [spoken(), spoken(), told(FIRST)], [spoken(), told(SECOND)]
    provider.script(Await(1), READY, Await(2), *turns[0], Await(3), *turns[1], Close(1000, "bye"))
    with dial(gateway, place + path, key=key.secret) as socket:
        session = request_id(socket)
        begin(socket)
        socket.send(says("Hello."))
        assert [socket.recv(20) for _ in range(3)] == turns[0]
        until(lambda: len(gateway.usage(key)["events"]) == 1, "the first turn is settled")
        socket.send(says("And now?"))
        assert rest(socket) == (turns[1], 1000, "bye")
    assert provider.last.messages == [small(), says("Hello."), says("And now?")]
    assert provider.last.path == path
    assert provider.last.header("x-goog-api-key") == [OPERATOR_KEYS["google"]]
    usage = gateway.wait_settled(key, 2)
    assert [event["cost_micros"] for event in usage["events"]] == [SECOND_MICROS, FIRST_MICROS]
    event = gateway.event(session)
    assert (event["surface"], event["model"], event["provider_slug"]) == ("realtime", fake.MODEL, "google")
    assert (event["estimated"], event["status"], event["cost_micros"]) == (False, 101, FIRST_MICROS)


@pytest.mark.parametrize("where", ["?key=", "?alt=json&key=", "x-goog-api-key", "authorization"])
def test_the_key_may_stand_in_each_place_and_goes_no_further(
    gateway: Gateway, provider: FakeLive, where: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(1), READY, Close(1000))
    query = where + key.secret if where.startswith("?") else ""
    value = f"Bearer {key.secret}" if where == "authorization" else key.secret
    with dial(gateway, PATH + query, headers=[] if query else [(where, value)]) as socket:
        begin(socket)
        rest(socket)
    assert provider.last.path == PATH + ("?alt=json" if "alt" in where else "")
    assert provider.last.header("x-goog-api-key") == [OPERATOR_KEYS["google"]]
    assert provider.last.header("authorization") == []
    assert key.secret not in str(provider.last.headers)
    gateway.wait_settled(key, 1)


def test_both_spellings_are_read_and_binary_messages_too(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    first = {"model": f"models/{fake.MODEL}", "generation_config": {"max_output_tokens": 100}}
    manual = {"realtime_input_config": {"automatic_activity_detection": {"disabled": True}}}
    opening = json.dumps({"setup": first | manual}).encode()
    turn = json.dumps({"client_content": {"turns": [{"parts": [{"text": "Hi"}]}], "turn_complete": True}})
    gate = Gate()
    provider.script(Await(1), READY, Await(2), gate, told(FIRST).decode(), Close(1000))
    with dial(gateway, PATH, key=key.secret) as socket:
        socket.send(opening)
        assert socket.recv(20) == READY
        assert 100 * 12 < gateway.key(key)["held_micros"] < 100 * 12 + 3 * 3000
        socket.send(turn)
        gate.open()
        assert rest(socket) == ([told(FIRST).decode()], 1000, "")
    assert provider.last.messages == [opening, turn]
    assert gateway.wait_settled(key, 1)["cost_micros"] == FIRST_MICROS


@pytest.mark.matrix(**LIVE, case="tools")
def test_a_tool_call_is_an_answer_of_its_own(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    tools = [{"functionDeclarations": [{"name": "get", "parameters": {"type": "OBJECT"}}]}]
    last = [spoken(), told(SECOND)]
    provider.script(Await(1), READY, Await(2), calls(FIRST), Await(3), *last, Close(1000))
    with dial(gateway, PATH, key=key.secret) as socket:
        begin(socket, small(tools=tools))
        socket.send(says("What is it?"))
        assert socket.recv(20) == calls(FIRST)
        until(lambda: len(gateway.usage(key)["events"]) == 1, "the call is settled")
        socket.send(fake.answers("c1", "blue"))
        assert rest(socket) == (last, 1000, "")
    assert provider.last.messages[2] == fake.answers("c1", "blue")
    usage = gateway.wait_settled(key, 2)
    assert usage["cost_micros"] == FIRST_MICROS + SECOND_MICROS


def test_sound_and_pictures_are_passed_on_and_billed_as_google_counts_them(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    frames = [*(sound(100) for _ in range(20)), fake.seen(), '{"realtimeInput":{"audioStreamEnd":true}}']
    provider.script(Await(1), READY, Await(len(frames) + 1), spoken(), told(SECOND), Close(1000))
    with dial(gateway, PATH, key=key.secret) as socket:
        begin(socket, ALONE)
        for frame in frames:
            socket.send(frame)
        assert rest(socket) == ([spoken(), told(SECOND)], 1000, "")
    assert provider.last.messages == [ALONE, *frames]
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["cost_micros"], event["estimated"]) == (SECOND_MICROS, False)


def test_one_usage_told_twice_is_billed_once(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    half = {
        **FIRST,
        "responseTokenCount": 20,
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
    }
    so_far = fake.written({"usageMetadata": half})
    again = fake.written({"usageMetadata": FIRST})
    provider.script(Await(2), READY, spoken(), so_far, spoken(), told(FIRST), again, Close(1000))
    with dial(gateway, PATH, key=key.secret) as socket:
        socket.send(small())
        socket.send(says("Hello."))
        rest(socket)
    assert gateway.wait_settled(key, 1)["cost_micros"] == FIRST_MICROS


def test_the_catalogs_name_becomes_googles(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    opening = setup("gemini-live-2.5-flash", generationConfig={"maxOutputTokens": 50})
    provider.script(Await(1), READY, Close(1000))
    with dial(gateway, PATH, key=key.secret) as socket:
        session = request_id(socket)
        begin(socket, opening)
        rest(socket)
    renamed = opening.replace("gemini-live-2.5-flash", "models/gemini-2.5-flash-native-audio-latest")
    assert provider.last.messages == [renamed]
    gateway.wait_settled(key, 1)
    assert gateway.event(session)["model"] == "gemini-live-2.5-flash"


# --- what is refused ---


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (says("Hello."), "invalid_request"),
        (sound(20), "invalid_request"),
        ("{}", "invalid_request"),
        ("[]", "invalid_request"),
        ("{'setup': {}}", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        ('{"setup":{}}', "invalid_request"),
        ('{"setup":{"model":7}}', "invalid_request"),
        ('{"setup":{"model":"models/"}}', "invalid_request"),
        ('{"setup":{"model":"a"},"setup":{"model":"b"}}', "invalid_request"),
        ('{"setup":{"model":"a","model":"b"}}', "invalid_request"),
        ('{"setup":{"model":"a"},"clientContent":{}}', "invalid_request"),
        (setup(generationConfig={"maxOutputTokens": 1}, generation_config={}), "invalid_request"),
        (setup(generationConfig={"maxOutputTokens": 1, "max_output_tokens": 9000}), "invalid_request"),
        (setup(generationConfig={"maxOutputTokens": "many"}), "invalid_request"),
        (setup("models/gemini-99-live"), "model_not_priced"),
        (setup(tools=[{"googleSearch": {}}]), "provider_tool_not_metered"),
        (setup(avatarConfig={"avatarName": "a"}), "provider_tool_not_metered"),
        (setup(sessionResumption={"handle": "h"}), "unsupported_field"),
        (setup(session_resumption={"handle": "h"}), "unsupported_field"),
        (setup(cachedContent="cachedContents/1"), "unsupported_field"),
        (setup(tools=[{"fileSearch": {"fileSearchStoreNames": ["s"]}}]), "unsupported_field"),
    ],
)
def test_a_first_message_that_cannot_be_served_closes_the_socket(
    gateway: Gateway, provider: FakeLive, first: str | bytes, code: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    assert closed(gateway, key, first) == ([], 1008, code)
    assert provider.sessions == []
    assert gateway.usage(key)["held_micros"] == 0


def test_a_key_that_may_not_use_the_model_is_told(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1, allowed_models=["gpt-realtime"])
    assert closed(gateway, key, setup()) == ([], 1008, "model_not_allowed")
    assert provider.sessions == []


def test_who_is_not_known_gets_a_status_and_no_socket(gateway: Gateway, provider: FakeLive) -> None:
    test_key = gateway.mint(mode="test", max_spend_usd=1)
    for secret, status in (("", 401), ("qlk_live_" + "0" * 64, 401), (test_key.secret, 400)):
        told_status, body = refused(gateway, PATH, key=secret)
        assert (told_status, json.loads(body)["error"]["code"]) == (status, status)
    key = gateway.mint(max_spend_usd=1)
    assert gateway.api("DELETE", f"/v1/keys/{key.id}").status_code == 200
    assert refused(gateway, PATH + "?key=" + quote(key.secret))[0] == 401
    assert provider.sessions == []


def test_a_query_that_would_hide_the_usage_is_refused(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    for query in ("access_token=t", "alt=proto", "$alt=proto"):
        with dial(gateway, f"{PATH}?{query}", key=key.secret) as socket:
            socket.send(setup())
            assert rest(socket)[1:] == (1008, "unsupported_field")
    assert provider.sessions == []


def test_a_setup_larger_than_the_limit_ends_the_socket(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    instruction = {"parts": [{"text": "x" * 1_048_577}]}
    assert closed(gateway, key, setup(systemInstruction=instruction))[1] == 1009
    assert provider.sessions == []


def test_a_caller_that_leaves_before_it_says_anything_costs_nothing(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    with dial(gateway, PATH, key=key.secret):
        pass
    assert provider.sessions == []
    assert gateway.usage(key)["events"] == []


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (setup("models/gemini-3.1-flash-live-preview"), "invalid_request"),
        ('{"clientContent":{"turns":[],"turn_complete":true,"turnComplete":true}}', "invalid_request"),
        ('{"realtimeInput":{"text":"a"},"realtime_input":{"text":"b"}}', "invalid_request"),
        ('{"contextUpdate":{}}', "invalid_request"),
        ('{"realtimeInput":{"smell":"roses"}}', "unsupported_field"),
        ("not JSON", "invalid_json"),
        (
            says(
                "", turns=[{"parts": [{"fileData": {"fileUri": "https://x.googleapis.com/v1beta/files/1"}}]}]
            ),
            "unsupported_field",
        ),
    ],
)
def test_a_message_nobody_could_meter_ends_the_session(
    gateway: Gateway, provider: FakeLive, second: str, code: str
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(1), READY, Await(99))
    with dial(gateway, PATH, key=key.secret) as socket:
        begin(socket)
        socket.send(second)
        assert rest(socket) == ([], 1008, code)
    assert provider.last.closed.wait(20)
    assert provider.last.messages == [small()]
    assert gateway.wait_settled(key, 1)["cost_micros"] == 0


def test_the_operator_may_resume_a_session(gateway: Gateway, provider: FakeLive) -> None:
    opening = small(sessionResumption={"handle": "h"})
    provider.script(Await(1), READY, Close(1000))
    with dial(gateway, PATH, key=gateway.master_key) as socket:
        begin(socket, opening)
        rest(socket)
    assert provider.last.messages == [opening]


# --- money ---


@pytest.mark.matrix(**LIVE, case="cap")
def test_a_key_without_money_is_told_in_the_close_frame(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=0)
    assert closed(gateway, key, setup()) == ([], 1008, "key_cap_exceeded")
    small_key = gateway.mint(max_spend_usd=0.09)  # 8192 tokens of sound cost $0.098
    assert closed(gateway, small_key, setup()) == ([], 1008, "key_cap_exceeded")
    assert provider.sessions == []


def test_the_money_of_an_answer_is_held_before_the_first_message_leaves(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    gate = Gate()
    provider.script(Await(1), gate, READY, Close(1000))
    with dial(gateway, PATH, key=key.secret) as socket:
        socket.send(setup())
        provider.wait_for(1)
        assert gateway.key(key)["held_micros"] >= 8192 * 12 + 2048 * 3
        gate.open()
        rest(socket)
    assert gateway.wait_settled(key, 1)["cost_micros"] == 0


def test_the_socket_closes_when_the_next_answer_cannot_be_held(gateway: Gateway, provider: FakeLive) -> None:
    cap = 20_000
    key = gateway.mint(max_spend_usd=cap / 1_000_000)
    provider.answer = lambda message: (
        [READY] if isinstance(message, str) and "setup" in message else [spoken(), told(SECOND)]
    )
    turns = 0
    with dial(gateway, PATH, key=key.secret) as socket:
        begin(socket)
        try:
            while turns < 20:
                socket.send(says("More."))
                while socket.recv(20) != told(SECOND):
                    pass
                turns += 1
        except ConnectionClosed:
            pass
        assert rest(socket) == ([], 1008, "key_cap_exceeded")
    # An answer of 256 tokens costs at most 3072 micros of sound, and its context about 10000.
    usage = gateway.wait_settled(key, turns)
    assert usage["cost_micros"] == turns * SECOND_MICROS
    assert cap - 15_000 < usage["cost_micros"] <= cap
    assert usage["held_micros"] == 0
    assert provider.last.closed.wait(20)
    assert len(provider.last.messages) == turns + 1


def test_sound_does_not_go_on_when_a_second_answer_could_not_be_held(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=0.012)  # one answer is 3072 + 3 x 2048 and its sound
    provider.script(Await(2), READY, spoken(), Await(99))
    with dial(gateway, PATH, key=key.secret) as socket:
        socket.send(ALONE)
        socket.send(sound(20))
        assert [socket.recv(20), socket.recv(20)] == [READY, spoken()]
        assert rest(socket)[1:] == (1008, "key_cap_exceeded")
    assert provider.last.closed.wait(20)
    assert provider.last.messages == [ALONE, sound(20)]
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert event["estimated"]
    assert 0 < event["cost_micros"] <= 12_000


def test_a_revoked_key_ends_its_session_with_the_answer(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(2), READY, spoken(), Await(3), told(FIRST), Await(99))
    with dial(gateway, PATH, key=key.secret) as socket:
        socket.send(small())
        socket.send(says("Hello."))
        assert [socket.recv(20), socket.recv(20)] == [READY, spoken()]
        assert gateway.api("DELETE", f"/v1/keys/{key.id}").status_code == 200
        socket.send('{"realtimeInput":{"activityStart":{}}}')
        assert rest(socket) == ([told(FIRST)], 1008, "revoked_key")
    assert gateway.wait_settled(key, 1)["cost_micros"] == FIRST_MICROS


def test_searches_of_later_models_are_billed_by_the_query_on_keys_without_a_cap(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint()
    grounded = {"groundingMetadata": {"webSearchQueries": ["a", "b"]}}
    piece = fake.written({"serverContent": grounded})
    provider.script(Await(2), READY, piece, piece, told(FIRST, **grounded), Close())
    with dial(gateway, PATH, key=key.secret) as socket:
        socket.send(small(tools=[{"googleSearch": {}}]))
        socket.send(says("News?"))
        rest(socket)
    assert gateway.wait_settled(key, 1)["cost_micros"] == FIRST_MICROS + 2 * 14_000


# --- how it ends ---


@pytest.mark.matrix(**LIVE, case="error")
def test_googles_own_close_comes_through_and_what_it_refused_costs_nothing(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(1), READY, Await(2), Close(1007, "Request contains an invalid argument."))
    with dial(gateway, PATH, key=key.secret) as socket:
        begin(socket)
        socket.send(says("Hello."))
        assert rest(socket) == ([], 1007, "Request contains an invalid argument.")
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["cost_micros"], event["estimated"]) == (0, False)


def test_a_handshake_that_google_refuses_closes_the_socket(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.refuse(
        429, json.dumps({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}})
    )
    _, code, reason = closed(gateway, key, setup())
    assert (code, reason) == (1008, "upstream_rate_limited")
    assert gateway.wait_settled(key, 1)["cost_micros"] == 0


@pytest.mark.matrix(**LIVE, case="cancel")
def test_a_caller_that_hangs_up_in_an_answer_is_billed_by_its_usage(
    gateway: Gateway, provider: FakeLive
) -> None:
    key = gateway.mint(max_spend_usd=1)
    gate = Gate()
    provider.script(Await(2), READY, spoken(), gate, spoken(), told(FIRST), Await(99))
    with dial(gateway, PATH, key=key.secret) as socket:
        socket.send(small())
        socket.send(says("Hello."))
        assert [socket.recv(20), socket.recv(20)] == [READY, spoken()]
        socket.socket.shutdown(SHUT_RDWR)
        gate.open()
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert (event["cost_micros"], event["estimated"]) == (FIRST_MICROS, False)
    assert provider.last.closed.wait(20)


def test_a_caller_that_cancels_is_billed_an_estimate(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1, on_disconnect="cancel")
    provider.script(Await(2), READY, spoken(), Await(99))
    with dial(gateway, PATH, key=key.secret) as socket:
        socket.send(small())
        socket.send(says("Hello."))
        assert [socket.recv(20), socket.recv(20)] == [READY, spoken()]
        socket.socket.shutdown(SHUT_RDWR)
    (event,) = gateway.wait_settled(key, 1)["events"]
    assert event["estimated"]
    assert 0 < event["cost_micros"] < 1000
    assert provider.last.closed.wait(20)


def test_a_provider_that_dies_in_an_answer_leaves_an_estimate(gateway: Gateway, provider: FakeLive) -> None:
    key = gateway.mint(max_spend_usd=1)
    provider.script(Await(2), READY, told(FIRST), Await(3), spoken(40), Vanish())
    with dial(gateway, PATH, key=key.secret) as socket:
        socket.send(small())
        socket.send(says("Hello."))
        assert [socket.recv(20), socket.recv(20)] == [READY, told(FIRST)]
        until(lambda: len(gateway.usage(key)["events"]) == 1, "the first turn is settled")
        socket.send(says("And now?"))
        assert rest(socket)[1] == 1006
    last, first = gateway.wait_settled(key, 2)["events"]
    assert (first["cost_micros"], first["estimated"]) == (FIRST_MICROS, False)
    assert (last["estimated"], last["status"]) == (True, 502)
    sent = len(base64.b64encode(bytes(40 * 48)))
    assert last["cost_micros"] > 700 * 0.75 + sent * 3 // 4 // 1500 * 12
