"""Draws how often customers complained of one thing, what was expected, and what happened when."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from closeloop.pictures.svg import (
    ALARM,
    CALM,
    CHANGE,
    FILL,
    GROUND,
    INK,
    LINE,
    SOFT,
    box,
    label,
    stroke,
)

WIDTH = 920.0
LEFT, RIGHT = 44.0, 12.0
PLOT_HEIGHT = 130.0
LANE = 15.0
LETTER = 6.2
"""Width of a letter of size 11, with room to spare."""
MAX_BARS = 180
STEPS_H = (1, 2, 3, 6, 12, 24, 48, 168)
MAX_TICKS = 10

Place = Callable[[datetime], float]
"""Where a time stands from left to right."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time: `colour` says what it is."""

    at: datetime
    said: str
    colour: str = CHANGE
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Hour:
    """Complaints of one hour, and how many a whole day of that time has by the baseline."""

    at: datetime
    count: float
    expected_a_day: float | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is drawn, from `start` to `end`; `window` is the part that the evidence rests on."""

    start: datetime
    end: datetime
    hours: Sequence[Hour]
    marks: Sequence[Mark]
    window: tuple[datetime, datetime] | None = None
    zone: str = "UTC"


def bar_hours(timeline: Timeline) -> int:
    """Return how many hours a bar holds, so that there are at most 180."""
    hours = (timeline.end - timeline.start) / timedelta(hours=1)
    return next((s for s in STEPS_H if hours / s <= MAX_BARS), math.ceil(hours / MAX_BARS))


def timeline(drawn: Timeline) -> tuple[str, float]:
    """Return the body of an SVG of 920 units' width, and its height."""
    span = max((drawn.end - drawn.start) / timedelta(hours=1), 1.0)
    scale = (WIDTH - LEFT - RIGHT) / span

    def x(at: datetime) -> float:
        hours = (at - drawn.start) / timedelta(hours=1)
        return LEFT + scale * min(max(hours, 0.0), span)

    lanes, top = _lanes(drawn, x)
    bottom = top + PLOT_HEIGHT
    step = bar_hours(drawn)
    counts, expected = _binned(drawn, step)
    most = max([1.0, *counts, *(e for e in expected if e is not None)])
    height = PLOT_HEIGHT / (1.08 * most)
    body = []
    if drawn.window is not None:
        one, other = x(drawn.window[0]), x(drawn.window[1])
        body.append(box(one, top, max(other - one, 1.0), PLOT_HEIGHT, ALARM, opacity=0.08))
    body += _axes(drawn, x, bottom=bottom, most=most, height=height)
    for number, count in enumerate(counts):
        at = drawn.start + timedelta(hours=step * number)
        if count:
            inside = drawn.window is not None and drawn.window[0] <= at < drawn.window[1]
            said = f"{_time(at, drawn.zone)}: {count:g}"
            wide = max(scale * step - 0.6, 0.8)
            colour = FILL if inside else CALM
            body.append(
                box(x(at), bottom - height * count, wide, height * count, colour, title=said)
            )
    body += _expected(drawn, expected, x, step=step, bottom=bottom, height=height)
    body += lanes
    for mark in drawn.marks:
        if drawn.start <= mark.at <= drawn.end:
            body.append(
                stroke(x(mark.at), top - 4, x(mark.at), bottom, mark.colour,
                       width=2 if mark.strong else 1, dashed=not mark.strong)
            )  # fmt: skip
    unit = "an hour" if step == 1 else f"{step} hours" if step % 24 else f"{step // 24} day(s)"
    body.append(
        label(LEFT, bottom + 34, f"complaints in {unit}; line: expected", colour=SOFT, size=11)
    )
    return "".join(body), bottom + 44


def _lanes(drawn: Timeline, x: Place) -> tuple[list[str], float]:
    """Write the marks' names above the plot, in as many rows as they need."""
    ends: list[float] = []
    body = []
    shown = [m for m in sorted(drawn.marks, key=lambda m: m.at) if drawn.start <= m.at <= drawn.end]
    places = []
    for mark in shown:
        wide = LETTER * min(len(mark.said), 60) + 10
        at = min(x(mark.at), WIDTH - RIGHT - wide)
        lane = next((n for n, end in enumerate(ends) if end < at), len(ends))
        if lane == len(ends):
            ends.append(0.0)
        ends[lane] = at + wide
        places.append((mark, at, lane))
    top = 6.0 + LANE * len(ends) + 6.0
    # All lines first: a name stands on a ground of its own, before the lines of the lanes above.
    for mark, _, lane in places:
        y = 6.0 + LANE * (lane + 1) - 2
        body.append(stroke(x(mark.at), y, x(mark.at), top, mark.colour, dashed=not mark.strong))
    for mark, at, lane in places:
        y = 6.0 + LANE * (lane + 1) - 4
        weight = 600 if mark.strong else 400
        if mark.said:
            wide = LETTER * min(len(mark.said), 60) + 6
            body.append(box(at, y - 11, wide, LANE - 1, GROUND))
        body.append(
            label(at + 3, y, mark.said, size=11, colour=mark.colour, most=60, weight=weight)
        )
    return body, top


def _binned(drawn: Timeline, step: int) -> tuple[list[float], list[float | None]]:
    """Return complaints and expectation of each bar; a day without a baseline keeps the last one."""
    bars = max(math.ceil((drawn.end - drawn.start) / timedelta(hours=step)), 1)
    counts = [0.0] * bars
    rates: list[float | None] = [None] * bars
    for hour in drawn.hours:
        place = int((hour.at - drawn.start) / timedelta(hours=step))
        if 0 <= place < bars and hour.at >= drawn.start:
            counts[place] += hour.count
            if hour.expected_a_day is not None:
                rates[place] = hour.expected_a_day * step / 24
    last: float | None = None
    filled: list[float | None] = []
    for rate in rates:
        last = rate if rate is not None else last
        filled.append(last)
    return counts, filled


def _expected(
    drawn: Timeline,
    expected: Sequence[float | None],
    x: Place,
    *,
    step: int,
    bottom: float,
    height: float,
) -> list[str]:
    points = []
    for number, value in enumerate(expected):
        if value is not None:
            at = drawn.start + timedelta(hours=step * number)
            y = bottom - height * value
            points += [f"{x(at):.1f},{y:.1f}", f"{x(at + timedelta(hours=step)):.1f},{y:.1f}"]
    if not points:
        return []
    return [
        f"<polyline points='{' '.join(points)}' fill='none' stroke='{INK}' stroke-width='1.4'/>"
    ]


def _axes(drawn: Timeline, x: Place, *, bottom: float, most: float, height: float) -> list[str]:
    body = [stroke(LEFT, bottom, WIDTH - RIGHT, bottom, SOFT)]
    unit = 10 ** math.floor(math.log10(most))
    tick = next(t for t in (unit, 2 * unit, 5 * unit, 10 * unit) if most / t <= 4)
    value = tick if tick >= 1 else 1
    level = float(value)
    while level <= most * 1.05:
        y = bottom - height * level
        body.append(stroke(LEFT, y, WIDTH - RIGHT, y, LINE))
        body.append(label(LEFT - 6, y + 4, f"{level:g}", anchor="end", colour=SOFT, size=11))
        level += value
    days = (drawn.end - drawn.start) / timedelta(days=1)
    every = max(1, math.ceil(days / MAX_TICKS))
    zone = ZoneInfo(drawn.zone)
    local = drawn.start.astimezone(zone)
    day = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= drawn.end:
        body.append(stroke(x(day), bottom, x(day), bottom + 4, SOFT))
        said = f"{day.day} {day:%b}"
        # A day that begins where the picture ends is written before its edge.
        at = min(x(day), WIDTH - LETTER * len(said) / 2)
        body.append(label(at, bottom + 17, said, anchor="middle", colour=SOFT, size=11))
        day += timedelta(days=every)
    return body


def _time(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%d %b %Y, %H:%M}"
