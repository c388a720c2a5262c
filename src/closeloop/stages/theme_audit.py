"""How sure a theme is as a whole: from pairs of its texts that people, or a model, judged."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

from closeloop.domain.review import LabelKind, PairAnswer
from closeloop.ports import PairJudge, StepContext, only_if_in
from closeloop.stages.asked_texts import asked_texts
from closeloop.stats.calibration import AUDIT_PAIRS, audited_share
from closeloop.tables import ASSIGNMENT

SAME = "same"

JUDGED = "theme.audit"
"""State: what a model said of the pairs of each theme, as counts."""
ASKED_PAIRS = 16
"""Pairs that a model is asked about a theme, in one request."""
ROUNDS = 2
"""Requests a theme at most: the second where some may not leave, or stayed unsure."""
GROWN = 1.5
"""A theme is judged anew when its signal counts so many times the texts it had, or so much fewer."""
MAX_JUDGED = 1_000
"""Themes whose figures are kept, the newest ones."""
DRAWN_FROM = 200
"""Newest texts of a signal that pairs are drawn from."""

Judged = dict[str, dict[str, Any]]


def theme_shares(context: StepContext, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the audited share of the themes of signals (rows of gold.signal), where there is one.

    What people judged counts; a theme of a live signal without it is judged by the model, where one
    is configured, on pairs of the signal's texts. Only counts of its answers are kept.
    """
    wanted = {row["theme_id"] for row in rows if row.get("theme_id")}
    found = audited_themes(context, wanted)
    blob = context.state(JUDGED)
    held: Judged = json.loads(blob) if blob else {}
    judge = context.pair_judge
    if judge is not None:
        live = [r for r in rows if r.get("theme_id") in wanted - set(found) and not r["historic"]]
        fresh = _judge(context, judge, [r for r in live if _is_due(r, held.get(r["theme_id"]))])
        if fresh:
            newest = list((held | fresh).items())[-MAX_JUDGED:]
            held = dict(newest)
            context.put_state(JUDGED, json.dumps(held).encode())
    by_model = {
        theme_id: audited_share(same=one["same"], pairs=one["pairs"])
        for theme_id, one in held.items()
        if theme_id in wanted and one["pairs"] >= AUDIT_PAIRS
    }
    return by_model | found


def _is_due(row: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    if before is None:
        return True
    return not before["texts"] / GROWN < row["count"] < GROWN * before["texts"]


def _judge(context: StepContext, judge: PairJudge, rows: Sequence[Mapping[str, Any]]) -> Judged:
    """Ask about pairs of each theme's texts; return the counts of those that were answered."""
    drawn = {row["theme_id"]: _pairs(context, row) for row in rows}
    texts = asked_texts(context, {i for pairs in drawn.values() for pair in pairs for i in pair})
    fresh: Judged = {}
    for row in rows:
        held = [
            (texts[one], texts[other])
            for one, other in drawn[row["theme_id"]]
            if one in texts and other in texts
        ]
        answers: list[PairAnswer] = []
        while len(held) >= AUDIT_PAIRS - len(answers) > 0:
            heard = [a for a in judge.judge(held[:ASKED_PAIRS]) if a is not PairAnswer.UNSURE]
            answers.extend(heard)
            held = held[ASKED_PAIRS:]
            if not heard:
                break
        context.count("theme pairs judged", len(answers))
        # None at all: the model could not be asked, and may be next time.
        if answers:
            fresh[row["theme_id"]] = {
                "same": answers.count(PairAnswer.SAME),
                "pairs": len(answers),
                "texts": row["count"],
                "judge": judge.name,
            }
    return fresh


def _pairs(context: StepContext, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return random pairs of a signal's texts, the same ones each time."""
    ids = sorted(set((row["feedback_ids"] or ())[-DRAWN_FROM:]))
    pairs = list(combinations(ids, 2))
    drawn = random.Random(f"{context.config.seed}{row['theme_id']}")  # noqa: S311
    return drawn.sample(pairs, min(ROUNDS * ASKED_PAIRS, len(pairs)))


def audited_themes(context: StepContext, theme_ids: Collection[str]) -> dict[str, float]:
    """Return the audited share of those themes of which at least AUDIT_PAIRS pairs were judged.

    A pair counts while both texts are in the theme.
    """
    if not theme_ids:
        return {}
    judged = [label for label in context.ops.labels(LabelKind.PAIR) if len(label.subject) == 2]
    if len(judged) < AUDIT_PAIRS:
        return {}
    wanted = sorted({i for label in judged for i in label.subject})
    rows = context.rows(
        ASSIGNMENT,
        columns=["feedback_id", "theme_id"],
        where=[only_if_in("feedback_id", wanted), only_if_in("theme_id", theme_ids)],
    )
    theme_of = dict(
        zip(
            rows.column("feedback_id").to_pylist(), rows.column("theme_id").to_pylist(), strict=True
        )
    )
    counts: dict[str, list[int]] = {}
    for label in judged:
        one, other = (theme_of.get(i) for i in label.subject)
        if one is not None and one == other:
            held = counts.setdefault(one, [0, 0])
            held[0] += label.value == SAME
            held[1] += 1
    return {
        theme_id: audited_share(same=same, pairs=pairs)
        for theme_id, (same, pairs) in counts.items()
        if pairs >= AUDIT_PAIRS
    }
