"""The batch step of refine: bronze rows in, clean and masked rows with their facts out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from closeloop.domain.configuration import Configuration
from closeloop.domain.feedback import QuarantineReason, SourceProfile
from closeloop.ports import Recogniser
from closeloop.tables import SEGMENTS
from closeloop.text.clean import clean
from closeloop.text.entities import NameFinder, entities_of
from closeloop.text.instructions import without_instructions
from closeloop.text.language import detect_batch
from closeloop.text.normalise import (
    normalise_each,
    normalise_locale,
    normalise_rating,
    normalise_version,
)
from closeloop.text.pii import KnownValues, Masked, Masker
from closeloop.text.tokens import author_key, joinable_token

_AUTHOR_WORDS = 2
"""An author of fewer words ("Good") is not looked for in the text: too many words are like it."""
_ORDER_CHARACTERS = 4
_ASKING = threading.Lock()


@dataclass(frozen=True)
class RowRefiner:
    """A pure function of a batch of usable bronze rows; picklable, so that an engine may ship it.

    Besides the columns of silver.feedback that need one row only, the result holds `fault` (reason
    and detail of a row that can't be used, null for the others), `words` and `gated` of the
    language's answer.
    """

    config: Configuration
    key: bytes
    recogniser: Recogniser | None = None

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return one row for each row, in order."""
        masker = Masker.of(key=self.key, own=self.config.pii_rules, recogniser=self.recogniser)
        product = normalise_each(pc.fill_null(batch["product"], ""), self.config.product_id)
        cleaned = clean(batch["text"])
        # Models that mask can't all be asked by two threads.
        with nullcontext() if self.recogniser is None else _ASKING:
            masked = masker.mask_all(cleaned, known=known_values(batch, cleaned))
        said = without_instructions(masked.texts)
        languages = detect_batch(said)
        finder = NameFinder(self.config.products)
        columns: dict[str, pa.Array] = {
            name: batch[name] for name in ("bronze_id", "feedback_id", "source", "source_id")
        }
        columns |= {name: batch[name] for name in ("event_time", "updated_at", "ingested_at")}
        columns |= {
            "product": product,
            "version": normalise_each(batch["version"], normalise_version),
            "text": masked.texts,
            "text_hash": text_hashes(masked.texts),
            "masker": pa.array([masker.version] * len(cleaned), pa.string()),
            "language": languages.field("language"),
            "language_confidence": languages.field("confidence"),
            "words": languages.field("words"),
            "gated": languages.field("gated"),
            "rating": normalise_rating(batch["rating"]),
            "locale": normalise_each(batch["locale"], normalise_locale),
            "entities": entities_of(said, products=product.to_pylist(), finder=finder),
            "author_key": normalise_each(batch["author"], self._author_key),
            "fault": faults_of(cleaned, masked),
        }
        columns |= self._segments(batch) | self._times(batch)
        return pa.RecordBatch.from_pydict(columns)

    def _author_key(self, author: str) -> str | None:
        return author_key(author, key=self.key)

    def _order_token(self, order: str) -> str | None:
        return joinable_token("ORDER", order, key=self.key) if order.strip() else None

    def _segments(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        columns = {column.name: batch[column.name] for column in SEGMENTS}
        columns["order_ref"] = normalise_each(batch["order_ref"], self._order_token)
        columns["platform"] = normalise_each(batch["platform"], lambda p: p.strip().lower() or None)
        declared = self._of_source(batch, lambda source: source.channel, pa.string())
        columns["channel"] = pc.coalesce(batch["channel"], declared)
        return columns

    def _times(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """Return known_at (the rule of domain.feedback.known_at) and backfill."""
        event, updated, ingested = batch["event_time"], batch["updated_at"], batch["ingested_at"]
        lag = self._of_source(batch, lambda source: source.lag, pa.duration("us"))
        limit = self._of_source(batch, lambda source: source.backfill_after, pa.duration("us"))
        edited = pc.fill_null(pc.greater(updated, event), False)
        earliest = pc.add(pc.if_else(edited, updated, event), lag)
        return {
            "known_at": pc.if_else(pc.less(earliest, ingested), earliest, ingested),
            "backfill": pc.fill_null(pc.greater(pc.subtract(ingested, event), limit), False),
        }

    def _of_source(
        self,
        batch: pa.RecordBatch,
        fact: Callable[[SourceProfile], str | timedelta | float],
        type_: pa.DataType,
    ) -> pa.Array:
        encoded = pc.dictionary_encode(batch["source"])
        facts = [fact(self.config.source(name)) for name in encoded.dictionary.to_pylist()]
        return pa.array(facts, type_).take(encoded.indices)


def text_hashes(texts: pa.Array) -> pa.Array:
    """Return xxh3-128 of each text as 32 hex digits; null for null."""
    hashed = xxhash.xxh3_128_hexdigest
    encoded = texts.cast(pa.binary())
    return pa.array([None if t is None else hashed(t) for t in encoded.to_pylist()], pa.string())


def known_values(batch: pa.RecordBatch, cleaned: pa.Array) -> dict[int, KnownValues]:
    """Return the rows whose own order number or author stands in the text, with those values."""
    found: dict[int, KnownValues] = {}
    for token, column in (("ORDER", "order_ref"), ("NAME", "author")):
        rows = np.flatnonzero(pc.is_valid(batch[column]).to_numpy(zero_copy_only=False))
        if len(rows) == 0:
            continue
        picked = pa.array(rows)
        values = pc.utf8_trim_whitespace(batch[column].take(picked)).to_pylist()
        texts = pc.fill_null(pc.utf8_lower(cleaned.take(picked)), "").to_pylist()
        telling = _is_telling_name if column == "author" else _is_telling_order
        for row, value, text in zip(rows.tolist(), values, texts, strict=True):
            if value.lower() in text and telling(value):
                found[row] = (*found.get(row, ()), (token, value))
    return found


def _is_telling_name(value: str) -> bool:
    return len(value.split()) >= _AUTHOR_WORDS and not value.lower().endswith(" user")


def _is_telling_order(value: str) -> bool:
    return len(value) >= _ORDER_CHARACTERS


def faults_of(cleaned: pa.Array, masked: Masked) -> pa.Array:
    """Return "reason: detail" of rows without text or whose masking failed, null for the others."""
    no_text = f"{QuarantineReason.NO_TEXT}: nothing visible is left of the text"
    faults = pc.if_else(pc.is_null(cleaned), no_text, pa.scalar(None, pa.string()))
    if not masked.faults:
        return faults
    failed = [f"{QuarantineReason.MASKING_FAILED}: {masked.faults[r]}" for r in masked.faults]
    listed = dict(zip(masked.faults, failed, strict=True))
    return pc.coalesce(
        pa.array([listed.get(row) for row in range(len(cleaned))], pa.string()), faults
    )
