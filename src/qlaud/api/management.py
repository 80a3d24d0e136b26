"""The management API as a FastAPI application: every path on one page, and what the document says of each.

FastAPI routes and documents; bodies are read by `api.fields`, so that no amount passes through a float. Answers
carry no request id header of their own: the outer layer adds it, and CORS, to every answer.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.requests import Request
from starlette.responses import Response

from qlaud import __version__
from qlaud.api.account import AccountEndpoints
from qlaud.api.answers import install_errors
from qlaud.api.catalog import CatalogEndpoints
from qlaud.api.documentation import Spec, components, openapi_extra
from qlaud.api.health import HealthEndpoints, Ready
from qlaud.api.holds import HoldEndpoints
from qlaud.api.keys import KeyEndpoints
from qlaud.api.principal import Door
from qlaud.api.specs import SPECS
from qlaud.api.usage import UsageEndpoints
from qlaud.config import Settings
from qlaud.flows.accounts import Accounts
from qlaud.flows.holds import Holds
from qlaud.flows.idempotency import Idempotency
from qlaud.flows.keys import Keys
from qlaud.flows.offer import Offer
from qlaud.flows.principals import Principals
from qlaud.flows.usage import UsageReports
from qlaud.flows.wallet import Wallets

LOW_BALANCE_MICROS = 5_000_000
DESCRIPTION = (
    "Keys, caps, usage and holds of this gateway. Amounts in `*_micros` are integers: 1 micro is 0.000001 USD. "
    "Model calls are not listed here: they take the vendors' own SDKs."
)
SILENT: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own telemetry would record paths and exceptions; the gateway has its own."""

Endpoint = Callable[[Request], Awaitable[Response]]


class ManagementDesk(Protocol):
    """The verbs that management needs."""

    @property
    def settings(self) -> Settings: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def usage(self) -> UsageReports: ...
    @property
    def holds(self) -> Holds: ...
    @property
    def wallets(self) -> Wallets: ...
    @property
    def principals(self) -> Principals: ...
    @property
    def once(self) -> Idempotency: ...


def build_management(desk: ManagementDesk, offer: Offer, ready: Ready) -> FastAPI:
    """The application. `ready` says what is missing before requests can be served, None if nothing is."""
    app = FastAPI(
        title="qlaud",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=SILENT,
    )
    install_errors(app)
    document: list[dict[str, Any]] = []

    def openapi() -> dict[str, Any]:
        if not document:
            document.append(_document(app))
        return document[0]

    app.openapi = openapi
    for (method, path), endpoint in _endpoints(desk).items():
        _add(app, method, path, endpoint, SPECS[method, path])
    catalog = CatalogEndpoints(offer, markup_bp=desk.settings.markup_bp)
    _add(app, "GET", "/v1/catalog", catalog.catalog, SPECS["GET", "/v1/catalog"])
    health = HealthEndpoints(ready, openapi)
    for path in ("/healthz", "/health/liveliness", "/health/liveness"):
        _add(app, "GET", path, health.health, SPECS["GET", "/healthz"])
    for path in ("/readyz", "/health/readiness"):
        _add(app, "GET", path, health.readiness, SPECS["GET", "/readyz"])
    app.add_api_route("/openapi.json", health.openapi, include_in_schema=False, response_model=None)
    app.add_api_route("/docs", health.docs, include_in_schema=False, response_model=None)
    return app


def _endpoints(desk: ManagementDesk) -> dict[tuple[str, str], Endpoint]:
    """Every path but those of health."""
    settings = desk.settings
    door = Door(
        desk.principals,
        desk.once,
        body_limit_bytes=settings.max_body_bytes,
        body_timeout_s=settings.body_timeout_s,
    )
    keys = KeyEndpoints(door, desk.keys, on_disconnect=settings.on_disconnect)
    usage = UsageEndpoints(door, desk.usage)
    holds = HoldEndpoints(door, desk.holds)
    account = AccountEndpoints(door, desk.accounts, desk.wallets, low_balance_micros=LOW_BALANCE_MICROS)
    return {
        ("POST", "/v1/keys"): keys.mint,
        ("GET", "/v1/keys"): keys.page,
        ("GET", "/v1/keys/{id}"): keys.get,
        ("PATCH", "/v1/keys/{id}"): keys.change,
        ("DELETE", "/v1/keys/{id}"): keys.revoke,
        ("POST", "/v1/keys/{id}/credit"): keys.credit,
        ("POST", "/v1/keys/{id}/rotate"): keys.rotate,
        ("GET", "/v1/keys/{id}/usage"): usage.of_key,
        ("GET", "/v1/usage"): usage.report,
        ("GET", "/v1/requests/{id}"): usage.request,
        ("GET", "/v1/holds"): holds.page,
        ("POST", "/v1/holds/{id}/resolve"): holds.resolve,
        ("GET", "/v1/account"): account.account,
        ("GET", "/v1/billing/balance"): account.balance,
        ("GET", "/v1/wallet"): account.wallet,
        ("GET", "/v1/wallet/entries"): account.entries,
    }


def _add(app: FastAPI, method: str, path: str, endpoint: Endpoint, spec: Spec) -> None:
    app.add_api_route(
        path,
        endpoint,
        methods=[method],
        response_model=None,
        response_class=Response,
        status_code=spec.status,
        summary=spec.summary,
        description=f"For: {spec.access}.",
        tags=[spec.tag],
        operation_id=f"{method.lower()}{path.replace('{id}', 'id').replace('/', '_')}",
        openapi_extra=openapi_extra(spec, method, path),
    )


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in (
                route.methods or ()
            ):  # once more, whole: FastAPI leaves null members out of examples
                found["paths"][route.path][method.lower()].update(route.openapi_extra or {})
    found["components"] = components(SPECS.values())
    return found
