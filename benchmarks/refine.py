"""Prints what refine finds and how fast it is: masking, languages, duplicates, the whole step.

    python benchmarks/refine.py --data DIR [--show 20] [--rows 136422]

DIR holds play_reviews.parquet, presidio_pii_dev.parquet and mini_bar.parquet (public data sets; a
part whose file is absent is left out). `--show` prints masks and merges of real reviews,
for the eye.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.ports import Condition
from closeloop.stages import refine
from closeloop.tables import BRONZE_FEEDBACK, FEEDBACK, TIME, Table
from closeloop.testing.context import InMemoryContext
from closeloop.text.clean import clean
from closeloop.text.language import detect_batch
from closeloop.text.language_gate import LanguageGate
from closeloop.text.pii import Masker
from refine_duplicates import OTHER_WORDS, Reviews, duplicates

KEY = bytes(32)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def pii_recall(path: Path) -> None:
    """Print, by entity, the share of marked stretches that are touched and wholly covered."""
    masker = Masker(key=KEY)
    marked: Counter[str] = Counter()
    touched: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for row in pq.read_table(path, columns=["text", "spans_json"]).to_pylist():
        spans = masker.find(row["text"])
        for entity in json.loads(row["spans_json"]):
            start, end = entity["start_position"], entity["end_position"]
            hidden = sum(max(0, min(end, s.end) - max(start, s.start)) for s in spans)
            marked[entity["entity_type"]] += 1
            touched[entity["entity_type"]] += hidden > 0
            covered[entity["entity_type"]] += hidden >= end - start
    print("\n## Masking, presidio_pii_dev\nentity                marked  touched  covered")
    for kind, count in sorted(marked.items()):
        print(f"{kind:20} {count:7} {touched[kind] / count:8.3f} {covered[kind] / count:8.3f}")


def masks_on_reviews(texts: pa.Array, *, show: int) -> None:
    """Print how many stretches each rule masks in real reviews, and how fast."""
    masker = Masker(key=KEY)
    started = time.perf_counter()
    masked = masker.mask_all(texts)
    seconds = time.perf_counter() - started
    picked = pa.array(masker.look(texts).any(axis=1))
    found: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts.filter(picked).to_pylist():
        for span in masker.find(text):
            excerpt = f"{text[max(0, span.start - 30) : span.start]}⟦{text[span.start : span.end]}⟧"
            found[span.rule].append(excerpt + text[span.end : span.end + 15])
    print(f"\n## Masks in {len(texts):,} reviews: {len(texts) / seconds:,.0f} texts/s,")
    print(f"{masked.rewritten:,} passed the first look, {len(masked.faults)} failed")
    for rule, excerpts in sorted(found.items()):
        print(f"{rule:45} {len(excerpts):6}")
        for excerpt in random.Random(1).sample(excerpts, min(show, len(excerpts))):
            print(f"      {excerpt!r}")


def languages(texts: pa.Array, sources: pa.Array, *, title: str) -> pa.Array:
    """Print the languages of texts and the speed of telling them; return them."""
    started = time.perf_counter()
    answers = detect_batch(texts)
    seconds = time.perf_counter() - started
    columns = {
        "sources": sources,
        "languages": answers.field("language"),
        "confidences": answers.field("confidence"),
        "words": answers.field("words"),
    }
    gate = LanguageGate.from_bytes(None).after(**columns)
    told = gate.apply(**columns, gated=answers.field("gated"))
    print(f"\n## Languages, {title}: {len(texts) / seconds:,.0f} texts/s")
    print(Counter(told.to_pylist()).most_common(12))
    return told


def languages_of_mini_bar(path: Path) -> None:
    """Print right, wrong and unknown for English and French reviews of known language."""
    table = pq.read_table(path, columns=["text", "ori_lang"])
    texts = pc.fill_null(clean(table["text"].cast(pa.string()).combine_chunks()), "")
    told = languages(texts, pa.array(["app"] * len(texts)), title="mini_bar").to_pylist()
    outcomes: Counter[tuple[str, str]] = Counter()
    for language, truth in zip(told, table["ori_lang"].to_pylist(), strict=True):
        verdict = "unknown" if language == "unknown" else "wrong"
        outcomes[truth, "right" if truth.lower().startswith(language) else verdict] += 1
    print(dict(outcomes))


def whole_step(reviews: pa.Table, *, rows: int) -> None:
    """Print rows per second and peak memory of the step, over that many reviews.

    More rows than there are reviews are drawn with replacement, moved by up to ten days, one word
    of each changed: a history as dense as a product with so much feedback would have, and full of
    near copies.
    """
    bronze = _as_bronze(reviews if rows <= reviews.num_rows else _resampled(reviews, rows=rows))
    context = _InputOnly(bronze.slice(0, rows)).as_step("refine")
    del bronze
    # What making the rows took is given back: what the step adds is counted from here.
    pa.default_memory_pool().release_unused()
    watch = _Memory()
    with watch:
        started, cpu = time.perf_counter(), time.process_time()
        refine.run(context)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"\n## Refine, {rows:,} rows: {seconds:.1f} s ({cpu:.1f} s of processor time),")
    print(
        f"{rows / seconds:,.0f} rows/s; {watch.before:,} MB before, {watch.peak:,} MB at the peak;"
    )
    print(f"the result, written away: {context.result_bytes / 2**20:,.0f} MB; {context.counts}")


class _InputOnly(InMemoryContext):
    """Holds the input once, and the state; refined rows go, as they go to disk in a real run."""

    def __init__(self, bronze: pa.Table) -> None:
        super().__init__(now=NOW + timedelta(days=1))
        self.bronze = bronze
        self.result_bytes = 0

    def new_rows(
        self,
        table: Table,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        if table is not BRONZE_FEEDBACK:
            return super().new_rows(table, columns=columns, where=where)
        return self.bronze if columns is None else self.bronze.select(list(columns))

    def append(self, table: Table, rows: pa.Table) -> None:
        if table is FEEDBACK:
            self.result_bytes += rows.nbytes
            return
        super().append(table, rows)


class _Memory:
    """Looks at the resident memory of this process every 20 ms, in MB."""

    def __enter__(self) -> None:
        self.before = self.peak = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.peak = max(self.peak, _resident())


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def _resampled(reviews: pa.Table, *, rows: int) -> pa.Table:
    rng = np.random.default_rng(0)
    drawn = reviews.take(pa.array(rng.integers(0, reviews.num_rows, rows)))
    seconds = pa.array(rng.integers(-10 * 86_400, 10 * 86_400, rows)).cast(pa.duration("s"))
    moved = pc.add(drawn["at"].cast(TIME), seconds.cast(pa.duration("us")))
    pick = random.Random(0)
    texts = []
    for text in drawn["content"].cast(pa.string()).to_pylist():
        words = (text or "").split(" ")
        if len(words) > 3:
            words[pick.randrange(len(words))] = pick.choice(OTHER_WORDS)
        texts.append(" ".join(words))
    columns = {"app": drawn["app"], "content": pa.array(texts, pa.string()), "at": moved}
    return pa.table(columns | {name: drawn[name] for name in ("score", "app_version")})


def _as_bronze(reviews: pa.Table) -> pa.Table:
    count = reviews.num_rows
    ids = [f"{i:07d}" for i in range(count)]
    part = pa.table(
        {
            "bronze_id": ids,
            "feedback_id": ids,
            "source": ["play"] * count,
            "source_id": ids,
            "payload": reviews["content"].cast(pa.string()),
            "text": reviews["content"].cast(pa.string()),
            "rating": reviews["score"].cast(pa.float64()),
            "event_time": reviews["at"].cast(TIME),
            "ingested_at": pa.array([NOW] * count, TIME),
            "product": reviews["app"].cast(pa.string()),
            "version": reviews["app_version"].cast(pa.string()),
        }
    )
    return BRONZE_FEEDBACK.conform(part).combine_chunks()


def main() -> None:
    """Run every part whose data is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--rows", type=int, default=0)
    asked = parser.parse_args()
    reviews_path = asked.data / "play_reviews.parquet"
    if reviews_path.exists():
        reviews = pq.read_table(reviews_path)
        whole_step(reviews, rows=asked.rows or reviews.num_rows)
        texts = pc.fill_null(clean(reviews["content"].cast(pa.string()).combine_chunks()), "")
        products = reviews["app"].cast(pa.string()).combine_chunks()
        masks_on_reviews(texts, show=asked.show)
        languages(texts, products, title="play_reviews")
        times = reviews["at"].cast(TIME).combine_chunks()
        duplicates(Reviews(texts, products, times), show=asked.show)
    if (asked.data / "presidio_pii_dev.parquet").exists():
        pii_recall(asked.data / "presidio_pii_dev.parquet")
    if (asked.data / "mini_bar.parquet").exists():
        languages_of_mini_bar(asked.data / "mini_bar.parquet")


if __name__ == "__main__":
    main()
