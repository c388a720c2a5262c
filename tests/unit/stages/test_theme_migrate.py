"""Another embedding model takes over: themes keep their ids, and later texts find them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.domain.review import CorrectionKind, Label, LabelKind, ThemeCorrection
from closeloop.ports import Embedder
from closeloop.stages import embed, theme
from closeloop.stages.theme_look import CONFIDENCE
from closeloop.stages.theme_memory import ThemeMemory
from closeloop.stages.theme_migrate import ACTION, MEMBERS, migrate_themes, products_of, ranks
from closeloop.stages.theme_recall import MEMORY, forget
from closeloop.tables import ASSIGNMENT, EMBEDDING, ENRICHMENT, FEEDBACK, THEME
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext
from closeloop.testing.embedders import HashedWordEmbedder

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
OLD = HashedWordEmbedder(dimensions=512)
NEW = HashedWordEmbedder(dimensions=384, salt="other")
SUBJECTS = (
    "upi payment failed money debited bank refund",
    "login otp password blocked account verify",
    "screen freezes slow loading lag crash",
)
SAID = {"sentiment": 0.9, "category": "payment failure", "content_free": False}


def _texts(each: int, *, seed: int = 1) -> list[str]:
    draw = np.random.default_rng(seed)
    return [
        " ".join(draw.permutation(subject.split())[:5]) + f" n{seed}{i}"
        for i in range(each)
        for subject in SUBJECTS
    ]


def _context(embedder: Embedder = OLD) -> InMemoryContext:
    config = replace(example_configuration(), theme_min_texts=30)
    return InMemoryContext(config=config, now=NOON, embedder=embedder)


def _switch(context: InMemoryContext, embedder: Embedder) -> None:
    context.services.make_embedder = lambda: embedder


def _feed(context: InMemoryContext, texts: list[str], *, start: int = 0, hours: int = 0) -> None:
    context.next_pass(now=context.now + timedelta(hours=hours))
    rows = [
        {
            "feedback_id": f"f{start + i:05d}",
            "revision": 1,
            "product": "wallet",
            "event_time": context.now - timedelta(minutes=len(texts) - i),
            "text": text,
            "masker": "1",
        }
        for i, text in enumerate(texts)
    ]
    context.as_step("refine").append(FEEDBACK, FEEDBACK.from_rows(rows))
    embed.run(context.as_step(embed.NAME))
    context.as_step("enrich").append(ENRICHMENT, ENRICHMENT.from_rows([r | SAID for r in rows]))
    theme.run(context.as_step(theme.NAME))


def _theme_of(context: InMemoryContext) -> dict[str, str | None]:
    return {r["feedback_id"]: r["theme_id"] for r in context.rows(ASSIGNMENT).to_pylist()}


def _themes(context: InMemoryContext) -> dict[str, dict[str, Any]]:
    return {r["theme_id"]: r for r in context.rows(THEME).to_pylist()}


def _memory(context: InMemoryContext) -> ThemeMemory:
    return ThemeMemory.from_bytes(context.state(MEMORY, scope="wallet") or b"")


def _home(context: InMemoryContext, subject: int) -> str:
    """Return the theme that most of a subject's first texts are in."""
    held = [
        t for i, t in _theme_of(context).items() if int(i[1:]) < 60 and int(i[1:]) % 3 == subject
    ]
    ((name, count),) = Counter(held).most_common(1)
    assert name is not None
    assert count > 15
    return name


def test_new_texts_land_in_the_old_themes() -> None:
    context = _context()
    _feed(context, _texts(20))
    before, themes = _theme_of(context), _themes(context)
    homes = [_home(context, subject) for subject in range(3)]
    _switch(context, NEW)
    _feed(context, _texts(4, seed=2), start=900, hours=1)
    after = _theme_of(context)
    assert {i: t for i, t in after.items() if i < "f00900"} == before
    assert set(_themes(context)) == set(themes)
    for number in range(12):
        assert after[f"f{900 + number:05d}"] == homes[number % 3]
    for name, row in _themes(context).items():
        assert row["label"] == themes[name]["label"]
        assert row["size"] == sum(t == name for t in after.values())


def test_the_move_is_in_the_audit_log_and_happens_once() -> None:
    context = _context()
    _feed(context, _texts(20))
    _switch(context, NEW)
    theme.run(context.next_pass())
    (entry,) = [e for e in context.ops.audit_entries() if e.action == ACTION]
    assert entry.subject == "wallet"
    assert OLD.model_id in entry.detail
    assert NEW.model_id in entry.detail
    assert context.counts["themes moved to another model"] == len(_themes(context))
    theme.run(context.next_pass())
    assert not context.written
    assert len([e for e in context.ops.audit_entries() if e.action == ACTION]) == 1


def test_no_change_of_the_model_moves_nothing() -> None:
    context = _context()
    _feed(context, _texts(20))
    migrate_themes(context.next_pass())
    assert not context.written
    assert products_of(context) == ["wallet"]


def test_back_and_forth_ends_near_where_it_began() -> None:
    context = _context()
    _feed(context, _texts(20))
    first = _memory(context)
    for embedder in (NEW, OLD):
        _switch(context, embedder)
        theme.run(context.next_pass())
    again = _memory(context)
    assert again.ids == first.ids
    assert again.sizes.tolist() == first.sizes.tolist()
    assert ((again.centres * first.centres).sum(axis=1) > 0.98).all()
    assert again.frame.mu == pytest.approx(first.frame.mu, abs=0.05)


def test_names_and_mergers_stay() -> None:
    context = _context()
    _feed(context, _texts(20))
    pay, login = _home(context, 0), _home(context, 1)
    for number, (kind, target) in enumerate(
        [(CorrectionKind.NAME, "money gone"), (CorrectionKind.MERGE, login)]
    ):
        theme_id = login if kind is CorrectionKind.NAME else pay
        context.ops.put_correction(
            ThemeCorrection(f"c{number}", kind, theme_id, target, (), "ann", NOON)
        )
    theme.run(context.next_pass())
    _switch(context, NEW)
    _feed(context, [SUBJECTS[0], SUBJECTS[1]], start=900, hours=1)
    assert {_theme_of(context)[i] for i in ("f00900", "f00901")} == {login}
    row = _themes(context)[login]
    assert (row["label"], row["named_by_person"]) == ("money gone", True)


def test_a_merger_that_comes_with_the_new_model_is_applied_to_the_moved_themes() -> None:
    context = _context()
    _feed(context, _texts(20))
    pay, login = _home(context, 0), _home(context, 1)
    context.ops.put_correction(
        ThemeCorrection("c", CorrectionKind.MERGE, pay, login, (), "ann", NOON)
    )
    _switch(context, NEW)
    _feed(context, [SUBJECTS[0], SUBJECTS[2]], start=900, hours=1)
    assert _theme_of(context)["f00900"] == login
    assert _theme_of(context)["f00901"] == _home(context, 2)


def test_waiting_texts_found_a_theme_with_texts_of_the_new_model() -> None:
    context = _context()
    _feed(context, _texts(20))
    _feed(context, ["widget calendar sync broken", "widget calendar sync broken again"], start=60)
    assert _theme_of(context)["f00060"] is None
    _switch(context, NEW)
    _feed(context, ["widget calendar sync broken too"], start=62, hours=1)
    found = _theme_of(context)
    assert found["f00060"] == found["f00061"] == found["f00062"] is not None


def test_only_a_sample_of_a_large_theme_is_embedded_anew() -> None:
    context = _context()
    _feed(context, _texts(3 * MEMBERS))
    sizes = _memory(context).sizes.tolist()
    assert max(sizes) > 2 * MEMBERS
    _switch(context, NEW)
    theme.run(context.next_pass())
    of_new = context.rows(EMBEDDING, where=[("model", "=", NEW.model_id)])
    waiting = sum(t is None for t in _theme_of(context).values())
    assert of_new.num_rows == sum(min(size, MEMBERS) for size in sizes) + waiting
    keys = context.rows(EMBEDDING).column("feedback_id").to_pylist()
    assert len(keys) == len(set(keys)), "a revision has one vector"
    assert _memory(context).sizes.tolist() == sizes


def test_an_erasure_after_the_move_keeps_themes_and_sizes() -> None:
    context = _context()
    _feed(context, _texts(2 * MEMBERS))
    _switch(context, NEW)
    theme.run(context.next_pass())
    before = _memory(context)
    assert before.sizes.max() > MEMBERS + 10
    forget(context.as_step("erase"), ["f00000"])
    context.delete(ASSIGNMENT, [("feedback_id", "=", "f00000")])
    _feed(context, [SUBJECTS[0]], start=900, hours=1)
    after = _memory(context)
    assert set(after.ids) == set(before.ids)
    assert after.sizes.sum() == before.sizes.sum(), "one was erased, one is new"


def test_unmasked_and_erased_texts_are_not_embedded() -> None:
    context = _context()
    _feed(context, _texts(20))
    rows = context.rows(FEEDBACK).to_pylist()
    for row in rows[:3]:
        row["masker"] = None
    context.merge(FEEDBACK, FEEDBACK.from_rows(rows[:3]))
    context.delete(FEEDBACK, [("feedback_id", "=", "f00003")])
    _switch(context, NEW)
    theme.run(context.next_pass())
    of_new = context.rows(EMBEDDING, where=[("model", "=", NEW.model_id)])
    kept = set(of_new.column("feedback_id").to_pylist())
    assert not kept & {"f00000", "f00001", "f00002", "f00003"}
    assert len(kept) == 56


def test_a_theme_without_any_text_left_takes_none_and_keeps_its_id() -> None:
    context = _context()
    _feed(context, _texts(20))
    pay = _home(context, 0)
    for i, t in _theme_of(context).items():
        if t == pay:
            context.delete(FEEDBACK, [("feedback_id", "=", i)])
    _switch(context, NEW)
    theme.run(context.next_pass())
    memory = _memory(context)
    assert pay in memory.ids
    assert not memory.sums[memory.ids.index(pay)].any()
    _feed(context, [SUBJECTS[1]], start=900, hours=1)
    assert _theme_of(context)["f00900"] == _home(context, 1)


def test_judged_texts_follow_and_the_calibration_is_made_anew() -> None:
    context = _context()
    _feed(context, _texts(2 * MEMBERS))
    label = Label(
        "l", LabelKind.PAIR, "wallet", None, ("f00370", "f00371"), "same", None, None, "ann", NOON
    )
    context.ops.put_label(label)
    context.put_state(CONFIDENCE, json.dumps([10**18, 120, 2.0, 0.5]).encode())
    _switch(context, NEW)
    embed.run(context.as_step(embed.NAME))
    theme.run(context.as_step(theme.NAME))
    of_new = context.rows(EMBEDDING, where=[("model", "=", NEW.model_id)])
    assert {"f00370", "f00371"} <= set(of_new.column("feedback_id").to_pylist())
    assert json.loads(context.state(CONFIDENCE) or b"")[1:] == [0, 1.0, 0.0]


@given(st.lists(st.integers(0, 5), max_size=30))
def test_ranks_count_within_a_place(values: list[int]) -> None:
    places = np.sort(np.array(values, np.int64))
    seen: Counter[int] = Counter()
    for place, rank in zip(places.tolist(), ranks(places).tolist(), strict=True):
        assert rank == seen[place]
        seen[place] += 1
