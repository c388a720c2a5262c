"""Joins the alarms of one series to episodes: one problem is one signal for as long as it lasts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from closeloop.stats.scan import Alarm

LASTS_H = 72
"""Alarms no further apart belong to one episode: the longest window that the detector looks at."""
OUTGROWS_COUNT = 1.5
OUTGROWS_EVIDENCE = 10.0


@dataclass(frozen=True, slots=True)
class Episode:
    """One problem of one series, from its first alarm to its last; hours since 1970.

    `best` is the alarm with the most evidence, None where it was seen in an earlier pass only;
    `count` and `evidence` are the largest so far.
    """

    series: int
    first_hour: int
    last_hour: int
    count: float
    evidence: float
    best: Alarm | None = None


def join_episodes(
    alarms: Iterable[Alarm], *, open_episodes: Mapping[int, Episode], snooze_h: float
) -> list[Episode]:
    """Return the episodes that the alarms (in order of time) begin or continue.

    An alarm within 72 h of the last one continues its episode. A later one within the snooze is
    passed over, unless it has outgrown the episode: 1.5 times its count, ten times its evidence.
    """
    current = dict(open_episodes)
    touched: list[Episode] = []
    places: dict[int, int] = {}
    for alarm in alarms:
        held = current.get(alarm.series)
        gap = LASTS_H + 1.0 if held is None else alarm.hour - held.last_hour
        if held is not None and gap <= LASTS_H:
            episode = _continued(held, alarm)
        elif held is not None and gap <= snooze_h and not _outgrown(held, alarm):
            continue
        else:
            episode = Episode(
                alarm.series, alarm.hour, alarm.hour, alarm.count, alarm.evidence, alarm
            )
            places.pop(alarm.series, None)
        current[alarm.series] = episode
        if alarm.series in places:
            touched[places[alarm.series]] = episode
        else:
            places[alarm.series] = len(touched)
            touched.append(episode)
    return touched


def _continued(held: Episode, alarm: Alarm) -> Episode:
    stronger = alarm.evidence > held.evidence
    return replace(
        held,
        last_hour=max(held.last_hour, alarm.hour),
        count=max(held.count, alarm.count),
        evidence=max(held.evidence, alarm.evidence),
        best=alarm if stronger else held.best,
    )


def _outgrown(held: Episode, alarm: Alarm) -> bool:
    return (
        alarm.count >= OUTGROWS_COUNT * held.count
        and alarm.evidence >= OUTGROWS_EVIDENCE * held.evidence
    )
