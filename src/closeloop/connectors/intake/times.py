"""Reads columns of times, vectorised: known forms by pattern, zones by declaration, never a guess."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.connectors.intake.raw import as_text

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UTC_TIME = pa.timestamp("us", tz="UTC")
DAY_US = 86_400_000_000
FIRST_YEAR, LAST_YEAR = 1900, 2999
"""Years outside are typing errors; inside, no zone can shift a time out of Python's range."""

ZONE_STEP_US = 900_000_000
"""Zones shift at quarters of an hour at the finest: one look-up serves all times in a quarter."""

MISSING = ("", "null", "none", "nan", "nat", "n/a", "na", "-")
"""What exporters write for no time or no number (compared without case)."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<b>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_CLOCK = (
    r"(?:(?:[T ,]|\s|at)+(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"\s*(?P<p>[AaPp][Mm])?)?"
)
_ZONE = r"\s*(?P<z>Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
_TAIL = _CLOCK + _ZONE + r"(?:\s*\([A-Z]{3,4}\))?$"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"

_FORMS = tuple(
    "(?i)^" + form
    for form in (
        r"(?P<Y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})" + _TAIL,
        r"(?P<Y>(?:19|20)\d{2})(?P<m>\d{2})(?P<d>\d{2})(?:T?(?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2})"
        + _ZONE
        + ")?$",
        r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<Y>\d{4})" + _TAIL,
        _WEEKDAY + r"(?P<d>\d{1,2})(?:st|nd|rd|th)?[\s-]" + _MONTH + r"[\s,-]+(?P<Y>\d{4})" + _TAIL,
        _WEEKDAY + _MONTH + r"\s+(?P<d>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<Y>\d{4})" + _TAIL,
    )
)
_DAY_FIRST = r"(?i)^(?P<d>\d{1,2})[/-](?P<m>\d{1,2})[/-](?P<Y>\d{4})" + _TAIL
_MONTH_FIRST = r"(?i)^(?P<m>\d{1,2})[/-](?P<d>\d{1,2})[/-](?P<Y>\d{4})" + _TAIL
_EPOCH = r"^(?P<n>\d{9,18}|[1-8]\d{18})(?:\.(?P<f>\d{1,9})\d*)?$"

_DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<H>\d{1,2})",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "z": r"(?P<z>Z|UTC|GMT|[+-]\d{2}:?\d{2})",
    "p": r"(?P<p>[AaPp][Mm])",
    "b": _MONTH,
    "B": _MONTH,
    "%": "%",
}


@dataclass(frozen=True, slots=True)
class Times:
    """A column of times: UTC (null where missing or unreadable), which were unreadable."""

    utc: pa.Array
    unreadable: Flags
    zoneless: int
    """How many were read without a zone of their own."""


@dataclass(frozen=True, slots=True)
class TimeReading:
    """How times are read: the zone of those without one, a declared format, which part is the day.

    `day_first` None means that 03/04/2024 can't be told from 04/03/2024: such times stay unread.
    """

    zone: str = "UTC"
    time_format: str | None = None
    day_first: bool | None = None


def read_times(column: pa.Array, reading: TimeReading) -> Times:
    """Return a column's times in UTC.

    Understood: Arrow times and dates; ISO 8601; YYYYMMDD[THHMMSS]; D.M.YYYY; names of months in
    English; D/M/YYYY or M/D/YYYY where the file shows which; seconds, milli-, micro- and
    nanoseconds since 1970 (told apart by size: below 1e11 they are seconds); the declared format.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _typed(column, reading.zone)
    if pa.types.is_floating(column.type):
        return _numeric(column)
    return _texts(as_text(column), reading)


def day_comes_first(column: pa.Array) -> bool | None:
    """Return which way round 13/01/2024 is written in a column, None where nothing shows it."""
    texts = pc.utf8_trim_whitespace(as_text(column))
    parts = pc.extract_regex(texts, r"^(?P<a>\d{1,2})[/-](?P<b>\d{1,2})[/-]\d{4}")
    parts = parts.drop_null()
    if not len(parts):
        return None
    first, second = (parts.field(i).cast(pa.int64()) for i in range(2))
    over_first = bool(pc.any(pc.greater(first, 12)).as_py())
    over_second = bool(pc.any(pc.greater(second, 12)).as_py())
    return over_first if over_first != over_second else None


def readable_share(column: pa.Array, reading: TimeReading) -> float:
    """Return which share of a column's present values can be read as times (0 where all miss)."""
    times = read_times(column, reading)
    read = len(times.utc) - times.utc.null_count
    present = read + int(times.unreadable.sum())
    return read / present if present else 0.0


def compile_format(time_format: str) -> str | None:
    """Return a pattern for a strptime format, None where a directive is none of those known here.

    Known: %Y %m %d %H %I %M %S %f %z %p %b %B %%.
    """
    pattern = ""
    for part in re.findall(r"%.|[^%]+", time_format):
        if part.startswith("%") and len(part) == 2:
            if part[1] not in _DIRECTIVES:
                return None
            pattern += _DIRECTIVES[part[1]]
        else:
            pattern += re.escape(part)
    return "(?i)^" + pattern + "$"


def _typed(column: pa.Array, zone: str) -> Times:
    has_zone = pa.types.is_timestamp(column.type) and column.type.tz is not None
    local = column.cast(
        pa.timestamp("us", tz="UTC") if has_zone else pa.timestamp("us"), safe=False
    )
    micros = _filled(local.cast(pa.int64()))
    present = ~_nulls(column)
    sane = present & _in_range(micros)
    if not has_zone:
        micros = np.where(sane, _to_utc(np.where(sane, micros, 0), zone), 0)
    return _result(micros, sane, present & ~sane, 0 if has_zone else int(sane.sum()))


def _numeric(column: pa.Array) -> Times:
    values = np.nan_to_num(np.asarray(_filled_float(column)), nan=0.0, posinf=0.0, neginf=0.0)
    present = ~_nulls(column) & ~np.asarray(_filled_float(column) != _filled_float(column))
    sane = present & (values >= 1e8) & (values < 1e18)
    micros = np.where(sane, values * _scale(values), 0.0).round().astype(np.int64)
    sane &= _in_range(micros)
    return _result(micros, sane, present & ~sane, 0)


def _texts(texts: pa.Array, reading: TimeReading) -> Times:
    texts = pc.utf8_trim_whitespace(texts)
    missing = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(MISSING))
    present = ~_nulls(texts) & ~np.asarray(missing)
    micros = np.zeros(len(texts), np.int64)
    done = np.zeros(len(texts), np.bool_)
    zoned = np.zeros(len(texts), np.bool_)
    for pattern in _patterns(reading):
        left = np.flatnonzero(present & ~done)
        if not left.size:
            break
        found = pc.extract_regex(texts.take(pa.array(left)), pattern)
        hit = ~_nulls(found)
        if not hit.any():
            continue
        rows = left[hit]
        got, good, has_zone = _assemble(found.drop_null())
        micros[rows[good]] = got[good]
        done[rows[good]] = True
        zoned[rows[good]] = has_zone[good]
    if reading.time_format and compile_format(reading.time_format) is None:
        _by_strptime(texts, reading.time_format, present, micros, done, zoned)
    local = done & ~zoned
    if local.any():
        micros[local] = _to_utc(micros[local], reading.zone)
    return _result(micros, done, present & ~done, int(local.sum()))


def _patterns(reading: TimeReading) -> list[str]:
    patterns: list[str] = []
    declared = compile_format(reading.time_format) if reading.time_format else None
    if declared:
        patterns.append(declared)
    patterns += _FORMS
    if reading.day_first is not None:
        patterns.append(_DAY_FIRST if reading.day_first else _MONTH_FIRST)
    patterns.append(_EPOCH)
    return patterns


def _assemble(found: pa.StructArray) -> tuple[Int64s, Flags, Flags]:
    """Return (microseconds, which are real times, which carried a zone) of matched parts."""
    parts = {field.name: found.field(i) for i, field in enumerate(found.type)}
    if "n" in parts:
        return _epoch(parts["n"], parts["f"])
    size = len(found)
    year, day = _number(parts, "Y", size), _number(parts, "d", size)
    month = _month(parts["b"]) if "b" in parts else _number(parts, "m", size)
    hour, minute, second = (_number(parts, name, size) for name in "HMS")
    good = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (month <= 12)
    good &= (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    if "p" in parts:
        hour, sound = _half_day(hour, parts["p"])
        good &= sound
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(good, day - 1, 0)
    good &= days.astype("datetime64[M]") == months
    micros = days.astype(np.int64) * DAY_US
    micros += ((hour * 60 + minute) * 60 + second) * 1_000_000 + _fraction(parts.get("f"), size)
    if "z" not in parts:
        return micros, good, np.zeros(size, np.bool_)
    offset, zoned, sound = _offset(parts["z"])
    return micros - offset, good & sound, zoned


def _epoch(whole: pa.Array, fraction: pa.Array) -> tuple[Int64s, Flags, Flags]:
    value = _filled(whole.cast(pa.int64()))
    scale = _scale(value)
    # Nanoseconds are divided, not multiplied by a rounded 1e-3.
    micros = np.where(scale < 1, value // 1000, 0)
    for size in (1, 1_000, 1_000_000):
        micros = np.where(scale == size, np.where(scale == size, value, 0) * size, micros)
    micros = micros + np.where(scale == 1_000_000, _fraction(fraction, len(value)), 0)
    return micros, _in_range(micros), np.ones(len(value), np.bool_)


def _scale(value: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Return how many microseconds one unit is: seconds, then milli-, micro-, nanoseconds."""
    sizes = np.asarray(value, np.float64)
    return np.select([sizes < 1e11, sizes < 1e14, sizes < 1e17], [1e6, 1e3, 1.0], 1e-3)


def _number(parts: dict[str, pa.Array], name: str, size: int) -> Int64s:
    part = parts.get(name)
    if part is None:
        return np.zeros(size, np.int64)
    return _filled(pc.if_else(pc.equal(part, ""), "0", part).cast(pa.int64()))


def _month(names: pa.Array) -> Int64s:
    short = pc.utf8_slice_codeunits(pc.utf8_lower(names), 0, 3)
    return _filled(pc.index_in(short, value_set=pa.array(_MONTHS)).cast(pa.int64())) + 1


def _half_day(hour: Int64s, mark: pa.Array) -> tuple[Int64s, Flags]:
    lower = pc.utf8_lower(mark)
    am, pm = (np.asarray(pc.equal(lower, half)) for half in ("am", "pm"))
    sound = ~(am | pm) | ((hour >= 1) & (hour <= 12))
    return np.where(am | pm, hour % 12 + np.where(pm, 12, 0), hour), sound


def _fraction(part: pa.Array | None, size: int) -> Int64s:
    if part is None:
        return np.zeros(size, np.int64)
    six = pc.utf8_slice_codeunits(pc.utf8_rpad(part, 6, "0"), 0, 6)
    return _filled(six.cast(pa.int64()))


def _offset(part: pa.Array) -> tuple[Int64s, Flags, Flags]:
    zoned = np.asarray(pc.not_equal(part, ""))
    digits = pc.replace_substring_regex(part, r"[^\d]", "")
    four = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, 4, "0"), 0, 4)
    value = _filled(four.cast(pa.int64()))
    sign = np.where(np.asarray(pc.starts_with(part, "-")), -1, 1)
    hours, minutes = value // 100, value % 100
    return sign * (hours * 60 + minutes) * 60_000_000, zoned, (hours <= 15) & (minutes < 60)


def _by_strptime(
    texts: pa.Array, time_format: str, present: Flags, micros: Int64s, done: Flags, zoned: Flags
) -> None:
    """Read what is left one by one: the declared format has directives that no pattern covers."""
    known: dict[str, datetime | None] = {}
    for row in np.flatnonzero(present & ~done):
        text = texts[int(row)].as_py()
        if text not in known:
            try:
                known[text] = datetime.strptime(text, time_format)  # noqa: DTZ007
            except ValueError:
                known[text] = None
        value = known[text]
        if value is None or not FIRST_YEAR <= value.year <= LAST_YEAR:
            continue
        zoned[row] = value.tzinfo is not None
        value = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        micros[row] = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        done[row] = True


def _to_utc(local: Int64s, zone: str) -> Int64s:
    """Return local times as UTC. Of an hour that comes twice the first counts."""
    if zone.upper() in ("UTC", "GMT", "ETC/UTC") or not local.size:
        return local
    info = ZoneInfo(zone)
    quarters, which = np.unique(local // ZONE_STEP_US, return_inverse=True)
    offsets = np.empty(len(quarters), np.int64)
    start = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock's reading, before it has a zone
    for position, quarter in enumerate(quarters):
        wall = start + timedelta(microseconds=int(quarter) * ZONE_STEP_US)
        shift = info.utcoffset(wall) or timedelta(0)
        offsets[position] = shift // timedelta(microseconds=1)
    return local - offsets[which]


def _in_range(micros: Int64s) -> Flags:
    years = micros // DAY_US // 365.2425 + 1970
    return (years >= FIRST_YEAR) & (years <= LAST_YEAR)


def _result(micros: Int64s, valid: Flags, unreadable: Flags, zoneless: int) -> Times:
    utc = pa.array(micros, mask=~valid).cast(UTC_TIME)
    return Times(utc=utc, unreadable=unreadable, zoneless=zoneless)


def _nulls(column: pa.Array) -> Flags:
    return np.asarray(column.is_null())


def _filled(column: pa.Array) -> Int64s:
    return np.asarray(pc.fill_null(column, 0), dtype=np.int64)


def _filled_float(column: pa.Array) -> npt.NDArray[np.float64]:
    return np.asarray(pc.fill_null(column.cast(pa.float64()), 0.0), dtype=np.float64)
