"""Measures themes: groups that theming makes of labelled texts, against their labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.errors import UsageError
from closeloop.evaluation.classes import calibration_figure
from closeloop.evaluation.labelled import Labelled
from closeloop.evaluation.report import Figure, Listing, Report
from closeloop.evaluation.trial import ROW, Trial, made_with
from closeloop.runner import Runner
from closeloop.stages import embed, enrich, refine, theme
from closeloop.stats.agreement import alone, group_agreement
from closeloop.stats.intervals import FEWEST_DRAWS, draws_of, halves, wilson
from closeloop.stats.reliability import reliability_bins
from closeloop.tables import ASSIGNMENT, FEEDBACK, THEME

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def evaluate_themes(
    runner: Runner,
    labelled: Labelled,
    *,
    complaints_only: bool,
    passes: int,
    seed: int,
    shuffle: bool = False,
) -> Report:
    """Return how far the themes that a run makes are the labelled groups.

    Every text is taken for a complaint, unless `complaints_only` lets enrich decide, as a run does.
    In more than one pass the texts arrive by their times (else in the order of the file, or in a
    drawn order with `shuffle`), a day's pass after another: the first are clustered, later ones go
    to the themes that are there. A duplicate has the theme of
    the text that it repeats; a text without a theme counts as a group of its own. Raises UsageError
    where there are too few texts for themes.
    """
    least = runner.services.config.theme_min_texts
    if labelled.rows.num_rows < least:
        raise UsageError(
            f"{labelled.rows.num_rows:,} labelled texts: themes are formed from {least} on",
            hint="give more texts, or set themes.min_texts in the workspace's closeloop.yaml",
        )
    trial = Trial(runner, labelled)
    for part in np.array_split(_arrival(labelled, shuffle=shuffle, seed=seed), passes):
        trial.take_in(part)
        trial.run(refine.NAME, embed.NAME)
        if complaints_only:
            trial.run(enrich.NAME)
        else:
            trial.call_all_complaints()
        trial.run(theme.NAME)
        trial.next_pass()
    return _Measured.of(trial, complaints_only=complaints_only).report(trial, seed=seed)


def _arrival(labelled: Labelled, *, shuffle: bool, seed: int) -> Ints:
    """Return the positions of the texts in the order in which they arrive."""
    if shuffle:
        return np.random.default_rng(seed).permutation(labelled.rows.num_rows)
    times = pc.fill_null(labelled.rows.column("time").cast(pa.int64()), 0)
    return np.argsort(np.asarray(times, np.int64), kind="stable")


@dataclass(frozen=True, slots=True)
class _Measured:
    """Each judged text: its position, label number, theme number (-1: none), confidence."""

    rows: Ints
    texts: pa.ChunkedArray
    names: npt.NDArray[np.object_]
    truth: Ints
    themes: npt.NDArray[np.object_]
    found: Ints
    confidence: Floats
    duplicates: Flags
    labels_of_themes: dict[str, str]
    no_complaints: int | None

    @staticmethod
    def of(trial: Trial, *, complaints_only: bool) -> _Measured:
        """Read the answers; follow duplicates to their originals and mergers to what is left."""
        feedback = trial.answers(FEEDBACK, ["text", "feedback_id", "duplicate_of"])
        rows = np.asarray(feedback.column(ROW), np.int64)
        assigned = trial.answers(ASSIGNMENT, ["theme_id", "theme_confidence"])
        book = trial.rows(THEME, ["theme_id", "label", "merged_into"]).to_pylist()
        ids = pa.chunked_array([trial.ids.take(assigned.column(ROW).combine_chunks())])
        own = feedback.column("feedback_id")
        root = pc.coalesce(feedback.column("duplicate_of"), own)
        place = pc.index_in(root, value_set=ids.combine_chunks())
        theme_ids = np.array(assigned.column("theme_id").take(place).to_pylist(), object)
        into = {row["theme_id"]: row["merged_into"] for row in book}
        theme_ids = np.array([_current(name, into) for name in theme_ids], object)
        held = theme_ids != np.array(None)
        found = np.full(len(rows), -1, np.int64)
        found[held] = np.unique(theme_ids[held].astype(str), return_inverse=True)[1]
        labels = trial.labelled.rows.column("label").take(pa.array(rows))
        names, truth = np.unique(
            np.array(labels.to_pylist(), object).astype(str), return_inverse=True
        )
        confidence = assigned.column("theme_confidence").take(place)
        asked = pc.sum(pc.is_null(place)).as_py() or 0
        return _Measured(
            rows=rows,
            texts=feedback.column("text"),
            names=names,
            truth=np.asarray(truth, np.int64),
            themes=theme_ids,
            found=found,
            confidence=np.asarray(pc.fill_null(confidence, float("nan")), np.float64),
            duplicates=np.asarray(pc.is_valid(feedback.column("duplicate_of"))),
            labels_of_themes={row["theme_id"]: row["label"] or "" for row in book},
            no_complaints=int(asked) if complaints_only else None,
        )

    def report(self, trial: Trial, *, seed: int) -> Report:
        """Return the figures."""
        labelled = trial.left_out()
        majority = self._majority()
        themed = self.found >= 0
        right = themed & (majority[np.maximum(self.found, 0)] == self.truth)
        sure = themed & ~np.isnan(self.confidence) & ~self.duplicates
        lines = labelled.rows.column("line").take(pa.array(self.rows))
        return Report(
            what="themes",
            file=labelled.file,
            rows=labelled.total,
            used=len(self.rows),
            left_out=labelled.left_out,
            made_with=made_with(trial),
            figures=(
                *self._agreement(trial, seed=seed),
                *self._counts(right),
                calibration_figure(
                    self.confidence[sure],
                    right[sure],
                    seed=seed,
                    progress=trial.progress,
                    meaning="mean gap between confidence and share of the main label",
                ),
            ),
            listings=(self._by_label(), self._by_theme(majority)),
            reliability=tuple(reliability_bins(self.confidence[sure], right[sure])),
            reliability_of="theme confidence",
            notes=self._notes(),
            predictions=pa.table(
                {
                    "line": lines,
                    "text": self.texts,
                    "label": pa.array(self.names[self.truth].tolist(), pa.string()),
                    "theme_id": pa.array(self.themes, pa.string()),
                    "theme": pa.array(
                        [self.labels_of_themes.get(t) for t in self.themes], pa.string()
                    ),
                    "theme_confidence": pa.array(self.confidence, from_pandas=True),
                    "duplicate": pa.array(self.duplicates),
                    "main_label": pa.array(
                        [
                            str(self.names[majority[n]]) if n >= 0 else None
                            for n in self.found.tolist()
                        ],
                        pa.string(),
                    ),
                    "right": pa.array(right),
                }
            ),
        )

    def _agreement(self, trial: Trial, *, seed: int) -> list[Figure]:
        apart = alone(self.found)

        def measure(rows: Ints) -> Floats:
            both = group_agreement(self.truth[rows], apart[rows])
            return np.array(
                [both.v_measure, both.adjusted_rand, both.homogeneity, both.completeness]
            )

        count = len(self.rows)
        draws = max(draws_of(count) // 5, FEWEST_DRAWS)
        trial.progress.start("intervals", total=draws, unit="draws")
        intervals = halves(count, measure, seed=seed, on_draw=trial.progress.advance)
        trial.progress.finish()
        meanings = (
            ("V-measure", "harmonic mean of homogeneity and completeness"),
            ("adjusted Rand index", "pairs on which themes and labels agree, beyond chance"),
            ("homogeneity", "1: a theme holds one label only"),
            ("completeness", "1: a label lies in one theme only"),
        )
        return [
            Figure(name, float(value), interval, count, meaning)
            for (name, meaning), value, interval in zip(
                meanings, measure(np.arange(count)), intervals, strict=True
            )
        ]

    def _counts(self, right: Flags) -> list[Figure]:
        count, left = len(self.rows), int((self.found < 0).sum())
        themed, hits = count - left, int(right.sum())
        return [
            Figure("left out", left / count, wilson(left, count), count, "texts without a theme"),
            Figure(
                "main label's share",
                hits / themed if themed else None,
                wilson(hits, themed),
                themed,
                "texts whose label is their theme's most frequent one",
            ),
            Figure("themes found", float(self.found.max(initial=-1) + 1), whole=True),
            Figure("labels", float(len(self.names)), whole=True),
        ]

    def _majority(self) -> Ints:
        """Return the most frequent label of each theme."""
        count = int(self.found.max(initial=-1)) + 1
        best = np.zeros(max(count, 1), np.int64)
        inside = self.found >= 0
        width = len(self.names)
        cells, sizes = np.unique(
            self.found[inside] * width + self.truth[inside], return_counts=True
        )
        # Ascending, so that the largest is written last; of equal ones the first label.
        for cell in cells[np.lexsort((-cells, sizes))].tolist():
            best[cell // width] = cell % width
        return best

    def _by_label(self) -> Listing:
        rows = []
        for number, name in enumerate(self.names.tolist()):
            mine = self.found[self.truth == number]
            held, sizes = np.unique(mine[mine >= 0], return_counts=True)
            largest = int(sizes.argmax()) if len(sizes) else None
            theme_size = 0 if largest is None else int((self.found == held[largest]).sum())
            rows.append(
                (
                    name,
                    len(mine),
                    len(held),
                    float(sizes.max() / len(mine)) if len(sizes) else 0.0,
                    float(sizes.max() / theme_size) if len(sizes) else float("nan"),
                    float((mine < 0).mean()),
                )
            )
        rows.sort(key=lambda row: (row[3], row[0]))
        return Listing(
            title="By label, those most spread first",
            headers=("label", "texts", "themes", "in its largest", "share of it", "left out"),
            rows=tuple(rows),
        )

    def _by_theme(self, majority: Ints) -> Listing:
        rows = []
        inside = self.found >= 0
        if inside.any():
            _, first = np.unique(self.found[inside], return_index=True)
            for number, place in enumerate(np.flatnonzero(inside)[first].tolist()):
                mine = self.found == number
                share = float((self.truth[mine] == majority[number]).mean())
                rows.append(
                    (
                        self.labels_of_themes.get(self.themes[place], ""),
                        int(mine.sum()),
                        str(self.names[majority[number]]),
                        share,
                        len(np.unique(self.truth[mine])),
                    )
                )
        rows.sort(key=lambda row: (-row[1], row[0]))
        return Listing(
            title="By theme, the largest first",
            headers=("theme", "texts", "main label", "its share", "labels"),
            rows=tuple(rows),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = ["theme confidence is uncalibrated here: that takes 100 pairs judged by people"]
        if self.no_complaints is not None:
            notes.append(f"{self.no_complaints:,} texts are no complaints to enrich: no theme")
        if self.duplicates.any():
            notes.append(
                f"{int(self.duplicates.sum()):,} texts repeat another and count with its theme"
            )
        return tuple(notes)


def _current(name: str | None, into: dict[str, str | None]) -> str | None:
    seen: set[str] = set()
    while name is not None and name not in seen and into.get(name) is not None:
        seen.add(name)
        name = into[name]
    return name
