"""The composition root's part about jobs: who follows them, and who finds them for their owners."""

from dataclasses import dataclass

from qlaud.config import Settings
from qlaud.flows.billing import Bills
from qlaud.flows.directory import Directory
from qlaud.flows.jobs import JobRules, Jobs
from qlaud.flows.metered import Metered
from qlaud.flows.own_jobs import OwnJobs
from qlaud.flows.principals import Principals
from qlaud.flows.records import Records
from qlaud.flows.videos import Videos
from qlaud.ports import Clock, JobStore

MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class Workshop:
    """The verbs about jobs."""

    jobs: Jobs
    own: OwnJobs
    videos: Videos


def workshop(
    settings: Settings,
    directory: Directory,
    calls: Metered,
    store: JobStore,
    *,
    principals: Principals,
    clock: Clock,
) -> Workshop:
    """Those verbs, at rest."""
    records = Records(directory)
    jobs = Jobs(
        records,
        Bills(directory.catalog, markup_bp=settings.markup_bp),
        calls,
        store,
        clock=clock,
        rules=JobRules(silence_ms=int(settings.job_max_s * MS_PER_S)),
    )
    own = OwnJobs(directory, jobs, records, store, principals=principals, clock=clock)
    return Workshop(jobs, own, Videos(directory))
