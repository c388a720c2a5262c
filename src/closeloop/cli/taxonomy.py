"""`closeloop taxonomy`: what feedback is filed by, what a change would move, and applying it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
import yaml

from closeloop.app import Workspace
from closeloop.cli.output import local_time, print_json, print_table, safe, shorten
from closeloop.cli.person import by_option
from closeloop.cli.session import open_workspace
from closeloop.domain.review import ReviewStatus
from closeloop.domain.taxonomy import Taxonomy
from closeloop.ports import only_if_in
from closeloop.stages import taxonomy as stage
from closeloop.stages import taxonomy_proposals
from closeloop.stages.taxonomy import TaxonomyDiff
from closeloop.stages.taxonomy_proposals import Proposal
from closeloop.tables import FEEDBACK, TAXONOMY

MOVES_SHOWN = 15
SIGNALS_SHOWN = 10

COUNTS = """
SELECT coalesce(category, 'unknown') AS category, count(*) AS texts,
    avg(category_confidence) AS confidence
FROM silver.enrichment GROUP BY ALL
"""
FURTHER = """
SELECT c.category AS category, count(*) AS texts
FROM (SELECT unnest(categories[2:]) AS c FROM silver.enrichment) GROUP BY ALL
"""


@click.group()
def taxonomy() -> None:
    """See the categories, what a changed taxonomy.yaml would move, and apply it."""


@taxonomy.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Show the taxonomy that holds, how many texts each category has, and its history."""
    workspace = open_workspace(ctx)
    history = applied(workspace)
    holds = Taxonomy.from_record(history[-1]) if history else workspace.config.taxonomy
    found = {row["category"]: row for row in workspace.query(COUNTS).to_pylist()}
    further = {row["category"]: row["texts"] for row in workspace.query(FURTHER).to_pylist()}
    rows = [
        {
            "category": name,
            "complaint": None if category is None else category.complaint,
            "impact": None if category is None else category.impact,
            "examples": None if category is None else len(category.examples),
            "texts": found.get(name, {}).get("texts", 0),
            "as_further": further.get(name, 0),
            "mean_confidence": found.get(name, {}).get("confidence"),
        }
        for name, category in [*((c.name, c) for c in holds.categories), ("unknown", None)]
    ]
    waits = waiting(workspace)
    if as_json:
        kept = [{k: v for k, v in h.items() if k != "batch_id"} for h in history]
        print_json({"version": holds.version, "waits": waits, "categories": rows, "history": kept})
        return
    click.echo(f"{holds.version}" + ("" if history else " (not applied yet: the first run does)"))
    print_table(
        ("category", "complaint", "impact", "examples", "texts", "beside another", "sure"),
        [_row(r) for r in rows],
    )
    for entry in history:
        click.echo(
            f"{local_time(entry['applied_at'], workspace.settings.timezone)} "
            f"{entry['version']} applied by {safe(entry['applied_by'])}; "
            f"{entry['moved']:,} of {entry['texts']:,} texts moved"
        )
    if waits:
        click.echo(waits_line(waits))


@taxonomy.command("diff")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def diff(ctx: click.Context, as_json: bool) -> None:
    """Show what taxonomy.yaml as it stands would move; nothing is changed."""
    workspace = open_workspace(ctx)
    with workspace.step(stage.NAME) as step:
        found = stage.diff(step)
    if as_json:
        print_json(asdict(found))
        return
    _tell(found, moved="would move")
    if found.moved or found.changes:
        click.echo("\nto apply it: closeloop taxonomy apply")


@taxonomy.command("apply")
@click.option(
    "--anew",
    is_flag=True,
    help="File all texts anew though the definitions are the same (after many labels).",
)
@by_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def apply(ctx: click.Context, anew: bool, by: str, as_json: bool) -> None:
    """File all stored feedback by taxonomy.yaml as it stands; what moved is logged."""
    workspace = open_workspace(ctx)
    history = applied(workspace)
    if history and not anew and waiting(workspace) is None:
        if as_json:
            print_json(None)
        else:
            click.echo(
                f"{history[-1]['version']} is applied already; "
                "--anew files all texts anew, as after many labels"
            )
        return
    with workspace.step(stage.NAME) as step:
        found = stage.apply(step, by=by)
    if as_json:
        print_json(asdict(found))
        return
    _tell(found, moved="moved")
    click.echo("\nseries and signals follow with the next run: closeloop run")


@taxonomy.command("proposals")
@click.option("--all", "everything", is_flag=True, help="Answered ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def proposals(ctx: click.Context, everything: bool, as_json: bool) -> None:
    """Show categories that are lacking: what grew, in whose words, and what to write.

    Nothing is applied: paste the entry into taxonomy.yaml, put it in your own words, and see
    'closeloop taxonomy diff'. 'closeloop review reject ID --reason …' ends a proposal for good.
    """
    workspace = open_workspace(ctx)
    with workspace.step(stage.NAME) as step:
        held = taxonomy_proposals.proposals(step)
        wanted = [p for p in held if everything or p[1].status is ReviewStatus.OPEN]
        ids = [i for p, _ in wanted for i in p.central_ids]
        rows = step.rows(
            FEEDBACK, columns=["feedback_id", "text"], where=[only_if_in("feedback_id", ids)]
        )
    texts = dict(
        zip(rows.column("feedback_id").to_pylist(), rows.column("text").to_pylist(), strict=True)
    )
    if as_json:
        print_json(
            [
                asdict(p) | {"status": item.status.value, "yaml": _entry(p, texts)}
                for p, item in wanted
            ]
        )
        return
    if not wanted:
        click.echo("no category is proposed: texts that fit none have not grown")
    for proposal, item in wanted:
        share = proposal.texts / proposal.all_texts
        click.echo(
            f"{proposal.proposal_id[:10]} {item.status.value}: {safe(', '.join(proposal.words))}\n"
            f"{proposal.texts} texts of {proposal.authors} authors in 28 days ({share:.2%} of all), "
            f"{proposal.before} in the 12 weeks before; chance {proposal.chance:.1g}\n"
            f"a week: {' '.join(str(texts) for _, texts, _ in proposal.weeks)}\n"
            f"products: {safe(', '.join(f'{p} {n}' for p, n in proposal.products))}\n"
        )
        click.echo(_entry(proposal, texts))


def _entry(proposal: Proposal, texts: dict[str, str]) -> str:
    """Return the category as it would stand in taxonomy.yaml."""
    examples = [shorten(texts[i], 200) for i in proposal.central_ids if texts.get(i)]
    entry = {
        "name": proposal.name,
        "description": f"(write one sentence) Texts about {', '.join(proposal.words)}.",
        "complaint": proposal.complaint,
        "impact": 0.5 if proposal.complaint else 0.1,
        "words": list(proposal.words),
        "examples": examples,
    }
    written = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=100)
    return "\n".join(f"  {line}" for line in written.splitlines())


def applied(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the taxonomies that were applied, oldest first."""
    return sorted(workspace.committed(TAXONOMY).to_pylist(), key=lambda row: int(row["number"]))


def waiting(workspace: Workspace) -> str | None:
    """Return the version of taxonomy.yaml where it means another than what is applied."""
    history = applied(workspace)
    offered = workspace.config.taxonomy
    if not history or offered.same_as(Taxonomy.from_record(history[-1])):
        return None
    return offered.version


def waits_line(version: str) -> str:
    """Return what people are told of a change that waits."""
    return (
        f"taxonomy.yaml has changed ({version}) and is not applied: texts are filed as before. "
        "See what it would move: closeloop taxonomy diff"
    )


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    sure = row["mean_confidence"]
    return (
        row["category"],
        None if row["complaint"] is None else "yes" if row["complaint"] else "no",
        row["impact"],
        row["examples"],
        f"{row['texts']:,}",
        f"{row['as_further']:,}",
        None if sure is None or row["category"] == "unknown" else f"{sure:.2f}",
    )


def _tell(found: TaxonomyDiff, *, moved: str) -> None:
    click.echo(f"{found.before or 'nothing applied'} -> {found.after}")
    for change in found.changes:
        click.echo(f"  {safe(change.name)}: {safe(change.change)}")
    if not found.changes:
        click.echo("  the definitions are the same")
    share = found.moved / found.texts if found.texts else 0.0
    click.echo(f"{found.moved:,} of {found.texts:,} texts {moved} ({share:.1%})")
    if found.texts:
        click.echo(
            f"unknown: {found.unknown_before / found.texts:.1%} -> "
            f"{found.unknown_after / found.texts:.1%}"
        )
    for move in found.moves[:MOVES_SHOWN]:
        click.echo(f"\n{move.texts:>8,}  {safe(move.before)} -> {safe(move.after)}")
        for sample in move.samples:
            click.echo(f"          {sample.feedback_id[:10]}: {shorten(sample.text, 100)}")
    rest = found.moves[MOVES_SHOWN:]
    if rest:
        click.echo(f"\n{sum(m.texts for m in rest):>8,}  in {len(rest)} other moves (--json)")
    if found.series:
        click.echo(f"\n{len(found.series)} series of products gain or lose texts")
    for signal in found.signals[:SIGNALS_SHOWN]:
        click.echo(
            f"signal {signal.signal_id[:10]} ({safe(signal.product)}, {safe(signal.category)}): "
            f"{signal.leave} of its {signal.texts} texts leave the category"
        )
    if len(found.signals) > SIGNALS_SHOWN:
        click.echo(f"and {len(found.signals) - SIGNALS_SHOWN} other signals (--json)")
