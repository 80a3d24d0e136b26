"""What a job is settled by, from what its record says: the last step before the ledger.

A job is priced by the book of the gateway that settles it, at the prices that were in force when the job was begun; its
event names that book. A job whose hold was priced is never free because a price went missing meanwhile.
"""

import logging
from collections.abc import AsyncIterator

from msgspec import Struct
from msgspec.structs import replace

from qlaud.core.catalog import Catalog, Host
from qlaud.core.errors import ModelNotFound
from qlaud.core.jobs import Job
from qlaud.core.ledger import Settlement
from qlaud.core.pricing import Charge, RateCard
from qlaud.core.usage import AtLeast, Exact, Nothing, Usage
from qlaud.flows.metered import UNPRICED
from qlaud.flows.settling import FREE, priced
from qlaud.flows.tally import Tally
from qlaud.ports import UpstreamFault
from qlaud.wire.jobs import Line

logger = logging.getLogger("qlaud.jobs")

DONE_STATUS, FAILED_STATUS = 200, 502
LONGEST_LATENCY_MS = 2**31 - 1


class Bill(Struct, frozen=True, gc=False):
    """What a job used and costs."""

    usage: Usage
    charge: Charge
    estimated: bool = False
    failed: bool = False


class Bills:
    """Prices jobs."""

    def __init__(self, catalog: Catalog, *, markup_bp: int) -> None:
        self._catalog = catalog
        self._markup_bp = markup_bp

    def of(self, job: Job, metered: Exact | AtLeast | Nothing) -> Bill:
        """The bill of a job that says itself what it used."""
        if isinstance(metered, Nothing):
            return Bill(Usage(), FREE, failed=True)
        card, hold = self.card(job, metered.usage.served_model), job.terms.hold
        if card is None and self._was_priced(job):
            return Bill(metered.usage, self._whole_hold(job), estimated=True)
        usage, charge, estimated = priced(metered, card, hold, self._markup_bp)
        return Bill(usage, charge, estimated)

    async def of_lines(self, job: Job, lines: AsyncIterator[Line], *, least: int = 0) -> Bill:
        """The bill of a job of many calls. Raises what reading them raises, UpstreamFault for fewer than `least`."""
        tally = Tally(lambda model: self.card(job, model))
        async for line in lines:
            tally.add(line)
        if tally.lines < least:
            raise UpstreamFault(f"{tally.lines} results of {least}")
        if tally.is_priced:
            return Bill(tally.usage, tally.charge(self._markup_bp))
        if not self._was_priced(job):
            return Bill(tally.usage, FREE)
        logger.error("a job used what has no price, charged the whole hold", extra={"job": str(job.id)})
        return Bill(tally.usage, self._whole_hold(job), estimated=True)

    def estimate(self, job: Job) -> Bill:
        """The bill of a job whose provider does not say: what it asked for, within its hold."""
        return self.of(job, AtLeast(job.terms.planned))

    def settlement(self, job: Job, bill: Bill, *, now_ms: int) -> Settlement:
        """The end of the job in the books."""
        terms = job.terms
        card = self.card(job)
        facts = terms.facts if card is None else replace(terms.facts, price_version=card.version)
        return Settlement(
            hold=terms.hold,
            facts=facts,
            usage=bill.usage,
            cost_micros=bill.charge.cost_micros,
            provider_cost_micros=bill.charge.provider_cost_micros,
            latency_ms=min(max(0, now_ms - job.created_at), LONGEST_LATENCY_MS),
            first_token_ms=None,
            status=FAILED_STATUS if bill.failed else DONE_STATUS,
            stream=False,
            estimated=bill.estimated,
            clamped=terms.clamped,
            upstream_request_id=terms.upstream_request_id,
        )

    def card(self, job: Job, model: str = "") -> RateCard | None:
        """The price of the job's model, or of another one it used, when it was begun. None: it has none."""
        host = self._host(job, model) or self._host(job)
        return host.card_at(job.created_at) if host is not None else None

    def _host(self, job: Job, model: str = "") -> Host | None:
        try:
            hosts = self._catalog.resolve(model or job.terms.facts.model).hosts
        except ModelNotFound:
            return None
        return next((host for host in hosts if host.provider == job.terms.host), None)

    def _was_priced(self, job: Job) -> bool:
        return job.terms.facts.price_version != UNPRICED

    def _whole_hold(self, job: Job) -> Charge:
        amount = job.terms.hold.amount_micros
        return Charge(amount, amount)
