"""Severity: a sum of visible terms; nothing in a text can take points away."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from closeloop.domain.policy import SeverityWeights
from closeloop.domain.signal import Severity, SeverityTerm

FULL_RATIO = 10.0
"""Ten times the baseline is the full size term."""
FULL_AUTHORS = 100.0
"""A hundred distinct authors are the full customers term."""


@dataclass(frozen=True, slots=True)
class SeverityFacts:
    """What severity is made of; `safety_words` are those found in the complaints' texts."""

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
        SeverityTerm("size", size, weights.size, f"{ratio:.1f} times the baseline"),
        SeverityTerm(
            "acceleration", speed, weights.acceleration, f"{ratio_6h:.1f} times in six hours"
        ),
        SeverityTerm("customers", people, weights.customers, f"{facts.authors} authors"),
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
