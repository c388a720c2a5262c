"""The ledger of model calls and the kept answers, in a database that commits on its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    RowMapping,
    case,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from closeloop.domain.erasure import Forgotten
from closeloop.domain.model_answer import AnswerState, ModelAnswer, ModelRequest, Usage
from closeloop.domain.model_call import ModelCall, Spending
from closeloop.errors import IntegrityError
from closeloop.store.database import FAULTS, READ_ONLY, open_engine, overwrite, unreachable
from closeloop.store.migrations import migrate
from closeloop.store.model_schema import (
    MIGRATIONS,
    model_answer,
    model_batch_request,
    model_call,
    versions,
)

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[\"\\/bfnrt])")


class SqlCallLedger:
    """Calls and answers over transactions of its own, so that money once spent stays counted.

    With SQLite it is a file beside the operational database, because a step holds that one's only
    write lock until it commits; with PostgreSQL it is the same database over another connection.
    """

    def __init__(self, url: str, *, password: Callable[[], str] | None = None) -> None:
        self._engine = open_engine(url, password=password)
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _lasting)
        with self.transaction() as connection:
            migrate(connection, migrations=MIGRATIONS, versions=versions)

    def kept(self, key: str) -> tuple[ModelAnswer, datetime] | None:
        """Return the answer kept under a content key, and when it was given."""
        with self.transaction(reads=True) as connection:
            row = (
                connection.execute(select(model_answer).where(model_answer.c.key == key))
                .mappings()
                .first()
            )
        if row is None:
            return None
        answer = ModelAnswer(
            state=AnswerState(row["state"]),
            model=row["model"],
            text=row["text"],
            detail=row["detail"],
            cost_usd=0.0,
            kept=True,
        )
        return answer, row["given_at"]

    def begin(self, call: ModelCall) -> int:
        """Record that a call is about to be made; return its number."""
        with self.transaction() as connection:
            done = connection.execute(insert(model_call).values(**call_values(call)))
            key = done.inserted_primary_key
            assert key is not None
            return int(key[0])

    def finish(self, call: ModelCall, *, keep: tuple[ModelRequest, ModelAnswer] | None) -> None:
        """Record the end of a call and keep its answer, in one transaction."""
        with self.transaction() as connection:
            done = connection.execute(
                update(model_call)
                .where(model_call.c.number == call.number)
                .values(**call_values(call))
            )
            if done.rowcount != 1:
                raise IntegrityError(f"the ledger of model calls has no call {call.number}")
            if keep is not None:
                _keep(connection, call, *keep)

    def spent(self, *, since: datetime | None = None, run: str | None = None) -> Spending:
        """Return what was spent since a time, or by a run."""
        table = model_call.c
        unsure = table.state.is_(None) | table.uncertain
        charged = case((unsure, table.reserved_usd), else_=table.cost_usd)
        used = table.input_tokens + table.output_tokens
        query = select(
            func.count(),
            func.coalesce(func.sum(charged), 0.0),
            func.count() - func.count(charged),
            func.coalesce(func.sum(used), 0),
        ).where(table.sent)
        if since is not None:
            query = query.where(table.at >= since)
        if run is not None:
            query = query.where(table.run == run)
        with self.transaction(reads=True) as connection:
            calls, usd, unpriced, tokens = connection.execute(query).one()
        return Spending(int(calls), float(usd), int(unpriced), int(tokens))

    def calls(self, *, after: int = 0, since: datetime | None = None) -> list[ModelCall]:
        """Return calls with a larger number, or since a time, oldest first."""
        query = select(model_call).where(model_call.c.number > after).order_by(model_call.c.number)
        if since is not None:
            query = query.where(model_call.c.at >= since)
        with self.transaction(reads=True) as connection:
            return [call_of(row) for row in connection.execute(query).mappings()]

    def forget(self, *, feedback_ids: Sequence[str], texts: Sequence[str]) -> int:
        """Remove kept answers, and requests that wait, that hold the feedback; from disk too."""
        gone = Forgotten.of(feedback_ids=feedback_ids, texts=texts)
        with self.transaction() as connection:
            rows = connection.execute(select(model_answer)).mappings()
            keys = [row["key"] for row in rows if _concerns(dict(row), gone)]
            for start in range(0, len(keys), 500):
                part = keys[start : start + 500]
                connection.execute(delete(model_answer).where(model_answer.c.key.in_(part)))
            rows = connection.execute(select(model_batch_request)).mappings()
            waiting = [row["key"] for row in rows if _concerns({**row, "text": ""}, gone)]
            for key in waiting:
                here = model_batch_request.c.key == key
                connection.execute(delete(model_batch_request).where(here))
        keys += waiting
        if keys:
            overwrite(self._engine)
        return len(keys)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self, *, reads: bool = False) -> Iterator[Connection]:
        """Begin a transaction of the ledger's own; commit at the end, roll back on an error."""
        try:
            with self._engine.connect() as connection:
                options = connection.execution_options(**{READ_ONLY: reads})
                with options.begin():
                    yield options
        except FAULTS as error:
            raise unreachable(error) from error


def ledger_url(database_url: str) -> str:
    """Return where the ledger is: beside the file of SQLite, in the same database elsewhere."""
    try:
        url = make_url(database_url)
    except ArgumentError:
        return database_url
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return database_url
    stem, dot, ending = str(url.database).rpartition(".")
    beside = f"{stem}-models.{ending}" if dot and "/" not in ending else f"{url.database}-models"
    return url.set(database=beside).render_as_string(hide_password=False)


def ledger_exists(url: str) -> bool:
    """Return whether a ledger may be there: a file of SQLite that is absent is none."""
    parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(str(parsed.database)).exists()


def _lasting(connection: Any, _record: Any) -> None:
    # Money once spent must stay counted when the power fails too; calls are few.
    connection.execute("PRAGMA synchronous=FULL")


def _keep(
    connection: Connection, call: ModelCall, request: ModelRequest, answer: ModelAnswer
) -> None:
    here = model_answer.c.key == call.key
    held = connection.execute(select(model_answer.c.state).where(here)).scalar()
    if held == AnswerState.ANSWERED:
        return
    if held is not None:
        connection.execute(delete(model_answer).where(here))
    connection.execute(
        insert(model_answer).values(
            key=call.key,
            purpose=request.purpose,
            model=answer.model,
            state=answer.state.value,
            text=answer.text and _storable(answer.text),
            detail=answer.detail,
            given_at=call.at,
            about=request.about,
            request=_storable(request.text),
        )
    )


def _storable(text: str) -> str:
    # Databases take neither NUL nor lone surrogates; in JSON both are written as escapes anyway.
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def _concerns(row: Mapping[str, Any], gone: Forgotten) -> bool:
    if not gone.feedback_ids.isdisjoint(row["about"]):
        return True
    for text in (row["request"], row["text"] or ""):
        for form in (text, _unescaped(text)):
            if gone.inside(form.encode("utf-8", "surrogatepass")):
                return True
        if any(gone.names(line) for line in text.split("\n")):
            return True
    return False


def _unescaped(text: str) -> str:
    """Return a text as it reads once JSON's escapes in it are undone."""
    return _ESCAPE.sub(lambda match: json.loads(f'"{match[0]}"'), text)


def call_values(call: ModelCall) -> dict[str, Any]:
    """Return a call as a row of the ledger."""
    return {
        "key": call.key,
        "purpose": call.purpose,
        "prompt_version": call.prompt_version,
        "model": call.model,
        "run": call.run,
        "at": call.at,
        "reserved_usd": call.reserved_usd,
        "reserved_tokens": call.reserved_tokens,
        "sent": call.sent,
        "state": None if call.state is None else call.state.value,
        "detail": call.detail,
        "input_tokens": call.usage.input,
        "cached_tokens": call.usage.cached,
        "output_tokens": call.usage.output,
        "cost_usd": call.cost_usd,
        "uncertain": call.uncertain,
        "seconds": call.seconds,
        "batch": call.batch,
    }


def call_of(row: RowMapping) -> ModelCall:
    """Return a row of the ledger as a call."""
    return ModelCall(
        key=row["key"],
        purpose=row["purpose"],
        prompt_version=row["prompt_version"],
        model=row["model"],
        run=row["run"],
        at=row["at"],
        reserved_usd=row["reserved_usd"],
        reserved_tokens=row["reserved_tokens"],
        sent=bool(row["sent"]),
        number=row["number"],
        state=None if row["state"] is None else AnswerState(row["state"]),
        detail=row["detail"],
        usage=Usage(row["input_tokens"], row["cached_tokens"], row["output_tokens"]),
        cost_usd=row["cost_usd"],
        uncertain=bool(row["uncertain"]),
        seconds=row["seconds"],
        batch=row["batch"],
    )
