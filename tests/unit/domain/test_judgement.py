"""What the policy says of signals: bounds, gates and the words that explain them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.autonomy import Standing
from closeloop.domain.judgement import (
    Circumstances,
    Judgement,
    Stood,
    decision_id,
    figure,
    judge,
    linked,
)
from closeloop.domain.policy import Action, Policy, Rule
from closeloop.domain.signal import Severity, Signal
from closeloop.stages.signal_rows import signal_of
from closeloop.testing.configuration import example_policy
from closeloop.testing.example_rows import release_row, signal_row

EARNED = Standing("shop-app", "payment failure", labels=120, right=115, earned=True)
NEW = Standing("shop-app", "payment failure", labels=0, right=0, earned=False)


def signal(**changes: object) -> Signal:
    return signal_of(signal_row(**changes))


def action(given_signal: Signal, standing: Standing = EARNED) -> Action:
    return judge(
        given_signal, example_policy(), circumstances=Circumstances(standing=standing)
    ).action


def test_a_clear_severe_signal_is_a_ticket_with_its_figures_as_reasons() -> None:
    judgement = judge(signal(), example_policy(), circumstances=Circumstances(standing=EARNED))
    assert judgement.action is Action.TICKET
    assert judgement.would_ticket
    assert judgement.rule == "clear and severe"
    assert (
        "count 14 is 4.2 times the 3.3 expected in six hours; needs 1.2 times" in judgement.reasons
    )
    assert "calibrated confidence 0.93; needs over 0.85" in judgement.reasons


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fdr_pass": False}, "false discoveries"),
        ({"confidence": 0.85}, "confidence 0.85; needs over 0.85"),
        ({"count_6h": 3}, "count 3 is 0.91 times the 3.3 expected"),
        ({"count_6h": 0, "baseline_6h": 0.0}, "count 0 is over the 0 expected"),
        ({"count_6h": 0, "baseline_6h": 0.03}, "count 0 where very few are usual in six hours"),
    ],
)
def test_a_severe_signal_that_misses_a_bound_goes_to_a_person_who_reads_which(
    changes: dict[str, object], expected: str
) -> None:
    judgement = judge(
        signal(**changes), example_policy(), circumstances=Circumstances(standing=EARNED)
    )
    assert judgement.action is Action.REVIEW
    assert not judgement.would_ticket
    assert any(expected in reason for reason in judgement.reasons)


def test_a_mild_signal_goes_to_the_digest() -> None:
    assert action(signal(severity="P3")) is Action.DIGEST


def test_unearned_autonomy_sends_a_would_be_ticket_to_a_person() -> None:
    judgement = judge(signal(), example_policy(), circumstances=Circumstances(standing=NEW))
    assert (judgement.action, judgement.would_ticket) == (Action.REVIEW, True)
    assert "'payment failure' has no reviewed labels yet" in judgement.reasons[0]


def test_too_low_a_precision_keeps_autonomy_away() -> None:
    poor = Standing("shop-app", "payment failure", labels=150, right=90, earned=False)
    judgement = judge(signal(), example_policy(), circumstances=Circumstances(standing=poor))
    assert judgement.action is Action.REVIEW
    assert "150 of 100 labels, 60% of them right; needs 85%" in judgement.reasons[0]


@pytest.mark.parametrize("confidence", [None, 0.3, 0.99])
def test_an_uncalibrated_confidence_never_tickets_but_counts_as_would_be(
    confidence: float | None,
) -> None:
    judgement = judge(
        signal(confidence=confidence, confidence_calibrated=False),
        example_policy(),
        circumstances=Circumstances(standing=EARNED),
    )
    assert (judgement.action, judgement.would_ticket) == (Action.REVIEW, True)


def test_an_uncalibrated_confidence_does_not_excuse_another_bound() -> None:
    judgement = judge(
        signal(confidence_calibrated=False, fdr_pass=False),
        example_policy(),
        circumstances=Circumstances(standing=EARNED),
    )
    assert not judgement.would_ticket


def test_possible_personal_data_goes_to_a_person_even_from_the_digest() -> None:
    for severity in ("P1", "P4"):
        judgement = judge(
            signal(severity=severity),
            example_policy(),
            circumstances=Circumstances(standing=EARNED, possible_pii="a long number"),
        )
        assert (judgement.action, judgement.would_ticket) == (Action.REVIEW, False)
        assert "possible unmasked personal data: a long number" in judgement.reasons


def test_what_can_not_be_acted_on_is_suppressed() -> None:
    judgement = judge(
        signal(),
        example_policy(),
        circumstances=Circumstances(standing=EARNED, no_case="'praise' is no complaint"),
    )
    assert judgement.action is Action.SUPPRESS
    assert judgement.reasons == ("'praise' is no complaint",)


def test_a_release_tickets_by_its_own_evidence_without_labels() -> None:
    release = signal_of(release_row())
    assert action(release, standing=NEW) is Action.TICKET


@pytest.mark.parametrize("side", ["reviews_exposed", "reviews_unexposed"])
def test_a_release_with_few_reviews_on_a_side_goes_to_a_person(side: str) -> None:
    assert action(signal_of(release_row(**{side: 14}))) is Action.REVIEW
    assert action(signal_of(release_row(**{side: 15}))) is Action.TICKET


def test_a_release_of_a_product_where_people_disagreed_goes_to_a_person() -> None:
    poor = Standing("shop-app", "release", labels=10, right=5, earned=False)
    assert action(signal_of(release_row()), standing=poor) is Action.REVIEW


def test_the_floor_binds_a_release_only_where_six_hours_hold_complaints() -> None:
    policy = Policy(
        rules=(Rule("r", Action.TICKET, min_ratio_6h=1.2), Rule("rest", Action.REVIEW)), version="1"
    )

    def decided(**changes: object) -> Action:
        return judge(
            signal_of(release_row(**changes)), policy, circumstances=Circumstances(standing=NEW)
        ).action

    assert decided(count_6h=0, baseline_6h=0.4) is Action.TICKET
    assert decided(count_6h=0, baseline_6h=3.0) is Action.REVIEW
    assert decided(count_6h=3, baseline_6h=3.0) is Action.REVIEW
    assert decided(count_6h=4, baseline_6h=3.0) is Action.TICKET


def test_rules_about_other_products_categories_or_kinds_are_passed_over() -> None:
    for about in ({"products": ("x",)}, {"categories": ("x",)}, {"kinds": ("release",)}):
        rules = (Rule("other", Action.TICKET, **about), Rule("rest", Action.DIGEST))  # type: ignore[arg-type]
        judgement = judge(
            signal(), Policy(rules=rules, version="1"), circumstances=Circumstances(standing=EARNED)
        )
        assert judgement.rule == "rest"
        assert judgement.reasons == ()


@pytest.mark.parametrize(
    ("bound", "figures", "reason"),
    [
        (
            {"tiers": ("vip", "Enterprise"), "min_tier_authors": 3},
            {"tiers": [{"tier": "enterprise", "authors": 2}, {"tier": "VIP", "authors": 1}]},
            "3 authors of tier vip or Enterprise; needs 3",
        ),
        ({"tiers": ("vip",)}, {"tiers": [{"tier": "vip", "authors": 1}]}, "1 authors of tier vip"),
        ({"min_revenue": 500.0}, {"order_value": 500.0}, "orders worth 500 are named; needs 500"),
    ],
)
def test_customers_and_orders_are_bounds(
    bound: dict[str, object], figures: dict[str, object], reason: str
) -> None:
    rules = (Rule("dear", Action.REVIEW, **bound), Rule("rest", Action.DIGEST))  # type: ignore[arg-type]

    def judged(**changes: object) -> Judgement:
        return judge(
            signal(**changes),
            Policy(rules=rules, version="1"),
            circumstances=Circumstances(standing=EARNED),
        )

    assert judged(**figures).rule == "dear"
    assert reason in judged(**figures).reasons[0]
    less = {"order_value": 499.0, "tiers": [{"tier": "free", "authors": 40}]}
    assert judged(**less).rule == "rest"


@pytest.mark.parametrize(
    ("about", "inside"),
    [("region=in", True), ("region", True), ("region=I", False), ("sku", False)],
)
def test_a_rule_about_a_segment_passes_other_signals_by(about: str, *, inside: bool) -> None:
    rules = (Rule("there", Action.REVIEW, segments=(about,)), Rule("rest", Action.DIGEST))
    judgement = judge(
        signal(segments=["region=IN"]),
        Policy(rules=rules, version="1"),
        circumstances=Circumstances(standing=EARNED),
    )
    assert judgement.rule == ("there" if inside else "rest")


def test_a_signal_that_is_trusted_too_little_goes_to_a_person_who_reads_why() -> None:
    odd = signal(trust=0.49, oddities=["90 of 100 are of no category"])
    for standing in (EARNED, NEW):
        judgement = judge(odd, example_policy(), circumstances=Circumstances(standing=standing))
        assert (judgement.action, judgement.would_ticket) == (Action.REVIEW, False)
        assert judgement.reasons[0] == (
            "trust 0.49 (90 of 100 are of no category); a ticket needs 0.50"
        )
    assert action(signal(trust=0.5)) is Action.TICKET


def test_a_signal_that_is_trusted_too_little_is_no_would_be_ticket_either() -> None:
    raw = signal(trust=0.1, confidence_calibrated=False)
    judgement = judge(raw, example_policy(), circumstances=Circumstances(standing=EARNED))
    assert (judgement.action, judgement.would_ticket) == (Action.REVIEW, False)
    assert any("trust 0.10" in reason for reason in judgement.reasons)


def test_where_no_rule_holds_the_digest_has_it() -> None:
    policy = Policy(rules=(Rule("many", Action.TICKET, min_count=99, min_authors=99),), version="1")
    judgement = judge(signal(), policy, circumstances=Circumstances(standing=EARNED))
    assert judgement.action is Action.DIGEST
    assert judgement.reasons == (
        "no ticket by 'many': 14 complaints; needs 99",
        "no ticket by 'many': 13 authors; needs 99",
    )


@given(
    severity=st.sampled_from(list(Severity)),
    count=st.integers(0, 500),
    expected=st.floats(0, 400),
    confidence=st.none() | st.floats(0, 1),
    calibrated=st.booleans(),
    fdr=st.booleans(),
    standing=st.sampled_from([NEW, EARNED]),
    pii=st.sampled_from([None, "a long number"]),
)
def test_no_ticket_without_every_condition_of_the_default_policy(
    severity: Severity,
    count: int,
    expected: float,
    confidence: float | None,
    calibrated: bool,
    fdr: bool,
    standing: Standing,
    pii: str | None,
) -> None:
    subject = replace(
        signal(),
        severity=severity,
        count_6h=count,
        baseline_6h=expected,
        confidence=confidence,
        confidence_calibrated=calibrated,
        fdr_pass=fdr,
    )
    judgement = judge(
        subject, example_policy(), circumstances=Circumstances(standing=standing, possible_pii=pii)
    )
    allowed = (
        severity in (Severity.P1, Severity.P2)
        and count > 0
        and count >= 1.2 * expected
        and confidence is not None
        and confidence > 0.85
        and calibrated
        and fdr
        and standing.earned
        and pii is None
    )
    assert (judgement.action is Action.TICKET) == allowed
    assert judgement.would_ticket or judgement.action is not Action.TICKET


def test_a_decision_is_named_by_signal_and_action() -> None:
    ids = {decision_id(s, a) for s in ("s1", "s2") for a in Action}
    assert len(ids) == 8
    assert decision_id("s1", Action.TICKET) == decision_id("s1", Action.TICKET)


@pytest.mark.parametrize(
    ("value", "shown"), [(14, "14"), (4.24, "4.2"), (0.314, "0.31"), (312.4, "312"), (0.0, "0")]
)
def test_figures_are_written_as_people_read_them(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_a_part_of_a_problem_names_a_ticket_only_where_one_was_opened() -> None:
    asked = Judgement(Action.REVIEW, False, "rule", ())

    def reason(action: Action, *, would_ticket: bool) -> str:
        kin = [Stood("0123456789ab", action, would_ticket)]
        return linked(asked, kin).reasons[0].partition("whose ")[2]

    assert reason(Action.TICKET, would_ticket=True) == "ticket tells of it"
    assert reason(Action.REVIEW, would_ticket=True) == "would-be ticket tells of it"
    assert reason(Action.REVIEW, would_ticket=False) == "question to a person tells of it"
