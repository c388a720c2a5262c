"""What the loop needs of the outside, as small protocols; adapters live above the stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.brief import Brief, FactSheet
from closeloop.domain.configuration import Configuration
from closeloop.domain.model_answer import ModelAnswer, ModelRequest
from closeloop.domain.model_call import ModelCall, Spending
from closeloop.domain.outcome import Outcome
from closeloop.domain.policy import Decision
from closeloop.domain.review import (
    AuditEntry,
    Label,
    LabelKind,
    OutboxMessage,
    PairAnswer,
    ReviewItem,
    ThemeCorrection,
)
from closeloop.domain.signal import Attribution, Signal
from closeloop.domain.taxonomy import Taxonomy
from closeloop.domain.ticket import Ticket
from closeloop.tables import Table

Vectors = npt.NDArray[np.float32]

Condition = tuple[str, str, Any]
"""(column, one of = != < <= > >= in, value); conditions given together must all hold."""

BatchFunction = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Transaction:
    """Names a write, so that a replay of it is skipped (Delta's app id and version)."""

    app_id: str
    version: int


@dataclass(frozen=True, slots=True)
class Head:
    """The committed version of a table, and the ledger step that wrote it."""

    version: int | None
    step_id: int


NO_HEAD = Head(version=None, step_id=0)


class Clock(Protocol):
    """Tells the time: the wall in production, a chosen time in a replay."""

    def now(self) -> datetime:
        """Return the time, with zone UTC."""
        ...


class Engine(Protocol):
    """Holds the tables and runs batch and table steps. Versions are Delta versions."""

    def version(self, table: Table) -> int | None:
        """Return the newest version, or None where the table does not exist yet."""
        ...

    def read(
        self,
        table: Table,
        *,
        version: int | None,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return the rows of a version (None: a table without rows)."""
        ...

    def append(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Add rows; return the new version. A transaction already written changes nothing."""
        ...

    def merge(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Put rows in place of those with the same key, and add the others."""
        ...

    def replace(self, table: Table, rows: pa.Table, *, transaction: Transaction) -> int:
        """Put rows in place of all that is there."""
        ...

    def delete(
        self, table: Table, where: Sequence[Condition], *, transaction: Transaction
    ) -> int | None:
        """Delete the rows for which all conditions hold; None where the table does not exist."""
        ...

    def restore(self, table: Table, version: int | None) -> None:
        """Go back to a version (None: no rows), as a new commit."""
        ...

    def forget(self, table: Table) -> None:
        """Remove from disk what no current row needs, so that deleted rows are gone for good."""
        ...

    def map_batches(self, function: BatchFunction, rows: pa.Table, *, batch_size: int) -> pa.Table:
        """Run a batch step over rows: in other processes, or several batches at once in this one."""
        ...

    def sql(
        self, query: str, *, versions: dict[str, int | None], parameters: Sequence[Any] = ()
    ) -> pa.Table:
        """Run SQL over the tables at the given versions (by full name)."""
        ...


@dataclass(frozen=True, slots=True)
class Recognised:
    """A stretch [start, end) of a text in characters, and the type of its token ("NAME")."""

    start: int
    end: int
    token: str


class Recogniser(Protocol):
    """Finds personal data that the table of masking rules can't see, such as names.

    It can be pickled, so that an engine may ship it; its model is loaded when first asked.
    """

    @property
    def version(self) -> str:
        """Name and version of the model and its settings; goes into the masker's version."""
        ...

    @property
    def tokens(self) -> frozenset[str]:
        """The types of the tokens that it can ask for."""
        ...

    @property
    def asked(self) -> str:
        """Which texts it is to be asked of: "names" (likely ones), "numbers" as well, or "all"."""
        ...

    def recognise(self, texts: Sequence[str]) -> list[list[Recognised]]:
        """Return what is found in each text, in order.

        Raises RecogniserFaultError where it fails on a text, ModelMissingError where it can't work.
        """
        ...


class Embedder(Protocol):
    """Turns texts into vectors of length 1; the same text always gives the same vector."""

    @property
    def model_id(self) -> str:
        """Name and version of the model, as it is stored beside each vector."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector's row."""
        ...

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return one row a text, float32 [len(texts), dimensions]."""
        ...


STUDENT = "+static-"
"""Stands in a student's model_id between its teacher's and its own version."""


@runtime_checkable
class Teacher(Embedder, Protocol):
    """An embedder that can have a fast stand-in, fitted to texts of the deployment."""

    def fit_student(self, texts: Sequence[str], vectors: Vectors) -> Embedder:
        """Fit, keep and return a student of these texts and their vectors by this embedder."""
        ...

    def student(self, model_id: str) -> Embedder | None:
        """Return a student that was fitted earlier, or None where it is not kept any more."""
        ...


class Writer(Protocol):
    """Writes a brief from a fact sheet, stating nothing that is not on it."""

    @property
    def name(self) -> str:
        """Stored with each brief."""
        ...

    def write(self, request: BriefRequest) -> Brief:
        """Return a brief; `verified` and `problems` are set by the caller's check."""
        ...


class LanguageModel(Protocol):
    """Answers requests in JSON; never raises for what a service does, it names it in the answer."""

    @property
    def name(self) -> str:
        """Deployment and kind of service; stored beside what rests on its answers."""
        ...

    def answer(self, request: ModelRequest) -> ModelAnswer:
        """Return what came of the request; one that was answered before is not paid twice."""
        ...


class CallLedger(Protocol):
    """What was asked of language models and what it cost, and the answers, each kept once.

    Every call of a method is lasting when it returns, whatever becomes of a step around it.
    """

    def kept(self, key: str) -> tuple[ModelAnswer, datetime] | None:
        """Return the answer kept under a content key, and when it was given."""
        ...

    def begin(self, call: ModelCall) -> int:
        """Record that a call is about to be made; return its number."""
        ...

    def finish(self, call: ModelCall, *, keep: tuple[ModelRequest, ModelAnswer] | None) -> None:
        """Record the end of the call with this number and keep its answer, both or neither.

        A key whose answer is kept already keeps the first one that has a text.
        """
        ...

    def spent(self, *, since: datetime | None = None, run: str | None = None) -> Spending:
        """Return what was spent since a time, or by a run."""
        ...

    def calls(self, *, after: int = 0, since: datetime | None = None) -> list[ModelCall]:
        """Return calls with a larger number, or since a time, oldest first."""
        ...

    def forget(self, *, feedback_ids: Sequence[str], texts: Sequence[str]) -> int:
        """Remove kept answers whose request or text holds the feedback; return how many."""
        ...


class BatchBook(Protocol):
    """What was handed in to be answered in batches, until it has been collected.

    Every call of a method is lasting when it returns.
    """

    def put(
        self, submission: str, entries: Sequence[tuple[ModelCall, ModelRequest]], *, at: datetime
    ) -> None:
        """Record a submission and the intent of its calls, all or none."""
        ...

    def open_submissions(self) -> list[Submission]:
        """Return what has not been collected yet, oldest first."""
        ...

    def waiting(self) -> set[str]:
        """Return the content keys that wait in open submissions."""
        ...

    def handed_in(self, submission: str, *, batch_id: str) -> None:
        """Record under which id the service keeps the submission."""
        ...

    def entries(self, submission: str) -> list[tuple[ModelCall, ModelRequest | None]]:
        """Return the calls without an end; no request where it was erased meanwhile."""
        ...

    def collected(self, submission: str) -> None:
        """Close a submission and forget its requests."""
        ...


@dataclass(frozen=True, slots=True)
class Submission:
    """What was handed in together: the service's id for it (None: not known yet), and when."""

    submission: str
    batch_id: str | None
    at: datetime


class PairJudge(Protocol):
    """Says of pairs of masked texts whether they are about one issue; it may be wrong at times."""

    @property
    def name(self) -> str:
        """Stored with what its answers led to."""
        ...

    def judge(self, pairs: Sequence[tuple[str, str]]) -> list[PairAnswer]:
        """Return one answer a pair, in order."""
        ...


@dataclass(frozen=True, slots=True)
class ThemeTexts:
    """Some masked texts of a theme, and whose they are; what a name for it may be made of."""

    product: str
    texts: tuple[str, ...]
    feedback_ids: tuple[str, ...] = ()


class ThemeNamer(Protocol):
    """Gives themes names in place of their distinguishing words, from what their texts say."""

    @property
    def name(self) -> str:
        """Stored with each theme that it named."""
        ...

    def names(self, themes: Sequence[ThemeTexts]) -> list[str | None]:
        """Return one name a theme, in order; None where there is none that its texts bear."""
        ...


@dataclass(frozen=True, slots=True)
class BriefRequest:
    """What a writer is given: the signal, its candidates, the sheet, who would own it."""

    signal: Signal
    attributions: tuple[Attribution, ...]
    sheet: FactSheet
    label: str
    owner: str
    routing_hints: tuple[str, ...]
    now: datetime


class Tracker(Protocol):
    """Where tickets live: the built-in one, or a vendor's."""

    @property
    def name(self) -> str:
        """Stored with each ticket."""
        ...

    def create(self, ticket: Ticket, *, idempotency_key: str) -> str:
        """Open the ticket and return its key; the same idempotency key never opens a second."""
        ...

    def update(self, ticket: Ticket, *, comment: str, idempotency_key: str) -> None:
        """Bring the tracker's copy up to date and add a comment."""
        ...


class Progress(Protocol):
    """Shows people how far a long step is."""

    def start(self, step: str, *, total: int | None = None, unit: str = "rows") -> None:
        """Begin a step of so many units (None: unknown)."""
        ...

    def advance(self, count: int = 1) -> None:
        """Say that so many more units are done."""
        ...

    def note(self, text: str) -> None:
        """Show one line that stays."""
        ...

    def finish(self) -> None:
        """End the step."""
        ...


class Operations(Protocol):
    """The operational database as stages see it; all calls of one step are one transaction."""

    def tickets(self) -> list[Ticket]:
        """Return all tickets, oldest first."""
        ...

    def put_ticket(self, ticket: Ticket) -> None:
        """Add a ticket or bring it up to date."""
        ...

    def decisions(self) -> list[Decision]:
        """Return all decisions, oldest first."""
        ...

    def put_decision(self, decision: Decision) -> bool:
        """Add a decision; False where one with its id is there already."""
        ...

    def reviews(self) -> list[ReviewItem]:
        """Return all review items, oldest first."""
        ...

    def put_review(self, item: ReviewItem) -> None:
        """Add a review item or bring it up to date."""
        ...

    def labels(self, kind: LabelKind | None = None) -> list[Label]:
        """Return labels, oldest first."""
        ...

    def put_label(self, label: Label) -> None:
        """Add a label."""
        ...

    def corrections(self) -> list[ThemeCorrection]:
        """Return people's corrections of themes, oldest first."""
        ...

    def put_correction(self, correction: ThemeCorrection) -> None:
        """Add a correction."""
        ...

    def enqueue(self, message: OutboxMessage) -> bool:
        """Add an outbox message; False where its idempotency key is there already."""
        ...

    def outbox(self, *, status: str | None = None) -> list[OutboxMessage]:
        """Return outbox messages, oldest first."""
        ...

    def put_outbox(self, message: OutboxMessage) -> None:
        """Bring an outbox message up to date."""
        ...

    def outcomes(self) -> list[Outcome]:
        """Return the newest outcome of each ticket."""
        ...

    def put_outcome(self, outcome: Outcome) -> None:
        """Add an outcome."""
        ...

    def audit(
        self, *, actor: str, action: str, subject: str, detail: str, at: datetime | None = None
    ) -> None:
        """Log what was done, for gold.audit; stages give the pass's time, else the wall's counts."""
        ...

    def audit_entries(self, *, after: int = 0) -> list[AuditEntry]:
        """Return what was logged after the entry with this number, oldest first."""
        ...

    def forget(self, *, feedback_ids: Sequence[str], texts: Sequence[str]) -> int:
        """Take feedback out of labels, corrections, tickets, reviews and messages.

        Labels about it go; lines that name an id go, and so does every occurrence of a text.
        Returns how many records changed.
        """
        ...


class StepContext(Protocol):
    """What a stage is handed: committed rows in, rows out, state, configuration, time."""

    @property
    def now(self) -> datetime:
        """The time of this pass; decide only from what was known then."""
        ...

    @property
    def batch_id(self) -> int:
        """Goes into the batch_id of every row written."""
        ...

    @property
    def config(self) -> Configuration:
        """The workspace's configuration, with the taxonomy that was applied last."""
        ...

    @property
    def offered_taxonomy(self) -> Taxonomy:
        """The taxonomy of the workspace's files, applied or not."""
        ...

    @property
    def embedder(self) -> Embedder:
        """The configured embedder."""
        ...

    @property
    def writer(self) -> Writer:
        """The configured writer of briefs."""
        ...

    @property
    def theme_namer(self) -> ThemeNamer | None:
        """What names themes, None where their own words have to do."""
        ...

    @property
    def pair_judge(self) -> PairJudge | None:
        """The configured judge of pairs of texts, None where there is none."""
        ...

    @property
    def recogniser(self) -> Recogniser | None:
        """The configured model that finds personal data beside the rules, None without one."""
        ...

    @property
    def ops(self) -> Operations:
        """The operational database, inside this step's transaction."""
        ...

    @property
    def progress(self) -> Progress:
        """Shows people how far the step is."""
        ...

    @property
    def token_key(self) -> bytes:
        """The workspace's secret key for joinable tokens and author keys (32 bytes)."""
        ...

    def new_rows(
        self,
        table: Table,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return committed rows that this step has not consumed in an earlier committed run."""
        ...

    def portion(self, table: Table, *, by: str, rows: int) -> tuple[Condition, ...]:
        """Return the conditions of the next so many new rows, in order of a column, null first.

        To be given to new_rows, for every table that the step consumes and has the column: so
        a long history needs no more memory than a portion. The loop runs the step until none are
        left. Rows that share the last value come together.
        """
        ...

    def rows(
        self,
        table: Table,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return committed rows (and those this step has written itself)."""
        ...

    def append(self, table: Table, rows: pa.Table) -> None:
        """Add rows; batch_id is filled in."""
        ...

    def merge(self, table: Table, rows: pa.Table) -> None:
        """Put rows in place of those with the same key; batch_id is filled in."""
        ...

    def delete(self, table: Table, where: Sequence[Condition]) -> None:
        """Delete rows."""
        ...

    def state(self, name: str, *, scope: str = "") -> bytes | None:
        """Return what a step remembered, or None."""
        ...

    def put_state(self, name: str, blob: bytes, *, scope: str = "") -> None:
        """Remember something until the next run of the step."""
        ...

    def map_batches(
        self, function: BatchFunction, rows: pa.Table, *, batch_size: int = 25_000
    ) -> pa.Table:
        """Run a batch step; the engine may run several batches at once."""
        ...

    def count(self, name: str, value: int) -> None:
        """Add to a figure of this run (shown at its end and kept in the ledger)."""
        ...


@dataclass(frozen=True, slots=True)
class StepCommit:
    """What the ledger records when a step commits."""

    step_id: int
    step: str
    finished_at: datetime
    heads: dict[str, Head]
    cursors: dict[str, int]
    counts: dict[str, int]


class OpenStep(Protocol):
    """The database side of a running step: one transaction for effects and commit."""

    def operations(self) -> Operations:
        """Return the operations; the transaction begins with the first call."""
        ...

    def commit(self, record: StepCommit) -> None:
        """Record the step as committed, together with all effects."""
        ...

    def roll_back(self) -> None:
        """Drop all effects."""
        ...


class Ledger(Protocol):
    """The commit point of a workspace: what each step consumed and produced."""

    def heads(self) -> dict[str, Head]:
        """Return the committed version of each table."""
        ...

    def cursors(self, step: str) -> dict[str, int]:
        """Return what a step has consumed: table to ledger step."""
        ...

    def begin(self, step: str, *, as_of: datetime, started_at: datetime) -> int:
        """Record that a step runs; return its id, larger than every one before."""
        ...

    def open(self) -> OpenStep:
        """Return the database side of a step."""
        ...

    def unfinished(self) -> list[int]:
        """Return the ids of steps that began and neither committed nor were undone."""
        ...

    def mark_undone(self, step_ids: Sequence[int], *, heads: dict[str, Head]) -> None:
        """Record that steps were undone, with the heads after the undoing."""
        ...


def of_model(column: pa.ChunkedArray, model_id: str) -> pa.ChunkedArray:
    """Return which vectors are in the space of a model: its own, and those of its students."""
    own = pc.equal(column, model_id)
    return pc.or_(own, pc.starts_with(column, pattern=f"{model_id}{STUDENT}"))


def only_if_in(column: str, values: Iterable[str]) -> Condition:
    """Return the condition that a column holds one of the values."""
    return (column, "in", sorted(set(values)))
