"""Reads how many users, orders or installs stood behind each hour of a product."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np

from closeloop.ports import StepContext
from closeloop.stages.product_view import hour_of
from closeloop.stats.exposure import Exposure, exposure_of
from closeloop.tables import EXPOSURE

FIGURES = ("users", "orders", "installs")
"""Of these the first that a product has any of counts."""
SPLITS = ("version", "platform", "region")
PERIOD_H = {"hour": 1, "day": 24}

Row = dict[str, Any]


def product_exposure(context: StepContext, product: str) -> Exposure | None:
    """Return the level of each hour, from periods that are over by now; None where nothing is known.

    Where a time has a figure for the whole product that one counts, else the sum over the coarsest
    split that was given (by platform, say; not by platform and by region both).
    """
    columns = [*SPLITS, "start", "period", *FIGURES]
    rows = context.rows(EXPOSURE, columns=columns, where=[("product", "=", product)]).to_pylist()
    rows = [
        r
        for r in rows
        if r["period"] in PERIOD_H
        and r["start"] + timedelta(hours=PERIOD_H[r["period"]]) <= context.now
    ]
    figure = next((f for f in FIGURES if any(r[f] is not None for r in rows)), None)
    if figure is None:
        return None
    totals = _totals([r for r in rows if r[figure] is not None], figure)
    starts = sorted(totals)
    return exposure_of(
        np.array([hour for hour, _ in starts], dtype=np.int64),
        np.array([length for _, length in starts], dtype=np.int64),
        np.array([totals[key] for key in starts], dtype=np.float64),
    )


def _totals(rows: list[Row], figure: str) -> dict[tuple[int, int], float]:
    """Return the figure of each (hour, length), summed over one split."""
    by_split: dict[tuple[int, int], dict[tuple[bool, ...], float]] = {}
    for row in rows:
        split = tuple(bool(row[name]) for name in SPLITS)
        held = by_split.setdefault((hour_of(row["start"]), PERIOD_H[row["period"]]), {})
        held[split] = held.get(split, 0.0) + float(row[figure])
    return {
        key: held[min(held, key=lambda split: (sum(split), split))]
        for key, held in by_split.items()
    }
