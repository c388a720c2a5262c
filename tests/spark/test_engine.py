"""The engine contract on Apache Spark with Delta, and one folder under both engines' hands."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from closeloop.engines.databricks import DatabricksEngine
from closeloop.engines.local import LocalEngine
from closeloop.engines.spark import SparkEngine
from closeloop.engines.spark_names import FolderNames
from closeloop.engines.spark_session import RUNTIME, SparkPlace, open_session
from closeloop.errors import OutsideError
from closeloop.ports import Transaction
from closeloop.tables import SIGNAL, STATE, THEME
from closeloop.testing.engine_contract import EngineContract

NOON = datetime(2024, 2, 6, 12, tzinfo=UTC)


class TestSparkEngine(EngineContract):
    @pytest.fixture
    def engine(self, session, tmp_path: Path):
        return SparkEngine(session, FolderNames(tmp_path))


def themes(*names: str) -> pa.Table:
    return THEME.from_rows(
        {"theme_id": n, "product": "it's `p`", "size": 1, "first_seen": NOON} for n in names
    )


@pytest.fixture(params=["local, then spark", "spark, then local"])
def pair(request, session, tmp_path):
    """Two engines over one folder."""
    engines = [LocalEngine(tmp_path), SparkEngine(session, FolderNames(tmp_path))]
    return engines if request.param.startswith("local") else engines[::-1]


def test_a_folder_written_by_one_engine_goes_on_under_the_other(pair):
    first, second = pair
    first.append(THEME, themes("a", "b"), transaction=Transaction("one", 1))
    assert second.read(THEME, version=second.version(THEME)).equals(themes("a", "b"))
    second.merge(THEME, themes("b", "c"), transaction=Transaction("two", 1))
    second.delete(THEME, (("theme_id", "=", "a"),), transaction=Transaction("two", 2))
    third = first.append(THEME, themes("d"), transaction=Transaction("one", 2))
    assert first.version(THEME) == second.version(THEME) == third
    for engine in pair:
        rows = engine.read(THEME, version=third).sort_by("theme_id")
        assert rows.equals(themes("b", "c", "d"))


def test_a_transaction_of_one_engine_is_known_to_the_other(pair):
    first, second = pair
    for engine in (first, second, first):
        engine.append(THEME, themes("a"), transaction=Transaction("same", 7))
    assert second.read(THEME, version=second.version(THEME)).num_rows == 1


def test_nested_columns_and_bytes_pass_between_engines(pair):
    first, second = pair
    signal = SIGNAL.from_rows(
        [
            {
                "signal_id": "s",
                "detected_at": NOON,
                "feedback_ids": ["x", "é"],
                "severity_terms": [{"name": "n", "value": 0.1, "weight": 1.0, "points": 2.0}],
            }
        ]
    )
    state = STATE.from_rows([{"name": "n", "scope": "", "version": 1, "blob": bytes(range(256))}])
    for table, rows in ((SIGNAL, signal), (STATE, state)):
        version = first.append(table, rows, transaction=Transaction("t", 1))
        assert second.read(table, version=version).equals(rows)


def test_spark_keeps_texts_out_of_the_log(session, tmp_path):
    engine = SparkEngine(session, FolderNames(tmp_path))
    engine.append(THEME, themes("secret-word"), transaction=Transaction("t", 1))
    engine.append(THEME, themes("secret-word-2"), transaction=Transaction("t", 2))
    logs = "".join(p.read_text() for p in tmp_path.rglob("_delta_log/*.json"))
    assert '"add"' in logs
    assert "secret-word" not in logs


@pytest.mark.parametrize("kind", [SparkEngine, DatabricksEngine])
def test_what_is_forgotten_is_gone_from_disk(session, tmp_path, kind):
    engine = kind(session, FolderNames(tmp_path))
    engine.append(THEME, themes("a", "gone"), transaction=Transaction("t", 1))
    engine.delete(THEME, (("theme_id", "=", "gone"),), transaction=Transaction("t", 2))
    engine.forget(THEME)
    data = list((tmp_path / "silver" / "theme").glob("*.parquet"))
    assert data
    assert not any(b"gone" in p.read_bytes() for p in data)
    assert "gone" not in engine.read(THEME, version=engine.version(THEME))["theme_id"].to_pylist()


def test_on_databricks_no_setting_of_the_session_is_needed_to_forget_or_to_merge(
    session, tmp_path, monkeypatch
):
    """Serverless compute refuses settings: here every one that is made fails the test."""
    engine = DatabricksEngine(session, FolderNames(tmp_path))
    monkeypatch.setattr(type(session.conf), "set", lambda *_: pytest.fail("a setting was made"))
    engine.append(THEME, themes("a", "b"), transaction=Transaction("t", 1))
    engine.merge(THEME, themes("b", "c"), transaction=Transaction("t", 2))
    before = engine.version(THEME)
    engine.forget(THEME)
    engine.append(THEME, themes("undone"), transaction=Transaction("t", 3))
    engine.restore(THEME, before)
    rows = engine.read(THEME, version=engine.version(THEME)).sort_by("theme_id")
    assert rows.equals(themes("a", "b", "c"))
    found = engine.sql("SELECT count(*) AS n FROM silver.theme", versions={"silver.theme": before})
    assert found.to_pylist() == [{"n": 3}]


def test_the_session_of_a_job_is_found_and_its_absence_elsewhere_told(session, monkeypatch):
    """A job's session is there and not the active one: as here, where another thread made it."""
    place = SparkPlace(databricks=True)
    monkeypatch.setattr(type(session), "getActiveSession", classmethod(lambda _: None))
    monkeypatch.setenv(RUNTIME, "client.5.0")
    assert open_session(place).range(3).count() == 3
    monkeypatch.delenv(RUNTIME)
    with pytest.raises(OutsideError, match="this is not Databricks"):
        open_session(place)


@pytest.mark.parametrize(
    "hostile",
    [
        "SELECT * FROM text.`/etc/passwd`",
        "SELECT reflect('java.lang.System', 'getenv', 'PATH')",
        "SELECT `java_method`('java.lang.System', 'exit', 1)",
        "SELECT IDENTIFIER('ref' || 'lect')('java.lang.System', 'getenv')",
        "DROP SCHEMA silver CASCADE",
        "SELECT 1) AS x; DROP SCHEMA silver",
        "INSERT INTO silver.theme SELECT * FROM silver.theme",
    ],
)
def test_a_query_is_one_select_over_tables(session, tmp_path, hostile):
    from closeloop.errors import QueryError

    engine = SparkEngine(session, FolderNames(tmp_path))
    version = engine.append(THEME, themes("a"), transaction=Transaction("t", 1))
    with pytest.raises(QueryError):
        engine.sql(hostile, versions={THEME.full_name: version})
    rows = engine.sql("SELECT count(*) AS n FROM silver.theme", versions={THEME.full_name: version})
    assert rows.to_pylist() == [{"n": 1}]
