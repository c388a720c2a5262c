"""The static student: a token's vector a lookup away, fitted to a model on a deployment's own texts."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from scipy import sparse

from closeloop.ports import STUDENT, Progress, Vectors

if TYPE_CHECKING:
    from tokenizers import Tokenizer

RIDGE = 0.3
"""On 16,000 real reviews .1, .3, 1 and 3 gave a cosine of .785, .790, .787 and .771 with the
teacher on reviews held back; bigrams, a hidden layer, or a prior from the teacher's vectors of
single tokens gained less than .01."""
ITERATIONS = 30
PIECES = 16_000
"""Vocabulary that is learned from the texts where the teacher brings none (a cosine of .75)."""
SLICE = 12_500
TOGETHER = 256
REMEMBERED = 100_000
"""Words whose pieces are kept, some 15 MB."""
THREADS = 2


@dataclass(frozen=True, slots=True)
class Student:
    """Stands in for a slow embedder: the direction of the sum of a text's token vectors.

    Its vectors lie in the teacher's space, around the teacher's mean, so that they can be compared
    with the teacher's. About 40,000 short texts a second and core where MiniLM does 300.
    """

    model_id: str
    tokenizer: Tokenizer
    pieces: npt.NDArray[np.float16]
    mean: Vectors
    radius: float
    cut: dict[str, list[int]] = field(default_factory=dict, compare=False, repr=False)
    """The pieces of words that were met: writers repeat one another."""

    @property
    def dimensions(self) -> int:
        """Length of a vector's row."""
        return len(self.mean)

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return one row a text, float32 [len(texts), dimensions], of length 1.

        A text without a known token gets the teacher's mean. Advances progress by texts.
        """
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        table = self.pieces.astype(np.float32)

        def work(start: int) -> int:
            part = texts[start : start + SLICE]
            sums = _counts(self.tokenizer, part, len(table), cut=self.cut) @ table
            norms = np.linalg.norm(sums, axis=1, keepdims=True)
            placed = self.mean + sums * (self.radius / np.maximum(norms, 1e-9))
            length = np.maximum(np.linalg.norm(placed, axis=1, keepdims=True), 1e-9)
            vectors[start : start + SLICE] = placed / length
            return len(part)

        with ThreadPoolExecutor(THREADS) as threads:
            for count in threads.map(work, range(0, len(texts), SLICE)):
                if progress is not None:
                    progress.advance(count)
        return vectors


def fit_student(
    texts: Sequence[str], vectors: Vectors, *, teacher_id: str, tokenizer_json: str | None
) -> Student:
    """Return the student whose sums of token vectors come nearest to the teacher's vectors.

    Ridge regression by conjugate gradients, all dimensions at once: 16,000 texts take 2 s. The
    tokens are those of `tokenizer_json` (the teacher's own), else learned from the texts.
    """
    tokenizer = _loaded(tokenizer_json) if tokenizer_json else _learned(texts)
    counts = _counts(tokenizer, texts, tokenizer.get_vocab_size(), cut={})
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    moved = vectors - mean
    seen = np.flatnonzero(np.asarray(counts.sum(axis=0)).ravel() > 0)
    pieces = np.zeros((counts.shape[1], vectors.shape[1]), np.float16)
    pieces[seen] = _ridge(counts[:, seen], moved)
    radius = float(np.linalg.norm(moved, axis=1).mean())
    digest = xxhash.xxh3_64(pieces.tobytes())
    digest.update(mean.tobytes() + (tokenizer_json or tokenizer.to_str()).encode())
    return Student(
        model_id=f"{teacher_id}{STUDENT}{digest.hexdigest()}",
        tokenizer=tokenizer,
        pieces=pieces,
        mean=mean,
        radius=radius,
    )


class StudentShelf:
    """Students in a folder, one file each, named by content: written once, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, Student] = {}

    def put(self, student: Student) -> None:
        """Keep a student."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._path(student.model_id).with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            np.savez(
                file,
                pieces=student.pieces,
                mean=student.mean,
                radius=np.array(student.radius),
                tokenizer=np.frombuffer(student.tokenizer.to_str().encode(), np.uint8),
            )
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path(student.model_id))
        self._held[student.model_id] = student

    def get(self, model_id: str) -> Student | None:
        """Return the student of this name, or None where its file is gone or broken."""
        if model_id not in self._held:
            try:
                with np.load(self._path(model_id), allow_pickle=False) as held:
                    self._held[model_id] = Student(
                        model_id=model_id,
                        tokenizer=_loaded(held["tokenizer"].tobytes().decode()),
                        pieces=held["pieces"],
                        mean=held["mean"],
                        radius=float(held["radius"]),
                    )
            except (OSError, EOFError, ValueError, KeyError, BadZipFile):
                return None
        return self._held[model_id]

    def _path(self, model_id: str) -> Path:
        return self._folder / f"{model_id.rpartition(STUDENT)[2]}.npz"


def _loaded(tokenizer_json: str) -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _learned(texts: Sequence[str]) -> Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    unknown = "[UNK]"
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # Pieces that fewer than three texts hold could be a customer's own words.
    trainer = trainers.WordPieceTrainer(
        vocab_size=PIECES, special_tokens=[unknown], show_progress=False, min_frequency=3
    )
    tokenizer.train_from_iterator(texts, trainer)
    # Its pieces are numbered anew in order, as the trainer's order depends on its threads.
    written = json.loads(tokenizer.to_str())
    names = sorted(written["model"]["vocab"])
    written["model"]["vocab"] = {name: number for number, name in enumerate(names)}
    return _loaded(json.dumps(written, sort_keys=True))


def _counts(
    tokenizer: Tokenizer, texts: Sequence[str], size: int, *, cut: dict[str, list[int]]
) -> sparse.csr_matrix:
    """Return how often each text holds each piece, over the root of its length [texts, size].

    Each distinct word is cut into pieces once: among 16,000 reviews one word in ten is distinct,
    and cutting is most of a student's work. Words are what ASCII white space separates; what
    stands in a script without spaces is one word.
    """
    clean = [text.encode("utf-8", "replace").decode() for text in texts]
    words = pc.ascii_split_whitespace(pa.array(clean, pa.large_string()))
    encoded = words.flatten().dictionary_encode()
    flat, count = _pieces(tokenizer, encoded.dictionary.to_pylist(), cut=cut)
    first = np.cumsum(count) - count
    word = np.asarray(encoded.indices, np.int64)
    # The pieces of every word, one after the other: those of word i lie from after[i] on.
    after = np.concatenate([[0], np.cumsum(count[word])])
    place = np.repeat(first[word] - after[:-1], count[word]) + np.arange(after[-1])
    bounds = after[np.asarray(words.offsets, np.int64)]
    lengths = np.diff(bounds)
    weights = np.repeat(1.0 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
    return sparse.csr_matrix((weights, flat[place], bounds), shape=(len(clean), size))


def _pieces(
    tokenizer: Tokenizer, words: Sequence[str], *, cut: dict[str, list[int]]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return the ids of the pieces of all words, one word after the other, and how many each has.

    `cut` are words cut before; the first REMEMBERED new ones are added.
    """
    unknown = [word for word in words if word not in cut]
    fresh: dict[str, list[int]] = {}
    # A call has a cost of its own, twice that of cutting a word: many words go in one.
    together = [unknown[start : start + TOGETHER] for start in range(0, len(unknown), TOGETHER)]
    parts = tokenizer.encode_batch(together, is_pretokenized=True, add_special_tokens=False)
    for given, part in zip(together, parts, strict=True):
        ids: list[list[int]] = [[] for _ in given]
        for piece, word in zip(part.ids, part.word_ids, strict=True):
            if word is not None:
                ids[word].append(piece)
        fresh |= zip(given, ids, strict=True)
    if len(cut) < REMEMBERED:
        cut.update(islice(fresh.items(), REMEMBERED - len(cut)))
    pieces = [fresh[word] if word in fresh else cut[word] for word in words]
    count = np.fromiter(map(len, pieces), np.int64, len(pieces))
    return np.fromiter(chain.from_iterable(pieces), np.int32, int(count.sum())), count


def _ridge(features: sparse.csr_matrix, wanted: Vectors) -> Vectors:
    """Return W that makes |features W - wanted|² + RIDGE |W|² smallest [features, dimensions].

    Conjugate gradients on the normal equations, preconditioned by their diagonal, a step length
    for each dimension (they are independent problems with one matrix).
    """
    features.sum_duplicates()
    turned = features.T.tocsr()
    scale = (np.asarray(features.multiply(features).sum(axis=0)).ravel() + RIDGE)[:, None]
    solution = np.zeros((features.shape[1], wanted.shape[1]), np.float32)
    rest = turned @ wanted
    direction = rest / scale
    height = (rest * direction).sum(axis=0)
    for _ in range(ITERATIONS):
        pushed = turned @ (features @ direction) + RIDGE * direction
        length = height / np.maximum((direction * pushed).sum(axis=0), 1e-12)
        solution += length * direction
        rest -= length * pushed
        eased = rest / scale
        following = (rest * eased).sum(axis=0)
        direction = eased + (following / np.maximum(height, 1e-12)) * direction
        height = following
    return np.asarray(solution, np.float32)
