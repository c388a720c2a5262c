"""What an evaluation came to: figures, tables, confusion, reliability and every answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from closeloop.domain.taxonomy import UNKNOWN
from closeloop.stats.intervals import Interval
from closeloop.stats.reliability import Bin

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of so many items (`of`); `value` is None where there is nothing to measure."""

    name: str
    value: float | None
    interval: Interval | None = None
    of: int | None = None
    meaning: str = ""
    whole: bool = False
    """A count, not a share or score."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figure for programs."""
        return {
            "name": self.name,
            "value": _number(self.value),
            "low": None if self.interval is None else _number(self.interval.low),
            "high": None if self.interval is None else _number(self.interval.high),
            "of": self.of,
            "meaning": self.meaning,
        }


@dataclass(frozen=True, slots=True)
class Listing:
    """A table of figures by class, language, entity type or theme."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    most: int = 20
    """How many rows people are shown; programs get all."""

    def as_dict(self) -> dict[str, Any]:
        """Return the table for programs."""
        return {
            "title": self.title,
            "rows": [
                {h: _number(c) for h, c in zip(self.headers, row, strict=True)} for row in self.rows
            ],
        }


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each label (row) was answered as each answer (column)."""

    labels: tuple[str, ...]
    answers: tuple[str, ...]
    counts: Ints
    told: bool = True
    """Whether people are shown it as text; a picture and programs have it in any case."""

    def worst(self, most: int) -> list[tuple[str, str, int, float]]:
        """Return (label, answer, count, share of the label) of the most frequent wrong answers."""
        wrong = self.counts.copy()
        for row, label in enumerate(self.labels):
            if label in self.answers:
                wrong[row, self.answers.index(label)] = 0
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        found = []
        for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True):
            count = int(wrong[row, column])
            if count:
                share = count / int(self.counts[row].sum())
                found.append((self.labels[row], self.answers[column], count, share))
        return found


@dataclass(frozen=True, slots=True)
class Report:
    """All that one evaluation says. `predictions` has a row for each item that was judged."""

    what: str
    file: str
    rows: int
    used: int
    figures: tuple[Figure, ...]
    predictions: pa.Table
    left_out: Mapping[str, int] = field(default_factory=dict)
    made_with: Mapping[str, str] = field(default_factory=dict)
    listings: tuple[Listing, ...] = ()
    confusion: Confusion | None = None
    reliability: tuple[Bin, ...] = ()
    reliability_of: str = ""
    notes: tuple[str, ...] = ()

    def figure(self, name: str) -> Figure:
        """Return the figure of that name. Raises KeyError where there is none."""
        for one in self.figures:
            if one.name == name:
                return one
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for programs, without the predictions."""
        confusion = self.confusion
        return {
            "what": self.what,
            "file": self.file,
            "rows": self.rows,
            "used": self.used,
            "left_out": dict(self.left_out),
            "made_with": dict(self.made_with),
            "figures": {f.name: f.as_dict() for f in self.figures},
            "tables": [listing.as_dict() for listing in self.listings],
            "confusion": None
            if confusion is None
            else {
                "labels": list(confusion.labels),
                "answers": list(confusion.answers),
                "counts": confusion.counts.tolist(),
            },
            "reliability": [
                {
                    "low": b.low,
                    "high": b.high,
                    "count": b.count,
                    "stated": b.stated,
                    "right": b.right,
                    "right_low": b.interval.low,
                    "right_high": b.interval.high,
                }
                for b in self.reliability
            ],
            "notes": list(self.notes),
        }


def confusion_of(labels: Sequence[str], answers: Sequence[str]) -> Confusion:
    """Return the confusion of labels and answers.

    Columns are the labels, then other answers, the most frequent first, "unknown" last.
    """
    names = sorted(set(labels))
    given = Counter(answers)
    others = sorted(given.keys() - set(names), key=lambda x: (x == UNKNOWN, -given[x], x))
    columns = [*names, *others]
    place = {name: i for i, name in enumerate(columns)}
    counts = np.zeros((len(names), len(columns)), np.int64)
    np.add.at(counts, ([place[x] for x in labels], [place[x] for x in answers]), 1)
    return Confusion(tuple(names), tuple(columns), counts)


def _number(value: Any) -> Any:
    """Return a value that JSON can hold: nan becomes null."""
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else float(value)
    return int(value) if isinstance(value, np.integer) else value
