"""How sure a theme is as a whole: from pairs of its texts that people judged."""

from __future__ import annotations

from collections.abc import Collection

from closeloop.domain.review import LabelKind
from closeloop.ports import StepContext, only_if_in
from closeloop.stats.calibration import AUDIT_PAIRS, audited_share
from closeloop.tables import ASSIGNMENT

SAME = "same"


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
