"""Prints how refine's languages and enrich's urgency agree with what people read in real reviews.

    python benchmarks/refine_by_hand.py --data DIR

DIR holds play_reviews.parquet (public; the fixtures name reviews by their id only).
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.special import expit

from closeloop.stages.enrich_sentiment import word_features
from closeloop.stats.logistic import fit_binary
from closeloop.text.clean import clean
from closeloop.text.language import detect_batch
from closeloop.text.language_gate import LanguageGate
from closeloop.text.urgency import urgency_of
from closeloop.text.words import words_of

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures"
LANGUAGES = FIXTURES / "review_languages.csv"
URGENCY = FIXTURES / "review_urgency.csv"
SHARES = {"short": 16_366, "long": 63_766, "non-latin": 1_076, "romanised": 3_240}
"""How many of the 84,448 distinct texts each stratum holds."""
OUTCOMES = ("right", "wrong", "unknown", "rightly unknown")
STARS = 25_000
TOP = 100


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a fixture; lines that start with # say where they come from."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def told_languages(reviews: pa.Table) -> dict[str, str]:
    """Return the language of each review after the gate of its source, by id."""
    texts = pc.fill_null(clean(reviews["content"].cast(pa.string()).combine_chunks()), "")
    answers = detect_batch(texts)
    columns = {
        "sources": reviews["app"].cast(pa.string()).combine_chunks(),
        "languages": answers.field("language"),
        "confidences": answers.field("confidence"),
        "words": answers.field("words"),
    }
    gate = LanguageGate.from_bytes(None).after(**columns)
    told = gate.apply(**columns, gated=answers.field("gated"))
    return dict(zip(reviews["review_id"].to_pylist(), told.to_pylist(), strict=True))


def judged(told: str, right: str) -> str:
    """Return the outcome of one answer against the languages that are right."""
    accepted = right.split("|")
    if told == "unknown":
        return "rightly unknown" if "none" in accepted else "unknown"
    return "right" if told in accepted else "wrong"


def outcomes(told: dict[str, str], *, draw: str) -> Counter[tuple[str, str]]:
    """Return how many texts of a draw had each outcome, by stratum; hi-Latn alone as well."""
    counted: Counter[tuple[str, str]] = Counter()
    for row in read(LANGUAGES):
        if row["draw"] == draw:
            outcome = judged(told[row["review_id"]], row["language"])
            counted[row["stratum"], outcome] += 1
            if row["language"] == "hi-Latn":
                counted["hi-Latn", outcome] += 1
    return counted


def languages(reviews: pa.Table) -> None:
    """Print right, wrong and unknown by stratum, together, and weighted by the strata's sizes."""
    told = told_languages(reviews)
    for draw in ("1", "2"):
        counted = outcomes(told, draw=draw)
        print(f"\n## Languages read by hand, draw {draw}: {', '.join(OUTCOMES)}")
        for stratum in (*SHARES, "hi-Latn"):
            print(f"{stratum:10}", *(f"{counted[stratum, outcome]:5}" for outcome in OUTCOMES))
        total = {o: sum(counted[s, o] for s in SHARES) for o in OUTCOMES}
        wrong = total["wrong"] / (total["right"] + total["wrong"])
        unknown = total["unknown"] / sum(total.values())
        print(f"wrong of those answered {wrong:.3f}; unknown though of a language {unknown:.3f}")
        if draw == "1":
            of = {s: sum(counted[s, o] for o in OUTCOMES) for s in SHARES}
            whole = sum(SHARES.values())
            parts = {
                o: sum(SHARES[s] / whole * counted[s, o] / of[s] for s in SHARES) for o in OUTCOMES
            }
            print("weighted by the strata:", {o: round(share, 4) for o, share in parts.items()})


def rough_tone(reviews: pa.Table, texts: pa.Array) -> npt.NDArray[np.float64]:
    """Return P(negative) by the head over hashed words alone, fitted to a draw of the stars."""
    features = word_features(words_of(texts))
    stars = np.asarray(reviews["score"], np.float64)
    drawn = np.random.default_rng(3).permutation(np.flatnonzero(stars != 3))[:STARS]
    head = fit_binary(features[drawn], stars[drawn] < 3, l2=1.0)
    return np.asarray(expit(head.scores(features)[:, 0]), np.float64)


def top(scores: npt.NDArray[np.float64], ids: npt.NDArray[np.str_], texts: list[str]) -> list[str]:
    """Return the ids with the highest scores, of near-equal texts the first."""
    seen: set[str] = set()
    chosen: list[str] = []
    for row in np.lexsort((ids, -scores)).tolist():
        beginning = texts[row].lower()[:60]
        if beginning not in seen:
            seen.add(beginning)
            chosen.append(str(ids[row]))
        if len(chosen) == TOP:
            break
    return chosen


def urgency(reviews: pa.Table) -> None:
    """Print the share of urgent ones in the top 100, by rules alone, and of 1-star reviews."""
    texts = pc.fill_null(clean(reviews["content"].cast(pa.string()).combine_chunks()), "")
    ids = np.array(reviews["review_id"].to_pylist())
    with_tone, _ = urgency_of(texts, rough_tone(reviews, texts))
    alone, _ = urgency_of(texts, np.ones(len(texts)))
    rows = read(URGENCY)
    said = {row["review_id"]: row["urgent"] == "yes" for row in rows}
    drawn = {
        "rules x P(negative)": top(with_tone, ids, texts.to_pylist()),
        "rules alone": top(np.round(alone, 6), ids, texts.to_pylist()),
        "1 star, at random": [r["review_id"] for r in rows if r["drawn_by"] == "one star"],
    }
    print(f"\n## Urgency: share of urgent ones among the first {TOP}, read by hand")
    for name, chosen in drawn.items():
        read_ones = [said[i] for i in chosen if i in said]
        share = sum(read_ones) / max(len(read_ones), 1)
        print(f"{name:22} {share:.3f} of {len(read_ones)} read ({len(chosen)})")


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    reviews = pq.read_table(parser.parse_args().data / "play_reviews.parquet")
    languages(reviews)
    urgency(reviews)


if __name__ == "__main__":
    main()
