"""Prints how well a theme's confidence holds, with answers drawn from gold labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from closeloop.stats.calibration import (
    ThemeConfidence,
    audited_share,
    calibration_error,
    fit_confidence,
    linear,
    relative_size,
)
from closeloop.stats.themes import own_and_next
from theme_feed import Feed, Ints, Vectors

Floats = npt.NDArray[np.float64]

LABELS = (100, 300)
SEEDS = range(10)
SURE = 0.85
LEAST = 20
"""Themes with fewer texts are not audited."""


@dataclass(frozen=True, slots=True)
class _Themed:
    """Texts in themes: scores, margins, relative size of their theme, their theme, gold intent, and whether it is the theme's."""

    scores: Floats
    margins: Floats
    sizes: Floats
    theme: Ints
    intent: Ints
    right: npt.NDArray[np.bool_]


def print_confidence(
    vectors: Vectors, texts: list[str], truth: Ints, *, first: int, turn: int
) -> None:
    """Print calibration of texts and of themes, after one clustering and after streaming."""
    for name, start in (("all clustered at once", len(vectors)), ("streamed", first)):
        feed = Feed(hours=8.0)
        feed.stream(vectors, texts, first=start, turn=turn)
        themed = _themed(feed, vectors, truth)
        print(
            f"\n## Confidence, {name}: {themed.right.mean():.3f} of the texts share the theme's intent"
        )
        start_error = calibration_error(
            ThemeConfidence().probability(themed.scores, themed.margins, themed.sizes),
            themed.right,
        )
        print(f"no labels (fitted to this set: no evidence): calibration error {start_error:.3f}")
        for labels in LABELS:
            _print_texts(themed, labels)
        for pairs in (12, 20):
            for wrong in (0.0, 0.1):
                _print_audit(themed, pairs, wrong)


def _themed(feed: Feed, vectors: Vectors, truth: Ints) -> _Themed:
    memory = feed.memory()
    place = {name: number for number, name in enumerate(memory.ids)}
    theme = np.array([place.get(name or "", -1) for name in feed.themes()], np.int64)
    inside = np.flatnonzero(theme >= 0)
    theme, intent = theme[inside], truth[inside]
    own, following = own_and_next(memory.frame.centred(vectors[inside]), memory.centres, theme)
    table = np.zeros((len(memory.ids), 77))
    np.add.at(table, (theme, intent), 1)
    return _Themed(
        scores=memory.frame.scores(own),
        margins=(own - following) / memory.frame.sd,
        sizes=relative_size(memory.sizes)[theme],
        theme=theme,
        intent=intent,
        right=table.argmax(axis=1)[theme] == intent,
    )


def _pairs(themed: _Themed, count: int, draw: np.random.Generator) -> tuple[Ints, Ints]:
    """Return random pairs of texts of one theme each."""
    order = np.argsort(themed.theme, kind="stable")
    sizes = np.bincount(themed.theme)
    starts = np.cumsum(sizes) - sizes
    one = draw.integers(0, len(order), 3 * count)
    mine = themed.theme[one]
    other = order[starts[mine] + draw.integers(0, sizes[mine])]
    apart = one != other
    return one[apart][:count], other[apart][:count]


def _print_texts(themed: _Themed, labels: int) -> None:
    odds = linear(themed.scores, themed.margins)
    errors, precise, covered = [], [], []
    bins = np.zeros((10, 3))
    for seed in SEEDS:
        one, other = _pairs(themed, labels, np.random.default_rng(seed))
        fitted = fit_confidence(
            (odds[one] + odds[other]) / 2,
            themed.sizes[one],
            themed.intent[one] == themed.intent[other],
        )
        chance = fitted.probability(themed.scores, themed.margins, themed.sizes)
        errors.append(calibration_error(chance, themed.right))
        sure = chance >= SURE
        covered.append(sure.mean())
        if sure.any():
            precise.append(themed.right[sure].mean())
        place = np.minimum((chance * 10).astype(int), 9)
        np.add.at(bins, place, np.stack([np.ones(len(chance)), chance, themed.right], axis=1))
    print(
        f"{labels} judged pairs: calibration error {np.mean(errors):.3f} (worst of 10 "
        f"{max(errors):.3f}), at >= {SURE}: {np.mean(covered):.2f} of the texts, right "
        f"{np.mean(precise):.3f}"
    )
    held = bins[bins[:, 0] > 0]
    print("  said   " + "  ".join(f"{b[1] / b[0]:.2f}" for b in held))
    print("  right  " + "  ".join(f"{b[2] / b[0]:.2f}" for b in held))
    print("  texts  " + "  ".join(f"{b[0] / bins[:, 0].sum():.2f}" for b in held))


def _print_audit(themed: _Themed, pairs: int, wrong: float) -> None:
    sizes = np.bincount(themed.theme)
    alike, gaps, sure = [], [], []
    for seed in SEEDS:
        draw = np.random.default_rng(seed)
        said, true = [], []
        for number in np.flatnonzero(sizes >= LEAST):
            members = np.flatnonzero(themed.theme == number)
            two = np.array([draw.choice(members, 2, replace=False) for _ in range(pairs)])
            same = themed.intent[two[:, 0]] == themed.intent[two[:, 1]]
            same ^= draw.random(pairs) < wrong
            said.append(audited_share(same=int(same.sum()), pairs=pairs))
            true.append(themed.right[members].mean())
        estimate, share = np.array(said), np.array(true)
        alike.append(np.corrcoef(_ranks(estimate), _ranks(share))[0, 1])
        gaps.append(np.abs(estimate - share).mean())
        sure.append(share[estimate >= SURE].mean())
    print(
        f"theme audit, {pairs} pairs, judge wrong {wrong:.0%}: Spearman {np.mean(alike):.2f}, mean "
        f"gap {np.mean(gaps):.3f}, true share of themes at >= {SURE}: {np.mean(sure):.3f}"
    )


def _ranks(values: Floats) -> Floats:
    """Return ranks from 0, equal values sharing their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[place], np.float64)
