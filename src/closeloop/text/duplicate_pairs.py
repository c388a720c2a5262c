"""Finds the pairs of like texts among many: buckets propose, signatures sift, a ratio decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz, process

from closeloop.text.minhash import PERMUTATIONS, Signatures

PREDECESSORS = 4
"""Earlier texts of a bucket that a text is compared with: bounds the work on a flood of copies.
Eight would find 1.4% more of the copies with a fifth of the letters changed among ten times as many
texts, none among as many as were measured."""
LEAST_AGREEMENT = 10
"""Places (of 64) in which the signatures of like texts agree at least, 16%. Of copies with a fifth
of their letters changed it loses 1%, of all pairs that share a bucket it drops 86%."""
_PAIRS = 65_536

_ROWS = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tier:
    """The ratios (100: equal) at which texts are one, or alike, below a length in characters."""

    below: int
    merge: float
    like: float


TIERS = (Tier(60, 90.0, 76.0), Tier(90, 82.0, 70.0), Tier(1_000_000, 75.0, 65.0))
"""By the length of the shorter text: short texts of different people are alike by chance, long ones
are not. Read by eye on 50,049 app reviews; what they find is in docs/refine.md."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Like texts: rows of the later and the earlier one, their ratio, and whether they are one."""

    later: _ROWS
    earlier: _ROWS
    ratios: npt.NDArray[np.float32]
    merges: npt.NDArray[np.bool_]


def like_pairs(
    signatures: Signatures,
    *,
    texts: pa.Array,
    times: npt.NDArray[np.int64],
    is_new: npt.NDArray[np.bool_],
    window: int,
    reach: int,
) -> Pairs:
    """Return each new text's like predecessors, the likest first, of equals the earliest.

    Rows are in the order of events. A predecessor lies at most `window` (in the unit of `times`)
    and `reach` rows before. Whether an old pair is alike is not asked again.
    """
    later, earlier = _candidates(signatures, times=times, is_new=is_new, window=window, reach=reach)
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    tiers = _tiers(lengths, later, earlier)
    possible = _long_enough(lengths, later, earlier, tiers)
    later, earlier = later[possible], earlier[possible]
    agreeing = _agreement(signatures, later, earlier) >= LEAST_AGREEMENT
    later, earlier, tiers = later[agreeing], earlier[agreeing], tiers[possible][agreeing]
    ratios = _ratios(texts, later, earlier, tiers)
    alike = np.flatnonzero(ratios > 0)
    alike = alike[np.lexsort((earlier[alike], -ratios[alike], later[alike]))]
    merges = ratios[alike] >= np.array([t.merge for t in TIERS])[tiers[alike]]
    return Pairs(later[alike], earlier[alike], ratios[alike], merges)


def _candidates(
    signatures: Signatures,
    *,
    times: npt.NDArray[np.int64],
    is_new: npt.NDArray[np.bool_],
    window: int,
    reach: int,
) -> tuple[_ROWS, _ROWS]:
    """Return rows that share a bucket: two neighbouring places of their signatures.

    The 64 places make 64 neighbouring pairs (the last is beside the first): of texts that share
    26% of their grams 98% share a bucket, where 32 separate pairs would find 90%.
    """
    count = len(times)
    oldest = np.searchsorted(times, times - window)
    oldest = np.where(is_new, np.maximum(oldest, np.arange(count) - reach), count)
    columns = np.ascontiguousarray(signatures.T)
    every = np.arange(count, dtype=np.uint64) if is_new.all() else None
    codes = [np.empty(0, dtype=np.uint64)]
    for band in range(PERMUTATIONS):
        first, second = columns[band], columns[(band + 1) % PERMUTATIONS]
        rows = _met(first, second, is_new) if every is None else every
        codes += _neighbours(_buckets(first[rows], second[rows], rows), oldest)
    unique = np.sort(np.concatenate(codes))
    unique = unique[np.diff(unique, prepend=np.uint64((1 << 64) - 1)) != 0]
    return (unique >> np.uint64(32)).astype(np.int64), (unique & _LOWER).astype(np.int64)


_LOWER = np.uint64(0xFFFFFFFF)


def _met(
    first: npt.NDArray[np.uint16], second: npt.NDArray[np.uint16], is_new: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint64]:
    """Return the rows but old ones that surely no new row meets: they need not be sorted."""
    met = np.ones(len(first), dtype=np.bool_)
    for values in (first, second):
        among_new = np.zeros(1 << 16, dtype=np.bool_)
        among_new[values[is_new]] = True
        met &= among_new[values]
    return np.flatnonzero(met).astype(np.uint64)


def _buckets(
    first: npt.NDArray[np.uint16], second: npt.NDArray[np.uint16], rows: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    """Return bucket key (upper half) and row (lower half) of each row, sorted.

    One sort of a key and its row in one number is faster than a stable sort of keys.
    """
    keys = first.astype(np.uint64)
    keys <<= np.uint64(16)
    keys |= second
    keys <<= np.uint64(32)
    keys |= rows
    keys.sort()
    return keys


def _neighbours(buckets: npt.NDArray[np.uint64], oldest: _ROWS) -> list[npt.NDArray[np.uint64]]:
    """Return the later (upper half) and the earlier row of pairs that stand close in a bucket.

    `oldest` is the first row that each row may be compared with.
    """
    keys = (buckets >> np.uint64(32)).astype(np.uint32)
    rows = (buckets & _LOWER).astype(np.int64)
    oldest = oldest[rows]
    found = []
    places = np.flatnonzero((keys[1:] == keys[:-1]) & (rows[:-1] >= oldest[1:])) + 1
    for back in range(1, PREDECESSORS + 1):
        if back > 1:
            # What is not comparable at the distance before is not at this one either.
            places = places[places >= back]
            before = places - back
            places = places[(keys[before] == keys[places]) & (rows[before] >= oldest[places])]
        if len(places) == 0:
            break
        found.append(buckets[places] << np.uint64(32) | buckets[places - back] & _LOWER)
    return found


def _tiers(lengths: _ROWS, later: _ROWS, earlier: _ROWS) -> _ROWS:
    shorter = np.minimum(lengths[later], lengths[earlier])
    limits = np.array([tier.below for tier in TIERS[:-1]])
    return np.searchsorted(limits, shorter, side="right").astype(np.int64)


def _long_enough(
    lengths: _ROWS, later: _ROWS, earlier: _ROWS, tiers: _ROWS
) -> npt.NDArray[np.bool_]:
    """Whether lengths allow the least ratio: 200 x shorter / (shorter + longer) bounds it."""
    one, other = lengths[later], lengths[earlier]
    least = np.array([tier.like for tier in TIERS])[tiers]
    return np.asarray(200 * np.minimum(one, other) >= least * (one + other))


def _agreement(signatures: Signatures, later: _ROWS, earlier: _ROWS) -> npt.NDArray[np.uint8]:
    """Return in how many places the signatures agree."""
    found = np.empty(len(later), dtype=np.uint8)
    for start in range(0, len(later), _PAIRS):
        part = slice(start, start + _PAIRS)
        same = signatures[later[part]] == signatures[earlier[part]]
        bits = np.packbits(same, axis=1).view(np.uint64)
        found[part] = np.bitwise_count(bits).sum(axis=1, dtype=np.uint8)
    return found


def _ratios(texts: pa.Array, later: _ROWS, earlier: _ROWS, tiers: _ROWS) -> npt.NDArray[np.float32]:
    """Return the ratio of each pair, 0 where it is below that of like texts."""
    ratios = np.zeros(len(later), dtype=np.float32)
    needed = np.unique(np.concatenate((later, earlier)))
    words = np.empty(len(texts), dtype=object)
    words[needed] = texts.take(pa.array(needed)).to_pylist()
    for tier in range(len(TIERS)):
        own = np.flatnonzero(tiers == tier)
        for start in range(0, len(own), _PAIRS):
            part = own[start : start + _PAIRS]
            ratios[part] = process.cpdist(
                words[later[part]].tolist(),
                words[earlier[part]].tolist(),
                scorer=fuzz.ratio,
                score_cutoff=TIERS[tier].like,
                dtype=np.float32,
            )
    return ratios
