"""Exposure is imported per hour or day; the same figures again change nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from closeloop.connectors.changes.exposure_rows import import_exposure
from closeloop.connectors.changes.reading import ImportRequest
from closeloop.errors import InputFileError, UsageError
from closeloop.tables import EXPOSURE
from closeloop.testing.context import InMemoryContext


def written(folder: Path, text: str) -> Path:
    path = folder / "exposure.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_days_and_again(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "app,date,platform,DAU,orders\n"
        "com.example.shop,2024-02-01,Android,1000,20\n"
        "com.example.shop,2024-02-02,Android,1100,\n"
        "com.example.shop,2024-02-03,Android,-5,1\n"
        "com.example.shop,2024-02-04,Android,,\n",
    )
    context = InMemoryContext()
    report = import_exposure(context, [path], ImportRequest())
    assert (report.new, report.left_out) == (2, 2)
    rows = context.rows(EXPOSURE).sort_by("start").to_pylist()
    assert [(r["start"], r["period"], r["users"], r["orders"]) for r in rows] == [
        (datetime(2024, 2, 1, tzinfo=UTC), "day", 1000.0, 20.0),
        (datetime(2024, 2, 2, tzinfo=UTC), "day", 1100.0, None),
    ]
    assert {(r["product"], r["version"], r["platform"]) for r in rows} == {
        ("shop-app", "", "android")
    }
    again = import_exposure(context.next_pass(), [path], ImportRequest())
    assert (again.new, again.changed, again.unchanged) == (0, 0, 2)
    path = written(tmp_path, "app,date,platform,DAU\ncom.example.shop,2024-02-01,Android,999\n")
    assert import_exposure(context.next_pass(), [path], ImportRequest()).changed == 1
    assert context.rows(EXPOSURE).num_rows == 2


def test_a_day_is_the_declared_zones_date(tmp_path: Path) -> None:
    path = written(tmp_path, "day,users\n2024-03-30,5\n2024-04-01,6\n")
    context = InMemoryContext()
    import_exposure(context, [path], ImportRequest(timezone="Europe/Berlin"))
    rows = context.rows(EXPOSURE).sort_by("start").to_pylist()
    assert [(r["start"].day, r["start"].hour, r["period"]) for r in rows] == [
        (30, 0, "day"),
        (1, 0, "day"),
    ]


def test_hours_are_rounded_down(tmp_path: Path) -> None:
    path = written(tmp_path, "hour,installs\n2024-02-01T10:20:00Z,5\n2024-02-01T11:00:00Z,6\n")
    context = InMemoryContext()
    import_exposure(context, [path], ImportRequest(product="wallet"))
    rows = context.rows(EXPOSURE).sort_by("start").to_pylist()
    assert [(r["start"].hour, r["start"].minute, r["period"]) for r in rows] == [
        (10, 0, "hour"),
        (11, 0, "hour"),
    ]


def test_versions_have_the_form_of_feedbacks_and_builds_are_added_up(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "day,version,users,orders\n"
        "2024-02-01,v1.9,50,\n"
        "2024-02-01,nightly,1,\n"
        "2024-02-01,2.0 (412),30,4\n"
        "2024-02-01,2.0 (413),10,\n"
        "2024-02-01,2.0 (413),20,\n",
    )
    context = InMemoryContext()
    report = import_exposure(context, [path], ImportRequest())
    assert (report.new, report.repeated) == (3, 1)
    rows = context.rows(EXPOSURE).sort_by("version").to_pylist()
    assert [(r["version"], r["users"], r["orders"]) for r in rows] == [
        ("1.9", 50.0, None),
        ("2.0", 50.0, 4.0),
        ("nightly", 1.0, None),
    ]
    again = import_exposure(context.next_pass(), [path], ImportRequest())
    assert (again.new, again.changed, again.unchanged) == (0, 0, 3)


def test_what_it_needs_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, "day,colour\n2024-02-01,red\n")
    with pytest.raises(InputFileError, match="no column found for users, orders or installs"):
        import_exposure(InMemoryContext(), [path], ImportRequest())
    with pytest.raises(UsageError, match="no period"):
        import_exposure(InMemoryContext(), [path], ImportRequest(), period="week")
