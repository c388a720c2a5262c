"""Draws a report as one SVG that needs nothing else: figures, reliability, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from closeloop.evaluation.report import Confusion, Figure, Report
from closeloop.pictures.page import listed, page, table
from closeloop.pictures.svg import FILL, INK, LINE, SOFT, label, picture, stroke, text
from closeloop.stats.reliability import Bin

WIDTH = 760
MARGIN = 24
MOST_LABELS = 16
"""A matrix shows the most frequent labels; the rest is in --json and the predictions."""
LABEL_LETTERS = 22


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the drawing, placed under what is above it."""

    body: str
    height: float


def as_svg(report: Report) -> str:
    """Return the picture of a report. Text from the file is escaped."""
    parts = [_heading(report), _figures(report.figures)]
    if report.reliability:
        parts.append(_reliability(report.reliability, of=report.reliability_of))
    if report.confusion is not None:
        parts.append(_confusion(report.confusion))
    body, y = [], float(MARGIN)
    for part in parts:
        body.append(f"<g transform='translate({MARGIN},{y:.1f})'>{part.body}</g>")
        y += part.height
    return picture(
        "".join(body), width=WIDTH, height=y + MARGIN, named=f"closeloop evaluate {report.what}"
    )


def as_html(report: Report) -> str:
    """Return a page with the picture and the tables, without scripts or anything to be loaded."""
    tables = "".join(
        f"<h2>{text(t.title, 80)}</h2>{table(t.headers, t.rows, most=80)}" for t in report.listings
    )
    left = listed([f"{k}: {v:,}" for k, v in report.left_out.items()])
    made = listed([*(f"{k}: {v}" for k, v in report.made_with.items()), *report.notes])
    return page(
        f"closeloop evaluate {report.what}",
        f"{as_svg(report)}{tables}{f'<h2>Left out</h2>{left}' if left else ''}"
        f"<h2>Made with</h2>{made}",
    )


def _heading(report: Report) -> _Part:
    title = label(0, 16, f"{report.what}: {report.file}", size=18, weight=600, most=70)
    used = f"{report.used:,} of {report.rows:,} rows judged"
    return _Part(title + label(0, 36, used, colour=SOFT), 56)


def _figures(figures: Sequence[Figure]) -> _Part:
    body, y = [], 12.0
    for figure in figures:
        body.append(label(0, y, figure.name))
        shown = "-" if figure.value is None else f"{figure.value:.3f}"
        if figure.whole and figure.value is not None:
            shown = f"{figure.value:,.0f}"
        body.append(label(200, y, shown, anchor="end", weight=600))
        if figure.interval is not None and figure.value is not None:
            low, high = figure.interval.low, figure.interval.high
            body.append(label(214, y, f"{low:.3f} to {high:.3f}", colour=SOFT))
        body.append(label(330, y, figure.meaning, colour=SOFT, most=62))
        y += 19
    return _Part("".join(body), y + 14)


def _reliability(bins: Sequence[Bin], *, of: str) -> _Part:
    """Draw the true share over the stated probability, with Wilson's intervals and counts."""
    left, top, size, bars = 56.0, 30.0, 320.0, 64.0
    bottom = top + size

    def x(value: float) -> float:
        return left + size * value

    def y(value: float) -> float:
        return bottom - size * value

    body = [label(0, 12, f"Reliability of {of}", size=14, weight=600)]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        body.append(stroke(x(0), y(tick), x(1), y(tick), LINE))
        body.append(label(left - 8, y(tick) + 4, f"{tick:.1f}", anchor="end", colour=SOFT))
        body.append(label(x(tick), bottom + bars + 34, f"{tick:.1f}", anchor="middle", colour=SOFT))
    body.append(stroke(x(0), y(0), x(1), y(1), SOFT, dashed=True))
    most = max(b.count for b in bins)
    floor = bottom + bars + 18
    for one in bins:
        height = bars * one.count / most
        body.append(
            f"<rect x='{x(one.low) + 2:.1f}' y='{floor - height:.1f}' "
            f"width='{size / 10 - 4:.1f}' height='{height:.1f}' fill='{LINE}'>"
            f"<title>{one.count:,} texts</title></rect>"
        )
        place = x(one.stated)
        body.append(stroke(place, y(one.interval.low), place, y(one.interval.high), FILL, width=2))
        body.append(
            f"<circle cx='{place:.1f}' cy='{y(one.right):.1f}' r='5' fill='{FILL}'>"
            f"<title>stated {one.stated:.3f}, true {one.right:.3f}, {one.count:,} texts</title>"
            "</circle>"
        )
    body.append(stroke(x(0), floor, x(1), floor, SOFT))
    body.append(label(x(0.5), floor + 34, f"stated: {of}", anchor="middle"))
    body.append(
        f"<g transform='translate(14,{y(0.5):.1f}) rotate(-90)'>"
        f"{label(0, 0, 'share that is true', anchor='middle')}</g>"
    )
    body += _explained(left + size + 36, top + 12, bins)
    return _Part("".join(body), floor + 64)


def _explained(x: float, y: float, bins: Sequence[Bin]) -> list[str]:
    body = [
        label(x, y, "stated", colour=SOFT),
        label(x + 64, y, "true", colour=SOFT),
        label(x + 120, y, "95% interval", colour=SOFT),
        label(x + 280, y, "texts", anchor="end", colour=SOFT),
    ]
    for number, one in enumerate(bins, start=1):
        line = y + 20 * number
        body += [
            label(x, line, f"{one.stated:.2f}"),
            label(x + 64, line, f"{one.right:.2f}"),
            label(x + 120, line, f"{one.interval.low:.2f} to {one.interval.high:.2f}"),
            label(x + 280, line, f"{one.count:,}", anchor="end"),
        ]
    line = y + 20 * (len(bins) + 1) + 10
    body.append(label(x, line, "On the dashed line it is right as", colour=SOFT))
    body.append(label(x, line + 17, "often as it says; above it, more often.", colour=SOFT))
    return body


def _confusion(matrix: Confusion) -> _Part:
    """Draw label by answer as a heat map: each row's shares; the darker, the more."""
    rows, columns = _frequent(matrix)
    counts = matrix.counts[np.ix_(rows, columns)]
    totals = np.maximum(matrix.counts[rows].sum(axis=1), 1)
    left = 170.0
    longest = max(min(len(matrix.answers[i]), LABEL_LETTERS) for i in columns)
    top = 58.0 + 5.6 * longest
    most = 56.0 if len(columns) <= 6 else 34.0
    # Names of columns lean to the right: the last one needs room beside the matrix.
    room = WIDTH - 2 * MARGIN - left - 4.2 * longest
    cell = float(min(most, room / max(len(columns), 1)))
    body = [label(0, 12, "Label (rows) and answer (columns)", size=14, weight=600)]
    cut = len(matrix.labels) - len(rows)
    shown = f" of the {len(rows)} most frequent labels; {cut} more are not drawn" if cut else ""
    body.append(label(0, 30, f"per cent of each row{shown}", colour=SOFT))
    for place, column in enumerate(columns):
        x = left + cell * (place + 0.5) + 4
        body.append(
            f"<g transform='translate({x:.1f},{top - 8:.1f}) rotate(-50)'>"
            f"{label(0, 0, _middle_cut(matrix.answers[column]))}</g>"
        )
    right: list[str] = []
    for line, row in enumerate(rows):
        y = top + cell * line
        name = _middle_cut(matrix.labels[row])
        body.append(label(left - 8, y + cell / 2 + 4, name, anchor="end"))
        for place, column in enumerate(columns):
            count = int(counts[line, place])
            same = matrix.labels[row] == matrix.answers[column]
            drawn = _cell(
                left + cell * place, y, cell, count, count / int(totals[line]), right=same
            )
            (right if same else body).append(drawn)
    # Frames of right answers lie above the lines of the others.
    body += right
    return _Part("".join(body), top + cell * len(rows) + 24)


def _middle_cut(name: str) -> str:
    """Return a name cut in its middle: labels are often told apart by their ends."""
    if len(name) <= LABEL_LETTERS:
        return name
    tail = LABEL_LETTERS // 2 - 1
    return f"{name[: LABEL_LETTERS - tail - 1]}…{name[-tail:]}"


def _frequent(matrix: Confusion) -> tuple[list[int], list[int]]:
    """Return the most frequent labels (in their order), and their columns with other answers'."""
    sizes = matrix.counts.sum(axis=1)
    rows = sorted(np.argsort(-sizes, kind="stable")[:MOST_LABELS].tolist())
    names = {matrix.labels[row] for row in rows}
    answered = matrix.counts[rows].sum(axis=0)
    own = [i for i, name in enumerate(matrix.answers) if name in names]
    others = [i for i in np.argsort(-answered, kind="stable").tolist() if i not in own]
    others = [i for i in others if answered[i] and matrix.answers[i] not in matrix.labels]
    return rows, own + sorted(others[: max(MOST_LABELS + 4 - len(own), 4)])


def _cell(x: float, y: float, size: float, count: int, share: float, *, right: bool) -> str:
    shade = 0.06 + 0.94 * share if count else 0.0
    edge = f"stroke='{INK}' stroke-width='1'" if right else f"stroke='{LINE}' stroke-width='.5'"
    ink = "#ffffff" if shade > 0.62 else INK
    number = label(x + size / 2, y + size / 2 + 3.5, f"{100 * share:.0f}", anchor="middle",
                    size=10, colour=ink) if share >= 0.005 and size >= 20 else ""  # fmt: skip
    return (
        f"<rect x='{x:.1f}' y='{y:.1f}' width='{size:.1f}' height='{size:.1f}' fill='{FILL}' "
        f"fill-opacity='{shade:.3f}' {edge}><title>{count:,} ({share:.1%})</title></rect>{number}"
    )
