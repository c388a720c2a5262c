"""Themes of live signals get a name that their texts bear; a person's name sticks, owners stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from closeloop.ports import ThemeTexts
from closeloop.stages import brief
from closeloop.tables import BRIEF, FEEDBACK, SIGNAL, THEME
from closeloop.testing.context import InMemoryContext

NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
TEXTS = ("card payment fails", "payment fails again", "paying by card fails")


class Namer:
    """Names every theme so, and remembers what it was shown."""

    name = "scripted"

    def __init__(self, given: str | None) -> None:
        self._given = given
        self.asked: list[ThemeTexts] = []

    def names(self, themes: Sequence[ThemeTexts]) -> list[str | None]:
        self.asked += themes
        return [self._given] * len(themes)


def signal_row(**more: Any) -> dict[str, Any]:
    return {
        "signal_id": "s1", "product": "shop-app", "kind": "theme", "series_id": "t1",
        "theme_id": "t1", "category": "payment failure", "window_start": NOON - timedelta(hours=6),
        "window_end": NOON, "count": 3, "baseline": 1.0, "ratio": 3.0, "count_6h": 3,
        "baseline_6h": 0.5, "detector": "d", "evidence": 9.0, "threshold": 5.0, "family_size": 3,
        "fdr_pass": True, "severity": "P2", "severity_terms": [], "historic": False,
        "feedback_ids": ["r0", "r1", "r2"], "detected_at": NOON,
    } | more  # fmt: skip


def seeded(namer: Namer | None, theme: dict[str, Any], **signal: Any) -> InMemoryContext:
    context = InMemoryContext(now=NOON, theme_namer=namer)
    context.append(
        FEEDBACK,
        FEEDBACK.from_rows(
            {"feedback_id": f"r{n}", "revision": 1, "product": "shop-app", "text": text,
             "masker": None if n == 2 else "m1", "event_time": NOON - timedelta(hours=n + 1)}
            for n, text in enumerate(TEXTS)
        ),
    )  # fmt: skip
    row = {
        "theme_id": "t1", "product": "shop-app", "label": "card, fails", "words": "card, fails",
        "representative_ids": ["r1"], "named_by_person": False, "content_free": False,
    } | theme  # fmt: skip
    context.append(THEME, THEME.from_rows([row]))
    context.append(SIGNAL, SIGNAL.from_rows([signal_row(**signal)]))
    return context.as_step("brief")


def named(context: InMemoryContext) -> dict[str, Any]:
    brief.run(context)
    (row,) = context.rows(THEME).to_pylist()
    return dict(row)


def test_the_theme_of_a_live_signal_is_named_before_it_is_briefed() -> None:
    namer = Namer("card payment fails")
    context = seeded(namer, {})
    row = named(context)
    assert (row["label"], row["named_by"], row["words"]) == (
        "card payment fails", "scripted", "card, fails",
    )  # fmt: skip
    assert namer.asked == [
        ThemeTexts("shop-app", ("payment fails again", "card payment fails"), ("r1", "r0"))
    ]
    (written,) = context.rows(BRIEF).to_pylist()
    assert "card payment fails" in written["title"]
    assert written["problems"] == []
    brief.run(context.next_pass(now=NOON + timedelta(hours=1)))
    assert len(namer.asked) == 1


@pytest.mark.parametrize(
    ("theme", "signal"),
    [
        ({"label": "money gone", "named_by_person": True}, {}),
        ({"label": "card payment fails", "named_by": "earlier"}, {}),
        ({"content_free": True}, {}),
        ({}, {"historic": True}),
        ({}, {"theme_id": None, "kind": "category"}),
    ],
)
def test_nothing_is_asked_where_a_name_stands_or_nobody_needs_one(
    theme: dict[str, Any], signal: dict[str, Any]
) -> None:
    namer = Namer("something else")
    context = seeded(namer, theme, **signal)
    before = context.rows(THEME).to_pylist()
    named(context)
    assert namer.asked == []
    assert context.rows(THEME).to_pylist() == before


@pytest.mark.parametrize("namer", [None, Namer(None)])
def test_without_a_name_the_words_stay(namer: Namer | None) -> None:
    row = named(seeded(namer, {}))
    assert (row["label"], row["named_by"]) == ("card, fails", None)


def test_a_model_s_name_chooses_no_owner() -> None:
    plain = seeded(None, {}, category=None)
    lured = seeded(Namer("parcel delivery courier login payment"), {}, category=None)
    for context in (plain, lured):
        brief.run(context)
    (one,), (other,) = (c.rows(BRIEF).to_pylist() for c in (plain, lured))
    assert one["recommended_owner"] == other["recommended_owner"]
