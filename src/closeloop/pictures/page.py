"""A page in one file: no scripts, nothing to be loaded, every text escaped."""

from __future__ import annotations

from collections.abc import Sequence

from closeloop.pictures.svg import text

STYLE = (
    "body{font:14px system-ui,-apple-system,Segoe UI,Helvetica,Arial,sans-serif;max-width:980px;"
    "margin:24px auto;padding:0 16px;color:#1b1f24;line-height:1.45}"
    "h1{font-size:22px}h2{font-size:18px;margin-top:32px}h3{font-size:15px;margin:24px 0 4px}"
    "table{border-collapse:collapse;margin:8px 0}"
    "td,th{padding:3px 12px 3px 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid #d5d9df}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".wide{overflow-x:auto}.wide svg{min-width:760px}"
    "svg{max-width:100%;height:auto}blockquote{margin:4px 0;padding-left:12px;"
    "border-left:3px solid #d5d9df;color:#333}.soft{color:#5d6673}"
    ".tag{display:inline-block;padding:0 8px;border-radius:9px;background:#e8eef1}"
    ".tag.ticket{background:#b3261e;color:#fff}.tag.review{background:#f3dfb6}"
    "details{margin:4px 0}summary{cursor:pointer;color:#1f6f8b}"
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may load: nothing. A text that slipped through could not either."""


def page(title: str, body: str) -> str:
    """Return a page of this body, which is taken as it is."""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{text(title, 120)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, most: int = 120) -> str:
    """Return a table; numbers stand right."""
    numeric = [bool(rows) and all(isinstance(r[i], (int, float)) for r in rows) for i in range(len(headers))]  # fmt: skip
    head = "".join(
        f"<th{' class=n' if n else ''}>{text(h, 60)}</th>"
        for h, n in zip(headers, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=n' if n else ''}>{text(_shown(cell), most)}</td>"
            for cell, n in zip(row, numeric, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return scrolling(f"<table><tr>{head}</tr>{body}</table>")


def scrolling(body: str) -> str:
    """Return a part that is scrolled sideways where the screen is too narrow for it."""
    return f"<div class='wide'>{body}</div>"


def listed(items: Sequence[str], *, most: int = 400) -> str:
    """Return a list of plain texts, "" for none."""
    return f"<ul>{''.join(f'<li>{text(i, most)}</li>' for i in items)}</ul>" if items else ""


def folded(summary: str, body: str) -> str:
    """Return a part that opens when it is clicked."""
    return f"<details><summary>{text(summary, 160)}</summary>{body}</details>"


def _shown(cell: object) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return "-" if cell != cell else f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)
