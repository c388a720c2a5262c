"""Severity: visible terms, and nothing kind in a text that takes points away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.policy import SeverityWeights
from closeloop.domain.severity import (
    FRAUD,
    LEGAL,
    PHYSICAL,
    SeverityFacts,
    negativity,
    severity_of,
    severity_terms,
    told_dangers,
)
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
    order_value=st.floats(0, 1e6),
    orders=st.integers(0, 1_000),
    tiers=st.lists(
        st.tuples(st.sampled_from(["free", "Gold", "enterprise"]), st.integers(1, 50)),
        unique_by=lambda t: t[0],
    ).map(tuple),
    hours_since=st.floats(0, 500),
)
reasons = st.lists(
    st.lists(st.sampled_from([PHYSICAL, LEGAL, FRAUD, "money missing"]), max_size=2), max_size=30
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


def points(value: SeverityFacts) -> dict[str, float]:
    return {t.name: t.points for t in severity_terms(value, WEIGHTS)}


@given(facts, st.floats(1, 1e5), st.integers(1, 20), st.floats(0, 100))
def test_revenue_tiers_and_fresh_complaints_only_add(value, worth, people, hours):
    richer = replace(value, order_value=value.order_value + worth)
    tiers = dict(value.tiers)
    higher = replace(value, tiers=(("enterprise", tiers.get("enterprise", 0) + people),))
    lower = replace(value, tiers=(("enterprise", tiers.get("enterprise", 0)),))
    fresher = replace(value, hours_since=max(0.0, value.hours_since - hours))
    assert points(richer)["revenue"] >= points(value)["revenue"]
    assert points(higher)["tier"] >= points(lower)["tier"]
    assert points(fresher)["recency"] >= points(value)["recency"]


def test_the_new_terms_say_what_they_rest_on():
    value = replace(
        SMALL, order_value=2_500.0, orders=7, tiers=(("free", 9), ("Gold", 2)), hours_since=24.0
    )
    terms = {t.name: t for t in severity_terms(value, WEIGHTS)}
    assert terms["revenue"].reason == "7 orders worth 2,500 together"
    assert terms["revenue"].points > 0.8 * WEIGHTS.revenue
    assert terms["tier"].reason == "2 of tier Gold"
    assert 0.0 < terms["tier"].points < WEIGHTS.tier
    assert terms["recency"].points == pytest.approx(WEIGHTS.recency / 2)
    assert points(SMALL)["revenue"] == points(SMALL)["tier"] == 0.0


@given(st.lists(st.floats(0, 1), max_size=40), st.floats(0, 1))
def test_no_text_lowers_how_negative_complaints_are(sentiments, another):
    assert negativity([*sentiments, another]) >= negativity(sentiments)
    assert 0.0 <= negativity(sentiments) <= max(sentiments, default=0.0)


def test_many_angry_texts_are_nearly_as_negative_as_they_read():
    assert negativity([0.9] * 20) == pytest.approx(0.857, abs=0.001)
    assert negativity([0.9] * 20 + [0.3] * 20) >= negativity([0.9] * 20)


@given(reasons, reasons)
def test_what_was_told_of_danger_is_never_taken_back(first, later):
    assert set(told_dangers(first)) <= set(told_dangers([*first, *later]))


@given(facts, reasons, reasons, st.lists(st.floats(0, 1), max_size=20))
def test_no_later_text_lowers_a_severity(value, first, later, kind):
    """Texts bring sentiment and words; whatever comes on top, the severity does not fall."""
    before = replace(value, negative=negativity([0.8]), safety_words=told_dangers(first))
    after = replace(
        before, negative=negativity([0.8, *kind]), safety_words=told_dangers([*first, *later])
    )
    assert of(after).rank <= of(before).rank
