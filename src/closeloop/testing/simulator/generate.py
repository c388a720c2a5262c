"""Generates a scenario: attributes, texts, edits, deliveries, and the truth of every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any

import numpy as np

from closeloop.errors import UsageError
from closeloop.testing.simulator import attributes
from closeloop.testing.simulator.phrases import themes
from closeloop.testing.simulator.streams import Layout, Stream, lay_out
from closeloop.testing.simulator.surroundings import (
    causes,
    change_rows,
    expected_rows,
    exposure_rows,
)
from closeloop.testing.simulator.world import Release, Scenario
from closeloop.testing.simulator.writing import Phrasebook, Written, copies_of, write_texts

DEFAULT_START = datetime(2024, 3, 4, tzinfo=UTC)
EDIT_SHARE = 0.008
REPEAT_SHARE = 0.004
EDITED_FROM = 40
"""Characters from which a text may be edited or sent again."""
SPAN_ROWS = 40_000
"""About so many rows are made at a time, which bounds the memory."""
RELEASE_EVERY_DAYS = 9.3
"""How often ordinary releases go on coming after the story has ended."""

Row = dict[str, Any]


@dataclass(slots=True)
class Simulation:
    """All that a scenario gives: rows as a source delivers them, and the truth beside them.

    `sources` [rows] names the source that brings each row of `feedback`.
    """

    scenario: Scenario
    seed: int
    start: datetime
    end: datetime
    feedback: list[Row] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    changes: list[Row] = field(default_factory=list)
    exposure: list[Row] = field(default_factory=list)
    truth_rows: list[Row] = field(default_factory=list)
    expected: list[Row] = field(default_factory=list)
    truth: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of a stretch of time in the order of delivery, each with its source, and truths."""

    rows: list[tuple[str, Row]]
    truths: list[Row]


def simulate(
    scenario: Scenario,
    *,
    seed: int = 7,
    days: float | None = None,
    per_day: float | None = None,
    start: datetime | None = None,
    phrases: int | None = None,
) -> Simulation:
    """Return a scenario's feedback, changes, exposure and truth; the same seed gives the same.

    `per_day` scales everything, effects too. `days` cuts or lengthens the ordinary days; changes
    that lie after the end are left out. `phrases` limits how many different texts a theme has.
    Raises UsageError where nothing would come.
    """
    simulator = Simulator(
        scenario, seed=seed, days=days, per_day=per_day, start=start, phrases=phrases
    )
    made = Simulation(simulator.scenario, seed, simulator.start, simulator.end)
    for span in simulator.spans():
        made.feedback += [row for _, row in span.rows]
        made.sources += [source for source, _ in span.rows]
        made.truth_rows += span.truths
    made.changes = simulator.changes()
    made.exposure = simulator.exposure()
    made.expected = list(simulator.expected())
    made.truth = simulator.truth()
    return made


class Simulator:
    """Makes a scenario's rows span by span, so that any number of them fits into memory.

    Read `spans` to its end before asking for the truth: it counts what was made. Another
    `span_rows` gives other rows of the same kind.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        seed: int = 7,
        days: float | None = None,
        per_day: float | None = None,
        start: datetime | None = None,
        phrases: int | None = None,
        span_rows: int = SPAN_ROWS,
    ) -> None:
        days = scenario.days if days is None else days
        per_day = scenario.per_day if per_day is None else per_day
        hours = round(days * 24)
        if hours < 1 or per_day * days < 1:
            raise UsageError("a simulation needs at least an hour and one text")
        self.scenario = _lengthened(scenario, days)
        self.seed = seed
        self.start = (start or DEFAULT_START).astimezone(UTC)
        self.end = self.start + timedelta(hours=hours)
        self._layout = lay_out(
            self.scenario, start=self.start, hours=hours, per_day=per_day, rng=self._rng("layout")
        )
        self._book = (
            None
            if phrases is None
            else Phrasebook(phrases, self._rng("phrases"), pii_share=scenario.pii_share)
        )
        self._span_rows = span_rows
        self._rows = 0
        self._counts: Counter[str | None] = Counter()

    @property
    def expected_texts(self) -> float:
        """How many texts are expected in all, edits and repeats left out."""
        return sum(float(s.expected.sum()) for s in self._layout.streams)

    def spans(self) -> Iterator[Span]:
        """Yield the rows in the order of delivery."""
        waiting: list[tuple[datetime, int, str, Row]] = []
        number = 0
        per_hour = sum(int(s.counts.sum()) for s in self._layout.streams) / self._layout.hours
        length = max(1, int(self._span_rows / max(per_hour, 1e-9)))
        for first in range(0, self._layout.hours, length):
            last = min(first + length, self._layout.hours)
            rng = self._rng("span", first)
            rows, truths = self._rows_of(first, last, rng)
            order = sorted(range(len(rows)), key=lambda i: (rows[i]["event_time"], i))
            said: list[Row] = []
            for place, chance in zip(order, rng.random((len(rows), 3)).tolist(), strict=True):
                row = {"source_id": f"r{number:06d}", **rows[place]}
                truth = {"source_id": row["source_id"], **truths[place]}
                source = self.scenario.source_of(row["channel"])
                for delivered, kept, true in self._deliveries(row, truth, chance):
                    heappush(waiting, (delivered, self._rows, source, kept))
                    self._rows += 1
                    if true is not None:
                        said.append(true)
                number += 1
            self._counts.update(t["cause"] for t in said if t["repeats"] is None)
            upto = self.start + timedelta(hours=last)
            yield Span(_delivered(waiting, upto, everything=last == self._layout.hours), said)

    def changes(self) -> list[Row]:
        """Return the changes that began within the simulation."""
        return change_rows(self.scenario, self.start, self._layout.hours / 24)

    def exposure(self) -> list[Row]:
        """Return users and orders by product, version, platform and day."""
        return exposure_rows(self._layout, self._rng("exposure"))

    def expected(self) -> Iterator[Row]:
        """Yield the complaints that each cause is expected to bring, by hour, and the usual ones."""
        return expected_rows(self._layout)

    def truth(self) -> Row:
        """Return what was simulated and what should come out, with the counts of the rows made."""
        return {
            "scenario": self.scenario.name,
            "summary": self.scenario.summary,
            "expect": self.scenario.expect,
            "seed": self.seed,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "rows": self._rows,
            **causes(self._layout, self._counts),
        }

    def _rng(self, part: str, number: int = 0) -> np.random.Generator:
        return np.random.default_rng(
            [self.seed, number, *part.encode(), 0, *self.scenario.name.encode()]
        )

    def _rows_of(
        self, first: int, last: int, rng: np.random.Generator
    ) -> tuple[list[Row], list[Row]]:
        rows: list[Row] = []
        truths: list[Row] = []
        for stream in self._layout.streams:
            counts = stream.counts[first:last]
            hour, theme = np.nonzero(counts)
            times = counts[hour, theme]
            hours, places = np.repeat(hour, times) + first, np.repeat(theme, times)
            if hours.size:
                made = self._stream_rows(stream, hours, [stream.themes[p] for p in places], rng)
                rows += made[0]
                truths += made[1]
        return rows, truths

    def _stream_rows(
        self, stream: Stream, hours: Any, names: Sequence[str], rng: np.random.Generator
    ) -> tuple[list[Row], list[Row]]:
        drawn = attributes.draw(self._layout, stream, hours, names, rng)
        texts = self._texts(stream, names, drawn.languages, rng)
        seconds = (hours * 3600 + rng.integers(0, 3600, hours.size)).tolist()
        known = themes()
        cause = stream.cause
        fields = tuple(drawn.columns)
        rows: list[Row] = []
        truths: list[Row] = []
        for name, language, written, moment, *values in zip(
            names, drawn.languages, texts, seconds, *drawn.columns.values(), strict=True
        ):
            row = {"text": written.text, "event_time": self.start + timedelta(seconds=moment)}
            row.update(zip(fields, values, strict=True))
            rows.append(row)
            truths.append(
                {
                    "product": stream.product.product_id,
                    "theme": name,
                    "category": known[name].category,
                    "language": language,
                    "cause": cause,
                    "pii": [{"type": kind, "value": value} for kind, value in written.pii],
                    "repeats": None,
                }
            )
        return rows, truths

    def _texts(
        self,
        stream: Stream,
        names: Sequence[str],
        languages: Sequence[str],
        rng: np.random.Generator,
    ) -> list[Written]:
        campaign = stream.campaign
        if campaign is not None and campaign.copies is not None:
            # The same few texts throughout: they are drawn from the campaign's name alone.
            own = self._rng(campaign.cause)
            made = [copies_of(name, campaign.copies, 1 << 10, own) for name in stream.themes]
            which = rng.integers(0, 1 << 10, len(names)).tolist()
            return [made[stream.themes.index(n)][w] for n, w in zip(names, which, strict=True)]
        if self._book is not None:
            return self._book.texts(names, languages)
        return write_texts(names, languages, rng, pii_share=self.scenario.pii_share)

    def _deliveries(
        self, row: Row, truth: Row, chance: Sequence[float]
    ) -> Iterator[tuple[datetime, Row, Row | None]]:
        """Yield (when, row, its truth) as the source delivers it; an edit's truth is told already."""
        written = row["event_time"]
        delivered = self._delivered_at(self.scenario.source_of(row["channel"]), written)
        if delivered is None:
            return
        late = delivered > written
        yield delivered, _told(row, delivered if late else None), truth
        first, second, delay = chance
        later = written + timedelta(hours=1 + 30 * delay)
        if late or len(row["text"]) <= EDITED_FROM or later >= self.end:
            return
        if first < EDIT_SHARE:
            edit = row | {"text": f"{row['text']} Still the same."}
            yield later, _told(edit, later), None
        elif second < REPEAT_SHARE:
            again = row | {"source_id": f"{row['source_id']}b", "event_time": later}
            repeats = truth | {"source_id": again["source_id"], "repeats": row["source_id"]}
            yield later, _told(again, None), repeats

    def _delivered_at(self, source: str, written: datetime) -> datetime | None:
        day = (written - self.start) / timedelta(days=1)
        for silence in self.scenario.silences:
            if silence.source == source and silence.day <= day < silence.end_day:
                if silence.delivered_day is None:
                    return None
                late = self.start + timedelta(days=silence.delivered_day)
                return late if late < self.end else None
        return written


def _told(row: Row, updated: datetime | None) -> Row:
    """Return a row as it is delivered, times in words."""
    return row | {
        "event_time": row["event_time"].isoformat(),
        "updated_at": updated.isoformat() if updated else None,
    }


def _delivered(
    waiting: list[tuple[datetime, int, str, Row]], upto: datetime, *, everything: bool
) -> list[tuple[str, Row]]:
    rows = []
    while waiting and (everything or waiting[0][0] < upto):
        _, _, source, row = heappop(waiting)
        rows.append((source, row))
    return rows


def _lengthened(scenario: Scenario, days: float) -> Scenario:
    """Return a scenario in which ordinary releases go on coming after its own days."""
    later = [
        Release(p.product_id, f"6.{number}.0", day=day)
        for p in scenario.products
        if p.base_version is not None
        for number, day in enumerate(np.arange(scenario.days, days, RELEASE_EVERY_DAYS).tolist())
    ]
    return replace(scenario, releases=(*scenario.releases, *later)) if later else scenario


__all__ = ["DEFAULT_START", "Layout", "Simulation", "Simulator", "Span", "simulate"]
