"""Decides what is done with each signal: ticket, review, digest or nothing, and says why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from closeloop.domain.autonomy import (
    NOT_AN_ISSUE,
    Standing,
    autonomy_category,
    series_key,
    standing_of,
    standings,
)
from closeloop.domain.judgement import (
    Circumstances,
    Judgement,
    counts_anew,
    decision_id,
    judge,
    rank,
)
from closeloop.domain.policy import Action, Decision
from closeloop.domain.review import Label, LabelKind, ReviewItem, ReviewKind, ReviewStatus
from closeloop.domain.signal import Signal, SignalKind
from closeloop.ports import StepContext, only_if_in
from closeloop.stages.judged_rows import judged_row
from closeloop.stages.problems import Problems
from closeloop.stages.signal_rows import signal_of
from closeloop.tables import BRIEF, DECISION, JUDGED, SIGNAL, THEME
from closeloop.text.residue import possible_pii

NAME = "decide"

COUNTED = {
    Action.TICKET: "tickets",
    Action.REVIEW: "reviews",
    Action.DIGEST: "digested",
    Action.SUPPRESS: "suppressed",
}
"""Name of each action's figure in a run's report."""


def run(context: StepContext) -> None:
    """Decide every signal that is new or has changed; write what is decided, and why.

    What was judged is kept in gold.judged, so that another policy can be tried on it.

    A signal is decided again only where its action rises (digest, review, ticket), or where it has
    grown into one that would be a ticket but for labels; never once a person has answered for it.
    Historic signals are not decided.
    """
    rows = context.new_rows(SIGNAL).to_pylist()
    signals = [signal_of(row) for row in rows if not row["historic"]]
    if not signals:
        return
    known = _known(context, signals)
    made: list[Decision] = []
    states: list[dict[str, Any]] = []
    for signal in sorted(signals, key=lambda s: (s.detected_at, s.signal_id)):
        about = _circumstances(context, signal, known)
        owner = _owner(context, known.briefs.get(signal.signal_id))
        kin = known.problems.kin(signal)
        states.append(judged_row(signal, about, owner=owner, kin=kin, at=context.now))
        if signal.signal_id in known.answered:
            continue
        judgement = judge(signal, context.config.policy, circumstances=about)
        judgement = known.problems.linked(judgement, kin)
        held = known.ranks.get(signal.signal_id, -1)
        would = signal.signal_id in known.would_tickets
        if not counts_anew(judgement, before=held, would_ticket=would):
            continue
        again = rank(judgement.action) == held
        decision = _decision(context, signal, judgement, again=again)
        if context.ops.put_decision(decision):
            made.append(decision)
            known.problems.note(decision)
            _keep_review(context, signal, decision, known)
    context.append(JUDGED, JUDGED.from_rows(states))
    _write(context, made)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the signals beside themselves."""

    ranks: dict[str, int]
    would_tickets: frozenset[str]
    answered: frozenset[str]
    reviews: dict[str, ReviewItem]
    standings: dict[tuple[str, str], Standing]
    rejected: frozenset[str]
    themes: dict[str, dict[str, Any]]
    briefs: dict[str, dict[str, Any]]
    problems: Problems


def quotations(brief: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the quotations on a brief's fact sheet, as they were written."""
    if brief is None or not brief["facts"]:
        return []
    sheet = json.loads(brief["facts"])
    found = sheet.get("quotations", []) if isinstance(sheet, dict) else []
    return [q for q in found if isinstance(q, dict) and q.get("text")]


def briefs_of(context: StepContext, signal_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the newest brief of each signal that has one."""
    rows = context.rows(BRIEF, where=[only_if_in("signal_id", signal_ids)])
    return _by(rows.sort_by("made_at"), "signal_id")


def _known(context: StepContext, signals: list[Signal]) -> _Known:
    ids = {s.signal_id for s in signals}
    ranks: dict[str, int] = {}
    would_tickets = set()
    for decision in context.ops.decisions():
        if decision.signal_id in ids:
            if decision.would_ticket:
                would_tickets.add(decision.signal_id)
            before = ranks.get(decision.signal_id, -1)
            ranks[decision.signal_id] = max(before, rank(decision.action))
    reviews = {
        r.signal_id: r
        for r in context.ops.reviews()
        if r.kind is ReviewKind.SIGNAL and r.signal_id in ids
    }
    labels = context.ops.labels()
    themes = {s.theme_id for s in signals if s.theme_id}
    return _Known(
        ranks=ranks,
        would_tickets=frozenset(would_tickets),
        answered=frozenset(i for i, r in reviews.items() if r.status is not ReviewStatus.OPEN),
        reviews=reviews,
        standings=standings(labels, context.config.policy),
        rejected=_rejected_series(labels),
        themes=_by(context.rows(THEME, where=[only_if_in("theme_id", themes)]), "theme_id")
        if themes
        else {},
        briefs=briefs_of(context, ids),
        problems=Problems(context, signals),
    )


def _by(rows: Any, key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows.to_pylist()}


def _rejected_series(labels: Iterable[Label]) -> frozenset[str]:
    """Return the series of which the newest answer is "not an issue"."""
    newest = {
        label.subject[1]: label.value
        for label in labels
        if label.kind is LabelKind.TICKET and len(label.subject) > 1
    }
    return frozenset(series for series, value in newest.items() if value == NOT_AN_ISSUE)


def _circumstances(context: StepContext, signal: Signal, known: _Known) -> Circumstances:
    texts = [q["text"] for q in quotations(known.briefs.get(signal.signal_id))]
    return Circumstances(
        standing=standing_of(
            known.standings, product=signal.product, category=autonomy_category(signal)
        ),
        no_case=_no_case(context, signal, known),
        possible_pii=possible_pii(texts),
    )


def _owner(context: StepContext, brief: Mapping[str, Any] | None) -> str:
    """Return who would be asked to mend it: as the brief recommends."""
    recommended = brief["recommended_owner"] if brief is not None else None
    return str(recommended or context.config.owners.default_owner)


def _no_case(context: StepContext, signal: Signal, known: _Known) -> str | None:
    """Say why there is nothing to act on, or None."""
    if signal.kind is SignalKind.THEME and series_key(signal) in known.rejected:
        return "a person has said that this theme is not an issue"
    theme = known.themes.get(signal.theme_id or "")
    if theme is not None and theme["content_free"]:
        return f"the theme's texts say nothing to act on ('{theme['label']}')"
    if theme is not None and theme["merged_into"]:
        return f"the theme was merged into {theme['merged_into']}, whose signal counts"
    category = context.config.taxonomy.category(signal.category or "")
    if category is not None and not category.complaint:
        return f"'{category.name}' is no complaint"
    return None


def _decision(
    context: StepContext, signal: Signal, judgement: Judgement, *, again: bool
) -> Decision:
    return Decision(
        decision_id=decision_id(signal.signal_id, judgement.action, again=again),
        signal_id=signal.signal_id,
        action=judgement.action,
        would_ticket=judgement.would_ticket,
        rule=judgement.rule,
        reasons=judgement.reasons,
        policy_version=context.config.policy.version,
        decided_at=context.now,
    )


def _keep_review(context: StepContext, signal: Signal, decision: Decision, known: _Known) -> None:
    """Ask a person where that was decided; close the question where a ticket has answered it."""
    asked = known.reviews.get(signal.signal_id)
    if decision.action is Action.TICKET and asked is not None:
        context.ops.put_review(
            replace(
                asked,
                status=ReviewStatus.APPROVED,
                decided_at=context.now,
                decided_by="policy",
                answer_reason=f"rule '{decision.rule}' opens the ticket now",
            )
        )
    if decision.action is Action.REVIEW and asked is not None:
        context.ops.put_review(
            replace(asked, decision_id=decision.decision_id, reasons=decision.reasons)
        )
    elif decision.action is Action.REVIEW:
        context.ops.put_review(
            ReviewItem(
                review_id=decision.decision_id,
                kind=ReviewKind.SIGNAL,
                signal_id=signal.signal_id,
                decision_id=decision.decision_id,
                product=signal.product,
                title=title_of(signal, known.briefs.get(signal.signal_id)),
                reasons=decision.reasons,
                status=ReviewStatus.OPEN,
                created_at=context.now,
            )
        )


def title_of(signal: Signal, brief: Mapping[str, Any] | None) -> str:
    """Return the brief's title, or plain words where there is no brief."""
    if brief is not None and brief["title"]:
        return str(brief["title"])
    what = f"release {signal.version}" if signal.kind is SignalKind.RELEASE else signal.category
    return f"{signal.product}: {what or signal.series_id} rising"


def _write(context: StepContext, made: list[Decision]) -> None:
    if not made:
        return
    context.merge(DECISION, DECISION.from_rows(asdict(d) for d in made))
    for action, number in sorted(Counter(d.action for d in made).items()):
        context.count(COUNTED[action], number)
    would = sum(d.would_ticket for d in made)
    if would:
        context.count("would_tickets", would)
