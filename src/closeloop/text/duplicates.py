"""Finds texts that repeat an earlier one: exact copies, edited copies, filled-in templates."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz, process
from rensa import RMinHash

MIN_WORDS = 7
MIN_CHARACTERS = 35
"""A shorter text ("good app") is no duplicate, however often it comes."""
WINDOW = timedelta(days=14)
PREDECESSORS = 8
"""Earlier texts of a bucket that a text is compared with: bounds the work on a flood of copies."""
PERMUTATIONS = 64
BAND = 2
_BANDS = PERMUTATIONS // BAND
_SHINGLE = 5
_SEED = 42
_LONGEST = 512
"""Characters of a text that are compared."""
LINK_MARGIN = 10.0
"""Texts this far below the ratio that merges are still similar: linked, not merged."""
MERGE_TIERS = ((60, 90.0), (90, 82.0))
MERGE_RATIO = 75.0
"""Ratio (100 is equal) that merges: 90 below 60 characters, 82 below 90, else 75. Short texts of
different people are alike by chance, long ones are not."""
_LEAST_RATIO = MERGE_RATIO - LINK_MARGIN
MAX_REMEMBERED = 100_000
"""Texts of one product that are remembered; beyond it the oldest are let go (about 40 MB)."""
_BATCH = 50_000

_HASHES = npt.NDArray[np.uint64]
_ALGORITHM = f"rensa-r{RMinHash.ALGORITHM_VERSION}/64x2/5-grams/1"

_MEMORY = pa.schema(
    [
        ("feedback_id", pa.string()),
        ("time", pa.int64()),
        ("author", pa.string()),
        ("root", pa.string()),
        ("campaign", pa.string()),
        ("repeats", pa.int64()),
        ("text", pa.string()),
        ("bands", pa.binary(8 * _BANDS)),
    ],
    metadata={b"algorithm": _ALGORITHM.encode()},
)


@dataclass(frozen=True, slots=True)
class Links:
    """What the duplicate search says of rows: one entry a row.

    `duplicate_of` is the first text that this one repeats; `campaign_id` the first of similar
    texts by several authors; `repeats` how many earlier near copies are by the same author;
    `remembered` how many of the rows are long enough to be remembered.
    """

    duplicate_of: list[str | None]
    campaign_id: list[str | None]
    repeats: list[int]
    remembered: int = 0


def comparable(texts: pa.Array) -> pa.Array:
    """Return what is compared: lower case, runs of other than letters and digits as one space."""
    lowered = pc.utf8_lower(pc.utf8_slice_codeunits(texts, 0, _LONGEST))
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(lowered, r"[^\p{L}\p{M}\p{N}]+", " "))


def eligible(texts: pa.Array) -> pa.Array:
    """Return whether comparable texts are long enough (7 words and 35 characters) to be copies."""
    words = pc.add(pc.count_substring(texts, " "), 1)
    long_enough = pc.and_(
        pc.greater_equal(words, MIN_WORDS), pc.greater_equal(pc.utf8_length(texts), MIN_CHARACTERS)
    )
    return pc.fill_null(long_enough, False)


def band_keys(texts: pa.Array) -> _HASHES:
    """Return the bucket keys of each comparable text, uint64 [texts, 32].

    MinHash of 64 permutations over hashed 5-grams of bytes, in bands of 2: texts that share 30%
    of their 5-grams share a bucket with a chance of 95%, with 10% of them 28%.
    """
    parts = [_keys_of(texts.slice(i, _BATCH)) for i in range(0, len(texts), _BATCH)]
    return np.concatenate(parts) if parts else np.empty((0, _BANDS), dtype=np.uint64)


def _keys_of(texts: pa.Array) -> _HASHES:
    texts = pa.concat_arrays([texts]) if texts.offset else texts
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32, count=len(texts) + 1)
    offsets = offsets[: len(texts) + 1].astype(np.int64)
    data = np.frombuffer(texts.buffers()[2], dtype=np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    count = max(len(data) - _SHINGLE + 1, 0)
    grams = data[:count].astype(np.uint64)
    for position in range(1, _SHINGLE):
        grams |= data[position : count + position].astype(np.uint64) << np.uint64(8 * position)
    # Grams that run over the end of a text into the next one are left out.
    inside = np.ones(count, dtype=np.bool_)
    for position in range(1, _SHINGLE):
        inside[offsets[1:-1] - position] = False
    row_offsets = np.concatenate(([0], np.cumsum(np.diff(offsets) - _SHINGLE + 1)))
    hashes = _mixed(grams[inside])
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        hashes, row_offsets.astype(np.uint64), PERMUTATIONS, _SEED
    )
    digests = np.array(matrix.to_rows(), dtype=np.uint64).reshape(len(texts), _BANDS, BAND)
    keys = np.tile(np.arange(_BANDS, dtype=np.uint64), (len(texts), 1))
    for position in range(BAND):
        keys = _mixed(keys ^ digests[:, :, position])
    return keys


def _mixed(values: _HASHES) -> _HASHES:
    # The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
    values = values + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    values ^= values >> np.uint64(31)
    return values


def merge_ratio(shorter: int) -> float:
    """Return the ratio from which two texts are one, by the length of the shorter."""
    return next((ratio for below, ratio in MERGE_TIERS if shorter < below), MERGE_RATIO)


class DuplicateMemory:
    """The texts of one product within the window: what new texts are compared with.

    Rows given in the order of events are linked the same, in one call or in many. A row that comes
    late is compared with what was before it and is still remembered; rows already linked are not
    linked anew.
    """

    def __init__(self, table: pa.Table | None = None) -> None:
        self._table = _MEMORY.empty_table() if table is None else table

    @classmethod
    def from_bytes(cls, blob: bytes | None) -> DuplicateMemory:
        """Return what was remembered; nothing where it was made by another algorithm."""
        if blob is None:
            return cls()
        table = pa.ipc.open_stream(blob).read_all()
        if (table.schema.metadata or {}).get(b"algorithm") != _ALGORITHM.encode():
            return cls()
        return cls(table)

    def to_bytes(self) -> bytes:
        """Return the memory as one Arrow stream; the same memory gives the same bytes."""
        sink = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(sink, _MEMORY, options=options) as writer:
            writer.write_table(self._table.combine_chunks())
        return sink.getvalue()

    @property
    def size(self) -> int:
        """Number of texts remembered."""
        return int(self._table.num_rows)

    def forget(self, feedback_ids: Sequence[str]) -> DuplicateMemory:
        """Return the memory without these texts (the right to erasure)."""
        gone = pc.is_in(self._table["feedback_id"], value_set=pa.array(feedback_ids, pa.string()))
        return DuplicateMemory(self._table.filter(pc.invert(gone)))

    def link(
        self, *, feedback_ids: pa.Array, texts: pa.Array, times: pa.Array, authors: pa.Array
    ) -> Links:
        """Link new texts of this product to earlier ones, and remember them.

        `texts` are masked texts, `times` timestamps in UTC, `authors` keys (null: not known).
        """
        # Bytes are at least characters: most short texts are left out before they are rewritten.
        long = pc.fill_null(pc.greater_equal(pc.binary_length(texts), MIN_CHARACTERS), False)
        compared = comparable(pc.if_else(long, texts, ""))
        rows = np.flatnonzero(eligible(compared).to_numpy(zero_copy_only=False))
        count = len(texts)
        links = Links([None] * count, [None] * count, [0] * count, remembered=len(rows))
        if len(rows) == 0:
            return links
        new = self._entries(feedback_ids, compared, times, authors, rows)
        entries = pa.concat_tables([self._table, new]).combine_chunks()
        order = pc.sort_indices(
            entries, sort_keys=[("time", "ascending"), ("feedback_id", "ascending")]
        ).to_numpy()
        is_new = order >= self._table.num_rows
        entries = entries.take(pa.array(order))
        position_of = np.empty(len(order), dtype=np.int64)
        position_of[order] = np.arange(len(order))
        linked = _Linker(entries, is_new).run()
        for row, position in zip(
            rows.tolist(), position_of[self._table.num_rows :].tolist(), strict=True
        ):
            own = feedback_ids[row].as_py()
            root, campaign = linked.root[position], linked.campaign[position]
            links.duplicate_of[row] = None if root == own else root
            links.campaign_id[row] = None if campaign in (None, own) else campaign
            links.repeats[row] = linked.repeats[position]
        self._table = _remembered(linked.as_table(entries))
        return links

    def _entries(
        self,
        feedback_ids: pa.Array,
        compared: pa.Array,
        times: pa.Array,
        authors: pa.Array,
        rows: npt.NDArray[np.int64],
    ) -> pa.Table:
        picked = pa.array(rows)
        texts = compared.take(picked)
        ids = feedback_ids.take(picked)
        keys = band_keys(texts)
        bands = pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(8 * _BANDS), len(rows), [None, pa.py_buffer(np.ascontiguousarray(keys))]
        )
        empty = pa.nulls(len(rows), pa.string())
        return pa.Table.from_arrays(
            [
                ids,
                times.take(picked).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()),
                authors.take(picked),
                empty,
                empty,
                pa.array(np.zeros(len(rows), dtype=np.int64)),
                texts,
                bands,
            ],
            schema=_MEMORY,
        )


class _Linker:
    """Compares new entries with their predecessors; entries are in the order of events."""

    def __init__(self, entries: pa.Table, is_new: npt.NDArray[np.bool_]) -> None:
        self._is_new = is_new
        self._ids: list[str] = entries["feedback_id"].to_pylist()
        self._authors: list[str | None] = entries["author"].to_pylist()
        self._texts = entries["text"].combine_chunks()
        self._lengths = pc.utf8_length(self._texts).to_numpy().astype(np.int64)
        self._times = entries["time"].to_numpy()
        raw = entries["bands"].combine_chunks()
        self._keys = np.frombuffer(raw.buffers()[1], dtype=np.uint64).reshape(-1, _BANDS)
        self._keys = self._keys[raw.offset : raw.offset + len(raw)]
        self.root: list[str | None] = entries["root"].to_pylist()
        self.campaign: list[str | None] = entries["campaign"].to_pylist()
        self.repeats: list[int] = entries["repeats"].to_pylist()

    def run(self) -> _Linker:
        """Link each new entry to its likest predecessor."""
        later, earlier = self._candidates()
        possible = self._could_be_similar(later, earlier)
        later, earlier = later[possible], earlier[possible]
        if len(later):
            ratios = self._ratios(later, earlier)
            similar = ratios >= _LEAST_RATIO
            # The likest first; of equals the earliest.
            later, earlier, ratios = later[similar], earlier[similar], ratios[similar]
            order = np.lexsort((earlier, -ratios, later))
            self._link(later[order], earlier[order], ratios[order])
        return self

    def as_table(self, entries: pa.Table) -> pa.Table:
        """Return the entries with what was found about them."""
        found = {
            "root": pa.array(self.root, pa.string()),
            "campaign": pa.array(self.campaign, pa.string()),
            "repeats": pa.array(self.repeats, pa.int64()),
        }
        columns = [found.get(name, entries[name]) for name in _MEMORY.names]
        return pa.Table.from_arrays(columns, schema=_MEMORY)

    def _candidates(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        window = int(WINDOW.total_seconds() * 1_000_000)
        count = len(self._times)
        codes = []
        for band in range(_BANDS):
            keys = self._keys[:, band]
            order = np.argsort(keys, kind="stable")
            ordered = keys[order]
            for back in range(1, PREDECESSORS + 1):
                same = np.flatnonzero(ordered[back:] == ordered[:-back])
                if len(same) == 0:
                    break
                earlier, later = order[same], order[same + back]
                near = self._is_new[later] & (self._times[later] - self._times[earlier] <= window)
                codes.append(later[near].astype(np.int64) * count + earlier[near])
        unique = np.unique(np.concatenate(codes)) if codes else np.empty(0, dtype=np.int64)
        return unique // count, unique % count

    def _could_be_similar(
        self, later: npt.NDArray[np.int64], earlier: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Whether lengths allow the least ratio: 200 x shorter / (shorter + longer) bounds it."""
        one, other = self._lengths[later], self._lengths[earlier]
        return np.asarray(200 * np.minimum(one, other) >= _LEAST_RATIO * (one + other))

    def _ratios(
        self, later: npt.NDArray[np.int64], earlier: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float32]:
        parts = []
        for start in range(0, len(later), _BATCH):
            chunk = slice(start, start + _BATCH)
            parts.append(
                process.cpdist(
                    self._texts.take(pa.array(later[chunk])).to_pylist(),
                    self._texts.take(pa.array(earlier[chunk])).to_pylist(),
                    scorer=fuzz.ratio,
                    score_cutoff=_LEAST_RATIO,
                    dtype=np.float32,
                )
            )
        return np.concatenate(parts)

    def _link(
        self,
        later: npt.NDArray[np.int64],
        earlier: npt.NDArray[np.int64],
        ratios: npt.NDArray[np.float32],
    ) -> None:
        linked = -1
        for i, j, ratio in zip(later.tolist(), earlier.tolist(), ratios.tolist(), strict=True):
            merges = merge_ratio(int(min(self._lengths[i], self._lengths[j])))
            if self._ids[i] == self._ids[j] or ratio < merges - LINK_MARGIN:
                continue
            known = self._authors[i] is not None and self._authors[j] is not None
            same_author = known and self._authors[i] == self._authors[j]
            if same_author:
                self.repeats[i] = max(self.repeats[i], self.repeats[j] + 1)
            if i == linked:
                continue
            linked = i
            if same_author or ratio >= merges:
                self.root[i] = self.root[j] or self._ids[j]
            if same_author:
                self.campaign[i] = self.campaign[j]
            elif known or self.root[i] is None:
                self.campaign[i] = self.campaign[j] or self.root[j] or self._ids[j]


def _remembered(entries: pa.Table) -> pa.Table:
    times = entries["time"]
    newest = pc.max(times).as_py()
    kept = entries.filter(pc.greater_equal(times, newest - int(WINDOW.total_seconds() * 1_000_000)))
    return kept.slice(max(0, kept.num_rows - MAX_REMEMBERED))
