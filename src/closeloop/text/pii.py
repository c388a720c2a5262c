"""Masks personal data: one quick look over all rows, a careful rewrite of the few it picks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.configuration import PiiRule
from closeloop.errors import RecogniserFaultError, SettingsError, redact
from closeloop.ports import Recognised, Recogniser
from closeloop.text.likely_names import likely
from closeloop.text.pii_rules import COMMON_LOOKS, DIGIT, GUARDS, MASKER_VERSION, RULES, Rule
from closeloop.text.tokens import ascii_digits, joinable_token

__all__ = ["MASKER_VERSION", "Masked", "Masker", "Span", "custom_rule", "masker_version"]

# What a rule or the regular expression engine can raise over a hostile text; each fails closed.
_FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

# A second, independent look over what was let through: none of these may be left in a text.
_RESIDUE = r"[0-9A-Za-z._%+\-]@[0-9A-Za-z\-]+\.[A-Za-z]{2,}"

BY_MODEL = "model"
"""Stands as the rule of a stretch that a model found."""
ASKED_TOGETHER = 512
"""Texts that a model is asked of at a time; one that fails is found among them."""
_FOREIGN_DIGIT = r"[^\P{Nd}0-9]"
_TOKEN_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,30}")
_OWN_TOKENS = frozenset(rule.token for rule in RULES)

Steps = tuple[str, ...]
"""Patterns that are asked one after another, each of the texts that the one before has left."""
KnownValues = tuple[tuple[str, str], ...]
"""(token, value) pairs that a row names in columns of its own, such as its order number."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch [start, end) of the text (in characters), and the token that takes its place."""

    start: int
    end: int
    token: str
    rule: str


@dataclass(frozen=True, slots=True)
class Masked:
    """Texts with their personal data replaced.

    `faults` say what failed on a row (by position); such a row's text is null: it goes nowhere.
    """

    texts: pa.Array
    faults: Mapping[int, str]
    rewritten: int


def custom_rule(rule: PiiRule) -> Rule:
    """Return a workspace's own rule; it is asked of every text and takes precedence.

    Raises SettingsError where the pattern does not compile, matches the empty text, or the token
    is no name in capitals.
    """
    token = rule.token.strip("<>").upper()
    if not _TOKEN_NAME.fullmatch(token):
        raise SettingsError(
            f"masking rule {redact(rule.name)} has the token {redact(rule.token)}",
            hint="give a name of capitals, digits and underscores, such as MEMBER_ID",
        )
    try:
        pattern = re.compile(rule.pattern)
    except re.error as error:
        raise SettingsError(
            f"masking rule {redact(rule.name)}: the pattern {redact(rule.pattern)} is no regular "
            f"expression ({error})",
            hint="correct pii.rules in closeloop.yaml; the syntax is that of Python's re",
        ) from error
    if pattern.search(""):
        raise SettingsError(
            f"masking rule {redact(rule.name)}: the pattern {redact(rule.pattern)} matches nothing "
            "at all as well",
            hint="write the pattern so that it needs at least one character",
        )
    return Rule(rule.name, token, pattern, look=None, joinable=rule.joinable)


def masker_version(rules: Sequence[PiiRule] = (), recogniser: Recogniser | None = None) -> str:
    """Return the version stored with a text: the table's, a hash of own rules, the model's."""
    model = "" if recogniser is None else f" with {recogniser.version}"
    if not rules:
        return MASKER_VERSION + model
    own = "\x1e".join(f"{r.name}\x1f{r.pattern}\x1f{r.token}\x1f{r.joinable}" for r in rules)
    return f"{MASKER_VERSION}+{hashlib.blake2b(own.encode(), digest_size=4).hexdigest()}{model}"


@dataclass(frozen=True)
class Masker:
    """Masks cleaned texts by a table of rules, the first rule that claims a stretch winning.

    `key` is the workspace's secret key; the same value gets the same token under it, in every
    batch. Texts that hold the literal form of a token ("<ORDER:…>") lose its brackets, so that
    nobody can forge one. A `recogniser` is asked after the rules, of texts that look as if they
    held what it finds; what it fails on goes nowhere.
    """

    key: bytes
    rules: tuple[Rule, ...] = RULES
    version: str = MASKER_VERSION
    recogniser: Recogniser | None = None
    _forged: re.Pattern[str] = field(init=False, repr=False)
    _steps: tuple[Steps | None, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Prepare what finds forged tokens."""
        more = frozenset() if self.recogniser is None else self.recogniser.tokens
        names = "|".join(sorted({rule.token for rule in self.rules} | _OWN_TOKENS | more))
        looks = [*(rule.look for rule in self.rules), (f"<(?:{names})[>:]",)]
        object.__setattr__(self, "_steps", _together(looks))
        object.__setattr__(self, "_forged", re.compile(rf"<({names})(:[0-9A-Fa-f]*)?>"))

    @classmethod
    def of(
        cls, *, key: bytes, own: Sequence[PiiRule] = (), recogniser: Recogniser | None = None
    ) -> Masker:
        """Return the masker of a workspace: its own rules first, the table, then its model."""
        return cls(
            key=key,
            rules=(*(custom_rule(rule) for rule in own), *RULES),
            version=masker_version(own, recogniser),
            recogniser=recogniser,
        )

    def look(self, texts: pa.Array) -> npt.NDArray[np.bool_]:
        """Return which rules could find something, [texts, rules + 1]; the last is forged tokens."""
        picked = np.zeros((len(texts), len(self.rules) + 1), dtype=np.bool_)
        for column, rows in enumerate(self._looked(texts)):
            picked[rows, column] = True
        return picked

    def _looked(self, texts: pa.Array) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the rows in which each rule could find something; the last are forged tokens.

        RE2 over the Arrow buffers; what looks have in common is asked once.
        """
        held: dict[Steps, tuple[npt.NDArray[np.int64], pa.Array]] = {
            (): (np.arange(len(texts)), texts)
        }
        for column, steps in enumerate(self._steps):
            if steps is None:
                search = self.rules[column].pattern.search
                found = [t is not None and bool(search(ascii_digits(t))) for t in texts.to_pylist()]
                yield np.flatnonzero(found)
            else:
                yield _narrowed(held, steps)[0]

    def find(
        self,
        text: str,
        *,
        known: Sequence[tuple[str, str]] = (),
        rules: Iterable[int] | None = None,
        recognised: Sequence[Recognised] = (),
    ) -> list[Span]:
        """Return what is to be masked, in order, without overlaps.

        `known` are values that the row itself names as (token, value), such as its order number;
        `rules` the positions of the rules to ask (all by default; the one behind the last are forged
        tokens), `recognised` what a model found.
        """
        text = ascii_digits(text)
        found: list[Span] = []
        asked = range(len(self.rules) + 1) if rules is None else rules
        for match in self._forged.finditer(text) if len(self.rules) in asked else ():
            _claim(found, Span(*match.span(), f"({match[1].lower()})", "literal token"))
        for token, value in known:
            for match in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text, re.IGNORECASE):
                _claim(found, Span(*match.span(), self._known(token, value), "known value"))
        guards: list[tuple[int, int]] | None = None
        for rule in (self.rules[position] for position in asked if position < len(self.rules)):
            for start, end in _candidates(rule, text):
                if rule.guarded:
                    guards = _guards(text) if guards is None else guards
                    if any(start < g_end and g_start < end for g_start, g_end in guards):
                        continue
                _claim(found, Span(start, end, self._token(rule, text[start:end]), rule.name))
        for stretch in recognised:
            guards = _guards(text) if guards is None else guards
            if not any(_holds(guard, stretch) for guard in guards):
                _claim(found, Span(stretch.start, stretch.end, f"<{stretch.token}>", BY_MODEL))
        return sorted(found, key=lambda span: span.start)

    def mask(
        self,
        text: str,
        *,
        known: Sequence[tuple[str, str]] = (),
        rules: Iterable[int] | None = None,
        recognised: Sequence[Recognised] = (),
    ) -> str:
        """Return the text with its personal data replaced by tokens; arguments as of find."""
        pieces: list[str] = []
        position = 0
        for span in self.find(text, known=known, rules=rules, recognised=recognised):
            pieces += (text[position : span.start], span.token)
            position = span.end
        return "".join((*pieces, text[position:]))

    def mask_all(
        self, texts: pa.Array, *, known: Mapping[int, KnownValues] | None = None
    ) -> Masked:
        """Mask cleaned texts; `known` are values that rows (by position) themselves name.

        Fails closed: where a rule or the model failed, or an e-mail address is left, the text is
        null and the fault is named.
        """
        known = known or {}
        asked: dict[int, list[int]] = {row: [] for row in known}
        for position, found in enumerate(self._looked(texts)):
            for row in found.tolist():
                asked.setdefault(row, []).append(position)
        recognised, faults = self._recognised(texts)
        rows = np.array(sorted({*asked, *recognised, *faults}), dtype=np.int64)
        picked = np.zeros(len(texts), dtype=np.bool_)
        picked[rows] = True
        rewritten: list[str | None] = []
        for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
            if text is None or row in faults:
                rewritten.append(None)
                continue
            try:
                rewritten.append(
                    self.mask(
                        text,
                        known=known.get(row, ()),
                        rules=asked.get(row, ()),
                        recognised=recognised.get(row, ()),
                    )
                )
            except _FAULTS as fault:
                rewritten.append(None)
                faults[row] = f"the masker failed with {type(fault).__name__}"
        masked = pc.replace_with_mask(texts, pa.array(picked), pa.array(rewritten, pa.string()))
        left = np.flatnonzero(_matches(masked, "@"))
        left = left[_matches(masked.take(pa.array(left)), _RESIDUE)]
        if len(left):
            bare = np.zeros(len(masked), dtype=np.bool_)
            bare[left] = True
            masked = pc.if_else(pa.array(bare), pa.scalar(None, pa.string()), masked)
            faults |= {int(row): "an address is left after masking" for row in left}
        return Masked(texts=masked, faults=faults, rewritten=len(rows))

    def recognised_in(self, texts: Sequence[str]) -> list[list[Recognised]]:
        """Return what the model finds in each text; nothing where there is none or it isn't asked."""
        found, _ = self._recognised(pa.array(texts, pa.string()))
        return [found.get(row, []) for row in range(len(texts))]

    def _recognised(self, texts: pa.Array) -> tuple[dict[int, list[Recognised]], dict[int, str]]:
        """Return what the model found and where it failed, by row."""
        faults: dict[int, str] = {}
        if self.recogniser is None:
            return {}, faults
        rows = likely(texts, asked=self.recogniser.asked)
        found: dict[int, list[Recognised]] = {}
        for start in range(0, len(rows), ASKED_TOGETHER):
            part = rows[start : start + ASKED_TOGETHER]
            given = texts.take(pa.array(part)).to_pylist()
            try:
                answers = _checked(self.recogniser.recognise(given), given)
            except (RecogniserFaultError, *_FAULTS):
                answers = self._one_by_one(part, given, faults)
            found |= {row: a for row, a in zip(part.tolist(), answers, strict=True) if a}
        return found, faults

    def _one_by_one(
        self, rows: npt.NDArray[np.int64], texts: Sequence[str], faults: dict[int, str]
    ) -> list[list[Recognised]]:
        """Ask of each text alone, so that only those that the model fails on are held back."""
        assert self.recogniser is not None
        answers: list[list[Recognised]] = []
        for row, text in zip(rows.tolist(), texts, strict=True):
            try:
                answers += _checked(self.recogniser.recognise([text]), [text])
            except (RecogniserFaultError, *_FAULTS) as fault:
                answers.append([])
                faults[row] = f"the model that masks failed with {type(fault).__name__}"
        return answers

    def _token(self, rule: Rule, value: str) -> str:
        if not rule.joinable:
            return f"<{rule.token}>"
        return joinable_token(rule.token, value, key=self.key)

    def _known(self, token: str, value: str) -> str:
        joins = any(rule.joinable for rule in self.rules if rule.token == token)
        return joinable_token(token, value, key=self.key) if joins else f"<{token}>"


def _matches(texts: pa.Array, pattern: str) -> npt.NDArray[np.bool_]:
    found = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _checked(answers: list[list[Recognised]], texts: Sequence[str]) -> list[list[Recognised]]:
    """Return a model's answers. Raises ValueError where they are not about these texts."""
    inside = len(answers) == len(texts) and all(
        0 <= found.start < found.end <= len(text)
        for answer, text in zip(answers, texts, strict=True)
        for found in answer
    )
    if not inside:
        raise ValueError("the model's stretches are not inside its texts")
    return answers


def _holds(guard: tuple[int, int], stretch: Recognised) -> bool:
    """Whether a price, date, version or error code is all that a model found."""
    return guard[0] <= stretch.start and stretch.end <= guard[1]


def _together(looks: Sequence[Steps | None]) -> tuple[Steps | None, ...]:
    """Return the looks with one more step where several go on alike: all of them in one pattern.

    All texts are looked through once, for what any look begins with.
    """
    first = "|".join(f"(?:{p})" for p in dict.fromkeys(look[0] for look in looks if look))
    looks = [look if look is None else (first, *look) for look in looks]
    after: dict[Steps, list[str]] = {}
    for look in looks:
        for place, pattern in enumerate(look or ()):
            alike = after.setdefault((look or ())[:place], [])
            if pattern not in COMMON_LOOKS and pattern not in alike:
                alike.append(pattern)
    return tuple(None if look is None else _steps(look, after) for look in looks)


def _steps(look: Steps, after: Mapping[Steps, Sequence[str]]) -> Steps:
    steps: list[str] = []
    for place, pattern in enumerate(look):
        alike = after[look[:place]]
        if pattern in alike and len(alike) > 1:
            steps.append("|".join(f"(?:{one})" for one in alike))
        steps.append(pattern)
    return tuple(steps)


def _narrowed(
    held: dict[Steps, tuple[npt.NDArray[np.int64], pa.Array]], steps: Steps
) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Return the rows (and their texts) in which all patterns match, one after another."""
    if steps not in held:
        rows, texts = _narrowed(held, steps[:-1])
        found = _matches(texts, steps[-1])
        left = texts.filter(pa.array(found))
        held[steps] = (rows[found], _ascii_digits(left) if steps[-1] == DIGIT else left)
    return held[steps]


def _ascii_digits(texts: pa.Array) -> pa.Array:
    """Return texts with the digits of every script as ASCII's."""
    wide = pc.not_equal(pc.binary_length(texts), pc.utf8_length(texts))
    rows = np.flatnonzero(wide.to_numpy(zero_copy_only=False))
    rows = rows[_matches(texts.take(pa.array(rows)), _FOREIGN_DIGIT)]
    if not len(rows):
        return texts
    changed = [ascii_digits(text) for text in texts.take(pa.array(rows)).to_pylist()]
    places = np.zeros(len(texts), dtype=np.bool_)
    places[rows] = True
    return pc.replace_with_mask(texts, pa.array(places), pa.array(changed, pa.string()))


def _guards(text: str) -> list[tuple[int, int]]:
    return [m.span() for p, check in GUARDS for m in p.finditer(text) if not check or check(m)]


def _candidates(rule: Rule, text: str) -> Iterator[tuple[int, int]]:
    """Yield the stretches that a rule's pattern finds and its check accepts."""
    group = "value" if "value" in rule.pattern.groupindex else 0
    for match in rule.pattern.finditer(text):
        if rule.check is not None and not rule.check(match):
            continue
        start, end = match.span(group)
        stop = end if rule.end is None else rule.end(match)
        if stop is not None and start < stop:
            yield start, stop


def _claim(found: list[Span], new: Span) -> None:
    """Add a stretch unless an earlier claim covers it.

    What reaches over an earlier claim goes under that claim's token, so that no part is left.
    """
    crossed = [span for span in found if span.start < new.end and new.start < span.end]
    if any(span.start <= new.start and new.end <= span.end for span in crossed):
        return
    for span in crossed:
        found.remove(span)
    first = crossed[0] if crossed else new
    start = min((span.start for span in crossed), default=new.start)
    end = max((span.end for span in crossed), default=new.end)
    found.append(Span(min(start, new.start), max(end, new.end), first.token, first.rule))
