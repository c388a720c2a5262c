"""Reads what theming works on: complaint-like texts with their vectors, and what is stored of themes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.taxonomy import UNKNOWN
from closeloop.ports import STUDENT, StepContext, of_model, only_if_in
from closeloop.stages.embed_words import spoken
from closeloop.stages.revision_keys import are_in, places_in
from closeloop.stages.theme_memory import Floats, Ints, ThemeMemory, Vectors, Waiting
from closeloop.stages.vectors import matrix
from closeloop.tables import ASSIGNMENT, EMBEDDING, FEEDBACK, THEME, TIME, Table

MODEL = "louvain+nearest-1"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MIN_NEGATIVE = 0.3
"""Less negative texts are no complaints, whatever their subject; detection counts the same way."""
MIN_NEGATIVE_UNKNOWN = 0.5
"""Of texts that fit no category only clearly negative ones: a new issue has no category yet."""

NEW_COLUMNS = (
    "feedback_id",
    "revision",
    "product",
    "event_time",
    "sentiment",
    "category",
    "content_free",
)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of one product in order of event time: keys, times (µs), vectors, words.

    `by_student` marks vectors that a student made, not the model itself.
    """

    ids: npt.NDArray[np.object_]
    revisions: Ints
    times: Ints
    vectors: Vectors
    texts: pa.Array
    by_student: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: Ints) -> Texts:
        """Return some of them."""
        return Texts(
            self.ids[chosen],
            self.revisions[chosen],
            self.times[chosen],
            self.vectors[chosen],
            self.texts.take(pa.array(chosen)),
            self.by_student[chosen],
        )

    def and_then(self, more: Texts) -> Texts:
        """Return these and other ones, in order of time."""
        both = Texts(
            np.concatenate([self.ids, more.ids]),
            np.concatenate([self.revisions, more.revisions]),
            np.concatenate([self.times, more.times]),
            np.concatenate([self.vectors, more.vectors]),
            pa.concat_arrays([self.texts, more.texts]),
            np.concatenate([self.by_student, more.by_student]),
        )
        return both.take(np.lexsort((both.ids.astype(str), both.times)))

    def waiting(self, centred: Vectors) -> Waiting:
        """Return them as texts that wait for a theme."""
        return Waiting(self.ids, self.revisions, self.times, centred)


@dataclass(slots=True)
class Written:
    """Assignments that a pass will write; those in `moved` take the place of earlier ones.

    `finished` are the products' themes, to be named and written together; `second_looks` how many
    texts the model may still read today.
    """

    added: list[pa.Table] = field(default_factory=list)
    moved: list[pa.Table] = field(default_factory=list)
    finished: list[tuple[ThemeBook, ThemeMemory]] = field(default_factory=list)
    second_looks: int = 0

    def flush(self, context: StepContext) -> None:
        """Write them, and count them."""
        added = pa.concat_tables([ASSIGNMENT.empty(), *self.added])
        moved = pa.concat_tables([ASSIGNMENT.empty(), *self.moved])
        if moved.num_rows:
            # What this pass itself has added is replaced here: a merge into a large table is dear.
            mine = are_in(moved, added)
            again = are_in(added, moved)
            added = pa.concat_tables([added.filter(pc.invert(again)), moved.filter(mine)])
            moved = moved.filter(pc.invert(mine))
        context.append(ASSIGNMENT, added)
        context.merge(ASSIGNMENT, moved)
        waiting = added.column("theme_id").null_count
        themed = added.num_rows - waiting + len(moved.column("theme_id").drop_null())
        context.count("texts with a theme", themed)
        context.count("texts that wait for a theme", waiting)


class ThemeBook:
    """The rows of silver.theme of one product, and which of them a pass has changed.

    `unnamed` holds the feedback ids of themes that need a (new) label.
    """

    def __init__(
        self, context: StepContext, product: str, held: Sequence[dict[str, Any]] | None = None
    ) -> None:
        self._context = context
        self.product = product
        if held is None:
            held = themes_of(context, [product])[product]
        self.rows: dict[str, dict[str, Any]] = {row["theme_id"]: row for row in held}
        self._changed: set[str] = set()
        self.unnamed: dict[str, list[str]] = {}

    def add(
        self,
        theme_id: str,
        *,
        times: Ints,
        members: Sequence[str],
        representatives: Sequence[str],
        split_from: str | None = None,
        emerging: bool = False,
    ) -> None:
        """Add a theme that is born now, not labelled yet."""
        self.rows[theme_id] = {
            "theme_id": theme_id,
            "product": self.product,
            "label": None,
            "words": None,
            "size": len(times),
            "first_seen": time_of(times.min()),
            "last_seen": time_of(times.max()),
            "born_at": self._context.now,
            "representative_ids": list(representatives),
            "named_by_person": False,
            "named_by": None,
            "merged_into": None,
            "split_from": split_from,
            "content_free": False,
            "emerging": emerging,
        }
        self.unnamed[theme_id] = list(members)
        self._changed.add(theme_id)

    def grow(self, theme_id: str, times: Ints, *, size: int) -> None:
        """Note that texts of these times have come to a theme, which now has so many."""
        row = self.rows[theme_id]
        self.change(
            theme_id,
            size=size,
            first_seen=min(row["first_seen"], time_of(times.min())),
            last_seen=max(row["last_seen"], time_of(times.max())),
        )

    def change(self, theme_id: str, **values: Any) -> None:
        """Change columns of a theme."""
        self.rows[theme_id].update(values)
        self._changed.add(theme_id)

    def current(self, theme_id: str) -> str | None:
        """Return the theme that a theme's texts belong to now, after all mergers, or None."""
        seen: set[str] = set()
        while theme_id in self.rows and theme_id not in seen:
            seen.add(theme_id)
            into = self.rows[theme_id]["merged_into"]
            if into is None:
                return theme_id
            theme_id = into
        return None

    def write(self) -> None:
        """Write the changed rows."""
        write_books(self._context, [self])

    def changes(self) -> list[dict[str, Any]]:
        """Return the changed rows, which count as written from now on."""
        changed = [self.rows[name] for name in sorted(self._changed)]
        self._changed = set()
        return changed


def themes_of(context: StepContext, products: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of silver.theme of each of some products, all in one read."""
    found: dict[str, list[dict[str, Any]]] = {product: [] for product in products}
    for row in context.rows(THEME, where=[("product", "in", sorted(found))]).to_pylist():
        found[row["product"]].append(row)
    return found


def write_books(context: StepContext, books: Iterable[ThemeBook]) -> None:
    """Write the changed rows of several products at once."""
    context.merge(THEME, THEME.from_rows(row for book in books for row in book.changes()))


def time_of(micros: int | np.int64) -> datetime:
    """Return a time from microseconds since 1970."""
    return EPOCH + timedelta(microseconds=int(micros))


def micros_of(time: datetime) -> int:
    """Return microseconds since 1970."""
    return (time - EPOCH) // timedelta(microseconds=1)


def theme_id_of(product: str, *formation: str) -> str:
    """Return the id of a theme: a hash of its product and of what formed it."""
    key = "\x1f".join((product, *formation))
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def assignments(
    product: str,
    keyed: Texts | Waiting,
    names: npt.NDArray[np.object_],
    *,
    model: str,
    chance: Floats | None = None,
    formed: npt.NDArray[np.bool_] | None = None,
) -> pa.Table:
    """Return rows of silver.assignment; `names` are theme ids, None for texts that wait."""
    rows = len(keyed.ids)
    return ASSIGNMENT.conform(
        pa.table(
            {
                "feedback_id": pa.array(keyed.ids, pa.string()),
                "revision": pa.array(keyed.revisions),
                "product": pa.repeat(pa.scalar(product), rows),
                "event_time": pa.array(keyed.times).cast(TIME),
                "theme_id": pa.array(names, pa.string()),
                "theme_confidence": pa.array(
                    np.full(rows, np.nan) if chance is None else chance, from_pandas=True
                ),
                "formed_theme": pa.array(np.zeros(rows, np.bool_) if formed is None else formed),
                "model": pa.repeat(pa.scalar(f"{MODEL} ({model})"), rows),
            }
        )
    )


def complaints(context: StepContext, enriched: pa.Table) -> pa.Table:
    """Return the rows that themes are made of: complaints with content, and unknown negatives."""
    names = [c.name for c in context.config.taxonomy.categories if c.complaint]
    category, negative = enriched.column("category"), enriched.column("sentiment")
    known = pc.and_(
        pc.is_in(category, value_set=pa.array(names, pa.string())),
        pc.greater_equal(negative, MIN_NEGATIVE),
    )
    unknown = pc.and_(pc.equal(category, UNKNOWN), pc.greater_equal(negative, MIN_NEGATIVE_UNKNOWN))
    says = pc.invert(pc.fill_null(enriched.column("content_free"), fill_value=False))
    return enriched.filter(pc.and_(pc.or_(known, unknown), says))


def unassigned(context: StepContext, rows: pa.Table) -> pa.Table:
    """Return the rows whose revision has no assignment yet (a reclassification brings known ones)."""
    if not rows.num_rows:
        return rows
    where = [only_if_in("feedback_id", rows.column("feedback_id").to_pylist())]
    held = context.rows(ASSIGNMENT, columns=["feedback_id", "revision"], where=where)
    if not held.num_rows:
        return rows
    return rows.filter(pc.invert(are_in(rows, held)))


def gather(
    context: StepContext, rows: pa.Table, *, feedback: pa.Table, vectors: pa.Table
) -> dict[str, Texts]:
    """Return the rows' texts and vectors by product, without duplicates and older revisions.

    `feedback` and `vectors` are the pass's new rows; what is not among them is read. Texts without
    a vector of the configured model are left out.
    """
    if not rows.num_rows:
        return {}
    feedback = _with_missing(context, FEEDBACK, rows, feedback)
    place = places_in(rows, feedback)
    for name in ("text", "duplicate_of"):
        rows = rows.append_column(name, feedback.column(name).take(place))
    own = pc.and_(pc.is_null(rows.column("duplicate_of")), pc.is_valid(rows.column("text")))
    rows = _latest(rows.filter(own))
    vectors = _vectors_of(context, rows, vectors)
    place = places_in(rows, vectors)
    by_student = pc.match_substring(vectors.column("model"), STUDENT)
    rows = rows.append_column("by_student", by_student.take(place))
    rows = rows.append_column("place", place).filter(pc.is_valid(place))
    table = matrix(vectors.column("vector"))
    rows = rows.take(
        pc.sort_indices(
            rows,
            [(n, "ascending") for n in ("product", "event_time", "feedback_id", "revision")],
        )
    )
    found: dict[str, Texts] = {}
    for name in pc.unique(rows.column("product")).to_pylist():
        found[str(name)] = _texts(rows.filter(pc.equal(rows.column("product"), name)), table)
    return found


def _vectors_of(context: StepContext, rows: pa.Table, vectors: pa.Table) -> pa.Table:
    """Return the vectors of rows in the configured model's space, those that lack read."""
    model_id = context.embedder.model_id
    # Most new texts are no complaints: their vectors are not carried along.
    wanted = are_in(vectors, rows)
    vectors = vectors.filter(pc.and_(wanted, of_model(vectors.column("model"), model_id)))
    held = vectors.num_rows
    vectors = _with_missing(context, EMBEDDING, rows, vectors)
    if vectors.num_rows == held:
        return vectors
    return vectors.filter(of_model(vectors.column("model"), model_id))


def _texts(rows: pa.Table, table: Vectors) -> Texts:
    return Texts(
        ids=np.asarray(rows.column("feedback_id").to_pylist(), object),
        revisions=np.asarray(rows.column("revision"), np.int64),
        times=np.asarray(rows.column("event_time").cast(pa.int64()), np.int64),
        vectors=table[np.asarray(rows.column("place"), np.int64)],
        texts=spoken(rows.column("text").combine_chunks()),
        by_student=np.asarray(rows.column("by_student")).astype(np.bool_),
    )


def _latest(rows: pa.Table) -> pa.Table:
    newest = rows.group_by("feedback_id").aggregate([("revision", "max")])
    ids = newest.column("feedback_id").combine_chunks()
    place = pc.index_in(rows.column("feedback_id"), value_set=ids)
    return rows.filter(pc.equal(newest.column("revision_max").take(place), rows.column("revision")))


def _with_missing(context: StepContext, table: Table, rows: pa.Table, held: pa.Table) -> pa.Table:
    missing = rows.filter(pc.invert(are_in(rows, held)))
    if not missing.num_rows:
        return held
    where = [only_if_in("feedback_id", missing.column("feedback_id").to_pylist())]
    return pa.concat_tables([held, context.rows(table, columns=held.column_names, where=where)])
