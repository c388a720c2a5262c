"""Checks that a text names nothing that is not on the sheet: no word, owner, version, link, markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from closeloop.domain.brief import Sentence
from closeloop.domain.grounding.mentions import mentions, normal
from closeloop.domain.grounding.numbers import REPORTING
from closeloop.domain.grounding.sheet_view import SheetView
from closeloop.domain.grounding.vocabulary import ACTION_WORDS, is_plain, same_word, word_set

_WORD = re.compile(r"(?<![\w·])[^\W\d_]+(?:['’-][^\W\d_]+)*(?![\w·])")
_IDENTIFIER = re.compile(r"(?<![\w.])(?=[\w./-]*\d)(?=[\w./-]*[A-Za-z])[A-Za-z0-9][\w./-]*\w")
_UNIT_ENDS = re.compile(
    r"\d+(?:[.,]\d+)*(?:%|x|×|h|hrs?|d|min|s|st|nd|rd|th|k|m|bn|am|pm)?(?:-[a-z]+)*", re.I
)
_VERSION = re.compile(
    r"\b(?:version|release|build|update|v)\s*\.?#?(?P<value>\d+(?:\.\d+)*)\b"
    r"|(?<![\w.])(?P<dotted>\d+(?:\.\d+){2,})(?![\w.])",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"(?:https?|ftp|mailto|javascript|data)\s*:|://|\bwww\.|(?:\b|·)[\w·-]*\.(?:com|net|org|io|in|co|ru|cn|info|"
    r"biz|xyz|app|dev|link|me|ly|gg|html?|php|exe|apk)\b|@\w",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"[<>](?!\s?\d)|[`*|\\{}^~#$]|\]\(|!\[|__|&(?:\w+|#\d+);|^\s*[-=+@]|\n")
_TEAM = re.compile(
    r"\b(?P<who>[\w·-]+)[\s-](?:team|squad|department|group|crew|guild|desk)\b", re.IGNORECASE
)
_HANDED = re.compile(
    r"\b(?:owned by|owner(?: is|:)|assign(?:ed)?(?: it| this)? to|rout(?:e|ed)(?: it| this)? to|"
    r"escalated? to|hand(?:ed)?(?: it| this)?(?: over)? to|belongs to|responsib(?:le|ility)(?: is| of)?|"
    r"contact|notify|page|call|led by)\s+(?:the\s+)?(?P<who>[\w·][\w·-]*)",
    re.IGNORECASE,
)
_ROLES = word_set(
    "support product engineering leadership owning responsible the this that owner owners same other "
    "whole each every your our their right customers customer affected one team teams it a an its "
    "not no by rules rule with for in on and be who whoever any recommended named closeloop"
)
_PARTS = re.compile(r"[^\W\d_]+")


def name_problems(field: str, text: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    """Yield what a sentence names that is not on the sheet; `text` is it without quotations."""
    yield from _strange_characters(text)
    clean = view.without_names(normal(text))
    for match in (_LINK.search(clean), _MARKUP.search(clean)):
        if match is not None:
            yield f"{match[0].strip()[:20]!r}: links and markup are not on the fact sheet"
    yield from _versions(clean)
    yield from _identifiers(clean, view)
    for mention in mentions(clean):
        clean = clean[: mention.start] + "·" * (mention.end - mention.start) + clean[mention.end :]
    yield from _owners(clean, view)
    yield from _other_owners(normal(text), view)
    yield from _other_scripts(clean, view)
    yield from _words(field, clean, sentence, view)


def _strange_characters(text: str) -> Iterator[str]:
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"):
            yield f"U+{ord(character):04X}: control characters are not on the fact sheet"
            return


def _other_scripts(clean: str, view: SheetView) -> Iterator[str]:
    for run in re.findall(r"[^\W\d_]+", clean):
        if not run.isascii() and run.lower() not in view.words:
            yield f"{run[:30]!r} is not on the fact sheet"


def _versions(clean: str) -> Iterator[str]:
    for match in _VERSION.finditer(clean):
        yield f"the version {match['value'] or match['dotted']!r} is not on the fact sheet"


def _identifiers(clean: str, view: SheetView) -> Iterator[str]:
    for match in _IDENTIFIER.finditer(clean):
        token = match[0]
        if _UNIT_ENDS.fullmatch(token) or re.fullmatch(r"[Pp][1-4]", token):
            continue
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}T[\d:]+Z?", token):
            continue
        if token.lower() not in view.words:
            yield f"{token[:40]!r} is not on the fact sheet"


def _owners(clean: str, view: SheetView) -> Iterator[str]:
    for pattern in (_TEAM, _HANDED):
        for match in pattern.finditer(clean):
            who = match["who"].lower().strip("-")
            known = not who.strip("·") or who in _ROLES or who in view.words
            if not known:
                yield f"{match['who'][:40]!r} as an owner is not on the fact sheet"


def _other_owners(shown: str, view: SheetView) -> Iterator[str]:
    """Yield where a name of the sheet that is not the owner's is given the work."""
    if not view.owner:
        return
    owner = normal(view.owner).casefold()
    starts = {place.start: place.name for place in view.places(shown)}
    for match in _HANDED.finditer(shown):
        name = starts.get(match.start("who"), "")
        if name and owner not in name.casefold() and name.casefold() not in owner:
            yield f"{name[:40]!r} is not the owner; by the rules it is {view.owner[:40]!r}"


def _words(field: str, clean: str, sentence: Sentence, view: SheetView) -> Iterator[str]:
    reported = frozenset(
        word
        for quotation in view.reviews_cited(sentence.ids)
        for word in view.review_words[quotation.feedback_id]
    )
    says_so = bool(REPORTING.search(sentence.text))
    title = field == "title"
    for match in _WORD.finditer(clean):
        shown = match[0].replace("’", "'")
        word = shown.lower().removesuffix("'s")
        if len(word) == 1 or same_word(word, view.words):
            continue
        if _all_parts_known(word, view):
            continue
        named = not title and shown[:1].isupper() and not _starts_sentence(clean, match.start())
        if is_plain(word) and not (named and not _common_capital(shown)):
            continue
        if field == "next_actions" and word in ACTION_WORDS and not named:
            continue
        if same_word(word, reported):
            if not says_so:
                yield f"{shown[:30]!r} is a customer's word: say that customers say so"
            continue
        kind = "name" if named else "word"
        yield f"the {kind} {shown[:30]!r} is not on the fact sheet"


def _all_parts_known(word: str, view: SheetView) -> bool:
    parts = _PARTS.findall(word)
    return len(parts) > 1 and all(is_plain(p) or same_word(p, view.words) for p in parts)


_CAPITALS = word_set(
    "january february march april may june july august september october november december jan feb "
    "mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday "
    "utc i am pm engineering support product leadership"
)


def _common_capital(shown: str) -> bool:
    return shown.lower() in _CAPITALS


def _starts_sentence(text: str, start: int) -> bool:
    return bool(re.search(r"(?:^|[.!?:;“”\"(–—-]\s*|\]\s*)$", text[:start].rstrip(" ")))
