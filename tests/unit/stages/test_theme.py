"""Complaints fall into themes that keep their ids; people's corrections stick."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeloop.domain.review import CorrectionKind, Label, LabelKind, ThemeCorrection
from closeloop.stages import embed, theme
from closeloop.stages.theme_memory import FORMAT, MAX_WAITING, ThemeMemory, Waiting
from closeloop.stages.theme_recall import MEMORY, forget
from closeloop.tables import ASSIGNMENT, ENRICHMENT, FEEDBACK, THEME
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext
from closeloop.testing.embedders import HashedWordEmbedder

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
SUBJECTS = {
    "pay": "upi payment failed money debited bank refund",
    "login": "login otp password blocked account verify",
    "slow": "screen freezes slow loading lag crash",
}
NEW = "widget calendar sync broken timezone"


def _texts(subject: str, count: int, *, seed: int = 1) -> list[str]:
    words = subject.split()
    draw = np.random.default_rng([seed, len(words), len(subject)])
    return [" ".join(draw.permutation(words)[: len(words) - 1]) + f" n{i}" for i in range(count)]


def _mixed(each: int, *, seed: int = 1) -> list[str]:
    by_subject = [_texts(s, each, seed=seed) for s in SUBJECTS.values()]
    return [text for three in zip(*by_subject, strict=True) for text in three]


def _context(**changes: Any) -> InMemoryContext:
    config = replace(example_configuration(), theme_min_texts=30, **changes)
    return InMemoryContext(config=config, now=NOON, embedder=HashedWordEmbedder(dimensions=512))


def _feed(
    context: InMemoryContext,
    texts: list[str],
    *,
    start: int = 0,
    product: str = "wallet",
    **enrichment: Any,
) -> None:
    rows = [
        {
            "feedback_id": f"f{start + i:05d}",
            "revision": 1,
            "product": product,
            "event_time": context.now - timedelta(minutes=len(texts) - i),
            "text": text,
            "masker": "1",
        }
        for i, text in enumerate(texts)
    ]
    said = {"sentiment": 0.9, "category": "payment failure", "content_free": False} | enrichment
    context.as_step("refine").append(FEEDBACK, FEEDBACK.from_rows(rows))
    embed.run(context.as_step(embed.NAME))
    context.as_step("enrich").append(ENRICHMENT, ENRICHMENT.from_rows([r | said for r in rows]))
    theme.run(context.as_step(theme.NAME))


def _assigned(context: InMemoryContext) -> dict[str, dict[str, Any]]:
    return {r["feedback_id"]: r for r in context.rows(ASSIGNMENT).to_pylist()}


def _themes(context: InMemoryContext) -> dict[str, dict[str, Any]]:
    return {r["theme_id"]: r for r in context.rows(THEME).to_pylist()}


def _later(context: InMemoryContext, **delta: float) -> InMemoryContext:
    return context.next_pass(now=context.now + timedelta(**delta))


def test_texts_wait_until_there_are_enough_for_themes() -> None:
    context = _context()
    _feed(context, _mixed(4))
    assert {r["theme_id"] for r in _assigned(context).values()} == {None}
    assert not _themes(context)
    _feed(_later(context, hours=1), _mixed(16, seed=2), start=100)
    rows = _assigned(context)
    assert len(rows) == 60
    assert sum(r["theme_id"] is not None for r in rows.values()) > 50
    assert rows["f00000"]["theme_id"] is not None, "what waited takes part in the clustering"


def test_themes_hold_one_subject_with_label_size_and_representatives() -> None:
    context = _context()
    texts = _mixed(20)
    _feed(context, texts)
    rows, themes = _assigned(context), _themes(context)
    for name, row in themes.items():
        members = [i for i, r in rows.items() if r["theme_id"] == name]
        subjects = {int(i[1:]) % 3 for i in members}
        assert len(subjects) == 1
        words = list(SUBJECTS.values())[subjects.pop()].split()
        assert set(row["label"].split(", ")) <= set(words)
        assert row["size"] == len(members)
        assert set(row["representative_ids"]) <= set(members)
        assert row["born_at"] == NOON
        assert row["first_seen"] < row["last_seen"] <= NOON
        assert row["merged_into"] is None
    themed = [r for r in rows.values() if r["theme_id"]]
    assert all(r["formed_theme"] and 0 < r["theme_confidence"] < 1 for r in themed)
    assert all("uncalibrated" in r["model"] for r in themed)


def test_a_later_text_joins_its_theme_and_no_id_changes() -> None:
    context = _context()
    _feed(context, _mixed(20))
    before, themes = _assigned(context), _themes(context)
    _feed(_later(context, hours=1), [SUBJECTS["pay"]], start=500)
    after = _assigned(context)
    joined = after.pop("f00500")
    assert joined["theme_id"] in themes
    assert not joined["formed_theme"]
    assert {i: r["theme_id"] for i, r in before.items()} == {
        i: r["theme_id"] for i, r in after.items()
    }
    assert _themes(context)[joined["theme_id"]]["size"] == themes[joined["theme_id"]]["size"] + 1


def test_three_alike_found_a_new_theme_over_several_passes() -> None:
    context = _context()
    _feed(context, _mixed(20))
    known = set(_themes(context))
    for hour, text in enumerate([NEW, NEW + " again", NEW + " too"]):
        assert set(_themes(context)) == known
        _feed(_later(context, hours=1), [text], start=600 + hour)
    rows = _assigned(context)
    (born,) = set(_themes(context)) - known
    assert [rows[f"f{600 + i:05d}"]["theme_id"] for i in range(3)] == [born] * 3
    assert all(rows[f"f{600 + i:05d}"]["formed_theme"] for i in range(3))
    assert set(_themes(context)[born]["label"].split(", ")) <= set(NEW.split())


@pytest.mark.parametrize(
    "said",
    [
        {"category": "praise"},
        {"sentiment": 0.1},
        {"content_free": True},
        {"category": "unknown", "sentiment": 0.4},
    ],
)
def test_what_is_no_complaint_takes_no_part(said: dict[str, Any]) -> None:
    context = _context()
    _feed(context, _mixed(20), **said)
    assert not _assigned(context)


def test_clearly_negative_texts_of_no_category_do() -> None:
    context = _context()
    _feed(context, _mixed(20), category="unknown", sentiment=0.8)
    assert _themes(context)


def test_themes_belong_to_one_product() -> None:
    context = _context()
    _feed(context, _mixed(20))
    _feed(context, _mixed(20), start=1_000, product="shop-app")
    rows, themes = _assigned(context), _themes(context)
    assert all(
        themes[r["theme_id"]]["product"] == r["product"] for r in rows.values() if r["theme_id"]
    )
    assert {t["product"] for t in themes.values()} == {"wallet", "shop-app"}


def test_duplicates_and_earlier_revisions_are_no_members() -> None:
    context = _context()
    row = {"feedback_id": "f1", "product": "wallet", "event_time": NOON, "masker": "1"}
    rows = [
        row | {"revision": 1, "text": "upi payment failed"},
        row | {"revision": 2, "text": "login blocked"},
        row | {"feedback_id": "f2", "revision": 1, "text": "upi payment failed", "duplicate_of": "f1"},
    ]  # fmt: skip
    context.append(FEEDBACK, FEEDBACK.from_rows(rows))
    embed.run(context.as_step(embed.NAME))
    said = {"sentiment": 0.9, "category": "payment failure", "content_free": False}
    context.as_step("enrich").append(ENRICHMENT, ENRICHMENT.from_rows([r | said for r in rows]))
    theme.run(context.as_step(theme.NAME))
    assert [(r["feedback_id"], r["revision"]) for r in context.rows(ASSIGNMENT).to_pylist()] == [
        ("f1", 2)
    ]


def test_a_reclassification_moves_nothing() -> None:
    context = _context()
    _feed(context, _mixed(20))
    before = context.rows(ASSIGNMENT)
    again = context.as_step("enrich")
    again.merge(ENRICHMENT, context.rows(ENRICHMENT))
    theme.run(context.as_step(theme.NAME))
    assert context.rows(ASSIGNMENT).equals(before)


def test_the_same_rows_give_the_same_themes() -> None:
    answers = []
    for _ in range(2):
        context = _context()
        _feed(context, _mixed(20))
        _feed(_later(context, hours=1), [*_texts(NEW, 5), *_mixed(3, seed=4)], start=800)
        blob = context.state(MEMORY, scope="wallet")
        answers.append((context.rows(ASSIGNMENT), context.rows(THEME), blob))
    assert answers[0] == answers[1]


def _correct(context: InMemoryContext, kind: CorrectionKind, theme_id: str, **more: Any) -> None:
    values = {"target": "", "feedback_ids": ()} | more
    correction = ThemeCorrection(
        f"c-{kind}-{theme_id}", kind, theme_id, made_by="ann", made_at=NOON, **values
    )
    context.ops.put_correction(correction)
    theme.run(context.next_pass())


def test_a_merger_sticks_for_old_and_new_texts() -> None:
    context = _context()
    _feed(context, _mixed(20))
    rows = _assigned(context)
    one, into = rows["f00000"]["theme_id"], rows["f00001"]["theme_id"]
    sizes = {name: row["size"] for name, row in _themes(context).items()}
    _correct(context, CorrectionKind.MERGE, one, target=into)
    themes = _themes(context)
    assert themes[one]["merged_into"] == into
    assert themes[into]["size"] == sizes[one] + sizes[into]
    assert one not in {r["theme_id"] for r in _assigned(context).values()}
    _feed(_later(context, hours=1), [SUBJECTS["pay"]], start=900)
    assert _assigned(context)["f00900"]["theme_id"] in set(themes) - {one}
    _correct(context, CorrectionKind.NAME, one, target="money gone")
    assert _themes(context)[into]["label"] == "money gone"
    assert _themes(context)[into]["named_by_person"]


def test_a_split_gives_its_texts_a_theme_of_their_own() -> None:
    context = _context()
    odd = [f"{text} invoice tax" for text in _texts(SUBJECTS["pay"], 4, seed=9)]
    _feed(context, [*_mixed(20), *odd])
    rows = _assigned(context)
    theme_id = rows["f00060"]["theme_id"]
    leaving = tuple(i for i, r in rows.items() if r["theme_id"] == theme_id and i >= "f00060")
    size = _themes(context)[theme_id]["size"]
    _correct(context, CorrectionKind.SPLIT, theme_id, feedback_ids=leaving)
    (born,) = [t for t in _themes(context).values() if t["split_from"] == theme_id]
    moved = _assigned(context)
    assert {moved[i]["theme_id"] for i in leaving} == {born["theme_id"]}
    assert born["size"] == len(leaving)
    assert _themes(context)[theme_id]["size"] == size - len(leaving)
    assert "invoice" in born["label"] or "tax" in born["label"]
    _feed(_later(context, hours=1), [odd[0]], start=950)
    assert _assigned(context)["f00950"]["theme_id"] == born["theme_id"]


def test_a_correction_is_applied_once() -> None:
    context = _context()
    _feed(context, _mixed(20))
    theme_id = _assigned(context)["f00000"]["theme_id"]
    _correct(context, CorrectionKind.NAME, theme_id, target="money gone")
    before = context.rows(THEME)
    theme.run(context.next_pass())
    assert "corrections applied" not in context.counts
    assert context.rows(THEME).equals(before)


def test_memory_that_is_lost_is_rebuilt_from_the_tables() -> None:
    context = _context()
    _feed(context, _mixed(20))
    themes = set(_themes(context))
    kept = ThemeMemory.from_bytes(context.state(MEMORY, scope="wallet") or b"")
    forget(context.as_step("erase"), ["f00000"])
    assert not ThemeMemory.from_bytes(context.state(MEMORY, scope="wallet") or b"").sums.any()
    context.delete(ASSIGNMENT, [("feedback_id", "=", "f00000")])
    _feed(_later(context, hours=1), [SUBJECTS["pay"]], start=900)
    assert set(_themes(context)) == themes
    assert _assigned(context)["f00900"]["theme_id"] in themes
    rebuilt = ThemeMemory.from_bytes(context.state(MEMORY, scope="wallet") or b"")
    assert rebuilt.sizes.sum() == kept.sizes.sum(), "one was erased, one is new"
    assert rebuilt.frame.mu == kept.frame.mu


def test_a_memory_of_another_format_is_made_anew_and_forgotten_on_request() -> None:
    context = _context()
    _feed(context, _mixed(20))
    themes = set(_themes(context))
    held = dict(np.load(io.BytesIO(context.state(MEMORY, scope="wallet") or b"")))
    assert int(held["format"]) == FORMAT
    other = io.BytesIO()
    np.savez(other, **{**held, "format": np.array(FORMAT + 1)})
    context.put_state(MEMORY, other.getvalue(), scope="wallet")
    _feed(_later(context, hours=1), [SUBJECTS["pay"]], start=900)
    assert set(_themes(context)) == themes
    assert _assigned(context)["f00900"]["theme_id"] in themes
    assert ThemeMemory.held(context.state(MEMORY, scope="wallet")) is not None
    context.put_state(MEMORY, other.getvalue(), scope="wallet")
    assert forget(context.as_step("erase"), ["f00000"]) == 1
    assert context.state(MEMORY, scope="wallet") == b""


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.sets(st.integers(1, 23), max_size=5))
def test_however_later_texts_are_cut_into_batches_each_finds_the_same_theme(
    cuts: set[int],
) -> None:
    later = _mixed(8, seed=5)
    found = []
    for ends in ([len(later)], [*sorted(cuts), len(later)]):
        context, start = _context(), 0
        _feed(context, _mixed(20))
        for end in ends:
            _feed(_later(context, hours=1), later[start:end], start=500 + start)
            start = end
        found.append({i: row["theme_id"] for i, row in _assigned(context).items()})
    assert found[0] == found[1]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=6))
def test_the_texts_that_are_remembered_are_bounded(arrivals: list[int]) -> None:
    memory = ThemeMemory.held(_stored_memory())
    assert memory is not None
    for count in arrivals:
        ids = np.array([f"{i:032x}" for i in range(count)], object)
        numbers = np.arange(count)
        vectors = np.zeros((count, memory.sums.shape[1]), np.float32)
        memory.note_novel(Waiting(ids, numbers, numbers, vectors), [""] * count)
    assert memory.novel is not None or not arrivals
    kept = min(sum(arrivals), MAX_WAITING)
    assert len(memory.novel_of) == kept
    assert memory.novel is None or len(memory.novel.ids) == kept


@cache
def _stored_memory() -> bytes:
    context = _context()
    _feed(context, _mixed(20))
    return context.state(MEMORY, scope="wallet") or b""


def test_erased_texts_wait_no_longer() -> None:
    context = _context()
    _feed(context, _mixed(20))
    _feed(_later(context, hours=1), ["orchids bloom in purple"], start=60)
    memory = ThemeMemory.from_bytes(context.state(MEMORY, scope="wallet") or b"")
    assert "f00060" in memory.waiting.ids
    forget(context, ["f00060"])
    memory = ThemeMemory.from_bytes(context.state(MEMORY, scope="wallet") or b"")
    assert "f00060" not in memory.waiting.ids


def test_close_themes_are_proposed_once_and_never_merged_by_itself() -> None:
    context = _context()
    _feed(context, _mixed(20))
    blob = context.state(MEMORY, scope="wallet")
    memory = ThemeMemory.from_bytes(blob or b"")
    memory.sums[1] = memory.sums[0]
    memory.sizes[1] = memory.sizes[0]
    context.put_state(MEMORY, memory.to_bytes(), scope="wallet")
    for day in range(2):
        _feed(_later(context, days=1), [SUBJECTS["slow"]], start=700 + day)
    proposals = [e for e in context.ops.audit_entries() if e.action == "theme.propose_merge"]
    assert {(p.subject, p.detail) for p in proposals} == {tuple(sorted(memory.ids[:2]))}
    assert all(row["merged_into"] is None for row in _themes(context).values())


def test_judged_pairs_calibrate_the_confidence() -> None:
    context = _context()
    _feed(context, _mixed(40))
    rows = _assigned(context)
    by_theme: dict[str, list[str]] = {}
    for i, row in sorted(rows.items()):
        by_theme.setdefault(row["theme_id"] or "", []).append(i)
    pairs = [p for members in by_theme.values() for p in pairwise(members)]
    for number, pair in enumerate(pairs):
        value = "different" if number % 10 == 0 else "same"
        context.ops.put_label(
            Label(
                f"l{number}", LabelKind.PAIR, "wallet", None, pair, value, None, None, "ann", NOON
            )
        )
    _feed(_later(context, days=2), [SUBJECTS["pay"]], start=900)
    row = _assigned(context)["f00900"]
    assert "pairs" in row["model"]
    assert row["theme_confidence"] == pytest.approx(np.sqrt(0.9), abs=0.05)


def test_a_stranger_among_the_first_texts_waits() -> None:
    context = _context()
    _feed(context, [*_mixed(20), "orchids bloom in purple"])
    assert _assigned(context)["f00060"]["theme_id"] is None


def test_no_text_is_assigned_twice_and_sizes_match() -> None:
    context = _context()
    _feed(context, _mixed(8))
    _feed(_later(context, hours=1), [*_mixed(12, seed=2), *_texts(NEW, 3)], start=100)
    _feed(_later(context, hours=1), [*_mixed(2, seed=3), *_texts(NEW, 4, seed=5)], start=200)
    rows = context.rows(ASSIGNMENT).to_pylist()
    keys = [(r["feedback_id"], r["revision"]) for r in rows]
    assert len(set(keys)) == len(keys) == 73
    for name, row in _themes(context).items():
        assert row["size"] == sum(r["theme_id"] == name for r in rows)


def test_an_idle_pass_writes_nothing() -> None:
    context = _context()
    _feed(context, _mixed(20))
    theme.run(context.next_pass())
    assert not context.written
