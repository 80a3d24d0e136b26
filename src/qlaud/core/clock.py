"""Time as a number: UTC epoch milliseconds. The clock itself is a port; nothing here reads one."""

from datetime import UTC, datetime

MS_PER_S = 1000
MS_PER_DAY = 86_400_000


def iso_text(at_ms: int) -> str:
    """`2026-05-04T00:00:00.000Z`."""
    moment = datetime.fromtimestamp(at_ms / MS_PER_S, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % MS_PER_S:03d}Z"


def month_start_ms(at_ms: int) -> int:
    """The first moment of the UTC month that holds `at_ms`."""
    moment = datetime.fromtimestamp(at_ms / MS_PER_S, UTC)
    return int(datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()) * MS_PER_S
