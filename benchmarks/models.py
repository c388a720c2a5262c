"""Prints what the embedding model costs or gains: by language, and when themes move to another.

    python benchmarks/models.py --data DIR [--cache DIR] [--folder ONNX_FOLDER] [--prefix TEXT]

DIR holds mini_bar.parquet, play_reviews.parquet and banking77.parquet (public data sets). Without
--folder the default model is measured; with it any local ONNX folder.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from closeloop.models.minilm import open_tokenizer
from closeloop.models.weights import package_folder, read_safetensors
from closeloop.models.wiring import make_embedder
from closeloop.ports import Embedder, Progress, Vectors
from closeloop.stages import embed, theme
from closeloop.stats.logistic import fit_classes
from closeloop.tables import ASSIGNMENT, ENRICHMENT, FEEDBACK, THEME
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext
from closeloop.text.language import detect

Ints = npt.NDArray[np.int64]

PER_CLASS = 200
DRAWS = 5
FIRST, LATER = 4_000, 2_000
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class WordVectors:
    """Another model for the migration: the mean of MiniLM's input word vectors, no transformer."""

    def __init__(self) -> None:
        folder = package_folder()
        tensors = read_safetensors(folder / "model.safetensors")
        self._table = tensors["embeddings.word_embeddings.weight"]
        self._tokenizer = open_tokenizer(folder / "tokenizer.json")

    @property
    def model_id(self) -> str:
        """Name."""
        return "word-vectors"

    @property
    def dimensions(self) -> int:
        """Length of a vector's row."""
        return int(self._table.shape[1])

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return one row a text."""
        del progress
        means = [
            self._table[self._tokenizer.encode(t, add_special_tokens=False).ids or [0]].mean(axis=0)
            for t in texts
        ]
        vectors = np.stack(means)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def macro_f1(truth: Ints, said: Ints) -> float:
    """Return the mean over classes of the harmonic mean of precision and recall."""
    scores = []
    for number in np.unique(truth):
        both = ((truth == number) & (said == number)).sum()
        scores.append(2 * both / max((truth == number).sum() + (said == number).sum(), 1))
    return float(np.mean(scores))


def v_measure(truth: Ints, said: Ints) -> float:
    """Return the harmonic mean of homogeneity and completeness (Rosenberg and Hirschberg 2007)."""
    table = np.zeros((truth.max() + 1, said.max() + 1))
    np.add.at(table, (truth, said), 1.0)
    joint = table / table.sum()
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    outer = np.outer(rows, columns)
    held = joint > 0
    shared = float((joint[held] * np.log(joint[held] / outer[held])).sum())
    entropies = [float(-(p[p > 0] * np.log(p[p > 0])).sum()) for p in (rows, columns)]
    return 2 * shared / max(sum(entropies), 1e-12)


def learned(vectors: Vectors, classes: Ints, test: Vectors, truth: Ints) -> str:
    """Return macro-F1 of a logistic head fitted to up to 200 texts a class, over five draws."""
    found = []
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(classes))
        rows = np.concatenate([order[classes[order] == c][:PER_CLASS] for c in np.unique(classes)])
        head = fit_classes(vectors[rows], classes[rows], count=int(classes.max()) + 1)
        said = np.asarray(head.scores(test)).argmax(axis=1)
        found.append(macro_f1(truth, said))
    return f"{np.mean(found):.3f} ± {np.std(found):.3f}"


def french(path: Path, embedder: Embedder) -> None:
    """Print problem / request / neither on English and French reviews of the same apps."""
    rows = pq.read_table(path)
    rows = rows.filter(pa.array([n == 1 for n in rows.column("n_labels").to_pylist()]))
    language = np.array(rows.column("ori_lang").to_pylist())
    classes = np.unique(rows.column("label").to_pylist(), return_inverse=True)[1]
    draw = np.random.default_rng(1).permutation(len(classes))
    parts: dict[str, tuple[Vectors, Ints]] = {}
    for name in ("en", "fr"):
        mine = draw[language[draw] == name][:3_000]
        texts = rows.column("text").take(pa.array(mine)).to_pylist()
        parts[name] = (embedder.embed(texts), classes[mine])
    print("\n## mini_bar: macro-F1, 200 labels a class, tested on 1,500 others")
    for test in ("en", "fr"):
        vectors, truth = parts[test][0][1_500:], parts[test][1][1_500:]
        for train in ("en", "fr"):
            known, labels = parts[train][0][:1_500], parts[train][1][:1_500]
            score = learned(known, labels, vectors, truth)
            print(f"learned on {train}, tested on {test}: {score}")


def hinglish(path: Path, embedder: Embedder) -> None:
    """Print how well stars (1-2 against 4-5) are told from vectors, by language."""
    rows = pq.read_table(path, columns=["content", "score"])
    draw = np.random.default_rng(1).permutation(rows.num_rows)[:40_000]
    rows = rows.take(pa.array(draw))
    texts = [text or "" for text in rows.column("content").to_pylist()]
    stars = np.array(rows.column("score").to_pylist())
    languages = np.array([answer.language for answer in detect(texts)])
    words = np.array([len(text.split()) for text in texts])
    print("\n## play_reviews: macro-F1 of 1-2 against 4-5 stars, texts of 5 words and more")
    for name in ("en", "hi-Latn"):
        chosen = np.flatnonzero((languages == name) & (stars != 3) & (words >= 5))[:1_200]
        low = (stars[chosen] <= 2).astype(np.int64)
        vectors = embedder.embed([texts[i] for i in chosen])
        half = len(chosen) // 2
        score = learned(vectors[:half], low[:half], vectors[half:], low[half:])
        print(f"{name}: {score} ({len(chosen) - half} texts tested, {low[half:].mean():.2f} low)")


def migration(path: Path, embedder: Embedder) -> None:
    """Print what later texts find after themes moved between models, against not moving."""
    rows = pq.read_table(path)
    draw = np.random.default_rng(1).permutation(rows.num_rows)[: FIRST + LATER]
    truth = np.unique(rows.column("label").to_pylist(), return_inverse=True)[1][draw]
    texts = rows.column("text").take(pa.array(draw)).to_pylist()
    other = WordVectors()
    print(f"\n## banking77: {LATER:,} texts after {FIRST:,} that made the themes")
    print("| themes made by | later texts by | V-measure | left out | old ids kept |")
    print("|---|---|---|---|---|")
    for before, after in ((embedder, embedder), (other, other), (other, embedder), (embedder, other)):  # fmt: skip
        print(
            f"| {before.model_id} | {after.model_id} | {_streamed(texts, truth, before, after)} |"
        )


def _streamed(texts: list[str], truth: Ints, before: Embedder, after: Embedder) -> str:
    config = replace(example_configuration(), theme_min_texts=200)
    context = InMemoryContext(config=config, now=NOW, embedder=before)
    _feed(context, texts[:FIRST], start=0)
    ids = set(context.rows(THEME).column("theme_id").to_pylist())
    context.services.make_embedder = lambda: after
    context.next_pass(now=NOW + timedelta(hours=1))
    _feed(context, texts[FIRST:], start=FIRST)
    rows = context.rows(ASSIGNMENT, where=[("feedback_id", ">=", f"f{FIRST:06d}")])
    places = np.array([int(i[1:]) for i in rows.column("feedback_id").to_pylist()])
    names = rows.column("theme_id").to_pylist()
    inside = np.array([name is not None for name in names])
    said = np.unique([name or "" for name in names], return_inverse=True)[1]
    score = v_measure(truth[places[inside]], said[inside])
    kept = np.mean([name in ids for name in names if name is not None])
    return f"{score:.3f} | {1 - inside.mean():.3f} | {kept:.2f}"


def _feed(context: InMemoryContext, texts: list[str], *, start: int) -> None:
    rows = [
        {
            "feedback_id": f"f{start + i:06d}",
            "revision": 1,
            "product": "bank",
            "event_time": context.now - timedelta(seconds=len(texts) - i),
            "text": text,
            "masker": "benchmark",
            "sentiment": 0.9,
            "category": "payment failure",
            "content_free": False,
        }
        for i, text in enumerate(texts)
    ]
    context.as_step("refine").append(FEEDBACK, FEEDBACK.from_rows(_only(rows, FEEDBACK)))
    embed.run(context.as_step(embed.NAME))
    context.as_step("enrich").append(ENRICHMENT, ENRICHMENT.from_rows(_only(rows, ENRICHMENT)))
    theme.run(context.as_step(theme.NAME))


def _only(rows: list[dict[str, object]], table: object) -> list[dict[str, object]]:
    names = set(table.schema.names)  # type: ignore[attr-defined]
    return [{key: value for key, value in row.items() if key in names} for row in rows]


def main() -> None:
    """Run all parts whose data is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--folder")
    parser.add_argument("--prefix", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        embedder = make_embedder(
            kind="onnx" if given.folder else "minilm",
            folder=given.folder,
            threads=None,
            cache_folder=given.cache or Path(folder),
            prefix=given.prefix,
        )
        print(f"model {embedder.model_id}, {embedder.dimensions} dimensions")
        parts = (
            ("banking77", migration),
            ("mini_bar", french),
            ("play_reviews", hinglish),
        )
        for name, part in parts:
            path = given.data / f"{name}.parquet"
            if path.is_file():
                part(path, embedder)


if __name__ == "__main__":
    main()
