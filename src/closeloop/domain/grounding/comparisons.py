"""Checks words that compare parts and days ("mostly from", "more than on", "highest on") with counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from closeloop.domain.brief import Figure, Measure
from closeloop.domain.grounding.mentions import mentions, normal
from closeloop.domain.grounding.scene import day_names
from closeloop.domain.grounding.sheet_view import SheetView, is_day

_MOSTLY = re.compile(
    r"\b(?:mostly|mainly|largely|primarily|chiefly|predominantly|overwhelmingly|especially|exclusively|only)\b"
    r"[^,;.]*?\b(?:on|from|in|among|for|by)\b",
    re.IGNORECASE,
)
_ONLY = re.compile(r"\b(?:only|solely|exclusively|just|nobody but|none but)\s+(?:the\s+)?$", re.I)
_AHEAD = re.compile(
    r"\b(?P<how>ahead of|in front of|outnumbers?|outweighs?|exceeds?|surpass(?:es)?|tops|behind|trails?)\b",
    re.I,
)
NEAR = 20
"""Characters between "than" and the name that something is compared with ("than on version 2.8")."""

_THAN = re.compile(
    r"\b(?P<how>fewer|less|lower|more|higher|greater|worse|better)\b[^,;.]*?\bthan\b",
    re.I,
)
_TOP = re.compile(
    r"(?<!at )\b(?P<how>most|highest|largest|biggest|greatest|peak(?:s|ed)?|maximum|strongest|busiest|hardest|"
    r"fewest|lowest|smallest|least|minimum|weakest|top|leads?|leading)\b"
    r"(?! (?:likely|probabl[ey]|recent(?:ly)?|of the time|important(?:ly)?|urgent)\b)",
    re.IGNORECASE,
)
_LOW = frozenset({"fewest", "lowest", "smallest", "least", "minimum", "weakest"})
_LESS = frozenset({"fewer", "less", "lower", "better", "behind", "trail", "trails"})
_IDIOM = re.compile(
    r"\bat (?:the )?(?:most|least)\b|\b(?:lowest|highest) stars?\b|\bnot least\b", re.I
)

Counts = Mapping[str, float]


def comparison_problems(
    shown: str, cited: Sequence[tuple[str, Figure]], view: SheetView
) -> Iterator[str]:
    """Yield what is said of a part or a day against others that the cited counts do not bear."""
    counts = _counts(shown, cited)
    places = sorted(
        [
            *((p.start, p.end, normal(p.name)) for p in view.places(shown)
              if normal(p.name) in view.part_labels),
            *day_names(mentions(view.without_names(shown, digits_only=True))),
        ]
    )  # fmt: skip
    yield from _mostly(shown, places, counts)
    yield from _only(shown, places, counts)
    yield from _than(shown, places, counts)
    yield from _tops(shown, places, counts)


def says_majority(shown: str, cited: Sequence[tuple[str, Figure]], view: SheetView) -> bool:
    """Return whether a part that the text names has most of the complaints, by the cited counts."""
    named = {normal(p.name) for p in view.places(shown) if normal(p.name) in view.part_labels}
    for fact_id in {i for i, _ in cited}:
        held = _counts(shown, [(i, f) for i, f in cited if i == fact_id])
        total = sum(held.values())
        if named and len(held) > 1 and all(held.get(n, 0.0) > total / 2 for n in named):
            return True
    return False


def _counts(shown: str, cited: Sequence[tuple[str, Figure]]) -> dict[str, float]:
    by_share = re.search(r"\b(?:share|proportion|percentage|rate)\b", shown, re.IGNORECASE)
    by_users = re.search(r"\busers?\b", shown, re.IGNORECASE)
    counts: dict[str, float] = {}
    for _, figure in cited:
        noun = "user" if by_users else "complaint"
        count = figure.measure is Measure.COUNT and figure.noun == noun and figure.sense != "urgent"
        if figure.label and (figure.measure is Measure.SHARE if by_share else count):
            label = figure.label.casefold() if is_day(figure) else normal(figure.label)
            counts.setdefault(label, figure.amount)
    return counts


def _mostly(shown: str, places: Sequence[tuple[int, int, str]], counts: Counts) -> Iterator[str]:
    match = _MOSTLY.search(shown)
    after = next((name for start, _, name in places if match and start >= match.end()), None)
    if match and after is not None:
        mine = counts.get(after)
        if mine is None or any(held > mine for held in counts.values()):
            yield f"{match[0]!r} {after!r}: no fact that the sentence cites says so"


def _only(shown: str, places: Sequence[tuple[int, int, str]], counts: Counts) -> Iterator[str]:
    for start, _, name in places:
        others = [v for n, v in counts.items() if n != name]
        if _ONLY.search(shown[:start]) and (name not in counts or any(others)):
            yield f"only {name!r}: no fact that the sentence cites says so"


def _than(shown: str, places: Sequence[tuple[int, int, str]], counts: Counts) -> Iterator[str]:
    match = _THAN.search(shown) or _AHEAD.search(shown)
    if match is None:
        return
    # "US has more than IN", and "more come from US than from IN".
    one = next((name for _, end, name in reversed(places) if end <= match.end()), None)
    other = next((name for start, _, name in places if 0 <= start - match.end() <= NEAR), None)
    if one is None or other is None:
        return
    less = match["how"].lower() in _LESS
    known = one in counts and other in counts
    right = known and (counts[one] < counts[other] if less else counts[one] > counts[other])
    if not right:
        yield f"{match[0]!r}: no fact that the sentence cites says so of {one!r} and {other!r}"


def _tops(shown: str, places: Sequence[tuple[int, int, str]], counts: Counts) -> Iterator[str]:
    """Yield superlatives of a named part or day that is not at the end of its list of counts."""
    for start, end in _clauses(shown):
        clause = _IDIOM.sub(lambda m: " " * len(m[0]), shown[start:end])
        match = _TOP.search(clause)
        inside = [(at, name) for at, _, name in places if start <= at < end]
        if match is None or not inside:
            continue
        said_at = start + match.start()
        best = min if match["how"].lower() in _LOW else max
        days = {name for name, _ in counts.items() if re.match(r"\d{1,2} [a-z]{3}$", name)}
        # The superlative is of the name right beside it; others may be told in passing.
        _, name = min(inside, key=lambda one: abs(one[0] - said_at))
        rivals = [v for n, v in counts.items() if (n in days) == (name in days)]
        if name not in counts or counts[name] != best(rivals):
            yield f"{match[0]!r} {name!r}: no fact that the sentence cites says so"


def _clauses(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in re.finditer(r"[;.!?](?=\s|$)|\b(?:while|whereas|but)\b", text):
        yield start, match.start()
        start = match.end()
    yield start, len(text)
