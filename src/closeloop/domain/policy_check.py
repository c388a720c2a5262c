"""Looks through a policy for what can't be meant: rules that nothing reaches, severe trouble unseen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from closeloop.domain.policy import Action, Policy, Rule
from closeloop.domain.signal import Severity, SignalKind

MINIMA = (
    "min_confidence",
    "min_ratio_6h",
    "min_count",
    "min_authors",
    "min_reviews_a_side",
    "min_tier_authors",
    "min_revenue",
)
NAMED = ("severities", "categories", "kinds", "products", "tiers", "segments")
ACTED_ON = (Action.TICKET, Action.REVIEW)


@dataclass(frozen=True, slots=True)
class Finding:
    """One doubt: the rule it is about (its place from 0; None: the whole policy), and what to do."""

    rule: int | None
    problem: str
    cure: str


def findings(policy: Policy) -> tuple[Finding, ...]:
    """Return what a policy probably does not mean; nothing where it reads well."""
    return tuple(_findings(policy))


def _findings(policy: Policy) -> Iterator[Finding]:
    rules = policy.rules
    for name, times in sorted(Counter(r.name for r in rules).items()):
        if times > 1:
            place = next(i for i, r in enumerate(rules) if r.name == name)
            yield Finding(
                place,
                f"{times} rules are called '{name}'",
                "give each its own name: decisions record it",
            )
    for place, rule in enumerate(rules):
        earlier = _shadow(rules[:place], rule)
        if earlier is not None:
            yield Finding(
                place,
                f"'{rule.name}' is never reached: '{earlier}' before it holds wherever it would",
                "move it up, or take it out",
            )
        yield from _of_ticket(place, rule)
        yield from _of_tiers(place, rule, policy)
    weights = policy.weights
    if not weights.p1 > weights.p2 > weights.p3:
        yield Finding(
            None,
            f"weights: p1 {weights.p1:g}, p2 {weights.p2:g} and p3 {weights.p3:g} do not fall",
            "a more severe signal needs more points",
        )
    yield from _unseen(rules)


def _unseen(rules: Sequence[Rule]) -> Iterator[Finding]:
    """Yield what keeps a P1 signal from every person: no rule for all of them, or one before it."""
    sure = next(
        (n for n, r in enumerate(rules) if r.action in ACTED_ON and _takes_all(r, Severity.P1)),
        None,
    )
    if sure is None:
        yield Finding(
            None,
            "a P1 signal can end in the digest or nowhere: no rule sends every P1 to a person",
            "add a rule 'action: review' with 'severities: [P1, P2]' and no other bound",
        )
        return
    for place, rule in enumerate(rules[:sure]):
        if rule.action in ACTED_ON or (rule.severities and Severity.P1 not in rule.severities):
            continue
        of_p1 = replace(rule, severities=(Severity.P1,))
        if _shadow(rules[:place], of_p1) is None:
            where = "in the digest" if rule.action is Action.DIGEST else "nowhere"
            yield Finding(
                place,
                f"'{rule.name}' takes P1 signals before '{rules[sure].name}' can send them to a "
                f"person: they end {where}",
                f"move it below '{rules[sure].name}', or let its severities leave P1 out",
            )


def _of_ticket(place: int, rule: Rule) -> Iterator[Finding]:
    if rule.action is not Action.TICKET:
        return
    release_only = rule.kinds == (SignalKind.RELEASE.value,)
    if not rule.require_fdr:
        yield Finding(
            place,
            f"'{rule.name}' opens tickets without require_fdr: of many series tested some rise "
            "by chance",
            "add 'require_fdr: true'",
        )
    if rule.min_confidence is None and not release_only:
        yield Finding(
            place,
            f"'{rule.name}' opens tickets whatever the confidence",
            "add 'min_confidence: 0.85'",
        )
    if rule.min_confidence is not None and rule.min_confidence >= 1.0:
        yield Finding(
            place,
            f"'{rule.name}' can never hold: a confidence is not above {rule.min_confidence:g}",
            "lower min_confidence",
        )


def _of_tiers(place: int, rule: Rule, policy: Policy) -> Iterator[Finding]:
    known = {tier.casefold() for tier, _ in policy.weights.tiers}
    for tier in rule.tiers:
        if tier.casefold() not in known:
            yield Finding(
                place,
                f"'{rule.name}' asks for the tier '{tier}', which weighs nothing in weights.tiers",
                f"write it as your feedback does, or add it there: {', '.join(sorted(known))}",
            )


def _shadow(earlier: Sequence[Rule], rule: Rule) -> str | None:
    """Return the name of a rule that holds wherever this one would, None where none does."""
    return next((one.name for one in earlier if _implied(one, by=rule)), None)


def _implied(one: Rule, *, by: Rule) -> bool:
    """Say whether a rule holds for every signal for which the other does."""
    for name in NAMED:
        wide, narrow = getattr(one, name), getattr(by, name)
        if wide and not (narrow and all(_among(n, wide) for n in narrow)):
            return False
    for name in MINIMA:
        low, high = getattr(one, name), getattr(by, name)
        if low is not None and (high is None or high < low):
            return False
    return by.require_fdr or not one.require_fdr


def _among(one: str, wide: Sequence[str]) -> bool:
    """Say whether a name is one of these: "region=DE" is one of "region", whatever the case."""
    known = {w.casefold() for w in wide}
    return one.casefold() in known or one.partition("=")[0].casefold() in known


def _takes_all(rule: Rule, severity: Severity) -> bool:
    """Say whether a rule holds for every signal of a severity."""
    bare = all(getattr(rule, name) is None for name in MINIMA) and not rule.require_fdr
    named = any(getattr(rule, name) for name in NAMED if name != "severities")
    return bare and not named and (not rule.severities or severity in rule.severities)
