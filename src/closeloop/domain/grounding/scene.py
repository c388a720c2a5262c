"""Reads a sentence around its numbers: the words beside each, and the names they are said of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from closeloop.domain.brief import Measure
from closeloop.domain.grounding.mentions import IMPOSSIBLE, Mention
from closeloop.domain.grounding.sheet_view import NOBODY, SheetView

EXPECTED = re.compile(
    r"\b(?:expect\w*|baselines?|usual(?:ly)?|normal(?:ly)?|typical(?:ly)?|ordinar(?:y|ily)|predicted|"
    r"customary|would be)\b",
    re.IGNORECASE,
)
_CONTRAST = re.compile(
    r"\b(?:against|versus|vs|compared|instead|rather|than|when|where|while|whereas|although|but|though|"
    r"above|over|beyond|from|up|far|well|exceed\w*|and|times|got|came|per)\b|[.,;:()–—]",
    re.IGNORECASE,
)
_WINDOW = re.compile(r"\b(?:in|within|over|during|for|last|past|those|the|of)\s*$", re.IGNORECASE)
_LEADS_TO_SPAN = re.compile(
    r"\s*(?:in|over|during|for)?\s*(?:the|its)?\s*(?:previous|prior|preceding|last|past)?\s*", re.I
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A sentence without quotations, its mentions, and the labels that it names."""

    text: str
    mentions: Sequence[Mention]
    view: SheetView

    def stretch(self, place: int) -> str:
        """Return the words from the mention before to the mention after."""
        start = self.mentions[place - 1].end if place else 0
        last = place + 1 == len(self.mentions)
        end = len(self.text) if last else self.mentions[place + 1].start
        mention = self.mentions[place]
        before = re.split(r"[.;]\s", self.text[start : mention.start])[-1]
        after = re.split(r"[.;](?:\s|$)", self.text[mention.end : end], maxsplit=1)[0]
        return f"{before} {mention.written} {after}"

    def wide_stretch(self, place: int) -> str:
        """Return the stretch, and what lies beyond a length of time right beside the mention."""
        stretch = self.stretch(place)
        if place and self.mentions[place - 1].measure is Measure.SPAN:
            stretch = f"{self.stretch(place - 1)} {stretch}"
        following = self.mentions[place + 1 : place + 2]
        if following and following[0].measure is Measure.SPAN:
            between = self.text[self.mentions[place].end : following[0].start]
            if _LEADS_TO_SPAN.fullmatch(between):
                stretch = f"{stretch} {self.stretch(place + 1)}"
        return stretch

    def said_expected(self, place: int) -> bool:
        """Return whether the words right beside a mention say that it was expected."""
        mention = self.mentions[place]
        last = place + 1 == len(self.mentions)
        end = len(self.text) if last else self.mentions[place + 1].start
        start = self.mentions[place - 1].end if place else 0
        after = _CONTRAST.split(self.text[mention.end : end], maxsplit=1)[0]
        before = _CONTRAST.split(self.text[start : mention.start])[-1]
        return bool(EXPECTED.search(after) or EXPECTED.search(before))

    def window(self, place: int) -> float | None:
        """Return the hours of the length of time that a count is said to be of, if any."""
        following = next(
            (m for m in self.mentions[place + 1 :] if m.measure is not Measure.MOMENT), None
        )
        for other, between in (
            (following, self.text[self.mentions[place].end : following.start if following else 0]),
            (self._span_before(place), ""),
        ):
            if other is None or other.measure is not Measure.SPAN or ";" in between:
                continue
            lead = self.text[: other.start]
            if _WINDOW.search(lead) and not re.match(
                r"\s+(?:before|after|later|earlier)", self.text[other.end :]
            ):
                return other.amount
        return None

    def _span_before(self, place: int) -> Mention | None:
        for other in reversed(self.mentions[:place]):
            if other.measure is Measure.MOMENT:
                continue
            crossed = re.search(r"[.;]\s", self.text[other.end : self.mentions[place].start])
            return None if crossed else other
        return None


Named = Sequence[tuple[int, int, str]]
"""Names or days where a text holds them: (start, end, name in lower case), in order."""


def names_in(text: str, view: SheetView) -> Named:
    names = [(p.start, p.end, p.name.casefold()) for p in view.places(text)]
    nobody = re.finditer(r"\bnone of\b|\bno (?:known )?change\b", text, re.IGNORECASE)
    return sorted([*names, *((*match.span(), NOBODY) for match in nobody)])


def days_in(scene: Scene) -> Named:
    return day_names(scene.mentions)


def day_names(mentions: Sequence[Mention]) -> Named:
    """Return the days among mentions, as figures of a day are labelled ("5 mar")."""
    days = []
    for mention in mentions:
        # An impossible date (31 February) stands for no day.
        possible = mention.amount > IMPOSSIBLE
        if mention.measure is Measure.MOMENT and mention.unit == "day" and possible:
            day = datetime.fromtimestamp(mention.amount * 60, UTC)
            days.append((mention.start, mention.end, f"{day.day} {day:%b}".casefold()))
    return days


def labels_of(scene: Scene, text: str, names: Named) -> dict[int, set[str]]:
    """Return which names each mention is said of: those of its part of the sentence, else the next.

    In a part with one name, its numbers are of that name. In a part with several, they are of the
    name before them where a name comes first, and of the name after them where a number does.
    """
    labels: dict[int, set[str]] = {}
    for start, end in _parts(text):
        inside = [n for n in names if start <= n[0] < end]
        places = [i for i, m in enumerate(scene.mentions) if start <= m.start < end]
        counted = [i for i in places if scene.mentions[i].measure is not Measure.MOMENT]
        for place in places:
            at = scene.mentions[place].start
            before, after = [n for n in inside if n[1] <= at], [n for n in inside if n[0] > at]
            first = bool(inside) and not any(scene.mentions[i].end <= inside[0][0] for i in counted)
            said = _said_of(before, after, led=first) or {n[2] for n in names if n[1] <= at}
            labels[place] = said or {n[2] for n in names}
    return labels


def _said_of(before: Named, after: Named, *, led: bool) -> set[str]:
    together = [*before, *after]
    if len({n[2] for n in together}) <= 1:
        return {n[2] for n in together}
    if led and before:
        return {before[-1][2]}
    return {after[0][2]} if after else {before[-1][2]}


def _parts(text: str) -> list[tuple[int, int]]:
    """Return the stretches between commas, semicolons and sentence ends (not within a number)."""
    cuts = [
        m.start()
        for m in re.finditer(
            r"[,;](?!\d{3}\b)(?!\s+\d{4}\b)(?!\s+\d{2}:\d{2})|[.](?=\s|$)|\b(?:while|whereas|but)\b",
            text,
        )
    ]
    edges = [0, *cuts, len(text)]
    return [(a, b) for a, b in pairwise(edges) if a < b]
