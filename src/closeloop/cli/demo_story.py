"""Tells the story of a demo: every figure is read from the tables, the truth comes last."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import click

from closeloop.app import Workspace
from closeloop.cli import sparkline
from closeloop.cli.demo import DemoRun
from closeloop.cli.output import safe, shorten
from closeloop.domain import figures

WIDTH = 96
AROUND = timedelta(days=3)
"""How far around a signal its picture reaches."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """What the tables hold of one signal, from its first complaint to the verdict."""

    signal: Row
    candidates: Sequence[Row]
    change: Row | None
    brief: Row | None
    decisions: Sequence[Row]
    ticket: Row | None
    children: Sequence[Row]
    outcomes: Sequence[Row]
    complaints_at_signal: int
    first_complaint: datetime | None


def tell(run: DemoRun) -> None:
    """Print the story of a demo."""
    workspace = run.workspace
    _intake(run)
    signals = _rows(
        workspace,
        "SELECT * FROM gold.signal WHERE NOT historic ORDER BY detected_at, kind, signal_id",
    )
    if not signals:
        click.echo("\nNo signal was raised: nothing rose beyond its baseline.")
    else:
        story = read(workspace, main_signal(workspace, signals))
        _signal(workspace, story, signals)
        _cause(story)
        _brief(story)
        _ticket(story)
        _verdict(story)
    _truth(run, signals)
    _where_to_look(run)


def main_signal(workspace: Workspace, signals: Sequence[Row]) -> Row:
    """Return the signal to tell of: of those with a ticket the one whose fix is best known.

    A verdict on its fix comes first, then a category before a theme or release, then the earliest.
    """
    verdicts = {
        r["signal_id"]: r["verdict"]
        for r in _rows(workspace, "SELECT * FROM gold.outcome ORDER BY measured_at")
    }
    kinds = ("category", "theme", "release", "segment")

    def rank(row: Row) -> tuple[int, int, datetime, str]:
        known = {"held": 0, "failed": 1}.get(verdicts.get(row["signal_id"], ""), 2)
        return (known, kinds.index(row["kind"]), row["detected_at"], row["signal_id"])

    return min(signals, key=rank)


def read(workspace: Workspace, signal: Row) -> Story:
    """Read all that the tables hold of a signal."""

    def of_signal(sql: str) -> list[Row]:
        return _rows(workspace, sql, signal["signal_id"])

    candidates = of_signal(
        "SELECT * FROM gold.attribution WHERE signal_id = ? ORDER BY blamed DESC, posterior DESC"
    )
    blamed = next((c for c in candidates if c["blamed"] and c["change_id"]), None)
    changes = (
        _rows(workspace, "SELECT * FROM silver.change WHERE change_id = ?", blamed["change_id"])
        if blamed
        else []
    )
    briefs = of_signal("SELECT * FROM gold.brief WHERE signal_id = ? ORDER BY made_at DESC")
    tickets = of_signal("SELECT * FROM gold.ticket WHERE signal_id = ? ORDER BY opened_at")
    ticket = tickets[0] if tickets else None
    times = _rows(
        workspace,
        "SELECT f.event_time FROM gold.feedback_latest f, gold.signal s "
        "WHERE s.signal_id = ? AND list_contains(s.feedback_ids, f.feedback_id) "
        "ORDER BY f.event_time",
        signal["signal_id"],
    )
    before = [t["event_time"] for t in times if t["event_time"] <= signal["detected_at"]]
    return Story(
        signal=signal,
        candidates=candidates,
        change=changes[0] if changes else None,
        brief=briefs[0] if briefs else None,
        decisions=of_signal(
            "SELECT * FROM gold.decision WHERE signal_id = ? ORDER BY decided_at, action"
        ),
        ticket=ticket,
        children=_rows(
            workspace, "SELECT * FROM gold.ticket WHERE parent_id = ?", ticket["ticket_id"]
        )
        if ticket
        else [],
        outcomes=of_signal("SELECT * FROM gold.outcome WHERE signal_id = ? ORDER BY measured_at"),
        complaints_at_signal=len(before),
        first_complaint=before[0] if before else None,
    )


def _intake(run: DemoRun) -> None:
    _heading("1 · Taken in")
    rows = _rows(run.workspace, "SELECT * FROM gold.intake_accounting")
    for row in rows:
        _say(
            f"{row['bronze']:,} rows of feedback from '{safe(row['source'])}': "
            f"{row['silver']:,} usable, {row['quarantine']:,} in quarantine, "
            f"{row['superseded']:,} superseded."
        )
    known = _rows(
        run.workspace,
        "SELECT count(DISTINCT text) AS texts, count(DISTINCT product) AS products, "
        "count(DISTINCT language) FILTER (WHERE language <> 'unknown') AS languages, "
        "count(*) FILTER (WHERE duplicate_of IS NOT NULL) AS repeats FROM gold.feedback_latest",
    )[0]
    kinds = Counter(r["kind"] for r in _rows(run.workspace, "SELECT kind FROM silver.change"))
    changes = ", ".join(figures.counted(n, kind) for kind, n in sorted(kinds.items()))
    _say(
        f"{known['texts']:,} distinct texts about {known['products']} products in "
        f"{known['languages']} languages; {known['repeats']:,} repeat an earlier one. "
        f"Known changes: {changes}."
    )
    _say(
        f"The loop looked {run.looks} times, each time at what was known by then: "
        f"{run.seconds:.0f} s in all."
    )


def _signal(workspace: Workspace, story: Story, signals: Sequence[Row]) -> None:
    signal = story.signal
    _heading("2 · The signal")
    _say(
        f"{figures.minute(signal['detected_at'])}: {_what(signal)} in "
        f"'{safe(signal['product'])}' after {story.complaints_at_signal} complaints"
        f"{_after_change(story)}. It grew to {signal['count']} complaints where "
        f"{figures.decimal(signal['baseline'])} were expected, by {signal['authors']} authors."
    )
    _say(
        f"Severity {signal['severity']}; evidence {figures.evidence(signal['evidence'])}, "
        f"threshold {figures.decimal(signal['threshold'])} ({safe(signal['detector'])}, "
        f"{signal['family_size']} series tested)."
    )
    _picture(workspace, story)
    others = [s for s in signals if s["signal_id"] != signal["signal_id"]]
    for other in others:
        same = "same cause" if _related(other, signal, signals) else "apart"
        _say(
            f"also: {_what(other)} in '{safe(other['product'])}', "
            f"{figures.minute(other['detected_at'])} ({same})",
            indent=2,
        )


def _related(other: Row, signal: Row, signals: Sequence[Row]) -> bool:
    roots = {s["signal_id"]: s["parent_id"] or s["signal_id"] for s in signals}
    first, second = roots[other["signal_id"]], roots[signal["signal_id"]]
    return bool(roots.get(first, first) == roots.get(second, second))


def _after_change(story: Story) -> str:
    if story.change is None:
        return ""
    gap = story.signal["detected_at"] - story.change["started_at"]
    return f", {figures.span(gap)} after {_named(story.change)} began"


def _picture(workspace: Workspace, story: Story) -> None:
    """Draw the complaints around the signal, three hours a character, with the times that matter."""
    signal = story.signal
    kind = {"category": "category", "theme": "theme"}.get(signal["kind"], "total")
    series = signal["series_id"] if kind != "total" else "all"
    fix = story.ticket["resolved_at"] if story.ticket else None
    first = (story.first_complaint or signal["window_start"]) - AROUND
    last = max(signal["window_end"], fix or signal["window_end"]) + AROUND
    step = timedelta(hours=3)
    width = min(WIDTH, int((last - first) / step) + 1)
    rows = _rows(
        workspace,
        "SELECT hour, count FROM gold.series WHERE product = ? AND series_kind = ? "
        "AND series_id = ? AND hour >= ? AND hour <= ?",
        signal["product"],
        kind,
        series,
        first,
        last,
    )
    counts = [0] * width
    for row in rows:
        place = int((row["hour"] - first) / step)
        if 0 <= place < width:
            counts[place] += row["count"] or 0
    labels: dict[int, str] = {}
    times = [(signal["detected_at"], "signal"), (fix, "fix shipped")]
    if story.change is not None:
        times.insert(0, (story.change["started_at"], f"{_named(story.change)} begins"))
    for moment, label in times:
        if moment is not None:
            place = int((moment - first) / step)
            labels[place] = f"{labels[place]}, {label}" if place in labels else label
    unicode = sparkline.unicode_output()
    click.echo()
    _say(f"complaints of {_what(signal)}, three hours a column, at most {max(counts)}:", indent=2)
    click.echo("  " + click.style(sparkline.bars(counts, unicode=unicode), fg="red"))
    for line in sparkline.marks(width, labels, unicode=unicode):
        click.echo("  " + line)
    click.echo()


def _cause(story: Story) -> None:
    _heading("3 · What is behind it")
    if not story.candidates:
        _say("No change is known for that time.")
        return
    for row in story.candidates:
        mark = "BLAMED" if row["blamed"] else "      "
        name = "none of the known changes" if row["change_id"] is None else _named(row)
        effect = ""
        if row["effect"] is not None:
            effect = (
                f"  odds ratio {figures.decimal(row['effect'])} "
                f"[{figures.decimal(row['effect_low'])}, {figures.decimal(row['effect_high'])}], "
                f"{row['exposed']} reviews with it, {row['unexposed']} without"
            )
        line = f"{mark}  {figures.percent(row['posterior']):>5}  {name:<32}{effect}"
        click.echo("  " + (click.style(line, bold=True) if row["blamed"] else line.rstrip()))


def _brief(story: Story) -> None:
    _heading("4 · The brief")
    if story.brief is None:
        _say("No brief was written.")
        return
    brief = story.brief
    sheet = json.loads(brief["facts"])
    checked = (
        "every figure and quotation found on the fact sheet"
        if brief["verified"]
        else (f"{len(brief['problems'])} problems found")
    )
    click.echo("  " + click.style(safe(brief["title"]), bold=True))
    _say(
        f"{len(sheet['facts'])} facts, {len(sheet['quotations'])} quotations; {checked}.", indent=2
    )
    _say(f"For leadership: {safe(brief['leadership'])}", indent=2)
    for quotation in sheet["quotations"]:
        stars = "" if quotation["rating"] is None else f", {quotation['rating']:.0f} of 5 stars"
        version = f", {safe(quotation['version'])}" if quotation["version"] else ""
        click.echo(
            f"    “{shorten(quotation['text'], 110)}” "
            f"({quotation['role']}, {quotation['feedback_id'][:8]}{stars}{version})"
        )


def _ticket(story: Story) -> None:
    _heading("5 · The ticket")
    for decision in story.decisions:
        _say(
            f"{figures.minute(decision['decided_at'])}: {safe(decision['action'])} by rule "
            f"'{safe(decision['rule'])}'",
            indent=2,
        )
        for reason in decision["reasons"] or ():
            _say(safe(reason), indent=6)
    if story.ticket is None:
        _say("No ticket was opened.")
        return
    ticket = story.ticket
    if any(d["rule"] == "approved" for d in story.decisions):
        _say("(a person approved it, as with: closeloop review approve ID)", indent=2)
    _say(
        f"{ticket['ticket_id']} {ticket['severity']} for {safe(ticket['owner'])}, opened "
        f"{figures.minute(ticket['opened_at'])}, due {figures.minute(ticket['due_at'])}: "
        f"{safe(ticket['title'])}",
        indent=2,
    )
    for child in story.children:
        _say(f"└ {child['ticket_id']} {safe(child['title'])}", indent=4)


def _verdict(story: Story) -> None:
    _heading("6 · The fix, and whether it worked")
    ticket = story.ticket
    if ticket is None or ticket["resolved_at"] is None:
        _say("Not resolved.")
        return
    _say(
        f"Resolved {figures.minute(ticket['resolved_at'])} "
        "(a person said so, as with: closeloop tickets resolve ID --version …)."
    )
    if not story.outcomes:
        _say("Not measured yet.")
        return
    last = story.outcomes[-1]
    decided = next(
        (o for o in story.outcomes if o["verdict"] == last["verdict"]), story.outcomes[-1]
    )
    rate_before = last["complaints_before"] / max(last["days_before"], 1e-9)
    rate_after = last["complaints_after"] / max(last["days_after"], 1e-9)
    _say(
        f"Complaints a day: {figures.decimal(rate_before)} before, {figures.decimal(rate_after)} "
        f"after{_ratio(last)}."
    )
    verdict = str(last["verdict"]).replace("_", " ")
    click.echo(
        "  "
        + click.style(f"Verdict: {verdict}", bold=True)
        + f", said first on {figures.minute(decided['measured_at'])}"
    )
    for reason in last["reasons"] or ():
        _say(safe(reason), indent=4)
    steps = [
        ("first complaint", story.first_complaint),
        ("signal", story.signal["detected_at"]),
        ("ticket", ticket["opened_at"]),
        ("fix", ticket["resolved_at"]),
        ("verdict", decided["measured_at"]),
    ]
    known = [(name, moment) for name, moment in steps if moment is not None]
    gaps = [
        f"{name} {figures.span(moment - before)}"
        for (_, before), (name, moment) in pairwise(known)
        if moment >= before
    ]
    _say(f"{known[0][0]} → " + " → ".join(gaps) + " later")


def _ratio(outcome: Row) -> str:
    if outcome["rate_ratio"] is None:
        return ""
    return (
        f"; rate ratio {outcome['rate_ratio']:.2f} "
        f"[{outcome['ratio_low']:.2f}, {outcome['ratio_high']:.2f}]"
    )


def _truth(run: DemoRun, signals: Sequence[Row]) -> None:
    _heading("7 · The truth of the simulation (no step above has read it)")
    for cause in run.simulation.truth["causes"]:
        began = datetime.fromisoformat(cause["started_at"])
        fixed = f", fixed by {safe(cause['fixed_by'])}" if cause["fixed_by"] else ""
        _say(
            f"{safe(cause['cause'])}: from {figures.minute(began)} in '{safe(cause['product'])}', "
            f"{cause['complaints']} complaints, {', '.join(cause['categories'])}{fixed}."
        )
    _say(f"Innocent: {safe(', '.join(run.simulation.truth['innocent']))}.")
    guilty = {c["change"] for c in run.simulation.truth["causes"]}
    blamed = _rows(
        run.workspace,
        "SELECT DISTINCT a.kind, a.name FROM gold.attribution a JOIN gold.signal s "
        "ON s.signal_id = a.signal_id WHERE a.blamed AND a.change_id IS NOT NULL "
        "AND NOT s.historic ORDER BY a.name",
    )
    right = [b for b in blamed if b["name"] in guilty]
    wrong = [b for b in blamed if b["name"] not in guilty]
    _say(
        f"Blamed rightly: {_names(right)}. Blamed wrongly: {_names(wrong)}. "
        f"Signals raised: {len(signals)}."
    )


def _where_to_look(run: DemoRun) -> None:
    _heading("Where to look")
    click.echo(f"  cd {safe(run.workspace.folder)}")
    commands = (
        ("closeloop signals", "what rose, and what is behind it"),
        ("closeloop briefs show ID --for engineering", "a brief, for one of four readers"),
        ("closeloop tickets show ID", "why, who, when, what became of it"),
        ("closeloop outcomes", "whether fixes held"),
        ('closeloop query "SELECT * FROM gold.product_weekly LIMIT 20"', "SQL over every table"),
        ('closeloop query "SELECT * FROM gold.support_queue LIMIT 20"', "urgent complaints"),
    )
    width = max(len(c) for c, _ in commands)
    for command, meaning in commands:
        click.echo(f"  {command:<{width}}  {meaning}")


def _rows(workspace: Workspace, sql: str, *parameters: Any) -> list[Row]:
    found: list[Row] = workspace.query(sql, parameters=list(parameters)).to_pylist()
    return found


def _what(signal: Mapping[str, Any]) -> str:
    if signal["kind"] == "release":
        return f"low ratings of version {safe(signal['version'])}"
    if signal["kind"] == "theme":
        return f"a theme of {safe(signal['category'] or 'complaints')}"
    return f"'{safe(signal['category'] or signal['series_id'])}'"


def _named(change: Mapping[str, Any]) -> str:
    return f"{safe(change['kind'])} {safe(change['name'])}"


def _names(rows: Iterable[Row]) -> str:
    return ", ".join(_named(r) for r in rows) or "nothing"


def _heading(text: str) -> None:
    click.echo("\n" + click.style(text, bold=True, fg="cyan"))


def _say(text: str, *, indent: int = 2) -> None:
    click.echo(click.wrap_text(text, WIDTH + indent, " " * indent, " " * indent))
