"""A whole gateway in the test's own process: the product's own wiring, with a clock that stands still and a provider
that does what it is told and keeps its own bill.

    async with open_house(dsn, folder, markup_bp=700) as house:
        key = await house.mint(max_spend_usd=5)
        answer = await house.say(key, tokens_in=1000, tokens_out=200)

The model is claude-haiku-4-5 at prices of the test: 1 micro-dollar for a token of input, 5 for one of output.
"""

import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.asgi import Exchange, alive, call
from tests.support.management import CountingIds, FrozenClock

import qlaud.app
from qlaud.app import App, Desk, build, open_desk
from qlaud.config import Settings
from qlaud.core.money import Micros
from qlaud.ports import Headers, UpstreamFault, UpstreamRequest

MODEL = "claude-haiku-4-5"
MASTER = "qlk_live_" + "5" * 64
OPERATOR_KEY = "sk-ant-of-the-operator"
PRICES = """
provider = "anthropic"
released = 2026-11-21
[[model]]
id = "claude-haiku-4-5"
source = "the test"
verified = 2026-11-21
context_window = 200_000
[[model.prices]]
rates = { input_tokens = "1/M", output_tokens = "5/M", cache_write_5m_tokens = "1.25/M", cache_read_tokens = "0.10/M" }
"""


@dataclass(slots=True)
class Sheet:
    """One answer of the provider: parts are sent one by one, an error is raised in its place."""

    parts: "list[bytes | UpstreamFault]"
    status: int = 200
    headers: Headers = ((b"content-type", b"application/json"), (b"request-id", b"req_1"))

    async def read(self) -> bytes:
        if not self.parts:
            return b""
        part = self.parts.pop(0)
        if isinstance(part, UpstreamFault):
            raise part
        return part

    def close(self) -> None:
        self.parts.clear()


@dataclass(slots=True)
class Provider:
    """The only provider. It answers with the usage that the last message names, and adds it up."""

    asked: list[UpstreamRequest] = field(default_factory=list)
    scripted: "deque[Sheet | UpstreamFault]" = field(default_factory=deque)
    bill_micros: int = 0

    async def send(self, request: UpstreamRequest) -> Sheet:
        self.asked.append(request)
        if self.scripted:
            answer = self.scripted.popleft()
            if isinstance(answer, UpstreamFault):
                raise answer
            return answer
        assert isinstance(request.body, bytes)
        asked = json.loads(request.body)
        tokens_in, tokens_out = map(int, asked["messages"][-1]["content"].split()[:2])
        tokens_out = min(tokens_out, asked["max_tokens"])
        self.bill_micros += tokens_in + 5 * tokens_out
        usage = {"input_tokens": tokens_in, "output_tokens": tokens_out}
        return Sheet([message(usage)])

    @property
    def open_connections(self) -> int:
        return 0

    async def aclose(self) -> None:
        pass


def message(usage: Mapping[str, object]) -> bytes:
    """A whole answer with this usage."""
    content = [{"type": "text", "text": "Hello."}]
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn"}
    return json.dumps({**head, "content": content, "usage": usage}).encode()


@dataclass(slots=True)
class House:
    """The gateway and everything around it."""

    app: App
    desk: Desk
    clock: FrozenClock
    provider: Provider

    async def api(
        self, method: str, path: str, body: object = None, *, key: str = MASTER, **headers: str
    ) -> Any:
        """The JSON of a call that succeeds."""
        made = await call(self.app, method, path, body, key=key, headers=headers)
        assert made.status < 300, made.body
        return made.json

    async def mint(self, **fields: object) -> dict[str, Any]:
        """A new key with its secret."""
        return await self.api("POST", "/v1/keys", {"name": "user", **fields})

    async def say(
        self, key: Mapping[str, Any], tokens_in: int, tokens_out: int, **fields: object
    ) -> Exchange:
        """A call whose input has that many tokens, and that many are answered if its limit lets it."""
        text = f"{tokens_in} {tokens_out} " + "x" * tokens_in
        asked = {"model": MODEL, "max_tokens": tokens_out, "messages": [{"role": "user", "content": text}]}
        return await call(self.app, "POST", "/v1/messages", {**asked, **fields}, key=key["secret"])

    async def key(self, key: Mapping[str, Any]) -> Any:
        return await self.api("GET", f"/v1/keys/{key['id']}")

    async def sql(self, statement: str, *args: object) -> list[asyncpg.Record]:
        """Straight at the tables."""
        async with self.desk.pool.acquire() as connection:
            return await connection.fetch(statement, *args)

    async def pay_in(self, amount_micros: int, entry_id: str) -> bool:
        """Move money into the wallet, or out of it. False: this entry has moved its money before."""
        (account,) = await self.sql("SELECT id FROM accounts")
        amount = Micros(amount_micros)
        return await self.desk.wallets.credit(account["id"], "live", amount, note=None, entry_id=entry_id)

    async def check_healthy(self) -> None:
        """Every sum is the sum of its rows, and nothing is held."""
        assert await self.desk.doctor.examine() == []
        assert await self.sql("SELECT id FROM holds") == []


@asynccontextmanager
async def open_house(
    dsn: str, folder: Path, *, at_ms: int, environ: Mapping[str, str] | None = None, **settings: Any
) -> AsyncGenerator[House]:
    """A gateway that serves; `folder` may be shared, compiled prices are kept in it."""
    clock, provider = FrozenClock(at_ms), Provider()
    prices = folder / "prices"
    prices.mkdir(exist_ok=True)
    (prices / "anthropic.toml").write_text(PRICES)
    terms = {"hold_wait_s": 0.0, **settings}
    chosen = Settings(database_url=dsn, data_dir=folder, prices_dir=prices, **terms)
    ids = CountingIds()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qlaud.app, "SystemClock", lambda: clock)
        patch.setattr(qlaud.app, "SystemIds", lambda: ids)
        patch.setattr(qlaud.app, "HttpUpstream", lambda *_, **__: provider)
        async with open_desk(chosen, say=str) as desk:
            await desk.accounts.ensure_owner(MASTER)
        app = build(chosen, {"ANTHROPIC_API_KEY": OPERATOR_KEY, **(environ or {})}, str)
        async with alive(app), open_desk(chosen, say=str) as desk:
            yield House(app, desk, clock, provider)
