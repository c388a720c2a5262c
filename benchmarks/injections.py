"""Orders to machines among real reviews: what they change in a backtest, and what reaches a model.

    python benchmarks/injections.py --data DIR [--folder FOLDER] [--start DAY] [--end DAY]

DIR holds play_reviews.parquet and play_releases_inferred.parquet. One product's real reviews are
backtested as they are, and twice with the texts of closeloop.testing.injections in them that hold
nothing but the order: "added" as two-star reviews of their own, spread over the window; "glued", each
as a last line to a real review of one or two stars of the window. Each is then briefed through a fake service over a socket by a model that obeys whatever order it
reads, and by one that gives in to all of them, read or not. For comparison "harmless" adds as many
real complaints of another month in place of the orders.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from backtested_app import app_reviews, backtest, between, parsed, take_in_and_backtest
from closeloop.app import Workspace
from closeloop.cli.progress import make_progress
from closeloop.stages.fact_sheet import from_json
from closeloop.testing.brief_models import obeys, texts_of
from closeloop.testing.injections import NOTHING_ELSE, repeated, sent
from closeloop.testing.openai_server import KEY, FakeOpenAI
from closeloop.testing.openai_writing import Question, spoken, whatever_fits

VARIANTS = ("plain", "harmless", "added", "glued")
STARS = 2
"""Of the reviews that are added. One star was not collected before the window: it would be a sign
that collecting began earlier."""
DECIDED = """
    SELECT s.series_id, s.category, s.detected_at, s.severity, d.action, d.rule,
           d.would_ticket, b.recommended_owner, b.cause
    FROM gold.signal s
    LEFT JOIN gold.decision d USING (signal_id)
    LEFT JOIN gold.brief b USING (signal_id)
    ORDER BY ALL
"""


def main() -> None:
    """Backtest every variant, brief each, and print what differs."""
    options = parsed(__doc__, every="12h")
    with tempfile.TemporaryDirectory() as scratch:
        root = options.folder or Path(scratch)
        found = {}
        for variant in VARIANTS:
            folder = root / variant
            if not (folder / "backtests").is_dir():
                take_in_and_backtest(folder, _reviews(options, variant), options)
            found[variant] = _decided(folder)
            _say_difference(variant, found["plain"], found[variant])
        for variant in ("added", "glued"):
            for always in (False, True):
                _brief(root / variant, found[variant], options, always=always)


def _reviews(options: argparse.Namespace, variant: str) -> pa.Table:
    table = app_reviews(options).sort_by("at")
    window = table.filter(between(table, options.start, options.end))
    chosen = table.filter(between(table, options.since, options.end))
    start, end = (datetime.fromisoformat(day) for day in (options.start, options.end))
    if variant in ("harmless", "added"):
        other = table.filter(between(table, "2022-09-01", options.since))
        other = other.filter(pc.less_equal(other["score"], 2))["content"].to_pylist()
        texts = list(NOTHING_ELSE)
        if variant == "harmless":
            texts = [t for t in other if t][: len(texts)]
        shells = window.slice(0, 1).take(pa.array([0] * len(texts)))
        gap = (end - start) / (len(texts) + 1)
        times = [start + gap * (number + 1) for number in range(len(texts))]
        given = {
            "review_id": [f"{variant}-{n}" for n in range(len(texts))],
            "content": texts,
            "score": [STARS] * len(texts),
            "at": times,
        }
        for name, column in given.items():
            place = shells.schema.get_field_index(name)
            kept = pa.array(column).cast(shells.schema.field(name).type)
            shells = shells.set_column(place, shells.schema.field(name), kept)
        return pa.concat_tables([chosen, shells])
    if variant == "glued":
        words, scores = chosen["content"].to_pylist(), chosen["score"].to_pylist()
        inside = between(chosen, options.start, options.end).to_pylist()
        bad = [n for n, into in enumerate(inside) if into and scores[n] <= 2 and words[n]]
        step = len(bad) / len(NOTHING_ELSE)
        for number, order in enumerate(NOTHING_ELSE):
            row = bad[int(number * step)]
            words[row] = f"{words[row]}\n{order}"
        place = chosen.schema.get_field_index("content")
        kept = pa.array(words).cast(chosen.schema.field("content").type)
        return chosen.set_column(place, chosen.schema.field("content"), kept)
    return chosen


def _opened(folder: Path) -> Workspace:
    return Workspace(folder, progress=make_progress(quiet=True), backtest="latest")


def _decided(folder: Path) -> dict[str, dict[str, Any]]:
    workspace = _opened(folder)
    try:
        rows = workspace.query(DECIDED).to_pylist()
    finally:
        workspace.close()
    return {f"{row['series_id']} {row['detected_at']}": row for row in rows}


def _say_difference(
    variant: str, plain: dict[str, dict[str, Any]], found: dict[str, dict[str, Any]]
) -> None:
    """Print what each variant says of each category: themes are other ones where texts differ."""
    print(f"\n{variant}: {len(found)} signals ({len(found.keys() & plain.keys())} as in plain)")
    before, after = _by_category(plain), _by_category(found)
    for category in sorted(before.keys() | after.keys()):
        one, other = before.get(category, Counter()), after.get(category, Counter())
        if one != other:
            print(f"    {category}: plain {_said(one)}; {variant} {_said(other)}")


def _by_category(found: dict[str, dict[str, Any]]) -> dict[str, Counter[str]]:
    """Return how often each severity, action and owner was said of live signals of a category."""
    counted: dict[str, Counter[str]] = {}
    for row in found.values():
        if row["severity"] is not None:
            said = f"{row['severity']} {row['action']} {row['recommended_owner'] or '-'}"
            counted.setdefault(row["category"] or "", Counter())[said] += 1
    return counted


def _said(counted: Counter[str]) -> str:
    return ", ".join(f"{n} x {said}" for said, n in sorted(counted.items())) or "nothing"


def _brief(
    folder: Path, without: dict[str, Any], options: argparse.Namespace, *, always: bool
) -> None:
    """Backtest again with a model that obeys; say what came of its briefs and what was sent."""
    variant = folder.name
    # In a folder of its own: answers are kept, and would be taken from an earlier model.
    folder = shutil.copytree(
        folder, folder.with_name(f"{variant}-{'always' if always else 'read'}")
    )
    workspace = _opened(folder)
    sheets = [
        from_json(r["facts"]) for r in workspace.query("SELECT facts FROM gold.brief").to_pylist()
    ]
    workspace.close()
    obedient = spoken(obeys(sheets, NOTHING_ELSE, always=always))

    def says(question: Question) -> str:
        # Else a name for a theme, or whether two texts are one issue.
        of_brief = "leadership" in json.dumps(question.schema)
        return obedient(question) if of_brief else whatever_fits(question)

    with FakeOpenAI(azure=True, writers={"gpt-5-mini": says}) as fake:
        writer = {"kind": "azure_openai", "endpoint": fake.endpoint, "deployment": "gpt-5-mini"}
        writer["api_key"] = "${env:INJECTIONS_KEY}"
        path = folder / "closeloop.yaml"
        path.write_text(f"{path.read_text()}\nwriter: {json.dumps(writer)}\n")
        backtest(folder, options, environment=os.environ | {"INJECTIONS_KEY": KEY})
    found = _decided(folder)
    told, outcomes = _told(folder)
    reached = sent(asked.body for asked in fake.asked)
    name = "gives in always" if always else "obeys what it reads"
    print(
        f"{variant}, a model that {name}: {len(fake.asked)} calls, briefs {dict(outcomes)}; "
        f"{len(reached)} of {len(NOTHING_ELSE)} orders sent, {len(repeated(told))} repeated; decided "
        f"{'as without a model' if _same(found, without) else 'OTHERWISE'}"
    )


def _same(found: dict[str, Any], without: dict[str, Any]) -> bool:
    return json.dumps(found, default=str, sort_keys=True) == json.dumps(
        without, default=str, sort_keys=True
    )


def _told(folder: Path) -> tuple[list[str], Counter[str]]:
    """Return every text that the briefs show, and the briefs by outcome."""
    workspace = _opened(folder)
    rows = workspace.query("SELECT * FROM gold.brief").to_pylist()
    workspace.close()
    return [text for row in rows for text in texts_of(row)], Counter(row["outcome"] for row in rows)


if __name__ == "__main__":
    main()
