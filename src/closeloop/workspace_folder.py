"""What a workspace's folder holds beside its tables: the default files, the key, the backtests."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from closeloop import settings as settings_module
from closeloop.errors import NotFoundError, SettingsError, UsageError, redact
from closeloop.settings import MAIN_FILE

PRIVATE_FOLDER = ".closeloop"
BACKTESTS_FOLDER = "backtests"
LATEST = "latest"
"""Names the newest backtest."""
SUMMARY_FILE = "summary.json"
BACKTEST_NAME = re.compile(r"(?!\.{1,2}$)[\w.+-]{1,200}")
"""One component of a path, and neither this folder nor the one above."""
DATABASE_FILE = re.compile(r"\.(db|sqlite3?)(-\w+)?$")
LAYERS = ("bronze", "silver", "gold")
"""The folders in that of the tables."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """The secret key for joinable tokens and author keys, with the id that may be shown."""

    key_id: str
    secret: bytes


def initialise(folder: Path) -> list[Path]:
    """Write the commented default files and the key into a folder; return what was written.

    Files that are there already stay as they are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in settings_module.FILES:
        path = folder / name
        if not path.exists():
            path.write_text(settings_module.default_text(name), encoding="utf-8")
            written.append(path)
    ensure_key(folder)
    ignore = folder / PRIVATE_FOLDER / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return written


def find_folder(start: Path) -> Path:
    """Return the workspace that `start` lies in. Raises UsageError where there is none."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / MAIN_FILE).is_file():
            return folder
    raise UsageError(
        f"no workspace here: {start} and the folders above it hold no {MAIN_FILE}",
        hint="make one with 'closeloop init .', or name one with --workspace DIR",
    )


def check_backtest_name(name: str) -> None:
    """Let a name pass that stays in backtests/. Raises UsageError for every other."""
    if not BACKTEST_NAME.fullmatch(name):
        raise UsageError(
            f"a backtest can't be named {redact(name)!r}: it names one folder under "
            f"{BACKTESTS_FOLDER}/, no path",
            hint="use letters, digits, dots, dashes and underscores, such as 'may-2024'",
        )


def new_backtest_folder(folder: Path, name: str) -> Path:
    """Return the free folder of a backtest that begins; an earlier one of the name is removed.

    Raises UsageError for a name that is none, and for a folder that no backtest has made.
    """
    check_backtest_name(name)
    if name == LATEST:
        raise UsageError(
            f"a backtest can't be named '{LATEST}': that stands for the newest one",
            hint="give another --name",
        )
    chosen = folder / BACKTESTS_FOLDER / name
    if (chosen.exists() or chosen.is_symlink()) and not remove_backtest(chosen):
        raise UsageError(
            f"{chosen} is there and holds no backtest; it stays as it is",
            hint="give another --name, or move it away",
        )
    return chosen


def remove_backtest(folder: Path) -> bool:
    """Remove the folder of a backtest, finished or interrupted; return False for any other."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    if not (folder / SUMMARY_FILE).is_file() and not _interrupted(folder):
        return False
    shutil.rmtree(folder)
    return True


def _interrupted(folder: Path) -> bool:
    """Whether a backtest began here and came to no end: its database, its tables, nothing else."""
    return all(
        DATABASE_FILE.search(entry.name)
        if entry.is_file()
        else all(layer.name in LAYERS for layer in entry.iterdir())
        for entry in folder.iterdir()
    )


def backtest_folder(folder: Path, name: str) -> Path:
    """Return where a backtest of a workspace keeps its tables, "latest" the newest one's.

    Raises NotFoundError where there is none, UsageError for a name that is none.
    """
    root = folder / BACKTESTS_FOLDER
    found = sorted(root.glob(f"*/{SUMMARY_FILE}"), key=lambda f: f.stat().st_mtime_ns)
    if name == LATEST:
        if not found:
            raise NotFoundError(
                "no backtest has been run here",
                hint="run one: closeloop backtest --from 2024-01-01 --to 2024-02-01",
            )
        return found[-1].parent
    known = sorted(f.parent.name for f in found)
    if name not in known:
        check_backtest_name(name)
        raise NotFoundError(
            f"no backtest {name!r}", hint=f"there are: {', '.join(known) or 'none'}"
        )
    return root / name


def backtest_summary(folder: Path, name: str) -> dict[str, Any]:
    """Return what was written of a backtest. Raises NotFoundError where there is none."""
    path = backtest_folder(folder, name) / SUMMARY_FILE
    return dict(json.loads(path.read_text(encoding="utf-8")))


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Write what a backtest found, so that it can be named and listed later."""
    (folder / SUMMARY_FILE).write_text(json.dumps(summary, indent=2), encoding="utf-8")


def ensure_key(folder: Path) -> TokenKey:
    """Return the workspace's key, made where there is none. Raises SettingsError for a broken file."""
    path = folder / PRIVATE_FOLDER / "token.key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = {"key_id": secrets.token_hex(4), "secret": secrets.token_hex(32)}
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(record, file)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return TokenKey(key_id=str(record["key_id"]), secret=bytes.fromhex(record["secret"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path}: the workspace's key can't be read ({type(error).__name__})",
            hint="restore it from a backup: without it, tokens of new texts won't join old ones",
        ) from error
