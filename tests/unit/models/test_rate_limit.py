"""Waits follow what the service says, else grow; limits a minute are kept."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeloop.models.rate_limit import Pace, asked_wait_s, backoff_s, duration_s, spent_for_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6m0s", 360), ("20ms", 0.02), ("1.5s", 1.5), ("1h2m3s", 3723), ("7", 7), ("1d", 86_400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", [None, "", "soon", "-3", "3 s", "6m0", "nan", "inf", "1e9", "9" * 40]
)
def test_what_is_no_duration(text: str | None) -> None:
    assert duration_s(text) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "9"}, 9),
        (
            {
                "retry-after": "Tue, 06 Feb 2024 12:00:30 GMT",
                "date": "Tue, 06 Feb 2024 12:00:00 GMT",
            },
            30,
        ),
        ({"retry-after": "Tue, 06 Feb 2024 12:00:30 GMT"}, None),
        ({"retry-after": "tomorrow", "date": "today"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2s"}, 62),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "1m2s"}, None),
        ({}, None),
    ],
)
def test_what_a_service_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait_s(headers) == seconds


def test_the_longer_of_two_spent_limits_counts() -> None:
    headers = {
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "2s",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "8s",
    }
    assert spent_for_s(headers) == 8


def test_backoff_grows_to_a_minute_and_repeats_for_a_seed() -> None:
    waits = [backoff_s(n, random.Random(3)) for n in range(1, 12)]
    assert waits == [backoff_s(n, random.Random(3)) for n in range(1, 12)]
    for number, wait in enumerate(waits):
        full = min(2.0**number, 60)
        assert full / 2 <= wait <= full


@given(
    st.lists(st.integers(1, 5_000), min_size=2, max_size=40), st.integers(1, 600),
    st.integers(1_000, 200_000),
)  # fmt: skip
def test_no_limit_is_exceeded_over_the_whole_run(
    sizes: list[int], requests: int, tokens: int
) -> None:
    pace = Pace(requests_per_minute=requests, tokens_per_minute=tokens)
    now = 0.0
    for size in sizes:
        now += pace.wait_s(size, now=now)
    # The last request is free at `now`: what came before must have been paid for.
    assert now >= (len(sizes) - 1) * 60 / requests - 1e-6
    assert now >= sum(sizes[:-1]) * 60 / tokens - 1e-6


def test_without_limits_nothing_waits_until_held() -> None:
    pace = Pace(requests_per_minute=None, tokens_per_minute=None)
    assert [pace.wait_s(10**6, now=1.0) for _ in range(3)] == [0, 0, 0]
    pace.hold(5.0)
    assert pace.wait_s(1, now=1.0) == 4


def test_what_was_booked_too_much_is_given_back() -> None:
    pace = Pace(requests_per_minute=None, tokens_per_minute=60)
    pace.wait_s(30, now=0.0)
    pace.correct(booked=30, used=10)
    assert pace.wait_s(1, now=0.0) == pytest.approx(10)
