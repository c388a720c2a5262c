"""The scan: finds what rose, says nothing of calm and of surges, and only knows the past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from closeloop.stats.exposure import exposure_of
from closeloop.stats.scan import scan
from closeloop.stats.series import SeriesData

DAYS = 70
FIRST_DAY = 18_000
END = (FIRST_DAY + DAYS) * 24
RATES = (3.0, 1.0, 0.5, 0.2)
"""Complaints a day of four series; beside them 12 pieces of feedback a day that are none."""


def history(seed: int, *, days: int = DAYS) -> list[tuple[int, int]]:
    """(hour, series) of complaints, series -1 for feedback that is none."""
    rng = np.random.default_rng(seed)
    rows = []
    for series, rate in enumerate((*RATES, 12.0)):
        for _ in range(rng.poisson(rate * days)):
            hour = FIRST_DAY * 24 + int(rng.integers(days * 24))
            rows.append((hour, series if series < len(RATES) else -1))
    return rows


def look(rows, *, since=FIRST_DAY * 24, until=END, family=4, ready=0, formed=(), exposure=None):
    rows = sorted(rows)
    hours = np.array([h for h, _ in rows], dtype=np.int64)
    series = np.array([s for _, s in rows], dtype=np.int64)
    complaint = series >= 0
    return scan(
        SeriesData(
            hours=hours[complaint],
            weight=np.ones(int(complaint.sum())),
            all_hours=hours,
            all_weight=np.ones(len(hours)),
            member_row=np.arange(int(complaint.sum())),
            member_series=series[complaint],
            testable=~np.isin(series[complaint], formed),
            ready=np.full(len(RATES), ready, dtype=np.int64),
            exposure=exposure,
        ),
        since=since,
        until=until,
        first_day=FIRST_DAY,
        family=family,
        false_alarms=1.0,
        q=0.1,
    )


def test_a_rise_is_found_with_its_count_and_expectation():
    burst = [(END - 5 + i % 3, 2) for i in range(9)]
    found = look([*history(1), *burst])
    (first, *_) = [a for a in found.alarms if a.series == 2]
    assert first.hour >= END - 5
    assert first.count <= 9
    assert first.expected < 1.0
    assert first.evidence >= first.threshold == 4.0
    last = found.alarms[-1]
    assert last.fdr_pass
    assert last.count_6h == 9


def test_calm_raises_little():
    alarms = sum(bool(look(history(seed)).alarms) for seed in range(30))
    # 30 histories of two months: 60 false alarms are allowed, a quarter of that is far from it.
    assert alarms <= 15


def test_a_surge_of_everything_is_passed_over():
    raised = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        surge = [
            (END - 1 - int(rng.integers(24)), s)
            for s, rate in (*enumerate(RATES), (-1, 12.0))
            for _ in range(rng.poisson(4 * rate))
        ]
        alarms = look([*history(seed), *surge], since=END - 24).alarms
        raised += len({a.series for a in alarms})
    # Of the 120 series in 30 fivefold surges.
    assert raised <= 0.06 * 120


def test_a_slow_rise_is_found_over_days():
    found = []
    for seed in range(20):
        rows = [(h, s) for h, s in history(seed) if s != 3 or h < END - 200]
        slow = [(END - 180 + 16 * i, 3) for i in range(12)]
        found.append(next((a for a in look([*rows, *slow]).alarms if a.series == 3), None))
    raised = [a for a in found if a is not None and a.hour >= END - 180]
    assert len(raised) >= 16
    assert np.median([a.count for a in raised]) <= 8
    assert np.median([a.window_h for a in raised]) >= 72


def test_a_burst_that_is_over_does_not_live_on_in_the_long_windows():
    burst = [(END - 15 * 24 + i % 3, 1) for i in range(25)]
    hours = [a.hour for a in look([*history(1), *burst]).alarms if a.series == 1]
    assert hours
    assert max(hours) < END - 15 * 24 + 96


def test_evidence_does_not_know_the_future():
    rows = history(3)
    burst = [(END - 100, 1)] * 8
    later = [(END - 3, 1)] * 50
    until = END - 99
    seen = look([*rows, *burst], until=until)
    assert seen.alarms
    assert look([*rows, *burst, *later], until=until).alarms == seen.alarms


def test_a_look_at_the_new_hours_alone_says_the_same():
    rows = [*history(4), *[(END - 3, 3)] * 6]
    whole = [a for a in look(rows).alarms if a.hour >= END - 10]
    assert whole
    assert list(look(rows, since=END - 10).alarms) == whole


def test_without_two_weeks_of_history_nothing_is_raised():
    rows = [(FIRST_DAY * 24 + 24 * d + h, 0) for d in range(10) for h in (3, 15)]
    burst = [(FIRST_DAY * 24 + 240, 0)] * 40
    assert look([*rows, *burst], until=FIRST_DAY * 24 + 241).looks == 0


def test_a_series_is_not_looked_at_before_it_is_ready():
    rows = [*history(1), *[(END - 3, 2)] * 9]
    assert look(rows).alarms
    assert not look(rows, ready=END).alarms


def test_texts_that_formed_a_theme_are_no_evidence_for_it():
    rows = [*history(1), *[(END - 3, 2)] * 9]
    assert not [a for a in look(rows, formed=(2,)).alarms if a.series == 2]


@pytest.mark.parametrize("family", [4, 4_000])
def test_more_series_ask_for_more_evidence(family):
    rows = [*history(1), *[(END - 3, 2)] * 4]
    raised = [a for a in look(rows, family=family).alarms if a.hour >= END - 3]
    assert bool(raised) == (family == 4)


def test_thrice_the_users_with_thrice_the_complaints_are_no_rise():
    # Every series triples for three weeks, as the users do: rates stay what they were.
    since = END - 21 * 24
    level = np.where(np.arange(DAYS) < DAYS - 21, 1.0, 3.0)
    days = np.arange(FIRST_DAY, FIRST_DAY + DAYS) * 24
    users = exposure_of(days, np.full(DAYS, 24), 1_000 * level)
    with_users = without = 0
    for seed in range(7, 17):
        rng = np.random.default_rng(seed)
        more = [
            (END - 1 - int(rng.integers(21 * 24)), s)
            for s, rate in enumerate(RATES)
            for _ in range(rng.poisson(2 * rate * 21))
        ]
        rows = [*history(seed), *more]
        known, unknown = look(rows, since=since, exposure=users), look(rows, since=since)
        with_users += len({a.series for a in known.alarms})
        without += len({a.series for a in unknown.alarms})
        assert known.baselines.mean[-1, 0] < 1.3 * RATES[0] < unknown.baselines.mean[-1, 0]
    assert with_users <= without / 2


def test_a_rise_of_the_rate_is_found_where_fewer_users_hide_it():
    # Half the users, all else in proportion, and one series as frequent as ever: twice its rate.
    rows = [r for i, r in enumerate(history(8)) if r[0] < END - 240 or r[1] == 0 or i % 2]
    users = np.where(np.arange(DAYS) < DAYS - 10, 1000.0, 500.0)
    exposure = exposure_of(np.arange(FIRST_DAY, FIRST_DAY + DAYS) * 24, np.full(DAYS, 24), users)
    burst = [(END - 70 + 3 * i, 0) for i in range(20)]
    last = END - 240

    def strongest(found):
        return max((a.evidence for a in found.alarms if a.series == 0 and a.hour > last), default=0)

    assert strongest(look([*rows, *burst], exposure=exposure)) > 10 * strongest(
        look([*rows, *burst])
    )


def test_a_look_at_the_new_hours_alone_says_the_same_with_known_users():
    rows = [*history(4), *[(END - 3, 3)] * 6]
    days = np.arange(FIRST_DAY, FIRST_DAY + DAYS) * 24
    users = exposure_of(days, np.full(DAYS, 24), 1000.0 + 10 * np.arange(DAYS))
    whole = [a for a in look(rows, exposure=users).alarms if a.hour >= END - 10]
    assert whole
    assert list(look(rows, since=END - 10, exposure=users).alarms) == whole


# Busy series: dozens of complaints a day.

BUSY_RATES = (20.0, 12.0)
"""Complaints an hour of two busy series, twice as many by day and hardly any at night."""


def busy_product(seed: int, *, days: int = 40, bursts: float = 0.0, level=None):
    """(hours, weight, series) of the cells of two busy series and of other feedback (-1)."""
    rng = np.random.default_rng(seed)
    rhythm = np.tile(1.0 + 0.9 * np.sin((np.arange(24) - 9.0) * np.pi / 12.0), days)
    rates = np.outer((*BUSY_RATES, 40.0), rhythm)
    if level is not None:
        rates = rates * level
    if bursts:
        rates = rates * rng.gamma(1.0 / bursts, bursts, rates.shape)
    return rng.poisson(rates).astype(float)


def look_busy(counts, *, since=0, exposure=None, delivered=None, until=None, first_day=FIRST_DAY):
    hour, series = np.nonzero(counts.T)
    weight, hours = counts.T[hour, series], hour + first_day * 24
    own = series < len(counts) - 1
    return scan(
        SeriesData(
            hours=hours[own],
            weight=weight[own],
            all_hours=hours,
            all_weight=weight,
            member_row=np.arange(int(own.sum())),
            member_series=series[own],
            testable=np.ones(int(own.sum()), dtype=np.bool_),
            ready=np.zeros(len(counts) - 1, dtype=np.int64),
            exposure=exposure,
            delivered=delivered,
        ),
        since=first_day * 24 + since,
        until=first_day * 24 + (counts.shape[1] if until is None else until),
        first_day=first_day,
        family=len(counts) - 1,
        false_alarms=1.0,
        q=0.1,
    )


def test_a_busy_series_is_looked_at_after_three_whole_days():
    counts = busy_product(1, days=6)
    counts[0, 24 * 5 + 14 : 24 * 5 + 17] *= 5.0
    found = look_busy(counts)
    (first, *_) = found.alarms
    assert first.series == 0
    assert first.hour - FIRST_DAY * 24 == 24 * 5 + 14
    rhythm = 1.0 + 0.9 * np.sin((np.arange(24) - 9.0) * np.pi / 12.0)
    assert first.by_hour == pytest.approx(BUSY_RATES[0] * rhythm, rel=0.4, abs=3.0)
    # What usually comes at those hours, and no more than that of six.
    assert first.expected == pytest.approx(
        BUSY_RATES[0] * rhythm[14 + 1 - first.window_h : 15].sum(), rel=0.3
    )
    assert first.expected_6h == pytest.approx(BUSY_RATES[0] * rhythm[9:15].sum(), rel=0.3)
    assert first.count > 3 * first.expected
    assert first.usual_share == pytest.approx(20.0 / 72.0, rel=0.1)
    assert found.looks > 0
    early = busy_product(1, days=4)
    early[0, 24 * 3 + 14 : 24 * 3 + 17] *= 5.0
    assert not look_busy(early).alarms


def test_twice_the_complaints_by_day_are_found_within_hours():
    delays = []
    for seed in range(10):
        counts = busy_product(seed)
        counts[0, 24 * 38 + 13 :] *= 2.0
        alarms = [a for a in look_busy(counts, since=24 * 38 + 13).alarms if a.series == 0]
        delays.append(alarms[0].hour - (FIRST_DAY + 38) * 24 - 13 if alarms else 99)
    assert np.median(delays) <= 4


def test_a_busy_night_is_still_found_at_night():
    counts = busy_product(2)
    counts[0, 24 * 38 : 24 * 38 + 5] += 12.0
    alarms = look_busy(counts, since=24 * 38, until=24 * 38 + 5).alarms
    assert alarms
    assert alarms[0].series == 0


def test_bursts_of_hours_raise_little():
    raised = 0
    for seed in range(10):
        days = {(a.series, a.hour // 24) for a in look_busy(busy_product(seed, bursts=0.8)).alarms}
        raised += len(days)
    # Ten products, a month and more of looks each.
    assert raised <= 1.5 * 10 * 36 / 30


def test_a_surge_of_everything_raises_no_busy_series():
    level = np.ones(40 * 24)
    level[38 * 24 :] = 4.0
    raised = sum(
        len({a.series for a in look_busy(busy_product(seed, level=level), since=38 * 24).alarms})
        for seed in range(15)
    )
    assert raised <= 0.06 * 30


def test_twice_the_users_with_twice_the_complaints_are_no_peak():
    level = np.ones(40 * 24)
    level[38 * 24 :] = 2.0
    users = exposure_of(
        np.arange(40 * 24) + FIRST_DAY * 24, np.ones(40 * 24, dtype=np.int64), 1_000.0 * level
    )
    lone = [busy_product(seed, level=level)[:1] for seed in range(6)]
    # A queue of one category: nothing beside it tells of a surge.
    lone = [np.concatenate([c, np.zeros((1, c.shape[1]))]) for c in lone]
    known = [look_busy(c, since=38 * 24, exposure=users).alarms for c in lone]
    unknown = [look_busy(c, since=38 * 24).alarms for c in lone]
    assert sum(map(bool, known)) <= 1
    assert all(unknown)


def test_a_look_at_the_new_hours_of_a_busy_series_alone_says_the_same():
    counts = busy_product(5, days=60, bursts=0.3)
    counts[1, 24 * 58 + 10 : 24 * 58 + 14] *= 4.0
    whole = [a for a in look_busy(counts).alarms if a.hour >= (FIRST_DAY + 58) * 24]
    assert whole
    assert list(look_busy(counts, since=58 * 24).alarms) == whole
    parts = [
        a
        for hour in range(58 * 24, 60 * 24)
        for a in look_busy(counts, since=hour, until=hour).alarms
    ]
    assert parts == whole


def test_what_comes_later_does_not_change_a_busy_look():
    counts = busy_product(6, days=30)
    counts[0, 24 * 25 + 12 : 24 * 25 + 15] *= 4.0
    later = counts.copy()
    later[:, 24 * 26 :] *= 3.0
    until = 24 * 26 - 1
    seen = look_busy(counts, until=until)
    assert seen.alarms
    assert look_busy(later, until=until).alarms == seen.alarms


def test_hour_by_hour_a_busy_product_is_as_in_one_look_at_all_of_it():
    """Whatever is in the range: silence between busy times, bursts at night, series that come late."""
    for seed in range(3):
        counts = busy_product(seed, days=24, bursts=0.4)
        counts[0, 24 * 9 : 24 * 18] = 0.0
        counts[1, : 24 * 12] = 0.0
        counts[1, 24 * 20 + 2] += 14.0
        counts[0, 24 * 22 + 10 : 24 * 22 + 12] *= 4.0
        whole = look_busy(counts)
        assert whole.alarms
        parts = [look_busy(counts, since=h, until=h) for h in range(24 * 24)]
        # How many others pass beside it is asked of the looks at hand only.
        assert [replace(a, fdr_pass=False) for p in parts for a in p.alarms] == [
            replace(a, fdr_pass=False) for a in whole.alarms
        ]
        assert sum(p.looks for p in parts) == whole.looks


def test_a_rare_series_is_not_looked_at_in_its_first_two_weeks_whatever_comes_beside_it():
    counts = np.concatenate([busy_product(1, days=16), np.zeros((1, 16 * 24))])
    counts[2] = np.random.default_rng(1).poisson(0.1, 16 * 24)
    counts[2, 24 * 10 + 12 : 24 * 10 + 14] += 40.0
    assert not [a for a in look_busy(counts, until=24 * 13).alarms if a.series == 2]


def hourly_users(days: int, level=1.0):
    rhythm = np.maximum(1.0 + 0.93 * np.sin((np.arange(24) - 9.0) * np.pi / 12.0), 0.05)
    return exposure_of(
        np.arange(days * 24) + FIRST_DAY * 24,
        np.ones(days * 24, dtype=np.int64),
        1_000.0 * np.tile(rhythm, days) * level,
    )


def test_users_by_the_hour_leave_the_busy_hours_of_the_day_as_they_are():
    for seed in range(3):
        counts = busy_product(seed)
        counts[0, 24 * 38 + 14 : 24 * 38 + 17] *= 3.0
        known = look_busy(counts, since=24 * 38, exposure=hourly_users(40)).alarms
        assert any(a.peak and a.series == 0 for a in known)
        calm = look_busy(busy_product(seed) // 12, exposure=hourly_users(40)).alarms
        assert not any(a.peak for a in calm)


def test_a_busy_product_grows_with_its_users():
    grown = np.repeat(np.where(np.arange(40) < 30, 1.0, 3.0), 24)
    product = [busy_product(seed, level=grown)[:1] for seed in range(6)]
    lone = [np.concatenate([c, np.zeros((1, c.shape[1]))]) for c in product]
    users = hourly_users(40, grown)
    after = [look_busy(c, since=24 * 34, exposure=users).alarms for c in lone]
    assert sum(any(a.peak for a in alarms) for alarms in after) <= 1
    for counts in lone:
        counts[0, 24 * 38 + 14 : 24 * 38 + 17] *= 2.5
    risen = [look_busy(c, since=24 * 38, exposure=users).alarms for c in lone]
    assert all(any(a.peak for a in alarms) for alarms in risen)


def test_days_without_delivery_are_no_days_of_a_busy_series():
    counts = busy_product(3)
    counts[:, 24 * 12 : 24 * 34] = 0.0
    came = exposure_of(
        np.arange(40 * 24) + FIRST_DAY * 24,
        np.ones(40 * 24, dtype=np.int64),
        np.where(counts.sum(axis=0) > 0, 1.0, 0.001),
    )
    counts[0, 24 * 38 + 13 : 24 * 38 + 16] *= 2.0
    told = [a for a in look_busy(counts, since=24 * 38, delivered=came).alarms if a.peak]
    assert told
    # As days of nothing they make a series too rare to be busy.
    assert not [a for a in look_busy(counts, since=24 * 38).alarms if a.peak]


def test_a_surge_raises_a_busy_product_s_peaks_by_little_even_without_the_gate(monkeypatch):
    monkeypatch.setattr(
        "closeloop.stats.busy_looks.surge_gate",
        lambda count, *_, **__: np.ones(len(count), dtype=np.bool_),
    )
    level = np.ones(40 * 24)
    level[38 * 24 :] = 3.0
    raised = 0
    for seed in range(0, 40, 5):
        parts = [busy_product(s, level=level)[:2] for s in range(seed, seed + 4)]
        counts = np.concatenate([*parts, busy_product(seed + 4, level=level)[2:]])
        raised += len({a.series for a in look_busy(counts, since=38 * 24).alarms if a.peak})
    # Of 64 series.
    assert raised <= 6


def barely_busy(days: int):
    """One series of 5, 6 and 5 complaints at noon and none else, with some praise."""
    counts = np.zeros((2, days * 24))
    for hour, count in ((11, 5.0), (12, 6.0), (13, 5.0)):
        counts[0, hour::24] = count
    counts[1] = 4.0
    return counts


def test_complaints_of_three_hours_a_day_are_enough_to_be_busy():
    counts = barely_busy(50)
    counts[0, 24 * 49 + 12] = 40.0
    (first, *_) = look_busy(counts, since=24 * 49).alarms
    assert first.hour == FIRST_DAY * 24 + 24 * 49 + 12
    assert first.peak


def test_one_busy_hour_at_night_needs_none_beside_it():
    counts = barely_busy(9)
    counts[0, 24 * 8 + 3] = 14.0
    hour = 24 * 8 + 3
    (alone,) = look_busy(counts, since=hour, until=hour).alarms
    assert alone.peak
    assert alone.count == 14
    assert [a for a in look_busy(counts).alarms if a.hour == FIRST_DAY * 24 + hour] == [alone]
