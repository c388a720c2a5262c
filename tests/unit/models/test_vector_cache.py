"""Vectors are made once a text, survive a kill, and can be forgotten."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import xxhash

from closeloop.models import vector_cache
from closeloop.models.vector_cache import MAX_SEGMENTS, CachedEmbedder
from closeloop.ports import Progress, Vectors
from closeloop.testing.embedders import HashedWordEmbedder


class Counting(HashedWordEmbedder):
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__(dimensions=16)
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        self.asked.extend(texts)
        return super().embed(texts, progress=progress)


def test_a_text_is_embedded_once_over_calls_and_processes(tmp_path: Path) -> None:
    model = Counting()
    texts = ["late parcel", "pay me", "late parcel", "late parcel"]
    first = CachedEmbedder(model, tmp_path).embed(texts)
    again = CachedEmbedder(model, tmp_path).embed([*texts, "new"])
    assert sorted(model.asked) == ["late parcel", "new", "pay me"]
    assert np.array_equal(again[:4], first)
    assert np.array_equal(first, HashedWordEmbedder(dimensions=16).embed(texts))


def test_segments_that_another_process_puts_together_meanwhile_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Counting()
    CachedEmbedder(model, tmp_path).embed(["a b"])
    expected = CachedEmbedder(model, tmp_path).embed(["a b", "c d"])
    whole, read = vector_cache._read, []

    def vanishing(path: Path, dimensions: int) -> object:
        if not read:
            read.append(path)
            other = vector_cache.VectorCache(path.parent, dimensions=dimensions)
            other._compact(keep=None)
            assert len(list(path.parent.glob("*.seg"))) == 1
            raise FileNotFoundError(path)
        return whole(path, dimensions)

    reader = CachedEmbedder(model, tmp_path)
    monkeypatch.setattr(vector_cache, "_read", lambda *a: whole(*a) if read else vanishing(*a))
    asked = len(model.asked)
    assert np.array_equal(reader.embed(["a b", "c d"]), expected)
    assert len(model.asked) == asked


def test_a_cut_segment_is_ignored_and_made_again(tmp_path: Path) -> None:
    model = Counting()
    expected = CachedEmbedder(model, tmp_path).embed(["a b", "c d"])
    (segment,) = tmp_path.rglob("*.seg")
    segment.write_bytes(segment.read_bytes()[:-5])
    (segment.parent / "other.1.partial").write_bytes(b"CLV1 half")
    assert np.array_equal(CachedEmbedder(model, tmp_path).embed(["a b", "c d"]), expected)
    assert len(model.asked) == 4


def test_forgotten_texts_are_gone_from_disk_and_others_stay(tmp_path: Path) -> None:
    model = Counting()
    cache = CachedEmbedder(model, tmp_path)
    cache.embed(["secret words", "plain words"])
    digest = xxhash.xxh3_128_hexdigest(b"secret words")
    assert cache.forget([digest, "0" * 32]) == 1
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert bytes.fromhex(digest) not in held
    assert bytes.fromhex(xxhash.xxh3_128_hexdigest(b"plain words")) in held
    CachedEmbedder(model, tmp_path).embed(["secret words", "plain words"])
    assert model.asked.count("secret words") == 2
    assert model.asked.count("plain words") == 1


def test_many_small_passes_stay_few_files(tmp_path: Path) -> None:
    model = Counting()
    cache = CachedEmbedder(model, tmp_path)
    texts = [f"text number {i}" for i in range(2 * MAX_SEGMENTS)]
    for text in texts:
        cache.embed([text])
    assert len(list(tmp_path.rglob("*.seg"))) < MAX_SEGMENTS
    CachedEmbedder(model, tmp_path).embed(texts)
    assert len(model.asked) == len(texts)


def test_texts_are_forgotten_in_what_earlier_models_made_of_them_too(tmp_path: Path) -> None:
    old, new = HashedWordEmbedder(dimensions=16), HashedWordEmbedder(dimensions=24)
    CachedEmbedder(old, tmp_path).embed(["secret words", "plain words"])
    cache = CachedEmbedder(new, tmp_path)
    cache.embed(["secret words"])
    digest = xxhash.xxh3_128_hexdigest(b"secret words")
    assert cache.forget([digest]) == 2
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert bytes.fromhex(digest) not in held
    assert bytes.fromhex(xxhash.xxh3_128_hexdigest(b"plain words")) in held
