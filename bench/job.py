"""One measurement as it is handed to the load generator, and what comes back, both as JSON.

The job goes over standard input, not the command line, because it holds keys.
"""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Job:
    """What to send, how, for how long, and whose CPU time to read at both ends of the window."""

    mode: str
    """`saturate`, `paced`, `count` or `hold`."""
    port: int
    path: str
    body: str
    keys: list[str]
    """Sent as x-api-key, one for each connection in turn."""
    connections: int = 64
    warmup_s: float = 1.0
    window_s: float = 4.0
    rate_per_s: int = 200
    count: int = 0
    """Requests of a `count` run."""
    limit_s: float = 120.0
    """The generator gives up after this, whatever the mode."""
    core: int = 0
    """The contender's core, for how busy it was in all."""
    watch: dict[str, list[int]] = field(default_factory=dict)
    """Names of process groups to their root processes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the load generator saw in the window."""

    requests: int = 0
    errors: int = 0
    """Answers that were not 200 or not ours, and connections that broke."""
    events: int = 0
    seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_us: dict[str, float] = field(default_factory=dict)
    """CPU microseconds of each watched group in the window, and of the generator itself as `load`."""
    core_busy: float = 0.0
    """Share of the window the contender's core worked for anybody."""
    core_stolen: float = 0.0
    """Share of the window the host took the contender's core away."""
    complaint: str = ""
    """The first error, in words."""


def to_json(record: Job | Outcome) -> str:
    """One line of JSON."""
    return json.dumps(asdict(record))


def job_from_json(line: str) -> Job:
    """The job of one line."""
    return Job(**json.loads(line))


def outcome_from_json(line: str) -> Outcome:
    """The outcome of one line."""
    return Outcome(**json.loads(line))
