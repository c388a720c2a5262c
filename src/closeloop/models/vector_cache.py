"""A write-once cache of vectors by model and text, so that each distinct text is embedded once."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import xxhash

from closeloop.models.student import StudentShelf, fit_student
from closeloop.ports import Embedder, Progress, Vectors
from closeloop.progress import Share

MAGIC = b"CLV1"
HEADER = struct.Struct("<4sII")
HASH = np.dtype([("first", "<u8"), ("second", "<u8")])
SEGMENT_TEXTS = 2_048
"""A killed run loses at most so many vectors."""
MAX_SEGMENTS = 48
LISTINGS = 4
"""Times the folder is listed anew while another process puts its segments together."""

Hashes = npt.NDArray[np.void]
Batches = Callable[[Sequence[str]], Iterable[list[int]]]
"""Says which texts (rows, in order) are embedded and kept together."""


class VectorCache:
    """Vectors of one model in a folder of segment files, each complete or absent.

    A segment is a header (magic, texts, dimensions), the texts' sorted hashes, and the vectors.
    It is written beside its place and then renamed, so a killed write leaves nothing that is
    read. Hashes are read when the cache is first asked; vectors stay on disk, mapped into memory.
    """

    def __init__(self, folder: Path, *, dimensions: int) -> None:
        self.folder = folder
        self._dimensions = dimensions
        self._index: Hashes | None = None
        self._places: npt.NDArray[np.int64] = np.empty((0, 2), np.int64)
        self._segments: list[Path] = []
        self._vectors: list[Vectors] = []

    def get(self, hashes: Hashes) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Return a vector for each hash (zeros where unknown), and which are known."""
        if self._index is None:
            self._load()
        assert self._index is not None
        vectors = np.zeros((len(hashes), self._dimensions), np.float32)
        known = np.zeros(len(hashes), np.bool_)
        if not len(self._index) or not len(hashes):
            return vectors, known
        # The first half finds the place (fast on integers), the second half makes it sure.
        place = np.searchsorted(self._index["first"], hashes["first"])
        position = np.minimum(place, len(self._index) - 1)
        known = self._index[position] == hashes
        segment, row = self._places[position].T
        for number in np.unique(segment[known]):
            mine = known & (segment == number)
            vectors[mine] = self._vectors[number][row[mine]]
        return vectors, known

    def put(self, hashes: Hashes, vectors: Vectors) -> None:
        """Add vectors; a hash that is there already keeps the vector it has."""
        _, known = self.get(hashes)
        if known.all():
            return
        fresh, first = _distinct(hashes[~known])
        self._write(fresh, np.ascontiguousarray(vectors[~known][first], np.float32))
        if len(self._segments) >= MAX_SEGMENTS:
            self._compact(keep=None)
        self._index = None

    def forget(self, hashes: Hashes) -> int:
        """Remove the vectors of these texts from disk; return how many there were."""
        _, known = self.get(hashes)
        if known.any():
            assert self._index is not None
            self._compact(keep=~np.isin(self._index["first"], hashes["first"][known]))
            self._index = None
        return len(_distinct(hashes[known])[0])

    def _load(self) -> None:
        for _ in range(LISTINGS):
            try:
                self._read_all()
            except FileNotFoundError:
                # Another process has just put segments together: their texts are in a new one.
                continue
            return
        self._read_all()

    def _read_all(self) -> None:
        self._segments = sorted(self.folder.glob("*.seg")) if self.folder.is_dir() else []
        self._vectors, indexes, places = [], [], []
        for path in list(self._segments):
            held = _read(path, self._dimensions)
            if held is None:
                self._segments.remove(path)
                continue
            number = len(self._vectors)
            self._vectors.append(held[1])
            indexes.append(held[0])
            rows = np.arange(len(held[0]))
            places.append(np.stack([np.full(len(rows), number), rows], axis=1))
        index = np.concatenate(indexes) if indexes else np.empty(0, HASH)
        # Two processes may have embedded the same text: the first segment by name counts.
        self._index, first = _distinct(index)
        self._places = (np.concatenate(places) if places else self._places[:0])[first]

    def _compact(self, *, keep: npt.NDArray[np.bool_] | None) -> None:
        self._load()
        assert self._index is not None
        hashes = self._index if keep is None else self._index[keep]
        vectors, _ = self.get(hashes)
        old = list(self._segments)
        written = self._write(hashes, vectors) if len(hashes) else None
        for path in old:
            if path != written:
                path.unlink(missing_ok=True)

    def _write(self, hashes: Hashes, vectors: Vectors) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        body = hashes.tobytes() + vectors.tobytes()
        # Named by content: the same texts again (after a kill, or by two runs) are one file.
        name = xxhash.xxh3_64_hexdigest(body)
        path = self.folder / f"{name}.seg"
        partial = self.folder / f"{name}.{os.getpid()}.partial"
        with partial.open("wb") as file:
            file.write(HEADER.pack(MAGIC, len(hashes), self._dimensions) + body)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        if path not in self._segments:
            self._segments.append(path)
        return path


@runtime_checkable
class Tokenizing(Protocol):
    """A model that runs here and whose tokenizer can be read."""

    def tokenizer_json(self) -> str:
        """Return the tokenizer as the tokenizers library writes it."""
        ...


class CachedEmbedder:
    """An embedder that asks its model only for texts it has never seen.

    Where all texts are known, the model is not loaded. Vectors are kept batch by batch, so that a
    run that is killed or fails pays for nothing twice; `batches` says what is one (2,048 texts).
    """

    def __init__(self, embedder: Embedder, folder: Path, *, batches: Batches | None = None) -> None:
        self._embedder = embedder
        self._batches = batches or _segments
        place = re.sub(r"[^A-Za-z0-9.-]+", "_", embedder.model_id)
        self._root = folder
        self._cache = VectorCache(folder / place, dimensions=embedder.dimensions)
        self._students = StudentShelf(folder / place / "students")

    @property
    def uncached(self) -> Embedder:
        """The model itself, for a check that must reach it."""
        return self._embedder

    @property
    def model_id(self) -> str:
        """Name and version of the model."""
        return self._embedder.model_id

    @property
    def dimensions(self) -> int:
        """Length of a vector's row."""
        return self._embedder.dimensions

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return one row a text, float32 [len(texts), dimensions]."""
        hashes = hashes_of(texts)
        vectors, known = self._cache.get(hashes)
        if progress is not None and known.any():
            progress.advance(int(known.sum()))
        # Long texts take longer: sorting lets each batch hold texts of like length. Equal texts come
        # to stand together and are embedded once.
        missing = sorted(
            np.flatnonzero(~known).tolist(), key=lambda i: (len(texts[i]), texts[i], i)
        )
        for batch in self._batches([texts[i] for i in missing]):
            rows = np.array([missing[place] for place in batch], np.int64)
            wanted: dict[str, int] = {}
            places = [wanted.setdefault(texts[i], len(wanted)) for i in rows]
            share = None
            if progress is not None:
                share = Share(progress, units=len(rows), parts=len(wanted))
            made = self._embedder.embed(list(wanted), progress=share)
            vectors[rows] = made[places]
            self._cache.put(hashes[rows], vectors[rows])
            if share is not None:
                share.finish()
        return vectors

    def fit_student(self, texts: Sequence[str], vectors: Vectors) -> Embedder:
        """Fit, keep and return a student of these texts and their vectors by this model."""
        pieces = self._embedder.tokenizer_json() if isinstance(self._embedder, Tokenizing) else None
        student = fit_student(texts, vectors, teacher_id=self.model_id, tokenizer_json=pieces)
        self._students.put(student)
        return student

    def student(self, model_id: str) -> Embedder | None:
        """Return a student that was fitted earlier, or None where its file is gone."""
        return self._students.get(model_id)

    def forget(self, text_hashes: Iterable[str]) -> int:
        """Remove texts (xxh3-128, 32 hex digits each), also what earlier models made of them.

        Returns how many vectors there were.
        """
        digests = b"".join(bytes.fromhex(h) for h in sorted(set(text_hashes)))
        hashes = np.frombuffer(digests, HASH)
        return self._cache.forget(hashes) + sum(
            cache.forget(hashes) for cache in self._of_other_models()
        )

    def _of_other_models(self) -> Iterator[VectorCache]:
        folders = sorted({path.parent for path in self._root.glob("*/*.seg")})
        for folder in folders:
            widths = {_width(path) for path in folder.glob("*.seg")} - {None}
            if folder != self._cache.folder:
                yield from (VectorCache(folder, dimensions=w) for w in sorted(filter(None, widths)))


def _segments(texts: Sequence[str]) -> Iterator[list[int]]:
    for start in range(0, len(texts), SEGMENT_TEXTS):
        yield list(range(start, min(start + SEGMENT_TEXTS, len(texts))))


def _distinct(hashes: Hashes) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Return the distinct hashes in order of their first half, and where each came first.

    Two texts that share 64 bits (1 in 10^7 caches of a million) count as one; then the later one
    is never found in the cache and embedded anew each time.
    """
    _, first = np.unique(hashes["first"], return_index=True)
    return hashes[first], first


def _read(path: Path, dimensions: int) -> tuple[Hashes, Vectors] | None:
    size = path.stat().st_size
    if size < HEADER.size:
        return None
    with path.open("rb") as file:
        magic, count, width = HEADER.unpack(file.read(HEADER.size))
        if (
            magic != MAGIC
            or width != dimensions
            or size != HEADER.size + count * (HASH.itemsize + 4 * width)
        ):
            return None
        hashes = np.frombuffer(file.read(count * HASH.itemsize), HASH)
    start = HEADER.size + count * HASH.itemsize
    return hashes, np.memmap(path, np.float32, "r", offset=start, shape=(count, width))


def _width(path: Path) -> int | None:
    """Return the dimensions that a segment states; None where it is none."""
    with path.open("rb") as file:
        head = file.read(HEADER.size)
    return HEADER.unpack(head)[2] if len(head) == HEADER.size and head[:4] == MAGIC else None


def hashes_of(texts: Sequence[str]) -> Hashes:
    """Return the xxh3-128 of each text, as silver.feedback.text_hash has it."""
    digests = b"".join(xxhash.xxh3_128_digest(t.encode("utf-8", "surrogatepass")) for t in texts)
    return np.frombuffer(digests, HASH)
