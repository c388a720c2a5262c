"""`closeloop costs`: what language models cost so far, and what waiting briefs would cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.cost_estimate import Estimate, estimate_briefs
from closeloop.cli.output import local_time, print_json, print_table
from closeloop.cli.session import backtest_option, open_workspace
from closeloop.cli.times import parse_time
from closeloop.domain.model_answer import AnswerState
from closeloop.domain.model_call import ModelCall, Spending, day_start
from closeloop.errors import UsageError
from closeloop.settings import duration
from closeloop.stages.account import LOST, OPEN, shown_state

GROUPS = ("day", "purpose", "model", "state")


@click.group(invoke_without_command=True)
@click.option(
    "--by", type=click.Choice(GROUPS), default="purpose", show_default=True, help="A line for each."
)
@click.option("--since", default="30d", show_default=True, help="A time, or an age: 7d, 24h.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def costs(ctx: click.Context, by: str, since: str, as_json: bool) -> None:
    """Show calls of language models, their tokens and cost; `costs estimate` looks ahead."""
    if ctx.invoked_subcommand is not None:
        return
    workspace = open_workspace(ctx)
    now, zone = workspace.now(), workspace.settings.timezone
    ledger = workspace.calls_made()
    start = _start(since, now)
    calls = [] if ledger is None else ledger.calls(since=start)
    today = Spending() if ledger is None else ledger.spent(since=day_start(now, zone=zone))
    groups = _grouped(calls, _group_of(by, zone))
    if as_json:
        print_json(_as_json(workspace, now, start, today, by, groups))
        return
    _show(workspace, now, start, today, by, groups, calls)


@costs.command()
@click.option("--model", "models", multiple=True, help="Price it with this model; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@backtest_option
@click.pass_context
def estimate(
    ctx: click.Context, models: tuple[str, ...], as_json: bool, backtest: str | None
) -> None:
    """Estimate what a language model would cost for the briefs that wait, or those of a backtest."""
    workspace = open_workspace(ctx, backtest=backtest)
    found = estimate_briefs(workspace, models=models)
    if as_json:
        print_json(found.as_json())
        return
    _show_estimate(found)


def _start(since: str, now: datetime) -> datetime:
    try:
        return now - duration(since)
    except ValueError:
        found = parse_time(since)
        if found is None:
            raise UsageError("--since is empty", hint="give 7d, 24h or a time") from None
        return found


def _group_of(by: str, zone: str) -> Callable[[ModelCall], str]:
    if by == "day":
        return lambda call: local_time(call.at, zone)[:10]
    if by == "state":
        return shown_state
    return lambda call: call.model if by == "model" else call.purpose


def _grouped(
    calls: Iterable[ModelCall], key: Callable[[ModelCall], str]
) -> dict[str, dict[str, Any]]:
    held: dict[str, list[ModelCall]] = defaultdict(list)
    for call in calls:
        held[key(call)].append(call)
    return {name: _figures(group) for name, group in sorted(held.items())}


def _figures(calls: list[ModelCall]) -> dict[str, Any]:
    spending = Spending.of(calls)
    sent = [call for call in calls if call.sent]
    unsure = [call for call in sent if call.uncertain or shown_state(call) in (LOST, OPEN)]
    return {
        "calls": spending.calls,
        "answered": sum(call.state is AnswerState.ANSWERED for call in sent),
        "not_made": len(calls) - len(sent),
        "input_tokens": sum(call.usage.input for call in sent),
        "cached_tokens": sum(call.usage.cached for call in sent),
        "output_tokens": sum(call.usage.output for call in sent),
        "usd": spending.usd,
        "unknown_cost": spending.unpriced,
        "unsure": len(unsure),
        "unsure_usd": Spending.of(unsure).usd,
    }


def _as_json(
    workspace: Workspace,
    now: datetime,
    start: datetime,
    today: Spending,
    by: str,
    groups: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    prices = workspace.models.prices()
    return {
        "now": now,
        "since": start,
        "today": {"calls": today.calls, "usd": today.usd, "unknown_cost": today.unpriced},
        "budget": workspace.settings.writer.budget.model_dump(),
        "prices": {"as_of": prices.as_of, "source": prices.source},
        "by": by,
        "groups": [{by: name, **figures} for name, figures in groups.items()],
    }


def _show(
    workspace: Workspace,
    now: datetime,
    start: datetime,
    today: Spending,
    by: str,
    groups: dict[str, dict[str, Any]],
    calls: list[ModelCall],
) -> None:
    zone, budget = workspace.settings.timezone, workspace.settings.writer.budget
    click.echo(
        f"today ({local_time(now, zone)[:10]}): ${today.usd:.4f} of ${budget.daily_usd:g}, "
        f"{today.calls:,} of {budget.max_calls_a_day:,} calls"
    )
    print_table(
        (by, "calls", "answered", "not made", "read", "cached", "written", "US dollars"),
        [
            (
                name,
                f"{f['calls']:,}",
                f"{f['answered']:,}",
                f"{f['not_made']:,}",
                f"{f['input_tokens']:,}",
                f"{f['cached_tokens']:,}",
                f"{f['output_tokens']:,}",
                f"{f['usd']:.4f}" + (" + ?" if f["unknown_cost"] else ""),
            )
            for name, f in groups.items()
        ],
        empty=f"no language model was asked since {local_time(start, zone)}",
    )
    total = _figures(calls)
    if total["unknown_cost"]:
        click.echo(
            f"{total['unknown_cost']:,} call(s) of unknown cost (?): the model has no price, or the "
            "service stated no use; set writer.model, or add it to prices.yaml"
        )
    if total["unsure"]:
        click.echo(
            f"{total['unsure']:,} call(s) without a known end count with all they may have cost "
            f"(${total['unsure_usd']:.4f})"
        )
    if calls:
        prices = workspace.models.prices()
        click.echo(f"prices of {prices.as_of} ({prices.source})")


def _show_estimate(found: Estimate) -> None:
    click.echo(
        f"{found.briefs:,} brief(s) {found.what}; a brief reads {found.usage.input:,} tokens "
        f"({found.usage.cached:,} from the cache) and writes {found.usage.output:,} ({found.basis})"
    )
    print_table(
        ("model", "US dollars", "as a batch"),
        [
            (m.model, *("unknown" if v is None else f"{v:.4f}" for v in (m.usd, m.batch_usd)))
            for m in found.models
        ],
    )
    click.echo(f"prices of {found.as_of} ({found.source})")
