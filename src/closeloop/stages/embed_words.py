"""Says what of a text is embedded: no instructions to machines, of a ticket the customer's own words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from closeloop.ports import StepContext, only_if_in
from closeloop.tables import FEEDBACK
from closeloop.text.customer_words import customer_words, looks_like_ticket
from closeloop.text.instructions import without_instructions
from closeloop.text.line_templates import LineTemplates

TEMPLATES = "embed.templates"
TICKET = "ticket"
"""Feedback of this channel, and any text of a ticket's shape, may hold forms and quoted threads."""
_KEYED = r"<([A-Z][A-Z0-9_]*):[0-9A-Fa-f]+>"
COLUMNS = ("feedback_id", "revision", "text", "masker", "source", "channel")


def words_to_embed(context: StepContext, rows: pa.Table, *, learn: bool) -> pa.Table:
    """Return what is to be embedded of each text of rows (COLUMNS), masked as the text is.

    The answer has feedback_id, revision, `words`, and `words_hash`: the xxh3-128 of the words where
    they are less than the text, null otherwise. With `learn` the lines of the tickets are counted
    first, a source at a time, so that the forms among them are known.
    """
    given = rows.column("text")
    place = rows.schema.get_field_index("text")
    words = own_words(context, rows.set_column(place, "text", spoken(given)), learn=learn)
    rows = rows.select(["feedback_id", "revision"]).append_column("words", words)
    return rows.append_column("words_hash", _hashes_of_less(given, words))


def own_words(context: StepContext, rows: pa.Table, *, learn: bool) -> pa.ChunkedArray:
    """Return the customers' own words in rows (COLUMNS) whose texts are `spoken` already."""
    texts = rows.column("text")
    picked = _tickets(rows)
    if not picked.any():
        return texts
    said = _said(context, rows.filter(pa.array(picked)), learn=learn)
    less = np.fromiter((s is not None for s in said), np.bool_, len(said))
    words = [s for s in said if s is not None]
    if learn:
        context.count("tickets embedded by the customer's words", len(words))
    mask = pa.array(_at(picked, less))
    return pc.replace_with_mask(texts, mask, pa.array(words, pa.string()))


def spoken(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return what masked texts say of a product: no instructions to machines, no keys of tokens.

    A token's key (`<ORDER:1f…>`) joins rows and means nothing; it is another one in each workspace.
    """
    texts = without_instructions(texts)
    keyed = pc.fill_null(pc.match_substring_regex(texts, _KEYED), fill_value=False)
    if not pc.any(keyed).as_py():
        return texts
    plain = pc.replace_substring_regex(texts.filter(keyed), _KEYED, r"<\1>")
    # Kernels take a mask in one piece.
    mask = keyed.combine_chunks() if isinstance(keyed, pa.ChunkedArray) else keyed
    if isinstance(plain, pa.ChunkedArray):
        plain = plain.combine_chunks()
    return pc.replace_with_mask(texts, mask, plain)


def _hashes_of_less(given: pa.ChunkedArray, texts: pa.ChunkedArray) -> pa.Array:
    """Return the hash of each text of which something was left out, null for the others."""
    hashes = pa.nulls(len(given), pa.string())
    if texts is given:
        return hashes
    mask = pc.fill_null(pc.not_equal(given, texts), fill_value=False)
    less = pa.array(map(_hash, texts.filter(mask).to_pylist()), pa.string())
    return pc.replace_with_mask(hashes, mask.combine_chunks(), less)


def _said(context: StepContext, tickets: pa.Table, *, learn: bool) -> list[str | None]:
    """Return the customer's words of each ticket, None where they are all of it."""
    known: dict[str, LineTemplates] = {}
    for source, texts in _by_source(tickets):
        known[source] = _templates(context, source)
        if learn:
            known[source].learn(texts)
            context.put_state(TEMPLATES, known[source].to_bytes(), scope=source)
    said: list[str | None] = []
    sources = pc.fill_null(tickets.column("source"), "").to_pylist()
    for text, source in zip(tickets.column("text").to_pylist(), sources, strict=True):
        words = customer_words(text, template=known[source].template_of(text))
        said.append(words if words and words != text else None)
    return said


def _at(picked: np.ndarray, less: np.ndarray) -> np.ndarray:
    """Return `picked` without those of its rows that are false in `less`."""
    result = picked.copy()
    result[np.flatnonzero(picked)[~less]] = False
    return result


def _hash(words: str) -> str:
    return xxhash.xxh3_128_hexdigest(words.encode("utf-8", "surrogatepass"))


def forget(context: StepContext, feedback_ids: Iterable[str]) -> int:
    """Take feedback, still in silver.feedback, out of what is known of templates.

    Returns how many sources' counts were written anew.
    """
    ids = sorted(set(feedback_ids))
    columns = ["source", "channel", "text", "masker"]
    rows = context.rows(FEEDBACK, columns=columns, where=[only_if_in("feedback_id", ids)])
    rows = rows.filter(
        pc.and_(pc.is_valid(rows.column("masker")), pc.is_valid(rows.column("text")))
    )
    rows = rows.filter(pa.array(_tickets(rows)))
    written = 0
    for source, texts in _by_source(rows):
        if context.state(TEMPLATES, scope=source) is not None:
            templates = _templates(context, source)
            templates.unlearn(texts)
            context.put_state(TEMPLATES, templates.to_bytes(), scope=source)
            written += 1
    return written


def _by_source(rows: pa.Table) -> Iterator[tuple[str, list[str]]]:
    names = pc.fill_null(rows.column("source"), "")
    for source in sorted(pc.unique(names).to_pylist()):
        yield source, rows.filter(pc.equal(names, source)).column("text").to_pylist()


def _tickets(rows: pa.Table) -> np.ndarray:
    """Return which rows may hold more than the customer's words: several lines, long or tickets."""
    lines = pc.count_substring(rows.column("text"), "\n")
    declared = pc.and_(pc.equal(rows.column("channel"), TICKET), pc.greater_equal(lines, 1))
    declared = np.asarray(pc.fill_null(declared, fill_value=False)).astype(np.bool_)
    return np.asarray(declared | looks_like_ticket(rows.column("text")), np.bool_)


def _templates(context: StepContext, source: str) -> LineTemplates:
    return LineTemplates.from_bytes(context.state(TEMPLATES, scope=source), key=context.token_key)
