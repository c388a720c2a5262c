"""Verify: what is said of a fix, when, and what becomes of its ticket."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from closeloop.domain.outcome import Outcome, Verdict
from closeloop.domain.signal import Severity
from closeloop.domain.ticket import Ticket, TicketStatus
from closeloop.stages import verify
from closeloop.tables import OUTCOME, SIGNAL, TICKET
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import release_row, signal_row
from tests.unit.stages.history import NOW, PRODUCT, RATES, History

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FIXED = NOW
BEGAN = NOW - 4 * DAY


def ticket(**columns: object) -> Ticket:
    made = Ticket(
        ticket_id="T1",
        decision_id="d1",
        signal_id="s1",
        product=PRODUCT,
        title="Payments fail",
        body="",
        status=TicketStatus.RESOLVED,
        severity=Severity.P1,
        owner="payments-team",
        tracker="builtin",
        opened_at=BEGAN + DAY,
        due_at=NOW,
        resolved_at=FIXED,
        external_key="CL-1",
    )
    return replace(made, **columns)  # type: ignore[arg-type]


def troubled(**columns: object) -> tuple[InMemoryContext, History]:
    """Two months of calm, four days of trouble, a fix."""
    context = InMemoryContext(now=NOW)
    history = History().calm()
    history.burst(60, end=FIXED, hours=96)
    signal = signal_row("s1", window_start=BEGAN, window_end=FIXED)
    history.write(context).merge(SIGNAL, SIGNAL.from_rows([signal]))
    context.ops.put_ticket(ticket(**columns))
    return context, history


def after(
    context: InMemoryContext, history: History, days: float, *, complaints: float = 0.0
) -> Outcome | None:
    """Live some days after the fix with so many complaints a day more, then verify."""
    now = FIXED + days * DAY
    start = max(context.now, FIXED)
    span = (now - start) / DAY
    without = history.rng.poisson(RATES["praise"] * span)
    for _ in range(int(without)):
        history.add(start + span * DAY * float(history.rng.uniform()), "praise")
    history.burst(round(complaints * span), end=now, hours=24 * span)
    history.write(context)
    context.next_pass(now=now)
    verify.run(context.as_step(verify.NAME))
    context.as_step("reader")
    return next(iter(context.ops.outcomes()), None)


def status(context: InMemoryContext) -> TicketStatus:
    return context.ops.tickets()[0].status


def test_a_fix_that_holds_verifies_its_ticket():
    context, history = troubled()
    outcome = after(context, history, 4, complaints=0.5)
    assert outcome is not None
    assert outcome.verdict is Verdict.HELD
    assert outcome.complaints_before >= 60
    assert outcome.rate_ratio is not None
    assert outcome.ratio_low < outcome.rate_ratio < outcome.ratio_high < 0.5
    assert status(context) is TicketStatus.VERIFIED
    assert context.rows(TICKET).to_pylist()[0]["status"] == "verified"
    (row,) = context.rows(OUTCOME).to_pylist()
    assert (row["ticket_id"], row["verdict"]) == ("T1", "held")


def test_a_fix_that_fails_reopens_its_ticket_and_tells_the_tracker_once():
    context, history = troubled()
    outcome = after(context, history, 4, complaints=60)
    assert outcome is not None
    assert outcome.verdict is Verdict.FAILED
    assert status(context) is TicketStatus.REOPENED
    assert context.ops.tickets()[0].resolved_at is None
    (message,) = context.ops.outbox()
    assert message.kind == "ticket.reopen"
    payload = json.loads(message.payload)
    assert payload["ticket_id"] == "T1"
    assert "did not hold" in payload["comment"]
    after(context, history, 6, complaints=60)
    assert len(context.ops.outbox()) == 1


def test_a_fix_that_held_is_not_taken_back_for_want_of_evidence():
    context, history = troubled()
    first = after(context, history, 4, complaints=0.5)
    assert first is not None
    assert first.verdict is Verdict.HELD
    context.next_pass(now=FIXED + 30 * DAY)
    verify.run(context.as_step(verify.NAME))
    (outcome,) = context.ops.outcomes()
    assert outcome.verdict is Verdict.HELD
    assert status(context) is TicketStatus.VERIFIED


def test_a_fix_that_held_is_taken_back_by_what_comes_again():
    context, history = troubled()
    after(context, history, 4, complaints=0.5)
    outcome = after(context, history, 20, complaints=90)
    assert outcome is not None
    assert outcome.verdict is Verdict.FAILED
    assert status(context) is TicketStatus.REOPENED


@pytest.mark.parametrize(("category", "verdict"), [("payment failure", "held"), (None, "failed")])
def test_a_version_s_fix_is_measured_by_what_its_reviews_were_about(
    category: str | None, verdict: str
) -> None:
    """Low ratings go on, of other causes: they say nothing of this fix where it is known."""
    context, history = InMemoryContext(now=NOW), History().calm()
    history.burst(60, end=FIXED, hours=96, rating=1.0)
    about = {"series_id": "1.0", "version": "1.0", "category": category, "baseline": 8.0}
    signal = release_row("s1", window_start=BEGAN, window_end=FIXED, **about)
    history.write(context).merge(SIGNAL, SIGNAL.from_rows([signal]))
    context.ops.put_ticket(ticket())
    history.burst(70, end=FIXED + 4 * DAY, hours=96, rating=1.0, category="broken UI")
    outcome = after(context, history, 4, complaints=0.5)
    assert outcome is not None
    assert outcome.verdict == verdict


def over_before_its_fix() -> tuple[InMemoryContext, History]:
    """Two days of trouble, eighteen of calm, and then its ticket is closed."""
    context = InMemoryContext(now=NOW)
    history = History().calm()
    ended = FIXED - 18 * DAY
    history.burst(120, end=ended, hours=48)
    signal = signal_row("s1", window_start=ended - 2 * DAY, window_end=ended, baseline=3.0)
    history.write(context).merge(SIGNAL, SIGNAL.from_rows([signal]))
    context.ops.put_ticket(ticket())
    return context, history


def test_a_trouble_that_was_over_before_the_fix_tells_nothing_of_it() -> None:
    context, history = over_before_its_fix()
    for day in range(1, 31):
        outcome = after(context, history, day, complaints=RATES["payment failure"])
        assert outcome is not None
        assert outcome.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert outcome is not None
    assert (outcome.days_before, outcome.complaints_before) == (2.0, pytest.approx(123, abs=5))
    assert "the trouble was over 18 days before the fix" in outcome.reasons[-1]
    assert status(context) is TicketStatus.RESOLVED


def test_a_trouble_that_was_over_and_is_back_after_the_fix_has_not_been_mended() -> None:
    context, history = over_before_its_fix()
    outcome = after(context, history, 4, complaints=60)
    assert outcome is not None
    assert outcome.verdict is Verdict.FAILED


def test_a_version_that_few_have_yet_is_measured_by_the_usual_low_ratings_of_all() -> None:
    """So few are expected of its own reviews that the usual ones afterwards would be a failure."""
    context, history = InMemoryContext(now=NOW), History().calm().calm()
    history.burst(5, end=FIXED, hours=96, rating=1.0, version="2.0")
    about = {"series_id": "2.0", "version": "2.0", "category": None, "baseline": 0.4}
    signal = release_row("s1", window_start=BEGAN, window_end=FIXED, **about)
    history.write(context).merge(SIGNAL, SIGNAL.from_rows([signal]))
    context.ops.put_ticket(ticket())
    for day in range(1, 11):
        history.burst(5, end=FIXED + day * DAY, hours=24, rating=1.0)
        outcome = after(context, history, day)
        assert outcome is not None
        assert outcome.verdict is not Verdict.FAILED


def test_too_early_and_too_few_is_not_enough_evidence():
    context, history = troubled()
    assert after(context, history, 0.5) is None
    outcome = after(context, history, 1.5, complaints=6)
    assert outcome is not None
    assert outcome.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert status(context) is TicketStatus.RESOLVED


def test_a_trouble_that_was_most_of_the_feedback_leaves_no_silence_behind():
    context, history = troubled()
    history.burst(400, end=FIXED, hours=96)
    outcome = after(context, history, 4, complaints=0.5)
    assert outcome is not None
    assert outcome.verdict is Verdict.HELD


def test_silence_of_the_source_is_not_enough_evidence():
    context, _ = troubled()
    context.next_pass(now=FIXED + 5 * DAY)
    verify.run(context.as_step(verify.NAME))
    (outcome,) = context.ops.outcomes()
    assert outcome.verdict is Verdict.NOT_ENOUGH_EVIDENCE
    assert "silence" in outcome.reasons[-1]


def test_what_rose_in_the_week_after_is_where_complaints_moved():
    context, history = troubled()
    moved = signal_row("s2", series_id="broken UI", category="broken UI", window_start=FIXED + DAY)
    context.as_step("detect").merge(SIGNAL, SIGNAL.from_rows([moved]))
    outcome = after(context, history, 4, complaints=0.5)
    assert outcome is not None
    assert outcome.verdict is Verdict.MOVED
    assert "broken UI" in outcome.reasons[-1]
    assert status(context) is TicketStatus.RESOLVED


@pytest.mark.parametrize(
    "columns",
    [
        {"historic": True},
        {"window_start": FIXED - DAY},
        {"window_start": FIXED + 9 * DAY},
        {"series_id": "payment failure"},
        {"product": "wallet"},
        {"kind": "theme", "series_id": "t1", "category": "payment failure"},
        {"kind": "release", "series_id": "2.0"},
    ],
)
def test_what_has_nothing_to_do_with_it_is_no_move(columns):
    context, history = troubled()
    other = {"series_id": "broken UI", "category": "broken UI", "window_start": FIXED + DAY}
    row = signal_row("s2", **{**other, **columns})
    context.as_step("detect").merge(SIGNAL, SIGNAL.from_rows([row]))
    outcome = after(context, history, 4, complaints=0.5)
    assert outcome is not None
    assert outcome.verdict is Verdict.HELD


def test_the_clock_waits_for_the_fixed_version():
    context, history = troubled(fixed_version="2.0")
    # For two days all is as bad as before, since nobody has the fix.
    history.burst(30, end=FIXED + 2 * DAY, hours=48)
    for i in range(40):
        history.add(FIXED + 2 * DAY + i * DAY / 20, "praise", version="2.0")
    outcome = after(context, history, 6)
    assert outcome is not None
    assert outcome.clock_started_at >= FIXED + 2 * DAY
    assert outcome.verdict is Verdict.HELD


@pytest.mark.parametrize(("version", "failed"), [("2.0", True), ("1.0", False)])
def test_where_complaints_fall_a_little_the_fixed_version_s_own_users_tell(
    version: str, failed: bool
) -> None:
    """Ten complaints a day after fifteen: from those who have the fix it failed, from others not yet."""
    context, history = troubled(fixed_version="2.0")
    for i in range(80):
        named = "2.0" if i % 4 else "1.0"
        history.add(FIXED + HOUR + i * 3 * HOUR, "praise", version=named)
    for i in range(100):
        history.add(FIXED + DAY + i * 2.4 * HOUR, version=version)
    outcome = after(context, history, 10)
    assert outcome is not None
    assert outcome.rate_ratio is not None
    assert 0.5 < outcome.rate_ratio < 0.9
    assert (outcome.verdict is Verdict.FAILED) is failed
    assert any("complaints came from users of 2.0" in r for r in outcome.reasons) is failed
    assert any("neither held (surely under 0.5)" in r for r in outcome.reasons) is not failed


def test_where_no_more_than_the_usual_came_before_no_fix_has_failed() -> None:
    """Fifteen a day before, where twenty are usual; fifty a day afterwards are another trouble."""
    context, history = troubled(fixed_version="2.0")
    usual = signal_row("s1", window_start=BEGAN, window_end=FIXED, baseline=80.0)
    context.merge(SIGNAL, SIGNAL.from_rows([usual]))
    for i in range(80):
        history.add(FIXED + HOUR + i * 3 * HOUR, "praise", version="2.0")
    for i in range(500):
        history.add(FIXED + HOUR + i * 0.47 * HOUR, version="2.0")
    outcome = after(context, history, 10)
    assert outcome is not None
    assert outcome.complaints_before <= 80
    assert outcome.verdict is Verdict.NOT_ENOUGH_EVIDENCE


def test_a_version_that_nobody_has_is_waited_for():
    context, history = troubled(fixed_version="2.0")
    outcome = after(context, history, 4)
    assert outcome is not None
    assert outcome.rate_ratio is None
    assert "has not reached half" in outcome.reasons[0]


def test_measured_daily_and_written_where_something_changed():
    context, history = troubled()
    after(context, history, 2, complaints=3)
    after(context, history, 2.2, complaints=3)
    first = context.rows(OUTCOME).num_rows
    assert first == 1
    after(context, history, 3.5, complaints=3)
    assert context.rows(OUTCOME).num_rows == 2
    assert len({r["measured_at"] for r in context.rows(OUTCOME).to_pylist()}) == 2


def test_a_pass_without_a_due_ticket_writes_nothing():
    context, history = troubled()
    after(context, history, 4, complaints=0.5)
    context.next_pass(now=FIXED + 4.2 * DAY)
    verify.run(context.as_step(verify.NAME))
    assert context.written == {}


@pytest.mark.parametrize("now", [FIXED + timedelta(hours=3), FIXED + timedelta(days=90)])
def test_only_a_fix_of_the_last_two_months_is_measured(now: datetime):
    context, _ = troubled()
    context.next_pass(now=now)
    verify.run(context.as_step(verify.NAME))
    assert context.ops.outcomes() == []
