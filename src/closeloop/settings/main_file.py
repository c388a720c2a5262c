"""What closeloop.yaml may hold."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from closeloop.settings.values import (
    REFERENCE,
    Duration,
    Strict,
    reference,
    zone,
)


class ProductSettings(Strict):
    """One product of `products:`."""

    id: str
    name: str | None = None
    aliases: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    components: tuple[str, ...] = ()


class KafkaSettings(Strict):
    """Topics of Kafka or Event Hubs that a source comes from."""

    topics: tuple[str, ...] = Field(min_length=1)
    servers: str | None = None
    connection_string: str | None = None
    username: str | None = None
    password: str | None = None
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    tls: bool = False
    batch: int = Field(20_000, ge=1, le=1_000_000)
    options: dict[str, str] = Field(default_factory=dict)

    @field_validator("connection_string", "password")
    @classmethod
    def _only_a_reference(cls, value: str | None) -> str | None:
        if value is not None and not REFERENCE.fullmatch(value):
            raise ValueError("a secret is never written here; refer to it as ${env:NAME}")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> KafkaSettings:
        if (self.servers is None) == (self.connection_string is None):
            raise ValueError("give servers (Kafka), or connection_string (Event Hubs)")
        return self


class SourceSettings(Strict):
    """One source of `sources:`."""

    timezone: str = "UTC"
    lag: Duration = timedelta(0)
    backfill_after: Duration = timedelta(days=3)
    trust: float = Field(1.0, ge=0, le=1)
    channel: str = "review"
    time_format: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    product: str | None = None
    files: tuple[str, ...] = ()
    kafka: KafkaSettings | None = None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return zone(value)


class IngestSettings(Strict):
    """Limits of what is taken in."""

    max_payload_bytes: int = Field(1_000_000, gt=0)
    max_future: Duration = timedelta(hours=26)


class PiiRuleSettings(Strict):
    """One masking rule of the workspace's own."""

    name: str
    pattern: str
    token: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    joinable: bool = False

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"no valid regular expression: {error}") from error
        return value


class PiiModelSettings(Strict):
    """A model that finds personal data beside the rules."""

    kind: Literal["onnx", "presidio"]
    folder: str | None = None
    spacy_model: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    language: str = Field("en", pattern=r"^[a-z]{2}$")
    labels: dict[str, Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]] | None = None
    min_score: float | None = Field(None, gt=0, le=1)
    ask: Literal["names", "numbers", "all"] | None = None
    threads: int | None = Field(None, gt=0)


class PiiSettings(Strict):
    """Masking."""

    rules: tuple[PiiRuleSettings, ...] = ()
    model: PiiModelSettings | None = None


class EmbedderSettings(Strict):
    """Which model turns texts into vectors."""

    kind: Literal["minilm", "onnx", "azure_openai", "openai"] = "minilm"
    folder: str | None = None
    threads: int | None = Field(None, gt=0)
    at_once: int = Field(20_000, ge=2_000)
    sample: int = Field(12_000, ge=2_000)
    second_looks: int = Field(1_000, ge=0)
    student_agreement: float = Field(0.7, ge=0, le=1)
    prefix: str = Field("", max_length=200)
    endpoint: str | None = None
    deployment: str | None = None
    model: str | None = None
    auth: Literal["key", "entra"] = "key"
    api_key: str | None = None
    token_scope: str | None = None
    dimensions: int | None = Field(None, gt=0, le=16_384)
    max_text_bytes: int | None = Field(None, ge=64, le=8_191)
    requests_per_minute: int | None = Field(None, gt=0)
    tokens_per_minute: int | None = Field(None, gt=0)
    timeout: Duration = timedelta(seconds=60)
    max_wait: Duration = timedelta(minutes=5)

    @field_validator("api_key")
    @classmethod
    def _only_a_reference(cls, value: str | None) -> str | None:
        return reference(value)


class BudgetSettings(Strict):
    """What language models may cost, in US dollars and in calls."""

    daily_usd: float = Field(2.0, ge=0)
    per_run_usd: float = Field(1.0, ge=0)
    max_calls_a_day: int = Field(2_000, ge=0)


class WriterSettings(Strict):
    """Which language model writes briefs and judges pairs; by default none does."""

    kind: Literal["deterministic", "azure_openai", "openai"] = "deterministic"
    endpoint: str | None = None
    deployment: str | None = None
    batch_deployment: str | None = None
    model: str | None = None
    auth: Literal["key", "entra"] = "key"
    api_key: str | None = None
    token_scope: str | None = None
    api: Literal["responses", "chat"] = "responses"
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = (
        None
    )
    reasoning_tokens: int = Field(0, ge=0, le=100_000)
    max_output_tokens: int | None = Field(None, ge=16, le=100_000)
    requests_per_minute: int | None = Field(None, gt=0)
    tokens_per_minute: int | None = Field(None, gt=0)
    timeout: Duration = timedelta(minutes=2)
    max_wait: Duration = timedelta(minutes=2)
    budget: BudgetSettings = BudgetSettings()

    @field_validator("api_key")
    @classmethod
    def _only_a_reference(cls, value: str | None) -> str | None:
        return reference(value)

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, value: timedelta) -> timedelta:
        if value <= timedelta(0):
            raise ValueError("give the model some time, e.g. 2m")
        return value


class TracingSettings(Strict):
    """Where OpenTelemetry spans go; nowhere by default."""

    exporter: Literal["none", "console", "otlp"] = "none"
    endpoint: str | None = None
    include_texts: bool = False


class StorageSettings(Strict):
    """Where tables and the operational database live; relative to the workspace."""

    lake: str = "lake"
    database: str = "sqlite:///closeloop.db"
    database_endpoint: str | None = Field(
        None, pattern=r"^projects/[^/]+/branches/[^/]+/endpoints/[^/]+$"
    )
    vector_cache: str = "cache/vectors"


class SparkSettings(Strict):
    """Where Spark is, for `engine: spark`."""

    remote: str | None = Field(None, pattern=r"^sc://")
    master: str = "local[*]"
    jars: str | None = None
    driver_memory: str = Field("2g", pattern=r"^\d+[mg]$")
    catalog: str | None = Field(None, min_length=1)
    view_catalog: str | None = Field(None, min_length=1)
    checkpoints: str | None = None
    conf: dict[str, str] = Field(default_factory=dict)


class ThemeSettings(Strict):
    """Themes."""

    min_texts: int = Field(200, ge=20)


class Settings(Strict):
    """All of closeloop.yaml."""

    timezone: str = "UTC"
    default_product: str = "default"
    products: tuple[ProductSettings, ...] = ()
    sources: dict[str, SourceSettings] = Field(default_factory=dict)
    ingest: IngestSettings = IngestSettings()
    pii: PiiSettings = PiiSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    writer: WriterSettings = WriterSettings()
    tracing: TracingSettings = TracingSettings()
    storage: StorageSettings = StorageSettings()
    engine: Literal["local", "spark"] = "local"
    spark: SparkSettings = SparkSettings()
    themes: ThemeSettings = ThemeSettings()
    retention: Duration | None = None
    seed: int = 7

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        return zone(value)
