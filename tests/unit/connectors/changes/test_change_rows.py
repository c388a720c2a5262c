"""Changes are imported once, by guess, and the same again changes nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.connectors.changes.change_rows import import_changes, make_change, parse_rollout
from closeloop.connectors.changes.reading import ImportRequest
from closeloop.domain.change import change_id
from closeloop.errors import InputFileError, UsageError
from closeloop.tables import CHANGE
from closeloop.testing.context import InMemoryContext

REAL = Path(__file__).parents[5] / "shared" / "data"
AT = datetime(2024, 2, 1, tzinfo=UTC)


def written(folder: Path, text: str, name: str = "changes.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_releases_by_guess_and_again(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "app,app_version,released_at,notes\n"
        "com.example.shop,v2.1 (7),2024-02-01,x\n"
        "com.example.shop,2.2,2024-02-05,y\n"
        "com.example.shop,2.2,2024-02-05,y\n"
        "com.example.shop,2.3,some day,z\n",
    )
    context = InMemoryContext()
    report = import_changes(context, [path], ImportRequest(), kind="release")
    assert (report.rows, report.new, report.repeated, report.left_out) == (4, 2, 1, 1)
    assert report.problems == ["changes.csv:5: started_at is no time: 'some day'"]
    rows = context.rows(CHANGE).sort_by("started_at").to_pylist()
    assert rows[0] == {
        "change_id": change_id("release", "shop-app", "v2.1 (7)", AT),
        "kind": "release",
        "product": "shop-app",
        "name": "v2.1 (7)",
        "version": "2.1",
        "platform": None,
        "region": None,
        "started_at": AT,
        "ended_at": None,
        "rollout": None,
        "notes": '[{"id": "1", "text": "x", "paths": []}]',
        "known_at": AT,
        "batch_id": 1,
    }
    again = import_changes(context.next_pass(), [path], ImportRequest(), kind="release")
    assert (again.new, again.changed, again.unchanged) == (0, 0, 3)
    assert context.rows(CHANGE).sort_by("started_at").to_pylist() == rows


def test_kinds_come_from_the_file_or_the_option(tmp_path: Path) -> None:
    lines = [
        {"kind": "flag", "product": "wallet", "name": "dark", "started_at": "2024-02-01"},
        {"kind": "miracle", "product": "wallet", "name": "x", "started_at": "2024-02-01"},
        {"product": "wallet", "name": "outage", "started_at": "2024-02-02"},
        {"kind": "flag", "product": "wallet", "started_at": "2024-02-02"},
    ]
    path = written(tmp_path, "\n".join(map(json.dumps, lines)), "changes.jsonl")
    context = InMemoryContext()
    report = import_changes(context, [path], ImportRequest(), kind=None)
    assert report.new == 1
    assert [p.partition(": ")[2] for p in report.problems] == [
        "no kind of change: 'miracle'",
        "no kind (give --kind)",
        "a flag needs a name or a version",
    ]
    assert import_changes(context, [path], ImportRequest(), kind="incident").new == 1


def test_an_end_that_comes_later_brings_the_row_up_to_date(tmp_path: Path) -> None:
    lead = "name,product,started_at,ended_at\noutage,wallet,2024-02-01T10:00Z,"
    context = InMemoryContext(now=datetime(2024, 2, 2, tzinfo=UTC))
    path = written(tmp_path, lead + "\n")
    import_changes(context, [path], ImportRequest(), kind="incident")
    path = written(tmp_path, lead + "2024-02-01T12:00Z\n")
    report = import_changes(context.next_pass(), [path], ImportRequest(), kind="incident")
    assert (report.new, report.changed) == (0, 1)
    (row,) = context.rows(CHANGE).to_pylist()
    assert row["ended_at"] == datetime(2024, 2, 1, 12, tzinfo=UTC)


def test_a_planned_change_is_known_when_it_was_first_told(tmp_path: Path) -> None:
    path = written(tmp_path, "version,date\n3.0,2024-04-01\n")
    first, later = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
    context = InMemoryContext(now=first)
    import_changes(context, [path], ImportRequest(product="wallet"), kind="release")
    import_changes(
        context.next_pass(now=later), [path], ImportRequest(product="wallet"), kind="release"
    )
    assert context.rows(CHANGE)["known_at"].to_pylist() == [first]


def test_a_name_that_is_no_version_is_none() -> None:
    config = InMemoryContext().config
    spring = make_change(config, kind="release", name="Spring 2024", started_at=AT, now=AT)
    assert (spring["name"], spring["version"]) == ("Spring 2024", None)
    numbered = make_change(config, kind="release", name="v4.0.1", started_at=AT, now=AT)
    assert numbered["version"] == "4.0.1"
    with pytest.raises(UsageError, match="ends before"):
        make_change(
            config,
            kind="flag",
            name="x",
            started_at=AT,
            ended_at=AT.min.replace(tzinfo=UTC),
            now=AT,
        )


def test_a_file_without_times_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "app,version\nx,1\n")
    with pytest.raises(InputFileError, match=r"its columns: app \('x'\), version \('1'\)"):
        import_changes(InMemoryContext(), [path], ImportRequest(), kind="release")


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("0=10%, 24=50%,72=100%", [[0, 0.1], [24, 0.5], [72, 1]]),
        ("24h:1; 0h:0.2", [[0, 0.2], [24, 1]]),
        ("20%", [[0, 0.2]]),
        ("[[0, 0.1], [24, 1]]", [[0, 0.1], [24, 1]]),
    ],
)
def test_rollouts(text: str, stages: list[list[float]]) -> None:
    assert json.loads(parse_rollout(text) or "") == stages


@given(st.text(max_size=20))
def test_any_rollout_is_stages_or_a_usage_error(text: str) -> None:
    try:
        stages = parse_rollout(text)
    except UsageError:
        return
    assert stages is None or all(0 <= share <= 1 for _, share in json.loads(stages))


@pytest.mark.realdata
@pytest.mark.skipif(not REAL.is_dir(), reason="the development data is not here")
def test_real_releases_import_by_guess() -> None:
    context = InMemoryContext()
    path = REAL / "play_releases_inferred.parquet"
    assert import_changes(context, [path], ImportRequest(), kind="release").new == 1_311
    found = context.rows(CHANGE, where=[("product", "=", "com.fampay.in")])
    assert "2.8.5" in found["version"].to_pylist()
