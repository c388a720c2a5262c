"""Prints how well and how fast texts are understood: vectors, categories, tone.

    python benchmarks/understanding.py --data DIR [--cache DIR] [--rows 136422]

DIR holds banking77.parquet, mini_bar.parquet and play_reviews.parquet (public data sets; a part
whose file is absent is left out). Themes have a script of their own: themes.py. `--cache` keeps vectors for the next run.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop import settings
from closeloop.models.minilm import minilm
from closeloop.models.wiring import make_embedder
from closeloop.ports import Embedder, Vectors
from closeloop.stages import embed, enrich, theme
from closeloop.stages.enrich_category import build
from closeloop.stages.enrich_sentiment import MAX_STARS, fit_head
from closeloop.stages.vectors import matrix
from closeloop.stats.calibration import calibration_error
from closeloop.tables import ASSIGNMENT, EMBEDDING, ENRICHMENT, FEEDBACK, TIME
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext
from closeloop.text.sentiment import text_log_odds
from closeloop.text.words import words_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HELD_OUT_APPS = 4


def vectors_speed(texts: Sequence[str], cache: Path) -> None:
    """Print the cold start, texts/s without a cache, and how far a vector depends on its batch."""
    started = time.perf_counter()
    model = minilm(threads=None, memory=cache / "checked.json")
    model.embed(["cold start"])
    cold = time.perf_counter() - started
    started = time.perf_counter()
    together = model.embed(texts)
    rate = len(texts) / (time.perf_counter() - started)
    alone = np.concatenate([model.embed([text]) for text in texts[:200]])
    worst = float((alone * together[:200]).sum(axis=1).min())
    print("\n## Vectors (MiniLM, fp32)")
    print(f"first vector after {cold:.2f} s; {rate:,.0f} texts/s; alone against batch {worst:.7f}")


def taxonomy_accuracy(path: Path, embedder: Embedder) -> None:
    """Print the classifier's accuracy on banking77's test part, by examples a category."""
    rows = pq.read_table(path)
    test = np.array(rows.column("split").to_pylist()) == "test"
    names, classes = np.unique(rows.column("label").to_pylist(), return_inverse=True)
    vectors = embedder.embed(rows.column("text").to_pylist())
    draw = np.random.default_rng(1).permutation(np.flatnonzero(~test))
    print(f"\n## Taxonomy, banking77 as {len(names)} categories, test part")
    config = example_configuration()
    for count in (5, 10, 30):
        chosen = np.concatenate([draw[classes[draw] == k][:count] for k in range(len(names))])
        texts = rows.column("text").take(pa.array(chosen)).to_pylist()
        own = [replace(config.taxonomy.categories[0], name=n.replace("_", " ")) for n in names]
        categories = tuple(
            replace(
                c,
                description=c.name,
                examples=tuple(t for t, i in zip(texts, chosen, strict=True) if classes[i] == k),
            )
            for k, c in enumerate(own)
        )
        model = build(
            replace(config.taxonomy, categories=categories), embedder.embed, model_id="benchmark"
        )
        scores, _ = model.scores(vectors[test])
        right = float((scores.argmax(axis=1) == classes[test]).mean())
        print(f"{count:3} examples each: accuracy {right:.3f}")


def _context(rows: pa.Table, embedder: Embedder, config_folder: Path) -> InMemoryContext:
    """Return a context that holds rows (product, text, rating, at) as if refine had run."""
    count = rows.num_rows
    ids = [hashlib.blake2b(str(i).encode(), digest_size=16).hexdigest() for i in range(count)]
    config = settings.load(config_folder).configuration
    context = InMemoryContext(config=config, now=NOW, embedder=embedder)
    table = rows.append_column("feedback_id", pa.array(ids))
    table = table.append_column("revision", pa.repeat(1, count))
    table = table.append_column("masker", pa.repeat("benchmark", count))
    context.append(FEEDBACK, FEEDBACK.conform(table))
    return context


def complaints(path: Path, embedder: Embedder, config_folder: Path) -> None:
    """Print how the default taxonomy does on reviews labelled problem, request or neither."""
    source = pq.read_table(path)
    rows = pa.table(
        {
            "product": source.column("app"),
            "text": source.column("text"),
            "rating": source.column("score").cast(pa.float64()),
            "event_time": pa.repeat(pa.scalar(NOW, TIME), source.num_rows),
        }
    )
    context = _context(rows, embedder, config_folder)
    embed.run(context.as_step(embed.NAME))
    enrich.run(context.as_step(enrich.NAME))
    enriched = context.rows(ENRICHMENT)
    names = [c.name for c in context.config.taxonomy.categories if c.complaint]
    category = enriched.column("category")
    negative = np.asarray(enriched.column("sentiment")) >= 0.3
    free = np.asarray(enriched.column("content_free"))
    complaint = np.asarray(pc.is_in(category, value_set=pa.array(names))) & negative & ~free
    request = np.asarray(pc.equal(category, "feature request"))
    print("\n## Default taxonomy, mini_bar (health apps, English and French, gold labels)")
    for language in ("en", "fr"):
        mine = np.asarray(pc.equal(source.column("ori_lang"), language))
        for name, said in (("problem_report", complaint), ("feature_request", request)):
            truth = np.asarray(source.column(name)) == 1
            hit = float((said & truth & mine).sum())
            precision, recall = hit / (said & mine).sum(), hit / (truth & mine).sum()
            print(f"{language} {name:16} precision {precision:.3f}  recall {recall:.3f}")


def tone(reviews: pa.Table, vectors: Vectors) -> None:
    """Print the accuracy of tone on apps held out: the lexicon, and a head from other apps' stars."""
    rating = np.asarray(reviews.column("rating"))
    apps = np.asarray(reviews.column("product").to_pylist(), object)
    starred = rating != 3
    order = np.random.default_rng(1).permutation(np.flatnonzero(starred))
    names, place, sizes = np.unique(
        apps[starred].astype(str), return_inverse=True, return_counts=True
    )
    low = np.bincount(place, weights=rating[starred] < 3) / sizes
    # Apps of which one side only was collected tell a guess from nothing.
    both = np.argsort(-np.where((low > 0.2) & (low < 0.8), sizes, 0))
    print("\n## Tone on held-out apps (1-2 stars against 4-5)")
    for name in names[both][:HELD_OUT_APPS]:
        train = order[apps[order] != name][:MAX_STARS]
        test = order[apps[order] == name][:5_000]
        texts = reviews.column("text")
        head = fit_head(
            words_of(texts.take(pa.array(train))),
            vectors[train],
            rating[train] < 3,
            pa.array(["play"] * len(train)),
            model_id="",
        )
        words = words_of(texts.take(pa.array(test)))
        truth = rating[test] < 3
        chance = head.probability(words, vectors[test], pa.array(["play"] * len(test)))
        start = ((text_log_odds(words) > 0) == truth).mean()
        right, gap = ((chance > 0.5) == truth).mean(), calibration_error(chance, truth)
        print(f"{name:40} lexicon {start:.3f}  head {right:.3f}  calibration error {gap:.3f}")


def speed(reviews: pa.Table, embedder: Embedder, config_folder: Path) -> Vectors:
    """Print seconds of enrich and theme over all reviews, first fits included; return the vectors."""
    context = _context(reviews, embedder, config_folder)
    print(f"\n## Stages over {reviews.num_rows:,} reviews, first fits included")
    for stage in (embed, enrich, theme):
        context.as_step(stage.NAME)
        started = time.perf_counter()
        stage.run(context)
        took = time.perf_counter() - started
        note = " (what the cache lacks is embedded)" if stage is embed else ""
        print(f"{stage.NAME:7} {took:6.1f} s  {dict(context.counts)}{note}")
        started = time.perf_counter()
        stage.run(context.next_pass())
        print(f"{'':7} {1000 * (time.perf_counter() - started):6.1f} ms when nothing is new")
    chance = pc.mean(context.rows(ASSIGNMENT).column("theme_confidence")).as_py()
    print(f"mean theme confidence {chance:.2f} (uncalibrated)")
    return matrix(context.rows(EMBEDDING, columns=["vector"]).column("vector"))


def main() -> None:
    """Run the parts whose data are there."""
    parser = argparse.ArgumentParser(description="How well and how fast texts are understood.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--rows", type=int, default=136_422)
    arguments = parser.parse_args()
    data: Path = arguments.data
    with tempfile.TemporaryDirectory() as empty:
        cache = arguments.cache or Path(empty) / "vectors"
        embedder = make_embedder(kind="minilm", folder=None, threads=None, cache_folder=cache)
        if (data / "play_reviews.parquet").is_file():
            source = pq.read_table(data / "play_reviews.parquet").slice(0, arguments.rows)
            source = source.filter(pc.is_valid(source.column("content")))
            reviews = pa.table(
                {
                    "product": source.column("app").cast(pa.string()),
                    "text": source.column("content").cast(pa.string()),
                    "rating": source.column("score").cast(pa.float64()),
                    "event_time": source.column("at").cast(pa.timestamp("us")).cast(TIME),
                }
            )
            vectors_speed(reviews.column("text").slice(0, 2_000).to_pylist(), cache)
            tone(reviews, speed(reviews, embedder, Path(empty)))
        if (data / "banking77.parquet").is_file():
            taxonomy_accuracy(data / "banking77.parquet", embedder)
        if (data / "mini_bar.parquet").is_file():
            complaints(data / "mini_bar.parquet", embedder, Path(empty))


if __name__ == "__main__":
    main()
