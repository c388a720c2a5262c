"""Takes in files on Spark and kills itself at the N-th write: python killed_stream.py DIR JARS N.

A write is one to a Delta table (killed after it), the commit of a step (killed before it), or the
end of a batch (killed after the step's commit, before Spark's checkpoint). Prints DONE and the writes.
"""

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from closeloop.app import Workspace
from closeloop.connectors.sources import spark_streams
from closeloop.engines.spark import SparkEngine
from closeloop.store.transaction import OpenTransaction
from closeloop.streaming import streams_of, take_in_stream
from closeloop.testing.example_workspace import FixedClock
from closeloop.testing.progress import SilentProgress

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def main() -> None:
    folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
    writes = 0

    def count():
        nonlocal writes
        writes += 1
        if writes == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(function, *, before):
        def wrapped(*args, **kwargs):
            # What ends a batch is counted when it ends: other writes lie within it.
            if before:
                count()
            result = function(*args, **kwargs)
            if not before:
                count()
            return result

        return wrapped

    SparkEngine.append = counted(SparkEngine.append, before=False)
    SparkEngine.replace = counted(SparkEngine.replace, before=False)
    OpenTransaction.commit = counted(OpenTransaction.commit, before=True)
    drain = spark_streams._drain

    def drained(frame, batch, *, checkpoint):
        return drain(frame, counted(batch, before=False), checkpoint=checkpoint)

    spark_streams._drain = drained
    workspace = Workspace(folder, progress=SilentProgress(), clock=FixedClock(NOW))
    for name, source in streams_of(workspace).items():
        take_in_stream(workspace, name, source)
    print(f"DONE {writes}")
    sys.stdout.flush()
    workspace.spark_session().stop()


if __name__ == "__main__":
    main()
