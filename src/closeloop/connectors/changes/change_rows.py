"""Imports releases, flags, incidents, articles and configuration changes into silver.change."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from closeloop.connectors.changes.notes import parse_notes
from closeloop.connectors.changes.reading import (
    Beginning,
    ImportReport,
    ImportRequest,
    ReadRow,
    read_rows,
)
from closeloop.connectors.intake.fields import CHANGE_FIELDS
from closeloop.connectors.intake.request import IntakeStep
from closeloop.domain.change import ChangeKind, change_id
from closeloop.domain.configuration import Configuration
from closeloop.errors import InputFileError, UsageError, redact
from closeloop.ports import StepContext, only_if_in
from closeloop.tables import CHANGE
from closeloop.text.normalise import normalise_version

_STAGE = re.compile(r"^\s*(?:(\d+(?:\.\d+)?)\s*h?\s*[=:]\s*)?(\d+(?:\.\d+)?)\s*(%?)\s*$")
_NUMBERED = re.compile(r"^(?:v|version|release)?[\s-]?\d+(?:\.\w+)*$", re.IGNORECASE)

MAX_STARTS = 5
"""So many times may one version begin in a file, for one product, platform and region."""

Row = dict[str, Any]


def import_changes(
    step: IntakeStep,
    paths: Sequence[str | Path],
    request: ImportRequest,
    *,
    kind: str | None,
) -> ImportReport:
    """Merge the changes of files into silver.change; the same change again changes nothing.

    `kind` is that of rows without one. A row without product goes to the request's product, else
    to the default one. Rows without a readable start are left out and named in the report.
    Raises InputFileError where one version begins at so many times that they are no changes.
    """
    report = ImportReport()
    made = read_changes(step, paths, request, report, kind=kind)
    _check_starts(report.starts)
    report.products = tuple(sorted({change["product"] for change in made}))
    write_changes(step, made, report)
    return report


def read_changes(
    step: IntakeStep,
    paths: Sequence[str | Path],
    request: ImportRequest,
    report: ImportReport,
    *,
    kind: str | None,
) -> list[Row]:
    """Return the changes that the rows of files stand for; what can't be used is in the report."""
    if kind is not None:
        check_kind(kind)
    made = (
        _change(row, step, request, kind, report)
        for row in read_rows(paths, CHANGE_FIELDS, request, report)
    )
    return [change for change in made if change is not None]


def remove_changes(step: StepContext, ids: Sequence[str]) -> int:
    """Delete changes from silver.change; return how many there were.

    What was weighed with them stays as it was written.
    """
    held = step.rows(CHANGE, columns=["change_id"], where=[only_if_in("change_id", set(ids))])
    if held.num_rows:
        step.delete(CHANGE, [only_if_in("change_id", set(ids))])
    step.count("changes_removed", held.num_rows)
    return int(held.num_rows)


def _check_starts(starts: Mapping[Beginning, set[datetime]]) -> None:
    """Raise InputFileError where rows are feedback or the like: a version begins once, or in stages."""
    most = max(starts, key=lambda key: len(starts[key]), default=None)
    if most is None or len(starts[most]) <= MAX_STARTS:
        return
    kind, product, version = most[:3]
    raise InputFileError(
        f"these rows are no list of changes: {kind} {redact(version)} of {redact(product)} begins "
        f"at {len(starts[most]):,} different times ({MAX_STARTS} at most); nothing was imported",
        hint="take in feedback with 'closeloop ingest FILE --source NAME'; of a list of changes "
        "check --map version=COLUMN and --map started_at=COLUMN",
    )


def make_change(
    config: Configuration,
    *,
    kind: str,
    started_at: datetime,
    now: datetime,
    product: str | None = None,
    name: str | None = None,
    version: str | None = None,
    ended_at: datetime | None = None,
    platform: str | None = None,
    region: str | None = None,
    rollout: str | None = None,
    notes: Sequence[str | None] = (),
    given_id: str | None = None,
) -> Row:
    """Return one row of silver.change. Raises UsageError where a value makes no sense.

    known_at = min(now, started_at): a change entered afterwards counts as known when it began (a
    replay sees what a feed of releases would have shown), one that is planned as known now.
    """
    check_kind(kind)
    product_id = config.product_id(product)
    called = name or version
    if called is None:
        raise UsageError(f"a {kind} needs a name or a version", hint="give --name or --version")
    if ended_at is not None and ended_at < started_at:
        raise UsageError("it ends before it starts", hint="check the two times")
    return {
        "change_id": given_id or change_id(kind, product_id, called, started_at),
        "kind": kind,
        "product": product_id,
        "name": called,
        "version": _version(version, called, kind),
        "platform": platform.lower() if platform else None,
        "region": region,
        "started_at": started_at,
        "ended_at": ended_at,
        "rollout": parse_rollout(rollout),
        "notes": parse_notes(*notes),
        "known_at": min(now, started_at),
    }


def _version(version: str | None, called: str, kind: str) -> str | None:
    """Return the version in the form that feedback's versions have, else as it was given."""
    if version is not None:
        return normalise_version(version) or version
    if kind == ChangeKind.RELEASE and _NUMBERED.match(called):
        return normalise_version(called)
    return None


def write_changes(step: IntakeStep, made: Iterable[Row], report: ImportReport) -> None:
    """Merge what is new or different into silver.change and count; the earliest known_at stays."""
    held = {row["change_id"]: row for row in step.rows(CHANGE).to_pylist()}
    fresh: dict[str, Row] = {}
    for change in made:
        key = change["change_id"]
        if key in fresh:
            report.repeated += 1
            fresh[key] = change
            continue
        before = held.get(key)
        if before is not None:
            change["known_at"] = min(change["known_at"], before["known_at"])
            if all(before[column] == value for column, value in change.items()):
                report.unchanged += 1
                continue
            report.changed += 1
        else:
            report.new += 1
        fresh[key] = change
    if fresh:
        step.merge(CHANGE, pa.Table.from_pylist(list(fresh.values()), schema=_SCHEMA))
    step.count("changes", len(fresh))


_SCHEMA = pa.schema([f for f in CHANGE.schema if f.name != "batch_id"])


def check_kind(kind: str) -> None:
    """Raise UsageError where a kind of change is none that is known."""
    if kind not in set(ChangeKind):
        raise UsageError(
            f"no kind of change: {redact(kind)!r}",
            hint=f"one of {', '.join(k.value for k in ChangeKind)}",
        )


def parse_rollout(text: str | None) -> str | None:
    """Return stages as JSON [[hours after start, share], …], sorted; None for none.

    Understood: that JSON, "0=10%, 24=100%", or one share ("20%", "0.2").
    Raises UsageError for anything else.
    """
    if not text or not text.strip():
        return None
    stages = _json_stages(text) if text.lstrip().startswith("[") else _listed_stages(text)
    if stages is None or not all(
        math.isfinite(h) and h >= 0 and 0 <= share <= 1 for h, share in stages
    ):
        raise UsageError(
            f"no rollout: {redact(text)!r}", hint='write it like "0=10%, 24=50%, 72=100%"'
        )
    return json.dumps([[h, share] for h, share in sorted(stages)])


def _json_stages(text: str) -> list[tuple[float, float]] | None:
    try:
        return [(float(hours), float(share)) for hours, share in json.loads(text)]
    except (ValueError, TypeError, RecursionError):
        return None


def _listed_stages(text: str) -> list[tuple[float, float]] | None:
    stages = []
    for part in re.split(r"[,;]", text):
        found = _STAGE.match(part)
        if found is None:
            return None
        share = float(found[2]) / (100 if found[3] else 1)
        stages.append((float(found[1] or 0), share))
    return stages


def _change(
    row: ReadRow,
    step: IntakeStep,
    request: ImportRequest,
    kind: str | None,
    report: ImportReport,
) -> Row | None:
    values = row.values
    found_kind = str(values.get("kind") or kind or "").strip().lower()
    problem = row.problem
    if problem is None and values.get("started_at") is None:
        problem = "no time of start"
    if problem is None and not found_kind:
        problem = "no kind (give --kind)"
    product = request.product or values.get("product")
    if problem is None:
        try:
            made = make_change(
                step.config,
                kind=found_kind,
                started_at=values["started_at"],
                now=step.now,
                product=product,
                name=values.get("name"),
                version=values.get("version"),
                ended_at=values.get("ended_at"),
                platform=values.get("platform"),
                region=values.get("region"),
                rollout=values.get("rollout"),
                notes=(values.get("commits"), values.get("notes")),
                given_id=values.get("change_id"),
            )
        except UsageError as error:
            problem = error.message
        else:
            report.productless += product is None
            report.begins(made, version=values.get("version"))
            return made
    report.leave_out(row.file, row.line, problem)
    return None
