"""The detector with its defaults on ten series of tweet volume (Numenta Anomaly Benchmark).

    python benchmarks/tweets.py --data DIR [--apart]

DIR holds nab_tweet_volume.parquet (timestamp, value, series, in_window). The ten series are one
product, or with --apart each a product of its own, counted by the hour. Alarms are grouped as the
product does: one problem while alarms come, a new one with a burst of its own a day later. Precision: problems that begin in a window; recall:
windows with one. The score is NAB's standard profile (a window counts more the earlier it is found,
a false alarm costs .11), for these problems, in parts of a perfect detector's over one that is still.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.episodes import APART_H
from closeloop.stats.scan import Alarm, scan
from closeloop.stats.series import SeriesData

PROBATION, PROBATION_ROWS = 0.15, 750
FALSE_COST = 0.11
MONTH_S = 30 * 86_400
Window = tuple[int, int]


def main() -> None:
    """Print F1, NAB's score and false alarms a series-month."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()
    rows = pq.read_table(options.data / "nab_tweet_volume.parquet")
    names = sorted(pc.unique(rows.column("series")).to_pylist())
    own = [rows.filter(pc.equal(rows.column("series"), n)).sort_by("timestamp") for n in names]
    times = [_seconds(r) for r in own]
    values = [r.column("value").to_numpy() for r in own]
    products = [[i] for i in range(len(own))] if options.apart else [list(range(len(own)))]
    begun = [
        hours
        for of in products
        for hours in _told(_alarms([times[i] for i in of], [values[i] for i in of]), len(of))
    ]
    raw, windows, hits, false, months = 0.0, 0, 0, 0, 0.0
    for seconds, table, hours in zip(times, own, begun, strict=True):
        inside = table.column("in_window").to_numpy(zero_copy_only=False)
        places = np.searchsorted(seconds, (np.asarray(hours) + 1) * 3600) - 1
        score, hit, wrong = _scored(len(seconds), _windows(inside), [int(p) for p in places])
        raw, hits, false = raw + score, hits + hit, false + wrong
        windows += len(_windows(inside))
        months += float(seconds[-1] - seconds[0]) * (1 - PROBATION) / MONTH_S
    precision, recall = hits / max(hits + false, 1), hits / windows
    f1 = 2 * precision * recall / max(precision + recall, 1e-9)
    print(f"precision {precision:.2f}, recall {recall:.2f}, F1 {f1:.2f}")
    print(f"NAB score {100 * (raw + windows) / (2 * windows):.0f}")
    print(f"{false / months:.1f} false a series-month")


def _seconds(rows: pa.Table) -> Ints:
    return np.asarray(rows.column("timestamp").cast(pa.int64()).to_numpy() // 1_000_000)


def _alarms(times: list[Ints], values: list[Floats]) -> tuple[Alarm, ...]:
    hours = np.concatenate([t // 3600 for t in times])
    series = np.concatenate([np.full(len(t), i) for i, t in enumerate(times)])
    cells, place = np.unique(np.stack([hours, series], axis=1), axis=0, return_inverse=True)
    weight: Floats = np.bincount(
        place.ravel(), weights=np.concatenate(values).astype(np.float64)
    ).astype(np.float64)
    kept = weight > 0
    hours, series, weight = cells[kept, 0], cells[kept, 1], weight[kept]
    first_day = int(hours[0]) // 24
    return scan(
        SeriesData(
            hours=hours,
            weight=weight,
            all_hours=hours,
            all_weight=weight,
            member_row=np.arange(len(hours)),
            member_series=series,
            testable=np.ones(len(hours), dtype=np.bool_),
            ready=np.zeros(len(times), dtype=np.int64),
        ),
        since=first_day * 24,
        until=int(hours[-1]),
        first_day=first_day,
        family=len(times),
        false_alarms=1.0,
        q=0.1,
    ).alarms


def _told(alarms: tuple[Alarm, ...], count: int) -> list[list[int]]:
    """Return the hours of the alarms of each series that come a day and more after the last told."""
    told: list[list[int]] = [[] for _ in range(count)]
    for alarm in alarms:
        own = told[alarm.series]
        if not own or alarm.hour - own[-1] >= APART_H:
            own.append(alarm.hour)
    return told


def _windows(inside: np.ndarray) -> list[Window]:
    edges = np.diff(np.concatenate([[0], inside.astype(int), [0]]))
    return list(
        zip(
            np.flatnonzero(edges == 1).tolist(),
            (np.flatnonzero(edges == -1) - 1).tolist(),
            strict=False,
        )
    )


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
