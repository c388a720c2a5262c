"""Five events in real reviews and one artefact, through the whole loop from text to would-be ticket.

    python benchmarks/real_events.py --data DIR --work FOLDER [--only fampay,cred] [--every 1h]

DIR holds play_reviews.parquet (app, review_id, content, score, app_version, at) and
play_releases_inferred.parquet (app, app_version, first_seen). Each event's product is taken in by the
ordinary commands (init, ingest, changes import) with the default configuration, and replayed by
`closeloop backtest` from the day before; the history before it trains. FOLDER keeps the workspaces and
the vectors, so that a second run embeds nothing. What is blamed is what stands at the end of the replay.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: when, what it is about, and the release behind it (None: none).

    `since` is when it began, `begin` and `end` are the times of the replay; `about` names the
    categories and versions of signals that tell of it. `calm_until`: a signal that is raised
    before must not blame a release.
    """

    name: str
    app: str
    begin: datetime
    end: datetime
    since: datetime
    about: frozenset[str]
    release: str | None
    calm_until: datetime | None = None


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


EVENTS = (
    Event(
        "fampay",
        "com.fampay.in",
        _at("2023-02-02"),
        _at("2023-02-12"),
        since=_at("2023-02-06 18:00"),
        about=frozenset({"payment failure", "2.8.5"}),
        release="2.8.5",
        # One-star reviews begin to be collected on the third: everything seems to rise.
        calm_until=_at("2023-02-05"),
    ),
    Event(
        "cred",
        "com.dreamplug.androidapp",
        _at("2022-03-24"),
        _at("2022-04-04"),
        since=_at("2022-03-25"),
        about=frozenset({"broken UI", "feature regression", "3.0.1.5"}),
        release="3.0.1.5",
    ),
    Event(
        "greenlight",
        "me.greenlight",
        _at("2021-01-14"),
        _at("2021-01-26"),
        since=_at("2021-01-15"),
        about=frozenset({"4.0.1", "broken UI", "feature regression"}),
        release="4.0.1",
    ),
    Event(
        "greenlight-login",
        "me.greenlight",
        _at("2020-07-17"),
        _at("2020-07-28"),
        since=_at("2020-07-18"),
        about=frozenset({"account access"}),
        release=None,
    ),
    Event(
        "epifi",
        "com.epifi.paisa",
        _at("2022-08-02"),
        _at("2022-08-14"),
        since=_at("2022-08-04"),
        about=frozenset({"account access", "security and fraud"}),
        release=None,
    ),
)


def main() -> int:
    """Replay each event and print what was found; 1 where one is missed or wrongly blamed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", default=",".join(e.name for e in EVENTS))
    parser.add_argument("--every", default="1h", help="how often the loop looks")
    parser.add_argument("--history", type=int, default=400, help="days that train")
    options = parser.parse_args()
    wrong = 0
    for event in EVENTS:
        if event.name in options.only.split(","):
            signals = _replay(event, options)
            wrong += not _tell(event, signals)
    return 1 if wrong else 0


def _replay(event: Event, options: argparse.Namespace) -> list[Row]:
    """Return the signals of a backtest over the event, oldest first."""
    folder = options.work / event.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _closeloop("init", str(folder))
    settings = folder / "closeloop.yaml"
    cache = (options.work / "vectors").resolve()
    settings.write_text(
        settings.read_text().replace("vector_cache: cache/vectors", f"vector_cache: {cache}")
    )
    _write_history(event, options.data, folder, days=options.history)
    here = ("-w", str(folder))
    _closeloop(*here, "ingest", str(folder / "reviews.parquet"), "--source", "play")
    _closeloop(*here, "changes", "import", str(folder / "releases.parquet"), "--kind", "release")
    told = _closeloop(
        *here,
        *("backtest", "--from", event.begin.isoformat(), "--to", event.end.isoformat()),
        *("--every", options.every, "--name", "event", "--json"),
    )
    signals: list[Row] = json.loads(told)["signals"]
    return sorted(signals, key=lambda s: (s["detected_at"], s["signal_id"]))


def _write_history(event: Event, data: Path, folder: Path, *, days: int) -> None:
    reviews = pq.read_table(data / "play_reviews.parquet")
    at = reviews.column("at").cast(pa.timestamp("us"))
    first, last = (
        pa.scalar(time.replace(tzinfo=None), pa.timestamp("us"))
        for time in (event.begin - timedelta(days=days), event.end)
    )
    wanted = pc.and_(
        pc.equal(reviews.column("app"), event.app),
        pc.and_(pc.greater_equal(at, first), pc.less(at, last)),
    )
    pq.write_table(reviews.filter(wanted), folder / "reviews.parquet")
    releases = pq.read_table(data / "play_releases_inferred.parquet")
    own = releases.filter(pc.equal(releases.column("app"), event.app))
    pq.write_table(own, folder / "releases.parquet")


def _closeloop(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "closeloop", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"closeloop {' '.join(arguments)} failed:\n{done.stderr}")
    return done.stdout


def _tell(event: Event, signals: list[Row]) -> bool:
    """Print the signals of an event; return whether all is as it should be."""
    print(f"\n== {event.name}: {event.app}, to be named: {event.release or 'no release'}")
    for signal in signals:
        _tell_signal(signal)
    own = [s for s in signals if _about(s, event)]
    blamed = sorted({s["blamed_name"] for s in own if s["blamed_name"]})
    found = bool(own)
    if found:
        first = _time(own[0]["detected_at"])
        late = (first - event.since).total_seconds() / 3600
        print(f"   raised {first:%m-%d %H:%M}, {late:.0f} h after it began")
    right = blamed == ([event.release] if event.release else [])
    problems = [s for s in own if s["parent_id"] is None]
    tickets = [s for s in own if s["would_ticket"]]
    print(
        f"   {len(own)} signals of it under {len(problems)} parents, {len(tickets)} would be "
        f"tickets; blamed: {', '.join(blamed) or 'none'}: "
        f"{'as it should be' if found and right else 'WRONG' if found else 'NOT FOUND'}"
    )
    calm = True
    if event.calm_until is not None:
        early = [s for s in signals if _time(s["detected_at"]) < event.calm_until]
        wrongly = sorted({s["blamed_name"] for s in early if s["blamed_name"]})
        calm = not wrongly
        print(
            f"   artefact before {event.calm_until:%m-%d}: {len(early)} signals, blamed: "
            f"{', '.join(wrongly) or 'none: as it should be'}"
        )
    return found and right and calm


def _about(signal: Row, event: Event) -> bool:
    names = {signal["category"], signal["version"]}
    return bool(names & event.about) and _time(signal["detected_at"]) >= event.since


def _tell_signal(signal: Row) -> None:
    what = signal["theme_label"] or signal["series_id"]
    parent = f", under {signal['parent_id'][:6]}" if signal["parent_id"] else ""
    action = f"{signal['action']}{' (would be a ticket)' if signal['would_ticket'] else ''}"
    print(
        f"   {_time(signal['detected_at']):%m-%d %H:%M} {signal['signal_id'][:6]} {signal['kind']} "
        f"{what[:50]} [{signal['category']}]: {signal['count']} complaints, "
        f"{signal['baseline']:.1f} expected, {signal['severity']}, {action}{parent}"
    )
    if signal["segment"]:
        print(f"      concentrated in {signal['segment']}")
    for candidate in signal["candidates"][:3]:
        effect = "" if candidate["effect"] is None else f", odds ratio {candidate['effect']:.1f}"
        print(
            f"      {candidate['posterior']:.2f} {candidate['name']}{effect}"
            f"{' <- blamed' if candidate['blamed'] else ''}"
        )


def _time(value: str) -> datetime:
    return datetime.fromisoformat(value)


if __name__ == "__main__":
    sys.exit(main())
