"""Reads a labelled file: texts and labels as delivered, with what could not be used counted."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.connectors.intake.files import find_files, open_reader
from closeloop.connectors.intake.numbers import read_numbers
from closeloop.connectors.intake.raw import RawBatch, as_text
from closeloop.connectors.intake.times import TimeReading, day_comes_first, read_times
from closeloop.errors import InputFileError, UsageError, redact
from closeloop.ports import Progress
from closeloop.tables import TIME

NO_TEXT, NO_LABEL, NO_TIME = "no_text", "no_label", "no_time"
MAX_COLUMNS_NAMED = 40
SCHEMA = pa.schema(
    [
        ("line", pa.int64()),
        ("text", pa.string()),
        ("label", pa.string()),
        ("product", pa.string()),
        ("author", pa.string()),
        ("rating", pa.float64()),
        ("time", TIME),
        ("defect", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of the file is what; text and label are needed."""

    text: str
    label: str
    product: str | None = None
    author: str | None = None
    rating: str | None = None
    time: str | None = None

    def named(self) -> dict[str, str]:
        """Return what is given: field to column."""
        every = {name: getattr(self, name) for name in self.__slots__}
        return {name: column for name, column in every.items() if column is not None}


@dataclass(frozen=True, slots=True)
class Labelled:
    """The rows of a file that have a text and a label, and what became of the others.

    `rows` has the columns of SCHEMA; `total` counts all rows of the file, `left_out` those that
    can't be used by reason; `drawn` is how many usable rows there were before a sample was drawn.
    """

    file: str
    rows: pa.Table
    total: int
    drawn: int
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def labels(self) -> list[str]:
        """The label of each row."""
        return list(self.rows.column("label").to_pylist())

    def only(self, kept: npt.NDArray[np.bool_], *, reason: str) -> Labelled:
        """Return the rows that are kept; the others are counted under the reason."""
        gone = int((~kept).sum())
        if not gone:
            return self
        return replace(
            self,
            rows=self.rows.filter(pa.array(kept)),
            left_out=self.left_out + Counter({reason: gone}),
        )


def read_labelled(
    path: Path,
    columns: Columns,
    *,
    format_name: str | None,
    encoding: str | None,
    sample: int | None,
    seed: int,
    progress: Progress,
) -> Labelled:
    """Return the usable rows of a csv, jsonl, json or parquet file, or a draw of `sample` of them.

    Read by the readers of ingest, so a broken row costs that row only. Raises InputFileError where
    the file can't be read or lacks a column, UsageError where no row can be used.
    """
    (file,) = find_files([path])[:1]
    reader = open_reader(file, format_name=format_name, encoding=encoding)
    preview = reader.preview()
    wanted = columns.named()
    if not preview.sparse:
        _check_columns(preview, wanted, file=file)
    parts, found = [], set(preview.columns)
    progress.start("read", unit="rows")
    for batch in reader.batches(list(wanted.values())):
        parts.append(_rows(batch, wanted, preview))
        found |= {name for name, column in batch.columns.items() if column.null_count < len(column)}
        progress.advance(batch.num_rows)
    progress.finish()
    if preview.sparse:
        # A column of JSON may occur first in a later row.
        _check_columns(replace(preview, columns=dict.fromkeys(found)), wanted, file=file)
    rows = pa.concat_tables(parts)
    labelled = _usable(str(file.name), rows)
    if not labelled.rows.num_rows:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in labelled.left_out.items())
        raise UsageError(
            f"{redact(file, keep=200)} has no row with both a text and a label "
            f"({reasons or 'it has no rows'})",
            hint="check --text and --label",
        )
    return labelled if sample is None else _drawn(labelled, sample, seed=seed)


def _drawn(labelled: Labelled, sample: int, *, seed: int) -> Labelled:
    count = labelled.rows.num_rows
    if sample >= count:
        return labelled
    # In order of the file, so that a sample arrives as the whole would.
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:sample])
    return replace(labelled, rows=labelled.rows.take(pa.array(chosen)))


def _check_columns(preview: RawBatch, wanted: dict[str, str], *, file: Path) -> None:
    known = sorted(preview.columns) if preview.sparse else list(preview.columns)
    for option, column in wanted.items():
        if column in preview.columns:
            continue
        close = difflib.get_close_matches(column, known, n=1)
        more = len(known) - MAX_COLUMNS_NAMED
        listed = ", ".join(redact(name) for name in known[:MAX_COLUMNS_NAMED])
        raise InputFileError(
            f"{redact(file, keep=200)} has no column {redact(column)!r} (--{option})",
            hint=(f"did you mean {redact(close[0])!r}? " if close else "")
            + f"columns found: {listed or 'none'}"
            + (f" and {more} more" if more > 0 else ""),
        )


def _rows(batch: RawBatch, wanted: dict[str, str], preview: RawBatch) -> pa.Table:
    given = {name: batch.column(column) for name, column in wanted.items()}
    count = batch.num_rows
    columns: dict[str, pa.Array] = {"line": batch.line, "defect": batch.defect}
    for name in ("text", "label", "product", "author"):
        column = given.get(name)
        columns[name] = pa.nulls(count, pa.string()) if column is None else as_text(column)
    label = pc.utf8_trim_whitespace(columns["label"])
    columns["label"] = pc.if_else(pc.equal(label, ""), pa.scalar(None, pa.string()), label)
    columns["rating"] = pa.nulls(count, pa.float64())
    if "rating" in given:
        columns["rating"] = read_numbers(given["rating"]).values
    columns["time"] = pa.nulls(count, TIME)
    if "time" in given:
        first = day_comes_first(preview.column(wanted["time"]))
        columns["time"] = read_times(given["time"], TimeReading(day_first=first)).utc.cast(TIME)
        unplaced = pc.and_(pc.is_null(columns["time"]), pc.is_null(columns["defect"]))
        columns["defect"] = pc.if_else(unplaced, NO_TIME, columns["defect"])
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _usable(file: str, rows: pa.Table) -> Labelled:
    left_out: Counter[str] = Counter()
    total = rows.num_rows
    for defect in rows.column("defect").drop_null().to_pylist():
        left_out[defect.partition(":")[0]] += 1
    rows = rows.filter(pc.is_null(rows.column("defect")))
    empty = pc.equal(pc.utf8_trim_whitespace(pc.fill_null(rows.column("text"), "")), "")
    for reason, missing in ((NO_TEXT, empty), (NO_LABEL, pc.is_null(rows.column("label")))):
        left_out[reason] += int(pc.sum(missing).as_py() or 0)
    both = pc.and_(pc.invert(empty), pc.is_valid(rows.column("label")))
    # A row that lacks both is counted once.
    left_out[NO_LABEL] -= int(pc.sum(pc.and_(empty, pc.is_null(rows.column("label")))).as_py() or 0)
    rows = rows.filter(both)
    return Labelled(file=file, rows=rows, total=total, drawn=rows.num_rows, left_out=+left_out)


def spellings(text: str) -> str:
    """Return a name as it is compared: case, underscores, hyphens and spaces make no difference."""
    return " ".join(text.casefold().replace("_", " ").replace("-", " ").split())


def parse_pairs(options: Sequence[str], *, option: str) -> list[tuple[str, str]]:
    """Return LABEL=MEANING options as pairs. Raises UsageError for one without "="."""
    pairs = []
    for text in options:
        label, equals, meaning = text.rpartition("=")
        if not equals or not label.strip() or not meaning.strip():
            raise UsageError(
                f"{option} {redact(text)!r} is no LABEL=MEANING",
                hint=f"write it like {option} bug=broken_ui",
            )
        pairs.append((label.strip(), meaning.strip()))
    return pairs
