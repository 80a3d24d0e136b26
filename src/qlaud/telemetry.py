"""Logs and metrics. Logs are structured and never hold a secret; metrics never hold a key's id.

Counters are plain integers of this process; with several workers each serves its own, told apart by `pid`.
"""

import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping

SECRET_FORMS = re.compile(
    r"qlk_(?:live|test)_[0-9a-f]{8,}|\b(?:sk|xai|gsk|csk|pplx)-[A-Za-z0-9_-]{8,}|AIza[A-Za-z0-9_-]{20,}|(?<=://)[^/@\s:]*:[^/@\s]*(?=@)"
)
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
LATENCY_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0)


def redact(text: str) -> str:
    """`text` without anything that has the form of a credential."""
    return SECRET_FORMS.sub("[secret]", text)


class LineFormatter(logging.Formatter):
    """One line a record, `key=value` or JSON, with every `extra` field."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The line, redacted."""
        extra = {name: value for name, value in vars(record).items() if name not in STANDARD}
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        if self._as_json:
            line = {
                "at_ms": int(record.created * 1000),
                "level": record.levelname.lower(),
                "logger": record.name,
            }
            return redact(json.dumps({**line, "message": message, **extra}, default=str))
        facts = "".join(f" {name}={value}" for name, value in extra.items())
        return redact(f"{self.formatTime(record)} {record.levelname.lower()} {message}{facts}")


def set_up_logging(level: str, log_format: str) -> None:
    """Send every log line to standard error in one form."""
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(LineFormatter(as_json=log_format == "json"))
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(logging.WARNING)


class Metrics:
    """What this process counted since it started, and gauges read when asked."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        """By surface and status."""
        self.unpriced = 0
        self.estimated = 0
        self.clamped = 0
        self._overhead = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self._overhead_sum_s = 0.0
        self._gauges: dict[str, tuple[str, Callable[[], float]]] = {}

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Register a value that is read when asked for."""
        self._gauges[name] = (text, read)

    def overhead(self, seconds: float) -> None:
        """Count the time the gateway itself added before a call left."""
        self._overhead_sum_s += seconds
        for position, bound in enumerate(LATENCY_BUCKETS_S):
            if seconds <= bound:
                self._overhead[position] += 1
                return
        self._overhead[-1] += 1

    def settled(self, *, estimated: bool, clamped: bool, unpriced: bool) -> None:
        """Count one call that has ended."""
        self.estimated += estimated
        self.clamped += clamped
        self.unpriced += unpriced

    def text(self, stored: Mapping[str, tuple[str, float]]) -> str:
        """Prometheus' text format; `stored` are gauges read from the database, by name."""
        lines: list[str] = []
        lines += _head("qlaud_requests_total", "counter", "Requests answered, by surface and status.")
        for (surface, status), count in sorted(self.requests.items()):
            lines.append(f'qlaud_requests_total{{surface="{surface}",status="{status}"}} {count}')
        for name, text, value in (
            ("qlaud_unpriced_total", "Calls of models without a price.", self.unpriced),
            ("qlaud_estimated_total", "Calls settled without the provider's own usage.", self.estimated),
            ("qlaud_clamped_total", "Calls whose output limit was lowered by money.", self.clamped),
        ):
            lines += [*_head(name, "counter", text), f"{name} {value}"]
        lines += _head("qlaud_overhead_seconds", "histogram", "Time from request to upstream, hold included.")
        running = 0
        for bound, count in zip((*map(str, LATENCY_BUCKETS_S), "+Inf"), self._overhead, strict=True):
            running += count
            lines.append(f'qlaud_overhead_seconds_bucket{{le="{bound}"}} {running}')
        lines += [
            f"qlaud_overhead_seconds_sum {self._overhead_sum_s:.6f}",
            f"qlaud_overhead_seconds_count {running}",
        ]
        for name, (text, read) in self._gauges.items():
            lines += [*_head(name, "gauge", text), f"{name} {number(read())}"]
        for name, (text, value) in stored.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [*_head(name, kind, text), f"{name} {number(value)}"]
        lines += [
            *_head("qlaud_worker", "gauge", "The worker that answered."),
            f'qlaud_worker{{pid="{os.getpid()}"}} 1',
        ]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def number(value: float) -> str:
    """`value` as Prometheus reads it: whole numbers whole, however large."""
    return str(int(value)) if value == int(value) else repr(value)
