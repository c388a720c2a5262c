"""Which column is which field: as declared, else guessed from names and checked on values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from closeloop.connectors.intake.fields import Field
from closeloop.connectors.intake.numbers import read_numbers
from closeloop.connectors.intake.raw import RawBatch, as_text
from closeloop.connectors.intake.times import TimeReading, day_comes_first, readable_share
from closeloop.connectors.intake.words import holds_numbers, text_share, wordy_share
from closeloop.errors import InputFileError, UsageError, redact

MIN_READABLE = 0.5
"""A column named like a time or a number is believed when half of its values can be read."""

MIN_READABLE_UNNAMED = 0.95
"""A column of any name is taken for the time when nearly all values can be read as one."""

MIN_WORDY = 0.2
"""A column named like a text is believed when a fifth of its values hold a blank ("good" is a
review too: in app reviews 30 to 45% are one word)."""

MIN_TEXTS_UNNAMED = 0.6
"""A column of any name is taken for the text when six in ten values are words and nothing else."""

MAX_SHOWN_COLUMNS = 40
IGNORED = "-"
"""`--map field=-` leaves a field without a column."""


@dataclass(frozen=True, slots=True)
class MappedField:
    """A field, the column it is read from, how that was found, and an example value."""

    field: str
    column: str
    how: str
    """declared, by its name, or by its values."""
    example: str | None
    private: bool


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """The columns of a file and what they are taken for."""

    fields: tuple[MappedField, ...]
    left_over: tuple[str, ...]

    def column(self, field: str) -> str | None:
        """Return the column of a field, or None."""
        return next((f.column for f in self.fields if f.field == field), None)

    def as_dict(self) -> dict[str, str]:
        """Return field: column."""
        return {f.field: f.column for f in self.fields}


def parse_map_options(options: Sequence[str], fields: Sequence[Field]) -> dict[str, str]:
    """Return field: column from FIELD=COLUMN texts. Raises UsageError for anything else."""
    mapping: dict[str, str] = {}
    for option in options:
        name, equals, column = option.partition("=")
        if not equals or not name.strip() or not column.strip():
            raise UsageError(
                f"--map {redact(option)}: no FIELD=COLUMN",
                hint="for example --map text=review_body; --map rating=- leaves it out",
            )
        mapping[name.strip()] = column.strip()
    check_fields(mapping, fields, where="--map")
    return mapping


def check_fields(mapping: Mapping[str, str], fields: Sequence[Field], *, where: str) -> None:
    """Raise UsageError with the nearest name where a field is none that can be mapped."""
    known = [field.name for field in fields]
    for name in mapping:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"{where}: no field {redact(name)!r}",
                hint=f"did you mean {close[0]!r}? " * bool(close) + f"fields: {', '.join(known)}",
            )


def resolve(
    preview: RawBatch,
    fields: Sequence[Field],
    *,
    declared: Mapping[str, str],
    file: str,
    reading: TimeReading,
) -> ColumnMapping:
    """Return the mapping of a file from its first rows.

    Declared columns count as they are; others are guessed. Raises InputFileError, with the
    columns there are and the option to give, where a declared column is absent or a needed field
    is found nowhere, and where no row can be read and no column has a needed field's name. A
    file without rows needs no column; in JSON, where rows have columns of their own, a declared
    column that is not needed may come later.
    """
    names = list(preview.columns)
    if preview.num_rows and not names:
        raise _nothing_readable(file, preview)
    found: list[MappedField] = []
    taken: set[str] = set()
    for field in fields:
        column = declared.get(field.name)
        if column is None or column == IGNORED:
            continue
        if preview.num_rows and column not in names and (field.needed or not preview.sparse):
            raise _absent(file, field.name, column, names)
        found.append(_mapped(field, column, "declared", preview))
        taken.add(column)
    for field in fields:
        if field.name in declared:
            continue
        guess = _guess(field, fields, preview, taken, reading)
        if guess is not None:
            found.append(_mapped(field, guess[0], guess[1], preview))
            taken.add(guess[0])
    order = [field.name for field in fields]
    mapping = ColumnMapping(
        fields=tuple(sorted(found, key=lambda f: order.index(f.field))),
        left_over=tuple(n for n in names if n not in taken and not _covered(n, taken)),
    )
    if preview.defect.null_count:
        _check_needed(mapping, fields, preview, file=file)
    elif preview.num_rows and not _names_any_needed(mapping, fields, preview):
        raise _nothing_readable(file, preview)
    return mapping


def _names_any_needed(mapping: ColumnMapping, fields: Sequence[Field], preview: RawBatch) -> bool:
    """Tell a file whose rows are all broken (they go to quarantine) from one that is no table."""
    needed = [f for f in fields if f.needed]
    return any(mapping.column(f.name) or _by_name(f, preview, set()) for f in needed)


def _covered(name: str, taken: set[str]) -> bool:
    """Tell whether a column's object or one of its parts is taken already."""
    return any(t.startswith(f"{name}.") or name.startswith(f"{t}.") for t in taken)


def _mapped(field: Field, column: str, how: str, preview: RawBatch) -> MappedField:
    return MappedField(field.name, column, how, _example(preview, column), field.private)


def _example(preview: RawBatch, column: str) -> str | None:
    values = as_text(preview.column(column)).drop_null()
    return next((str(v) for v in values.slice(0, 50).to_pylist() if v and v.strip()), None)


def _guess(
    field: Field,
    fields: Sequence[Field],
    preview: RawBatch,
    taken: set[str],
    reading: TimeReading,
) -> tuple[str, str] | None:
    by_name = _by_name(field, preview, taken)
    for column in by_name:
        if _fits(field, preview.column(column), reading):
            return column, "by its name"
    if not field.needed:
        return None
    rest = [n for n in preview.columns if n not in taken and n not in preview.nested]
    if field.kind == "text":
        # A product or a device has several words too; its name tells that it is no text.
        other = {c for f in fields if f.kind != "text" for c in _by_name(f, preview, taken)}
        texts = [n for n in rest if n not in other and _holds_texts(preview.column(n), reading)]
        longest = max(texts, default=None, key=lambda n: _length(preview.column(n)))
        return None if longest is None else (longest, "by its values")
    for column in rest:
        values = preview.column(column)
        # Ten digits may be seconds since 1970, or an id: only a name tells.
        if _all_digits(values) or _time_share(values, reading) < MIN_READABLE_UNNAMED:
            continue
        return column, "by its values"
    return None


def _by_name(field: Field, preview: RawBatch, taken: set[str]) -> list[str]:
    ranked: list[tuple[int, int, str]] = []
    for position, column in enumerate(preview.columns):
        if column in taken or (column in preview.nested and field.name != "flag_states"):
            continue
        for depth, name in enumerate((plain(column), plain(column.rpartition(".")[2]))):
            if name in field.names:
                # A whole name counts before the last part of a dotted one.
                ranked.append((field.names.index(name) + 100 * depth, position, column))
                break
    return [column for _, _, column in sorted(ranked)]


def plain(name: str) -> str:
    """Return a column's name as snake_case: `reviewId`, `Review ID` and `review-id` are one."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.casefold()).strip("_")


def _fits(field: Field, values: pa.Array, reading: TimeReading) -> bool:
    if values.null_count == len(values):
        return field.kind in ("label", "id")
    match field.kind:
        case "text":
            return wordy_share(values) >= MIN_WORDY
        case "time":
            return _time_share(values, reading) >= MIN_READABLE
        case "number":
            read = read_numbers(values)
            good = len(read.values) - read.values.null_count
            present = good + int(read.unreadable.sum())
            return bool(good > 0 and good >= MIN_READABLE * present)
        case "id":
            return wordy_share(values) < MIN_WORDY
        case _:
            return True


def _time_share(values: pa.Array, reading: TimeReading) -> float:
    return readable_share(values, _as_written(values, reading))


def _holds_texts(values: pa.Array, reading: TimeReading) -> bool:
    return text_share(values, _as_written(values, reading)) >= MIN_TEXTS_UNNAMED


def _as_written(values: pa.Array, reading: TimeReading) -> TimeReading:
    return TimeReading(reading.zone, reading.time_format, day_comes_first(values))


def _length(values: pa.Array) -> float:
    mean = pc.mean(pc.utf8_length(as_text(values)).cast(pa.float64())).as_py()
    return float(mean or 0.0)


def _all_digits(values: pa.Array) -> bool:
    if holds_numbers(values):
        return True
    digits = pc.match_substring_regex(as_text(values), r"^\s*[\d.]*\s*$")
    return bool(pc.all(pc.fill_null(digits, True)).as_py())


def _nothing_readable(file: str, preview: RawBatch) -> InputFileError:
    return InputFileError(
        f"{redact(file, keep=200)}: none of the first {preview.num_rows} rows can be read "
        f"({preview.defect[0].as_py()}); it begins with {redact(preview.payload[0].as_py())!r}",
        hint="say what it is with --format or --encoding",
    )


def _absent(file: str, field: str, column: str, names: Sequence[str]) -> InputFileError:
    close = difflib.get_close_matches(column, names, n=1)
    meant = f"did you mean {redact(close[0])!r}? " if close else ""
    return InputFileError(
        f"{redact(file, keep=200)} has no column {redact(column)!r} for {field}; "
        f"its columns: {_listed(names)}",
        hint=f"{meant}give --map {field}=COLUMN (or correct sources.NAME.columns)",
    )


def _check_needed(
    mapping: ColumnMapping, fields: Sequence[Field], preview: RawBatch, *, file: str
) -> None:
    missing = [f for f in fields if f.needed and mapping.column(f.name) is None]
    if not missing:
        return
    what = " and ".join(f"{f.name} (a {f.kind})" for f in missing)
    maps = " ".join(f"--map {f.name}=COLUMN" for f in missing)
    why = "".join(_why_not(f, preview) for f in missing)
    private = {c for f in fields if f.private for c in _by_name(f, preview, set())}
    shown = [_with_example(name, preview, private) for name in preview.columns]
    hint = f"give {maps}; a file that lacks it altogether needs such a column added"
    if any(f.kind == "text" for f in missing):
        hint += "; a list of releases or flags is taken in with 'closeloop changes import'"
    raise InputFileError(
        f"{redact(file, keep=200)}: no column found for {what}{why}; its columns: {_joined(shown)}",
        hint=hint,
    )


def _with_example(name: str, preview: RawBatch, private: set[str]) -> str:
    """Return a column's name and a value; of one that names a person or an order, its beginning."""
    value = _example(preview, name)
    if value is None:
        return f"{redact(name)} (empty)"
    shown = f"{redact(value[:3])!r}…" if name in private else repr(redact(value))
    return f"{redact(name)} ({shown})"


def _why_not(field: Field, preview: RawBatch) -> str:
    """Say why a column of a fitting name was not believed."""
    for column in _by_name(field, preview, set()):
        values = as_text(preview.column(column)).drop_null()
        shown = next((v for v in values.to_pylist() if v and v.strip()), None)
        if shown is None:
            return f" (column {redact(column)!r} is empty)"
        if field.kind == "time":
            ways = re.match(r"\d{1,2}[/-]\d{1,2}[/-]\d{4}", shown)
            hint = "day or month first? " if ways else ""
            return (
                f" (column {redact(column)!r} holds values like {redact(shown)!r}: {hint}"
                "declare sources.NAME.time_format)"
            )
        return f" (column {redact(column)!r} holds values like {redact(shown)!r})"
    return ""


def _listed(names: Sequence[str]) -> str:
    return _joined([redact(name) for name in names])


def _joined(columns: Sequence[str]) -> str:
    more = len(columns) - MAX_SHOWN_COLUMNS
    shown = ", ".join(columns[:MAX_SHOWN_COLUMNS])
    return (shown or "none") + (f" and {more} more" if more > 0 else "")
