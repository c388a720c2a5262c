"""Runs the loop once and kills itself at one point: python briefed_run.py DIR POINT.

Points: "unkept" (the answer is there, not yet in the ledger of calls), "kept" (in the ledger, the
brief not written), "written" (the brief's table is written, its step not committed), "none".
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from closeloop.engines.local import LocalEngine
from closeloop.store.model_calls import SqlCallLedger
from closeloop.tables import BRIEF
from tests.acceptance.briefed import run


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, point: str) -> None:
    """Run, or die."""
    finish, merge = SqlCallLedger.finish, LocalEngine.merge

    def finished(self: SqlCallLedger, *args: Any, **more: Any) -> None:
        if point == "unkept":
            _die()
        finish(self, *args, **more)
        if point == "kept":
            _die()

    def merged(self: LocalEngine, table: Any, *args: Any, **more: Any) -> Any:
        version = merge(self, table, *args, **more)
        if point == "written" and table is BRIEF:
            _die()
        return version

    SqlCallLedger.finish, LocalEngine.merge = finished, merged  # type: ignore[method-assign]
    run(Path(folder))
    print("DONE")


if __name__ == "__main__":
    main(*sys.argv[1:])
