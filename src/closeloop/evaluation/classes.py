"""Figures of answers that are one class each: accuracy, F1, per class, what is taken for what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from closeloop.evaluation.report import Confusion, Figure, Listing, confusion_of
from closeloop.ports import Progress
from closeloop.stats.agreement import class_scores, confusion, macro_f1
from closeloop.stats.calibration import calibration_error
from closeloop.stats.intervals import bootstrap, draws_of, wilson

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def square(found: Confusion) -> Ints:
    """Return the confusion with a row for each answer too (answers that are no label: zeros)."""
    width = len(found.answers)
    counts = np.zeros((width, width), np.int64)
    counts[: len(found.labels)] = found.counts
    return counts


def accuracy_figures(
    labels: Sequence[str], answers: Sequence[str], *, seed: int, progress: Progress
) -> tuple[Figure, Figure]:
    """Return accuracy (Wilson's interval) and macro-F1 over the labels (bootstrap)."""
    matrix = confusion_of(labels, answers)
    place = {name: i for i, name in enumerate(matrix.answers)}
    truth = np.array([place[x] for x in labels], np.int64)
    found = np.array([place[x] for x in answers], np.int64)
    width, count = len(place), len(truth)
    right = int((truth == found).sum())
    progress.start("intervals", total=draws_of(count), unit="draws")
    (interval,) = bootstrap(
        count,
        lambda rows: np.array([macro_f1(confusion(truth[rows], found[rows], classes=width))]),
        seed=seed,
        on_draw=progress.advance,
    )
    progress.finish()
    return (
        Figure("accuracy", right / count, wilson(right, count), count, "share answered rightly"),
        Figure(
            "macro F1",
            macro_f1(square(matrix)),
            interval,
            count,
            "mean F1 of the labels, each weighing the same",
        ),
    )


def per_class(matrix: Confusion, *, title: str, name: str = "label") -> Listing:
    """Return count, precision, recall and F1 of each label, the most frequent first."""
    scores = class_scores(square(matrix))
    counts = matrix.counts.sum(axis=1)
    answered = matrix.counts.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    return Listing(
        title=title,
        headers=(name, "texts", "answered", "precision", "recall", "F1"),
        rows=tuple(
            (
                matrix.labels[i],
                int(counts[i]),
                int(answered[i]),
                float(scores.precision[i]),
                float(scores.recall[i]),
                float(scores.f1[i]),
            )
            for i in order.tolist()
        ),
    )


def calibration_figure(
    probability: Floats, right: Flags, *, seed: int, progress: Progress, meaning: str
) -> Figure:
    """Return the expected calibration error over ten bins, with its bootstrap interval."""
    count = len(right)
    if not count:
        return Figure("ECE", None, None, 0, meaning)
    progress.start("intervals", total=draws_of(count), unit="draws")
    (interval,) = bootstrap(
        count,
        lambda rows: np.array([calibration_error(probability[rows], right[rows])]),
        seed=seed,
        on_draw=progress.advance,
    )
    progress.finish()
    return Figure("ECE", calibration_error(probability, right), interval, count, meaning)
