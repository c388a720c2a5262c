"""Checks numbers that a sentence derives: the operation, its operands, and what comes out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from closeloop.domain.brief import Derivation, Figure, Measure, Operation
from closeloop.domain.grounding.mentions import mentions, normal
from closeloop.domain.grounding.sheet_view import SheetView

_REFERENCE = re.compile(r"(F\d+)\.(\d+)")
_OPERANDS = {
    Operation.DIFFERENCE: (2, 2),
    Operation.RATIO: (2, 2),
    Operation.SHARE: (2, 2),
    Operation.SUM: (2, 8),
    Operation.REST: (1, 1),
}
SIGNS = {
    Operation.DIFFERENCE: re.compile(
        r"\b(?:more|fewer|less|above|below|over|beyond|difference|extra|additional|excess|surplus|"
        r"apart|higher|lower|gap|up|than)\b",
        re.IGNORECASE,
    ),
    Operation.SUM: re.compile(r"\b(?:together|combined|in all|in total|sum|total|both)\b", re.I),
    Operation.REST: re.compile(r"\b(?:other|others|rest|remaining|remainder|not)\b", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class Derived:
    """A figure that follows from others, and how exactly the sentence writes it."""

    figure: Figure
    decimals: int
    operation: Operation


def derive(
    derivations: Sequence[Derivation], ids: Sequence[str], view: SheetView
) -> tuple[list[Derived], list[str]]:
    """Return what follows as stated from figures of the cited facts, and what does not."""
    good: list[Derived] = []
    bad: list[str] = []
    for derivation in derivations:
        outcome = _one(derivation, ids, view)
        if isinstance(outcome, str):
            bad.append(f"{derivation.value[:40]!r} does not follow: {outcome}")
        else:
            good.append(outcome)
    return good, bad


def _one(derivation: Derivation, ids: Sequence[str], view: SheetView) -> Derived | str:
    low, high = _OPERANDS[derivation.operation]
    if not low <= len(derivation.operands) <= high:
        return f"{derivation.operation} takes {low} to {high} figures"
    operands: list[Figure] = []
    for reference in derivation.operands:
        found = _REFERENCE.fullmatch(reference)
        declared = view.facts[found[1]].figures if found and found[1] in view.facts else ()
        if found is None or not 0 < int(found[2]) <= len(declared):
            return f"there is no figure {reference[:20]!r}"
        if found[1] not in ids:
            return f"the sentence does not cite {found[1]}"
        operands.append(declared[int(found[2]) - 1])
    stated = mentions(normal(derivation.value))
    if len(stated) != 1:
        return "the value must be one number"
    result = _result(derivation.operation, operands)
    if isinstance(result, str):
        return result
    mention = stated[0]
    unit = mention.measure or Measure.COUNT
    if unit is not result.measure and not (
        mention.measure is None and result.measure in (Measure.RATING, Measure.WORTH)
    ):
        return f"{derivation.operation} of these gives a {result.measure}"
    if abs(mention.amount - result.amount) > 0.5 * 10.0**-mention.decimals + 1e-9:
        return f"it is {result.amount:.4g}"
    return Derived(result, mention.decimals, derivation.operation)


def _result(operation: Operation, operands: Sequence[Figure]) -> Figure | str:
    first = operands[0]
    if any(o.measure is Measure.MOMENT or o.written[:1] in "<>" for o in operands):
        return "dates and bounds can't be reckoned with"
    if operation is Operation.REST:
        if first.measure is not Measure.SHARE or first.sense == "posterior":
            return "only a share has a rest"
        return _as(first, 100.0 - first.amount, Measure.SHARE, "rest")
    if any((o.measure, o.noun) != (first.measure, first.noun) for o in operands):
        return "the figures measure different things"
    if operation is Operation.SUM:
        return _sum(operands)
    second = operands[1]
    if first == second:
        return "it takes two figures"
    if first.hours and second.hours and first.hours != second.hours:
        return "the figures are of different lengths of time"
    if operation is Operation.DIFFERENCE:
        return _as(first, abs(first.amount - second.amount), first.measure, "difference")
    return _quotient(operation, first, second)


def _quotient(operation: Operation, first: Figure, second: Figure) -> Figure | str:
    if second.amount == 0 or first.measure not in (Measure.COUNT, Measure.SHARE, Measure.SPAN):
        return "these can't be divided"
    if operation is Operation.RATIO:
        return _as(first, first.amount / second.amount, Measure.TIMES, "ratio")
    if first.measure is not Measure.COUNT or first.amount > second.amount:
        return "the first must be a part of the second"
    if "expected" in (first.sense, second.sense):
        return "what is expected is no part of what came"
    return _as(first, 100.0 * first.amount / second.amount, Measure.SHARE, "part")


def _sum(operands: Sequence[Figure]) -> Figure | str:
    first = operands[0]
    labels = [o.label for o in operands]
    if first.measure not in (Measure.COUNT, Measure.SHARE, Measure.POINTS) or not all(labels):
        return "only parts with a name each can be added"
    if len(set(labels)) < len(labels) or any(o.sense != first.sense for o in operands):
        return "only different parts of one whole can be added"
    return _as(first, sum(o.amount for o in operands), first.measure, "sum")


def _as(figure: Figure, amount: float, measure: Measure, sense: str) -> Figure:
    noun = figure.noun if measure is figure.measure else ""
    return Figure("", measure, amount, noun=noun, sense=sense)
