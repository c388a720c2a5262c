"""Attribute: who is blamed and who is not, severity, segment and parent."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from closeloop.stages import attribute, detect
from closeloop.stages.exposed import reaches, share_named
from closeloop.stages.product_view import hour_of, product_view
from closeloop.tables import ATTRIBUTION, EXPOSURE, SIGNAL, SUSPECT
from closeloop.testing.context import InMemoryContext
from tests.unit.stages.history import NOW, PRODUCT, History, change, release, write_changes

HOUR = timedelta(hours=1)
LATER = NOW + 24 * HOUR


def run(context: InMemoryContext, history: History) -> dict[str, dict[str, Any]]:
    """Write what is new, detect and attribute; return the live signals by series."""
    history.write(context)
    detect.run(context.as_step(detect.NAME))
    attribute.run(context.as_step(attribute.NAME))
    context.as_step("reader")
    rows = context.rows(SIGNAL).to_pylist()
    return {r["series_id"]: r for r in rows if not r["historic"]}


def weights(context: InMemoryContext, signal: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows = context.rows(ATTRIBUTION, where=[("signal_id", "=", signal["signal_id"])]).to_pylist()
    return {r["name"]: r for r in rows}


def calm_context(*changes: dict[str, Any], **columns: Any) -> tuple[InMemoryContext, History]:
    context = InMemoryContext(now=NOW)
    write_changes(context, *changes)
    history = History().calm(**columns)
    assert run(context, history) == {}
    return context, history


def rollout(history: History, *, exposed: dict[str, Any], others: dict[str, Any]) -> None:
    """A day in which half of the customers have the change, and complain."""
    for i in range(48):
        at = NOW + i * HOUR / 2
        hit = at >= NOW + HOUR and i % 3
        history.add(at, "payment failure" if hit else "praise", **exposed)
        history.add(at, "praise", **others)


def test_a_release_whose_users_complain_is_blamed():
    context, history = calm_context(release("2.0", NOW), release("1.9", NOW - timedelta(days=6)))
    rollout(history, exposed={"version": "2.0"}, others={"version": "1.0"})
    context.next_pass(now=LATER)
    signal = run(context, history)["payment failure"]
    found = weights(context, signal)
    assert found["2.0"]["blamed"]
    assert found["2.0"]["posterior"] >= 0.8
    assert found["2.0"]["effect_low"] > 1.0
    assert min(found["2.0"]["exposed"], found["2.0"]["unexposed"]) > 15
    assert set(found) == {"2.0", "1.9", "none of these"}
    assert sum(a["posterior"] for a in found.values()) == pytest.approx(1.0)
    assert [a["name"] for a in found.values() if a["blamed"]] == ["2.0"]
    term = next(t for t in signal["severity_terms"] if t["name"] == "release")
    assert term["reason"] == "follows release 2.0"


def test_a_release_is_not_blamed_where_all_versions_complain():
    context, history = calm_context(release("2.0", NOW - 30 * HOUR))
    for i in range(40):
        at = NOW + i * HOUR / 2
        version = "2.0" if i % 2 else "1.0"
        history.add(at, "payment failure", version=version)
        history.add(at, "praise", version=version)
    context.next_pass(now=LATER)
    signal = run(context, history)["payment failure"]
    assert not any(a["blamed"] for a in weights(context, signal).values())


def test_a_version_that_few_complaints_come_from_is_cleared():
    context, history = calm_context(release("2.0", NOW - HOUR))
    history.add(NOW, "praise", version="2.0")
    history.burst(30, end=NOW + 6 * HOUR, hours=6, version="1.0")
    context.next_pass(now=NOW + 6 * HOUR)
    signal = run(context, history)["payment failure"]
    found = weights(context, signal)["2.0"]
    assert found["posterior"] < 0.01
    assert "0 of" in found["reasons"][-1]


def test_a_fault_that_later_versions_have_as_well_stays_with_the_first():
    """2.1 was to mend what 2.0 broke and did not: its users are no side that had no change."""
    context, history = calm_context(release("2.0", NOW), release("2.1", NOW + 48 * HOUR))
    for i in range(240):
        at = NOW + i * HOUR / 2
        newest = "2.0" if i < 96 else "2.1"
        hit = i > 4 and i % 3
        history.add(at, "payment failure" if hit else "praise", version=newest)
        history.add(at, "praise", version="1.0" if i % 2 else newest)
    context.next_pass(now=NOW + 120 * HOUR)
    found = weights(context, run(context, history)["payment failure"])
    assert found["2.0"]["blamed"]
    assert "later versions count as having it: 2.1" in found["2.0"]["reasons"]
    assert not found["2.1"]["blamed"]


def test_the_version_that_brings_the_fault_is_blamed_not_the_one_before():
    context, history = calm_context(release("2.0", NOW - 48 * HOUR), release("2.1", NOW))
    for i in range(96):
        at = NOW + i * HOUR / 2
        history.add(at, "payment failure" if i > 4 and i % 3 else "praise", version="2.1")
        history.add(at, "praise", version="1.0" if i % 2 else "2.0")
    context.next_pass(now=NOW + 48 * HOUR)
    found = weights(context, run(context, history)["payment failure"])
    assert found["2.1"]["blamed"]
    assert found["2.0"]["posterior"] < 0.05


def test_the_mending_release_that_brings_a_fault_of_its_own_is_blamed_for_it():
    """Users of 2.0 complain of signing in; 2.1 mends that and fails at paying."""
    context, history = calm_context(release("2.0", NOW - 60 * HOUR), release("2.1", NOW))
    for i in range(120):
        at = NOW - 58 * HOUR + i * HOUR / 2
        history.add(at, "account access" if i % 3 else "praise", version="2.0")
        history.add(at, "praise", version="1.0")
    for i in range(144):
        at = NOW + i * HOUR / 3
        history.add(at, "payment failure" if i > 4 and i % 3 else "praise", version="2.1")
        history.add(at, "praise", version="2.0" if i % 2 else "1.0")
    context.next_pass(now=NOW + 48 * HOUR)
    found = weights(context, run(context, history)["payment failure"])
    assert found["2.1"]["blamed"]
    assert found["2.0"]["posterior"] < 0.1


def test_versions_of_another_platform_or_from_before_are_no_later_ones():
    context, history = calm_context(release("2.0", NOW))
    history.write(context)
    view = product_view(context.as_step("reader"), PRODUCT)
    out = [
        ("1.9", NOW - HOUR, None),
        ("2.0", NOW, "ios"),
        ("2.1", NOW + HOUR, "android"),
        ("2.2", NOW + HOUR, "ios"),
        ("1.9", NOW + HOUR, "ios"),
    ]
    changes = [release(version, at, region=None, platform=on) for version, at, on in out]
    alone, with_later = reaches(view, changes[1], changes)
    assert alone.versions == ("2.0",)
    assert with_later.versions == ("2.0", "2.2")


def test_the_share_of_a_version_is_read_off_other_feedback_until_it_is_replaced():
    context, history = calm_context(release("2.0", NOW))
    for i in range(96):
        at = NOW + i * HOUR
        history.add(at, "praise", version="2.0" if 12 <= i < 60 else "1.0")
        history.add(at, "payment failure", version="1.0")
    context.next_pass(now=NOW + 96 * HOUR)
    history.write(context)
    view = product_view(context.as_step("reader"), PRODUCT)
    hours = np.arange(hour_of(NOW) - 24, hour_of(NOW) + 96)
    complaints = view.members("category", "payment failure")
    anywhere = {"region": None, "platform": None}
    two = change("release", "2.0", NOW, version="2.0", **anywhere)
    (two_alone,) = reaches(view, two, [two])
    shares = share_named(view, two_alone, complaints=complaints, among=view.testable, hours=hours)
    assert shares is not None
    assert not shares[:24].any()
    assert shares[24:30].max() < 0.3
    assert shares[24 + 24 : 24 + 48].min() > 0.7
    assert shares[24 + 80 :].max() < 0.1
    rare = change("release", "9.9", NOW, version="9.9", **anywhere)
    (rare_alone,) = reaches(view, rare, [rare, two])
    assert (
        share_named(view, rare_alone, complaints=complaints, among=view.testable, hours=hours)
        is None
    )
    setting = change("config", "timeout", NOW, **anywhere)
    (everyone,) = reaches(view, setting, [setting, two])
    assert (
        share_named(view, everyone, complaints=complaints, among=view.testable, hours=hours) is None
    )


def test_a_change_nobody_could_know_of_is_no_candidate():
    context, history = calm_context(
        release("2.0", NOW, known_at=LATER + HOUR), release("9.9", LATER + HOUR)
    )
    rollout(history, exposed={"version": "2.0"}, others={"version": "1.0"})
    context.next_pass(now=LATER)
    signal = run(context, history)["payment failure"]
    assert set(weights(context, signal)) == {"none of these"}


def test_without_changes_none_of_these_is_certain():
    context, history = calm_context()
    history.burst(12, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    (found,) = weights(context, run(context, history)["payment failure"]).values()
    assert (found["kind"], found["posterior"], found["blamed"]) == ("none", 1.0, False)


def test_a_flag_is_judged_by_who_had_it_on():
    flag = change("flag", "new-checkout", NOW)
    context, history = calm_context(flag, flag_states='{"new-checkout": false}')
    rollout(
        history,
        exposed={"flag_states": '{"new-checkout": "on"}'},
        others={"flag_states": '{"new-checkout": false, "x": 1}'},
    )
    context.next_pass(now=LATER)
    signal = run(context, history)["payment failure"]
    assert weights(context, signal)["new-checkout"]["blamed"]


def test_hostile_flag_states_are_nobody_s_answer():
    flag = change("flag", "x", NOW)
    context, history = calm_context(flag)
    for states in ("{", "[]", "null", '{"x": null}', '"x"', "1"):
        history.burst(4, end=NOW + 3 * HOUR, flag_states=states)
    context.next_pass(now=NOW + 3 * HOUR)
    signal = run(context, history)["payment failure"]
    assert weights(context, signal)["x"]["effect"] is None


def test_an_incident_takes_the_blame_off_a_release():
    incident = change("incident", "bank down", NOW + HOUR)
    context, history = calm_context(release("2.0", NOW - timedelta(days=5)), incident)
    for i in range(60):
        version = "2.0" if i % 2 else "1.0"
        history.add(NOW + HOUR + i * HOUR / 4, "payment failure", version=version)
        history.add(NOW + HOUR + i * HOUR / 4, "praise", version=version)
    context.next_pass(now=LATER)
    found = weights(context, run(context, history)["payment failure"])
    assert found["bank down"]["posterior"] > 10 * found["2.0"]["posterior"]


def test_an_incident_at_the_same_time_explains_a_release_away():
    """Nobody names a version: time alone fits both, and an incident is one for doing harm."""
    changes = [release("2.0", NOW - 5 * HOUR)]
    context, history = calm_context(*changes, version=None)
    alone, beside = {}, {}
    for found, incident in ((alone, None), (beside, change("incident", "bank down", NOW))):
        context, history = calm_context(*changes, *filter(None, [incident]), version=None)
        history.burst(30, end=NOW + 8 * HOUR, hours=7, version=None)
        context.next_pass(now=NOW + 8 * HOUR)
        found |= weights(context, run(context, history)["payment failure"])
    assert beside["2.0"]["posterior"] < 0.5 * alone["2.0"]["posterior"]
    assert beside["bank down"]["posterior"] > beside["2.0"]["posterior"]


def test_a_regional_release_is_compared_within_its_region():
    """All of IN complains, whatever the version: the release that only IN has is innocent."""
    regional = release("2.0", NOW - 10 * HOUR, region="IN")
    context, history = calm_context(regional, region="DE")
    for i in range(60):
        at = NOW + i * HOUR / 3
        history.add(at, "payment failure", region="IN", version="2.0" if i % 2 else "1.0")
        history.add(at, "praise", region="IN", version="2.0" if i % 2 else "1.0")
        history.add(at, "praise", region="DE", version="1.0")
    context.next_pass(now=LATER)
    found = weights(context, run(context, history)["payment failure"])["2.0"]
    assert not found["blamed"]
    assert found["effect_low"] < 1.0 < found["effect_high"]
    assert found["unexposed"] < 70


def test_a_setting_of_one_region_is_compared_with_the_others():
    config = change("config", "gateway", NOW, region="in")
    context, history = calm_context(config, region="DE")
    rollout(history, exposed={"region": "IN"}, others={"region": "DE"})
    context.next_pass(now=LATER)
    assert weights(context, run(context, history)["payment failure"])["gateway"]["blamed"]


def test_the_same_version_on_two_platforms_is_two_builds():
    builds = [release("2.0", NOW, platform=p, change_id=f"2.0-{p}") for p in ("android", "ios")]
    context, history = calm_context(*builds, platform="ios")
    for i in range(48):
        at = NOW + i * HOUR / 2
        hit = "payment failure" if i % 6 else "praise"
        history.add(at, hit, version="2.0", platform="android")
        if i % 2:
            history.add(at, "praise", version="2.0" if i % 4 < 2 else "1.0", platform="ios")
        history.add(at, "praise", version="1.0", platform="android")
    context.next_pass(now=LATER)
    found = weights(context, run(context, history)["payment failure"])
    assert found["2.0 on android"]["blamed"]
    assert not found["2.0 on ios"]["blamed"]


def test_complaints_are_compared_with_users_where_nobody_praises():
    """Tickets tell of trouble only: what share of the users has the version says the rest."""
    context, history = calm_context(release("2.0", NOW))
    days = [
        {
            "product": PRODUCT,
            "version": version,
            "platform": "",
            "region": "",
            "start": NOW.replace(hour=0) + timedelta(days=day),
            "period": "day",
            "users": users,
        }
        for day in range(-3, 2)
        for version, users in (("1.0", 9_000.0), ("2.0", 1_000.0 if day >= 0 else 0.0))
    ]
    context.as_step("exposure").merge(EXPOSURE, EXPOSURE.from_rows(days))
    for i in range(24):
        version = "2.0" if i % 6 else "1.0"
        history.add(NOW + 6 * HOUR + i * HOUR, version=version)
    context.next_pass(now=NOW + 37 * HOUR)
    found = weights(context, run(context, history)["payment failure"])["2.0"]
    assert "of the users had it" in found["reasons"][-1]
    assert found["effect_low"] > 1.0
    assert found["blamed"]


def test_a_young_signal_is_weighed_again_as_reviews_come():
    context, history = calm_context(release("2.0", NOW - HOUR))
    history.burst(10, end=NOW + 3 * HOUR, version="2.0")
    context.next_pass(now=NOW + 3 * HOUR)
    signal = run(context, history)["payment failure"]
    assert not weights(context, signal)["2.0"]["blamed"]
    for i in range(40):
        history.add(NOW + 3 * HOUR + i * HOUR / 4, "praise", version="1.0")
        if i % 2:
            history.add(NOW + 3 * HOUR + i * HOUR / 4, version="2.0")
    context.next_pass(now=NOW + 14 * HOUR)
    signal = run(context, history)["payment failure"]
    assert weights(context, signal)["2.0"]["blamed"]


def test_what_is_blamed_is_weighed_again_and_cleared_by_later_feedback():
    """Early evidence can mislead: then those without the version complain, while it is praised."""
    context, history = calm_context(release("2.0", NOW))
    rollout(history, exposed={"version": "2.0"}, others={"version": "1.0"})
    context.next_pass(now=LATER)
    signal = run(context, history)["payment failure"]
    assert weights(context, signal)["2.0"]["blamed"]
    for i in range(160):
        at = LATER + i * HOUR / 6
        history.add(at, "praise", version="2.0")
        history.add(at, "payment failure" if i % 2 else "praise", version="1.0")
    for hours in (6, 12, 18, 26):
        context.next_pass(now=LATER + hours * HOUR)
        run(context, history)
    found = weights(context, signal)["2.0"]
    assert found["effect_high"] < 1.0
    assert not found["blamed"]


def test_an_idle_pass_writes_nothing():
    context, history = calm_context(release("2.0", NOW))
    history.burst(12, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    run(context, history)
    context.next_pass(now=NOW + 20 * HOUR)
    attribute.run(context.as_step(attribute.NAME))
    assert context.written == {}


def test_historic_signals_are_left_alone():
    context = InMemoryContext(now=NOW)
    history = History().calm(backfill=True)
    history.burst(20, end=NOW - timedelta(days=9), backfill=True)
    assert run(context, history) == {}
    (row,) = context.rows(SIGNAL).to_pylist()
    assert row["severity"] is None
    assert context.rows(ATTRIBUTION).num_rows == 0


def test_complaints_that_concentrate_say_where():
    context, history = calm_context(region="DE")
    for row in history.rows[::3]:
        row["region"] = "IN"
    context = InMemoryContext(now=NOW)
    history.written = 0
    run(context, history)
    history.burst(30, end=NOW + 3 * HOUR, region="IN")
    context.next_pass(now=NOW + 3 * HOUR)
    segment = run(context, history)["payment failure"]["segment"]
    assert segment is not None
    assert segment.startswith("region=IN: ")


def test_severity_is_the_sum_of_its_terms():
    context, history = calm_context()
    history.burst(25, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    signal = run(context, history)["payment failure"]
    terms = {t["name"]: t for t in signal["severity_terms"]}
    assert all(t["points"] == pytest.approx(t["weight"] * t["value"]) for t in terms.values())
    points = sum(t["points"] for t in terms.values())
    assert signal["severity"] == ("P1" if points >= 70 else "P2")
    assert terms["impact"]["value"] == 0.9
    assert terms["safety"]["value"] == 0.0


def test_orders_and_tiers_are_terms_of_severity():
    context, history = calm_context()
    history.burst(20, end=NOW + 3 * HOUR, customer_tier="Enterprise", order_value=250.0)
    context.next_pass(now=NOW + 3 * HOUR)
    signal = run(context, history)["payment failure"]
    terms = {t["name"]: t for t in signal["severity_terms"]}
    assert terms["revenue"]["reason"].endswith(" together")
    assert 0.8 < terms["revenue"]["value"] < 1.0
    assert terms["tier"]["value"] > 0.9
    assert terms["recency"]["value"] > 0.9


@pytest.mark.parametrize(
    ("reason", "texts", "told"),
    [
        ("safety", 1, True),
        ("legal threat", 1, False),
        ("legal threat", 2, True),
        ("fraud or security", 2, False),
        ("fraud or security", 12, True),
    ],
)
def test_danger_needs_one_text_and_fraud_a_fifth(reason, texts, told):
    context, history = calm_context()
    history.burst(20, end=NOW + 3 * HOUR)
    for row in history.rows[-texts:]:
        row["urgency_reasons"] = [reason]
    context.next_pass(now=NOW + 3 * HOUR)
    signal = run(context, history)["payment failure"]
    term = next(t for t in signal["severity_terms"] if t["name"] == "safety")
    assert bool(term["value"]) == told


def test_signals_with_one_cause_have_the_first_as_parent():
    context, history = calm_context(release("2.0", NOW))
    for i in range(60):
        at = NOW + i * HOUR / 3
        if at >= NOW + HOUR:
            category = "payment failure" if i % 2 else "broken UI"
            history.add(at, category, version="2.0")
        if i % 3 == 0:
            history.add(at, "praise", version="1.0")
    context.next_pass(now=LATER)
    signals = run(context, history)
    first, second = signals["payment failure"], signals["broken UI"]
    if first["parent_id"] is not None:
        first, second = second, first
    assert first["parent_id"] is None
    assert second["parent_id"] == first["signal_id"]


def test_a_release_that_the_larger_trouble_clears_is_not_blamed_for_a_part_of_it():
    context, history = calm_context(release("2.0", NOW))
    for i in range(80):
        at = NOW + HOUR + i * HOUR / 4
        history.add(at, "account access", version="2.0" if i % 2 else "1.0")
        if i % 2:
            history.add(at, "broken UI", version="2.0")
    context.next_pass(now=LATER)
    signals = run(context, history)
    leader, part = signals["account access"], signals["broken UI"]
    assert leader["window_start"] < part["window_end"]
    assert not weights(context, leader)["2.0"]["blamed"]
    found = weights(context, part)["2.0"]
    assert found["effect_low"] > 1.0
    assert not found["blamed"]


def test_signals_of_different_causes_have_no_parent():
    context, history = calm_context()
    history.burst(15, end=NOW + 3 * HOUR)
    history.burst(15, end=NOW + 3 * HOUR, category="broken UI")
    context.next_pass(now=NOW + 3 * HOUR)
    signals = run(context, history)
    assert len(signals) == 2
    assert all(s["parent_id"] is None for s in signals.values())
    assert {s["product"] for s in signals.values()} == {PRODUCT}


NOTES = json.dumps(
    [
        {"id": "c1", "text": "Polish reward animations", "paths": ["ui/Confetti.kt"]},
        {"id": "c2", "text": "Move UPI payment to the new gateway", "paths": ["pay/Upi.kt"]},
    ]
)


def test_the_commits_of_a_likely_release_are_ranked_and_say_that_it_is_no_proof():
    context, history = calm_context(
        release("2.0", NOW, notes=NOTES), release("1.9", NOW - timedelta(days=6), notes=NOTES)
    )
    rollout(history, exposed={"version": "2.0"}, others={"version": "1.0"})
    context.next_pass(now=LATER)
    signal = run(context, history)["payment failure"]
    found = context.rows(SUSPECT).sort_by("place").to_pylist()
    own = [r for r in found if r["signal_id"] == signal["signal_id"]]
    assert [r["item_id"] for r in own] == ["c2", "c1"]
    assert own[0]["change_id"] == "r-2.0"
    assert own[0]["shared"] == ["pay"]
    assert own[0]["score"] > own[1]["score"]
    assert own[0]["basis"].endswith("no proof")


def test_without_a_likely_change_nothing_in_it_is_suspect():
    context, history = calm_context(release("2.0", NOW - timedelta(days=5), notes=NOTES))
    history.burst(30, end=NOW + 3 * HOUR, version="1.0")
    context.next_pass(now=NOW + 3 * HOUR)
    run(context, history)
    assert context.rows(SUSPECT).num_rows == 0


def test_a_problem_says_in_which_state_it_is():
    context, history = calm_context()
    history.burst(20, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    assert run(context, history)["payment failure"]["state"] == "growing"
    seen = []
    for day in range(1, 6):
        history.add(NOW + timedelta(days=day), "praise")
        context.next_pass(now=NOW + timedelta(days=day))
        seen.append(run(context, history)["payment failure"]["state"])
    assert seen[1:] == ["calming", "calming", "calming", "over"]


def test_silence_of_the_product_is_not_calm():
    context, history = calm_context()
    history.burst(20, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    run(context, history)
    context.next_pass(now=NOW + timedelta(days=5))
    attribute.run(context.as_step(attribute.NAME))
    context.as_step("reader")
    (signal,) = [r for r in context.rows(SIGNAL).to_pylist() if not r["historic"]]
    assert signal["state"] == "growing"


def test_a_series_that_rises_again_within_its_snooze_is_part_of_the_same_problem():
    context, history = calm_context()
    history.burst(12, end=NOW + 3 * HOUR)
    context.next_pass(now=NOW + 3 * HOUR)
    first = run(context, history)["payment failure"]
    history.burst(60, end=NOW + timedelta(days=4), hours=3)
    context.next_pass(now=NOW + timedelta(days=4))
    run(context, history)
    live = [r for r in context.rows(SIGNAL).to_pylist() if not r["historic"]]
    again = next(r for r in live if r["signal_id"] != first["signal_id"])
    assert again["parent_id"] == first["signal_id"]
    assert again["state"] == "growing"


def test_products_that_share_a_blamed_incident_have_one_parent():
    context = InMemoryContext(now=NOW)
    write_changes(context, change("incident", "bank down", NOW, product="*"))
    shops = [History(), History(product="other-app")]
    for shop in shops:
        assert run(context, shop.calm()) == {}
    context.next_pass(now=NOW + 6 * HOUR)
    for shop in shops:
        shop.burst(40, end=NOW + 6 * HOUR, hours=6)
        shop.write(context)
    detect.run(context.as_step(detect.NAME))
    attribute.run(context.as_step(attribute.NAME))
    # What is only likely must hold for twelve hours.
    context.next_pass(now=NOW + 19 * HOUR)
    for shop in shops:
        shop.add(NOW + 18 * HOUR, "praise")
        shop.write(context)
    attribute.run(context.as_step(attribute.NAME))
    context.as_step("reader")
    live = [r for r in context.rows(SIGNAL).to_pylist() if not r["historic"]]
    by_product = {r["product"]: r for r in live}
    blamed = context.rows(ATTRIBUTION, where=[("blamed", "=", True)]).column("name").to_pylist()
    assert blamed == ["bank down"] * 2
    first, second = sorted(by_product.values(), key=lambda r: (r["detected_at"], r["signal_id"]))
    assert (first["parent_id"], second["parent_id"]) == (None, first["signal_id"])


def test_an_incident_that_hit_another_product_is_likelier_here():
    """A release of the same hour, whose version nobody names, is explained away all the more."""

    def found(*, other: bool) -> float:
        context = InMemoryContext(now=NOW)
        incident = change("incident", "bank down", NOW, product="*")
        write_changes(context, incident, release("2.0", NOW - 5 * HOUR))
        shops = [History(), History(product="other-app")]
        for shop in shops:
            run(context, shop.calm(version=None))
        context.next_pass(now=NOW + 8 * HOUR)
        for shop in shops[: 1 + other]:
            shop.burst(60, end=NOW + 8 * HOUR, hours=8, version=None)
            shop.write(context)
        detect.run(context.as_step(detect.NAME))
        attribute.run(context.as_step(attribute.NAME))
        context.as_step("reader")
        (signal,) = (
            r
            for r in context.rows(SIGNAL).to_pylist()
            if not r["historic"] and r["product"] == "shop-app"
        )
        return float(weights(context, signal)["bank down"]["posterior"])

    assert found(other=True) > found(other=False) + 0.02
