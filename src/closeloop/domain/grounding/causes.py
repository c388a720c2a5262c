"""Checks what a text says of the cause: only what is blamed, with its doubt, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from closeloop.domain.grounding.mentions import normal
from closeloop.domain.grounding.sheet_view import Change, SheetView
from closeloop.domain.grounding.vocabulary import word_set

_CAUSAL = re.compile(
    r"\b(?:caus(?:e|es|ed|ing)|due to|owing to|because(?: of)?|thanks to|result(?:s|ed|ing)? (?:of|from)|"
    r"trigger(?:s|ed|ing)?|introduc(?:e|es|ed|ing)|stem(?:s|med|ming)? from|trac(?:e|ed|es|eable) (?:back )?to|"
    r"attribut(?:ed|able) to|root[- ]cause|linked to|link to|tied to|behind (?:it|this)\b|is behind|"
    r"(?:is|be|are|was|probably|likely|held) responsible|responsible for|to blame|blam(?:e|es|ed)|culprit|(?:likely|probable|possible|main|suspected|true|real|only) (?:cause|reason|explanation)|"
    r"(?:is|was|be) the (?:cause|reason|explanation)|broke|breaks|broken by|led to|leads to|"
    r"brought (?:about|on)|explain(?:s|ed)? by|explains|came with|comes with|stemmed|originat(?:e|es|ed|ing) (?:in|from|with)|"
    r"follow(?:s|ed|ing) (?:from )?(?=·|the (?:release|rollout|update|change|flag|launch))|"
    r"associated with|connected (?:to|with)|points? to|suspect(?:ed)?|implicat(?:ed|es)|regress(?:ed|ion)|"
    r"fault of|driven by|product of|arises? from|arose from|owes to|accounts for the|"
    r"(?:that|which|this) is why|that['’]s why|play(?:s|ed|ing) (?:a|its|some|any) (?:part|role)|"
    r"ma(?:de|kes?) (?:it|this|things|matters) (?:worse|better)|(?:started|began|set off) (?:it|this|the (?:trouble|problem|complaints))|"
    r"the (?:reason|cause|explanation) (?:is|was|lies|seems|may be|might be|could be)|"
    r"where (?:it|this|the \w+) (?:all )?(?:began|begins?|started|starts?)|lies? (?:with|in)\b|(?:ruled|rule) out)\b",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"\b(?:since|after|following|with|from the moment)\s+(?:the\s+)?(?:rollout of\s+|launch of\s+|start of\s+)?"
    r"(?:release|version|update|flag|change|rollout|launch|·)",
    re.IGNORECASE,
)
_SOME_CHANGE = re.compile(
    r"\b(?:(?:ever )?since|after|following|until|till|from|with|once|upon|by)\s+(?:the|an?|this|that|its|our|some)\s+"
    r"(?:\w+\s+)?(?:release|update|change|rollout|launch|deployment|version)\b(?! (?:before|with|without)\b)",
    re.IGNORECASE,
)
"""A change that is not named, told as the time from which there was trouble."""
_AGENT = re.compile(
    r"\b(?:teams?|owners?|staff|people|persons?|customers?|users?|somebody|someone|engineering|support|product|"
    r"leadership|departments?)\b[^,;.]{0,24}\b(?:caused|causes|triggered|introduced|broke|is responsible|are responsible|to blame)\b",
    re.IGNORECASE,
)
_DID = re.compile(
    r"^\s+(?:(?:likely|probably|possibly|also|then|have|has|had|may|might|could|must|itself|really|clearly)\s+)*"
    r"(?P<verb>\w+ed|made|broke|brought|put|took|sent|hit|hurt|cut|lets?|makes?|breaks?|sends?|does|did|stops?|"
    r"alters?|removes?|blocks?|slows?|turns?)\b",
    re.IGNORECASE,
)
_MAY_DO = word_set(
    "released launched rolled started blamed named considered compared looked weighed linked tied associated "
    "implicated suspected followed preceded received showed ranked reached needed caused triggered introduced "
    "explained checked reviewed confirmed coincided listed counted raised attributed traced unblamed"
)
"""What may be said of a change in one word: what a rule or a person did with it, or the cause itself."""
_RAISED = re.compile(r"\b(?:signal|raised|detected|noticed)\b", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"\bno (?:(?:known|other|single|further) )*(?:change|cause|release|candidate|explanation)\b|\bnone of\b|"
    r"\bcause (?:is|remains|was|of \w+ is) (?:still |not |as yet )?(?:un|not|open|being|unclear|looked)\w*|"
    r"\bunknown\b|\bunexplained\b|\bundetermined\b|\bnot (?:been )?(?:known|blamed|named|clear|found|"
    r"established|identified|explained|attributed|linked)\b|\bcannot be (?:blamed|named|tied|linked)\b|"
    r"\bwithout (?:a|any) (?:known |named )?(?:cause|change)\b|\bwhat changed\b|\bdo not name\b|\bno cause\b|"
    r"\bnot (?:fit|explain|point)\b|\bdoes not\b|\bdo not\b|\bhas not been told\b|\bunblamed\b|"
    r"\bcan't be (?:blamed|named)\b|\byet to be (?:found|named|known)\b|\bno (?:link|evidence)\b",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"\b(?:likel(?:y|iest|ihood)|probabl[ey]|probability|posterior|possib(?:le|ly)|may|might|could|suspect(?:ed|s)?|appears?|"
    r"seems?|suggests?|points? to|indicat(?:es|ed|ion)|blam(?:es?|ed)|link(?:ed)?|statistical(?:ly)?|"
    r"not (?:yet )?(?:been )?(?:confirmed|proven|established)|unconfirmed|to be confirmed|has to confirm|confirm|verify|hypothesis|"
    r"candidate|implicated|whether|associated|consistent with|tied|attributed|best explanation|unproven|if)\b",
    re.IGNORECASE,
)
_CERTAIN = re.compile(
    r"\b(?:certainly|definitely|undoubtedly|unquestionably|without (?:a )?doubt|no doubt|for certain|"
    r"proven|proves?|proof|guaranteed?|conclusively|indisputabl[ey]|beyond (?:any )?doubt|"
    r"root[- ]cause is|is the (?:root )?cause\b|the cause is(?! (?:still |as yet )?(?:not|un\w+|being|open|looked))|has caused|(?:is|was|been) confirmed|confirms|"
    r"established that|we know that|obviously|clearly|surely|of course)\b",
    re.IGNORECASE,
)
_NOT_CERTAIN = re.compile(
    r"\b(?:not|nothing|never|un|yet|isn't|hasn't|without|no|rather than|until|once|whether|before|"
    r"has to be|must be|should be|to be)\s+(?:[\w·]+\s+){0,5}$",
    re.IGNORECASE,
)
_NOT_BLAMED = re.compile(
    r"\b(?:not|isn't|never|no|nor|none|un(?:likely|blamed)|ruled out|does not|do not|did not|cannot|"
    r"hardly|neither|without|innocent|other candidates?|looked at|weighed|considered|compared|little)\b",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"\bno (?:known )?change\b|\bnone of the known changes\b", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(?:(?:is|was|be|been|are) (?:not|never|hardly)(?: to be)? (?:blamed|linked|tied|responsible|behind|"
    r"the cause|to blame|implicated|suspected|associated)|unlikely|ruled out|innocent|unblamed|isn't|wasn't|"
    r"not likely|not the (?:likely )?cause|unrelated)\b",
    re.IGNORECASE,
)
_THE_CAUSE = re.compile(
    r"\b(?:the|this|that|its) (?:likely )?(?:cause|link|attribution|blame)\b", re.IGNORECASE
)
_NEW_CAUSE = re.compile(
    r"(?:because(?: of)?|due to|caused by|triggered by|result of|results from|stems from|owing to|thanks to|driven by|"
    r"traced (?:back )?to|attributed to|explained by|originates (?:in|from|with)|root cause(?: is|:)?)\s+(?P<what>[^.;,]*)",
    re.IGNORECASE,
)


def cause_problems(field: str, text: str, view: SheetView) -> Iterator[str]:
    """Yield where a text says more, or surer, of the cause than the attribution does."""
    shown = normal(text)
    for clause in _clauses(shown):
        blanked = view.without_names(clause)
        named = [c for c in view.changes if _named(c, clause, view)]
        causal = _CAUSAL.search(blanked)
        if causal is None and not _RAISED.search(blanked):
            causal = _AFTER.search(blanked) if named else None
            causal = causal or (field != "next_actions" and _SOME_CHANGE.search(blanked)) or None
        yield from _deeds(field, clause, blanked, view)
        if causal is not None:
            yield from _of_cause(field, _Claim(causal[0], clause, blanked, shown, named), view)


def _deeds(field: str, clause: str, blanked: str, view: SheetView) -> Iterator[str]:
    """Yield what a change is said to have done, or people to have caused: no fact tells of either."""
    for place in view.places(clause):
        if any(_is(change, place.name) for change in view.changes):
            done = _DID.match(clause[place.end :])
            if done and done["verb"].lower() not in _MAY_DO:
                yield f"{done['verb']!r}: no fact says what {place.name[:40]!r} did"
    agent = _AGENT.search(blanked)
    if agent and field != "next_actions":
        yield f"{agent[0][:60]!r}: no fact says that people caused it"


def _clauses(text: str) -> list[str]:
    parts = re.split(r"[;]|(?<=[.!?])\s|,?\s\b(?:but|while|whereas|although|though)\b", text)
    return [part for part in parts if part.strip()]


@dataclass(frozen=True, slots=True)
class _Claim:
    """A clause that speaks of a cause: its causal words, itself with and without names, the whole
    text that it is in, and the changes that it names."""

    said: str
    clause: str
    blanked: str
    whole: str
    named: list[Change]

    @property
    def leaves_open(self) -> bool:
        return _UNKNOWN.search(self.blanked) is not None

    @property
    def points_elsewhere(self) -> bool:
        return _NEW_CAUSE.search(self.blanked) is not None

    def names_blamed(self) -> bool:
        return any(c.blamed for c in self.named)

    def excuses_all(self) -> bool:
        """Return whether it only says of changes that they are not blamed."""
        mine = [c for c in self.named if not c.blamed and self.excuses(c)]
        return bool(mine) and len(mine) == len(self.named) and not self.points_elsewhere

    def excuses(self, change: Change) -> bool:
        likely = change.posterior in self.clause and "likely" in self.clause.lower()
        return bool(_NOT_BLAMED.search(self.blanked)) or likely


def _of_cause(field: str, claim: _Claim, view: SheetView) -> Iterator[str]:
    certain = _CERTAIN.search(claim.blanked)
    if certain and not _NOT_CERTAIN.search(claim.blanked[: certain.start()]):
        yield f"{certain[0]!r}: a cause is never certain here"
    if field == "next_actions" and not certain and _is_task(claim, view):
        return
    if claim.excuses_all():
        return
    if view.blamed is None:
        if not claim.leaves_open or (claim.named and not _NOT_BLAMED.search(claim.blanked)):
            yield f"{claim.said!r}: nothing is blamed, so no cause can be stated"
        return
    yield from _of_blamed(claim, view.blamed, view)


def _is_task(claim: _Claim, view: SheetView) -> bool:
    """Return whether an action only asks to look into a change, not to take it for the cause."""
    if claim.points_elsewhere:
        return False
    wrong = view.blamed is None and any(not c.blamed for c in claim.named)
    return not wrong or bool(re.search(r"\b(?:whether|if|not|rule out)\b", claim.blanked))


def _of_blamed(claim: _Claim, blamed: Change, view: SheetView) -> Iterator[str]:
    for change in claim.named:
        if not change.blamed and not claim.excuses(change):
            yield f"{change.kind} {change.name[:40]!r} is not blamed"
    called = f"{blamed.kind} {blamed.name[:40]!r}"
    if claim.leaves_open and not claim.names_blamed():
        weighed = "likely" in claim.whole or "%" in claim.whole
        if _NOTHING.search(claim.blanked) and not weighed:
            yield f"{called} is blamed, and the sentence says that nothing is"
        return
    strangers = [n for n in view.part_labels if n != blamed.name and n in claim.clause]
    if not claim.names_blamed() and (strangers or not _refers_back(claim, blamed, view)):
        yield f"{claim.said!r}: only {called} is blamed"
        return
    if claim.named and _DENIED.search(claim.blanked):
        yield f"{called} is blamed, and the sentence denies it"
    for match in _NEW_CAUSE.finditer(claim.clause):
        what = match["what"]
        if what.strip() and not _named(blamed, what, view) and not _UNKNOWN.search(what):
            yield f"{match[0][:60]!r}: only {called} is blamed"
    if not _HEDGE.search(view.without_names(claim.whole)):
        yield f"{claim.said!r}: the doubt is missing (likely, not confirmed)"


def _named(change: Change, clause: str, view: SheetView) -> bool:
    return any(_is(change, place.name) for place in view.places(clause))


def _is(change: Change, name: str) -> bool:
    return normal(change.name).casefold() == name.casefold()


def _refers_back(claim: _Claim, blamed: Change, view: SheetView) -> bool:
    """Return whether a clause speaks of the cause without naming one ("the link is statistical")."""
    if _named(blamed, claim.whole, view):
        return True
    return not claim.points_elsewhere and _THE_CAUSE.search(claim.blanked) is not None
