"""Times are read in the forms people export, and never guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.connectors.intake.times import (
    TimeReading,
    compile_format,
    day_comes_first,
    read_times,
    readable_share,
)

NOON = datetime(2023, 2, 6, 12, 0, tzinfo=UTC)


def one(text: object, **reading: object) -> datetime | None:
    column = pa.array([text], pa.string())
    return read_times(column, TimeReading(**reading)).utc[0].as_py()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-06T12:00:00Z",
        "2023-02-06 12:00",
        "2023-02-06T17:30:00+05:30",
        "2023-02-06T17:30:00+0530",
        "2023-02-06 11:00:00.000000-01",
        "2023/02/06 12:00:00 UTC",
        "20230206T120000Z",
        "20230206120000",
        "06.02.2023 12:00",
        "6 Feb 2023 12:00",
        "Mon, 06 Feb 2023 12:00:00 +0000",
        "February 6th, 2023 at 12:00 PM",
        "Feb 6, 2023, 12:00",
        "1675684800",
        "1675684800000",
        "1675684800000000",
        "1675684800000000000",
        "1675684800.0",
        "  2023-02-06 12:00  ",
    ],
)
def test_known_forms_mean_the_same_time(text: str) -> None:
    assert one(text) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2023-02-31",
        "2023-02-06T24:00",
        "0001-01-01",
        "13:44",
        "03/04/2023",
        "12",
        "9" * 19,
        "9" * 40,
    ],
)
def test_what_is_no_time_is_unreadable(text: str) -> None:
    times = read_times(pa.array([text]), TimeReading())
    assert times.utc[0].as_py() is None
    assert times.unreadable.tolist() == [True]


@pytest.mark.parametrize("text", [None, "", " ", "null", "NaT", "N/A"])
def test_a_missing_time_is_no_unreadable_one(text: str | None) -> None:
    times = read_times(pa.array([text], pa.string()), TimeReading())
    assert times.utc[0].as_py() is None
    assert times.unreadable.tolist() == [False]


def test_zone_counts_only_where_a_time_has_none() -> None:
    column = pa.array(["2023-07-01 12:00", "2023-01-01 12:00", "2023-07-01T12:00Z"])
    times = read_times(column, TimeReading(zone="Europe/Berlin"))
    assert [t.hour for t in times.utc.to_pylist()] == [10, 11, 12]
    assert times.zoneless == 2


def test_hour_that_comes_twice_is_the_first_one() -> None:
    assert one("2023-10-29 02:30", zone="Europe/Berlin") == datetime(
        2023, 10, 29, 0, 30, tzinfo=UTC
    )


def test_slashes_are_read_the_way_the_column_shows() -> None:
    assert day_comes_first(pa.array(["03/04/2023", "13/04/2023"])) is True
    assert day_comes_first(pa.array(["03/04/2023", "04/13/2023"])) is False
    assert day_comes_first(pa.array(["03/04/2023"])) is None
    assert day_comes_first(pa.array(["13/04/2023", "04/13/2023"])) is None
    assert one("03/04/2023 10:00 PM", day_first=True) == datetime(2023, 4, 3, 22, tzinfo=UTC)
    assert one("03/04/2023", day_first=False) == datetime(2023, 3, 4, tzinfo=UTC)


def test_declared_format_wins_and_iso_still_counts() -> None:
    assert one("06|02|23 um 12h", time_format="%d|%m|%y um %Hh") == NOON
    assert one("02-06-2023 12:00", time_format="%m-%d-%Y %H:%M") == NOON
    assert one("2023-02-06T12:00Z", time_format="%m-%d-%Y %H:%M") == NOON
    assert compile_format("%j") is None


def test_typed_columns_need_no_parsing() -> None:
    zoned = pa.array([NOON], pa.timestamp("ns", tz="Asia/Kolkata"))
    assert read_times(zoned, TimeReading(zone="Europe/Berlin")).utc[0].as_py() == NOON
    local = pa.array([datetime(2023, 2, 6, 13, 0)], pa.timestamp("s"))  # noqa: DTZ001
    assert read_times(local, TimeReading(zone="Europe/Berlin")).utc[0].as_py() == NOON
    days = pa.array([date(2023, 2, 6), None])
    assert read_times(days, TimeReading()).utc[0].as_py() == datetime(2023, 2, 6, tzinfo=UTC)
    floats = pa.array([1675684800.0, float("nan"), 3.0])
    read = read_times(floats, TimeReading())
    assert read.utc[0].as_py() == NOON
    assert read.unreadable.tolist() == [False, False, True]


def test_share_counts_present_values_only() -> None:
    assert readable_share(pa.array(["2023-02-06", "x", None, ""]), TimeReading()) == 0.5
    assert readable_share(pa.array([None, None], pa.string()), TimeReading()) == 0.0


@given(
    at=st.datetimes(datetime(1900, 1, 2), datetime(2999, 12, 30)),  # noqa: DTZ001
    minutes=st.integers(-14 * 60, 14 * 60),
)
def test_iso_times_of_any_zone_come_back(at: datetime, minutes: int) -> None:
    offset = timedelta(minutes=minutes)
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    text = f"{at.isoformat()}{sign}{hours:02d}:{rest:02d}"
    assert one(text) == at.replace(tzinfo=UTC) - offset


@given(texts=st.lists(st.text(max_size=30)))
def test_any_text_is_read_missing_or_unreadable(texts: list[str]) -> None:
    clean = [t.encode("utf-8", "replace").decode() for t in texts]
    times = read_times(pa.array(clean, pa.string()), TimeReading(day_first=True))
    assert len(times.utc) == len(clean)
    for value, unreadable in zip(times.utc.to_pylist(), times.unreadable, strict=True):
        assert not (value is not None and unreadable)
