"""`closeloop review label`: ten minutes of questions that calibrate, and so earn autonomy."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.output import print_json, safe, shorten
from closeloop.cli.person import by_option
from closeloop.cli.session import open_workspace
from closeloop.domain.review import LabelKind
from closeloop.errors import InputFileError, UsageError
from closeloop.stages import ask
from closeloop.stages.ask import Question

STEP = "review"

SKIP, QUIT = "s", "q"


@click.command("label")
@click.option("--product", default=None, help="About this product only.")
@click.option("--limit", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--minutes", type=click.FloatRange(min=0), default=10.0, show_default=True)
@click.option(
    "--answers",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Take answers from a JSON file: what --json printed, with 'value' filled in.",
)
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print the questions as JSON and stop.")
@click.pass_context
def label(
    ctx: click.Context,
    product: str | None,
    limit: int,
    minutes: float,
    answers: Path | None,
    by: str,
    as_json: bool,
) -> None:
    """Answer questions about texts: the same issue? which category?

    Every answer is kept at once: stop when you like, and go on another day.
    """
    workspace = open_workspace(ctx)
    if answers is not None:
        _take(workspace, answers, by=by, as_json=as_json)
        return
    with workspace.step(STEP) as step:
        wanted = None if product is None else workspace.config.product_id(product)
        asked = ask.questions(step, limit=limit, product=wanted)
        choices = ask.choices_of(step, LabelKind.CATEGORY)
    if as_json:
        print_json([_as_json(q) for q in asked])
        return
    if not asked:
        click.echo("no questions: nothing is enriched yet, or all has been answered")
        return
    _interview(workspace, asked, choices=choices, minutes=minutes, by=by)


def _as_json(question: Question) -> dict[str, Any]:
    shown = asdict(question)
    return {"question_id": question.question_id, **shown, "value": None}


def _take(workspace: Workspace, path: Path, *, by: str, as_json: bool) -> None:
    """Keep all answers of a file, or none of them where one is wrong."""
    rows = _read(path)
    taken = 0
    with workspace.step(STEP) as step:
        for number, row in enumerate(rows, start=1):
            if row.get("value") is None:
                continue
            try:
                ask.record(
                    step,
                    kind=str(row.get("kind")),
                    subject=[str(s) for s in row.get("subject") or ()],
                    value=str(row["value"]),
                    by=by,
                )
            except UsageError as error:
                raise InputFileError(
                    f"{path}: answer {number}: {error.message}", hint=error.hint
                ) from error
            taken += 1
    if as_json:
        print_json({"taken": taken})
    else:
        click.echo(f"{taken} answers kept")


def _read(path: Path) -> list[dict[str, Any]]:
    """Read a JSON list, or one JSON object a line."""
    try:
        text = path.read_text(encoding="utf-8")
        rows = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    except (OSError, ValueError) as error:
        raise InputFileError(
            f"{path}: no readable answers ({error})",
            hint="write what 'closeloop review label --json' prints, with 'value' filled in",
        ) from error
    if not all(isinstance(row, dict) for row in rows):
        raise InputFileError(f"{path}: each answer must be an object with kind, subject and value")
    return list(rows)


def _interview(
    workspace: Workspace,
    asked: list[Question],
    *,
    choices: tuple[str, ...],
    minutes: float,
    by: str,
) -> None:
    started = time.monotonic()
    taken = agreed = 0
    for number, question in enumerate(asked, start=1):
        if time.monotonic() - started > minutes * 60:
            click.echo(f"{minutes:g} minutes are over")
            break
        value = _one(question, number=number, total=len(asked), choices=choices)
        if value == QUIT:
            break
        if value == SKIP:
            continue
        with workspace.step(STEP) as step:
            ask.record(step, kind=question.kind.value, subject=question.subject, value=value, by=by)
        taken += 1
        agreed += value == question.predicted
    click.echo(f"{taken} answers kept, {agreed} as closeloop had said")


def _one(question: Question, *, number: int, total: int, choices: tuple[str, ...]) -> str:
    """Ask one question at the terminal; return the answer, SKIP or QUIT."""
    click.echo(f"\n{number} of {total}  {safe(question.product)}")
    for text in question.texts:
        click.echo(f"  “{shorten(text, 400)}”")
    if question.kind is LabelKind.PAIR:
        given = click.prompt(
            "the same issue? y, n, s(kip), q(uit)",
            type=click.Choice(["y", "n", SKIP, QUIT]),
            show_choices=False,
        )
        return {"y": ask.SAME, "n": ask.DIFFERENT}.get(given, given)
    for position, name in enumerate(choices, start=1):
        click.echo(f"  {position:2} {safe(name)}")
    numbers = [str(i) for i in range(1, len(choices) + 1)]
    given = click.prompt(
        "which category? its number, s(kip), q(uit)",
        type=click.Choice([*numbers, SKIP, QUIT]),
        show_choices=False,
    )
    return choices[int(given) - 1] if given in numbers else str(given)
