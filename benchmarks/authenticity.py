"""What can be told of review bombing and bots: from a text, and from who says it how often.

    python benchmarks/authenticity.py --data DIR

DIR holds review_bombing_dev.parquet (project, review, is-review-bombing, review_date) and
play_reviews.parquet (app, review_id, content, score, at). Text: hashed words, fitted to five games
and asked about the sixth. Bots: 60 texts within six hours, made from a few templates or by a few
authors, among the real reviews of an app; what their voices weigh through the real links, and what
the app's own complaints of those days weigh.
"""

from __future__ import annotations

import argparse
import re
import zlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from closeloop.stages.voices import voices_of
from closeloop.stats.logistic import fit_binary
from closeloop.tables import TIME
from closeloop.text.duplicates import DuplicateMemory

FEATURES = 2**14
BOTS = 60
APP = "com.fampay.in"
TEMPLATES = (
    "This {a} stole my money and the support never {b}, stay away from it at all cost",
    "Worst {a} ever, my payment is gone since the update and nobody {b} my messages",
    "Do not install this {a}, they take your money and the support never {b} anybody",
)
FILL = {"a": ("app", "application", "thing", "product"), "b": ("answers", "helps", "reads")}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    _print_text(options.data)
    _print_bots(options.data)


def _print_text(data: Path) -> None:
    rows = pq.read_table(data / "review_bombing_dev.parquet").sort_by("review_date")
    texts = [str(t) for t in rows.column("review").to_pylist()]
    bombing = np.array([v == "Ja" for v in rows.column("is-review-bombing").to_pylist()])
    games = np.array(rows.column("project").to_pylist())
    print("| game held back | texts | bombing | AUC of words | in a campaign: bombing | others |")
    print("|---|---|---|---|---|---|")
    features = _hashed(texts)
    for game in sorted(set(games.tolist())):
        own = games == game
        head = fit_binary(features[~own], bombing[~own], l2=3.0)
        score = head.scores(features[own]).ravel()
        linked = _linked(rows.filter(pa.array(own)), texts=np.array(texts, dtype=object)[own])
        truth = bombing[own]
        print(
            f"| {game} | {own.sum()} | {truth.sum()} | {_auc(score, truth):.2f} "
            f"| {linked[truth].mean():.2f} | {linked[~truth].mean():.2f} |"
        )


def _print_bots(data: Path) -> None:
    real = pq.read_table(data / "play_reviews.parquet").sort_by("at")
    real = real.filter(pc.equal(real.column("app"), APP))
    start = real.column("at").to_pylist()[real.num_rows // 2]
    inside = pc.and_(
        pc.greater_equal(real.column("at"), pa.scalar(start - timedelta(days=14))),
        pc.less(real.column("at"), pa.scalar(start + timedelta(days=2))),
    )
    real = real.filter(inside)
    rng = np.random.default_rng(1)
    varied = [_filled(rng) for _ in range(BOTS)]
    short = ["scam app", "fake", "worst app ever"]
    kinds = {
        "templates with words changed, an author each": (varied, BOTS),
        "one text, an author each": ([TEMPLATES[0].format(a="app", b="helps")] * BOTS, BOTS),
        "templates with words changed, five authors": (varied, 5),
        "two or three words, an author each": ([short[i % 3] for i in range(BOTS)], BOTS),
    }
    print(f"\n| {BOTS} bots in six hours | they count for | the app's own low reviews, each |")
    print("|---|---|---|")
    for name, (texts, authors) in kinds.items():
        bots, own = _weights(real, texts, authors=authors, start=start)
        print(f"| {name} | {bots:.1f} | {own:.3f} |")


def _weights(
    real: pa.Table, texts: Sequence[str], *, authors: int, start: object
) -> tuple[float, float]:
    """Return the bots' summed weight, and the mean weight of the real reviews of 1 to 3 stars."""
    times = [start + timedelta(minutes=6 * i) for i in range(len(texts))]  # type: ignore[operator]
    size = real.num_rows
    rows = pa.table(
        {
            "feedback_id": [
                *real.column("review_id").to_pylist(),
                *(f"bot{i}" for i in range(BOTS)),
            ],
            "text": [*real.column("content").to_pylist(), *texts],
            "event_time": pa.array([*real.column("at").to_pylist(), *times]).cast(TIME),
            "author_key": [
                *(f"a{i}" for i in range(size)),
                *(f"b{i % authors}" for i in range(BOTS)),
            ],
            "low": [*(s <= 3 for s in real.column("score").to_pylist()), *([False] * BOTS)],
            "bot": [*([False] * size), *([True] * BOTS)],
        }
    ).sort_by("event_time")
    links = DuplicateMemory().link(
        feedback_ids=rows.column("feedback_id").combine_chunks(),
        texts=rows.column("text").combine_chunks(),
        times=rows.column("event_time").combine_chunks(),
        authors=rows.column("author_key").combine_chunks(),
    )
    rows = rows.append_column("campaign_id", pa.array(links.campaign_id, pa.string()))
    rows = rows.filter(pa.array([d is None for d in links.duplicate_of]))
    hours = rows.column("event_time").cast(pa.int64()).to_numpy() // 3_600_000_000
    weight = voices_of(rows, hours).weight
    bot = np.asarray(rows.column("bot").to_numpy(), dtype=bool)
    low = np.asarray(rows.column("low").to_numpy(), dtype=bool)
    return float(weight[bot].sum()), float(weight[low].mean())


def _filled(rng: np.random.Generator) -> str:
    words = {key: str(rng.choice(options)) for key, options in FILL.items()}
    return str(rng.choice(TEMPLATES)).format(**words)


def _linked(rows: pa.Table, *, texts: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    links = DuplicateMemory().link(
        feedback_ids=pa.array([str(i) for i in range(rows.num_rows)]),
        texts=pa.array(texts.tolist(), pa.string()),
        times=rows.column("review_date").combine_chunks().cast(TIME),
        authors=pa.nulls(rows.num_rows, pa.string()),
    )
    ids = {i for i in (*links.campaign_id, *links.duplicate_of) if i is not None}
    return np.array(
        [
            c is not None or d is not None or str(i) in ids
            for i, (c, d) in enumerate(zip(links.campaign_id, links.duplicate_of, strict=True))
        ]
    )


def _hashed(texts: Sequence[str]) -> csr_matrix:
    rows, columns = [], []
    for i, text in enumerate(texts):
        found = {zlib.crc32(w.encode()) % FEATURES for w in re.findall(r"\w+", text.lower())}
        rows += [i] * len(found)
        columns += sorted(found)
    return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(texts), FEATURES))


def _auc(score: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """Return how often a true one scores above a false one."""
    ranks = np.argsort(np.argsort(score)) + 1.0
    positive, negative = int(truth.sum()), int((~truth).sum())
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / max(positive * negative, 1))


if __name__ == "__main__":
    main()
