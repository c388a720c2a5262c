"""Severity: a sum of visible terms; nothing in a text can take points away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log, log1p

from closeloop.domain import figures
from closeloop.domain.policy import SeverityWeights
from closeloop.domain.signal import Severity, SeverityTerm

FULL_RATIO = 10.0
"""Ten times the baseline is the full size term."""
FULL_AUTHORS = 100.0
"""A hundred distinct authors are the full customers term."""
FULL_TIER_POINTS = 20.0
"""So many authors of the highest tier are the full tier term."""
RECENCY_HALF_LIFE_H = 24.0
"""A day after its newest complaint a problem has half of the recency term."""
REVENUE, TIER = "revenue", "tier"
"""Names of the terms whose value, beside the weight, is up to the policy."""
PHYSICAL, LEGAL, FRAUD = "safety", "legal threat", "fraud or security"
"""Names of the urgency rules behind the safety term."""
LEGAL_TEXTS = 2
FRAUD_TEXTS, FRAUD_SHARE = 3, 0.2
"""Angry customers of money apps write "fraud" in passing: it counts when a fifth of them do."""


@dataclass(frozen=True, slots=True)
class SeverityFacts:
    """What severity is made of; `safety_words` are those found in the complaints' texts.

    `order_value` is what `orders` complaints with a known order were worth together, in the shop's
    currency; `tiers` are authors by customer tier; `hours_since` the newest complaint.
    """

    negative: float
    count: int
    baseline: float
    count_6h: int
    baseline_6h: float
    authors: int
    impact: float
    category: str
    release: str | None
    safety_words: tuple[str, ...]
    order_value: float = 0.0
    orders: int = 0
    tiers: tuple[tuple[str, int], ...] = ()
    hours_since: float = 0.0


def severity_terms(facts: SeverityFacts, weights: SeverityWeights) -> tuple[SeverityTerm, ...]:
    """Return the terms of the sum, each with its value (0..1), weight and reason."""
    ratio = facts.count / max(facts.baseline, 0.5)
    ratio_6h = facts.count_6h / max(facts.baseline_6h, 0.5)
    size = _clip(log(max(ratio, 1.0)) / log(FULL_RATIO))
    speed = _clip(log(max(ratio_6h, 1.0)) / log(FULL_RATIO))
    people = _clip(log(max(facts.authors, 1)) / log(FULL_AUTHORS))
    safety = ", ".join(facts.safety_words)
    return (
        SeverityTerm(
            "sentiment", _clip(facts.negative), weights.sentiment, f"{facts.negative:.0%} negative"
        ),
        SeverityTerm(
            "size", size, weights.size, _times(facts.count, facts.baseline, "the baseline")
        ),
        SeverityTerm(
            "acceleration",
            speed,
            weights.acceleration,
            _times(facts.count_6h, facts.baseline_6h, "in six hours"),
        ),
        SeverityTerm("customers", people, weights.customers, f"{facts.authors} authors"),
        _revenue(facts, weights),
        tier_term(facts.tiers, weights),
        _recency(facts, weights),
        SeverityTerm("impact", _clip(facts.impact), weights.impact, facts.category),
        SeverityTerm(
            "release",
            1.0 if facts.release else 0.0,
            weights.release,
            f"follows {facts.release}" if facts.release else "no change is blamed",
        ),
        SeverityTerm(
            "safety",
            1.0 if facts.safety_words else 0.0,
            weights.safety,
            f"customers write of {safety}" if safety else "no safety, fraud or legal words",
        ),
    )


def _times(count: int, expected: float, of: str) -> str:
    if expected < figures.FEW:
        return f"{count} where {figures.usual(expected)}"
    return f"{count / expected:.1f} times {of}"


def _revenue(facts: SeverityFacts, weights: SeverityWeights) -> SeverityTerm:
    value = max(facts.order_value, 0.0)
    return SeverityTerm(
        REVENUE,
        revenue_value(value, weights),
        weights.revenue,
        f"{facts.orders} orders worth {value:,.0f} together" if facts.orders else "no order known",
    )


def revenue_value(order_value: float, weights: SeverityWeights) -> float:
    """Return the value (0..1) of the revenue term of orders worth so much together."""
    return _clip(log1p(max(order_value, 0.0)) / log1p(weights.full_order_value))


def tier_term(tiers: Iterable[tuple[str, int]], weights: SeverityWeights) -> SeverityTerm:
    """Return the term of the customer tiers of those who complain: authors by tier."""
    known = {name.casefold(): share for name, share in weights.tiers}
    counted = [(t, n) for t, n in tiers if known.get(t.casefold(), 0.0) > 0.0]
    points = sum(n * known[t.casefold()] for t, n in counted)
    said = ", ".join(f"{n} of tier {t}" for t, n in counted)
    return SeverityTerm(
        TIER,
        _clip(log1p(points) / log1p(FULL_TIER_POINTS)),
        weights.tier,
        said or "nobody of a tier that weighs more",
    )


def _recency(facts: SeverityFacts, weights: SeverityWeights) -> SeverityTerm:
    hours = max(facts.hours_since, 0.0)
    value = 0.5 ** (hours / RECENCY_HALF_LIFE_H)
    reason = f"newest complaint {hours:.0f} h ago" if hours >= 1 else "complaints within the hour"
    return SeverityTerm("recency", value, weights.recency, reason)


def negativity(sentiments: Iterable[float]) -> float:
    """Return how negative complaints are, from the probability of each: no kind text lowers it.

    max over k of (sum of the k most negative) / (k + 1): the mean of the angriest, less where they
    are few. Another text can only add to it.
    """
    ordered = sorted(sentiments, reverse=True)
    best = total = 0.0
    for k, value in enumerate(ordered, start=1):
        total += value
        best = max(best, total / (k + 1))
    return _clip(best)


def told_dangers(reasons: Sequence[Iterable[str]]) -> tuple[str, ...]:
    """Return what complaints, in order of time, tell of danger, law and fraud.

    `reasons` are the urgency rules that fired on each. One text that tells of an injury is enough,
    two of law; of fraud three, at a time when they are a fifth of all texts so far. What was told
    once is told for good: no text that comes later takes it back.
    """
    seen = dict.fromkeys((PHYSICAL, LEGAL, FRAUD), 0)
    told: set[str] = set()
    for number, found in enumerate(reasons, start=1):
        fired = seen.keys() & set(found)
        if not fired:
            continue
        for name in fired:
            seen[name] += 1
        needed: Mapping[str, float] = {
            PHYSICAL: 1,
            LEGAL: LEGAL_TEXTS,
            FRAUD: max(FRAUD_TEXTS, FRAUD_SHARE * number),
        }
        told |= {name for name, texts in needed.items() if seen[name] >= texts}
    return tuple(name for name in seen if name in told)


def severity_of(terms: tuple[SeverityTerm, ...], weights: SeverityWeights) -> Severity:
    """Return the severity that the terms' points add up to."""
    points = sum(term.points for term in terms)
    if points >= weights.p1:
        return Severity.P1
    if points >= weights.p2:
        return Severity.P2
    return Severity.P3 if points >= weights.p3 else Severity.P4


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)
