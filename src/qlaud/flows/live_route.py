"""Where a live session goes: the model's host, the request for its socket, what its answer tells the caller."""

from dataclasses import replace
from urllib.parse import quote

from msgspec import Struct

from qlaud.core.catalog import Catalog, Host, Model
from qlaud.core.errors import BadRequest, ModelNotFound, ProviderNotConfigured
from qlaud.core.ledger import Hold
from qlaud.core.paths import MODEL
from qlaud.core.pricing import RateCard
from qlaud.core.providers import Provider
from qlaud.flows.answers import BUDGET
from qlaud.flows.directory import Directory
from qlaud.flows.elsewhere import places
from qlaud.flows.headers import to_client, to_upstream, to_upstream_query, upstream_request_id
from qlaud.flows.live_calls import LiveIncoming
from qlaud.ports import Headers, LiveRequest, LiveSocket
from qlaud.wire.live import Frame
from qlaud.wire.live_shelf import LIVE_WIRES, LiveWire
from qlaud.wire.query import Query

OF_THE_HANDSHAKE = b"sec-websocket-"
NOT_TOLD = frozenset((b"date", b"server", b"content-length", b"content-type"))


class LiveRoute(Struct, frozen=True, gc=False):
    """One host of a model, and the wire it is spoken to with."""

    model: Model
    host: Host
    provider: Provider
    wire_name: str
    wire: LiveWire
    card: RateCard | None
    """None: the model has no price here."""


def route_of(incoming: LiveIncoming, directory: Directory, now_ms: int) -> LiveRoute:
    """The route of a session. Raises ModelNotFound, ProviderNotConfigured, BadRequest."""
    name = model_named(incoming)
    if not name:
        raise BadRequest("the query names no model; name the one to talk to", param="model")
    model = _model(incoming, directory.catalog, name)
    missing: Provider | None = None
    for host in model.hosts:
        spoken = next((wire for wire in incoming.wires if incoming.provider or wire in host.wires), None)
        if spoken is None:
            continue
        provider = directory.registry.provider(host.provider)
        if provider.configured:
            return LiveRoute(model, host, provider, spoken, LIVE_WIRES[spoken], host.card_at(now_ms))
        missing = missing or provider
    if missing is not None:
        raise ProviderNotConfigured(missing.display_name, missing.key_variable)
    raise BadRequest(
        f'model "{model.slug}" has no live form on this path; call it on {places(model, directory)}',
        param="model",
    )


def model_named(incoming: LiveIncoming) -> str:
    """The model the query asks for, else the one of the path or the first message, else the path's usual one; empty
    without any."""
    parameter = LIVE_WIRES[incoming.wires[0]].model_parameter
    return Query(incoming.query).text(parameter, incoming.model) if parameter else incoming.model


def request_of(incoming: LiveIncoming, route: LiveRoute, *, key: int = 0) -> LiveRequest:
    """The socket to open: the caller's own path and query, without its credential, with the provider's (the
    one of that number)."""
    provider = route.provider
    asked = model_named(incoming)
    name = route.host.upstream_name(asked)
    query = to_upstream_query(incoming.query)
    path = incoming.target
    if path and provider.slug == incoming.provider:
        if name != asked and incoming.pattern is not None and MODEL in incoming.pattern.names:
            path = incoming.pattern.replaced(path, MODEL, quote(name, safe="/:").encode())
        path = provider.moved(path)
    else:
        path = provider.target(route.wire_name)
    if name != asked and route.wire.model_parameter:
        query = _renamed(query, route.wire.model_parameter, name)
    headers = to_upstream(
        [pair for pair in incoming.headers if not pair[0].startswith(OF_THE_HANDSHAKE)],
        stream=True,
        extra=(*provider.extra_headers, *provider.auth_headers(key)),
    )
    return LiveRequest(
        origin=provider.origin,
        target=path + b"?" + query if query else path,
        headers=[pair for pair in headers if pair[0] != b"accept-encoding"],
        subprotocols=incoming.subprotocols,
    )


def opening_of(incoming: LiveIncoming, route: LiveRoute) -> Frame | None:
    """The message that named the model, as it goes on: with the name the provider knows."""
    asked = model_named(incoming)
    name = route.host.upstream_name(asked)
    if incoming.first is None or route.wire.with_model is None or name == asked:
        return incoming.first
    return route.wire.with_model(incoming.first, name)


def told_headers(route: LiveRoute, hold: Hold, socket: LiveSocket) -> Headers:
    """What the answer to the caller's handshake says: the provider's own headers, and ours."""
    told = [
        pair for pair in to_client(socket.headers, drop=NOT_TOLD) if not pair[0].startswith(OF_THE_HANDSHAKE)
    ]
    told.append((b"x-qlaud-provider", route.provider.slug.encode()))
    told.append((b"x-qlaud-model", route.model.slug.encode()))
    if theirs := upstream_request_id(socket.headers):
        told.append((b"x-upstream-request-id", theirs))
    if hold.remaining_micros is not None:
        told.append((BUDGET, b"%d" % max(0, hold.remaining_micros)))
    return told


def _model(incoming: LiveIncoming, catalog: Catalog, name: str) -> Model:
    """The model of that name; on a path that names its provider, one that provider may know better than we."""
    if not incoming.provider:
        return catalog.resolve(name)
    try:
        model = catalog.resolve(name)
    except ModelNotFound:
        model = None
    if model is not None:
        hosts = tuple(host for host in model.hosts if host.provider == incoming.provider)
        if hosts:
            return replace(model, hosts=hosts)
    return Model(name, (Host(incoming.provider, name, incoming.wires),))


def _renamed(query: bytes, parameter: str, name: str) -> bytes:
    begin = parameter.encode() + b"="
    value = begin + quote(name, safe="").encode()
    return b"&".join(value if part.startswith(begin) else part for part in query.split(b"&"))
