"""Says of each new text how negative and urgent it is, and which category it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.review import LabelKind
from closeloop.domain.taxonomy import UNKNOWN, Taxonomy
from closeloop.ports import Condition, Embedder, StepContext, Vectors, of_model, only_if_in
from closeloop.progress import shown
from closeloop.stages import embed_words
from closeloop.stages.enrich_category import (
    MIN_LABELS,
    CategoryModel,
    Filing,
    Labelled,
    build,
    classify,
)
from closeloop.stages.enrich_clauses import ReadClauses, clause_reader, read_clauses
from closeloop.stages.enrich_sentiment import (
    MAX_STARS,
    SentimentHead,
    Stars,
    fit_head,
    negative_probability,
)
from closeloop.stages.enrich_urgency import UrgencyHead, fit_urgency
from closeloop.stages.revision_keys import places_in
from closeloop.stages.taxonomy_applied import note_first
from closeloop.stages.vectors import matrix
from closeloop.tables import EMBEDDING, ENRICHMENT, FEEDBACK, NAMED_CONFIDENCE
from closeloop.text.sentiment import conflicts, content_free
from closeloop.text.urgency import urgency_of
from closeloop.text.words import Words, words_of

NAME = "enrich"
STARS = "enrich.stars"
SENTIMENT = "enrich.sentiment"
URGENCY = "enrich.urgency"
CATEGORY = "enrich.category"
COLUMNS = ("product", "event_time", "rating", *embed_words.COLUMNS)
BATCH = 25_000

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Models:
    """What a pass classifies with."""

    head: SentimentHead | None
    urgent: UrgencyHead | None
    category: CategoryModel
    reader: Embedder


def run(context: StepContext) -> None:
    """Write silver.enrichment for new revisions, filed by the taxonomy that was applied last.

    The first taxonomy applies by itself. A later change of the files moves nothing: see
    stages.taxonomy.
    """
    portion = context.portion(FEEDBACK, by="feedback_id", rows=context.config.portion_rows)
    rows = context.new_rows(FEEDBACK, columns=list(COLUMNS), where=portion)
    vectors = context.new_rows(
        EMBEDDING, columns=["feedback_id", "revision", "model", "vector"], where=portion
    )
    rows = rows.filter(
        pc.and_(pc.is_valid(rows.column("masker")), pc.is_valid(rows.column("text")))
    )
    if not rows.num_rows:
        return
    rows = rows.sort_by([("feedback_id", "ascending"), ("revision", "ascending")])
    rows, instructions_only = _spoken(rows)
    stars = Stars.from_bytes(context.state(STARS)).seen(_ratings(rows)[~instructions_only])
    head, urgent = _heads(context, stars)
    if stars.due:
        stars = Stars(stars.low, stars.high, fitted_at=stars.low + stars.high)
    note_first(context)
    category = category_model(context, context.config.taxonomy, keep=True)
    context.put_state(STARS, stars.to_bytes())
    # The model may have been changed between a killed pass and this one.
    vectors = vectors.filter(of_model(vectors.column("model"), context.embedder.model_id))
    vectors = _files_in_order(vectors)
    reader = clause_reader(context, fresh=int((~instructions_only).sum()))
    models = Models(head=head, urgent=urgent, category=category, reader=reader)
    with shown(context.progress, NAME, total=rows.num_rows, unit="texts"):
        enriched = _enriched(context, rows, instructions_only, vectors, models)
    context.append(ENRICHMENT, enriched)
    context.count("enriched", rows.num_rows)


def forget(context: StepContext, feedback_ids: Iterable[str]) -> int:
    """Take labelled texts' vectors out of what the categories remember; return 1 where any went."""
    blob = context.state(CATEGORY)
    if blob is None:
        return 0
    model = CategoryModel.from_bytes(blob)
    kept = model.without(frozenset(feedback_ids))
    if kept is model:
        return 0
    context.put_state(CATEGORY, kept.to_bytes())
    return 1


def joined_vectors(rows: pa.Table, vectors: pa.Table) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Return each row's vector (zeros where it has none) and which rows have one.

    Both tables hold feedback_id and revision; the usual case, the same rows in the same order,
    costs nothing.
    """
    table = matrix(vectors.column("vector"))
    key = ["feedback_id", "revision"]
    if rows.num_rows == vectors.num_rows and rows.select(key).equals(vectors.select(key)):
        return table, np.ones(rows.num_rows, np.bool_)
    place = places_in(rows, vectors)
    found = np.asarray(pc.is_valid(place))
    if found.all():
        return table[np.asarray(place)], found
    result = np.zeros((rows.num_rows, table.shape[1]), np.float32)
    result[found] = table[np.asarray(pc.drop_null(place))]
    return result, found


def _files_in_order(vectors: pa.Table) -> pa.Table:
    """Return the rows of each file in the order of the files' ids; no vector is moved.

    Each file is sorted, and holds a range of ids where many texts came at once.
    """
    batches = [batch for batch in vectors.to_batches() if batch.num_rows]
    batches.sort(key=lambda batch: str(batch.column("feedback_id")[0]))
    return pa.Table.from_batches(batches, vectors.schema)


def _vectors_beside(
    rows: pa.Table, vectors: pa.Table, *, dimensions: int
) -> Callable[[int], tuple[Vectors, npt.NDArray[np.bool_]]]:
    """Return what gives the vectors of a batch of rows by its start, and which rows have one.

    As a rule the vectors lie as the rows do: then only a batch of them is copied at a time.
    """
    key = ["feedback_id", "revision"]
    if rows.select(key).equals(vectors.select(key)):
        column = vectors.column("vector")
        return lambda start: (
            matrix(column.slice(start, BATCH)),
            np.ones(min(BATCH, rows.num_rows - start), np.bool_),
        )
    vector, found = joined_vectors(rows, vectors)
    if not found.any():
        vector = np.zeros((rows.num_rows, dimensions), np.float32)
    return lambda start: (vector[start : start + BATCH], found[start : start + BATCH])


def _enriched(
    context: StepContext,
    rows: pa.Table,
    instructions_only: Flags,
    vectors: pa.Table,
    models: Models,
) -> pa.Table:
    beside = _vectors_beside(rows, vectors, dimensions=models.category.examples.shape[1])
    said = embed_words.own_words(context, rows, learn=False)
    taxonomy = context.config.taxonomy
    # Both leave Python's lock most of the time: one batch is judged while the clauses of the next
    # are read. Models that can't be asked by two threads are asked by this one only.
    with ThreadPoolExecutor(1) as judge:
        parts: list[Future[pa.Table]] = []
        for start in range(0, rows.num_rows, BATCH):
            part = rows.slice(start, BATCH)
            vector, found = beside(start)
            clauses = read_clauses(
                models.reader, said.slice(start, BATCH), progress=context.progress
            )
            if parts:
                parts[-1].result()
            parts.append(
                judge.submit(
                    _enriched_batch,
                    part,
                    instructions_only[start : start + BATCH],
                    vector,
                    found,
                    clauses,
                    models=models,
                    taxonomy=taxonomy,
                )
            )
        return pa.concat_tables([part.result() for part in parts])


def _spoken(rows: pa.Table) -> tuple[pa.Table, Flags]:
    """Return the rows without what their texts tell a machine to do, and which say nothing else."""
    given = rows.column("text")
    texts = embed_words.spoken(given)
    if texts is given:
        return rows, np.zeros(rows.num_rows, np.bool_)
    nothing_else = pc.and_(pc.equal(texts, ""), pc.not_equal(given, ""))
    rows = rows.set_column(rows.schema.get_field_index("text"), "text", texts)
    return rows, np.asarray(nothing_else, np.bool_)


def _enriched_batch(
    rows: pa.Table,
    instructions_only: Flags,
    vectors: Vectors,
    found: npt.NDArray[np.bool_],
    clauses: ReadClauses,
    *,
    models: Models,
    taxonomy: Taxonomy,
) -> pa.Table:
    texts, ratings = rows.column("text").combine_chunks(), _ratings(rows)
    words = words_of(texts)
    text_only, negative, model = negative_probability(
        words, vectors, ratings, rows.column("source").combine_chunks(), head=models.head
    )
    conflict = conflicts(text_only, ratings)
    negative = np.where(conflict, text_only, negative)
    like = None if models.urgent is None else models.urgent.like_urgent(vectors) & found
    urgency, reasons = urgency_of(texts, negative, like_urgent=like)
    free = content_free(words)
    return ENRICHMENT.conform(
        pa.table(
            {
                "feedback_id": rows.column("feedback_id"),
                "revision": rows.column("revision"),
                "product": rows.column("product"),
                "event_time": rows.column("event_time"),
                "sentiment": pa.array(negative),
                "sentiment_model": pa.repeat(pa.scalar(model), rows.num_rows),
                "urgency": pa.array(np.where(free, 0.0, urgency)),
                "urgency_reasons": reasons,
                "rating_conflict": pa.array(conflict),
                **filed(
                    models.category,
                    taxonomy,
                    vectors,
                    words,
                    negative=negative,
                    free=free,
                    found=found,
                    clauses=clauses,
                ),
                "content_free": pa.array(free),
                "instructions_only": pa.array(instructions_only),
            }
        )
    )


def filed(
    model: CategoryModel,
    taxonomy: Taxonomy,
    vectors: Vectors,
    words: Words,
    *,
    negative: Floats,
    free: npt.NDArray[np.bool_],
    found: npt.NDArray[np.bool_],
    clauses: ReadClauses,
) -> dict[str, pa.Array]:
    """Return the columns of silver.enrichment that say what each text is about.

    `free` marks texts without content, `found` those that have a vector.
    """
    filing = classify(model, taxonomy, vectors, words, negative, clauses=clauses)
    complaint = np.array([*(c.complaint for c in taxonomy.categories), False])
    # A text that says nothing complains about nothing in particular.
    named = found & ~(free & complaint[filing.chosen])
    filing = filing.only(named)
    names = pa.array([*model.names, UNKNOWN])
    return {
        "category": names.take(pa.array(filing.chosen % len(names))),
        "category_confidence": pa.array(np.where(filing.chosen < 0, 0.0, filing.confidence)),
        "category_model": pa.repeat(pa.scalar(model.name), len(filing.chosen)),
        "categories": _several(filing, names),
    }


def _several(filing: Filing, names: pa.Array) -> pa.Array:
    """Return every category of each text with its confidence, the main one first."""
    main = np.flatnonzero(filing.chosen >= 0)
    rows = np.concatenate([main, filing.rows])
    codes = np.concatenate([filing.chosen[main], filing.codes])
    sure = np.concatenate([filing.confidence[main], filing.sure])
    # Stable: the main category of a text stands before its others.
    order = np.argsort(rows, kind="stable")
    offsets = np.zeros(len(filing.chosen) + 1, np.int32)
    offsets[1:] = np.cumsum(np.bincount(rows, minlength=len(filing.chosen)))
    entries = pa.StructArray.from_arrays(
        [names.take(pa.array(codes[order])), pa.array(sure[order])],
        fields=list(NAMED_CONFIDENCE),
    )
    return pa.ListArray.from_arrays(pa.array(offsets), entries)


def _heads(context: StepContext, stars: Stars) -> tuple[SentimentHead | None, UrgencyHead | None]:
    """Return what tells tone and urgency; fitted to the user's own stars when they have doubled."""
    model_id = context.embedder.model_id
    tone, urgency = context.state(SENTIMENT), context.state(URGENCY)
    held = None if tone is None else SentimentHead.from_bytes(tone)
    outdated = tone is not None and held is None
    if not stars.due and not outdated:
        urgent = None if urgency is None else UrgencyHead.from_bytes(urgency)
        # A head over another model's vectors says nothing of these.
        return (
            held if held is None or held.model_id == model_id else None,
            urgent if urgent is None or urgent.model_id == model_id else None,
        )
    texts, sources, vectors, negative = _starred(context)
    if min(negative.sum(), (~negative).sum()) < 20:
        return None, None
    with shown(context.progress, "fit the tone to the stars"):
        head = fit_head(words_of(texts), vectors, negative, sources, model_id=model_id)
    context.put_state(SENTIMENT, head.to_bytes())
    context.count("sentiment heads fitted", 1)
    with shown(context.progress, "fit the urgency"):
        urgent = fit_urgency(texts.filter(pa.array(negative)), vectors[negative], model_id=model_id)
    if urgent is not None:
        context.put_state(URGENCY, urgent.to_bytes())
        context.count("urgency heads fitted", 1)
    return head, urgent


def _starred(
    context: StepContext,
) -> tuple[pa.ChunkedArray, pa.Array, Vectors, npt.NDArray[np.bool_]]:
    """Return texts with 1-2 or 4-5 stars, their sources and vectors, and which have 1-2."""
    columns = ["feedback_id", "revision", "rating", "source"]
    rated: list[Condition] = [("rating", "!=", None), ("masker", "!=", None)]
    rows = context.rows(FEEDBACK, columns=columns, where=rated)
    rating = rows.column("rating")
    starred = pc.or_(
        pc.and_(pc.greater_equal(rating, 1), pc.less_equal(rating, 2)), pc.greater_equal(rating, 4)
    )
    # Ids are hashes, so the lowest are a draw that every run repeats, and lie in few files.
    rows = rows.filter(starred).sort_by([(n, "ascending") for n in columns[:2]])
    rows = rows.slice(0, MAX_STARS)
    drawn = rows.column("feedback_id").combine_chunks()
    where = [("feedback_id", "<=", drawn[-1].as_py())] if len(drawn) else []
    texts = context.rows(FEEDBACK, columns=["feedback_id", "revision", "text"], where=where)
    place = places_in(rows, texts)
    rows = rows.append_column("text", texts.column("text").take(place))
    vectors = _vectors(context, where=where)
    vector, found = joined_vectors(rows, vectors)
    rows, instructions_only = _spoken(rows)
    found &= ~instructions_only
    rows = rows.filter(pa.array(found))
    sources = rows.column("source").combine_chunks()
    return rows.column("text"), sources, vector[found], _ratings(rows) <= 2


def _vectors(context: StepContext, *, where: Sequence[Condition]) -> pa.Table:
    """Return stored vectors (feedback_id, revision, vector) in the space of the configured model."""
    columns = ["feedback_id", "revision", "model", "vector"]
    rows = context.rows(EMBEDDING, columns=columns, where=where)
    return rows.filter(of_model(rows.column("model"), context.embedder.model_id)).drop_columns(
        "model"
    )


def category_model(
    context: StepContext, taxonomy: Taxonomy, *, keep: bool = False
) -> CategoryModel:
    """Return what files texts by a taxonomy: what is remembered, or one made anew (and kept).

    Labels come one by one: the model is made anew when they have grown by a quarter.
    """
    embedder = context.embedder
    labels = context.ops.labels(LabelKind.CATEGORY)
    blob = context.state(CATEGORY)
    if blob is not None:
        model = CategoryModel.from_bytes(blob)
        same = model.taxonomy_version == taxonomy.version and model.model_id == embedder.model_id
        grown = len(labels) >= max(MIN_LABELS, 1.25 * model.labels)
        if same and not (grown and len(labels) > model.labels):
            return model
    answers = {label.subject[0]: label.value for label in labels if label.subject}
    ids = sorted(answers)
    where = [only_if_in("feedback_id", ids)]
    vectors = _vectors(context, where=where)
    texts = context.rows(FEEDBACK, columns=["feedback_id", "revision", "text"], where=where)
    place = places_in(vectors, texts)
    labelled = None
    if vectors.num_rows:
        named = vectors.column("feedback_id").to_pylist()
        labelled = Labelled(
            ids=named,
            texts=pc.fill_null(texts.column("text").take(place), "").to_pylist(),
            vectors=matrix(vectors.column("vector")),
            names=[answers[i] for i in named],
        )
    with shown(context.progress, "fit the categories"):
        model = build(taxonomy, embedder.embed, model_id=embedder.model_id, labelled=labelled)
    if keep:
        context.put_state(CATEGORY, model.to_bytes())
    return model


def _ratings(rows: pa.Table) -> npt.NDArray[np.float64]:
    return np.asarray(pc.fill_null(rows.column("rating"), float("nan")), np.float64)
