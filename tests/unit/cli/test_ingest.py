"""`closeloop ingest`, `changes`, `exposure` and `quarantine`, as people use them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from closeloop.app import Workspace
from closeloop.cli.main import cli
from closeloop.errors import CloseloopError, InputFileError, NotFoundError, UsageError
from closeloop.stages import refine
from closeloop.tables import (
    ATTRIBUTION,
    BRONZE_FEEDBACK,
    CHANGE,
    EXPOSURE,
    FEEDBACK,
    QUARANTINE,
    SUPERSEDED,
)
from closeloop.testing.example_workspace import example_workspace

NOW = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return example_workspace(tmp_path / "workspace", now=NOW)


def run(workspace: Workspace, *arguments: object) -> Result:
    words = ["-w", str(workspace.folder), *map(str, arguments)]
    return CliRunner().invoke(cli, words)


def ok(workspace: Workspace, *arguments: object) -> str:
    result = run(workspace, *arguments)
    assert result.exception is None, (result.output, result.exception)
    return result.output


def as_json(workspace: Workspace, *arguments: object) -> Any:
    return json.loads(ok(workspace, *arguments, "--json"))


def refused(workspace: Workspace, *arguments: object) -> CloseloopError:
    result = run(workspace, *arguments)
    assert isinstance(result.exception, CloseloopError), result.output
    return result.exception


def reviews(folder: Path, text: str = "") -> Path:
    path = folder / "reviews.csv"
    path.write_text(
        text
        or "id,content,score,at,user,misc\n"
        "1,payment failed again,1,2024-02-01 10:00,jo@example.org,x\n"
        "2,love it so much,5,2024-02-02 10:00,al@example.org,y\n"
        "3,it is bad,1,soon,bo@example.org,z\n",
        encoding="utf-8",
    )
    return path


def test_ingest_shows_the_guess_and_the_sum(workspace: Workspace, tmp_path: Path) -> None:
    shown = ok(workspace, "ingest", reviews(tmp_path), "--source", "play")
    assert "reviews.csv: csv, 3 rows" in shown
    assert "text        content  by its name  payment failed again" in shown
    assert "left over: misc" in shown
    assert "2 times carry no zone: taken as UTC" in shown
    assert "rows in 3 = 3 new in bronze + 0 already known" in shown
    assert "unreadable_time 1: give the time as ISO 8601" in shown
    assert "jo@example.org" not in shown
    again = ok(workspace, "ingest", reviews(tmp_path), "--source", "play")
    assert "rows in 3 = 0 new in bronze + 3 already known" in again
    assert workspace.committed(BRONZE_FEEDBACK).num_rows == 3


def test_map_and_configuration_correct_the_guess(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.folder / "closeloop.yaml").write_text(
        "sources: {play: {columns: {text: misc, rating: '-'}}}\n", encoding="utf-8"
    )
    path = reviews(tmp_path)
    report = as_json(workspace, "ingest", path, "--source", "play", "--dry-run")
    assert report["files"][0]["columns"]["text"] == "misc"
    assert "rating" not in report["files"][0]["columns"]
    over = as_json(
        workspace, "ingest", path, "--source", "play", "--dry-run", "--map", "text=content"
    )
    assert over["files"][0]["columns"]["text"] == "content"


def test_a_dry_run_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    shown = ok(workspace, "ingest", reviews(tmp_path), "--source", "play", "--dry-run")
    assert "3 would be new in bronze" in shown
    assert "next:" not in shown
    assert workspace.heads() == {}


def test_a_broken_file_in_the_middle_leaves_no_trace(workspace: Workspace, tmp_path: Path) -> None:
    good, bad = reviews(tmp_path), tmp_path / "x.parquet"
    bad.write_bytes(b"PAR1 nonsense")
    error = refused(workspace, "ingest", good, bad, "--source", "play")
    assert isinstance(error, InputFileError)
    assert error.exit_code == 2
    assert workspace.committed(BRONZE_FEEDBACK).num_rows == 0
    assert as_json(workspace, "ingest", good, "--source", "play")["new"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--map", "txt=content"), "no field 'txt'"),
        (("--map", "text=contnt"), "did you mean 'content'?"),
        (("--encoding", "klingon"), "no such encoding"),
    ],
)
def test_wrong_use_says_what_to_do(
    workspace: Workspace, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    error = refused(workspace, "ingest", reviews(tmp_path), "--source", "play", *arguments)
    assert isinstance(error, UsageError)
    assert message in str(error)


def test_changes_add_import_and_list(workspace: Workspace, tmp_path: Path) -> None:
    add = ("changes", "add", "--kind", "release", "--product", "wallet", "--version", "2.0")
    assert ok(workspace, *add, "--at", "2024-02-01").startswith("added: release 2.0 of wallet")
    assert ok(workspace, *add, "--at", "2024-02-01").startswith("known already")
    path = tmp_path / "flags.jsonl"
    path.write_text(
        '{"key": "dark", "app": "wallet", "at": "2024-02-03", "rollout": "20%"}\n', encoding="utf-8"
    )
    shown = ok(workspace, "changes", "import", path, "--kind", "flag")
    assert "1 changes read: 1 new, 0 brought up to date, 0 known already" in shown
    listed = as_json(workspace, "changes", "list", "--product", "wallet")
    assert [row["name"] for row in listed] == ["dark", "2.0"]
    assert listed[0]["rollout"] == "[[0.0, 0.2]]"
    assert "dark" not in ok(workspace, "changes", "list", "--kind", "release")
    assert workspace.committed(CHANGE).num_rows == 2
    assert "no known time zone" in str(
        refused(workspace, "changes", "import", path, "--kind", "flag", "--timezone", "Mars")
    )


RELEASES = "version,date,product\n1.2,2024-02-01,wallet\n1.3,2024-02-09,wallet\n"


def test_a_change_can_be_taken_back(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "releases.csv"
    path.write_text(RELEASES, encoding="utf-8")
    ok(workspace, "changes", "import", path, "--kind", "release")
    first, second = as_json(workspace, "changes", "list")
    with workspace.step("test") as step:
        step.merge(
            ATTRIBUTION,
            ATTRIBUTION.from_rows(
                {"signal_id": "s1", "change_id": row["change_id"], "kind": "release", "name": n}
                for n, row in (("1.3", first), ("1.2", second))
            ),
        )
    words = ["-w", str(workspace.folder), "changes", "remove", first["change_id"]]
    kept = CliRunner().invoke(cli, words, input="n\n")
    assert "1 signals were weighed with them" in kept.output
    assert workspace.committed(CHANGE).num_rows == 2
    assert "removed: 1 changes" in ok(workspace, *words[2:], "--yes")
    assert [row["version"] for row in as_json(workspace, "changes", "list")] == ["1.2"]
    again = refused(workspace, *words[2:], "--yes")
    assert isinstance(again, NotFoundError)
    assert workspace.committed(ATTRIBUTION).num_rows == 2


def test_what_a_file_brought_can_be_taken_back(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "releases.csv"
    path.write_text(RELEASES, encoding="utf-8")
    ok(workspace, "changes", "import", path, "--kind", "release")
    ok(workspace, "changes", "add", "--kind", "flag", "--product", "wallet", "--name", "dark")
    by_file = ("changes", "remove", "--file", path)
    assert "no kind (give --kind)" in str(refused(workspace, *by_file, "--yes"))
    assert isinstance(refused(workspace, *by_file, "--kind", "flag", "--yes"), NotFoundError)
    assert as_json(workspace, *by_file, "--kind", "release", "--yes")["removed"] == 2
    assert [row["name"] for row in as_json(workspace, "changes", "list")] == ["dark"]
    assert "say what to remove" in str(refused(workspace, "changes", "remove"))
    assert "add --yes" in str(refused(workspace, *by_file, "--json"))


def test_feedback_is_not_imported_as_releases(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    rows = "".join(f"1.2,2024-02-0{day},fine\n" for day in range(1, 8))
    path.write_text(f"version,date,notes\n{rows}", encoding="utf-8")
    error = refused(workspace, "changes", "import", path, "--kind", "release")
    assert isinstance(error, InputFileError)
    assert "release 1.2 of default begins at 7 different times" in str(error)
    assert "closeloop ingest FILE" in str(error)
    assert workspace.committed(CHANGE).num_rows == 0
    builds = "".join(f"1.2 ({day}),2024-02-0{day},fine\n" for day in range(1, 8))
    path.write_text(f"version,date,notes\n{builds}", encoding="utf-8")
    assert "7 new" in ok(workspace, "changes", "import", path, "--kind", "release")


def test_a_change_of_a_product_without_feedback_is_warned_of(
    workspace: Workspace, tmp_path: Path
) -> None:
    add = ("changes", "add", "--kind", "flag", "--name", "dark", "--product")
    assert "warning" not in ok(workspace, *add, "walet")  # there is no feedback yet at all
    ok(workspace, "ingest", reviews(tmp_path), "--source", "play", "--product", "wallet")
    assert "warning" not in ok(workspace, *add, "wallet")
    assert "no feedback of walet" in ok(workspace, *add, "walet")


def test_exposure_import(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("date,product,users\n2024-02-01,wallet,100\n", encoding="utf-8")
    assert "1 new" in ok(workspace, "exposure", "import", path)
    assert as_json(workspace, "exposure", "import", path)["unchanged"] == 1
    assert workspace.committed(EXPOSURE)["users"].to_pylist() == [100.0]


def test_an_import_that_leaves_rows_out_is_no_success(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("date,users\n2024-02-01,100\nsoon,3\n2024-02-02,-1\n", encoding="utf-8")
    some = run(workspace, "exposure", "import", path)
    assert some.exit_code == 1
    assert "3 rows of exposure read: 1 new" in some.output
    assert "1 rows name no product: taken for 'default'" in some.output
    assert workspace.committed(EXPOSURE).num_rows == 1
    path.write_text("date,users\nsoon,3\n2024-02-02,-1\n", encoding="utf-8")
    assert run(workspace, "exposure", "import", path).exit_code == 2
    releases = tmp_path / "releases.csv"
    releases.write_text("version,date,product\n1.2,2024-02-01,wallet\n", encoding="utf-8")
    unkinded = run(workspace, "changes", "import", releases)
    assert unkinded.exit_code == 2
    assert "no kind (give --kind)" in unkinded.output
    assert "nothing was taken in: none of the 1 rows could be used" in unkinded.output
    assert "name no product" not in ok(
        workspace, "changes", "import", releases, "--kind", "release"
    )


RELEASE_LIST = (
    "app,app_version,first_seen,last_seen,n\n"
    "com.fampay.in,0.2.8.alpha,2020-01-25 23:51:46.000000,2020-01-28 21:57:27.000000,2\n"
    "com.fampay.in,0.5.0,2020-03-25 05:16:36.000000,2020-03-25 05:16:36.000000,1\n"
)
CHANGES = (
    '{"kind": "release", "product": "a", "name": "5.1.0", "started_at": "2024-01-07T09:36:00Z", '
    '"rollout": "[[0.0, 1.0]]"}\n'
)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rel.csv", RELEASE_LIST.encode(), "first_seen ('2020-01-25 23:51:46.000000')"),
        ("changes.jsonl", CHANGES.encode(), "rollout ('[[0.0, 1.0]]')"),
        ("noise.csv", Random(1).randbytes(3000), "rows can be read"),
        ("noise.jsonl", Random(1).randbytes(3000), "rows can be read"),
        ("zeros.csv", b"\x00\xff\n" * 30, "rows can be read"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_file_that_is_no_feedback_is_refused(
    workspace: Workspace, tmp_path: Path, name: str, content: bytes, told: str, options: tuple[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = refused(workspace, "ingest", path, "--source", "play", *options)
    assert isinstance(error, InputFileError)
    assert error.exit_code == 2
    assert name in error.message
    assert told in error.message
    assert workspace.committed(BRONZE_FEEDBACK).num_rows == 0


def test_quarantine_list_export_and_retry(workspace: Workspace, tmp_path: Path) -> None:
    text = (
        "id,content,at,when\n1,it is bad,2024-02-01,2024-02-01\n2,=1+1 is bad,soon,2024-02-02\n"
        "broken\n"
    )
    ok(workspace, "ingest", reviews(tmp_path, text), "--source", "play")
    assert "quarantine is empty" in ok(workspace, "quarantine", "list")
    with workspace.step(refine.NAME) as step:
        refine.run(step)
    shown = ok(workspace, "quarantine", "list")
    assert "give the time as ISO 8601" in shown
    assert {row["reason"] for row in as_json(workspace, "quarantine", "list")} == {
        "unreadable_time",
        "malformed_row",
    }
    out = tmp_path / "out.jsonl"
    ok(workspace, "quarantine", "export", out)
    assert [json.loads(line)["payload"] for line in out.read_text().splitlines()][1] == "broken"
    assert out.stat().st_mode & 0o077 == 0
    assert "is there already" in str(refused(workspace, "quarantine", "export", out))
    ok(workspace, "quarantine", "export", tmp_path / "out.csv", "--reason", "malformed_row")
    assert "--map needs --source" in str(
        refused(workspace, "quarantine", "retry", "--map", "event_time=when")
    )
    assert "leave --source out" in str(
        refused(workspace, "quarantine", "retry", "--source", "play", "--reason", "future_time")
    )
    retried = as_json(
        workspace, "quarantine", "retry", "--source", "play", "--map", "event_time=when"
    )
    assert (retried["read_again"], retried["cured"]) == (1, 1)
    with workspace.step(refine.NAME) as step:
        refine.run(step)
    assert workspace.committed(QUARANTINE)["reason"].to_pylist() == ["malformed_row"]
    assert workspace.committed(FEEDBACK).num_rows == 2


def refined(workspace: Workspace) -> None:
    with workspace.step(refine.NAME) as step:
        refine.run(step)


@pytest.mark.parametrize("run_between", [True, False])
@pytest.mark.parametrize(
    ("encoding", "name", "text"),
    [
        ("latin-1", "r.csv", 'id,text,at\n1,café "was" bad,2024-02-02\n2,it is good,2024-02-02\n'),
        (
            "latin-1",
            "r.jsonl",
            '{"id": "1", "text": "café: bad", "at": "2024-02-02"}\n'
            '{"id": "2", "text": "it is good", "at": "2024-02-02"}\n',
        ),
        (
            "shift-jis",
            "r.csv",
            "id,text,at\n1,この店は very bad,2024-02-02\n2,it is good,2024-02-02\n",
        ),
    ],
)
def test_the_right_encoding_cures(
    tmp_path: Path, encoding: str, name: str, text: str, run_between: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    ok(example_workspace(tmp_path / "w", now=NOW), "ingest", path, "--source", "play")
    workspace = example_workspace(tmp_path / "w", now=NOW)
    if run_between:
        refined(workspace)
        assert workspace.committed(QUARANTINE)["reason"].to_pylist() == ["invalid_utf8"]
    ok(workspace, "ingest", path, "--source", "play", "--encoding", encoding)
    refined(example_workspace(tmp_path / "w", now=NOW))
    assert workspace.committed(QUARANTINE).num_rows == 0
    assert workspace.committed(SUPERSEDED)["reason"].to_pylist()[-1] == "cured"
    ids = workspace.committed(FEEDBACK)["source_id"].to_pylist()
    assert sorted(ids) == sorted({*ids})


def test_another_file_of_the_same_name_cures_nothing(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    path.write_bytes(
        "id,text,at\n1,café was bad,2024-02-02\n2,it is good,2024-02-02\n".encode("latin-1")
    )
    ok(workspace, "ingest", path, "--source", "play")
    refined(workspace)
    path.write_text("id,text,at\n9,something else,2024-02-03\n", encoding="utf-8")
    ok(workspace, "ingest", path, "--source", "play")
    refined(workspace)
    assert workspace.committed(QUARANTINE)["reason"].to_pylist() == ["invalid_utf8"]


def test_broken_json_is_told_how_to_be_mended(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    good = '{"id": "1", "text": "it is bad", "at": "2024-02-02"}\n'
    path.write_text(good + '{"id": "2", "text\n', encoding="utf-8")
    shown = ok(workspace, "ingest", path, "--source", "play")
    refined(workspace)
    for told in (shown, ok(workspace, "quarantine", "list")):
        assert "correct the row's JSON" in told
        assert "number of fields" not in told


def test_what_is_not_there_is_told_with_what_is(workspace: Workspace, tmp_path: Path) -> None:
    ok(workspace, "ingest", reviews(tmp_path), "--source", "play", "--product", "wallet")
    refined(workspace)
    error = refused(workspace, "quarantine", "list", "--source", "nosuch")
    assert str(error) == "no source 'nosuch'\n  there are: play"
    none_so = ok(workspace, "quarantine", "list", "--source", "play", "--reason", "no_text")
    assert none_so.startswith("no row of source play and no_text is in quarantine")
    ok(workspace, "changes", "add", "--kind", "flag", "--name", "dark", "--product", "wallet")
    error = refused(workspace, "changes", "list", "--product", "nosuch")
    assert str(error) == "no product 'nosuch'\n  there are: shop-app, wallet"
    assert "no change is like that" in ok(workspace, "changes", "list", "--product", "shop-app")


def test_a_raised_limit_frees_rows(workspace: Workspace, tmp_path: Path) -> None:
    config = workspace.folder / "closeloop.yaml"
    before = config.read_text(encoding="utf-8")
    config.write_text(before + "ingest: {max_payload_bytes: 100}\n", encoding="utf-8")
    text = f"id,content,at\n1,{'it is bad ' * 20},2024-02-01\n"
    ok(workspace, "ingest", reviews(tmp_path, text), "--source", "play")
    strict = Workspace(workspace.folder, progress=workspace.progress)
    with strict.step(refine.NAME) as step:
        refine.run(step)
    assert strict.committed(QUARANTINE)["reason"].to_pylist() == ["payload_too_large"]
    assert as_json(workspace, "quarantine", "retry")["refined"] == 0
    config.write_text(before, encoding="utf-8")
    assert as_json(workspace, "quarantine", "retry")["refined"] == 1
    assert workspace.committed(QUARANTINE).num_rows == 0
    assert workspace.committed(FEEDBACK).num_rows == 1
