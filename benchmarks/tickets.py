"""Prints how well a few long support tickets are grouped by issue, with and without a judge.

    python benchmarks/tickets.py [--cache DIR] [--data DIR]

The 123 tickets of 51 issues are tests/fixtures/support_tickets.jsonl, invented for this purpose.
Issues are halved by their names' order, so that like ones (payout-delayed, payout-mismatch) fall
into one half. Parameters were chosen on the first half; the second is reported apart. With --data
(a folder with banking77.parquet) the log odds are checked on other texts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import minimize
from scipy.spatial.distance import squareform

from closeloop.models.minilm import minilm
from closeloop.ports import Embedder, PairJudge, Vectors
from closeloop.stages import embed, theme
from closeloop.stages.asked_texts import asked_words
from closeloop.stages.theme_tickets import MIN_TICKETS
from closeloop.stages.vectors import matrix, vector_column
from closeloop.stats.agreement import alone, group_agreement
from closeloop.stats.pairwise import log_odds
from closeloop.tables import ASSIGNMENT, EMBEDDING, ENRICHMENT, FEEDBACK
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext
from closeloop.testing.pair_judges import ScriptedJudge
from closeloop.text.clean import clean_text
from closeloop.text.pii import Masker
from closeloop.text.words import words_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FIXTURE = Path(__file__).parents[1] / "tests" / "fixtures" / "support_tickets.jsonl"
START = datetime(2024, 5, 1, tzinfo=UTC)
SEEDS = 20
WRONG = 0.1
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Tickets:
    """Masked tickets in order of time, the number of each's issue, and vectors."""

    texts: tuple[str, ...]
    issues: Ints
    times: tuple[datetime, ...]
    vectors: Vectors

    def take(self, chosen: Ints) -> Tickets:
        """Return some of them."""
        return Tickets(
            tuple(self.texts[i] for i in chosen),
            self.issues[chosen],
            tuple(self.times[i] for i in chosen),
            self.vectors[chosen],
        )

    def judge(self, *, wrong: float = 0.0, seed: int = 0) -> ScriptedJudge:
        """Return a judge that knows the issues."""
        names = {asked_words(t): str(i) for t, i in zip(self.texts, self.issues, strict=True)}
        return ScriptedJudge(names, wrong=wrong, seed=seed)


def read(embedder: Embedder, *, whole: bool) -> Tickets:
    """Return the fixture, cleaned, masked and embedded as the steps do (or whole texts embedded)."""
    rows = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]
    raw = [clean_text(f"{row['subject']}\n{row['text']}") for row in rows]
    texts = Masker.of(key=bytes(32)).mask_all(pa.array(raw)).texts.to_pylist()
    if whole:
        vectors = embedder.embed(texts)
    else:
        context = InMemoryContext(embedder=embedder)
        keyed = [
            {"feedback_id": f"{i:05}", "revision": 1, "text": t, "masker": "1", "source": "desk"}
            for i, t in enumerate(texts)
        ]
        context.append(FEEDBACK, FEEDBACK.from_rows(keyed))
        embed.run(context.as_step(embed.NAME))
        vectors = matrix(context.rows(EMBEDDING).sort_by("feedback_id").column("vector"))
    issues = np.unique([row["issue"] for row in rows], return_inverse=True)[1]
    times = tuple(datetime.fromisoformat(row["created_at"]) for row in rows)
    return Tickets(tuple(texts), np.asarray(issues, np.int64), times, vectors)


class _Given:
    """Stands for the embedder: vectors are given, none is made."""

    model_id = "given"
    dimensions = 384

    def embed(self, texts: Sequence[str], *, progress: object = None) -> Vectors:
        raise NotImplementedError("the vectors are given")


def through_the_step(
    tickets: Tickets, *, judge: PairJudge | None = None, weekly: bool = False
) -> Ints:
    """Return each ticket's group by the real theme step; a ticket without a theme is alone."""
    config = replace(example_configuration(), theme_min_texts=MIN_TICKETS)
    context = InMemoryContext(config=config, now=START, embedder=_Given(), pair_judge=judge)
    category = next(c.name for c in config.taxonomy.categories if c.complaint)
    weeks = np.array([(t - tickets.times[0]) // WEEK for t in tickets.times])
    for number in np.unique(weeks) if weekly else [None]:
        chosen = np.flatnonzero(weeks == number) if weekly else np.arange(len(weeks))
        rows = [
            {
                "feedback_id": f"{i:05}",
                "revision": 1,
                "product": "shop",
                "event_time": tickets.times[i],
                "text": tickets.texts[i],
                "masker": "1",
                "model": "given",
                "sentiment": 0.9,
                "category": category,
                "content_free": False,
            }
            for i in chosen.tolist()
        ]
        context = context.next_pass(now=context.now + WEEK)
        context.as_step("refine").append(FEEDBACK, FEEDBACK.from_rows(rows))
        vectors = pa.Table.from_pylist(rows).append_column(
            "vector", vector_column(tickets.vectors[chosen])
        )
        context.as_step("embed").append(EMBEDDING, EMBEDDING.conform(vectors))
        context.as_step("enrich").append(ENRICHMENT, ENRICHMENT.from_rows(rows))
        theme.run(context.as_step(theme.NAME))
    held = context.rows(ASSIGNMENT).sort_by("feedback_id").column("theme_id").to_pylist()
    names = {name: number for number, name in enumerate(sorted({h for h in held if h}))}
    return alone(np.array([names.get(name, -1) for name in held], np.int64))


def as_themes(tickets: Tickets) -> Ints:
    """Return groups by the way that thousands of reviews go: clustering, then streaming."""
    with patch.object(theme, "take_in_tickets", lambda *_: False):
        return through_the_step(tickets)


def bag_of_words(tickets: Tickets, *, least: float) -> Ints:
    """Return groups by average linkage on TF-IDF cosines of at least this."""
    similarity = _tfidf(tickets.texts)
    distance = squareform(1 - np.clip(similarity, 0, 1), checks=False)
    found = fcluster(linkage(distance, "average"), 1 - least, "distance")
    return np.asarray(found - 1, np.int64)


def _tfidf(texts: Sequence[str]) -> Floats:
    words = words_of(pa.array(texts))
    counts = np.zeros((len(texts), len(words.vocabulary)))
    np.add.at(counts, (words.rows, words.codes), 1.0)
    weights = np.log1p(counts) * np.log(len(texts) / np.maximum((counts > 0).sum(axis=0), 1))
    weights /= np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9)
    similarity = np.asarray(weights @ weights.T, np.float64)
    np.fill_diagonal(similarity, 1.0)
    return similarity


def figures(tickets: Tickets, found: Ints) -> Floats:
    """Return adjusted Rand index, V-measure, groups that hold several issues, groups of two on."""
    found = np.unique(found, return_inverse=True)[1]
    agreed = group_agreement(tickets.issues, found)
    groups = [tickets.issues[found == g] for g in range(int(found.max()) + 1)]
    wrong = sum(len(np.unique(g)) > 1 for g in groups)
    several = sum(len(g) > 1 for g in groups)
    return np.array([agreed.adjusted_rand, agreed.v_measure, wrong, several])


def judged(tickets: Tickets, *, wrong: float, seeds: int, weekly: bool = False) -> Floats:
    """Return the mean figures under a judge, with the number of questions last."""
    rows = []
    for seed in range(seeds):
        judge = tickets.judge(wrong=wrong, seed=seed)
        found = through_the_step(tickets, judge=judge, weekly=weekly)
        rows.append([*figures(tickets, found), len(judge.asked)])
    return np.asarray(np.mean(rows, axis=0), np.float64)


def even_point(tickets: Tickets, *, issues: int, draws: int = 10) -> tuple[float, float, float]:
    """Return texts, and slope and offset of a logistic fit of "same issue" to our log odds.

    1 and 0: the log odds are right; a positive offset: they are too low by so much.
    """
    rng = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        drawn = rng.permutation(np.unique(tickets.issues))[:issues]
        part = tickets.take(np.flatnonzero(np.isin(tickets.issues, drawn)))
        ones, others = np.triu_indices(len(part.issues), 1)
        odds = log_odds(part.vectors)[ones, others]
        sign = np.where(part.issues[ones] == part.issues[others], 1.0, -1.0)

        def loss(w: Floats, s: Floats = odds, y: Floats = sign) -> float:
            return float(np.logaddexp(0, -y * (w[0] * s + w[1])).sum())

        found.append([len(part.issues), *minimize(loss, [1.0, 0.0]).x])
    texts, slope, offset = np.median(found, axis=0)
    return float(texts), float(slope), float(offset)


def strangers(tickets: Tickets, *, draws: int = 10) -> tuple[float, float]:
    """Return the mean number of groups found where each issue has one ticket, and of issues."""
    rng = np.random.default_rng(0)
    numbers = np.unique(tickets.issues)
    wrong = []
    for _ in range(draws):
        chosen = [rng.choice(np.flatnonzero(tickets.issues == i)) for i in numbers]
        part = tickets.take(np.sort(np.array(chosen)))
        wrong.append(figures(part, through_the_step(part))[2])
    return float(np.mean(wrong)), float(len(numbers))


def _print(name: str, rows: Sequence[Floats]) -> None:
    cells = [
        f"{r[0]:.3f} {r[1]:.3f} {r[2]:4.1f}/{r[3]:4.1f}"
        + (f" {r[4]:4.0f}" if len(r) > 4 else "     ")
        for r in rows
    ]
    print(f"{name:38} " + " | ".join(cells))


def compare(whole: Tickets, words: Tickets) -> None:
    """Print all ways of grouping side by side, for the two halves of the issues and all of them."""
    middle = (int(words.issues.max()) + 1) // 2
    parts = [
        np.flatnonzero(words.issues < middle),
        np.flatnonzero(words.issues >= middle),
        np.arange(len(words.issues)),
    ]
    print("ARI, V, groups holding several issues / groups of two or more, questions")
    sizes = [f"{len(p)} tickets, {len(np.unique(words.issues[p]))} issues" for p in parts]
    print(f"{'':38} " + " | ".join(f"{s:27}" for s in sizes))
    said = replace(words, texts=tuple(asked_words(t) for t in words.texts))
    steps = np.arange(0.02, 0.4, 0.01)
    least, least_said = (
        max(steps, key=lambda s: figures(first, bag_of_words(first, least=s))[0])
        for first in (whole.take(parts[0]), said.take(parts[0]))
    )
    ways: list[tuple[str, Callable[[Tickets], Floats], Tickets]] = [
        (
            f"bag of words, average linkage {least:.2f}",
            lambda t: figures(t, bag_of_words(t, least=least)),
            whole,
        ),
        (
            "  the same, customer's words",
            lambda t: figures(t, bag_of_words(t, least=least_said)),
            said,
        ),
        ("as reviews, whole texts", lambda t: figures(t, as_themes(t)), whole),
        ("as reviews, customer's words", lambda t: figures(t, as_themes(t)), words),
        ("pairs, no judge, whole texts", lambda t: figures(t, through_the_step(t)), whole),
        ("pairs, no judge", lambda t: figures(t, through_the_step(t)), words),
        ("pairs, judge never wrong", lambda t: judged(t, wrong=0.0, seeds=1), words),
        (
            f"pairs, judge wrong in {WRONG:.0%}",
            lambda t: judged(t, wrong=WRONG, seeds=SEEDS),
            words,
        ),
        (
            "  the same, whole texts embedded",
            lambda t: judged(t, wrong=WRONG, seeds=SEEDS),
            whole,
        ),
        (
            "weekly, no judge",
            lambda t: figures(t, through_the_step(t, weekly=True)),
            words,
        ),
        (
            f"weekly, judge wrong in {WRONG:.0%}",
            lambda t: judged(t, wrong=WRONG, seeds=SEEDS, weekly=True),
            words,
        ),
    ]
    for name, way, tickets in ways:
        _print(name, [way(tickets.take(part)) for part in parts])
    print(
        "\nOne ticket an issue: {:.1f} groups of strangers among {:.0f}".format(*strangers(words))
    )
    print("\nLogistic fit of 'same issue' to the log odds: texts, slope (1), offset (0)")
    for name, part in (("first half", parts[0]), ("all", parts[2])):
        for issues in (12, 25, 51) if name == "all" else (12, 25):
            fitted = even_point(words.take(part), issues=issues)
            print("  {:10} {:5.0f} {:5.2f} {:5.2f}".format(name, *fitted))


def elsewhere(path: Path, embedder: Embedder) -> None:
    """Print how the even point rises with the texts on questions of bank customers."""
    table = pq.read_table(path)
    labels = np.unique(table.column("label").to_pylist(), return_inverse=True)[1]
    texts = table.column("text").to_pylist()
    rng = np.random.default_rng(0)
    chosen = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == i))[: rng.choice([1, 1, 2, 2, 3, 3, 3, 4, 5])]
            for i in range(int(labels.max()) + 1)
        ]
    )
    vectors = embedder.embed([texts[i] for i in chosen])
    drawn = Tickets(
        tuple(texts[i] for i in chosen), labels[chosen], (START,) * len(chosen), vectors
    )
    print("\nThe same on banking77, one to five questions an intent")
    for issues in (12, 25, 50, 77):
        print("  {:5.0f} {:5.2f} {:5.2f}".format(*even_point(drawn, issues=issues)))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, help="folder that remembers the checked weights")
    parser.add_argument("--data", type=Path, help="folder with banking77.parquet")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.cache or Path(scratch)
        embedder = minilm(threads=None, memory=folder / "checked.json")
        compare(read(embedder, whole=True), read(embedder, whole=False))
        if given.data is not None:
            elsewhere(given.data / "banking77.parquet", embedder)


if __name__ == "__main__":
    main()
