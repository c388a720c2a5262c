"""Feeds vectors through the real theme stage, turn by turn, over tables in memory."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from closeloop.ports import Progress
from closeloop.stages import theme
from closeloop.stages.theme_memory import ThemeMemory
from closeloop.stages.theme_recall import MEMORY
from closeloop.tables import ASSIGNMENT, EMBEDDING, ENRICHMENT, FEEDBACK, THEME
from closeloop.testing.configuration import example_configuration
from closeloop.testing.context import InMemoryContext

Vectors = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

PRODUCT = "benchmark"
MODEL_ID = "benchmark"
START = datetime(2030, 1, 1, tzinfo=UTC)


class _Given:
    """Stands for the embedder: vectors are given, none is made."""

    model_id = MODEL_ID
    dimensions = 384

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        raise NotImplementedError("the vectors are given")


@dataclass(slots=True)
class Feed:
    """A workspace of one product; `seconds` is the time that the theme stage took, turn by turn.

    `lean` drops texts and vectors once they are themed, so that memory stays that of the stage.
    """

    hours: float = 1.0
    lean: bool = False
    seed: int = 7
    seconds: list[float] = field(default_factory=list)
    rows: int = 0
    context: InMemoryContext = field(init=False)

    def __post_init__(self) -> None:
        config = replace(example_configuration(), theme_min_texts=200, seed=self.seed)
        self.context = InMemoryContext(config=config, now=START, embedder=_Given())

    def turn(self, vectors: Vectors, texts: Sequence[str]) -> None:
        """Let texts arrive, and run the theme stage; each turn is so many hours after the last."""
        count = len(vectors)
        now = START + len(self.seconds) * timedelta(hours=self.hours)
        context = self.context.next_pass(now=now)
        micros = int(now.timestamp() * 1e6) - count + np.arange(count)
        numbers = range(self.rows, self.rows + count)
        keyed = pa.table(
            {
                "feedback_id": pa.array([id_of(i) for i in numbers]),
                "revision": pa.repeat(1, count),
                "product": pa.repeat(PRODUCT, count),
                "event_time": pa.array(micros).cast(pa.timestamp("us", "UTC")),
                "text": pa.array(texts, pa.string()),
                "masker": pa.repeat("benchmark", count),
                "model": pa.repeat(MODEL_ID, count),
                "sentiment": pa.repeat(0.9, count),
                "category": pa.repeat(_complaint(context), count),
                "content_free": pa.repeat(False, count),
            }
        )
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        place = EMBEDDING.schema.field("vector").type
        for table in (FEEDBACK, EMBEDDING, ENRICHMENT):
            if self.lean and self.rows:
                context.engine.restore(table, None)
                context.engine.forget(table)
        context.as_step("refine").append(FEEDBACK, FEEDBACK.conform(keyed))
        context.append(
            EMBEDDING, EMBEDDING.conform(keyed.append_column("vector", lists.cast(place)))
        )
        context.append(ENRICHMENT, ENRICHMENT.conform(keyed))
        context.as_step(theme.NAME)
        started = time.perf_counter()
        theme.run(context)
        self.seconds.append(time.perf_counter() - started)
        self.rows += count
        if self.lean:
            for table in (ASSIGNMENT, THEME):
                context.engine.forget(table)

    def stream(self, vectors: Vectors, texts: Sequence[str], *, first: int, turn: int) -> None:
        """Let the first texts arrive together, the others in turns of so many."""
        for start, end in turns(len(vectors), first=first, turn=turn):
            self.turn(vectors[start:end], texts[start:end])

    def themes(self) -> list[str | None]:
        """Return each text's theme id, in order of arrival (None: it waits)."""
        rows = self._rows()
        return [rows[id_of(i)] for i in range(self.rows)]

    def born(self) -> dict[str, dict[str, object]]:
        """Return the rows of silver.theme by id."""
        rows = self.context.rows(THEME).to_pylist()
        return {row["theme_id"]: row for row in rows}

    def memory(self) -> ThemeMemory:
        """Return what theming remembers."""
        return ThemeMemory.from_bytes(self.context.state(MEMORY, scope=PRODUCT) or b"")

    def _rows(self) -> dict[str, str | None]:
        rows = self.context.rows(ASSIGNMENT, columns=["feedback_id", "theme_id"])
        return dict(
            zip(
                rows.column("feedback_id").to_pylist(),
                rows.column("theme_id").to_pylist(),
                strict=True,
            )
        )


def _complaint(context: InMemoryContext) -> str:
    return next(c.name for c in context.config.taxonomy.categories if c.complaint)


def id_of(number: int) -> str:
    """Return a feedback id: a hash, as those of real feedback."""
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def turns(rows: int, *, first: int, turn: int) -> Iterator[tuple[int, int]]:
    """Return (start, end) of the first texts and of each turn after them."""
    yield 0, min(first, rows)
    for start in range(first, rows, turn):
        yield start, min(start + turn, rows)


def groups_of(names: Sequence[str | None]) -> Ints:
    """Return a number for each theme id, -1 for texts without one."""
    number = {name: i for i, name in enumerate(sorted({n for n in names if n is not None}))}
    return np.array([-1 if n is None else number[n] for n in names], np.int64)
