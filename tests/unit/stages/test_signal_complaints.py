"""A signal counts by all its complaints, however many: the ids in its row are the newest only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from closeloop.domain.signal import KEPT_IDS
from closeloop.stages import act, attribute, detect
from closeloop.stages.problems import Problems
from closeloop.stages.product_view import product_view
from closeloop.stages.signal_complaints import HISTORY, SignalComplaints, complaints_of_signals
from closeloop.stages.signal_rows import signal_of
from closeloop.tables import SIGNAL, THEME
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, PRODUCT, History

HOUR = timedelta(hours=1)
LATER = NOW + 3 * HOUR
MANY = KEPT_IDS + 60


def calm() -> tuple[InMemoryContext, History]:
    context = InMemoryContext(now=NOW)
    theme = {"theme_id": "t1", "product": PRODUCT, "label": "x", "content_free": False}
    context.as_step("theme").merge(THEME, THEME.from_rows([theme | {"first_seen": NOW - HISTORY}]))
    history = History().calm(region="DE")
    for row in history.rows[::7]:
        if row["category"] != "praise":
            row["theme_id"] = "t1"
        row["region"] = "IN"
    raised(context, history)
    return context, history


def raised(context: InMemoryContext, history: History) -> dict[tuple[str, str], dict[str, Any]]:
    """Write what is new, detect and attribute; return the live signals by kind and series."""
    history.write(context)
    detect.run(context.as_step(detect.NAME))
    attribute.run(context.as_step(attribute.NAME))
    context.as_step("reader")
    rows = context.rows(SIGNAL).to_pylist()
    return {(r["kind"], r["series_id"]): r for r in rows if not r["historic"]}


@pytest.mark.parametrize("more", [0, 200])
def test_what_the_first_of_many_told_of_danger_is_told_for_good(more: int) -> None:
    context, history = calm()
    history.burst(MANY, end=LATER, order_value=2.0, customer_tier="gold")
    history.rows[-MANY]["urgency_reasons"] = ["safety"]
    context.next_pass(now=LATER)
    signal = raised(context, history)["category", "payment failure"]
    if more:
        history.burst(more, end=LATER + HOUR, hours=1.0, order_value=2.0, customer_tier="gold")
        context.next_pass(now=LATER + HOUR)
        signal = raised(context, history)["category", "payment failure"]
    assert len(signal["feedback_ids"]) == KEPT_IDS
    assert signal["count"] >= MANY + more
    terms = {t["name"]: t for t in signal["severity_terms"]}
    assert terms["safety"]["value"] == 1.0
    assert signal["order_value"] == 2.0 * (MANY + more)
    assert terms["revenue"]["reason"].startswith(f"{MANY + more} orders")
    assert signal["tiers"] == [{"tier": "gold", "authors": MANY + more}]


def test_an_author_counts_once_a_tier_and_an_unknown_one_each_time() -> None:
    context, history = calm()
    history.burst(20, end=LATER, customer_tier="gold")
    for row in history.rows[-8:]:
        row["author_key"] = "same"
    for row in history.rows[-20:-15]:
        row["author_key"] = None
    context.next_pass(now=LATER)
    signal = raised(context, history)["category", "payment failure"]
    assert signal["tiers"] == [{"tier": "gold", "authors": 13}]


def test_the_complaints_of_a_small_signal_are_those_whose_ids_it_keeps() -> None:
    context, history = calm()
    history.burst(40, end=LATER, theme_id="t1", region="IN")
    history.burst(8, end=LATER, theme_id="t1", region="IN", formed_theme=True)
    for i in range(16):
        history.add(NOW + i * HOUR / 6, "praise", version="2.0", rating=1.0 if i % 8 else 5.0)
    context.next_pass(now=LATER)
    found = raised(context, history)
    assert {kind for kind, _ in found} == {"category", "theme", "segment", "release"}
    view = product_view(context, PRODUCT, since=NOW - HISTORY)
    for row in found.values():
        bare = {**row, "feedback_ids": []}
        assert view.ids(SignalComplaints(view).rows(bare)) == row["feedback_ids"]
        assert len(row["feedback_ids"]) == row["count"]


def test_a_theme_wholly_inside_a_larger_category_is_one_problem_with_it() -> None:
    """Its texts came first: none of them is among the newest of the category."""
    context, history = calm()
    told = [{"category": c, "confidence": 0.8} for c in ("account access", "payment failure")]
    history.add(NOW, "account access", categories=told, theme_id="t1")
    history.burst(
        40, end=NOW + HOUR, hours=1.0, category="account access", categories=told, theme_id="t1"
    )
    history.burst(MANY, end=LATER, hours=2.0)
    context.next_pass(now=LATER)
    found = raised(context, history)
    whole, part = found["category", "payment failure"], found["theme", "t1"]
    assert part["category"] == "account access"
    assert not set(whole["feedback_ids"]) & set(part["feedback_ids"])
    roots = {s["parent_id"] or s["signal_id"] for s in (whole, part)}
    assert len(roots) == 1
    one, other = signal_of(whole), signal_of(part)
    assert Problems(context, [one, other]).kin(other).count(one.signal_id) == 1
    assert complaints_of_signals(context, [one]).first_at(whole) == NOW


def test_a_ticket_says_when_the_first_of_many_complaints_came() -> None:
    context, history = calm()
    history.burst(MANY, end=LATER)
    context.next_pass(now=LATER)
    signal = raised(context, history)["category", "payment failure"]
    context.as_step(act.NAME)
    ticket = act.open_ticket(context, signal_of(signal), decision_id="d")
    kept = {r["feedback_id"]: r["event_time"] for r in history.rows}
    assert ticket.first_complaint_at is not None
    assert signal["window_start"] <= ticket.first_complaint_at
    assert ticket.first_complaint_at < min(kept[i] for i in signal["feedback_ids"])
