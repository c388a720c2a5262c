"""Prints what a head taught by the urgency rules finds beyond them, and how much of it is urgent.

    python benchmarks/urgency.py --data DIR [--cache DIR] [--show]

DIR holds play_reviews.parquet. A draw of its complaints is embedded (some minutes; `--cache` keeps
the vectors), a head is fitted to four fifths as the enrich step does, and the last fifth is judged.
`--show` prints the found texts that tests/fixtures/review_urgency.csv should say something of.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.models.wiring import make_embedder
from closeloop.stages.enrich_urgency import fit_urgency
from closeloop.stats.logistic import fit_binary
from closeloop.text.clean import clean
from closeloop.text.urgency import urgency_of

FIXTURE = Path(__file__).parent.parent / "tests" / "fixtures" / "review_urgency.csv"
COMPLAINTS = 7_000
READ = 60


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the chance that a true row scores above another."""
    place = np.empty(len(scores))
    place[np.argsort(scores, kind="stable")] = np.arange(1, len(scores) + 1)
    yes = int(truth.sum())
    return float((place[truth].mean() - (yes + 1) / 2) / (len(scores) - yes))


def main() -> None:
    """Fit, judge, and compare with what was read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    reviews = pq.read_table(asked.data / "play_reviews.parquet")
    low = np.flatnonzero(np.asarray(reviews["score"], np.float64) < 3)
    drawn = np.random.default_rng(1).permutation(low)[:COMPLAINTS]
    rows = reviews.take(pa.array(drawn))
    texts = pc.fill_null(clean(rows["content"].cast(pa.string()).combine_chunks()), "")
    ids = np.array(rows["review_id"].to_pylist())
    with tempfile.TemporaryDirectory() as empty:
        cache = asked.cache or Path(empty)
        embedder = make_embedder(kind="minilm", folder=None, threads=None, cache_folder=cache)
        vectors = embedder.embed(texts.to_pylist())
    _, reasons = urgency_of(texts, np.ones(len(texts)))
    named = np.asarray(reasons.value_lengths()) > 0
    part = np.arange(len(texts)) % 5
    scores, like = np.zeros(len(texts)), np.zeros(len(texts), np.bool_)
    for number in range(5):
        held = part == number
        taught = pa.array(~held)
        head = fit_urgency(texts.filter(taught), vectors[~held], model_id=embedder.model_id)
        assert head is not None, "the rules name too few of these complaints"
        like[held] = head.like_urgent(vectors[held])
        alone = fit_binary(vectors[~held].astype(np.float64), named[~held], l2=1.0)
        scores[held] = alone.scores(vectors[held])[:, 0]
    beyond = np.flatnonzero(like & ~named)
    print(
        f"{len(texts)} complaints: {named.sum()} named by a rule, told from the others with an AUC of"
    )
    print(f"{auc(scores, named):.3f} by vectors alone; {len(beyond)} more are like them")
    chosen = np.random.default_rng(2).permutation(beyond)[:READ]
    with FIXTURE.open(encoding="utf-8") as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        said = {line["review_id"]: line["urgent"] == "yes" for line in lines}
    read = [said[i] for i in ids[chosen] if i in said]
    print(f"of {len(chosen)} of these {len(read)} were read, {np.mean(read):.2f} are urgent")
    if asked.show:
        for row in chosen.tolist():
            if ids[row] not in said:
                print(f"{ids[row]}\t{texts[row].as_py()}")


if __name__ == "__main__":
    main()
