"""The database goes away while calls run. Calls in flight end for their callers, and their settlements are committed
when it is back; new calls are refused at once; nothing is lost, and no sum is wrong.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest
from tests.support import fake_anthropic
from tests.support.fake_anthropic import serve_anthropic
from tests.support.fake_provider import FakeProvider, Gate
from tests.support.gateway import Gateway, MintedKey, gateway_process, until
from tests.support.postgres import Databases, with_database

from qlaud.flows.doctor import Doctor
from qlaud.store.books import Books
from qlaud.store.pool import PoolLimits, open_pool

STORE_TIMEOUT_S = 1.0
ASKED = {"model": fake_anthropic.MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


class Database:
    """One database of a server that can be taken away from its users."""

    def __init__(self, admin_dsn: str, dsn: str) -> None:
        self._admin_dsn, self._name = with_database(admin_dsn, "postgres"), urlsplit(dsn).path[1:]
        self.dsn = dsn

    def close(self) -> None:
        """Nobody gets in any more, and who is in is thrown out."""
        self._run(f"ALTER DATABASE {self._name} WITH ALLOW_CONNECTIONS false")
        self.cut()

    def cut(self) -> None:
        """Who is in is thrown out."""
        self._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'")

    def open(self) -> None:
        self._run(f"ALTER DATABASE {self._name} WITH ALLOW_CONNECTIONS true")

    def _run(self, statement: str) -> None:
        async def main(connection: asyncpg.Connection) -> None:
            await connection.execute(statement)

        once(self._admin_dsn, main)


def once(dsn: str, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await work(connection)
        finally:
            await connection.close()

    asyncio.run(main())


def differences(dsn: str) -> list[object]:
    """What the doctor finds."""

    async def main() -> list[object]:
        pool = await open_pool(dsn, PoolLimits(size=2))
        try:
            return [*await Doctor(Books(pool.acquire)).examine()]
        finally:
            await pool.aclose()

    return asyncio.run(main())


@pytest.fixture
def database(databases: Databases) -> Generator[Database]:
    dsn = databases.clone()
    made = Database(databases.admin_dsn, dsn)
    yield made
    made.open()
    databases.drop(dsn)


@contextmanager
def serving(dsn: str, folder: Path) -> Generator[tuple[Gateway, FakeProvider]]:
    terms = {"store_timeout_s": STORE_TIMEOUT_S, "settle_patience_s": 0.5, "hold_renew_s": 0.5}
    settings = {name: str(value) for name, value in terms.items()}
    with serve_anthropic() as provider:
        bases = {"anthropic": provider.origin}
        with gateway_process(dsn, folder, providers=bases, settings=settings) as gateway:
            yield gateway, provider


class Caller(threading.Thread):
    """One call in a thread of its own."""

    def __init__(self, gateway: Gateway, key: MintedKey, *, stream: bool) -> None:
        super().__init__(daemon=True)
        self._url, self._key, self._stream = f"{gateway.origin}/v1/messages", key, stream
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        headers = {"x-api-key": self._key.secret}
        self.answer = httpx.post(
            self._url, json={**ASKED, "stream": self._stream}, headers=headers, trust_env=False, timeout=30
        )

    def ended(self) -> httpx.Response:
        self.join(20)
        assert self.answer is not None
        return self.answer


def check_refused_quickly(gateway: Gateway, key: MintedKey) -> None:
    """New calls, management and readiness all say that the database is away, in time; the process lives."""
    for method, path, body in (
        ("POST", "/v1/messages", ASKED),
        ("POST", "/v1/messages", {**ASKED, "model": "unknown"}),
        ("GET", "/v1/models", None),
        ("GET", "/v1/account", None),
    ):
        began = time.monotonic()
        answer = gateway.api(method, path, body, key=key.secret)
        told = answer.json()["error"]
        assert (answer.status_code, told["code"]) == (503, "store_unavailable"), answer.text
        assert answer.headers["retry-after"] == "1"
        assert "retry" in told["message"]
        assert time.monotonic() - began < STORE_TIMEOUT_S + 4, path
    ready = gateway.api("GET", "/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert gateway.api("GET", "/healthz").status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_calls_in_flight_end_for_their_callers_and_are_settled_when_the_database_is_back(
    database: Database, tmp_path: Path, stream: bool
) -> None:
    with serving(database.dsn, tmp_path) as (gateway, provider):
        key = gateway.mint(max_spend_usd=5)
        gates = [Gate() for _ in range(3)]
        for gate in gates:
            provider.script(
                fake_anthropic.text_stream(gate=gate) if stream else fake_anthropic.small_answer(gate=gate)
            )
        callers = [Caller(gateway, key, stream=stream) for _ in gates]
        until(lambda: len(provider.calls) == 3, "all calls are with the provider")
        database.close()
        check_refused_quickly(gateway, key)
        for gate in gates:
            gate.open()
        answers = [caller.ended() for caller in callers]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert all("x-qlaud-cost-micros" not in answer.headers for answer in answers), (
            "nobody could book it yet"
        )
        database.open()
        usage = gateway.wait_settled(key, 3)
        cost = fake_anthropic.STREAM_COST_MICROS if stream else fake_anthropic.SMALL_COST_MICROS
        assert [event["cost_micros"] for event in usage["events"]] == [cost] * 3
        assert {event["id"] for event in usage["events"]} == {a.headers["request-id"] for a in answers}
        assert len(provider.calls) == 3
        until(lambda: gateway.api("GET", "/readyz").status_code == 200, "it is ready again")
        assert gateway.api("POST", "/v1/messages", ASKED, key=key.secret).status_code == 200
    assert differences(database.dsn) == []


def test_connections_that_are_cut_again_and_again_lose_no_call_and_no_micro(
    database: Database, tmp_path: Path
) -> None:
    with serving(database.dsn, tmp_path) as (gateway, provider):
        key = gateway.mint(max_spend_usd=5)
        served: list[httpx.Response] = []

        def calls() -> None:
            served.extend(gateway.api("POST", "/v1/messages", ASKED, key=key.secret) for _ in range(15))

        threads = [threading.Thread(target=calls, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            database.cut()
            time.sleep(0.1)  # sleep: the pace of the cuts is what is tested
        for thread in threads:
            thread.join()
        assert len(served) == 60
        assert {answer.status_code for answer in served} <= {200, 503}
        good = [answer for answer in served if answer.status_code == 200]
        assert good, "holds are asked for again when a connection breaks under them"
        usage = until(
            lambda: (
                (usage := gateway.api("GET", f"/v1/keys/{key.id}/usage?limit=100")).status_code == 200
                and usage.json()["held_micros"] == 0
                and usage.json()
            ),
            "everything is settled",
        )
        assert {event["id"] for event in usage["events"]} >= {a.headers["request-id"] for a in good}
        assert len(usage["events"]) == len(provider.calls)
        assert gateway.read("/v1/holds")["data"] == []
    assert differences(database.dsn) == []


@contextmanager
def wire_to(path: str) -> Generator[tuple[int, threading.Event]]:
    """A relay on loopback to a server's socket: its port, and whether bytes move at all."""
    alive, done = threading.Event(), threading.Event()
    alive.set()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.1)

    def carry(source: socket.socket, target: socket.socket) -> None:
        with source, target, suppress(OSError):
            while moved := source.recv(65_536):
                alive.wait(60)
                target.sendall(moved)

    def accept() -> None:
        while not done.is_set():
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(path)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=carry, args=pair, daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listening.getsockname()[1], alive
    finally:
        alive.set()
        done.set()
        accepting.join()
        listening.close()


def test_a_database_that_answers_nothing_is_given_up_in_time_and_caught_up_with(
    database: Database, tmp_path: Path
) -> None:
    parts = urlsplit(database.dsn)
    query = parse_qs(parts.query)
    socket_path = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
    with wire_to(socket_path) as (port, alive):
        dsn = f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}"
        with serving(dsn, tmp_path) as (gateway, provider):
            key = gateway.mint(max_spend_usd=5)
            gate = Gate()
            provider.script(fake_anthropic.small_answer(gate=gate))
            caller = Caller(gateway, key, stream=False)
            until(lambda: provider.calls, "the call is with the provider")
            alive.clear()
            began = time.monotonic()
            refused = gateway.api("POST", "/v1/messages", ASKED, key=key.secret)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
            assert time.monotonic() - began < STORE_TIMEOUT_S + 2
            gate.open()
            assert caller.ended().status_code == 200
            alive.set()
            gateway.wait_settled(key, 1)
    assert differences(database.dsn) == []
