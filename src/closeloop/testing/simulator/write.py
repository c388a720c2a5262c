"""Writes a simulation to a folder: what the commands take in, and the truth apart from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from closeloop.errors import UsageError
from closeloop.testing.simulator.generate import Simulation, Simulator, Span
from closeloop.testing.simulator.world import MAIN_SOURCE

FEEDBACK_FILE = "feedback.jsonl"
CHANGES_FILE = "changes.jsonl"
EXPOSURE_FILE = "exposure.jsonl"
TRUTH_FOLDER = "truth"
TRUTH_FILE = "truth.json"
TRUTH_ROWS_FILE = "rows.jsonl"
EXPECTED_FILE = "expected.jsonl"


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """The files of a simulation; `feedback` by the source that brings it, the main one first."""

    feedback: dict[str, Path]
    changes: Path
    exposure: Path
    truth: Path
    truth_rows: Path
    expected: Path

    @property
    def all(self) -> list[Path]:
        """Every file."""
        own = [self.changes, self.exposure, self.truth, self.truth_rows, self.expected]
        return [*self.feedback.values(), *own]


def feedback_file(source: str) -> str:
    """Return the name of the file of a source."""
    return FEEDBACK_FILE if source == MAIN_SOURCE else f"feedback-{source}.jsonl"


def write_simulation(simulation: Simulation | Simulator, folder: Path) -> WrittenFiles:
    """Write feedback, changes, exposure and truth/ into a folder; return the files.

    A Simulator is written as it makes its rows, however many. The truth lies in a folder of its
    own, so that no glob over the data takes it in. Raises UsageError where the folder can't be
    written.
    """
    truth = folder / TRUTH_FOLDER
    files = WrittenFiles(
        feedback={s: folder / feedback_file(s) for s in simulation.scenario.source_names},
        changes=folder / CHANGES_FILE,
        exposure=folder / EXPOSURE_FILE,
        truth=truth / TRUTH_FILE,
        truth_rows=truth / TRUTH_ROWS_FILE,
        expected=truth / EXPECTED_FILE,
    )
    try:
        truth.mkdir(parents=True, exist_ok=True)
        if isinstance(simulation, Simulator):
            _rows(simulation.spans(), files)
            _lines(files.changes, simulation.changes())
            _lines(files.exposure, simulation.exposure())
            _lines(files.expected, simulation.expected())
            _whole(files.truth, simulation.truth())
        else:
            rows = list(zip(simulation.sources, simulation.feedback, strict=True))
            _rows([Span(rows, simulation.truth_rows)], files)
            _lines(files.changes, simulation.changes)
            _lines(files.exposure, simulation.exposure)
            _lines(files.expected, simulation.expected)
            _whole(files.truth, simulation.truth)
    except OSError as error:
        raise UsageError(
            f"the simulation can't be written to {folder}: {error.strerror}",
            hint="name a folder that can be written: --out DIR",
        ) from error
    return files


def _rows(spans: Iterable[Span], files: WrittenFiles) -> None:
    with ExitStack() as stack:
        opened = {
            source: stack.enter_context(path.open("w", encoding="utf-8"))
            for source, path in files.feedback.items()
        }
        truths = stack.enter_context(files.truth_rows.open("w", encoding="utf-8"))
        for span in spans:
            for source, row in span.rows:
                _line(opened[source], row)
            for truth in span.truths:
                truths.write(json.dumps(truth, ensure_ascii=False) + "\n")


def _line(file: IO[str], row: Mapping[str, Any]) -> None:
    present = {name: value for name, value in row.items() if value is not None}
    file.write(json.dumps(present, ensure_ascii=False) + "\n")


def _lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            _line(file, row)


def _whole(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
