"""How figures are written in briefs: one format for each kind, so that texts can be checked."""

from __future__ import annotations

from datetime import date, datetime, timedelta

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

FEW = 0.5
"""Where fewer are expected no multiple is written: a tenth more or less would halve or double it."""


def whole(value: float) -> str:
    """Write a count: 1,234."""
    return f"{round(value):,}"


def decimal(value: float) -> str:
    """Write a quantity with one decimal place, or without one from 100 on: 6.2, 1,234."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}".removesuffix(".0")


def evidence(value: float) -> str:
    """Write an e-value: beyond 10,000 only that it is beyond, more digits would say nothing."""
    return "more than 10,000" if value > 10_000 else decimal(value)


def percent(share: float) -> str:
    """Write a share (0..1) as a percentage: 41%, 4.2%, <0.1%; never 100% for less than all."""
    value = share * 100
    if 0 < value < 0.1:
        return "<0.1%"
    if 99.5 <= value < 100:
        return ">99%"
    return f"{value:.0f}%" if value >= 10 or value == 0 else f"{value:.1f}%".replace(".0%", "%")


def usual(expected: float) -> str:
    """Write what is usual where little is: "0.3 are usual", "very few are usual"."""
    return f"{decimal(expected) if expected >= 0.05 else 'very few'} are usual"


def against(count: float, expected: float) -> str:
    """Write how a count compares: "4.2 times the 3.3 expected"; no multiple of next to nothing."""
    if expected < FEW:
        return f"where {usual(expected)}"
    return f"{decimal(count / expected)} times the {decimal(expected)} expected"


def day(moment: date) -> str:
    """Write a date: 5 Mar 2024."""
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def short_day(moment: date) -> str:
    """Write a date without its year: 5 Mar."""
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


def minute(moment: datetime) -> str:
    """Write a time: 5 Mar 2024, 14:05 UTC. The moment must be in UTC."""
    return f"{day(moment)}, {moment:%H:%M} UTC"


def span(length: timedelta) -> str:
    """Write a length of time: 40 minutes, 14 hours, 3.5 days."""
    minutes = length.total_seconds() / 60
    if minutes < 90:
        return counted(minutes, "minute")
    hours = minutes / 60
    if hours < 72:
        return counted(hours, "hour")
    return f"{decimal(hours / 24)} days"


def counted(count: float, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: 1 complaint, 1,234 complaints."""
    return f"{whole(count)} {noun if round(count) == 1 else plural or noun + 's'}"
