"""Trying a policy on recorded states: as the loop decided, and what another would have done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.autonomy import NOT_AN_ISSUE, REAL, series_key
from closeloop.domain.policy import Action, SeverityWeights
from closeloop.domain.policy_difference import Effect, Tally, differences, tallies
from closeloop.domain.policy_trial import JudgedState, Truth, differing, reweighed, tried, truth_of
from closeloop.domain.review import Label, LabelKind
from closeloop.domain.severity import SeverityFacts, severity_of, severity_terms
from closeloop.domain.signal import Severity, SeverityTerm
from closeloop.stages.signal_rows import signal_of
from closeloop.testing.configuration import example_policy
from closeloop.testing.example_rows import AT, release_row, signal_row

HOUR = timedelta(hours=1)


def state(hours: int = 0, *, no_case: str | None = None, **changes: object) -> JudgedState:
    found = signal_of(signal_row(**changes))
    return JudgedState(AT + hours * HOUR, found, no_case, None, "payments-team")


def label(value: str, *, signal_id: str = "s1", hours: int = 0) -> Label:
    subject = (signal_id, series_key(signal_of(signal_row(signal_id))))
    return Label(
        f"l{signal_id}{hours}", LabelKind.TICKET, "shop-app", "payment failure", subject, value,
        REAL, 0.9, "mia", AT + hours * HOUR,
    )  # fmt: skip


def test_a_signal_is_decided_again_only_upwards_and_keeps_that_it_would_have_been_a_ticket() -> (
    None
):
    weak = state(0, severity="P3", severity_terms=[])
    strong = state(2, severity="P1", severity_terms=[])
    calm = state(4, severity="P4", severity_terms=[], confidence_calibrated=False)
    found = tried([calm, strong, weak], example_policy())
    decision = found["s1"]
    assert decision.action is Action.REVIEW  # no labels: autonomy is not earned
    assert decision.would_ticket
    assert decision.at == AT + 2 * HOUR


def test_labels_count_from_when_they_were_made() -> None:
    labels = [
        replace(label(REAL, signal_id=f"x{i}"), label_id=str(i), made_at=AT + 3 * HOUR)
        for i in range(100)
    ]
    early = tried([state(0, severity_terms=[])], example_policy(), labels=labels)
    late = tried([state(5, severity_terms=[])], example_policy(), labels=labels)
    assert early["s1"].action is Action.REVIEW
    assert late["s1"].action is Action.TICKET


def test_a_severity_is_weighed_anew_from_its_terms() -> None:
    term = SeverityTerm("impact", 1.0, 25.0, "money")
    signal = replace(signal_of(signal_row()), severity_terms=(term,), severity=Severity.P3)
    heavier = reweighed(signal, SeverityWeights(impact=90.0))
    assert heavier.severity is Severity.P1
    assert heavier.severity_terms[0].weight == 90.0
    bare = replace(signal, severity_terms=(), severity=Severity.P2)
    assert reweighed(bare, SeverityWeights()).severity is Severity.P2


@given(
    st.floats(0, 1e6),
    st.lists(st.tuples(st.sampled_from(["gold", "VIP", "free"]), st.integers(1, 40)), max_size=3),
    st.floats(1, 1e9),
    st.floats(0, 1),
)
def test_what_orders_and_tiers_are_worth_is_the_tried_policy_s(
    order_value: float, tiers: list[tuple[str, int]], full: float, gold: float
) -> None:
    facts = SeverityFacts(
        negative=0.9, count=40, baseline=8.0, count_6h=20, baseline_6h=2.0, authors=30, impact=0.9,
        category="payment failure", release=None, safety_words=(), order_value=order_value,
        orders=3, tiers=tuple(tiers),
    )  # fmt: skip
    old, other = SeverityWeights(), SeverityWeights(full_order_value=full, tiers=(("gold", gold),))
    recorded = replace(
        signal_of(signal_row()), severity_terms=severity_terms(facts, old),
        order_value=order_value, tiers=tuple(tiers),
    )  # fmt: skip
    wanted = severity_terms(facts, other)
    assert reweighed(recorded, other).severity_terms == wanted
    assert reweighed(recorded, other).severity is severity_of(wanted, other)
    assert reweighed(recorded, old).severity_terms == recorded.severity_terms


@given(st.permutations(range(6)))
def test_the_order_in_which_states_are_read_does_not_matter(order: list[int]) -> None:
    states = [state(n, signal_id=f"s{n % 3}", count=5 + 4 * n, severity_terms=[]) for n in range(6)]
    assert tried([states[i] for i in order], example_policy()) == tried(states, example_policy())


def test_only_thresholds_of_detection_need_a_replay() -> None:
    policy = example_policy()
    assert differing(policy, replace(policy, rules=policy.rules[:1])) == ()
    changed = replace(policy, fdr=0.05, snooze=timedelta(days=1))
    assert differing(policy, changed) == ("fdr", "snooze")


def test_people_speak_of_a_signal_first_and_of_its_theme_otherwise() -> None:
    one = signal_of(signal_row("s1"))
    assert truth_of(one, [label(NOT_AN_ISSUE)]) is Truth.NOISE
    assert truth_of(one, [label(NOT_AN_ISSUE), label(REAL, hours=1)]) is Truth.REAL
    assert truth_of(one, [label(NOT_AN_ISSUE, signal_id="other")]) is Truth.UNKNOWN
    theme = signal_of(signal_row("s2", kind="theme", series_id="th-1", theme_id="th-1"))
    of_series = replace(label(NOT_AN_ISSUE, signal_id="s9"), subject=("s9", series_key(theme)))
    assert truth_of(theme, [of_series]) is Truth.NOISE


def test_a_stricter_policy_loses_tickets_and_people_s_words_say_whether_it_missed() -> None:
    policy = example_policy()
    strict = replace(
        policy,
        rules=tuple(
            replace(r, min_count=50) if r.action is Action.TICKET else r for r in policy.rules
        ),
    )
    states = [state(0, signal_id=i, severity_terms=[]) for i in ("a", "b", "c")]
    old, new = tried(states, policy), tried(states, strict)
    labels = [label(REAL, signal_id="a"), label(NOT_AN_ISSUE, signal_id="b")]
    changes = differences(old, new, labels=labels, within=HOUR)
    assert {c.shown.signal_id: c.effect for c in changes} == {
        "a": Effect.MISS, "b": Effect.NOISE_GONE, "c": Effect.LOST_TICKET,
    }  # fmt: skip
    assert tallies(old.values(), labels) == {"payments-team": Tally(tickets=3, noise=1, real=1)}
    assert tallies(new.values(), labels) == {"payments-team": Tally(reviews=3)}
    assert differences(old, old, labels=labels, within=HOUR) == []


def test_a_problem_raised_a_little_later_under_another_threshold_is_the_same() -> None:
    policy = example_policy()
    old = tried([state(0, signal_id="a", severity_terms=[])], policy)
    later = AT + 2 * HOUR
    new = tried([state(2, signal_id="z", severity_terms=[], detected_at=later)], policy)
    assert differences(old, new, labels=[], within=timedelta(days=7)) == []
    apart = differences(old, new, labels=[], within=HOUR)
    assert [c.effect for c in apart] == [Effect.LOST_TICKET, Effect.NEW_TICKET]


def test_nothing_to_act_on_stays_suppressed_under_any_policy() -> None:
    empty = state(0, no_case="the theme's texts say nothing to act on")
    assert tried([empty], example_policy())["s1"].action is Action.SUPPRESS
    release = JudgedState(AT, signal_of(release_row(severity_terms=[])), None, None, "app-team")
    assert tried([release], example_policy())["r1"].would_ticket


def test_a_part_of_a_problem_is_linked_in_a_trial_as_in_the_loop() -> None:
    first = state(0, severity_terms=[])
    part = replace(state(1, signal_id="s2", parent_id="s1", severity_terms=[]), kin=("s1",))
    found = tried([part, first], example_policy())
    assert found["s1"].would_ticket
    assert (found["s2"].action, found["s2"].would_ticket) == (Action.DIGEST, False)
    alone = tried([replace(part, kin=())], example_policy())
    assert alone["s2"].would_ticket
