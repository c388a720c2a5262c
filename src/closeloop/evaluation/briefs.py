"""Evaluates a writer of briefs on a frozen set of fact sheets, against a stored baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from closeloop.domain.brief import Brief, FactSheet
from closeloop.domain.grounding import problems
from closeloop.domain.signal import Severity, Signal, SignalKind
from closeloop.ports import BriefRequest, Progress, Writer
from closeloop.stages.brief import outcome_of

NOW = datetime(2024, 1, 1, tzinfo=UTC)
TOKENS_WORSE = 1.1
"""A tenth more tokens is worse: below, answers of one model differ that much by themselves."""


@dataclass(frozen=True, slots=True)
class BriefFigures:
    """How a writer did on the set.

    `first_time`, `mended` and `fallback` are numbers of briefs and add up to `briefs`; `outcomes`
    names the fallbacks. `ungrounded` would be a brief that stands and that the check refuses: it
    has to be 0. `cost_usd` is None where a price is unknown. `problems` counts what first answers
    were refused for, by its kind.
    """

    writer: str
    prompt_version: str
    briefs: int
    first_time: int
    mended: int
    fallback: int
    ungrounded: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float | None
    outcomes: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the figures as they are stored and printed."""
        return asdict(self)


def evaluate_writer(
    writer: Writer, sheets: Sequence[FactSheet], progress: Progress
) -> BriefFigures:
    """Write a brief of every sheet and return the figures. Answers that are kept cost nothing."""
    return figures_of(write_briefs(writer, sheets, progress), writer)


def write_briefs(writer: Writer, sheets: Sequence[FactSheet], progress: Progress) -> list[Brief]:
    """Write a brief of every sheet."""
    progress.start("briefs", total=len(sheets), unit="briefs")
    briefs = []
    for sheet in sheets:
        briefs.append(writer.write(request_of(sheet)))
        progress.advance()
    progress.finish()
    return briefs


def figures_of(briefs: Sequence[Brief], writer: Writer) -> BriefFigures:
    """Return the figures of briefs."""
    outcomes = Counter(outcome_of(b) for b in briefs)
    attempts = [a for b in briefs for a in b.attempts]
    costs = [a.cost_usd for a in attempts]
    own = outcomes["written"] + outcomes["deterministic"]
    return BriefFigures(
        writer=writer.name,
        prompt_version=attempts[0].prompt_version if attempts else briefs[0].prompt_version,
        briefs=len(briefs),
        first_time=own,
        mended=outcomes["repaired"],
        fallback=len(briefs) - own - outcomes["repaired"],
        ungrounded=sum(bool(problems(b)) for b in briefs),
        input_tokens=sum(a.usage.input for a in attempts),
        cached_tokens=sum(a.usage.cached for a in attempts),
        output_tokens=sum(a.usage.output for a in attempts),
        cost_usd=None if None in costs else sum(c for c in costs if c is not None),
        outcomes=dict(sorted(outcomes.items())),
        problems=problem_kinds(a.problems for a in attempts if a.purpose == "brief"),
    )


def worse(now: BriefFigures, before: Mapping[str, Any]) -> list[str]:
    """Return in plain words what is worse than the stored baseline; nothing where all is as good.

    Compared are shares of the set, so that sets of different sizes may be compared; tokens a brief.
    """
    found = []
    if now.ungrounded:
        found.append(f"{now.ungrounded} briefs stand that the check refuses")
    for name, sign in (("first_time", 1), ("fallback", -1)):
        mine = getattr(now, name) / max(now.briefs, 1)
        held = float(before[name]) / max(int(before["briefs"]), 1)
        if sign * mine < sign * held - 1e-9:
            found.append(f"{name.replace('_', ' ')}: {mine:.0%}, before {held:.0%}")
    for name in ("input_tokens", "output_tokens"):
        mine = getattr(now, name) / max(now.briefs, 1)
        held = float(before[name]) / max(int(before["briefs"]), 1)
        if mine > TOKENS_WORSE * held:
            found.append(f"{name.replace('_', ' ')} a brief: {mine:,.0f}, before {held:,.0f}")
    return found


def request_of(sheet: FactSheet) -> BriefRequest:
    """Return the request for a brief of a stored sheet.

    Raises LookupError where the sheet lacks severity or owner (those of the first releases do).
    """
    values = {f.topic: f.values for f in sheet.facts}
    if not values.get("severity") or not values.get("owner"):
        raise LookupError(
            f"the fact sheet of signal {sheet.signal_id[:20]!r} has no severity or owner"
        )
    signal = replace(_SIGNAL, signal_id=sheet.signal_id, severity=Severity(values["severity"][0]))
    return BriefRequest(signal, (), sheet, "", values["owner"][0], (), NOW)


_SIGNAL = Signal(
    signal_id="",
    product="",
    kind=SignalKind.CATEGORY,
    series_id="",
    window_start=NOW,
    window_end=NOW,
    count=0,
    baseline=0.0,
    count_6h=0,
    baseline_6h=0.0,
    detector="",
    evidence=0.0,
    threshold=0.0,
    family_size=1,
    fdr_pass=False,
    detected_at=NOW,
    feedback_ids=(),
)


def problem_kinds(found: Iterable[Sequence[str]]) -> dict[str, int]:
    """Count problems by the part that they are in: their words hold what a model wrote."""
    return dict(sorted(Counter(p.partition(":")[0].split()[0] for ps in found for p in ps).items()))
