"""`closeloop evaluate`: measures closeloop on a labelled file, by the stages of a run."""

from __future__ import annotations

import functools
import hashlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from closeloop.app import Workspace
from closeloop.cli.evaluate_output import tell, write_picture, write_predictions
from closeloop.cli.output import print_json
from closeloop.cli.progress import make_progress
from closeloop.cli.session import open_workspace
from closeloop.errors import UsageError
from closeloop.workspace_folder import find_folder

if TYPE_CHECKING:
    from closeloop.evaluation.labelled import Labelled
    from closeloop.evaluation.report import Report
    from closeloop.runner import Runner

FORMATS = ("csv", "jsonl", "json", "parquet")
SEED = 7

Measure = Callable[["Runner", "Labelled", int], "Report"]


@click.group()
def evaluate() -> None:
    """Measure closeloop on a labelled FILE of your own (csv, jsonl, json, parquet).

    The texts go through the stages of 'closeloop run', in tables in memory: nothing of a workspace
    changes but its cache of vectors. In a workspace its taxonomy, masking rules, embedder and what
    it has learned are used, elsewhere the defaults.
    """


@dataclass(frozen=True, slots=True)
class Asked:
    """What all kinds are asked: the file, its columns, what to write."""

    file: Path
    text: str
    label: str
    optional: dict[str, str | None]
    format_name: str | None
    encoding: str | None
    sample: int | None
    seed: int
    predictions: Path | None
    picture: Path | None
    as_json: bool


def _asked(*optional: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add what all kinds are asked, and the columns of this kind; hand it on as `asked`."""
    hints = {
        "time": "Column of times (default: a microsecond apart, in the order of the file).",
        "product": "Column of products (default: all texts are of one).",
        "author": "Column of authors.",
        "rating": "Column of stars, as evidence beside the text.",
    }
    file = click.Path(path_type=Path)
    out = click.Path(dir_okay=False, path_type=Path)
    options = [
        click.argument("file", type=file, metavar="FILE"),
        click.option("--text", required=True, metavar="COLUMN", help="Column of the texts."),
        click.option("--label", required=True, metavar="COLUMN", help="Column of the labels."),
        *(
            click.option(f"--{n}", f"column_{n}", default=None, metavar="COLUMN", help=hints[n])
            for n in optional
        ),
        click.option("--sample", type=click.IntRange(min=1), help="Judge so many rows, drawn."),
        click.option("--seed", type=int, default=SEED, show_default=True, help="Of all draws."),
        click.option("--format", "format_name", type=click.Choice(FORMATS), default=None),
        click.option("--encoding", default=None, help="Of text files."),
        click.option("--predictions", type=out, metavar="OUT.parquet", help="Write each answer."),
        click.option("--picture", type=out, metavar="OUT.svg|html", help="Draw the figures."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    ]

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        def asked(**given: Any) -> None:
            columns = {n: given.pop(f"column_{n}") for n in optional}
            names = [n for n in Asked.__dataclass_fields__ if n != "optional"]
            own = {n: given.pop(n) for n in names}
            command(Asked(optional=columns, **own), **given)

        # With the options that the command has already: click keeps them on the function.
        result: Callable[..., None] = functools.update_wrapper(asked, command)
        for option in reversed(options):
            result = option(result)
        return result

    return wrap


MAP = click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="LABEL=MEANING",
    help="What a label means (repeatable).",
)


@evaluate.command("themes", short_help="Themes against labelled issues.")
@_asked("time", "product", "rating")
@click.option("--passes", type=click.IntRange(min=1), default=1, show_default=True,
              help="Let the texts arrive in so many passes, a day apart.")  # fmt: skip
@click.option("--shuffle", is_flag=True, help="Let them arrive in a drawn order.")
@click.option(
    "--complaints-only", is_flag=True, help="Leave out what a run takes for no complaint."
)
def themes(asked: Asked, passes: int, shuffle: bool, complaints_only: bool) -> None:
    """Compare themes with labelled groups: V-measure, adjusted Rand index, share left out."""
    from closeloop.evaluation.themes import evaluate_themes

    def measure(runner: Runner, labelled: Labelled, seed: int) -> Report:
        return evaluate_themes(
            runner,
            labelled,
            complaints_only=complaints_only,
            passes=passes,
            seed=seed,
            shuffle=shuffle,
        )

    _evaluate(asked, measure, with_learned=complaints_only)


@evaluate.command("taxonomy", short_help="Categories against labels.")
@_asked("time", "product", "rating")
@MAP
@click.option(
    "--examples-per-label",
    type=click.IntRange(min=1),
    default=None,
    help="Learn a taxonomy from so many texts of each label, and judge the others.",
)
def taxonomy(asked: Asked, maps: tuple[str, ...], examples_per_label: int | None) -> None:
    """Compare categories with labels: F1, accuracy, per class, unknown, calibration.

    Labels are matched to the taxonomy's categories by name, or with --map LABEL=CATEGORY;
    "complaint" stands for all complaint categories that nothing else is mapped to.
    """
    from closeloop.evaluation.labelled import parse_pairs
    from closeloop.evaluation.taxonomy import evaluate_taxonomy

    meanings = parse_pairs(maps, option="--map")
    if examples_per_label is not None and meanings:
        raise UsageError(
            "--map and --examples-per-label exclude each other",
            hint="a taxonomy that is learned from the file has the file's labels",
        )

    def measure(runner: Runner, labelled: Labelled, seed: int) -> Report:
        return evaluate_taxonomy(
            runner, labelled, meanings=meanings, examples_per_label=examples_per_label, seed=seed
        )

    _evaluate(asked, measure, with_learned=examples_per_label is None)


@evaluate.command("sentiment", short_help="Tone against labels or stars.")
@_asked("time", "product")
@MAP
@click.option("--learn-share", type=click.FloatRange(0, 1, max_open=True), default=0.0,
              help="Show so much of the file as stars first, and judge the rest.")  # fmt: skip
def sentiment(asked: Asked, maps: tuple[str, ...], learn_share: float) -> None:
    """Compare tone with labels: negative and positive, or stars 1 to 5 (3 is neither)."""
    from closeloop.evaluation.labelled import parse_pairs
    from closeloop.evaluation.sentiment import evaluate_sentiment

    meanings = parse_pairs(maps, option="--map")

    def measure(runner: Runner, labelled: Labelled, seed: int) -> Report:
        return evaluate_sentiment(
            runner, labelled, meanings=meanings, learn_share=learn_share, seed=seed
        )

    _evaluate(asked, measure, with_learned=not learn_share)


@evaluate.command("language", short_help="Languages against labelled tags.")
@_asked()
def language(asked: Asked) -> None:
    """Compare languages with labels such as en, pt-BR or hi-Latn: right, wrong, unknown."""
    from closeloop.evaluation.language import evaluate_language

    _evaluate(asked, lambda runner, labelled, _: evaluate_language(runner, labelled))


@evaluate.command("pii", short_help="Masks against marked stretches.")
@_asked()
def pii(asked: Asked) -> None:
    """Compare masks with marked stretches: --label is a JSON list of {start, end, type}."""
    from closeloop.evaluation.pii import evaluate_pii

    _evaluate(asked, lambda runner, labelled, seed: evaluate_pii(runner, labelled, seed=seed))


@evaluate.command("duplicates", short_help="Copies against labelled groups.")
@_asked("time", "product", "author")
def duplicates(asked: Asked) -> None:
    """Compare duplicates with labelled groups of copies, pair by pair."""
    from closeloop.evaluation.duplicates import evaluate_duplicates

    _evaluate(
        asked, lambda runner, labelled, seed: evaluate_duplicates(runner, labelled, seed=seed)
    )


def _evaluate(asked: Asked, measure: Measure, *, with_learned: bool = False) -> None:
    """Read, measure and tell; `with_learned` starts with the heads that a workspace has learned."""
    from closeloop.evaluation.labelled import Columns, read_labelled

    ctx = click.get_current_context()
    _check_outputs(asked)
    with tempfile.TemporaryDirectory(prefix="closeloop-evaluate-") as empty:
        workspace, own = _workspace(ctx, Path(empty))
        labelled = read_labelled(
            asked.file,
            Columns(text=asked.text, label=asked.label, **asked.optional),
            format_name=asked.format_name,
            encoding=asked.encoding,
            sample=asked.sample,
            seed=asked.seed,
            progress=workspace.progress,
        )
        names = _heads() if with_learned and own else ()
        key = None if own else _key(asked.file)
        with workspace.trial(learned=names, token_key=key) as runner:
            report = measure(runner, labelled, asked.seed)
        if names:
            report = _seen_before(workspace, report)
        if asked.predictions is not None:
            write_predictions(asked.predictions, report)
        if asked.picture is not None:
            write_picture(asked.picture, report)
        place = str(workspace.folder) if own else None
    rows = labelled.rows.num_rows
    sampled = rows if rows < labelled.drawn else None
    if asked.as_json:
        print_json(report.as_dict() | {"workspace": place, "sampled": sampled})
    else:
        tell(report, workspace=place, sampled=sampled)


def _workspace(ctx: click.Context, empty: Path) -> tuple[Workspace, bool]:
    """Return the workspace around this folder, or one of defaults in an empty folder."""
    options = ctx.find_root().obj or {}
    if not options.get("workspace"):
        try:
            find_folder(Path.cwd())
        except UsageError:
            quiet = bool(options.get("quiet")) or not sys.stderr.isatty()
            return Workspace(empty, progress=make_progress(quiet=quiet)), False
    return open_workspace(ctx), True


def _heads() -> tuple[str, ...]:
    from closeloop.stages import enrich

    return enrich.STARS, enrich.SENTIMENT, enrich.CATEGORY


def _seen_before(workspace: Workspace, report: Report) -> Report:
    """Note how many of the judged texts the workspace may have learned from."""
    from dataclasses import replace

    import pyarrow.compute as pc

    from closeloop.stages.refine_rows import text_hashes
    from closeloop.tables import FEEDBACK

    held = workspace.committed(FEEDBACK, columns=["text_hash"]).column("text_hash")
    hashes = text_hashes(report.predictions.column("text").combine_chunks())
    known = pc.sum(pc.is_in(hashes, value_set=held.combine_chunks())).as_py() or 0
    if not known:
        return report
    note = f"{known:,} of these texts are in the workspace: what it has learned may be from them"
    return replace(report, notes=(*report.notes, note))


def _key(file: Path) -> bytes:
    """Return a key of this file's own: the same tokens each time, none that others can guess."""
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").digest()


def _check_outputs(asked: Asked) -> None:
    if asked.picture is not None and asked.picture.suffix.lower() not in (".svg", ".html"):
        raise UsageError(
            f"--picture {asked.picture} is neither .svg nor .html", hint="name it OUT.svg"
        )
    for path in filter(None, (asked.predictions, asked.picture)):
        if not path.absolute().parent.is_dir():
            raise UsageError(f"no such folder: {path.absolute().parent}", hint="make it first")
