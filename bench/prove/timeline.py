"""The ledger's history in milliseconds, rebuilt from its rows: what was free when somebody was refused.

A refusal is wrongful only if it certainly was: what was posted grows within a period, so a call that would have fitted
with everything that was posted a moment after its refusal also fitted when it was refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bench.prove.client import Seen
from bench.prove.run import Ran

SLACK_MS = 250
"""A settlement is stamped just before it is sent, and holds as soon as it is committed."""
HOLD_WAIT_MS = 300
LOCK_MS = 100
"""Longer than a batch waits for the lock of a key, on a busy machine too."""
DAY = timedelta(days=1)
UNBOUNDED = 2**62


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key was allowed: (from_ms, until_ms, micros) spans that may overlap while a change was under way."""

    spans: tuple[tuple[int, int, int], ...]

    @property
    def most(self) -> int:
        """The largest it ever was."""
        return max(amount for _, _, amount in self.spans)

    def least(self, from_ms: int, until_ms: int) -> int:
        """The smallest it may have been at any instant of a window."""
        return min(amount for begun, ended, amount in self.spans if begun <= until_ms and ended >= from_ms)


def allowances(ran: Ran) -> list[Allowance]:
    """Of every key; one without a cap is allowed everything."""
    found: list[Allowance] = []
    for number, key in enumerate(ran.keys):
        cap, credit = UNBOUNDED if key.plan.cap_micros is None else key.plan.cap_micros, 0
        spans: list[tuple[int, int, int]] = []
        begun = 0
        for change in sorted((c for c in ran.changes if c.key == number), key=lambda c: c.sent_ms):
            if change.kind == "revoke" or change.status in (400, 409):
                continue
            spans.append((begun, change.answered_ms, cap + credit))
            if change.kind == "cap":
                cap = change.amount
            else:
                credit += change.amount
            begun = change.sent_ms
            if change.status != 200:  # nobody knows whether it was applied: both hold
                spans.append((begun, UNBOUNDED, spans[-1][2]))
        spans.append((begun, UNBOUNDED, cap + credit))
        found.append(Allowance(tuple(spans)))
    return found


def period_start(period: str, at_ms: int) -> int:
    """The first millisecond of a day, week (from Monday) or month, in UTC."""
    day = datetime.fromtimestamp(at_ms / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        day -= DAY * day.weekday()
    elif period == "month":
        day = day.replace(day=1)
    return int(day.timestamp()) * 1000


def wrongful(ran: Ran, events: Sequence[Any], holds: Sequence[Any]) -> list[tuple[Seen, str]]:
    """The refusals for money that the books say could have been calls."""
    allowed = allowances(ran)
    found: list[tuple[Seen, str]] = []
    for seen in ran.seen:
        number = seen.call.key
        key = ran.keys[number]
        if seen.status not in (402, 429) or seen.code not in ("key_cap_exceeded", "cap_contended"):
            continue
        if seen.code == "cap_contended" and (
            ran.stepped or ran.disturbed or ran.scenario.wallet_micros is not None
        ):
            continue
        lower = seen.call.limit is None or key.plan.on_cap == "clamp"
        need = seen.call.bound.micros(seen.call.floor if lower else seen.call.want)
        least = allowed[number].least(seen.sent_ms, seen.answered_ms)
        mine = [row for row in events if row["key_id"] == key.id]
        lost = sum(row["amount_micros"] for row in holds if row["key_id"] == key.id)
        if seen.code == "key_cap_exceeded":
            until = UNBOUNDED if ran.stepped or ran.disturbed else seen.answered_ms + SLACK_MS
            posted = sum(row["cost_micros"] for row in mine if row["settled_at"] <= until)
            if need <= least - posted - lost:
                found.append((seen, f"needs {need} of {least}, {posted} posted, {lost} lost"))
        elif (free := _least_free(mine, key.id, seen, least)) is not None and need <= free:
            found.append((seen, f"needs {need}, {free} were free all the time it waited"))
    return found


def _least_free(events: Sequence[Any], key: UUID, seen: Seen, allowed: int) -> int | None:
    """The least that was free at any millisecond of the wait; None where the rows cannot tell."""
    from_ms = max(seen.sent_ms, seen.answered_ms - HOLD_WAIT_MS) - SLACK_MS
    until_ms = seen.answered_ms + SLACK_MS
    moves: list[tuple[int, int]] = []
    taken = 0
    for row in events:
        hold, cost = row["hold_micros"], row["cost_micros"]
        if cost > hold:
            return None  # its hold grew while it ran
        if row["settled_at"] < from_ms - SLACK_MS:
            taken += cost
        elif row["created_at"] <= until_ms:
            moves.append((row["created_at"], hold))
            moves.append((row["settled_at"] + SLACK_MS, cost - hold))
    most = taken
    for at_ms, amount in sorted(moves):
        taken += amount
        if from_ms <= at_ms <= until_ms or at_ms < from_ms:
            most = taken if at_ms < from_ms else max(most, taken)
    return allowed - most


def successes_after_revocation(ran: Ran) -> int:
    """Calls that were sent after the answer to the revocation of their key, and were admitted."""
    revoked = {c.key: c.answered_ms for c in ran.changes if c.kind == "revoke" and c.status == 200}
    return sum(
        1
        for seen in ran.seen
        if seen.call.key in revoked and seen.sent_ms > revoked[seen.call.key] and seen.status == 200
    )


def limits(ran: Ran, events: Sequence[Any]) -> list[str]:
    """Breaches of `rpm_limit` and `max_parallel`."""
    found: list[str] = []
    if ran.stepped or ran.disturbed:
        return found
    for number, key in enumerate(ran.keys):
        mine = [row for row in events if row["key_id"] == key.id]
        if key.plan.rpm_limit is not None and mine:
            starts = sorted(row["created_at"] for row in mine)
            for at, start in enumerate(starts):
                within = sum(1 for other in starts[at:] if other < start + 60_000)
                if within > key.plan.rpm_limit:
                    found.append(
                        f"key {number}: {within} calls in a minute, its limit is {key.plan.rpm_limit}"
                    )
                    break
        if key.plan.max_parallel is not None:
            moves: list[tuple[int, int]] = []
            for row in mine:  # the instants are taken before the wait for the key's lock
                begun, ended = row["created_at"] + LOCK_MS, row["settled_at"] - LOCK_MS
                if begun < ended:
                    moves += [(begun, 1), (ended, -1)]
            level = most = 0
            for _, step in sorted(moves):
                level += step
                most = max(most, level)
            if most > key.plan.max_parallel:
                found.append(f"key {number}: {most} calls at once, its limit is {key.plan.max_parallel}")
    return found
