"""The strokes of a picture: labels, lines, boxes, and text made safe for XML and HTML."""

from __future__ import annotations

import html

INK, SOFT, LINE, FILL = "#1b1f24", "#5d6673", "#d5d9df", "#1f6f8b"
GROUND = "#ffffff"
ALARM, CHANGE, CALM = "#b3261e", "#8a5a00", "#9fc3cf"
FONT = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"


def text(value: object, most: int) -> str:
    """Return text for XML: shortened, escaped, without characters that XML can't take."""
    plain = "".join(c if c.isprintable() else " " for c in str(value))
    if len(plain) > most:
        plain = plain[: most - 1] + "…"
    return html.escape(plain, quote=True)


def label(
    x: float,
    y: float,
    said: str,
    *,
    anchor: str = "start",
    size: int = 12,
    weight: int = 400,
    colour: str = INK,
    most: int = 90,
) -> str:
    """Return a line of text at a place."""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' "
        f"font-weight='{weight}' fill='{colour}'>{text(said, most)}</text>"
    )


def stroke(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    colour: str,
    *,
    width: float = 1,
    dashed: bool = False,
) -> str:
    """Return a straight line."""
    dash = " stroke-dasharray='5 4'" if dashed else ""
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
        f"stroke-width='{width}'{dash}/>"
    )


def box(
    x: float,
    y: float,
    width: float,
    height: float,
    colour: str,
    *,
    title: str = "",
    opacity: float = 1.0,
) -> str:
    """Return a filled rectangle; `title` shows when it is pointed at."""
    clear = f" fill-opacity='{opacity:.2f}'" if opacity < 1 else ""
    inside = f"<title>{text(title, 200)}</title>" if title else ""
    return (
        f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' height='{height:.1f}' "
        f"fill='{colour}'{clear}>{inside}</rect>"
    )


def picture(body: str, *, width: float, height: float, named: str) -> str:
    """Return a whole SVG; `named` is what a screen reader says of it."""
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0f}' height='{height:.0f}' "
        f"viewBox='0 0 {width:.0f} {height:.0f}' {FONT} font-size='12' role='img' "
        f"aria-label='{text(named, 160)}'>"
        f"<rect width='100%' height='100%' fill='{GROUND}'/>{body}</svg>\n"
    )
