"""Measures masking: which marked stretches are hidden, and what is hidden that nobody marked."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.errors import UsageError
from closeloop.evaluation.labelled import Labelled
from closeloop.evaluation.marks import Mark, in_clean_text, masked_stretches, read_marks
from closeloop.evaluation.report import Confusion, Figure, Listing, Report
from closeloop.evaluation.trial import ROW, Trial
from closeloop.runner import Runner
from closeloop.stages import refine
from closeloop.stats.intervals import bootstrap, draws_of, unless_certain, wilson
from closeloop.tables import FEEDBACK
from closeloop.text.clean import clean
from closeloop.text.pii import Masker

NO_SPANS = "label_is_no_list_of_spans"
NOT_HIDDEN = "(not hidden)"


def evaluate_pii(runner: Runner, labelled: Labelled, *, seed: int) -> Report:
    """Return how much marked personal data refine hides, and how often it hides what is none.

    Labels are JSON lists of {start, end, type}, in characters of the text as delivered; `[]` says
    that there is none. A stretch is touched where any of it is hidden, covered where all of it is.
    A mask is false where it touches no marked stretch. Raises UsageError where no label is a list.
    """
    labelled, marks = _marked(labelled)
    trial = Trial(runner, labelled)
    trial.take_in()
    trial.run(refine.NAME)
    found = trial.answers(FEEDBACK, ["text"])
    rows = np.asarray(found.column(ROW), np.int64)
    if not len(rows):
        raise UsageError("no text could be judged", hint="see the reasons with --json")
    delivered = labelled.rows.column("text").combine_chunks().take(pa.array(rows))
    cleaned = pc.fill_null(clean(delivered), "").to_pylist()
    masker = Masker.of(key=trial.token_key, own=trial.config.pii_rules, recogniser=trial.recogniser)
    seen = _Seen(lines=labelled.rows.column("line").take(pa.array(rows)).to_pylist())
    trial.progress.start("compare", total=len(rows))
    for place, (row, raw, text, masked) in enumerate(
        zip(
            rows.tolist(),
            delivered.to_pylist(),
            cleaned,
            found.column("text").to_pylist(),
            strict=True,
        )
    ):
        own = marks[row] if raw == text else [in_clean_text(m, raw) for m in marks[row]]
        seen.judge(place, marks[row], own, masked_stretches(text, masked, masker))
        trial.progress.advance(1)
    trial.progress.finish()
    return _report(trial, seen, seed=seed)


def _marked(labelled: Labelled) -> tuple[Labelled, list[list[Mark]]]:
    texts = labelled.rows.column("text").to_pylist()
    read = [read_marks(c, t) for c, t in zip(labelled.labels, texts, strict=True)]
    usable = np.array([marks is not None for marks in read], np.bool_)
    if not usable.any():
        raise UsageError(
            "no label is a JSON list of stretches within its text",
            hint='write --label as [{"start": 11, "end": 21, "type": "PHONE"}], positions in '
            "characters, end after the last; [] where there is none",
        )
    return labelled.only(usable, reason=NO_SPANS), [m for m in read if m is not None]


@dataclass(slots=True)
class _Seen:
    """What was marked and what was hidden, item by item, and the counts by row for intervals."""

    lines: list[int]
    items: list[dict[str, object]] = field(default_factory=list)
    marked: list[tuple[int, str, bool, bool]] = field(default_factory=list)
    masks: list[tuple[int, str, bool]] = field(default_factory=list)
    hidden_as: Counter[tuple[str, str]] = field(default_factory=Counter)

    def judge(
        self, row: int, delivered: Sequence[Mark], marks: Sequence[Mark], masks: Sequence[Mark]
    ) -> None:
        """Compare the marks of one text (as delivered, as cleaned) with its masks."""
        for raw, mark in zip(delivered, marks, strict=True):
            hidden = mark.hidden_by(masks)
            touched, covered = hidden > 0, 0 < mark.end - mark.start <= hidden
            tokens = sorted({m.type for m in masks if mark.hidden_by([m])})
            self.marked.append((row, mark.type, touched, covered))
            for token in tokens or [NOT_HIDDEN]:
                self.hidden_as[mark.type, token] += 1
            self.items.append(
                {
                    "line": self.lines[row],
                    "kind": "marked",
                    "type": mark.type,
                    "start": raw.start,
                    "end": raw.end,
                    "touched": touched,
                    "covered": covered,
                    "tokens": tokens,
                }
            )
        for mask in masks:
            false = not mask.hidden_by(_merged(marks))
            self.masks.append((row, mask.type, not false))
            if false:
                self.items.append(
                    {
                        "line": self.lines[row],
                        "kind": "false mask",
                        "type": None,
                        "start": mask.start,
                        "end": mask.end,
                        "touched": None,
                        "covered": None,
                        "tokens": [mask.type],
                    }
                )


def _merged(marks: Sequence[Mark]) -> list[Mark]:
    """Return marks without overlaps (people mark a street within an address)."""
    result: list[Mark] = []
    for mark in sorted(marks, key=lambda m: m.start):
        if result and mark.start < result[-1].end:
            result[-1] = Mark(result[-1].start, max(mark.end, result[-1].end), mark.type)
        else:
            result.append(mark)
    return result


def _report(trial: Trial, seen: _Seen, *, seed: int) -> Report:
    labelled = trial.left_out()
    return Report(
        what="pii",
        file=labelled.file,
        rows=labelled.total,
        used=len(seen.lines),
        left_out=labelled.left_out,
        made_with={"masker": trial.masker},
        figures=_figures(trial, seen, seed=seed),
        listings=(_by_type(seen), _by_token(seen), _hidden_as(seen)),
        confusion=_confusion(seen),
        predictions=pa.Table.from_pylist(seen.items, schema=_SCHEMA),
    )


_SCHEMA = pa.schema(
    [
        ("line", pa.int64()),
        ("kind", pa.string()),
        ("type", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("touched", pa.bool_()),
        ("covered", pa.bool_()),
        ("tokens", pa.list_(pa.string())),
    ]
)


def _figures(trial: Trial, seen: _Seen, *, seed: int) -> tuple[Figure, ...]:
    texts = len(seen.lines)
    counts = np.zeros((texts, 5))
    for row, _, touches, covers in seen.marked:
        counts[row, :3] += (1, touches, covers)
    for row, _, true in seen.masks:
        counts[row, 3:] += (1, true)

    def measure(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        sums = counts[rows].sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.array([sums[1] / sums[0], sums[2] / sums[0], sums[4] / sums[3]])

    # Stretches of one text stand together: texts are drawn, not stretches.
    trial.progress.start("intervals", total=draws_of(texts), unit="draws")
    intervals = bootstrap(texts, measure, seed=seed, on_draw=trial.progress.advance)
    trial.progress.finish()
    marked, some, every, masks, needed = (int(n) for n in counts.sum(axis=0))
    intervals = [
        unless_certain(drawn, hits, of)
        for drawn, hits, of in zip(
            intervals, (some, every, needed), (marked, marked, masks), strict=True
        )
    ]
    values = [None if np.isnan(v) else float(v) for v in measure(np.arange(texts))]
    false = masks - needed
    with_false = int((counts[:, 3] > counts[:, 4]).sum())
    return (
        Figure("recall, touched", values[0], intervals[0], marked, "any of the stretch is hidden"),
        Figure("recall, covered", values[1], intervals[1], marked, "all of the stretch is hidden"),
        Figure("precision", values[2], intervals[2], masks, "masks that touch a marked stretch"),
        Figure(
            "false masks", float(false), of=masks, meaning="masks of nothing marked", whole=True
        ),
        Figure(
            "texts with a false mask",
            with_false / texts,
            wilson(with_false, texts),
            texts,
            "texts in which something else was hidden",
        ),
    )


def _by_type(seen: _Seen) -> Listing:
    of: defaultdict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for _, kind, some, every in seen.marked:
        of[kind].append((some, every))
    rows = []
    for kind, pairs in sorted(of.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        touched, covered = (sum(pair[i] for pair in pairs) for i in (0, 1))
        sure = wilson(covered, len(pairs))
        rows.append(
            (
                kind,
                len(pairs),
                touched / len(pairs),
                covered / len(pairs),
                sure.low,
                sure.high,
            )
        )
    return Listing(
        title="Marked stretches by type",
        headers=("type", "marked", "touched", "covered", "from", "to"),
        rows=tuple(rows),
        most=40,
    )


def _by_token(seen: _Seen) -> Listing:
    of: defaultdict[str, list[bool]] = defaultdict(list)
    for _, token, needed in seen.masks:
        of[token].append(needed)
    return Listing(
        title="Masks by token",
        headers=("token", "masks", "false", "precision"),
        rows=tuple(
            (token, len(all_), len(all_) - sum(all_), sum(all_) / len(all_))
            for token, all_ in sorted(of.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        ),
        most=40,
    )


def _hidden_as(seen: _Seen) -> Listing:
    rows = [(k, t, n) for (k, t), n in seen.hidden_as.items() if t != NOT_HIDDEN]
    return Listing(
        title="What marked stretches were hidden as",
        headers=("type", "token", "stretches"),
        rows=tuple(sorted(rows, key=lambda row: (-row[2], row[0], row[1]))),
    )


def _confusion(seen: _Seen) -> Confusion:
    kinds = sorted({kind for kind, _ in seen.hidden_as})
    tokens = sorted({token for _, token in seen.hidden_as} - {NOT_HIDDEN})
    columns = [*tokens, NOT_HIDDEN]
    counts = np.zeros((len(kinds), len(columns)), np.int64)
    for (kind, token), count in seen.hidden_as.items():
        counts[kinds.index(kind), columns.index(token)] = count
    return Confusion(tuple(kinds), tuple(columns), counts, told=False)
