"""Signs texts by MinHash, so that texts which share much can be found without comparing all."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from rensa import RMinHash

PERMUTATIONS = 64
GRAM = 4
"""Characters of a gram. With a fifth of the letters changed two texts share 26% of their 4-grams,
20% of their 5-grams; unrelated reviews share 5% and 2%."""
_SEED = 42
_BATCH = 2_048
"""Texts signed at a time: their digests pass through Python integers (about 4 kB a text), and stay
in the cache."""

Signatures = npt.NDArray[np.uint16]

_PROBES = (
    "The payment failed 3 times & nobody answers my mails",
    "Zahlung für ÄRGER ging wieder nicht, größer als vorher",
    "पैसे कट गए लेकिन रिचार्ज नहीं हुआ, कृपया मदद करें",
)


def signatures(texts: pa.Array) -> Signatures:
    """Return the MinHash signature of each text, uint16 [texts, 64] (128 bytes a text).

    Two signatures agree in a place with the chance of the share of 4-grams (of characters, of any
    script) that the texts have in common. Kept are the lower 16 bits of each minimum: unlike minima
    agree by chance in one of 65,536. Texts need at least four characters.
    """
    parts = [_signatures(texts.slice(i, _BATCH)) for i in range(0, len(texts), _BATCH)]
    return np.concatenate(parts) if parts else np.empty((0, PERMUTATIONS), dtype=np.uint16)


def _signatures(texts: pa.Array) -> Signatures:
    texts = pa.concat_arrays([texts])
    hashes, lengths = _hashed_grams(texts)
    row_offsets = np.concatenate(([0], np.cumsum(lengths - (GRAM - 1))))
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        hashes, row_offsets.astype(np.uint64), PERMUTATIONS, _SEED
    )
    flat = chain.from_iterable(matrix.to_rows())
    digests = np.fromiter(flat, dtype=np.uint32, count=len(texts) * PERMUTATIONS)
    return digests.astype(np.uint16).reshape(len(texts), PERMUTATIONS)


def _hashed_grams(texts: pa.Array) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the hashed grams of all texts, one after the other, and each text's characters."""
    lengths = pc.utf8_length(texts).to_numpy().astype(np.int64)
    whole = "".join(texts.to_pylist()).encode("utf-32-le")
    # The lower 16 bits of a code point tell characters apart, but for rare pairs in two planes.
    characters = np.frombuffer(whole, dtype=np.uint32).astype(np.uint64) & np.uint64(0xFFFF)
    count = len(characters) - GRAM + 1
    grams = characters[:count].copy()
    for position in range(1, GRAM):
        grams |= characters[position : count + position] << np.uint64(16 * position)
    # Grams that run over the end of a text into the next one are left out.
    inside = np.ones(count, dtype=np.bool_)
    ends = np.cumsum(lengths)[:-1]
    for position in range(1, GRAM):
        inside[ends - position] = False
    return _mixed(grams[inside]), lengths


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    values ^= values >> np.uint64(31)
    return values


@lru_cache(maxsize=1)
def algorithm() -> str:
    """Return what names the algorithm of the signatures; another name is not comparable.

    Besides the version that rensa declares it holds a hash of three signed texts: a library that
    changes its hashing without saying so makes another name too.
    """
    signed = signatures(pa.array(_PROBES))
    print_ = xxhash.xxh3_64_hexdigest(signed.astype("<u2").tobytes())
    return f"minhash-{PERMUTATIONS}/{GRAM}-grams/rensa-r{RMinHash.ALGORITHM_VERSION}/{print_}"
