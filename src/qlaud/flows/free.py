"""Calls that cost nothing and take no hold: counting tokens, and the list of models a key may use.

The key is looked up for each, so a revoked one gets nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from qlaud.core.catalog import Model
from qlaud.core.errors import ModelNotAllowed, ModelNotFound, ProviderNotConfigured
from qlaud.core.keys import Principal, allows, mode_of
from qlaud.flows.answers import fault_error, provider_error
from qlaud.flows.calls import Incoming, Route
from qlaud.flows.decoding import decoder_for
from qlaud.flows.directory import SIMULATOR, Directory
from qlaud.flows.headers import as_json, to_client, to_upstream, to_upstream_query
from qlaud.flows.keyring import ask_in_turn, refuses_us
from qlaud.flows.principals import Principals
from qlaud.ports import Headers, UpstreamFault, UpstreamRequest, UpstreamResponse
from qlaud.wire.types import Changes

COUNT_TOKENS = "count_tokens"
MESSAGES = "messages"
BYTES_PER_TOKEN = 4
"""Of an estimate where the provider has nothing to ask; text in English."""
ANSWER_LIMIT_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class FreeAnswer:
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


class Free:
    """Verbs without a price."""

    def __init__(self, directory: Directory, principals: Principals) -> None:
        self._catalog = directory.catalog
        self._registry = directory.registry
        self._outlets = directory.outlets
        self._rings = directory.rings
        self._principals = principals

    async def count_tokens(self, incoming: Incoming) -> FreeAnswer:
        """The provider's own count, or an estimate that says so where it offers none. Raises ModelNotAllowed."""
        credential = await self._principals.credential(incoming.secret)
        call = incoming.wire.read_call(incoming.asked)
        model = self._catalog.resolve(call.model)
        if not allows(credential.allowed_models, model.slug):
            raise ModelNotAllowed(model.slug)
        route = self._counting_route(incoming, model)
        if route is None:
            estimate = -(-call.demand.input_tokens // BYTES_PER_TOKEN)
            body = msgspec.json.encode({"input_tokens": estimate, "estimated": True})
            return FreeAnswer(200, [(b"content-type", b"application/json")], body)
        name = route.host.upstream_name(call.model)
        query = to_upstream_query(incoming.asked.query)
        changes = Changes(model=None if name == call.model else name)
        body = incoming.wire.rewrite(incoming.asked.body, call, changes)

        headers = as_json(incoming.headers)

        def send(key: int) -> Awaitable[UpstreamResponse]:
            credential = (*route.provider.extra_headers, *route.provider.auth_headers(key))
            request = UpstreamRequest(
                method="POST",
                origin=route.provider.origin,
                target=route.provider.target(COUNT_TOKENS) + (b"?" + query if query else b""),
                headers=to_upstream(headers, stream=True, extra=credential),
                body=body,
            )
            return route.upstream.send(request)

        return await self._asked(route, send, incoming)

    async def sees_all(self, secret: str) -> bool:
        """Whether a provider's own list of models may be shown: not to test keys, nor to those for some models only."""
        credential = await self._principals.credential(secret)
        return credential.principal.mode != "test" and credential.allowed_models is None

    async def models(self, secret: str, provider: str = "") -> list[Model]:
        """The models this key may call now, by slug; those of one provider if it is named."""
        credential = await self._principals.credential(secret)
        usable = [
            model
            for model in self._catalog.models
            if self._available(model, credential.principal)
            and allows(credential.allowed_models, model.slug)
            and _is_at(model, provider)
        ]
        return sorted(usable, key=lambda model: model.slug)

    async def model(self, secret: str, name: str, provider: str = "") -> Model:
        """One of them, by slug or alias. Raises ModelNotFound, ModelNotAllowed."""
        credential = await self._principals.credential(secret)
        model = self._catalog.resolve(name)
        if not _is_at(model, provider):
            raise ModelNotFound(name, self._catalog.nearest(name, provider=provider))
        if not allows(credential.allowed_models, model.slug):
            raise ModelNotAllowed(model.slug)
        return model

    def _available(self, model: Model, principal: Principal) -> bool:
        if principal.mode == "test":
            return True
        return any(self._registry.provider(host.provider).configured for host in model.hosts)

    def _counting_route(self, incoming: Incoming, model: Model) -> Route | None:
        is_test = mode_of(incoming.secret) == "test"
        for host in model.hosts:
            provider = self._registry.provider(SIMULATOR if is_test else host.provider)
            if MESSAGES not in host.wires or COUNT_TOKENS not in provider.wires:
                continue
            if not provider.configured:
                raise ProviderNotConfigured(provider.display_name, provider.key_variable)
            return Route(host, provider, self._outlets.of(provider), None, self._rings.get(provider.slug))
        return None

    async def _asked(
        self, route: Route, send: Callable[[int], Awaitable[UpstreamResponse]], incoming: Incoming
    ) -> FreeAnswer:
        try:
            response = await ask_in_turn(route.keys, send)
            try:
                decoder = decoder_for(response.headers)
                body = b""
                while len(body) < ANSWER_LIMIT_BYTES and (chunk := await response.read()):
                    body += decoder.decode(chunk)
            finally:
                response.close()
        except UpstreamFault as fault:
            raise fault_error(route, fault) from fault
        status = response.status
        if status >= 500 or status == 429 or refuses_us(status, body) or 300 <= status < 400:
            raise provider_error(incoming.wire, route, response.status, response.headers, body)
        return FreeAnswer(
            response.status,
            to_client(response.headers, drop=frozenset((b"content-encoding", b"content-length"))),
            body,
        )


def _is_at(model: Model, provider: str) -> bool:
    return not provider or any(host.provider == provider for host in model.hosts)
