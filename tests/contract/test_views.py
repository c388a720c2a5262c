"""Each gold view over small tables with known answers, on the local engine's SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from closeloop import tables
from closeloop.engines.duck import run_sql
from closeloop.stages.views import VIEWS, view_named

MONDAY = datetime(2024, 3, 4, tzinfo=UTC)


def run(query: str, **rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run a query over tables given as `layer__name=[rows]`; all others are empty."""
    relations = {
        t.full_name: t.from_rows(rows.pop(t.full_name.replace(".", "__"), []))
        for t in tables.TABLES
    }
    assert not rows, f"no such tables: {sorted(rows)}"
    return run_sql(query, relations).to_pylist()


def feedback(feedback_id: str, *, revision: int = 1, **more: Any) -> dict[str, Any]:
    row = {
        "feedback_id": feedback_id,
        "revision": revision,
        "bronze_id": f"b-{feedback_id}-{revision}",
        "source": "play",
        "product": "shop",
        "event_time": MONDAY,
        "known_at": MONDAY,
        "text": f"text of {feedback_id} r{revision}",
        "masker": "masker-1",
    }
    return row | more


def series(kind: str, series_id: str, hour: datetime, count: int) -> dict[str, Any]:
    return {
        "product": "shop",
        "series_kind": kind,
        "series_id": series_id,
        "hour": hour,
        "count": count,
    }


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.name)
def test_every_view_runs_over_empty_tables_and_states_its_reader(view: Any) -> None:
    assert run(f"SELECT * FROM {view.full_name}") == []
    assert view.select.startswith("-- ")
    assert ";" not in view.select
    assert view_named(view.full_name) is view


def test_feedback_latest_keeps_one_row_a_feedback_and_hides_unmasked_text() -> None:
    rows = run(
        "SELECT feedback_id, revision, text, category FROM gold.feedback_latest ORDER BY 1",
        silver__feedback=[
            feedback("a"),
            feedback("a", revision=2),
            feedback("b", masker=None),
        ],
        silver__enrichment=[
            {"feedback_id": "a", "revision": 1, "category": "old"},
            {"feedback_id": "a", "revision": 2, "category": "new"},
        ],
    )
    assert rows == [
        {"feedback_id": "a", "revision": 2, "text": "text of a r2", "category": "new"},
        {"feedback_id": "b", "revision": 1, "text": None, "category": None},
    ]


def test_product_weekly_gives_share_change_and_zero_weeks() -> None:
    rows = run(
        "SELECT * FROM gold.product_weekly",
        gold__series=[
            series("total", "all", MONDAY, 10),
            series("category", "payment failure", MONDAY, 4),
            series("category", "broken UI", MONDAY + timedelta(hours=30), 6),
            series("total", "all", MONDAY + timedelta(days=7), 20),
            series("category", "payment failure", MONDAY + timedelta(days=7), 5),
            series("category", "payment failure", MONDAY + timedelta(days=13, hours=23), 15),
            series("total", "all", MONDAY + timedelta(days=13, hours=23), 0),
        ],
    )
    found = {(r["week"], r["category"]): r for r in rows}
    later = found[(MONDAY + timedelta(days=7), "payment failure")]
    assert (later["complaints"], later["all_complaints"], later["share"]) == (20, 20, 1.0)
    assert (later["complaints_week_before"], later["change"], later["change_share"]) == (4, 16, 4.0)
    gone = found[(MONDAY + timedelta(days=7), "broken UI")]
    assert (gone["complaints"], gone["change"], gone["change_share"]) == (0, -6, -1.0)
    first = found[(MONDAY, "payment failure")]
    assert (first["share"], first["complaints_week_before"], first["change"]) == (0.4, None, None)
    assert rows[0]["week"] == MONDAY + timedelta(days=7)


def test_severity_heatmap_counts_signals_but_not_historic_ones() -> None:
    def signal(signal_id: str, severity: str, **more: Any) -> dict[str, Any]:
        return {
            "signal_id": signal_id,
            "product": "shop",
            "kind": "category",
            "category": "payment failure",
            "severity": severity,
            "count": 10,
            "historic": False,
            "detected_at": MONDAY,
        } | more

    rows = run(
        "SELECT * FROM gold.severity_heatmap",
        gold__signal=[
            signal("s1", "P1"),
            signal("s2", "P3"),
            signal("s3", "P1", historic=True),
            signal("s4", "P2", kind="release", category=None),
        ],
        gold__ticket=[
            {"ticket_id": "t1", "signal_id": "s1", "status": "reopened", "opened_at": MONDAY},
            {"ticket_id": "t2", "signal_id": "s2", "status": "verified", "opened_at": MONDAY},
        ],
    )
    assert [(r["category"], r["p1"], r["p2"], r["p3"], r["p4"]) for r in rows] == [
        ("payment failure", 1, 0, 1, 0),
        ("release", 0, 1, 0, 0),
    ]
    assert (rows[0]["signals"], rows[0]["complaints"], rows[0]["open_tickets"]) == (2, 20, 1)


def test_support_queue_shows_urgent_texts_newest_first_beside_their_summary() -> None:
    def enriched(feedback_id: str, urgency: float, *, free: bool = False) -> dict[str, Any]:
        return {
            "feedback_id": feedback_id,
            "revision": 1,
            "category": "payment failure",
            "urgency": urgency,
            "urgency_reasons": ["money missing"],
            "content_free": free,
        }

    rows = run(
        "SELECT * FROM gold.support_queue",
        silver__feedback=[
            feedback("calm"),
            feedback("early", event_time=MONDAY - timedelta(days=1), customer_tier="gold"),
            feedback("late", event_time=MONDAY),
            feedback("empty"),
            feedback("copy", duplicate_of="late"),
            feedback("old", event_time=MONDAY - timedelta(days=15)),
        ],
        silver__enrichment=[
            enriched("calm", 0.1),
            enriched("early", 0.9),
            enriched("late", 0.5),
            enriched("empty", 0.9, free=True),
            enriched("copy", 0.9),
            enriched("old", 0.9),
        ],
        gold__signal=[
            {
                "signal_id": "s1",
                "product": "shop",
                "category": "payment failure",
                "severity": "P1",
                "window_start": MONDAY - timedelta(hours=1),
                "detected_at": MONDAY,
                "historic": False,
            }
        ],
        gold__brief=[
            {"brief_id": "b1", "signal_id": "s1", "title": "old", "made_at": MONDAY},
            {
                "brief_id": "b2",
                "signal_id": "s1",
                "title": "Payments fail",
                "made_at": MONDAY + timedelta(hours=1),
            },
        ],
        gold__ticket=[
            {"ticket_id": "t1", "signal_id": "s1", "status": "open", "opened_at": MONDAY}
        ],
    )
    assert [r["feedback_id"] for r in rows] == ["late", "early"]
    assert rows[0]["summary"] == "Payments fail"
    assert rows[0]["ticket_id"] == "t1"
    assert rows[0]["text"] == "text of late r1"
    assert rows[0]["urgency_reasons"] == ["money missing"]
    assert (rows[1]["customer_tier"], rows[1]["signal_id"]) == ("gold", None)


def test_engineering_clusters_name_release_effect_sample_and_owner() -> None:
    rows = run(
        "SELECT * FROM gold.engineering_clusters",
        silver__feedback=[feedback("a")],
        silver__change=[
            {"change_id": "c1", "kind": "release", "version": "2.0", "started_at": MONDAY}
        ],
        gold__signal=[
            {"signal_id": "s1", "product": "shop", "kind": "category", "category": "performance"},
            {"signal_id": "s2", "product": "shop", "kind": "category", "category": "billing"},
            {"signal_id": "s3", "product": "shop", "kind": "release", "version": "1.9"},
        ],
        gold__attribution=[
            {
                "signal_id": "s1",
                "change_id": "c1",
                "kind": "release",
                "name": "Shop 2.0",
                "effect": 4.0,
                "posterior": 0.97,
                "blamed": True,
            },
            {"signal_id": "s2", "kind": "flag", "name": "f", "blamed": True},
            {"signal_id": "s2", "kind": "release", "name": "Shop 2.0", "blamed": False},
        ],
        gold__brief=[
            {"brief_id": "b", "signal_id": "s1", "sample_id": "a", "recommended_owner": "app-team"}
        ],
    )
    found = {r["signal_id"]: r for r in rows}
    assert set(found) == {"s1", "s3"}
    assert found["s1"]["release"] == "Shop 2.0"
    assert (found["s1"]["version"], found["s1"]["odds_ratio"]) == ("2.0", 4.0)
    assert (found["s1"]["sample_text"], found["s1"]["owner"]) == ("text of a r1", "app-team")
    assert found["s3"]["release"] == "1.9"


def test_leadership_speed_counts_hours_over_months_ends() -> None:
    opened = datetime(2024, 3, 1, tzinfo=UTC)
    rows = run(
        "SELECT * FROM gold.leadership_speed",
        gold__signal=[{"signal_id": "s1", "count": 30}, {"signal_id": "s2", "count": 12}],
        gold__ticket=[
            {
                "ticket_id": "t1",
                "signal_id": "s1",
                "severity": "P1",
                "status": "verified",
                "first_complaint_at": opened - timedelta(hours=8, minutes=30),
                "detected_at": opened - timedelta(hours=1),
                "opened_at": opened,
                "resolved_at": opened + timedelta(days=40, hours=5),
            },
            {
                "ticket_id": "t2",
                "signal_id": "s2",
                "severity": "P1",
                "status": "open",
                "first_complaint_at": opened - timedelta(hours=4),
                "detected_at": opened - timedelta(hours=2),
                "opened_at": opened + timedelta(days=1),
            },
        ],
    )
    assert len(rows) == 1
    row = rows[0]
    assert (row["month"], row["severity"], row["tickets"]) == (opened, "P1", 2)
    assert (row["open_tickets"], row["closed_tickets"], row["complaints"]) == (1, 1, 42)
    assert row["median_hours_to_signal"] == pytest.approx((7.5 + 2.0) / 2)
    assert row["median_hours_to_ticket"] == pytest.approx((1.0 + 26.0) / 2)
    assert row["median_hours_to_resolution"] == pytest.approx(40 * 24 + 5)


def test_intake_accounting_adds_up_and_shows_what_is_pending() -> None:
    def bronze(bronze_id: str, source: str = "play") -> dict[str, Any]:
        return {"bronze_id": bronze_id, "feedback_id": bronze_id, "source": source}

    rows = run(
        "SELECT * FROM gold.intake_accounting",
        bronze__feedback=[bronze(i) for i in "abcd"] + [bronze("e", "support")],
        silver__feedback=[feedback("x", bronze_id="a"), feedback("y", bronze_id="e")],
        silver__quarantine=[{"bronze_id": "b", "source": "play"}],
        silver__superseded=[{"bronze_id": "c"}],
    )
    assert rows == [
        {
            "source": "play",
            "bronze": 4,
            "silver": 1,
            "quarantine": 1,
            "superseded": 1,
            "pending": 1,
        },
        {
            "source": "support",
            "bronze": 1,
            "silver": 1,
            "quarantine": 0,
            "superseded": 0,
            "pending": 0,
        },
    ]
