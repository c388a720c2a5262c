"""Detect: hourly series of complaints, the alarms in them, the release watch; signals that last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import StepContext
from closeloop.progress import shown
from closeloop.stages.exposure_level import product_exposure
from closeloop.stages.health_book import check_idle_products, record
from closeloop.stages.product_view import (
    HOUR_US,
    Bools,
    ProductView,
    hour_of,
    product_view,
    time_of,
)
from closeloop.stages.segment_cells import scan_cells, series_budget
from closeloop.stages.signal_book import SignalBook
from closeloop.stages.source_health import health_of, new_strata
from closeloop.stages.suspension import Span, delivered_part, silences, spans
from closeloop.stages.watch import watch_releases
from closeloop.stats.baseline import HISTORY_DAYS, Baselines, Ints
from closeloop.stats.exposure import Exposure
from closeloop.stats.scan import MIN_HISTORY_DAYS, Alarm, scan
from closeloop.stats.series import SeriesData, product_baselines
from closeloop.tables import ASSIGNMENT, ENRICHMENT, SERIES, THEME

NAME = "detect"

Key = tuple[str, str]
"""Kind and id of a series: ("category", "payment failure"), ("theme", its id)."""

MOSTLY_NO_COMPLAINTS = 0.5
"""A theme whose texts are by this share praise, requests or idle is not eligible."""


@dataclass(frozen=True, slots=True)
class TestedSeries:
    """The series of one product that are tested, and which complaints belong to each.

    `keys` [series]; `member_row` (into the view) and `member_series` [memberships]; `formed`
    [memberships] marks texts that formed their theme: they are no evidence for it; `ready` [series]
    is the hour before which a series is not looked at. `exposure` is what counts are in proportion
    to, where it is known.
    """

    keys: tuple[Key, ...]
    member_row: Ints
    member_series: Ints
    formed: Bools
    ready: Ints
    exposure: Exposure | None = None

    def data(
        self, view: ProductView, *, without: Bools, delivered: Exposure | None = None
    ) -> SeriesData:
        """Return the series as the scan takes them, without some rows of the view."""
        kept = ~without
        complaint = view.complaint & kept
        position = np.cumsum(complaint) - 1
        member = kept[self.member_row]
        return SeriesData(
            hours=view.hours[complaint],
            weight=view.weight[complaint],
            all_hours=view.hours[kept],
            all_weight=view.weight[kept],
            member_row=position[self.member_row[member]],
            member_series=self.member_series[member],
            testable=~self.formed[member],
            ready=self.ready,
            exposure=self.exposure,
            delivered=delivered,
        )


def run(context: StepContext) -> None:
    """Restate the touched hours of gold.series; raise signals, or bring them up to date.

    Each product with new feedback is scanned from its first new hour on, by the same rule whether
    that is six years of history or the last hour. Signals of backfilled or stale complaints are
    written as historic.
    """
    columns = ["product", "event_time"]
    new = pa.concat_tables(
        [
            context.new_rows(ENRICHMENT, columns=columns),
            context.new_rows(ASSIGNMENT, columns=columns),
        ]
    )
    if new.num_rows == 0:
        check_idle_products(context, touched=())
        return
    products = sorted(p for p in pc.unique(new.column("product")).to_pylist() if p is not None)
    with shown(context.progress, "detect", total=len(products), unit="products"):
        for product in products:
            own = new.filter(pc.equal(new.column("product"), product)).column("event_time")
            micros = pc.drop_null(own).cast(pa.int64()).to_numpy()
            touched = np.unique(np.minimum(micros // HOUR_US, hour_of(context.now)))
            if len(touched):
                _product(context, product, touched)
            context.progress.advance()
    check_idle_products(context, touched=products)


def _product(context: StepContext, product: str, touched: Ints) -> None:
    first = int(touched[0])
    view = product_view(context, product, since=time_of(first) - timedelta(days=HISTORY_DAYS))
    if len(view.hours) == 0:
        return
    series = tested_series(context, view)
    book = SignalBook(context, view)
    now = hour_of(context.now)
    episodes = health_of(view, since=first, now=now)
    record(context, product, [*episodes, *new_strata(view)])
    # Evidence rises only when a complaint arrives.
    came = view.complaint & np.isin(view.hours, touched)
    known: Baselines | None = None
    if came.any():
        suspended = [*view.suspensions, *silences(view, episodes, now=now)]
        for span in spans(view, suspended, first=first, last=now):
            part = delivered_part(view, episodes, left_out=span.sources, now=now)
            data = series.data(view, without=span.without, delivered=part)
            found = _scan(
                context,
                data,
                series,
                book,
                span=span,
                first_day=int(view.hours[0]) // 24,
                false_alarms=series_budget(context, view),
            )
            scan_cells(context, view, data, book, span=span)
            known = known if span.without.any() else found
    for raised in watch_releases(context, view, since=first, episodes=episodes):
        book.take_release(raised)
    book.write()
    if known is None and not came.any():
        context.merge(SERIES, _emptied(context, view, None, touched))
        return
    if known is None:
        known = product_baselines(
            series.data(view, without=np.zeros(len(view.hours), dtype=np.bool_)),
            first_day=int(view.hours[0]) // 24,
            last_day=int(touched[-1]) // 24,
        )
    _write_series(context, view, series, touched, known)


def _scan(
    context: StepContext,
    data: SeriesData,
    series: TestedSeries,
    book: SignalBook,
    *,
    span: Span,
    first_day: int,
    false_alarms: float,
) -> Baselines:
    """Take the alarms of a span into the book; return the baselines they rest on."""
    found = scan(
        data,
        since=span.since,
        until=span.until,
        first_day=first_day,
        family=max(len(series.keys), 1),
        false_alarms=false_alarms,
        q=context.config.policy.fdr,
    )
    for alarm in found.alarms:
        book.take_alarm(
            series.keys[alarm.series],
            alarm,
            family=len(series.keys),
            rows=_evidence_rows(series, alarm, span.without),
            baselines=found.baselines,
        )
    context.count("looks", found.looks)
    return found.baselines


def tested_series(context: StepContext, view: ProductView) -> TestedSeries:
    """Return the categories and themes of a product that are tested.

    Complaint categories always; a theme while it is not merged, not content-free, not mostly praise
    or requests, and once it is two weeks old: until then its category speaks for it.
    """
    wanted = [c.name for c in context.config.taxonomy.categories if c.complaint]
    keys: list[Key] = [("category", name) for name in wanted]
    # A text that complains of two things counts in both series, and once in the product's total.
    parts = [view.members("category", name) for name in wanted]
    formed = [np.zeros(len(part), dtype=np.bool_) for part in parts]
    ready = [0] * len(keys)
    formed_theme = view.flags("formed_theme")
    for theme_id, since in _eligible_themes(context, view):
        rows = view.members("theme", theme_id)
        keys.append(("theme", theme_id))
        parts.append(rows)
        formed.append(formed_theme[rows])
        ready.append(since + MIN_HISTORY_DAYS * 24)
    return TestedSeries(
        keys=tuple(keys),
        member_row=np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64),
        member_series=np.repeat(np.arange(len(keys)), [len(p) for p in parts]).astype(np.int64),
        formed=np.concatenate([np.zeros(0, np.bool_), *formed]),
        ready=np.asarray(ready, dtype=np.int64),
        exposure=product_exposure(context, view.product),
    )


def _eligible_themes(context: StepContext, view: ProductView) -> list[tuple[str, int]]:
    """Return the ids of eligible themes, with the hour of their first text."""
    rows = context.rows(
        THEME,
        columns=["theme_id", "first_seen", "merged_into", "content_free"],
        where=[("product", "=", view.product)],
    ).to_pylist()
    complaints = {c.name for c in context.config.taxonomy.categories if c.complaint}
    other = {c.name for c in context.config.taxonomy.categories} - complaints
    idle = np.array([*(name in other for name in view.category.names), False])
    idle_rows = idle[view.category.codes] | view.flags("content_free")
    sizes = np.bincount(view.theme.codes + 1, minlength=len(view.theme.names) + 1)[1:]
    idle_sizes = np.bincount(
        view.theme.codes + 1, weights=idle_rows, minlength=len(view.theme.names) + 1
    )[1:]
    mostly_idle = {
        name
        for name, size, idle_size in zip(view.theme.names, sizes, idle_sizes, strict=True)
        if idle_size >= MOSTLY_NO_COMPLAINTS * size
    }
    return sorted(
        (r["theme_id"], hour_of(r["first_seen"]) if r["first_seen"] else 0)
        for r in rows
        if r["merged_into"] is None
        and not r["content_free"]
        and r["theme_id"] in view.theme.names
        and r["theme_id"] not in mostly_idle
    )


def _evidence_rows(series: TestedSeries, alarm: Alarm, without: Bools) -> Ints:
    own = (series.member_series == alarm.series) & ~series.formed
    rows = series.member_row[own]
    return np.asarray(rows[~without[rows]])


def _write_series(
    context: StepContext,
    view: ProductView,
    series: TestedSeries,
    touched: Ints,
    known: Baselines,
) -> None:
    """Restate the touched hours of every series and of the product's total (the series "all")."""
    total = np.flatnonzero(view.complaint)
    number = len(series.keys)
    of = np.concatenate([series.member_series, np.full(len(total), number)])
    hours = view.hours[np.concatenate([series.member_row, total])]
    inside = np.isin(hours, touched)
    cells, counts = np.unique(
        np.stack([of[inside], hours[inside]], axis=1), axis=0, return_counts=True
    )
    day = np.clip(cells[:, 1] // 24 - known.first_day, 0, len(known.known_days) - 1)
    share = known.exposure(cells[:, 1])
    keys = [*series.keys, ("total", "all")]
    kinds, ids = pa.array([k for k, _ in keys]), pa.array([i for _, i in keys])
    which = pa.array(cells[:, 0])
    rows = pa.table(
        {
            "product": pa.repeat(pa.scalar(view.product), len(cells)),
            "series_kind": kinds.take(which),
            "series_id": ids.take(which),
            "hour": pa.array(cells[:, 1] * HOUR_US).cast(pa.timestamp("us", "UTC")),
            "count": pa.array(counts, pa.int64()),
            "exposure": pa.array(share),
            "expected": pa.array(known.mean[day, cells[:, 0]] * share),
        }
    )
    context.merge(
        SERIES, pa.concat_tables([_emptied(context, view, rows, touched), SERIES.conform(rows)])
    )


def _emptied(
    context: StepContext, view: ProductView, rows: pa.Table | None, touched: Ints
) -> pa.Table:
    """Return held cells of the touched hours that hold no complaint any more, with count 0."""
    held = context.rows(
        SERIES,
        where=[
            ("product", "=", view.product),
            ("hour", ">=", time_of(int(touched[0]))),
            ("hour", "<=", time_of(int(touched[-1]))),
        ],
    )
    if held.num_rows == 0:
        return held
    hours = held.column("hour").cast(pa.int64()).to_numpy() // HOUR_US
    wanted = np.isin(hours, touched) & (held.column("count").to_numpy() > 0)
    if rows is not None:
        kept = pc.is_in(_cells(held), value_set=_cells(rows).combine_chunks())
        wanted &= ~np.asarray(kept)
    emptied = held.filter(pa.array(wanted))
    place = emptied.schema.get_field_index("count")
    return emptied.set_column(place, "count", pa.repeat(pa.scalar(0, pa.int64()), emptied.num_rows))


def _cells(rows: pa.Table) -> pa.ChunkedArray:
    hour = rows.column("hour").cast(pa.int64()).cast(pa.string())
    return pc.binary_join_element_wise(
        rows.column("series_kind"), rows.column("series_id"), hour, "\x1f"
    )
