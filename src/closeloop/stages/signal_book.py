"""The signals of one product: one a problem while it lasts, written when there is news of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.signal import KEPT_IDS, SignalKind
from closeloop.ports import StepContext
from closeloop.stages.product_view import Cell, ProductView, hour_of, time_of
from closeloop.stages.subject import beside
from closeloop.stages.theme_audit import theme_shares
from closeloop.stages.voices import oddities, voices_of
from closeloop.stages.watch import RaisedRelease
from closeloop.stats.baseline import Baselines, Ints
from closeloop.stats.episodes import LASTS_H, Fate, fate
from closeloop.stats.evidence import LEAST_USUAL, e_bh
from closeloop.stats.scan import Alarm
from closeloop.tables import SIGNAL

SERIES_DETECTOR = "shiryaev-roberts"
PEAK_DETECTOR = "daily-peaks"
RELEASE_DETECTOR = "release-watch"
GROWN = 1.25
"""A lasting signal is written again when its count has grown by a quarter."""
MIN_SHARE = 1 / 3
"""A complaint category that this part of a signal's complaints have names it, whatever else they are."""
CALIBRATION = "calibration"
"""State of the learn step: what people's labels say, per product and category."""

Row = dict[str, Any]


class SignalBook:
    """Takes a product's alarms in order of time and keeps one row of gold.signal a problem."""

    def __init__(self, context: StepContext, view: ProductView) -> None:
        self._context = context
        self._view = view
        held = context.rows(SIGNAL, where=[("product", "=", view.product)]).to_pylist()
        self._stored: dict[str, Row] = {row["signal_id"]: row for row in held}
        self._of_series: dict[tuple[str, str], set[str]] = {}
        for row in held:
            self._of_series.setdefault((row["kind"], row["series_id"]), set()).add(row["signal_id"])
        self._changed: dict[str, Row] = {}
        self._backfill = view.flags("backfill")
        self._voices = voices_of(view.rows, view.hours)

    def take_alarm(
        self,
        key: tuple[str, str],
        alarm: Alarm,
        *,
        family: int,
        rows: Ints,
        baselines: Baselines,
    ) -> None:
        """Raise a signal for an alarm, or let the one that lasts grow.

        `rows` of the view are all complaints that count as evidence for the series.
        """
        kind, series_id = key
        end = alarm.hour + 1
        if self._began_before(kind, series_id, end):
            return
        held = self._known(kind, series_id, time_of(end))
        found = Fate.BEGINS if held is None else self._fate(held, alarm)
        if found is Fate.PASSED_OVER:
            return
        before = held if found is Fate.CONTINUES else None
        start = hour_of(before["window_start"]) if before else end - alarm.window_h
        span = np.arange(start, end)
        inside = self._inside(rows, start, end)
        self._put(
            before,
            {
                "kind": kind,
                "series_id": series_id,
                "theme_id": series_id if kind == SignalKind.THEME else None,
                "category": series_id if kind == SignalKind.CATEGORY else self._category(inside),
                "window_start": time_of(start),
                "window_end": time_of(end),
                "count": len(inside),
                "baseline": _expected(alarm, baselines, span),
                "count_6h": len(self._inside(rows, end - 6, end)),
                "baseline_6h": alarm.expected_6h,
                "share": alarm.share,
                "usual_share": alarm.usual_share,
                "exposure_ratio": alarm.exposure_ratio,
                "detector": PEAK_DETECTOR if alarm.peak else SERIES_DETECTOR,
                "evidence": alarm.evidence,
                "threshold": alarm.threshold,
                "family_size": family,
                "fdr_pass": alarm.fdr_pass,
            },
            inside,
        )

    def _fate(self, held: Row, alarm: Alarm) -> Fate:
        """Return what becomes of an alarm of a series that was raised before."""
        end = alarm.hour + 1
        return fate(
            hours_since_last=(time_of(end) - held["window_end"]) / timedelta(hours=1),
            stands_apart=time_of(end - alarm.window_h) >= held["window_end"],
            snooze_h=self._context.config.policy.snooze / timedelta(hours=1),
            count=alarm.count,
            evidence=alarm.evidence,
            count_before=held["count"],
            evidence_before=held["evidence"],
        )

    def take_release(self, raised: RaisedRelease) -> None:
        """Raise a signal for a version, or let it grow: a version is raised once."""
        kind = SignalKind.RELEASE.value
        before = max(self._signals(kind, raised.version), key=_lasted_until, default=None)
        q = self._context.config.policy.fdr
        evidence = np.array([raised.evidence])
        self._put(
            before,
            {
                "kind": kind,
                "series_id": raised.version,
                "version": raised.version,
                "category": self._category(raised.rows),
                "window_start": time_of(raised.start),
                "window_end": time_of(raised.end),
                "count": len(raised.rows),
                "baseline": raised.expected,
                "count_6h": raised.count_6h,
                "baseline_6h": raised.expected_6h,
                "detector": RELEASE_DETECTOR,
                "evidence": raised.evidence,
                "threshold": raised.threshold,
                "family_size": raised.family,
                "fdr_pass": bool(e_bh(evidence, family=raised.family, q=q)[0]),
                "reviews_exposed": raised.reviews,
                "reviews_unexposed": raised.others,
            },
            raised.rows,
        )

    def write(self) -> None:
        """Write what changed to gold.signal."""
        rows = [self._changed[i] for i in sorted(self._changed)]
        if not rows:
            return
        calibration = _calibration(self._context)
        needed = self._context.config.policy.labels_for_autonomy
        audited = theme_shares(self._context, rows)
        for row in rows:
            precision, labels = calibration.get((row["product"], row["category"]), (None, 0))
            row["confidence_calibrated"] = labels >= needed and row["confidence"] is not None
            if row["confidence_calibrated"]:
                row["confidence"] = precision
            if row.get("theme_id") in audited:
                row["confidence"] = audited[row["theme_id"]]
        self._context.merge(SIGNAL, SIGNAL.from_rows(rows))
        historic = sum(bool(r["historic"]) for r in rows)
        if historic:
            self._context.count("historic_signals", historic)
        if len(rows) > historic:
            self._context.count("signals", len(rows) - historic)

    def _signals(self, kind: str, series_id: str) -> list[Row]:
        return [self._stored[i] for i in self._of_series.get((kind, series_id), ())]

    def _known(self, kind: str, series_id: str, end: datetime) -> Row | None:
        """Return the newest signal of a series, but for those that began after this alarm.

        Rows that are restated (a theme, a late text) bring hours up again that were looked at:
        their alarms belong to the signal of that time, whatever has come since.
        """
        begun = (r for r in self._signals(kind, series_id) if r["window_start"] < end)
        return max(begun, key=_lasted_until, default=None)

    def _began_before(self, kind: str, series_id: str, end: int) -> bool:
        """Whether an alarm is how a problem began that is live already, under a later window."""
        return any(
            not row["historic"] and 0 <= hour_of(row["window_start"]) - end < LASTS_H
            for row in self._signals(kind, series_id)
        )

    def _put(self, before: Row | None, fresh: Row, inside: Ints) -> None:
        historic = self._historic(inside, fresh["window_end"])
        signal_id = _signal_id(
            self._view.product, fresh["kind"], fresh["series_id"], fresh["window_start"]
        )
        if before is None and not historic:
            # A later signal of the series is held, and this alarm is how an earlier one began:
            # that one goes on, with the time it was found and the problem it belongs to.
            stored = self._stored.get(signal_id)
            before = stored if stored is not None and not stored["historic"] else None
        if before is not None and before["historic"] and not historic:
            # What is going on now is news, also where it began in what was taken in as history.
            before = None
        if before is not None and historic and not before["historic"]:
            return
        if before is not None and not _news(before, fresh):
            return
        row = {
            **(before or {}),
            **fresh,
            "product": self._view.product,
            "ratio": fresh["count"] / max(fresh["baseline"], LEAST_USUAL),
            "authors": self._authors(inside),
            **self._trust(fresh, inside),
            "feedback_ids": self._view.ids(inside[-KEPT_IDS:]),
            "confidence": self._confidence(fresh["kind"], inside),
            "historic": historic,
        }
        if before is None:
            end = fresh["window_end"]
            row["detected_at"] = min(end, self._context.now) if historic else self._context.now
            row["signal_id"] = signal_id
        else:
            row["evidence"] = max(fresh["evidence"], before["evidence"])
            row["fdr_pass"] = bool(fresh["fdr_pass"] or before["fdr_pass"])
            row["window_end"] = max(fresh["window_end"], before["window_end"])
        key = (fresh["kind"], fresh["series_id"])
        self._of_series.setdefault(key, set()).add(row["signal_id"])
        self._stored[row["signal_id"]] = self._changed[row["signal_id"]] = row

    def _inside(self, rows: Ints, start: int, end: int) -> Ints:
        hours = self._view.hours[rows]
        return np.asarray(rows[(hours >= start) & (hours < end)])

    def _historic(self, inside: Ints, end: datetime) -> bool:
        """Whether it is too late to act: the last days' complaints backfilled, or the alarm days old.

        A slow rise may have begun in history; what counts is whether it goes on.
        """
        if end < self._context.now - timedelta(hours=LASTS_H):
            return True
        recent = inside[self._view.hours[inside] >= hour_of(end) - LASTS_H]
        return bool(len(recent)) and bool(self._backfill[recent].mean() > 0.5)

    def _authors(self, inside: Ints) -> int:
        keys = self._view.rows.column("author_key").take(pa.array(inside))
        return int(pc.count_distinct(keys, mode="only_valid").as_py()) + int(keys.null_count)

    def _trust(self, fresh: Row, inside: Ints) -> Row:
        """Return how far the complaints count, and what is odd about them in words.

        The mean weight of their voices, times the part of the burst that is about the signal's
        subject: a theme's texts are alike and a version's stars have no subject, so that part is
        taken for categories and their cells only.
        """
        said = oddities(self._voices, inside)
        if len(inside) == 0:
            return {"trust": None, "oddities": said}
        trust = float(self._view.weight[inside].mean())
        if fresh["kind"] in (SignalKind.CATEGORY, SignalKind.SEGMENT):
            cell = Cell.of(fresh["series_id"]) if fresh["kind"] == SignalKind.SEGMENT else None
            rest = beside(
                self._view,
                start=hour_of(fresh["window_start"]),
                end=hour_of(fresh["window_end"]),
                inside=self._view.coded(cell.column).equal(cell.value) if cell else None,
            )
            own = len(inside) - fresh["baseline"]
            trust *= rest.share(own)
            said += [words for words in (rest.said(own),) if words]
        return {"trust": trust, "oddities": said}

    def _category(self, inside: Ints) -> str | None:
        """Return what is complained of most: the category that most of the complaints have.

        A text with several complaint categories counts in each: "other" as its main one must not
        hide what it complains of. A category that is no complaint names a signal only where it is
        the main one of more texts than any complaint category has, and none has a third of them.
        """
        view = self._view
        told = np.zeros(len(view.hours), dtype=np.bool_)
        told[inside] = view.complaint[inside]
        if not told.any():
            return None
        codes = view.category.codes[told]
        sizes = np.bincount(codes[codes >= 0], minlength=len(view.category.names)).tolist()
        main = Counter(dict(zip(view.category.names, sizes, strict=True)))
        complained = {c.name for c in self._context.config.taxonomy.categories if c.complaint}
        held = {n: int(told[rows].sum()) for n, rows in view.in_category.items() if n in complained}
        best = max(sorted(held), key=lambda n: (held[n], main[n]))
        idle = max(sorted(main.keys() - complained), key=lambda n: main[n], default=best)
        enough = min(MIN_SHARE * int(told.sum()), main[idle])
        return best if held[best] >= enough else idle

    def _confidence(self, kind: str, inside: Ints) -> float | None:
        """Return the mean confidence that the complaints belong here; a release needs none."""
        if kind == SignalKind.RELEASE:
            return None
        column = "theme_confidence" if kind == SignalKind.THEME else "category_confidence"
        mean = pc.mean(self._view.rows.column(column).take(pa.array(inside))).as_py()
        return None if mean is None else float(mean)


def _expected(alarm: Alarm, baselines: Baselines, span: Ints) -> float:
    """Return the complaints expected in the hours of a signal, from its baseline once there is one."""
    if alarm.by_hour is not None:
        return float(np.take(alarm.by_hour, span % 24).sum())
    return float(baselines.hourly(alarm.series, span).sum())


def _lasted_until(row: Row) -> tuple[datetime, str]:
    return row["window_end"], row["signal_id"]


def _news(before: Row, fresh: Row) -> bool:
    return bool(
        fresh["count"] >= GROWN * before["count"] or (fresh["fdr_pass"] and not before["fdr_pass"])
    )


def _calibration(context: StepContext) -> dict[tuple[str, str], tuple[float | None, int]]:
    """Return (share right, labels) by product and category, as the learn step left it."""
    blob = context.state(CALIBRATION)
    if not blob:
        return {}
    return {
        (s["product"], s["category"]): (s["precision"], int(s["labels"]))
        for s in json.loads(blob).get("standings", [])
    }


def _signal_id(product: str, kind: str, series_id: str, start: datetime) -> str:
    key = "\x1f".join((product, kind, series_id, start.isoformat()))
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
