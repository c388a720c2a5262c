"""Makes the fact sheet of a signal, all that a brief may state; and keeps and reads it as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from closeloop.domain.brief import Fact, FactSheet, Figure, Measure, Quotation
from closeloop.stages.brief_material import Material
from closeloop.stages.fact_figures import plain, subject_of
from closeloop.stages.facts import MAX_CANDIDATES, drafts
from closeloop.stages.quotations import choose

__all__ = ["as_json", "fact_sheet", "from_json", "plain", "subject_of"]


def fact_sheet(material: Material) -> FactSheet:
    """Return the fact sheet of a signal; facts that can't be computed are left out.

    Facts are numbered F1, F2, … in a fixed order, so the same material gives the same sheet.
    """
    facts = tuple(
        Fact(f"F{number}", draft.statement, draft.values, draft.topic, draft.figures)
        for number, draft in enumerate(drafts(material), start=1)
    )
    quotations = choose(
        material.candidates(material.complaints),
        dissenting=material.candidates(material.dissenting()),
    )
    return FactSheet(material.signal.signal_id, facts, quotations, _names(material))


def as_json(sheet: FactSheet, *, basis: Mapping[str, Any]) -> str:
    """Return the sheet as the JSON that gold.brief keeps; `basis` is what made a brief due."""
    return json.dumps(
        {
            "signal_id": sheet.signal_id,
            "facts": [_fact(f) for f in sheet.facts],
            "quotations": [_quotation(q) for q in sheet.quotations],
            "names": list(sheet.names),
            "basis": dict(basis),
        },
        ensure_ascii=False,
        sort_keys=True,
    )


def from_json(text: str) -> FactSheet:
    """Return the sheet that gold.brief keeps; sheets of earlier releases hold no figures.

    Raises ValueError, KeyError or TypeError for what is no such JSON.
    """
    raw = json.loads(text)
    return FactSheet(
        signal_id=raw["signal_id"],
        facts=tuple(
            Fact(
                f["fact_id"],
                f["statement"],
                tuple(f["values"]),
                f["topic"],
                tuple(_figure_of(one) for one in f.get("figures", ())),
            )
            for f in raw["facts"]
        ),
        quotations=tuple(
            Quotation(**{**q, "event_time": datetime.fromisoformat(q["event_time"])})
            for q in raw["quotations"]
        ),
        names=tuple(raw["names"]),
    )


def _fact(fact: Fact) -> dict[str, Any]:
    return {
        "fact_id": fact.fact_id,
        "topic": fact.topic,
        "statement": fact.statement,
        "values": list(fact.values),
        "figures": [_figure(f) for f in fact.figures],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    held: dict[str, Any] = {
        "written": figure.written,
        "measure": figure.measure.value,
        "amount": figure.amount,
    }
    more = {
        "noun": figure.noun,
        "sense": figure.sense,
        "label": figure.label,
        "hours": figure.hours,
    }
    return held | {name: value for name, value in more.items() if value}


def _figure_of(raw: Mapping[str, Any]) -> Figure:
    return Figure(**{**raw, "measure": Measure(raw["measure"])})


def _quotation(quotation: Quotation) -> dict[str, Any]:
    return {
        "feedback_id": quotation.feedback_id,
        "text": quotation.text,
        "rating": quotation.rating,
        "event_time": quotation.event_time.isoformat(),
        "version": quotation.version,
        "role": quotation.role,
    }


def _names(m: Material) -> tuple[str, ...]:
    names = [
        m.product_name,
        m.signal.product,
        m.label,
        subject_of(m),
        m.signal.category or "",
        m.signal.version or "",
        m.owner.owner,
        m.owner.contact or "",
        m.owner.tracker_project or "",
        m.owner.component or "",
        *(a.name for a in m.attributions[:MAX_CANDIDATES] if a.change_id),
        *(str(c["version"]) for c in m.changes.values() if c["version"]),
        *(t.fixed_version or "" for t in m.past_tickets),
    ]
    return tuple(dict.fromkeys(plain(name) for name in names if name and name.strip()))
