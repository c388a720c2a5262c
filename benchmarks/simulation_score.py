"""Compares what the loop made of a simulation with its truth.

A problem is held against the limit that no detector beats: with mu usual complaints and Y that came,
Y (ln rho - 1 + 1/rho) with rho = Y / mu has to reach ln(720 N / B), N series tested and B false alarms
a product and month. Here Y are the complaints that the problem brings in a stretch that begins with a
day of it, and the usual ones; "twice the limit" is where twice as much is reached in some stretch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from closeloop.replay import ReplayPlan
from closeloop.testing.simulator import Simulation
from simulation_watch import Seen, Watch, roots_of

HOURS_A_MONTH = 720
FAMILY_IF_UNKNOWN = 13
"""The complaint categories alone, where no signal of the product says how many series are tested."""
NONE = "none of these"

Row = dict[str, Any]
Floats = npt.NDArray[np.float64]


def score(simulation: Simulation, watch: Watch, *, plan: ReplayPlan) -> Row:
    """Return one run's figures: its problems, and what was raised, ticketed or blamed wrongly."""
    seed = simulation.seed
    products = [f"{p.product_id}-{seed}" for p in simulation.scenario.products]
    seen = [s for s in watch.seen.values() if s.first["product"] in products]
    roots = roots_of(simulation)
    problems = []
    explained: set[str] = set()
    for root in dict.fromkeys(roots.values()):
        causes = [c for c in simulation.truth["causes"] if roots[c["cause"]] == root]
        if not causes[0]["to_raise"]:
            continue
        product = f"{causes[0]['product']}-{seed}"
        own = [s for s in seen if s.last["product"] == product and watch.cause(s.last) == root]
        explained |= {s.last["signal_id"] for s in own}
        problems.append(_problem(simulation, watch, causes, own, root=root, product=product))
    false = [s for s in seen if s.last["signal_id"] not in explained]
    planted = [p["value"] for t in simulation.truth_rows for p in t["pii"]]
    shown = "\n".join(watch.texts.values())
    return {
        "scenario": simulation.scenario.name,
        "seed": seed,
        "texts": len(simulation.feedback),
        "product_months": len(products) * ((plan.end - plan.start) / timedelta(days=30)),
        "problems": problems,
        "false_signals": [_told(s, watch) for s in false],
        "false_tickets": sum(s.would_ticket_at is not None for s in false),
        "planted": len(planted),
        "left": sum(n for name, n in watch.leaks.items() if name.endswith(f"-{seed}")),
        "shown": sum(value in shown for value in planted),
    }


def _problem(
    simulation: Simulation,
    watch: Watch,
    causes: Sequence[Row],
    own: Sequence[Seen],
    *,
    root: str,
    product: str,
) -> Row:
    accepted = {c["change"] for c in causes if c["change"]}
    came = _came(simulation, root)
    family = watch.families.get(product, FAMILY_IF_UNKNOWN)
    needed = float(np.log(HOURS_A_MONTH * family))
    strength, limit_complaints, limit_hours = _strength(simulation, causes, came, needed=needed)
    start = datetime.fromisoformat(causes[0]["started_at"])
    first = min(own, key=lambda s: (s.at, s.first["signal_id"]), default=None)
    ticketed = [s.would_ticket_at for s in own if s.would_ticket_at is not None]
    lead = max(own, key=lambda s: (s.last["kind"] != "release", s.last["count"]), default=None)
    blamed = {name for s in own for name in s.blamed}
    verdicts = {watch.verdicts.get(s.last["signal_id"]) for s in own} - {None}
    return {
        "cause": root,
        "change": sorted(accepted),
        "strength": round(strength / needed, 2),
        "family": family,
        "complaints": len(came),
        "limit_complaints": limit_complaints,
        "limit_hours": limit_hours,
        "found": first is not None,
        "hours": None if first is None else (first.at - start) / timedelta(hours=1),
        "needed": None if first is None else int(sum(t <= first.at for t in came)),
        "would_ticket": bool(ticketed),
        "ticket_hours": (min(ticketed) - start) / timedelta(hours=1) if ticketed else None,
        "tickets": sum(s.would_ticket_at is not None and not s.last["parent_id"] for s in own),
        "ranked_first": None if lead is None or not lead.ranking else lead.ranking[0]["name"],
        "right": None if lead is None else _right(lead, accepted),
        "blamed": sorted(blamed),
        "blamed_wrongly": bool(blamed - accepted),
        "verdict_due": causes[0]["verdict"],
        "verdicts": sorted(str(v) for v in verdicts),
        "signals": [_told(s, watch) for s in own],
    }


def _right(lead: Seen, accepted: set[str]) -> bool:
    first = lead.ranking[0]["name"] if lead.ranking else NONE
    return first in accepted if accepted else first == NONE


def _came(simulation: Simulation, root: str) -> list[datetime]:
    """Return when each complaint of a problem was written."""
    roots = roots_of(simulation)
    own = {
        t["source_id"]
        for t in simulation.truth_rows
        if t["cause"] is not None and roots.get(t["cause"]) == root and t["repeats"] is None
    }
    return sorted(
        datetime.fromisoformat(row["event_time"])
        for row in simulation.feedback
        if row["source_id"] in own and not row["updated_at"]
    )


def _strength(
    simulation: Simulation, causes: Sequence[Row], came: Sequence[datetime], *, needed: float
) -> tuple[float, int | None, int | None]:
    """Return the largest Y (ln rho - 1 + 1/rho), and after how much it reached what is needed.

    The second is complaints that the problem had brought, the third hours since it began.
    """
    names = {c["cause"] for c in causes}
    usual: dict[datetime, float] = {}
    for row in simulation.expected:
        if row["cause"] in names:
            usual[datetime.fromisoformat(row["hour"])] = row["usual"]
    if not usual:
        return 0.0, None, None
    begin = min(usual)
    hours = int((max(usual) - begin) / timedelta(hours=1)) + 1
    mean: Floats = np.zeros(hours)
    for hour, value in usual.items():
        mean[int((hour - begin) / timedelta(hours=1))] = value
    counts = np.zeros(hours)
    for moment in came:
        counts[min(int((moment - begin) / timedelta(hours=1)), hours - 1)] += 1
    best, complaints, reached_h = 0.0, None, None
    for since in range(0, hours, 24):
        mu = np.cumsum(mean[since:]) + 1e-9
        total = np.cumsum(counts[since:]) + mu
        terms = total * np.log(total / mu) - (total - mu)
        best = max(best, float(terms.max()))
        over = np.flatnonzero(terms >= needed)
        if len(over) and (reached_h is None or since + over[0] < reached_h):
            reached_h = since + int(over[0])
            complaints = int(counts[: reached_h + 1].sum())
    return best, complaints, None if reached_h is None else reached_h + 1


def _told(seen: Seen, watch: Watch) -> Row:
    """Return what a reader needs to see why a signal was raised."""
    row = seen.last
    return {
        "at": seen.at.isoformat(),
        "product": row["product"],
        "what": f"{row['kind']} {row['category'] if row['kind'] != 'release' else row['version']}",
        "count": row["count"],
        "baseline": round(row["baseline"], 1),
        "severity": row["severity"],
        "fdr_pass": bool(row["fdr_pass"]),
        "trust": None if row["trust"] is None else round(row["trust"], 2),
        "would_ticket": seen.would_ticket_at is not None,
        "child": bool(row["parent_id"]),
        "cause": watch.cause(row),
        "ranking": [[r["name"], round(r["posterior"], 3), bool(r["blamed"])] for r in seen.ranking],
        "blamed": sorted(seen.blamed),
    }
