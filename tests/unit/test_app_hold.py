"""What is told to who waits for a workspace that another closeloop holds."""

import os
import threading
import time

from closeloop import app
from closeloop.app import Workspace
from closeloop.testing.example_workspace import example_workspace
from closeloop.testing.progress import SilentProgress


def other(folder):
    """Another command on the same workspace."""
    return Workspace(folder, progress=SilentProgress())


def test_who_waits_is_told_for_whom(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "SAID_AFTER_S", 0.05)
    first = example_workspace(tmp_path)
    second = other(tmp_path)

    def wait():
        with second.hold():
            pass
        second.close()

    with first.hold():
        waiting = threading.Thread(target=wait)
        waiting.start()
        until = time.monotonic() + 20
        while not second.progress.notes and time.monotonic() < until:
            time.sleep(0.02)
    waiting.join(30)
    assert second.progress.notes == [f"waiting for another closeloop (pid {os.getpid()}) to finish"]


def test_who_need_not_wait_is_told_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "SAID_AFTER_S", 0.5)
    workspace = example_workspace(tmp_path)
    with workspace.hold():
        time.sleep(0.7)
    assert not workspace.progress.notes
