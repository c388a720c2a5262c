"""Asks a workspace's language model three questions: run as a program of its own, to be killed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from closeloop.app import Workspace
from closeloop.testing.language_model_contract import REQUEST
from closeloop.testing.progress import SilentProgress


def main(folder: str) -> None:
    """Ask, and print the state of each answer."""
    workspace = Workspace(Path(folder), progress=SilentProgress())
    model = workspace.models.language_model()
    assert model is not None
    for number in range(3):
        answer = model.answer(replace(REQUEST, text=f"pair {number}"))
        print(answer.state.value, "kept" if answer.kept else "asked", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
