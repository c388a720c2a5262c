"""Erasure: every layer, every copy, logged without what was erased, others untouched."""

from __future__ import annotations

import json
import zlib
from datetime import timedelta

import pyarrow as pa
import pytest

from closeloop.domain.review import Label, LabelKind
from closeloop.stages import erase
from closeloop.stages.refine_links import DUPLICATES_STATES
from closeloop.tables import (
    ASSIGNMENT,
    AUDIT,
    BRIEF,
    BRONZE_FEEDBACK,
    EMBEDDING,
    ENRICHMENT,
    FEEDBACK,
    QUARANTINE,
    SIGNAL,
    STATE,
    SUPERSEDED,
    THEME,
    TICKET,
)
from closeloop.testing.context import InMemoryContext
from closeloop.testing.example_rows import AT, brief_row, signal_row
from closeloop.testing.store_contract import example_ticket
from closeloop.text.duplicates import DuplicateMemory

MINE, OTHER = "aaaaaaaa11112222", "bbbbbbbb11112222"
WORDS = "money is gone and payment failed"


@pytest.fixture
def context() -> InMemoryContext:
    """Two authors whose words have reached every layer."""
    context = InMemoryContext(now=AT)
    authors = {MINE: " Asha R. ", OTHER: "Bob"}
    texts = {MINE: WORDS, OTHER: "upi does not work since the update"}
    for table in (
        BRONZE_FEEDBACK,
        QUARANTINE,
        SUPERSEDED,
        FEEDBACK,
        EMBEDDING,
        ENRICHMENT,
        ASSIGNMENT,
    ):
        rows = [
            {
                "bronze_id": f"{table.name}-{i}",
                "feedback_id": i,
                "revision": 1,
                "author": authors[i],
                "text": texts[i],
                "text_hash": f"hash-{i}",
                "payload": texts[i],
                "event_time": AT - timedelta(days=400 if i == MINE else 1),
            }
            for i in (MINE, OTHER)
        ]
        names = table.schema.names
        context.append(table, table.from_rows([{k: r.get(k) for k in names} for r in rows]))
    context.merge(THEME, THEME.from_rows([{"theme_id": "t", "representative_ids": [MINE, OTHER]}]))
    context.merge(SIGNAL, SIGNAL.from_rows([signal_row()]))
    context.merge(BRIEF, BRIEF.from_rows([brief_row()]))
    context.merge(TICKET, TICKET.from_rows([{"ticket_id": "T1", "title": f"“{WORDS}”"}]))
    context.put_state("memory", zlib.compress(WORDS.encode()))
    context.put_state("figures", b"[1, 2]")
    context.ops.put_ticket(
        example_ticket("T1", body=f"summary\n“{WORDS}” (review {MINE})", examples=(f"“{WORDS}”",))
    )
    context.ops.put_label(
        Label("l", LabelKind.CATEGORY, "shop-app", "c", (MINE,), "c", "c", 0.9, "mia", AT)
    )
    return context.as_step(erase.NAME)


def everything(context: InMemoryContext) -> str:
    """Return all that is held, as text, with state blobs unpacked."""
    parts = []
    for table in (BRONZE_FEEDBACK, QUARANTINE, SUPERSEDED, FEEDBACK, EMBEDDING, ENRICHMENT):
        parts.append(str(context.rows(table).to_pylist()))
    for table in (ASSIGNMENT, THEME, SIGNAL, BRIEF, TICKET, AUDIT):
        parts.append(str(context.rows(table).to_pylist()))
    for row in context.rows(STATE).to_pylist():
        blob = row["blob"]
        parts.append(str(zlib.decompress(blob) if blob[:1] == b"x" else blob))
    ops = context.ops
    parts += [str(ops.tickets()), str(ops.labels()), str(ops.outbox()), str(ops.audit_entries())]
    return "\n".join(parts)


def test_nothing_of_the_person_is_left_in_any_layer(context: InMemoryContext) -> None:
    assert WORDS in everything(context)
    done = erase.erase(context, erase.ids_of_author(context, "asha r."), by="mia", request="author")
    assert done.feedback_ids == (MINE,)
    left = everything(context)
    for trace in (WORDS, MINE, "Asha", "money is gone"):
        assert trace not in left
    assert "upi does not work since the update" in left
    assert context.ops.tickets()[0].body == "summary"


def test_other_rows_and_other_quotations_stay(context: InMemoryContext) -> None:
    done = erase.erase(context, [MINE], by="mia", request="id")
    for table in erase.KEYED:
        assert context.rows(table).column("feedback_id").to_pylist() == [OTHER]
        assert done.rows[table.full_name] == 1
    (brief,) = context.rows(BRIEF).to_pylist()
    assert brief["citations"] == [OTHER]
    assert [q["feedback_id"] for q in json.loads(brief["facts"])["quotations"]] == [OTHER]
    assert brief["problems"] == ["quotations were removed on request"]
    assert brief["title"] == "Payments fail in Shop App since 2.8.5"
    (signal,) = context.rows(SIGNAL).to_pylist()
    assert (signal["feedback_ids"], signal["count"]) == ([OTHER], 14)
    assert [r["name"] for r in context.rows(STATE).to_pylist()] == ["figures", erase.UNFINISHED]


def test_that_it_was_done_is_logged_without_what_it_was(context: InMemoryContext) -> None:
    erase.erase(context, [MINE], by="mia", request="author")
    (entry,) = context.ops.audit_entries()
    assert (entry.actor, entry.action, entry.subject) == ("mia", "erase", "author")
    assert json.loads(entry.detail)["bronze.feedback"] == 1
    assert MINE not in entry.detail


def test_a_vector_that_others_share_is_kept(context: InMemoryContext) -> None:
    assert erase.text_hashes_of(context, [MINE]) == (f"hash-{MINE}",)
    context.append(
        FEEDBACK,
        FEEDBACK.from_rows([{"feedback_id": "x", "revision": 1, "text_hash": f"hash-{MINE}"}]),
    )
    assert erase.text_hashes_of(context, [MINE]) == ()


def test_rows_that_stay_are_not_new_to_any_step(context: InMemoryContext) -> None:
    before = context.rows(FEEDBACK, where=[("feedback_id", "=", OTHER)])
    erase.erase(context, [MINE], by="mia", request="id")
    assert context.rows(FEEDBACK).equals(before)


def test_erased_twice_the_second_finds_nothing(context: InMemoryContext) -> None:
    erase.erase(context, [MINE], by="mia", request="id")
    context.next_pass()
    assert erase.ids_known(context, [MINE]) == ()
    again = erase.erase(context, [MINE], by="mia", request="id")
    assert again.total == 0


def test_old_files_wait_until_they_are_gone(context: InMemoryContext) -> None:
    erase.erase(context, [MINE], by="mia", request="id")
    context.next_pass()
    assert "bronze.feedback" in erase.unfinished(context)
    erase.finished(context)
    assert erase.unfinished(context.next_pass()) == ()


def test_retention_finds_what_is_older(context: InMemoryContext) -> None:
    assert erase.ids_older_than(context, AT - timedelta(days=365)) == (MINE,)
    assert erase.ids_older_than(context, AT) == (MINE, OTHER)
    assert erase.ids_older_than(context, AT - timedelta(days=500)) == ()


@pytest.mark.parametrize("spelling", ["Asha R.", "ASHA R.", "  asha r. ", "Ａsha R."])
def test_every_spelling_of_one_author_is_found(context: InMemoryContext, spelling: str) -> None:
    assert erase.ids_of_author(context, spelling) == (MINE,)


def test_an_unknown_author_has_nothing(context: InMemoryContext) -> None:
    assert erase.ids_of_author(context, "Nobody") == ()


def test_refine_no_longer_compares_with_the_text(context: InMemoryContext) -> None:
    memory = DuplicateMemory()
    memory.link(
        feedback_ids=pa.array([MINE, OTHER]),
        texts=pa.array(
            [
                f"{WORDS} three days ago in the evening",
                "upi does not work since the last update came",
            ]
        ),
        times=pa.array([AT, AT], pa.timestamp("us", tz="UTC")),
        authors=pa.array(["a", "b"]),
    )
    for slot, blob in memory.changed().items():
        context.put_state(DUPLICATES_STATES[slot], blob, scope="shop-app")
    context.next_pass()
    erase.erase(context, [MINE], by="mia", request="id")
    blob = context.next_pass().state(DUPLICATES_STATES[0], scope="shop-app")
    assert blob is not None
    table = pa.ipc.open_stream(blob).read_all()
    assert table.column("feedback_id").to_pylist() == [OTHER]
    assert "money" not in str(table.to_pylist())
