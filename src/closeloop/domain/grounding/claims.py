"""Checks claims without a figure: denials, guesses, feelings, evenness, courses of days.

A number can be looked up; "there is no similar ticket" and "it may be one person" can't. So a text may
deny, guess and generalise only in the ways that a fact sheet bears.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from closeloop.domain.brief import Sentence
from closeloop.domain.grounding.mentions import mentions, normal
from closeloop.domain.grounding.numbers import REPORTING
from closeloop.domain.grounding.sheet_view import SheetView
from closeloop.domain.grounding.trend import daily_counts, falls, rises_daily

_DENIAL = re.compile(
    r"\b(?:not|no|none|never|nobody|nothing|nowhere|neither|nor|hardly|barely|scarcely|seldom|rarely|"
    r"without|lacks?|lacking|absent|free of|far from|fails? to|failed to|un(?:affected|related|harmed))\b"
    r"|\b(?:is|are|was|were|do|does|did|has|have|had|can|could|would|should|will)n['’]t\b|\bcannot\b",
    re.IGNORECASE,
)
_BORNE_DENIALS = re.compile(
    r"\bno (?:(?:known|other|single|such|further) )*(?:change|cause|release|candidate|explanation|flag)s?\b"
    r"|\bnone of (?:the |these |those )?(?:known |other )?(?:changes|candidates|releases|them|these)\b"
    r"|\b(?:not|nothing|isn['’]t|cannot|can['’]t|not to)(?: yet)?(?: been| be)?(?: yet)? "
    r"(?:blame|confirm|prov|known|name|naming|found|identif|establish|explain|calibrat|attribut|link|"
    r"clear|certain|sure|told|determin|settled|decided|final)\w*"
    r"|\bnothing is blamed\b|\bhas not been told\b|\bdo(?:es)? not (?:yet )?(?:name|tell|fit|explain|state|promise|"
    r"confirm|prove)\b|\bcannot be (?:blamed|named|tied|linked|confirmed)\b"
    r"|\b(?:\d[\d,]*|reviews|others|those|feedback) (?:(?:reviews|others) )?without\b|\bwithout (?:it\b|·|one\b|the change)"
    r"|\b(?:promise|name|give|tell|state|offer|mention) (?:no|none|nothing)\b"
    r"|\bwhether or not\b|\bif not\b|\bnot only\b|\bnot (?:least|yet\b(?= confirmed))|\bno (?:fewer|less|more) than (?=\d)"
    r"|\bnot (?:fewer|less|more) than (?=\d)|\bno (?:safety|fraud|legal)\b|\bnot everyone agrees\b"
    r"|\bdoes not complain\b|\bno (?:one )?other (?:change|cause|candidate)\b|\bno longer\b",
    re.IGNORECASE,
)
_GUESS = re.compile(
    r"\b(?:may|might|could|perhaps|maybe|possibly|presumably|supposedly|apparently|seemingly|must have|"
    r"would have|should have|ought to have)\b",
    re.IGNORECASE,
)
_MAY_GUESS = re.compile(
    r"\b(?:caus\w*|blam\w*|link\w*|behind|explain\w*|explanation|likel\w*|probab\w*|confirm\w*|candidate|"
    r"tell|told|say|said|names?|naming|answer\w*|reply|inform\w*|ask\w*)\b",
    re.IGNORECASE,
)
_PLEASED = re.compile(
    r"\b(?:happy|happier|glad|pleased|delighted|satisfied|contented|praise[sd]?|praising|thank(?:s|ed|ful)?|"
    r"love[sd]?|enjoy\w*|(?:likes?|liked) (?:it|the)|everything (?:is|was|works?|worked)|"
    r"works? again|working again|worked|all is well|no complaints?)\b",
    re.IGNORECASE,
)
_EVEN = re.compile(
    r"\b(?:even(?:ly)?|equal(?:ly|s)?|(?<!times )as many|(?:the )?same (?:number|share|amount|level|rate)|"
    r"uniform(?:ly)?|everywhere|identical(?:ly)?|regardless of|across (?:all|every)|"
    r"as (?:much|often|badly|hard) as|(?:in|on|from) (?:all|every|each) (?:\w+ )?(?:regions?|versions?|tiers?|platforms?|countr\w+|segments?|parts?))\b"
    r"(?! (?:though|if|so|when|as|the)\b)",
    re.IGNORECASE,
)
_LOOSE = re.compile(
    r"\b(?:(?<!a )few (?:of|\w*)|a few|rare(?:ly)?|sporadic(?:ally)?|occasional(?:ly)?|scarce)\b"
    r"|\btoo (?:high|low|severe|strict|grave|cautious)\b"
    r"|\bratings? (?:is|are|was|were|remains?|stays?) (?:\w+ )?(?:good|high|fine|excellent|positive|great)\b"
    r"|\bconfidence (?:is|was) (?:\w+ )?(?:high|full|complete|good|great|strong)\b"
    r"|\b(?:is|are|was) (?:very |quite |fully |absolutely )?(?:sure|certain)\b"
    r"|\b(?:customers?|users?|authors?|people|everyone) (?:should|must|need to|have to|ought to|are to|are asked to)\b",
    re.IGNORECASE,
)
_SEVERAL_TICKETS = re.compile(
    r"\b(?:several|many|multiple|numerous|various|two|three|some)\b[^,;.]{0,20}\btickets\b",
    re.IGNORECASE,
)
_RANKED = re.compile(
    r"\b(?:(?:very )?first|earliest|newest|oldest|latest|last) (?:complaints?|customers?|reviews?|reports?|authors?)\b"
    r"|\bnew (?:customers?|authors?|users?|people|persons?|reviewers?|clients?)\b"
    r"|\b(?:newer|older|earlier|later) (?:than|version|release)\b|\b(?:on|over|at|during|since) the weekend\b",
    re.IGNORECASE,
)
_AVERAGE = re.compile(r"\b(?:on average|averag\w*|median)\b", re.IGNORECASE)
_EVERY_DAY = re.compile(
    r"\b(?:every|each) (?:single )?day\b|\bday (?:by|after|on) day\b|\bfrom day to day\b|\bdaily\b"
    r"|\b(?:steadily|continuously|constantly|consistently|ceaselessly|relentlessly)\b",
    re.IGNORECASE,
)
_RISING = re.compile(
    r"\b(?:ris(?:e|es|ing|en)|rose|gr(?:ow|ows|owing|own|ew)|increas\w*|climb\w*|mount\w*|worsen\w*|accelerat\w*)\b",
    re.IGNORECASE,
)
_FALLING = re.compile(
    r"\b(?:fall(?:s|ing|en)?|fell|declin\w*|decreas\w*|drop(?:s|ped|ping)?|shrink\w*|shrank)\b",
    re.I,
)
_THE_CAUSE = re.compile(
    r"\b(?:the|this|its) (?:likely )?(?:cause|link|attribution)\b", re.IGNORECASE
)
_LEVEL = re.compile(r"\bP[1-4]\b")
_TICKET_STATE = re.compile(
    r"\btickets?\b[^.;]*\b(?P<state>open|closed|fixed|verified|failed|reopened|acknowledged|resolved|done)\b"
    r"|\b(?P<before>open|closed|fixed|verified|failed|reopened|acknowledged|resolved) ticket",
    re.IGNORECASE,
)


def claim_problems(field: str, text: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    """Yield claims of a sentence, its quotations aside, that no fact bears and no figure shows."""
    shown = view.without_names(normal(text))
    cited = [view.facts[i] for i in sentence.ids if i in view.facts]
    topics = {f.topic for f in cited}
    if field != "next_actions":
        yield from _unanchored(text, sentence, view)
        yield from _denials(shown, sentence, view)
        yield from _guesses(shown)
    pleased = _PLEASED.search(shown)
    if pleased and not any(q.role == "dissenting" for q in view.reviews_cited(sentence.ids)):
        yield f"{pleased[0]!r}: no review that the sentence cites says so"
    for pattern in (_EVEN, _RANKED, _LOOSE):
        match = pattern.search(shown)
        if match:
            yield f"{match[0]!r}: no fact says so"
    average = _AVERAGE.search(shown)
    if average and "ratings" not in topics:
        yield f"{average[0]!r}: no fact that the sentence cites gives an average"
    yield from _course(shown, view)
    for fact in cited:
        if "not calibrated" in fact.statement and re.search(
            r"(?<!not )\bcalibrated\b", shown, re.I
        ):
            yield "'calibrated': the fact says that it is not"
    if _SEVERAL_TICKETS.search(shown) and len(view.topic("past")) < 2:
        yield "'tickets': the sheet tells of one at most"
    yield from _ticket_state(shown, [f.statement for f in cited if f.topic == "past"])


def _unanchored(text: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    """Yield where a sentence holds nothing that the sheet could bear: it is about something else."""
    shown = normal(text)
    patterns = (_BORNE_DENIALS, _LEVEL, _THE_CAUSE)
    subject = [v.casefold() for f in view.topic("count") for v in f.values[6:8]]
    borne = any(p.search(shown) for p in patterns) or bool(view.places(shown))
    borne = borne or any(v in shown.casefold() for v in subject)
    reported = REPORTING.search(shown) and view.reviews_cited(sentence.ids)
    # A quotation is blanked as an ellipsis; so is a statement that is repeated word for word.
    if not (borne or reported or "…" in text or mentions(shown)):
        yield "holds no figure, name or quotation that a fact bears"


def _denials(shown: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    match = _DENIAL.search(_BORNE_DENIALS.sub(" … ", shown))
    if match is None:
        return
    reviews = view.reviews_cited(sentence.ids)
    if reviews and REPORTING.search(sentence.text):
        # Customers may say what does not work.
        return
    yield f"{match[0]!r}: no fact that the sentence cites denies it"


def _guesses(shown: str) -> Iterator[str]:
    for clause in re.split(r"[;.!?]\s|,\s", shown):
        match = _GUESS.search(clause)
        if match and not _MAY_GUESS.search(clause) and not re.search(r"\bMay\b", match[0]):
            yield f"{match[0]!r}: a guess about anything but the cause"


def _course(shown: str, view: SheetView) -> Iterator[str]:
    daily = _EVERY_DAY.search(shown)
    counts = daily_counts(view)
    if daily and _RISING.search(shown) and not rises_daily(counts):
        yield f"{daily[0]!r}: the counts of the days do not rise so"
    if daily and _FALLING.search(shown) and not falls(counts):
        yield f"{daily[0]!r}: the counts of the days do not fall so"


def _ticket_state(shown: str, statements: list[str]) -> Iterator[str]:
    match = _TICKET_STATE.search(shown) if statements else None
    if match:
        state = (match["state"] or match["before"]).lower()
        if not any(state in statement.lower() for statement in statements):
            yield f"{state!r}: the fact says otherwise of the ticket"
