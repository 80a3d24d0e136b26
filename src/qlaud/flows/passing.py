"""Paths of a provider that cost nothing: asked with the operator's credential, answered as the provider answers.

They take no hold and write no event. The key is looked up for each, so a revoked one gets nothing. What may be
asked is in the providers' files (`[free]`); the contract opens only what shows nothing of the operator's account.
"""

from collections.abc import Awaitable

from qlaud.core.catalog import Host, Model
from qlaud.core.errors import ModelNotFound, NotFound, ProviderNotConfigured
from qlaud.core.paths import MODEL
from qlaud.flows.answers import fault_error, provider_error
from qlaud.flows.calls import Incoming, Relay, Route
from qlaud.flows.decoding import decoder_for
from qlaud.flows.directory import NOT_SIMULATED, Directory
from qlaud.flows.headers import as_json, to_client, to_upstream
from qlaud.flows.keyring import ask_in_turn
from qlaud.flows.principals import Principals
from qlaud.flows.reach import target
from qlaud.flows.read_answer import ERROR_BODY_LIMIT_BYTES
from qlaud.ports import UpstreamFault, UpstreamRequest, UpstreamResponse
from qlaud.wire.types import Changes


class Passing:
    """Relays what is free."""

    def __init__(self, directory: Directory, principals: Principals) -> None:
        self._directory = directory
        self._principals = principals

    async def pass_on(self, incoming: Incoming, relay: Relay) -> None:
        """Ask the provider the path names. Raises what keeps it from being asked (ModelNotAllowed too), or the
        provider's refusal."""
        principal = await self._principals.of(incoming.secret)
        if principal.mode == "test":
            raise NotFound(NOT_SIMULATED)
        model = self._named(incoming)
        if model is not None:
            await self._principals.check_models(incoming.secret, (model.slug,))
        route = self._route(incoming, model)
        if not route.provider.configured:
            raise ProviderNotConfigured(route.provider.display_name, route.provider.key_variable)
        asked = incoming.asked
        call = incoming.wire.read_call(asked)
        await self._principals.check_resource(incoming.secret, call.account_resource)
        name = route.host.upstream_name(asked.model)
        changes = Changes(model=None if name == asked.model else name)
        body = incoming.wire.rewrite(asked.body, call, changes) or None

        headers = as_json(incoming.headers) if body is not None else incoming.headers

        def send(key: int) -> Awaitable[UpstreamResponse]:
            credential = (*route.provider.extra_headers, *route.provider.auth_headers(key))
            request = UpstreamRequest(
                method=incoming.method,
                origin=route.provider.origin,
                target=target(incoming, route, asked=asked.model, name=name),
                headers=to_upstream(headers, stream=False, extra=credential),
                body=body,
            )
            return route.upstream.send(request)

        try:
            response = await ask_in_turn(route.keys, send)
            try:
                await self._relay(incoming, route, response, relay)
            finally:
                response.close()
        except UpstreamFault as fault:
            raise fault_error(route, fault) from fault

    async def _relay(
        self, incoming: Incoming, route: Route, response: UpstreamResponse, relay: Relay
    ) -> None:
        if response.status >= 300:
            decoder = decoder_for(response.headers)
            body = b""
            while len(body) < ERROR_BODY_LIMIT_BYTES and (chunk := await response.read()):
                body += decoder.decode(chunk)
            raise provider_error(incoming.wire, route, response.status, response.headers, body)
        await relay.start(response.status, to_client(response.headers))
        while chunk := await response.read():
            await relay.write(chunk)
        await relay.end()

    def _named(self, incoming: Incoming) -> Model | None:
        """The model in the path, where the catalog knows it or not; None on a path that names none."""
        name = incoming.asked.model
        if not name or incoming.pattern is None or MODEL not in incoming.pattern.names:
            return None
        try:
            return self._directory.catalog.resolve(name)
        except ModelNotFound:
            return Model(name, (Host(incoming.provider, name, ()),))

    def _route(self, incoming: Incoming, model: Model | None) -> Route:
        own = Host(incoming.provider, incoming.asked.model, ())
        hosts = model.hosts if model is not None else ()
        return self._directory.route(
            next((one for one in hosts if one.provider == incoming.provider), own), 0
        )
