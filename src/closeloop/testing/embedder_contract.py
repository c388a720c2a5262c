"""What every embedder must do; an adapter's test subclasses EmbedderContract and says how one is made."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from closeloop.ports import Embedder

TEXTS = (
    "the payment failed and the money is gone",
    "late",
    "ka paisa nahi mila, bahut bura app",
    "l'application plante à chaque démarrage",
    "my parcel is two weeks late " * 12,
    "क्या हुआ",
)
ODD = (
    "",
    " \t\n",
    "👍🏽👩‍👩‍👧",
    "NUL \0 inside",
    "lone \ud800 surrogate",
    "\u202eright to left",
    "a" * 20_000,
)
LEAST_COSINE = 0.99999


class EmbedderContract(ABC):
    """Vectors of length 1 that depend on the text alone."""

    @abstractmethod
    def embedder(self) -> Embedder:
        """Return the embedder, made anew at every call."""

    def test_vectors_have_length_one(self) -> None:
        """Rows of float32, as many numbers as stated."""
        model = self.embedder()
        vectors = model.embed(list(TEXTS))
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), model.dimensions)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_the_same_text_has_the_same_vector(self) -> None:
        """Also for an embedder that was made anew, as in the next run."""
        assert _alike(self.embedder().embed(list(TEXTS)), self.embedder().embed(list(TEXTS)))

    def test_a_vector_depends_neither_on_order_nor_on_its_neighbours(self) -> None:
        """Else a replay would not be a replay."""
        model = self.embedder()
        together = model.embed(list(TEXTS))
        assert _alike(together[::-1], model.embed(list(TEXTS[::-1])))
        assert _alike(together, np.concatenate([model.embed([text]) for text in TEXTS]))
        assert _alike(together[[0, 0, 1]], model.embed([TEXTS[0], TEXTS[0], TEXTS[1]]))

    def test_different_texts_have_different_vectors(self) -> None:
        """A model that says the same of everything passes all else."""
        vectors = self.embedder().embed(list(TEXTS[:2]))
        assert float(vectors[0] @ vectors[1]) < LEAST_COSINE

    def test_no_texts_have_no_vectors(self) -> None:
        """The width is there all the same."""
        model = self.embedder()
        assert model.embed([]).shape == (0, model.dimensions)

    def test_odd_texts_have_vectors_too(self) -> None:
        """Nothing, emoji, NUL, a broken character, direction marks, far too long."""
        model = self.embedder()
        vectors = model.embed(list(ODD))
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
        assert _alike(vectors, np.concatenate([model.embed([text]) for text in ODD]))

    def test_name_and_width_are_known_before_and_stay(self) -> None:
        """They name the vector cache, and the vectors in the tables."""
        model, other = self.embedder(), self.embedder()
        before = (model.model_id, model.dimensions)
        model.embed(["one text"])
        assert before == (model.model_id, model.dimensions) == (other.model_id, other.dimensions)
        assert model.model_id


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(((one * other).sum(axis=1) >= LEAST_COSINE).all())
