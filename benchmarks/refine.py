"""Prints what refine finds and how fast it is: masking, languages, duplicates, the whole step.

    python benchmarks/refine.py --data DIR [--show 20] [--rows 136422]

DIR holds play_reviews.parquet, presidio_pii_dev.parquet and mini_bar.parquet (public data sets; a
part whose file is absent is left out). `--show` prints masks of real reviews, for the eye.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from closeloop.stages import refine
from closeloop.tables import BRONZE_FEEDBACK, TIME
from closeloop.testing.context import InMemoryContext
from closeloop.text.clean import clean
from closeloop.text.duplicates import DuplicateMemory, comparable, eligible
from closeloop.text.language import LanguageGate, detect_batch
from closeloop.text.pii import Masker

KEY = bytes(32)
EDITED_TEXTS = 2_000
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


def _edit_letters(text: str, share: float, rng: random.Random) -> str:
    letters = list(text)
    for position in rng.sample(range(len(letters)), int(share * len(letters))):
        letters[position] = rng.choice("abcdefghijklmnopqrstuvwxyz ")
    return "".join(letters)


def _edit_words(text: str, share: float, rng: random.Random) -> str:
    words = text.split(" ")
    order = list(range(len(words)))
    rng.shuffle(order)
    edited = 0
    for position in order:
        if edited >= share * len(text):
            break
        edited += len(words[position])
        words[position] = rng.choice(["payment", "the", "never", "screen", "money", "again", "it"])
    return " ".join(words)


EDITS: tuple[tuple[str, Callable[[str, float, random.Random], str]], ...] = (
    ("letters", _edit_letters),
    ("words", _edit_words),
)


def duplicates(texts: pa.Array, products: pa.Array, times: pa.Array) -> None:
    """Print what edited copies, a day later among all real reviews, are merged or linked."""
    rng = random.Random(0)
    long_enough = np.flatnonzero(eligible(comparable(texts)).to_numpy(zero_copy_only=False))
    originals = rng.sample(long_enough.tolist(), min(EDITED_TEXTS, len(long_enough)))
    print(f"\n## Duplicates among {len(long_enough):,} reviews of seven words and 35 characters")
    for kind, edit in EDITS:
        for share in (0.0, 0.05, 0.10, 0.20):
            copies = [edit(texts[i].as_py(), share, rng) for i in originals]
            picked = pa.array(originals)
            late = pc.add(times.take(picked), pa.scalar(timedelta(days=1), pa.duration("us")))
            merged, linked = _linked(
                pa.concat_arrays([texts, pa.array(copies)]),
                pa.concat_arrays([products, products.take(picked)]),
                pa.concat_arrays([times, late]),
                real=len(texts),
            )
            print(
                f"{share:4.0%} of {kind:8} edited: merged {merged / len(copies):.3f},"
                f" merged or linked {linked / len(copies):.3f}"
            )


def _linked(texts: pa.Array, products: pa.Array, times: pa.Array, *, real: int) -> tuple[int, int]:
    ids = pa.array([f"{i:07d}" for i in range(len(texts))])
    merged = linked = 0
    for product in pc.unique(products).to_pylist():
        own = pc.equal(products, product)
        positions = np.flatnonzero(own.to_numpy(zero_copy_only=False))
        links = DuplicateMemory().link(
            feedback_ids=ids.filter(own),
            texts=texts.filter(own),
            times=times.filter(own),
            authors=pa.nulls(len(positions), pa.string()),
        )
        copies = np.flatnonzero(positions >= real).tolist()
        merged += sum(links.duplicate_of[i] is not None for i in copies)
        linked += sum(bool(links.duplicate_of[i] or links.campaign_id[i]) for i in copies)
    return merged, linked


def whole_step(reviews: pa.Table, *, rows: int) -> None:
    """Print rows per second and peak memory of the step, over reviews repeated up to `rows`."""
    count = reviews.num_rows
    parts = []
    for repeat in range(-(-rows // count)):
        ids = [f"{repeat}-{i}" for i in range(count)]
        shift = pa.scalar(timedelta(days=30 * repeat), pa.duration("us"))
        part = pa.table(
            {
                "bronze_id": ids,
                "feedback_id": ids,
                "source": ["play"] * count,
                "source_id": ids,
                "payload": reviews["content"].cast(pa.string()),
                "text": reviews["content"].cast(pa.string()),
                "rating": reviews["score"].cast(pa.float64()),
                "event_time": pc.add(reviews["at"].cast(TIME), shift),
                "ingested_at": pa.array([NOW] * count, TIME),
                "product": reviews["app"].cast(pa.string()),
                "version": reviews["app_version"].cast(pa.string()),
            }
        )
        parts.append(BRONZE_FEEDBACK.conform(part))
    bronze = pa.concat_tables(parts).slice(0, rows)
    del parts
    context = InMemoryContext(now=NOW + timedelta(days=1)).as_step("ingest")
    context.append(BRONZE_FEEDBACK, bronze)
    context.as_step("refine")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    started, cpu = time.perf_counter(), time.process_time()
    refine.run(context)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    print(f"\n## Refine, {rows:,} rows: {seconds:.1f} s ({cpu:.1f} s of processor time),")
    print(
        f"{rows / seconds:,.0f} rows/s; peak memory {before:,.0f} MB before, {after:,.0f} MB after"
    )
    print(dict(context.counts))


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
        duplicates(texts, products, reviews["at"].cast(TIME).combine_chunks())
    if (asked.data / "presidio_pii_dev.parquet").exists():
        pii_recall(asked.data / "presidio_pii_dev.parquet")
    if (asked.data / "mini_bar.parquet").exists():
        languages_of_mini_bar(asked.data / "mini_bar.parquet")


if __name__ == "__main__":
    main()
