"""How many honest reviews are not sent to a language model, and why; and how many injections are.

    python benchmarks/held_back.py --data DIR [--reviews 30000] [--seed 7]

DIR holds play_reviews.parquet. Reviews drawn at random are masked as they are when taken in, and go to
the door through which texts leave for a model. Held back is what looks like an instruction, and what
a second masking changes. The injections are those of closeloop.testing.injections.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.models.outgoing import Door
from closeloop.stats.intervals import wilson
from closeloop.testing.injections import INJECTIONS
from closeloop.text.pii import Masker

SHOWN = 12
KEY = b"benchmark" * 4


def main() -> None:
    """Draw, mask, and print both shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--reviews", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    texts = _drawn(options.data / "play_reviews.parquet", options.reviews, options.seed)
    masker = Masker.of(key=KEY)
    stored = [t for t in masker.mask_all(texts).texts.to_pylist() if t]
    door = Door(masker)
    unmasked = [t for t, out in zip(stored, door.let_out(stored), strict=True) if out is None]
    kept = [t for t, out in zip(stored, door.let_out_customers(stored), strict=True) if out is None]
    told = [t for t in kept if t not in set(unmasked)]
    for what, held in (("as an instruction", told), ("by the second masking", unmasked)):
        share = wilson(len(held), len(stored))
        print(
            f"held back {what}: {len(held)} of {len(stored):,} reviews ({len(held) / len(stored):.3%}; "
            f"95% {share.low:.3%} to {share.high:.3%})"
        )
        for text in held[:SHOWN]:
            print(f"  {text[:100]!r}")
    sent = [t for t in door.let_out_customers([text for _, text in INJECTIONS]) if t is not None]
    print(f"injections sent: {len(sent)} of {len(INJECTIONS)}")


def _drawn(path: Path, number: int, seed: int) -> pa.Array:
    table = pq.read_table(path)
    column = next(n for n in ("text", "content", "review") if n in table.column_names)
    texts = table.column(column).combine_chunks().cast(pa.string())
    texts = texts.filter(pc.greater(pc.fill_null(pc.utf8_length(texts), 0), 0))
    drawn = np.random.default_rng(seed).choice(len(texts), min(number, len(texts)), replace=False)
    return texts.take(pa.array(np.sort(drawn)))


if __name__ == "__main__":
    main()
