"""Groups the texts of a product that has a few long tickets, with one to five of an issue."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.review import LabelKind, PairAnswer
from closeloop.ports import PairJudge, StepContext
from closeloop.stages.asked_texts import asked_words
from closeloop.stages.theme_look import look_again
from closeloop.stages.theme_memory import (
    MAX_WAITING,
    Background,
    Floats,
    Ints,
    ThemeMemory,
    nothing_waits,
)
from closeloop.stages.theme_recall import recall, texts_of
from closeloop.stages.theme_rows import (
    Texts,
    ThemeBook,
    Written,
    assignments,
    micros_of,
    theme_id_of,
)
from closeloop.stats.pairwise import (
    JUDGE_WEIGHT,
    PERSON_WEIGHT,
    Evidence,
    joined,
    log_odds,
    to_ask,
)
from closeloop.stats.themes import centres_of, fit_frame, representatives, sums_of
from closeloop.tables import ASSIGNMENT, STATE
from closeloop.text.customer_words import looks_like_ticket
from closeloop.text.words import words_of

LOOK_EVERY_US = timedelta(days=1) // timedelta(microseconds=1)
MODEL = "pairs-1"
ANSWERS = "theme.pairs"
MIN_TICKETS = 20
"""Of fewer texts it can't be said how far a random pair lies apart."""
MAX_TICKETS = 1_000
"""All pairs are compared, in 8 MB and half a second; with more texts themes are clustered."""
LEAST_SHARE = 0.5
"""At least this share of a product's texts has the shape of a ticket."""
QUESTIONS_A_TEXT = 3
QUESTIONS_A_ROUND = 64
SHAPES = "theme.shapes"
"""State of a product: how many texts came, and how many of them had a ticket's shape."""
MAX_ANSWERS = 5_000
LONGEST = 4_000
"""Characters of a text that a judge is shown."""


@dataclass(frozen=True, slots=True)
class _Tickets:
    """All texts of a product in order of event time, and the place of each's theme (-1: none)."""

    texts: Texts
    themes: Ints
    new: npt.NDArray[np.bool_]


def take_in_tickets(context: StepContext, book: ThemeBook, texts: Texts, written: Written) -> bool:
    """Group a product's texts by their pairs where they are a few tickets; False where not.

    A text joins the theme, or the texts without one, that likeness and answers speak for; a group
    of two founds a theme. Where there is a judge it is asked about the doubtful pairs, at most
    three questions a new text. What people said of pairs holds. Themes are never joined or
    divided here.
    """
    if not _are_tickets(context, book.product, texts):
        return False
    memory = recall(context, book)
    gathered = _gathered(context, book, memory, texts)
    if gathered is None:
        return False
    memory = _memory(context, gathered, memory)
    if len(gathered.texts) < MIN_TICKETS:
        names = np.full(int(gathered.new.sum()), None, object)
        written.added.append(_rows(book, gathered.texts.take(np.flatnonzero(gathered.new)), names))
        return True
    evidence = Evidence(log_odds(gathered.texts.vectors))
    _hear(context, book, gathered, evidence)
    groups = joined(evidence, gathered.themes)
    _settle(context, book, memory, gathered, evidence, groups, written)
    now = micros_of(context.now)
    if now - memory.looked_at >= LOOK_EVERY_US:
        look_again(context, book, memory)
        memory.looked_at = now
    written.finished.append((book, memory))
    return True


def _are_tickets(context: StepContext, product: str, texts: Texts) -> bool:
    """Return whether a product's texts so far are few and mostly of a ticket's shape.

    Counted as they come: reading all of them each time would be dear.
    """
    blob = context.state(SHAPES, scope=product)
    held, shaped = (0, 0) if blob is None else json.loads(blob)
    if held > MAX_TICKETS:
        return False
    held, shaped = held + len(texts), shaped + int(looks_like_ticket(texts.texts).sum())
    context.put_state(SHAPES, json.dumps([held, shaped]).encode(), scope=product)
    return held <= MAX_TICKETS and shaped >= LEAST_SHARE * held


def forget(context: StepContext, feedback_ids: Iterable[str]) -> int:
    """Drop the answers about feedback; return how many products' answers were written anew."""
    gone = set(feedback_ids)
    written = 0
    scopes = context.rows(STATE, columns=["scope"], where=[("name", "=", ANSWERS)])
    for scope in sorted(set(scopes.column("scope").to_pylist())):
        held = _answers(context, scope)
        kept = {pair: answer for pair, answer in held.items() if not gone & set(pair)}
        if len(kept) < len(held):
            _keep(context, scope, kept)
            written += 1
    return written


def _gathered(
    context: StepContext, book: ThemeBook, memory: ThemeMemory | None, texts: Texts
) -> _Tickets | None:
    """Return the product's stored and new texts, None where they are no few tickets."""
    if memory is not None and int(memory.sizes.sum()) + len(texts) > MAX_TICKETS:
        return None
    columns = ["feedback_id", "revision", "product", "event_time", "theme_id"]
    rows = context.rows(ASSIGNMENT, columns=columns, where=[("product", "=", book.product)])
    # A new revision takes the place of the text that it changes.
    rows = rows.filter(
        pc.invert(pc.is_in(rows.column("feedback_id"), value_set=pa.array(texts.ids, pa.string())))
    )
    if rows.num_rows + len(texts) > MAX_TICKETS:
        return None
    stored = texts_of(context, book.product, rows.drop_columns("theme_id"))
    together = texts if stored is None else stored.and_then(texts)
    if looks_like_ticket(together.texts).mean() < LEAST_SHARE:
        return None
    theme_of = dict(
        zip(
            rows.column("feedback_id").to_pylist(), rows.column("theme_id").to_pylist(), strict=True
        )
    )
    ids = [] if memory is None else memory.ids
    place = {name: number for number, name in enumerate(ids)}
    current = [book.current(theme_of.get(i) or "") for i in together.ids.tolist()]
    themes = np.array([place.get(name or "", -1) for name in current], np.int64)
    return _Tickets(together, themes, np.isin(together.ids.astype(str), texts.ids.astype(str)))


def _memory(context: StepContext, gathered: _Tickets, held: ThemeMemory | None) -> ThemeMemory:
    """Return the memory with frame and sums of all texts: while they are few they are fitted anew."""
    texts = gathered.texts
    frame = fit_frame(texts.vectors, seed=context.config.seed)
    ids = [] if held is None else held.ids
    sums, sizes = sums_of(frame.centred(texts.vectors), gathered.themes, count=len(ids))
    return ThemeMemory(
        frame=frame,
        model_id=context.embedder.model_id,
        ids=list(ids),
        sums=sums,
        sizes=sizes,
        labelled=sizes.copy() if held is None else held.labelled,
        waiting=nothing_waits(texts.vectors.shape[1]),
        background=Background.of(words_of(texts.texts)),
        looked_at=micros_of(context.now) if held is None else held.looked_at,
        proposed=[] if held is None else held.proposed,
    )


def _hear(context: StepContext, book: ThemeBook, gathered: _Tickets, evidence: Evidence) -> None:
    """Add what people said of pairs, what a judge said earlier, and what it says now."""
    place = {name: number for number, name in enumerate(gathered.texts.ids.tolist())}
    for label in context.ops.labels(LabelKind.PAIR):
        pair = [place[i] for i in label.subject if i in place]
        if len(pair) == 2 and label.value in set(PairAnswer):
            evidence.add((pair[0], pair[1]), PairAnswer(label.value), weight=PERSON_WEIGHT)
    judge = context.pair_judge
    answers = _answers(context, book.product)
    for (one, other), answer in answers.items():
        if one in place and other in place:
            evidence.add((place[one], place[other]), answer, weight=JUDGE_WEIGHT)
    if judge is None:
        return
    fresh = _ask(judge, gathered, evidence)
    context.count("pairs judged", len(fresh))
    if fresh:
        _keep(context, book.product, answers | fresh)


def _ask(
    judge: PairJudge, gathered: _Tickets, evidence: Evidence
) -> dict[tuple[str, str], PairAnswer]:
    """Ask in rounds, as each answer may spare the next question; return the answers by ids."""
    ids = gathered.texts.ids
    budget = QUESTIONS_A_TEXT * int(gathered.new.sum())
    heard: dict[tuple[str, str], PairAnswer] = {}
    words: dict[int, str] = {}
    while len(heard) < budget:
        limit = min(QUESTIONS_A_ROUND, budget - len(heard))
        pairs = to_ask(evidence, gathered.themes, limit=limit)
        if not pairs:
            break
        for row in sorted({row for pair in pairs for row in pair} - set(words)):
            words[row] = asked_words(gathered.texts.texts[row].as_py())
        for pair, answer in zip(
            pairs, judge.judge([(words[a], words[b]) for a, b in pairs]), strict=True
        ):
            evidence.add(pair, answer, weight=JUDGE_WEIGHT)
            one, other = sorted((str(ids[pair[0]]), str(ids[pair[1]])))
            heard[one, other] = answer
    return heard


def _settle(
    context: StepContext,
    book: ThemeBook,
    memory: ThemeMemory,
    gathered: _Tickets,
    evidence: Evidence,
    groups: Ints,
    written: Written,
) -> None:
    """Write where each text belongs now: new themes, texts that come to one, texts that wait."""
    texts, count = gathered.texts, len(memory.ids)
    centred = memory.frame.centred(texts.vectors)
    founded = [g for g in np.unique(groups).tolist() if g >= count and (groups == g).sum() > 1]
    place = np.full(int(groups.max(initial=-1)) + 1, -1, np.int64)
    place[:count] = np.arange(count)
    place[founded] = count + np.arange(len(founded))
    places = place[groups]
    grown = sorted(set(places[(gathered.themes < 0) & (places >= 0) & (places < count)].tolist()))
    sums, sizes = sums_of(centred, places, count=count + len(founded))
    central = representatives(centred, places, centres_of(sums), texts.ids)
    ids = list(memory.ids)
    for number in range(count, count + len(founded)):
        members = places == number
        keys = sorted(str(i) for i in texts.ids[members])
        ids.append(theme_id_of(book.product, *keys))
        times = texts.times[members]
        book.add(ids[-1], times=times, members=keys, representatives=central[number])
    for number in grown:
        fresh = (places == number) & (gathered.themes < 0)
        book.grow(ids[number], texts.times[fresh], size=int(sizes[number]))
    memory.sums, memory.sizes, memory.ids = sums, sizes, ids
    memory.labelled = np.concatenate([memory.labelled, sizes[count:]])
    memory.waiting = texts.waiting(centred).take(places < 0).newest(MAX_WAITING)
    context.count("themes found", len(founded))
    names = np.array([*ids, None], object)[places]
    chance = _chance(evidence, places)
    for rows, into in (
        (gathered.new, written.added),
        (~gathered.new & (gathered.themes < 0) & (places >= 0), written.moved),
    ):
        chosen = np.flatnonzero(rows)
        formed = (places >= count)[chosen]
        table = _rows(book, texts.take(chosen), names[chosen], chance[chosen], formed)
        into.append(table)


def _chance(evidence: Evidence, places: Ints) -> Floats:
    """Return the probability that a text is of one issue with the others of its group (nan: none).

    From the mean log odds with them, answers included.
    """
    same = (places[:, None] == places[None, :]) & (places >= 0)[:, None]
    np.fill_diagonal(same, val=False)
    mates = same.sum(axis=1)
    odds = np.where(same, evidence.alike + evidence.said, 0.0).sum(axis=1) / np.maximum(mates, 1)
    return np.where(mates > 0, 1 / (1 + np.exp(-np.clip(odds, -30, 30))), np.nan)


def _rows(
    book: ThemeBook,
    texts: Texts,
    names: npt.NDArray[np.object_],
    chance: Floats | None = None,
    formed: npt.NDArray[np.bool_] | None = None,
) -> pa.Table:
    rows = assignments(
        book.product, texts, names, chance=chance, formed=formed, model="uncalibrated"
    )
    model = pa.repeat(pa.scalar(f"{MODEL} (uncalibrated)"), rows.num_rows)
    return rows.set_column(rows.schema.get_field_index("model"), "model", model)


def _answers(context: StepContext, product: str) -> dict[tuple[str, str], PairAnswer]:
    blob = context.state(ANSWERS, scope=product)
    held = [] if blob is None else json.loads(blob)
    return {(one, other): PairAnswer(answer) for one, other, answer in held}


def _keep(context: StepContext, product: str, answers: dict[tuple[str, str], PairAnswer]) -> None:
    newest = list(answers.items())[-MAX_ANSWERS:]
    held = [[one, other, answer.value] for (one, other), answer in newest]
    context.put_state(ANSWERS, json.dumps(held).encode(), scope=product)
