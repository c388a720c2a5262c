"""What each source of a product delivers, and when that was less, capped, late or new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.source_health import Ailment, Episode
from closeloop.stages.product_view import (
    HOUR_US,
    STARS,
    Bools,
    Coded,
    ProductView,
    coded,
    time_of,
)
from closeloop.stats.baseline import HOURS_A_WEEK, Baselines, Floats, Ints, baselines, hour_of_week
from closeloop.stats.release_watch import capped
from closeloop.stats.shortfall import (
    MIN_HISTORY_DAYS,
    TO_NOTHING,
    Shortfall,
    at_ceiling,
    shortfalls,
)

DELIVERY_COLUMNS = ("source", "event_time", "ingested_at", "rating", "backfill")
RHYTHM_DAYS = 28
"""Days of deliveries that say how late a source usually is."""
RHYTHM_ROWS, RHYTHM_TIMES = 20, 3
LATEST = 0.95
"""What a source delivers within so many hours in 95 cases of 100 should be there by then."""
MIN_A_DAY = 0.5
"""Of a source with less nothing can be said within weeks."""
STAR_A_DAY = 1.0
LATE_DAYS, LATE_ROWS = 7, 20
CAP_DAYS, CEILING_DAYS = 45, 28
LOOK_BACK_H = 15 * 24
"""A shortfall that lasts shows itself at every hour: so far back its beginning is looked for."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came for one product [rows]: source, hour of the event, hour of arrival (-1: unknown)."""

    source: Coded
    hours: Ints
    arrived: Ints
    rating: Floats
    backfill: Bools


def delivery_of(rows: pa.Table, hours: Ints) -> Delivery:
    """Return the deliveries of rows of silver.feedback; `hours` of their events since 1970."""
    micros = pc.fill_null(rows.column("ingested_at").cast(pa.int64()), -1).to_numpy()
    rating = pc.fill_null(rows.column("rating"), float("nan")).to_numpy()
    backfill = pc.fill_null(rows.column("backfill"), fill_value=False)
    return Delivery(
        source=coded(rows.column("source")),
        hours=hours,
        arrived=np.where(micros < 0, -1, micros // HOUR_US).astype(np.int64),
        rating=np.asarray(rating, dtype=np.float64),
        backfill=np.asarray(backfill.to_numpy(zero_copy_only=False), dtype=np.bool_),
    )


def source_episodes(delivery: Delivery, *, since: int, now: int) -> list[Episode]:
    """Return how each source ailed from 15 days before `since` on, as far as can be told by `now`.

    A source is judged up to its newest row, and beyond it as far as what it delivers should have
    come by now, going by how late it came in the last 28 days (by nothing where that is unknown).
    """
    found: list[Episode] = []
    for code, name in enumerate(delivery.source.names):
        own = np.flatnonzero(delivery.source.codes == code)
        found += _episodes(name, delivery, own, since=since, now=now)
    return sorted(found, key=lambda e: (e.since, e.source, e.ailment, e.stratum))


def health_of(view: ProductView, *, since: int, now: int) -> list[Episode]:
    """Return the ailing sources of a product's view, see source_episodes."""
    return source_episodes(delivery_of(view.rows, view.hours), since=since, now=now)


def new_strata(view: ProductView) -> list[Episode]:
    """Return the strata of a product that have begun to be collected, of whatever source."""
    return [
        Episode(
            source="",
            ailment=Ailment.BEGINS,
            since=s.since,
            until=s.until,
            observed=float((s.member & (view.hours >= s.since) & (view.hours < s.until)).sum()),
            expected=0.0,
            reason=f"{s.column} {s.value} has only been collected since {_said(s.since)}",
            stratum=f"{s.column}={s.value}",
        )
        for s in view.suspensions
    ]


def reasons_against(episodes: Sequence[Episode], what: str, *, since: int, until: int) -> list[str]:
    """Return why a verdict on the hours [since, until) is suspended; empty where it is not."""
    return [e.reason for e in episodes if what in e.suspends and e.overlaps(since, until)]


def _episodes(name: str, delivery: Delivery, own: Ints, *, since: int, now: int) -> list[Episode]:
    hours, rating = delivery.hours[own], delivery.rating[own]
    first_day, newest = int(hours.min()) // 24, int(hours.max())
    late = _usual_delay(delivery, own, now)
    end = newest + 1 if late is None else max(newest + 1, now - late)
    days = (end - 1) // 24 - first_day + 1
    found = _backfilled(name, delivery, own, now=now)
    if days < MIN_HISTORY_DAYS or len(own) < MIN_A_DAY * days:
        return found
    strata = [("", np.ones(len(own), dtype=np.bool_))]
    for star in STARS:
        member = np.asarray(rating == star)
        if member.sum() >= STAR_A_DAY * days:
            strata.append((f"rating={star:.0f}", member))
    counts = [
        np.bincount(hours[m] - first_day * 24, minlength=days * 24).astype(np.float64)
        for _, m in strata
    ]
    known = _baselines(counts, first_day, days)
    begin = max(since - LOOK_BACK_H, first_day * 24)
    whole: list[Shortfall] = []
    for column, (stratum, _) in enumerate(strata):
        ratios = {"ratios": TO_NOTHING} if stratum else {}
        judged = counts[column][: end - first_day * 24]
        gaps = shortfalls(judged, known, column=column, since=begin, **ratios)
        gaps = [g for g in gaps if not _within(g, whole)]
        if not stratum:
            whole = gaps
        found += [_told(name, stratum, g) for g in gaps]
    return found + _capped(name, strata, counts, first_day=first_day, now=now)


def _baselines(counts: Sequence[Floats], first_day: int, days: int) -> Baselines:
    daily = np.stack([c.reshape(days, 24).sum(axis=1) for c in counts], axis=1)
    weekly = np.zeros((days, HOURS_A_WEEK))
    hour = hour_of_week(np.arange(first_day * 24, (first_day + days) * 24)).reshape(days, 24)
    weekly[np.arange(days)[:, None], hour] = counts[0].reshape(days, 24)
    all_twice = np.repeat(daily[:, :1], 2, axis=1)
    return baselines(np.concatenate([daily, all_twice], axis=1), weekly, first_day=first_day)


def _usual_delay(delivery: Delivery, own: Ints, now: int) -> int | None:
    """Return after how many hours 95 of 100 rows are there; None where too few came to tell."""
    arrived = delivery.arrived[own]
    known = (arrived >= now - RHYTHM_DAYS * 24) & ~delivery.backfill[own]
    if known.sum() < RHYTHM_ROWS or len(np.unique(arrived[known])) < RHYTHM_TIMES:
        return None
    delay = np.maximum(arrived[known] - delivery.hours[own][known], 0)
    return int(np.ceil(np.quantile(delay, LATEST))) + 1


def _within(gap: Shortfall, others: Sequence[Shortfall]) -> bool:
    """Whether all was short at the same time: then that one star was is no news."""
    return any(
        (o.until is None or o.until > gap.since) and (gap.until is None or gap.until > o.since)
        for o in others
    )


def _told(name: str, stratum: str, gap: Shortfall) -> Episode:
    until = "" if gap.until is None else f" to {_said(gap.until)}"
    if stratum:
        ailment, what = Ailment.MISSING, f"delivered no {stratum.replace('=', ' ')}"
    elif gap.silent:
        ailment, what = Ailment.SILENT, "delivered nothing"
    else:
        ailment, what = Ailment.PARTIAL, f"delivered only {gap.observed:.0f}"
    return Episode(
        source=name,
        ailment=ailment,
        since=gap.since,
        until=gap.until,
        observed=gap.observed,
        expected=gap.expected,
        reason=f"{name} {what} from {_said(gap.since)}{until} ({gap.expected:.0f} usual)",
        stratum=stratum,
    )


def _capped(
    name: str,
    strata: Sequence[tuple[str, Bools]],
    counts: Sequence[Floats],
    *,
    first_day: int,
    now: int,
) -> list[Episode]:
    """Return the strata whose last weeks stop at a largest number, or are too even for people.

    One that has delivered nothing in the last 28 days is silent, whatever its counts were before.
    """
    found = []
    for (stratum, _), hourly in zip(strata, counts, strict=True):
        last = now + 1 - first_day * 24
        daily = hourly.reshape(-1, 24).sum(axis=1)[: max(now // 24 - first_day, 0)]
        recent = hourly[max(last - CEILING_DAYS * 24, 0) : last]
        if len(daily) < MIN_HISTORY_DAYS or not recent.any():
            continue
        even = capped(daily[-CAP_DAYS:])
        if not even and not at_ceiling(recent) and not at_ceiling(daily[-CAP_DAYS:]):
            continue
        what = f"{name} {stratum.replace('=', ' ')}".strip()
        size = f"{daily[-CAP_DAYS:].max():.0f} a day or {recent.max():.0f} an hour at most"
        found.append(
            Episode(
                source=name,
                ailment=Ailment.CAPPED,
                since=max(now // 24 - CAP_DAYS, first_day) * 24,
                until=None,
                observed=float(daily[-CAP_DAYS:].sum()),
                expected=0.0,
                reason=f"{what} stops at a limit of the collector ({size})",
                stratum=stratum,
            )
        )
    return found


def _backfilled(name: str, delivery: Delivery, own: Ints, *, now: int) -> list[Episode]:
    """Return what came in bulk, too late to act on, from a source that had delivered before."""
    arrived, late = delivery.arrived[own], delivery.backfill[own]
    known = arrived >= 0
    if not known.any():
        return []
    first = int(arrived[known].min())
    rows = own[late & (arrived >= now - LATE_DAYS * 24) & (arrived >= first + 24)]
    if len(rows) < LATE_ROWS:
        return []
    since, until = int(delivery.hours[rows].min()), int(delivery.hours[rows].max()) + 1
    return [
        Episode(
            source=name,
            ailment=Ailment.BACKFILLED,
            since=since,
            until=until,
            observed=float(len(rows)),
            expected=0.0,
            reason=f"{name} delivered {len(rows)} texts of {_said(since)} to {_said(until)} too "
            "late to act on: they train and raise nothing",
        )
    ]


def _said(hour: int) -> str:
    return f"{time_of(hour):%Y-%m-%d %H:%M} UTC"
