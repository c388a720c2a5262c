"""All that is known of one product's feedback, as arrays: what detection and attribution read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import Condition, StepContext
from closeloop.stages.revision_keys import places_in
from closeloop.stages.voices import voices_of
from closeloop.stats.artefacts import SUSPEND_DAYS, starts_of_collection
from closeloop.stats.baseline import Floats, Ints
from closeloop.tables import ASSIGNMENT, ENRICHMENT, FEEDBACK

Bools = npt.NDArray[np.bool_]

HOUR_US = 3_600_000_000
NOT_NEGATIVE = 0.3
"""A text whose probability of being negative is lower is no complaint, whatever its subject."""
STARS = (1.0, 2.0, 3.0, 4.0, 5.0)

CELL_COLUMNS = ("region", "sku", "fulfilment_centre", "customer_tier", "platform")
"""Columns whose values cut a category into cells. Versions are the release watch's."""
FEEDBACK_COLUMNS = (
    "feedback_id",
    "revision",
    "source",
    "ingested_at",
    "version",
    "event_time",
    "rating",
    "language",
    "channel",
    "author_key",
    "duplicate_of",
    "campaign_id",
    "trust",
    "backfill",
    *CELL_COLUMNS,
)
ENRICHMENT_COLUMNS = (
    "sentiment",
    "urgency_reasons",
    "category",
    "category_confidence",
    "categories",
    "content_free",
    "instructions_only",
)
ASSIGNMENT_COLUMNS = ("theme_id", "theme_confidence", "formed_theme")


@dataclass(frozen=True, slots=True)
class Suspension:
    """A stratum whose collection has just begun: no evidence from `since` to `until` (hours)."""

    column: str
    value: str
    member: Bools
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of texts as numbers: `codes` [rows] point into `names`, -1 where null."""

    codes: Ints
    names: tuple[str, ...]

    def equal(self, name: str | None) -> Bools:
        """Return which rows hold the name."""
        if name is None or name not in self.names:
            return np.zeros(len(self.codes), dtype=np.bool_)
        return np.asarray(self.codes == self.names.index(name))

    def among(self, names: Sequence[str]) -> Bools:
        """Return which rows hold one of the names."""
        wanted = [self.names.index(name) for name in names if name in self.names]
        return np.isin(self.codes, wanted)


@dataclass(frozen=True, slots=True)
class Cell:
    """A segment of a category: the complaints with one value in one of CELL_COLUMNS."""

    column: str
    value: str
    category: str

    @property
    def series_id(self) -> str:
        """The id of its series: "late delivery | region=DE"."""
        return f"{self.category} | {self.column}={self.value}"

    @staticmethod
    def of(series_id: str) -> Cell:
        """Return the cell of a series. Raises ValueError where the id is that of no cell."""
        category, _, rest = series_id.partition(" | ")
        column, _, value = rest.partition("=")
        if column not in CELL_COLUMNS:
            raise ValueError(f"no cell: {series_id!r}")
        return Cell(column, value, category)


@dataclass(frozen=True, slots=True)
class ProductView:
    """One product's unique feedback (latest revision, no duplicates) in order of time.

    What instructs a machine and says nothing else is no feedback, and not in it.

    `rows` holds the columns by name; `hours` are hours since 1970, none after the pass's own;
    `weight` is the trust, less for what a campaign or an insistent author repeats; `complaint`
    marks complaints: of a complaint category, with content, and
    not positive. `category` is the main one; `in_category` holds the rows of each category, so a
    text with several stands in several.
    """

    product: str
    rows: pa.Table
    hours: Ints
    weight: Floats
    rating: Floats
    complaint: Bools
    category: Coded
    in_category: dict[str, Ints]
    theme: Coded
    suspensions: tuple[Suspension, ...]
    _coded: dict[str, Coded] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def testable(self) -> Bools:
        """Return which rows may be evidence: not those of a stratum while it is suspended."""
        result = np.ones(len(self.hours), dtype=np.bool_)
        for s in self.suspensions:
            result &= ~(s.member & (self.hours >= s.since) & (self.hours < s.until))
        return result

    def ids(self, index: Ints) -> list[str]:
        """Return the feedback ids of rows."""
        return list(self.rows.column("feedback_id").take(pa.array(index)).to_pylist())

    def coded(self, column: str) -> Coded:
        """Return a column of texts as numbers, coded once: not to be written to."""
        # Each change that may be behind a signal asks for the same columns.
        held = self._coded.get(column)
        if held is None:
            held = self._coded[column] = coded(self.rows.column(column))
        return held

    def flags(self, column: str) -> Bools:
        """Return a column of flags; null is False."""
        return _flags(self.rows.column(column))

    def numbers(self, column: str) -> Floats:
        """Return a column of numbers; null is NaN."""
        return _numbers(self.rows.column(column))

    def members(self, kind: str, series_id: str) -> Ints:
        """Return the complaints of a theme, category or cell."""
        if kind == "segment":
            return self._cell_members(series_id)
        if kind == "theme":
            return np.flatnonzero(self.complaint & self.theme.equal(series_id))
        return self._category_members(series_id)

    def _category_members(self, category: str) -> Ints:
        rows = self.in_category.get(category, np.zeros(0, np.int64))
        return rows[self.complaint[rows]]

    def _cell_members(self, series_id: str) -> Ints:
        cell = Cell.of(series_id)
        rows = self._category_members(cell.category)
        return rows[self.coded(cell.column).equal(cell.value)[rows]]


def cell_said(series_id: str) -> str:
    """Return a cell's series as people read it: "late delivery in region DE"."""
    cell = Cell.of(series_id)
    return f"{cell.category} in {cell.column.replace('_', ' ')} {cell.value}"


def hour_of(time: datetime) -> int:
    """Return the hour since 1970 that a time lies in."""
    return int(time.timestamp() // 3600)


def time_of(hour: int) -> datetime:
    """Return the start of an hour since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=int(hour))


def product_view(
    context: StepContext,
    product: str,
    *,
    since: datetime | None = None,
    segments: Sequence[str] = (),
) -> ProductView:
    """Return the view of one product, of feedback since a time if one is given.

    `segments` names columns of silver.feedback that the rows shall hold beside the usual ones.
    """
    where: list[Condition] = [("product", "=", product)]
    if since is not None:
        where.append(("event_time", ">=", since))
    feedback = context.rows(FEEDBACK, columns=[*FEEDBACK_COLUMNS, *segments], where=where)
    feedback = latest_revisions(feedback)
    feedback = feedback.filter(pc.is_null(feedback.column("duplicate_of")))
    feedback = feedback.take(
        pc.sort_indices(feedback, [("event_time", "ascending"), ("feedback_id", "ascending")])
    )
    key = ["feedback_id", "revision"]
    enrichment = context.rows(ENRICHMENT, columns=[*key, *ENRICHMENT_COLUMNS], where=where)
    assignment = context.rows(ASSIGNMENT, columns=[*key, *ASSIGNMENT_COLUMNS], where=where)
    rows = _beside(_beside(feedback, enrichment), assignment)
    no_feedback = _flags(rows.column("instructions_only"))
    if no_feedback.any():
        rows = rows.filter(pa.array(~no_feedback))
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


def coded(column: pa.ChunkedArray) -> Coded:
    """Return texts as numbers into a sorted list of names."""
    if len(column) == 0:
        return Coded(np.zeros(0, dtype=np.int64), ())
    names = tuple(sorted(pc.unique(pc.drop_null(column)).to_pylist()))
    place = pc.index_in(column, value_set=pa.array(names, column.type))
    codes = pc.fill_null(place, -1).to_numpy().astype(np.int64)
    return Coded(codes, names)


def _beside(rows: pa.Table, other: pa.Table) -> pa.Table:
    """Put the columns of the other table's row of the same key beside each row (null: none)."""
    place = places_in(rows, other)
    for name in other.column_names:
        if name not in ("feedback_id", "revision"):
            rows = rows.append_column(name, other.column(name).take(place))
    return rows


def _view(context: StepContext, product: str, rows: pa.Table) -> ProductView:
    micros = rows.column("event_time").cast(pa.int64()).to_numpy()
    # A clock that runs fast must not put complaints beyond the reach of this pass.
    hours = np.minimum(micros // HOUR_US, hour_of(context.now)).astype(np.int64)
    category = coded(rows.column("category"))
    in_category = _in_category(rows, category)
    subject = np.zeros(rows.num_rows, np.bool_)
    for entry in context.config.taxonomy.categories:
        if entry.complaint and entry.name in in_category:
            subject[in_category[entry.name]] = True
    # Without a judgement of its tone a text of a complaint category counts as one.
    negative = np.nan_to_num(_numbers(rows.column("sentiment")), nan=1.0) >= NOT_NEGATIVE
    rating = _numbers(rows.column("rating"))
    return ProductView(
        product=product,
        rows=rows,
        hours=hours,
        weight=np.nan_to_num(_numbers(rows.column("trust")), nan=1.0)
        * voices_of(rows, hours).weight,
        rating=rating,
        complaint=subject & negative & ~_flags(rows.column("content_free")),
        category=category,
        in_category=in_category,
        theme=coded(rows.column("theme_id")),
        suspensions=_suspensions(hours, rating, rows),
    )


def _in_category(rows: pa.Table, main: Coded) -> dict[str, Ints]:
    """Return the rows of each category, main or further, each row once and in order."""
    found = {name: np.flatnonzero(main.codes == i) for i, name in enumerate(main.names)}
    lists = rows.column("categories").combine_chunks()
    several = pc.greater(pc.fill_null(pc.list_value_length(lists), 0), 1)
    if not pc.any(several).as_py():
        return found
    places = np.flatnonzero(np.asarray(several))
    lists = lists.take(pa.array(places))
    row = places[np.asarray(pc.list_parent_indices(lists))]
    further = coded(pa.chunked_array([pc.struct_field(lists.flatten(), "category")]))
    for number, name in enumerate(further.names):
        more = row[further.codes == number]
        found[name] = np.union1d(found.get(name, more), more)
    return found


def _suspensions(hours: Ints, rating: Floats, rows: pa.Table) -> tuple[Suspension, ...]:
    strata = [("rating", f"{star:.0f}", np.asarray(rating == star)) for star in STARS]
    for column in ("channel", "language"):
        held = coded(rows.column(column))
        strata += [(column, n, np.asarray(held.codes == i)) for i, n in enumerate(held.names)]
    found: list[Suspension] = []
    days = hours // 24
    for column, value, member in strata:
        since = until = -1
        for day in starts_of_collection(days, member):
            if day * 24 >= until:
                if until >= 0:
                    found.append(Suspension(column, value, member, since, until))
                since = day * 24
            until = (day + SUSPEND_DAYS) * 24
        if until >= 0:
            found.append(Suspension(column, value, member, since, until))
    return tuple(found)


def _numbers(column: pa.ChunkedArray) -> Floats:
    return np.asarray(pc.fill_null(column, float("nan")).to_numpy(), dtype=np.float64)


def _flags(column: pa.ChunkedArray) -> Bools:
    held = pc.fill_null(column, fill_value=False).to_numpy(zero_copy_only=False)
    return np.asarray(held, dtype=np.bool_)
