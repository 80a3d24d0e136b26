"""The tour: each step calls the gateway as a customer would, says what came back, and asserts it.

Amounts are compared as whole micro-dollars: what the gateway charged with what the provider counted.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import anthropic
import openai

from qlaud.core.errors import usd_text
from qlaud.demo.crowd import OUTPUT_MICROS, Outcome, fire, micros, sentence_of
from qlaud.demo.gateway import Answer, Gateway

ECHO = "sim/echo"
CAP_USD, CAP_MICROS = "0.05", 50_000
CROWD, CROWD_MAX_TOKENS = 50, 1000
CALL_TIMEOUT_S = 60.0


class StepFailed(Exception):
    """A step did not do what it says."""


@dataclass(frozen=True, slots=True)
class User:
    """A key minted for somebody."""

    id: str
    name: str
    secret: str


class Tour:
    """One walk. `billed_micros` is what the provider's own counts of all answers come to, by user."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.users: dict[str, User] = {}
        self.billed_micros: dict[str, int] = {}

    def walk(self) -> int:
        """Every step in order; how many there were. Raises StepFailed."""
        steps = (
            ("The first start minted a master key", self.master_key),
            (f"Mint a key for user_42 that may spend ${CAP_USD}", self.mint),
            ("Stream an answer with the anthropic SDK", self.stream_anthropic),
            ("Stream an answer with the openai SDK, on the same key", self.stream_openai),
            (f"Fire {CROWD} requests at once at what is left of the cap", self.crowd),
            ("Revoke a key: its next request fails", self.revoke),
            ("The bill, per user", self.bill),
        )
        for number, (title, step) in enumerate(steps, 1):
            print(f"\n{number}. {title}", flush=True)
            step()
        return len(steps)

    def master_key(self) -> None:
        """Only a digest of it is kept, so it was printed once."""
        key = self.gateway.master_key
        say(f"{key[:13]}…{key[-4:]}, printed once; the gateway keeps its digest alone")
        expect(self.gateway.call("GET", "/v1/keys").status == 200, "the master key opens the management API")
        stranger = self.gateway.call("GET", "/v1/keys", key="qlk_live_" + "0" * 64)
        expect(stranger.status == 401, "an unknown key opens nothing")
        say(f"with it GET /v1/keys answers 200, with another {stranger.status} {code_of(stranger)}")

    def mint(self) -> None:
        """One key per end user."""
        body = {"name": "user_42", "max_spend_usd": CAP_USD}
        made = self._mint(**body)
        say(f'POST /v1/keys {{"name": "user_42", "max_spend_usd": "{CAP_USD}"}}')
        expect(made["remaining_micros"] == CAP_MICROS, f"the whole cap is left: {made['remaining_micros']}")
        say(f"-> {made['prefix']}, {usd_text(made['remaining_micros'])} to spend")

    def stream_anthropic(self) -> None:
        """As an app does that is written for Claude."""
        user = self.users["user_42"]
        client = anthropic.Anthropic(
            base_url=self.gateway.origin, api_key=user.secret, timeout=CALL_TIMEOUT_S, max_retries=0
        )
        say(f'Anthropic(base_url="{self.gateway.origin}", api_key=<user_42>)')
        with client.messages.stream(
            model=ECHO,
            max_tokens=200,
            messages=[{"role": "user", "content": "Every token of this is metered."}],
        ) as stream:
            pieces = list(stream.text_stream)
            final = stream.get_final_message()
            request_id = stream.response.headers["request-id"]
        counted = (final.usage.input_tokens, final.usage.output_tokens)
        self._settled("user_42", pieces, request_id, counted)

    def stream_openai(self) -> None:
        """As an app does that is written for OpenAI."""
        user = self.users["user_42"]
        client = openai.OpenAI(
            base_url=f"{self.gateway.origin}/v1", api_key=user.secret, timeout=CALL_TIMEOUT_S, max_retries=0
        )
        say(f'OpenAI(base_url="{self.gateway.origin}/v1", api_key=<user_42>)')
        pieces: list[str] = []
        counted = (0, 0)
        answer = client.chat.completions.with_raw_response.create(
            model=ECHO,
            max_completion_tokens=200,
            messages=[{"role": "user", "content": "One key, whichever SDK the app uses."}],
            stream=True,
            stream_options={"include_usage": True},
        )
        for chunk in answer.parse():
            pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            if chunk.usage is not None:
                counted = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        self._settled("user_42", pieces, answer.headers["x-request-id"], counted)

    def crowd(self) -> None:
        """More than the cap can pay for, at the same moment."""
        user = self.users["user_42"]
        before = self._usage(user)
        asked = usd_text(CROWD * CROWD_MAX_TOKENS * OUTPUT_MICROS)
        say(
            f"{usd_text(before['remaining_micros'])} is left; {CROWD} answers of {CROWD_MAX_TOKENS} tokens would cost "
            f"{asked}"
        )
        outcome = asyncio.run(self._crowd_of(user))
        self.billed_micros[user.name] += outcome.micros
        refused = ", ".join(
            f"{count} refused with {status}" for status, count in sorted(outcome.refused.items())
        )
        say(f"-> {outcome.answered} answered, {refused}")
        say(f'   "{outcome.sentence}"')
        expect(outcome.answered > 0, "some were answered")
        expect(402 in outcome.refused, "some were refused for the cap")
        expect(not outcome.refused.keys() - {402, 429}, f"nothing else went wrong: {outcome.refused}")
        after = self._usage(user)
        spent, held = after["total_cost_micros"], after["held_micros"]
        say(f"-> spent {usd_text(spent)} of {usd_text(CAP_MICROS)}, {usd_text(held)} still held")
        expect(spent <= CAP_MICROS, "not one micro-dollar above the cap")
        expect(held == 0, "nothing is held when nothing is in flight")
        expect(spent == self.billed_micros[user.name], "charged is what the provider counted")
        events = [event["cost_micros"] for event in after["events"]]
        expect(sum(events) == spent and not after["has_more"], "the events add up to the total")
        say(f"   the provider's own counts and the {len(events)} usage events add up to the same amount")

    def revoke(self) -> None:
        """It acts on the next call: nothing remembers a key."""
        self._mint(name="user_43", max_spend_usd=CAP_USD)
        user = self.users["user_43"]
        client = anthropic.Anthropic(
            base_url=self.gateway.origin, api_key=user.secret, timeout=CALL_TIMEOUT_S, max_retries=0
        )

        def ask() -> anthropic.types.Usage:
            still_here: list[anthropic.types.MessageParam] = [{"role": "user", "content": "Still here?"}]
            return client.messages.create(model=ECHO, max_tokens=50, messages=still_here).usage

        usage = ask()
        self.billed_micros[user.name] += micros(usage.input_tokens, usage.output_tokens)
        say(f"user_43 is answered; then DELETE /v1/keys/{user.id}")
        expect(self.gateway.call("DELETE", f"/v1/keys/{user.id}").status == 200, "the key is revoked")
        try:
            ask()
        except anthropic.AuthenticationError as refusal:
            say(f'-> the next request: {refusal.status_code} "{sentence_of(refusal.body)}"')
        else:
            raise StepFailed("a revoked key was answered")

    def bill(self) -> None:
        """What to charge whom: the sums of the usage events."""
        found = self.gateway.call("GET", "/v1/usage?group_by=key").body
        for group in found["groups"]:
            tokens = f"{group['input_tokens']:>7,} in {group['output_tokens']:>7,} out"
            say(
                f"{group['key_name']:<10} {group['request_count']:>3} calls {tokens}  {usd_text(group['cost_micros'])}"
            )
        say(
            f"{'total':<10} {found['request_count']:>3} calls {'':>22}  {usd_text(found['total_cost_micros'])}"
        )
        costs = {group["key_name"]: group["cost_micros"] for group in found["groups"]}
        expect(
            costs == self.billed_micros,
            f"each user's bill is what the provider counted: {self.billed_micros}",
        )
        expect(sum(costs.values()) == found["total_cost_micros"], "the bills add up to the total")
        expect(self.gateway.call("GET", "/v1/holds").body["data"] == [], "nothing is held")

    def _mint(self, **body: str) -> dict[str, Any]:
        made = self.gateway.call("POST", "/v1/keys", body)
        expect(made.status == 201, f"a key is minted: {made.status} {made.body}")
        user = User(made.body["id"], made.body["name"], made.body["secret"])
        self.users[user.name] = user
        self.billed_micros[user.name] = 0
        return made.body

    def _usage(self, user: User) -> dict[str, Any]:
        return self.gateway.call("GET", f"/v1/keys/{user.id}/usage").body

    async def _crowd_of(self, user: User) -> Outcome:
        async with anthropic.AsyncAnthropic(
            base_url=self.gateway.origin, api_key=user.secret, timeout=CALL_TIMEOUT_S, max_retries=0
        ) as client:
            return await fire(client, CROWD, CROWD_MAX_TOKENS)

    def _settled(self, name: str, pieces: list[str], request_id: str, counted: tuple[int, int]) -> None:
        """Compare the event of a stream with what the SDK was told."""
        expect(len(pieces) > 1, "the answer came in pieces")
        say(f'-> in {len(pieces)} pieces: "{"".join(pieces)}"')
        event = self.gateway.event(request_id)
        cost = micros(*counted)
        self.billed_micros[name] += cost
        expect(event["cost_micros"] == cost, f"charged {event['cost_micros']} for {cost} micros of tokens")
        expect(event["stream"] and not event["estimated"], "the event is exact")
        left = self._usage(self.users[name])["remaining_micros"]
        expect(left == CAP_MICROS - self.billed_micros[name], f"the rest is left: {left}")
        say(f"   {counted[0]} tokens in, {counted[1]} out: {usd_text(cost)}; {usd_text(left)} is left")


def code_of(answer: Answer) -> str:
    """The error code of a management answer."""
    return answer.body["error"]["code"]


def expect(holds: bool, what: str) -> None:
    """Raises StepFailed unless it holds."""
    if not holds:
        raise StepFailed(f"this does not hold: {what}")


def say(text: str) -> None:
    """A line of a step."""
    print(f"   {text}", flush=True)
