"""Checks that a text neither changes what rules decided nor tells anybody to: severity, direction, acts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from closeloop.domain.brief import Sentence
from closeloop.domain.grounding.mentions import normal
from closeloop.domain.grounding.sheet_view import SheetView
from closeloop.domain.grounding.trend import daily_counts, falls
from closeloop.domain.grounding.vocabulary import word_set

_LEVEL = re.compile(r"\b(?:P|SEV|S|priority|severity)[\s-]?(?P<level>[0-9])\b", re.IGNORECASE)
_MILD = re.compile(
    r"\b(?:minor|trivial|cosmetic|negligible|harmless|insignificant|unimportant|low[- ](?:severity|"
    r"priority|urgency|impact|risk)|not (?:urgent|severe|serious|critical|important|an? (?:issue|problem))|"
    r"no (?:urgency|impact|risk|issue|problem|action|need|cause for concern)|non-urgent|can wait|false alarm|"
    r"isolated (?:case|incident)s?|handful|nothing to (?:do|worry)|no longer|can be ignored|ignore\w*|"
    r"safely|noise|normal range|safe to|works? (?:as|well|fine|properly|normally)|working (?:as|well|fine|properly)|as it should|as usual|business as usual|not real)\b",
    re.IGNORECASE,
)
_GRAVE = re.compile(
    r"\b(?:catastroph\w*|disast\w*|unprecedented|record[- ]high|worst(?:[- ]ever)?|all[- ]time|emergency|"
    r"blocker|critical(?:ly)?|highest (?:severity|priority|urgency)|top priority|high[- ](?:severity|priority)|"
    r"most severe|severe(?:ly)?)\b",
    re.IGNORECASE,
)
_OVER = re.compile(
    r"\b(?:(?:is|are|was|were|been|now|already|being|has|have)\s+(?:\w+\s+)?(?:resolved|fixed|solved|over|ended|stopped|gone|"
    r"subsided|eased|recovered|restored|back to normal|closed|settled)|self-resolved|resolved itself)\b",
    re.IGNORECASE,
)
_DOING = re.compile(
    r"\b(?:is|are|has|have|been|already|was|were)\s+(?:\w+\s+)?(?:known to|aware|investigating|working on|informed|"
    r"notified|accepted|agreed|taken over|begun|started (?:to|on|work)|assigned|looking into|under investigation|found the|identified the|apologi[sz]ed|acknowledged)\b",
    re.IGNORECASE,
)
_FUTURE = re.compile(
    r"\b(?:will (?:be |soon be )?(?:fixed|resolved|solved|refunded|compensated|restored|end|stop|released|"
    r"disappear|return|recover)|(?:a |the )?fix (?:is|will|has been|was) (?:available|ready|released|coming|deployed|rolled)|"
    r"(?:by|before|until|within) (?:tomorrow|tonight|the end of|next week|end of day)|expected to (?:be fixed|end|grow|rise|fall)|"
    r"going to)\b",
    re.IGNORECASE,
)
_RELATIVE = re.compile(
    r"\b(?:yesterday|tomorrow|tonight|(?:last|this|next) (?:week|month|year|night|quarter|weekend)|this morning)\b",
    re.IGNORECASE,
)
_DOWN = re.compile(
    r"\b(?:fall(?:s|ing|en)?|fell|declin\w*|decreas\w*|drop(?:s|ped|ping)?|eas(?:e|es|ed|ing)|subsid\w*|"
    r"shrink\w*|slow(?:s|ed|ing) down|going down|went down|improv\w*)\b",
    re.IGNORECASE,
)
_BELOW = re.compile(
    r"\b(?:below|under|fewer than|less than|lower than|short of|no more than|within|in line with|matching|"
    r"close to|near)\s+(?:the\s+|what\s+(?:was|is)\s+|its\s+|their\s+)?(?:expected|expectations?|baseline|usual|normal|typical|average)\b",
    re.IGNORECASE,
)
_ABOVE = re.compile(
    r"\b(?:above|over|more than|higher than|beyond|exceed(?:s|ed|ing)?)\s+(?:the\s+|what\s+(?:was|is)\s+|its\s+)?"
    r"(?:expected|expectations?|baseline|usual|normal|typical|average)\b",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(
    r"\b(?:ignor(?:e|es|ing)|disregard\w*|dismiss\w*|suppress\w*|downgrad\w*|delet\w*|eras\w*|refund\w*|compensat\w*|"
    r"reimburs\w*|pay(?:s|ing)?\s+(?:out|back|every|all|each|the customers?)|transfer\w*|wire|bribe|reward\w*|voucher\w*|coupon\w*|"
    r"gift\w*|password\w*|credentials?|secret\w*|tokens?\b|api key|click\w*|visit\w*|download\w*|"
    r"install\w*|uninstall\w*|five[- ]star|5[- ]star|rate (?:us|the app)|"
    r"close (?:the|this|that|it|all|every)\b|(?:lower|reduce|set|change|raise|override|mark)\s+(?:the |its |this |that )?"
    r"(?:severity|priority|urgency|owner|status)\b|do not (?:open|create|file|raise|escalate|act|tell|investigate|report)|"
    r"don't (?:open|create|file|raise|escalate|act|tell|investigate)|no ticket|without (?:a )?ticket|never open|"
    r"stop (?:the )?(?:analysis|reporting|monitoring|work)|mark (?:it |this |that )?as (?:resolved|spam|closed|done|praise)|"
    r"system prompt|instructions?|you are (?:now|an?)|act as|pretend\w*|jailbreak\w*|override\w*|bypass\w*|"
    r"forget\w*|obey\w*|hereby|administrators?|sudo|drop table|auto-?approve\w*|approv(?:e|es|ed|al)|"
    r"email|e-mail|telephone|whatsapp|telegram|fire|firing|sue|lawsuit|lawyer|press release|tweet|publish\w*|announce\w* publicly)\b",
    re.IGNORECASE,
)
_VERBS = word_set(
    "add agree align analyse analyze answer ask assess assign begin brief bring check clarify collect "
    "communicate compare confirm consider contact continue coordinate correct decide describe determine "
    "discuss document draft ensure escalate establish examine explain expect find focus follow gather get "
    "give group halt have hold identify inform inspect investigate involve isolate keep learn let link list "
    "listen look make map mark match measure monitor narrow note notify observe open pause plan prepare "
    "prioritise prioritize provide pull put quote re-check read recheck reach record reply report reproduce "
    "request respond retest return review revert roll route rule run sample search see send separate set "
    "share show start stop summarise summarize support take talk tell test trace track treat triage try "
    "turn understand update use validate verify wait warn watch weigh withdraw work write restore acknowledge "
    "reassure apologise apologize promise do once before after if until first then as with for while in when "
    "the owner engineering product leadership support customers also then next please immediately now"
)


def standing_problems(field: str, text: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    """Yield where a sentence gainsays the severity or the figures' direction, or tells to do harm."""
    shown = view.without_names(normal(text))
    yield from _severity(shown, view)
    yield from _direction(field, shown, sentence, view)
    yield from _acts(field, shown, sentence, view)


def _severity(shown: str, view: SheetView) -> Iterator[str]:
    for match in _LEVEL.finditer(shown):
        if view.severity and f"P{match['level']}" != view.severity:
            yield f"{match[0]!r}: the severity is {view.severity}"
    mild = _MILD.search(shown)
    if mild and view.severity != "P4":
        yield f"{mild[0]!r}: severity {view.severity or 'unknown'} does not say so"
    elif mild and re.match(r"false alarm|ignore|can be ignored|not real|noise", mild[0], re.I):
        yield f"{mild[0]!r}: the signal was raised by rules, and stands"
    grave = _GRAVE.search(shown)
    if grave and view.severity not in ("P1", "P2"):
        yield f"{grave[0]!r}: severity {view.severity or 'unknown'} does not say so"
    elif grave and re.match(
        r"catastroph|disast|unprecedented|record|worst|all|emergency", grave[0], re.I
    ):
        yield f"{grave[0]!r}: no fact says so"


def _direction(field: str, shown: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    topics = {view.facts[i].topic for i in sentence.ids if i in view.facts}
    ratio = view.ratio
    below, above = _BELOW.search(shown), _ABOVE.search(shown)
    if ratio is not None and below and ratio > 1:
        yield f"{below[0]!r}: the count is above what was expected"
    if ratio is not None and above and ratio < 1:
        yield f"{above[0]!r}: the count is below what was expected"
    down = _DOWN.search(shown)
    if (
        down
        and not ("trend" in topics and falls(daily_counts(view)))
        and not re.search(r"\b(?:whether|if|until|watch|should)\b", shown)
    ):
        yield f"{down[0]!r}: no fact that the sentence cites says so"
    over = _OVER.search(shown)
    if over and "past" not in topics:
        yield f"{over[0]!r}: no fact says that it is over"
    doing = _DOING.search(shown)
    if doing and field != "next_actions":
        yield f"{doing[0]!r}: no fact says what people know or do"
    future = _FUTURE.search(shown)
    if future:
        yield f"{future[0]!r}: nothing on the fact sheet says what will be"
    relative = _RELATIVE.search(shown)
    if relative:
        yield f"{relative[0]!r}: give the date of the fact sheet"


def _acts(field: str, shown: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    match = _FORBIDDEN.search(shown)
    if match and not _on_sheet(match[0], view, sentence):
        yield f"{match[0]!r}: no rule of the sheet asks for that"
    if field == "next_actions":
        words = re.findall(r"[A-Za-z][\w'’-]*", shown)
        if words and words[0].lower() not in _VERBS:
            yield f"{words[0][:30]!r} is no action that a brief may recommend"


def _on_sheet(words: str, view: SheetView, sentence: Sentence) -> bool:
    """Return whether the words are a fact's own (customers may complain about refunds)."""
    lowered = words.lower()
    facts = [view.facts[i].statement.lower() for i in sentence.ids if i in view.facts]
    about = [f.statement.lower() for f in view.topic("count")]
    if " " in lowered or lowered.startswith(
        ("ignor", "disregard", "suppress", "bypass", "overrid")
    ):
        return False
    return any(lowered in text for text in (*facts, *about))
