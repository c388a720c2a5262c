"""Looks for trouble in one segment: a category's complaints of one region, article, centre, tier.

A defect of one article or late parcels from one centre hardly move the product's series. Cells have
half of the product's budget of false alarms for themselves, and one is raised only where it stands
out from its category: trouble that is everywhere is the category's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from closeloop.ports import Condition, StepContext
from closeloop.stages.product_view import (
    CELL_COLUMNS,
    Bools,
    Cell,
    Coded,
    ProductView,
    time_of,
)
from closeloop.stages.signal_book import SignalBook
from closeloop.stages.suspension import Span
from closeloop.stats.baseline import Ints
from closeloop.stats.evidence import WINDOWS_H
from closeloop.stats.scan import Alarm, scan
from closeloop.stats.segments import stands_out
from closeloop.stats.series import SeriesData
from closeloop.tables import EXPOSURE

CELLS_SHARE = 0.5
"""Part of the budget of false alarms that cells have, where a product has any."""
MIN_COMPLAINTS = 3
"""With fewer in three days no cell reaches any threshold, so it need not be looked at."""
MAX_LOOK_H = 14 * 24
"""Cells are looked at over the last two weeks; older trouble of a segment is not dug out."""
USUAL_H = 90 * 24
EXPOSED = {"region": "region", "platform": "platform"}
"""Columns of feedback for which silver.exposure may count orders or users."""
FIGURES = ("orders", "users", "installs")


@dataclass(frozen=True, slots=True)
class _Column:
    """A column that cuts complaints into cells, as numbers a row of the view."""

    name: str
    held: Coded


def series_budget(context: StepContext, view: ProductView) -> float:
    """Return the false alarms a month that themes and categories may raise: cells have the rest."""
    whole = context.config.policy.false_alarms_per_month
    return whole * (1.0 - CELLS_SHARE) if _columns(view) else whole


def scan_cells(
    context: StepContext, view: ProductView, data: SeriesData, book: SignalBook, *, span: Span
) -> None:
    """Raise cells whose complaints rise and stand out from their category's, in a span of hours.

    `data` are the product's series of the span, whose complaints the cells divide. The family counts
    every cell that could be: each value that was ever named, in each category that has complaints.
    """
    columns = _columns(view)
    if not columns:
        return
    since = max(span.since, span.until - MAX_LOOK_H)
    categories = _categories(context, view)
    cells, rows, of = _busy(
        view, columns, categories, since=since, until=span.until, without=span.without
    )
    if not cells:
        return
    family = sum(len(c.held.names) for c in columns) * len(categories)
    position = np.cumsum(view.complaint & ~span.without) - 1
    found = scan(
        replace(
            data,
            member_row=position[rows],
            member_series=of,
            testable=np.ones(len(rows), dtype=np.bool_),
            ready=np.zeros(len(cells), dtype=np.int64),
        ),
        since=since,
        until=span.until,
        first_day=int(view.hours[0]) // 24,
        family=family,
        false_alarms=context.config.policy.false_alarms_per_month * CELLS_SHARE,
        q=context.config.policy.fdr,
    )
    context.count("looks", found.looks)
    for alarm in found.alarms:
        cell, own = cells[alarm.series], rows[of == alarm.series]
        if _stands_out(context, view, cell, own, alarm, without=span.without):
            book.take_alarm(
                ("segment", cell.series_id),
                alarm,
                family=family,
                rows=own,
                baselines=found.baselines,
            )


def _columns(view: ProductView) -> list[_Column]:
    """Return the columns that cut the product's complaints into two cells or more."""
    held = [_Column(column, view.coded(column)) for column in CELL_COLUMNS]
    return [
        one
        for one in held
        if len(one.held.names) > 1 and bool((view.complaint & (one.held.codes >= 0)).any())
    ]


def _categories(context: StepContext, view: ProductView) -> dict[str, Ints]:
    """Return the complaints of each complaint category that has any."""
    names = [c.name for c in context.config.taxonomy.categories if c.complaint]
    members = {name: view.members("category", name) for name in names}
    return {name: rows for name, rows in members.items() if len(rows)}


def _busy(
    view: ProductView,
    columns: list[_Column],
    categories: Mapping[str, Ints],
    *,
    since: int,
    until: int,
    without: Bools,
) -> tuple[list[Cell], Ints, Ints]:
    """Return the cells with enough complaints of late, their rows and which cell each row is of."""
    cells: list[Cell] = []
    rows, of = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    late = (view.hours > since - max(WINDOWS_H)) & (view.hours <= until)
    for category, members in categories.items():
        kept = members[~without[members]]
        for one in columns:
            value = one.held.codes[kept]
            busy, counts = np.unique(value[(value >= 0) & late[kept]], return_counts=True)
            for wanted in busy[counts >= MIN_COMPLAINTS].tolist():
                own = kept[value == wanted]
                rows.append(own)
                of.append(np.full(len(own), len(cells)))
                cells.append(Cell(one.name, one.held.names[wanted], category))
    return cells, np.concatenate(rows), np.concatenate(of)


def _stands_out(
    context: StepContext, view: ProductView, cell: Cell, own: Ints, alarm: Alarm, *, without: Bools
) -> bool:
    """Whether the cell has more of its category's complaints than its share, orders considered."""
    held = view.coded(cell.column)
    beside = np.zeros(len(view.hours), dtype=np.bool_)
    beside[view.members("category", cell.category)] = True
    beside &= ~without & (held.codes >= 0)
    start, end = alarm.hour + 1 - alarm.window_h, alarm.hour + 1
    inside = (view.hours >= start) & (view.hours < end)
    before = (view.hours >= start - USUAL_H) & (view.hours < start)
    mine = np.zeros(len(view.hours), dtype=np.bool_)
    mine[own] = True
    told = (held.codes >= 0) & before
    # Where the category hardly has complaints yet, all feedback says how large the segment is.
    everyone = float((told & held.equal(cell.value)).sum() + 0.5) / float(told.sum() + 1.0)
    return stands_out(
        int((mine & inside).sum()),
        int((beside & inside).sum()),
        before=int((mine & before).sum()),
        before_all=int((beside & before).sum()),
        everyone=everyone,
        values=len(held.names),
        grown=_grown(context, view, cell, start=start, end=end),
    )


def _grown(context: StepContext, view: ProductView, cell: Cell, *, start: int, end: int) -> float:
    """Return by how much the segment's share of orders (or users) has grown, 1 where not counted."""
    column = EXPOSED.get(cell.column)
    if column is None:
        return 1.0
    where: list[Condition] = [
        ("product", "=", view.product),
        ("start", ">=", time_of(start) - timedelta(hours=USUAL_H)),
        ("start", "<", time_of(end)),
    ]
    rows = [r for r in context.rows(EXPOSURE, where=where).to_pylist() if r[column]]
    figure = next((f for f in FIGURES if any(r[f] for r in rows)), None)
    if figure is None:
        return 1.0
    # A day's figure stands at its midnight, so the window reaches back to it.
    late = time_of(start - 24)
    shares = []
    for part in ([r for r in rows if r["start"] < late], [r for r in rows if r["start"] >= late]):
        total = sum(r[figure] or 0.0 for r in part)
        own = sum(r[figure] or 0.0 for r in part if r[column].casefold() == cell.value.casefold())
        shares.append(own / total if total > 0 else 0.0)
    before, now = shares
    return max(now / before, 1.0) if before > 0 and now > 0 else 1.0
