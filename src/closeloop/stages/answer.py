"""Takes a person's answers: approve, reject, edit; merge, split and name themes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace

from closeloop.domain.autonomy import NOT_AN_ISSUE, REAL, autonomy_category, series_key
from closeloop.domain.judgement import decision_id
from closeloop.domain.policy import Action, Decision
from closeloop.domain.review import (
    CorrectionKind,
    Label,
    LabelKind,
    ReviewItem,
    ReviewKind,
    ReviewStatus,
    ThemeCorrection,
)
from closeloop.domain.signal import Severity, Signal
from closeloop.domain.ticket import Ticket
from closeloop.errors import NotFoundError, UsageError, redact
from closeloop.ports import Operations, StepContext, only_if_in
from closeloop.stages.act import open_ticket
from closeloop.stages.signal_rows import signals_by_id
from closeloop.tables import ASSIGNMENT, DECISION, THEME


def find_review(ops: Operations, review_id: str) -> ReviewItem:
    """Return the review item whose id starts so. Raises NotFoundError where not exactly one does."""
    found = [r for r in ops.reviews() if r.review_id.startswith(review_id)]
    if len(found) != 1:
        problem = "no review item" if not found else f"{len(found)} review items"
        raise NotFoundError(
            f"{problem} with an id that starts with {redact(review_id)!r}",
            hint="'closeloop review' lists them",
        )
    return found[0]


def approve(
    context: StepContext,
    review_id: str,
    *,
    by: str,
    severity: Severity | None = None,
    owner: str | None = None,
    title: str | None = None,
) -> Ticket | None:
    """Say yes: a signal gets its ticket now, an outcome is accepted; return the ticket, if any.

    Severity, owner and title are the person's where given, else those of an earlier edit. Raises
    NotFoundError for an unknown id and UsageError where the item has been answered.
    """
    item = _open_item(context, review_id)
    ticket = None
    if item.kind is ReviewKind.SIGNAL:
        signal = _signal(context, item)
        decision = _approval(context, signal, by=by)
        if context.ops.put_decision(decision):
            context.merge(DECISION, DECISION.from_rows([asdict(decision)]))
        label_signal(context, signal, value=REAL, by=by)
        ticket = open_ticket(
            context,
            signal,
            decision_id=decision.decision_id,
            severity=severity or item.severity,
            owner=owner or item.owner,
            title=title or item.title,
        )
    _answered(context, item, ReviewStatus.APPROVED, by=by, reason=None)
    return ticket


def reject(context: StepContext, review_id: str, *, by: str, reason: str) -> ReviewItem:
    """Say no, with the reason: the signal is not decided again, its theme stays suppressed.

    Raises NotFoundError for an unknown id and UsageError without a reason or for an answered item.
    """
    item = _open_item(context, review_id)
    if not reason.strip():
        raise UsageError("a rejection needs a reason", hint="--reason 'known and accepted'")
    if item.kind is ReviewKind.SIGNAL:
        label_signal(context, _signal(context, item), value=NOT_AN_ISSUE, by=by)
    return _answered(context, item, ReviewStatus.REJECTED, by=by, reason=reason.strip())


def edit(
    context: StepContext,
    review_id: str,
    *,
    by: str,
    severity: Severity | None = None,
    owner: str | None = None,
    title: str | None = None,
) -> ReviewItem:
    """Correct what a ticket would say, without answering yet.

    Raises NotFoundError for an unknown id and UsageError for an answered item or no change.
    """
    item = _open_item(context, review_id)
    edited = replace(
        item,
        severity=severity or item.severity,
        owner=owner or item.owner,
        title=title or item.title,
    )
    if edited == item:
        raise UsageError("nothing to change", hint="give --title, --severity or --owner")
    context.ops.put_review(edited)
    context.ops.audit(
        actor=by, action="review.edit", subject=item.review_id, detail="", at=context.now
    )
    return edited


def label_signal(context: StepContext, signal: Signal, *, value: str, by: str) -> None:
    """Keep whether a signal was real. It counts for autonomy where a ticket would have opened."""
    claimed = any(
        d.would_ticket for d in context.ops.decisions() if d.signal_id == signal.signal_id
    )
    subject = (signal.signal_id, series_key(signal))
    context.ops.put_label(
        Label(
            label_id=label_id(LabelKind.TICKET, subject),
            kind=LabelKind.TICKET,
            product=signal.product,
            category=autonomy_category(signal),
            subject=subject,
            value=value,
            predicted=REAL if claimed else None,
            confidence=signal.confidence,
            made_by=by,
            made_at=context.now,
        )
    )


def label_id(kind: LabelKind, subject: Sequence[str]) -> str:
    """Return the id of judging that: a second judgement takes the place of the first."""
    return _hash(kind.value, *subject)


def merge_themes(context: StepContext, theme_id: str, *, into: str, by: str) -> ThemeCorrection:
    """Say that a theme is the same issue as another; every later run keeps to it.

    Raises NotFoundError for an unknown theme, UsageError for a theme and itself or two products.
    """
    one, other = _theme(context, theme_id), _theme(context, into)
    if one["theme_id"] == other["theme_id"]:
        raise UsageError("a theme can't be merged into itself", hint="name two themes")
    if one["product"] != other["product"]:
        raise UsageError(
            f"themes belong to one product: {one['product']} and {other['product']} differ",
            hint="merge themes of the same product",
        )
    return _correct(
        context, CorrectionKind.MERGE, one["theme_id"], target=other["theme_id"], ids=(), by=by
    )


def split_theme(
    context: StepContext, theme_id: str, *, feedback_ids: Sequence[str], by: str
) -> ThemeCorrection:
    """Say that these texts are another issue than their theme; every later run keeps to it.

    Raises NotFoundError for an unknown theme or a text that the theme does not hold.
    """
    theme = _theme(context, theme_id)
    wanted = sorted(set(feedback_ids))
    rows = context.rows(
        ASSIGNMENT,
        columns=["feedback_id"],
        where=[("theme_id", "=", theme["theme_id"]), only_if_in("feedback_id", wanted)],
    )
    missing = sorted(set(wanted) - set(rows.column("feedback_id").to_pylist()))
    if missing or not wanted:
        raise NotFoundError(
            f"theme {theme['theme_id']} does not hold {redact(', '.join(missing) or 'nothing')}",
            hint="name feedback ids of texts in the theme; 'closeloop query' finds them",
        )
    return _correct(
        context, CorrectionKind.SPLIT, theme["theme_id"], target="", ids=tuple(wanted), by=by
    )


def name_theme(context: StepContext, theme_id: str, *, name: str, by: str) -> ThemeCorrection:
    """Give a theme a name of people's own. Raises NotFoundError, UsageError for a blank name."""
    if not name.strip():
        raise UsageError("a theme's name can't be blank")
    theme = _theme(context, theme_id)
    return _correct(
        context, CorrectionKind.NAME, theme["theme_id"], target=name.strip(), ids=(), by=by
    )


def _open_item(context: StepContext, review_id: str) -> ReviewItem:
    item = find_review(context.ops, review_id)
    if item.status is not ReviewStatus.OPEN:
        raise UsageError(
            f"review item {item.review_id[:10]} was {item.status.value} by {item.decided_by}",
            hint="'closeloop review' lists the open ones",
        )
    return item


def _signal(context: StepContext, item: ReviewItem) -> Signal:
    signal = signals_by_id(context, [item.signal_id]).get(item.signal_id)
    if signal is None:
        raise NotFoundError(
            f"the signal {item.signal_id} of review item {item.review_id[:10]} is gone",
            hint="reject it, or restore the tables it came from",
        )
    return signal


def _approval(context: StepContext, signal: Signal, *, by: str) -> Decision:
    return Decision(
        decision_id=decision_id(signal.signal_id, Action.TICKET),
        signal_id=signal.signal_id,
        action=Action.TICKET,
        would_ticket=True,
        rule="approved",
        reasons=(f"approved by {by}",),
        policy_version=context.config.policy.version,
        decided_at=context.now,
    )


def _answered(
    context: StepContext, item: ReviewItem, status: ReviewStatus, *, by: str, reason: str | None
) -> ReviewItem:
    answered = replace(
        item, status=status, decided_at=context.now, decided_by=by, answer_reason=reason
    )
    context.ops.put_review(answered)
    context.ops.audit(
        actor=by,
        action=f"review.{status.value}",
        subject=item.review_id,
        detail=reason or "",
        at=context.now,
    )
    return answered


def _theme(context: StepContext, theme_id: str) -> dict[str, str]:
    columns = ["theme_id", "product", "merged_into"]
    rows = context.rows(THEME, columns=columns).to_pylist()
    found = [r for r in rows if r["theme_id"].startswith(theme_id) and not r["merged_into"]]
    if len(found) != 1 or not theme_id:
        problem = "no theme" if not found else f"{len(found)} themes"
        raise NotFoundError(
            f"{problem} with an id that starts with {redact(theme_id)!r}",
            hint="'closeloop themes' lists them",
        )
    return dict(found[0])


def _correct(
    context: StepContext,
    kind: CorrectionKind,
    theme_id: str,
    *,
    target: str,
    ids: tuple[str, ...],
    by: str,
) -> ThemeCorrection:
    correction = ThemeCorrection(
        correction_id=_hash(kind.value, theme_id, target, *ids),
        kind=kind,
        theme_id=theme_id,
        target=target,
        feedback_ids=ids,
        made_by=by,
        made_at=context.now,
    )
    context.ops.put_correction(correction)
    detail = target if kind is not CorrectionKind.SPLIT else f"{len(ids)} texts"
    context.ops.audit(
        actor=by, action=f"theme.{kind.value}", subject=theme_id, detail=detail, at=context.now
    )
    return correction


def _hash(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()
