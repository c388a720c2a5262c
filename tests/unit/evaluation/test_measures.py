"""Each evaluation runs the stages themselves and gives the figures that its answers add up to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from closeloop.domain.configuration import PiiRule
from closeloop.errors import UsageError
from closeloop.evaluation.duplicates import evaluate_duplicates
from closeloop.evaluation.language import evaluate_language
from closeloop.evaluation.pii import evaluate_pii
from closeloop.evaluation.sentiment import evaluate_sentiment
from closeloop.evaluation.taxonomy import evaluate_taxonomy
from closeloop.evaluation.themes import evaluate_themes
from closeloop.testing.configuration import example_configuration
from closeloop.testing.recognisers import WordRecogniser
from tests.unit.evaluation.trials import jsonl, labelled, memory_runner, read

TOPICS = {
    "card_lost": ["my", "plastic", "card", "vanished", "somewhere", "lost", "stolen", "replace"],
    "slow_app": ["screen", "loading", "takes", "ages", "spinner", "freezing", "sluggish", "phone"],
    "late_parcel": ["parcel", "courier", "delivery", "never", "arrived", "warehouse", "delayed"],
}


def issues(each: int, *, seed: int = 1) -> list[tuple[str, str]]:
    draw = np.random.default_rng(seed)
    rows = [
        (" ".join([*draw.permutation(words)[:6], f"w{draw.integers(10**6)}"]), name)
        for name, words in TOPICS.items()
        for _ in range(each)
    ]
    return [rows[i] for i in draw.permutation(len(rows))]


def test_themes_of_plain_issues_are_found_whole(tmp_path: Path) -> None:
    with memory_runner() as runner:
        report = evaluate_themes(
            runner, labelled(tmp_path, issues(40)), complaints_only=False, passes=1, seed=7
        )
    assert report.used == 120
    assert report.figure("labels").value == 3
    v = report.figure("V-measure")
    assert v.value is not None
    assert v.value > 0.5
    assert v.interval is not None
    assert v.interval.low <= v.value <= v.interval.high
    assert report.figure("homogeneity").value == pytest.approx(1.0, abs=0.05)
    told = report.predictions
    assert told.num_rows == 120
    themed = told.num_rows - told.column("theme_id").null_count
    assert report.figure("left out").value == pytest.approx(1 - themed / 120)
    assert report.figure("themes found").value == len(
        set(told.column("theme_id").drop_null().to_pylist())
    )


def test_in_passes_a_theme_keeps_its_id_and_later_texts_join_it(tmp_path: Path) -> None:
    with memory_runner() as runner:
        report = evaluate_themes(
            runner, labelled(tmp_path, issues(40)), complaints_only=False, passes=3, seed=7
        )
    themes = report.predictions.column("theme_id").to_pylist()
    assert set(filter(None, themes[80:])) & set(filter(None, themes[:40]))


def test_texts_arrive_by_their_times_or_in_a_drawn_order(tmp_path: Path) -> None:
    rows = [
        {"text": text, "label": label, "at": f"2024-01-{31 - i // 4:02}"}
        for i, (text, label) in enumerate(sorted(issues(40), key=lambda row: row[1]))
    ]
    themes = {}
    for columns, shuffle in (({}, False), ({"time": "at"}, False), ({}, True)):
        with memory_runner() as runner:
            report = evaluate_themes(
                runner,
                read(jsonl(tmp_path / "rows.jsonl", rows), **columns),
                complaints_only=False,
                passes=3,
                seed=7,
                shuffle=shuffle,
            )
        held = report.predictions.column("theme_id").to_pylist()
        themes[bool(columns), shuffle] = [t is not None for t in held]
    # The first pass founds the themes, and in the file's order it holds the first label only.
    assert themes[False, False] != themes[True, False]
    assert themes[False, True] != themes[False, False]


def test_a_run_s_own_gate_leaves_praise_without_a_theme(tmp_path: Path) -> None:
    rows = [*issues(20), *((f"love it great app {i} excellent", "praise") for i in range(40))]
    with memory_runner() as runner:
        report = evaluate_themes(
            runner, labelled(tmp_path, rows), complaints_only=True, passes=1, seed=7
        )
    praise = [
        theme
        for label, theme in zip(
            report.predictions.column("label").to_pylist(),
            report.predictions.column("theme_id").to_pylist(),
            strict=True,
        )
        if label == "praise"
    ]
    assert praise == [None] * 40
    assert any("no complaints" in note for note in report.notes)


def test_a_copy_has_the_theme_of_its_original(tmp_path: Path) -> None:
    text = "the courier never brought the parcel and nobody at the warehouse answers me"
    rows = [*issues(40), (text, "late_parcel"), (text, "late_parcel")]
    with memory_runner() as runner:
        report = evaluate_themes(
            runner, labelled(tmp_path, rows), complaints_only=False, passes=1, seed=7
        )
    last = report.predictions.slice(120).to_pylist()
    assert [row["duplicate"] for row in last] == [False, True]
    assert last[0]["theme_id"] == last[1]["theme_id"]


def test_too_few_texts_for_themes_are_refused(tmp_path: Path) -> None:
    with memory_runner() as runner, pytest.raises(UsageError, match="formed from 30 on"):
        evaluate_themes(
            runner, labelled(tmp_path, issues(3)), complaints_only=False, passes=1, seed=7
        )


def test_a_taxonomy_is_learned_from_a_part_and_judged_on_the_rest(tmp_path: Path) -> None:
    with memory_runner() as runner:
        report = evaluate_taxonomy(
            runner, labelled(tmp_path, issues(30)), meanings=(), examples_per_label=5, seed=7
        )
    assert report.used == 75
    accuracy = report.figure("accuracy")
    right = report.predictions.column("right").to_pylist()
    assert accuracy.value == pytest.approx(sum(right) / 75)
    assert accuracy.value > 0.8
    assert report.confusion is not None
    assert report.confusion.counts.sum() == 75
    assert set(report.predictions.column("label").to_pylist()) == set(TOPICS)


def test_no_example_is_among_the_judged(tmp_path: Path) -> None:
    rows = [*issues(10), *((issues(10)[0][0], issues(10)[0][1]) for _ in range(30))]
    with memory_runner() as runner:
        report = evaluate_taxonomy(
            runner, labelled(tmp_path, rows), meanings=(), examples_per_label=9, seed=7
        )
        examples = {e for c in runner.services.config.taxonomy.categories for e in c.examples}
    assert not examples & set(report.predictions.column("text").to_pylist())
    assert report.used + sum(report.left_out.values()) + len(examples) == report.rows


def test_labels_are_categories_by_name_or_as_they_are_mapped(tmp_path: Path) -> None:
    rows = [
        ("payment failed and money is stuck", "Payment_Failure"),
        ("great app love it so much", "happy"),
        ("the button is broken on the screen", "bug"),
        ("who knows", "riddle"),
    ]
    maps = [("happy", "praise"), ("bug", "complaint")]
    with memory_runner() as runner:
        report = evaluate_taxonomy(
            runner, labelled(tmp_path, rows), meanings=maps, examples_per_label=None, seed=7
        )
    assert report.used == 3
    assert report.left_out == {"label_is_no_category": 1}
    assert "riddle (1)" in report.notes[0]
    told = {row["label"]: row for row in report.predictions.to_pylist()}
    if told["Payment_Failure"]["category"] == "payment failure":
        assert told["Payment_Failure"]["right"]
    assert set(told) == {"Payment_Failure", "happy", "bug"}


def test_labels_that_are_no_category_are_named(tmp_path: Path) -> None:
    with memory_runner() as runner, pytest.raises(UsageError, match="no label is a category") as e:
        evaluate_taxonomy(
            runner, labelled(tmp_path, issues(2)), meanings=(), examples_per_label=None, seed=7
        )
    assert "payment failure" in e.value.hint
    for maps, said in ([("nope", "praise")], "no text has"), ([("slow_app", "x")], "no such cat"):
        with memory_runner() as runner, pytest.raises(UsageError, match=said):
            evaluate_taxonomy(
                runner,
                labelled(tmp_path, issues(2)),
                meanings=maps,
                examples_per_label=None,
                seed=7,
            )


def test_tone_never_sees_the_labels_that_it_is_judged_by(tmp_path: Path) -> None:
    rows = [("qwerty zxcv", "5"), ("asdfg hjkl", "1"), ("terrible awful scam", "2"),
            ("so so", "3"), ("lovely great", "positive"), ("hm", "meh")]  # fmt: skip
    with memory_runner() as runner:
        report = evaluate_sentiment(
            runner, labelled(tmp_path, rows), meanings=(), learn_share=0.0, seed=7
        )
    assert report.left_out == {
        "neither_negative_nor_positive": 1,
        "label_not_understood": 1,
    }
    chance = dict(
        zip(
            report.predictions.column("text").to_pylist(),
            report.predictions.column("negative_probability").to_pylist(),
            strict=True,
        )
    )
    assert chance["qwerty zxcv"] == chance["asdfg hjkl"] == 0.5
    assert chance["terrible awful scam"] > 0.8
    assert chance["lovely great"] < 0.2
    assert report.figure("AUROC").value == pytest.approx(0.875)


def test_a_head_is_learned_from_a_share_and_the_rest_is_judged(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    words = {"1": ["blorp", "snark", "grut"], "5": ["flim", "zazz", "pling"]}
    rows = [
        (" ".join([*draw.permutation(words[star]), f"n{i}"]), star)
        for i, star in enumerate(draw.choice(["1", "5"], 1_200))
    ]
    with memory_runner() as runner:
        report = evaluate_sentiment(
            runner, labelled(tmp_path, rows), meanings=(), learn_share=0.5, seed=7
        )
    assert report.used == 600
    assert "stars-head over 600 texts" in report.made_with["model"]
    accuracy = report.figure("accuracy").value
    assert accuracy is not None
    assert accuracy > 0.95


def test_zeros_and_ones_have_to_be_explained(tmp_path: Path) -> None:
    rows = [("terrible awful", "0"), ("lovely great", "1")]
    with memory_runner() as runner, pytest.raises(UsageError, match="neither negative nor pos"):
        evaluate_sentiment(runner, labelled(tmp_path, rows), meanings=(), learn_share=0.0, seed=7)
    maps = [("0", "negative"), ("1", "positive")]
    with memory_runner() as runner:
        report = evaluate_sentiment(
            runner, labelled(tmp_path, rows), meanings=maps, learn_share=0.0, seed=7
        )
    assert report.figure("accuracy").value == 1.0


def test_languages_are_right_wrong_or_unknown(tmp_path: Path) -> None:
    rows = [
        ("the app does not open any more since the last update", "en-US"),
        ("cette application ne fonctionne plus depuis la mise à jour", "fr"),
        ("this is clearly written in English, is it not", "fr"),
        ("xyz", "en"),
        ("whatever this may be called", "no such tag at all"),
    ]
    with memory_runner() as runner:
        report = evaluate_language(runner, labelled(tmp_path, rows))
    assert report.predictions.column("outcome").to_pylist() == [
        "right",
        "right",
        "wrong",
        "unknown",
    ]
    assert report.left_out == {"label_is_no_language_tag": 1}
    values = {f.name: f.value for f in report.figures}
    assert values == {
        "right": 0.5,
        "wrong": 0.25,
        "unknown": 0.25,
        "right of the answered": pytest.approx(2 / 3),
    }


def test_a_script_counts_where_the_label_names_one(tmp_path: Path) -> None:
    text = "yeh app bahut bekar hai paise kat gaye aur refund nahi mila bhai"
    rows = [(text, "hi-Latn"), (text, "hi"), (text, "hi-Deva")]
    with memory_runner() as runner:
        report = evaluate_language(runner, labelled(tmp_path, rows))
    assert report.predictions.column("outcome").to_pylist() == ["right", "right", "wrong"]


def spans(text: str, *values: tuple[str, str]) -> str:
    return json.dumps(
        [
            {"start": text.index(v), "end": text.index(v) + len(v), "type": kind}
            for v, kind in values
        ]
    )


def test_masks_are_compared_with_marked_stretches(tmp_path: Path) -> None:
    one = "write to  asha@example.com or see Rao"
    two = "mail me at info@shop.example please"
    rows = [
        (one, spans(one, ("asha@example.com", "EMAIL"), ("Rao", "PERSON"))),
        (two, "[]"),
        ("nothing here", "no list"),
    ]
    with memory_runner() as runner:
        report = evaluate_pii(runner, labelled(tmp_path, rows), seed=7)
    assert report.used == 2
    assert report.left_out == {"label_is_no_list_of_spans": 1}
    values = {f.name: f.value for f in report.figures}
    assert values["recall, touched"] == values["recall, covered"] == 0.5
    assert values["precision"] == 0.5
    assert values["false masks"] == 1
    assert [row["kind"] for row in report.predictions.to_pylist()] == [
        "marked",
        "marked",
        "false mask",
    ]
    assert not {"text", "value"} & set(report.predictions.column_names)


def test_a_workspace_s_own_masking_rules_count(tmp_path: Path) -> None:
    text = "my membership is MB-123456 since May"
    rows = [(text, spans(text, ("MB-123456", "MEMBER")))]
    own = replace(
        example_configuration(), pii_rules=(PiiRule("membership", r"MB-\d{6}", "MEMBER_ID"),)
    )
    recall = []
    for config in (example_configuration(), own):
        with memory_runner(config) as runner:
            report = evaluate_pii(runner, labelled(tmp_path, rows), seed=7)
        recall.append(report.figure("recall, covered").value)
    assert recall[1] == 1.0
    assert report.predictions.to_pylist()[0]["tokens"] == ["MEMBER_ID"]


def test_the_configured_model_is_measured_with_the_rules(tmp_path: Path) -> None:
    text = "Asha Rao: call me on 98765 43212, Bert did not"
    rows = [(text, spans(text, ("Asha Rao", "PERSON"), ("98765 43212", "PHONE")))]
    with memory_runner(recogniser=WordRecogniser(["Asha Rao", "Bert"])) as runner:
        report = evaluate_pii(runner, labelled(tmp_path, rows), seed=7)
    assert report.figure("recall, covered").value == 1.0
    assert report.figure("false masks").value == 1
    assert report.made_with["masker"].endswith("with words-Asha Rao-Bert")


def test_nested_marks_do_not_make_a_mask_false(tmp_path: Path) -> None:
    text = "my mail is asha@example.com"
    rows = [(text, spans(text, ("asha@example.com", "CONTACT"), ("asha", "PERSON")))]
    with memory_runner() as runner:
        report = evaluate_pii(runner, labelled(tmp_path, rows), seed=7)
    assert report.figure("precision").value == 1.0
    assert report.figure("recall, covered").value == 1.0


COPY = "the payment failed twice today and my money has been gone since the morning"
OTHER = "please add a dark mode because my eyes hurt when I read in bed at night"


def test_copies_are_merged_pairs(tmp_path: Path) -> None:
    rows = [
        (COPY, "a"),
        (COPY + "!", "a"),
        (COPY.replace("twice", "twicee"), "a"),
        (OTHER, "b"),
        (OTHER, "c"),
        ("good app", "d"),
        ("good app", "d"),
    ]
    with memory_runner() as runner:
        report = evaluate_duplicates(runner, labelled(tmp_path, rows), seed=7)
    values = {f.name: f.value for f in report.figures}
    # Merged are the three pairs of a, and b with c, which the labels hold apart.
    assert values["precision, merged"] == pytest.approx(3 / 4)
    assert values["recall, merged"] == pytest.approx(3 / 4)
    assert values["recall, merged, long texts"] == 1.0
    assert "2 texts are too short" in report.notes[0]
    assert report.predictions.column("duplicate_of_line").to_pylist() == [
        None, 1, 1, None, 4, None, None,
    ]  # fmt: skip


def test_groups_of_one_say_nothing_of_duplicates(tmp_path: Path) -> None:
    with memory_runner() as runner, pytest.raises(UsageError, match="no two texts share a label"):
        evaluate_duplicates(runner, labelled(tmp_path, [("a b", "x"), ("c d", "y")]), seed=7)


def test_the_same_file_gives_the_same_report(tmp_path: Path) -> None:
    reports = []
    for _ in range(2):
        with memory_runner() as runner:
            reports.append(
                evaluate_themes(
                    runner, labelled(tmp_path, issues(30)), complaints_only=False, passes=1, seed=3
                )
            )
    assert reports[0].as_dict() == reports[1].as_dict()
    assert reports[0].predictions.equals(reports[1].predictions)
