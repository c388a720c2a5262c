"""`closeloop briefs eval`: the configured writer on a frozen set; worse than the baseline is exit 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from closeloop.cli.output import print_json, print_table
from closeloop.cli.session import open_workspace
from closeloop.errors import UsageError, redact

if TYPE_CHECKING:
    from closeloop.domain.brief import Brief, FactSheet
    from closeloop.evaluation.briefs import BriefFigures
    from closeloop.evaluation.mlflow_log import MlflowLog

BASELINE = "briefs-baseline.json"
NEEDED = ("briefs", "first_time", "fallback", "input_tokens", "output_tokens")


@click.command("eval")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option(
    "--baseline",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help=f"Figures to compare with (default: {BASELINE} in the workspace).",
)
@click.option("--save", is_flag=True, help="Store the figures as the baseline.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="Only the first sheets.")
@click.option(
    "--mlflow",
    "mlflow_uri",
    default=None,
    metavar="URI",
    help="Keep the evaluation in MLflow (default: MLFLOW_TRACKING_URI where MLflow is installed).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def evaluate_briefs(
    ctx: click.Context,
    file: Path | None,
    baseline: Path | None,
    save: bool,
    limit: int | None,
    mlflow_uri: str | None,
    as_json: bool,
) -> None:
    """Write a brief of every frozen fact sheet with the configured writer, and compare.

    FILE holds fact sheets, one JSON a line, as the column `facts` of gold.brief keeps them; without
    it the set that comes with closeloop is used. Exit code 1 where a figure is worse than before.
    """
    from closeloop.evaluation.briefs import figures_of, worse, write_briefs
    from closeloop.evaluation.mlflow_log import MlflowLog, chosen_uri

    workspace = open_workspace(ctx)
    sheets = _sheets(file)[:limit]
    place = baseline or workspace.folder / BASELINE
    before = _baseline(place, needed=baseline is not None and not save)
    uri = chosen_uri(mlflow_uri)
    log = None if uri is None else MlflowLog(uri)
    writer = workspace.models.writer()
    briefs = write_briefs(log.traced(writer) if log else writer, sheets, workspace.progress)
    figures = figures_of(briefs, writer)
    if log is not None:
        _keep(log, figures, briefs)
    found = worse(figures, before) if before is not None and not save else []
    if save:
        place.write_text(json.dumps(figures.to_json(), indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json({**figures.to_json(), "baseline": before, "worse": found})
    else:
        _print(figures, before)
        for line in found:
            click.echo(f"worse: {line}")
        if save:
            click.echo(f"stored in {place}")
        elif before is None:
            click.echo("no baseline yet: store these figures with --save")
    if found or figures.ungrounded:
        sys.exit(1)


def _keep(log: MlflowLog, figures: BriefFigures, briefs: list[Brief]) -> None:
    run = log.log(figures, briefs)
    registered, why = log.register_prompts()
    click.echo(f"kept in MLflow as run {run}; prompts new there: {len(registered)}", err=True)
    if why:
        click.echo(f"closeloop: the prompts could not be registered: {why}", err=True)


def _sheets(file: Path | None) -> list[FactSheet]:
    from closeloop.evaluation.briefs import request_of
    from closeloop.stages.fact_sheet import from_json
    from closeloop.testing.brief_sheets import frozen_sheets

    if file is None:
        return list(frozen_sheets())
    sheets = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            sheet = from_json(line)
            request_of(sheet)
        except (ValueError, KeyError, TypeError, LookupError, AttributeError) as error:
            raise UsageError(
                f"{file}:{number}: no fact sheet ({type(error).__name__}: {redact(str(error))})",
                hint="write one as gold.brief keeps it: closeloop query --format json "
                '"SELECT facts FROM gold.brief"',
            ) from error
        sheets.append(sheet)
    if not sheets:
        raise UsageError(f"{file} holds no fact sheet", hint="one JSON object a line")
    return sheets


def _baseline(place: Path, *, needed: bool) -> dict[str, Any] | None:
    if not place.exists():
        if needed:
            raise UsageError(f"there is no baseline {place}", hint="store one with --save")
        return None
    try:
        held: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        for name in NEEDED:
            float(held[name])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{place} holds no figures of 'briefs eval' ({type(error).__name__})",
            hint="store them anew with --save",
        ) from error
    return held


def _print(figures: BriefFigures, before: dict[str, Any] | None) -> None:
    now = figures.to_json()
    rows = []
    for name in (
        "briefs",
        "first_time",
        "mended",
        "fallback",
        "ungrounded",
        "input_tokens",
        "cached_tokens",
        "output_tokens",
        "cost_usd",
    ):
        held = "-" if before is None else _shown(before.get(name))
        rows.append((name.replace("_", " "), _shown(now[name]), held))
    click.echo(f"{figures.writer}, prompt {figures.prompt_version}")
    print_table(("figure", "now", "baseline"), rows)
    for outcome, number in figures.outcomes.items():
        click.echo(f"  {outcome.replace('_', ' ')}: {number}")
    for part, number in figures.problems.items():
        click.echo(f"  refused at first for {part}: {number}")


def _shown(value: object) -> str:
    if value is None:
        return "unknown"
    return (
        f"{value:,.4f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )
