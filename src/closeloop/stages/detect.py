"""Detect: hourly series of complaints, the alarms in them, the release watch; signals that last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import StepContext
from closeloop.stages.product_view import ProductView, hour_of, product_view, time_of
from closeloop.stages.watch import release_alarms
from closeloop.stats.baseline import HISTORY_DAYS
from closeloop.stats.scan import Alarm, SeriesData, scan
from closeloop.tables import ENRICHMENT, SERIES, SIGNAL, THEME

NAME = "detect"

THEME_MATURE = timedelta(days=14)
"""A theme stands on its own once it is this old; before, its category speaks for it."""
LOOK_BACK_H = 72
"""Rows that come late touch the looks of so many hours after them."""
MAX_IDS = 500
GROWN = 1.25
"""A lasting signal is written again when its count has grown by a quarter."""
TICKET_LABELS = "calibration"


def run(context: StepContext) -> None:
    """Restate the touched hours of gold.series and raise or update signals."""
    new = context.new_rows(ENRICHMENT, columns=["feedback_id", "product", "event_time"])
    context.new_rows(THEME, columns=["theme_id"])
    if new.num_rows == 0:
        return
    first = new.group_by("product").aggregate([("event_time", "min")]).to_pylist()
    for row in sorted(first, key=lambda r: str(r["product"])):
        _product(context, row["product"], row["event_time_min"])


def _product(context: StepContext, product: str, first_new: datetime) -> None:
    full = hour_of(context.now) - hour_of(first_new) > 30 * 24
    since = None if full else context.now - timedelta(days=HISTORY_DAYS)
    view = product_view(context, product, since=since)
    if len(view.hours) == 0:
        return
    names, data = _series(context, view)
    start = (
        hour_of(first_new) if full else max(hour_of(first_new), hour_of(context.now) - LOOK_BACK_H)
    )
    policy = context.config.policy
    found = scan(
        data,
        since=start,
        until=hour_of(context.now),
        first_day=int(view.hours[0]) // 24,
        family=max(data.series, 1),
        false_alarms=policy.false_alarms_per_month,
        q=policy.fdr,
    )
    _write_series(context, view, names, data, start)
    book = SignalBook(context, view)
    for alarm in sorted(found.alarms, key=lambda a: (a.hour, a.series)):
        book.take_alarm(
            names[alarm.series], alarm, family=data.series, members=_rows_of(data, alarm.series)
        )
    for watch in release_alarms(context, view, since=start):
        book.take_release(watch)
    book.write()


def _series(context: StepContext, view: ProductView) -> tuple[list[tuple[str, str]], SeriesData]:
    """Return the tested series (kind, id) and their complaints."""
    complaints = np.flatnonzero(view.complaint)
    position = np.full(len(view.hours), -1, dtype=np.int64)
    position[complaints] = np.arange(len(complaints))
    names: list[tuple[str, str]] = []
    series, rows = [], []
    categories = view.category[complaints]
    for name in sorted({c for c in categories if c}):
        at = np.flatnonzero(categories == name)
        series.append(np.full(len(at), len(names)))
        rows.append(at)
        names.append(("category", str(name)))
    own = view.theme[complaints]
    formed = np.asarray(
        pc.fill_null(view.rows.column("formed_theme"), fill_value=False).to_numpy(
            zero_copy_only=False
        ),
        dtype=bool,
    )[complaints]
    for theme in _themes(context, view.product):
        at = np.flatnonzero(own == theme["theme_id"])
        # The texts that formed a theme in its last week are why it exists: no evidence for it.
        recent = view.hours[complaints][at] >= hour_of(theme["born_at"]) - 168
        at = at[~(formed[at] & recent)]
        if len(at):
            series.append(np.full(len(at), len(names)))
            rows.append(at)
            names.append(("theme", theme["theme_id"]))
    empty = np.zeros(0, dtype=np.int64)
    members = np.concatenate(rows).astype(np.int64) if rows else empty
    return names, SeriesData(
        hours=view.hours[complaints],
        weight=np.ones(len(complaints)),
        member_series=np.concatenate(series).astype(np.int64) if series else empty,
        member_row=members,
        series=len(names),
        testable=view.testable[complaints][members],
    )


def _themes(context: StepContext, product: str) -> list[dict[str, Any]]:
    rows = context.rows(
        THEME,
        columns=["theme_id", "born_at", "first_seen", "merged_into", "content_free"],
        where=[("product", "=", product)],
    ).to_pylist()
    return sorted(
        (
            r
            for r in rows
            if r["merged_into"] is None
            and not r["content_free"]
            and r["born_at"] is not None
            and context.now - (r["first_seen"] or r["born_at"]) >= THEME_MATURE
        ),
        key=lambda r: str(r["theme_id"]),
    )


def _rows_of(data: SeriesData, series: int) -> np.ndarray:
    return np.asarray(data.member_row[data.member_series == series])


def _write_series(
    context: StepContext,
    view: ProductView,
    names: list[tuple[str, str]],
    data: SeriesData,
    start: int,
) -> None:
    """Restate the hours since `start` of every series, and of the product's total."""
    hours = data.hours[data.member_row]
    touched = hours >= start
    if not touched.any():
        return
    pairs, counts = np.unique(
        np.stack([data.member_series[touched], hours[touched]], axis=1), axis=0, return_counts=True
    )
    total_hours, total_counts = np.unique(data.hours[data.hours >= start], return_counts=True)
    kinds = np.asarray([k for k, _ in names], dtype=object)
    ids = np.asarray([i for _, i in names], dtype=object)
    all_hours = np.concatenate([pairs[:, 1], total_hours])
    rows = pa.table(
        {
            "product": pa.repeat(pa.scalar(view.product), len(all_hours)),
            "series_kind": pa.array([*kinds[pairs[:, 0]], *["total"] * len(total_hours)]),
            "series_id": pa.array([*ids[pairs[:, 0]], *["all"] * len(total_hours)]),
            "hour": pa.array(all_hours * 3_600_000_000, pa.int64()).cast(pa.timestamp("us", "UTC")),
            "count": pa.array(np.concatenate([counts, total_counts])),
        }
    )
    context.merge(SERIES, SERIES.conform(rows))


class SignalBook:
    """The signals of one product: keeps one a problem while it lasts, and writes what changed."""

    def __init__(self, context: StepContext, view: ProductView) -> None:
        self._context = context
        self._view = view
        self._complaints = np.flatnonzero(view.complaint)
        held = context.rows(SIGNAL, where=[("product", "=", view.product)]).to_pylist()
        self._held: dict[tuple[str, str], dict[str, Any]] = {}
        for row in sorted(held, key=lambda r: r["window_end"]):
            self._held[(row["kind"], row["series_id"])] = row
        self._changed: dict[str, dict[str, Any]] = {}
        self._calibrated = _calibrated(context)

    def take_alarm(
        self,
        name: tuple[str, str],
        alarm: Alarm,
        *,
        family: int,
        members: np.ndarray,
    ) -> None:
        """Open a signal for an alarm, or let the one that lasts grow."""
        kind, series_id = name
        end = time_of(alarm.hour + 1)
        start = time_of(alarm.hour + 1 - alarm.window_h)
        before = self._lasting(kind, series_id, end)
        rows = self._complaints[members]
        rows = rows[self._view.testable[rows]]
        fresh: dict[str, Any] = {
            "count": round(alarm.count),
            "baseline": alarm.expected,
            "window_start": start,
        }
        if before is not None:
            hours = max((end - before["window_start"]) / timedelta(hours=1), 1.0)
            fresh["window_start"] = min(start, before["window_start"])
            fresh["baseline"] = max(
                float(before["baseline"]), alarm.expected * max(hours / alarm.window_h, 1.0)
            )
        inside = self._inside(rows, fresh["window_start"], end)
        fresh["count"] = len(inside)
        known_end = min(end, self._context.now)
        self._put(
            before,
            {
                **fresh,
                "kind": kind,
                "series_id": series_id,
                "theme_id": series_id if kind == "theme" else None,
                "category": series_id if kind == "category" else self._main_category(inside),
                "window_end": known_end if known_end > fresh["window_start"] else end,
                "count_6h": round(alarm.count_6h),
                "baseline_6h": alarm.expected_6h,
                "detector": "shiryaev-roberts",
                "evidence": alarm.evidence,
                "threshold": alarm.threshold,
                "family_size": family,
                "fdr_pass": alarm.fdr_pass,
                **self._confidence(kind, inside),
            },
            inside,
            at=end,
        )

    def take_release(self, watch: Mapping[str, Any]) -> None:
        """Open or update the signal of a version that the release watch raised."""
        before = self._lasting("release", watch["version"], watch["at"])
        inside = np.asarray(watch["rows"], dtype=np.int64)
        self._put(
            before,
            {
                "kind": "release",
                "series_id": watch["version"],
                "version": watch["version"],
                "category": self._main_category(inside),
                "window_start": watch["start"],
                "window_end": watch["at"],
                "count": watch["low"],
                "baseline": watch["expected"],
                "count_6h": watch["low_6h"],
                "baseline_6h": watch["expected_6h"],
                "detector": "release-watch",
                "evidence": watch["evidence"],
                "threshold": watch["threshold"],
                "family_size": watch["family"],
                "fdr_pass": watch["evidence"] >= watch["family"] / self._context.config.policy.fdr,
                "reviews_exposed": watch["reviews"],
                "reviews_unexposed": watch["others"],
                "confidence": None,
                "confidence_calibrated": False,
            },
            inside,
            at=watch["at"],
        )

    def write(self) -> None:
        """Write what changed."""
        rows = list(self._changed.values())
        if not rows:
            return
        self._context.merge(SIGNAL, SIGNAL.from_rows(rows))
        historic = sum(bool(r["historic"]) for r in rows)
        if historic:
            self._context.count("historic_signals", historic)
        if len(rows) > historic:
            self._context.count("signals", len(rows) - historic)

    def _lasting(self, kind: str, series_id: str, at: datetime) -> dict[str, Any] | None:
        row = self._held.get((kind, series_id))
        if row is None or at > row["window_end"] + self._context.config.policy.snooze:
            return None
        return row

    def _put(
        self,
        before: dict[str, Any] | None,
        fresh: dict[str, Any],
        inside: np.ndarray,
        *,
        at: datetime,
    ) -> None:
        historic = self._historic(inside)
        if before is not None and before["historic"] and not historic:
            before = None
        if before is not None and not (
            fresh["count"] >= GROWN * before["count"]
            or (fresh["fdr_pass"] and not before["fdr_pass"])
        ):
            return
        newest = inside[-MAX_IDS:]
        row = {
            **(before or {}),
            **fresh,
            "product": self._view.product,
            "ratio": fresh["count"] / max(fresh["baseline"], 0.5),
            "evidence": max(fresh["evidence"], before["evidence"] if before else 0.0),
            "fdr_pass": bool(fresh["fdr_pass"] or (before and before["fdr_pass"])),
            "authors": self._authors(inside),
            "feedback_ids": self._view.ids(newest),
            "historic": historic,
        }
        if before is None:
            row["detected_at"] = min(at, self._context.now) if historic else self._context.now
            row["signal_id"] = _signal_id(
                self._view.product, fresh["kind"], fresh["series_id"], fresh["window_start"]
            )
        self._held[(fresh["kind"], fresh["series_id"])] = row
        self._changed[row["signal_id"]] = row

    def _inside(self, rows: np.ndarray, start: datetime, end: datetime) -> np.ndarray:
        hours = self._view.hours[rows]
        return np.asarray(rows[(hours >= hour_of(start)) & (hours < hour_of(end))])

    def _historic(self, inside: np.ndarray) -> bool:
        flags = self._view.rows.column("backfill").take(pa.array(inside[-20:])).to_pylist()
        return bool(flags) and all(bool(f) for f in flags)

    def _authors(self, inside: np.ndarray) -> int:
        keys = self._view.rows.column("author_key").take(pa.array(inside)).to_pylist()
        unknown = sum(k is None for k in keys)
        return len({k for k in keys if k is not None}) + unknown

    def _main_category(self, inside: np.ndarray) -> str | None:
        complaints = {c.name for c in self._context.config.taxonomy.categories if c.complaint}
        named = [str(c) for c in self._view.category[inside] if c in complaints]
        return max(sorted(set(named)), key=named.count) if named else None

    def _confidence(self, kind: str, inside: np.ndarray) -> dict[str, Any]:
        column = "theme_confidence" if kind == "theme" else "category_confidence"
        values = self._view.rows.column(column).take(pa.array(inside))
        mean = pc.mean(values).as_py()
        return {"confidence": mean, "confidence_calibrated": self._calibrated}


def _calibrated(context: StepContext) -> bool:
    blob = context.state(TICKET_LABELS)
    if not blob:
        return False
    found = json.loads(blob)
    return int(found.get("labels", 0)) >= int(
        found.get("needed", context.config.policy.labels_for_autonomy)
    )


def _signal_id(product: str, kind: str, series_id: str, start: datetime) -> str:
    key = "\x1f".join((product, kind, series_id, start.isoformat()))
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
