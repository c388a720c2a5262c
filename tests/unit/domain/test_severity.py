"""Severity: visible terms, and nothing kind in a text that takes points away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.policy import SeverityWeights
from closeloop.domain.severity import SeverityFacts, severity_of, severity_terms
from closeloop.domain.signal import Severity

WEIGHTS = SeverityWeights()
SMALL = SeverityFacts(
    negative=0.6,
    count=4,
    baseline=2.0,
    count_6h=1,
    baseline_6h=0.5,
    authors=4,
    impact=0.4,
    category="broken UI",
    release=None,
    safety_words=(),
)
OUTAGE = SeverityFacts(
    negative=0.95,
    count=120,
    baseline=4.0,
    count_6h=60,
    baseline_6h=1.0,
    authors=110,
    impact=0.9,
    category="payment failure",
    release="release 2.8.5",
    safety_words=(),
)

facts = st.builds(
    SeverityFacts,
    negative=st.floats(0, 1),
    count=st.integers(0, 10_000),
    baseline=st.floats(0, 1_000),
    count_6h=st.integers(0, 1_000),
    baseline_6h=st.floats(0, 100),
    authors=st.integers(0, 10_000),
    impact=st.floats(0, 1),
    category=st.just("x"),
    release=st.none() | st.just("release 1"),
    safety_words=st.just(()),
)


def of(value: SeverityFacts) -> Severity:
    return severity_of(severity_terms(value, WEIGHTS), WEIGHTS)


def test_an_outage_is_p1_and_a_trickle_is_not():
    assert of(OUTAGE) is Severity.P1
    assert of(SMALL).rank >= 3


@pytest.mark.parametrize("word", ["safety", "legal threat"])
def test_danger_makes_even_a_trickle_severe(word):
    assert of(replace(SMALL, safety_words=(word,))).rank <= 2


@given(facts)
def test_severity_is_the_sum_that_is_shown(value):
    terms = severity_terms(value, WEIGHTS)
    points = sum(t.points for t in terms)
    assert all(0.0 <= t.value <= 1.0 and t.reason for t in terms)
    bounds = (WEIGHTS.p1, WEIGHTS.p2, WEIGHTS.p3)
    assert severity_of(terms, WEIGHTS).rank == 1 + sum(points < bound for bound in bounds)


@given(facts, st.floats(0, 1))
def test_safety_words_are_not_talked_down(value, tone):
    with_words = replace(value, safety_words=("safety",))
    assert of(with_words).rank <= of(value).rank
    plain = {t.name: t.points for t in severity_terms(with_words, WEIGHTS)}
    kind = {t.name: t.points for t in severity_terms(replace(with_words, negative=tone), WEIGHTS)}
    assert kind["safety"] == plain["safety"] == WEIGHTS.safety


@given(facts)
def test_more_of_anything_is_never_less_severe(value):
    worse = replace(value, count=value.count * 2 + 1, authors=value.authors + 5, release="r")
    assert of(worse).rank <= of(value).rank
