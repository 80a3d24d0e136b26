"""Sends one call to the first of its hosts that takes it, all under the same hold.

The next host is tried only while the last one cannot have worked on the call: it was not reached, or it answered
429 or 5xx before a byte was relayed and billed nothing. The same goes for the next key of a host that refuses the
one it was sent. Nothing is retried after a timeout of an accepted call.
"""

from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import quote

from msgspec import Struct

from qlaud.core.ledger import Hold
from qlaud.core.paths import MODEL
from qlaud.core.usage import Nothing
from qlaud.flows.bounds import is_loose
from qlaud.flows.calls import Incoming, Prepared, Route
from qlaud.flows.headers import as_json, to_upstream, to_upstream_query, with_model
from qlaud.flows.keyring import ask_in_turn
from qlaud.flows.read_answer import ReadAnswer, read_answer
from qlaud.ports import UpstreamFault, UpstreamRequest, UpstreamResponse
from qlaud.wire.types import AnswerHead, Changes

OVERLOADED = frozenset((429, 500, 502, 503, 504, 529))


class Reached(Struct, frozen=True, gc=False):
    """A host answered."""

    route: Route
    response: UpstreamResponse


class NotReached(Struct, frozen=True, gc=False):
    """No host gave an answer; `fault` is that of the last one tried."""

    route: Route
    fault: UpstreamFault


async def reach(prepared: Prepared, hold: Hold) -> Reached | NotReached:
    """The answer of the first host that takes the call, or the last fault."""
    last = len(prepared.routes) - 1
    for number, route in enumerate(prepared.routes):
        try:
            response = await _ask(prepared, route, hold)
            if number < last and response.status in OVERLOADED:
                response = await read_answer(response)
                if not _is_billed(prepared, response):
                    continue
            return Reached(route, response)
        except UpstreamFault as fault:
            if fault.started or number == last:
                return NotReached(route, fault)
    raise AssertionError("a prepared call has a route")


async def _ask(prepared: Prepared, route: Route, hold: Hold) -> UpstreamResponse:
    """The answer of one host, by the first of the operator's keys that it takes."""
    if route.keys is None:
        return await route.upstream.send(request_for(prepared, route, hold))
    return await ask_in_turn(
        route.keys,
        lambda number: route.upstream.send(request_for(prepared, route, hold, key=number)),
        is_billed=partial(_is_billed, prepared),
    )


def _is_billed(prepared: Prepared, refusal: ReadAnswer) -> bool:
    """Whether a refusal costs something, so that it is settled and the call not sent again."""
    head = AnswerHead(refusal.status, refusal.headers)
    tap = prepared.incoming.wire.tap(prepared.call, strip_usage=False, head=head)
    tap.feed(refusal.text)
    tap.finish()
    return not isinstance(tap.outcome(input_bound=prepared.input_bound), Nothing)


def request_for(prepared: Prepared, route: Route, hold: Hold, *, key: int = 0) -> UpstreamRequest:
    """The call as it leaves for `route`: the caller's bytes, with the limit that was held made true."""
    incoming, call, provider = prepared.incoming, prepared.call, route.provider
    name = route.host.upstream_name(call.model)
    upload = incoming.upload
    body: bytes | AsyncIterator[bytes] | None
    if upload is not None:
        form = incoming.asked.form
        edits = form.edits({call.model_field: name.encode()}) if form and name != call.model else []
        body = upload.pieces(edits)
        length = upload.size + sum(len(new) - (end - start) for start, end, new in edits)
    else:
        body = incoming.wire.rewrite(incoming.asked.body, call, changes(prepared, route, hold)) or None
        length = None
    headers = as_json(incoming.headers) if upload is None and body is not None else incoming.headers
    return UpstreamRequest(
        method=incoming.method,
        origin=provider.origin,
        target=target(incoming, route, asked=call.model, name=name),
        headers=to_upstream(
            headers,
            stream=call.stream,
            extra=(*provider.extra_headers, *provider.auth_headers(key, wire=incoming.wire_name)),
        ),
        body=body,
        content_length=length,
    )


def changes(prepared: Prepared, route: Route, hold: Hold) -> Changes:
    """What the body must say at this host."""
    call, quirks = prepared.call, route.provider.quirks
    name = route.host.upstream_name(call.model)
    wire = route.provider.wires.get(prepared.incoming.wire_name)
    return Changes(
        model=None if name == call.model else name,
        max_output=limit_to_send(prepared, route, hold),
        limit_field=limit_field(route, wire.limit_field if wire else ""),
        include_usage=call.stream and not call.wants_usage and INCLUDE_USAGE in quirks,
        max_uses=DEFAULT_MAX_USES if call.uncapped_tools else None,
        pictures=("url" if prepared.incoming.provider else "inline") if URL_PICTURES in quirks else "",
    )


def target(incoming: Incoming, route: Route, *, asked: str, name: str) -> bytes:
    """Path and query at this host: the caller's own, where the path names the provider, else the wire's first."""
    query = to_upstream_query(incoming.asked.query)
    if name != asked:
        query = with_model(query, asked, name)
    if incoming.target and route.provider.slug == incoming.provider:
        path = incoming.target
        if name != asked and incoming.pattern is not None and MODEL in incoming.pattern.names:
            path = incoming.pattern.replaced(path, MODEL, quote(name, safe="/:").encode())
        path = route.provider.moved(path)
    else:
        path = route.provider.target(incoming.wire_name, stream=incoming.asked.stream)
        path = path.replace(b"{model}", quote(name, safe="/:").encode())
    return path + b"?" + query if query else path


DEFAULT_MAX_USES = 5
"""Uses of a provider's own tool that are held, and sent, when the caller names no number (contract 6.2)."""

LIMIT_REQUIRED = "limit_required"
"""Quirk of a host that refuses a call without an output limit."""

INCLUDE_USAGE = "include_usage"
"""Quirk of a host that tells a stream's usage only when asked to."""

URL_PICTURES = "url_pictures"
"""Quirk of a host whose pictures are addresses, unless told otherwise."""

OLD_LIMIT_FIELD = "max_tokens"
"""Quirk of a host that knows the output limit by its older name only."""


def limit_to_send(prepared: Prepared, route: Route, hold: Hold) -> int | None:
    """The output limit to write into the body, or None to leave what stands there."""
    given = prepared.call.demand.max_output
    if hold.bounded and hold.max_output is not None and (hold.max_output != given or is_loose(route)):
        return hold.max_output
    if given is None and LIMIT_REQUIRED in route.provider.quirks:
        return prepared.model.max_output or prepared.model.default_max_tokens
    return None


def limit_field(route: Route, of_wire: str) -> str:
    """The name this host knows the output limit by."""
    knows_old_only = OLD_LIMIT_FIELD in route.host.quirks or OLD_LIMIT_FIELD in route.provider.quirks
    return OLD_LIMIT_FIELD if knows_old_only and not is_loose(route) else of_wire
