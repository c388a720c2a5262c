"""Holds the texts that new ones are compared with: few slots, of which a small batch rewrites one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.text.minhash import PERMUTATIONS, Signatures, algorithm

WINDOW = timedelta(days=14)
MAX_REMEMBERED = 100_000
"""Texts of one product that are remembered; beyond it the oldest are let go (about 40 MB)."""
CAPACITIES = (512, 4_096, MAX_REMEMBERED)
"""Texts a slot holds, small ones first: one that would overflow is merged into the next, as in a
log-structured merge tree. A text is written about 8 + 8 + 25 times at worst."""
SLOTS = len(CAPACITIES)

_WINDOW_US = int(WINDOW.total_seconds() * 1_000_000)

ENTRIES = pa.schema(
    [
        ("feedback_id", pa.string()),
        ("time", pa.int64()),
        ("author", pa.string()),
        ("root", pa.string()),
        ("campaign", pa.string()),
        ("repeats", pa.int64()),
        ("text", pa.string()),
        ("signature", pa.binary(2 * PERMUTATIONS)),
    ]
)
"""A remembered text: microseconds since 1970, what was found about it, its comparable form."""


def outdated(blob: bytes | None) -> bool:
    """Return whether a slot was written by another algorithm: it can't be compared with."""
    return bool(blob) and _name_in(pa.ipc.open_stream(blob).schema) != algorithm()


def without(blob: bytes, feedback_ids: Sequence[str]) -> bytes | None:
    """Return a slot without these texts (the right to erasure), None where it holds none of them.

    A slot of another algorithm is emptied as a whole, and is still one of another algorithm: what
    is compared is made anew from the texts that are left.
    """
    if outdated(blob):
        emptied = _stream(ENTRIES.empty_table(), algorithm="emptied")
        return None if emptied == blob else emptied
    entries = from_bytes(blob)
    gone = pc.is_in(entries["feedback_id"], value_set=pa.array(feedback_ids, pa.string()))
    if not pc.any(gone).as_py():
        return None
    return to_bytes(entries.filter(pc.invert(gone)))


def to_bytes(entries: pa.Table) -> bytes:
    """Return a slot as an Arrow stream; the same texts give the same bytes."""
    return _stream(entries, algorithm=algorithm())


def _stream(entries: pa.Table, *, algorithm: str) -> bytes:
    sink = io.BytesIO()
    schema = ENTRIES.with_metadata({b"algorithm": algorithm.encode()})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_table(entries.combine_chunks())
    return sink.getvalue()


def from_bytes(blob: bytes | None) -> pa.Table:
    """Return the texts of a slot; none where it was written by another algorithm."""
    if not blob:
        return ENTRIES.empty_table()
    reader = pa.ipc.open_stream(blob)
    if _name_in(reader.schema) != algorithm():
        return ENTRIES.empty_table()
    return reader.read_all().replace_schema_metadata(None)


def _name_in(schema: pa.Schema) -> str:
    name: bytes = (schema.metadata or {}).get(b"algorithm", b"")
    return name.decode("utf-8", "replace")


def signatures_of(entries: pa.Table) -> Signatures:
    """Return the signatures of entries, uint16 [entries, 64]."""
    raw = pa.concat_arrays(entries["signature"].chunks or [pa.array([], pa.binary(128))])
    flat = np.frombuffer(raw.buffers()[1] or b"", dtype="<u2").reshape(-1, PERMUTATIONS)
    return flat[raw.offset : raw.offset + len(raw)]


def packed(signatures: Signatures) -> pa.Array:
    """Return signatures as a column of entries."""
    buffer = pa.py_buffer(np.ascontiguousarray(signatures.astype("<u2")))
    type_ = ENTRIES.field("signature").type
    return pa.FixedSizeBinaryArray.from_buffers(type_, len(signatures), [None, buffer])


def order_of_events(entries: pa.Table) -> npt.NDArray[np.int64]:
    """Return the rows of entries by time, those of one time as they came."""
    return np.argsort(entries["time"].to_numpy(), kind="stable")


class Slots:
    """The remembered texts of one product, and which slots have to be written again.

    Texts older than 14 days before the newest, and beyond 100,000 the oldest, are let go.
    """

    def __init__(self, blobs: Sequence[bytes | None] = ()) -> None:
        held = [from_bytes(blob) for blob in blobs]
        self._slots = held + [ENTRIES.empty_table()] * (SLOTS - len(held))
        self._changed: set[int] = set()
        self._let_go()

    @property
    def entries(self) -> pa.Table:
        """All remembered texts, as they came: what is in a larger slot came before."""
        return pa.concat_tables(self._slots[::-1])

    def changed(self) -> dict[int, bytes]:
        """Return the slots that differ from what they were made of, as bytes."""
        return {slot: to_bytes(self._slots[slot]) for slot in sorted(self._changed)}

    def rewrite(self) -> None:
        """Have all slots written again: what they were made of is of no use."""
        self._changed.update(range(SLOTS))

    def add(self, entries: pa.Table) -> None:
        """Remember more texts, in the smallest slot that has room for all of it."""
        for slot, capacity in enumerate(CAPACITIES):
            entries = pa.concat_tables([self._slots[slot], entries])
            if self._slots[slot].num_rows or slot == SLOTS - 1:
                self._changed.add(slot)
            if entries.num_rows <= capacity or slot == SLOTS - 1:
                self._slots[slot] = entries
                self._changed.add(slot)
                break
            self._slots[slot] = ENTRIES.empty_table()
        self._let_go()

    def _let_go(self) -> None:
        entries = self.entries
        if entries.num_rows == 0:
            return
        times = entries["time"].to_numpy()
        kept = times >= times.max() - _WINDOW_US
        if np.count_nonzero(kept) > MAX_REMEMBERED:
            kept[order_of_events(entries)[:-MAX_REMEMBERED]] = False
        end = len(kept)
        for slot, held in enumerate(self._slots):
            part = kept[end - held.num_rows : end]
            end -= held.num_rows
            if part.all():
                continue
            self._slots[slot] = held.filter(pa.array(part))
            # What is let go is written away once it is half of a slot.
            if 2 * np.count_nonzero(part) <= len(part):
                self._changed.add(slot)
