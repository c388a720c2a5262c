"""A new issue within a theme emerges as its child, and is kept where its share rises."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from closeloop.domain.review import CorrectionKind, ThemeCorrection
from closeloop.ports import Progress, Vectors
from closeloop.stages import embed, theme
from closeloop.stages.theme_emerging import DECIDE_AFTER, DROPPED, EMERGED, KEPT
from closeloop.stages.theme_memory import ThemeMemory
from closeloop.stages.theme_recall import MEMORY, forget
from closeloop.tables import ASSIGNMENT, ENRICHMENT, FEEDBACK, THEME
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
SUBJECTS = ("pay", "login", "slow", "fees", "cards", "alerts", "chat", "limits", "export", "rates")


class PlaneEmbedder:
    """Places a text at its subject (first word), or beside it: "pay-refund" is near "pay"."""

    model_id = "plane"
    dimensions = 48

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return unit vectors; the last word seeds the noise."""
        rows = []
        for text in texts:
            subject, _, beside = text.split()[0].partition("-")
            noise = np.random.default_rng(list(text.encode())).normal(size=self.dimensions)
            row = (0.05 if beside else 0.13) * noise
            row[SUBJECTS.index(subject)] += 1.0
            if beside:
                row[len(SUBJECTS)] += 1.4
            rows.append(row / np.linalg.norm(row))
        return np.asarray(rows, np.float32)


class Shop:
    """A product whose customers write; every turn is an hour after the last."""

    def __init__(self, among: dict[int, str] | None = None) -> None:
        config = replace(example_configuration(), theme_min_texts=30)
        self.context = InMemoryContext(config=config, now=NOON, embedder=PlaneEmbedder())
        self._numbers: Iterator[int] = iter(range(100_000))
        first = [f"{s} t{i}" for i in range(60) for s in SUBJECTS]
        for place, text in sorted((among or {}).items()):
            first.insert(place, text)
        self.hear(first)

    def hear(self, texts: list[str], *, after: timedelta = timedelta(hours=1)) -> list[str]:
        """Let texts arrive; return their ids."""
        context = self.context.next_pass(now=self.context.now + after)
        rows: list[dict[str, Any]] = [
            {
                "feedback_id": f"f{next(self._numbers):05d}",
                "revision": 1,
                "product": "wallet",
                "event_time": context.now - timedelta(seconds=len(texts) - i),
                "text": text,
                "masker": "1",
            }
            for i, text in enumerate(texts)
        ]
        said = {"sentiment": 0.9, "category": "payment failure", "content_free": False}
        context.as_step("refine").append(FEEDBACK, FEEDBACK.from_rows(rows))
        embed.run(context.as_step(embed.NAME))
        context.as_step("enrich").append(ENRICHMENT, ENRICHMENT.from_rows([r | said for r in rows]))
        theme.run(context.as_step(theme.NAME))
        return [row["feedback_id"] for row in rows]

    def assigned(self) -> dict[str, str | None]:
        return {r["feedback_id"]: r["theme_id"] for r in self.context.rows(ASSIGNMENT).to_pylist()}

    def themes(self) -> dict[str, dict[str, Any]]:
        return {r["theme_id"]: r for r in self.context.rows(THEME).to_pylist()}

    def children(self) -> list[dict[str, Any]]:
        return [row for row in self.themes().values() if row["split_from"]]

    def audited(self, action: str) -> list[tuple[str, str]]:
        return [
            (e.subject, e.detail) for e in self.context.ops.audit_entries() if e.action == action
        ]

    def memory(self) -> ThemeMemory:
        return ThemeMemory.from_bytes(self.context.state(MEMORY, scope="wallet") or b"")


def _ordinary(turn: int, each: int = 2) -> list[str]:
    return [f"{s} o{turn}-{i}" for i in range(each) for s in SUBJECTS]


@pytest.fixture
def shop() -> Shop:
    return Shop()


def _emerged(shop: Shop) -> tuple[dict[str, Any], list[str]]:
    ids = shop.hear([*_ordinary(0), *(f"pay-refund n{i}" for i in range(6))])
    (child,) = shop.children()
    return child, ids[-6:]


def test_like_texts_at_the_edge_of_a_theme_emerge_as_its_child(shop: Shop) -> None:
    sizes = {name: row["size"] for name, row in shop.themes().items()}
    before = shop.assigned()
    child, new = _emerged(shop)
    assert child["emerging"]
    assert child["born_at"] == shop.context.now
    now = shop.assigned()
    assert {now[i] for i in new} == {child["theme_id"]}
    assert {i: now[i] for i in before} == before, "no earlier text has moved"
    parent = child["split_from"]
    assert shop.themes()[parent]["size"] == sum(name == parent for name in now.values())
    assert shop.themes()[parent]["size"] >= sizes[parent]
    assert [s for s, _ in shop.audited(EMERGED)] == [child["theme_id"]]
    formed = {
        r["feedback_id"]: r["formed_theme"] for r in shop.context.rows(ASSIGNMENT).to_pylist()
    }
    assert all(formed[i] for i in new), "what formed it is no evidence for it"


def test_ordinary_texts_let_nothing_emerge(shop: Shop) -> None:
    for turn in range(4):
        shop.hear(_ordinary(turn, each=5))
    assert not shop.children()


def test_texts_that_were_always_there_let_nothing_emerge() -> None:
    old = {place: f"pay-refund old{place}" for place in (1, 200, 400)}
    shop = Shop(old)
    now = shop.assigned()
    pay = {now["f00000"]}
    assert {now[f"f{place:05d}"] for place in old} == pay, "the old ones are part of a theme"
    shop.hear([*_ordinary(0), *(f"pay-refund n{i}" for i in range(4))])
    assert not shop.children()


def test_a_child_whose_share_rises_is_kept(shop: Shop) -> None:
    child, _ = _emerged(shop)
    for turn in range(1, 5):
        shop.hear([*_ordinary(turn), *(f"pay-refund m{turn}-{i}" for i in range(6))])
    shop.hear(_ordinary(9), after=DECIDE_AFTER)
    row = shop.themes()[child["theme_id"]]
    assert not row["emerging"]
    assert row["merged_into"] is None
    assert row["size"] >= 30
    assert [s for s, _ in shop.audited(KEPT)] == [child["theme_id"]]


def test_a_child_that_does_not_grow_goes_back_into_its_parent(shop: Shop) -> None:
    child, new = _emerged(shop)
    for turn in range(1, 5):
        shop.hear(_ordinary(turn, each=8))
    shop.hear(_ordinary(9), after=DECIDE_AFTER)
    row = shop.themes()[child["theme_id"]]
    assert row["merged_into"] == child["split_from"]
    assert not row["emerging"]
    now = shop.assigned()
    assert {now[i] for i in new} == {child["split_from"]}
    assert shop.themes()[child["split_from"]]["size"] == sum(
        name == child["split_from"] for name in now.values()
    )
    ((subject, detail),) = shop.audited(DROPPED)
    assert subject == child["theme_id"]
    assert child["split_from"] in detail


def test_nothing_is_decided_early_or_on_few_texts(shop: Shop) -> None:
    child, _ = _emerged(shop)
    shop.hear(_ordinary(1, each=8), after=timedelta(days=2))
    assert shop.themes()[child["theme_id"]]["emerging"]
    quiet = Shop()
    child, _ = _emerged(quiet)
    quiet.hear(_ordinary(1, each=1), after=DECIDE_AFTER)
    assert quiet.themes()[child["theme_id"]]["emerging"]


def test_a_child_that_a_person_named_stays(shop: Shop) -> None:
    child, _ = _emerged(shop)
    shop.context.ops.put_correction(
        ThemeCorrection(
            "c1",
            CorrectionKind.NAME,
            child["theme_id"],
            target="refunds",
            feedback_ids=(),
            made_by="ann",
            made_at=NOON,
        )
    )
    for turn in range(1, 5):
        shop.hear(_ordinary(turn, each=8))
    shop.hear(_ordinary(9), after=DECIDE_AFTER)
    row = shop.themes()[child["theme_id"]]
    assert (row["label"], row["emerging"], row["merged_into"]) == ("refunds", False, None)


def test_edge_texts_survive_storage_and_erasure(shop: Shop) -> None:
    ids = shop.hear([f"pay-refund n{i}" for i in range(2)])
    memory = shop.memory()
    assert memory.novel is not None
    assert set(ids) <= set(memory.novel.ids)
    assert len(memory.novel.ids) == len(memory.novel_of)
    forget(shop.context.as_step("erase"), [ids[0]])
    memory = shop.memory()
    assert memory.novel is not None
    assert ids[0] not in memory.novel.ids
    assert ids[1] in memory.novel.ids
    assert len(memory.novel.ids) == len(memory.novel_of)


def test_a_merger_takes_the_edge_texts_along(shop: Shop) -> None:
    (first, _) = shop.hear([f"pay-refund n{i}" for i in range(2)])
    memory = shop.memory()
    owner = shop.assigned()[first] or ""
    other = next(name for name in memory.ids if name != owner)
    assert owner in memory.novel_of
    memory.merge(owner, into=other)
    assert owner not in memory.novel_of
    assert other in memory.novel_of
