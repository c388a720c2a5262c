"""Gives each new text of silver.feedback its vector; each distinct text is embedded once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import StepContext, Vectors, only_if_in
from closeloop.tables import EMBEDDING, FEEDBACK, VECTOR

NAME = "embed"
MODEL = "embed.model"
MAX_JUDGED = 5_000
"""Texts of the newest judgements that follow a change of the model."""


def run(context: StepContext) -> None:
    """Write silver.embedding for new revisions; rows without a masker's version stay out."""
    follow_model(context)
    rows = context.new_rows(FEEDBACK, columns=["feedback_id", "revision", "text", "masker"])
    masked = pc.and_(pc.is_valid(rows.column("masker")), pc.is_valid(rows.column("text")))
    rows = rows.filter(masked)
    if not rows.num_rows:
        return
    texts = rows.column("text").combine_chunks().dictionary_encode()
    distinct = texts.dictionary.to_pylist()
    embedder = context.embedder
    context.progress.start(NAME, total=len(distinct), unit="texts")
    vectors = embedder.embed(distinct, progress=context.progress)
    context.progress.finish()
    places = np.asarray(texts.indices)
    context.append(
        EMBEDDING,
        pa.table(
            {
                "feedback_id": rows.column("feedback_id"),
                "revision": rows.column("revision"),
                "model": pa.repeat(pa.scalar(embedder.model_id), rows.num_rows),
                "vector": vector_column(vectors[places]),
            }
        ),
    )
    context.count("embedded texts", len(distinct))


def follow_model(context: StepContext) -> None:
    """Where the model has changed, embed the texts that people have judged with the new one.

    They are what categories and the confidence of themes are fitted to. All else follows as it is
    needed (themes: see theme_migrate), or stays with its old vector.
    """
    blob = context.state(MODEL)
    model_id = context.embedder.model_id
    if blob is not None and blob.decode() == model_id:
        return
    if blob is not None:
        ids: dict[str, None] = {}
        for label in reversed(context.ops.labels()):
            ids |= dict.fromkeys(label.subject)
        judged = list(ids)[:MAX_JUDGED]
        if judged:
            where = [only_if_in("feedback_id", judged)]
            keyed = context.rows(FEEDBACK, columns=["feedback_id", "revision"], where=where)
            rows, _ = embed_anew(context, keyed)
            context.count("judged texts embedded anew", rows.num_rows)
    context.put_state(MODEL, model_id.encode())


def embed_anew(context: StepContext, keyed: pa.Table) -> tuple[pa.Table, Vectors]:
    """Give stored revisions vectors of the configured model, also in silver.embedding.

    Returns the rows of `keyed` (feedback_id, revision, …) whose text is there and masked, and their
    vectors in the same order.
    """
    where = [only_if_in("feedback_id", keyed.column("feedback_id").to_pylist())]
    columns = ["feedback_id", "revision", "text", "masker"]
    feedback = context.rows(FEEDBACK, columns=columns, where=where)
    masked = pc.and_(pc.is_valid(feedback.column("masker")), pc.is_valid(feedback.column("text")))
    feedback = feedback.filter(masked)
    place = pc.index_in(_keys(keyed), value_set=_keys(feedback))
    keyed, place = keyed.filter(pc.is_valid(place)), pc.drop_null(place)
    embedder = context.embedder
    if not keyed.num_rows:
        return keyed, matrix(EMBEDDING.empty().column("vector"))
    texts = feedback.column("text").take(place).combine_chunks().dictionary_encode()
    vectors = embedder.embed(texts.dictionary.to_pylist(), progress=context.progress)
    vectors = vectors[texts.indices.to_numpy()]
    stored = {
        "feedback_id": keyed.column("feedback_id"),
        "revision": keyed.column("revision"),
        "model": pa.repeat(pa.scalar(embedder.model_id), keyed.num_rows),
        "vector": vector_column(vectors),
    }
    context.merge(EMBEDDING, pa.table(stored))
    return keyed, vectors


def vector_column(vectors: Vectors) -> pa.Array:
    """Return rows of a matrix as a list column, without a Python loop."""
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
    fixed = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return fixed.cast(VECTOR)


def matrix(column: pa.ChunkedArray) -> Vectors:
    """Return a list column of equally long vectors as float32 [rows, dimensions]."""
    parts = [np.asarray(chunk.flatten()) for chunk in column.chunks if len(chunk)]
    if not parts:
        return np.zeros((0, 1), np.float32)
    flat = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return np.asarray(flat, np.float32).reshape(len(column), -1)


def _keys(rows: pa.Table) -> pa.Array:
    revision = rows.column("revision").cast(pa.string())
    return pc.binary_join_element_wise(rows.column("feedback_id"), revision, "/").combine_chunks()
