"""Runs the loop once in a workspace and kills itself at the N-th write: python killed_run.py DIR N.

A write is one to a Delta table, or the commit of a step. Prints DONE where it was not killed.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from closeloop.engines.local import LocalEngine
from closeloop.store.transaction import OpenTransaction
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.example_workspace import FILES, FixedClock
from closeloop.testing.progress import SilentProgress


def main() -> None:
    folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
    from closeloop.app import Workspace

    writes = 0

    def count(function, *, before):
        def wrapped(*args, **kwargs):
            nonlocal writes
            writes += 1
            if before and writes == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if not before and writes == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    # Killed after a table was written, and before the step that wrote it committed.
    LocalEngine.append = count(LocalEngine.append, before=False)
    LocalEngine.merge = count(LocalEngine.merge, before=False)
    OpenTransaction.commit = count(OpenTransaction.commit, before=True)
    assert FILES
    workspace = Workspace(
        folder,
        progress=SilentProgress(),
        clock=FixedClock(datetime(2024, 3, 1, 12, tzinfo=UTC)),
    )
    workspace.models._embedder = HashedWordEmbedder()
    workspace.run()
    print(f"DONE {writes}")


if __name__ == "__main__":
    main()
