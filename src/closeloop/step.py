"""One step of a run: what it reads, what it writes, and what is consumed when it commits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from closeloop.domain.configuration import Configuration
from closeloop.domain.taxonomy import Taxonomy
from closeloop.errors import REPAIR_MISSING, IntegrityError
from closeloop.ports import (
    NO_HEAD,
    BatchFunction,
    Condition,
    Embedder,
    Engine,
    Head,
    Operations,
    PairJudge,
    Progress,
    Recogniser,
    ThemeNamer,
    Transaction,
    Writer,
)
from closeloop.tables import STATE, TAXONOMY, Table

PORTION = "portion"
"""State of a step, by its name as scope, that works through its new rows in portions."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far a step is in its portions.

    `after` is the key passed (None: the rows without one), `upto` the ledger steps that all
    portions stop at, `cuts` the keys that the next ones end with (None: not decided yet).
    """

    after: str | int | None
    upto: dict[str, int]
    cuts: list[str | int] | None = None

    def to_bytes(self) -> bytes:
        return json.dumps([self.after, self.upto, self.cuts], sort_keys=True).encode()

    @staticmethod
    def from_bytes(blob: bytes | None) -> _Mark | None:
        return None if not blob else _Mark(*json.loads(blob))

    def passed(self, table: Table, by: str) -> Condition:
        """Return the condition that a row comes after this mark (null comes first of all)."""
        return (by, "!=", None) if self.after is None else (by, ">", _key(table, by, self.after))


@dataclass(slots=True)
class StateCache:
    """What steps remember as it was last committed: (name, scope) to version and blob."""

    held: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    complete: bool = False

    def clear(self) -> None:
        """Read the table again when next asked."""
        self.held.clear()
        self.complete = False


def _no_recogniser() -> Recogniser | None:
    return None


@dataclass(slots=True)
class StepServices:
    """What every step of a workspace shares. Models are made when first asked for."""

    engine: Engine
    config: Configuration
    make_embedder: Callable[[], Embedder]
    writer: Writer
    token_key: bytes
    progress: Progress
    state_cache: StateCache = field(default_factory=StateCache)
    applied_taxonomy: tuple[int, Taxonomy] | None = None
    """The taxonomy that holds, by the version of silver.taxonomy that it was read from."""
    pair_judge: PairJudge | None = None
    theme_namer: ThemeNamer | None = None
    make_recogniser: Callable[[], Recogniser | None] = _no_recogniser


class StepRun:
    """The StepContext of one step: reads committed rows, collects what the ledger records.

    `heads` are the committed table versions, `cursors` what this step has consumed so far (table
    to ledger step). Neither is changed here: `written` and `consumed` say what a commit changes.
    """

    def __init__(
        self,
        *,
        name: str,
        batch_id: int,
        now: datetime,
        services: StepServices,
        heads: dict[str, Head],
        cursors: dict[str, int],
        open_ops: Callable[[], Operations],
    ) -> None:
        self.name = name
        self.services = services
        self.heads = heads
        self.cursors = cursors
        self.written: dict[str, int | None] = {}
        self.consumed: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.left = False
        self._keep = False
        self._upto: dict[str, int] = {}
        self._config: tuple[int, Configuration, Configuration] | None = None
        self._batch_id = batch_id
        self._now = now
        self._open_ops = open_ops
        self._writes = 0
        self._pending_state: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._unwritten: dict[tuple[str, str], dict[str, object]] = {}

    @property
    def now(self) -> datetime:
        """The time of this pass."""
        return self._now

    @property
    def batch_id(self) -> int:
        """The ledger step; goes into the batch_id of every row written."""
        return self._batch_id

    @property
    def config(self) -> Configuration:
        """The workspace's configuration, with the taxonomy that was applied last.

        Before the first one is applied, with that of the workspace's files.
        """
        given = self.services.config
        head = self.heads.get(TAXONOMY.full_name, NO_HEAD).version
        version = self.written.get(TAXONOMY.full_name, head)
        if version is None:
            return given
        held = self._config
        if held is None or held[:2] != (version, given):
            held = (version, given, replace(given, taxonomy=self._applied(version)))
            self._config = held
        return held[2]

    @property
    def offered_taxonomy(self) -> Taxonomy:
        """The taxonomy of the workspace's files, applied or not."""
        return self.services.config.taxonomy

    @property
    def embedder(self) -> Embedder:
        """The configured embedder, made when first asked for."""
        return self.services.make_embedder()

    @property
    def writer(self) -> Writer:
        """The configured writer of briefs."""
        return self.services.writer

    @property
    def pair_judge(self) -> PairJudge | None:
        """The configured judge of pairs of texts, None where there is none."""
        return self.services.pair_judge

    @property
    def theme_namer(self) -> ThemeNamer | None:
        """What names themes, None where their own words have to do."""
        return self.services.theme_namer

    @property
    def recogniser(self) -> Recogniser | None:
        """The configured model that finds personal data beside the rules, None without one."""
        return self.services.make_recogniser()

    @property
    def ops(self) -> Operations:
        """The operational database; its transaction begins here and commits with the step."""
        return self._open_ops()

    @property
    def progress(self) -> Progress:
        """Shows people how far the step is."""
        return self.services.progress

    @property
    def token_key(self) -> bytes:
        """The workspace's secret key for joinable tokens and author keys."""
        return self.services.token_key

    def new_rows(
        self,
        table: Table,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return committed rows that this step has not consumed yet; a commit consumes them."""
        head = self.heads.get(table.full_name, NO_HEAD)
        since = self.cursors.get(table.full_name, 0)
        upto = self._upto.get(table.full_name, 0) if self._upto else head.step_id
        self.consumed[table.full_name] = upto
        if head.version is None or upto <= since:
            rows = table.empty()
            return rows if columns is None else rows.select(list(columns))
        new: list[Condition] = [("batch_id", ">", since)]
        if upto < head.step_id:
            new.append(("batch_id", "<=", upto))
        return self.services.engine.read(
            table, version=head.version, columns=columns, where=(*new, *where)
        )

    def portion(self, table: Table, *, by: str, rows: int) -> tuple[Condition, ...]:
        """Return the conditions of the next so many new rows, in order of a column.

        Given to new_rows as `where` (of each table that has the column) they bound the memory of
        a step. While rows are left, nothing is consumed and `left` is set: the step is run again.
        """
        mark = _Mark.from_bytes(self.state(PORTION, scope=self.name))
        heads = {name: head.step_id for name, head in self.heads.items()}
        # Rows that were committed after the first portion began wait until all of it is done.
        self._upto = heads if mark is None else mark.upto
        passed = () if mark is None else (mark.passed(table, by),)
        cuts = None if mark is None else mark.cuts
        if cuts is None:
            waiting = self.new_rows(table, columns=[by], where=passed).column(by)
            if waiting.null_count and len(waiting) > rows:
                return self._next_portion(None, None, passed, (by, "=", None))
            cuts = _cuts(waiting, rows)
        if cuts:
            upto: Condition = (by, "<=", _key(table, by, cuts[0]))
            return self._next_portion(cuts[0], cuts[1:], passed, upto)
        if mark is not None:
            self.put_state(PORTION, b"", scope=self.name)
            self.left = heads.get(table.full_name, 0) > mark.upto.get(table.full_name, 0)
        return passed

    def _next_portion(
        self,
        after: str | int | None,
        cuts: list[str | int] | None,
        passed: tuple[Condition, ...],
        upto: Condition,
    ) -> tuple[Condition, ...]:
        self.left = self._keep = True
        self.put_state(PORTION, _Mark(after, self._upto, cuts).to_bytes(), scope=self.name)
        return (*passed, upto)

    def rows(
        self,
        table: Table,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return committed rows, and those that this step has written itself."""
        self._write_states(before=table)
        version = self.written.get(
            table.full_name, self.heads.get(table.full_name, NO_HEAD).version
        )
        return self.services.engine.read(table, version=version, columns=columns, where=where)

    def append(self, table: Table, rows: pa.Table) -> None:
        """Add rows; batch_id is filled in. Nothing happens for no rows."""
        if rows.num_rows:
            self.written[table.full_name] = self.services.engine.append(
                table, self._stamped(table, rows), transaction=self._transaction()
            )
            if table is STATE:
                self.services.state_cache.clear()

    def merge(self, table: Table, rows: pa.Table) -> None:
        """Put rows in place of those with the same key; batch_id is filled in."""
        if rows.num_rows:
            self.written[table.full_name] = self.services.engine.merge(
                table, self._stamped(table, rows), transaction=self._transaction()
            )

    def delete(self, table: Table, where: Sequence[Condition]) -> None:
        """Delete the rows for which all conditions hold."""
        self._write_states(before=table)
        version = self.services.engine.delete(table, where, transaction=self._transaction())
        if version is not None:
            self.written[table.full_name] = version
        if table is STATE:
            self._pending_state.clear()
            self.services.state_cache.clear()

    def state(self, name: str, *, scope: str = "") -> bytes | None:
        """Return what a step remembered under this name, or None."""
        held = self._state(name, scope)
        return None if held is None else held[1]

    def put_state(self, name: str, blob: bytes, *, scope: str = "") -> None:
        """Remember something; the same bytes again write nothing."""
        held = self._state(name, scope)
        if held is not None and held[1] == blob:
            return
        version = 1 if held is None else held[0] + 1
        row = {
            "name": name,
            "scope": scope,
            "version": version,
            "input_versions": json.dumps(
                {t: h.version for t, h in sorted(self.heads.items())}, sort_keys=True
            ),
            "made_at": self._now,
            "blob": blob,
        }
        self._unwritten[(name, scope)] = row
        self._pending_state[(name, scope)] = (version, blob)

    def map_batches(
        self, function: BatchFunction, rows: pa.Table, *, batch_size: int = 25_000
    ) -> pa.Table:
        """Run a batch step."""
        return self.services.engine.map_batches(function, rows, batch_size=batch_size)

    def count(self, name: str, value: int) -> None:
        """Add to a figure of this run."""
        self.counts[name] = self.counts.get(name, 0) + value

    def settle(self) -> tuple[dict[str, Head], dict[str, int]]:
        """Return the heads and cursors as they are once this step has committed.

        A step that writes a table it also consumes has seen its own rows.
        """
        self._write_states(before=STATE)
        heads = dict(self.heads)
        for table, version in self.written.items():
            heads[table] = Head(version=version, step_id=self._batch_id)
        cursors = dict(self.cursors)
        for table, step_id in ({} if self._keep else self.consumed).items():
            cursors[table] = self._batch_id if table in self.written else step_id
        self.services.state_cache.held.update(self._pending_state)
        return heads, cursors

    def _applied(self, version: int) -> Taxonomy:
        cached = self.services.applied_taxonomy
        if cached is None or cached[0] != version:
            rows = self.services.engine.read(TAXONOMY, version=version)
            if rows.num_rows == 0:
                raise IntegrityError(
                    f"{TAXONOMY.full_name} has no rows at its committed version {version}: the "
                    "taxonomy that was applied is gone",
                    hint=REPAIR_MISSING,
                )
            last = max(rows.to_pylist(), key=lambda row: int(row["number"]))
            cached = (version, Taxonomy.from_record(last))
            self.services.applied_taxonomy = cached
        return cached[1]

    def _write_states(self, *, before: Table) -> None:
        """Write what was remembered, all at once: silver.state holds large rows."""
        if before is not STATE or not self._unwritten:
            return
        fresh = STATE.from_rows(self._unwritten.values())
        names = [f"{name}\x1f{scope}" for name, scope in self._unwritten]
        self._unwritten = {}
        held = self.rows(STATE)
        keys = pc.binary_join_element_wise(held.column("name"), held.column("scope"), "\x1f")
        kept = held.filter(pc.invert(pc.is_in(keys, value_set=pa.array(names))))
        self.written[STATE.full_name] = self.services.engine.replace(
            STATE,
            pa.concat_tables([kept, self._stamped(STATE, fresh)]),
            transaction=self._transaction(),
        )

    def _state(self, name: str, scope: str) -> tuple[int, bytes] | None:
        key = (name, scope)
        if key in self._pending_state:
            return self._pending_state[key]
        cache = self.services.state_cache
        if not cache.complete:
            # Once all at a time: asked for one by one, each would be a look through the table.
            rows = self.rows(STATE, columns=["name", "scope", "version", "blob"]).to_pylist()
            for row in sorted(rows, key=lambda row: int(row["version"])):
                cache.held.setdefault((row["name"], row["scope"]), (0, b""))
                if int(row["version"]) > cache.held[(row["name"], row["scope"])][0]:
                    cache.held[(row["name"], row["scope"])] = (int(row["version"]), row["blob"])
            cache.complete = True
        return cache.held.get(key)

    def _stamped(self, table: Table, rows: pa.Table) -> pa.Table:
        rows = table.conform(rows)
        position = rows.schema.get_field_index("batch_id")
        if position < 0:
            return rows
        stamp = pa.repeat(pa.scalar(self._batch_id, pa.int64()), rows.num_rows)
        return rows.set_column(position, rows.schema.field(position), stamp)

    def _transaction(self) -> Transaction:
        # A step may write one table more than once: each write has a number of its own.
        self._writes += 1
        return Transaction(
            app_id=f"closeloop/{self.name}", version=self._batch_id * 1_000 + self._writes
        )


def _cuts(waiting: pa.ChunkedArray, rows: int) -> list[str | int]:
    """Return the keys that portions of so many rows end with; the last one needs none."""
    ordered = waiting.cast(pa.int64()) if pa.types.is_timestamp(waiting.type) else waiting
    places = np.arange(rows - 1, len(ordered) - 1, rows)
    if not len(places):
        return []
    ordered = ordered.take(pc.sort_indices(ordered))
    last = ordered[len(ordered) - 1].as_py()
    found = dict.fromkeys(ordered.take(pa.array(places)).to_pylist())
    return [key for key in found if key != last]


def _key(table: Table, column: str, value: str | int) -> str | int | datetime:
    if pa.types.is_timestamp(table.schema.field(column).type) and isinstance(value, int):
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=value)
    return value
