"""Links refined rows to earlier ones that they repeat, and weighs authors who repeat themselves."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.ports import Condition, StepContext
from closeloop.tables import FEEDBACK, STATE
from closeloop.text.duplicate_memory import SLOTS, WINDOW, outdated, without
from closeloop.text.duplicates import DuplicateMemory, Links

DUPLICATES_STATES = ("duplicates", *(f"duplicates.{slot}" for slot in range(1, SLOTS)))
"""Names of the state of each slot; the scope is the product."""

_THREADS = 2
"""Products linked at once: sorting and comparing leave Python's lock. Each has a memory of its own,
so that the order in which they are done changes nothing."""

_COMPARED = {
    "feedback_ids": "feedback_id",
    "texts": "text",
    "times": "event_time",
    "authors": "author_key",
}


class DuplicateLinks:
    """Links the rows of one run, product by product; `remember` puts what later runs need."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._memories: dict[str, DuplicateMemory] = {}

    def link(self, rows: pa.Table) -> pa.Table:
        """Return the rows with duplicate_of, campaign_id and trust.

        trust = the source's trust / (1 + near copies that the same author has sent before within 14
        days): the second copy counts half, the tenth a tenth. Copies of other authors keep their
        weight; that they are copies is in duplicate_of and campaign_id.
        """
        duplicate_of = np.full(rows.num_rows, None, dtype=object)
        campaign_id = np.full(rows.num_rows, None, dtype=object)
        repeats = np.zeros(rows.num_rows, dtype=np.float64)
        encoded = pc.dictionary_encode(rows["product"].combine_chunks())
        of_product = encoded.indices.to_numpy()
        parts = [np.flatnonzero(of_product == code) for code in range(len(encoded.dictionary))]
        memories = [self._memory(product) for product in encoded.dictionary.to_pylist()]
        compared = rows.select(list(_COMPARED.values()))
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(lambda part, memory: _links(compared, part, memory), parts, memories)
            for positions, links in zip(parts, found, strict=True):
                duplicate_of[positions] = links.duplicate_of
                campaign_id[positions] = links.campaign_id
                repeats[positions] = links.repeats
        copies = sum(1 for value in duplicate_of if value is not None)
        self._context.count("duplicates", copies)
        rows = rows.append_column("duplicate_of", pa.array(duplicate_of, pa.string()))
        rows = rows.append_column("campaign_id", pa.array(campaign_id, pa.string()))
        trusts = _source_trusts(self._context, rows["source"])
        return rows.append_column("trust", pa.array(trusts / (1.0 + repeats)))

    def remember(self) -> None:
        """Put the slots that have changed; they commit with the rows that were linked."""
        for product, memory in self._memories.items():
            for slot, blob in memory.changed().items():
                self._context.put_state(DUPLICATES_STATES[slot], blob, scope=product)

    def _memory(self, product: str) -> DuplicateMemory:
        if product not in self._memories:
            blobs = [self._context.state(name, scope=product) for name in DUPLICATES_STATES]
            if any(outdated(blob) for blob in blobs):
                self._memories[product] = _rebuilt(self._context, product)
            else:
                self._memories[product] = DuplicateMemory(blobs)
        return self._memories[product]


def forget(context: StepContext, feedback_ids: Sequence[str]) -> int:
    """Take texts out of what new ones are compared with; return how many slots have changed."""
    changed = 0
    names = {"where": [("name", "in", list(DUPLICATES_STATES))]}
    for row in context.rows(STATE, columns=["name", "scope"], **names).to_pylist():
        blob = context.state(row["name"], scope=row["scope"])
        kept = without(blob, feedback_ids) if blob else None
        if kept is not None:
            context.put_state(row["name"], kept, scope=row["scope"])
            changed += 1
    return changed


def _rebuilt(context: StepContext, product: str) -> DuplicateMemory:
    """Return the memory made anew from the refined texts: what it held is of another algorithm."""
    own: Condition = ("product", "=", product)
    times = context.rows(FEEDBACK, columns=["event_time"], where=[own])["event_time"]
    newest = pc.max(times).as_py()
    since: Condition = ("event_time", ">=", (newest or context.now) - WINDOW)
    columns = [*_COMPARED.values(), "duplicate_of", "campaign_id", "trust", "source"]
    rows = context.rows(FEEDBACK, columns=columns, where=[own, since])
    # trust = the source's trust / (1 + repeats); a source without trust tells nothing of repeats.
    trust = np.maximum(rows["trust"].to_numpy(), 1e-9)
    repeats = np.maximum(np.rint(_source_trusts(context, rows["source"]) / trust) - 1, 0)
    found = _columns(rows, {"roots": "duplicate_of", "campaigns": "campaign_id"})
    memory = DuplicateMemory.restored(
        columns=_columns(rows, _COMPARED) | found | {"repeats": pa.array(repeats.astype(np.int64))}
    )
    context.count("duplicates_rebuilt", memory.size)
    context.progress.note(
        f"{product}: the texts that copies are looked for among were remembered by another version"
        f" and are read anew ({memory.size} texts of {_days(WINDOW)} days)"
    )
    return memory


def _links(rows: pa.Table, positions: npt.NDArray[np.int64], memory: DuplicateMemory) -> Links:
    return memory.link(**_columns(rows.take(pa.array(positions)), _COMPARED))


def _days(span: timedelta) -> int:
    return span // timedelta(days=1)


def _columns(rows: pa.Table, names: dict[str, str]) -> dict[str, Any]:
    return {key: rows[column].combine_chunks() for key, column in names.items()}


def _source_trusts(context: StepContext, sources: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    encoded = pc.dictionary_encode(sources.combine_chunks())
    trusts = [context.config.source(name).trust for name in encoded.dictionary.to_pylist()]
    of_rows: npt.NDArray[np.float64] = np.array(trusts)[encoded.indices.to_numpy()]
    return of_rows
