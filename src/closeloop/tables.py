"""Every Delta table, declared once: schemas, documentation and the catalogue come from here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

WriteMode = Literal["append", "merge", "replace"]
Personal = Literal["direct", "pseudonym", "residual", "staff"]
"""How a column can concern a person: as delivered, a customer's words or identity (direct); a keyed
token in the place of one (pseudonym); masked text and what was made of it, where the masker may have
overlooked something (residual); the name of one of your own people (staff)."""

TEXT = pa.string()
INT = pa.int64()
REAL = pa.float64()
FLAG = pa.bool_()
TIME = pa.timestamp("us", tz="UTC")
BLOB = pa.binary()
TEXTS = pa.list_(pa.string())
VECTOR = pa.list_(pa.float32())


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `operational` columns are left out when two tables are compared.

    `personal` says how it can concern a person; None where it can't.
    """

    name: str
    type: pa.DataType
    doc: str
    operational: bool = False
    personal: Personal | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """One Delta table with its meaning, key, write mode and partitioning."""

    layer: str
    name: str
    doc: str
    key: tuple[str, ...]
    mode: WriteMode
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """`layer.name`, as it is written in SQL."""
        return f"{self.layer}.{self.name}"

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, every column nullable (Delta keeps no other promise on both engines)."""
        return pa.schema([(c.name, c.type) for c in self.columns])

    def empty(self) -> pa.Table:
        """Return a table of this schema without rows."""
        return self.schema.empty_table()

    def from_rows(self, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
        """Return rows as an Arrow table of this schema; absent columns are null."""
        return pa.Table.from_pylist([dict(r) for r in rows], schema=self.schema)

    def conform(self, rows: pa.Table) -> pa.Table:
        """Return rows with this table's columns in order, cast; absent columns null, others cut."""
        arrays = []
        for field in self.schema:
            if field.name in rows.column_names:
                column = rows.column(field.name)
                arrays.append(column if column.type == field.type else column.cast(field.type))
            else:
                arrays.append(pa.nulls(rows.num_rows, field.type))
        return pa.Table.from_arrays(arrays, schema=self.schema)


def _c(name: str, type_: pa.DataType, doc: str, personal: Personal | None = None) -> Column:
    return Column(name, type_, doc, personal=personal)


BATCH = Column("batch_id", INT, "ledger step that wrote the row; grows with time", operational=True)

SEGMENTS = (
    _c("platform", TEXT, "android, ios, web, …"),
    _c("device", TEXT, "device model as delivered"),
    _c("channel", TEXT, "review, ticket, survey, social, …"),
    _c("order_ref", TEXT, "order number; keyed token in silver", "pseudonym"),
    _c("order_value", REAL, "value of the order, in the shop's currency"),
    _c("sku", TEXT, "article"),
    _c("region", TEXT, "region or country"),
    _c("fulfilment_centre", TEXT, "where the order was packed"),
    _c("customer_tier", TEXT, "free, gold, enterprise, …"),
    _c("flag_states", TEXT, "JSON object: flag name to state, as delivered"),
)

BRONZE_FEEDBACK = Table(
    "bronze",
    "feedback",
    "Feedback as delivered: payload verbatim, mapped columns, nothing interpreted.",
    ("bronze_id",),
    "append",
    (
        _c("bronze_id", TEXT, "hash(source, source_id, payload)"),
        _c("feedback_id", TEXT, "hash(source, source_id)"),
        _c("source", TEXT, "name given at ingestion"),
        _c("source_id", TEXT, "the source's id; row:… where it gave none", "direct"),
        _c("payload", TEXT, "the row verbatim (JSON of all its fields, or the raw line)", "direct"),
        _c("text", TEXT, "mapped text, not masked", "direct"),
        _c("rating", REAL, "mapped rating as delivered"),
        _c("author", TEXT, "mapped author, not masked", "direct"),
        _c("event_time", TIME, "when it was written, UTC"),
        _c("event_time_raw", TEXT, "the time as delivered"),
        _c("updated_at", TIME, "when it was edited, UTC"),
        Column("ingested_at", TIME, "when closeloop took it in", operational=True),
        _c("locale", TEXT, "language or locale as delivered"),
        _c("product", TEXT, "product name as delivered"),
        _c("version", TEXT, "version as delivered"),
        *SEGMENTS,
        _c(
            "defect",
            TEXT,
            "why a field could not be read ('reason: detail'), null where all could",
            "direct",
        ),
        _c("file", TEXT, "name of the file it came from"),
        _c("line", INT, "row number in that file, from 1"),
        BATCH,
    ),
)

QUARANTINE = Table(
    "silver",
    "quarantine",
    "Rows that can't be used, with the reason; they can be cured and taken in again.",
    ("bronze_id",),
    "merge",
    (
        _c("bronze_id", TEXT, "the bronze row"),
        _c("feedback_id", TEXT, "hash(source, source_id)"),
        _c("source", TEXT, ""),
        _c("source_id", TEXT, "", "direct"),
        _c("reason", TEXT, "one of QuarantineReason"),
        _c("detail", TEXT, "what was wrong, value redacted", "residual"),
        _c("payload", TEXT, "verbatim", "direct"),
        _c("file", TEXT, "name of the file it came from"),
        _c("line", INT, "row number in that file"),
        Column("ingested_at", TIME, "", operational=True),
        BATCH,
    ),
)

SUPERSEDED = Table(
    "silver",
    "superseded",
    "Bronze rows that bring nothing new: the same content again, or a row cured by a later one.",
    ("bronze_id",),
    "merge",
    (
        _c("bronze_id", TEXT, "the bronze row"),
        _c("feedback_id", TEXT, "hash(source, source_id)"),
        _c("reason", TEXT, "same_content, cured, or older_revision (came after a newer one)"),
        BATCH,
    ),
)

ENTITY = pa.struct([("type", TEXT), ("value", TEXT), ("start", INT), ("end", INT)])

FEEDBACK = Table(
    "silver",
    "feedback",
    "One row a revision: clean, masked text with its facts. The latest revision is a view.",
    ("feedback_id", "revision"),
    "append",
    (
        _c("feedback_id", TEXT, "hash(source, source_id)"),
        _c("revision", INT, "1, 2, … by the source's update time, then order of ingestion"),
        _c("bronze_id", TEXT, "the bronze row it comes from"),
        _c("source", TEXT, ""),
        _c("source_id", TEXT, "", "direct"),
        _c("product", TEXT, "product id after aliases"),
        _c("version", TEXT, "normalised version"),
        _c("event_time", TIME, "UTC"),
        _c("updated_at", TIME, "UTC"),
        _c("known_at", TIME, "when it could first have been known"),
        _c("text", TEXT, "clean text, PII masked", "residual"),
        _c("text_hash", TEXT, "xxh3-128 of the text; key of the vector cache"),
        _c("masker", TEXT, "version of the masker; null means the text may go nowhere"),
        _c("language", TEXT, "ISO 639-1, hi-Latn, or unknown"),
        _c("language_confidence", REAL, "0..1"),
        _c("rating", REAL, "1..5"),
        _c("locale", TEXT, "normalised: ll-CC"),
        _c(
            "entities",
            pa.list_(ENTITY),
            "versions, orders, products, components named in the text",
            "residual",
        ),
        _c("author_key", TEXT, "keyed hash of the author", "pseudonym"),
        _c("duplicate_of", TEXT, "feedback_id of the earlier text that this one repeats"),
        _c("campaign_id", TEXT, "feedback_id of the first of similar texts by several authors"),
        _c("trust", REAL, "0..1, weight of author and source"),
        *SEGMENTS,
        _c("backfill", FLAG, "older at ingestion than its source's limit: trains, never acts"),
        Column("ingested_at", TIME, "", operational=True),
        BATCH,
    ),
)

EMBEDDING = Table(
    "silver",
    "embedding",
    "The vector of each revision's text.",
    ("feedback_id", "revision"),
    "append",
    (
        _c("feedback_id", TEXT, ""),
        _c("revision", INT, ""),
        _c("model", TEXT, "embedding model and version"),
        _c("vector", VECTOR, "float32, length 1", "residual"),
        _c("words_hash", TEXT, "xxh3-128 of what was embedded, null where it was the whole text"),
        BATCH,
    ),
)

CATEGORY = pa.struct(
    [
        ("name", TEXT),
        ("description", TEXT),
        ("examples", TEXTS),
        ("complaint", FLAG),
        ("impact", REAL),
        ("words", TEXTS),
        ("alone", FLAG),
    ]
)
NAMED_CONFIDENCE = pa.struct([("category", TEXT), ("confidence", REAL)])

ENRICHMENT = Table(
    "silver",
    "enrichment",
    "What text and vector say: sentiment, urgency, category.",
    ("feedback_id", "revision"),
    "append",
    (
        _c("feedback_id", TEXT, ""),
        _c("revision", INT, ""),
        _c("product", TEXT, ""),
        _c("event_time", TIME, ""),
        _c("sentiment", REAL, "probability that the text is negative"),
        _c("sentiment_model", TEXT, ""),
        _c("urgency", REAL, "0..1: what is lost if nobody acts today"),
        _c("urgency_reasons", TEXTS, "the rules that fired"),
        _c("rating_conflict", FLAG, "text and stars disagree; the text decides"),
        _c("category", TEXT, "taxonomy category or unknown"),
        _c("category_confidence", REAL, "0..1"),
        _c("category_model", TEXT, "model and taxonomy version"),
        _c(
            "categories",
            pa.list_(NAMED_CONFIDENCE),
            "every category that the text has, the main one first; empty where unknown",
        ),
        _c("content_free", FLAG, "says nothing that could be acted on"),
        _c(
            "instructions_only",
            FLAG,
            "instructs a machine and says nothing else: counts for nothing",
        ),
        BATCH,
    ),
)

TAXONOMY = Table(
    "silver",
    "taxonomy",
    "Taxonomies as they were applied; the one with the highest number holds.",
    ("number",),
    "append",
    (
        _c("number", INT, "1, 2, …"),
        _c("version", TEXT, "name@digest of taxonomy.yaml"),
        _c("applied_at", TIME, ""),
        _c("applied_by", TEXT, "person, or closeloop for the first", "staff"),
        _c("categories", pa.list_(CATEGORY), "the categories as they were defined"),
        _c("texts", INT, "stored texts that were looked at"),
        _c("moved", INT, "of those, texts whose category changed"),
        BATCH,
    ),
)

ASSIGNMENT = Table(
    "silver",
    "assignment",
    "Which theme each revision belongs to. Later rows of the same key replace earlier ones.",
    ("feedback_id", "revision"),
    "merge",
    (
        _c("feedback_id", TEXT, ""),
        _c("revision", INT, ""),
        _c("product", TEXT, ""),
        _c("event_time", TIME, ""),
        _c("theme_id", TEXT, "null while the text waits for a theme"),
        _c("theme_confidence", REAL, "0..1, uncalibrated until labels exist"),
        _c("formed_theme", FLAG, "one of the texts that formed the theme: no evidence for it"),
        _c("model", TEXT, "theme model version"),
        BATCH,
    ),
)

THEME = Table(
    "silver",
    "theme",
    "Themes with lineage.",
    ("theme_id",),
    "merge",
    (
        _c("theme_id", TEXT, ""),
        _c("product", TEXT, ""),
        _c("label", TEXT, "its name, or its own distinguishing words", "residual"),
        _c("words", TEXT, "its own distinguishing words, whoever named it", "residual"),
        _c("size", INT, "texts assigned"),
        _c("first_seen", TIME, ""),
        _c("last_seen", TIME, ""),
        _c("born_at", TIME, "known time of the pass that made it"),
        _c("representative_ids", TEXTS, "feedback ids of central texts"),
        _c("named_by_person", FLAG, ""),
        _c("named_by", TEXT, "model that gave the label; null where a person or its words did"),
        _c("merged_into", TEXT, "theme that took it over"),
        _c("split_from", TEXT, "theme it was part of"),
        _c("content_free", FLAG, "its texts say nothing to act on"),
        _c("emerging", FLAG, "new within the theme it was split from; not kept for good yet"),
        BATCH,
    ),
)

CHANGE = Table(
    "silver",
    "change",
    "Releases, flags, incidents, articles, configuration changes.",
    ("change_id",),
    "merge",
    (
        _c("change_id", TEXT, ""),
        _c("kind", TEXT, "release, flag, incident, article, config"),
        _c("product", TEXT, ""),
        _c("name", TEXT, ""),
        _c("version", TEXT, ""),
        _c("platform", TEXT, ""),
        _c("region", TEXT, ""),
        _c("started_at", TIME, ""),
        _c("ended_at", TIME, ""),
        _c("rollout", TEXT, "JSON: [[hours after start, share of users], …]"),
        _c("notes", TEXT, "JSON: [{id, text, paths}, …], its commits or the lines of its notes"),
        _c("known_at", TIME, "when it could first have been known"),
        BATCH,
    ),
)

EXPOSURE = Table(
    "silver",
    "exposure",
    "Users, orders, installs per hour or day: what counts are in proportion to.",
    ("product", "version", "platform", "region", "start", "period"),
    "merge",
    (
        _c("product", TEXT, ""),
        _c("version", TEXT, "empty: all"),
        _c("platform", TEXT, "empty: all"),
        _c("region", TEXT, "empty: all"),
        _c("start", TIME, "start of the hour or day"),
        _c("period", TEXT, "hour or day"),
        _c("users", REAL, ""),
        _c("orders", REAL, ""),
        _c("installs", REAL, ""),
        BATCH,
    ),
)

STATE = Table(
    "silver",
    "state",
    "What steps remember between batches; versioned, bounded, rebuildable from bronze.",
    ("name", "scope", "version"),
    "append",
    (
        _c("name", TEXT, ""),
        _c("scope", TEXT, "product or empty"),
        _c("version", INT, ""),
        _c("input_versions", TEXT, "JSON: table to Delta version"),
        Column("made_at", TIME, "", operational=True),
        _c("blob", BLOB, "", "residual"),
        BATCH,
    ),
)

SERIES = Table(
    "gold",
    "series",
    "Complaints per product, series and hour; hours without any are absent.",
    ("product", "series_kind", "series_id", "hour"),
    "merge",
    (
        _c("product", TEXT, ""),
        _c("series_kind", TEXT, "total, category, theme"),
        _c("series_id", TEXT, "category name or theme id; all for total"),
        _c("hour", TIME, ""),
        _c("count", INT, "complaints"),
        _c(
            "exposure",
            REAL,
            "this hour's exposure in average days: the week's rhythm, times users or orders where known",
        ),
        _c("expected", REAL, "baseline of this hour"),
        BATCH,
    ),
)

SOURCE_HEALTH = Table(
    "gold",
    "source_health",
    "When a source delivered less than usual, too late, up to a limit, or something new.",
    ("product", "source", "ailment", "stratum", "started_at"),
    "merge",
    (
        _c("product", TEXT, ""),
        _c("source", TEXT, "name given at ingestion; empty: of all sources"),
        _c("ailment", TEXT, "silent, partial, missing, capped, backfilled, begins"),
        _c("stratum", TEXT, "a part of what it delivers ('rating=5'); empty: all"),
        _c("started_at", TIME, ""),
        _c("ended_at", TIME, "null while it lasts"),
        _c("known_at", TIME, "pass that told it first"),
        _c("observed", REAL, "pieces of feedback that came"),
        _c("expected", REAL, "pieces that are usual in that time; 0 where no number is"),
        _c("suspends", TEXTS, "verdicts not given meanwhile: signals, release watch, held"),
        _c("reason", TEXT, "in words"),
        BATCH,
    ),
)

SEVERITY_TERM = pa.struct(
    [("name", TEXT), ("value", REAL), ("weight", REAL), ("points", REAL), ("reason", TEXT)]
)

TIER_AUTHORS = pa.struct([("tier", TEXT), ("authors", INT)])

SIGNAL_FEEDBACK = _c("feedback_ids", TEXTS, "the newest 500 of the complaints it rests on")

SIGNAL = Table(
    "gold",
    "signal",
    "What rises, with its evidence.",
    ("signal_id",),
    "merge",
    (
        _c("signal_id", TEXT, ""),
        _c("product", TEXT, ""),
        _c("kind", TEXT, "theme, category, segment, release"),
        _c("series_id", TEXT, ""),
        _c("theme_id", TEXT, "may be null"),
        _c("category", TEXT, ""),
        _c("version", TEXT, "of a release signal"),
        _c("segment", TEXT, "'region=IN: 91%' where complaints concentrate"),
        _c("segments", TEXTS, "the same as 'region=IN' only, for rules"),
        _c("order_value", REAL, "what the orders that its complaints name are worth together"),
        _c("tiers", pa.list_(TIER_AUTHORS), "authors of each customer tier that is known"),
        _c("parent_id", TEXT, "signal of the same problem or cause that was first"),
        _c("state", TEXT, "growing, lasting, calming, over, resumed; null while not known"),
        _c("state_since", TIME, "pass at which it came into that state"),
        _c("window_start", TIME, ""),
        _c("window_end", TIME, ""),
        _c("count", INT, "complaints in the window"),
        _c("baseline", REAL, "expected complaints in the window"),
        _c("ratio", REAL, "count over baseline (baseline held at .5 at least)"),
        _c("count_6h", INT, "complaints in the six hours that end at window_end"),
        _c("baseline_6h", REAL, ""),
        _c("share", REAL, "its part of all feedback in the detector's window"),
        _c("usual_share", REAL, "its usual part of all feedback"),
        _c(
            "exposure_ratio",
            REAL,
            "users or orders in the window over the usual; null where none are known",
        ),
        _c("detector", TEXT, "shiryaev-roberts, daily-peaks or release-watch"),
        _c("evidence", REAL, "an e-value; of daily peaks 1 over the alarms a month by chance"),
        _c("threshold", REAL, "what evidence had to reach"),
        _c("family_size", INT, "series tested beside it"),
        _c("fdr_pass", FLAG, "e-BH at the policy's q"),
        _c("confidence", REAL, "theme confidence"),
        _c("confidence_calibrated", FLAG, ""),
        _c("authors", INT, "distinct authors in the window (texts where authors are unknown)"),
        _c("trust", REAL, "mean weight of the complaints, 0..1: campaigns and repeats count less"),
        _c("oddities", TEXTS, "what is odd about who speaks, in words"),
        _c("severity", TEXT, "P1..P4"),
        _c("severity_terms", pa.list_(SEVERITY_TERM), ""),
        _c("reviews_exposed", INT, "release signal: reviews on the version"),
        _c("reviews_unexposed", INT, "release signal: reviews it is compared with"),
        SIGNAL_FEEDBACK,
        _c("historic", FLAG, "of backfilled rows: never acted on"),
        _c("detected_at", TIME, ""),
        BATCH,
    ),
)

ATTRIBUTION = Table(
    "gold",
    "attribution",
    "Candidates for each signal; change_id null is 'none of these'.",
    ("signal_id", "kind", "name"),
    "merge",
    (
        _c("signal_id", TEXT, ""),
        _c("change_id", TEXT, ""),
        _c("kind", TEXT, "kind of change, or none"),
        _c("name", TEXT, ""),
        _c("effect", REAL, "odds ratio, exposed against unexposed at the same time"),
        _c("effect_low", REAL, "95%"),
        _c("effect_high", REAL, "95%"),
        _c("exposed", INT, "reviews"),
        _c("unexposed", INT, "reviews"),
        _c("posterior", REAL, ""),
        _c("blamed", FLAG, "reached the threshold of blame"),
        _c("reasons", TEXTS, ""),
        BATCH,
    ),
)

SUSPECT = Table(
    "gold",
    "suspect",
    "Commits or notes of the change that is likely behind a signal, the most suspect first.",
    ("signal_id", "place"),
    "merge",
    (
        _c("signal_id", TEXT, ""),
        _c("change_id", TEXT, "the change that holds them"),
        _c("place", INT, "1 is the most suspect"),
        _c("item_id", TEXT, "commit, or number of the line"),
        _c("text", TEXT, "subject of the commit, or the line", "staff"),
        _c("paths", TEXTS, "files that it touches"),
        _c("score", REAL, "0..1, compares items of one change only"),
        _c("of", INT, "items that the change holds"),
        _c("shared", TEXTS, "stems that it shares with the complaints, the most telling first"),
        _c("basis", TEXT, "what the order rests on; never a proof"),
        BATCH,
    ),
)

CITED = pa.list_(pa.struct([("sentence", TEXT), ("ids", TEXTS)]))
SENTENCES = pa.list_(
    pa.struct([("field", TEXT), ("sentence", TEXT), ("ids", TEXTS), ("derived", TEXTS)])
)
ATTEMPTS = pa.list_(
    pa.struct(
        [
            ("purpose", TEXT),
            ("state", TEXT),
            ("model", TEXT),
            ("prompt_version", TEXT),
            ("problems", TEXTS),
            ("detail", TEXT),
            ("input_tokens", INT),
            ("cached_tokens", INT),
            ("output_tokens", INT),
            ("cost_usd", REAL),
            ("kept", FLAG),
        ]
    )
)

BRIEF = Table(
    "gold",
    "brief",
    "Briefs: every sentence rests on numbered facts or reviews.",
    ("brief_id",),
    "merge",
    (
        _c("brief_id", TEXT, ""),
        _c("signal_id", TEXT, ""),
        _c("title", TEXT, "", "residual"),
        _c("summary", CITED, "", "residual"),
        _c("impacted_area", TEXT, "", "residual"),
        _c("likely_cause", TEXT, "", "residual"),
        _c("urgency", TEXT, ""),
        _c("recommended_owner", TEXT, ""),
        _c("routing_hints", TEXTS, ""),
        _c("next_actions", TEXTS, "", "residual"),
        _c("engineering", TEXT, "", "residual"),
        _c("support", TEXT, "", "residual"),
        _c("product_text", TEXT, "", "residual"),
        _c("leadership", TEXT, "", "residual"),
        _c("citations", TEXTS, "feedback ids"),
        _c("sample_id", TEXT, "feedback id of the most representative quotation"),
        _c("facts", TEXT, "JSON: the fact sheet", "residual"),
        _c("writer", TEXT, ""),
        _c("prompt_version", TEXT, ""),
        _c("verified", FLAG, ""),
        _c("problems", TEXTS, "", "residual"),
        _c("made_at", TIME, ""),
        _c(
            "sentences",
            SENTENCES,
            "every sentence of every part, with the ids it rests on",
            "residual",
        ),
        _c("severity", TEXT, "P1..P4, as the signal's"),
        _c("cause", TEXT, "name of the change that is blamed, empty where none is"),
        _c(
            "outcome",
            TEXT,
            "deterministic, written, repaired; or why the model's text was not used",
        ),
        _c(
            "attempts", ATTEMPTS, "what a language model was asked, and what came of it", "residual"
        ),
        BATCH,
    ),
)

DECISION = Table(
    "gold",
    "decision",
    "What was decided of each signal, and why.",
    ("decision_id",),
    "merge",
    (
        _c("decision_id", TEXT, ""),
        _c("signal_id", TEXT, ""),
        _c("action", TEXT, "ticket, review, digest, suppress"),
        _c("would_ticket", FLAG, "but for autonomy not yet earned"),
        _c("rule", TEXT, ""),
        _c("reasons", TEXTS, ""),
        _c("policy_version", TEXT, ""),
        _c("decided_at", TIME, ""),
        BATCH,
    ),
)

JUDGED = Table(
    "gold",
    "judged",
    "Every state of a signal that the policy judged, so that another policy can be tried on it.",
    ("signal_id", "judged_at"),
    "append",
    (
        *(c for c in SIGNAL.columns if c not in (BATCH, SIGNAL_FEEDBACK)),
        _c("judged_at", TIME, ""),
        _c("no_case", TEXT, "why there was nothing to act on, or null"),
        _c(
            "possible_pii",
            TEXT,
            "what looked like unmasked personal data, or null",
            "residual",
        ),
        _c("owner", TEXT, "who would have been asked to mend it"),
        _c("kin", TEXTS, "signals of the same problem whose ticket would tell of it too"),
        BATCH,
    ),
)

TICKET = Table(
    "gold",
    "ticket",
    "Mirror of the tickets in the operational database.",
    ("ticket_id",),
    "merge",
    (
        _c("ticket_id", TEXT, ""),
        _c("parent_id", TEXT, ""),
        _c("decision_id", TEXT, ""),
        _c("signal_id", TEXT, ""),
        _c("product", TEXT, ""),
        _c("title", TEXT, "", "residual"),
        _c("tracker", TEXT, ""),
        _c("external_key", TEXT, ""),
        _c("status", TEXT, ""),
        _c("severity", TEXT, ""),
        _c("confidence", REAL, ""),
        _c("category", TEXT, ""),
        _c("theme_id", TEXT, ""),
        _c("release", TEXT, ""),
        _c("owner", TEXT, ""),
        _c("first_complaint_at", TIME, ""),
        _c("detected_at", TIME, ""),
        _c("opened_at", TIME, ""),
        _c("due_at", TIME, ""),
        _c("resolved_at", TIME, ""),
        BATCH,
    ),
)

OUTCOME = Table(
    "gold",
    "outcome",
    "Did the fix reduce the complaints?",
    ("ticket_id", "measured_at"),
    "merge",
    (
        _c("ticket_id", TEXT, ""),
        _c("signal_id", TEXT, ""),
        _c("measured_at", TIME, ""),
        _c(
            "clock_started_at",
            TIME,
            "when half of the reviews came from the fixed version, or the resolution",
        ),
        _c("days_before", REAL, ""),
        _c("days_after", REAL, ""),
        _c("complaints_before", INT, ""),
        _c("complaints_after", INT, ""),
        _c("rate_ratio", REAL, "after over before"),
        _c("ratio_low", REAL, "95%"),
        _c("ratio_high", REAL, "95%"),
        _c("verdict", TEXT, "held, failed, moved, not_enough_evidence"),
        _c("reasons", TEXTS, ""),
        BATCH,
    ),
)

AUDIT = Table(
    "gold",
    "audit",
    "Who or what did what, when and why: corrections, erasures, decisions of people.",
    ("audit_id",),
    "append",
    (
        _c("audit_id", TEXT, ""),
        _c("made_at", TIME, ""),
        _c("actor", TEXT, "", "staff"),
        _c("action", TEXT, ""),
        _c("subject", TEXT, ""),
        _c("detail", TEXT, "", "residual"),
        BATCH,
    ),
)

MODEL_CALL = Table(
    "gold",
    "model_call",
    "What language models were asked and what it cost: a row a call, also for one that was not made.",
    ("call_id",),
    "merge",
    (
        _c("call_id", TEXT, "Number in the workspace's ledger of calls."),
        _c("at", TIME, ""),
        _c("run", TEXT, "Calls of one command, or of one pass, share it."),
        _c("purpose", TEXT, "What was asked for: brief, repair, pair, theme_name, probe."),
        _c("prompt_version", TEXT, ""),
        _c("model", TEXT, "Kind of service, deployment, model."),
        _c(
            "state",
            TEXT,
            "How it ended (answered, refused, …); lost: killed before its end; open: in a batch.",
        ),
        _c("sent", FLAG, "False: it was not made (budget, a service that is down)."),
        _c("detail", TEXT, "Why there is no text, in words without secrets or customers' texts."),
        _c("input_tokens", INT, "Tokens read."),
        _c("cached_tokens", INT, "Of these, from the service's cache."),
        _c("output_tokens", INT, "Tokens written."),
        _c("cost_usd", REAL, "US dollars; null where price or use is not known."),
        _c(
            "charged_usd",
            REAL,
            "What counts against the budget: at most so much where it is not sure.",
        ),
        _c("uncertain", FLAG, "No answer came, but the service may have billed it."),
        _c("seconds", REAL, "From sending to the end, waits included."),
        _c("batch", TEXT, "The batch it belongs to, null for a call of its own."),
        BATCH,
    ),
)

TABLES: tuple[Table, ...] = (
    BRONZE_FEEDBACK,
    QUARANTINE,
    SUPERSEDED,
    FEEDBACK,
    EMBEDDING,
    ENRICHMENT,
    TAXONOMY,
    ASSIGNMENT,
    THEME,
    CHANGE,
    EXPOSURE,
    STATE,
    SERIES,
    SOURCE_HEALTH,
    SIGNAL,
    ATTRIBUTION,
    SUSPECT,
    BRIEF,
    DECISION,
    JUDGED,
    TICKET,
    OUTCOME,
    AUDIT,
    MODEL_CALL,
)
