"""Checks words that compare parts ("mostly from", "fewer than on") with the figures of these parts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from closeloop.domain.brief import Figure, Measure
from closeloop.domain.grounding.mentions import normal
from closeloop.domain.grounding.sheet_view import SheetView

_MOSTLY = re.compile(
    r"\b(?:mostly|mainly|largely|primarily|chiefly|predominantly|overwhelmingly|especially|exclusively|only)\b"
    r"[^,;.]*?\b(?:on|from|in|among|for|by)\b",
    re.IGNORECASE,
)
NEAR = 20
"""Characters between "than" and the name that something is compared with ("than on version 2.8")."""

_THAN = re.compile(
    r"\b(?P<how>fewer|less|lower|more|higher|greater|worse|better)\b[^,;.]*?\bthan\b",
    re.I,
)


def comparison_problems(
    shown: str, cited: Sequence[tuple[str, Figure]], view: SheetView
) -> Iterator[str]:
    """Yield what is said of a part against others that the cited counts of these do not bear."""
    places = [p for p in view.places(shown) if normal(p.name) in view.part_labels]
    by_share = re.search(r"\b(?:share|proportion|percentage|rate)\b", shown, re.IGNORECASE)
    counts: dict[str, float] = {}
    for _, figure in cited:
        count = figure.measure is Measure.COUNT and figure.noun in ("complaint", "user")
        if figure.label and (figure.measure is Measure.SHARE if by_share else count):
            counts.setdefault(normal(figure.label), figure.amount)
    mostly = _MOSTLY.search(shown)
    after = next((p.name for p in places if mostly and p.start >= mostly.end()), None)
    if mostly and after is not None:
        mine = counts.get(after)
        if mine is None or any(held > mine for held in counts.values()):
            yield f"{mostly[0]!r} {after!r}: no fact that the sentence cites says so"
    than = _THAN.search(shown)
    one = next((p.name for p in places if than and p.end <= than.start()), None)
    other = next((p.name for p in places if than and 0 <= p.start - than.end() <= NEAR), None)
    if than is None or one is None or other is None:
        return
    more = than["how"].lower() in ("more", "higher", "greater", "worse")
    known = one in counts and other in counts
    right = known and (counts[one] > counts[other] if more else counts[one] < counts[other])
    if not right:
        yield f"{than[0]!r}: no fact that the sentence cites says so of {one!r} and {other!r}"
