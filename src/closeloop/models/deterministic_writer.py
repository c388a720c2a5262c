"""Writes a brief from its fact sheet without a model: the same sheet gives the same words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from closeloop.domain.brief import Brief, Fact, FactSheet
from closeloop.domain.signal import Severity, SignalKind
from closeloop.ports import BriefRequest

TITLE_CHARACTERS = 120
ACT_NOW = (Severity.P1, Severity.P2)


class DeterministicWriter:
    """States the facts of the sheet in plain English, for four readers.

    It takes every figure from the sheet as it is written there, and so can't state another one.
    """

    @property
    def name(self) -> str:
        """Stored with each brief."""
        return "deterministic"

    @property
    def prompt_version(self) -> str:
        """Version of the wording."""
        return "1"

    def write(self, request: BriefRequest) -> Brief:
        """Return a brief; `brief_id`, `verified` and `problems` are set by the caller."""
        sheet = _Sheet(request.sheet)
        cause = _likely_cause(sheet)
        actions = _next_actions(request, sheet)
        return Brief(
            brief_id="",
            signal_id=request.signal.signal_id,
            title=_title(sheet),
            summary=_summary(sheet),
            impacted_area=_impacted_area(sheet),
            likely_cause=cause,
            urgency=sheet.states("severity", "urgent"),
            recommended_owner=request.owner,
            routing_hints=request.routing_hints,
            next_actions=actions,
            engineering=_engineering(sheet, request),
            support=_support(sheet, request),
            product=_product(sheet),
            leadership=_leadership(sheet, request),
            fact_sheet=request.sheet,
            writer=self.name,
            prompt_version=self.prompt_version,
            verified=False,
            problems=(),
            made_at=request.now,
        )


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A fact sheet, looked at by topic."""

    sheet: FactSheet

    def first(self, topic: str) -> Fact | None:
        return next((f for f in self.sheet.facts if f.topic == topic), None)

    def all(self, topic: str) -> list[Fact]:
        return [f for f in self.sheet.facts if f.topic == topic]

    def value(self, topic: str, position: int) -> str:
        fact = self.first(topic)
        return fact.values[position] if fact and len(fact.values) > position else ""

    def states(self, *topics: str) -> str:
        """The statements of these topics, without references."""
        return " ".join(f.statement for t in topics for f in self.all(t))

    def cited(self, *topics: str) -> str:
        """The statements of these topics, each with its reference."""
        return " ".join(f"{f.statement} [{f.fact_id}]" for t in topics for f in self.all(t))

    def quoted(self, *roles: str, limit: int = 2) -> str:
        """Quotations of these roles with their references, "" where there are none."""
        found = [
            f"“{q.text}” [Q{number}]"
            for number, q in enumerate(self.sheet.quotations, start=1)
            if q.role in roles
        ]
        return "; ".join(found[:limit])

    @property
    def product(self) -> str:
        return self.value("count", 6)

    @property
    def subject(self) -> str:
        return self.value("count", 7)

    @property
    def blamed(self) -> tuple[str, str] | None:
        """Kind and name of the change that is blamed."""
        fact = self.first("blamed")
        return (fact.values[0], fact.values[1]) if fact else None


def _title(sheet: _Sheet) -> str:
    ratio = sheet.value("count", 2)
    title = f"{sheet.product}: {sheet.subject}, {ratio} times the usual"
    if sheet.blamed is not None:
        kind, name = sheet.blamed
        longer = f"{title}, linked to {kind} {name}"
        title = longer if len(longer) <= TITLE_CHARACTERS else title
    return title


def _summary(sheet: _Sheet) -> tuple[tuple[str, tuple[str, ...]], ...]:
    sentences: list[tuple[str, tuple[str, ...]]] = []
    topics = ("count", "share", "trend", "authors", "ratings", "segment", "blamed", "cause_time")
    for topic in topics:
        sentences += [(f.statement, (f.fact_id,)) for f in sheet.all(topic)]
    if sheet.blamed is None:
        none = sheet.first("none")
        if none is not None:
            words = "No known change is blamed. " + none.statement
            sentences.append((words, (none.fact_id,)))
    for topic in ("severity", "urgent"):
        sentences += [(_brief_severity(f), (f.fact_id,)) for f in sheet.all(topic)]
    leads = {"representative": "Customers write", "dissenting": "Not everyone agrees"}
    for role, lead in leads.items():
        quotation = next((q for q in sheet.sheet.quotations if q.role == role), None)
        if quotation is not None:
            sentences.append((f"{lead}: “{quotation.text}”", (quotation.feedback_id,)))
    return tuple(sentences)


def _brief_severity(fact: Fact) -> str:
    if fact.topic != "severity":
        return fact.statement
    severity, points = fact.values
    return f"Severity {severity}, {points} points."


def _impacted_area(sheet: _Sheet) -> str:
    parts = [f"{sheet.product}, {sheet.subject}."]
    parts.append(sheet.states("segment", "versions", "platform", "region", "tiers", "orders"))
    return " ".join(p for p in parts if p)


def _likely_cause(sheet: _Sheet) -> str:
    others = sheet.all("candidate")
    none = sheet.states("none")
    if sheet.blamed is not None:
        parts = [sheet.states("blamed", "cause_time")]
        if others:
            parts.append(f"Looked at and not blamed: {_listed(others)}.")
        parts.append(none)
        parts.append("The link is statistical: the code has to confirm it.")
    elif others:
        parts = [
            f"None of the known changes fits well enough to be blamed: {_listed(others)}.",
            none,
            "A change that closeloop has not been told of may be behind it.",
        ]
    else:
        parts = ["No change is known for that time, so no cause is named.", none]
    return " ".join(p for p in parts if p)


def _listed(facts: Iterable[Fact]) -> str:
    return ", ".join(f"{f.values[0]} {f.values[1]} ({f.values[2]})" for f in facts)


def _next_actions(request: BriefRequest, sheet: _Sheet) -> tuple[str, ...]:
    actions = list(_cause_actions(request, sheet))
    if request.signal.kind is SignalKind.RELEASE:
        actions.append("Read what the low ratings have in common; no category stands out yet.")
    if sheet.first("urgent") is not None:
        actions.append("Answer the urgent complaints first (support queue).")
    if sheet.first("past") is not None:
        actions.append("Look at the similar tickets: the same fault may be back.")
    actions.append(
        "Mark the ticket resolved with the version that fixes it, so that the fix is measured."
    )
    return tuple(actions)


def _cause_actions(request: BriefRequest, sheet: _Sheet) -> Iterable[str]:
    now = request.signal.severity in ACT_NOW
    kind, name = sheet.blamed or ("", "")
    if kind == "release":
        if now:
            yield f"Halt the rollout of release {name} while it is looked into."
        yield f"Reproduce the complaints on release {name} and compare with the version before it."
    elif kind in ("flag", "config"):
        yield f"Turn back {kind} {name}, and watch whether the complaints stop."
    elif kind == "incident":
        yield f"Follow incident {name}; complaints should stop when it ends."
    elif kind == "article":
        yield f"Correct or withdraw article {name}."
    else:
        yield "Ask what changed at that time that closeloop has not been told of, and add it."


def _engineering(sheet: _Sheet, request: BriefRequest) -> str:
    parts = [
        sheet.cited("count", "six_hours", "versions", "exposure", "segment", "platform"),
        sheet.cited("blamed", "candidate", "none", "cause_time"),
        sheet.cited("evidence", "release_watch", "confidence", "past"),
    ]
    quoted = sheet.quoted("representative", "diverse", "recent", limit=4)
    if quoted:
        parts.append(f"In the customers' words: {quoted}.")
    parts.append(f"Owner: {request.owner}.")
    return _joined(parts)


def _support(sheet: _Sheet, request: BriefRequest) -> str:
    parts = [sheet.cited("count", "urgent", "tiers", "orders", "region")]
    quoted = sheet.quoted("representative", "recent", "diverse", limit=3)
    if quoted:
        parts.append(f"What customers say: {quoted}.")
    if sheet.blamed is not None:
        kind, name = sheet.blamed
        parts.append(f"Likely cause, not confirmed yet: {kind} {name}.")
    else:
        parts.append("The cause is not known yet; do not name one to customers.")
    parts.append(f"With {request.owner}; promise no date before the owner has given one.")
    return _joined(parts)


def _product(sheet: _Sheet) -> str:
    parts = [sheet.cited("count", "share", "trend", "authors", "ratings", "segment", "versions")]
    parts.append(sheet.cited("blamed") or sheet.cited("none"))
    quoted = sheet.quoted("representative", "diverse")
    if quoted:
        parts.append(f"For example: {quoted}.")
    other = sheet.quoted("dissenting", limit=1)
    if other:
        parts.append(f"A customer who does not complain: {other}.")
    return _joined(parts)


def _leadership(sheet: _Sheet, request: BriefRequest) -> str:
    severity = sheet.first("severity")
    parts = []
    if severity is not None:
        parts.append(f"{_brief_severity(severity)} [{severity.fact_id}]")
    parts.append(sheet.cited("count", "share", "orders"))
    if sheet.blamed is not None:
        kind, name = sheet.blamed
        fact = sheet.first("blamed")
        assert fact is not None
        parts.append(f"Likely cause: {kind} {name}, {fact.values[2]} likely [{fact.fact_id}].")
    else:
        parts.append("No known change explains it; the cause is being looked for.")
    quoted = sheet.quoted("representative", limit=1)
    if quoted:
        parts.append(f"One customer: {quoted}.")
    parts.append(f"Recommended owner: {request.owner}.")
    return _joined(parts)


def _joined(parts: Iterable[str]) -> str:
    return " ".join(p for p in parts if p)
