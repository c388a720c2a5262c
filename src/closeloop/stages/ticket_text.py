"""The words of a ticket: what engineers read, with the customers' own words beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from closeloop.domain import figures
from closeloop.domain.signal import Signal
from closeloop.stages.decide import quotations

EXAMPLES = 5
"""Quotations on a ticket; the brief has the others."""


def release_of(signal: Signal, blamed: Mapping[str, Any] | None) -> str | None:
    """Return the release that is blamed, or the one that a release signal is about."""
    if blamed is not None and blamed["kind"] == "release":
        return str(blamed["name"])
    return signal.version


def body_of(
    signal: Signal, brief: Mapping[str, Any] | None, blamed: Mapping[str, Any] | None
) -> str:
    """Write the ticket: the engineering text of the brief, its actions, where it comes from."""
    parts = [
        f"{signal.count} complaints between {signal.window_start:%Y-%m-%d %H:%M} and "
        f"{signal.window_end:%Y-%m-%d %H:%M} UTC, {figures.against(signal.count, signal.baseline)}."
    ]
    if brief is not None:
        parts = [str(brief["engineering"] or parts[0])]
        parts += [f"Likely cause: {brief['likely_cause']}"] if brief["likely_cause"] else []
        parts += [f"Impact: {brief['impacted_area']}"] if brief["impacted_area"] else []
        actions = [f"- {action}" for action in brief["next_actions"] or []]
        parts += ["Next:\n" + "\n".join(actions)] if actions else []
    elif blamed is not None:
        parts.append(f"Likely cause: {blamed['kind']} {blamed['name']}")
    terms = [f"- {t.points:.0f} {t.name}: {t.reason}" for t in signal.severity_terms]
    parts += [f"Severity {signal.severity}:\n" + "\n".join(terms)] if terms else []
    parts.append(f"Signal {signal.signal_id}")
    return "\n\n".join(parts)


def example(quotation: Mapping[str, Any]) -> str:
    """Return one quotation, verbatim, with the id of its review."""
    rating = quotation.get("rating")
    notes = [f"review {quotation.get('feedback_id')}"]
    notes += [f"{float(rating):.0f} of 5 stars"] if rating is not None else []
    notes += [f"version {quotation['version']}"] if quotation.get("version") else []
    return f"“{quotation['text']}” ({', '.join(notes)})"


def examples_of(brief: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the first quotations of a brief as they stand on the ticket."""
    return tuple(example(q) for q in quotations(brief)[:EXAMPLES])
