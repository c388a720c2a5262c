"""The simulated shop: the same seed gives the same, and the truth is what was put in."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest

from closeloop.domain.change import ChangeKind
from closeloop.errors import UsageError
from closeloop.settings import load
from closeloop.testing.simulator import (
    SCENARIOS,
    Simulation,
    Simulator,
    scenarios,
    simulate,
    write_simulation,
)
from closeloop.testing.simulator.phrases import LANGUAGES, templates, themes
from closeloop.testing.simulator.traffic import profile, version_shares
from closeloop.testing.simulator.world import Release
from closeloop.testing.simulator.writing import write_texts


def causes(name: str, **options: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return (row, truth) of everything that the scenario's effects caused."""
    made = simulate(SCENARIOS[name], **options)
    rows = {row["source_id"]: row for row in made.feedback}
    return [(rows[t["source_id"]], t) for t in made.truth_rows if t["cause"] is not None]


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_is_deterministic_whole_and_in_order(name: str) -> None:
    first, second = simulate(SCENARIOS[name]), simulate(SCENARIOS[name])
    assert (first.feedback, first.truth_rows, first.exposure, first.changes, first.truth) == (
        second.feedback,
        second.truth_rows,
        second.exposure,
        second.changes,
        second.truth,
    )
    assert 300 <= len(first.feedback) <= 12_000
    delivered = [row["updated_at"] or row["event_time"] for row in first.feedback]
    assert delivered == sorted(delivered)
    assert {row["source_id"] for row in first.feedback} == {
        row["source_id"] for row in first.truth_rows
    }
    assert all(row["text"].strip() for row in first.feedback)
    assert {c["kind"] for c in first.changes} <= {kind.value for kind in ChangeKind}
    assert set(first.sources) == set(SCENARIOS[name].source_names)


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_truth_of_every_scenario_agrees_with_its_feedback(name: str) -> None:
    scenario, made = SCENARIOS[name], simulate(SCENARIOS[name])
    known = themes()
    rows = {row["source_id"]: row for row in made.feedback}
    named = {r.name for r in scenario.releases} | {c.name for c in scenario.changes}
    expected = Counter[str]()
    for hour in made.expected:
        expected[hour["cause"]] += hour["complaints"]
    for cause in made.truth["causes"]:
        own = [t for t in made.truth_rows if t["cause"] == cause["cause"] and not t["repeats"]]
        assert len(own) == cause["complaints"]
        assert abs(len(own) - cause["expected"]) < 6 * np.sqrt(cause["expected"] + 1) + 5
        assert expected[cause["cause"]] == pytest.approx(cause["expected"], rel=0.01)
        assert {t["category"] for t in own} == set(cause["categories"])
        assert {known[t].category for t in cause["themes"]} == set(cause["categories"])
        assert min(rows[t["source_id"]]["event_time"] for t in own) >= cause["started_at"]
        for column in ("platform", "region", "sku", "fulfilment_centre", "channel"):
            if cause[column] is not None:
                assert {rows[t["source_id"]][column] for t in own} == {cause[column]}
        if cause["version"] is not None:
            assert {rows[t["source_id"]]["version"] for t in own} == {cause["version"], None}
        assert cause["change"] is None or cause["change"] in named
        assert cause["fixed_by"] is None or cause["fixed_by"] in named
        assert cause["change"] not in made.truth["innocent"]
        assert scenario.history_days <= _day(made, cause["started_at"]) or name in (
            "slow-decay",
            "backfill",
        )
    for nothing in made.truth["not_problems"]:
        assert nothing["started_at"] < (nothing["ended_at"] or made.end.isoformat())


def _day(made: Simulation, at: str) -> float:
    return (datetime.fromisoformat(at) - made.start) / timedelta(days=1)


def test_every_module_of_scenarios_is_registered() -> None:
    modules = {m.name for m in iter_modules(scenarios.__path__)} - {"shop"}
    assert {name.replace("-", "_") for name in SCENARIOS} == modules
    assert all(s.summary.endswith(".") and s.expect.endswith(".") for s in SCENARIOS.values())


def test_a_flag_hurts_those_for_whom_it_is_on_and_while_it_is() -> None:
    hit = causes("flag")
    assert len(hit) >= 40
    assert {json.loads(row["flag_states"])["smart-search"] for row, _ in hit} == {"on"}
    made = simulate(SCENARIOS["flag"])
    flag = next(c for c in made.changes if c["name"] == "smart-search")
    before = [r for r in made.feedback if r["event_time"] < flag["started_at"]]
    assert {json.loads(r["flag_states"])["smart-search"] for r in before} == {"off"}
    during = [
        json.loads(r["flag_states"])["smart-search"] == "on"
        for r in made.feedback
        if flag["started_at"] <= r["event_time"] < flag["ended_at"]
        and r["source_id"] not in {row["source_id"] for row, _ in hit}
    ]
    assert 0.2 < np.mean(during) < 0.45


def test_campaigns_have_their_accounts_stars_and_copies() -> None:
    bombing = causes("review-bombing")
    assert {row["rating"] for row, _ in bombing} == {1}
    assert {row["version"] for row, _ in bombing} == {None}
    assert len({row["author"] for row, _ in bombing}) > 0.8 * len(bombing)
    bots = causes("bots")
    assert len({row["author"] for row, _ in bots}) <= 12
    words = {tuple(row["text"].split()[:9]) for row, _ in bots}
    assert len(words) <= 3
    assert simulate(SCENARIOS["bots"]).truth["causes"] == []


def test_what_a_silent_source_held_back_comes_at_once_and_late() -> None:
    made = simulate(SCENARIOS["silent-source"])
    silence = made.truth["not_problems"][0]
    start, end = silence["started_at"], silence["ended_at"]
    assert silence["kind"] == "silence"
    late = [
        row
        for source, row in zip(made.sources, made.feedback, strict=True)
        if source == "helpdesk" and start <= row["event_time"] < end
    ]
    assert late
    assert {row["updated_at"] for row in late} == {end}
    others = [
        row
        for source, row in zip(made.sources, made.feedback, strict=True)
        if source == "shop" and start <= row["event_time"] < end
    ]
    assert {row["updated_at"] for row in others} != {end}


def test_what_backfill_brings_is_weeks_old_and_no_problem_to_raise() -> None:
    made = simulate(SCENARIOS["backfill"])
    survey = [r for s, r in zip(made.sources, made.feedback, strict=True) if s == "survey"]
    first = min(row["updated_at"] for row in survey if row["updated_at"])
    assert first == (made.start + timedelta(days=33.4)).isoformat()
    assert min(row["event_time"] for row in survey) < (made.start + timedelta(days=2)).isoformat()
    assert [c["to_raise"] for c in made.truth["causes"]] == [False]


def test_decay_grows_and_personal_data_is_everywhere_where_it_is_to_be() -> None:
    days = Counter(row["event_time"][:10] for row, _ in causes("slow-decay"))
    assert days["2024-04-01"] < days["2024-04-08"] < days["2024-04-18"]
    hit = [t for _, t in causes("pii-everywhere")]
    assert np.mean([bool(t["pii"]) for t in hit]) > 0.7


def test_spans_keep_to_their_size_and_follow_one_another() -> None:
    simulator = Simulator(SCENARIOS["bad-release"], span_rows=500)
    spans = list(simulator.spans())
    assert len(spans) > 8
    assert max(len(s.rows) for s in spans) < 1_000
    delivered = [row["updated_at"] or row["event_time"] for s in spans for _, row in s.rows]
    assert delivered == sorted(delivered)
    ids = [truth["source_id"] for s in spans for truth in s.truths]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {row["source_id"] for s in spans for _, row in s.rows}
    assert simulator.truth()["rows"] == len(delivered)


def test_a_stock_of_phrases_is_shared_by_all_seeds() -> None:
    first = simulate(SCENARIOS["quiet"], seed=1, phrases=50)
    second = simulate(SCENARIOS["quiet"], seed=2, phrases=50)
    texts = [{r["text"] for r in made.feedback if not r["updated_at"]} for made in (first, second)]
    assert len(texts[0] & texts[1]) > 0.6 * len(texts[0])
    assert first.feedback != second.feedback
    assert len(texts[0]) <= 50 * len(themes()) * 2


def test_years_go_on_with_releases_and_hours_are_enough() -> None:
    years = Simulator(SCENARIOS["bad-release"], days=3 * 365, per_day=2)
    assert years.changes()[-1]["started_at"] > "2027-02"
    rows = [row for span in years.spans() for _, row in span.rows]
    assert {row["event_time"][:4] for row in rows} == {"2024", "2025", "2026", "2027"}
    few = simulate(SCENARIOS["quiet"], days=0.25, per_day=400)
    assert few.end - few.start == timedelta(hours=6)
    assert few.feedback
    assert few.exposure == []


def test_another_seed_gives_other_texts() -> None:
    assert simulate(SCENARIOS["quiet"], seed=1).feedback != simulate(SCENARIOS["quiet"]).feedback


def test_every_theme_has_a_category_of_the_default_taxonomy(tmp_path: Path) -> None:
    taxonomy = load(tmp_path).configuration.taxonomy
    assert {t.category for t in themes().values()} <= {c.name for c in taxonomy.categories}


def test_a_bad_release_hits_its_users_only_and_grows_with_its_share() -> None:
    hit = causes("bad-release")
    assert len(hit) >= 60
    assert {row["version"] for row, _ in hit} == {"5.4.0", None}
    assert {row["platform"] for row, _ in hit} == {"android"}
    assert {truth["category"] for _, truth in hit} == {"payment failure"}
    made = simulate(SCENARIOS["bad-release"])
    release = next(c for c in made.changes if c["name"] == "5.4.0")
    assert min(row["event_time"] for row, _ in hit) >= release["started_at"]
    days = Counter(row["event_time"][:10] for row, _ in hit)
    assert days["2024-04-04"] > days["2024-04-03"]
    assert days.get("2024-04-08", 0) <= 2
    assert made.truth["causes"][0]["change"] == "5.4.0"
    assert "express-reorder" in made.truth["innocent"]
    assert "5.4.0" not in made.truth["innocent"]


def test_nothing_is_caused_on_quiet_days() -> None:
    assert causes("quiet") == []
    assert simulate(SCENARIOS["quiet"]).truth["causes"] == []


def test_an_outage_hits_both_products_while_it_lasts() -> None:
    hit = causes("outage")
    assert {row["product"] for row, _ in hit} == {"shop-app", "store"}
    assert {row["event_time"][:10] for row, _ in hit} == {"2024-04-04"}


def test_a_rating_prompt_brings_more_of_all_and_mostly_short_words() -> None:
    made = simulate(SCENARIOS["rating-prompt"])
    days = Counter(r["event_time"][:10] for r in made.feedback if r["product"] == "shop-app")
    assert days["2024-04-04"] > 2.5 * days["2024-04-02"]
    assert causes("rating-prompt") == []


def test_a_defect_and_late_parcels_are_concentrated_where_they_belong() -> None:
    assert {row["sku"] for row, _ in causes("sku-defect")} == {"SKU-1017"}
    late = causes("late-parcels")
    assert {row["fulfilment_centre"] for row, _ in late} == {"leipzig"}
    assert {row["region"] for row, _ in late} <= {"DE", "FR", "ES"}


def test_stars_follow_the_tone_and_tickets_have_none() -> None:
    made = simulate(SCENARIOS["quiet"])
    truth = {t["source_id"]: t for t in made.truth_rows}
    tones: dict[str, list[int]] = {}
    for row in made.feedback:
        tone = themes()[truth[row["source_id"]]["theme"]].tone
        if row["channel"] == "review":
            tones.setdefault(tone, []).append(row["rating"])
        else:
            assert row["rating"] is None
    assert np.mean(tones["bad"]) < 2 < 4 < np.mean(tones["good"])


def test_planted_personal_data_is_in_the_text_and_in_the_truth() -> None:
    made = simulate(SCENARIOS["quiet"])
    texts = {row["source_id"]: [] for row in made.feedback}
    for row in made.feedback:
        texts[row["source_id"]].append(row["text"])
    planted = [(t["source_id"], p) for t in made.truth_rows for p in t["pii"]]
    assert {p["type"] for _, p in planted} == {"EMAIL", "PHONE", "CARD"}
    assert all(any(p["value"] in text for text in texts[i]) for i, p in planted)


def test_several_languages_are_spoken_where_they_belong() -> None:
    made = simulate(SCENARIOS["quiet"])
    spoken = Counter(t["language"] for t in made.truth_rows)
    assert set(spoken) == set(LANGUAGES)
    assert spoken["en"] > sum(n for language, n in spoken.items() if language != "en")


def test_edits_keep_their_id_and_repeats_name_what_they_repeat() -> None:
    made = simulate(SCENARIOS["quiet"])
    edits = [row for row in made.feedback if row["updated_at"]]
    assert edits
    assert all(row["updated_at"] > row["event_time"] for row in edits)
    repeats = [t for t in made.truth_rows if t["repeats"]]
    rows = {row["source_id"]: row for row in made.feedback if not row["updated_at"]}
    assert repeats
    assert all(rows[t["source_id"]]["text"] == rows[t["repeats"]]["text"] for t in repeats)


def test_size_and_length_can_be_chosen_and_start_may_be_any_day() -> None:
    start = datetime(2025, 6, 1, tzinfo=UTC)
    made = simulate(SCENARIOS["bad-release"], days=10, per_day=50, start=start)
    assert 300 < len(made.feedback) < 700
    assert made.end == start + timedelta(days=10)
    assert all(c["started_at"] < made.end.isoformat() for c in made.changes)
    with pytest.raises(UsageError):
        simulate(SCENARIOS["quiet"], days=0)


def test_the_files_are_what_the_commands_read_and_the_truth_lies_apart(tmp_path: Path) -> None:
    made = simulate(SCENARIOS["bad-release"], days=5, per_day=40)
    files = write_simulation(made, tmp_path / "shop")
    assert len(list((tmp_path / "shop").glob("*.jsonl"))) == 3
    rows = [json.loads(line) for line in files.feedback["shop"].read_text("utf-8").splitlines()]
    assert len(rows) == len(made.feedback)
    assert not {"theme", "cause", "category"} & set(rows[0])
    truth = json.loads((tmp_path / "shop" / "truth" / "truth.json").read_text("utf-8"))
    assert truth["rows"] == len(rows)
    assert all(file.is_file() for file in files.all)
    streamed = write_simulation(
        Simulator(SCENARIOS["bad-release"], days=5, per_day=40), tmp_path / "streamed"
    )
    for one, other in zip(files.all, streamed.all, strict=True):
        assert one.read_bytes() == other.read_bytes()
    several = write_simulation(
        simulate(SCENARIOS["silent-source"], days=3, per_day=40), tmp_path / "two"
    )
    assert [f.name for f in several.feedback.values()] == [
        "feedback.jsonl",
        "feedback-helpdesk.jsonl",
    ]


def test_version_shares_follow_the_rollout_and_sum_to_one() -> None:
    releases = (
        Release("p", "2", day=1, rollout=((0, 0.2), (24, 1.0)), uptake_h=1),
        Release("p", "3", day=4, uptake_h=1),
        Release("p", "4", day=2, platforms=("ios",)),
    )
    versions, shares = version_shares(releases, base_version="1", platform="android", hours=168)
    assert versions == ["1", "2", "3"]
    assert np.allclose(shares.sum(axis=1), 1)
    assert shares[:24, 0] == pytest.approx(1)
    assert shares[40, 1] == pytest.approx(0.2, abs=1e-3)
    assert shares[80, 1] == pytest.approx(1, abs=1e-3)
    assert shares[-1, 2] == pytest.approx(1, abs=1e-3)


def test_the_profile_is_a_weeks_and_sums_to_the_days() -> None:
    hours = profile(0, 14)
    assert hours.sum() == pytest.approx(14)
    assert np.allclose(hours[:168], hours[168:])
    assert profile(3, 7)[0] == hours[72]


def test_texts_are_written_fast_and_phrases_are_filled() -> None:
    names = sorted(themes())
    rng = np.random.default_rng(1)
    drawn = [names[i] for i in rng.integers(0, len(names), 20_000)]
    started = time.process_time()
    written = write_texts(drawn, ["en"] * len(drawn), rng)
    # 60,000 a second were measured on one core; a tenth of that would be a fault.
    assert time.process_time() - started < 3
    assert not [w.text for w in written if "{" in w.text or "[" in w.text]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_bank_has_asides_and_known_themes(language: str) -> None:
    assert templates(language, "aside")
    assert any(templates(language, name) for name in themes())
