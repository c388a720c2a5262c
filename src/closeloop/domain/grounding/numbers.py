"""Checks that each number of a sentence is on a fact it cites, and is a number of the same thing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from closeloop.domain.brief import Figure, Measure, Sentence
from closeloop.domain.grounding.comparisons import comparison_problems, says_majority
from closeloop.domain.grounding.derivations import SIGNS, Derived, derive
from closeloop.domain.grounding.mentions import IMPOSSIBLE, Mention, mentions, normal, noun_of
from closeloop.domain.grounding.scene import EXPECTED, Scene, days_in, labels_of, names_in
from closeloop.domain.grounding.sheet_view import FREE, SheetView, is_day, name_pattern

ABOUT = 0.05
"""What is said to be about so many lies within this share of it (or within half, below ten)."""
FAR = 0.25
"""A bound ("more than 40") says something only within this share of the figure."""

_SIGNS = {
    "expected": EXPECTED,
    "before": re.compile(
        r"\b(?:before|usual\w*|previous\w*|earlier|prior|baseline|normal\w*|past|typical\w*)\b",
        re.I,
    ),
    "share": re.compile(
        r"\b(?:of|share|account\w*|portion|proportion|make up|made up|complain\w*|reviews?)\b", re.I
    ),
    "within": re.compile(r"\b(?:of|share|complain\w*|reviews?|feedback)\b", re.I),
    "posterior": re.compile(r"\b(?:likel\w*|probab\w*|posterior|chance)\b", re.I),
    "confidence": re.compile(r"\bconfiden\w*\b", re.I),
    "urgent": re.compile(r"\b(?:urgent\w*|money|safety|help|danger\w*|legal|fraud)\b", re.I),
    "rated": re.compile(r"\b(?:stars?|rat(?:ed|ings?))\b", re.I),
    "low": re.compile(r"\b(?:stars?|low\w*|negative|bad|poor\w*)\b", re.I),
    "product": re.compile(r"\b(?:product\w*|all|total|overall|of)\b|·", re.I),
    "exposed": re.compile(r"\b(?:with|on|of|version|release|expos\w*|same)\b", re.I),
    "unexposed": re.compile(r"\b(?:without|others?|rest|compar\w*|not|unexposed|against)\b", re.I),
    "interval": re.compile(r"\b(?:interval|between|range\w*|to|confidence|ci)\b|[\[(–-]", re.I),
    "threshold": re.compile(
        r"\b(?:threshold|needed|limit|bar|required|necessary|reach\w*)\b", re.I
    ),
    "raised": re.compile(r"\b(?:raised|detected|noticed|flagged|alarm\w*|signal\w*)\b", re.I),
    "past": re.compile(r"\b(?:tickets?|similar|past|before|earlier|previous\w*|opened)\b", re.I),
}
_BARE = {
    Measure.COUNT: re.compile(""),
    Measure.RATING: re.compile(r"\b(?:rat(?:ed|ings?)|stars?|mean|average)\b", re.I),
    Measure.POINTS: re.compile(r"\b(?:points?|score\w*|severity)\b", re.I),
    Measure.EVIDENCE: re.compile(r"\b(?:evidence|e-value|threshold)\b", re.I),
    Measure.ODDS: re.compile(r"\b(?:odds|interval|to|between)\b", re.I),
    Measure.WORTH: re.compile(r"\b(?:worth|value\w*|together|total\w*)\b", re.I),
    Measure.TIMES: re.compile(r"\b(?:ratio|factor|multiple)\b", re.I),
}
_OF_WHAT = re.compile(
    r"\s*(?:of|as many|more|the (?:usual|expected) number of)\s+(?:the\s+|all\s+|our\s+|its\s+)?(?P<what>[a-z]+)",
    re.I,
)
_OF_PART = re.compile(
    r"\b(?:on|from|in|for|among|by)\s+(?:the\s+)?(?:version|release|app|build)?\s*(?P<label>·+)",
    re.I,
)
_OF_COMPLAINTS = re.compile(
    r"\s*of\s+(?:all\s+|the\s+|these\s+|its\s+)?(?:\w+\s+)?complaints\b", re.I
)
_RATE = re.compile(
    r"\s*(?:\w+\s+){0,4}?(?<!half )(?:an?|per|each|every)\s+(?:day|hour|minute|week|month)\b(?! (?:before|after|later|earlier))|\s*(?:\w+\s+)?(?:daily|hourly|weekly)\b",
    re.IGNORECASE,
)
_AFTERWARDS = re.compile(r"\s+(?:after|before|later|earlier)\b", re.IGNORECASE)
_RAISED = re.compile(r"\b(?:raised|detected|noticed)\s+(?:on|at)?\s*$", re.IGNORECASE)
_BEGAN = re.compile(
    r"·[^,;.]{0,20}\b(?:began|started|rolled out|released|launched|went live|shipped)\s+(?:on|at|from)?\s*$",
    re.IGNORECASE,
)
_FROM = re.compile(r"\b(?:from|since|between|starting|began(?: on| at)?|beginning)\s*$", re.I)
_UNTIL = re.compile(r"(?:\b(?:to|until|till|through|ending|and|by)|–|-)\s*$", re.I)
_OF_OTHERS = re.compile(r"\bof\s+(?:the\s+|all\s+)?(?:product's\s+)?$", re.IGNORECASE)
_URGENT = re.compile(r"\burgent", re.IGNORECASE)
_LOW = re.compile(r"\b(?:at most|or fewer|or less|low|lowest)\b", re.IGNORECASE)
_LIKELY = re.compile(r"^[^,;]{0,12}\blikel|\bprobab", re.IGNORECASE)
_SENTENCE_WIDE = frozenset({"urgent", "rated", "low", "product", "raised", "past"})
_VAGUE = re.compile(
    r"\b(?:within|in|for|after|just|mere)\s+(?P<unit>minutes|hours|days|weeks|months)\b", re.I
)
_ALL = re.compile(
    r"(?<!of )(?<!at )\b(?P<how>nearly all|almost all|all|every|each|most|the majority|a majority|the bulk)\s+"
    r"(?:of\s+)?(?:the\s+|these\s+|those\s+)?(?:complaints?|customers?|authors?|users?|reviews?|them|"
    r"affected|reports?|cases?)\b",
    re.IGNORECASE,
)
_NONE = re.compile(
    r"\b(?:no|none of the|not one|not a single|zero)\s+(?:new\s+|further\s+|other\s+)?"
    r"(?:complaints?|customers?|authors?|users?|reviews?|orders?)\b",
    re.IGNORECASE,
)
_ONLY_ONE = re.compile(
    r"\b(?:only|just|a single|exactly|single)\s+(?:one\s+)?(?:complaint|customer|author|user|review|"
    r"order|person)\b",
    re.IGNORECASE,
)


def number_problems(text: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    """Yield what is wrong with the numbers of a sentence; `text` is it without quotations."""
    derived, bad = derive(sentence.derived, sentence.ids, view)
    yield from bad
    clean = view.without_names(normal(text), digits_only=True)
    scene = Scene(clean, mentions(clean), view)
    cited = view.figures_cited(sentence.ids)
    said = _in_reviews(sentence, view)
    shown = normal(text)
    labels_of_names = labels_of(scene, shown, names_in(shown, view))
    labels_of_days = labels_of(scene, shown, days_in(scene))
    for place, mention in enumerate(scene.mentions):
        if _follows(mention, derived, scene, place):
            continue
        if mention.measure is not Measure.MOMENT and (mention.amount, mention.measure) in said:
            continue
        reasons = [
            _misfit(scene, place, figure, labels) or _not_recent(scene, place, view, one, figure)
            for one, figure in cited
            for labels in (labels_of_days if is_day(figure) else labels_of_names,)
        ]
        if any(reason == "" for reason in reasons):
            continue
        close = next((r for r in reasons if r), None)
        if mention.unit == "ambiguous":
            close = "the date reads two ways; write it like 5 Mar 2024"
        yield f"{mention.written!r} {close or 'is not on the facts that the sentence cites'}"
    yield from _parts_of_less(scene)
    yield from _quantifiers(clean, shown, cited, view)
    yield from comparison_problems(shown, cited, view)


def _not_recent(
    scene: Scene, place: int, view: SheetView, fact_id: str, figure: Figure
) -> str | None:
    """Return why a figure of the last six hours is not what is stated; "" where it may be.

    None where it was no match in the first place.
    """
    if _misfit_value(scene.mentions[place], figure, scene.stretch(place)):
        return None
    fact = view.facts.get(fact_id)
    if fact is None or fact.topic != "six_hours" or figure.measure is not Measure.COUNT:
        return ""
    six = any(m.measure is Measure.SPAN and abs(m.amount - 6) < 0.01 for m in scene.mentions)
    return "" if six else "is of the last 6 hours, and the sentence does not say so"


def _parts_of_less(scene: Scene) -> Iterator[str]:
    for one, other in pairwise(scene.mentions):
        between = scene.text[one.end : other.start]
        counts = one.measure is None and other.measure is None
        if (
            counts
            and re.fullmatch(r"\s*(?:out\s+)?of\s+(?:the\s+)?", between)
            and one.amount > other.amount
        ):
            yield f"'{one.written} of {other.written}': a part is not larger than the whole"


def _follows(mention: Mention, derived: Sequence[Derived], scene: Scene, place: int) -> bool:
    for one in derived:
        if (mention.measure or Measure.COUNT) is not one.figure.measure and mention.measure:
            continue
        if mention.noun and one.figure.noun and not _same_noun(mention.noun, one.figure):
            continue
        sign = SIGNS.get(one.operation)
        if sign is not None and not sign.search(scene.stretch(place)):
            continue
        slack = 0.5 * 10.0**-one.decimals + 1e-9
        if mention.decimals == one.decimals and abs(mention.amount - one.figure.amount) <= slack:
            return True
    return False


def _in_reviews(sentence: Sentence, view: SheetView) -> set[tuple[float, Measure | None]]:
    """Return the numbers that cited reviews hold, where the sentence says that customers say so."""
    if not REPORTING.search(sentence.text):
        return set()
    return {
        (m.amount, m.measure)
        for q in view.reviews_cited(sentence.ids)
        for m in mentions(normal(q.text))
    }


REPORTING = re.compile(
    r"\b(?:customers?|reviewers?|authors?|users?|people|they|one|some|several|others|reviews?|complaints?)\s+"
    r"(?:\w+\s+){0,3}?(?:say|says|said|write|writes|wrote|report|reports|reported|describe|describes|"
    r"described|mention|mentions|mentioned|complain|complains|complained|tell|tells|told|call|calls|"
    r"ask|asks|asked|claim|claims|speak|speaks|note|notes|name|names|cite|cites)\b"
    r"|\baccording to\b|\bin (?:the|their) (?:customers?['’]?s?['’]? )?(?:own )?words\b|\breported\b",
    re.IGNORECASE,
)
"""Says that what follows is what customers say, not what closeloop has found."""


def _misfit(scene: Scene, place: int, figure: Figure, labels: dict[int, set[str]]) -> str | None:
    """Return "" where a mention states a figure, else why not; None where the value differs."""
    mention = scene.mentions[place]
    stretch = scene.stretch(place)
    if _misfit_value(mention, figure, stretch):
        return None
    if mention.noun and figure.measure is Measure.COUNT and not _same_noun(mention.noun, figure):
        return f"is a number of {figure.noun or 'something else'}s, not of {mention.noun}s"
    if figure.label and figure.measure is not Measure.MOMENT:
        named = labels.get(place)
        label = normal(figure.label).casefold()
        if figure.measure is Measure.POINTS:
            return "" if label in scene.text.casefold() else f"belongs to {figure.label!r}"
        if not any(label == n or label in n.split() for n in named or ()):
            return f"belongs to {figure.label!r}"
    elsewhere = _of_a_part(scene, place, figure)
    return elsewhere or _wrong_sense(scene, place, figure, stretch)


def _of_a_part(scene: Scene, place: int, figure: Figure) -> str:
    """Return why a figure of the whole is said of a part, or of other things than it is of."""
    if figure.sense in ("posterior", "confidence", "interval", FREE):
        return ""
    after = scene.text[scene.mentions[place].end :]
    if figure.measure in (Measure.SHARE, Measure.TIMES):
        of = _OF_WHAT.match(after)
        noun = noun_of(of["what"]) if of else ""
        if noun not in ("", "complaint", "review"):
            return f"is a figure of complaints, not of {noun}s"
    if figure.sense == "within" and _OF_COMPLAINTS.match(after):
        return "is a share of the feedback, not of the complaints"
    if figure.measure is Measure.COUNT and _RATE.match(after):
        return "is no rate"
    if figure.label or figure.measure not in (Measure.COUNT, Measure.SHARE):
        return ""
    part = re.split(r"[,;.](?:\s|$)|\b(?:while|whereas|but|and)\b", after, maxsplit=1)[0]
    said = _OF_PART.search(part)
    if said and said["label"].strip() == "·" * len(said["label"].strip()):
        return "is a figure of the whole, not of a version"
    for label in scene.view.part_labels:
        if re.search(
            rf"\b(?:on|from|in|for|among|by)\s+(?:the\s+)?(?:\w+\s+)?{name_pattern(label)}(?!\w)",
            part,
            re.I,
        ):
            return f"is a figure of the whole, not of {label!r}"
    return ""


def _misfit_value(mention: Mention, figure: Figure, stretch: str) -> bool:
    return not _same_measure(mention, figure, stretch) or not _same_value(mention, figure)


def _wrong_sense(scene: Scene, place: int, figure: Figure, stretch: str) -> str:
    mention = scene.mentions[place]
    if figure.measure is Measure.MOMENT:
        return _wrong_moment(scene, mention, figure, stretch)
    if figure.measure is Measure.COUNT and figure.sense != FREE:
        expected = scene.said_expected(place)
        if figure.sense == "expected" and not (expected or EXPECTED.search(stretch)):
            return "is what was expected, and the sentence does not say so"
        if figure.sense != "expected" and expected:
            return "was counted, not expected"
        window = scene.window(place)
        if None not in (figure.hours, window) and abs((window or 0) - (figure.hours or 0)) > 0.02:
            return "is of another length of time"
        wrong = _wrong_part(scene, place, figure, stretch)
        if wrong:
            return wrong
    later = _AFTERWARDS.match(scene.text[mention.end :])
    if figure.measure is Measure.SPAN and later and figure.sense == "window":
        return "is the length of the window"
    sign = _SIGNS.get(figure.sense)
    where = scene.text if figure.sense in _SENTENCE_WIDE else scene.wide_stretch(place)
    if sign is not None and figure.sense != "expected" and not sign.search(where):
        return f"is on the sheet as {figure.sense}, and the sentence does not say so"
    likely = mention.measure is Measure.SHARE and _LIKELY.search(
        stretch.rpartition(mention.written)[2]
    )
    if likely and figure.sense not in ("posterior", FREE):
        return "is not a probability"
    return ""


def _wrong_part(scene: Scene, place: int, figure: Figure, stretch: str) -> str:
    """Return why a count is said to be of a part that it is not of: the urgent, the low-rated."""
    if _OF_OTHERS.search(scene.text[: scene.mentions[place].start]):
        return ""
    if _URGENT.search(stretch) and figure.sense not in ("urgent", "expected"):
        return "is not the number of urgent ones"
    if _LOW.search(stretch) and "star" in scene.text and figure.sense == "rated":
        return "is not the number of low ratings"
    return ""


def _wrong_moment(scene: Scene, mention: Mention, figure: Figure, stretch: str) -> str:
    before = scene.text[: mention.start]
    if figure.sense == "end" and _FROM.search(before):
        return "is the end, not the beginning"
    if figure.sense == "start" and _UNTIL.search(before) and not _FROM.search(before):
        return "is the beginning, not the end"
    if _RAISED.search(before) and figure.sense != "raised":
        return "is not when the signal was raised"
    if _BEGAN.search(before) and figure.sense != "began":
        return "is not when the change began"
    if figure.sense in ("raised", "past"):
        sign = _SIGNS[figure.sense]
        if not sign.search(stretch) and not sign.search(scene.text):
            return f"is when it was {figure.sense}, and the sentence does not say so"
    return ""


def _same_measure(mention: Mention, figure: Figure, stretch: str) -> bool:
    if mention.measure is figure.measure:
        return mention.unit != "percentage points"
    if mention.measure is None:
        sign = _BARE.get(figure.measure)
        if sign is None or (mention.noun and figure.measure is not Measure.COUNT):
            # A noun far before a bare number may belong to another: the sign decides.
            return (
                sign is not None
                and figure.measure is not Measure.TIMES
                and bool(sign.search(stretch))
                and figure.measure
                in (Measure.RATING, Measure.WORTH, Measure.ODDS, Measure.EVIDENCE)
            )
        return bool(sign.search(stretch))
    if mention.measure is Measure.TIMES and figure.measure is Measure.ODDS:
        return "odds" in stretch.lower()
    if mention.measure is Measure.SHARE and figure.measure is Measure.TIMES:
        return False
    return mention.measure is Measure.POINTS and figure.sense == FREE


def _same_noun(noun: str, figure: Figure) -> bool:
    if not figure.noun or noun == figure.noun:
        return True
    if figure.noun == "author":
        return noun == "user"
    if figure.noun == "complaint" and figure.sense in ("rated", "low", "read"):
        return noun == "review"
    return False


def _same_value(mention: Mention, figure: Figure) -> bool:
    if figure.measure is Measure.MOMENT:
        return _same_moment(mention, figure)
    stated, true, how = mention.amount, figure.amount, mention.comparator
    bound = figure.written.strip()
    if bound.startswith(">") or bound.startswith("more than"):
        return how == "over" and stated == true
    if bound.startswith("<"):
        return how == "under" and stated == true
    if mention.upto is not None:
        return stated <= true < mention.upto
    if abs(stated - true) < 1e-9:
        return how not in ("over", "under", "nearly") or figure.sense in (FREE, "bound")
    if how == "about":
        slack = max(
            ABOUT * abs(true), 0.5 if true < 10 and mention.measure is not Measure.TIMES else 0.0
        )
        return abs(stated - true) <= slack
    if how in ("over", "least"):
        return true > stated >= (1 - FAR) * true
    if how in ("under", "nearly", "most"):
        slack = FAR if how != "nearly" else 2 * ABOUT
        return true < stated <= (1 + slack) * true
    third = mention.measure is Measure.SHARE and mention.decimals == 0 and stated != round(stated)
    return third and abs(stated - true) <= 0.5


def _same_moment(mention: Mention, figure: Figure) -> bool:
    exact = ":" in figure.written
    if mention.unit == "ambiguous" or mention.amount < IMPOSSIBLE:
        return False
    if mention.unit == "clock":
        return exact and figure.amount % 1440 == mention.amount
    moment = datetime.fromtimestamp(figure.amount * 60, UTC)
    if mention.unit == "weekday":
        return moment.weekday() == mention.amount
    if mention.year_known:
        low, high = mention.amount, mention.upto if mention.upto is not None else mention.amount
        if mention.unit == "minute" and not exact:
            return False
        return low <= figure.amount <= high
    stated = datetime.fromtimestamp(mention.amount * 60, UTC)
    if (stated.month, stated.day) != (moment.month, moment.day):
        return False
    same_clock = (stated.hour, stated.minute) == (moment.hour, moment.minute)
    return mention.unit == "day" or (exact and same_clock)


def _quantifiers(
    text: str, shown: str, cited: Sequence[tuple[str, Figure]], view: SheetView
) -> Iterator[str]:
    """Yield claims of all, most or none that the cited facts do not bear."""
    shares = [
        f.amount
        for _, f in cited
        if f.measure is Measure.SHARE
        and f.sense not in ("posterior", "before", "interval", "confidence", "within")
        and (not f.label or f.label.casefold() in shown.casefold())
    ]
    shares += [0.0] * any(f.measure is Measure.COUNT and f.amount == 0 for _, f in cited)
    for match in _ALL.finditer(text):
        least = {"all": 99.5, "every": 99.5, "each": 99.5}.get(match["how"].lower(), 50.01)
        least = 90.0 if match["how"].lower() in ("nearly all", "almost all") else least
        majority = least < 90.0 and says_majority(shown, cited, view)
        if not majority and not any(share >= least for share in shares):
            yield f"{match[0]!r}: no fact that the sentence cites says so"
    for match in _NONE.finditer(text):
        if 0.0 not in shares:
            yield f"{match[0]!r}: no fact that the sentence cites says so"
    for match in _ONLY_ONE.finditer(text):
        if not any(f.measure is Measure.COUNT and f.amount == 1 for _, f in cited):
            yield f"{match[0]!r}: no fact that the sentence cites says so"
    for match in _VAGUE.finditer(text):
        unit = match["unit"][:-1].lower()
        spans = [f.written for _, f in cited if f.measure is Measure.SPAN]
        if not any(unit in written for written in spans):
            yield f"{match[0]!r}: no fact that the sentence cites says so"
