"""The tables of the ledger of model calls: calls, kept answers, batches that wait."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Connection, Float, Integer, MetaData, String, Table, Text

from closeloop.store.migrations import Migration
from closeloop.store.schema import Texts, UtcTime

metadata = MetaData()

versions = Table(
    "model_call_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)

model_call = Table(
    "model_call",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, index=True),
    Column("purpose", Text, nullable=False),
    Column("prompt_version", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("run", String(64), nullable=False, index=True),
    Column("at", UtcTime, nullable=False, index=True),
    Column("reserved_usd", Float),
    Column("reserved_tokens", Integer, nullable=False),
    Column("sent", Boolean, nullable=False),
    # Null from before the call until after it: a row that stays so was killed between.
    Column("state", String(30)),
    Column("detail", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cost_usd", Float),
    Column("uncertain", Boolean, nullable=False),
    Column("seconds", Float),
    Column("batch", Text),
    # A number is never given out twice: gold.model_call is continued after the newest.
    sqlite_autoincrement=True,
)

model_answer = Table(
    "model_answer",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("state", String(30), nullable=False),
    Column("text", Text),
    Column("detail", Text, nullable=False),
    Column("given_at", UtcTime, nullable=False),
    Column("about", Texts, nullable=False),
    Column("request", Text, nullable=False),
)


model_batch = Table(
    "model_batch",
    metadata,
    Column("submission", String(64), primary_key=True),
    # Null until the service has said under which id it keeps it.
    Column("batch_id", Text),
    Column("at", UtcTime, nullable=False),
    Column("collected", Boolean, nullable=False),
)

model_batch_request = Table(
    "model_batch_request",
    metadata,
    Column("submission", String(64), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("about", Texts, nullable=False),
    Column("request", Text, nullable=False),
)


def _create(connection: Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS = (Migration(1, "create the ledger of model calls", _create),)
