"""Measures categories: of the workspace's taxonomy, or of one learned from a part of the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.taxonomy import UNKNOWN, Category, Taxonomy
from closeloop.errors import UsageError, redact
from closeloop.evaluation.classes import accuracy_figures, calibration_figure, per_class
from closeloop.evaluation.labelled import Labelled, spellings
from closeloop.evaluation.report import Figure, Report, confusion_of
from closeloop.evaluation.trial import ROW, Trial, made_with
from closeloop.runner import Runner
from closeloop.stages import embed, enrich, refine
from closeloop.stats.intervals import wilson
from closeloop.stats.reliability import reliability_bins
from closeloop.tables import ENRICHMENT, FEEDBACK

Ints = npt.NDArray[np.int64]

NO_CATEGORY = "label_is_no_category"
TOO_FEW = "label_has_too_few_texts"
SAME_AS_EXAMPLE = "same_text_as_an_example"
COMPLAINT = "complaint"
"""Stands for every complaint category that no other label is mapped to."""
LABELS_NAMED = 12


@dataclass(frozen=True, slots=True)
class _Judged:
    """Which rows are judged, what each answer counts as, and what to say of it."""

    trial: Trial
    means: dict[str, str]
    """Category (or "unknown") to the label that it counts as."""
    rows: Ints
    left_out: Counter[str]
    notes: tuple[str, ...]


def evaluate_taxonomy(
    runner: Runner,
    labelled: Labelled,
    *,
    meanings: Sequence[tuple[str, str]],
    examples_per_label: int | None,
    seed: int,
) -> Report:
    """Return how well texts are filed.

    Labels are matched to the taxonomy's categories by name (case, underscores and hyphens make no
    difference) or by `meanings` (label, category); several categories may stand for one label. With
    `examples_per_label` a taxonomy of the labels is learned from so many masked texts of each
    instead, and the others are judged. Raises UsageError where no label is a category.
    """
    if examples_per_label is not None:
        judged = _learned(runner, labelled, examples_per_label, seed=seed)
    else:
        judged = _mapped(runner, labelled, meanings)
    trial = judged.trial
    trial.run(embed.NAME, enrich.NAME)
    found = trial.answers(ENRICHMENT, ["category", "category_confidence", "category_model"])
    texts = trial.answers(FEEDBACK, ["text"])
    asked = pa.array(np.isin(np.asarray(found.column(ROW)), judged.rows))
    return _report(judged, found.filter(asked), texts.filter(asked), seed=seed)


def _report(judged: _Judged, found: pa.Table, texts: pa.Table, *, seed: int) -> Report:
    trial, rows = judged.trial, np.asarray(found.column(ROW), np.int64)
    if not len(rows):
        raise UsageError("no text could be judged", hint="give more labelled texts")
    labelled = trial.left_out()
    picked = pa.array(rows)
    labels = labelled.rows.column("label").take(picked).to_pylist()
    categories = found.column("category").to_pylist()
    answers = [judged.means.get(c, c) for c in categories]
    right = np.array([a == b for a, b in zip(labels, answers, strict=True)], np.bool_)
    confidence = np.asarray(found.column("category_confidence"), np.float64)
    named = np.asarray(pc.not_equal(found.column("category"), UNKNOWN))
    matrix = confusion_of(labels, answers)
    unknown = int((~named).sum())
    sure = int(right[named].sum())
    models = Counter(found.column("category_model").to_pylist())
    return Report(
        what="taxonomy",
        file=labelled.file,
        rows=labelled.total,
        used=len(rows),
        left_out=labelled.left_out + judged.left_out,
        made_with=made_with(trial) | {"model": "; ".join(sorted(models))},
        figures=(
            *accuracy_figures(labels, answers, seed=seed, progress=trial.progress),
            Figure(
                "unknown share",
                unknown / len(rows),
                wilson(unknown, len(rows)),
                len(rows),
                "texts that were given no category",
            ),
            Figure(
                "accuracy of the named",
                sure / int(named.sum()) if named.any() else None,
                wilson(sure, int(named.sum())),
                int(named.sum()),
                "share right among the texts that were given a category",
            ),
            calibration_figure(
                confidence[named],
                right[named],
                seed=seed,
                progress=trial.progress,
                meaning="mean gap between confidence and share right of the named",
            ),
        ),
        listings=(per_class(matrix, title="By label"),),
        confusion=matrix,
        reliability=tuple(reliability_bins(confidence[named], right[named])),
        reliability_of="category confidence",
        notes=judged.notes,
        predictions=pa.table(
            {
                "line": labelled.rows.column("line").take(picked),
                "text": texts.column("text"),
                "label": pa.array(labels),
                "answer": pa.array(answers),
                "category": found.column("category"),
                "confidence": pa.array(confidence),
                "right": pa.array(right),
            }
        ),
    )


def _mapped(runner: Runner, labelled: Labelled, meanings: Sequence[tuple[str, str]]) -> _Judged:
    """Judge all texts whose label is a category of the taxonomy, by name or as it is mapped."""
    taxonomy = runner.services.config.taxonomy
    given = Counter(labelled.labels)
    means = _category_labels(taxonomy, given, meanings)
    known = set(means.values())
    labels = np.array([label in known for label in labelled.labels], np.bool_)
    if not labels.any():
        raise UsageError(
            "no label is a category of the taxonomy; labels: "
            + ", ".join(redact(x) for x, _ in given.most_common(LABELS_NAMED)),
            hint="learn a taxonomy from the file with --examples-per-label 10, or map labels with "
            "--map LABEL=CATEGORY; categories: " + ", ".join(c.name for c in taxonomy.categories),
        )
    used = labelled.only(labels, reason=NO_CATEGORY)
    unmapped = sorted((x for x in given if x not in known), key=lambda x: (-given[x], x))
    notes = []
    if unmapped:
        shown = ", ".join(f"{redact(x)} ({given[x]:,})" for x in unmapped[:LABELS_NAMED])
        more = len(unmapped) - LABELS_NAMED
        notes.append(
            f"labels that are no category: {shown}{f' and {more} more' if more > 0 else ''}"
        )
    trial = Trial(runner, used)
    trial.take_in()
    trial.run(refine.NAME)
    return _Judged(trial, means, np.arange(used.rows.num_rows), Counter(), tuple(notes))


def _category_labels(
    taxonomy: Taxonomy, given: Counter[str], meanings: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """Return the label that each category counts as."""
    by_spelling = {spellings(c.name): c.name for c in taxonomy.categories} | {UNKNOWN: UNKNOWN}
    means: dict[str, str] = {}
    for label, meaning in meanings:
        if label not in given:
            raise UsageError(
                f"--map {redact(label)}={redact(meaning)}: no text has this label",
                hint="labels: " + ", ".join(redact(x) for x, _ in given.most_common(LABELS_NAMED)),
            )
        category = by_spelling.get(spellings(meaning))
        if category is None and spellings(meaning) != COMPLAINT:
            raise UsageError(
                f"--map {redact(label)}={redact(meaning)}: no such category",
                hint=f"categories: {', '.join(c.name for c in taxonomy.categories)}; {COMPLAINT} "
                "stands for all complaint categories, unknown for texts given none",
            )
        if category is not None:
            means[category] = label
    for label, _ in given.most_common():
        category = by_spelling.get(spellings(label))
        if category is not None:
            means.setdefault(category, label)
    for label, meaning in meanings:
        if spellings(meaning) == COMPLAINT:
            means |= {
                c.name: label for c in taxonomy.categories if c.complaint and c.name not in means
            }
    return means


def _learned(runner: Runner, labelled: Labelled, count: int, *, seed: int) -> _Judged:
    """Judge the texts that are left when so many of each label are taken as its examples."""
    sizes = Counter(labelled.labels)
    enough = np.array([sizes[label] > count for label in labelled.labels], np.bool_)
    used = labelled.only(enough, reason=TOO_FEW)
    if len({label for label in sizes if sizes[label] > count}) < 2:
        raise UsageError(
            f"fewer than two labels have more than {count} texts",
            hint="give a smaller --examples-per-label, or check --label",
        )
    trial = Trial(runner, used)
    trial.take_in()
    trial.run(refine.NAME)
    # What refine has masked is what a category's examples may hold.
    texts = trial.answers(FEEDBACK, ["text"])
    rows, masked = np.asarray(texts.column(ROW), np.int64), texts.column("text").to_pylist()
    names = np.array(used.labels, object)[rows]
    examples: dict[str, list[str]] = {name: [] for name in sorted(set(names.tolist()))}
    chosen: set[int] = set()
    for i in np.random.default_rng(seed).permutation(len(rows)).tolist():
        if len(examples[names[i]]) < count and masked[i] not in examples[names[i]]:
            examples[names[i]].append(masked[i])
            chosen.add(i)
    readable = _readable(list(examples))
    taxonomy = Taxonomy(
        tuple(
            Category(name=readable[name], description=readable[name], examples=tuple(own))
            for name, own in examples.items()
        ),
        version=f"{count} examples of each label",
    )
    trial.use(replace(trial.config, taxonomy=taxonomy))
    shown = {text for own in examples.values() for text in own}
    seen = np.array([text in shown for text in masked], np.bool_)
    repeated = int(seen.sum()) - len(chosen)
    return _Judged(
        trial,
        {name: label for label, name in readable.items()},
        rows[~seen],
        Counter({SAME_AS_EXAMPLE: repeated} if repeated else {}),
        (f"{len(chosen):,} texts of {len(examples)} labels were examples and are not judged",),
    )


def _readable(labels: Sequence[str]) -> dict[str, str]:
    """Return the name that each label's category gets: words, where that keeps labels apart."""
    words = {label: " ".join(label.replace("_", " ").split()) for label in labels}
    return words if len(set(words.values())) == len(labels) else {x: x for x in labels}
