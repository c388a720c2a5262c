"""The composition root: opens a workspace and wires ports to adapters; nothing else does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from filelock import FileLock, Timeout

from closeloop import settings as settings_module
from closeloop.errors import LeaseHeldError, UsageError
from closeloop.ports import NO_HEAD, Clock, Condition, Engine, Head, Progress
from closeloop.progress import shown
from closeloop.settings import LoadedSettings
from closeloop.tables import STATE, TABLES, Table
from closeloop.workspace_folder import (
    PRIVATE_FOLDER,
    TokenKey,
    backtest_folder,
    ensure_key,
)
from closeloop.workspace_models import WorkspaceModels

if TYPE_CHECKING:
    from closeloop.domain.configuration import Configuration
    from closeloop.domain.review import Label
    from closeloop.loop import PassReport
    from closeloop.ports import LanguageModel, Tracker
    from closeloop.replay import ReplayPlan
    from closeloop.runner import Runner
    from closeloop.step import StepRun, StepServices
    from closeloop.store.database import Database
    from closeloop.store.model_calls import SqlCallLedger

SQLITE, ABSOLUTE = "sqlite:///", "sqlite:////"
LOCAL_DATABASE = f"{SQLITE}closeloop.db"
LOCK_WAIT_S = 60.0
"""How long a command waits for another that holds the workspace before it gives up."""
SAID_AFTER_S = 2.0
"""How long it waits before it says so."""
HOLDER = "holder"
"""The file beside the lock with the process id of who holds it: who waits may read that one."""


class SystemClock:
    """The wall clock."""

    def now(self) -> datetime:
        """Return the time, with zone UTC."""
        return datetime.now(UTC)


class Workspace:
    """A folder with configuration, tables and the operational database.

    `backtest` opens the tables of a backtest instead of the live ones, for reading.
    """

    def __init__(
        self,
        folder: Path,
        *,
        progress: Progress,
        clock: Clock | None = None,
        backtest: str | None = None,
    ) -> None:
        self.folder = folder
        self.progress = progress
        self.clock: Clock = clock or SystemClock()
        self._loaded: LoadedSettings = settings_module.load(folder)
        self.backtest = backtest
        self.data_folder = folder if backtest is None else backtest_folder(folder, backtest)
        self._lock = FileLock(str(folder / PRIVATE_FOLDER / "lock"), mode=0o600)
        self._runner: Runner | None = None
        self._engine: Engine | None = None
        self._database: Database | None = None
        self._call_ledger: SqlCallLedger | None = None
        self.models = WorkspaceModels(
            folder,
            self._loaded,
            token_key=lambda: self.token_key.secret,
            call_ledger=lambda: self.call_ledger,
        )

    @property
    def settings(self) -> settings_module.Settings:
        """Everything in closeloop.yaml."""
        return self._loaded.settings

    @property
    def config(self) -> Configuration:
        """What stages are handed."""
        return self._loaded.configuration

    @property
    def token_key(self) -> TokenKey:
        """The workspace's secret key, made when first needed."""
        return ensure_key(self.folder)

    @property
    def engine(self) -> Engine:
        """The tables."""
        if self._engine is None:
            self._engine = self._engine_over(self.data_folder / self.settings.storage.lake)
        return self._engine

    def _engine_over(self, lake: Path) -> Engine:
        from closeloop.engines.wiring import EngineChoice, make_engine

        chosen = self.settings.spark
        # A backtest's tables lie in its own folder, whatever catalog holds the live ones.
        live = lake == self.folder / self.settings.storage.lake
        choice = EngineChoice(
            kind=self.settings.engine,
            remote=chosen.remote,
            master=chosen.master,
            jars=None if chosen.jars is None else self.folder / chosen.jars,
            driver_memory=chosen.driver_memory,
            catalog=chosen.catalog if live else None,
            view_catalog=chosen.view_catalog,
            conf=chosen.conf,
        )
        if choice.kind == "spark" and chosen.catalog is not None and not live:
            choice = EngineChoice()
        return make_engine(choice, lake, warehouse=self.folder / PRIVATE_FOLDER / "warehouse")

    def spark_session(self) -> Any:
        """Return the session of the Spark engine, for streams. Raises UsageError on another one."""
        from closeloop.engines.held import HeldEngine

        engine = self.engine
        if not isinstance(engine, HeldEngine):
            raise UsageError("the engine is not spark", hint="set engine: spark in closeloop.yaml")
        return engine.session

    @property
    def database(self) -> Database:
        """The operational database."""
        if self._database is None:
            self._database = self._open_database(self.data_folder)
        return self._database

    def close(self) -> None:
        """Close the databases; a later use opens them again."""
        if self._database is not None:
            self._database.close()
        if self._call_ledger is not None:
            self._call_ledger.close()

    def now(self) -> datetime:
        """Return the time, with zone UTC."""
        return self.clock.now()

    def source_columns(self, name: str) -> dict[str, str]:
        """Return the mapping (field: column) that closeloop.yaml declares for a source."""
        source = self.settings.sources.get(name)
        return dict(source.columns) if source else {}

    @property
    def call_ledger(self) -> SqlCallLedger:
        """What was asked of language models and what it cost, in every command and backtest."""
        if self._call_ledger is None:
            from closeloop.store.model_calls import SqlCallLedger, ledger_url

            self._call_ledger = SqlCallLedger(
                ledger_url(self._database_url(self.folder)), password=self._database_password()
            )
        return self._call_ledger

    def forget_answers(self, *, feedback_ids: Sequence[str], texts: Sequence[str]) -> int:
        """Remove kept answers of language models that hold the feedback; return how many."""
        ledger = self.calls_made()
        return 0 if ledger is None else ledger.forget(feedback_ids=feedback_ids, texts=texts)

    def calls_made(self) -> SqlCallLedger | None:
        """Return the ledger of model calls; None where no model was ever asked."""
        from closeloop.store.model_calls import ledger_exists, ledger_url

        there = ledger_exists(ledger_url(self._database_url(self.folder)))
        return self.call_ledger if there else None

    @property
    def runner(self) -> Runner:
        """Gives out ledgered steps over the live tables."""
        if self._runner is None:
            from closeloop.runner import Runner
            from closeloop.store.ledger import SqlLedger

            self._runner = Runner(
                services=self._services(self.engine),
                ledger=SqlLedger(self.database),
                clock=self.clock,
            )
        return self._runner

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the workspace against other commands; undo what a kill left unfinished.

        Raises LeaseHeldError where another command holds it for longer than a minute.
        """
        # A timer, since the wait may be for the file's lock or for the database's.
        waiting = threading.Timer(SAID_AFTER_S, self._say_who_holds)
        waiting.daemon = True
        waiting.start()
        holder = self.folder / PRIVATE_FOLDER / HOLDER
        try:
            with (
                self._lock.acquire(timeout=LOCK_WAIT_S),
                self.database.lease(wait_s=LOCK_WAIT_S),
            ):
                waiting.cancel()
                holder.write_text(str(os.getpid()), encoding="utf-8")
                self.runner.forget_heads()
                undone = self.runner.recover()
                if undone:
                    self.progress.note(
                        f"undone: {undone} step(s) that an earlier run left unfinished"
                    )
                try:
                    yield
                finally:
                    holder.unlink(missing_ok=True)
        except Timeout as error:
            raise LeaseHeldError(
                f"another closeloop command has held {self.folder} for over {LOCK_WAIT_S:.0f} s",
                hint="wait for it to end, or end it; nothing was changed",
            ) from error
        finally:
            waiting.cancel()

    def _say_who_holds(self) -> None:
        try:
            number = (self.folder / PRIVATE_FOLDER / HOLDER).read_text(encoding="utf-8")
        except OSError:
            number = ""
        # On another machine, or between two of its steps: then there is no number to tell.
        named = f" (pid {number})" if number.isdecimal() else ""
        self.progress.note(f"waiting for another closeloop{named} to finish")

    @contextmanager
    def step(self, name: str, *, now: datetime | None = None) -> Iterator[StepRun]:
        """Yield the context of one ledgered step; it commits at the end or leaves no trace."""
        self._refuse_backtest(f"{name} changes data")
        with self.hold(), self.runner.step(name, now=now or self.now()) as run:
            yield run

    def run(self, *, as_of: datetime | None = None) -> PassReport:
        """Run the loop once over all that is new."""
        self._refuse_backtest("run changes data")
        # On a busy machine it takes seconds to load what the stages compute with.
        with shown(self.progress, "start"):
            from closeloop.loop import run_pass

        self.models.begin_run()
        with self.hold():
            report = run_pass(
                self.runner,
                now=as_of or self.now(),
                trackers=self._trackers(self.database),
                stopwatch=time.perf_counter,
                call_ledger=self.calls_made(),
            )
            # Each pass writes it anew, and nobody asks what a step remembered before.
            self.engine.forget(STATE)
            return report

    def remembered(self, name: str, *, scope: str = "") -> bytes | None:
        """Return what the steps have committed under this name in silver.state, or None."""
        rows = self.committed(
            STATE, columns=["version", "blob"], where=[("name", "=", name), ("scope", "=", scope)]
        ).to_pylist()
        newest = max(rows, key=lambda row: int(row["version"]), default=None)
        return None if newest is None else bytes(newest["blob"])

    def heads(self) -> dict[str, Head]:
        """Return the committed version of each table."""
        from closeloop.store.ledger import SqlLedger

        return SqlLedger(self.database).heads()

    def committed(
        self,
        table: Table,
        *,
        columns: Sequence[str] | None = None,
        where: Sequence[Condition] = (),
    ) -> pa.Table:
        """Return committed rows of a table."""
        head = self.heads().get(table.full_name, NO_HEAD)
        return self.engine.read(table, version=head.version, columns=columns, where=where)

    def query(self, sql: str, *, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of SQL over all committed tables and the gold views."""
        heads = self.heads()
        versions = {t.full_name: heads.get(t.full_name, NO_HEAD).version for t in TABLES}
        return self.engine.sql(sql, versions=versions, parameters=parameters)

    def labels(self) -> list[Label]:
        """Return what people have judged, oldest first."""
        with self.database.reading() as operations:
            return operations.labels()

    def replay(
        self,
        plan: ReplayPlan,
        bronze: pa.Table,
        *,
        changes: pa.Table,
        exposure: pa.Table,
        into: Path,
        config: Configuration | None = None,
        trackers: bool = False,
        model: LanguageModel | None = None,
        on_pass: Callable[[PassReport, Runner], None] | None = None,
    ) -> list[PassReport]:
        """Run the loop over history in memory; then write its tables and database into a folder.

        With `engine: spark` it runs on Spark, over tables in that folder from the first pass on.

        The folder must hold no tables yet. Live tables are not touched unless `into` is the
        workspace itself. `config` takes the workspace's place (to try another policy). `trackers`
        wires the built-in tracker; a backtest has none. `model` writes the briefs in place of the
        configured one.
        """
        from closeloop.engines.memory import MemoryEngine
        from closeloop.replay import replay
        from closeloop.runner import Runner
        from closeloop.store.memory_ledger import MemoryLedger
        from closeloop.tables import CHANGE, EXPOSURE

        into.mkdir(parents=True, exist_ok=True)
        database = self._open_database(into)
        ledger = MemoryLedger(database)
        lake = into / self.settings.storage.lake
        on_spark = self.settings.engine == "spark" and self.settings.spark.catalog is None
        engine: Engine = self._engine_over(lake) if on_spark else MemoryEngine(keep=2)
        services = self._services(engine)
        services.config = config or services.config
        services.writer = services.writer if model is None else self.models.writer_over(model)
        runner = Runner(services=services, ledger=ledger, clock=self.clock)
        with runner.step("changes", now=plan.start) as step:
            step.append(CHANGE, changes)
            step.append(EXPOSURE, exposure)
        reports = replay(
            runner,
            bronze,
            plan=plan,
            trackers=self._trackers(database) if trackers else (),
            stopwatch=time.perf_counter,
            on_pass=on_pass,
        )
        with shown(self.progress, "write the tables"):
            heads = runner.heads() if on_spark else self._write_tables(engine, runner.heads(), lake)
        ledger.persist(heads=heads, as_of=plan.end, finished_at=self.clock.now())
        return reports

    @contextmanager
    def trial(
        self, *, learned: Sequence[str] = (), token_key: bytes | None = None
    ) -> Iterator[Runner]:
        """Yield a runner over empty tables and an empty database in memory; nothing is kept.

        `learned` names what steps of this workspace remember and the runner shall start with.
        `token_key` takes the workspace's place, so that a folder that won't last gives the same
        tokens each time.
        """
        from closeloop.engines.memory import MemoryEngine
        from closeloop.runner import Runner
        from closeloop.store.database import Database
        from closeloop.store.memory_ledger import MemoryLedger

        services = self._services(MemoryEngine(keep=2))
        if token_key is not None:
            services.token_key = token_key
        database = Database("sqlite://")
        try:
            runner = Runner(services=services, ledger=MemoryLedger(database), clock=self.clock)
            if learned:
                rows = self.committed(STATE, where=[("name", "in", sorted(learned))])
                with runner.step("learned", now=self.now()) as step:
                    step.append(STATE, rows)
            yield runner
        finally:
            database.close()

    def _write_tables(self, engine: Engine, heads: dict[str, Head], lake: Path) -> dict[str, Head]:
        from closeloop.engines.local import LocalEngine
        from closeloop.ports import Transaction

        target = LocalEngine(lake)
        written = {}
        for table in TABLES:
            head = heads.get(table.full_name)
            if head is None or head.version is None:
                continue
            rows = engine.read(table, version=head.version)
            version = target.replace(
                table, rows, transaction=Transaction("closeloop/replay", head.step_id)
            )
            written[table.full_name] = Head(version=version, step_id=head.step_id)
        return written

    def _services(self, engine: Engine) -> StepServices:
        from closeloop.step import StepServices

        judge, namer = self.models.judges()
        return StepServices(
            engine=engine,
            config=self.config,
            make_embedder=self.models.embedder,
            writer=self.models.writer(),
            pair_judge=judge,
            theme_namer=namer,
            token_key=self.token_key.secret,
            progress=self.progress,
            make_recogniser=self.models.recogniser,
        )

    def _trackers(self, database: Database) -> tuple[Tracker, ...]:
        from closeloop.connectors.trackers.builtin import BuiltInTracker

        return (BuiltInTracker(database),)

    def _open_database(self, folder: Path) -> Database:
        from closeloop.store.database import Database

        password = self._database_password() if folder == self.folder else None
        return Database(self._database_url(folder), password=password)

    def _database_password(self) -> Callable[[], str] | None:
        """Return what gives the password of a new connection; None where the URL holds it."""
        endpoint = self.settings.storage.database_endpoint
        if endpoint is None:
            return None
        from closeloop.store.lakebase import LakebaseTokens

        return LakebaseTokens(endpoint)

    def _database_url(self, folder: Path) -> str:
        named = self.settings.storage.database
        beside = named.startswith(SQLITE) and not named.startswith(ABSOLUTE)
        # A backtest keeps its decisions to itself, wherever the live ones are.
        url = LOCAL_DATABASE
        if folder == self.folder or beside:
            url = settings_module.resolve(named, where="storage.database")
        if url.startswith(SQLITE) and not url.startswith(ABSOLUTE):
            url = f"{SQLITE}{(folder / url.removeprefix(SQLITE)).resolve()}"
        return url

    def _refuse_backtest(self, what: str) -> None:
        if self.backtest is not None:
            raise UsageError(f"{what}; a backtest can only be read", hint="leave --backtest out")
