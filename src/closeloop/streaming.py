"""Takes in what arrives at the sources that closeloop.yaml declares with files or topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from closeloop import settings as settings_module
from closeloop.app import Workspace
from closeloop.connectors.intake.arrivals import (
    Arrival,
    ArrivalReport,
    files_there,
    take_in_arrivals,
)
from closeloop.connectors.intake.messages import OFFSETS_STATE, Offsets, take_in_messages
from closeloop.connectors.intake.request import IntakeRequest
from closeloop.connectors.intake.streams import StreamReport, drain
from closeloop.connectors.sources.kafka import KafkaPlace, KafkaReader
from closeloop.errors import UsageError, redact
from closeloop.settings import KafkaSettings, SourceSettings
from closeloop.workspace_folder import PRIVATE_FOLDER

if TYPE_CHECKING:
    from closeloop.step import StepRun

STEP = "ingest"


def streams_of(workspace: Workspace, names: Sequence[str] = ()) -> dict[str, SourceSettings]:
    """Return the sources that files or messages arrive at. Raises UsageError for another name."""
    declared = {
        name: source
        for name, source in sorted(workspace.settings.sources.items())
        if source.kafka is not None or source.files
    }
    unknown = [name for name in names if name not in declared]
    if unknown or (names == () and not declared):
        raise UsageError(
            f"closeloop.yaml declares no stream {redact(unknown[0])!r}"
            if unknown
            else "closeloop.yaml declares no stream",
            hint="give a source files: or kafka: under sources, see docs/streaming.md",
        )
    return {name: source for name, source in declared.items() if not names or name in names}


def take_in_stream(workspace: Workspace, name: str, source: SourceSettings) -> dict[str, Any]:
    """Take in all that has arrived at one source; return what came, for people and programs."""
    request = IntakeRequest(source=name, mapping=dict(source.columns), product=source.product)
    found: dict[str, Any] = {"source": name}
    if source.files:
        found |= _take_in_files(workspace, source, request).as_dict()
    if source.kafka is not None:
        found |= _take_in_topics(workspace, source.kafka, request).as_dict()
    return found


def lag_of(workspace: Workspace, name: str, source: SourceSettings) -> dict[str, Any]:
    """Return how far a source is behind and how fresh its rows are; take in nothing."""
    newest = workspace.query(
        "SELECT max(ingested_at) AS ingested, max(event_time) AS event, count(*) AS n "
        "FROM bronze.feedback WHERE source = ?",
        parameters=[name],
    ).to_pylist()[0]
    found: dict[str, Any] = {
        "source": name,
        "rows": newest["n"],
        "newest_ingested_at": newest["ingested"],
        "newest_event_at": newest["event"],
    }
    if source.kafka is not None:
        reader = KafkaReader(kafka_place(source.kafka, name), source=name)
        try:
            report = StreamReport(name, lags=reader.start(_offsets(workspace, name)))
        finally:
            reader.close()
        whole = report.as_dict()
        found |= {key: whole[key] for key in ("lag", "partitions")}
    return found


def kafka_place(settings: KafkaSettings, name: str) -> KafkaPlace:
    """Return where a source's topics are, its secret resolved."""
    where = f"closeloop.yaml: sources.{name}.kafka"
    if settings.connection_string is not None:
        secret = settings_module.resolve(
            settings.connection_string, where=f"{where}.connection_string"
        )
        return KafkaPlace.event_hubs(secret, settings.topics)
    assert settings.servers is not None
    return KafkaPlace(
        servers=settings.servers,
        topics=settings.topics,
        username=settings.username,
        password=None
        if settings.password is None
        else settings_module.resolve(settings.password, where=f"{where}.password"),
        mechanism=settings.mechanism,
        tls=settings.tls,
        options=settings.options,
    )


def _spark_streams(workspace: Workspace) -> bool:
    """Tell whether Spark reads the streams: over Connect their batches would come to its server."""
    return workspace.settings.engine == "spark" and workspace.settings.spark.remote is None


def _offsets(workspace: Workspace, name: str) -> Offsets:
    return Offsets.from_bytes(workspace.remembered(OFFSETS_STATE, scope=name))


def _take_in_files(
    workspace: Workspace, source: SourceSettings, request: IntakeRequest
) -> ArrivalReport:
    if _spark_streams(workspace):
        return _files_by_spark(workspace, source, request)
    patterns = [str(workspace.folder / pattern) for pattern in source.files]
    arrivals = files_there(patterns, zone=workspace.now())
    with workspace.step(STEP) as step:
        return take_in_arrivals(step, arrivals, request)


def _take_in_topics(
    workspace: Workspace, settings: KafkaSettings, request: IntakeRequest
) -> StreamReport:
    def open_step() -> AbstractContextManager[StepRun]:
        return workspace.step(STEP)

    place = kafka_place(settings, request.source)
    if _spark_streams(workspace):
        return _by_spark(workspace, place, request, batch_rows=settings.batch)
    reader = KafkaReader(place, source=request.source)
    try:
        return drain(
            reader,
            open_step,
            request,
            committed=lambda: _offsets(workspace, request.source),
            batch_rows=settings.batch,
        )
    finally:
        reader.close()


def _by_spark(
    workspace: Workspace, place: KafkaPlace, request: IntakeRequest, *, batch_rows: int
) -> StreamReport:
    from closeloop.connectors.sources.spark_streams import drain_kafka

    report = StreamReport(source=request.source)

    def on_batch(messages: pa.Table) -> None:
        with workspace.step(STEP) as step:
            taken = take_in_messages(step, messages, request)
        report.taken.add(taken)

    report.batches = drain_kafka(
        workspace.spark_session(),
        spark_options(place),
        on_batch,
        checkpoint=checkpoint(workspace, request.source, "topics"),
        batch_rows=batch_rows,
    )
    return report


def checkpoint(workspace: Workspace, source: str, kind: str) -> str:
    """Return where Spark notes how far it has handed a stream over."""
    root = workspace.settings.spark.checkpoints
    if root is None:
        root = str((workspace.folder / PRIVATE_FOLDER / "checkpoints").resolve())
    return f"{root}/{source}/{kind}"


def spark_options(place: KafkaPlace) -> Mapping[str, str]:
    """Return what Spark's Kafka source is told of a place; on Databricks the classes are shaded."""
    options = {"kafka.bootstrap.servers": place.servers, "subscribe": ",".join(place.topics)}
    options["kafka.isolation.level"] = "read_committed"
    if place.tls or place.username is not None:
        secured = "SASL_" if place.username is not None else ""
        options["kafka.security.protocol"] = secured + (
            "SSL" if place.tls else "PLAINTEXT" if secured else ""
        )
    if place.username is not None:
        module = (
            "plain.PlainLoginModule" if place.mechanism == "PLAIN" else "scram.ScramLoginModule"
        )
        login = f"org.apache.kafka.common.security.{module}"
        user, password = (_escaped(v or "") for v in (place.username, place.password))
        options["kafka.sasl.mechanism"] = place.mechanism
        options["kafka.sasl.jaas.config"] = (
            f'{login} required username="{user}" password="{password}";'
        )
    return options | {f"kafka.{name}": value for name, value in place.options.items()}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _files_by_spark(
    workspace: Workspace, source: SourceSettings, request: IntakeRequest
) -> ArrivalReport:
    """Take in the files that Spark's file source, or Auto Loader, finds in a source's folders."""
    from closeloop.connectors.sources.spark_streams import drain_files
    from closeloop.engines.databricks import AUTO_LOADER

    report = ArrivalReport()

    def on_files(arrivals: list[Arrival]) -> None:
        with workspace.step(STEP) as step:
            taken = take_in_arrivals(step, arrivals, request)
        report.add(taken)

    for number, folder in enumerate(source.files):
        drain_files(
            workspace.spark_session(),
            folder if folder.startswith("/") else str(workspace.folder / folder),
            on_files,
            checkpoint=checkpoint(workspace, request.source, f"files-{number}"),
            auto_loader=AUTO_LOADER if workspace.settings.spark.catalog is not None else None,
        )
    return report
