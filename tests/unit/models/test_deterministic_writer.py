"""The writer's words: same sheet, same words, and never a figure that is not on the sheet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain import figures
from closeloop.domain.brief import Fact, FactSheet, Quotation, cited_text, plain_text
from closeloop.domain.grounding import problems
from closeloop.domain.signal import Severity, Signal, SignalKind
from closeloop.models.deterministic_writer import TITLE_CHARACTERS, DeterministicWriter
from closeloop.ports import BriefRequest

NOW = datetime(2024, 3, 5, tzinfo=UTC)


def request(
    facts: tuple[Fact, ...],
    *,
    severity: Severity = Severity.P1,
    quotations: tuple[Quotation, ...] = (),
    names: tuple[str, ...] = (),
) -> BriefRequest:
    signal = Signal(
        signal_id="s1",
        product="shop",
        kind=SignalKind.CATEGORY,
        series_id="payment failure",
        window_start=NOW - timedelta(hours=3),
        window_end=NOW,
        count=12,
        baseline=2.0,
        count_6h=12,
        baseline_6h=2.0,
        detector="d",
        evidence=1.0,
        threshold=1.0,
        family_size=1,
        fdr_pass=True,
        detected_at=NOW,
        feedback_ids=(),
        severity=severity,
    )
    sheet = FactSheet("s1", facts, quotations, ("payments-team", *names))
    return BriefRequest(signal, (), sheet, "payment failure", "payments-team", (), NOW)


def count_fact(count: int, expected: float, product: str, subject: str) -> Fact:
    values = (
        figures.counted(count, "complaint"),
        figures.decimal(expected),
        figures.decimal(count / expected),
        "3 hours",
        figures.minute(NOW - timedelta(hours=3)),
        figures.minute(NOW),
        product,
        subject,
    )
    statement = (
        f"{product}, {subject}: {values[0]} in the {values[3]} from {values[4]} to {values[5]}; "
        f"{values[1]} were expected, so {values[2]} times the baseline."
    )
    return Fact("F1", statement, values, "count")


SEVERITY = Fact(
    "F2", "Severity P1, 72 points from size 20 of 25 (4.6 x).", ("P1", "72"), "severity"
)


def blamed(kind: str) -> Fact:
    return Fact("F3", f"{kind.title()} A1: 97% likely; blamed.", (kind, "A1", "97%", ""), "blamed")


def test_the_likely_cause_decides_the_first_action() -> None:
    base = (count_fact(12, 2.0, "Shop", "payment failure"), SEVERITY)
    writer = DeterministicWriter()

    def first(kind: str | None, severity: Severity = Severity.P1) -> str:
        facts = base if kind is None else (*base, blamed(kind))
        return writer.write(request(facts, severity=severity, names=("A1",))).next_actions[0].text

    assert first("release").startswith("Halt the rollout of release A1")
    assert first("release", Severity.P3).startswith("Reproduce the complaints on release A1")
    assert first("flag").startswith("Turn back flag A1")
    assert first("incident").startswith("Follow incident A1")
    assert first("article").startswith("Review or withdraw article A1")
    assert first(None).startswith("Ask what changed")


def test_leadership_is_told_severity_cause_and_owner_and_support_what_not_to_say() -> None:
    facts = (count_fact(12, 2.0, "Shop", "payment failure"), SEVERITY, blamed("release"))
    brief = DeterministicWriter().write(request(facts, names=("A1",)))
    leadership = cited_text(brief.leadership, brief.fact_sheet)
    assert leadership.startswith("Severity P1, 72 points. [F2]")
    assert "release A1, 97% likely. [F3]" in leadership
    assert leadership.endswith("Recommended owner: payments-team. [F1]")
    assert "not confirmed yet" in plain_text(brief.support)
    assert problems(brief) == ()


def test_a_title_stays_short_by_leaving_out_the_link_to_the_cause() -> None:
    long = "payment failure " * 5
    facts = (count_fact(12, 2.0, "Shop", long.strip()), SEVERITY, blamed("release"))
    brief = DeterministicWriter().write(request(facts, names=("A1",)))
    assert len(brief.title.text) <= TITLE_CHARACTERS


@given(
    count=st.integers(1, 2_000_000),
    expected=st.floats(0.5, 1e6),
    product=st.text(alphabet="Shop 24é", min_size=1, max_size=20).filter(str.strip),
    said=st.text(min_size=1, max_size=80).filter(str.strip),
)
def test_whatever_the_sheet_says_the_brief_is_grounded(
    count: int, expected: float, product: str, said: str
) -> None:
    facts = (count_fact(count, expected, product, "payment failure"), SEVERITY)
    quotations = (
        Quotation("r1", said, 1.0, NOW, None),
        Quotation("r2", said + "!", 5.0, NOW, None, "dissenting"),
    )
    asked = request(facts, quotations=quotations, names=(product,))
    brief = DeterministicWriter().write(asked)
    assert problems(brief) == ()
    assert brief == DeterministicWriter().write(asked)
