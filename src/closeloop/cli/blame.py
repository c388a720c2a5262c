"""Says what is blamed for a signal, and where nothing is, which condition of blame failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from closeloop.app import Workspace
from closeloop.cli.output import records
from closeloop.ports import only_if_in
from closeloop.stages.attribute import HOLDS_FOR
from closeloop.stages.candidates import NOT_THE_LARGER
from closeloop.stages.comparison import nearly_all_have_it
from closeloop.stats.change_point import BLAME_AT, SURE
from closeloop.tables import ATTRIBUTION

NOT_WEIGHED = "not weighed"
NO_CHANGE = "no change is known of that time"
UNLIKE_THE_LARGER = "unlikely behind the larger trouble of the same days"
NOT_BEYOND_CHANCE = "its users complain no more than chance explains"
HOLDS = f"under {SURE} it must hold for {HOLDS_FOR.total_seconds() / 3600:.0f} hours"

Row = Mapping[str, Any]


def candidates_of(workspace: Workspace, signal_ids: Iterable[str]) -> dict[str, list[Row]]:
    """Return the candidates of each signal, most likely first; [] for one that was not weighed."""
    found: dict[str, list[Row]] = defaultdict(list)
    rows = records(workspace.committed(ATTRIBUTION, where=[only_if_in("signal_id", signal_ids)]))
    for row in sorted(rows, key=lambda r: (-r["posterior"], r["name"])):
        found[row["signal_id"]].append(row)
    return found


def blame(candidates: Sequence[Row]) -> str:
    """Return what is blamed in a few words: a change, the likeliest with what speaks against it, or none.

    Candidates come most likely first. Those of history are never weighed: there are none.
    """
    if not candidates:
        return NOT_WEIGHED
    guilty = next((c for c in candidates if c["blamed"]), None)
    if guilty is not None:
        return _named(guilty)
    likeliest = candidates[0]
    if likeliest["kind"] != "none":
        return f"unsure: {_named(likeliest)} - {unmet(likeliest)}"
    if len(candidates) == 1:
        return NO_CHANGE
    if likeliest["posterior"] < 0.5:
        return f"unsure: {_named(likeliest)} or {_named(candidates[1])}"
    return _named(likeliest)


def unmet(candidate: Row) -> str:
    """Return which condition of blame a change fails, as far as its row tells."""
    if candidate["posterior"] < BLAME_AT:
        return f"the limit is {BLAME_AT}"
    reasons = candidate["reasons"] or ()
    if NOT_THE_LARGER in reasons:
        return UNLIKE_THE_LARGER
    few = any("not enough to compare" in r for r in reasons)
    if few and not nearly_all_have_it(candidate["exposed"], candidate["unexposed"]):
        return (
            f"only {candidate['exposed']} reviews with it to compare with {candidate['unexposed']}"
        )
    compared = candidate["effect"] is not None and not few
    if candidate["posterior"] >= SURE:
        return NOT_BEYOND_CHANCE if compared else "a condition of blame is not met"
    # What chance explains is not kept: an interval that reaches 1 leaves it open.
    if compared and candidate["effect_low"] <= 1.0:
        return f"{HOLDS}, and its users must complain more than chance explains"
    return HOLDS


def candidate_name(candidate: Row) -> str:
    """Return a candidate as it is told: its kind and name, or "none of these"."""
    own = str(candidate["name"])
    return own if candidate["kind"] == "none" else f"{candidate['kind']} {own}"


def likelihood(posterior: float) -> str:
    """Return a posterior with two digits; what is not sure is not written as 1.00."""
    return ">0.99" if 0.995 <= posterior < 1.0 else f"{posterior:.2f}"


def _named(candidate: Row) -> str:
    return f"{candidate_name(candidate)} ({likelihood(candidate['posterior'])})"
