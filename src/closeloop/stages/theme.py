"""Sorts complaints into themes: a first clustering, then each new text to its nearest theme."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from closeloop.ports import StepContext
from closeloop.stages.theme_corrections import apply_corrections
from closeloop.stages.theme_emerging import EMERGED, newborn, note, settle_emerging
from closeloop.stages.theme_label import name_themes
from closeloop.stages.theme_look import confidence_of, look_again
from closeloop.stages.theme_memory import (
    MAX_THEMES,
    MAX_WAITING,
    Background,
    Floats,
    Ints,
    ThemeMemory,
    Vectors,
    Waiting,
    nothing_waits,
)
from closeloop.stages.theme_migrate import migrate_themes
from closeloop.stages.theme_recall import MEMORY, recall, remember, texts_waiting_of
from closeloop.stages.theme_rows import (
    NEW_COLUMNS,
    Texts,
    ThemeBook,
    Written,
    assignments,
    complaints,
    gather,
    micros_of,
    theme_id_of,
    themes_of,
    unassigned,
    write_books,
)
from closeloop.stages.theme_second_look import looks_left, note_looks, second_look
from closeloop.stages.theme_tickets import take_in_tickets
from closeloop.stats.calibration import ThemeConfidence, relative_size
from closeloop.stats.theme_births import NOVEL_BELOW, edge_of
from closeloop.stats.themes import (
    ASSIGN_AT,
    JOIN_AT,
    MAX_BOOTSTRAP,
    SEED_AT,
    SEED_MEMBERS,
    agglomerate,
    best_two,
    bootstrap,
    centres_of,
    fit_frame,
    own_and_next,
    representatives,
    seeds,
    sums_of,
)
from closeloop.tables import EMBEDDING, ENRICHMENT, FEEDBACK
from closeloop.text.words import words_of

NAME = "theme"
LOOK_EVERY_US = timedelta(days=1) // timedelta(microseconds=1)
CHUNK = 1_000
"""So many texts are assigned with the same centres; then the centres move."""


def run(context: StepContext) -> None:
    """Assign new complaints to themes, make themes of what is new, keep to people's corrections.

    Writes silver.assignment (also for texts that wait for a theme) and silver.theme.
    """
    migrate_themes(context)
    apply_corrections(context)
    portion = context.portion(ENRICHMENT, by="feedback_id", rows=context.config.portion_rows)
    enriched = context.new_rows(ENRICHMENT, columns=NEW_COLUMNS, where=portion)
    feedback = context.new_rows(
        FEEDBACK, columns=["feedback_id", "revision", "text", "duplicate_of"], where=portion
    )
    vectors = context.new_rows(
        EMBEDDING, columns=["feedback_id", "revision", "model", "vector"], where=portion
    )
    rows = unassigned(context, complaints(context, enriched))
    if not rows.num_rows:
        return
    written = Written(second_looks=(left := looks_left(context)))
    confidence = confidence_of(context)
    gathered = gather(context, rows, feedback=feedback, vectors=vectors)
    earlier = _waiting(context, gathered)
    held = themes_of(context, gathered)
    for product, texts in gathered.items():
        book = ThemeBook(context, product, held[product])
        _Product(context, book, confidence, written).take_in(texts, earlier.get(product))
    # Together: to ask for the texts of one product's new themes is a look through all texts.
    name_themes(context, written.finished)
    write_books(context, [book for book, _ in written.finished])
    for book, memory in written.finished:
        remember(context, book, memory)
    if written.second_looks < left:
        note_looks(context, written.second_looks)
    written.flush(context)


def _waiting(context: StepContext, gathered: Mapping[str, Texts]) -> dict[str, Texts]:
    """Return the texts that wait in products without themes, where they are enough by now."""
    least = {
        # Vectors are read only once there are enough texts: each time would be dear.
        product: max(context.config.theme_min_texts - len(texts), 1)
        for product, texts in gathered.items()
        if not context.state(MEMORY, scope=product)
    }
    return texts_waiting_of(context, least) if least else {}


class _Product:
    """One product during one pass."""

    def __init__(
        self, context: StepContext, book: ThemeBook, confidence: ThemeConfidence, written: Written
    ) -> None:
        self._context = context
        self._product = book.product
        self._confidence = confidence
        self._written = written
        self._book = book

    def take_in(self, texts: Texts, earlier: Texts | None) -> None:
        """Give new texts their theme, or let them wait until there are enough for a clustering.

        `earlier` are texts that wait already, where there are enough with them.
        """
        if take_in_tickets(self._context, self._book, texts, self._written):
            return
        memory = recall(self._context, self._book)
        if memory is None:
            together = len(texts) + (0 if earlier is None else len(earlier))
            if together < self._context.config.theme_min_texts:
                self._add(texts, np.full(len(texts), None, object))
                return
            memory, texts = self._first_themes(texts, earlier)
        now = micros_of(self._context.now)
        looks = now - memory.looked_at >= LOOK_EVERY_US
        if looks:
            settle_emerging(self._context, self._book, memory)
        texts = self._second_look(memory, texts)
        for start in range(0, len(texts), CHUNK):
            self._assign(memory, texts.take(np.arange(start, min(start + CHUNK, len(texts)))))
        if looks:
            look_again(self._context, self._book, memory)
            memory.looked_at = now
        self._written.finished.append((self._book, memory))

    def _second_look(self, memory: ThemeMemory, texts: Texts) -> Texts:
        looked = second_look(self._context, memory, texts, left=self._written.second_looks)
        self._written.second_looks -= int((texts.by_student & ~looked.by_student).sum())
        return looked

    def _first_themes(self, texts: Texts, earlier: Texts | None) -> tuple[ThemeMemory, Texts]:
        """Cluster what has gathered; return the memory, and new texts beyond the clustering."""
        together = texts if earlier is None else earlier.and_then(texts)
        known = np.isin(
            together.ids.astype(str), [] if earlier is None else earlier.ids.astype(str)
        )
        chosen = np.arange(len(together))
        if len(chosen) > MAX_BOOTSTRAP:
            # Ids are hashes, so the lowest are a draw that every run repeats. What the model read
            # itself comes first.
            order = np.lexsort((together.ids.astype(str), together.by_student))
            chosen = np.sort(order[:MAX_BOOTSTRAP])
        formed = together.take(chosen)
        memory = _empty_memory(self._context, formed)
        centred = memory.frame.centred(formed.vectors)
        groups = _kept(memory, centred, bootstrap(centred, seed=self._context.config.seed))
        names = self._found(memory, formed, centred, groups)
        # One pass over all: the centres exist now, so each text knows its margin to the next.
        chance = np.full(len(formed), np.nan)
        inside = groups >= 0
        own, following = own_and_next(centred[inside], memory.centres, groups[inside])
        chance[inside] = self._chance(memory, groups[inside], own, following)
        rows = assignments(
            self._product,
            formed,
            names,
            chance=chance,
            formed=inside,
            model=self._confidence.name,
        )
        self._written.moved.append(rows.filter(pa.array(known[chosen])))
        self._written.added.append(rows.filter(pa.array(~known[chosen])))
        memory.waiting = formed.waiting(centred).take(~inside).newest(MAX_WAITING)
        edge = _at_the_edge(memory, own, groups[inside])
        self._note_novel(memory, formed.waiting(centred).take(np.flatnonzero(inside)[edge]))
        # What the clustering left over may still hold small themes: they are as old as the others.
        self._seed(memory)
        # Texts that gathered earlier and were not drawn stand in the table as waiting already.
        left = np.setdiff1d(np.flatnonzero(~known), chosen)
        return memory, together.take(left)

    def _assign(self, memory: ThemeMemory, texts: Texts) -> None:
        """Give texts to their nearest theme; those near none wait, and found one with their like."""
        centred = memory.frame.centred(texts.vectors)
        names, chance = np.full(len(texts), None, object), np.full(len(texts), np.nan)
        near = np.zeros(len(texts), np.bool_)
        edge = np.zeros(len(texts), np.bool_)
        if memory.ids:
            place, first, second = best_two(centred, memory.centres)
            near = memory.frame.scores(first) >= ASSIGN_AT
            names[near] = np.array(memory.ids, object)[place[near]]
            chance[near] = self._chance(memory, place[near], first[near], second[near])
            edge = near & _at_the_edge(memory, first, place)
            memory.grow(place[near], centred[near])
            for number in np.unique(place[near]):
                self._book.grow(
                    memory.ids[number],
                    texts.times[near & (place == number)],
                    size=int(memory.sizes[number]),
                )
        self._add(texts, names, chance=chance)
        if not near.all():
            memory.waiting = memory.waiting.and_then(texts.waiting(centred).take(~near))
            self._seed(memory)
            memory.waiting = memory.waiting.newest(MAX_WAITING)
        if not near.all() or edge.any():
            self._note_novel(memory, texts.waiting(centred).take(edge), names[edge])
            self._emerge(memory, fresh=set(texts.ids.tolist()))

    def _note_novel(
        self,
        memory: ThemeMemory,
        texts: Waiting,
        names: npt.NDArray[np.object_] | None = None,
    ) -> None:
        """Remember texts at the edge of their theme; without names those that formed theirs."""
        memory.note_novel(texts, [""] * len(texts.ids) if names is None else names.tolist())

    def _emerge(self, memory: ThemeMemory, *, fresh: set[str]) -> None:
        """Let texts at the edge of themes that are alike and came late found emerging ones."""
        if len(memory.ids) >= MAX_THEMES:
            return
        texts, theme_of, groups = newborn(memory, fresh)
        for moving in groups:
            formed = texts.take(np.array(moving))
            owners = [theme_of[i] for i in moving]
            for owner in sorted(set(owners) - {""}):
                mine = np.array([o == owner for o in owners], np.bool_)
                place = memory.ids.index(owner)
                memory.shrink(place, formed.vectors[mine])
                self._book.change(owner, size=int(memory.sizes[place]))
            parents = sorted(set(owners) - {""}, key=lambda o: (-owners.count(o), o))
            self._establish(memory, formed, np.zeros(len(moving), np.int64), parent=parents[0])
            taken = ", ".join(f"{owners.count(p)} texts from {p}" for p in parents)
            note(self._context, EMERGED, memory.ids[-1], taken)
            memory.waiting = memory.waiting.take(
                ~np.isin(memory.waiting.ids.astype(str), formed.ids.astype(str))
            )
            if memory.novel is not None:
                memory.drop_novel(np.isin(memory.novel.ids.astype(str), formed.ids.astype(str)))

    def _seed(self, memory: ThemeMemory) -> None:
        """Let waiting texts that are close to one another found themes."""
        if len(memory.ids) >= MAX_THEMES:
            return
        waiting = memory.waiting
        least = memory.frame.mu + SEED_AT * memory.frame.sd
        groups = seeds(waiting.vectors, least_cosine=least, members=SEED_MEMBERS)
        inside = groups >= 0
        if not inside.any():
            return
        self._establish(memory, waiting.take(inside), groups[inside])
        memory.waiting = waiting.take(~inside)

    def _establish(
        self, memory: ThemeMemory, formed: Waiting, groups: Ints, *, parent: str | None = None
    ) -> None:
        """Add themes of these texts, and write where the texts belong now."""
        start = len(memory.ids)
        names = self._found(memory, formed, formed.vectors, groups, parent=parent)
        own, following = own_and_next(formed.vectors, memory.centres, start + groups)
        self._written.moved.append(
            assignments(
                self._product,
                formed,
                names,
                chance=self._chance(memory, start + groups, own, following),
                formed=np.ones(len(formed.ids), np.bool_),
                model=self._confidence.name,
            )
        )

    def _found(
        self,
        memory: ThemeMemory,
        texts: Texts | Waiting,
        centred: Vectors,
        groups: Ints,
        *,
        parent: str | None = None,
    ) -> npt.NDArray[np.object_]:
        """Add a theme for each group; return each text's theme id (None: in no group).

        With a parent they are emerging themes within it.
        """
        count = int(groups.max(initial=-1)) + 1
        sums, sizes = sums_of(centred, groups, count=count)
        central = representatives(centred, groups, centres_of(sums), texts.ids)
        ids = []
        for number in range(count):
            members = groups == number
            keys = sorted(str(i) for i in texts.ids[members])
            name = theme_id_of(self._product, *keys)
            self._book.add(
                name,
                times=texts.times[members],
                members=keys,
                representatives=central[number],
                split_from=parent,
                emerging=parent is not None,
            )
            ids.append(name)
        memory.add(ids, sums, sizes)
        self._context.count("themes found" if parent is None else "emerging themes", count)
        return np.array([*ids, None], object)[groups]

    def _chance(self, memory: ThemeMemory, places: Ints, own: Floats, following: Floats) -> Floats:
        margins = (own - following) / memory.frame.sd
        sizes = relative_size(memory.sizes)[places]
        return self._confidence.probability(memory.frame.scores(own), margins, sizes)

    def _add(
        self, texts: Texts, names: npt.NDArray[np.object_], *, chance: Floats | None = None
    ) -> None:
        self._written.added.append(
            assignments(self._product, texts, names, chance=chance, model=self._confidence.name)
        )


def _empty_memory(context: StepContext, texts: Texts) -> ThemeMemory:
    dimensions = texts.vectors.shape[1]
    return ThemeMemory(
        frame=fit_frame(texts.vectors, seed=context.config.seed),
        model_id=context.embedder.model_id,
        ids=[],
        sums=np.zeros((0, dimensions)),
        sizes=np.zeros(0, np.int64),
        labelled=np.zeros(0, np.int64),
        waiting=nothing_waits(dimensions),
        background=Background.of(words_of(texts.texts)),
        looked_at=micros_of(context.now),
    )


def _at_the_edge(memory: ThemeMemory, cosines: Floats, places: Ints) -> npt.NDArray[np.bool_]:
    """Return which texts are well below the mean similarity of their themes."""
    least = edge_of(memory.sums, memory.sizes) - NOVEL_BELOW * memory.frame.sd
    return np.asarray(cosines < least[places], np.bool_)


def _kept(memory: ThemeMemory, centred: Vectors, groups: Ints) -> Ints:
    """Return groups joined where they are one, less stragglers and small ones; by size from 0."""
    count = int(groups.max(initial=-1)) + 1
    sums, sizes = sums_of(centred, groups, count=count)
    least = memory.frame.mu + JOIN_AT * memory.frame.sd
    groups = agglomerate(groups, sums, sizes, least_cosine=least)
    sums, _ = sums_of(centred, groups, count=count)
    own = np.einsum("ij,ij->i", centred, centres_of(sums)[groups])
    groups = np.where(memory.frame.scores(own) >= ASSIGN_AT, groups, -1)
    sizes = np.bincount(groups[groups >= 0], minlength=count)
    order = np.lexsort((np.arange(count), -sizes))
    order = order[sizes[order] >= SEED_MEMBERS][:MAX_THEMES]
    place = np.full(count + 1, -1, np.int64)
    place[order] = np.arange(len(order))
    kept = place[groups]
    return _strays_to_nearest(memory, centred, kept, count=len(order))


def _strays_to_nearest(memory: ThemeMemory, centred: Vectors, groups: Ints, *, count: int) -> Ints:
    """Return groups with those in none put to the nearest, where a later text would come there."""
    alone = np.flatnonzero(groups < 0)
    if not count or not len(alone):
        return groups
    sums, _ = sums_of(centred, groups, count=count)
    nearest, cosines, _ = best_two(centred[alone], centres_of(sums))
    near = memory.frame.scores(cosines) >= ASSIGN_AT
    groups = groups.copy()
    groups[alone[near]] = nearest[near]
    return groups
