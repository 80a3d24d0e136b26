"""The composition root: the only place that knows every plug, everything joined by hand.

`open_desk` is what the command line needs: the database and the verbs over it. `build` is the gateway as an ASGI
application, whose lifespan opens everything, drains it at the end and closes it.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from qlaud.api.bodies import EdgeTerms, Receive, Scope, Send
from qlaud.api.free import FreeEdge
from qlaud.api.inference import InferenceEdge
from qlaud.api.jobs import JobsEdge
from qlaud.api.live import LiveEdge
from qlaud.api.live_surfaces import LiveWays
from qlaud.api.management import build_management
from qlaud.api.routes import Edges, Gateway
from qlaud.api.server import Server, server_config
from qlaud.api.surfaces import Ways
from qlaud.app_database import Say, database
from qlaud.app_jobs import Workshop, workshop
from qlaud.config import Settings
from qlaud.core.providers import Registry
from qlaud.flows.accounts import Accounts
from qlaud.flows.chores import Chores, ChoreTerms
from qlaud.flows.directory import Directory, Outlets
from qlaud.flows.doctor import Doctor
from qlaud.flows.free import Free
from qlaud.flows.holds import Holds
from qlaud.flows.idempotency import Idempotency
from qlaud.flows.inference import Inference
from qlaud.flows.keyring import KeyRing
from qlaud.flows.keys import Keys
from qlaud.flows.live import Live, LiveSettings, World
from qlaud.flows.live_session import SessionTerms
from qlaud.flows.metered import Metered
from qlaud.flows.offer import Offer
from qlaud.flows.passing import Passing
from qlaud.flows.principals import Principals
from qlaud.flows.pump import PumpTerms
from qlaud.flows.usage import UsageReports
from qlaud.flows.wallet import Wallets
from qlaud.ports import Clock, Ids
from qlaud.providers.models import Shelf, load_catalog
from qlaud.providers.pricebook import PricesUnavailable
from qlaud.providers.registry import BadSetting
from qlaud.providers.simulator import Simulator
from qlaud.providers.toml_files import BadFile
from qlaud.providers.upstream import (
    HttpUpstream,
    LiveLimits,
    UpstreamLimits,
    WebSocketUpstream,
    proxy_from_environment,
)
from qlaud.store.books import Books
from qlaud.store.jobs import Jobs as JobStore
from qlaud.store.ledger import Ledger, Terms
from qlaud.store.migrate import MigrationRefused, migrate, packaged, pending
from qlaud.store.pool import Pool, PoolLimits, open_pool
from qlaud.system import SystemClock, SystemIds, dice, spare_the_start
from qlaud.telemetry import Metrics

logger = logging.getLogger("qlaud.app")

MS_PER_S = 1000
SHELF_FAILED = (BadFile, BadSetting, PricesUnavailable)
"""What `load_shelf` raises; each message names the file or the variable."""


@dataclass(frozen=True, slots=True)
class Desk:
    """The database and the verbs over it, without the hot path."""

    settings: Settings
    pool: Pool
    books: Books
    accounts: Accounts
    keys: Keys
    usage: UsageReports
    holds: Holds
    wallets: Wallets
    doctor: Doctor
    principals: Principals
    once: Idempotency
    clock: Clock
    ids: Ids


@asynccontextmanager
async def open_desk(settings: Settings, *, say: Say, dsn: str | None = None) -> AsyncGenerator[Desk]:
    """The desk over a migrated database. With `dsn` the caller keeps the database; else it is opened here.

    Raises what `app_database.OPENING_FAILED` lists, each with what to do.
    """
    async with AsyncExitStack() as stack:
        if dsn is None:
            opened = database(settings, say)
            dsn = await asyncio.to_thread(opened.__enter__)
            stack.push_async_callback(asyncio.to_thread, opened.__exit__, None, None, None)
        pool = await open_pool(dsn, PoolLimits(size=settings.database_pool_size))
        stack.push_async_callback(pool.aclose)
        async with pool.acquire() as connection:
            await migrate(connection, packaged(), say)
        clock, ids = SystemClock(), SystemIds()
        books = Books(pool.acquire)
        yield Desk(
            settings=settings,
            pool=pool,
            books=books,
            accounts=Accounts(books, clock, ids, dice),
            keys=Keys(books, clock, ids, dice),
            usage=UsageReports(books, clock),
            holds=Holds(books, clock),
            wallets=Wallets(books, clock, settings.wallet),
            doctor=Doctor(books),
            principals=Principals(books, clock),
            once=Idempotency(books, clock, dice),
            clock=clock,
            ids=ids,
        )


def load_shelf(settings: Settings, environ: Mapping[str, str]) -> Shelf:
    """Providers, prices and models. Raises what SHELF_FAILED lists."""
    return load_catalog(
        env=environ,
        cache_dir=settings.data_dir / "cache",
        at_ms=SystemClock().now_ms(),
        prices_dir=settings.prices_dir,
        providers_dir=settings.providers_dir,
    )


class App:
    """The gateway with its lifespan. `begin_drain` may be called before the lifespan ends."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], say: Say) -> None:
        self._settings = settings
        self._environ = environ
        self._say = say
        self._stack = AsyncExitStack()
        self._gateway: Gateway | None = None
        self._inference: Inference | None = None
        self._live: Live | None = None
        self._draining: asyncio.Task[None] | None = None
        self._hurrying: asyncio.Task[None] | None = None

    def begin_drain(self) -> None:
        """The stop signal came: no more calls, and the grace of those under way runs from now."""
        if self._draining is None and self._inference is not None and self._live is not None:
            grace_s = self._settings.shutdown_grace_s
            if under_way := self._inference.under_way() + self._live.under_way():
                facts = {"under_way": under_way, "grace_s": grace_s}
                logger.info("stopping, calls under way may finish within the grace", extra=facts)
            self._draining = asyncio.create_task(
                _both(self._inference.drain(grace_s), self._live.drain(grace_s)), name="drain"
            )

    def hurry(self) -> None:
        """The stop signal came again: calls under way are cut now, and settled with what they used."""
        if self._inference is not None and self._live is not None and self._hurrying is None:
            self._hurrying = asyncio.create_task(
                _both(self._inference.drain(0), self._live.drain(0)), name="hurry"
            )

    def is_live(self, path: str) -> bool:
        """Whether a request to this path may become a WebSocket. Asked by the server."""
        return self._gateway is not None and self._gateway.is_live(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        assert self._gateway is not None, "requests come after the start"
        await self._gateway(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()  # what was opened before the fault, a local PostgreSQL not least
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _open(self) -> None:
        settings = self._settings
        desk = await self._stack.enter_async_context(open_desk(settings, say=self._say))
        shelf = await asyncio.to_thread(load_shelf, settings, self._environ)
        ledger = Ledger(
            desk.pool.connect,
            desk.pool.acquire,
            desk.clock.now_ms,
            Terms(settings.markup_bp, settings.wallet == "prepaid", settings.store_timeout_s),
        )
        ledger.start()
        self._stack.push_async_callback(ledger.close, settings.store_timeout_s)
        limits, proxy = _upstream_limits(settings), proxy_from_environment(self._environ)
        upstream = HttpUpstream(limits, proxy=proxy)
        sockets = WebSocketUpstream(limits, LiveLimits(settings.live_message_bytes), proxy=proxy)
        self._stack.push_async_callback(upstream.aclose)
        outlets = Outlets(http=upstream, simulator=Simulator(clock=desk.clock))
        directory = Directory(
            shelf.catalog, shelf.registry, outlets, _rings(shelf.registry, desk.clock), shelf.book
        )
        metrics = Metrics()
        job_store = JobStore(desk.pool.acquire)
        calls = Metered(ledger, desk.clock, metrics, hold_wait_s=settings.hold_wait_s, jobs=job_store)
        shop = workshop(settings, directory, calls, job_store, principals=desk.principals, clock=desk.clock)
        self._stack.push_async_callback(shop.jobs.close)
        inference = Inference(
            directory,
            calls,
            desk.principals,
            clock=desk.clock,
            terms=_pump_terms(settings),
        )
        world = World(directory, sockets, desk.clock, desk.ids)
        live = Live(world, calls, desk.principals, _live_settings(settings))
        chores = Chores(
            inference,
            calls,
            ledger,
            shop.jobs,
            terms=ChoreTerms(settings.hold_renew_s * MS_PER_S, int(settings.hold_lost_after_s * MS_PER_S)),
        )
        chore_task = asyncio.create_task(chores.run(), name="chores")
        self._stack.callback(chore_task.cancel)
        self._stack.push_async_callback(self._drain)
        _register_gauges(metrics, inference, live, upstream)
        self._inference, self._live = inference, live
        self._gateway = _gateway(desk, directory, inference, live, shop=shop, metrics=metrics)
        spare_the_start()

    async def _drain(self) -> None:
        self.begin_drain()
        assert self._draining is not None, "there is an inference since the start"
        await self._draining

    async def _close(self) -> None:
        await self._stack.aclose()


def build(settings: Settings, environ: Mapping[str, str], say: Say) -> App:
    """The gateway as an ASGI application."""
    return App(settings, environ, say)


def run_gateway(
    settings: Settings, environ: Mapping[str, str], listening: socket.socket, ready: Callable[[], None]
) -> bool:
    """Serve on a listening socket until a stop signal. False: it could not start, and the log says why."""
    app = build(settings, environ, lambda text: logger.info(text))
    config = server_config(
        app,
        shutdown_grace_s=settings.shutdown_grace_s,
        max_connections=settings.max_connections,
        live_message_bytes=settings.live_message_bytes,
    )
    server = Server(config, on_ready=lambda _: ready(), on_stop=app.begin_drain, on_hurry=app.hurry)
    server.run(sockets=[listening])
    return server.started


def _pump_terms(settings: Settings) -> PumpTerms:
    return PumpTerms(
        markup_bp=settings.markup_bp,
        buffer_bytes=settings.answer_buffer_bytes,
        drain_max_ms=settings.drain_max_s * MS_PER_S,
        client_stall_ms=settings.client_stall_s * MS_PER_S,
        settle_patience_ms=settings.settle_patience_s * MS_PER_S,
        drain_by_default=settings.on_disconnect == "drain",
    )


def _rings(registry: Registry, clock: Clock) -> Mapping[str, KeyRing]:
    several = (provider for provider in registry.providers.values() if len(provider.api_keys) > 1)
    return {provider.slug: KeyRing(provider, clock) for provider in several}


def _live_settings(settings: Settings) -> LiveSettings:
    return LiveSettings(
        markup_bp=settings.markup_bp,
        slice_ms=int(settings.live_hold_s * MS_PER_S),
        session=SessionTerms(settings.client_stall_s, drain_by_default=settings.on_disconnect == "drain"),
    )


def _upstream_limits(settings: Settings) -> UpstreamLimits:
    return UpstreamLimits(
        connect_timeout_s=settings.connect_timeout_s,
        first_byte_timeout_s=settings.first_byte_timeout_s,
        idle_timeout_s=settings.idle_timeout_s,
        max_connections_per_origin=settings.provider_connections,
    )


async def _both(one: Awaitable[None], other: Awaitable[None]) -> None:
    await asyncio.gather(one, other)


def _register_gauges(metrics: Metrics, inference: Inference, live: Live, upstream: HttpUpstream) -> None:
    metrics.gauge("qlaud_in_flight", "Model calls under way in this worker.", inference.under_way)
    metrics.gauge("qlaud_live_sessions", "Live sessions open in this worker.", live.under_way)
    metrics.gauge(
        "qlaud_upstream_connections",
        "Connections to providers of this worker.",
        lambda: upstream.open_connections,
    )


def _gateway(
    desk: Desk, directory: Directory, inference: Inference, live: Live, *, shop: Workshop, metrics: Metrics
) -> Gateway:
    settings = desk.settings
    terms = EdgeTerms(settings.max_body_bytes, settings.body_timeout_s, settings.audio_max_s * 1000)

    async def stored() -> Mapping[str, tuple[str, float]]:
        return await desk.usage.gauges()

    async def ready() -> str | None:
        try:
            async with desk.pool.acquire() as connection:
                todo = await pending(connection, packaged())
        except MigrationRefused as refused:
            return str(refused)
        return f"{len(todo)} migrations are pending" if todo else None

    def count(surface: str, status: int) -> None:
        metrics.requests[surface, status] += 1

    free = Free(directory, desk.principals)
    passing = Passing(directory, desk.principals)
    calls = InferenceEdge(inference, passing, desk.clock, desk.ids, terms, count)
    edges = Edges(
        Ways(directory.registry),
        LiveWays(directory.registry),
        calls,
        LiveEdge(live, count),
        FreeEdge(free, metrics, stored, terms, metrics_token=settings.metrics_token),
        JobsEdge(calls, shop.own, shop.videos, desk.clock, terms=terms),
        build_management(desk, Offer(directory, desk.clock), ready),
    )
    return Gateway(edges, desk.clock, desk.ids, cors_origins=settings.cors_origins)
