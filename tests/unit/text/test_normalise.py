"""Locale, version and rating come in one form."""

import pyarrow as pa
import pytest

from closeloop.text.normalise import (
    normalise_each,
    normalise_locale,
    normalise_rating,
    normalise_version,
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("en_us", "en-US"),
        ("EN", "en"),
        ("zh_Hans_CN", "zh-CN"),
        ("pt-BR.UTF-8", "pt-BR"),
        ("es-419", "es-419"),
        ("English", "en"),
        ("???", None),
        ("", None),
    ],
)
def test_locale(raw: str, expected: str | None) -> None:
    assert normalise_locale(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("v2.8.5 (123)", "2.8.5"),
        ("3.0.1.5", "3.0.1.5"),
        ("Version 12", "12"),
        ("2.0-beta.1", "2.0"),
        ("Varies with device", None),
    ],
)
def test_version(raw: str, expected: str | None) -> None:
    assert normalise_version(raw) == expected


def test_each_distinct_value_is_asked_once() -> None:
    asked: list[str] = []

    def rule(value: str) -> str:
        asked.append(value)
        return value.upper()

    assert normalise_each(pa.array(["a", None, "a", "b"]), rule).to_pylist() == [
        "A",
        None,
        "A",
        "B",
    ]
    assert sorted(asked) == ["a", "b"]


def test_ratings_beyond_the_scale_are_not_guessed() -> None:
    ratings = pa.array([1.0, 5.0, 0.0, 10.0, float("nan"), None, 3.5])
    assert normalise_rating(ratings).to_pylist() == [1.0, 5.0, None, None, None, None, 3.5]
