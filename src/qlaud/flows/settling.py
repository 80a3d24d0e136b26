"""From what a call used to what it costs: the last step before the ledger. Pure."""

import logging

from msgspec import Struct
from msgspec.structs import replace

from qlaud.core.jobs import Job, JobTerms
from qlaud.core.ledger import CallFacts, Hold, Settlement
from qlaud.core.money import Micros
from qlaud.core.pricing import Charge, NotPriced, RateCard
from qlaud.core.usage import AtLeast, Begun, Exact, Metered, Nothing, Usage
from qlaud.flows.calls import Prepared, Route

logger = logging.getLogger("qlaud.settling")

FREE = Charge(Micros(0), Micros(0))


class Ending(Struct, frozen=True, gc=False):
    """How a call ended, as far as its event tells."""

    metered: Metered
    status: int
    latency_ms: int
    first_token_ms: int | None = None
    upstream_request_id: str | None = None
    clamped: bool = False


def settlement_of(prepared: Prepared, route: Route, hold: Hold, ending: Ending, markup_bp: int) -> Settlement:
    """The settlement of one call: the rate is that of the host and the model that served it.

    An estimate never costs more than its hold. Usage of a kind the card has no price for is billed by what it says
    `instead`, else it costs the whole hold: flagged as an estimate, never zero.
    """
    card = route.card_of(_usage(ending.metered)[0].served_model, hold.created_at)
    usage, charge, estimated = priced(ending.metered, card, hold, markup_bp)
    return Settlement(
        hold=hold,
        facts=facts_at(prepared, route),
        usage=usage,
        cost_micros=charge.cost_micros,
        provider_cost_micros=charge.provider_cost_micros,
        latency_ms=ending.latency_ms,
        first_token_ms=ending.first_token_ms,
        status=ending.status,
        stream=prepared.call.stream,
        estimated=estimated,
        clamped=ending.clamped,
        upstream_request_id=ending.upstream_request_id,
    )


def job_of(prepared: Prepared, route: Route, hold: Hold, begun: Begun, ending: Ending, *, now_ms: int) -> Job:
    """The job that a call began, with all that its settlement will need."""
    planned = begun.planned
    if (
        planned.input_tokens and hold.max_output
    ):  # what it was allowed to put out, whether or not the caller had a limit of his own
        planned = replace(planned, output_tokens=hold.max_output)
    return Job(
        provider=route.provider.slug,
        wire=prepared.incoming.wire_name,
        upstream_id=begun.job,
        terms=JobTerms(
            hold=hold,
            facts=facts_at(prepared, route),
            planned=planned,
            host=route.host.provider,
            upstream_model=route.host.upstream_name(prepared.call.model),
            clamped=ending.clamped,
            upstream_request_id=ending.upstream_request_id,
        ),
        answered_at=now_ms,
    )


def facts_at(prepared: Prepared, route: Route) -> CallFacts:
    """The facts of a call that `route` served."""
    facts = prepared.ask.facts
    if route.provider.slug == facts.provider:
        return facts
    version = route.card.version if route.card else facts.price_version
    return replace(facts, provider=route.provider.slug, price_version=version)


def priced(metered: Metered, card: RateCard | None, hold: Hold, markup_bp: int) -> tuple[Usage, Charge, bool]:
    """What was used, what it costs, and whether that is an estimate."""
    usage, estimated = _usage(metered)
    if card is None or isinstance(metered, Nothing):
        return usage, FREE, estimated
    told = usage
    usage = card.in_its_units(told)
    estimated = estimated or usage is not told
    try:
        charge = card.charge(usage, markup_bp)
    except NotPriced as gap:
        logger.error(
            "usage without a price, charged the whole hold",
            extra={"request_id": str(hold.id), "gap": str(gap)},
        )
        charge, estimated = Charge(hold.amount_micros, hold.amount_micros), True
    return usage, within(charge, hold) if estimated else charge, estimated


def within(charge: Charge, hold: Hold) -> Charge:
    """An estimate, at most what was held."""
    if charge.cost_micros <= hold.amount_micros:
        return charge
    return Charge(hold.amount_micros, min(charge.provider_cost_micros, hold.amount_micros))


def _usage(metered: Metered) -> tuple[Usage, bool]:
    match metered:
        case Exact(usage):
            return usage, False
        case AtLeast(usage) | Begun(_, usage):  # a job that nobody took over costs what was planned
            return usage, True
        case Nothing():
            return NO_USAGE, False


NO_USAGE = Usage()
