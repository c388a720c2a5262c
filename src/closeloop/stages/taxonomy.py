"""Shows what a changed taxonomy would move before it moves it, and applies it when a person says so."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.taxonomy import UNKNOWN, CategoryChange, Taxonomy, changes_between
from closeloop.ports import Condition, Embedder, StepContext, of_model
from closeloop.stages import embed_words
from closeloop.stages.enrich import CATEGORY, category_model, filed, joined_vectors
from closeloop.stages.enrich_category import CategoryModel
from closeloop.stages.enrich_clauses import clause_reader, read_clauses
from closeloop.stages.revision_keys import places_in
from closeloop.stages.taxonomy_applied import record_applied
from closeloop.tables import EMBEDDING, ENRICHMENT, FEEDBACK, SIGNAL, TAXONOMY
from closeloop.text.words import words_of

NAME = "taxonomy"
APPLIED = "taxonomy.apply"
"""Action in the audit log."""
PORTION = 50_000
"""Texts that are classified at once; more would need memory for their vectors."""
SAMPLES = 3
"""Texts shown of each move."""
MOVES_LOGGED = 20
AND = " + "
"""Stands between the categories of a text that has several."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sample:
    """One text that would move."""

    feedback_id: str
    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Move:
    """How many texts go from one category to another, and some of them.

    Of a text with several categories all are named: "billing + feature request".
    """

    before: str
    after: str
    texts: int
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesTouched:
    """How many texts of one product leave a category, and come to it."""

    product: str
    category: str
    leave: int
    come: int


@dataclass(frozen=True, slots=True)
class SignalTouched:
    """A signal that rests on texts which leave its category."""

    signal_id: str
    product: str
    category: str
    texts: int
    leave: int


@dataclass(frozen=True, slots=True)
class TaxonomyDiff:
    """What a taxonomy moves: definitions, texts, series and signals; `moves` largest first.

    `before` is None where no taxonomy was applied yet. `texts` counts stored revisions.
    """

    before: str | None
    after: str
    changes: tuple[CategoryChange, ...]
    texts: int
    moved: int
    unknown_before: int
    unknown_after: int
    moves: tuple[Move, ...]
    series: tuple[SeriesTouched, ...]
    signals: tuple[SignalTouched, ...]

    @property
    def empty(self) -> bool:
        """Whether both taxonomies mean the same."""
        return self.before is not None and not self.changes


@dataclass(slots=True)
class _Tally:
    """What was seen while stored texts were classified, portion by portion."""

    texts: int = 0
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    series: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=lambda: [0, 0])
    left: set[tuple[str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Refiled:
    """A portion of silver.enrichment as it is, as it would be, and its texts."""

    held: pa.Table
    fresh: pa.Table
    texts: pa.ChunkedArray
    moved: Mask


def diff(context: StepContext) -> TaxonomyDiff:
    """Return what the taxonomy of the files would move; nothing is written.

    All stored texts are classified by both rules that count: as they are filed now, and as the
    files would file them. The vectors of the taxonomy's own texts are made where they are new.
    """
    model = category_model(context, context.offered_taxonomy)
    tally = _Tally()
    for part in _portions(context, model, context.offered_taxonomy):
        _count(tally, part)
    return _told(context, tally)


def apply(context: StepContext, *, by: str) -> TaxonomyDiff:
    """File all stored texts by the taxonomy of the files, record it as applied, and log it.

    Only texts whose category changes are written anew, so that the steps after this one look at
    them and at no others. A category that becomes a complaint, or none any more, counts as changed.
    """
    offered = context.offered_taxonomy
    model = category_model(context, offered)
    changed = _other_side(context.config.taxonomy, offered)
    tally = _Tally()
    rows = [ENRICHMENT.empty()]
    for part in _portions(context, model, offered):
        _count(tally, part)
        sides = pc.is_in(part.fresh.column("category"), value_set=pa.array(changed, pa.string()))
        rows.append(part.fresh.filter(pa.array(part.moved | np.asarray(sides))))
    told = _told(context, tally)
    context.merge(ENRICHMENT, pa.concat_tables(rows))
    context.put_state(CATEGORY, model.to_bytes())
    record_applied(context, offered, by=by, texts=told.texts, moved=told.moved)
    detail = {
        "from": told.before,
        "texts": told.texts,
        "moved": told.moved,
        "unknown_before": told.unknown_before,
        "unknown_after": told.unknown_after,
        "moves": [[m.before, m.after, m.texts] for m in told.moves[:MOVES_LOGGED]],
    }
    context.ops.audit(
        actor=by,
        action=APPLIED,
        subject=offered.version,
        detail=json.dumps(detail, ensure_ascii=False),
        at=context.now,
    )
    context.count("moved", told.moved)
    return told


def _other_side(before: Taxonomy, after: Taxonomy) -> list[str]:
    """Return categories that became complaints, or are none any more."""
    found = []
    for category in after.categories:
        old = before.category(category.name)
        if old is not None and old.complaint != category.complaint:
            found.append(category.name)
    return found


def _portions(context: StepContext, model: CategoryModel, taxonomy: Taxonomy) -> Iterator[_Refiled]:
    ids = context.rows(ENRICHMENT, columns=["feedback_id"]).column("feedback_id")
    total = len(ids)
    context.progress.start(NAME, total=total, unit="texts")
    ordered = ids.take(pc.sort_indices(ids)) if total else ids
    reader = clause_reader(context)
    after: str | None = None
    for end in range(PORTION - 1, total + PORTION - 1, PORTION):
        last = ordered[min(end, total - 1)].as_py()
        if last == after:
            continue
        where: list[Condition] = [("feedback_id", "<=", last)]
        if after is not None:
            where.append(("feedback_id", ">", after))
        after = last
        part = _refile(context, model, taxonomy, reader, where)
        context.progress.advance(part.held.num_rows)
        yield part
    context.progress.finish()


def _refile(
    context: StepContext,
    model: CategoryModel,
    taxonomy: Taxonomy,
    reader: Embedder,
    where: list[Condition],
) -> _Refiled:
    held = context.rows(ENRICHMENT, where=where)
    feedback = context.rows(FEEDBACK, columns=embed_words.COLUMNS, where=where)
    feedback = feedback.take(places_in(held, feedback))
    vectors = context.rows(
        EMBEDDING, columns=["feedback_id", "revision", "model", "vector"], where=where
    )
    vectors = vectors.filter(of_model(vectors.column("model"), model.model_id))
    texts = feedback.column("text")
    spoken = embed_words.spoken(texts)
    place = feedback.schema.get_field_index("text")
    feedback = feedback.set_column(place, "text", spoken)
    said = embed_words.own_words(context, feedback, learn=False)
    vector, found = joined_vectors(held, vectors)
    columns = filed(
        model,
        taxonomy,
        vector if found.any() else np.zeros((held.num_rows, model.examples.shape[1]), np.float32),
        words_of(spoken),
        negative=np.asarray(held.column("sentiment"), np.float64),
        free=np.asarray(pc.fill_null(held.column("content_free"), fill_value=False)),
        found=found,
        clauses=read_clauses(reader, said),
    )
    # What has no vector of this model can't be filed: it stays where it is, if that still exists.
    known = pc.is_in(held.column("category"), value_set=pa.array(model.names))
    stays = pa.array(~found & np.asarray(known))
    fresh = held
    for name, column in columns.items():
        kept = pc.if_else(stays, held.column(name), column)
        fresh = fresh.set_column(fresh.schema.get_field_index(name), name, kept)
    moved = np.asarray(pc.not_equal(_labels(held), _labels(fresh)))
    return _Refiled(held=held, fresh=fresh, texts=texts, moved=moved)


def _labels(rows: pa.Table) -> pa.Array:
    """Return all categories of each text as one: "billing + feature request"."""
    lists = rows.column("categories").combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = np.concatenate([[0], np.cumsum(np.asarray(lengths))]).astype(np.int32)
    names = pc.struct_field(lists.flatten(), "category")
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), names), AND)
    # Rows of an earlier release have one category each.
    main = pc.fill_null(rows.column("category").combine_chunks(), UNKNOWN)
    return pc.if_else(pc.equal(joined, ""), main, joined)


def _count(tally: _Tally, part: _Refiled) -> None:
    tally.texts += part.held.num_rows
    for place, rows in enumerate((part.held, part.fresh)):
        unknown = pc.equal(pc.fill_null(rows.column("category"), UNKNOWN), UNKNOWN)
        tally.unknown[place] += int(pc.sum(unknown).as_py() or 0)
    picked = pa.array(np.flatnonzero(part.moved))
    ids, products = (part.held.column(n).take(picked) for n in ("feedback_id", "product"))
    texts = part.texts.take(picked)
    sure = part.fresh.column("category_confidence").take(picked)
    before, after = (_labels(rows.take(picked)).to_pylist() for rows in (part.held, part.fresh))
    for row, (feedback_id, product, one, other) in enumerate(
        zip(ids.to_pylist(), products.to_pylist(), before, after, strict=True)
    ):
        tally.moves[(one, other)] += 1
        old, new = set(one.split(AND)), set(other.split(AND))
        for category in old - new:
            tally.series.setdefault((product, category), [0, 0])[0] += 1
        for category in new - old:
            tally.series.setdefault((product, category), [0, 0])[1] += 1
        tally.left.update((feedback_id, category) for category in old - new)
        samples = tally.samples.setdefault((one, other), [])
        if len(samples) < SAMPLES and texts[row].is_valid:
            samples.append(Sample(feedback_id, texts[row].as_py(), sure[row].as_py() or 0.0))


def _told(context: StepContext, tally: _Tally) -> TaxonomyDiff:
    applied = context.rows(TAXONOMY, columns=["number"]).num_rows > 0
    before = context.config.taxonomy
    return TaxonomyDiff(
        before=before.version if applied else None,
        after=context.offered_taxonomy.version,
        changes=changes_between(before, context.offered_taxonomy) if applied else (),
        texts=tally.texts,
        moved=sum(tally.moves.values()),
        unknown_before=tally.unknown[0],
        unknown_after=tally.unknown[1],
        moves=tuple(
            Move(one, other, number, tuple(tally.samples.get((one, other), ())))
            for (one, other), number in sorted(tally.moves.items(), key=lambda m: (-m[1], m[0]))
        ),
        series=tuple(
            SeriesTouched(product, category, leave=leaving, come=coming)
            for (product, category), (leaving, coming) in sorted(tally.series.items())
        ),
        signals=_signals(context, tally.left),
    )


def _signals(context: StepContext, left: set[tuple[str, str]]) -> tuple[SignalTouched, ...]:
    """Return signals of a category that rest on texts which move, those that lose most first."""
    columns = ["signal_id", "product", "category", "feedback_ids"]
    found = []
    for row in context.rows(SIGNAL, columns=columns).to_pylist():
        ids = row["feedback_ids"] or []
        leave = sum((i, row["category"]) in left for i in ids)
        if leave:
            found.append(
                SignalTouched(
                    row["signal_id"], row["product"], row["category"] or "", len(ids), leave
                )
            )
    return tuple(sorted(found, key=lambda s: (-s.leave, s.signal_id)))
