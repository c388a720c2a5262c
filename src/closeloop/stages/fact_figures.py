"""Writes the figures of facts: the words that a statement uses, and what they are figures of."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta

from closeloop.domain import figures
from closeloop.domain.brief import Figure, Measure
from closeloop.domain.signal import SignalKind
from closeloop.stages.brief_material import Material

NAME_CHARACTERS = 80
_MARKS = re.compile(r"[“”„«»\"`<>\[\]]|(?<!\w)['‘’]|['‘’](?!\w)")
"""Quotation marks and brackets; an apostrophe within a word is none."""


def plain(name: str, *, limit: int = NAME_CHARACTERS) -> str:
    """Return a name as one line of printable characters without quotation marks, at most `limit`.

    Labels and versions come from customers: a name must not be able to pass for a quotation,
    for markup, or for more text than a name.
    """
    shown = "".join(c if unicodedata.category(c)[0] not in "CZ" else " " for c in name)
    # Not an apostrophe for each: two of them around words are a quotation again.
    return " ".join(_MARKS.sub(" ", shown).split())[:limit].rstrip()


def subject_of(material: Material) -> str:
    """Return what the signal is about, in a few words."""
    signal = material.signal
    if signal.kind is SignalKind.RELEASE and signal.version:
        return f"low ratings of version {plain(signal.version)}"
    if signal.kind is SignalKind.THEME and signal.category and signal.category != material.label:
        return f"{plain(signal.category)} ({plain(material.label)})"
    return plain(material.label)


def amount_of(written: str) -> float:
    """Return the number in a figure as it is written."""
    found = re.search(r"\d[\d,]*(?:\.\d+)?", written)
    return float(found[0].replace(",", "")) if found else 0.0


def count(
    value: float, noun: str, *, sense: str = "", label: str = "", hours: float | None = None
) -> Figure:
    """Return a count; an expected one is written with a decimal place."""
    written = figures.decimal(value) if sense == "expected" else figures.whole(value)
    return Figure(written, Measure.COUNT, amount_of(written), noun, sense, label, hours)


def share(portion: float, *, sense: str, label: str = "") -> Figure:
    """Return a share (0..1) as a percentage."""
    written = figures.percent(portion)
    return Figure(written, Measure.SHARE, amount_of(written), sense=sense, label=label)


def quantity(value: float, measure: Measure, *, sense: str = "", label: str = "") -> Figure:
    """Return any other quantity, written with one decimal place at most."""
    written = figures.decimal(value)
    return Figure(written, measure, amount_of(written), sense=sense, label=label)


def points(value: float, *, label: str = "", sense: str = "") -> Figure:
    """Return points of severity."""
    written = figures.whole(value)
    return Figure(written, Measure.POINTS, amount_of(written), sense=sense, label=label)


def strength(value: float) -> Figure:
    """Return an e-value."""
    written = figures.evidence(value)
    return Figure(written, Measure.EVIDENCE, amount_of(written))


def span(length: timedelta, *, sense: str = "") -> Figure:
    """Return a length of time, as exactly as it is written."""
    written = figures.span(length)
    unit = next(u for u in ("minute", "hour", "day") if u in written)
    hours = amount_of(written) * {"minute": 1 / 60, "hour": 1.0, "day": 24.0}[unit]
    return Figure(written, Measure.SPAN, hours, sense=sense)


def moment(at: datetime, *, sense: str, label: str = "") -> Figure:
    """Return a point in time, to the minute."""
    minutes = float(at.timestamp() // 60)
    return Figure(figures.minute(at), Measure.MOMENT, minutes, sense=sense, label=label)


def day(at: datetime, *, sense: str, label: str = "") -> Figure:
    """Return a day."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = float(midnight.timestamp() // 60)
    return Figure(figures.day(at), Measure.MOMENT, minutes, sense=sense, label=label)
