"""The page of a backtest: one file, nothing loaded, every signal with its picture, hostile text shown."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from closeloop.cli.backtest_report import write_report
from closeloop.errors import OutsideError
from closeloop.tables import CHANGE, SERIES
from closeloop.testing.example_rows import AT, signal_row
from tests.unit.cli.commands import shop

HOSTILE = "<img src=x onerror=alert(1)> \x1b[31mred"
SUMMARY = {
    "name": "spring", "from": (AT - timedelta(days=5)).isoformat(),
    "to": (AT + timedelta(days=2)).isoformat(), "products": ["shop-app"], "rows": 900,
    "passes": 120, "seconds": 4.2, "policy_version": "default@1234",
}  # fmt: skip


class Tags(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.loaded += [f"{k}={v}" for k, v in attrs if k in ("src", "href") or k.startswith("on")]


def row(**changes: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "theme_label": None, "blamed_name": "2.8.5", "blamed_kind": "release",
        "blamed_posterior": 0.97, "action": "review", "would_ticket": True, "decided_at": AT,
        "reasons": ["count 14 is 4.2 times the 3.3 expected"],
        "quotations": [{"text": HOSTILE, "feedback_id": "aaaaaaaa11112222"}],
        "candidates": [
            {"kind": "release", "name": "2.8.5", "posterior": 0.97, "effect": 4.1,
             "effect_low": 1.3, "effect_high": 13.0, "blamed": True, "reasons": []},
            {"kind": "none", "name": "none of these", "posterior": 0.03, "effect": None,
             "effect_low": None, "effect_high": None, "blamed": False, "reasons": []},
        ],
    }  # fmt: skip
    shown["at_raise"] = {"window_end": AT - timedelta(hours=3), "count": 8, "baseline": 2.6,
                         "evidence": 23.6, "threshold": 1.0, "severity": "P2"}  # fmt: skip
    shown["owner"] = "payments"
    return signal_row() | shown | changes


@pytest.fixture
def page(tmp_path: Path) -> str:
    workspace = shop(tmp_path)
    with workspace.step("test") as step:
        step.merge(CHANGE, CHANGE.from_rows([
            {"change_id": "c1", "kind": "release", "product": "shop-app", "name": "2.8.5",
             "started_at": AT - timedelta(hours=9)},
            {"change_id": "c2", "kind": "release", "product": "other", "name": "9.9.9",
             "started_at": AT - timedelta(hours=9)},
        ]))  # fmt: skip
        step.merge(SERIES, SERIES.from_rows(
            {"product": "shop-app", "series_kind": "category", "series_id": "payment failure",
             "hour": AT - timedelta(hours=h), "count": 3, "exposure": 0.05, "expected": 0.1}
            for h in range(1, 5)
        ))  # fmt: skip
    path = tmp_path / "out" / "report.html"
    write_report(workspace, path, summary=SUMMARY, rows=[row(), row(signal_id="s2", action=None)])
    return path.read_text()


def test_it_loads_and_runs_nothing(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.loaded == []
    assert not {"script", "img", "link", "iframe", "object"} & set(tags.names)


def test_hostile_text_is_shown_not_obeyed(page: str) -> None:
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "\x1b" not in page


def test_each_signal_has_its_picture_with_the_product_s_own_changes(page: str) -> None:
    assert page.count("<svg") == 3  # one of the product, one of each signal
    assert "release 2.8.5" in page
    assert "9.9.9" not in page
    assert "count 14 is 4.2 times the 3.3 expected" in page
    assert "4.1 [1.3, 13]" in page


def test_figures_are_those_of_the_raise_and_what_it_grew_to_stands_beside_them(page: str) -> None:
    assert "after 8 complaints, 2.6 expected (shiryaev-roberts, evidence 23.6 of 1 needed)" in page
    assert "Severity P2. It grew to 14 by 1 Mar, severity P1." in page
    assert "<td class=n>8</td><td>2.6</td><td>14 by 1 Mar</td><td>P2</td>" in page


def test_what_became_of_signals_adds_up_in_all_and_by_owner(page: str) -> None:
    # Two signals: a question that would be a ticket, and one that is counted as a question too.
    assert "<td>signals</td><td class=n>2</td>" in page
    assert "<td>questions to a person</td><td class=n>2</td>" in page
    assert "<td>of which would be a ticket</td><td class=n>2</td>" in page
    assert (
        "<td>payments</td>" + "".join(f"<td class=n>{n}</td>" for n in (2, 0, 2, 2, 0, 0)) in page
    )


def test_the_expected_day_is_drawn_from_the_hours_shares(page: str) -> None:
    assert page.count("<polyline") == 2


def test_a_folder_that_can_t_be_written_to_is_told(tmp_path: Path) -> None:
    workspace = shop(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideError, match="can't be written"):
        write_report(workspace, tmp_path / "file" / "r.html", summary=SUMMARY, rows=[])
