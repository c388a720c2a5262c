"""Runs the stages of a run over labelled texts, in tables in memory; hands back their answers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.configuration import Configuration
from closeloop.evaluation.labelled import Labelled
from closeloop.ports import Condition, Progress, Recogniser
from closeloop.runner import Runner
from closeloop.stages import embed, enrich, refine, theme
from closeloop.tables import BRONZE_FEEDBACK, ENRICHMENT, FEEDBACK, QUARANTINE, TIME, Table
from closeloop.text.pii import masker_version

SOURCE = "labelled"
FIRST = datetime(2024, 1, 1, tzinfo=UTC)
"""The time of texts that come without one: a microsecond apart, in the order of arrival."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)
PASS_EVERY = timedelta(days=1)
ROW = "row"

Ints = npt.NDArray[np.int64]

SILENT = frozenset({enrich.NAME, theme.NAME})
"""Stages that show no progress of their own."""
STAGES = {stage.NAME: stage.run for stage in (refine, embed, enrich, theme)}


class Trial:
    """Labelled texts on their way through refine, embed, enrich and theme, as a run does them.

    The runner's tables are empty at the start and its own; `row` numbers are positions in the
    labelled rows.
    """

    def __init__(self, runner: Runner, labelled: Labelled) -> None:
        self._runner = runner
        self.labelled = labelled
        self.ids = _ids(labelled.rows.num_rows)
        times = labelled.rows.column("time")
        newest = pc.max(times).as_py()
        self.now = (newest or FIRST) + AN_HOUR

    @property
    def config(self) -> Configuration:
        """What the stages are told."""
        return self._runner.services.config

    @property
    def embedder_name(self) -> str:
        """Name and version of the embedding model."""
        return self._runner.services.make_embedder().model_id

    @property
    def recogniser(self) -> Recogniser | None:
        """The configured model that finds personal data beside the rules."""
        return self._runner.services.make_recogniser()

    @property
    def masker(self) -> str:
        """Version of the masker."""
        return masker_version(self.config.pii_rules, self.recogniser)

    @property
    def token_key(self) -> bytes:
        """The secret key of joinable tokens."""
        return self._runner.services.token_key

    @property
    def progress(self) -> Progress:
        """Shows people how far a step is."""
        return self._runner.services.progress

    def use(self, config: Configuration) -> None:
        """Tell the stages another configuration from here on."""
        self._runner.services.config = config

    def take_in(self, rows: Ints | None = None, *, ratings: pa.Array | None = None) -> None:
        """Write rows to bronze (all by default), with the ratings given or those of the file."""
        chosen = np.arange(len(self.ids)) if rows is None else rows
        picked = pa.array(chosen)
        part = self.labelled.rows.take(picked)
        count = part.num_rows
        ids = self.ids.take(picked)
        line = part.column("line").cast(pa.string())
        stars = part.column("rating") if ratings is None else ratings
        now = pa.repeat(pa.scalar(self.now, TIME), count)
        table = {
            "bronze_id": ids,
            "feedback_id": ids,
            "source": pa.repeat(SOURCE, count),
            "source_id": line,
            "payload": part.column("text"),
            "text": part.column("text"),
            "author": part.column("author"),
            "rating": stars,
            "product": part.column("product"),
            "event_time": pc.coalesce(part.column("time"), self._in_order(count)),
            "ingested_at": now,
            "file": pa.repeat(self.labelled.file, count),
            "line": part.column("line"),
        }
        with self._runner.step("ingest", now=self.now) as step:
            step.append(BRONZE_FEEDBACK, BRONZE_FEEDBACK.conform(pa.table(table)))

    def _in_order(self, count: int) -> pa.Array:
        """Return times in the order of arrival, on the day of the pass."""
        start = (self.now - AN_HOUR - EPOCH) // timedelta(microseconds=1)
        return pa.array(start + np.arange(count), pa.int64()).cast(TIME)

    def run(self, *names: str) -> dict[str, int]:
        """Run stages over what is new; return what they counted."""
        counts: dict[str, int] = {}
        for name in names:
            if name in SILENT:
                self.progress.start(name, unit="texts")
            with self._runner.step(name, now=self.now) as step:
                STAGES[name](step)
            if name in SILENT:
                self.progress.finish()
            counts |= step.counts
        return counts

    def call_all_complaints(self) -> None:
        """Enrich what is new as complaints, so that theme takes every text."""
        complaint = next(c.name for c in self.config.taxonomy.categories if c.complaint)
        with self._runner.step(enrich.NAME, now=self.now) as step:
            rows = step.new_rows(
                FEEDBACK, columns=["feedback_id", "revision", "product", "event_time"]
            )
            count = rows.num_rows
            rows = rows.append_column("category", pa.repeat(complaint, count))
            rows = rows.append_column("sentiment", pa.repeat(1.0, count))
            rows = rows.append_column("content_free", pa.repeat(pa.scalar(False), count))
            step.append(ENRICHMENT, ENRICHMENT.conform(rows))

    def next_pass(self) -> None:
        """Let a day go by."""
        self.now += PASS_EVERY

    def rows(
        self, table: Table, columns: Sequence[str], *, where: Sequence[Condition] = ()
    ) -> pa.Table:
        """Return committed rows of a table."""
        with self._runner.step("evaluate", now=self.now) as step:
            return step.rows(table, columns=columns, where=where)

    def answers(self, table: Table, columns: Sequence[str]) -> pa.Table:
        """Return a table's columns with `row`, in the order of the labelled rows."""
        found = self.rows(table, list(dict.fromkeys(("feedback_id", *columns))))
        place = pc.index_in(found.column("feedback_id"), value_set=self.ids)
        found = found.append_column(ROW, place.cast(pa.int64()))
        return found.take(pc.sort_indices(found, [(ROW, "ascending")]))

    def refused(self) -> Counter[str]:
        """Return how many rows refine has put into quarantine, by reason."""
        return Counter(self.rows(QUARANTINE, ["reason"]).column("reason").to_pylist())

    def left_out(self) -> Labelled:
        """Return the labelled rows with what refine refused counted."""
        return replace(self.labelled, left_out=self.labelled.left_out + self.refused())


def _ids(count: int) -> pa.Array:
    # Hashes, as ids of feedback are: stages draw by them.
    return pa.array(
        [hashlib.blake2b(str(i).encode(), digest_size=16).hexdigest() for i in range(count)],
        pa.string(),
    )


def made_with(trial: Trial) -> dict[str, str]:
    """Return what categories, tone and themes were made with, as it stands beside them."""
    return {
        "embedder": trial.embedder_name,
        "taxonomy": trial.config.taxonomy.version,
        "masker": trial.masker,
    }
