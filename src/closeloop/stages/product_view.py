"""All that is known of one product's feedback, as arrays: what detection and attribution read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import Condition, StepContext
from closeloop.stats.artefacts import SUSPEND_DAYS, starts_of_collection
from closeloop.tables import ASSIGNMENT, ENRICHMENT, FEEDBACK

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

HOUR_US = 3_600_000_000
MIN_TRUST = 0.5
"""Feedback that is trusted less than this is shown but not counted."""
NOT_NEGATIVE = 0.3
"""A text whose probability of being negative is lower is no complaint, whatever its subject."""

FEEDBACK_COLUMNS = (
    "feedback_id",
    "revision",
    "product",
    "version",
    "event_time",
    "text",
    "rating",
    "language",
    "channel",
    "author_key",
    "duplicate_of",
    "trust",
    "platform",
    "sku",
    "region",
    "fulfilment_centre",
    "customer_tier",
    "flag_states",
    "backfill",
)
SEGMENT_COLUMNS = ("region", "platform", "sku", "fulfilment_centre", "customer_tier")


@dataclass(frozen=True, slots=True)
class ProductView:
    """One product's latest, counted, unique feedback in order of time.

    `rows` holds the columns by name; `hours` are hours since 1970; `complaint` marks complaints;
    `testable` is False for strata whose collection has just begun.
    """

    product: str
    rows: pa.Table
    hours: Ints
    complaint: Bools
    testable: Bools
    category: npt.NDArray[np.object_]
    theme: npt.NDArray[np.object_]
    rating: Floats
    version: npt.NDArray[np.object_]

    def times(self, index: npt.NDArray[np.int64]) -> list[datetime]:
        """Return event times of rows."""
        return list(self.rows.column("event_time").take(pa.array(index)).to_pylist())

    def ids(self, index: npt.NDArray[np.int64]) -> list[str]:
        """Return feedback ids of rows."""
        return list(self.rows.column("feedback_id").take(pa.array(index)).to_pylist())

    def values(self, column: str) -> npt.NDArray[np.object_]:
        """Return a column as objects (None where absent)."""
        return np.asarray(self.rows.column(column).to_pylist(), dtype=object)


def hour_of(time: datetime) -> int:
    """Return the hour since 1970 that a time lies in."""
    return int(time.timestamp() // 3600)


def time_of(hour: int) -> datetime:
    """Return the start of an hour since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=int(hour))


def product_view(
    context: StepContext, product: str, *, since: datetime | None = None
) -> ProductView:
    """Return the view of one product, of feedback since a time if one is given."""
    where: list[Condition] = [("product", "=", product)]
    if since is not None:
        where.append(("event_time", ">=", since))
    feedback = context.rows(FEEDBACK, columns=FEEDBACK_COLUMNS, where=where)
    feedback = latest_revisions(feedback)
    feedback = feedback.filter(
        pc.and_(
            pc.is_null(feedback.column("duplicate_of")),
            pc.greater_equal(pc.fill_null(feedback.column("trust"), 1.0), MIN_TRUST),
        )
    )
    feedback = feedback.take(
        pc.sort_indices(feedback, [("event_time", "ascending"), ("feedback_id", "ascending")])
    )
    enrichment = context.rows(
        ENRICHMENT,
        columns=[
            "feedback_id",
            "revision",
            "sentiment",
            "urgency_reasons",
            "category",
            "category_confidence",
            "content_free",
        ],
        where=where,
    )
    assignment = context.rows(
        ASSIGNMENT,
        columns=["feedback_id", "revision", "theme_id", "theme_confidence", "formed_theme"],
        where=where,
    )
    rows = _beside(_beside(feedback, enrichment), assignment)
    return _view(context, product, rows)


def latest_revisions(rows: pa.Table) -> pa.Table:
    """Return the rows of each feedback's latest revision."""
    if rows.num_rows == 0 or pc.max(rows.column("revision")).as_py() == 1:
        return rows
    newest = rows.group_by("feedback_id").aggregate([("revision", "max")])
    place = pc.index_in(
        rows.column("feedback_id"), value_set=newest.column("feedback_id").combine_chunks()
    )
    return rows.filter(pc.equal(newest.column("revision_max").take(place), rows.column("revision")))


def _beside(rows: pa.Table, other: pa.Table) -> pa.Table:
    """Put the columns of the other table's row of the same key beside each row (null: none)."""
    key = _keys(other)
    place = pc.index_in(_keys(rows), value_set=key.combine_chunks())
    for name in other.column_names:
        if name not in ("feedback_id", "revision"):
            rows = rows.append_column(name, other.column(name).take(place))
    return rows


def _keys(rows: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(
        rows.column("feedback_id"), rows.column("revision").cast(pa.string()), "/"
    )


def _view(context: StepContext, product: str, rows: pa.Table) -> ProductView:
    micros = rows.column("event_time").cast(pa.int64()).to_numpy()
    hours = np.asarray(micros // HOUR_US, dtype=np.int64)
    category = np.asarray(rows.column("category").to_pylist(), dtype=object)
    complaints = {c.name for c in context.config.taxonomy.categories if c.complaint}
    subject = (
        np.isin(category.astype(str), sorted(complaints)) if len(category) else np.zeros(0, bool)
    )
    negative = pc.fill_null(rows.column("sentiment"), 1.0).to_numpy() >= NOT_NEGATIVE
    content = ~np.asarray(
        pc.fill_null(rows.column("content_free"), fill_value=False).to_numpy(zero_copy_only=False),
        dtype=bool,
    )
    rating = pc.fill_null(rows.column("rating"), float("nan")).to_numpy()
    testable = _testable(hours, rating, rows)
    return ProductView(
        product=product,
        rows=rows,
        hours=hours,
        complaint=np.asarray(subject & negative & content),
        testable=testable,
        category=category,
        theme=np.asarray(rows.column("theme_id").to_pylist(), dtype=object),
        rating=np.asarray(rating, dtype=np.float64),
        version=np.asarray(rows.column("version").to_pylist(), dtype=object),
    )


def _testable(hours: Ints, rating: Floats, rows: pa.Table) -> Bools:
    """Mark what may be tested: not the 28 days of a stratum whose collection has just begun."""
    testable = np.ones(len(hours), dtype=np.bool_)
    days = hours // 24
    stars = [rating == star for star in (1.0, 2.0, 3.0, 4.0, 5.0)]
    for member in (*stars, *_strata(rows, "channel"), *_strata(rows, "language")):
        for day in starts_of_collection(days, member):
            testable &= ~(member & (days >= day) & (days < day + SUSPEND_DAYS))
    return testable


def _strata(rows: pa.Table, column: str) -> Sequence[Bools]:
    encoded = rows.column(column).combine_chunks().dictionary_encode()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    counts = np.bincount(codes[codes >= 0]) if len(codes) else np.zeros(0)
    # A stratum of a handful of items can't have begun with five in a day against ten thousand to one.
    return [codes == code for code in np.flatnonzero(counts >= 5)]
