"""The model reads what it can; a student it agrees with reads the volume."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from closeloop.models.vector_cache import CachedEmbedder
from closeloop.ports import STUDENT, of_model
from closeloop.stages import embed
from closeloop.stages.embed_student import STUDENT_STATE, StudentRecord, _sample, agreement
from closeloop.stages.vectors import matrix
from closeloop.tables import EMBEDDING, FEEDBACK
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext
from closeloop.testing.embedders import HashedWordEmbedder

WORDS = [f"{a}{b}" for a in ("pay", "log", "ship", "crash", "slow") for b in "abcdefghij"]
TEACHER = HashedWordEmbedder()


def texts(count: int, *, seed: int, words: list[str] = WORDS) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(words, k=8)) for _ in range(count)]


def context(folder: Path, *, at_once: int, least: float = 0.7) -> InMemoryContext:
    config = replace(
        example_configuration(),
        embed_at_once=at_once,
        student_sample=at_once,
        student_agreement=least,
    )
    return InMemoryContext(config=config, embedder=CachedEmbedder(TEACHER, folder))


def take_in(held: InMemoryContext, given: list[str], *, prefix: str) -> InMemoryContext:
    rows = [
        {"feedback_id": f"{prefix}{i}", "revision": 1, "text": t, "masker": "1"}
        for i, t in enumerate(given)
    ]
    held.as_step("refine").append(FEEDBACK, FEEDBACK.from_rows(rows))
    embed.run(held.as_step(embed.NAME))
    return held


def record(held: InMemoryContext) -> StudentRecord | None:
    return StudentRecord.from_bytes(held.state(STUDENT_STATE))


def by_student(held: InMemoryContext) -> int:
    return int(pc.sum(pc.match_substring(held.rows(EMBEDDING)["model"], STUDENT)).as_py() or 0)


def test_few_texts_are_read_by_the_model_itself(tmp_path: Path) -> None:
    held = take_in(context(tmp_path, at_once=2_000), texts(1_900, seed=1), prefix="a")
    assert by_student(held) == 0
    assert record(held) is None


def test_of_many_texts_the_model_reads_a_sample_and_a_student_the_others(tmp_path: Path) -> None:
    given = texts(3_000, seed=1)
    held = take_in(context(tmp_path, at_once=2_000), given, prefix="a")
    found = record(held)
    assert found is not None
    assert (found.texts, found.teacher_id) == (1_800, TEACHER.model_id)
    assert found.agreement > 0.8
    assert by_student(held) == len(set(given)) - 2_000
    rows = held.rows(EMBEDDING).sort_by("feedback_id")
    assert pc.all(of_model(rows["model"], TEACHER.model_id)).as_py()
    order = np.argsort([f"a{i}" for i in range(len(given))])
    wanted = TEACHER.embed([given[i] for i in order])
    assert float((matrix(rows["vector"]) * wanted).sum(axis=1).mean()) > 0.9


def test_a_long_text_is_drawn_less_often_and_counts_for_more() -> None:
    short = [f"short {i}" for i in range(4_000)]
    long = [f"long {i} " + "x" * 390 for i in range(4_000)]
    sample = _sample(pa.array([*short, *long]), 2_000)
    drawn = sum(len(text) > 100 for text in sample)
    assert drawn == pytest.approx(2_000 / 5, rel=0.15)
    assert _sample(pa.array([*long, *short]), 2_000) == sample
    teacher = np.eye(2, dtype=np.float32)[[0, 0, 1, 1, 0]]
    student = teacher.copy()
    student[4] = [0, 1]
    five = [*short[:4], "x" * 400]
    assert agreement(student, teacher, five) < agreement(student, teacher, [*short[:4], "x"])


def test_a_student_goes_on_while_it_agrees_and_is_fitted_anew_when_it_drifts(
    tmp_path: Path,
) -> None:
    held = take_in(context(tmp_path, at_once=2_000), texts(3_000, seed=1), prefix="a")
    first = record(held)
    assert record(take_in(held, texts(3_000, seed=2), prefix="b")) == first
    strange = [f"{a}{b}" for a in ("card", "font", "refund") for b in "klmnopqrst"]
    later = record(take_in(held, texts(3_000, seed=3, words=strange), prefix="c"))
    assert later is not None
    assert first is not None
    assert later.model_id != first.model_id
    assert later.agreement > 0.7


def test_a_student_that_does_not_agree_is_not_trusted(tmp_path: Path) -> None:
    held = take_in(context(tmp_path, at_once=2_000, least=0.9999), texts(3_000, seed=1), prefix="a")
    assert by_student(held) == 0
    assert record(held) is None


def test_a_student_whose_file_is_gone_is_fitted_again(tmp_path: Path) -> None:
    held = take_in(context(tmp_path, at_once=2_000), texts(3_000, seed=1), prefix="a")
    first = record(held)
    (kept,) = tmp_path.rglob("*.npz")
    kept.unlink()
    held.services.make_embedder = lambda: CachedEmbedder(TEACHER, tmp_path)
    again = record(take_in(held, texts(3_000, seed=1), prefix="b"))
    assert again == first
    assert kept.exists()


@pytest.mark.parametrize("model", ["other", TEACHER.model_id + "2", "x" + TEACHER.model_id])
def test_another_models_vectors_are_in_another_space(model: str) -> None:
    column = EMBEDDING.from_rows([{"feedback_id": "a", "model": model}])["model"]
    assert not pc.any(of_model(column, TEACHER.model_id)).as_py()
