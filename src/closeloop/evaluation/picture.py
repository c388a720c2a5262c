"""Draws a report as one SVG that needs nothing else: figures, reliability, confusion."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from closeloop.evaluation.report import Confusion, Figure, Report
from closeloop.stats.reliability import Bin

WIDTH = 760
MARGIN = 24
INK, SOFT, LINE, FILL = "#1b1f24", "#5d6673", "#d5d9df", "#1f6f8b"
FONT = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"
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
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{y + MARGIN:.0f}' "
        f"viewBox='0 0 {WIDTH} {y + MARGIN:.0f}' {FONT} font-size='12' role='img' "
        f"aria-label='{_text(f'closeloop evaluate {report.what}', 80)}'>"
        f"<rect width='100%' height='100%' fill='#ffffff'/>{''.join(body)}</svg>\n"
    )


def as_html(report: Report) -> str:
    """Return a page with the picture and the tables, without scripts or anything to be loaded."""
    tables = "".join(_html_table(t.title, t.headers, t.rows) for t in report.listings)
    notes = "".join(f"<li>{_text(note, 400)}</li>" for note in report.notes)
    left = "".join(f"<li>{_text(k, 80)}: {v:,}</li>" for k, v in report.left_out.items())
    made = "".join(f"<li>{_text(k, 80)}: {_text(v, 200)}</li>" for k, v in report.made_with.items())
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>closeloop evaluate {_text(report.what, 40)}</title><style>"
        "body{font:14px system-ui,sans-serif;max-width:860px;margin:24px auto;color:#1b1f24}"
        "table{border-collapse:collapse}td,th{padding:3px 12px 3px 0;text-align:left;"
        "border-bottom:1px solid #d5d9df}td+td{font-variant-numeric:tabular-nums}"
        "svg{max-width:100%}"
        f"</style></head><body>{as_svg(report)}{tables}"
        f"{f'<h2>Left out</h2><ul>{left}</ul>' if left else ''}"
        f"<h2>Made with</h2><ul>{made}{notes}</ul></body></html>\n"
    )


def _heading(report: Report) -> _Part:
    title = _label(0, 16, f"{report.what}: {report.file}", size=18, weight=600, most=70)
    used = f"{report.used:,} of {report.rows:,} rows judged"
    return _Part(title + _label(0, 36, used, colour=SOFT), 56)


def _figures(figures: Sequence[Figure]) -> _Part:
    body, y = [], 12.0
    for figure in figures:
        body.append(_label(0, y, figure.name))
        shown = "-" if figure.value is None else f"{figure.value:.3f}"
        if figure.whole and figure.value is not None:
            shown = f"{figure.value:,.0f}"
        body.append(_label(200, y, shown, anchor="end", weight=600))
        if figure.interval is not None and figure.value is not None:
            low, high = figure.interval.low, figure.interval.high
            body.append(_label(214, y, f"{low:.3f} to {high:.3f}", colour=SOFT))
        body.append(_label(330, y, figure.meaning, colour=SOFT, most=62))
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

    body = [_label(0, 12, f"Reliability of {of}", size=14, weight=600)]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        body.append(_line(x(0), y(tick), x(1), y(tick), LINE))
        body.append(_label(left - 8, y(tick) + 4, f"{tick:.1f}", anchor="end", colour=SOFT))
        body.append(
            _label(x(tick), bottom + bars + 34, f"{tick:.1f}", anchor="middle", colour=SOFT)
        )
    body.append(_line(x(0), y(0), x(1), y(1), SOFT, dashed=True))
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
        body.append(_line(place, y(one.interval.low), place, y(one.interval.high), FILL, width=2))
        body.append(
            f"<circle cx='{place:.1f}' cy='{y(one.right):.1f}' r='5' fill='{FILL}'>"
            f"<title>stated {one.stated:.3f}, true {one.right:.3f}, {one.count:,} texts</title>"
            "</circle>"
        )
    body.append(_line(x(0), floor, x(1), floor, SOFT))
    body.append(_label(x(0.5), floor + 34, f"stated: {of}", anchor="middle"))
    body.append(
        f"<g transform='translate(14,{y(0.5):.1f}) rotate(-90)'>"
        f"{_label(0, 0, 'share that is true', anchor='middle')}</g>"
    )
    body += _explained(left + size + 36, top + 12, bins)
    return _Part("".join(body), floor + 64)


def _explained(x: float, y: float, bins: Sequence[Bin]) -> list[str]:
    body = [
        _label(x, y, "stated", colour=SOFT),
        _label(x + 64, y, "true", colour=SOFT),
        _label(x + 120, y, "95% interval", colour=SOFT),
        _label(x + 280, y, "texts", anchor="end", colour=SOFT),
    ]
    for number, one in enumerate(bins, start=1):
        line = y + 20 * number
        body += [
            _label(x, line, f"{one.stated:.2f}"),
            _label(x + 64, line, f"{one.right:.2f}"),
            _label(x + 120, line, f"{one.interval.low:.2f} to {one.interval.high:.2f}"),
            _label(x + 280, line, f"{one.count:,}", anchor="end"),
        ]
    line = y + 20 * (len(bins) + 1) + 10
    body.append(_label(x, line, "On the dashed line it is right as", colour=SOFT))
    body.append(_label(x, line + 17, "often as it says; above it, more often.", colour=SOFT))
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
    body = [_label(0, 12, "Label (rows) and answer (columns)", size=14, weight=600)]
    cut = len(matrix.labels) - len(rows)
    shown = f" of the {len(rows)} most frequent labels; {cut} more are not drawn" if cut else ""
    body.append(_label(0, 30, f"per cent of each row{shown}", colour=SOFT))
    for place, column in enumerate(columns):
        x = left + cell * (place + 0.5) + 4
        body.append(
            f"<g transform='translate({x:.1f},{top - 8:.1f}) rotate(-50)'>"
            f"{_label(0, 0, _middle_cut(matrix.answers[column]))}</g>"
        )
    right: list[str] = []
    for line, row in enumerate(rows):
        y = top + cell * line
        name = _middle_cut(matrix.labels[row])
        body.append(_label(left - 8, y + cell / 2 + 4, name, anchor="end"))
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
    number = _label(x + size / 2, y + size / 2 + 3.5, f"{100 * share:.0f}", anchor="middle",
                    size=10, colour=ink) if share >= 0.005 and size >= 20 else ""  # fmt: skip
    return (
        f"<rect x='{x:.1f}' y='{y:.1f}' width='{size:.1f}' height='{size:.1f}' fill='{FILL}' "
        f"fill-opacity='{shade:.3f}' {edge}><title>{count:,} ({share:.1%})</title></rect>{number}"
    )


def _html_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{_text(h, 60)}</th>" for h in headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(_shown(cell), 80)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<h2>{_text(title, 80)}</h2><table><tr>{head}</tr>{body}</table>"


def _shown(cell: object) -> str:
    if isinstance(cell, float):
        return "-" if np.isnan(cell) else f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _label(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    size: int = 12,
    weight: int = 400,
    colour: str = INK,
    most: int = 90,
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' "
        f"font-weight='{weight}' fill='{colour}'>{_text(text, most)}</text>"
    )


def _line(
    x1: float, y1: float, x2: float, y2: float, colour: str, *, width: float = 1,
    dashed: bool = False,
) -> str:  # fmt: skip
    dash = " stroke-dasharray='5 4'" if dashed else ""
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
        f"stroke-width='{width}'{dash}/>"
    )


def _text(value: object, most: int) -> str:
    """Return text for XML: shortened, escaped, without characters that XML can't take."""
    plain = "".join(c if c.isprintable() else " " for c in str(value))
    if len(plain) > most:
        plain = plain[: most - 1] + "…"
    return html.escape(plain, quote=True)
