"""Lets the model itself read the texts whose theme a student's vector leaves in doubt."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import StepContext
from closeloop.stages.theme_memory import ThemeMemory
from closeloop.stages.theme_rows import Texts
from closeloop.stats.themes import ASSIGN_AT, best_two
from closeloop.text.customer_words import looks_like_ticket

SECOND_LOOKS = "theme.second_looks"
"""State: the day, and how many texts the model has read on it."""


def looks_left(context: StepContext) -> int:
    """Return how many texts the model may still read today (UTC)."""
    blob = context.state(SECOND_LOOKS)
    day, done = ("", 0) if blob is None else json.loads(blob)
    today = context.now.date().isoformat()
    return max(context.config.second_looks - (int(done) if day == today else 0), 0)


def note_looks(context: StepContext, left: int) -> None:
    """Remember how many are left today."""
    done = context.config.second_looks - left
    context.put_state(SECOND_LOOKS, json.dumps([context.now.date().isoformat(), done]).encode())


def second_look(context: StepContext, memory: ThemeMemory, texts: Texts, *, left: int) -> Texts:
    """Return the texts, up to `left` of them with the model's own vectors in place of a student's.

    They are those whose nearest theme is least clear: it hardly beats the second, or is hardly near
    enough. Of 3,900 reviews a student put .63 where the model did; where the model read a tenth, a
    fifth, two fifths in doubt as well .70, .76, .86 (of those drawn at random .67, .71, .78).
    silver.embedding keeps the student's vectors.
    """
    rows = np.flatnonzero(texts.by_student)
    if not len(rows) or not memory.ids or left <= 0:
        return texts
    _, first, second = best_two(memory.frame.centred(texts.vectors[rows]), memory.centres)
    margin = (first - second) / memory.frame.sd
    doubt = np.minimum(margin, np.abs(memory.frame.scores(first) - ASSIGN_AT))
    # Of what may hold more than the customer's words only those were embedded.
    said = texts.texts.take(pa.array(rows))
    several = np.asarray(pc.greater(pc.count_substring(said, "\n"), 0)) | looks_like_ticket(said)
    doubt[several] = np.inf
    order = np.argsort(doubt, kind="stable")[: min(left, int((~several).sum()))]
    chosen = rows[order]
    if not len(chosen):
        return texts
    vectors, by_student = texts.vectors.copy(), texts.by_student.copy()
    vectors[chosen] = context.embedder.embed(texts.texts.take(pa.array(chosen)).to_pylist())
    by_student[chosen] = False
    context.count("doubtful texts read by the model", len(chosen))
    return replace(texts, vectors=vectors, by_student=by_student)
