"""Judges a signal by the policy: the first rule that holds names the action, with plain reasons."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from closeloop.domain import figures
from closeloop.domain.autonomy import FEW_LABELS, Standing
from closeloop.domain.policy import Action, Policy, Rule
from closeloop.domain.signal import Signal, SignalKind

_RANKS = {Action.SUPPRESS: 0, Action.DIGEST: 1, Action.REVIEW: 2, Action.TICKET: 3}

NO_RULE = "no rule held"
NOTHING_TO_ACT_ON = "nothing to act on"
PART_OF_A_PROBLEM = "part of a problem that is known"
"""Rule of a signal whose problem has a ticket, or a question to a person, already."""


def rank(action: Action) -> int:
    """Return how far an action goes: 0 suppress, 1 digest, 2 review, 3 ticket."""
    return _RANKS[action]


def decision_id(signal_id: str, action: Action, *, again: bool = False) -> str:
    """Return the id of deciding that action of that signal: the same decision is made once.

    `again`: the action stays, and it has become one that would be a ticket but for labels.
    """
    key = f"{signal_id}\x1f{action.value}" + ("\x1fwould be a ticket" if again else "")
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the policy has to know beside the signal.

    `no_case` is why nothing can be acted on (a content-free theme, praise), None where it can;
    `possible_pii` is what looks like unmasked personal data in the texts that would be shown.
    """

    standing: Standing
    no_case: str | None = None
    possible_pii: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The action, what it would be but for autonomy and calibration not yet earned, and why."""

    action: Action
    would_ticket: bool
    rule: str
    reasons: tuple[str, ...]


def counts_anew(judgement: Judgement, *, before: int, would_ticket: bool) -> bool:
    """Return whether a judgement is a new decision of a signal that was decided before.

    `before` is the rank of what was decided (-1: nothing), `would_ticket` whether any of it would
    have been a ticket. Decisions only rise; one that stays counts where the signal has grown into
    what would be a ticket but for labels.
    """
    risen = rank(judgement.action) - before
    return risen > 0 or (risen == 0 and judgement.would_ticket and not would_ticket)


@dataclass(frozen=True, slots=True)
class _Check:
    """One bound of a rule: whether it held, in words with figures, and if labels would mend it."""

    held: bool
    reason: str
    awaits_labels: bool = False


def judge(signal: Signal, policy: Policy, *, circumstances: Circumstances) -> Judgement:
    """Return what the policy says of a signal.

    Where a ticket rule holds but for a confidence that no labels have calibrated yet, the signal
    goes on to the next rules, and `would_ticket` says that only labels are missing.
    """
    if circumstances.no_case is not None:
        return Judgement(Action.SUPPRESS, False, NOTHING_TO_ACT_ON, (circumstances.no_case,))
    would_ticket = False
    odd = _distrust(signal, policy)
    may_open = circumstances.possible_pii is None and odd is None
    against: list[str] = []
    for rule in policy.rules:
        if not _concerns(rule, signal):
            continue
        checks = [check for bound in _BOUNDS if (check := bound(rule, signal)) is not None]
        failed = [c for c in checks if not c.held]
        if not failed:
            held = tuple(c.reason for c in checks)
            judgement = _gated(rule, held, signal=signal, policy=policy, about=circumstances)
            return Judgement(
                judgement.action,
                judgement.would_ticket or (would_ticket and may_open),
                judgement.rule,
                (*judgement.reasons, *against),
            )
        if rule.action is Action.TICKET:
            would_ticket = would_ticket or all(c.awaits_labels for c in failed)
            against += [f"no ticket by '{rule.name}': {c.reason}" for c in failed]
            if odd is not None and all(c.awaits_labels for c in failed):
                against.append(f"no ticket by '{rule.name}': {odd}")
    return Judgement(Action.DIGEST, would_ticket and may_open, NO_RULE, tuple(against))


@dataclass(frozen=True, slots=True)
class Stood:
    """How far what was decided of a signal has gone, over all of its decisions."""

    signal_id: str
    action: Action
    would_ticket: bool

    def risen(self, action: Action, *, would_ticket: bool) -> Stood:
        """Return it after another decision: neither falls."""
        higher = max(self.action, action, key=rank)
        return Stood(self.signal_id, higher, self.would_ticket or would_ticket)


def linked(judgement: Judgement, kin: Iterable[Stood]) -> Judgement:
    """Return the judgement of a signal, or that the ticket of another tells of its problem.

    `kin` are the signals of the same problem that were decided before. Where a ticket (or would-be
    ticket) of one tells of it, or a person is asked of it already and this one would only ask
    again, it goes to the digest with that signal's name: one problem, one ticket, one question.
    """
    leader = max(kin, key=lambda k: (k.would_ticket, rank(k.action), k.signal_id), default=None)
    if leader is None or judgement.action not in (Action.TICKET, Action.REVIEW):
        return judgement
    told = leader.would_ticket or leader.action is Action.TICKET
    same_question = leader.action is Action.REVIEW and not judgement.would_ticket
    if not (told or same_question):
        return judgement
    ticket = "ticket" if leader.action is Action.TICKET else "would-be ticket"
    known = ticket if told else "question to a person"
    reason = f"the same problem as signal {leader.signal_id[:10]}, whose {known} tells of it"
    return Judgement(Action.DIGEST, False, PART_OF_A_PROBLEM, (reason, *judgement.reasons))


def _concerns(rule: Rule, signal: Signal) -> bool:
    """Say whether a rule is about such signals at all; its bounds are another matter."""
    return (
        (not rule.kinds or signal.kind.value in rule.kinds)
        and (not rule.products or signal.product in rule.products)
        and (not rule.categories or signal.category in rule.categories)
        and (not rule.segments or any(_lies_in(one, signal) for one in rule.segments))
    )


def _lies_in(segment: str, signal: Signal) -> bool:
    """Say whether a signal concentrates in "column=value", or in some value of "column"."""
    if "=" in segment:
        return segment.casefold() in (one.casefold() for one in signal.segments)
    return any(one.startswith(f"{segment}=") for one in signal.segments)


def _gated(
    rule: Rule,
    held: tuple[str, ...],
    *,
    signal: Signal,
    policy: Policy,
    about: Circumstances,
) -> Judgement:
    """Send to a person what a rule would do, where a person has to look first."""
    if about.possible_pii is not None and rule.action in (Action.TICKET, Action.DIGEST):
        reason = f"possible unmasked personal data: {about.possible_pii}"
        return Judgement(Action.REVIEW, False, rule.name, (reason, *held))
    if rule.action is not Action.TICKET:
        return Judgement(rule.action, False, rule.name, held)
    odd = _distrust(signal, policy)
    if odd is not None:
        return Judgement(Action.REVIEW, False, rule.name, (odd, *held))
    missing = _missing_autonomy(signal, policy, standing=about.standing)
    if missing is not None:
        return Judgement(Action.REVIEW, True, rule.name, (missing, *held))
    return Judgement(Action.TICKET, True, rule.name, held)


def _distrust(signal: Signal, policy: Policy) -> str | None:
    """Say why a signal is trusted too little to open a ticket; None where it is not."""
    if signal.trust >= policy.min_trust:
        return None
    why = "; ".join(signal.oddities) or "campaigns and repeats"
    return f"trust {figure(signal.trust)} ({why}); a ticket needs {figure(policy.min_trust)}"


def _missing_autonomy(signal: Signal, policy: Policy, *, standing: Standing) -> str | None:
    """Say which labels a ticket without a person still needs; None where it needs none.

    A release signal rests on its own evidence, whose error is bounded without labels; only a bad
    record takes its autonomy away.
    """
    share = policy.precision_for_autonomy
    if signal.kind is SignalKind.RELEASE:
        bad = standing.labels >= FEW_LABELS and (standing.precision or 0.0) < share
        if not bad:
            return None
    elif standing.earned:
        return None
    if standing.precision is None:
        return (
            f"'{standing.category}' has no reviewed labels yet; "
            f"{policy.labels_for_autonomy} open tickets without a person"
        )
    return (
        f"'{standing.category}' has {standing.labels} of {policy.labels_for_autonomy} labels, "
        f"{standing.precision:.0%} of them right; needs {share:.0%}"
    )


def _severity(rule: Rule, signal: Signal) -> _Check | None:
    if not rule.severities:
        return None
    wanted = " or ".join(rule.severities)
    return _Check(signal.severity in rule.severities, f"severity {signal.severity}; needs {wanted}")


def _false_discoveries(rule: Rule, signal: Signal) -> _Check | None:
    if not rule.require_fdr:
        return None
    tested = f"among {signal.family_size} series tested" if signal.family_size > 1 else "tested"
    evidence = f"evidence {figure(signal.evidence)} (threshold {figure(signal.threshold)}) {tested}"
    if signal.fdr_pass:
        return _Check(True, f"{evidence} stands when false discoveries are controlled")
    return _Check(False, f"{evidence} does not stand when false discoveries are controlled")


def _confidence(rule: Rule, signal: Signal) -> _Check | None:
    needed = rule.min_confidence
    if needed is None:
        return None
    if signal.confidence is None:
        return _Check(False, f"no confidence yet; needs over {figure(needed)}", awaits_labels=True)
    if not signal.confidence_calibrated:
        reason = f"confidence {figure(signal.confidence)} is not calibrated by labels"
        return _Check(False, f"{reason}; needs over {figure(needed)}", awaits_labels=True)
    reason = f"calibrated confidence {figure(signal.confidence)}; needs over {figure(needed)}"
    return _Check(signal.confidence > needed, reason)


def _floor(rule: Rule, signal: Signal) -> _Check | None:
    needed = rule.min_ratio_6h
    if needed is None:
        return None
    count, expected = signal.count_6h, signal.baseline_6h
    if signal.kind is SignalKind.RELEASE and count == 0 and expected < 1.0:
        # The release watch compares shares of stars, at volumes at which six hours hold nothing.
        return _Check(True, "the floor of six hours does not apply: under one complaint expected")
    held = count > 0 and count >= needed * expected
    needs = f"in six hours; needs {figure(needed)} times"
    return _Check(held, f"count {count}{_compared(count, expected)} {needs}")


def _compared(count: int, expected: float) -> str:
    if expected <= 0:
        return " is over the 0 expected"
    if expected < figures.FEW:
        return f" {figures.against(count, expected)}"
    return f" is {figure(count / expected)} times the {figure(expected)} expected"


def _count(rule: Rule, signal: Signal) -> _Check | None:
    if rule.min_count is None:
        return None
    needed = rule.min_count
    return _Check(signal.count >= needed, f"{signal.count} complaints; needs {needed}")


def _authors(rule: Rule, signal: Signal) -> _Check | None:
    if rule.min_authors is None:
        return None
    needed = rule.min_authors
    return _Check(signal.authors >= needed, f"{signal.authors} authors; needs {needed}")


def _tiers(rule: Rule, signal: Signal) -> _Check | None:
    if not rule.tiers:
        return None
    wanted = {tier.casefold() for tier in rule.tiers}
    authors = sum(number for tier, number in signal.tiers if tier.casefold() in wanted)
    needed = rule.min_tier_authors or 1
    named = " or ".join(rule.tiers)
    return _Check(authors >= needed, f"{authors} authors of tier {named}; needs {needed}")


def _revenue(rule: Rule, signal: Signal) -> _Check | None:
    needed = rule.min_revenue
    if needed is None:
        return None
    worth = f"orders worth {figure(signal.order_value)} are named"
    return _Check(signal.order_value >= needed, f"{worth}; needs {figure(needed)}")


def _sides(rule: Rule, signal: Signal) -> _Check | None:
    needed = rule.min_reviews_a_side
    if needed is None:
        return None
    on, off = signal.reviews_exposed or 0, signal.reviews_unexposed or 0
    return _Check(
        min(on, off) >= needed,
        f"{on} reviews on the version and {off} to compare with; needs {needed} each",
    )


_BOUNDS: tuple[Callable[[Rule, Signal], _Check | None], ...] = (
    _severity,
    _false_discoveries,
    _confidence,
    _floor,
    _count,
    _authors,
    _tiers,
    _revenue,
    _sides,
)


def figure(value: float) -> str:
    """Return a number as people read it: whole, or with up to two digits that say something."""
    if value >= 1e6:
        return "over a million"
    if value == int(value):
        return str(int(value))
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2f}"
