"""Writes a simulation as files: what the ordinary commands take in, and the truth apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from closeloop.errors import UsageError
from closeloop.testing.simulator.generate import Simulation

FEEDBACK_FILE = "feedback.jsonl"
CHANGES_FILE = "changes.jsonl"
EXPOSURE_FILE = "exposure.jsonl"
TRUTH_FOLDER = "truth"
TRUTH_FILE = "truth.json"
TRUTH_ROWS_FILE = "rows.jsonl"


def write_simulation(simulation: Simulation, folder: Path) -> list[Path]:
    """Write feedback, changes, exposure and truth/ into a folder; return the files.

    The truth lies in a folder of its own, so that no glob over the data takes it in. Raises
    UsageError where the folder can't be written.
    """
    truth = folder / TRUTH_FOLDER
    try:
        truth.mkdir(parents=True, exist_ok=True)
        return [
            _lines(folder / FEEDBACK_FILE, simulation.feedback),
            _lines(folder / CHANGES_FILE, simulation.changes),
            _lines(folder / EXPOSURE_FILE, simulation.exposure),
            _whole(truth / TRUTH_FILE, simulation.truth),
            _lines(truth / TRUTH_ROWS_FILE, simulation.truth_rows, nulls=True),
        ]
    except OSError as error:
        raise UsageError(
            f"the simulation can't be written to {folder}: {error.strerror}",
            hint="name a folder that can be written: --out DIR",
        ) from error


def _lines(path: Path, rows: Iterable[Mapping[str, Any]], *, nulls: bool = False) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            present = {name: value for name, value in row.items() if nulls or value is not None}
            file.write(json.dumps(present, ensure_ascii=False) + "\n")
    return path


def _whole(path: Path, value: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return path
