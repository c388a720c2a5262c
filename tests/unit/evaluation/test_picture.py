"""The picture is well-formed, needs nothing from outside, and can't be injected into."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from closeloop.evaluation.picture import MOST_LABELS, as_html, as_svg
from closeloop.evaluation.report import Confusion, Figure, Listing, Report, confusion_of
from closeloop.stats.intervals import Interval
from closeloop.stats.reliability import reliability_bins

HOSTILE = "</text><script>alert(1)</script>\"'&\x00\x1b[31m\ud800\ufffe"


def report(confusion: Confusion | None) -> Report:
    chance = np.array([0.05, 0.9, 0.95, 0.4])
    return Report(
        what="sentiment",
        file=HOSTILE,
        rows=10,
        used=4,
        figures=(
            Figure("accuracy", 0.75, Interval(0.3, 0.95), 4, HOSTILE),
            Figure("ECE", None),
            Figure("themes found", 1234.0, whole=True),
        ),
        predictions=pa.table({}),
        left_out={"no_text": 6},
        made_with={"masker": "1"},
        listings=(Listing("By label", ("label", "F1"), ((HOSTILE, float("nan")), ("b", 0.5))),),
        confusion=confusion,
        reliability=tuple(reliability_bins(chance, np.array([False, True, True, True]))),
        reliability_of="P(negative)",
        notes=(HOSTILE,),
    )


@pytest.mark.parametrize("count", [1, 2, 40])
def test_any_number_of_labels_is_drawn_well_formed(count: int) -> None:
    labels = [f"{HOSTILE} {i}" for i in range(count)]
    svg = as_svg(report(confusion_of(labels, [*labels[1:], "unknown"])))
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert len(root.findall(".//{*}script")) == 0
    assert svg.count("<rect") <= (MOST_LABELS + 5) ** 2
    width = float(root.attrib["width"])
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        if "x" in rect.attrib:
            assert 0 <= float(rect.attrib["x"]) + float(rect.attrib["width"]) <= width


def test_points_lie_where_their_figures_say() -> None:
    root = ElementTree.fromstring(as_svg(report(None)))
    circles = root.findall(".//{*}circle")
    heights = [float(c.attrib["cy"]) for c in circles]
    titles = [c.find("{*}title").text for c in circles]  # type: ignore[union-attr]
    assert titles == [
        "stated 0.050, true 0.000, 1 texts",
        "stated 0.400, true 1.000, 1 texts",
        "stated 0.925, true 1.000, 2 texts",
    ]
    assert heights[0] > heights[1] == heights[2]


def test_a_page_loads_nothing_and_escapes_everything() -> None:
    page = as_html(report(confusion_of(["a", HOSTILE], ["a", "a"])))
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert "no_text: 6" in page
    page.encode("utf-8")
