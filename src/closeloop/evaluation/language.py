"""Measures languages: right, wrong or unknown, by language."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from closeloop.errors import UsageError, redact
from closeloop.evaluation.labelled import Labelled
from closeloop.evaluation.report import Figure, Listing, Report, confusion_of
from closeloop.evaluation.trial import ROW, Trial
from closeloop.runner import Runner
from closeloop.stages import refine
from closeloop.stats.intervals import wilson
from closeloop.tables import FEEDBACK

Flags = npt.NDArray[np.bool_]

UNKNOWN = "unknown"
NO_TAG = "label_is_no_language_tag"
_TAG = re.compile(r"([a-z]{2,3})(?:-([a-z]{4}))?(?:-[a-z0-9]{2,8})*", re.IGNORECASE)
LABELS_NAMED = 12


def evaluate_language(runner: Runner, labelled: Labelled) -> Report:
    """Return how often refine tells the labelled language.

    Labels are tags such as en, en-US, pt_BR or hi-Latn. An answer is right where the language is
    the label's; where the label names a script, that has to be the answer's too. Raises UsageError
    where no label is such a tag.
    """
    labelled, truth = _tags(labelled)
    trial = Trial(runner, labelled)
    trial.take_in()
    trial.run(refine.NAME)
    found = trial.answers(FEEDBACK, ["text", "language", "language_confidence"])
    rows = np.asarray(found.column(ROW), np.int64)
    if not len(rows):
        raise UsageError("no text could be judged", hint="see the reasons with --json")
    labels = [truth[i] for i in rows.tolist()]
    answers = found.column("language").to_pylist()
    right = np.array([_same(a, b) for a, b in zip(labels, answers, strict=True)], np.bool_)
    unknown = np.array([answer == UNKNOWN for answer in answers], np.bool_)
    labelled = trial.left_out()
    shown = [
        label if ok else answer for label, answer, ok in zip(labels, answers, right, strict=True)
    ]
    outcome = np.where(right, "right", np.where(unknown, UNKNOWN, "wrong"))
    return Report(
        what="language",
        file=labelled.file,
        rows=labelled.total,
        used=len(rows),
        left_out=labelled.left_out,
        made_with={"masker": trial.masker},
        figures=_figures(right, unknown),
        listings=(_by_language(labels, right, unknown),),
        confusion=confusion_of(labels, shown),
        predictions=pa.table(
            {
                "line": labelled.rows.column("line").take(pa.array(rows)),
                "text": found.column("text"),
                "label": pa.array(labels),
                "answer": found.column("language"),
                "confidence": found.column("language_confidence"),
                "outcome": pa.array(outcome.tolist()),
            }
        ),
    )


def _figures(right: Flags, unknown: Flags) -> tuple[Figure, ...]:
    count, hits, silent = len(right), int(right.sum()), int(unknown.sum())
    wrong, answered = count - hits - silent, count - silent
    return (
        _share("right", hits, count, "texts whose language was told rightly"),
        _share("wrong", wrong, count, "texts that were given another language"),
        _share("unknown", silent, count, "texts that were given no language"),
        _share("right of the answered", hits, answered, "share right where a language was told"),
    )


def _share(name: str, hits: int, count: int, meaning: str) -> Figure:
    return Figure(name, hits / count if count else None, wilson(hits, count), count, meaning)


def _by_language(labels: list[str], right: Flags, unknown: Flags) -> Listing:
    place = np.array(labels, object)
    rows = []
    for label, count in sorted(Counter(labels).items(), key=lambda pair: (-pair[1], pair[0])):
        mine = place == label
        hits, silent = int(right[mine].sum()), int(unknown[mine].sum())
        answered = count - silent
        rows.append(
            (
                label,
                count,
                hits,
                answered - hits,
                silent,
                hits / count,
                hits / answered if answered else float("nan"),
            )
        )
    return Listing(
        title="By language",
        headers=("label", "texts", "right", "wrong", "unknown", "share right", "of the answered"),
        rows=tuple(rows),
    )


def _tags(labelled: Labelled) -> tuple[Labelled, list[str]]:
    read = {label: _tag(label) for label in set(labelled.labels)}
    usable = np.array([read[label] is not None for label in labelled.labels], np.bool_)
    if not usable.any():
        shown = ", ".join(redact(x) for x, _ in Counter(labelled.labels).most_common(LABELS_NAMED))
        raise UsageError(
            f"no label is the tag of a language; labels: {shown}",
            hint="write languages as en, fr, pt-BR or hi-Latn",
        )
    labelled = labelled.only(usable, reason=NO_TAG)
    return labelled, [read[label] or "" for label in labelled.labels]


def _tag(label: str) -> str | None:
    """Return a tag as language[-Script], or None."""
    match = _TAG.fullmatch(label.replace("_", "-"))
    if match is None:
        return None
    return match[1].lower() + (f"-{match[2].title()}" if match[2] else "")


def _same(label: str, answer: str) -> bool:
    language, _, script = label.partition("-")
    told, _, told_script = answer.partition("-")
    return language == told and (not script or script == told_script)
