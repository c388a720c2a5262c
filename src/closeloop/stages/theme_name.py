"""Names the themes that live signals are about, where a model is configured that may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closeloop.domain.signal import Signal
from closeloop.ports import StepContext, ThemeTexts, only_if_in
from closeloop.stages.asked_texts import asked_texts
from closeloop.tables import THEME

TEXTS_SHOWN = 8
"""Texts that a name is made from: the theme's central ones, then the signal's newest."""


def name_signal_themes(context: StepContext, signals: Sequence[Signal]) -> None:
    """Give the signals' themes names in place of their distinguishing words.

    A name that a person gave stays, and so does one that a model gave until the theme has grown into
    something else (theme_label). Where there is no name that the texts bear, the words stay.
    """
    namer = context.theme_namer
    about = {s.theme_id: s for s in signals if s.theme_id is not None}
    if namer is None or not about:
        return
    rows = [
        row
        for row in context.rows(THEME, where=[only_if_in("theme_id", about)]).to_pylist()
        if not row["named_by_person"] and not row["named_by"] and not row["content_free"]
    ]
    if not rows:
        return
    rows.sort(key=lambda row: str(row["theme_id"]))
    ids = [_shown(row, about[row["theme_id"]]) for row in rows]
    texts = asked_texts(context, {i for some in ids for i in some})
    asked = [
        ThemeTexts(
            product=row["product"],
            texts=tuple(texts[i] for i in some if i in texts),
            feedback_ids=tuple(i for i in some if i in texts),
        )
        for row, some in zip(rows, ids, strict=True)
    ]
    named = [
        {**row, "label": name, "named_by": namer.name}
        for row, name in zip(rows, namer.names(asked), strict=True)
        if name is not None
    ]
    context.count("themes named", len(named))
    context.count("themes that keep their words", len(rows) - len(named))
    if named:
        context.merge(THEME, THEME.from_rows(named))


def _shown(row: Mapping[str, Any], signal: Signal) -> list[str]:
    central, newest = row["representative_ids"] or (), reversed(signal.feedback_ids)
    return list(dict.fromkeys([*central, *newest]))[:TEXTS_SHOWN]
