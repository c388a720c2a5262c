"""Prints what few and many labels teach the categories, beside TF-IDF with the same labels.

    python benchmarks/labels.py --data DIR [--cache DIR] [--peer PYTHON] [--draws 5] [--parts labels,several,…]

DIR holds mini_bar, maalej_4class and play_reviews (public data sets, .parquet). `--peer` names a Python
that has what requirements-tfidf.txt names; without it the peer is left out. Every text is judged by
the best class, by both: "unknown" is off. Texts with one gold label only; 1,500 judged a draw.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop import settings
from closeloop.domain.configuration import Configuration
from closeloop.domain.taxonomy import UNKNOWN, Category, Taxonomy
from closeloop.models.wiring import make_embedder
from closeloop.ports import Embedder, Vectors
from closeloop.stages import embed, enrich, taxonomy
from closeloop.stages.enrich_category import Labelled, build
from closeloop.stages.vectors import vector_column
from closeloop.tables import EMBEDDING, ENRICHMENT, FEEDBACK, TIME
from closeloop.testing.context import InMemoryContext
from closeloop.text.words import words_of
from models import macro_f1

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

HERE = Path(__file__).parent
HINGLISH = HERE.parent / "tests" / "fixtures" / "review_hinglish_categories.csv"
COUNTS = (5, 20, 200)
JUDGED = 1_500
RESAMPLED = 20_000
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Gold:
    """Texts with one class each."""

    name: str
    texts: list[str]
    names: tuple[str, ...]
    classes: Ints


@dataclass(frozen=True, slots=True)
class Task:
    """One draw: which texts teach, and which are judged."""

    gold: Gold
    count: int
    train: Ints
    test: Ints

    def for_peer(self) -> dict[str, list[str]]:
        """Return the task as the peer reads it."""
        return {
            "train": [self.gold.texts[i] for i in self.train],
            "labels": [self.gold.names[k] for k in self.gold.classes[self.train]],
            "test": [self.gold.texts[i] for i in self.test],
        }


def gold_sets(data: Path) -> list[Gold]:
    """Return the data sets that are there; mini_bar's languages apart."""
    found = []
    path = data / "mini_bar.parquet"
    if path.is_file():
        rows = pq.read_table(path)
        rows = rows.filter(pc.equal(rows.column("n_labels"), 1))
        for name, language in (("mini_bar English", "en"), ("mini_bar French", "fr")):
            own = rows.filter(pc.equal(rows.column("ori_lang"), language))
            found.append(_gold(name, own.column("text"), own.column("label")))
    path = data / "maalej_4class.parquet"
    if path.is_file():
        rows = pq.read_table(path)
        found.append(_gold("maalej", rows.column("comment"), rows.column("label")))
    return found


def _gold(name: str, texts: pa.ChunkedArray, labels: pa.ChunkedArray) -> Gold:
    names, classes = np.unique(labels.to_pylist(), return_inverse=True)
    said = [str(t) for t in pc.fill_null(texts, "").to_pylist()]
    return Gold(name, said, tuple(str(n).replace("_", " ") for n in names), classes)


def tasks_of(gold: Gold, draws: int) -> list[Task]:
    """Return every draw at every number of labels; a draw's judged texts are the same for all."""
    tasks = []
    for draw in range(draws):
        random = np.random.default_rng(draw)
        order = random.permutation(len(gold.classes))
        of_class = [order[gold.classes[order] == k] for k in range(len(gold.names))]
        largest = np.concatenate([rows[: max(COUNTS)] for rows in of_class])
        test = random.permutation(np.setdiff1d(order, largest))[:JUDGED]
        for count in COUNTS:
            train = np.concatenate([rows[:count] for rows in of_class])
            tasks.append(Task(gold, count, random.permutation(train), test))
    return tasks


def answer(task: Task, vectors: Vectors, embedder: Embedder) -> tuple[Ints, str]:
    """Return closeloop's answers, and what its model was made of."""
    gold = task.gold
    labels_only = Taxonomy(tuple(Category(n, n, ()) for n in gold.names), version="benchmark")
    model = build(
        labels_only,
        embedder.embed,
        model_id=embedder.model_id,
        labelled=Labelled(
            ids=[str(i) for i in task.train],
            texts=[gold.texts[i] for i in task.train],
            vectors=vectors[task.train],
            names=[gold.names[k] for k in gold.classes[task.train]],
        ),
    )
    words = words_of(pa.array([gold.texts[i] for i in task.test]))
    scores, _ = model.scores(vectors[task.test], words)
    shape = f"nearest {model.nearest_weight:.0f}" + (", words" if model.words else "")
    return scores.argmax(axis=1), shape


def peer_answers(tasks: list[Task], peer: str, folder: Path) -> list[Ints] | None:
    """Return the peer's answers, None where it can't be run."""
    if shutil.which(peer) is None:
        return None
    asked, given = folder / "tasks.json", folder / "answers.json"
    asked.write_text(json.dumps([t.for_peer() for t in tasks]), encoding="utf-8")
    command = [peer, str(HERE / "tfidf_peer.py"), str(asked), str(given)]
    if subprocess.run(command, check=False).returncode:
        return None
    answers = json.loads(given.read_text(encoding="utf-8"))
    return [
        np.array([task.gold.names.index(name) for name in said])
        for task, said in zip(tasks, answers, strict=True)
    ]


def labels(data: Path, embedder: Embedder, peer: str, draws: int, folder: Path) -> None:
    """Print macro-F1 by number of labels, closeloop beside TF-IDF."""
    for gold in gold_sets(data):
        vectors = embedder.embed(gold.texts)
        tasks = tasks_of(gold, draws)
        others = peer_answers(tasks, peer, folder)
        print(f"\n## {gold.name}: {len(gold.names)} classes, macro-F1 over {draws} draws")
        for count in COUNTS:
            own, theirs, shapes = [], [], set()
            for place, task in enumerate(tasks):
                if task.count != count:
                    continue
                truth = gold.classes[task.test]
                said, shape = answer(task, vectors, embedder)
                own.append(macro_f1(truth, said))
                shapes.add(shape)
                if others is not None:
                    theirs.append(macro_f1(truth, others[place]))
            line = f"{count:4} labels a class: closeloop {np.mean(own):.3f} ± {np.std(own):.3f}"
            if theirs:
                won = sum(a > b for a, b in zip(own, theirs, strict=True))
                line += f"  TF-IDF {np.mean(theirs):.3f} ± {np.std(theirs):.3f}  better in {won}"
            print(f"{line}  ({'; '.join(sorted(shapes))})", flush=True)
        if others is None:
            print("TF-IDF left out: see requirements-tfidf.txt, --peer")


def filed(
    texts: pa.ChunkedArray, ratings: pa.ChunkedArray, embedder: Embedder, folder: Path
) -> tuple[pa.Table, Configuration]:
    """Return silver.enrichment of texts by the default taxonomy, in their order."""
    context = held(texts, ratings, embedder, folder)
    embed.run(context.as_step(embed.NAME))
    enrich.run(context.as_step(enrich.NAME))
    return context.rows(ENRICHMENT).sort_by("feedback_id"), context.config


def held(
    texts: pa.ChunkedArray, ratings: pa.ChunkedArray, embedder: Embedder, folder: Path
) -> InMemoryContext:
    """Return a context that holds texts as if refine had run."""
    config = settings.load(folder).configuration
    context = InMemoryContext(config=config, now=NOW, embedder=embedder)
    count = len(texts)
    rows = {
        "feedback_id": pa.array([f"{i:08d}" for i in range(count)]),
        "revision": pa.repeat(1, count),
        "product": pa.repeat("app", count),
        "text": texts.cast(pa.string()),
        "rating": ratings,
        "event_time": pa.repeat(pa.scalar(NOW, TIME), count),
        "masker": pa.repeat("benchmark", count),
    }
    context.append(FEEDBACK, FEEDBACK.conform(pa.table(rows)))
    return context


def changed(data: Path, embedder: Embedder, folder: Path) -> None:
    """Print the processor time of diff and apply beside that of enrich, on resampled reviews.

    Vectors are those of the reviews with a little noise, so that no two are equal.
    """
    source = pq.read_table(data / "mini_bar.parquet")
    random = np.random.default_rng(1)
    picked = random.integers(0, source.num_rows, RESAMPLED)
    source_vectors = embedder.embed(source.column("text").to_pylist())
    noise = random.normal(0.0, 0.01, (RESAMPLED, source_vectors.shape[1]))
    vectors = (source_vectors[picked] + noise).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = source.take(pa.array(picked))
    ratings = rows.column("score").cast(pa.float64())
    context = held(rows.column("text"), ratings, embedder, folder)
    keys = context.rows(FEEDBACK, columns=["feedback_id", "revision"])
    keys = keys.append_column("model", pa.repeat(embedder.model_id, RESAMPLED))
    keys = keys.append_column("vector", vector_column(vectors))
    context.append(EMBEDDING, EMBEDDING.conform(keys))
    started = time.process_time()
    enrich.run(context.as_step(enrich.NAME))
    first = time.process_time() - started
    config = context.services.config
    fewer = tuple(
        c if c.alone else replace(c, examples=c.examples[:-3]) for c in config.taxonomy.categories
    )
    context.services.config = replace(config, taxonomy=Taxonomy(fewer, "changed"))
    print(f"\n## A changed taxonomy over {RESAMPLED:,} reviews; enrich: {first:.1f} s of processor")
    started = time.process_time()
    found = taxonomy.diff(context.as_step(taxonomy.NAME))
    looked = time.process_time() - started
    started = time.process_time()
    taxonomy.apply(context.as_step(taxonomy.NAME), by="benchmark")
    applied = time.process_time() - started
    print(
        f"diff {looked:.1f} s ({looked / first:.2f} of enrich), apply {applied:.1f} s "
        f"({applied / first:.2f}); {found.moved:,} move"
    )


def hinglish(data: Path, embedder: Embedder, folder: Path) -> None:
    """Print how reviews in romanised Hindi are filed, against what a reader says of them."""
    lines = HINGLISH.read_text(encoding="utf-8").splitlines()
    gold = dict(line.split(",") for line in lines if line[0] != "#" and "review_id" not in line)
    source = pq.read_table(
        data / "play_reviews.parquet",
        columns=["review_id", "content", "score"],
        filters=[("review_id", "in", sorted(gold))],
    )
    ratings = source.column("score").cast(pa.float64())
    enriched, _ = filed(source.column("content"), ratings, embedder, folder)
    truth = [gold[i] for i in source.column("review_id").to_pylist()]
    said = enriched.column("category").to_pylist()
    named = [(t, s) for t, s in zip(truth, said, strict=True) if s != UNKNOWN]
    lacking = sum(
        s == UNKNOWN and t not in (UNKNOWN, "other") for t, s in zip(truth, said, strict=True)
    )
    print(f"\n## {len(truth)} reviews in romanised Hindi, default taxonomy")
    print(
        f"{len(named)} named, {sum(t == s for t, s in named) / max(len(named), 1):.2f} of them "
        f"rightly; {len(truth) - len(named)} unknown, {lacking} of which have a category"
    )


def several(data: Path, embedder: Embedder, folder: Path) -> None:
    """Print what further categories add, on mini_bar's texts with all their gold labels."""
    source = pq.read_table(data / "mini_bar.parquet")
    ratings = source.column("score").cast(pa.float64())
    enriched, config = filed(source.column("text"), ratings, embedder, folder)
    names = [
        {c["category"] for c in entries or ()}
        for entries in enriched.column("categories").to_pylist()
    ]
    main = enriched.column("category").to_pylist()
    complaints = {c.name for c in config.taxonomy.categories if c.complaint}
    tone = np.asarray(enriched.column("sentiment")) >= 0.3
    free = np.asarray(enriched.column("content_free"))
    said = {
        "feature_request": [
            np.array([m == "feature request" for m in main]),
            np.array(["feature request" in n for n in names]),
        ],
        "problem_report": [
            np.array([m in complaints for m in main]) & tone & ~free,
            np.array([not complaints.isdisjoint(n) for n in names]) & tone & ~free,
        ],
    }
    truth = {name: np.asarray(source.column(name)) == 1 for name in said}
    both = truth["feature_request"] & truth["problem_report"]
    language = np.array(source.column("ori_lang").to_pylist())
    print("\n## mini_bar, default taxonomy: the main category alone, and all categories")
    for code in ("en", "fr"):
        mine = language == code
        more = np.array([len(n) > 1 for n in names])
        print(f"{code}: {(more & mine).sum() / mine.sum():.3f} of the texts have several")
        for name, (alone, all_of_them) in said.items():
            first = _precision_recall(alone & mine, truth[name] & mine)
            then = _precision_recall(all_of_them & mine, truth[name] & mine)
            added = all_of_them & ~alone & mine
            right = truth[name][added].mean() if added.any() else float("nan")
            inside = (all_of_them & both & mine).sum() / (both & mine).sum()
            before = (alone & both & mine).sum() / (both & mine).sum()
            print(
                f"{code} {name:16} {first} -> {then}; {added.sum()} added, {right:.3f} right; "
                f"found in texts with both {before:.3f} -> {inside:.3f}"
            )


def _precision_recall(said: Mask, truth: Mask) -> str:
    hit = float((said & truth).sum())
    return f"precision {hit / max(said.sum(), 1):.3f} recall {hit / max(truth.sum(), 1):.3f}"


def main() -> None:
    """Run the parts whose data are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--parts", default="labels,several,changed,hinglish")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        cache = given.cache or Path(empty) / "vectors"
        embedder = make_embedder(kind="minilm", folder=None, threads=None, cache_folder=cache)
        if "labels" in given.parts:
            labels(given.data, embedder, given.peer, given.draws, Path(empty))
        if "several" in given.parts and (given.data / "mini_bar.parquet").is_file():
            several(given.data, embedder, Path(empty))
        if "changed" in given.parts and (given.data / "mini_bar.parquet").is_file():
            changed(given.data, embedder, Path(empty))
        if "hinglish" in given.parts and (given.data / "play_reviews.parquet").is_file():
            hinglish(given.data, embedder, Path(empty))


if __name__ == "__main__":
    main()
