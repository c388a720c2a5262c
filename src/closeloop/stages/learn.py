"""Learns from people: how often they agreed, what may be done without them, and what was done."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from closeloop.domain.autonomy import standings
from closeloop.domain.review import AuditEntry, Label
from closeloop.ports import StepContext
from closeloop.stages.outbox import mirror
from closeloop.stages.taxonomy_proposals import propose_categories
from closeloop.tables import AUDIT, TICKET

NAME = "learn"

CALIBRATION = "calibration"
"""State: what people's labels say, per product and category."""
AUDITED = "audited"
"""State: number of the newest log entry that gold.audit holds."""


def run(context: StepContext) -> None:
    """Bring calibration figures, gold.audit and gold.ticket up to date with what people did.

    Labels, answers and moved tickets come from commands between two passes, so the operational
    database is looked at in every pass; where nothing changed, nothing is written. Once a day texts
    that fit no category are looked over, and a new category may be proposed.
    """
    propose_categories(context)
    _calibrate(context, context.ops.labels())
    _audit(context)
    _mirror_tickets(context)


def calibration(context: StepContext) -> dict[str, object]:
    """Return the newest calibration figures, empty before the first label."""
    blob = context.state(CALIBRATION)
    held: dict[str, object] = json.loads(blob) if blob else {}
    return held


def _calibrate(context: StepContext, labels: Sequence[Label]) -> None:
    if not labels:
        return
    policy = context.config.policy
    found = standings(labels, policy)
    figures = {
        "labels": len(labels),
        "kinds": dict(sorted(Counter(label.kind.value for label in labels).items())),
        "needed": policy.labels_for_autonomy,
        "precision_needed": policy.precision_for_autonomy,
        "standings": [
            {
                "product": s.product,
                "category": s.category,
                "labels": s.labels,
                "right": s.right,
                "precision": s.precision,
                "autonomy": s.earned,
            }
            for s in found.values()
        ],
    }
    blob = json.dumps(figures, sort_keys=True).encode()
    if context.state(CALIBRATION) != blob:
        context.put_state(CALIBRATION, blob)
        context.count("labels", len(labels))


def _audit(context: StepContext) -> None:
    """Append to gold.audit what was logged since the last pass."""
    blob = context.state(AUDITED)
    entries = context.ops.audit_entries(after=int(blob) if blob else 0)
    if not entries:
        return
    context.append(AUDIT, AUDIT.from_rows(_audit_row(e) for e in entries))
    context.put_state(AUDITED, str(entries[-1].number).encode())
    context.count("audited", len(entries))


def _audit_row(entry: AuditEntry) -> dict[str, object]:
    return {
        "audit_id": str(entry.number),
        "made_at": entry.made_at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
    }


def _mirror_tickets(context: StepContext) -> None:
    """Bring gold.ticket up to date with tickets that were moved elsewhere."""
    tickets = context.ops.tickets()
    if not tickets:
        return
    columns = ["ticket_id", "status", "severity", "owner", "external_key", "parent_id", "title"]
    held = {
        row["ticket_id"]: tuple(row.values())
        for row in context.rows(TICKET, columns=columns).to_pylist()
    }
    moved = [
        t
        for t in tickets
        if held.get(t.ticket_id)
        != (
            t.ticket_id,
            t.status.value,
            t.severity.value,
            t.owner,
            t.external_key,
            t.parent_id,
            t.title,
        )
    ]
    mirror(context, moved)
