"""The signals of a backtest with what was decided of them, what may be behind them, customers' words.

Each table is read once, however many signals there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from closeloop.app import Workspace
from closeloop.cli.blame import candidates_of
from closeloop.cli.output import records
from closeloop.cli.signals import SIGNALS
from closeloop.domain import figures
from closeloop.ports import only_if_in
from closeloop.tables import DECISION, FEEDBACK, JUDGED

QUOTATIONS = 3
AT_RAISE = ("window_end", "count", "baseline", "evidence", "threshold", "severity")
"""What gold.signal holds as of the last look, and a backtest tells as of the raise."""
HEADERS = (
    "raised", "product", "what", "count", "expected", "grew to", "severity", "blamed", "action",
)  # fmt: skip
"""Count, expected and severity are those of the raise."""

Row = dict[str, Any]


def signals_of(tested: Workspace, *, quotations: int = QUOTATIONS) -> list[Row]:
    """Return the signals that are not historic, oldest first, with their longest quotations.

    Each row is one of gold.signal, with `quotations`, `candidates` (most likely first), `reasons`
    and `decided_at` of its last decision ([] and None where there is none), `at_raise`: what
    was known of it when it was raised, and `owner`: who would have been asked to mend it.
    """
    rows = records(tested.query(SIGNALS + " WHERE NOT s.historic ORDER BY s.detected_at, s.kind"))
    ids = [row["signal_id"] for row in rows]
    candidates, decisions = candidates_of(tested, ids), _decisions(tested, ids)
    first, last_judged = _judged(tested, ids)
    words = _words(tested, {i for row in rows for i in row["feedback_ids"] or ()})
    for row in rows:
        own = [words[i] for i in row["feedback_ids"] or () if i in words]
        own.sort(key=lambda q: (-len(q["text"]), q["feedback_id"]))
        row["quotations"] = own[:quotations]
        row["candidates"] = candidates[row["signal_id"]]
        row["at_raise"] = {k: first.get(row["signal_id"], row)[k] for k in AT_RAISE}
        row["owner"] = last_judged.get(row["signal_id"], {}).get("owner") or ""
        last = decisions.get(row["signal_id"])
        row["reasons"] = list(last["reasons"] or []) if last else []
        row["decided_at"] = last["decided_at"] if last else None
    return rows


def grown(row: Mapping[str, Any], zone: str) -> str:
    """Return what a signal grew to after it was raised, "" where it did not."""
    if row["count"] <= row["at_raise"]["count"]:
        return ""
    return f"{row['count']:,} by {figures.short_day(row['window_end'].astimezone(ZoneInfo(zone)))}"


def amount_of(summary: Mapping[str, Any]) -> str:
    """Return how much feedback a backtest went over: that of its period, and what came before."""
    inside = summary.get("rows_inside")
    if inside is None:  # of an older version's backtest
        return f"{summary['rows']:,} pieces of feedback"
    before = f" and {summary['rows'] - inside:,} before it" if inside < summary["rows"] else ""
    return f"{inside:,} pieces of feedback in the period{before}"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many signals there are, and what became of them: each counts once, so the rest adds up.

    `tickets` were opened; `questions` went to a person, `would_be` of them for want of autonomy
    only; `left` were suppressed or not decided.
    """

    signals: int
    tickets: int
    questions: int
    would_be: int
    digest: int
    left: int


def tally(rows: Sequence[Mapping[str, Any]]) -> Tally:
    """Count what became of signals, by the last decision of each; a would-be ticket is a question."""
    kinds = [
        "review" if r["would_ticket"] and r["action"] != "ticket" else str(r["action"])
        for r in rows
    ]
    would_be = sum(bool(r["would_ticket"]) and r["action"] != "ticket" for r in rows)
    tickets, questions, digest = (kinds.count(k) for k in ("ticket", "review", "digest"))
    left = len(kinds) - tickets - questions - digest
    return Tally(len(kinds), tickets, questions, would_be, digest, left)


def _judged(tested: Workspace, signal_ids: Iterable[str]) -> tuple[dict[str, Row], dict[str, Row]]:
    """Return each signal as the policy judged it first, in the look that raised it, and last."""
    columns = ["signal_id", "judged_at", "owner", *AT_RAISE]
    rows = records(
        tested.committed(JUDGED, columns=columns, where=[only_if_in("signal_id", signal_ids)])
    )
    rows.sort(key=lambda r: r["judged_at"])
    last = {row["signal_id"]: row for row in rows}
    return {row["signal_id"]: row for row in reversed(rows)}, last


def _decisions(tested: Workspace, signal_ids: Iterable[str]) -> dict[str, Row]:
    rows = records(tested.committed(DECISION, where=[only_if_in("signal_id", signal_ids)]))
    return {row["signal_id"]: row for row in sorted(rows, key=lambda r: r["decided_at"])}


def _words(tested: Workspace, feedback_ids: Iterable[str]) -> dict[str, Row]:
    """Return the latest revision of each piece of feedback; a text that was not masked stays out."""
    columns = ["feedback_id", "revision", "event_time", "rating", "version", "text", "masker"]
    rows = records(
        tested.committed(
            FEEDBACK, columns=columns, where=[only_if_in("feedback_id", feedback_ids)]
        ).sort_by("revision")
    )
    latest = {row["feedback_id"]: row for row in rows}
    return {i: row for i, row in latest.items() if row.pop("masker") is not None and row["text"]}
