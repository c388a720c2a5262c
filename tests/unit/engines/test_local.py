"""The local engine over tables that an earlier release wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import write_deltalake

from closeloop.engines import local
from closeloop.engines.local import LocalEngine
from closeloop.ports import Transaction
from closeloop.tables import THEME


def test_a_column_that_came_later_is_null_until_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = THEME.from_rows([{"theme_id": "a", "product": "p"}]).drop_columns("emerging")
    write_deltalake(str(tmp_path / "silver" / "theme"), old)
    engine = LocalEngine(tmp_path)
    new = THEME.from_rows([{"theme_id": "b", "product": "p", "emerging": True}])
    rows = engine.read(THEME, version=0, where=[("emerging", "=", None)])
    assert rows.column("theme_id").to_pylist() == ["a"]
    engine.append(THEME, new, transaction=Transaction("t", 1))
    monkeypatch.setattr(local, "REWRITE_UP_TO_ROWS", 0)
    changed = THEME.from_rows([{"theme_id": "a", "product": "p", "emerging": False}])
    version = engine.merge(THEME, changed, transaction=Transaction("t", 2))
    rows = engine.read(THEME, version=version, columns=["theme_id", "emerging"])
    assert {r["theme_id"]: r["emerging"] for r in rows.to_pylist()} == {"a": False, "b": True}
