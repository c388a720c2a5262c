"""Timelines: every complaint is drawn once, marks stand at their times, hostile names are escaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from closeloop.pictures.svg import picture
from closeloop.pictures.timeline import MAX_BARS, WIDTH, Hour, Mark, Timeline, bar_hours, timeline

START = datetime(2024, 3, 1, tzinfo=UTC)


def drawn(hours: list[Hour], marks: list[Mark] | None = None, *, days: int = 10) -> ET.Element:
    body, height = timeline(
        Timeline(START, START + timedelta(days=days), hours, marks or [], zone="Asia/Kolkata")
    )
    return ET.fromstring(picture(body, width=WIDTH, height=height, named="test"))


def bars(root: ET.Element) -> list[tuple[float, float]]:
    """Return the height of each bar with the number that it says."""
    found = []
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        title = rect.find("{http://www.w3.org/2000/svg}title")
        if title is not None and title.text:
            found.append((float(rect.attrib["height"]), float(title.text.rpartition(": ")[2])))
    return found


@given(
    st.lists(st.tuples(st.integers(0, 40 * 24 - 1), st.integers(1, 50)), max_size=60),
    st.integers(1, 40),
)
def test_every_complaint_inside_the_time_is_drawn_once(
    counts: list[tuple[int, int]], days: int
) -> None:
    hours = [Hour(START + timedelta(hours=h), n) for h, n in counts]
    inside = sum(n for h, n in counts if h < days * 24)
    shown = bars(drawn(hours, days=days))
    assert sum(n for _, n in shown) == inside
    assert len(shown) <= MAX_BARS
    if shown:
        height, most = max(shown)
        assert all(abs(h - height * n / most) < 0.11 for h, n in shown)


def test_bars_grow_wider_with_the_time() -> None:
    def width(days: int) -> int:
        return bar_hours(Timeline(START, START + timedelta(days=days), [], []))

    assert [width(d) for d in (2, 7, 30, 365)] == [1, 1, 6, 168]


def test_the_name_of_the_last_day_is_inside_the_picture() -> None:
    body, height = timeline(Timeline(START, START + timedelta(days=9), [], []))
    root = ET.fromstring(picture(body, width=WIDTH, height=height, named="test"))
    texts = list(root.iter("{http://www.w3.org/2000/svg}text"))
    last = next(t for t in texts if t.text == "10 Mar")
    assert float(last.attrib["x"]) + 3.0 * len("10 Mar") <= WIDTH


def test_marks_stand_where_they_happened_and_their_names_do_not_overlap() -> None:
    marks = [Mark(START + timedelta(days=5, hours=h), f"release 5.{h}.0") for h in range(4)]
    root = drawn([], marks)
    names = [
        e for e in root.iter("{http://www.w3.org/2000/svg}text") if "release" in (e.text or "")
    ]
    rows = {e.attrib["y"] for e in names}
    assert len(names) == 4
    assert len(rows) == 4
    assert all(WIDTH * 0.45 < float(e.attrib["x"]) < WIDTH * 0.6 for e in names)


def test_a_mark_outside_the_time_is_left_out() -> None:
    root = drawn([], [Mark(START - timedelta(days=1), "release 1.0")])
    assert not [e for e in root.iter() if "release" in (e.text or "")]


def test_names_are_text_whatever_they_hold() -> None:
    hostile = "<script>alert(1)</script>\x00]]>&"
    root = drawn([], [Mark(START + timedelta(days=1), hostile)])
    (name,) = [
        e for e in root.iter("{http://www.w3.org/2000/svg}text") if "script" in (e.text or "")
    ]
    assert name.text == "<script>alert(1)</script> ]]>&"


def test_what_is_expected_is_a_line_that_carries_over_days_without_a_baseline() -> None:
    hours = [Hour(START, 1, expected_a_day=24.0), Hour(START + timedelta(days=9), 1, 48.0)]
    root = drawn(hours)
    (line,) = root.iter("{http://www.w3.org/2000/svg}polyline")
    heights = [float(p.split(",")[1]) for p in line.attrib["points"].split()]
    assert len(set(heights)) == 2
    assert heights[0] > heights[-1]
    assert re.match(r"44\.0,", line.attrib["points"])


def test_names_stand_on_a_ground_above_the_lines_of_other_marks() -> None:
    marks = [Mark(START + timedelta(days=5, hours=h), f"release 5.{h}.0") for h in range(4)]
    tags = [child.tag.rpartition("}")[2] for child in drawn([], marks)]
    first_name = next(n for n, tag in enumerate(tags) if tag == "text" and tags[n - 1] == "rect")
    assert tags[first_name - 1 : first_name + 7] == ["rect", "text"] * 4
    assert tags[first_name - 5 : first_name - 1] == ["line"] * 4
