"""Briefs: a fact sheet for each signal that is new or has changed, written up and checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from closeloop.domain.brief import (
    AUDIENCES,
    Attempt,
    Brief,
    FactSheet,
    Sentence,
    cited_text,
    plain_text,
)
from closeloop.domain.grounding import problems
from closeloop.domain.model_answer import AnswerState
from closeloop.domain.signal import Severity, Signal
from closeloop.ports import BriefRequest, StepContext, only_if_in
from closeloop.stages.brief_material import Material, gather
from closeloop.stages.fact_sheet import as_json, fact_sheet, plain, subject_of
from closeloop.stages.signal_rows import signals_by_id
from closeloop.stages.theme_name import name_signal_themes
from closeloop.tables import ATTRIBUTION, BRIEF, SIGNAL

NAME = "brief"

NOT_GROUNDED = "not_grounded"

GROWTH = 1.5
"""A signal is briefed again when its count is up by half: smaller news would only be noise."""


def run(context: StepContext) -> None:
    """Write a brief for each signal that is new or materially changed; historic ones get none."""
    ids = set(context.new_rows(SIGNAL, columns=["signal_id"]).column("signal_id").to_pylist())
    ids |= set(context.new_rows(ATTRIBUTION, columns=["signal_id"]).column("signal_id").to_pylist())
    if not ids:
        return
    signals = [s for s in signals_by_id(context, ids).values() if not s.historic]
    blamed = _blamed(context, [s.signal_id for s in signals])
    bases = _bases(context, [s.signal_id for s in signals])
    due = []
    for signal in sorted(signals, key=lambda s: s.signal_id):
        basis = basis_of(signal, blamed.get(signal.signal_id))
        if is_due(basis, bases.get(signal.signal_id)):
            due.append((signal, basis))
    name_signal_themes(context, [signal for signal, _ in due])
    rows = []
    for signal, basis in due:
        brief = write(context, gather(context, signal))
        rows.append(as_row(brief, basis))
        context.count("briefs", 1)
        context.count(f"briefs {outcome_of(brief).replace('_', ' ')}", 1)
        context.count("not_grounded", 0 if brief.verified else 1)
    if rows:
        context.merge(BRIEF, BRIEF.from_rows(rows))


def basis_of(signal: Signal, blamed: str | None) -> dict[str, Any]:
    """Return what decides whether a brief is due: count, severity, and which change is blamed."""
    return {"count": signal.count, "severity": signal.severity.value, "blamed": blamed}


def is_due(basis: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    """Return whether a signal is new, up by half, more severe, or blamed on something else."""
    if before is None:
        return True
    more_severe = Severity(basis["severity"]).rank < Severity(before["severity"]).rank
    grown = basis["count"] >= GROWTH * max(1, before["count"])
    return bool(more_severe or grown or basis["blamed"] != before["blamed"])


def write(context: StepContext, material: Material) -> Brief:
    """Return the checked brief of a signal: `problems` names whatever is not on its fact sheet."""
    sheet = fact_sheet(material)
    request = BriefRequest(
        signal=material.signal,
        attributions=material.attributions,
        sheet=sheet,
        label=subject_of(material),
        owner=plain(material.owner.owner),
        routing_hints=_routing_hints(material),
        now=context.now,
    )
    brief = context.writer.write(request)
    found = problems(brief)
    return replace(
        brief, brief_id=brief_id(sheet), verified=not found, problems=found, made_at=context.now
    )


def brief_id(sheet: FactSheet) -> str:
    """Return the id of the brief of a sheet: the same signal and facts give the same id."""
    content = as_json(sheet, basis={})
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def as_row(brief: Brief, basis: Mapping[str, Any]) -> dict[str, Any]:
    """Return a brief as a row of gold.brief."""
    sheet = brief.fact_sheet
    quotations = sheet.quotations
    texts = {name: cited_text(getattr(brief, name), sheet) for name in AUDIENCES}
    return {
        "brief_id": brief.brief_id,
        "signal_id": brief.signal_id,
        "title": brief.title.text,
        "summary": [{"sentence": s.text, "ids": list(s.ids)} for s in brief.summary],
        "impacted_area": plain_text(brief.impacted_area),
        "likely_cause": plain_text(brief.likely_cause),
        "urgency": plain_text(brief.urgency),
        "recommended_owner": brief.recommended_owner,
        "routing_hints": list(brief.routing_hints),
        "next_actions": [s.text for s in brief.next_actions],
        "engineering": texts["engineering"],
        "support": texts["support"],
        "product_text": texts["product"],
        "leadership": texts["leadership"],
        "citations": [q.feedback_id for q in quotations],
        "sample_id": quotations[0].feedback_id if quotations else None,
        "facts": as_json(sheet, basis=basis),
        "writer": brief.writer,
        "prompt_version": brief.prompt_version,
        "verified": brief.verified,
        "problems": list(brief.problems),
        "made_at": brief.made_at,
        "sentences": [_sentence(name, sentence) for name, _, sentence in brief.sentences()],
        "severity": brief.severity,
        "cause": brief.cause,
        "outcome": outcome_of(brief),
        "attempts": [_attempt(a) for a in brief.attempts],
    }


def outcome_of(brief: Brief) -> str:
    """Name how the text came about: written, repaired, deterministic, or why it is no model's.

    A fallback is named by the state of the last answer, or "not_grounded".
    """
    if not brief.attempts:
        return "deterministic"
    last = brief.attempts[-1]
    if last.state is not AnswerState.ANSWERED:
        return last.state.value
    if last.problems:
        return NOT_GROUNDED
    return "written" if len(brief.attempts) == 1 else "repaired"


def _sentence(field: str, sentence: Sentence) -> dict[str, Any]:
    return {
        "field": field,
        "sentence": sentence.text,
        "ids": list(sentence.ids),
        "derived": [
            f"{d.value} = {d.operation.value} of {', '.join(d.operands)}" for d in sentence.derived
        ],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "purpose": attempt.purpose,
        "state": attempt.state.value,
        "model": attempt.model,
        "prompt_version": attempt.prompt_version,
        "problems": list(attempt.problems),
        "detail": attempt.detail,
        "input_tokens": attempt.usage.input,
        "cached_tokens": attempt.usage.cached,
        "output_tokens": attempt.usage.output,
        "cost_usd": attempt.cost_usd,
        "kept": attempt.kept,
    }


def _routing_hints(material: Material) -> tuple[str, ...]:
    owner, signal = material.owner, material.signal
    blamed = next((a for a in material.attributions if a.blamed and a.change_id), None)
    hints = (
        ("product", material.product_name),
        ("category", signal.category),
        ("component", owner.component),
        ("tracker project", owner.tracker_project),
        ("contact", owner.contact),
        (blamed.kind if blamed else "", blamed.name if blamed else None),
    )
    return tuple(f"{kind}: {plain(name)}" for kind, name in hints if name)


def _blamed(context: StepContext, signal_ids: list[str]) -> dict[str, str]:
    if not signal_ids:
        return {}
    rows = context.rows(
        ATTRIBUTION,
        columns=["signal_id", "change_id"],
        where=[only_if_in("signal_id", signal_ids), ("blamed", "=", True)],
    ).to_pylist()
    return {r["signal_id"]: r["change_id"] for r in rows if r["change_id"]}


def _bases(context: StepContext, signal_ids: list[str]) -> dict[str, dict[str, Any]]:
    if not signal_ids:
        return {}
    rows = context.rows(
        BRIEF,
        columns=["signal_id", "facts", "made_at"],
        where=[only_if_in("signal_id", signal_ids)],
    ).sort_by("made_at")
    return {r["signal_id"]: json.loads(r["facts"])["basis"] for r in rows.to_pylist()}
