"""Writes a backtest as one page: what would have been ticketed, drawn over time beside the changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from closeloop import __version__
from closeloop.app import Workspace
from closeloop.cli.backtest_signals import HEADERS, amount_of, grown, tally
from closeloop.cli.blame import blame, candidate_name, likelihood
from closeloop.cli.output import local_time, records
from closeloop.cli.signals import what
from closeloop.errors import OutsideError
from closeloop.pictures.page import folded, listed, page, scrolling, table
from closeloop.pictures.svg import ALARM, CHANGE, FILL, SOFT, picture, text
from closeloop.pictures.timeline import WIDTH, Hour, Mark, Timeline, timeline

BEFORE, AFTER = timedelta(days=7), timedelta(days=5)
"""What is drawn around a signal, where the backtest reaches so far."""
MAX_CHANGES = 12
MAX_SIGNALS = 200
"""Signals drawn one by one; the table above lists all."""
MONTH_DAYS = 30.4


def write_report(
    tested: Workspace, path: Path, *, summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write the page. `rows` are the signals as `closeloop backtest` tells them.

    Raises OutsideError where the file can't be written.
    """
    report = _Report(tested, summary, rows)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(report.html(), encoding="utf-8")
    except OSError as error:
        raise OutsideError(
            f"the report can't be written to {path}: {error.strerror}",
            hint="name a file in a folder that you may write to",
        ) from error


class _Report:
    def __init__(
        self, tested: Workspace, summary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        self._tested = tested
        self._summary = summary
        self._rows = rows
        self._zone = tested.settings.timezone
        self._start = datetime.fromisoformat(summary["from"])
        self._end = datetime.fromisoformat(summary["to"])
        self._changes = records(
            tested.query(
                "SELECT product, kind, name, started_at FROM silver.change "
                "WHERE started_at IS NOT NULL ORDER BY started_at, kind, name"
            )
        )

    def html(self) -> str:
        """Return the page."""
        title = f"Backtest {self._summary['name']}"
        parts = [
            f"<h1>{text(title, 160)}</h1>",
            self._headline(),
            self._overview(),
            self._listing(),
            *(self._signal(row) for row in self._rows[:MAX_SIGNALS]),
        ]
        left = len(self._rows) - MAX_SIGNALS
        if left > 0:
            parts.append(f"<p class='soft'>{left} more signals are in the table above.</p>")
        parts.append(
            f"<p class='soft'>closeloop {text(__version__, 20)}, policy "
            f"{text(self._summary.get('policy_version', '-'), 60)}. Every decision rests only on what "
            "was known at its time.</p>"
        )
        return page(title, "".join(parts))

    def _headline(self) -> str:
        rows, counted = self._rows, tally(self._rows)
        months = max((self._end - self._start) / timedelta(days=MONTH_DAYS), 1 / MONTH_DAYS)
        products = (
            sorted({r["product"] for r in rows}) or list(self._summary["products"]) or ["all"]
        )
        span = f"{self._at(self._start)} to {self._at(self._end)}"
        figures = [
            ("signals", counted.signals),
            *([("tickets", counted.tickets)] if counted.tickets else []),
            ("questions to a person", counted.questions),
            ("of which would be a ticket", counted.would_be),
            ("lines in the digest", counted.digest),
            *([("neither", counted.left)] if counted.left else []),
        ]
        shown = [(name, number, f"{number / months:.1f}") for name, number in figures]
        return (
            f"<p>{text(', '.join(products), 200)}, {text(span, 80)}: "
            f"{amount_of(self._summary)}, {self._summary['passes']:,} looks.</p>"
            f"{table(('', 'number', 'a month'), shown)}{self._owners()}{self._cost()}"
        )

    def _owners(self) -> str:
        owners = sorted({r["owner"] for r in self._rows})
        if not any(owners):
            return ""
        shown = []
        for owner in owners:
            own = tally([r for r in self._rows if r["owner"] == owner])
            figures = (own.tickets, own.questions, own.would_be, own.digest, own.left)
            shown.append((owner or "nobody yet", own.signals, *figures))
        shown.sort(key=lambda row: (-row[4], -row[1], row[0]))
        headers = ("owner", "signals", "tickets", "questions", "of which would be a ticket",
                   "digest", "neither")  # fmt: skip
        return "<h2>By owner</h2>" + table(headers, shown)

    def _cost(self) -> str:
        """Say what the briefs rest on; a writer without a model costs nothing but time."""
        briefs = records(
            self._tested.query(
                "SELECT writer, count(*) AS briefs FROM gold.brief GROUP BY writer ORDER BY writer"
            )
        )
        said = ", ".join(f"{b['briefs']} by {b['writer']}" for b in briefs)
        return (
            f"<p class='soft'>Briefs: {text(said or 'none', 160)}. Replayed in "
            f"{float(self._summary['seconds']):.0f} s.</p>"
        )

    def _overview(self) -> str:
        """Draw all complaints of each product over the whole time, with every signal's start."""
        drawn = []
        for product in sorted({r["product"] for r in self._rows}):
            marks = [
                Mark(r["detected_at"], what(r), ALARM if r["would_ticket"] else FILL, strong=True)
                for r in self._rows
                if r["product"] == product
            ]
            body, height = timeline(
                Timeline(
                    start=self._start,
                    end=self._end,
                    hours=self._hours(product, "total", "all", self._start, self._end),
                    marks=marks if len(marks) <= 2 * MAX_CHANGES else _firsts(marks),
                    zone=self._zone,
                )
            )
            drawn.append(
                f"<h3>{text(product, 100)}: all complaints, and when each signal was raised</h3>"
                + _drawn(body, height, f"complaints of {product}")
            )
        return "".join(drawn)

    def _listing(self) -> str:
        rows = [
            (
                self._at(r["detected_at"]), r["product"], what(r), r["at_raise"]["count"],
                f"{r['at_raise']['baseline']:.1f}", grown(r, self._zone) or "-",
                r["at_raise"]["severity"] or "-", blame(r["candidates"]),
                f"{r['action'] or '-'}{' (would ticket)' if r['would_ticket'] else ''}",
            )
            for r in self._rows
        ]  # fmt: skip
        if not rows:
            return "<h2>Signals</h2><p>No signal would have been raised.</p>"
        return f"<h2>Signals</h2>{table(HEADERS, rows)}"

    def _signal(self, row: Mapping[str, Any]) -> str:
        action = row["action"] or "not decided"
        kind = "ticket" if row["would_ticket"] else action
        said = (
            f"{action}, would be a ticket" if row["would_ticket"] and action != "ticket" else action
        )
        candidates = [
            (
                candidate_name(c),
                f"{likelihood(c['posterior'])}{' blamed' if c['blamed'] else ''}",
                "-" if c["effect"] is None else
                f"{c['effect']:.1f} [{c['effect_low']:.1f}, {c['effect_high']:.0f}]",
            )
            for c in row["candidates"][:6]
        ]  # fmt: skip
        quotes = "".join(
            f"<blockquote>{text(q['text'], 300)} <span class='soft'>{text(q['feedback_id'][:10], 12)}"
            "</span></blockquote>"
            for q in row["quotations"]
        )
        terms = [
            (t["name"], f"{t['points']:.1f} of {t['weight']:.0f}", t["reason"])
            for t in row["severity_terms"] or []
        ]
        return (
            f"<h2 id='{text(row['signal_id'][:16], 16)}'>{text(row['product'], 80)}: "
            f"{text(what(row), 120)} <span class='tag {text(kind, 12)}'>{text(said, 40)}</span></h2>"
            f"<p>{self._raised(row)} Blamed: {text(blame(row['candidates']), 200)}.</p>"
            f"{self._picture(row)}{quotes}"
            f"{folded('why', listed(row['reasons']))}"
            f"{folded('what could be behind it', table(('candidate', 'posterior', 'odds ratio'), candidates))}"
            f"{folded('severity at the last look', table(('term', 'points', 'reason'), terms))}"
        )

    def _raised(self, row: Mapping[str, Any]) -> str:
        """Say what was known when it was raised, and what it grew to."""
        then, later = row["at_raise"], grown(row, self._zone)
        said = (
            f"Raised {self._at(row['detected_at'])} after {then['count']:,} complaints, "
            f"{then['baseline']:.1f} expected ({row['detector']}, evidence {then['evidence']:.3g} "
            f"of {then['threshold']:.3g} needed). Severity {then['severity'] or '-'}."
        )
        if later:
            said += f" It grew to {later}, severity {row['severity'] or '-'}."
        return text(said, 300)

    def _picture(self, row: Mapping[str, Any]) -> str:
        start = max(row["window_start"] - BEFORE, self._start - BEFORE)
        end = min(row["window_end"] + AFTER, self._end)
        end = max(end, row["window_end"])
        near = [
            c
            for c in self._changes
            if c["product"] in (None, row["product"]) and start <= c["started_at"] <= end
        ]
        near = sorted(near, key=lambda c: abs(c["started_at"] - row["window_start"]))[:MAX_CHANGES]
        guilty = {(c["kind"], c["name"]) for c in row["candidates"] if c["blamed"]}
        marks = [
            Mark(
                c["started_at"],
                f"{c['kind']} {c['name']}",
                ALARM if (c["kind"], c["name"]) in guilty else CHANGE,
                strong=(c["kind"], c["name"]) in guilty,
            )
            for c in near
        ]
        marks.append(Mark(row["detected_at"], "raised", FILL, strong=True))
        if row["decided_at"] is not None:
            marks.append(Mark(row["decided_at"], f"decided: {row['action']}", SOFT))
        body, height = timeline(
            Timeline(
                start=start,
                end=end,
                hours=self._series_of(row, start, end),
                marks=marks,
                window=(row["window_start"], row["window_end"]),
                zone=self._zone,
            )
        )
        return _drawn(body, height, f"complaints: {what(row)}")

    def _series_of(self, row: Mapping[str, Any], start: datetime, end: datetime) -> list[Hour]:
        """Return the series behind a signal; a release's is made of its own low ratings."""
        if row["kind"] != "release":
            return self._hours(row["product"], row["kind"], row["series_id"], start, end)
        found = records(
            self._tested.query(
                "SELECT date_trunc('hour', event_time) AS hour, count(*) AS n FROM "
                "gold.feedback_latest WHERE product = ? AND version = ? AND rating <= 2 "
                "AND event_time >= ? AND event_time < ? GROUP BY 1 ORDER BY 1",
                parameters=[row["product"], row["version"], start, end],
            )
        )
        return [Hour(r["hour"], float(r["n"])) for r in found]

    def _hours(
        self, product: str, kind: str, series: str, start: datetime, end: datetime
    ) -> list[Hour]:
        found = records(
            self._tested.query(
                'SELECT hour, "count" AS n, exposure, expected FROM gold.series WHERE product = ? '
                "AND series_kind = ? AND series_id = ? AND hour >= ? AND hour < ? ORDER BY hour",
                parameters=[product, kind, series, start, end],
            )
        )
        return [Hour(r["hour"], float(r["n"]), _a_day(r)) for r in found]

    def _at(self, time: datetime) -> str:
        return local_time(time, self._zone)


def _drawn(body: str, height: float, named: str) -> str:
    return scrolling(picture(body, width=WIDTH, height=height, named=named))


def _a_day(row: Mapping[str, Any]) -> float | None:
    """Return what the baseline expects of a whole day, from one hour's share of it."""
    if row["expected"] is None or not row["exposure"]:
        return None
    return float(row["expected"] / row["exposure"])


def _firsts(marks: Sequence[Mark]) -> list[Mark]:
    """Return marks with the names of the most frequent ones only: too many can't be read."""
    often = {said for said, _ in Counter(m.said for m in marks).most_common(MAX_CHANGES)}
    seen: set[str] = set()
    kept = []
    for mark in marks:
        named = mark.said in often and mark.said not in seen
        seen.add(mark.said)
        kept.append(mark if named else Mark(mark.at, "", mark.colour, strong=mark.strong))
    return kept
