"""Answers of management: JSON bodies, errors included. No answer is ever without a body."""

import logging

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from qlaud.api.requests import request_id
from qlaud.api.shapes import to_json
from qlaud.core.errors import BadRequest, Internal, MethodNotAllowed, NotFound, QlaudError
from qlaud.flows.idempotency import Answer
from qlaud.wire.errors import anthropic_error

logger = logging.getLogger("qlaud.api")

JSON = "application/json"


def answer(shape: object, status: int = 200) -> Answer:
    """An answer with `shape` as its JSON body."""
    return Answer(status, to_json(shape))


def refusal(error: QlaudError, request_id: str) -> Answer:
    """The answer that tells `error`, in the shape of the management surface."""
    return Answer(error.status, to_json(anthropic_error(error, request_id)), tuple(error.headers.items()))


def respond(made: Answer) -> Response:
    """The HTTP response."""
    headers = dict(made.headers)
    if made.replayed:
        headers["idempotency-replayed"] = "true"
    return Response(made.body, made.status, headers, JSON)


def install_errors(app: FastAPI) -> None:
    """Every error of `app` is told in our shape: ours, unknown paths and methods, and defects."""
    app.add_exception_handler(QlaudError, _tell)
    app.add_exception_handler(HTTPException, _tell_routing)
    app.add_exception_handler(ClientDisconnect, _tell_nobody)
    app.add_exception_handler(Exception, _tell_defect)


async def _tell(request: Request, error: Exception) -> Response:
    assert isinstance(error, QlaudError)
    return respond(refusal(error, request_id(request)))


async def _tell_routing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return await _tell(request, MethodNotAllowed(_allowed(request)))
    if error.status_code == 404:
        return await _tell(request, NotFound(f"there is no path {request.url.path[:200]}; see /docs"))
    return await _tell(request, BadRequest(str(error.detail)))


async def _tell_nobody(request: Request, error: Exception) -> Response:
    """The caller left while it was sending its request."""
    return await _tell(request, BadRequest("the request ended early"))


async def _tell_defect(request: Request, error: Exception) -> Response:
    logger.error(
        "a request broke", exc_info=error, extra={"request_id": request_id(request), "path": request.url.path}
    )
    return await _tell(request, Internal())


def _allowed(request: Request) -> list[str]:
    """The methods this path has, over all of its routes."""
    methods: set[str] = set()
    app: FastAPI = request.app
    for route in app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)
