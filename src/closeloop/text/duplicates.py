"""Finds texts that repeat an earlier one: exact copies, edited copies, filled-in templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.text.duplicate_memory import (
    ENTRIES,
    MAX_REMEMBERED,
    WINDOW,
    Slots,
    order_of_events,
    packed,
    signatures_of,
)
from closeloop.text.duplicate_pairs import Pairs, like_pairs
from closeloop.text.minhash import signatures

MIN_WORDS = 7
MIN_CHARACTERS = 35
"""A shorter text ("good app") is no duplicate, however often it comes."""
_LONGEST = 512
"""Characters of a text that are compared."""

_AT_ONCE = 20_000
"""Texts linked at a time: bounds the memory for their pairs (about 250 MB where all are alike)."""

_ROWS = npt.NDArray[np.int64]


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
    texts = pc.utf8_slice_codeunits(texts, 0, _LONGEST)
    ascii_ = pc.fill_null(pc.string_is_ascii(texts), False)
    others = pc.utf8_lower(texts.filter(pc.invert(ascii_)))
    others = pc.replace_substring_regex(others, r"[^\p{L}\p{M}\p{N}]+", " ")
    compared = _comparable_ascii(pc.if_else(ascii_, texts, ""))
    return pc.replace_with_mask(compared, pc.invert(ascii_), pc.utf8_trim_whitespace(others))


_SPACE = ord(" ")
_ASCII = np.array(
    [ord(chr(code).lower()) if chr(code).isalnum() else _SPACE for code in range(128)],
    dtype=np.uint8,
)


def _comparable_ascii(texts: pa.Array) -> pa.Array:
    """Do the same to texts of ASCII alone, all bytes at once: six times as fast as RE2."""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset :][: len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
    offsets = offsets.astype(np.int64) - offsets[0]
    data = _ASCII[data]
    # A space stands only after a sign that is none, in the same text.
    space = data == _SPACE
    kept = ~space
    kept[1:] |= ~space[:-1]
    starts = offsets[:-1][np.diff(offsets) > 0]
    kept[starts] = ~space[starts]
    places = np.concatenate(([0], np.cumsum(kept)))
    data, offsets = data[kept], places[offsets]
    # One may be left at the end.
    last = offsets[1:][np.diff(offsets) > 0] - 1
    last = last[data[last] == _SPACE]
    offsets = offsets - np.searchsorted(last, offsets)
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.delete(data, last))]
    return pa.StringArray.from_buffers(len(texts), buffers[1], buffers[2])


def eligible(texts: pa.Array) -> pa.Array:
    """Return whether comparable texts are long enough (7 words and 35 characters) to be copies."""
    words = pc.add(pc.count_substring(texts, " "), 1)
    long_enough = pc.and_(
        pc.greater_equal(words, MIN_WORDS), pc.greater_equal(pc.utf8_length(texts), MIN_CHARACTERS)
    )
    return pc.fill_null(long_enough, False)


def _long_texts(texts: pa.Array) -> tuple[_ROWS, pa.Array]:
    """Return the rows that are long enough, and their comparable texts."""
    # Bytes are at least characters: most short texts are left out before they are rewritten.
    long = pc.fill_null(pc.greater_equal(pc.binary_length(texts), MIN_CHARACTERS), False)
    rows = np.flatnonzero(long.to_numpy(zero_copy_only=False))
    compared = comparable(texts.filter(long))
    enough = eligible(compared)
    return rows[enough.to_numpy(zero_copy_only=False)], compared.filter(enough)


class DuplicateMemory:
    """The texts of one product within the window: what new texts are compared with.

    Rows given in the order of events (those of one time in any) are linked the same, in one call or
    in many. A row that comes late is compared with what was before it and is still remembered; rows
    already linked are not linked anew. `blobs` are slots written before (see `changed`).
    """

    def __init__(self, blobs: Sequence[bytes | None] = ()) -> None:
        self._slots = Slots(blobs)

    @classmethod
    def restored(cls, *, columns: dict[str, pa.Array]) -> DuplicateMemory:
        """Return the memory of texts that were linked before, from what is known of them.

        The columns are those of `link`, and `roots`, `campaigns` and `repeats`.
        """
        memory = cls()
        memory._slots.rewrite()
        rows, compared = _long_texts(columns["texts"])
        found = {name: columns[name].take(pa.array(rows)) for name in columns}
        if len(rows):
            memory._slots.add(_as_entries({**found, "texts": compared}))
        return memory

    @property
    def size(self) -> int:
        """Number of texts remembered."""
        return int(self._slots.entries.num_rows)

    def changed(self) -> dict[int, bytes]:
        """Return the slots to be written again; a small batch changes the smallest only."""
        return self._slots.changed()

    def link(
        self, *, feedback_ids: pa.Array, texts: pa.Array, times: pa.Array, authors: pa.Array
    ) -> Links:
        """Link new texts of this product to earlier ones, and remember them.

        `texts` are masked texts, `times` timestamps in UTC, `authors` keys (null: not known).
        """
        rows, compared = _long_texts(texts)
        count = len(texts)
        links = Links([None] * count, [None] * count, [0] * count, remembered=len(rows))
        if len(rows) == 0:
            return links
        picked = pa.array(rows)
        nothing = pa.nulls(len(rows), pa.string())
        new = _as_entries(
            {
                "feedback_ids": feedback_ids.take(picked),
                "times": times.take(picked),
                "authors": authors.take(picked),
                "roots": nothing,
                "campaigns": nothing,
                "repeats": pa.array(np.zeros(len(rows), dtype=np.int64)),
                "texts": compared,
            }
        )
        order = order_of_events(new)
        for start in range(0, len(order), _AT_ONCE):
            part = order[start : start + _AT_ONCE]
            entries = new.take(pa.array(part))
            found = _linked(self._slots.entries, entries)
            for row, (own, root, campaign, repeats) in found.items():
                place = int(rows[part[row]])
                links.duplicate_of[place] = None if root == own else root
                links.campaign_id[place] = None if campaign == own else campaign
                links.repeats[place] = repeats
            self._slots.add(_with_findings(entries, found))
        return links


_Finding = tuple[str, str | None, str | None, int]
"""Of a text its id, the text it repeats, its campaign, its author's earlier copies."""


def _as_entries(columns: dict[str, pa.Array]) -> pa.Table:
    times = columns["times"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    named = {
        "feedback_id": columns["feedback_ids"],
        "time": times,
        "author": columns["authors"],
        "root": columns["roots"],
        "campaign": columns["campaigns"],
        "repeats": columns["repeats"],
        "text": columns["texts"],
        "signature": packed(signatures(columns["texts"])),
    }
    return pa.Table.from_pydict(named, schema=ENTRIES)


def _linked(old: pa.Table, new: pa.Table) -> dict[int, _Finding]:
    """Return what is found of new entries, by row; those alike to none are left out."""
    entries = pa.concat_tables([old, new]).combine_chunks()
    order = order_of_events(entries)
    in_order = pa.array(order)
    pairs = like_pairs(
        signatures_of(entries)[order],
        texts=entries["text"].combine_chunks().take(in_order),
        times=entries["time"].to_numpy()[order],
        is_new=order >= old.num_rows,
        window=int(WINDOW.total_seconds() * 1_000_000),
        reach=MAX_REMEMBERED,
    )
    known = entries.drop_columns(["text", "signature"]).take(in_order)
    return {
        int(order[row]) - old.num_rows: finding for row, finding in _findings(known, pairs).items()
    }


def _findings(entries: pa.Table, pairs: Pairs) -> dict[int, _Finding]:
    """Link each later text to its likest predecessor; entries are in the order of events."""
    ids = pc.dictionary_encode(entries["feedback_id"].combine_chunks()).indices.to_numpy()
    authors = pc.dictionary_encode(entries["author"].combine_chunks()).indices
    authors = pc.fill_null(authors, -1).to_numpy()
    other = ids[pairs.later] != ids[pairs.earlier]
    later, earlier, merges = pairs.later[other], pairs.earlier[other], pairs.merges[other]
    known = (authors[later] >= 0) & (authors[earlier] >= 0)
    same_author = known & (authors[later] == authors[earlier])
    likest = np.diff(later, prepend=-1) != 0
    told = likest | same_author
    columns = (later, earlier, merges, known, same_author, likest)
    rows = np.unique(np.concatenate((later[told], earlier[told])))
    values = entries.take(pa.array(rows)).to_pylist()
    held = dict(zip(rows.tolist(), values, strict=True))
    for i, j, merged, both_known, same, first in zip(
        *(column[told].tolist() for column in columns), strict=True
    ):
        one, before = held[i], held[j]
        if same:
            one["repeats"] = max(one["repeats"], before["repeats"] + 1)
        if not first:
            continue
        if same or merged:
            one["root"] = before["root"] or before["feedback_id"]
        if same:
            one["campaign"] = before["campaign"]
        elif both_known or one["root"] is None:
            one["campaign"] = before["campaign"] or before["root"] or before["feedback_id"]
    return {
        i: (held[i]["feedback_id"], held[i]["root"], held[i]["campaign"], held[i]["repeats"])
        for i in later[likest].tolist()
    }


def _with_findings(new: pa.Table, found: dict[int, _Finding]) -> pa.Table:
    roots: list[str | None] = [None] * new.num_rows
    campaigns: list[str | None] = [None] * new.num_rows
    repeats = [0] * new.num_rows
    for row, (_, root, campaign, count) in found.items():
        roots[row], campaigns[row], repeats[row] = root, campaign, count
    filled = {
        "root": pa.array(roots, pa.string()),
        "campaign": pa.array(campaigns, pa.string()),
        "repeats": pa.array(repeats, pa.int64()),
    }
    for name, column in filled.items():
        new = new.set_column(new.schema.get_field_index(name), ENTRIES.field(name), column)
    return new
