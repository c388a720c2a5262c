"""Every engine passes the same contract."""

from pathlib import Path

import pytest

from closeloop.engines import local
from closeloop.engines.local import LocalEngine
from closeloop.engines.memory import MemoryEngine
from closeloop.testing.engine_contract import EngineContract


class TestMemoryEngine(EngineContract):
    @pytest.fixture
    def engine(self):
        return MemoryEngine()


class TestLocalEngine(EngineContract):
    @pytest.fixture
    def engine(self, tmp_path: Path):
        return LocalEngine(tmp_path)


class TestLocalEngineWithLargeTables(EngineContract):
    """The same with Delta's own merge, which large tables take."""

    @pytest.fixture
    def engine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(local, "REWRITE_UP_TO_ROWS", 0)
        return LocalEngine(tmp_path)
