"""`closeloop simulate`: writes feedback with a known truth, to try things out and to measure."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from closeloop.cli.output import print_json, safe
from closeloop.errors import UsageError

if TYPE_CHECKING:
    from closeloop.testing.simulator.world import Scenario

DAYS_A_YEAR = 365.25


@click.command()
@click.argument("scenario", required=False)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to.")
@click.option("--seed", type=int, default=7, show_default=True, help="Another seed, another shop.")
@click.option("--hours", type=click.FloatRange(min=1), default=None, help="How many hours.")
@click.option("--days", type=click.FloatRange(min=0.1), default=None, help="How many days.")
@click.option("--years", type=click.FloatRange(min=0.01), default=None, help="How many years.")
@click.option("--from", "--start", "start", metavar="TIME", help="Begin (default 2024-03-04).")
@click.option("--to", "end", metavar="TIME", help="End, in place of a number of days.")
@click.option("--texts", type=click.IntRange(min=1), default=None, help="About so many texts.")
@click.option("--per-day", type=click.FloatRange(min=0.1), default=None, help="Texts a common day.")
@click.option("--list", "list_", is_flag=True, help="List the scenarios.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def simulate(
    scenario: str | None,
    out: Path | None,
    seed: int,
    hours: float | None,
    days: float | None,
    years: float | None,
    start: str | None,
    end: str | None,
    texts: int | None,
    per_day: float | None,
    list_: bool,
    as_json: bool,
) -> None:
    """Write SCENARIO's feedback.jsonl, changes.jsonl, exposure.jsonl and truth/ to a folder.

    The ordinary commands take the three files in; truth/ is for comparing afterwards. What happens
    in a scenario keeps its days: a shorter simulation ends before, a longer one goes on quietly.
    """
    from closeloop.testing.simulator import SCENARIOS, Simulator, write_simulation
    from closeloop.testing.simulator.generate import DEFAULT_START

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
    chosen = SCENARIOS[scenario]
    first = _time(start) or DEFAULT_START
    length = _days(hours=hours, days=days, years=years, first=first, last=_time(end))
    simulator = Simulator(
        chosen,
        seed=seed,
        days=length,
        per_day=_rate(chosen, length, texts=texts, per_day=per_day),
        start=first,
    )
    files = write_simulation(simulator, out)
    truth = simulator.truth()
    if as_json:
        print_json(truth | {"files": [str(f) for f in files.all]})
        return
    click.echo(chosen.summary)
    click.echo(
        f"{truth['rows']:,} texts and {len(simulator.changes())} changes from "
        f"{simulator.start:%Y-%m-%d %H:%M} to {simulator.end:%Y-%m-%d %H:%M} UTC; the truth is in "
        f"{safe(files.truth.parent)}"
    )
    click.echo("\nnext, in a workspace (closeloop init .):")
    for source, file in files.feedback.items():
        click.echo(f"  closeloop ingest {safe(file)} --source {safe(source)}")
    click.echo(f"  closeloop changes import {safe(files.changes)}")
    click.echo(f"  closeloop exposure import {safe(files.exposure)}")


def _time(text: str | None) -> datetime | None:
    from closeloop.cli.times import parse_time

    return parse_time(text) if text else None


def _days(
    *,
    hours: float | None,
    days: float | None,
    years: float | None,
    first: datetime,
    last: datetime | None,
) -> float | None:
    """Return the length in days, None where none is given. Raises UsageError where two are."""
    given = (
        None if hours is None else hours / 24,
        days,
        None if years is None else years * DAYS_A_YEAR,
        None if last is None else (last - first) / timedelta(days=1),
    )
    named = [length for length in given if length is not None]
    if len(named) > 1:
        raise UsageError("the length is given twice", hint="one of --hours, --days, --years, --to")
    if named and named[0] <= 0:
        raise UsageError("--to must lie after --from", hint="check the two times")
    return named[0] if named else None


def _rate(
    scenario: Scenario, length: float | None, *, texts: int | None, per_day: float | None
) -> float | None:
    """Return the texts of a common day. Raises UsageError where the number is given twice."""
    if texts is None:
        return per_day
    if per_day is not None:
        raise UsageError("the number is given twice", hint="one of --texts and --per-day")
    from closeloop.testing.simulator import Simulator

    days = scenario.days if length is None else length
    expected = Simulator(scenario, days=length).expected_texts
    return max(texts / days, 1e-3) * (scenario.per_day * days / expected)


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
