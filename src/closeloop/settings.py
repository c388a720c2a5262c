"""One typed tree from a workspace's files; secrets only by reference; errors name file and line."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from closeloop.domain.configuration import Configuration, PiiRule
from closeloop.domain.feedback import SourceProfile
from closeloop.domain.policy import DEFAULT_TIERS, Action, Policy, Rule, SeverityWeights
from closeloop.domain.product import OwnerRule, Owners, Product
from closeloop.domain.signal import Severity
from closeloop.domain.taxonomy import Category, Taxonomy
from closeloop.errors import SettingsError, redact

MAIN_FILE = "closeloop.yaml"
FILES = (MAIN_FILE, "taxonomy.yaml", "owners.yaml", "policy.yaml")

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|w)\s*$")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_REFERENCE = re.compile(r"\$\{(env|file|databricks):([^}]*)\}")


def duration(value: object) -> timedelta:
    """Return a duration written as 90s, 15m, 26h, 3d or 2w. Raises ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(str(value))
    if match is None:
        raise ValueError("give a number and a unit: 90s, 15m, 26h, 3d or 2w")
    return timedelta(seconds=float(match[1]) * _UNIT_SECONDS[match[2]])


Duration = Annotated[timedelta, BeforeValidator(duration)]


def resolve(text: str, *, where: str) -> str:
    """Return text with ${env:NAME} and ${file:PATH} replaced by what they refer to.

    Raises SettingsError naming the reference, never the value, where one can't be resolved.
    """

    def one(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        if kind == "env":
            value = os.environ.get(name)
            if value is None:
                raise SettingsError(
                    f"{where}: the environment variable {name} is not set",
                    hint=f"export {name}=… and run again",
                )
            return value
        if kind == "file":
            try:
                return Path(name).expanduser().read_text(encoding="utf-8").strip()
            except OSError as error:
                raise SettingsError(
                    f"{where}: the file {name} can't be read ({error.strerror})",
                    hint="check the path and its permissions",
                ) from error
        return _databricks_secret(name, where=where)

    return _REFERENCE.sub(one, text)


def _databricks_secret(name: str, *, where: str) -> str:
    from closeloop.engines.databricks import secret

    scope, _, key = name.partition("/")
    try:
        return secret(scope, key)
    except ImportError as error:
        raise SettingsError(
            f"{where}: ${{databricks:…}} can be resolved on Databricks only",
            hint="use ${env:NAME} or ${file:PATH} on this machine",
        ) from error


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProductSettings(_Strict):
    """One product of `products:`."""

    id: str
    name: str | None = None
    aliases: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    components: tuple[str, ...] = ()


class KafkaSettings(_Strict):
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
        if value is not None and not _REFERENCE.fullmatch(value):
            raise ValueError("a secret is never written here; refer to it as ${env:NAME}")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> KafkaSettings:
        if (self.servers is None) == (self.connection_string is None):
            raise ValueError("give servers (Kafka), or connection_string (Event Hubs)")
        return self


class SourceSettings(_Strict):
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
        return _zone(value)


class IngestSettings(_Strict):
    """Limits of what is taken in."""

    max_payload_bytes: int = Field(1_000_000, gt=0)
    max_future: Duration = timedelta(hours=26)


class PiiRuleSettings(_Strict):
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


class PiiModelSettings(_Strict):
    """A model that finds personal data beside the rules."""

    kind: Literal["onnx", "presidio"]
    folder: str | None = None
    spacy_model: str | None = Field(None, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    language: str = Field("en", pattern=r"^[a-z]{2}$")
    labels: dict[str, Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]] | None = None
    min_score: float | None = Field(None, gt=0, le=1)
    ask: Literal["names", "numbers", "all"] | None = None
    threads: int | None = Field(None, gt=0)


class PiiSettings(_Strict):
    """Masking."""

    rules: tuple[PiiRuleSettings, ...] = ()
    model: PiiModelSettings | None = None


class EmbedderSettings(_Strict):
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
        return _reference(value)


class BudgetSettings(_Strict):
    """What language models may cost, in US dollars and in calls."""

    daily_usd: float = Field(2.0, ge=0)
    per_run_usd: float = Field(1.0, ge=0)
    max_calls_a_day: int = Field(2_000, ge=0)


class WriterSettings(_Strict):
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
        return _reference(value)

    @field_validator("timeout")
    @classmethod
    def _some_time(cls, value: timedelta) -> timedelta:
        if value <= timedelta(0):
            raise ValueError("give the model some time, e.g. 2m")
        return value


class TracingSettings(_Strict):
    """Where OpenTelemetry spans go; nowhere by default."""

    exporter: Literal["none", "console", "otlp"] = "none"
    endpoint: str | None = None
    include_texts: bool = False


class StorageSettings(_Strict):
    """Where tables and the operational database live; relative to the workspace."""

    lake: str = "lake"
    database: str = "sqlite:///closeloop.db"
    database_endpoint: str | None = Field(
        None, pattern=r"^projects/[^/]+/branches/[^/]+/endpoints/[^/]+$"
    )
    vector_cache: str = "cache/vectors"


class SparkSettings(_Strict):
    """Where Spark is, for `engine: spark`."""

    remote: str | None = Field(None, pattern=r"^sc://")
    master: str = "local[*]"
    jars: str | None = None
    driver_memory: str = Field("2g", pattern=r"^\d+[mg]$")
    catalog: str | None = Field(None, min_length=1)
    view_catalog: str | None = Field(None, min_length=1)
    checkpoints: str | None = None
    conf: dict[str, str] = Field(default_factory=dict)


class ThemeSettings(_Strict):
    """Themes."""

    min_texts: int = Field(200, ge=20)


class Settings(_Strict):
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
        return _zone(value)


class CategorySettings(_Strict):
    """One category of taxonomy.yaml."""

    name: str
    description: str
    examples: tuple[str, ...] = Field(min_length=1)
    complaint: bool = True
    impact: float = Field(0.5, ge=0, le=1)
    words: tuple[str, ...] = ()
    alone: bool = False


class TaxonomySettings(_Strict):
    """All of taxonomy.yaml."""

    name: str = "taxonomy"
    categories: tuple[CategorySettings, ...] = Field(min_length=2)


class OwnerSettings(_Strict):
    """One rule of owners.yaml."""

    owner: str
    category: str | None = None
    product: str | None = None
    component: str | None = None
    words: tuple[str, ...] = ()
    contact: str | None = None
    tracker_project: str | None = None


class OwnersSettings(_Strict):
    """All of owners.yaml."""

    name: str = "owners"
    default_owner: str = "triage"
    rules: tuple[OwnerSettings, ...] = ()


SEGMENT_COLUMNS = ("region", "sku", "fulfilment_centre", "customer_tier", "platform", "version")
"""Columns of feedback in which a signal's complaints may concentrate."""


def _segment(value: str) -> str:
    column, equals, name = (part.strip() for part in value.partition("="))
    if column not in SEGMENT_COLUMNS or (equals and not name):
        raise ValueError(f"write column=value, the column one of {', '.join(SEGMENT_COLUMNS)}")
    return f"{column}={name}" if equals else column


class RuleSettings(_Strict):
    """One rule of policy.yaml."""

    name: str
    action: Action
    min_confidence: float | None = Field(None, ge=0, le=1)
    min_ratio_6h: float | None = Field(None, ge=0)
    min_count: int | None = Field(None, ge=1)
    min_authors: int | None = Field(None, ge=1)
    severities: tuple[Severity, ...] = ()
    categories: tuple[str, ...] = ()
    kinds: tuple[Literal["theme", "category", "segment", "release"], ...] = ()
    products: tuple[str, ...] = ()
    require_fdr: bool = False
    min_reviews_a_side: int | None = Field(None, ge=1)
    tiers: tuple[str, ...] = ()
    min_tier_authors: int | None = Field(None, ge=1)
    min_revenue: float | None = Field(None, gt=0)
    segments: tuple[Annotated[str, AfterValidator(_segment)], ...] = ()

    @model_validator(mode="after")
    def _tiers_are_named(self) -> RuleSettings:
        if self.min_tier_authors is not None and not self.tiers:
            raise ValueError("min_tier_authors counts authors of tiers; name them in 'tiers'")
        return self


class WeightSettings(_Strict):
    """Weights of severity's visible terms, and the points from which a severity starts."""

    sentiment: float = Field(15.0, ge=0)
    size: float = Field(25.0, ge=0)
    acceleration: float = Field(10.0, ge=0)
    customers: float = Field(15.0, ge=0)
    revenue: float = Field(10.0, ge=0)
    tier: float = Field(10.0, ge=0)
    recency: float = Field(5.0, ge=0)
    impact: float = Field(25.0, ge=0)
    release: float = Field(10.0, ge=0)
    safety: float = Field(40.0, ge=0)
    p1: float = Field(70.0, ge=0)
    p2: float = Field(50.0, ge=0)
    p3: float = Field(30.0, ge=0)
    full_order_value: float = Field(10_000.0, gt=0)
    tiers: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=lambda: dict(DEFAULT_TIERS)
    )


class PolicySettings(_Strict):
    """All of policy.yaml."""

    name: str = "policy"
    false_alarms_per_month: float = Field(1.0, gt=0)
    fdr: float = Field(0.1, gt=0, lt=1)
    labels_for_autonomy: int = Field(100, ge=1)
    precision_for_autonomy: float = Field(0.85, ge=0, le=1)
    min_trust: float = Field(0.5, ge=0, le=1)
    snooze: Duration = timedelta(days=7)
    sla_hours: dict[Severity, int] = Field(
        default_factory=lambda: {
            Severity.P1: 24,
            Severity.P2: 72,
            Severity.P3: 240,
            Severity.P4: 720,
        }
    )
    weights: WeightSettings = WeightSettings()
    rules: tuple[RuleSettings, ...] = Field(min_length=1)


def _reference(value: str | None) -> str | None:
    if value is not None and not _REFERENCE.fullmatch(value):
        raise ValueError("a secret is never written here; refer to it as ${env:NAME}")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("no known time zone; write it like Europe/Berlin or UTC") from error
    return value


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings of a workspace and the configuration that stages are handed."""

    settings: Settings
    configuration: Configuration


def default_text(name: str) -> str:
    """Return the text of a default file, as `closeloop init` writes it."""
    return files("closeloop").joinpath("defaults", name).read_text(encoding="utf-8")


def load(folder: Path) -> LoadedSettings:
    """Return the settings of a workspace; a file that is absent counts as its default.

    Raises SettingsError with file, line, place, value and what to write instead.
    """
    main, _ = parse_file(folder, MAIN_FILE, Settings)
    taxonomy, taxonomy_version = parse_file(folder, "taxonomy.yaml", TaxonomySettings)
    owners, owners_version = parse_file(folder, "owners.yaml", OwnersSettings)
    policy, policy_version = parse_file(folder, "policy.yaml", PolicySettings)
    _check_names(policy, owners, taxonomy)
    return LoadedSettings(
        settings=main,
        configuration=Configuration(
            products=tuple(
                Product(p.id, p.name or p.id, p.aliases, p.platforms, p.components)
                for p in main.products
            ),
            sources=tuple(
                SourceProfile(
                    name=name,
                    timezone=s.timezone,
                    lag=s.lag,
                    backfill_after=s.backfill_after,
                    trust=s.trust,
                    channel=s.channel,
                    time_format=s.time_format,
                )
                for name, s in sorted(main.sources.items())
            ),
            taxonomy=Taxonomy(
                categories=tuple(Category(**c.model_dump()) for c in taxonomy.categories),
                version=taxonomy_version,
            ),
            owners=Owners(
                rules=tuple(OwnerRule(**r.model_dump()) for r in owners.rules),
                default_owner=owners.default_owner,
                version=owners_version,
            ),
            policy=_policy(policy, policy_version),
            pii_rules=tuple(PiiRule(**r.model_dump()) for r in main.pii.rules),
            default_product=main.default_product,
            max_payload_bytes=main.ingest.max_payload_bytes,
            max_future=main.ingest.max_future,
            retention=main.retention,
            theme_min_texts=main.themes.min_texts,
            embed_at_once=main.embedder.at_once,
            student_sample=main.embedder.sample,
            second_looks=main.embedder.second_looks,
            student_agreement=main.embedder.student_agreement,
            seed=main.seed,
        ),
    )


def load_policy(path: Path, *, configuration: Configuration) -> tuple[Policy, tuple[int, ...]]:
    """Return the policy in a file, and the line of each of its rules.

    Its names are checked against a workspace's taxonomy. Raises SettingsError with file, line,
    place, value and what to write instead.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: no such file", hint="name a policy.yaml")
    policy, version = parse_file(path.parent, path.name, PolicySettings)
    known = [c.name for c in configuration.taxonomy.categories]
    tree = yaml.compose(path.read_text(encoding="utf-8"))
    for number, rule in enumerate(policy.rules):
        line = _line(tree, ("rules", number, "categories"))
        _check_categories(f"{path}:{line}: rules.{number}", rule.categories, known)
    lines = tuple(_line(tree, ("rules", n)) or 1 for n in range(len(policy.rules)))
    return _policy(policy, version), lines


def _policy(policy: PolicySettings, version: str) -> Policy:
    return Policy(
        rules=tuple(Rule(**r.model_dump()) for r in policy.rules),
        version=version,
        false_alarms_per_month=policy.false_alarms_per_month,
        fdr=policy.fdr,
        labels_for_autonomy=policy.labels_for_autonomy,
        precision_for_autonomy=policy.precision_for_autonomy,
        min_trust=policy.min_trust,
        snooze=policy.snooze,
        weights=SeverityWeights(
            **policy.weights.model_dump() | {"tiers": tuple(sorted(policy.weights.tiers.items()))}
        ),
        sla_hours=tuple(sorted(policy.sla_hours.items())),
    )


def _check_names(
    policy: PolicySettings, owners: OwnersSettings, taxonomy: TaxonomySettings
) -> None:
    known = [c.name for c in taxonomy.categories]
    if len(set(known)) != len(known):
        twice = sorted({n for n in known if known.count(n) > 1})
        raise SettingsError(f"taxonomy.yaml: the category {twice[0]!r} is there twice")
    named = [
        (f"policy.yaml: rules[{i}]", c) for i, r in enumerate(policy.rules) for c in r.categories
    ]
    named += [
        (f"owners.yaml: rules[{i}]", r.category) for i, r in enumerate(owners.rules) if r.category
    ]
    for where, category in named:
        _check_categories(where, (category,), known)


def _check_categories(where: str, categories: Sequence[str], known: list[str]) -> None:
    for category in categories:
        if category not in known:
            raise SettingsError(
                f"{where}: no category {redact(category)!r} in taxonomy.yaml",
                hint=_did_you_mean(category, known) or f"categories: {', '.join(known)}",
            )


Model = TypeVar("Model", bound=BaseModel)


def parse_file(folder: Path, name: str, model: type[Model]) -> tuple[Model, str]:
    """Return what a file of a workspace says, and its version; an absent file counts as its default.

    Raises SettingsError with file, line, place, value and what to write instead.
    """
    path = folder / name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = default_text(name)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: can't be read: {error}") from error
    try:
        raw = yaml.safe_load(text)
        tree = yaml.compose(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise SettingsError(f"{path}{line}: no valid YAML: {problem}") from error
    if raw is None:
        raw = {}
    if not isinstance(raw, Mapping):
        raise SettingsError(f"{path}: holds {type(raw).__name__}, not settings by name")
    try:
        parsed = model.model_validate(raw)
    except ValidationError as error:
        raise _explain(path, error, tree, model) from error
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    label = raw.get("name", path.stem)
    return parsed, f"{label}@{digest}"


_NEVER_SHOWN = ("api_key", "password", "connection_string", "kafka")
"""Settings whose value stands in no message."""


def _explain(
    path: Path, error: ValidationError, tree: yaml.Node | None, model: type[BaseModel]
) -> SettingsError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    line = _line(tree, first["loc"])
    at_line = f":{line}" if line else ""
    more = f" ({error.error_count() - 1} more after this one)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = list(_fields(model, first["loc"][:-1]))
        return SettingsError(
            f"{path}{at_line}: there is no setting {place!r}{more}",
            hint=_did_you_mean(str(first["loc"][-1]), known)
            or f"settings here: {', '.join(known)}",
        )
    message = str(first["msg"]).removeprefix("Value error, ")
    silent = first["type"] == "missing" or first["loc"][-1] in _NEVER_SHOWN
    value = "" if silent else f" (found {redact(first.get('input'))!r})"
    return SettingsError(f"{path}{at_line}: {place}: {message}{value}{more}")


def _fields(model: type[BaseModel], location: tuple[int | str, ...]) -> Iterator[str]:
    current: Any = model
    for part in location:
        if isinstance(part, str) and isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(part)
            if field is None:
                continue
            current = field.annotation
        current = _inner_model(current)
    if isinstance(current, type) and issubclass(current, BaseModel):
        yield from current.model_fields


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return annotation


def _line(tree: yaml.Node | None, location: tuple[int | str, ...]) -> int | None:
    node = tree
    line = None
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif (
            isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value)
        ):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else ""
