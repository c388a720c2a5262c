"""Gives each new text of silver.feedback its vector; each distinct text is embedded once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import StepContext
from closeloop.progress import Share, shown
from closeloop.stages.embed_anew import follow_model
from closeloop.stages.embed_student import Volume, for_volume
from closeloop.stages.embed_words import COLUMNS, words_to_embed
from closeloop.stages.vectors import vector_column
from closeloop.tables import EMBEDDING, FEEDBACK

NAME = "embed"
CHUNK = 50_000
"""Texts whose vectors are held and written at a time."""


def run(context: StepContext) -> None:
    """Write silver.embedding for new revisions; rows without a masker's version stay out.

    Where more distinct texts are new than the model is meant to read at once, it reads a sample,
    and a student that was fitted to it and agrees with it well enough reads the others. Of support
    tickets only the customer's own words are embedded (see embed_words).
    """
    follow_model(context)
    rows = context.new_rows(FEEDBACK, columns=COLUMNS)
    masked = pc.and_(pc.is_valid(rows.column("masker")), pc.is_valid(rows.column("text")))
    rows = rows.filter(masked)
    if not rows.num_rows:
        return
    # Later steps ask for ranges of ids: each file then holds one.
    rows = rows.sort_by([("feedback_id", "ascending"), ("revision", "ascending")])
    rows = words_to_embed(context, rows, learn=True)
    volume = for_volume(context, rows.column("words"))
    with shown(context.progress, NAME, total=rows.num_rows, unit="texts"):
        for start in range(0, rows.num_rows, CHUNK):
            context.append(EMBEDDING, _embedded(context, rows.slice(start, CHUNK), volume))


def _embedded(context: StepContext, rows: pa.Table, volume: Volume | None) -> pa.Table:
    texts = rows.column("words").combine_chunks().dictionary_encode()
    distinct = texts.dictionary.to_pylist()
    model = context.embedder.model_id
    # What says nothing is not read: in a batch it would move the others' last digits.
    said = np.array([text != "" for text in distinct], np.bool_)
    asked = [text for text in distinct if text != ""]
    vectors = np.zeros((len(distinct), context.embedder.dimensions), np.float32)
    vectors[~said, 0] = 1.0
    models = np.full(len(distinct), model, object)
    share = Share(context.progress, units=rows.num_rows, parts=len(asked))
    if volume is None:
        vectors[said] = context.embedder.embed(asked, progress=share)
    else:
        vectors[said], models[said] = volume.embed(asked, progress=share)
    share.finish()
    read = int((models[said] == model).sum())
    context.count("embedded texts", read)
    context.count("embedded by the student", len(asked) - read)
    places = np.asarray(texts.indices)
    return pa.table(
        {
            "feedback_id": rows.column("feedback_id"),
            "revision": rows.column("revision"),
            "model": pa.array(models, pa.string()).take(texts.indices),
            "vector": vector_column(vectors[places]),
            "words_hash": rows.column("words_hash"),
        }
    )
