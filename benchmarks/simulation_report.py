"""Prints the runs of the simulation, by scenario and all together, with 95% intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from closeloop.stats.intervals import wilson

TWICE = 2.0
Row = dict[str, Any]


def print_report(runs: Sequence[Row]) -> None:
    """Print a table by scenario, then the pooled figures."""
    if not runs:
        print("nothing has been run")
        return
    print(
        "| scenario | runs | problems above twice the limit | found | would be a ticket | hours | "
        "complaints (limit) | ranked first | blamed wrongly | verdict right | false signals | "
        "false tickets a product-month |"
    )
    print("|---" * 12 + "|")
    names = list(dict.fromkeys(run["scenario"] for run in runs))
    for name in names:
        print(_line(name, [r for r in runs if r["scenario"] == name]))
    print(_line("all", runs))
    _pooled(runs)


def _above(runs: Sequence[Row]) -> list[Row]:
    return [p for r in runs for p in r["problems"] if p["strength"] >= TWICE]


def _line(name: str, runs: Sequence[Row]) -> str:
    above = _above(runs)
    found = [p for p in above if p["found"]]
    false = [s for r in runs for s in r["false_signals"]]
    months = sum(r["product_months"] for r in runs)
    verdicts = [p for p in above if p["verdict_due"]]
    return (
        f"| {name} | {len(runs)} | {len(above)} | {_share(found, above)} "
        f"| {_share([p for p in above if p['would_ticket']], above)} "
        f"| {_median([p['hours'] for p in found])} "
        f"| {_median([p['needed'] for p in found])} "
        f"({_median([p['limit_complaints'] for p in found])}) "
        f"| {_share([p for p in found if p['right']], found)} "
        f"| {_share([p for p in found if p['blamed_wrongly']], found)} "
        f"| {_share([p for p in verdicts if p['verdict_due'] in p['verdicts']], verdicts)} "
        f"| {len(false)} | {sum(r['false_tickets'] for r in runs) / months:.2f} |"
    )


def _pooled(runs: Sequence[Row]) -> None:
    above = _above(runs)
    found = [p for p in above if p["found"]]
    caused = [p for p in found if p["change"]]
    free = [p for p in found if not p["change"]]
    months = sum(r["product_months"] for r in runs)
    tickets = sum(r["false_tickets"] for r in runs)
    signals = [s for r in runs for s in r["false_signals"]]
    weak = [p for r in runs for p in r["problems"] if p["strength"] < TWICE]
    delays = [p["needed"] / p["limit_complaints"] for p in found if p["limit_complaints"]]
    print(f"\n{len(runs)} runs, {sum(r['texts'] for r in runs):,} texts, looks every ", end="")
    print(f"{', '.join(sorted({str(r['every']) for r in runs}))} h")
    print(f"found above twice the limit: {_interval(found, above)}")
    print(f"found under it: {_interval([p for p in weak if p['found']], weak)}")
    ticketed = [p for p in above if p["would_ticket"]]
    print(f"would be a ticket: {_interval(ticketed, above)}")
    hours = np.array([p["hours"] for p in found], dtype=float)
    if len(hours):
        print(
            f"delay: {np.median(hours):.0f} h (90th percentile {np.quantile(hours, 0.9):.0f}), "
            f"{_median([p['needed'] for p in found])} complaints, "
            f"{np.median(delays):.2f} times those of the limit"
        )
    print(f"the true change ranked first: {_interval([p for p in caused if p['right']], caused)}")
    named = [p for p in caused if set(p["change"]) & set(p["blamed"])]
    print(f"the true change blamed: {_interval(named, caused)}")
    print(f"none of these ranked first: {_interval([p for p in free if p['right']], free)}")
    silent = [p for p in free if not p["blamed"]]
    print(f"nothing blamed where nothing is to blame: {_interval(silent, free)}")
    wrong = [s for s in signals if s["blamed"]]
    print(f"false signals: {len(signals)}, {len(signals) / months:.2f} a product-month; ", end="")
    print(f"{len(wrong)} of them blame a change")
    low, high = _poisson(tickets)
    print(
        f"false would-be tickets: {tickets} in {months:.0f} product-months, "
        f"{tickets / months:.2f} [{low / months:.2f}, {high / months:.2f}] a product-month"
    )
    more = [p["tickets"] for p in above if p["would_ticket"]]
    if more:
        print(f"tickets a problem, children left out: {np.mean(more):.2f}")
    planted, left, shown = (sum(r[key] for r in runs) for key in ("planted", "left", "shown"))
    print(f"planted personal data: {planted:,} pieces, {left} left unmasked, {shown} in briefs")


def _share(hits: Sequence[Row], of: Sequence[Row]) -> str:
    return f"{len(hits) / len(of):.2f}" if of else "–"


def _interval(hits: Sequence[Row], of: Sequence[Row]) -> str:
    if not of:
        return "–"
    found = wilson(len(hits), len(of))
    return (
        f"{len(hits)} of {len(of)}, {len(hits) / len(of):.3f} [{found.low:.2f}, {found.high:.2f}]"
    )


def _median(values: Sequence[float | None]) -> str:
    known = [v for v in values if v is not None]
    return f"{np.median(known):.0f}" if known else "–"


def _poisson(count: int) -> tuple[float, float]:
    """Return the 95% interval of a Poisson mean (Garwood, Biometrika 1936)."""
    from scipy.stats import chi2

    low = 0.0 if count == 0 else float(chi2.ppf(0.025, 2 * count) / 2)
    return low, float(chi2.ppf(0.975, 2 * count + 2) / 2)
