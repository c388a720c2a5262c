"""`closeloop simulate`: writes feedback with a known truth, to try things out and to measure."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from closeloop.cli.output import print_json, safe
from closeloop.errors import UsageError


@click.command()
@click.argument("scenario", required=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to.")
@click.option("--seed", type=int, default=7, show_default=True, help="Another seed, another shop.")
@click.option("--days", type=click.IntRange(min=1), default=None, help="How many days.")
@click.option("--per-day", type=click.IntRange(min=1), default=None, help="Texts on a common day.")
@click.option("--start", default=None, metavar="TIME", help="First day (default 2024-03-04).")
@click.option("--list", "list_", is_flag=True, help="List the scenarios.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate(
    scenario: str | None,
    out: Path | None,
    seed: int,
    days: int | None,
    per_day: int | None,
    start: str | None,
    list_: bool,
    as_json: bool,
) -> None:
    """Write SCENARIO's feedback.jsonl, changes.jsonl, exposure.jsonl and truth/ to a folder.

    The ordinary commands take the three files in; truth/ is for comparing afterwards.
    """
    from closeloop.testing.simulator import SCENARIOS, write_simulation
    from closeloop.testing.simulator import simulate as make

    if list_:
        _list(as_json=as_json)
        return
    known = ", ".join(SCENARIOS)
    if scenario is None:
        raise UsageError("no scenario is named", hint=f"one of {known}; --list tells more")
    if scenario not in SCENARIOS:
        raise UsageError(f"no scenario {safe(scenario)!r}", hint=f"there are: {known}")
    if out is None:
        raise UsageError("no folder to write to", hint=f"--out {scenario}")
    made = make(SCENARIOS[scenario], seed=seed, days=days, per_day=per_day, start=_start(start))
    files = write_simulation(made, out)
    if as_json:
        print_json(made.truth | {"files": [str(f) for f in files]})
        return
    click.echo(made.scenario.summary)
    click.echo(
        f"{len(made.feedback):,} texts, {len(made.changes)} changes, {len(made.exposure)} rows of "
        f"exposure from {made.start:%Y-%m-%d} to {made.end:%Y-%m-%d}; the truth is in "
        f"{safe(files[-1].parent)}"
    )
    click.echo("\nnext, in a workspace (closeloop init .):")
    for command, file in zip(
        ("ingest", "changes import", "exposure import"), files[:3], strict=True
    ):
        source = " --source shop" if command == "ingest" else ""
        click.echo(f"  closeloop {command} {safe(file)}{source}")


def _start(text: str | None) -> datetime | None:
    from closeloop.cli.times import parse_time

    return parse_time(text) if text else None


def _list(*, as_json: bool) -> None:
    from closeloop.testing.simulator import SCENARIOS

    if as_json:
        print_json(
            [
                {"name": s.name, "summary": s.summary, "expect": s.expect, "days": s.days}
                for s in SCENARIOS.values()
            ]
        )
        return
    for scenario in SCENARIOS.values():
        click.echo(f"{scenario.name}\n  {scenario.summary}\n  expected: {scenario.expect}")
