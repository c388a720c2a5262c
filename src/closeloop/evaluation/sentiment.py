"""Measures tone: the stored probability that a text is negative, against labels or stars."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from closeloop.errors import UsageError, redact
from closeloop.evaluation.classes import accuracy_figures, calibration_figure, per_class
from closeloop.evaluation.labelled import Labelled, spellings
from closeloop.evaluation.report import Figure, Report, confusion_of
from closeloop.evaluation.trial import ROW, Trial, made_with
from closeloop.runner import Runner
from closeloop.stages import embed, enrich, refine
from closeloop.stages.enrich_sentiment import MIN_STARS
from closeloop.stats.agreement import class_scores, confusion
from closeloop.stats.intervals import bootstrap, draws_of
from closeloop.stats.reliability import auroc, reliability_bins
from closeloop.tables import ENRICHMENT, FEEDBACK

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEGATIVE, POSITIVE, NEUTRAL = "negative", "positive", "neutral"
WORDS = {
    **dict.fromkeys((NEGATIVE, "neg"), NEGATIVE),
    **dict.fromkeys((POSITIVE, "pos"), POSITIVE),
    **dict.fromkeys((NEUTRAL, "neu", "mixed"), NEUTRAL),
}
STARS = {1: NEGATIVE, 2: NEGATIVE, 3: NEUTRAL, 4: POSITIVE, 5: POSITIVE}
NEITHER, UNREAD = "neither_negative_nor_positive", "label_not_understood"
LABELS_NAMED = 12


def evaluate_sentiment(
    runner: Runner,
    labelled: Labelled,
    *,
    meanings: Sequence[tuple[str, str]],
    learn_share: float,
    seed: int,
) -> Report:
    """Return how well the tone of texts is told, their labels being unseen.

    `learn_share` (0 to below 1) of the texts are taken in first, their labels as stars (1 or 5), so
    that the head is fitted as a run fits it; only the others are judged. Raises UsageError where
    the labels can't be understood or are all the same.
    """
    labelled, negative = _understood(labelled, dict(meanings))
    trial = Trial(runner, labelled)
    drawn = np.random.default_rng(seed).permutation(len(negative))
    learned = np.sort(drawn[: round(learn_share * len(negative))])
    judged = np.setdiff1d(np.arange(len(negative)), learned)
    stages = (refine.NAME, embed.NAME, enrich.NAME)
    if len(learned):
        trial.take_in(learned, ratings=pa.array(np.where(negative[learned], 1.0, 5.0)))
        trial.run(*stages)
    trial.take_in(judged, ratings=pa.nulls(len(judged), pa.float64()))
    trial.run(*stages)
    found = trial.answers(ENRICHMENT, ["sentiment", "sentiment_model"])
    texts = trial.answers(FEEDBACK, ["text"])
    asked = pa.array(np.isin(np.asarray(found.column(ROW)), judged))
    notes = []
    if len(learned):
        notes.append(f"{len(learned):,} texts were shown as stars first and are not judged")
    if 0 < len(learned) < MIN_STARS:
        notes.append(f"too few to learn from: that takes {MIN_STARS} texts")
    return _report(trial, found.filter(asked), texts.filter(asked), negative, notes, seed=seed)


def _report(
    trial: Trial,
    found: pa.Table,
    texts: pa.Table,
    negative: Flags,
    notes: list[str],
    *,
    seed: int,
) -> Report:
    rows = np.asarray(found.column(ROW), np.int64)
    if not len(rows):
        raise UsageError("no text could be judged", hint="see the reasons with --json")
    truth, chance = negative[rows], np.asarray(found.column("sentiment"), np.float64)
    labels = _named(truth)
    answers = _named(chance >= 0.5)
    labelled = trial.left_out()
    lines = labelled.rows.column("line").take(pa.array(rows))
    matrix = confusion_of(labels, answers)
    accuracy, macro = accuracy_figures(labels, answers, seed=seed, progress=trial.progress)
    models = Counter(found.column("sentiment_model").to_pylist())
    return Report(
        what="sentiment",
        file=labelled.file,
        rows=labelled.total,
        used=len(rows),
        left_out=labelled.left_out,
        made_with=made_with(trial) | {"model": "; ".join(sorted(models))},
        figures=(
            accuracy,
            *_negative_figures(truth, chance, seed=seed, trial=trial),
            macro,
            calibration_figure(
                chance,
                truth,
                seed=seed,
                progress=trial.progress,
                meaning="mean gap between P(negative) and the share that is negative",
            ),
        ),
        listings=(per_class(matrix, title="By label"),),
        confusion=matrix,
        reliability=tuple(reliability_bins(chance, truth)),
        reliability_of="P(negative)",
        notes=tuple(notes),
        predictions=pa.table(
            {
                "line": lines,
                "text": texts.column("text"),
                "label": pa.array(labels),
                "answer": pa.array(answers),
                "negative_probability": pa.array(chance),
                "right": pa.array(truth == (chance >= 0.5)),
            }
        ),
    )


def _negative_figures(
    truth: Flags, chance: Floats, *, seed: int, trial: Trial
) -> tuple[Figure, Figure]:
    def measure(rows: Ints) -> Floats:
        told = (chance[rows] >= 0.5).astype(np.int64)
        counts = confusion(truth[rows].astype(np.int64), told, classes=2)
        return np.array([class_scores(counts).f1[1], auroc(chance[rows], truth[rows])])

    count = len(truth)
    trial.progress.start("intervals", total=draws_of(count), unit="draws")
    intervals = bootstrap(count, measure, seed=seed, on_draw=trial.progress.advance)
    trial.progress.finish()
    f1, area = measure(np.arange(count))
    return (
        Figure(
            "F1 of negative", float(f1), intervals[0], count, "precision and recall of negative"
        ),
        Figure(
            "AUROC",
            None if np.isnan(area) else float(area),
            intervals[1],
            count,
            "chance that a negative text scores above a positive one",
        ),
    )


def _named(negative: Flags) -> list[str]:
    return [NEGATIVE if one else POSITIVE for one in negative.tolist()]


def _understood(labelled: Labelled, meanings: dict[str, str]) -> tuple[Labelled, Flags]:
    """Return the rows labelled negative or positive, and which are negative."""
    given = Counter(labelled.labels)
    known = _meanings(given, meanings)
    read = np.array([known[label] or "" for label in labelled.labels])
    labelled = labelled.only(read != "", reason=UNREAD)
    read = read[read != ""]
    labelled = labelled.only(read != NEUTRAL, reason=NEITHER)
    read = read[read != NEUTRAL]
    if len(set(read.tolist())) < 2:
        shown = ", ".join(redact(label) for label, _ in given.most_common(LABELS_NAMED))
        raise UsageError(
            f"the labels hold {'only one side' if len(read) else 'neither negative nor positive'}; "
            f"found: {shown}",
            hint="understood are negative and positive, and stars 1 to 5 (3 is neither); "
            "say what others mean with --map LABEL=negative and --map LABEL=positive",
        )
    return labelled, np.asarray(read == NEGATIVE)


def _meanings(given: Counter[str], meanings: dict[str, str]) -> dict[str, str | None]:
    for label, meaning in meanings.items():
        if spellings(meaning) not in WORDS:
            raise UsageError(
                f"--map {redact(label)}={redact(meaning)}: no such tone",
                hint="a label means negative, positive or neutral",
            )
        if label not in given:
            raise UsageError(
                f"--map {redact(label)}={redact(meaning)}: no text has this label",
                hint="labels: " + ", ".join(redact(x) for x, _ in given.most_common(LABELS_NAMED)),
            )
    read = {label: meanings.get(label) or _tone(label) for label in given}
    # 0 and 1 are nobody's stars: which of them is negative has to be said.
    if set(given) <= {"0", "1", "0.0", "1.0"} and not meanings:
        return dict.fromkeys(given)
    return {
        label: None if tone is None else WORDS.get(spellings(tone)) for label, tone in read.items()
    }


def _tone(label: str) -> str | None:
    try:
        stars = float(label)
    except ValueError:
        return WORDS.get(spellings(label))
    return STARS.get(int(stars)) if stars.is_integer() else None
