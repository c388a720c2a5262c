"""What is asked of an intake, what it answers, and what it needs of the step it runs in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from closeloop.connectors.intake.mapping import ColumnMapping
from closeloop.domain.configuration import Configuration
from closeloop.ports import Condition, Progress
from closeloop.tables import Table


class IntakeStep(Protocol):
    """The part of a StepContext that an intake uses; a dry run brings one that writes nothing."""

    @property
    def now(self) -> datetime:
        """The time of ingestion."""
        ...

    @property
    def config(self) -> Configuration:
        """The workspace's configuration."""
        ...

    @property
    def progress(self) -> Progress:
        """Shows people how far the intake is."""
        ...

    def rows(
        self,
        table: Table,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return committed rows."""
        ...

    def append(self, table: Table, rows: pa.Table) -> None:
        """Add rows."""
        ...

    def merge(self, table: Table, rows: pa.Table) -> None:
        """Put rows in place of those with the same key."""
        ...

    def put_state(self, name: str, blob: bytes, *, scope: str = "") -> None:
        """Remember something."""
        ...

    def state(self, name: str, *, scope: str = "") -> bytes | None:
        """Return what was remembered."""
        ...

    def count(self, name: str, value: int) -> None:
        """Add to a figure of the run."""
        ...


@dataclass(frozen=True, slots=True)
class IntakeRequest:
    """What to take in as which source, and how. `mapping` is field: column, as far as declared."""

    source: str
    mapping: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None
    encoding: str | None = None
    product: str | None = None
    """The product of every row, whatever its columns say."""


@dataclass(slots=True)
class FileReport:
    """What one file held and what became of it."""

    file: str
    format: str
    mapping: ColumnMapping
    rows: int = 0
    new: int = 0
    cured: int = 0
    already_known: int = 0
    zoneless: int = 0
    defects: dict[str, int] = field(default_factory=dict)
    """Reason to number of new rows that carry it."""


@dataclass(slots=True)
class IntakeReport:
    """What an intake took in: rows = new + already_known, always."""

    source: str
    timezone: str
    files: list[FileReport] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(f.rows for f in self.files)

    @property
    def new(self) -> int:
        """Rows added to bronze."""
        return sum(f.new for f in self.files)

    @property
    def cured(self) -> int:
        """Of the new rows, those that were in bronze before but could not be read then."""
        return sum(f.cured for f in self.files)

    @property
    def already_known(self) -> int:
        """Rows that bronze holds already."""
        return sum(f.already_known for f in self.files)

    @property
    def defects(self) -> dict[str, int]:
        """Reason to number of new rows with it, the most frequent first."""
        total: dict[str, int] = {}
        for file in self.files:
            for reason, count in file.defects.items():
                total[reason] = total.get(reason, 0) + count
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    def as_dict(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "source": self.source,
            "rows": self.rows,
            "new": self.new,
            "cured": self.cured,
            "already_known": self.already_known,
            "defects": self.defects,
            "files": [
                {
                    "file": f.file,
                    "format": f.format,
                    "rows": f.rows,
                    "new": f.new,
                    "cured": f.cured,
                    "already_known": f.already_known,
                    "without_zone": f.zoneless,
                    "defects": f.defects,
                    "columns": f.mapping.as_dict(),
                    "left_over": list(f.mapping.left_over),
                }
                for f in self.files
            ],
        }
