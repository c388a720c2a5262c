"""Takes files into bronze as they arrive: each once, and one that can't be used is set aside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from closeloop.connectors.intake.files import find_files
from closeloop.connectors.intake.lines import open_bytes
from closeloop.connectors.intake.raw import malformed
from closeloop.connectors.intake.request import IntakeRequest, IntakeStep
from closeloop.connectors.intake.take_in import take_in
from closeloop.domain.feedback import bronze_id, feedback_id
from closeloop.errors import InputFileError
from closeloop.tables import BRONZE_FEEDBACK

SEEN_STATE = "intake_files"
"""Under this name the step remembers, per source, which files it has taken in."""

SETTLED_AFTER = timedelta(seconds=2)
"""A file that was written to less than so long ago may still grow: it waits for the next pass."""

HEAD_BYTES = 2_000
"""So much of a file that can't be used stands in its row of the quarantine."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that is there: its name for good, where it can be read, and what tells a new version."""

    name: str
    path: Path
    size: int
    modified: datetime

    @property
    def version(self) -> str:
        """Size and time of the last change."""
        return f"{self.size}@{self.modified.isoformat()}"


@dataclass(slots=True)
class ArrivalReport:
    """What became of files: rows = new + already known, of the files that could be used."""

    files: int = 0
    set_aside: dict[str, str] = field(default_factory=dict)
    """File to why it can't be used."""
    rows: int = 0
    new: int = 0
    already_known: int = 0

    def add(self, other: ArrivalReport) -> None:
        """Add the figures of another batch."""
        self.files += other.files
        self.set_aside |= other.set_aside
        self.rows += other.rows
        self.new += other.new
        self.already_known += other.already_known

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for programs."""
        return {
            "files": self.files,
            "set_aside": self.set_aside,
            "rows": self.rows,
            "new": self.new,
            "already_known": self.already_known,
        }


def files_there(patterns: Sequence[str], *, zone: datetime) -> list[Arrival]:
    """Return the files that paths, globs and folders mean; none where nothing has arrived yet.

    `zone` is any time with the zone in which times of change are given.
    """
    found = []
    for pattern in patterns:
        try:
            paths = find_files([pattern])
        except InputFileError:
            continue
        for path in paths:
            facts = path.stat()
            changed = datetime.fromtimestamp(facts.st_mtime, zone.tzinfo)
            found.append(Arrival(str(path), path, facts.st_size, changed))
    return found


def take_in_arrivals(
    step: IntakeStep, arrivals: Sequence[Arrival], request: IntakeRequest
) -> ArrivalReport:
    """Append the rows of files that are new or have changed, and remember which those were.

    The step commits both or neither. A file that can't be used at all (no column with text, another
    form than its name says) becomes one row of the quarantine; the others are not held up.
    """
    blob = step.state(SEEN_STATE, scope=request.source)
    seen: dict[str, str] = json.loads(blob) if blob else {}
    report = ArrivalReport()
    for arrival in arrivals:
        settled = step.now - arrival.modified >= SETTLED_AFTER
        if seen.get(arrival.name) == arrival.version or not settled:
            continue
        seen[arrival.name] = arrival.version
        report.files += 1
        try:
            taken = take_in(step, [arrival.path], request)
        except InputFileError as error:
            report.set_aside[arrival.name] = error.message
            _set_aside(step, arrival, request.source, error.message)
            continue
        report.rows += taken.rows
        report.new += taken.new
        report.already_known += taken.already_known
    if report.files:
        step.put_state(SEEN_STATE, json.dumps(seen, sort_keys=True).encode(), scope=request.source)
    return report


def _set_aside(step: IntakeStep, arrival: Arrival, source: str, why: str) -> None:
    with open_bytes(arrival.path) as file:
        head = file.read(HEAD_BYTES).decode("utf-8", "backslashreplace")
    digest = hashlib.blake2b(f"{arrival.name}\x1f{arrival.version}".encode(), digest_size=8)
    source_id = f"file:{digest.hexdigest()}"
    row = {
        "bronze_id": bronze_id(source, source_id, head),
        "feedback_id": feedback_id(source, source_id),
        "source": source,
        "source_id": source_id,
        "payload": head,
        "file": Path(arrival.name).name,
        "ingested_at": step.now,
        "defect": malformed(f"the whole file can't be used: {why}"),
    }
    held = step.rows(
        BRONZE_FEEDBACK, columns=["bronze_id"], where=[("bronze_id", "=", row["bronze_id"])]
    )
    if not held.num_rows:
        step.append(BRONZE_FEEDBACK, BRONZE_FEEDBACK.from_rows([row]))
