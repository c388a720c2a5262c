"""Prints how good and how fast themes are, beside BERTopic on the same vectors.

    python benchmarks/themes.py --data DIR [--cache DIR] [--peer PYTHON] [--parts quality,births,…]

DIR holds banking77.parquet; with mini_bar.parquet, maalej_4class.parquet and play_reviews.parquet
the last part runs too. The real theme stage does the work, over tables in memory. PYTHON is an
interpreter that has what requirements-bertopic.txt names; without it the peer is left out. Texts
left out count as one group, as BERTopic's own outliers do; "apart" counts each as a group of one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bertopic_peer import peak_mb
from closeloop.models.wiring import make_embedder
from closeloop.stats import themes
from closeloop.stats.agreement import group_agreement
from closeloop.tables import ASSIGNMENT, THEME
from theme_confidence import print_confidence
from theme_feed import Feed, Ints, Vectors, groups_of, turns

TEXTS, FIRST, TURN = 10_000, 2_000, 200
SPREAD_HOURS = 8.0
"""Hours between turns of 200: a product with 600 complaints a day."""
LEFT_OUT = 15
BIRTH_TURN = 20
BIRTH_DRAWS = (1, 2, 3, 4, 5)
MILLION = 1_000_000
JITTER = 0.02
PARTS = ("quality", "order", "births", "confidence", "scale", "others")
HERE = Path(__file__).parent


def agreement(truth: Ints, found: Ints) -> tuple[float, float]:
    """Return V-measure and adjusted Rand index."""
    measured = group_agreement(truth, found)
    return measured.v_measure, measured.adjusted_rand


def _line(name: str, truth: Ints, found: Ints, *, themes_held: int, note: str) -> None:
    v, ari = agreement(truth, found)
    alone = found.copy()
    out = found < 0
    alone[out] = found.max() + 1 + np.arange(out.sum())
    apart, ari_apart = agreement(truth, alone)
    print(
        f"{name:34} V {v:.3f}  ARI {ari:.3f}  left out {out.mean():.3f}  themes {themes_held:4}"
        f"  (apart V {apart:.3f} ARI {ari_apart:.3f})  {note}",
        flush=True,
    )


def _alone(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Run a function in a fresh process; return its result and peak memory in MB."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as pool:
        done: tuple[Any, float] = pool.submit(_measured, work, *arguments).result()
    return done


def _measured(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    result = work(*arguments)
    return result, peak_mb()


def _bootstrap(file: Path) -> tuple[list[str | None], list[float], int]:
    """Cluster all texts, twice; return the themes, both times' seconds, the number of themes."""
    with np.load(file) as held:
        vectors, texts = held["vectors"], held["texts"].tolist()
    seconds = []
    for _ in range(2):
        feed = Feed()
        feed.turn(vectors, texts)
        seconds += feed.seconds
    return feed.themes(), seconds, len(feed.memory().ids)


def _seconds_to_import() -> float:
    """Return how long a fresh Python takes to import the theme step."""
    code = (
        "import time; s = time.perf_counter(); import closeloop.stages.theme; "
        "print(time.perf_counter() - s)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return float(done.stdout)


def _streamed(file: Path) -> tuple[list[str | None], list[str | None], list[float], int, int, int]:
    """Return themes on arrival and at the end, seconds, themes, texts moved, moved untold."""
    with np.load(file) as held:
        vectors, texts = held["vectors"], held["texts"].tolist()
    feed = Feed(hours=SPREAD_HOURS)
    arrival: list[str | None] = []
    before: list[str | None] = []
    moved = untold = 0
    for start, end in turns(len(vectors), first=FIRST, turn=TURN):
        feed.turn(vectors[start:end], texts[start:end])
        now = feed.themes()
        arrival += now[start:end]
        born = feed.born()
        taken = {(e.subject, e.detail) for e in feed.context.ops.audit_entries()}
        for old, new in zip(before, now, strict=False):
            if old is not None and old != new:
                moved += 1
                untold += not (
                    _told(born, old, new) or any(s == new and old in d for s, d in taken)
                )
        before = now
    return arrival, before, feed.seconds, len(feed.memory().ids), moved, untold


def _told(born: dict[str, dict[str, Any]], old: str, new: str | None) -> bool:
    """Return whether lineage leads from one theme to another."""
    name = old
    while born[name]["merged_into"] is not None:
        name = born[name]["merged_into"]
    origin = new
    while origin is not None and origin not in (old, name):
        origin = born[origin]["split_from"]
    return origin is not None


def quality(file: Path, truth: Ints, peer: str) -> None:
    """Print the first clustering and streaming of the product beside BERTopic."""
    print(f"\n## banking77: {len(truth)} questions, 77 intents")
    (names, (first, warm), count), peak = _alone(_bootstrap, file)
    cold = _seconds_to_import() + first
    _line(
        "first clustering",
        truth,
        groups_of(names),
        themes_held=count,
        note=f"{cold:.1f} s cold (imports too), {warm:.1f} s warm, {peak:.0f} MB",
    )
    (arrival, final, seconds, count, moved, untold), _ = _alone(_streamed, file)
    later = truth[FIRST:]
    note = f"{seconds[0]:.1f} s + {sum(seconds[1:]):.1f} s"
    _line(
        f"{FIRST} clustered, the rest on arrival",
        later,
        groups_of(arrival)[FIRST:],
        themes_held=count,
        note=note,
    )
    _line("  the same at the end", later, groups_of(final)[FIRST:], themes_held=count, note="")
    print(f"  texts that changed theme {moved}, without lineage {untold}")
    again = _alone(_streamed, file)[0]
    print(f"  the same twice: {(arrival, final) == (again[0], again[1])}")
    _peer(file, truth, peer, cold=cold, warm=warm)


def _peer(file: Path, truth: Ints, peer: str, *, cold: float, warm: float) -> None:
    result = file.with_name("peer.npz")
    if shutil.which(peer) is None:
        print(f"BERTopic left out: no interpreter {peer} (--peer)")
        return
    command = [peer, str(HERE / "bertopic_peer.py"), str(file), str(result)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"BERTopic left out: {reason} (see requirements-bertopic.txt, --peer)")
        return
    with np.load(result) as held:
        every, later = held["every"], held["later"]
        theirs = held["seconds"].tolist()
        first_themes, peak = int(held["first_themes"]), float(held["peak_mb"])
    note = f"{theirs[0]:.1f} s cold, {theirs[1]:.1f} s warm, {peak:.0f} MB"
    _line("BERTopic, all", truth, every, themes_held=int(every.max()) + 1, note=note)
    note = f"{theirs[2]:.1f} s + {theirs[3]:.1f} s"
    _line(
        f"BERTopic, fit on {FIRST} + transform",
        truth[FIRST:],
        later,
        themes_held=first_themes,
        note=note,
    )
    print(f"times as fast as BERTopic: {theirs[0] / cold:.0f} cold, {theirs[1] / warm:.0f} warm")


def order(vectors: Vectors, texts: list[str], truth: Ints) -> None:
    """Print how much the order of arrival changes."""
    print("\n## Order of arrival: the streamed part shuffled five times")
    runs, scores = [], []
    for seed in range(5):
        shuffled = FIRST + np.random.default_rng(seed).permutation(len(vectors) - FIRST)
        place = np.concatenate([np.arange(FIRST), shuffled])
        feed = Feed(hours=SPREAD_HOURS)
        feed.stream(vectors[place], [texts[i] for i in place], first=FIRST, turn=TURN)
        found = np.empty(len(place), np.int64)
        found[place] = groups_of(feed.themes())
        runs.append(found[FIRST:])
        scores.append(agreement(truth[FIRST:], found[FIRST:])[0])
    alike = [agreement(one, other)[1] for one, other in combinations(runs, 2)]
    print(
        f"V {min(scores):.3f} to {max(scores):.3f}; adjusted Rand between two orders "
        f"{np.mean(alike):.3f} ({min(alike):.3f} to {max(alike):.3f})"
    )


def births(vectors: Vectors, texts: list[str], truth: Ints) -> None:
    """Print how soon intents that the first clustering has not seen become themes."""
    print(
        f"\n## Births: {LEFT_OUT} intents come only after the first {FIRST} texts, 6,000 texts in "
        f"hourly turns of {BIRTH_TURN}"
    )
    waited: list[int] = []
    for seed in BIRTH_DRAWS:
        draw = np.random.default_rng(seed)
        hidden = draw.permutation(77)[:LEFT_OUT]
        place = draw.permutation(len(vectors))
        known = place[~np.isin(truth[place], hidden)]
        place = np.concatenate([known[:FIRST], place[~np.isin(place, known[:FIRST])][:6_000]])
        line, waits = _birth_line(vectors[place], place, texts, truth[place], hidden)
        waited += waits
        print(f"draw {seed}: {line}", flush=True)
    missed = sum(w >= 10**6 for w in waited)
    print(
        f"all draws: {1 - missed / len(waited):.2f} found, after a median of {np.median(waited):.0f}"
    )


def _birth_line(
    vectors: Vectors, place: Ints, texts: list[str], truth: Ints, hidden: Ints
) -> tuple[str, list[int]]:
    feed = Feed()
    seen: set[str] = set()
    found: dict[int, int] = {}
    right: dict[str, bool] = {}
    for start, end in turns(len(vectors), first=FIRST, turn=BIRTH_TURN):
        feed.turn(vectors[start:end], [texts[i] for i in place[start:end]])
        ids = set(feed.context.rows(THEME, columns=["theme_id"]).column("theme_id").to_pylist())
        fresh, seen = ids - seen, ids
        if not fresh or not start:
            continue
        names = np.array(feed.themes(), object)
        for name in sorted(fresh):
            intents = np.bincount(truth[: len(names)][names == name], minlength=77)
            top = int(intents.argmax())
            right[name] = bool(np.isin(top, hidden)) and 2 * intents[top] > intents.sum()
            if right[name]:
                found.setdefault(top, int((truth[FIRST:end] == top).sum()))
    rows = feed.born()
    dropped = {n for n in right if rows[n]["merged_into"] is not None}
    false = {n for n in right if not right[n]}
    waited = [*found.values(), *[10**6] * (len(hidden) - len(found))]
    own = _with_a_theme(feed, truth, hidden)
    text = (
        f"{len(found)}/{len(hidden)} found, after a median of {np.median(waited):.0f} texts; "
        f"{len(right)} births, {len(false)} false; dropped {len(false & dropped)} false ones and "
        f"{len(dropped - false)} others, still emerging "
        f"{sum(bool(rows[n]['emerging']) for n in right)}; at the end {own} have a theme"
    )
    return text, waited


def _with_a_theme(feed: Feed, truth: Ints, hidden: Ints) -> int:
    """Return how many of the hidden intents are most of some theme."""
    found = groups_of(feed.themes())
    table = np.zeros((int(found.max()) + 1, 77))
    np.add.at(table, (found[found >= 0], truth[found >= 0]), 1)
    most = table.argmax(axis=1)[2 * table.max(axis=1) > table.sum(axis=1)]
    return int(np.isin(hidden, most).sum())


def scale(vectors: Vectors, texts: list[str]) -> None:
    """Print the rate of assignment, and seconds and peak memory for a million vectors."""
    print("\n## Scale")
    feed = Feed()
    feed.turn(vectors, texts)
    memory = feed.memory()
    many = np.concatenate([vectors] * 10)
    started = time.perf_counter()
    themes.best_two(memory.frame.centred(many), memory.centres)
    rate = len(many) / (time.perf_counter() - started)
    print(f"assignment to {len(memory.ids)} themes: {rate:,.0f} texts/s")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vectors.npz"
        np.savez(file, vectors=vectors, texts=np.array(texts))
        (took, count, out), peak = _alone(_million, file)
    print(
        f"{MILLION:,} vectors, 20,000 clustered and the rest in turns of 20,000: {took:.0f} s in "
        f"the stage, peak {peak:.0f} MB, {count} themes, left out {out:.3f}"
    )


def _million(file: Path) -> tuple[float, int, float]:
    """Theme a million jittered copies; return seconds, themes, share left out."""
    with np.load(file) as held:
        vectors, texts = held["vectors"], held["texts"].tolist()
    draw = np.random.default_rng(5)
    feed = Feed(hours=6.0, lean=True)
    for _ in range(0, MILLION, themes.MAX_BOOTSTRAP):
        place = draw.integers(0, len(vectors), themes.MAX_BOOTSTRAP)
        noise = draw.standard_normal((len(place), vectors.shape[1]), dtype=np.float32)
        copies = vectors[place] + JITTER * noise
        copies /= np.linalg.norm(copies, axis=1, keepdims=True)
        feed.turn(copies, [texts[i] for i in place])
    rows = feed.context.rows(ASSIGNMENT, columns=["theme_id"]).column("theme_id")
    return sum(feed.seconds), len(feed.memory().ids), rows.null_count / len(rows)


def others(name: str, vectors: Vectors, texts: list[str]) -> None:
    """Print share left out, sizes and stability on texts without themes of their own."""
    half = len(vectors) // 2
    feeds = []
    for seed in (7, 8):
        feed = Feed(hours=SPREAD_HOURS, seed=seed)
        feed.stream(vectors, texts, first=half, turn=TURN)
        feeds.append(feed)
    one, other = (groups_of(feed.themes()) for feed in feeds)
    sizes = np.sort(np.bincount(one[one >= 0]))[::-1]
    print(
        f"{name:28} {len(texts):5} texts: left out {np.mean(one[:half] < 0):.3f} of the first half, "
        f"{np.mean(one[half:] < 0):.3f} of the second; {len(sizes)} themes, largest "
        f"{sizes[0] / len(one):.2f}, median {np.median(sizes):.0f}; "
        f"two seeds agree {agreement(one, other)[1]:.2f}",
        flush=True,
    )


def _others(data: Path, embed: Callable[[list[str]], Vectors]) -> None:
    print("\n## Sets without themes of their own (half clustered, half on arrival)")
    for name, column in (("mini_bar", "text"), ("maalej_4class", "comment")):
        if (data / f"{name}.parquet").is_file():
            rows = pq.read_table(data / f"{name}.parquet").column(column).drop_null().to_pylist()
            texts = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))[:3_000]]
            others(name, embed(texts), texts)
    if (data / "play_reviews.parquet").is_file():
        rows = pq.read_table(
            data / "play_reviews.parquet", columns=["app", "content", "score", "at"]
        )
        rows = rows.filter(pc.less_equal(rows.column("score"), 2)).sort_by("at")
        for app in ("com.dreamplug.androidapp", "com.epifi.paisa", "me.greenlight"):
            texts = rows.filter(pc.equal(rows.column("app"), app)).column("content")
            mine = [t for t in texts.drop_null().to_pylist() if len(t.split()) > 4][-3_000:]
            others(f"{app}, 1-2 stars", embed(mine), mine)


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description="How good and how fast themes are.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--parts", default=",".join(PARTS))
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    with tempfile.TemporaryDirectory() as folder:
        cache = arguments.cache or Path(folder) / "vectors"
        embedder = make_embedder(kind="minilm", folder=None, threads=None, cache_folder=cache)
        rows = pq.read_table(arguments.data / "banking77.parquet")
        labels = np.unique(rows.column("label").to_pylist(), return_inverse=True)[1]
        draw = np.random.default_rng(1).permutation(rows.num_rows)[:TEXTS]
        every = rows.column("text").to_pylist()
        vectors, truth = embedder.embed(every)[draw], labels[draw].astype(np.int64)
        texts = [every[i] for i in draw]
        if "quality" in parts:
            file = Path(folder) / "banking77.npz"
            np.savez(file, vectors=vectors, texts=np.array(texts), first=FIRST)
            quality(file, truth, arguments.peer)
        if "order" in parts:
            order(vectors, texts, truth)
        if "births" in parts:
            births(vectors, texts, truth)
        if "confidence" in parts:
            print_confidence(vectors, texts, truth, first=FIRST, turn=TURN)
        if "scale" in parts:
            scale(vectors, texts)
        if "others" in parts:
            _others(arguments.data, embedder.embed)


if __name__ == "__main__":
    main()
