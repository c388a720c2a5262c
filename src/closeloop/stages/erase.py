"""Erases feedback through every layer: who asks for it is forgotten, and that it was done is logged."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.erasure import Forgotten
from closeloop.ports import StepContext, only_if_in
from closeloop.stages import embed_words, enrich, taxonomy_proposals, theme_recall, theme_tickets
from closeloop.stages.refine_links import forget as forget_copies
from closeloop.stages.refine_rows import text_hashes
from closeloop.tables import (
    ASSIGNMENT,
    BRIEF,
    BRONZE_FEEDBACK,
    EMBEDDING,
    ENRICHMENT,
    FEEDBACK,
    QUARANTINE,
    SIGNAL,
    STATE,
    SUPERSEDED,
    TAXONOMY,
    THEME,
    TICKET,
    Table,
)
from closeloop.text.clauses import clauses_of
from closeloop.text.tokens import author_key

NAME = "erase"

KEYED = (BRONZE_FEEDBACK, QUARANTINE, SUPERSEDED, FEEDBACK, EMBEDDING, ENRICHMENT, ASSIGNMENT)
"""Tables whose rows belong to one piece of feedback each."""

UNFINISHED = "erase.unfinished"
"""State: tables whose old files still have to go; an erasure killed there is finished by the next."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure removed: feedback, and rows by table."""

    feedback_ids: tuple[str, ...]
    rows: dict[str, int]

    @property
    def total(self) -> int:
        """Rows and records that were removed or changed."""
        return sum(self.rows.values())


def ids_of_author(context: StepContext, author: str) -> tuple[str, ...]:
    """Return the feedback of an author, under every spelling that refine takes for one author."""
    wanted = author_key(author, key=context.token_key)
    if wanted is None:
        return ()
    rows = context.rows(
        BRONZE_FEEDBACK, columns=["feedback_id", "author"], where=[("author", "!=", None)]
    )
    spellings = [
        name
        for name in pc.unique(rows.column("author")).to_pylist()
        if author_key(name, key=context.token_key) == wanted
    ]
    mine = rows.filter(pc.is_in(rows.column("author"), value_set=pa.array(spellings, pa.string())))
    silver = context.rows(FEEDBACK, columns=["feedback_id"], where=[("author_key", "=", wanted)])
    found = {*mine.column("feedback_id").to_pylist(), *silver.column("feedback_id").to_pylist()}
    return tuple(sorted(found))


def ids_known(context: StepContext, feedback_ids: Iterable[str]) -> tuple[str, ...]:
    """Return those of the ids that any layer holds."""
    wanted = sorted(set(feedback_ids))
    found: set[str] = set()
    for table in (BRONZE_FEEDBACK, FEEDBACK, QUARANTINE):
        rows = context.rows(
            table, columns=["feedback_id"], where=[only_if_in("feedback_id", wanted)]
        )
        found |= set(rows.column("feedback_id").to_pylist())
    return tuple(sorted(found))


def ids_older_than(context: StepContext, moment: datetime) -> tuple[str, ...]:
    """Return feedback whose newest delivery is older than a moment.

    Its time is that of the newest edit; where it has none, when it was taken in.
    """
    rows = context.rows(
        BRONZE_FEEDBACK, columns=["feedback_id", "event_time", "updated_at", "ingested_at"]
    )
    # Arrow has no largest of two times: their microseconds are compared.
    times = [rows.column(n).cast(pa.int64()) for n in ("event_time", "updated_at", "ingested_at")]
    age = pc.coalesce(pc.max_element_wise(*times[:2]), times[2])
    newest = (
        pa.table({"id": rows.column("feedback_id"), "age": age})
        .group_by("id")
        .aggregate([("age", "max")])
    )
    old = newest.filter(pc.less(newest.column("age_max"), int(moment.timestamp() * 1e6)))
    return tuple(sorted(old.column("id").to_pylist()))


def text_hashes_of(context: StepContext, feedback_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the hashes under which vectors of the feedback's texts are cached.

    A text that others wrote too keeps its vector: it is theirs as well. Single clauses, which
    enrich may have embedded, go in any case: they are embedded again where they are asked for.
    """
    rows = context.rows(FEEDBACK, columns=["feedback_id", "text_hash"])
    mine = pc.is_in(rows.column("feedback_id"), value_set=pa.array(feedback_ids, pa.string()))
    hashes = set(rows.filter(mine).column("text_hash").to_pylist())
    others = set(rows.filter(pc.invert(mine)).column("text_hash").to_pylist())
    # Of tickets only a part was embedded: its hash stands beside the vector.
    rows = context.rows(EMBEDDING, columns=["feedback_id", "words_hash"])
    rows = rows.filter(pc.is_valid(rows.column("words_hash")))
    mine = pc.is_in(rows.column("feedback_id"), value_set=pa.array(feedback_ids, pa.string()))
    hashes |= set(rows.filter(mine).column("words_hash").to_pylist())
    others |= set(rows.filter(pc.invert(mine)).column("words_hash").to_pylist())
    where = [only_if_in("feedback_id", feedback_ids)]
    said = context.rows(FEEDBACK, columns=embed_words.COLUMNS, where=where)
    said = embed_words.words_to_embed(context, said, learn=False)
    clauses = text_hashes(clauses_of(said.column("words")).texts).to_pylist()
    return tuple(sorted({*(h for h in hashes - others if h), *clauses}))


def words_of(context: StepContext, feedback_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the feedback's texts, as it came and masked, and the excerpts that briefs quote."""
    here = [only_if_in("feedback_id", feedback_ids)]
    texts = _quoted(context, frozenset(feedback_ids))
    for table in (FEEDBACK, BRONZE_FEEDBACK):
        texts |= set(context.rows(table, columns=["text"], where=here).column("text").to_pylist())
    return tuple(sorted(t for t in texts if t))


def erase(context: StepContext, feedback_ids: Sequence[str], *, by: str, request: str) -> Erasure:
    """Remove feedback from every table, brief, ticket and label; log that it was done, not what.

    `request` says how it was named (author, id, retention), never the name. Counts in series and
    signals stay: they are sums over many. So does the id in `duplicate_of` of others' texts, which
    leads nowhere now: a rewritten row would go through the loop a second time.

    The caller removes cached vectors (`text_hashes_of`) and kept answers of language models
    (`words_of`) before, and once the step has committed
    old files (`Engine.forget`); then it calls `finished` in a step of its own.
    """
    ids = tuple(sorted(set(feedback_ids)))
    words = words_of(context, ids)
    gone = Forgotten.of(feedback_ids=ids, texts=words)
    templates = embed_words.forget(context, ids)
    rows = {table.full_name: _delete(context, table, ids) for table in KEYED}
    rows[THEME.full_name] = _rewrite(context, THEME, lambda r: _theme(r, gone))
    rows[SIGNAL.full_name] = _rewrite(context, SIGNAL, lambda r: _signal(r, gone))
    rows[BRIEF.full_name] = _rewrite(context, BRIEF, lambda r: _brief(r, gone))
    rows[TICKET.full_name] = _rewrite(context, TICKET, lambda r: _ticket(r, gone))
    rows[TAXONOMY.full_name] = _rewrite(context, TAXONOMY, lambda r: _taxonomy(r, gone))
    if rows[TAXONOMY.full_name]:
        # It holds the example's vector; the next run makes it anew.
        context.delete(STATE, [("name", "=", enrich.CATEGORY)])
    rows[STATE.full_name] = (
        templates
        + theme_tickets.forget(context, ids)
        + forget_copies(context, ids)
        + _drop_states(context, gone)
        + enrich.forget(context, ids)
        + theme_recall.forget(context, ids)
        + taxonomy_proposals.forget(context, ids)
    )
    rows["operational database"] = context.ops.forget(feedback_ids=ids, texts=words)
    rows = {name: number for name, number in rows.items() if number}
    context.put_state(UNFINISHED, json.dumps(sorted(_tables(rows))).encode())
    context.ops.audit(
        actor=by,
        action=NAME,
        subject=request,
        detail=json.dumps({"feedback": len(ids), **rows}, sort_keys=True),
        at=context.now,
    )
    context.count("erased", len(ids))
    return Erasure(feedback_ids=ids, rows=rows)


def unfinished(context: StepContext) -> tuple[str, ...]:
    """Return the full names of tables whose old files an erasure still has to remove."""
    blob = context.state(UNFINISHED)
    return tuple(json.loads(blob)) if blob else ()


def finished(context: StepContext) -> None:
    """Record that old files are gone."""
    context.put_state(UNFINISHED, b"[]")


def _tables(rows: Mapping[str, int]) -> set[str]:
    return {name for name in rows if "." in name}


def _quoted(context: StepContext, ids: Collection[str]) -> set[str | None]:
    """Return the excerpts of the feedback that briefs quote."""
    found: set[str | None] = set()
    for facts in context.rows(BRIEF, columns=["facts"]).column("facts").to_pylist():
        sheet = json.loads(facts) if facts else {}
        for quotation in sheet.get("quotations", ()):
            if quotation.get("feedback_id") in ids and quotation.get("text"):
                found.add(str(quotation["text"]))
    return found


def _delete(context: StepContext, table: Table, ids: Sequence[str]) -> int:
    where = [only_if_in("feedback_id", ids)]
    number = int(context.rows(table, columns=["feedback_id"], where=where).num_rows)
    if number:
        context.delete(table, where)
    return number


def _rewrite(
    context: StepContext, table: Table, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> int:
    """Put changed rows in place of those that a function changes; return how many."""
    changed = []
    for row in context.rows(table).to_pylist():
        kept = change(row)
        if kept != row:
            changed.append(kept)
    if changed:
        context.merge(table, table.from_rows(changed))
    return len(changed)


def _left(values: Sequence[str] | None, gone: Forgotten) -> list[str] | None:
    return None if values is None else [v for v in values if v not in gone.feedback_ids]


def _theme(row: dict[str, Any], gone: Forgotten) -> dict[str, Any]:
    return {**row, "representative_ids": _left(row["representative_ids"], gone)}


def _signal(row: dict[str, Any], gone: Forgotten) -> dict[str, Any]:
    return {**row, "feedback_ids": _left(row["feedback_ids"], gone)}


def _taxonomy(row: dict[str, Any], gone: Forgotten) -> dict[str, Any]:
    """Take examples that people copied from the feedback out of an applied taxonomy."""
    categories = [
        {**c, "examples": [e for e in c["examples"] if gone.cut(e) == e]} for c in row["categories"]
    ]
    return {**row, "categories": categories}


def _ticket(row: dict[str, Any], gone: Forgotten) -> dict[str, Any]:
    return {**row, "title": row["title"] and gone.cut(row["title"])}


def _brief(row: dict[str, Any], gone: Forgotten) -> dict[str, Any]:
    """Take quotations, sentences that rest on them and their words out of a brief."""
    facts = json.loads(row["facts"]) if row["facts"] else {}
    kept = ("facts", "brief_id", "signal_id", "batch_id")
    cleaned = {n: v if n in kept else _scrub(v, gone) for n, v in row.items()}
    sheet = _scrub(facts, gone)
    if cleaned == row and sheet == facts:
        return row
    return {
        **cleaned,
        "facts": json.dumps(sheet, ensure_ascii=False, sort_keys=True),
        "problems": [*(row["problems"] or ()), "quotations were removed on request"],
    }


def _scrub(value: Any, gone: Forgotten) -> Any:
    """Remove ids, whatever is about one of them, and words, from any nested value."""
    if isinstance(value, str):
        return gone.cut(value)
    if isinstance(value, list):
        return [_scrub(v, gone) for v in value if not _about(v, gone)]
    if isinstance(value, dict):
        return {k: _scrub(v, gone) for k, v in value.items()}
    return value


def _about(value: Any, gone: Forgotten) -> bool:
    if isinstance(value, str):
        return value in gone.feedback_ids
    if isinstance(value, dict):
        cited = value.get("ids") or ()
        return value.get("feedback_id") in gone.feedback_ids or not gone.feedback_ids.isdisjoint(
            cited
        )
    return False


def _drop_states(context: StepContext, gone: Forgotten) -> int:
    """Drop what steps remember where it holds the words; the step builds it anew from silver."""
    dropped = 0
    for row in context.rows(STATE, columns=["name", "scope", "blob"]).to_pylist():
        if gone.inside(_inflated(row["blob"])):
            context.delete(STATE, [("name", "=", row["name"]), ("scope", "=", row["scope"])])
            dropped += 1
    return dropped


def _inflated(blob: bytes) -> bytes:
    try:
        return zlib.decompress(blob)
    except zlib.error:
        return blob
