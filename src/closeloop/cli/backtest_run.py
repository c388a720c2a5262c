"""Runs a backtest: the loop over a workspace's history, into a folder of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from closeloop.app import Workspace
from closeloop.cli.backtest_period import feedback_inside
from closeloop.errors import UsageError
from closeloop.progress import shown
from closeloop.workspace_folder import check_backtest_name, new_backtest_folder, write_summary

if TYPE_CHECKING:
    from closeloop.domain.policy import Policy
    from closeloop.ports import LanguageModel
    from closeloop.replay import ReplayPlan


def run_backtest(
    workspace: Workspace,
    plan: ReplayPlan,
    *,
    products: Sequence[str],
    name: str,
    policy: Policy | None = None,
    model: LanguageModel | None = None,
) -> dict[str, Any]:
    """Replay history into backtests/NAME, in place of what is there; return its summary.

    A policy given takes the workspace's place; a model writes the briefs in place of its own.
    Raises UsageError where there is no feedback, or none in the period, for a NAME that is none,
    and where NAME is a folder that no backtest has made.
    """
    check_backtest_name(name)
    with shown(workspace.progress, "read the history"):
        bronze, changes, exposure = _history(workspace, products, plan=plan)
    folder = new_backtest_folder(workspace.folder, name)
    started = time.perf_counter()
    config = workspace.config if policy is None else replace(workspace.config, policy=policy)
    reports = workspace.replay(
        plan, bronze, changes=changes, exposure=exposure, into=folder, config=config, model=model
    )
    summary: dict[str, Any] = {
        "name": name,
        "from": plan.start.isoformat(),
        "to": plan.end.isoformat(),
        "every_s": plan.every.total_seconds(),
        "products": list(products),
        "policy_version": config.policy.version,
        "rows": bronze.num_rows,
        "rows_inside": feedback_inside(bronze.column("event_time"), plan),
        "passes": len(reports),
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_summary(folder, summary)
    return summary


def default_name(start: datetime, end: datetime, products: Sequence[str]) -> str:
    """Return the name of a backtest that was given none."""
    of = "-".join("".join(c if c.isalnum() or c in "._" else "_" for c in p) for p in products)
    return f"{of or 'all'}_{start:%Y%m%d%H}_{end:%Y%m%d%H}"[:120]


def _history(
    workspace: Workspace, products: Sequence[str], *, plan: ReplayPlan
) -> tuple[pa.Table, pa.Table, pa.Table]:
    from closeloop.tables import BRONZE_FEEDBACK, CHANGE, EXPOSURE

    bronze = workspace.committed(BRONZE_FEEDBACK)
    changes = workspace.committed(CHANGE)
    exposure = workspace.committed(EXPOSURE)
    if products:
        wanted = {workspace.config.product_id(p) for p in products}
        names = pc.unique(bronze.column("product")).to_pylist()
        delivered = pa.array(
            [n for n in names if workspace.config.product_id(n) in wanted], pa.string()
        )
        if len(delivered) == 0:
            known = sorted({workspace.config.product_id(n) for n in names})
            raise UsageError(
                f"no feedback of product {', '.join(products)}",
                hint=f"products here: {', '.join(known[:20]) or 'none; ingest first'}",
            )
        bronze = bronze.filter(pc.is_in(bronze.column("product"), value_set=delivered))
        ids = pa.array(sorted(wanted), pa.string())
        changes = changes.filter(pc.is_in(changes.column("product"), value_set=ids))
        exposure = exposure.filter(pc.is_in(exposure.column("product"), value_set=ids))
    if bronze.num_rows == 0:
        raise UsageError("there is no feedback yet", hint="closeloop ingest FILE --source NAME")
    # Rows without a time can't be placed in history; the live run keeps them in quarantine.
    timed = bronze.filter(pc.is_valid(bronze.column("event_time")))
    feedback_inside(timed.column("event_time"), plan)
    return timed.filter(pc.less_equal(timed.column("event_time"), plan.end)), changes, exposure
