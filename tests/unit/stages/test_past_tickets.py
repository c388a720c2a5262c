"""Past tickets are found by theme, by category, and by what customers wrote; the most alike first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from closeloop.domain.signal import Severity, Signal
from closeloop.domain.ticket import Ticket, TicketStatus
from closeloop.stages.past_tickets import past_tickets
from closeloop.stages.signal_rows import signal_of
from closeloop.stages.theme_memory import Background, ThemeMemory, nothing_waits
from closeloop.stages.theme_recall import MEMORY
from closeloop.stats.themes import Frame
from closeloop.tables import EMBEDDING, SIGNAL
from closeloop.testing.context import InMemoryContext
from closeloop.testing.embedders import HashedWordEmbedder

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
MODEL = HashedWordEmbedder().model_id
SIZE = 8


def signal_row(name: str, **more: Any) -> dict[str, Any]:
    return {
        "signal_id": name, "product": "shop", "kind": "category", "series_id": "pay",
        "category": "pay", "window_start": NOON - timedelta(hours=6), "window_end": NOON,
        "count": 3, "baseline": 1.0, "ratio": 3.0, "count_6h": 3, "baseline_6h": 0.5,
        "detector": "d", "evidence": 9.0, "threshold": 5.0, "family_size": 3, "fdr_pass": True,
        "severity": "P2", "severity_terms": [], "historic": False, "detected_at": NOON,
        "feedback_ids": [f"{name}-{n}" for n in range(3)],
    } | more  # fmt: skip


def ticket(signal_id: str, *, day: int, **more: Any) -> Ticket:
    given = {"category": "other", "product": "shop", "theme_id": None} | more
    return Ticket(
        ticket_id=f"t-{signal_id}", decision_id=f"d-{signal_id}", signal_id=signal_id,
        title=f"about {signal_id}", body="", status=TicketStatus.VERIFIED, severity=Severity.P1,
        owner="o", tracker="builtin", opened_at=datetime(2024, 1, day, tzinfo=UTC),
        due_at=datetime(2024, 2, day, tzinfo=UTC), **given,
    )  # fmt: skip


def seeded(directions: dict[str, int], *, memory: bool = True) -> InMemoryContext:
    """Return signals whose texts all point in a direction: the same one is the same subject."""
    context = InMemoryContext(now=NOON)
    context.append(SIGNAL, SIGNAL.from_rows([signal_row(name) for name in directions]))
    axes = np.eye(SIZE, dtype=np.float32)
    context.append(
        EMBEDDING,
        EMBEDDING.from_rows(
            {"feedback_id": f"{name}-{n}", "revision": 1, "model": MODEL,
             "vector": axes[axis].tolist()}
            for name, axis in directions.items()
            for n in range(3)
        ),
    )  # fmt: skip
    if memory:
        held = ThemeMemory(
            frame=Frame(centre=np.zeros(SIZE, np.float32), mu=0.0, sd=0.1), model_id=MODEL, ids=[],
            sums=np.zeros((0, SIZE)), sizes=np.zeros(0, np.int64), labelled=np.zeros(0, np.int64),
            waiting=nothing_waits(SIZE), background=Background(0, {}), looked_at=0,
        )  # fmt: skip
        context.put_state(MEMORY, held.to_bytes(), scope="shop")
    return context.as_step("brief")


def found(context: InMemoryContext, *tickets: Ticket, **signal: Any) -> list[str]:
    for one in tickets:
        context.ops.put_ticket(one)
    (row,) = SIGNAL.from_rows([signal_row("now", **signal)]).to_pylist()
    now: Signal = signal_of(row)
    return [t.signal_id for t in past_tickets(context, now)]


def test_what_customers_wrote_alike_is_found_in_another_category() -> None:
    context = seeded({"now": 0, "alike": 0, "unlike": 1})
    assert found(context, ticket("alike", day=1), ticket("unlike", day=2)) == ["alike"]


def test_of_one_category_the_most_alike_come_first_then_the_newest() -> None:
    context = seeded({"now": 0, "alike": 0, "new": 1, "newest": 1})
    tickets = [
        ticket(n, day=d, category="pay") for n, d in (("alike", 1), ("new", 2), ("newest", 3))
    ]
    assert found(context, *tickets) == ["alike", "newest", "new"]


def test_those_of_the_same_theme_come_before_all() -> None:
    context = seeded({"now": 0, "alike": 0, "themed": 1})
    tickets = [ticket("alike", day=3), ticket("themed", day=1, theme_id="t1")]
    assert found(context, *tickets, theme_id="t1") == ["themed", "alike"]


@pytest.mark.parametrize("directions", [{"now": 0, "a": 0, "b": 0}, {}])
def test_without_vectors_to_compare_the_category_and_the_day_decide(
    directions: dict[str, int],
) -> None:
    context = seeded(directions, memory=False)
    tickets = [ticket("a", day=1, category="pay"), ticket("b", day=2, category="pay"),
               ticket("c", day=3)]  # fmt: skip
    assert found(context, *tickets) == ["b", "a"]


def test_neither_itself_nor_another_product_s_tickets_are_similar() -> None:
    context = seeded({"now": 0, "far": 0})
    tickets = [ticket("now", day=1, category="pay"), ticket("far", day=2, product="other")]
    assert found(context, *tickets) == []


def test_at_most_three_are_shown() -> None:
    context = seeded({"now": 0} | {f"s{n}": 0 for n in range(5)})
    assert len(found(context, *(ticket(f"s{n}", day=n + 1) for n in range(5)))) == 3
