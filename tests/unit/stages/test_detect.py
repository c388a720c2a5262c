"""Detect: what is raised, what is not, and what happens to a signal while it lasts."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from closeloop.stages import detect
from closeloop.stages.exposure_level import product_exposure
from closeloop.tables import ENRICHMENT, EXPOSURE, FEEDBACK, SERIES, SIGNAL, THEME
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, PRODUCT, History, release, write_changes

HOUR = timedelta(hours=1)


def run(context: InMemoryContext, history: History | None = None) -> list[dict[str, Any]]:
    """Write what is new, run the stage, and return the live signals."""
    if history is not None:
        history.write(context)
    detect.run(context.as_step(detect.NAME))
    context.as_step("reader")
    return [r for r in context.rows(SIGNAL).to_pylist() if not r["historic"]]


def started(**columns: Any) -> tuple[InMemoryContext, History]:
    """A product with 60 calm days, seen once."""
    context = InMemoryContext(now=NOW)
    history = History().calm(**columns)
    assert run(context, history) == []
    return context, history


def test_a_burst_is_raised_with_its_complaints_and_figures():
    context, history = started()
    ids = history.burst(12, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    (signal,) = run(context, history)
    assert (signal["kind"], signal["series_id"]) == ("category", "payment failure")
    assert signal["detected_at"] == context.now
    assert signal["count"] >= 12 > 5 > signal["baseline"]
    assert set(ids) <= set(signal["feedback_ids"])
    assert signal["authors"] == signal["count"] == len(signal["feedback_ids"])
    assert signal["count_6h"] >= 12
    assert signal["evidence"] >= signal["threshold"] == signal["family_size"] == 4
    assert signal["fdr_pass"]
    assert signal["confidence"] == pytest.approx(0.8)
    assert not signal["confidence_calibrated"]
    assert signal["window_start"] < context.now <= signal["window_end"] + HOUR


def test_where_complaints_come_by_the_dozen_a_week_of_history_is_enough():
    context = InMemoryContext(now=NOW)
    history = History()
    for day in range(6):
        for hour in range(24):
            end = NOW - timedelta(days=day, hours=hour)
            history.burst(int(history.rng.poisson(8)), end=end, hours=1)
            history.burst(int(history.rng.poisson(8)), end=end, hours=1, category="praise")
    assert run(context, history) == []
    history.burst(80, end=NOW + 2 * HOUR, hours=2)
    context.next_pass(now=NOW + 2 * HOUR)
    (signal,) = run(context, history)
    assert (signal["kind"], signal["series_id"]) == ("category", "payment failure")
    assert signal["detector"] == "daily-peaks"
    assert signal["count"] >= 40
    # What the busiest such hours of a usual day bring, not the little that six days have taught.
    assert 8 <= signal["baseline"] <= signal["count"] / 2
    assert signal["baseline_6h"] >= signal["baseline"]
    assert not signal["historic"]


def test_a_product_without_ratings_or_versions_is_looked_at_as_well():
    context, history = started(rating=None, version=None)
    history.burst(12, end=NOW + 3 * HOUR, rating=None, version=None)
    context.next_pass(now=NOW + 3 * HOUR)
    (signal,) = run(context, history)
    assert signal["series_id"] == "payment failure"


def test_the_same_rows_again_change_nothing():
    context, history = started()
    history.burst(12, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    before = run(context, history)
    assert run(context) == before
    context.as_step(detect.NAME)
    detect.run(context)
    assert context.written == {}


@pytest.mark.parametrize(
    "columns",
    [
        {"category": "praise"},
        {"category": "feature request"},
        {"category": "unknown"},
        {"content_free": True},
        {"sentiment": 0.1},
        {"duplicate_of": "shop-app-000000"},
        {"trust": 0.0},
    ],
)
def test_what_is_no_complaint_raises_nothing(columns):
    context, history = started()
    history.burst(30, end=NOW + 3 * HOUR, **columns)
    context.next_pass(now=NOW + 3 * HOUR)
    assert run(context, history) == []


def test_a_lasting_problem_stays_one_signal_that_grows():
    context, history = started()
    seen = []
    for step in range(1, 13):
        now = NOW + 6 * step * HOUR
        history.burst(6, end=now, hours=5)
        context.next_pass(now=now)
        seen.append(run(context, history))
    assert [len(s) for s in seen] == [1] * 12
    assert len({s[0]["signal_id"] for s in seen}) == 1
    assert len({s[0]["detected_at"] for s in seen}) == 1
    assert seen[-1][0]["count"] > 3 * seen[0][0]["count"]


def test_within_the_snooze_it_must_outgrow_itself_and_after_it_need_not():
    context, history = started()
    history.burst(12, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    assert len(run(context, history)) == 1
    later = NOW + timedelta(days=5)
    history.calm(until=later, days=4.8)
    history.burst(10, end=later)
    context.next_pass(now=later)
    assert len(run(context, history)) == 1
    history.burst(40, end=later + HOUR, hours=1)
    context.next_pass(now=later + HOUR)
    assert len(run(context, history)) == 2
    much_later = NOW + timedelta(days=30)
    history.calm(until=much_later, days=24)
    history.burst(15, end=much_later)
    context.next_pass(now=much_later)
    assert len(run(context, history)) == 3


def test_history_is_scanned_and_never_live():
    context = InMemoryContext(now=NOW)
    history = History().calm(backfill=True)
    history.burst(20, end=NOW - timedelta(days=20), backfill=True)
    assert run(context, history) == []
    (signal,) = context.rows(SIGNAL).to_pylist()
    assert signal["historic"]
    assert abs(signal["detected_at"] - (NOW - timedelta(days=20))) <= 4 * HOUR


def test_a_stale_alarm_is_history_though_its_rows_are_not():
    context, history = started()
    history.burst(20, end=NOW - timedelta(days=10))
    assert run(context, history) == []
    assert context.rows(SIGNAL).num_rows == 1


def test_hours_that_are_looked_at_again_later_raise_nothing_new():
    context = InMemoryContext(now=NOW)
    history = History().calm(backfill=True)
    for day in (20.0, 19.6, 19.2, 18.8):
        history.burst(20, end=NOW - timedelta(days=day), hours=9, backfill=True)
    assert run(context, history) == []
    history.burst(12, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    assert len(run(context, history)) == 1
    known = {r["signal_id"]: r["detected_at"] for r in context.rows(SIGNAL).to_pylist()}
    assert len(known) == 2
    # One late text of before the first problem: all that came since is looked at again.
    history.burst(1, end=NOW - timedelta(days=25), backfill=True)
    context.next_pass(now=NOW + 6 * HOUR)
    run(context, history)
    assert {r["signal_id"]: r["detected_at"] for r in context.rows(SIGNAL).to_pylist()} == known


def test_what_goes_on_is_news_though_it_began_in_history():
    context = InMemoryContext(now=NOW)
    history = History().calm(backfill=True)
    history.burst(9, end=NOW - HOUR, backfill=True)
    assert run(context, history) == []
    history.burst(40, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    (signal,) = run(context, history)
    assert signal["detected_at"] == context.now


def test_a_surge_of_everything_is_passed_over():
    context, history = started()
    history.calm(until=NOW + 12 * HOUR, days=0.5)
    for _ in range(4):
        history.calm(until=NOW + 12 * HOUR, days=0.5)
    context.next_pass(now=NOW + 12 * HOUR)
    assert run(context, history) == []


def test_a_queue_of_one_category_is_raised_though_nothing_stands_beside_it():
    context = InMemoryContext(now=NOW)
    history = History()
    for i in range(240):
        history.add(NOW - 60 * 24 * HOUR + i * 6 * HOUR, rating=None)
    assert run(context, history) == []
    history.burst(15, end=NOW + 3 * HOUR, rating=None)
    context.next_pass(now=NOW + 3 * HOUR)
    (signal,) = run(context, history)
    assert signal["series_id"] == "payment failure"


def test_a_star_that_begins_to_be_collected_is_no_problem():
    context = InMemoryContext(now=NOW)
    history = History().calm()
    for row in history.rows:
        row["rating"] = max(row["rating"], 2.0)
    run(context, history)
    for day in range(3):
        now = NOW + timedelta(days=day + 1)
        history.calm(until=now, days=1)
        for row in history.rows[history.written :]:
            row["rating"] = max(row["rating"], 2.0)
        history.burst(40, end=now, hours=23, rating=1.0)
        history.burst(40, end=now, hours=23, rating=1.0, category="broken UI")
        context.next_pass(now=now)
        assert run(context, history) == []
    # The rest is watched on.
    now = NOW + timedelta(days=3, hours=3)
    history.burst(14, end=now, rating=2.0)
    context.next_pass(now=now)
    assert [s["series_id"] for s in run(context, history)] == ["payment failure"]


def theme(theme_id: str, **columns: Any) -> dict[str, Any]:
    return {
        "theme_id": theme_id,
        "product": PRODUCT,
        "label": "x",
        "first_seen": NOW - timedelta(days=60),
        "content_free": False,
        **columns,
    }


@pytest.mark.parametrize(
    ("columns", "raised"),
    [
        ({}, True),
        ({"content_free": True}, False),
        ({"merged_into": "other"}, False),
        ({"first_seen": NOW - timedelta(days=3)}, False),
    ],
)
def test_a_theme_is_a_series_while_it_is_eligible(columns, raised):
    context = InMemoryContext(now=NOW)
    context.as_step("theme").merge(THEME, THEME.from_rows([theme("t1", **columns)]))
    history = History().calm()
    for row in history.rows[::7]:
        if row["category"] != "praise":
            row["theme_id"] = "t1"
    run(context, history)
    history.burst(12, end=NOW + 3 * HOUR, theme_id="t1")
    context.next_pass(now=NOW + 3 * HOUR)
    found = {(s["kind"], s["theme_id"]): s for s in run(context, history)}
    assert (("theme", "t1") in found) == raised
    if raised:
        signal = found["theme", "t1"]
        assert signal["category"] == "payment failure"
        assert signal["confidence"] == pytest.approx(0.7)
        assert signal["family_size"] == 5


@pytest.mark.parametrize(
    ("mains", "further", "named"),
    [
        ({"other": 18, "account access": 12}, "account access", "account access"),
        ({"other": 26, "broken UI": 4}, "broken UI", "broken UI"),
        ({"account access": 12, "broken UI": 18}, "account access", "account access"),
    ],
)
def test_what_is_complained_of_most_names_a_theme_s_signal(mains, further, named):
    context = InMemoryContext(now=NOW)
    context.as_step("theme").merge(THEME, THEME.from_rows([theme("t1")]))
    history = History().calm()
    for row in history.rows[::7]:
        if row["category"] != "praise":
            row["theme_id"] = "t1"
    run(context, history)
    for main, count in mains.items():
        told = [{"category": c, "confidence": 0.8} for c in dict.fromkeys((main, further))]
        history.burst(count, end=NOW + 3 * HOUR, category=main, categories=told, theme_id="t1")
    context.next_pass(now=NOW + 3 * HOUR)
    found = {(s["kind"], s["theme_id"]): s for s in run(context, history)}
    assert found["theme", "t1"]["category"] == named


def test_other_names_a_signal_only_where_no_complaint_has_a_third():
    context = InMemoryContext(now=NOW)
    context.as_step("theme").merge(THEME, THEME.from_rows([theme("t1")]))
    history = History().calm()
    for row in history.rows[::7]:
        if row["category"] != "praise":
            row["theme_id"] = "t1"
    run(context, history)
    for further in ("account access", "broken UI", "payment failure", "shipping delay"):
        told = [{"category": c, "confidence": 0.8} for c in ("other", further)]
        history.burst(8, end=NOW + 3 * HOUR, category="other", categories=told, theme_id="t1")
    context.next_pass(now=NOW + 3 * HOUR)
    found = {(s["kind"], s["theme_id"]): s for s in run(context, history)}
    assert found["theme", "t1"]["category"] == "other"


def test_a_theme_of_praise_is_not_eligible():
    context = InMemoryContext(now=NOW)
    context.as_step("theme").merge(THEME, THEME.from_rows([theme("t1")]))
    history = History().calm()
    for row in history.rows:
        if row["category"] == "praise":
            row["theme_id"] = "t1"
    run(context, history)
    history.burst(12, end=NOW + 3 * HOUR, theme_id="t1")
    context.next_pass(now=NOW + 3 * HOUR)
    assert {s["kind"] for s in run(context, history)} == {"category"}


def test_texts_that_formed_a_theme_do_not_raise_it():
    context = InMemoryContext(now=NOW)
    context.as_step("theme").merge(THEME, THEME.from_rows([theme("t1")]))
    history = History().calm()
    history.add(NOW - timedelta(days=20), theme_id="t1")
    run(context, history)
    history.burst(12, end=NOW + 3 * HOUR, theme_id="t1", formed_theme=True)
    context.next_pass(now=NOW + 3 * HOUR)
    assert {s["kind"] for s in run(context, history)} == {"category"}


def test_labels_make_the_confidence_calibrated():
    context, history = started()
    standing = {"product": PRODUCT, "category": "payment failure", "labels": 120, "right": 108}
    blob = json.dumps({"standings": [{**standing, "precision": 0.9, "autonomy": True}]})
    context.as_step("learn").put_state("calibration", blob.encode())
    history.burst(12, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    (signal,) = run(context, history)
    assert signal["confidence_calibrated"]
    assert signal["confidence"] == pytest.approx(0.9)


def test_series_count_complaints_by_hour_beside_what_was_expected():
    context, _ = started()
    rows = context.rows(SERIES).to_pylist()
    total = sum(r["count"] for r in rows if r["series_kind"] == "total")
    by_category = sum(r["count"] for r in rows if r["series_kind"] == "category")
    feedback = context.rows(ENRICHMENT).to_pylist()
    assert total == by_category == sum(r["category"] != "praise" for r in feedback)
    assert {r["series_id"] for r in rows if r["series_kind"] == "total"} == {"all"}
    late = [
        r["expected"]
        for r in rows
        if r["series_kind"] == "total" and r["hour"] > NOW - timedelta(days=10)
    ]
    assert 1.5 / 24 < sum(late) / len(late) < 12 / 24


def test_a_revision_restates_its_hour():
    context, history = started()
    row = next(r for r in history.rows if r["category"] == "shipping delay")
    hour = row["event_time"].replace(minute=0, second=0, microsecond=0)
    held = [("hour", "=", hour), ("series_id", "=", "shipping delay")]
    before = context.rows(SERIES, where=held).to_pylist()[0]["count"]
    new = {**row, "revision": 2, "category": "praise", "sentiment": 0.0}
    context.append(FEEDBACK, FEEDBACK.from_rows([{k: new.get(k) for k in FEEDBACK.schema.names}]))
    context.append(
        ENRICHMENT, ENRICHMENT.from_rows([{k: new.get(k) for k in ENRICHMENT.schema.names}])
    )
    run(context)
    assert context.rows(SERIES, where=held).to_pylist()[0]["count"] == before - 1


def test_a_bad_version_is_raised_by_the_release_watch():
    context = InMemoryContext(now=NOW)
    history = History().calm(until=NOW, days=45)
    history.calm(until=NOW, days=45)
    run(context, history)
    now = NOW + timedelta(days=1)
    for i in range(16):
        at = now - timedelta(hours=20) + i * HOUR
        history.add(at, "praise", version="2.0", rating=1.0 if i % 8 else 5.0)
    context.next_pass(now=now)
    (signal,) = run(context, history)
    assert (signal["kind"], signal["version"]) == ("release", "2.0")
    assert signal["detector"] == "release-watch"
    assert signal["evidence"] >= signal["threshold"] == 20
    assert signal["reviews_exposed"] == signal["count"] + 2 or signal["count"] <= 14
    assert signal["confidence"] is None


def released_after_tests(*changes: dict[str, Any], testers: int) -> tuple[InMemoryContext, History]:
    """A day of a bad version, five weeks after its testers wrote their reviews in one day."""
    context, history = InMemoryContext(now=NOW), History().calm().calm()
    for i in range(testers):
        history.add(NOW - timedelta(days=35) + i * HOUR, "praise", version="2.0")
    write_changes(context, *changes)
    run(context, history)
    now = NOW + timedelta(days=1)
    for i in range(16):
        at = now - timedelta(hours=20) + i * HOUR
        history.add(at, "praise", version="2.0", rating=1.0 if i % 8 else 5.0)
    context.next_pass(now=now)
    return context, history


def test_a_tester_s_review_does_not_spend_the_watch_of_a_version():
    context, history = released_after_tests(testers=1)
    (signal,) = run(context, history)
    assert (signal["kind"], signal["version"]) == ("release", "2.0")
    assert signal["window_start"] >= NOW


def test_a_version_is_watched_from_its_release_where_that_is_known():
    assert run(*released_after_tests(testers=4)) == []
    context, history = released_after_tests(release("2.0", NOW), testers=4)
    (signal,) = run(context, history)
    assert (signal["kind"], signal["version"]) == ("release", "2.0")
    assert signal["window_start"] >= NOW


@pytest.mark.parametrize(
    "announced",
    [
        release("2.0", NOW + timedelta(days=9), known_at=NOW - timedelta(days=40)),
        release("2.0", NOW, known_at=NOW + timedelta(days=9)),
    ],
)
def test_a_release_that_is_to_come_or_not_known_yet_begins_no_watch(announced: dict[str, Any]):
    assert run(*released_after_tests(announced, testers=4)) == []
    assert len(run(*released_after_tests(announced, testers=1))) == 1


def test_the_release_watch_is_not_applicable_where_a_star_is_missing():
    context = InMemoryContext(now=NOW)
    history = History().calm(days=50)
    for row in history.rows:
        row["rating"] = min(row["rating"], 4.0)
    run(context, history)
    now = NOW + timedelta(days=1)
    for i in range(16):
        history.add(now - timedelta(hours=20 - i), "praise", version="2.0", rating=1.0)
    context.next_pass(now=now)
    assert run(context, history) == []
    context.as_step(detect.NAME)
    history.add(now, "praise", version="2.0", rating=1.0)
    history.write(context)
    detect.run(context.as_step(detect.NAME))
    assert context.counts["release_watch_not_applicable"] == 1


def test_products_do_not_mix():
    context, history = started()
    other = History(product="wallet", seed=2).calm()
    run(context, other)
    other.burst(12, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    (signal,) = run(context, other)
    assert signal["product"] == "wallet"
    assert all(i.startswith("wallet") for i in signal["feedback_ids"])
    assert history.written == len(history.rows)


def exposure(users: dict[int, float], **columns: Any) -> Any:
    """Rows of silver.exposure: users a day, by days before NOW."""
    midnight = NOW.replace(hour=0)
    return EXPOSURE.from_rows(
        {
            "product": PRODUCT,
            "version": "",
            "platform": "",
            "region": "",
            "start": midnight - timedelta(days=ago),
            "period": "day",
            "users": figure,
            **columns,
        }
        for ago, figure in users.items()
    )


def test_users_put_counts_into_proportion():
    # Since yesterday there are five times as many users, and as many more payments that fail.
    context, history = started()
    history.burst(9, end=NOW + 3 * HOUR, hours=20)
    context.as_step("exposure").merge(
        EXPOSURE, exposure({ago: 5000.0 if ago <= 1 else 1000.0 for ago in range(60, -2, -1)})
    )
    context.as_step(detect.NAME).next_pass(now=NOW + 13 * HOUR)
    assert run(context, history) == []
    without, again = started()
    again.burst(9, end=NOW + 3 * HOUR, hours=20)
    without.next_pass(now=NOW + 13 * HOUR)
    (signal,) = run(without, again)
    assert signal["exposure_ratio"] is None
    assert signal["share"] > 3 * signal["usual_share"] > 0


def test_a_signal_says_how_many_users_there_were():
    context, history = started()
    days = exposure({ago: 1500.0 if ago == 0 else 1000.0 for ago in range(60, -1, -1)})
    context.as_step("exposure").merge(EXPOSURE, days)
    history.burst(12, end=NOW + 11 * HOUR)
    context.as_step(detect.NAME).next_pass(now=NOW + 12 * HOUR)
    (signal,) = run(context, history)
    assert signal["exposure_ratio"] == pytest.approx(1.5)
    rows = context.rows(SERIES, where=[("series_kind", "=", "total")]).to_pylist()
    assert rows[-1]["exposure"] > 0


def test_the_coarsest_split_of_users_counts_once():
    context = InMemoryContext(now=NOW)
    for column, value, users in (("platform", "ios", 40.0), ("platform", "android", 60.0)):
        context.merge(EXPOSURE, exposure({2: users, 1: users}, **{column: value}))
    context.merge(EXPOSURE, exposure({1: 300.0}))
    context.merge(EXPOSURE, exposure({0: 9e9}))
    context.as_step("reader")
    found = product_exposure(context, PRODUCT)
    # 100 by platform, then 300 in all; today is not over.
    assert found.level[::24].tolist() == pytest.approx([0.5, 1.5])
