"""False discoveries on real histories without news, starts of collection, and the processor's time for a scan.

    python benchmarks/discoveries.py --data DIR [--seeds 3] [--only discoveries,starts,speed]

DIR holds play_reviews.parquet (app, review_id, content, score, at). Categories are named by a few words
(detection.py). The news is taken out of each app's history in two ways: every review is moved by up
to six weeks at random (jittered), or whole days change places with days of their week's neighbours
(shuffled: a day's own bursts stay, and count as false); stars that begin to be collected are left
out. Then every third month of a product one
category rises: twice the complaints of the limit within two days. A discovery is a problem of which
some alarm passes e-BH at q = .1; it is true in the risen category within a week of the rise. "News"
are false ones whose category is discovered in the true order too, within the four weeks in which a
day may have moved: an incident that was there, only on another day.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from math import ceil, log
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.stages.product_view import HOUR_US, STARS
from closeloop.stats.artefacts import starts_of_collection
from closeloop.stats.baseline import Floats, Ints
from closeloop.stats.scan import Scan, scan
from closeloop.stats.series import SeriesData
from detection import WORDS, _reviews

FAMILY = len(WORDS)
WEEK_H = 168
RISE = 5.0
MONTH_DAYS = 30
REPEATS = 5
"""A measurement of time is repeated so often: other programs only make it longer."""
EVERY_MONTHS = 3
SHUFFLED_H = 28 * 24
"""How far a shuffled day may come to lie from where it was."""


class Feedback(NamedTuple):
    """One app's feedback in order of time: hours, and the category's number (-1: no complaint)."""

    hours: Ints
    category: Ints


def main() -> None:
    """Print the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="discoveries,starts,speed")
    options = parser.parse_args()
    wanted = options.only.split(",")
    reviews = _reviews(options.data)
    apps = sorted(pc.unique(reviews.column("product")).to_pylist())
    own = {app: reviews.filter(pc.equal(reviews.column("product"), app)) for app in apps}
    if "discoveries" in wanted:
        _print_discoveries({app: _feedback(_settled(r)) for app, r in own.items()}, options.seeds)
    if "starts" in wanted:
        _print_starts(own)
    if "speed" in wanted:
        _print_speed()


def _settled(rows: pa.Table) -> pa.Table:
    """Return the reviews without stars whose collection began later: the product suspends those."""
    days = rows.column("event_time").cast(pa.int64()).to_numpy() // HOUR_US // 24
    rating = rows.column("rating").to_numpy()
    kept = np.ones(len(days), dtype=np.bool_)
    for star in STARS:
        if starts_of_collection(days, rating == star):
            kept &= rating != star
    return rows.filter(pa.array(kept))


def _feedback(rows: pa.Table) -> Feedback:
    names = list(WORDS)
    place = pc.index_in(rows.column("category"), value_set=pa.array(names))
    category = pc.fill_null(place, -1).to_numpy().astype(np.int64)
    free = pc.fill_null(rows.column("content_free"), fill_value=False)
    category[np.asarray(free.to_numpy(zero_copy_only=False), dtype=bool)] = -1
    hours = rows.column("event_time").cast(pa.int64()).to_numpy() // HOUR_US
    return Feedback(hours, category)


def _print_discoveries(apps: dict[str, Feedback], seeds: int) -> None:
    print("| news taken out | discoveries | false | FDR | of them news | risen | found |")
    print("|---|---|---|---|---|---|---|")
    news = {app: _discoveries(feedback) for app, feedback in apps.items()}
    for name, without in (("jittered", jittered), ("days shuffled", shuffled)):
        told: Counter[str] = Counter()
        for seed in range(seeds):
            for number, (app, feedback) in enumerate(apps.items()):
                rng = np.random.default_rng([seed, number])
                rises, mixed = _with_rises(without(feedback, rng), rng)
                told += _told(rises, _discoveries(mixed), news[app])
        every = told["true"] + told["false"]
        rate, found = told["false"] / max(every, 1), told["found"] / told["risen"]
        print(
            f"| {name} | {every} | {told['false']} | {rate:.3f} | {told['news']} "
            f"| {told['risen']} | {found:.2f} |"
        )


def _told(
    rises: list[tuple[int, int]], hits: list[tuple[int, int]], news: list[tuple[int, int]]
) -> Counter[str]:
    """Count true and false discoveries, false ones that are real news moved by days, and rises found."""
    told: Counter[str] = Counter(risen=len(rises))
    found: set[int] = set()
    for series, at in hits:
        own = {i for i, (s, h) in enumerate(rises) if s == series and 0 <= at - h <= WEEK_H}
        found |= own
        told["true" if own else "false"] += 1
        moved = any(s == series and abs(at - h) <= SHUFFLED_H for s, h in news)
        told["news"] += bool(moved and not own)
    told["found"] = len(found)
    return told


def jittered(feedback: Feedback, rng: np.random.Generator) -> Feedback:
    """Move every review by up to six weeks, to the same hour of the week."""
    weeks = rng.integers(-6, 7, len(feedback.hours))
    hours = feedback.hours + WEEK_H * weeks
    inside = (hours >= feedback.hours[0]) & (hours <= feedback.hours[-1])
    return _ordered(hours[inside], feedback.category[inside])


def shuffled(feedback: Feedback, rng: np.random.Generator) -> Feedback:
    """Let the days of each four weeks change places among those of their weekday."""
    day = feedback.hours // 24
    span = np.arange(day[0], day[-1] + 1)
    key = (span // 28) * 7 + span % 7
    order = np.lexsort((rng.random(len(span)), key))
    place = np.empty_like(span)
    place[np.lexsort((span, key))] = span[order]
    return _ordered(place[day - span[0]] * 24 + feedback.hours % 24, feedback.category)


def _ordered(hours: Ints, category: Ints) -> Feedback:
    order = np.argsort(hours, kind="stable")
    return Feedback(hours[order], category[order])


def _with_rises(
    feedback: Feedback, rng: np.random.Generator
) -> tuple[list[tuple[int, int]], Feedback]:
    """Return (series, hour) of the rises, and the feedback with their complaints."""
    limit = log(720.0 * FAMILY) / (log(RISE) - 1.0 + 1.0 / RISE)
    count = ceil(2.0 * limit)
    first, last = int(feedback.hours[0]), int(feedback.hours[-1])
    rises, hours, series = [], [feedback.hours], [feedback.category]
    step = EVERY_MONTHS * MONTH_DAYS * 24
    for start in range(first + step, last - WEEK_H, step):
        at, own = start + int(rng.integers(MONTH_DAYS * 24)), int(rng.integers(FAMILY))
        before = (feedback.category == own) & (feedback.hours < at) & (feedback.hours >= at - 1440)
        # Where a category has more by itself in two days, so many are no fivefold rise.
        if before.sum() / 30.0 * (RISE - 1.0) > count or at + WEEK_H > last:
            continue
        rises.append((own, at))
        hours.append(at + rng.integers(0, 48, count))
        series.append(np.full(count, own))
    return rises, _ordered(np.concatenate(hours), np.concatenate(series))


def _discoveries(feedback: Feedback) -> list[tuple[int, int]]:
    """Return (series, hour) of each problem that passes e-BH, a week apart in a series."""
    first_day = int(feedback.hours[0]) // 24
    found = _scan(feedback, first_day=first_day, until=int(feedback.hours[-1]))
    told: list[tuple[int, int]] = []
    last: dict[int, int] = {}
    for alarm in found.alarms:
        if not alarm.fdr_pass:
            continue
        if alarm.hour - last.get(alarm.series, -WEEK_H) >= WEEK_H:
            told.append((alarm.series, alarm.hour))
        last[alarm.series] = alarm.hour
    return told


def _scan(feedback: Feedback, *, first_day: int, until: int, series: int = FAMILY) -> Scan:
    complaint = feedback.category >= 0
    own = feedback.hours[complaint]
    return scan(
        SeriesData(
            hours=own,
            weight=np.ones(len(own)),
            all_hours=feedback.hours,
            all_weight=np.ones(len(feedback.hours)),
            member_row=np.arange(len(own)),
            member_series=feedback.category[complaint],
            testable=np.ones(len(own), dtype=np.bool_),
            ready=np.zeros(series, dtype=np.int64),
        ),
        since=first_day * 24,
        until=until,
        first_day=first_day,
        family=series,
        false_alarms=1.0,
        q=0.1,
    )


def _print_starts(apps: dict[str, pa.Table]) -> None:
    """Print each star that begins to be collected, told from the days before and seen afterwards."""
    print("\n| app | star | told on | a day in the 28 days before | in the 28 days from it on |")
    print("|---|---|---|---|---|")
    for app, rows in apps.items():
        days = rows.column("event_time").cast(pa.int64()).to_numpy() // HOUR_US // 24
        rating = rows.column("rating").to_numpy()
        for star in STARS:
            told_until = -1
            for day in starts_of_collection(days, rating == star):
                if day < told_until:
                    continue
                told_until = day + 28
                before, after = (_a_day(days[rating == star], d) for d in (day - 28, day))
                at = np.datetime64(int(day), "D")
                print(f"| {app} | {star:.0f} | {at} | {before:.2f} | {after:.2f} |")


def _a_day(days: Ints, first: int) -> float:
    return float(((days >= first) & (days < first + 28)).sum() / 28.0)


def _print_speed() -> None:
    """Print the seconds of one look over 20,000 series, and of a year's looks at 100,000 reviews."""
    rng = np.random.default_rng(1)
    rates: Floats = np.exp(rng.uniform(log(0.02), log(0.5), 20_000))
    hours, series = [], []
    for own, rate in enumerate(rates):
        count = int(rng.poisson(rate * 90))
        hours.append(rng.integers(0, 90 * 24, count))
        series.append(np.full(count, own))
    many = _ordered(np.concatenate(hours) + 19_000 * 24, np.concatenate(series))
    end = 19_000 * 24 + 90 * 24 - 1
    # Every series has a complaint in the last hour, so that each is looked at.
    last = Feedback(
        np.append(many.hours, np.full(20_000, end)), np.append(many.category, np.arange(20_000))
    )
    _time_look(last, end)
    year = _ordered(rng.integers(0, 365 * 24, 100_000) + 19_000 * 24, rng.integers(-4, 40, 100_000))
    began = time.process_time()
    found = _scan(year, first_day=19_000, until=int(year.hours[-1]), series=40)
    seconds = time.process_time() - began
    print(f"a year of 100,000 reviews, 40 series: {found.looks:,} looks in {seconds:.1f} s")


def _time_look(feedback: Feedback, end: int) -> None:
    from closeloop.stats.series import product_baselines

    complaint = feedback.category >= 0
    data = SeriesData(
        hours=feedback.hours[complaint],
        weight=np.ones(int(complaint.sum())),
        all_hours=feedback.hours,
        all_weight=np.ones(len(feedback.hours)),
        member_row=np.arange(int(complaint.sum())),
        member_series=feedback.category[complaint],
        testable=np.ones(int(complaint.sum()), dtype=np.bool_),
        ready=np.zeros(20_000, dtype=np.int64),
    )
    folded, whole = [], []
    for _ in range(REPEATS):
        began = time.process_time()
        product_baselines(data, first_day=19_000, last_day=end // 24)
        folded.append(time.process_time() - began)
        began = time.process_time()
        found = scan(
            data, since=end, until=end, first_day=19_000, family=20_000, false_alarms=1.0, q=0.1
        )
        whole.append(time.process_time() - began)
    print(
        f"\n{found.looks:,} series, 90 days: baselines {min(folded):.2f} s (once a day), "
        f"a look {min(whole) - min(folded):.2f} s (the quickest of {REPEATS})"
    )


if __name__ == "__main__":
    main()
