"""A live session: resolve the model, take the first slice, open the provider's socket, hand over to a session.

Nothing goes upstream before the first slice stands, and whatever refuses a session before its handshake was answered
is raised, so that the caller sees a status. From the hold on the session owns the money.
"""

import asyncio
from dataclasses import dataclass
from functools import partial

from qlaud.core.errors import (
    ModelNotPriced,
    QlaudError,
    ShuttingDown,
    UnsupportedField,
    WebsocketNotSupported,
)
from qlaud.core.keys import mode_of, secret_digest
from qlaud.core.ledger import CallFacts
from qlaud.core.usage import Nothing
from qlaud.flows.answers import refusal_of, silence_of
from qlaud.flows.directory import Directory
from qlaud.flows.elsewhere import unpriced
from qlaud.flows.headers import upstream_request_id
from qlaud.flows.keyring import REFUSED
from qlaud.flows.live_calls import LiveCaller, LiveIncoming
from qlaud.flows.live_money import Strand, StrandTerms
from qlaud.flows.live_route import LiveRoute, model_named, opening_of, request_of, route_of, told_headers
from qlaud.flows.live_session import LAST_WORD_S, Parts, Session, SessionTerms, check_offered
from qlaud.flows.metered import UNPRICED, Metered
from qlaud.flows.principals import Principals
from qlaud.ports import Clock, Ids, LiveRefused, LiveSocket, LiveUpstream, UpstreamFault
from qlaud.wire.errors import provider_message
from qlaud.wire.live import LiveTerms, Meter, SecondMeter
from qlaud.wire.query import Query

NO_SIMULATOR = "test keys have no live sessions: the simulator answers plain requests only"
TRANSCRIPTION = "audio_transcription"
"""The surface of a model that only writes down what is said in a session."""


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What the deployment says about live sessions."""

    markup_bp: int
    slice_ms: int
    session: SessionTerms


@dataclass(frozen=True, slots=True)
class World:
    """What a session needs from outside."""

    directory: Directory
    sockets: LiveUpstream
    clock: Clock
    ids: Ids


class Live:
    """Admits live sessions and keeps them."""

    def __init__(self, world: World, calls: Metered, principals: Principals, settings: LiveSettings) -> None:
        self._directory, self._sockets = world.directory, world.sockets
        self._clock, self._ids = world.clock, world.ids
        self._calls, self._principals, self._settings = calls, principals, settings
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._draining = False

    async def greet(self, secret: str) -> None:
        """Return for a caller whose handshake may be accepted before it has said what it wants.

        Raises the QlaudError that refuses it.
        """
        if self._draining:
            raise ShuttingDown
        if mode_of(secret) == "test":
            raise WebsocketNotSupported(NO_SIMULATOR)
        await self._principals.of(secret)

    async def open(self, incoming: LiveIncoming, caller: LiveCaller) -> "asyncio.Task[None]":
        """The task of an admitted session whose socket stands. Raises the QlaudError that refuses it."""
        if self._draining:
            raise ShuttingDown
        began = self._clock.ticks_ms()
        try:
            route = self._routed(incoming)
        except QlaudError:
            await self._principals.of(incoming.secret)  # a caller nobody knows learns nothing but that
            raise
        meter = route.wire.meter(incoming.query, self._live_terms(incoming, route))
        if incoming.first is not None:
            meter.offer(incoming.first)
            await check_offered(meter, partial(self._principals.check_resource, incoming.secret))
        strand = self._strand(meter, incoming, route, surface=incoming.surface, is_main=True)
        try:
            await strand.begin(began)
        except ModelNotPriced as error:
            raise unpriced(error, route.model.slug, incoming.provider, self._directory) from None
        try:
            socket = await self._connect(incoming, route, strand)
        except BaseException:
            await asyncio.shield(strand.void())  # what was not settled never left
            raise
        return self._start(incoming, caller, route, meter, strand=strand, socket=socket)

    def under_way(self) -> int:
        """How many sessions are open."""
        return len(self._sessions)

    async def drain(self, grace_s: float) -> None:
        """Open no more sessions, let those under way end for `grace_s`, then close them and settle."""
        self._draining = True
        if self._sessions:
            await asyncio.wait(self._sessions.values(), timeout=grace_s)
        for session in list(self._sessions):
            session.shut_down()
        if self._sessions:
            await asyncio.wait(self._sessions.values(), timeout=2 * LAST_WORD_S)
        for task in list(self._sessions.values()):
            task.cancel()

    def _routed(self, incoming: LiveIncoming) -> LiveRoute:
        if mode_of(incoming.secret) == "test":
            raise WebsocketNotSupported(NO_SIMULATOR)
        route = route_of(incoming, self._directory, self._clock.now_ms())
        if route.wire.check_query is not None:
            route.wire.check_query(incoming.query)
        query = Query(incoming.query)
        query.check()
        for parameter in route.wire.not_metered:
            if parameter in query:
                raise UnsupportedField(
                    f"`{parameter}` has a cost of its own that cannot be told here; leave it out",
                    param=parameter,
                )
        return route

    async def _connect(self, incoming: LiveIncoming, route: LiveRoute, strand: Strand) -> LiveSocket:
        """The provider's socket. What it refuses is settled at nothing before it is raised."""
        try:
            socket = await self._reach(incoming, route)
        except LiveRefused as refused:
            error = refusal_of(
                route.provider,
                refused.status,
                refused.headers,
                refused.body,
                sentence=provider_message(refused.body),
            )
            await strand.settle(Nothing(), error.status)
            raise error from None
        except UpstreamFault as fault:
            error = silence_of(route.provider, fault)
            await strand.settle(Nothing(), error.status)
            raise error from None
        if self._draining:  # while it connected
            socket.abort()
            raise ShuttingDown
        theirs = upstream_request_id(socket.headers)
        strand.upstream_request_id = theirs.decode("latin-1") if theirs else None
        return socket

    async def _reach(self, incoming: LiveIncoming, route: LiveRoute) -> LiveSocket:
        """The socket, with the first of the provider's keys that it takes. Raises LiveRefused, UpstreamFault."""
        ring = self._directory.rings.get(route.provider.slug)
        if ring is None:
            return await self._sockets.connect(request_of(incoming, route))
        *others, final = ring.order()
        for number in (*others, final):
            try:
                return await self._sockets.connect(request_of(incoming, route, key=number))
            except LiveRefused as refused:
                if refused.status in REFUSED:
                    ring.refused(number, refused.status, refused.headers, refused.body)
                if refused.status not in REFUSED or number == final:
                    raise
        raise AssertionError("a ring has a key")

    def _start(
        self,
        incoming: LiveIncoming,
        caller: LiveCaller,
        route: LiveRoute,
        meter: Meter,
        *,
        strand: Strand,
        socket: LiveSocket,
    ) -> "asyncio.Task[None]":
        parts = Parts(
            route.wire,
            meter,
            strand,
            socket,
            open_second=partial(self._second, incoming, route),
            check_foreign=partial(self._principals.check_resource, incoming.secret),
            opening=opening_of(incoming, route),
        )
        session = Session(parts, self._clock, self._settings.session)
        task = asyncio.create_task(session.run(caller, told_headers(route, strand.last_hold, socket)))
        self._sessions[session] = task
        task.add_done_callback(lambda _: self._sessions.pop(session, None))
        return task

    async def _second(
        self, incoming: LiveIncoming, route: LiveRoute, name: str, meter: SecondMeter
    ) -> Strand:
        """A strand for another model of the same provider, named on the way. Raises what refuses its first slice."""
        model = self._directory.catalog.resolve(name)
        host = next((host for host in model.hosts if host.provider == route.provider.slug), model.hosts[0])
        card = host.card_at(self._clock.now_ms())
        meter.by_time = card is None or card.rate("audio_ms") is not None
        own = LiveRoute(model, host, route.provider, route.wire_name, route.wire, card)
        strand = self._strand(meter, incoming, own, surface=TRANSCRIPTION, is_main=False)
        await strand.begin(self._clock.ticks_ms())
        return strand

    def _strand(
        self,
        meter: Meter | SecondMeter,
        incoming: LiveIncoming,
        route: LiveRoute,
        *,
        surface: str,
        is_main: bool,
    ) -> Strand:
        facts = CallFacts(
            model=route.model.slug,
            provider=route.provider.slug,
            surface=surface,
            price_version=route.card.version if route.card is not None else UNPRICED,
        )
        terms = StrandTerms(
            secret_sha256=secret_digest(incoming.secret),
            facts=facts,
            card=route.card,
            markup_bp=self._settings.markup_bp,
            session_id=incoming.id,
            is_main=is_main,
        )
        return Strand(meter, terms, self._calls, self._clock, self._ids)

    def _live_terms(self, incoming: LiveIncoming, route: LiveRoute) -> LiveTerms:
        return LiveTerms(
            slice_ms=self._settings.slice_ms,
            max_output=route.model.max_output,
            context_window=route.model.context_window,
            model=route.host.upstream_name(model_named(incoming)),
        )
