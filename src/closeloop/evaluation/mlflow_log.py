"""Keeps evaluations of briefs in MLflow: prompts, figures, a row and a trace for each brief.

Needs the extra `mlflow`. Nothing that customers or models wrote goes there: versions, states, tokens,
costs and kinds of problems do, and the prompts, which come with closeloop.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from typing import Any

from closeloop.domain.brief import Brief
from closeloop.errors import ModelMissingError, redact
from closeloop.evaluation.briefs import BriefFigures, problem_kinds
from closeloop.models.prompts import NAMES, prompt
from closeloop.ports import BriefRequest, Writer
from closeloop.stages.brief import outcome_of

EXPERIMENT = "closeloop briefs"
PREFIX = "closeloop-"
VERSION_TAG = "closeloop_version"
URI_VARIABLE = "MLFLOW_TRACKING_URI"
COLUMNS = (
    "signal_id", "outcome", "attempts", "states", "problem_kinds", "input_tokens",
    "cached_tokens", "output_tokens", "cost_usd",
)  # fmt: skip


def chosen_uri(given: str | None) -> str | None:
    """Return where to log to: what is given, else what the environment names if MLflow is there."""
    if given is not None:
        return given
    named = os.environ.get(URI_VARIABLE)
    return named if named and importlib.util.find_spec("mlflow") else None


class MlflowLog:
    """Logs to a tracking server: a file ("sqlite:///mlflow.db"), an address, or "databricks".

    Raises ModelMissingError where the extra is not installed.
    """

    def __init__(self, tracking_uri: str, *, experiment: str = EXPERIMENT) -> None:
        try:
            self._mlflow: Any = importlib.import_module("mlflow")
        except ImportError as error:
            raise ModelMissingError(
                "evaluations are to be kept in MLflow, which is not installed",
                hint="pip install 'closeloop[mlflow]', or leave --mlflow out",
            ) from error
        self._mlflow.set_tracking_uri(tracking_uri)
        self._mlflow.set_experiment(experiment)

    def traced(self, writer: Writer) -> Writer:
        """Return the writer with a trace around each brief that it writes."""
        return _Traced(writer, self._mlflow)

    def log(self, figures: BriefFigures, briefs: Sequence[Brief]) -> str:
        """Log one evaluation as a run; return the run's id."""
        versions = {name: prompt(name).version for name in NAMES}
        numbers = {
            name: float(value)
            for name, value in figures.to_json().items()
            if isinstance(value, int | float)
        }
        with self._mlflow.start_run(run_name=figures.writer[:200]) as run:
            self._mlflow.log_params(
                {"writer": figures.writer, "prompt_version": figures.prompt_version}
                | {f"prompt_{name}": version for name, version in versions.items()}
            )
            self._mlflow.log_metrics(numbers)
            rows = [[_case(brief)[name] for name in COLUMNS] for brief in briefs]
            self._mlflow.log_dict({"columns": list(COLUMNS), "data": rows}, "cases.json")
            self._mlflow.log_dict(
                {"outcomes": dict(figures.outcomes), "problems": dict(figures.problems)},
                "counts.json",
            )
        self._mlflow.flush_trace_async_logging()
        return str(run.info.run_id)

    def register_prompts(self) -> tuple[list[str], str]:
        """Register each prompt whose text is new; return their names, and why others could not be."""
        registered: list[str] = []
        for name in NAMES:
            held = prompt(name)
            try:
                known = self._mlflow.genai.load_prompt(PREFIX + name, allow_missing=True)
                if known is not None and known.tags.get(VERSION_TAG) == held.version:
                    continue
                self._mlflow.genai.register_prompt(
                    name=PREFIX + name,
                    template=held.text,
                    commit_message=held.version,
                    tags={VERSION_TAG: held.version},
                )
            except self._mlflow.exceptions.MlflowException as error:
                # A server of its own kind may have no registry; the figures are logged all the same.
                return registered, redact(str(error).partition("\n")[0])
            registered.append(name)
        return registered, ""


class _Traced:
    def __init__(self, writer: Writer, mlflow: Any) -> None:
        self._writer = writer
        self._mlflow = mlflow

    @property
    def name(self) -> str:
        return self._writer.name

    def write(self, request: BriefRequest) -> Brief:
        with self._mlflow.start_span(name="brief", span_type="CHAIN") as span:
            brief = self._writer.write(request)
            span.set_attributes({k: v for k, v in _case(brief).items() if v is not None})
        return brief


def _case(brief: Brief) -> dict[str, Any]:
    attempts = brief.attempts
    costs = [a.cost_usd for a in attempts]
    return {
        "signal_id": brief.signal_id,
        "outcome": outcome_of(brief),
        "attempts": len(attempts),
        "states": ", ".join(a.state.value for a in attempts),
        "problem_kinds": ", ".join(problem_kinds(a.problems for a in attempts)),
        "input_tokens": sum(a.usage.input for a in attempts),
        "cached_tokens": sum(a.usage.cached for a in attempts),
        "output_tokens": sum(a.usage.output for a in attempts),
        "cost_usd": None if None in costs else sum(c for c in costs if c is not None),
    }
