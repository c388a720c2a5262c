"""Measures duplicates: pairs that refine merges or links, against labelled groups of copies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.errors import UsageError
from closeloop.evaluation.labelled import Labelled
from closeloop.evaluation.report import Figure, Listing, Report
from closeloop.evaluation.trial import ROW, Trial
from closeloop.ports import Progress
from closeloop.runner import Runner
from closeloop.stages import refine
from closeloop.stats.agreement import PairAgreement, pair_agreement
from closeloop.stats.intervals import Interval, bootstrap, draws_of, unless_certain
from closeloop.tables import FEEDBACK
from closeloop.text.duplicates import comparable, eligible

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def evaluate_duplicates(runner: Runner, labelled: Labelled, *, seed: int) -> Report:
    """Return which pairs of labelled copies are found, and which found pairs are none.

    Texts with the same label are copies; a text without one is left out, so an original without
    copies needs a label of its own. Refine compares texts within 14 days; without times all are.
    Raises UsageError where no two texts share a label.
    """
    trial = Trial(runner, labelled)
    trial.take_in()
    trial.run(refine.NAME)
    found = trial.answers(FEEDBACK, ["text", "feedback_id", "duplicate_of", "campaign_id"])
    rows = np.asarray(found.column(ROW), np.int64)
    labelled = trial.left_out()
    labels = np.array(labelled.rows.column("label").to_pylist(), object)[rows].astype(str)
    truth = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    if len(np.unique(truth)) == len(truth):
        raise UsageError(
            "no two texts share a label", hint="--label names the group of copies of each text"
        )
    own = found.column("feedback_id")
    merged = _groups(pc.coalesce(found.column("duplicate_of"), own))
    linked = _groups(pc.coalesce(_campaigns(found), found.column("duplicate_of"), own))
    long_enough = np.asarray(eligible(comparable(found.column("text").combine_chunks())))
    figures = [
        *_figures("merged", truth, merged, seed=seed, progress=trial.progress),
        *_figures("merged or linked", truth, linked, seed=seed, progress=trial.progress),
        _of_long(truth, merged, long_enough),
    ]
    return Report(
        what="duplicates",
        file=labelled.file,
        rows=labelled.total,
        used=len(rows),
        left_out=labelled.left_out,
        made_with={"masker": trial.masker},
        figures=tuple(figures),
        listings=(_by_size(truth, merged, linked),),
        notes=(
            f"{int((~long_enough).sum()):,} texts are too short to be merged (under seven words or "
            "35 characters), by design",
        ),
        predictions=pa.table(
            {
                "line": labelled.rows.column("line").take(pa.array(rows)),
                "text": found.column("text"),
                "label": pa.array(labels),
                "duplicate_of_line": _lines(trial, found.column("duplicate_of")),
                "campaign_line": _lines(trial, found.column("campaign_id")),
                "long_enough": pa.array(long_enough),
            }
        ),
    )


def _campaigns(found: pa.Table) -> pa.ChunkedArray:
    """Return each text's campaign: its own, its original's, or itself where it is the first."""
    campaign, own = found.column("campaign_id"), found.column("feedback_id")
    place = pc.index_in(found.column("duplicate_of"), value_set=own.combine_chunks())
    of_original = campaign.take(place)
    first = pc.if_else(pc.is_in(own, value_set=pc.unique(campaign)), own, None)
    return pc.coalesce(campaign, of_original, first)


def _groups(names: pa.ChunkedArray) -> Ints:
    return np.asarray(names.combine_chunks().dictionary_encode().indices, np.int64)


def _lines(trial: Trial, ids: pa.ChunkedArray) -> pa.Array:
    place = pc.index_in(ids, value_set=trial.ids)
    return trial.labelled.rows.column("line").take(place)


def _figures(
    name: str, truth: Ints, found: Ints, *, seed: int, progress: Progress
) -> tuple[Figure, Figure]:
    pairs = pair_agreement(truth, found)
    right = pairs.right.sum()
    told, there = right + pairs.wrong.sum(), right + pairs.missed.sum()
    precision, recall = _intervals(pairs, seed=seed, progress=progress)
    precision = unless_certain(precision, right, told)
    recall = unless_certain(recall, right, there)
    return (
        Figure(
            f"precision, {name}",
            pairs.precision() if told else None,
            precision if told else None,
            int(told),
            "share of found pairs that are labelled copies",
        ),
        Figure(
            f"recall, {name}",
            pairs.recall(),
            recall,
            int(there),
            "share of labelled pairs that were found",
        ),
    )


def _intervals(pairs: PairAgreement, *, seed: int, progress: Progress) -> list[Interval]:
    # Pairs of one group stand and fall together: groups are drawn, not pairs.
    groups = len(pairs.right)

    def measure(drawn: Ints) -> npt.NDArray[np.float64]:
        weights = np.bincount(drawn, minlength=groups)
        return np.array([pairs.precision(weights), pairs.recall(weights)])

    progress.start("intervals", total=draws_of(groups), unit="draws")
    intervals = bootstrap(groups, measure, seed=seed, on_draw=progress.advance)
    progress.finish()
    return intervals


def _of_long(truth: Ints, found: Ints, long_enough: Flags) -> Figure:
    of = np.unique(truth[long_enough], return_inverse=True)[1].astype(np.int64)
    pairs = pair_agreement(of, found[long_enough])
    there = int(pairs.right.sum() + pairs.missed.sum())
    return Figure(
        "recall, merged, long texts",
        pairs.recall() if there else None,
        None,
        there,
        "the same among texts long enough to be merged",
    )


def _by_size(truth: Ints, merged: Ints, linked: Ints) -> Listing:
    sizes = np.bincount(truth)
    one, other = pair_agreement(truth, merged), pair_agreement(truth, linked)
    rows = []
    for low, high in ((2, 2), (3, 5), (6, 20), (21, None)):
        chosen = (sizes >= low) & (sizes <= (high or sizes.max()))
        there = float((one.right + one.missed)[chosen].sum())
        if there:
            rows.append(
                (
                    f"{low}" if low == high else f"{low} to {high}" if high else f"{low} and more",
                    int(chosen.sum()),
                    int(there),
                    float(one.right[chosen].sum() / there),
                    float(other.right[chosen].sum() / there),
                )
            )
    return Listing(
        title="By size of the labelled group",
        headers=("texts", "groups", "pairs", "merged", "merged or linked"),
        rows=tuple(rows),
    )
