"""What theming remembers of one product: its frame, its themes' sums, and the texts that wait."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from closeloop.stats.themes import Frame, centres_of, sums_of
from closeloop.text.words import Words

Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_WAITING = 512
"""Texts that wait for a theme; the oldest make room (they stay in silver.assignment, unthemed). As
many are remembered that lie at the edge of their theme."""
MAX_THEMES = 600
"""A product's themes; beyond that waiting texts found no more."""
FORMAT = 1
"""Grows when the stored memory changes its meaning; one of another format is made anew."""
MAX_WORDS = 3_000
MAX_PROPOSED = 2_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """Texts without a theme, in order of arrival: keys, event times (µs) and centred vectors."""

    ids: npt.NDArray[np.object_]
    revisions: Ints
    times: Ints
    vectors: Vectors

    def take(self, chosen: npt.NDArray[np.bool_] | Ints) -> Waiting:
        """Return some of them."""
        return Waiting(
            self.ids[chosen], self.revisions[chosen], self.times[chosen], self.vectors[chosen]
        )

    def newest(self, count: int) -> Waiting:
        """Return the last so many."""
        return self.take(np.arange(max(len(self.ids) - count, 0), len(self.ids)))

    def and_then(self, more: Waiting) -> Waiting:
        """Return these and later ones."""
        return Waiting(
            np.concatenate([self.ids, more.ids]),
            np.concatenate([self.revisions, more.revisions]),
            np.concatenate([self.times, more.times]),
            np.concatenate([self.vectors, more.vectors]),
        )


def nothing_waits(dimensions: int) -> Waiting:
    """Return no waiting texts."""
    none = np.zeros(0, np.int64)
    return Waiting(np.zeros(0, object), none, none, np.zeros((0, dimensions), np.float32))


@dataclass(frozen=True, slots=True)
class Background:
    """In how many of a product's texts each frequent word occurs."""

    texts: int
    counts: dict[str, int]

    @staticmethod
    def of(words: Words) -> Background:
        """Return the counts of the most frequent words of these texts."""
        size = len(words.vocabulary)
        pairs = np.unique(words.rows * max(size, 1) + words.codes)
        held = np.bincount(pairs % max(size, 1), minlength=size)
        order = np.lexsort((np.array(words.vocabulary, "U"), -held))[:MAX_WORDS]
        return Background(words.texts, {words.vocabulary[i]: int(held[i]) for i in order})


@dataclass(slots=True)
class ThemeMemory:
    """One product's themes while a pass works on them; `ids[i]` has `sums[i]` and `sizes[i]`.

    A theme's sum of centred vectors and its count are enough for its centre and for the exact
    mean cosine within it and with any other. `labelled[i]` is the size it was last labelled at.
    `stale` asks that the sums be made anew from the tables (after an erasure). `novel` are the
    newest texts that lie at the edge of their theme, `novel_of` the themes' ids; "" stands for
    texts that formed their theme and stay in it.
    """

    frame: Frame
    model_id: str
    ids: list[str]
    sums: Floats
    sizes: Ints
    labelled: Ints
    waiting: Waiting
    background: Background
    looked_at: int = 0
    proposed: list[str] = field(default_factory=list)
    stale: bool = False
    novel: Waiting | None = None
    novel_of: list[str] = field(default_factory=list)

    @property
    def centres(self) -> Vectors:
        """Directions of the themes, length 1 [themes, dimensions]."""
        return centres_of(self.sums)

    def add(self, ids: list[str], sums: Floats, sizes: Ints) -> None:
        """Add new themes, labelled at their size of now."""
        self.ids = [*self.ids, *ids]
        self.sums = np.concatenate([self.sums, sums])
        self.sizes = np.concatenate([self.sizes, sizes])
        self.labelled = np.concatenate([self.labelled, sizes])

    def grow(self, places: Ints, centred: Vectors) -> None:
        """Add texts to the themes at these places."""
        sums, sizes = sums_of(centred, places, count=len(self.ids))
        self.sums, self.sizes = self.sums + sums, self.sizes + sizes

    def shrink(self, place: int, centred: Vectors) -> None:
        """Take texts out of the theme at this place."""
        self.sums[place] -= centred.astype(np.float64).sum(axis=0)
        self.sizes[place] = max(int(self.sizes[place]) - len(centred), 0)

    def note_novel(self, texts: Waiting, theme_ids: list[str]) -> None:
        """Remember texts at the edge of their themes; the oldest make room."""
        both = texts if self.novel is None else self.novel.and_then(texts)
        self.novel = both.newest(MAX_WAITING)
        self.novel_of = [*self.novel_of, *theme_ids][-MAX_WAITING:]

    def drop_novel(self, chosen: npt.NDArray[np.bool_]) -> None:
        """Forget the novel texts chosen by a mask over `novel`."""
        if self.novel is not None:
            self.novel = self.novel.take(~chosen)
            gone = chosen.tolist()
            self.novel_of = [n for n, out in zip(self.novel_of, gone, strict=True) if not out]

    def merge(self, theme_id: str, *, into: str) -> None:
        """Let one theme take over another's texts; an unknown one is left alone."""
        if theme_id not in self.ids or into not in self.ids:
            return
        self.novel_of = [into if name == theme_id else name for name in self.novel_of]
        one, other = self.ids.index(theme_id), self.ids.index(into)
        self.sums[other] += self.sums[one]
        self.sizes[other] += self.sizes[one]
        kept = np.arange(len(self.ids)) != one
        self.ids = [i for i in self.ids if i != theme_id]
        self.sums, self.sizes = self.sums[kept], self.sizes[kept]
        self.labelled = self.labelled[kept]

    def to_bytes(self) -> bytes:
        """Return the memory as npz: 1.5 kB a theme, .8 kB a text that waits or is novel."""
        file = io.BytesIO()
        novel = self.novel or nothing_waits(self.sums.shape[1])
        np.savez(
            file,
            format=np.array(FORMAT),
            centre=self.frame.centre,
            numbers=np.array([self.frame.mu, self.frame.sd]),
            flags=np.array([self.looked_at, self.stale, self.background.texts], np.int64),
            model_id=np.array(self.model_id),
            ids=np.array(self.ids, "U64"),
            sums=self.sums.astype(np.float32),
            sizes=self.sizes,
            labelled=self.labelled,
            waiting_ids=np.array(self.waiting.ids.tolist(), "U64"),
            waiting_keys=np.stack([self.waiting.revisions, self.waiting.times]),
            waiting_vectors=self.waiting.vectors.astype(np.float16),
            novel_ids=np.array(novel.ids.tolist(), "U64"),
            novel_keys=np.stack([novel.revisions, novel.times]),
            novel_vectors=novel.vectors.astype(np.float16),
            novel_of=np.array(self.novel_of, "U64"),
            proposed=np.array(self.proposed[-MAX_PROPOSED:], "U140"),
            words=np.frombuffer("\n".join(self.background.counts).encode(), np.uint8),
            word_counts=np.array(list(self.background.counts.values()), np.int32),
        )
        return file.getvalue()

    @staticmethod
    def held(blob: bytes | None) -> ThemeMemory | None:
        """Return the memory, None for nothing or one of another format: it is then made anew."""
        if not blob:
            return None
        with np.load(io.BytesIO(blob), allow_pickle=False) as held:
            # One without a number is of the first format.
            if "format" in held and int(held["format"]) != FORMAT:
                return None
        return ThemeMemory.from_bytes(blob)

    @staticmethod
    def from_bytes(blob: bytes) -> ThemeMemory:
        """Return the memory that `to_bytes` wrote."""
        with np.load(io.BytesIO(blob), allow_pickle=False) as held:
            mu, sd = (float(x) for x in held["numbers"])
            looked_at, stale, texts = (int(x) for x in held["flags"])
            words = held["words"].tobytes().decode().split("\n")
            counts = held["word_counts"].tolist()
            return ThemeMemory(
                frame=Frame(centre=held["centre"], mu=mu, sd=sd),
                model_id=str(held["model_id"]),
                ids=held["ids"].tolist(),
                sums=held["sums"].astype(np.float64),
                sizes=held["sizes"],
                labelled=held["labelled"],
                waiting=_held(held, "waiting"),
                background=Background(texts, dict(zip(words, counts, strict=False))),
                looked_at=looked_at,
                proposed=held["proposed"].tolist(),
                stale=bool(stale),
                # A memory that an earlier release wrote knows of none.
                novel=_held(held, "novel") if "novel_of" in held else None,
                novel_of=held["novel_of"].tolist() if "novel_of" in held else [],
            )


def _held(held: Mapping[str, np.ndarray], name: str) -> Waiting:
    revisions, times = held[f"{name}_keys"]
    vectors = held[f"{name}_vectors"].astype(np.float32)
    return Waiting(held[f"{name}_ids"].astype(object), revisions, times, vectors)
