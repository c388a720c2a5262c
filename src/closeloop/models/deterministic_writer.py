"""Writes a brief from its fact sheet without a model: the same sheet gives the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from closeloop.domain.brief import Brief, Fact, FactSheet, Sentence
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
        return "3"

    def write(self, request: BriefRequest) -> Brief:
        """Return a brief; `brief_id`, `verified` and `problems` are set by the caller."""
        sheet = _Sheet(request.sheet)
        return Brief(
            brief_id="",
            signal_id=request.signal.signal_id,
            title=_title(sheet),
            summary=tuple(_summary(sheet)),
            impacted_area=tuple(_impacted_area(sheet)),
            likely_cause=tuple(_likely_cause(sheet)),
            urgency=tuple(sheet.stated("severity", "urgent")) or (_severity_unknown(sheet),),
            severity=request.signal.severity.value,
            cause=sheet.blamed[1] if sheet.blamed else "",
            recommended_owner=request.owner,
            routing_hints=request.routing_hints,
            next_actions=tuple(_next_actions(request, sheet)),
            engineering=tuple(_engineering(sheet, request)),
            support=tuple(_support(sheet, request)),
            product=tuple(_product(sheet)),
            leadership=tuple(_leadership(sheet, request)),
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

    def all(self, *topics: str) -> list[Fact]:
        return [f for t in topics for f in self.sheet.facts if f.topic == t]

    def value(self, topic: str, position: int) -> str:
        fact = self.first(topic)
        return fact.values[position] if fact and len(fact.values) > position else ""

    def stated(self, *topics: str) -> list[Sentence]:
        """The statements of these topics, each resting on itself."""
        return [Sentence(f.statement, (f.fact_id,)) for f in self.all(*topics)]

    def resting(self, text: str, *topics: str) -> Sentence:
        """A sentence that rests on the facts of these topics, or on the first fact of all."""
        facts = self.all(*topics) or list(self.sheet.facts[:1])
        return Sentence(text, tuple(f.fact_id for f in facts))

    def quoted(self, lead: str, *roles: str, limit: int = 2) -> Iterator[Sentence]:
        """One sentence with quotations of these roles, none where there are none."""
        found = [q for q in self.sheet.quotations if q.role in roles][:limit]
        if found:
            said = "; ".join(f"“{q.text}”" for q in found)
            yield Sentence(f"{lead}: {said}.", tuple(q.feedback_id for q in found))

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


def _title(sheet: _Sheet) -> Sentence:
    count, expected, ratio = (sheet.value("count", place) for place in range(3))
    title = f"{sheet.product}: {sheet.subject}, {ratio} times the usual"
    if not ratio:
        window = sheet.value("count", 3)
        compared = f"in {window}" if expected == "0" else f"where {expected} are usual"
        title = f"{sheet.product}: {sheet.subject}, {count} {compared}"
    if sheet.blamed is not None:
        kind, name = sheet.blamed
        longer = f"{title}, linked to {kind} {name}"
        if len(longer) <= TITLE_CHARACTERS:
            return sheet.resting(longer, "count", "blamed")
    return sheet.resting(title, "count")


def _summary(sheet: _Sheet) -> Iterator[Sentence]:
    topics = ("count", "share", "trend", "authors", "ratings", "segment", "blamed", "cause_time")
    yield from sheet.stated(*topics)
    if sheet.blamed is None:
        for none in sheet.all("none")[:1]:
            yield Sentence("No known change is blamed. " + none.statement, (none.fact_id,))
    for fact in sheet.all("severity"):
        yield _brief_severity(fact)
    yield from sheet.stated("urgent")
    yield from sheet.quoted("Customers write", "representative", limit=1)
    yield from sheet.quoted("Not everyone agrees", "dissenting", limit=1)


def _brief_severity(fact: Fact) -> Sentence:
    severity, points = fact.values
    return Sentence(f"Severity {severity}, {points} points.", (fact.fact_id,))


def _severity_unknown(sheet: _Sheet) -> Sentence:
    return sheet.resting("The severity is not known.", "count")


def _impacted_area(sheet: _Sheet) -> Iterator[Sentence]:
    yield sheet.resting(f"{sheet.product}, {sheet.subject}.", "count")
    yield from sheet.stated("segment", "versions", "platform", "region", "tiers", "orders")


def _likely_cause(sheet: _Sheet) -> Iterator[Sentence]:
    others = sheet.all("candidate")
    if sheet.blamed is not None:
        yield from sheet.stated("blamed", "cause_time")
        if others:
            yield sheet.resting(f"Looked at and not blamed: {_listed(others)}.", "candidate")
        yield from sheet.stated("none")
        yield sheet.resting("The link is statistical: the code has to confirm it.", "blamed")
    elif others:
        text = f"None of the known changes fits well enough to be blamed: {_listed(others)}."
        yield sheet.resting(text, "candidate")
        yield from sheet.stated("none")
        unknown = "A change that closeloop has not been told of may be behind it."
        yield sheet.resting(unknown, "none", "candidate")
    else:
        yield sheet.resting("No change is known for that time, so no cause is named.", "count")
        yield from sheet.stated("none")


def _listed(facts: Iterable[Fact]) -> str:
    return ", ".join(f"{f.values[0]} {f.values[1]} ({f.values[2]} likely)" for f in facts)


def _next_actions(request: BriefRequest, sheet: _Sheet) -> Iterator[Sentence]:
    for action in _cause_actions(request, sheet):
        yield sheet.resting(action, "blamed")
    if request.signal.kind is SignalKind.RELEASE:
        text = "Read what the low ratings have in common; no category stands out yet."
        yield sheet.resting(text, "release_watch")
    if sheet.first("urgent") is not None:
        yield sheet.resting("Answer the urgent complaints first (support queue).", "urgent")
    if sheet.first("past") is not None:
        text = "Look at the similar tickets: the same problem may be back."
        yield sheet.resting(text, "past")
    yield sheet.resting(
        "Mark the ticket resolved with the version that fixes it, so that the fix is measured.",
        "owner",
    )


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
        yield f"Follow incident {name}, and watch whether the complaints stop."
    elif kind == "article":
        yield f"Review or withdraw article {name}."
    else:
        yield "Ask what changed at that time that closeloop has not been told of, and add it."


def _engineering(sheet: _Sheet, request: BriefRequest) -> Iterator[Sentence]:
    yield from sheet.stated("count", "six_hours", "versions", "exposure", "segment", "platform")
    yield from sheet.stated("blamed", "candidate", "none", "cause_time")
    yield from sheet.stated("evidence", "release_watch", "confidence", "past")
    roles = ("representative", "diverse", "recent")
    yield from sheet.quoted("In the customers' words", *roles, limit=4)
    yield sheet.resting(f"Owner: {request.owner}.", "owner")


def _support(sheet: _Sheet, request: BriefRequest) -> Iterator[Sentence]:
    yield from sheet.stated("count", "urgent", "tiers", "orders", "region")
    roles = ("representative", "recent", "diverse")
    yield from sheet.quoted("What customers say", *roles, limit=3)
    if sheet.blamed is not None:
        kind, name = sheet.blamed
        yield sheet.resting(f"Likely cause, not confirmed yet: {kind} {name}.", "blamed")
    else:
        unknown = "The cause is not known yet; do not name one to customers."
        yield sheet.resting(unknown, "none", "count")
    text = f"With {request.owner}; promise no date before the owner has given one."
    yield sheet.resting(text, "owner")


def _product(sheet: _Sheet) -> Iterator[Sentence]:
    yield from sheet.stated("count", "share", "trend", "authors", "ratings", "segment", "versions")
    yield from sheet.stated("blamed") or sheet.stated("none")
    yield from sheet.quoted("For example", "representative", "diverse")
    yield from sheet.quoted("A customer who does not complain", "dissenting", limit=1)


def _leadership(sheet: _Sheet, request: BriefRequest) -> Iterator[Sentence]:
    for fact in sheet.all("severity"):
        yield _brief_severity(fact)
    yield from sheet.stated("count", "share", "orders")
    if sheet.blamed is not None:
        kind, name = sheet.blamed
        likely = sheet.value("blamed", 2)
        yield sheet.resting(f"Likely cause: {kind} {name}, {likely} likely.", "blamed")
    else:
        text = "No known change explains it; the cause is being looked for."
        yield sheet.resting(text, "none", "count")
    yield from sheet.quoted("One customer", "representative", limit=1)
    yield sheet.resting(f"Recommended owner: {request.owner}.", "owner")
