"""The detector with its defaults on ten series of tweet volume (Numenta Anomaly Benchmark).

    python benchmarks/tweets.py --data DIR [--left-out]

DIR holds nab_tweet_volume.parquet (timestamp, value, series, in_window), counted by the hour. Each
company is a product of its own; the last line takes all ten for one product, in which each alarms a
tenth as easily. Beside it plain rules on six-hour sums: 20% over the mean of the same hours of the
days before (28 at most), three deviations over that mean, three over the mean of all hours of those
days; all from the fifth day on.

Counted are alarms a day and more apart (what is told at most once a day), and in brackets those a day
and more after the last alarm (what begins anew). Precision: alarms in a window; recall: windows with
one. The score is NAB's standard profile (a window counts more the earlier it is found, a false alarm
costs .11), in parts of a perfect detector's over one that is still.

With --left-out the constants of the peaks are chosen anew for each company by the other nine (those
that are furthest above F1 .6 and score 70), out of 108 settings about the defaults.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.busy import LEAST_DAYS
from closeloop.stats.episodes import APART_H
from closeloop.stats.scan import scan
from closeloop.stats.series import SeriesData

PROBATION, PROBATION_ROWS = 0.15, 750
FALSE_COST = 0.11
MONTH_S = 30 * 86_400
MEMORY_DAYS = 28
SETTINGS = {
    "PEAK_CAP_SD": (1.75, 2.0, 2.25, 2.5),
    "PRIOR_SPREAD": (0.15, 0.2, 0.25),
    "PRIOR_DAYS": (7.0, 10.0, 14.0),
    "MOST_FREEDOM": (10, 14, 20),
}
Window = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Tweets:
    """One company: seconds since 1970 and windows of its rows, tweets of each hour from `first` on."""

    seconds: Ints
    windows: list[Window]
    first: int
    hourly: Floats


def main() -> None:
    """Print F1, NAB's score and false alarms a series-month of each detector."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--left-out", action="store_true")
    options = parser.parse_args()
    companies = _read(options.data / "nab_tweet_volume.parquet")
    if options.left_out:
        _print_left_out(companies)
        return
    detectors: dict[str, Callable[[list[Tweets]], list[Ints]]] = {
        "+20% in six hours": lambda all_: [_same_hours(t, ratio=1.2) for t in all_],
        "3 sigma, same hours": lambda all_: [_same_hours(t, deviations=3.0) for t in all_],
        "3 sigma, all hours": lambda all_: [_all_hours(t) for t in all_],
        "closeloop": lambda all_: [_closeloop([t])[0] for t in all_],
        "closeloop, one product of ten": _closeloop,
    }
    print(
        "| detector | F1 | score | windows found of 33 | false a series-month |\n|---|---|---|---|---|"
    )
    for name, detect in detectors.items():
        alarms = detect(companies)
        both = list(zip(companies, alarms, strict=True))
        told = _pooled(_sums(t, _told(hours)) for t, hours in both).said()
        begun = _pooled(_sums(t, _begun(hours)) for t, hours in both).said()
        print(
            f"| {name} | "
            + " | ".join(f"{a} ({b})" for a, b in zip(told, begun, strict=True))
            + " |"
        )


def _read(path: Path) -> list[Tweets]:
    rows = pq.read_table(path)
    found = []
    for name in sorted(pc.unique(rows.column("series")).to_pylist()):
        own = rows.filter(pc.equal(rows.column("series"), name)).sort_by("timestamp")
        seconds = own.column("timestamp").cast(pa.int64()).to_numpy() // 1_000_000
        hours = seconds // 3600
        inside = own.column("in_window").to_numpy(zero_copy_only=False).astype(int)
        edges = np.diff(np.concatenate([[0], inside, [0]]))
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
        values = own.column("value").to_numpy().astype(float)
        found.append(
            Tweets(
                np.asarray(seconds),
                list(zip(starts.tolist(), ends.tolist(), strict=True)),
                int(hours[0]),
                np.bincount(hours - hours[0], weights=values).astype(np.float64),
            )
        )
    return found


def _closeloop(companies: list[Tweets]) -> list[Ints]:
    """Return the hours at which each company of a product alarms."""
    start = min(t.first for t in companies)
    hours = [np.flatnonzero(t.hourly) + t.first for t in companies]
    weight = np.concatenate([t.hourly[t.hourly > 0] for t in companies])
    series = np.repeat(np.arange(len(companies)), [len(h) for h in hours])
    order = np.argsort(np.concatenate(hours), kind="stable")
    at = np.concatenate(hours)[order]
    found = scan(
        SeriesData(
            hours=at,
            weight=weight[order],
            all_hours=at,
            all_weight=weight[order],
            member_row=np.arange(len(at)),
            member_series=series[order],
            testable=np.ones(len(at), dtype=np.bool_),
            ready=np.zeros(len(companies), dtype=np.int64),
        ),
        since=start // 24 * 24,
        until=int(at[-1]),
        first_day=start // 24,
        family=len(companies),
        false_alarms=1.0,
        q=0.1,
    )
    return [
        np.array([a.hour for a in found.alarms if a.series == i], dtype=np.int64)
        for i in range(len(companies))
    ]


def _same_hours(tweets: Tweets, *, ratio: float = 1.0, deviations: float = 0.0) -> Ints:
    """Return hours whose six-hour sum exceeds what the same hours of the days before held."""
    six = _six_hours(tweets)
    alarms = []
    for hour in range((LEAST_DAYS + 1) * 24, len(six)):
        before = six[hour - 24 : max(hour - 24 * MEMORY_DAYS - 1, 4) : -24]
        if six[hour] > ratio * before.mean() + deviations * before.std():
            alarms.append(hour)
    return np.array(alarms, dtype=np.int64) + tweets.first


def _all_hours(tweets: Tweets) -> Ints:
    """Return hours whose six-hour sum exceeds the mean of all by three deviations."""
    six = _six_hours(tweets)
    alarms = []
    for hour in range((LEAST_DAYS + 1) * 24, len(six)):
        before = six[max(hour - 24 * MEMORY_DAYS, 5) : hour]
        if six[hour] > before.mean() + 3.0 * before.std():
            alarms.append(hour)
    return np.array(alarms, dtype=np.int64) + tweets.first


def _six_hours(tweets: Tweets) -> Floats:
    passed = np.concatenate([[0.0], np.cumsum(tweets.hourly)])
    end = np.arange(len(tweets.hourly)) + 1
    return np.asarray(passed[end] - passed[np.maximum(end - 6, 0)])


def _told(hours: Ints) -> list[int]:
    """Return the alarms that come a day and more after the last one returned."""
    told: list[int] = []
    for hour in hours.tolist():
        if not told or hour - told[-1] >= APART_H:
            told.append(hour)
    return told


def _begun(hours: Ints) -> list[int]:
    """Return the alarms that come a day and more after the last one of all."""
    gaps = np.diff(hours, prepend=hours[:1] - APART_H)
    return [int(h) for h in hours[gaps >= APART_H]]


class Sums(NamedTuple):
    """Of some companies: NAB's raw score, windows hit, false detections, windows, months."""

    raw: float
    hits: int
    false: int
    windows: int
    months: float

    @property
    def f1(self) -> float:
        """Of alarms in windows and windows with alarms."""
        precision, recall = self.hits / max(self.hits + self.false, 1), self.hits / self.windows
        return 2 * precision * recall / max(precision + recall, 1e-9)

    @property
    def score(self) -> float:
        """NAB's, 0 for a detector that is still, 100 for a perfect one."""
        return 100 * (self.raw + self.windows) / (2 * self.windows)

    def said(self) -> list[str]:
        """Return the cells of a table."""
        return [
            f"{self.f1:.2f}",
            f"{self.score:.0f}",
            f"{self.hits}",
            f"{self.false / self.months:.1f}",
        ]


def _sums(tweets: Tweets, hours: list[int]) -> Sums:
    places = np.searchsorted(tweets.seconds, (np.array(hours, dtype=np.int64) + 1) * 3600) - 1
    score, hits, false = _scored(len(tweets.seconds), tweets.windows, places.tolist())
    months = float(tweets.seconds[-1] - tweets.seconds[0]) * (1 - PROBATION) / MONTH_S
    return Sums(score, hits, false, len(tweets.windows), months)


def _pooled(sums: Iterable[Sums]) -> Sums:
    return Sums(*(sum(column) for column in zip(*sums, strict=True)))


def _print_left_out(companies: list[Tweets]) -> None:
    names = tuple(SETTINGS)
    tried: list[list[Sums]] = []
    for values in product(*SETTINGS.values()):
        with ExitStack() as held:
            for name, value in zip(names, values, strict=True):
                held.enter_context(patch(f"closeloop.stats.busy.{name}", value))
            tried.append([_sums(t, _told(_closeloop([t])[0])) for t in companies])
    whole = [_pooled(sums) for sums in tried]
    for name, figures in (("F1", [w.f1 for w in whole]), ("score", [w.score for w in whole])):
        said = ", ".join(f"{v:.2f}" for v in np.quantile(figures, [0.0, 0.25, 0.5, 0.75, 1.0]))
        print(f"{len(tried)} settings, {name}: {said} (least, quarters, most)")
    left_out = []
    for i in range(len(companies)):
        others = [_pooled(s for j, s in enumerate(sums) if j != i) for sums in tried]
        best = max(range(len(tried)), key=lambda n: min(others[n].f1 / 0.6, others[n].score / 70))
        left_out.append(tried[best][i])
    print("left out: | " + " | ".join(_pooled(left_out).said()) + " |")


def _scored(rows: int, windows: list[Window], detections: list[int]) -> tuple[float, int, int]:
    """Return (NAB's raw score, windows hit, false detections), after the probation."""
    start = min(int(PROBATION * rows), PROBATION_ROWS)
    detections = [d for d in detections if d >= start]
    score, hits, false = 0.0, 0, 0
    for first, last in windows:
        inside = [d for d in detections if first <= d <= last]
        hits += bool(inside)
        early = -(last - inside[0] + 1) / (last - first + 1) if inside else 0.0
        score += _sigmoid(early) / _sigmoid(-1.0) if inside else -1.0
    for d in detections:
        if any(first <= d <= last for first, last in windows):
            continue
        false += 1
        before = [(first, last) for first, last in windows if last < d]
        past = (d - before[-1][1]) / (before[-1][1] - before[-1][0]) if before else 9.0
        score += FALSE_COST * (_sigmoid(past) if past <= 3.0 else -1.0)
    return score, hits, false


def _sigmoid(x: float) -> float:
    return float(2.0 / (1.0 + np.exp(5.0 * x)) - 1.0)


if __name__ == "__main__":
    main()
