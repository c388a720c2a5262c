"""A theme's own judged pairs say how sure it is, once there are enough."""

from datetime import UTC, datetime

from closeloop.domain.review import Label, LabelKind
from closeloop.stages.theme_audit import audited_themes
from closeloop.stats.calibration import AUDIT_PAIRS, audited_share
from closeloop.tables import ASSIGNMENT
from closeloop.testing.context import InMemoryContext

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def _judged(context: InMemoryContext, theme: str, pairs: int, *, different: int) -> None:
    rows = []
    for number in range(pairs):
        ids = (f"{theme}{number}a", f"{theme}{number}b")
        rows += [{"feedback_id": i, "revision": 1, "theme_id": theme} for i in ids]
        value = "different" if number < different else "same"
        context.ops.put_label(
            Label(
                f"{theme}{number}", LabelKind.PAIR, "p", None, ids, value, None, None, "ann", NOON
            )
        )
    context.append(ASSIGNMENT, ASSIGNMENT.from_rows(rows))


def test_enough_judged_pairs_give_a_theme_its_share() -> None:
    context = InMemoryContext()
    _judged(context, "big", AUDIT_PAIRS, different=3)
    _judged(context, "few", AUDIT_PAIRS - 1, different=0)
    share = audited_share(same=AUDIT_PAIRS - 3, pairs=AUDIT_PAIRS)
    assert audited_themes(context, ["big", "few"]) == {"big": share}
    assert audited_themes(context, ["other"]) == {}
    assert audited_themes(context, []) == {}


def test_a_pair_that_has_parted_counts_no_more() -> None:
    context = InMemoryContext()
    _judged(context, "big", AUDIT_PAIRS, different=0)
    moved = [{"feedback_id": "big0a", "revision": 1, "theme_id": "else"}]
    context.merge(ASSIGNMENT, ASSIGNMENT.from_rows(moved))
    assert audited_themes(context, ["big"]) == {}
