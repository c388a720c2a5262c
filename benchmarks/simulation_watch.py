"""Looks over the loop's shoulder after each pass: what is raised, blamed and decided, and when.

It also plays the person of the story, who knows the truth: when the fix of a true problem ships, they
approve the signals that wait for an answer, and resolve the tickets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from closeloop.domain.feedback import feedback_id
from closeloop.domain.review import ReviewKind, ReviewStatus
from closeloop.domain.ticket import TicketStatus
from closeloop.loop import PassReport
from closeloop.runner import Runner
from closeloop.stages import answer, resolve
from closeloop.step import StepRun
from closeloop.tables import ATTRIBUTION, BRIEF, DECISION, FEEDBACK, SIGNAL
from closeloop.testing.simulator import Simulation

MATCHES_FROM = 0.3
"""A signal is a problem's if that share of its complaints, or its version, is the problem's."""
PERSON = "team"
APPROVED = "approved"
"""The rule of a ticket that a person wanted: it says nothing of the policy."""

Row = dict[str, Any]


@dataclass(slots=True)
class Seen:
    """One signal over time: as first and as last seen, and what was made of it."""

    first: Row
    last: Row
    at: datetime
    blamed: dict[str, datetime] = field(default_factory=dict)
    ranking: list[Row] = field(default_factory=list)
    would_ticket_at: datetime | None = None


class Watch:
    """Keeps what the passes say, and answers as a person would."""

    def __init__(self, made: Mapping[int, Simulation], *, end: datetime) -> None:
        self._end = end
        self._planted: dict[str, list[str]] = {}
        self.leaks: Counter[str] = Counter()
        self.seen: dict[str, Seen] = {}
        self.verdicts: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.cause_of: dict[str, str] = {}
        self.families: dict[str, int] = {}
        self._fixes: dict[tuple[str, str], tuple[datetime, str | None]] = {}
        self._versions: dict[tuple[str, str], str] = {}
        for simulation in made.values():
            self._learn_truth(simulation)

    def _count_leaks(self, step: StepRun) -> None:
        """Count per source the planted pieces that masking has left in silver.feedback."""
        rows = step.rows(FEEDBACK, columns=["feedback_id", "source", "text"])
        for row in rows.to_pylist():
            left = sum(value in row["text"] for value in self._planted.get(row["feedback_id"], ()))
            self.leaks[row["source"]] += left

    def _learn_truth(self, simulation: Simulation) -> None:
        roots = roots_of(simulation)
        source_of = {
            str(row["source_id"]): f"{source}-{simulation.seed}"
            for source, row in zip(simulation.sources, simulation.feedback, strict=True)
        }
        for true in simulation.truth_rows:
            key = feedback_id(source_of[true["source_id"]], true["source_id"])
            if true["pii"]:
                self._planted[key] = [p["value"] for p in true["pii"]]
            if true["cause"] is not None:
                cause = str(true["cause"])
                self.cause_of[key] = roots.get(cause, cause)
        changes = {c["name"]: c for c in simulation.changes}
        for cause in simulation.truth["causes"]:
            product = f"{cause['product']}-{simulation.seed}"
            root = roots[cause["cause"]]
            if cause["version"]:
                self._versions[product, cause["version"]] = root
            fix = changes.get(cause["fixed_by"] or "")
            if fix is not None:
                at = datetime.fromisoformat(fix["started_at"])
                self._fixes[product, root] = (at, fix.get("version"))

    def cause(self, signal: Row) -> str | None:
        """Return the true cause of a signal, None where nothing of the truth explains it."""
        if signal["version"] and (signal["product"], signal["version"]) in self._versions:
            return self._versions[signal["product"], signal["version"]]
        ids = signal["feedback_ids"] or []
        found = Counter(self.cause_of[i] for i in ids if i in self.cause_of)
        if not found:
            return None
        cause, count = found.most_common(1)[0]
        return cause if count >= MATCHES_FROM * len(ids) else None

    def on_pass(self, report: PassReport, runner: Runner) -> None:
        """Look at what the pass has made, then answer."""
        if report.now >= self._end:
            with runner.step("watch", now=report.now) as step:
                self._count_leaks(step)
        if not (report.count("detect", "signals") or report.count("attribute", "weighed")):
            if self.seen:
                self._answer_in(runner, report.now)
            return
        with runner.step("watch", now=report.now) as step:
            self._look(step)
        self._answer_in(runner, report.now)

    def _answer_in(self, runner: Runner, now: datetime) -> None:
        with runner.step("people", now=now) as step:
            self._approve(step)
            self._resolve(step)
            signals = {t.ticket_id: t.signal_id for t in step.ops.tickets()}
            for outcome in step.ops.outcomes():
                self.verdicts[signals[outcome.ticket_id]] = outcome.verdict.value

    def _look(self, step: StepRun) -> None:
        for row in step.rows(SIGNAL, where=[("historic", "=", False)]).to_pylist():
            known = self.seen.setdefault(row["signal_id"], Seen(row, row, step.now))
            known.last = row
            product = row["product"]
            if row["kind"] in ("category", "theme"):
                self.families[product] = max(self.families.get(product, 0), row["family_size"])
        ranking: dict[str, list[Row]] = {}
        for row in step.rows(ATTRIBUTION).to_pylist():
            if row["signal_id"] in self.seen:
                ranking.setdefault(row["signal_id"], []).append(row)
                if row["blamed"] and row["change_id"] is not None:
                    self.seen[row["signal_id"]].blamed.setdefault(row["name"], step.now)
        for signal_id, rows in ranking.items():
            best = sorted(rows, key=lambda r: (-r["posterior"], r["name"]))
            self.seen[signal_id].ranking = best[:3]
        for row in step.rows(DECISION).to_pylist():
            seen = self.seen.get(row["signal_id"])
            wanted = row["would_ticket"] and row["rule"] != APPROVED
            if seen is not None and wanted and seen.would_ticket_at is None:
                seen.would_ticket_at = step.now
        self._keep_texts(step)

    def _keep_texts(self, step: StepRun) -> None:
        """Keep what was written for people, to look for personal data in it."""
        columns = ["brief_id", "facts", "engineering", "support", "product_text", "leadership"]
        for row in step.rows(BRIEF, columns=columns).to_pylist():
            self.texts[row["brief_id"]] = " ".join(str(row[name]) for name in columns)

    def _approve(self, step: StepRun) -> None:
        for item in step.ops.reviews():
            seen = self.seen.get(item.signal_id)
            waiting = item.status is ReviewStatus.OPEN and item.kind is ReviewKind.SIGNAL
            if not waiting or seen is None:
                continue
            fix = self._fixes.get((seen.last["product"], self.cause(seen.last) or ""))
            if fix is not None and fix[0] <= step.now:
                answer.approve(step, item.review_id, by=PERSON)

    def _resolve(self, step: StepRun) -> None:
        for ticket in step.ops.tickets():
            seen = self.seen.get(ticket.signal_id)
            if ticket.status not in (TicketStatus.OPEN, TicketStatus.IN_PROGRESS) or seen is None:
                continue
            fix = self._fixes.get((seen.last["product"], self.cause(seen.last) or ""))
            first = ticket.first_complaint_at or ticket.opened_at
            if fix is not None and first <= fix[0] <= step.now:
                resolve.resolve(step, ticket.ticket_id, by=PERSON, at=fix[0], version=fix[1])


def roots_of(simulation: Simulation) -> dict[str, str]:
    """Return for each cause the one that it continues, itself where it continues none."""
    return {c["cause"]: c["continues"] or c["cause"] for c in simulation.truth["causes"]}
