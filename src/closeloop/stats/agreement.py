"""How far answers agree with labels: groups with groups, classes with classes, pairs with pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GroupAgreement:
    """How far groups that were found are the labelled ones; 1 is the same, whatever their names.

    `homogeneity`: a group holds one label only. `completeness`: a label lies in one group only.
    `v_measure` is their harmonic mean (Rosenberg & Hirschberg, EMNLP 2007). `adjusted_rand` is the
    share of pairs on which both agree, corrected for chance (Hubert & Arabie, J. Classification
    1985): 0 for random groups, below 0 for worse.
    """

    homogeneity: float
    completeness: float
    v_measure: float
    adjusted_rand: float


def group_agreement(truth: Ints, found: Ints) -> GroupAgreement:
    """Return how far the groups of the same items agree; both are group numbers from 0 [items].

    Memory grows with the items, not with labels times groups. No items agree wholly.
    """
    cells, rows, columns = _counts(truth, found)
    of_truth, of_found, of_both = (_entropy(counts) for counts in (rows, columns, cells))
    shared = max(of_truth + of_found - of_both, 0.0)
    homogeneity = shared / of_truth if of_truth > 0 else 1.0
    completeness = shared / of_found if of_found > 0 else 1.0
    both = homogeneity + completeness
    return GroupAgreement(
        homogeneity=homogeneity,
        completeness=completeness,
        v_measure=2 * homogeneity * completeness / both if both > 0 else 0.0,
        adjusted_rand=_adjusted_rand(cells, rows, columns),
    )


def alone(found: Ints) -> Ints:
    """Give each item without a group (below 0) one of its own: leaving out earns nothing."""
    result = np.asarray(found, np.int64).copy()
    none = result < 0
    result[none] = result.max(initial=-1) + 1 + np.arange(none.sum())
    return result


def confusion(truth: Ints, found: Ints, *, classes: int) -> Ints:
    """Return how often each true class (row) was answered as each class (column)."""
    return np.bincount(truth * classes + found, minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Precision, recall and F1 of each class [classes]; nan where nothing is there to divide by.

    Precision is nan for a class that was never answered, recall for one without an item; F1 is 0
    for a class with items that was never answered rightly.
    """

    precision: Floats
    recall: Floats
    f1: Floats


def class_scores(counts: npt.NDArray[np.int64]) -> ClassScores:
    """Return the scores of each class from a confusion matrix (rows: truth, columns: answers)."""
    right = np.diag(counts).astype(np.float64)
    asked, answered = counts.sum(axis=1), counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return ClassScores(
            precision=right / answered, recall=right / asked, f1=2 * right / (asked + answered)
        )


def macro_f1(counts: npt.NDArray[np.int64]) -> float:
    """Return the mean F1 over the classes that have items; each class weighs the same."""
    asked = counts.sum(axis=1) > 0
    return float(class_scores(counts).f1[asked].mean()) if asked.any() else 0.0


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Pairs by labelled group [groups]: found rightly, found wrongly, missed.

    A wrong pair spans two groups: half of it counts for either.
    """

    right: Floats
    wrong: Floats
    missed: Floats

    def precision(self, weights: Ints | None = None) -> float:
        """Return the share of found pairs that are right; 1 where none was found."""
        right, wrong = _weighed(self.right, weights), _weighed(self.wrong, weights)
        return right / (right + wrong) if right + wrong else 1.0

    def recall(self, weights: Ints | None = None) -> float:
        """Return the share of labelled pairs that were found; 1 where there is none."""
        right, missed = _weighed(self.right, weights), _weighed(self.missed, weights)
        return right / (right + missed) if right + missed else 1.0


def pair_agreement(truth: Ints, found: Ints) -> PairAgreement:
    """Return the pairs of items of one group that labels and answers share; group numbers from 0.

    Counted from the sizes of groups, so that no pair is ever listed.
    """
    size = int(found.max(initial=-1)) + 1
    groups = int(truth.max(initial=-1)) + 1
    cells, counts = np.unique(truth * max(size, 1) + found, return_counts=True)
    of_truth, of_found = cells // max(size, 1), cells % max(size, 1)
    beside = np.bincount(found, minlength=size)[of_found] - counts
    right = np.bincount(of_truth, weights=_pairs(counts), minlength=groups).astype(np.float64)
    wrong = np.bincount(of_truth, weights=counts * beside / 2, minlength=groups).astype(np.float64)
    there = _pairs(np.bincount(truth, minlength=groups))
    return PairAgreement(right=right, wrong=wrong, missed=there - right)


def _weighed(values: Floats, weights: Ints | None) -> float:
    return float(values.sum() if weights is None else values @ weights)


def _counts(truth: Ints, found: Ints) -> tuple[Ints, Ints, Ints]:
    width = int(np.max(found, initial=0)) + 1
    cells = np.unique(truth * width + found, return_counts=True)[1]
    rows = np.unique(truth, return_counts=True)[1]
    columns = np.unique(found, return_counts=True)[1]
    return cells, rows, columns


def _entropy(counts: Ints) -> float:
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum())


def _pairs(counts: Ints) -> Floats:
    wide = counts.astype(np.float64)
    return wide * (wide - 1) / 2


def _adjusted_rand(cells: Ints, rows: Ints, columns: Ints) -> float:
    together = float(_pairs(cells).sum())
    one, other = float(_pairs(rows).sum()), float(_pairs(columns).sum())
    every = float(_pairs(rows.sum()[None]).sum())
    chance = one * other / every if every else 0.0
    most = (one + other) / 2
    # Where one group holds all, or each item is alone, chance is certainty: the same is 1.
    return (together - chance) / (most - chance) if most > chance else 1.0
