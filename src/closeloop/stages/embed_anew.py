"""Embeds stored texts again once the configured model has changed."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import StepContext, Vectors, only_if_in
from closeloop.stages.embed_words import COLUMNS, words_to_embed
from closeloop.stages.revision_keys import places_in
from closeloop.stages.vectors import matrix, vector_column
from closeloop.tables import EMBEDDING, FEEDBACK

MODEL = "embed.model"
MAX_JUDGED = 5_000
"""Texts of the newest judgements that follow a change of the model."""


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
    feedback = context.rows(FEEDBACK, columns=COLUMNS, where=where)
    masked = pc.and_(pc.is_valid(feedback.column("masker")), pc.is_valid(feedback.column("text")))
    feedback = words_to_embed(context, feedback.filter(masked), learn=False)
    place = places_in(keyed, feedback)
    keyed, place = keyed.filter(pc.is_valid(place)), pc.drop_null(place)
    embedder = context.embedder
    if not keyed.num_rows:
        return keyed, matrix(EMBEDDING.empty().column("vector"))
    texts = feedback.column("words").take(place).combine_chunks().dictionary_encode()
    vectors = embedder.embed(texts.dictionary.to_pylist(), progress=context.progress)
    vectors = vectors[texts.indices.to_numpy()]
    stored = {
        "feedback_id": keyed.column("feedback_id"),
        "revision": keyed.column("revision"),
        "model": pa.repeat(pa.scalar(embedder.model_id), keyed.num_rows),
        "vector": vector_column(vectors),
        "words_hash": feedback.column("words_hash").take(place),
    }
    context.merge(EMBEDDING, pa.table(stored))
    return keyed, vectors
