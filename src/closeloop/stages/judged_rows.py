"""Rows of gold.judged: what the policy judged, and reads them back as states to try a policy on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from closeloop.domain.judgement import Circumstances
from closeloop.domain.policy_trial import JudgedState
from closeloop.domain.signal import Signal
from closeloop.stages.signal_rows import signal_of


def judged_row(
    signal: Signal, about: Circumstances, *, owner: str, kin: Iterable[str], at: datetime
) -> dict[str, Any]:
    """Return one judged signal as a row; ids of feedback stay out, so an erasure has nothing here."""
    terms = [asdict(t) | {"points": t.points} for t in signal.severity_terms]
    return asdict(signal) | {
        "kind": signal.kind.value,
        "severity": signal.severity.value,
        "severity_terms": terms,
        "tiers": [{"tier": tier, "authors": authors} for tier, authors in signal.tiers],
        "ratio": signal.ratio,
        "judged_at": at,
        "no_case": about.no_case,
        "possible_pii": about.possible_pii,
        "owner": owner,
        "kin": list(kin),
    }


def judged_states(rows: Iterable[Mapping[str, Any]]) -> list[JudgedState]:
    """Return rows of gold.judged as the states they were."""
    return [
        JudgedState(
            at=row["judged_at"],
            signal=signal_of({**row, "feedback_ids": ()}),
            no_case=row["no_case"],
            possible_pii=row["possible_pii"],
            owner=row["owner"] or "",
            kin=tuple(row["kin"] or ()),
        )
        for row in rows
    ]
