"""What a fact sheet allows to be stated: its figures, names, words, cause, severity and owner."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from closeloop.domain.brief import Fact, FactSheet, Figure, Measure, Quotation
from closeloop.domain.grounding.mentions import Mention, mentions, normal

_PARTS = ("versions", "platform", "region", "tiers", "segment", "exposure")
SHORT_NAME = 3
"""Names in capitals up to this length are told from words by their capitals."""

NOBODY = "none"
"""Label of what is said of "none of the known changes"."""

FREE = "free"
"""Sense of a figure that was only read from a statement: what it is of, signs alone can tell."""

_TOKEN = re.compile(r"<([A-Z][A-Z0-9_]*)(?::[^<>\s]*)?>")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_DAY = re.compile(r"\d{1,2} [A-Z][a-z]{2}")
_NUMERIC = re.compile(r"\d+(?:\.\d+)*")
CUES = (
    "version|versions|release|releases|v|build|builds|update|updates|app|flag|incident|article|"
    "config|configuration|change|and|on|of|in|since|for|with|than|from|to|vs|versus|or|blames?|blamed"
)
_CUED = re.compile(rf"(?:\b(?:{CUES})[\s#(“'’-]*|\bv)$", re.IGNORECASE)
_SURE_CUE = re.compile(
    r"(?:\b(?:version|versions|release|releases|v|build|update|flag|incident|article|config|"
    r"configuration|change)[\s#(“'’-]*|\bv)$",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\s*(?:%|percent|per cent|times\b|x\b|×|(?:[a-z-]+\s+){0,2}(?:complaints?|authors?|customers?|"
    r"reviews?|users?|orders?|points?|stars?|hours?|days?|minutes?|weeks?|people)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Change:
    """A change on the sheet: its kind, its name, the probability as written, whether blamed."""

    kind: str
    name: str
    posterior: str
    blamed: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A name of the sheet where a text holds it, at [start, end)."""

    start: int
    end: int
    name: str


def is_day(figure: Figure) -> bool:
    """Return whether a figure belongs to a day ("5 Mar") rather than to a name."""
    return _DAY.fullmatch(figure.label) is not None


def is_name(figure: Figure) -> bool:
    """Return whether a figure's label is a name: no day, no term of a sum, not "none of these"."""
    held = figure.measure not in (Measure.MOMENT, Measure.POINTS)
    return held and figure.label not in ("", NOBODY) and not is_day(figure)


def plain_tokens(text: str) -> str:
    """Return text with masked tokens in the one form that leaves the house: (order), (phone)."""
    return _TOKEN.sub(lambda m: f"({m[1].lower()})", text)


def words_in(text: str) -> list[str]:
    """Return the words of a normalised text, in lower case, a possessive 's cut off."""
    found = (w.replace("’", "'").lower() for w in _WORD.findall(text))
    return [w.removesuffix("'s") for w in found]


class SheetView:
    """A fact sheet, asked what it bears; ids are fact ids, feedback ids, and Q1, Q2 and so on."""

    def __init__(self, sheet: FactSheet) -> None:
        self.sheet = sheet
        self.facts: dict[str, Fact] = {f.fact_id: f for f in sheet.facts}
        self.quotations: dict[str, Quotation] = {q.feedback_id: q for q in sheet.quotations}
        self.quotations |= {f"Q{n}": q for n, q in enumerate(sheet.quotations, start=1)}
        self.names = tuple(
            sorted({normal(n) for n in self._all_names() if n.strip()}, key=lambda n: (-len(n), n))
        )
        self.figures: dict[str, tuple[Figure, ...]] = {
            f.fact_id: (*f.figures, *self._read(f)) for f in sheet.facts
        }
        self._pattern = _pattern_of(self.names)
        self._by_key = {_key(n): n for n in reversed(self.names)}
        self._places: dict[str, list[Place]] = {}

    def _all_names(self) -> Iterable[str]:
        yield from self.sheet.names
        for fact in self.sheet.facts:
            for figure in fact.figures:
                if is_name(figure):
                    yield figure.label
            if fact.topic in ("blamed", "candidate") and len(fact.values) > 1:
                yield fact.values[1]

    def knows(self, one: str) -> bool:
        """Return whether an id is on the sheet."""
        return one in self.facts or one in self.quotations

    def topic(self, *topics: str) -> list[Fact]:
        """Return the facts of these topics."""
        return [f for f in self.sheet.facts if f.topic in topics]

    @cached_property
    def severity(self) -> str:
        """P1..P4, "" where the sheet states none."""
        facts = self.topic("severity")
        return facts[0].values[0] if facts and facts[0].values else ""

    @cached_property
    def owner(self) -> str:
        """The owner by the rules, "" where the sheet states none."""
        facts = self.topic("owner")
        return facts[0].values[0] if facts and facts[0].values else ""

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """The candidates for the cause."""
        return tuple(
            Change(f.values[0], f.values[1], f.values[2], f.topic == "blamed")
            for f in self.topic("blamed", "candidate")
            if len(f.values) > 2
        )

    @cached_property
    def blamed(self) -> Change | None:
        """The change that is blamed, None where none is."""
        return next((c for c in self.changes if c.blamed), None)

    @cached_property
    def ratio(self) -> float | None:
        """Count over baseline, None where the sheet does not state it."""
        for fact in self.topic("count"):
            for figure in fact.figures:
                if figure.measure is Measure.TIMES:
                    return figure.amount
        return None

    @cached_property
    def part_labels(self) -> tuple[str, ...]:
        """Names of parts that counts are given for (regions, tiers, versions), but the subject's."""
        subject = " ".join(v for f in self.topic("count") for v in f.values[6:8]).casefold()
        found = {
            normal(figure.label)
            for fact in self.topic(*_PARTS)
            for figure in fact.figures
            if is_name(figure) and normal(figure.label).casefold() not in subject
        }
        return tuple(sorted(found))

    @cached_property
    def words(self) -> frozenset[str]:
        """The words of facts and names: a brief may use them anywhere."""
        held: set[str] = set()
        for text in (*(f.statement for f in self.sheet.facts), *self.names):
            held.update(words_in(normal(text)))
        return frozenset(held)

    @cached_property
    def review_words(self) -> dict[str, frozenset[str]]:
        """The words of each quotation by feedback id: only a sentence that cites it may use them."""
        return {q.feedback_id: frozenset(words_in(normal(q.text))) for q in self.sheet.quotations}

    def reviews_cited(self, ids: Sequence[str]) -> list[Quotation]:
        """Return the quotations among ids."""
        return [self.quotations[i] for i in ids if i in self.quotations]

    def figures_cited(self, ids: Sequence[str]) -> list[tuple[str, Figure]]:
        """Return the figures of the facts and reviews among ids, each with the id it is on."""
        found = [(i, figure) for i in ids for figure in self.figures.get(i, ())]
        for quotation in self.reviews_cited(ids):
            if quotation.rating is not None:
                stars = f"{quotation.rating:g}"
                rating = Figure(stars, Measure.RATING, quotation.rating)
                found.append((quotation.feedback_id, rating))
            minutes = quotation.event_time.timestamp() // 60
            moment = Figure(f"{quotation.event_time:%H:%M}", Measure.MOMENT, minutes)
            found.append((quotation.feedback_id, moment))
        return found

    def places(self, text: str) -> list[Place]:
        """Return where a text holds names of the sheet, the longest at each place, in order."""
        if self._pattern is None:
            return []
        found = self._places.get(text)
        if found is None:
            found = []
            for match in self._pattern.finditer(text):
                key = _key(match[0])
                name = self._by_key.get(key) or self._by_key[key.removeprefix("v")]
                if not _NUMERIC.fullmatch(name) or _is_version(text, match, name):
                    found.append(Place(*match.span(), name))
            self._places[text] = found
        return found

    def without_names(self, text: str, *, digits_only: bool = False) -> str:
        """Return text with the sheet's names blanked out, places kept."""
        for place in self.places(text):
            if not digits_only or any(c.isdigit() for c in place.name):
                blank = "·" * (place.end - place.start)
                text = text[: place.start] + blank + text[place.end :]
        return text

    def _read(self, fact: Fact) -> list[Figure]:
        """Return the numbers of a statement that the fact does not declare."""
        names = [normal(f.label) for f in fact.figures if f.label]
        text = normal(fact.statement)
        for name in sorted({*self.names, *names}, key=len, reverse=True):
            if any(c.isdigit() for c in name) and not _NUMERIC.fullmatch(name):
                text = text.replace(name, "·" * len(name))
        return [
            Figure(
                m.written,
                m.measure or Measure.COUNT,
                m.amount,
                noun=m.noun,
                sense="expected" if _says_expected(text, m) else FREE,
            )
            for m in mentions(text)
            if m.unit not in ("clock", "weekday") and not _declared(m, fact.figures)
        ]


def _says_expected(text: str, mention: Mention) -> bool:
    return bool(re.match(r"[\w\s]{0,24}\bexpected\b", text[mention.end :]))


def _declared(mention: Mention, figures: Sequence[Figure]) -> bool:
    if mention.measure is Measure.MOMENT:
        return any(
            f.measure is Measure.MOMENT
            and mention.amount <= f.amount <= (mention.upto or mention.amount)
            for f in figures
        )
    return any(abs(f.amount - mention.amount) < 1e-9 for f in figures)


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().lower()


def name_pattern(name: str) -> str:
    """Return what finds a name, to be used with IGNORECASE: "IN" is a region, "in" is none."""
    parts = [re.escape(part) for part in re.split(r"[\s_-]+", name) if part]
    joined = r"[\s_-]+".join(parts)
    return f"(?-i:{joined})" if len(name) <= SHORT_NAME and name.isupper() else joined


def _pattern_of(names: Sequence[str]) -> re.Pattern[str] | None:
    """Return what finds any of the names, the longest first; None where there are none.

    A name may be written with spaces, hyphens or underscores, in any case.
    """
    alternatives = []
    for name in names:
        if name.strip():
            before = r"(?<![\w.])v?" if name[:1].isdigit() else r"(?<!\w)"
            alternatives.append(before + name_pattern(name))
    if not alternatives:
        return None
    return re.compile(rf"(?:{'|'.join(alternatives)})(?!\w|\.\d)", re.IGNORECASE)


def _is_version(text: str, match: re.Match[str], name: str) -> bool:
    """Return whether a name of digits stands for the version here, not for a number."""
    start, end = match.span()
    if name.count(".") >= 2 or text[start : start + 1].lower() == "v":
        return True
    if _SURE_CUE.search(text[:start]):
        return not re.match(r"\s*%", text[end:])
    if _COUNTED.match(text, end):
        return False
    if re.match(r"\s*(?::|\()", text[end:]):
        return "." in name
    return "." in name and bool(_CUED.search(text[:start]) or not text[:start].strip())
