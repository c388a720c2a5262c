"""Where the vendors' documents are, for tests that hold the fakes to them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

SPECS = Path(
    os.environ.get("CLOSELOOP_SPECS") or Path(__file__).resolve().parents[2] / "shared" / "specs"
)


def document(name: str) -> dict[str, Any]:
    """Return a vendor's document; skips where it is not at hand."""
    path = SPECS / name
    if not path.is_file():
        pytest.skip(f"{name} is not at hand (../shared/specs, or set CLOSELOOP_SPECS)")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
