"""Prints how well tone is told on apps that it was not trained on, by voice, beside VADER.

    python benchmarks/tone.py --data DIR [--cache DIR] [--texts 1500]

DIR holds play_reviews.parquet and mini_bar.parquet (public; a part whose file is absent is left
out). VADER is asked where it is installed (requirements-vader.txt). `--cache` keeps vectors.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.special import expit

from closeloop.models.wiring import make_embedder
from closeloop.ports import Embedder
from closeloop.stages.enrich_sentiment import fit_blend, word_features
from closeloop.stats.calibration import calibration_error
from closeloop.stats.logistic import Logistic, fit_binary, log_odds
from closeloop.text.clean import clean
from closeloop.text.sentiment import text_log_odds
from closeloop.text.words import words_of

WORDS_FROM = 25_000
VECTORS_FROM = 5_000
OWN_STARS = 300
DRAWS = 8
"""Draws of an app's own stars, over which their effect is averaged."""
BOTH_SIDES = (0.1, 0.9)
"""Apps with a share of low stars outside of these say nothing: of some one side was collected."""
NEUTRAL = (0.35, 0.65)

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Heads:
    """What was learned from stars: a head over hashed words, one over vectors."""

    words: Logistic
    vectors: Logistic


@dataclass(frozen=True, slots=True)
class Reviews:
    """Texts with stars and where they come from (an app, or a language)."""

    texts: list[str]
    stars: Floats
    group: npt.NDArray[np.str_]


def read(path: Path, *, text: str, group: str) -> Reviews:
    """Return the reviews of a file, cleaned."""
    table = pq.read_table(path)
    texts = pc.fill_null(clean(table[text].cast(pa.string()).combine_chunks()), "").to_pylist()
    stars = np.asarray(table["score"].cast(pa.float64()))
    return Reviews(texts, stars, np.array(table[group].cast(pa.string()).to_pylist()))


def fit(reviews: Reviews, embedder: Embedder, *, order: npt.NDArray[np.int64]) -> Heads:
    """Return heads fitted to the first of these rows (1-2 stars against 4-5)."""
    wide, narrow = order[:WORDS_FROM], order[:VECTORS_FROM]
    words = word_features(words_of(pa.array([reviews.texts[i] for i in wide])))
    vectors = embedder.embed([reviews.texts[i] for i in narrow]).astype(np.float64)
    return Heads(
        words=fit_binary(words, reviews.stars[wide] < 3, l2=1.0),
        vectors=fit_binary(vectors, reviews.stars[narrow] < 3, l2=1.0),
    )


def voices(heads: Heads, texts: list[str], embedder: Embedder) -> dict[str, Floats]:
    """Return P(negative) of each text by each voice and by their means."""
    words = words_of(pa.array(texts, pa.string()))
    by_words = expit(heads.words.scores(word_features(words))[:, 0])
    by_vectors = expit(heads.vectors.scores(embedder.embed(texts))[:, 0])
    lexicon = expit(text_log_odds(words))
    told = {
        "lexicon": lexicon,
        "words": by_words,
        "vectors": by_vectors,
        "both": (by_words + by_vectors) / 2,
        "all three": (by_words + by_vectors + lexicon) / 3,
    }
    vader = by_vader(texts)
    return told if vader is None else {"VADER": vader, **told}


def by_vader(texts: list[str]) -> Floats | None:
    """Return VADER's compound score turned round and scaled to 0..1, None where it is absent."""
    try:
        module = importlib.import_module("vaderSentiment.vaderSentiment")
    except ImportError:
        return None
    analyser = module.SentimentIntensityAnalyzer()
    # A compound of 0 is no answer; it counts as positive, as most reviews are.
    return np.array([(1.0 - analyser.polarity_scores(text)["compound"]) / 2.0 for text in texts])


def show(name: str, told: dict[str, Floats], low: Flags) -> dict[str, float]:
    """Print each voice's accuracy, and the calibration before and after 300 own stars; return all.

    Own stars weigh the three voices, as the product's head does.
    """
    right = {voice: float(((p > 0.5) == low).mean()) for voice, p in told.items()}
    accuracy = "  ".join(f"{voice} {share:.3f}" for voice, share in right.items())
    chance = told["all three"]
    three = np.column_stack([log_odds(told[voice]) for voice in ("lexicon", "words", "vectors")])
    mended, perfect, accurate = [], [], []
    for seed in range(DRAWS):
        draw = np.random.default_rng(seed)
        drawn = draw.permutation(len(low))
        own, rest = drawn[:OWN_STARS], drawn[OWN_STARS:]
        after = expit(fit_blend(three[own], low[own]).scores(three[rest])[:, 0])
        mended.append(calibration_error(after, low[rest]))
        # What would be measured if each text were negative with just that probability.
        perfect.append(calibration_error(after, draw.random(len(after)) < after))
        accurate.append(((after > 0.5) == low[rest]).mean())
    measured = {
        "calibration error": calibration_error(chance, low),
        "with own stars": float(np.mean(mended)),
        "a perfect one": float(np.mean(perfect)),
    }
    print(
        f"{name:40} {len(low)} texts  {low.mean():.2f} low  {accuracy}\n{'':40} "
        + "  ".join(f"{what} {value:.3f}" for what, value in measured.items())
        + f"  accuracy then {np.mean(accurate):.3f}",
        flush=True,
    )
    return right | measured


def held_out(reviews: Reviews, embedder: Embedder, *, texts: int) -> None:
    """Print the accuracy on each app, learned from the other apps alone, and the mean over apps."""
    starred = np.flatnonzero(reviews.stars != 3)
    order = np.random.default_rng(1).permutation(starred)
    names, place, sizes = np.unique(reviews.group[starred], return_inverse=True, return_counts=True)
    low = np.bincount(place, weights=reviews.stars[starred] < 3) / sizes
    told_apart = (low >= BOTH_SIDES[0]) & (low <= BOTH_SIDES[1]) & (sizes >= 3 * OWN_STARS)
    names, sizes = names[told_apart], sizes[told_apart]
    print("\n## Tone on held-out apps (1-2 stars against 4-5)")
    found = []
    for app in names[np.argsort(-sizes)]:
        mine = reviews.group[order] == app
        heads = fit(reviews, embedder, order=order[~mine])
        test = order[mine][:texts]
        told = voices(heads, [reviews.texts[i] for i in test], embedder)
        found.append(show(str(app), told, reviews.stars[test] < 3))
    means = {name: np.mean([one[name] for one in found]) for name in found[0]}
    print(f"mean of {len(found)} apps  " + "  ".join(f"{n} {m:.3f}" for n, m in means.items()))


def other_languages(train: Reviews, reviews: Reviews, embedder: Embedder, *, texts: int) -> None:
    """Print the accuracy on health apps, English and French apart, and of three classes."""
    order = np.random.default_rng(1).permutation(np.flatnonzero(train.stars != 3))
    heads = fit(train, embedder, order=order)
    print("\n## Tone of health apps (mini_bar), learned from finance apps")
    for language in np.unique(reviews.group):
        mine = np.random.default_rng(2).permutation(np.flatnonzero(reviews.group == language))
        test = mine[reviews.stars[mine] != 3][:texts]
        told = voices(heads, [reviews.texts[i] for i in test], embedder)
        show(str(language), told, reviews.stars[test] < 3)
        every = mine[:texts]
        chance = voices(heads, [reviews.texts[i] for i in every], embedder)["all three"]
        said = np.digitize(chance, NEUTRAL)
        truth = np.where(reviews.stars[every] < 3, 2, np.where(reviews.stars[every] == 3, 1, 0))
        print(f"{'':40} three classes (3 stars: neutral) accuracy {(said == truth).mean():.3f}")


def main() -> None:
    """Run the parts whose data are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--texts", type=int, default=1_500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        cache = asked.cache or Path(empty)
        embedder = make_embedder(kind="minilm", folder=None, threads=None, cache_folder=cache)
        reviews = read(asked.data / "play_reviews.parquet", text="content", group="app")
        held_out(reviews, embedder, texts=asked.texts)
        if (asked.data / "mini_bar.parquet").exists():
            other = read(asked.data / "mini_bar.parquet", text="text", group="ori_lang")
            other_languages(reviews, other, embedder, texts=asked.texts)


if __name__ == "__main__":
    main()
