"""Finds all complaints that a signal rests on: its row keeps the ids of the newest only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.signal import Signal, SignalKind, share_complaints
from closeloop.ports import StepContext
from closeloop.stages.product_view import ProductView, hour_of, product_view
from closeloop.stages.severity_facts import USUAL_DAYS
from closeloop.stages.trouble import BASE_DAYS
from closeloop.stats.baseline import Ints
from closeloop.stats.change_point import WINDOW_H
from closeloop.stats.release_watch import LOW_STARS

HISTORY = timedelta(days=max(BASE_DAYS, USUAL_DAYS), hours=WINDOW_H)
"""So much before a signal's window is read where its complaints are looked at."""


def complaints_of_signals(context: StepContext, signals: Sequence[Signal]) -> SignalComplaints:
    """Return the complaints of signals of one product; reads the product's feedback of their time."""
    since = min(s.window_start for s in signals) - HISTORY
    return SignalComplaints(product_view(context, signals[0].product, since=since))


class SignalComplaints:
    """The complaints of signals of one product, as rows of its view; each signal is looked up once.

    The view has to reach HISTORY back from the oldest of the signals.
    """

    def __init__(self, view: ProductView) -> None:
        self.view = view
        self._found: dict[str, Ints] = {}

    def rows(self, signal: Mapping[str, Any]) -> Ints:
        """Return the rows of a signal's complaints, in order of time.

        Those of its series in [window_start, window_end), as it was detected. Ids that its row
        keeps count as well: what was told once stays told where a text has changed its theme since.
        """
        known = self._found.get(signal["signal_id"])
        if known is None:
            ids = pa.array(signal["feedback_ids"] or [], pa.string())
            kept = pc.is_in(self.view.rows.column("feedback_id"), value_set=ids)
            known = np.union1d(_in_window(self.view, signal), np.flatnonzero(np.asarray(kept)))
            self._found[signal["signal_id"]] = known
        return known

    def first_at(self, signal: Mapping[str, Any]) -> datetime | None:
        """Return when a signal's first complaint was made; None where it has none any more."""
        times = self.view.rows.column("event_time").take(pa.array(self.rows(signal)))
        first: datetime | None = pc.min(times).as_py()
        return first

    def shared(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Return whether two signals rest on the same complaints."""
        first, second = self.rows(one), self.rows(other)
        both = np.intersect1d(first, second, assume_unique=True)
        return share_complaints(len(both), len(first), len(second))


def _in_window(view: ProductView, signal: Mapping[str, Any]) -> Ints:
    """Return the rows in a signal's window that are evidence for its series or version."""
    if signal["kind"] == SignalKind.RELEASE:
        own = view.coded("version").equal(signal["series_id"])
        rows = np.flatnonzero(own & (view.rating <= LOW_STARS) & (view.weight > 0))
    else:
        rows = view.members(signal["kind"], signal["series_id"])
        rows = rows[view.testable[rows]]
        if signal["kind"] == SignalKind.THEME:
            rows = rows[~view.flags("formed_theme")[rows]]
    hours = view.hours[rows]
    start, end = hour_of(signal["window_start"]), hour_of(signal["window_end"])
    return np.asarray(rows[(hours >= start) & (hours < end)])
