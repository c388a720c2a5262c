"""The program's end: its exit code, what is done before it, and what is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from closeloop.workspace_folder import initialise

PROBE = """
import atexit, os, sys
from closeloop.cli.main import program

class Probe:
    def __del__(self):
        os.write(1, b"taken apart")

probe = Probe()
atexit.register(lambda: print("exit functions run"))
sys.argv = ["closeloop", *{arguments!r}]
program()
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_the_process_ends_with_all_that_was_printed_and_is_not_taken_apart():
    done = run("--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("closeloop, version")
    assert "exit functions run" in done.stdout
    assert "taken apart" not in done.stdout


def test_an_error_keeps_its_exit_code():
    assert run("no-such-command").returncode == 2


def closeloop(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "closeloop", "--workspace", str(workspace), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_finding_of_a_command_is_the_exit_code_of_the_process(tmp_path: Path):
    initialise(tmp_path)
    key = tmp_path / ".closeloop" / "token.key"
    nothing = closeloop(tmp_path, "erase", "--id", "nosuch", "--yes")
    assert (nothing.returncode, nothing.stdout) == (1, "nothing found that fits\n")
    assert closeloop(tmp_path, "policy", "check").returncode == 0
    key.chmod(0o644)
    checked = closeloop(tmp_path, "doctor")
    assert checked.returncode == 1, checked.stderr
    assert "others can read it" in checked.stdout


FAULT = """
import sys, types
import click
from closeloop.cli import main

@click.command()
def broken():
    {}["what"]

sys.modules["broken"] = types.SimpleNamespace(broken=broken)
main.COMMANDS["broken"] = ("broken:broken", "")
sys.argv = ["closeloop", "-q", "broken"]
main.program()
"""


def test_a_fault_that_nobody_foresaw_is_told_without_a_traceback():
    environment = {k: v for k, v in os.environ.items() if k != "CLOSELOOP_DEBUG"}
    told = subprocess.run(
        [sys.executable, "-c", FAULT], capture_output=True, text=True, env=environment, check=False
    )
    assert told.returncode == 3
    assert "'closeloop broken' failed unexpectedly: KeyError: 'what'" in told.stderr
    assert "CLOSELOOP_DEBUG=1" in told.stderr
    assert "Traceback" not in told.stderr
    environment["CLOSELOOP_DEBUG"] = "1"
    shown = subprocess.run(
        [sys.executable, "-c", FAULT], capture_output=True, text=True, env=environment, check=False
    )
    assert "Traceback" in shown.stderr
    assert shown.returncode != 0


def test_a_task_on_databricks_leaves_the_process_to_its_host():
    done = run("--version", DATABRICKS_RUNTIME_VERSION="17.3")
    assert done.returncode == 0
    assert "taken apart" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_an_output_that_can_t_be_written_is_a_fault_outside():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "closeloop", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr == "closeloop: No space left on device\n"
