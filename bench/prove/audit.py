"""After a run: the provider's books beside the ledger's rows, key by key and call by call.

Definitions (docs/proof.md argues them):

    due          what the provider bills for a call, with the deployment's markup, rounded up once
    exact        the gateway wrote an event that is no estimate: it must equal due to the micro
    estimated    an event flagged so, because the usage never came: it must stay within its hold
    lost         a hold whose gateway was killed: due must be within it
    exposure     of estimated calls, due beyond what was charged: what the provider billed and told nobody
    overspend    due that was told, plus estimates and lost holds, less the operator's overage, beyond the allowance
    unaccounted  micros of due that no event, no lost hold and no hold stands for
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.prove import timeline
from bench.prove.answers import FIRST_REPORT_MORE
from bench.prove.books import Books, Entry
from bench.prove.client import Seen
from bench.prove.prices import exact_picos, micros
from bench.prove.run import Ran
from bench.prove.scenario import Call
from bench.prove.scripts import MOST_EVENTS, ONE_BY_ONE, PAST_LIMIT, UNTOLD
from bench.prove.tally import Tally, Verdict

QUIET_S = 2.3
"""A gateway that gives up for silence has waited this long at least (limits of time of the runs: 2.5 s)."""
GATEWAY_TIMEOUT = 504
OWN_BYTES = 700
"""The gateway's own end of a broken stream is no longer than this."""
DRAINED_S = 3.5
"""A gateway that gives up a drain has read for about this long at least (limit of the runs: 4 s)."""
EVENTS_AT_ONCE = 70
"""A provider that runs on may have this many tokens on their way when it is cut, beside what one piece holds."""


@dataclass(slots=True)
class Case:
    """One call with everything known of it."""

    call: Call
    seen: Seen | None
    entries: Sequence[Entry]
    events: Sequence[Any]
    holds: Sequence[Any]
    due: int


class Audit:
    """Judges one run."""

    def __init__(self, ran: Ran, books: Books, rows: tuple[list[Any], list[Any], list[Any]]) -> None:
        self.ran, self.books = ran, books
        self.events, self.holds, self.keys = rows
        self.tally = Tally(runs=1, samples_above=ran.samples_above)
        self.findings = list(ran.findings)

    def judge(self) -> Verdict:
        """Everything."""
        cases = self._cases()
        for case in cases:
            self._judge_case(case)
        self._no_rows_of_strangers(cases)
        self._judge_keys(cases)
        self._judge_projections()
        self._judge_refusals()
        for seen in self.ran.seen:
            self._judge_seen(seen)
        if self.books.strangers:
            self._find(f"the provider got {len(self.books.strangers)} requests nobody sent")
            self.books.strangers.clear()
        return Verdict(self.ran.scenario.seed, self.tally, self.findings)

    def _find(self, text: str, call: Call | None = None) -> None:
        self.findings.append(
            text if call is None else f"{call.tag} ({call.script.fault or 'honest'}): {text}"
        )

    def _cases(self) -> list[Case]:
        events: dict[str, list[Any]] = {}
        holds: dict[str, list[Any]] = {}
        for row in self.events:
            events.setdefault(row["end_user_id"], []).append(row)
        for row in self.holds:
            holds.setdefault(row["end_user_id"], []).append(row)
        seen = {one.call.tag: one for one in self.ran.seen}
        cases: list[Case] = []
        for call in self.ran.scenario.calls:
            entries = self.books.entries.get(call.tag, [])
            picos = sum(exact_picos(call.model, entry.used) for entry in entries)
            due = micros(picos, self.ran.scenario.markup_bp)
            cases.append(
                Case(
                    call,
                    seen.get(call.tag),
                    entries,
                    events.get(call.tag, []),
                    holds.get(call.tag, []),
                    due,
                )
            )
        return cases

    def _judge_case(self, case: Case) -> None:
        call, tally = case.call, self.tally
        tally.calls += 1
        if case.entries:
            tally.reached += 1
            tally.due_micros += case.due
            tally.faults[call.script.fault or "honest"] += 1
        if len(case.entries) > 1:
            self._find(f"the provider got the call {len(case.entries)} times", call)
        rows = len(case.events) + len(case.holds)
        if case.entries and rows != 1:
            tally.unaccounted_micros += case.due if rows == 0 else 0
            self._find(f"{rows} rows for a call that reached the provider, which bills {case.due}", call)
            return
        if rows > 1:
            self._find(f"{rows} rows for one request", call)
        if not case.entries:
            self._judge_unsent(case)
        elif case.holds:
            self._judge_lost(case)
        elif case.events[0]["estimated"]:
            self._judge_estimate(case, case.events[0])
        else:
            self._judge_exact(case, case.events[0])

    def _judge_unsent(self, case: Case) -> None:
        """Not a call the provider knows: it may cost nothing, and hold nothing unless a process died."""
        for row in case.events:
            if row[
                "estimated"
            ]:  # handed to the kernel, and gone before the provider read it: nobody could know
                self.tally.rows["estimated, never arrived"] += 1
                self.tally.over_estimated_micros += row["cost_micros"]
                self.tally.estimated_micros += row["cost_micros"]
            elif row["cost_micros"]:
                self._find(
                    f"charged {row['cost_micros']} for a call that never reached the provider", case.call
                )
            else:
                self.tally.rows["free, never arrived"] += 1
        for row in case.holds:
            self.tally.rows["lost without a call"] += 1
            self.tally.lost_micros += row["amount_micros"]
            if not self.ran.killed:
                self._find(
                    f"{row['amount_micros']} micros stay {row['state']} for a call that never reached the provider",
                    case.call,
                )

    def _judge_lost(self, case: Case) -> None:
        row = case.holds[0]
        self.tally.rows["lost"] += 1
        self.tally.lost_micros += row["amount_micros"]
        if not self.ran.killed:
            self._find(f"its hold is {row['state']} although no gateway was killed", case.call)
        self._within(case, row["amount_micros"], "lost hold")

    def _within(self, case: Case, hold_micros: int, what: str) -> None:
        """Of an honest call, the bill must be within what was held for it."""
        if case.due > hold_micros and case.call.script.keeps_limits:
            self.tally.unaccounted_micros += case.due - hold_micros
            self._find(f"the {what} is {hold_micros}, the honest bill {case.due}", case.call)

    def _judge_exact(self, case: Case, row: Any) -> None:
        call, script = case.call, case.call.script
        charged = row["cost_micros"] + row["overage_micros"]
        self.tally.rows["exact" if case.due or charged else "free"] += 1
        self.tally.exact_micros += row["cost_micros"]
        self.tally.overage_micros += row["overage_micros"]
        if script.fault == "refused_silent":
            self.tally.exposure_micros += case.due
            if charged:
                self._find(f"charged {charged} for an error that told no usage", call)
            return
        if charged != case.due and self._cut_between_reports(case, charged):
            self.tally.over_estimated_micros += charged - case.due
        elif charged != case.due:
            self.tally.unaccounted_micros += abs(case.due - charged)
            self._find(f"the event says {charged}, the provider bills {case.due}", call)
        provider = micros(sum(entry.picos for entry in case.entries))
        if row["provider_cost_micros"] != provider and charged == case.due:
            self._find(f"provider cost {row['provider_cost_micros']}, the provider bills {provider}", call)
        self._within(case, row["hold_micros"], "hold")
        self._judge_overage(case, row)

    def _cut_between_reports(self, case: Case, charged: int) -> bool:
        """A provider that reports twice and less the second time, and a caller who left in between and cancels."""
        cancels = self.ran.keys[case.call.key].plan.on_disconnect == "cancel"
        left = case.seen is None or case.seen.left
        if not (left and cancels and "usage_shrinks" in case.call.script.quirks):
            return False
        used = case.entries[0].used
        first = replace(used, output=used.output + FIRST_REPORT_MORE)
        return charged == micros(exact_picos(case.call.model, first), self.ran.scenario.markup_bp)

    def _judge_overage(self, case: Case, row: Any) -> None:
        """A stream that visibly runs past its limit must be cut before it costs the operator much."""
        script = case.call.script
        if row["overage_micros"] == 0:
            return
        if script.keeps_limits:
            self._find(f"an honest call cost the operator {row['overage_micros']}", case.call)
        elif (
            script.fault == "runs_on" and case.call.stream and script.pieces == ONE_BY_ONE and script.pause_ms
        ):
            limit = case.entries[0].limit * case.call.candidates
            tokens = limit // 32 + EVENTS_AT_ONCE + 2 * script.burst
            slope = case.call.bound.slope // case.call.candidates
            most = micros(tokens * slope, self.ran.scenario.markup_bp)
            if limit + script.extra <= MOST_EVENTS and row["overage_micros"] > most:
                self._find(
                    f"a stream that ran on cost the operator {row['overage_micros']}, not {most}", case.call
                )

    def _judge_estimate(self, case: Case, row: Any) -> None:
        call, cost = case.call, row["cost_micros"]
        tally = self.tally
        tally.rows["estimated"] += 1
        tally.estimated_micros += cost
        tally.overage_micros += row["overage_micros"]
        tally.exposure_micros += max(0, case.due - cost - row["overage_micros"])
        tally.over_estimated_micros += max(0, cost - case.due)
        if not self._may_estimate(case, row["status"]):
            tally.unaccounted_micros += abs(case.due - cost)
            told = case.entries[0].told
            self._find(f"estimated {cost} without a reason (usage told: {told}, billed {case.due})", call)
        if cost > row["hold_micros"] and call.script.fault not in PAST_LIMIT:
            self._find(f"an estimate of {cost} is above its hold of {row['hold_micros']}", call)
        self._within(case, row["hold_micros"], "hold")
        least = min(self._visible_micros(case), row["hold_micros"])
        if cost < least:
            self._find(f"an estimate of {cost} is below what its caller received, {least}", call)

    def _may_estimate(self, case: Case, status: int) -> bool:
        entry, script, seen = case.entries[0], case.call.script, case.seen
        left = seen is None or seen.left
        cancels = self.ran.keys[case.call.key].plan.on_disconnect == "cancel"
        if self.ran.killed or self.ran.told_to_stop:
            return True
        if left and (cancels or (entry.left_early and entry.lasted_s >= DRAINED_S)):
            return True
        if script.fault in UNTOLD and entry.told != "yes":
            return True
        if script.fault in PAST_LIMIT and entry.stream:
            return True  # cut at the cap, maybe with the usage already on its way
        if entry.left_early and entry.silence_s >= QUIET_S:
            return True
        # A provider that was late, as on a busy machine: only after that long, from the caller's sending to its
        # answer, or to the end that the provider saw where the caller left meanwhile.
        until_ms = max(seen.answered_ms, entry.gone_ms) if seen is not None else 0
        waited_s = (until_ms - seen.sent_ms) / 1000 if seen is not None else entry.lasted_s
        return status == GATEWAY_TIMEOUT and max(waited_s, entry.lasted_s) >= QUIET_S

    def _visible_micros(self, case: Case) -> int:
        """What the content costs that the caller has: at the plain input rate and the tokens in its bytes."""
        entry, seen = case.entries[0], case.seen
        if seen is None or not entry.pieces or not case.call.stream or "gzip" in entry.script.quirks:
            return 0
        at = shown = 0
        for piece in entry.pieces:
            at += len(piece.content)
            if at > seen.body_bytes - OWN_BYTES:
                break
            shown = piece.shown
        used = entry.used
        rates = case.call.model.contexts[used.context][0].rates
        return micros(min(shown, used.output) * rates.output, self.ran.scenario.markup_bp)

    def _no_rows_of_strangers(self, cases: Sequence[Case]) -> None:
        tags = {case.call.tag for case in cases}
        for row in (*self.events, *self.holds):
            if row["end_user_id"] not in tags:
                self._find(f"a row of nobody's call: {row['id']} {row['end_user_id']}")

    def _judge_keys(self, cases: Sequence[Case]) -> None:
        allowances = timeline.allowances(self.ran)
        for number, key in enumerate(self.ran.keys):
            plan = key.plan
            mine = [case for case in cases if case.call.key == number]
            if plan.cap_micros is None or plan.cap_period != "lifetime":
                if plan.cap_micros is not None:
                    self._judge_periods(number, plan.cap_period, allowances[number].most)
                continue
            most = allowances[number].most
            charged = sum(row["cost_micros"] for row in self.events if row["key_id"] == key.id)
            charged += sum(row["amount_micros"] for row in self.holds if row["key_id"] == key.id)
            if charged > most:
                self.tally.overspend_micros += charged - most
                self._find(f"key {number} was charged {charged} of {most}")
            told = due = overage = 0
            for case in mine:
                row = case.events[0] if case.events else None
                due += case.due
                overage += row["overage_micros"] if row is not None else 0
                if row is not None and row["estimated"]:
                    told += min(case.due, row["cost_micros"] + row["overage_micros"])
                elif row is not None and case.call.script.fault == "refused_silent":
                    continue
                else:
                    told += min(case.due, case.holds[0]["amount_micros"]) if case.holds else case.due
            if told - overage > most:
                self.tally.overspend_micros += told - overage - most
                self._find(
                    f"the provider bills {told} for key {number}, {overage} on the operator, cap {most}"
                )
            self.tally.past_cap_untold_micros += max(0, due - overage - max(most, told - overage))

    def _judge_periods(self, number: int, period: str, most: int) -> None:
        """Of a cap by day, week or month: what was charged within each."""
        sums: Counter[int] = Counter()
        ids = self.ran.keys[number].id
        for row in self.events:
            if row["key_id"] == ids:
                sums[timeline.period_start(period, row["created_at"])] += row["cost_micros"]
        for start, charged in sums.items():
            if charged > most:
                self.tally.overspend_micros += charged - most
                self._find(f"key {number} was charged {charged} of {most} in the {period} from {start}")

    def _judge_projections(self) -> None:
        """The sums in the keys' rows are the sums of the rows they stand for."""
        for row in self.keys:
            events = [event for event in self.events if event["key_id"] == row["id"]]
            holds = [hold for hold in self.holds if hold["key_id"] == row["id"]]
            start = row["period_start"]
            sums = {
                "lifetime_micros": sum(event["cost_micros"] for event in events),
                "posted_micros": sum(e["cost_micros"] for e in events if e["created_at"] >= start),
                "held_micros": 0,
                "lost_micros": sum(h["amount_micros"] for h in holds if h["created_at"] >= start),
            }
            for name, actual in sums.items():
                if row[name] != actual:
                    self._find(f"the key's {name} is {row[name]}, its rows say {actual}")

    def _judge_refusals(self) -> None:
        wrongful = timeline.wrongful(self.ran, self.events, self.holds)
        self.tally.refusals += sum(1 for seen in self.ran.seen if seen.status in (402, 429) and seen.code)
        self.tally.wrongful += len(wrongful)
        for seen, why in wrongful:
            self._find(f"wrongly refused with {seen.status} {seen.code}: {why}", seen.call)
        self.tally.revoked_successes += (late := timeline.successes_after_revocation(self.ran))
        if late:
            self._find(f"{late} calls succeeded after their key's revocation was answered")
        for text in timeline.limits(self.ran, self.events):
            self._find(text)

    def _judge_seen(self, seen: Seen) -> None:
        if seen.left:
            self.tally.statuses["left"] += 1
        elif seen.broken:
            self.tally.statuses["broken"] += 1
            if seen.broken.startswith("no end") and not self.ran.disturbed:
                self._find(seen.broken, seen.call)
        else:
            self.tally.statuses[f"{seen.status} {seen.code}".strip()] += 1
            if seen.code == "internal":
                self._find("the gateway answered `internal`", seen.call)
