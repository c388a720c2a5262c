"""`closeloop databricks` prints SQL and calls, and runs the SQL where there is Spark."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
from click.testing import CliRunner

from closeloop.cli import databricks as module
from closeloop.cli.main import cli
from closeloop.engines import unity_sql
from closeloop.errors import OutsideError, UsageError
from closeloop.testing.example_workspace import example_workspace

WHO = ("--catalog", "main", "--loop", "app-1")


def _run(*arguments):
    return CliRunner().invoke(cli, ["databricks", *arguments])


def test_the_parts_are_those_of_the_engine():
    assert module.PARTS == unity_sql.PARTS


def test_sql_is_printed_as_statements_that_end_with_a_semicolon():
    result = _run("sql", *WHO, "--part", "grants", "--product", "shop=g-shop")
    assert result.exit_code == 0
    assert result.output.count(";\n") == result.output.count("GRANT ")
    assert "CREATE" not in result.output


def test_sql_as_json_names_part_and_purpose():
    rows = json.loads(_run("sql", *WHO, "--product", "shop=g-shop", "--json").output)
    assert list(dict.fromkeys(r["part"] for r in rows)) == list(unity_sql.PARTS)
    assert any("is_account_group_member('g-shop')" in r["sql"] for r in rows)


def test_a_product_without_a_group_is_wrong_use():
    error = _run("sql", *WHO, "--product", "shop").exception
    assert isinstance(error, UsageError)
    assert "--product shop" in str(error)


def test_publish_runs_the_statements_in_the_session_that_is_there(monkeypatch):
    ran = []
    session = SimpleNamespace(sql=ran.append, conf=SimpleNamespace(set=lambda name, value: None))
    pyspark = ModuleType("pyspark.sql")
    pyspark.SparkSession = SimpleNamespace(getActiveSession=lambda: session)
    monkeypatch.setitem(sys.modules, "pyspark", ModuleType("pyspark"))
    monkeypatch.setitem(sys.modules, "pyspark.sql", pyspark)
    errors = ModuleType("pyspark.errors")
    errors.PySparkException = type("PySparkException", (Exception,), {})
    monkeypatch.setitem(sys.modules, "pyspark.errors", errors)
    result = CliRunner().invoke(cli, ["databricks", "publish", *WHO, "--json"])
    assert json.loads(result.stdout)["ran"]["views"] == sum("VIEW" in s[:30] for s in ran) * 2 + 1
    assert len(ran) == len(unity_sql.statements(unity_sql.Audience("main", "app-1", "r", "p")))


def test_publish_without_spark_says_where_to_run_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    error = _run("publish", *WHO).exception
    assert isinstance(error, OutsideError)
    assert "databricks sql" in str(error)


def test_lineage_of_the_declared_sources_carries_their_columns(tmp_path):
    example_workspace(tmp_path)
    (tmp_path / "closeloop.yaml").write_text(
        "products: [{id: shop-app}]\nsources: {play: {columns: {text: content}}}\n"
    )
    arguments = ["-w", str(tmp_path), "-q", "databricks", "lineage", "--catalog", "main"]
    result = CliRunner().invoke(cli, [*arguments, "--tracker", "jira", "--json"])
    calls = json.loads(result.output)
    assert [c["body"].get("name", "line") for c in calls] == [
        "closeloop_source_play",
        "line",
        "closeloop_tracker_jira",
        "line",
    ]
    assert calls[1]["body"]["columns"] == [{"source": "content", "target": "text"}]


def test_lineage_is_printed_as_commands_of_the_databricks_cli():
    result = _run("lineage", "--catalog", "main", "--source", "topics=kafka")
    assert result.output.startswith(
        "databricks api post /api/2.0/lineage-tracking/external-metadata"
    )
    assert '"system_type": "KAFKA"' in result.output


@pytest.mark.parametrize("system", ["JIRA", "kafk"])
def test_an_unknown_system_is_wrong_use(system):
    error = _run("lineage", "--catalog", "main", "--source", f"x={system}").exception
    assert isinstance(error, UsageError)
