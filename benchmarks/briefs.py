"""Calls, tokens and cost of briefs per 1,000 reviews, seconds to a brief, and briefs a second.

    python benchmarks/briefs.py --data DIR [--folder FOLDER] [--start DAY] [--end DAY] [--every 6h]

DIR holds play_reviews.parquet and play_releases_inferred.parquet. One product is backtested with the
deterministic writer; then every brief of the backtest is written again from its stored fact sheet
through the model writer. The model is a stand-in (closeloop.testing.brief_models) that writes good
briefs, and forged ones for a share of the signals; its tokens are counted as one for four bytes. So
calls are exact, tokens an estimate, and what a real model gets wrong is not measured here. A
FOLDER that holds the backtest already is used as it is.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pyarrow.compute as pc

from backtested_app import app_reviews, between, parsed, take_in_and_backtest
from closeloop.app import Workspace
from closeloop.cli.progress import make_progress
from closeloop.domain.brief import FactSheet
from closeloop.domain.grounding import problems
from closeloop.domain.model_answer import ModelRequest
from closeloop.evaluation.briefs import request_of
from closeloop.models.deterministic_writer import DeterministicWriter
from closeloop.models.model_writer import ModelWriter
from closeloop.models.outgoing import Door
from closeloop.stages.brief import outcome_of
from closeloop.stages.fact_sheet import from_json
from closeloop.testing.brief_models import writes_forged, writes_good
from closeloop.testing.language_models import ScriptedLanguageModel
from closeloop.text.pii import Masker
from closeloop.vendor_facts import NOWHERE, load_prices

MODELS = ("gpt-6-luna", "gpt-5-mini", "gpt-6.1-terra")
"""Models whose prices are taken from the dated table that comes with closeloop."""

CACHED_SHARE = 0.1
"""What a cached token costs of an uncached one, as the vendors' price pages of that month say."""

CACHE_FROM, CACHE_STEP = 1_024, 128
FORGED = 0.2
"""Share of signals whose first answer is ungrounded, so that repairs are in the figures."""


def main() -> None:
    """Backtest, write again, and print a table."""
    options = parsed(__doc__, every="6h")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "workspace"
        reviews = app_reviews(options)
        reviews = reviews.filter(between(reviews, options.since, options.end))
        if not (folder / "backtests").is_dir():
            take_in_and_backtest(folder, reviews, options)
        sheets = _sheets(folder)
        inside = pc.sum(between(reviews, options.start, options.end)).as_py()
        print(
            f"{options.product}, {options.start} to {options.end}: {inside:,} reviews, {len(sheets)} briefs"
        )
        _deterministic(sheets)
        _modelled(sheets, inside)


def _sheets(folder: Path) -> list[FactSheet]:
    workspace = Workspace(folder, progress=make_progress(quiet=True), backtest="latest")
    rows = workspace.query("SELECT facts FROM gold.brief ORDER BY made_at, brief_id").to_pylist()
    # A signal may have several briefs: an id for each, so that the stand-in can tell them apart.
    return [
        replace(
            from_json(row["facts"]), signal_id=f"{number:04d}{from_json(row['facts']).signal_id}"
        )
        for number, row in enumerate(rows)
    ]


def _deterministic(sheets: list[FactSheet]) -> None:
    writer = DeterministicWriter()
    started = time.process_time()
    briefs = [writer.write(request_of(sheet)) for sheet in sheets]
    written = time.process_time()
    found = [problems(brief) for brief in briefs]
    checked = time.process_time()
    each, check = (written - started) / len(briefs), (checked - written) / len(briefs)
    print(
        f"deterministic writer: {1 / each:,.0f} briefs/s written, {1 / (each + check):,.1f} briefs/s "
        f"written and checked (CPU seconds), {sum(map(bool, found))} with problems"
    )


def _modelled(sheets: list[FactSheet], reviews: int) -> None:
    good, forged = writes_good(sheets), writes_forged(sheets)

    def says(request: ModelRequest) -> str:
        wrong = request.purpose == "repair" or crc32(request.text.encode()) % 100 < 100 * FORGED
        return forged(request) if wrong else good(request)

    model = ScriptedLanguageModel(says)
    writer = ModelWriter(model, Door(Masker.of(key=b"benchmark" * 4)))
    started = time.process_time()
    briefs = [writer.write(request_of(sheet)) for sheet in sheets]
    seconds = (time.process_time() - started) / len(briefs)
    outcomes = Counter(outcome_of(brief) for brief in briefs)
    attempts = [a for brief in briefs for a in brief.attempts]
    read = sum(a.usage.input for a in attempts)
    wrote = sum(a.usage.output for a in attempts)
    cached = _cached(model.asked)
    k = 1_000 / reviews
    print(
        f"model writer: {dict(outcomes)}; {seconds:.2f} CPU s a brief besides the model's own time"
    )
    print(
        f"per 1,000 reviews: {len(briefs) * k:.2f} briefs, {len(attempts) * k:.2f} calls, "
        f"{read * k:,.0f} tokens in ({cached / max(read, 1):.0%} of them cached), {wrote * k:,.0f} out"
    )
    print("| model | $ per 1,000 reviews | without caching |\n|---|---|---|")
    table = load_prices(NOWHERE)
    for name in MODELS:
        price = table.prices[name]
        full = (read * price.input + wrote * price.output) / 1e6 * k
        less = cached * price.input * (1 - CACHED_SHARE) / 1e6 * k
        print(f"| {name} | {full - less:.4f} | {full:.4f} |")
    print(f"prices of {table.as_of} ({table.source})")


def _cached(asked: list[ModelRequest]) -> int:
    """Return how many leading tokens were the same as in an earlier request of the same purpose."""
    seen: set[str] = set()
    tokens = 0
    for request in asked:
        prefix = len(request.instructions.encode()) // 4 // CACHE_STEP * CACHE_STEP
        tokens += prefix if request.purpose in seen and prefix >= CACHE_FROM else 0
        seen.add(request.purpose)
    return tokens


if __name__ == "__main__":
    main()
