"""Every error that closeloop raises on purpose, as one tree.

    CloseloopError
    ├── UsageError            exit 2: what was asked can't be done as asked
    │   ├── SettingsError     a configuration file is wrong; names file, place and value
    │   ├── InputFileError    a file to take in is no such file, or lacks a needed column
    │   ├── QueryError        SQL that the engine refuses
    │   └── NotFoundError     an id that no table holds
    ├── OutsideError          exit 3: a fault outside (disk, network, another process)
    │   ├── TransientError    may pass when tried again; a retry keys on this
    │   ├── TerminalError     will not pass by itself
    │   ├── LeaseHeldError    another run holds the workspace
    │   ├── ModelMissingError a model's files are absent or not the published ones
    │   └── RecogniserFaultError  a model that finds personal data failed on a text
    └── IntegrityError        exit 3: tables contradict each other; says how to repair

Each message says what happened, where, the offending value (redacted) and what to do next.
A declined decision is a value, never an error.
"""

from __future__ import annotations

from typing import ClassVar


class CloseloopError(Exception):
    """Ends a command with a message for people and a documented exit code."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(CloseloopError):
    """What was asked can't be done as asked (exit 2)."""

    exit_code = 2


class SettingsError(UsageError):
    """A configuration file is wrong; the message names file, place and value."""


class InputFileError(UsageError):
    """A file to take in is no such file, or lacks a needed column."""


class QueryError(UsageError):
    """SQL that the engine refuses."""


class NotFoundError(UsageError):
    """An id that no table holds."""


class OutsideError(CloseloopError):
    """A fault outside: disk, network, another process (exit 3)."""


class TransientError(OutsideError):
    """May pass when tried again."""


class TerminalError(OutsideError):
    """Will not pass by itself."""


class LeaseHeldError(OutsideError):
    """Another run holds the workspace."""


class ModelMissingError(OutsideError):
    """A model's files are absent, or not the published ones."""


class RecogniserFaultError(OutsideError):
    """A model that finds personal data failed on a text; the text goes nowhere."""


class IntegrityError(CloseloopError):
    """Tables contradict each other; the message says how to repair."""


REPAIR_MISSING = (
    "put the tables back from a backup ('closeloop doctor' lists which are missing), or begin anew "
    "with an empty workspace: 'closeloop init' in another folder, then ingest again"
)


def redact(value: object, *, keep: int = 40) -> str:
    """Shorten and disarm a value for a message: control characters shown escaped, long text cut."""
    text = str(value).encode("unicode_escape", "backslashreplace").decode("ascii")
    return text if len(text) <= keep else f"{text[:keep]}… ({len(text)} characters)"
