"""Proposes a new category where texts that fit none have grown, with the evidence; applies nothing."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.review import ReviewItem, ReviewKind, ReviewStatus
from closeloop.domain.taxonomy import UNKNOWN
from closeloop.ports import Condition, StepContext, Vectors, of_model, only_if_in
from closeloop.stages.revision_keys import places_in
from closeloop.stages.theme_label import labels
from closeloop.stages.theme_memory import Background
from closeloop.stages.vectors import matrix
from closeloop.stats.theme_births import chance_of_rise
from closeloop.stats.themes import (
    ASSIGN_AT,
    JOIN_AT,
    MERGE_AT,
    Frame,
    agglomerate,
    best_two,
    bootstrap,
    centres_of,
    fit_frame,
    sums_of,
)
from closeloop.tables import EMBEDDING, ENRICHMENT, FEEDBACK
from closeloop.text.words import words_of

PROPOSALS = "taxonomy.proposals"
"""State: when was last looked, and what was proposed."""
PROPOSED = "taxonomy.propose"
ACTOR = "closeloop"
RECENT = timedelta(days=28)
BEFORE = timedelta(days=84)
LOOK_EVERY = timedelta(days=1)
MIN_BEFORE = 200
"""Texts with content that the time before must hold: with fewer a rise says little."""
MIN_TEXTS = 20
MIN_DAYS = 5
"""A group on fewer days is one event (an outage, a campaign), which themes show, and no subject."""
MIN_AUTHORS = 10
MIN_RATIO = 2.0
MAX_CHANCE = 0.01
"""Chance of such a rise where nothing grew, shared by all groups that are tested (Bonferroni)."""
MAX_CLUSTERED = 4_000
MAX_FRAMED = 2_000
CENTRAL = 8
MAX_KEPT = 200

Ints = npt.NDArray[np.int64]
US = timedelta(microseconds=1)
EPOCH_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Proposal:
    """A category that is lacking, with what speaks for it.

    `texts` came in the 28 days to `looked_at` and `before` in the 84 before them, among
    `all_texts` and `all_before` texts with content. `weeks` are (start, texts, all texts), oldest
    first; `central_ids` the texts nearest the group's centre.
    """

    proposal_id: str
    name: str
    words: tuple[str, ...]
    central_ids: tuple[str, ...]
    texts: int
    before: int
    all_texts: int
    all_before: int
    unknown: int
    unknown_before: int
    chance: float
    authors: int
    complaint: bool
    products: tuple[tuple[str, int], ...]
    weeks: tuple[tuple[str, int, int], ...]
    looked_at: str


@dataclass(frozen=True, slots=True)
class _Window:
    """Texts with content of the last 16 weeks, oldest first; `recent` and `unknown` mark rows."""

    rows: pa.Table
    days: Ints
    recent: npt.NDArray[np.bool_]
    unknown: npt.NDArray[np.bool_]


def propose_categories(context: StepContext) -> None:
    """Put a question to people for each subject that grew among texts of no category.

    At most once a day, and only where the share of such texts has grown as a whole. A group must
    have 20 texts of 10 authors on 5 days, at twice its share of before. What is like an earlier
    proposal brings that up to date; a rejected one stays rejected.
    """
    looked_at, held = _held(context)
    now = (context.now - datetime(1970, 1, 1, tzinfo=context.now.tzinfo)) // US
    if now - looked_at < LOOK_EVERY // US:
        return
    window = _window(context)
    found = [] if window is None else _groups(context, window, held)
    known = {p.proposal_id: p for p in held}
    for proposal in found:
        if proposal.proposal_id not in known:
            _ask(context, proposal)
        known[proposal.proposal_id] = proposal
    kept = [asdict(p) for p in list(known.values())[-MAX_KEPT:]]
    context.put_state(PROPOSALS, json.dumps([now, kept], ensure_ascii=False).encode())


def proposals(context: StepContext) -> list[tuple[Proposal, ReviewItem]]:
    """Return what was proposed with the question it is to people, newest last."""
    items = {r.review_id: r for r in context.ops.reviews() if r.kind is ReviewKind.CATEGORY}
    _, held = _held(context)
    return [(p, items[p.proposal_id]) for p in held if p.proposal_id in items]


def forget(context: StepContext, feedback_ids: Iterable[str]) -> int:
    """Take texts out of what is remembered of proposals; return how many proposals changed."""
    looked_at, held = _held(context)
    gone = frozenset(feedback_ids)
    kept = [replace(p, central_ids=tuple(i for i in p.central_ids if i not in gone)) for p in held]
    changed = sum(a != b for a, b in zip(held, kept, strict=True))
    if changed:
        blob = json.dumps([looked_at, [asdict(p) for p in kept]], ensure_ascii=False)
        context.put_state(PROPOSALS, blob.encode())
    return changed


def _held(context: StepContext) -> tuple[int, list[Proposal]]:
    blob = context.state(PROPOSALS)
    if blob is None:
        return 0, []
    looked_at, rows = json.loads(blob)
    return looked_at, [_proposal(row) for row in rows]


def _proposal(row: dict[str, Any]) -> Proposal:
    lists = {name: tuple(row[name]) for name in ("words", "central_ids")}
    pairs = {name: tuple(tuple(entry) for entry in row[name]) for name in ("products", "weeks")}
    return Proposal(**(row | lists | pairs))


def _window(context: StepContext) -> _Window | None:
    """Return the last 16 weeks, None where too little came before or nothing unknown grew."""
    where: list[Condition] = [
        ("event_time", ">", context.now - RECENT - BEFORE),
        ("event_time", "<=", context.now),
    ]
    key = ["feedback_id", "revision"]
    columns = [*key, "product", "event_time", "category", "content_free", "sentiment"]
    rows = context.rows(ENRICHMENT, columns=columns, where=where)
    rows = rows.filter(pc.invert(pc.fill_null(rows.column("content_free"), fill_value=False)))
    if rows.num_rows < MIN_BEFORE:
        return None
    facts = context.rows(FEEDBACK, columns=[*key, "author_key", "duplicate_of"], where=where)
    place = places_in(rows, facts)
    for name in ("author_key", "duplicate_of"):
        rows = rows.append_column(name, facts.column(name).take(place))
    rows = rows.filter(pc.and_(pc.is_null(rows.column("duplicate_of")), pc.is_valid(place)))
    # Of an edited text the latest revision counts.
    rows = rows.sort_by([("feedback_id", "ascending"), ("revision", "descending")])
    ids = rows.column("feedback_id").combine_chunks()
    rows = rows.take(pc.unique(pc.index_in(ids, value_set=ids)))
    rows = rows.sort_by([("event_time", "ascending"), ("feedback_id", "ascending")])
    micros = np.asarray(rows.column("event_time").cast(pa.int64()), np.int64)
    edge = (context.now - RECENT - datetime(1970, 1, 1, tzinfo=context.now.tzinfo)) // US
    recent = micros > edge
    unknown = np.asarray(pc.equal(pc.fill_null(rows.column("category"), UNKNOWN), UNKNOWN))
    window = _Window(rows, micros // EPOCH_DAY_US, recent, unknown)
    after, before = int((unknown & recent).sum()), int((unknown & ~recent).sum())
    if (~recent).sum() < MIN_BEFORE or after < MIN_TEXTS:
        return None
    grown = chance_of_rise(
        before=before,
        texts_before=int((~recent).sum()),
        after=after,
        texts_after=int(recent.sum()),
    )
    return window if grown <= MAX_CHANCE else None


def _groups(context: StepContext, window: _Window, held: Sequence[Proposal]) -> list[Proposal]:
    """Return a proposal for each group of unknown texts that grew."""
    picked, vectors = _vectors(context, window, _newest(window))
    recent = window.recent[picked]
    if recent.sum() < MIN_TEXTS:
        return []
    # Near and far are measured by texts of every kind: the unknown may be of one subject.
    _, others = _vectors(context, window, _draw(window))
    frame = fit_frame(others, seed=context.config.seed)
    centred = frame.centred(vectors)
    groups = bootstrap(centred[recent], seed=context.config.seed)
    sums, sizes = sums_of(centred[recent], groups, count=int(groups.max(initial=-1)) + 1)
    joined = agglomerate(groups, sums, sizes, least_cosine=frame.mu + JOIN_AT * frame.sd)
    names, joined = np.unique(joined, return_inverse=True)
    sums, sizes = sums_of(centred[recent], joined, count=len(names))
    place, cosine, _ = best_two(centred, centres_of(sums))
    place = np.where(frame.scores(cosine) >= ASSIGN_AT, place, -1)
    earlier = _known_centres(context, frame, held)
    found = []
    for number in range(len(names)):
        members = np.flatnonzero(place == number)
        proposal = _judged(window, picked[members], groups=len(names))
        if proposal is None:
            continue
        own = centred[members]
        same = [p for p, c in earlier if frame.scores(float((own @ c).mean())) >= MERGE_AT]
        near = members[np.argsort(-(own @ centres_of(sums)[number]), kind="stable")]
        ids = window.rows.column("feedback_id")
        central = tuple(ids[int(picked[i])].as_py() for i in near[: 3 * CENTRAL])
        name_of = same[0].proposal_id if same else _id_of(central)
        found.append(_named(context, window, picked, place == number, proposal, central, name_of))
    return found


def _newest(window: _Window) -> Ints:
    """Return the rows of unknown texts, the newest of either time where there are many."""
    rows = np.flatnonzero(window.unknown)
    late, early = rows[window.recent[rows]], rows[~window.recent[rows]]
    return np.concatenate([early[-MAX_CLUSTERED:], late[-MAX_CLUSTERED:]])


def _draw(window: _Window) -> Ints:
    """Return rows of all kinds: those with the lowest ids, which are hashes."""
    order = pc.sort_indices(window.rows.column("feedback_id"))
    return np.sort(np.asarray(order, np.int64)[:MAX_FRAMED])


def _vectors(context: StepContext, window: _Window, rows: Ints) -> tuple[Ints, Vectors]:
    """Return those of the rows that have a vector, and the vectors."""
    texts = window.rows.take(pa.array(rows))
    where = [only_if_in("feedback_id", texts.column("feedback_id").to_pylist())]
    columns = ["feedback_id", "revision", "model", "vector"]
    vectors = context.rows(EMBEDDING, columns=columns, where=where)
    vectors = vectors.filter(of_model(vectors.column("model"), context.embedder.model_id))
    place = places_in(texts, vectors)
    known = np.asarray(pc.is_valid(place))
    return rows[known], matrix(vectors.column("vector"))[np.asarray(pc.drop_null(place), np.int64)]


@dataclass(frozen=True, slots=True)
class _Rise:
    texts: int
    before: int
    chance: float
    authors: int


def _judged(window: _Window, members: Ints, *, groups: int) -> _Rise | None:
    """Return how a group has risen, None where it is too small, too narrow or has not."""
    late = members[window.recent[members]]
    before = len(members) - len(late)
    authors = pc.drop_null(window.rows.column("author_key").take(pa.array(late)))
    # Where authors are not known each text counts as one.
    many = len(pc.unique(authors)) + (len(late) - len(authors))
    if len(late) < MIN_TEXTS or many < MIN_AUTHORS:
        return None
    if len(np.unique(window.days[late])) < MIN_DAYS:
        return None
    all_late, all_before = int(window.recent.sum()), int((~window.recent).sum())
    if len(late) * all_before < MIN_RATIO * before * all_late:
        return None
    chance = chance_of_rise(
        before=before, texts_before=all_before, after=len(late), texts_after=all_late
    )
    return _Rise(len(late), before, chance, many) if chance <= MAX_CHANCE / groups else None


def _known_centres(
    context: StepContext, frame: Frame, held: Sequence[Proposal]
) -> list[tuple[Proposal, Vectors]]:
    """Return the mean direction of each earlier proposal's central texts that are still stored."""
    ids = [i for p in held for i in p.central_ids]
    if not ids:
        return []
    rows = context.rows(
        EMBEDDING,
        columns=["feedback_id", "model", "vector"],
        where=[only_if_in("feedback_id", ids)],
    )
    rows = rows.filter(of_model(rows.column("model"), context.embedder.model_id))
    if not rows.num_rows:
        return []
    centred = frame.centred(matrix(rows.column("vector")))
    names = np.array(rows.column("feedback_id").to_pylist(), object)
    found = []
    for proposal in held:
        own = np.isin(names.astype(str), list(proposal.central_ids))
        if own.any():
            found.append((proposal, centred[own].mean(axis=0)))
    return found


def _named(
    context: StepContext,
    window: _Window,
    picked: Ints,
    inside: npt.NDArray[np.bool_],
    rise: _Rise,
    central: Sequence[str],
    proposal_id: str,
) -> Proposal:
    ids = window.rows.column("feedback_id").take(pa.array(picked)).to_pylist()
    rows = context.rows(
        FEEDBACK, columns=["feedback_id", "text"], where=[only_if_in("feedback_id", ids)]
    )
    place = pc.index_in(pa.array(ids), value_set=rows.column("feedback_id").combine_chunks())
    texts = pc.fill_null(rows.column("text").take(place), "")
    said = words_of(texts)
    groups = np.where(inside, 0, -1).astype(np.int64)
    (label,) = labels(said, groups, count=1, background=Background.of(said))
    words = () if label.startswith("(") else tuple(label.split(", "))
    members = picked[inside]
    late = members[window.recent[members]]
    products = Counter(window.rows.column("product").take(pa.array(late)).to_pylist())
    tone = pc.mean(window.rows.column("sentiment").take(pa.array(late))).as_py()
    return Proposal(
        proposal_id=proposal_id,
        name=" ".join(words[:2]) or "new category",
        words=words,
        central_ids=tuple(_distinct(central, dict(zip(ids, texts.to_pylist(), strict=True)))),
        texts=rise.texts,
        before=rise.before,
        all_texts=int(window.recent.sum()),
        all_before=int((~window.recent).sum()),
        unknown=int((window.unknown & window.recent).sum()),
        unknown_before=int((window.unknown & ~window.recent).sum()),
        chance=rise.chance,
        authors=rise.authors,
        complaint=(tone or 0.0) >= 0.5,
        products=tuple(sorted(((str(p), n) for p, n in products.items()), key=lambda x: -x[1])),
        weeks=_weeks(window, members),
        looked_at=context.now.isoformat(),
    )


def _distinct(ids: Iterable[str], texts: dict[str, str]) -> list[str]:
    """Return ids of texts that differ, as examples should."""
    seen: set[str] = set()
    chosen = []
    for feedback_id in ids:
        text = " ".join(texts.get(feedback_id, "").casefold().split())
        if text and text not in seen:
            seen.add(text)
            chosen.append(feedback_id)
    return chosen[:CENTRAL]


def _weeks(window: _Window, members: Ints) -> tuple[tuple[str, int, int], ...]:
    first = int(window.days[0])
    count = int(window.days[-1] - first) // 7 + 1
    of_group = np.bincount((window.days[members] - first) // 7, minlength=count)
    of_all = np.bincount((window.days - first) // 7, minlength=count)
    day = np.datetime64("1970-01-01")
    return tuple(
        (str(day + np.timedelta64(first + 7 * i, "D")), int(of_group[i]), int(of_all[i]))
        for i in range(count)
    )


def _ask(context: StepContext, proposal: Proposal) -> None:
    share = proposal.texts / proposal.all_texts
    before = proposal.before / max(proposal.all_before, 1)
    unknown = proposal.unknown / proposal.all_texts
    unknown_before = proposal.unknown_before / max(proposal.all_before, 1)
    context.ops.put_review(
        ReviewItem(
            review_id=proposal.proposal_id,
            kind=ReviewKind.CATEGORY,
            signal_id="",
            decision_id="",
            product=proposal.products[0][0] if proposal.products else "",
            title=f"a new category? {', '.join(proposal.words) or proposal.name}",
            reasons=(
                f"{proposal.texts} texts of {proposal.authors} authors in 28 days fit no category "
                f"({share:.2%} of all, {before:.2%} in the 12 weeks before; chance "
                f"{proposal.chance:.1g})",
                f"unknown texts in all: {unknown_before:.1%} -> {unknown:.1%}",
                "closeloop taxonomy proposals shows them and what to write",
            ),
            status=ReviewStatus.OPEN,
            created_at=context.now,
        )
    )
    context.ops.audit(
        actor=ACTOR,
        action=PROPOSED,
        subject=proposal.proposal_id,
        detail=", ".join(proposal.words),
        at=context.now,
    )
    context.count("categories proposed", 1)


def _id_of(feedback_ids: Sequence[str]) -> str:
    key = "\x1f".join(sorted(feedback_ids))
    return hashlib.blake2b(f"category\x1f{key}".encode(), digest_size=16).hexdigest()
