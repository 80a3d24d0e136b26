"""A model call: resolve the model, bound its cost, take the hold, hand over to a pump.

Nothing goes upstream before the hold stands. From then on the pump owns the money.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from qlaud.core.catalog import Host, Model
from qlaud.core.errors import (
    BadRequest,
    ModelNotFound,
    ModelNotPriced,
    ProviderNotConfigured,
    QlaudError,
    RouteNotMetered,
    ShuttingDown,
)
from qlaud.core.keys import mode_of, secret_digest
from qlaud.core.ledger import CallFacts, HoldAsk
from qlaud.core.money import Micros
from qlaud.flows.batches import Found, as_it_leaves, bound_of_batch
from qlaud.flows.bounds import bound_of
from qlaud.flows.calls import Incoming, Prepared, Relay, Route
from qlaud.flows.directory import NOT_SIMULATED, SIMULATOR, Directory
from qlaud.flows.elsewhere import not_here, unpriced
from qlaud.flows.metered import UNPRICED, Metered
from qlaud.flows.owned import not_yours, that_keep
from qlaud.flows.principals import Principals
from qlaud.flows.pump import Pump, PumpTerms
from qlaud.ports import Clock
from qlaud.wire.types import ModelCall

FLOOR_TOKENS = 256
"""An output limit is not lowered below this by money, unless the caller asked for less (contract 6.3)."""

LARGE_BODY_BYTES = 1_048_576
"""A larger body is read in a thread: pictures, sound and films in it may take a while, and others are streaming."""
LARGEST_LIMIT = 2**31 - 1
NO_BATCH: Mapping[str, Found] = {}
LAST_WORDS_S = 5.0
"""After the grace of a shutdown: for settling, and for telling callers."""


class Inference:
    """Admits model calls and keeps their pumps."""

    def __init__(
        self,
        directory: Directory,
        calls: Metered,
        principals: Principals,
        *,
        clock: Clock,
        terms: PumpTerms,
    ) -> None:
        self._directory = directory
        self._calls = calls
        self._principals = principals
        self._clock = clock
        self._terms = terms
        self._pumps: dict[Pump, asyncio.Task[None]] = {}
        self._draining = False

    async def open(self, incoming: Incoming, relay: Relay) -> Pump:
        """The pump of an admitted call, already running. Raises the QlaudError that refuses it."""
        if self._draining:
            raise ShuttingDown
        began = self._clock.ticks_ms()
        if not incoming.is_metered and (await self._principals.of(incoming.secret)).scope != "admin":
            raise RouteNotMetered(incoming.asked.model)
        try:
            if len(incoming.asked.body) > LARGE_BODY_BYTES:
                prepared = await asyncio.to_thread(self.prepare, incoming)
            else:
                prepared = self.prepare(incoming)
        except QlaudError:
            await self._principals.of(incoming.secret)  # a caller nobody knows learns nothing but that
            raise
        await self._principals.check_resource(incoming.secret, prepared.call.account_resource)
        await self._principals.check_models(incoming.secret, prepared.other_models)
        if prepared.call.owned:
            prepared = await self._continued(prepared)
        try:
            hold = await self._calls.admit(prepared.ask, since_ticks_ms=began)
        except ModelNotPriced as error:
            raise unpriced(error, prepared.model.slug, incoming.provider, self._directory) from None
        if self._draining:  # while it waited
            await self._calls.void(hold)
            raise ShuttingDown
        pump = Pump(prepared, hold, relay, self._calls, self._clock, terms=self._terms)
        task = pump.start()
        self._pumps[pump] = task
        task.add_done_callback(lambda _: self._pumps.pop(pump, None))
        return pump

    def prepare(self, incoming: Incoming) -> Prepared:
        """The call with its routes and its bound. Raises what is wrong with it, before any money is touched."""
        call = incoming.wire.read_call(incoming.asked)
        model = self._model(incoming, call.model)
        routes = self._routes(incoming, model)
        if call.owned or call.background:
            routes = that_keep(routes, call, incoming.wire_name)
        demand = call.demand
        want = min(demand.max_output if demand.max_output is not None else model.max_output, LARGEST_LIMIT)
        found = self._batched(incoming, call) if call.parts else NO_BATCH
        bound = (
            bound_of_batch(call, incoming.wire_name, found, markup_bp=self._terms.markup_bp)
            if found
            else bound_of(
                call,
                incoming.wire_name,
                routes,
                window=model.context_window,
                markup_bp=self._terms.markup_bp,
            )
        )
        worst = bound.worst
        floor = min(want, max(FLOOR_TOKENS, demand.thinking_budget + 1))
        card = routes[0].card
        ask = HoldAsk(
            id=incoming.id,
            secret_sha256=secret_digest(incoming.secret),
            facts=CallFacts(
                model=model.slug,
                provider=routes[0].provider.slug,
                surface=incoming.surface,
                price_version=card.version if card is not None else UNPRICED,
                end_user_id=call.end_user,
            ),
            is_priced=worst is not None,
            unbounded_tool=bound.unbounded_tool,
            want_output=want,
            want_micros=worst.micros(want) if worst is not None else Micros(0),
            floor_micros=worst.micros(floor) if worst is not None else Micros(0),
            base_picos=worst.base_picos if worst is not None else 0,
            slope_picos=worst.slope_picos if worst is not None else 0,
            no_limit=demand.max_output is None,
        )
        window = model.context_window
        in_body = demand.input_tokens
        input_bound = in_body if window is None else min(in_body, window * demand.inputs)
        if not found:
            return Prepared(incoming, call, model, routes, ask, worst, input_bound, bound.beyond_tokens)
        others = tuple(one.model.slug for one in found.values() if one.model.slug != model.slug)
        leaving = as_it_leaves(incoming, call, found)
        return Prepared(leaving, call, model, routes, ask, worst, input_bound, bound.beyond_tokens, others)

    def tick(self) -> None:
        """Look after time limits of calls under way."""
        for pump in list(self._pumps):
            pump.tick()

    def under_way(self) -> int:
        """How many calls have a pump."""
        return len(self._pumps)

    async def drain(self, grace_s: float) -> None:
        """Take no more calls, let those under way end for `grace_s`, then settle the rest with what was seen.

        Ends within LAST_WORDS_S after the grace, even with callers who do not read that their answer was cut.
        """
        self._draining = True
        if self._pumps:
            await asyncio.wait(self._pumps.values(), timeout=grace_s)
        for pump in list(self._pumps):
            pump.shut_down()
        if self._pumps:
            await asyncio.wait(self._pumps.values(), timeout=LAST_WORDS_S)
        for task in list(self._pumps.values()):
            task.cancel()

    async def _continued(self, prepared: Prepared) -> Prepared:
        """The call on the one host that has what it continues. Raises NotFound where that is not the caller's."""
        principal = await self._principals.of(prepared.incoming.secret)
        routes = {route.provider.slug: route for route in prepared.routes}
        for object_id in prepared.call.owned:
            slug = await self._calls.owned.provider_of(principal, object_id, routes)
            if not slug:
                raise not_yours()
            routes = {slug: routes[slug]}
        return msgspec.structs.replace(prepared, routes=tuple(routes.values()))

    def _batched(self, incoming: Incoming, call: ModelCall) -> dict[str, Found]:
        """The models that the requests of a batch name."""
        models = {part.model: self._model(incoming, part.model) for part in call.parts}
        return {name: Found(model, self._routes(incoming, model)) for name, model in models.items()}

    def _model(self, incoming: Incoming, name: str) -> Model:
        """The model of that name; on a path that names its provider one that provider may know better than we.

        Raises ModelNotFound, BadRequest where none is named.
        """
        if not name:
            raise BadRequest("`model` is missing; name the model to call", param="model")
        if not incoming.provider:
            return self._directory.catalog.resolve(name)
        try:
            model = self._directory.catalog.resolve(name)
        except ModelNotFound:
            hosts: tuple[Host, ...] = ()
        else:
            hosts = tuple(host for host in model.hosts if host.provider == incoming.provider)
            if hosts:
                return replace(model, hosts=hosts)
        return Model(name, (Host(incoming.provider, name, (incoming.wire_name,)),))

    def _routes(self, incoming: Incoming, model: Model) -> tuple[Route, ...]:
        now = self._clock.now_ms()
        speaking = [host for host in model.hosts if incoming.provider or incoming.wire_name in host.wires]
        if not speaking:
            raise not_here(model, self._directory)
        if mode_of(incoming.secret) == "test":
            simulator = self._directory.registry.provider(SIMULATOR)
            if incoming.wire_name not in simulator.wires:
                raise BadRequest(NOT_SIMULATED)
            host = speaking[0]
            return (Route(host, simulator, self._directory.outlets.simulator, host.card_at(now)),)
        routes = [self._directory.route(host, now) for host in speaking]
        ready = tuple(route for route in routes if route.provider.configured)
        if not ready:
            missing = routes[0].provider
            raise ProviderNotConfigured(missing.display_name, missing.key_variable)
        return ready
