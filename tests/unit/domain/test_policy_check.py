"""Checking a policy: rules that nothing reaches, tickets by chance, severe trouble unseen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.autonomy import Standing
from closeloop.domain.judgement import Circumstances, judge
from closeloop.domain.policy import Action, Policy, Rule, SeverityWeights
from closeloop.domain.policy_check import findings
from closeloop.domain.signal import Severity
from closeloop.settings import load
from closeloop.stages.signal_rows import signal_of
from closeloop.testing.example_rows import signal_row

P1, P2, P3 = Severity.P1, Severity.P2, Severity.P3
ALL_TO_PEOPLE = Rule("people", Action.REVIEW, severities=(P1, P2))


def problems(*rules: Rule, **changes: object) -> str:
    policy = replace(Policy(rules=rules, version="v"), **changes)  # type: ignore[arg-type]
    return "\n".join(f.problem for f in findings(policy))


def test_the_default_policy_has_nothing_to_object_to(tmp_path: Path) -> None:
    assert findings(load(tmp_path).configuration.policy) == ()


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ((ALL_TO_PEOPLE, Rule("late", Action.DIGEST, severities=(P1,))), "'late' is never reached"),
        (
            (ALL_TO_PEOPLE, Rule("a", Action.DIGEST, min_count=5), Rule("b", Action.SUPPRESS, min_count=9)),
            "'b' is never reached",
        ),
        ((ALL_TO_PEOPLE, Rule("people", Action.DIGEST)), "2 rules are called 'people'"),
        ((Rule("t", Action.TICKET, min_confidence=0.9), ALL_TO_PEOPLE), "without require_fdr"),
        ((Rule("t", Action.TICKET, require_fdr=True), ALL_TO_PEOPLE), "whatever the confidence"),
        (
            (Rule("t", Action.TICKET, require_fdr=True, min_confidence=1.0), ALL_TO_PEOPLE),
            "can never hold",
        ),
        ((Rule("few", Action.REVIEW, severities=(P1,), min_count=5),), "P1 signal can end"),
        ((Rule("here", Action.REVIEW, segments=("region",)),), "P1 signal can end"),
        (
            (ALL_TO_PEOPLE, Rule("in", Action.DIGEST, segments=("region",)),
             Rule("de", Action.SUPPRESS, segments=("region=DE",))),
            "'de' is never reached",
        ),
        ((ALL_TO_PEOPLE, Rule("t", Action.DIGEST, tiers=("vipp",))), "the tier 'vipp'"),
    ],
)  # fmt: skip
def test_what_can_t_be_meant_is_named(rules: tuple[Rule, ...], expected: str) -> None:
    assert expected in problems(*rules)


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ((Rule("quiet", Action.SUPPRESS, kinds=("theme",)), ALL_TO_PEOPLE), {0}),
        ((Rule("lone", Action.DIGEST, severities=(P1, P3)), ALL_TO_PEOPLE), {0}),
        ((Rule("calm", Action.DIGEST, severities=(P2, P3)), ALL_TO_PEOPLE), set()),
        ((ALL_TO_PEOPLE, Rule("quiet", Action.SUPPRESS, kinds=("theme",))), set()),
        (
            (Rule("themes", Action.REVIEW, severities=(P1,), kinds=("theme",)),
             Rule("quiet", Action.SUPPRESS, kinds=("theme",)), ALL_TO_PEOPLE),
            set(),
        ),
        (
            (Rule("few", Action.REVIEW, severities=(P1,), min_count=9),
             Rule("quiet", Action.SUPPRESS, kinds=("theme",)), ALL_TO_PEOPLE),
            {1},
        ),
    ],
)  # fmt: skip
def test_a_rule_that_keeps_a_p1_from_every_person_is_named(
    rules: tuple[Rule, ...], found: set[int]
) -> None:
    named = [f for f in findings(Policy(rules, "v")) if "takes P1 signals before" in f.problem]
    assert {f.rule for f in named} == found
    assert all("'people'" in f.problem for f in named)


def test_severities_have_to_fall() -> None:
    assert "do not fall" in problems(ALL_TO_PEOPLE, weights=SeverityWeights(p1=30.0, p2=45.0))


bounds = st.fixed_dictionaries(
    {
        "severities": st.sampled_from([(), (P1,), (P1, P2), (P2, P3)]),
        "categories": st.sampled_from([(), ("payment failure",), ("broken UI", "payment failure")]),
        "min_count": st.sampled_from([None, 3, 14, 50]),
        "segments": st.sampled_from([(), ("region",), ("region=IN",), ("region=in", "sku")]),
        "tiers": st.sampled_from([(), ("vip",), ("vip", "pro")]),
        "min_tier_authors": st.sampled_from([None, 1, 3]),
        "min_revenue": st.sampled_from([None, 10.0, 90.0]),
        "min_confidence": st.sampled_from([None, 0.5, 0.95]),
        "require_fdr": st.booleans(),
    }
)


@given(
    st.lists(st.tuples(bounds, st.sampled_from(list(Action))), max_size=3),
    st.sampled_from(["payment failure", "broken UI", "praise"]), st.booleans(), st.integers(1, 60),
)  # fmt: skip
def test_without_a_finding_of_it_every_p1_reaches_a_person(
    given_rules: list[tuple[dict[str, object], Action]], category: str, fdr: bool, count: int
) -> None:
    first = [Rule(f"r{n}", action, **one) for n, (one, action) in enumerate(given_rules)]  # type: ignore[arg-type]
    policy = Policy((*first, ALL_TO_PEOPLE), "v")
    signal = signal_of(signal_row(severity="P1", category=category, fdr_pass=fdr, count=count,
                                  segments=["region=IN"], order_value=50.0))  # fmt: skip
    standing = Standing("shop-app", category, labels=0, right=0, earned=False)
    judged = judge(signal, policy, circumstances=Circumstances(standing=standing))
    warned = {f"r{f.rule}" for f in findings(policy) if "takes P1 signals before" in f.problem}
    assert judged.action in (Action.TICKET, Action.REVIEW) or judged.rule in warned


@given(st.lists(bounds, min_size=2, max_size=4), st.sampled_from([P1, P2, P3]),
       st.booleans(), st.integers(1, 60))  # fmt: skip
def test_a_rule_that_is_called_unreachable_never_decides(
    given_bounds: list[dict[str, object]], severity: Severity, fdr: bool, count: int
) -> None:
    rules = tuple(
        Rule(f"r{n}", Action.REVIEW, **one)  # type: ignore[arg-type]
        for n, one in enumerate(given_bounds)
    )
    unreached = {f.rule for f in findings(Policy(rules, "v")) if "never reached" in f.problem}
    signal = signal_of(
        signal_row(
            severity=severity.value,
            fdr_pass=fdr,
            count=count,
            segments=["region=IN"],
            tiers=[{"tier": "vip", "authors": 2}],
            order_value=50.0,
        )
    )
    standing = Standing("shop-app", "payment failure", labels=0, right=0, earned=False)
    judged = judge(signal, Policy(rules, "v"), circumstances=Circumstances(standing=standing))
    assert judged.rule not in {f"r{n}" for n in unreached}
