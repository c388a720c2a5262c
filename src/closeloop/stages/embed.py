"""Gives each new text of silver.feedback its vector; each distinct text is embedded once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import StepContext, Vectors
from closeloop.tables import EMBEDDING, FEEDBACK, VECTOR

NAME = "embed"


def run(context: StepContext) -> None:
    """Write silver.embedding for new revisions; rows without a masker's version stay out."""
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
