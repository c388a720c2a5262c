"""Lays out a fact sheet for a language model: facts with their figures, then fenced quotations."""

from __future__ import annotations

import json
from collections.abc import Sequence

from closeloop.domain.brief import Brief, Fact, FactSheet, Figure, Measure, Sentence
from closeloop.models.outgoing import fenced


def facts_text(sheet: FactSheet, hints: Sequence[str], nonce: str) -> str:
    """Return what differs from signal to signal: facts, names, hints, quotations."""
    lines = ["FACTS"]
    for fact in sheet.facts:
        lines.append(f"{fact.fact_id} {fact.statement}")
        # Dates can't be reckoned with, so they need no number.
        named = [n for n, f in enumerate(fact.figures) if f.measure is not Measure.MOMENT]
        if named:
            lines.append("  " + "; ".join(_figure(fact, n) for n in named))
    lines.append("NAMES " + " | ".join(sheet.names))
    lines.append("ROUTING HINTS OFFERED " + (" | ".join(hints) or "none"))
    lines.append(f"QUOTATIONS, each between markers with the code {nonce}")
    for number, quotation in enumerate(sheet.quotations, start=1):
        notes = [quotation.role]
        if quotation.rating is not None:
            notes.append(f"{quotation.rating:g} of 5 stars")
        lines.append(f"Q{number} ({', '.join(notes)})")
        lines.append(fenced(f"Q{number}", quotation.text, nonce))
    lines.append("Write the brief.")
    return "\n".join(lines)


def repair_text(facts: str, brief: Brief, problems: Sequence[str], sheet: FactSheet) -> str:
    """Return what a repair is asked with: the facts, the refused brief, the exact problems."""
    listed = "\n".join(f"- {problem}" for problem in problems)
    refused = json.dumps(as_answer(brief, sheet), ensure_ascii=False)
    return f"{facts}\nYOUR BRIEF\n{refused}\nWHAT IS WRONG WITH IT\n{listed}\nWrite the whole brief again."


def as_answer(brief: Brief, sheet: FactSheet) -> dict[str, object]:
    """Return a brief in the schema that a model answers in."""
    numbers = {q.feedback_id: f"Q{n}" for n, q in enumerate(sheet.quotations, start=1)}

    def one(sentence: Sentence) -> dict[str, object]:
        return {
            "text": sentence.text,
            "ids": [numbers.get(i, i) for i in sentence.ids],
            "derived": [
                {"value": d.value, "operation": d.operation.value, "operands": list(d.operands)}
                for d in sentence.derived
            ],
        }

    def many(sentences: Sequence[Sentence]) -> list[dict[str, object]]:
        return [one(s) for s in sentences]

    return {
        "title": one(brief.title),
        "summary": many(brief.summary),
        "impacted_area": many(brief.impacted_area),
        "likely_cause": many(brief.likely_cause),
        "urgency": many(brief.urgency),
        "severity": brief.severity,
        "cause": brief.cause,
        "recommended_owner": brief.recommended_owner,
        "routing_hints": list(brief.routing_hints),
        "next_actions": many(brief.next_actions),
        "engineering": many(brief.engineering),
        "support": many(brief.support),
        "product": many(brief.product),
        "leadership": many(brief.leadership),
    }


def _figure(fact: Fact, place: int) -> str:
    figure: Figure = fact.figures[place]
    notes = [n for n in (figure.noun, figure.sense, figure.label) if n]
    if not figure.noun:
        notes.insert(0, figure.measure.value)
    return f"{fact.fact_id}.{place + 1}={figure.written} {', '.join(notes)}"
