"""Which holds that look unrenewed really are: watched for a while by a clock that does not step.

A wall clock that steps, or runs ahead of that of another gateway, makes living holds look stale. A living owner
renews them meanwhile; a dead one does not. Used by `store.ledger` alone, one per process.
"""

from collections.abc import Iterable
from uuid import UUID

WATCHED_SHARE = 3
"""A hold that looks stale is watched for this part of `lost_after` more."""


class StaleHolds:
    """Remembers since when each stale hold stands as it stands."""

    def __init__(self) -> None:
        self._since_s: dict[tuple[UUID, int], float] = {}

    def ripe(self, stale: Iterable[tuple[UUID, int]], now_s: float, *, lost_after_ms: int) -> list[UUID]:
        """Of the holds that look stale now, given as (id, renewed_at), those that were watched for long enough.

        `now_s` is a monotonic reading. What is not given any more is forgotten.
        """
        self._since_s = {one: self._since_s.get(one, now_s) for one in stale}
        seen_by_s = now_s - max(0, lost_after_ms) / WATCHED_SHARE / 1000
        return [hold_id for (hold_id, _), since_s in self._since_s.items() if since_s <= seen_by_s]
