"""A student learns its teacher's vectors, is kept by content, and is found again."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from closeloop.models.student import StudentShelf, fit_student
from closeloop.models.vector_cache import CachedEmbedder
from closeloop.testing.embedders import HashedWordEmbedder

WORDS = [f"{a}{b}" for a in ("pay", "log", "ship", "crash", "slow") for b in "abcdefghij"]
TEACHER = HashedWordEmbedder()


def texts(count: int, *, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(3, 9))) for _ in range(count)]


def fitted(seed: int = 1):
    taught = texts(1_500, seed=seed)
    return fit_student(
        taught, TEACHER.embed(taught), teacher_id=TEACHER.model_id, tokenizer_json=None
    )


def test_it_agrees_with_its_teacher_on_texts_it_has_not_seen() -> None:
    unseen = texts(300, seed=2)
    cosines = (fitted().embed(unseen) * TEACHER.embed(unseen)).sum(axis=1)
    assert float(cosines.mean()) > 0.9


def test_the_same_texts_make_the_same_student() -> None:
    one, other = fitted(), fitted()
    assert one.model_id == other.model_id
    assert one.model_id.startswith(TEACHER.model_id)
    assert fitted(seed=3).model_id != one.model_id


def test_a_vector_has_length_one_and_depends_on_no_other_text() -> None:
    student = fitted()
    mixed = [*texts(50, seed=4), "", "ünknown ☂", "x" * 5_000]
    together = student.embed(mixed)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-4)
    alone = np.concatenate([student.embed([text]) for text in mixed])
    assert np.allclose(together, alone, atol=1e-5)
    assert student.embed([]).shape == (0, TEACHER.dimensions)


def test_a_kept_student_is_found_by_another_process(tmp_path: Path) -> None:
    taught = texts(800, seed=5)
    student = CachedEmbedder(TEACHER, tmp_path).fit_student(taught, TEACHER.embed(taught))
    again = CachedEmbedder(TEACHER, tmp_path).student(student.model_id)
    assert again is not None
    assert np.array_equal(again.embed(taught[:9]), student.embed(taught[:9]))


@pytest.mark.parametrize("content", [None, b"", b"PK broken", b"PK\x03\x04 broken"])
def test_a_lost_or_broken_file_is_no_student(tmp_path: Path, content: bytes | None) -> None:
    student = fitted()
    shelf = StudentShelf(tmp_path)
    shelf.put(student)
    (path,) = tmp_path.iterdir()
    path.unlink() if content is None else path.write_bytes(content)
    assert StudentShelf(tmp_path).get(student.model_id) is None
