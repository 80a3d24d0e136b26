"""The composition root's part about jobs: who follows them, and the edge where their owners ask for them."""

from dataclasses import dataclass

from qlaud.api.bodies import EdgeTerms
from qlaud.api.inference import InferenceEdge
from qlaud.api.jobs import JobsEdge
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
    """Everything about jobs."""

    directory: Directory
    jobs: Jobs
    records: Records
    store: JobStore

    def edge(
        self, inference: InferenceEdge, principals: Principals, clock: Clock, *, terms: EdgeTerms
    ) -> JobsEdge:
        """Where callers ask for their jobs."""
        own = OwnJobs(self.directory, self.jobs, self.records, self.store, principals=principals, clock=clock)
        return JobsEdge(inference, own, Videos(self.directory), clock, terms=terms)


def workshop(
    settings: Settings, directory: Directory, calls: Metered, store: JobStore, clock: Clock
) -> Workshop:
    """Those who follow jobs, at rest."""
    records = Records(directory)
    jobs = Jobs(
        records,
        Bills(directory.catalog, markup_bp=settings.markup_bp),
        calls,
        store,
        clock=clock,
        rules=JobRules(silence_ms=int(settings.job_max_s * MS_PER_S)),
    )
    return Workshop(directory, jobs, records, store)
