"""`closeloop policy`: shows and checks the policy, and tries another on the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli.backtest_run import run_backtest
from closeloop.cli.output import local_time, print_json, print_table, records
from closeloop.cli.session import open_workspace
from closeloop.cli.signals import what
from closeloop.domain.policy import Action, Policy
from closeloop.domain.policy_check import findings
from closeloop.domain.policy_difference import Change, Tally, differences, tallies
from closeloop.domain.policy_trial import JudgedState, TriedDecision, differing, tried
from closeloop.domain.signal import Signal
from closeloop.errors import NotFoundError
from closeloop.settings import load_policy
from closeloop.stages.judged_rows import judged_states
from closeloop.tables import JUDGED
from closeloop.workspace_folder import LATEST, backtest_folder, backtest_summary

POLICY_FILE = "policy.yaml"


@click.group()
def policy() -> None:
    """See what the policy does, check a file, try a changed one on the past."""


@policy.command("check")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def check(ctx: click.Context, file: Path | None, as_json: bool) -> None:
    """Check FILE (default: the workspace's policy.yaml); exit 1 where something can't be meant.

    An error in the file ends with its line and what to write instead (exit 2).
    """
    workspace = open_workspace(ctx)
    path = file or workspace.folder / POLICY_FILE
    checked, lines = _policy(workspace, path)
    found = [
        {
            "line": None if f.rule is None else lines[f.rule],
            "problem": f.problem,
            "cure": f.cure,
        }
        for f in findings(checked)
    ]
    if as_json:
        print_json({"file": str(path), "version": checked.version, "findings": found})
    else:
        click.echo(f"{path}: {len(checked.rules)} rules, version {checked.version}")
        for one in found:
            where = f"{path}:{one['line']}" if one["line"] else str(path)
            click.echo(f"{where}: {one['problem']}\n  {one['cure']}")
        click.echo("nothing to object to" if not found else f"{len(found)} to look at")
    if found:
        ctx.exit(1)


@policy.command("backtest")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--against", default=LATEST, show_default=True, metavar="NAME",
              help="The backtest to compare with.")  # fmt: skip
@click.option("--live", is_flag=True, help="Compare with what was really decided instead.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def backtest(ctx: click.Context, file: Path, against: str, live: bool, as_json: bool) -> None:
    """Try the policy in FILE on the past: what would differ in tickets, misses and noise, by owner.

    It is tried on the signals of a backtest (run one first), as they stood at each look. Where FILE
    changes which signals are raised (false_alarms_per_month, fdr, snooze), the same history is
    replayed under it first.
    """
    workspace = open_workspace(ctx)
    changed, _ = _policy(workspace, file)
    before = _Past.of(workspace, None if live else against)
    detection = differing(workspace.config.policy, changed)
    after = before
    if detection:
        after = before.replayed(changed, because=detection)
    labels = workspace.labels()
    old = tried(before.states, workspace.config.policy, labels=before.labels)
    new = tried(after.states, changed, labels=before.labels)
    changes = differences(old, new, labels=labels, within=workspace.config.policy.snooze)
    result = _Comparison(
        workspace.config.policy, changed, before, {**after.themes, **before.themes}, detection,
        tallies(old.values(), labels), tallies(new.values(), labels), changes,
    )  # fmt: skip
    if as_json:
        print_json(result.as_json())
    else:
        result.tell(workspace.settings.timezone)


@dataclass(frozen=True, slots=True)
class _Past:
    """The judged states of a backtest, or of the live tables (name None), and how it was run.

    `themes` are the labels of its themes by id.
    """

    workspace: Workspace
    name: str | None
    summary: Mapping[str, Any]
    states: Sequence[JudgedState]
    labels: Sequence[Any]
    themes: Mapping[str, str]

    @staticmethod
    def of(workspace: Workspace, name: str | None) -> _Past:
        """Read the states. Raises NotFoundError where there are none."""
        tested, summary = workspace, {}
        if name is not None:
            folder = backtest_folder(workspace.folder, name)
            name = folder.name
            summary = backtest_summary(workspace.folder, name)
            tested = Workspace(workspace.folder, progress=workspace.progress, backtest=name)
        rows = records(tested.committed(JUDGED))
        themes = records(tested.query("SELECT theme_id, label FROM silver.theme"))
        labels = tested.labels()
        if tested is not workspace:
            tested.close()
        if not rows and "policy_version" not in summary:
            raise NotFoundError(
                f"no judged signals in {'the live tables' if name is None else f'backtest {name}'}",
                hint="run one: closeloop backtest --from 2024-01-01 --to 2024-02-01",
            )
        named = {t["theme_id"]: t["label"] for t in themes if t["label"]}
        return _Past(workspace, name, summary, judged_states(rows), labels, named)

    def replayed(self, changed: Policy, *, because: Sequence[str]) -> _Past:
        """Replay the same history under another policy. Raises NotFoundError for the live past."""
        from closeloop.replay import ReplayPlan

        if self.name is None:
            raise NotFoundError(
                f"{', '.join(because)} decide which signals are raised, and the live past holds "
                "only those that were",
                hint="run 'closeloop backtest --from … --to …' and leave --live out",
            )
        plan = ReplayPlan(
            start=datetime.fromisoformat(self.summary["from"]),
            end=datetime.fromisoformat(self.summary["to"]),
            every=timedelta(seconds=self.summary["every_s"]),
        )
        self.workspace.progress.note(
            f"{', '.join(because)} changed: replaying {self.name} under the new policy"
        )
        digest = changed.version.rpartition("@")[2]
        name = f"{self.name}+{digest}"
        products = self.summary["products"]
        run_backtest(self.workspace, plan, products=products, name=name, policy=changed)
        return _Past.of(self.workspace, name)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What two policies would have done with the same past."""

    old_policy: Policy
    new_policy: Policy
    past: _Past
    themes: Mapping[str, str]
    replayed_for: tuple[str, ...]
    old: Mapping[str, Tally]
    new: Mapping[str, Tally]
    changes: Sequence[Change]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "past": self.past.name or "live",
            "from": self.past.summary.get("from"),
            "to": self.past.summary.get("to"),
            "old_policy": self.old_policy.version,
            "new_policy": self.new_policy.version,
            "replayed_for": list(self.replayed_for),
            "owners": {
                owner: {
                    "old": _as_dict(self.old.get(owner, Tally())),
                    "new": _as_dict(self.new.get(owner, Tally())),
                }
                for owner in self._owners()
            },
            "changes": [
                {
                    "effect": c.effect.value,
                    "truth": c.truth.value,
                    "signal": _signal(c.shown) | {"what": self._what(c)},
                    "severity": {"old": _severity(c.old), "new": _severity(c.new)},
                    "old": _decision(c.old),
                    "new": _decision(c.new),
                }
                for c in self.changes
            ],
        }

    def tell(self, zone: str) -> None:
        """Print it."""
        past = self.past.name or "what was really decided"
        click.echo(f"{self.old_policy.version} against {self.new_policy.version} on {past}")
        print_table(
            ("owner", "tickets", "new", "noise", "new", "real", "new", "questions", "new",
             "digest", "new"),
            [self._line(owner) for owner in self._owners()],
            empty="no signal was judged in this past",
        )  # fmt: skip
        if any(t.tickets and not t.known for t in (*self.old.values(), *self.new.values())):
            click.echo(
                "noise and real count tickets that people have judged "
                "('closeloop review', 'closeloop tickets'); others are neither"
            )
        click.echo("")
        print_table(
            (
                "signal",
                "raised",
                "product",
                "what",
                "severity",
                "was",
                "would be",
                "effect",
                "people say",
            ),
            [_change_line(c, self._what(c), zone) for c in self.changes],
            empty="no signal would be decided differently",
        )
        counted = Counter(c.effect.value for c in self.changes)
        if counted:
            click.echo(", ".join(f"{n} {effect}" for effect, n in sorted(counted.items())))

    def _what(self, change: Change) -> str:
        signal = change.shown.signal
        label = self.themes.get(signal.theme_id or "")
        return what(_about(signal) | {"theme_label": label})

    def _owners(self) -> list[str]:
        return sorted({*self.old, *self.new})

    def _line(self, owner: str) -> tuple[object, ...]:
        old, new = self.old.get(owner, Tally()), self.new.get(owner, Tally())
        pairs = [
            (old.tickets, new.tickets), (old.noise, new.noise), (old.real, new.real),
            (old.reviews, new.reviews), (old.digests, new.digests),
        ]  # fmt: skip
        return (owner, *(n for pair in pairs for n in pair))


def _policy(workspace: Workspace, path: Path) -> tuple[Policy, tuple[int, ...]]:
    return load_policy(path, configuration=workspace.config)


def _as_dict(tally: Tally) -> dict[str, int]:
    return {
        "tickets": tally.tickets,
        "noise": tally.noise,
        "real": tally.real,
        "reviews": tally.reviews,
        "digests": tally.digests,
        "suppressed": tally.suppressed,
    }


def _signal(shown: TriedDecision) -> dict[str, Any]:
    signal = shown.signal
    return {
        "signal_id": signal.signal_id,
        "product": signal.product,
        "kind": signal.kind.value,
        "series_id": signal.series_id,
        "detected_at": signal.detected_at,
        "count": signal.count,
        "severity": signal.severity.value,
        "owner": shown.owner,
    }


def _decision(decision: TriedDecision | None) -> dict[str, Any] | None:
    if decision is None:
        return None
    return {
        "action": decision.action.value,
        "would_ticket": decision.would_ticket,
        "rule": decision.rule,
        "reasons": list(decision.reasons),
        "at": decision.at,
        "severity": decision.signal.severity.value,
    }


def _about(signal: Signal) -> dict[str, Any]:
    return {
        "kind": signal.kind.value,
        "version": signal.version,
        "theme_id": signal.theme_id,
        "series_id": signal.series_id,
        "category": signal.category,
    }


def _severity(decision: TriedDecision | None) -> str | None:
    return None if decision is None else decision.signal.severity.value


def _change_line(change: Change, about: str, zone: str) -> tuple[object, ...]:
    signal = change.shown.signal
    before, after = _severity(change.old) or "-", _severity(change.new) or "-"
    return (
        signal.signal_id[:10],
        local_time(signal.detected_at, zone),
        signal.product,
        about,
        before if before == after else f"{before} -> {after}",
        _said(change.old),
        _said(change.new),
        change.effect.value,
        change.truth.value,
    )


def _said(decision: TriedDecision | None) -> str:
    if decision is None:
        return "not raised"
    ticket = decision.would_ticket and decision.action is not Action.TICKET
    return f"{decision.action.value}{' (would ticket)' if ticket else ''}: {decision.rule}"
