"""An evaluation is kept in MLflow with its prompts, figures and rows, and without anybody's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from closeloop.errors import ModelMissingError
from closeloop.evaluation import mlflow_log
from closeloop.evaluation.briefs import figures_of, write_briefs
from closeloop.models.model_writer import ModelWriter
from closeloop.models.prompts import NAMES, prompt
from closeloop.stages.brief import outcome_of
from closeloop.testing.brief_models import writes_forged
from closeloop.testing.brief_sheets import frozen_sheets
from closeloop.testing.language_models import ScriptedLanguageModel
from closeloop.testing.progress import SilentProgress
from tests.unit.models.briefing import door

SHEETS = frozen_sheets()[:3]


def test_an_evaluation_is_kept_with_prompts_figures_rows_and_traces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow: Any = pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    # Beside a file of SQLite, artifacts lie in the working folder.
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    log = mlflow_log.MlflowLog(uri)
    writer = ModelWriter(ScriptedLanguageModel(writes_forged(frozen_sheets())), door())
    briefs = write_briefs(log.traced(writer), SHEETS, SilentProgress())
    figures = figures_of(briefs, writer)
    run_id = log.log(figures, briefs)
    run = mlflow.get_run(run_id)
    assert run.data.params["prompt_brief"] == prompt("brief").version
    assert run.data.metrics["briefs"] == 3
    assert run.data.metrics["output_tokens"] == figures.output_tokens > 0
    held = json.loads(
        Path(
            mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="cases.json")
        ).read_text()
    )
    rows = [dict(zip(held["columns"], row, strict=True)) for row in held["data"]]
    assert [r["signal_id"] for r in rows] == [s.signal_id for s in SHEETS]
    outcomes = [outcome_of(brief) for brief in briefs]
    assert [r["outcome"] for r in rows] == outcomes
    assert "repaired" in outcomes
    assert log.register_prompts() == (list(NAMES), "")
    assert log.register_prompts() == ([], "")
    known = mlflow.genai.load_prompt("closeloop-brief")
    assert known.template == prompt("brief").text
    traces = mlflow.search_traces(return_type="list")
    assert len(traces) == 3
    assert {t.data.spans[0].attributes["outcome"] for t in traces} == set(outcomes)
    kept = (tmp_path / "mlflow.db").read_bytes().decode("utf-8", "replace") + json.dumps(held)
    for sheet in SHEETS:
        assert not [q.text for q in sheet.quotations if q.text in kept]


def test_without_the_extra_it_is_said_and_an_address_in_the_environment_asks_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(ModelMissingError) as caught:
        mlflow_log.MlflowLog("sqlite:///x.db")
    assert "closeloop[mlflow]" in caught.value.hint
    monkeypatch.setattr(mlflow_log.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv(mlflow_log.URI_VARIABLE, "sqlite:///x.db")
    assert mlflow_log.chosen_uri(None) is None
    assert mlflow_log.chosen_uri("sqlite:///y.db") == "sqlite:///y.db"
