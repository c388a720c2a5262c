"""The SQL that publishes the tables and gold views on Unity Catalog: it may be run again and again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from closeloop.engines.spark_sql import spark_type
from closeloop.stages.views import VIEWS
from closeloop.tables import TABLES, Table

Part = Literal["tables", "views", "tags", "masks", "filters", "grants"]
PARTS: tuple[Part, ...] = ("tables", "views", "tags", "masks", "filters", "grants")
"""In the order in which they can be run."""

PERSONAL_TAG = "closeloop_personal"
PRODUCT_TAG = "closeloop_product"
MASKED_KINDS = ("direct", "pseudonym")
"""Kinds of personal column that are masked. Masked text (residual) is what the views are for, and
a name of one's own staff belongs to an audit: both are tagged only."""

CLUSTERING: Mapping[str, tuple[str, ...]] = {
    "bronze.feedback": ("source", "ingested_at"),
    "silver.feedback": ("product", "event_time"),
    "silver.enrichment": ("product", "event_time"),
    "silver.assignment": ("product", "event_time"),
    "silver.embedding": ("feedback_id",),
    "gold.series": ("product", "hour"),
}
"""Clustering keys of the tables that grow with the feedback: what the steps ask by (docs/scaling.md)."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may see what in a catalog; names are those of the account (a principal's application id).

    `products` maps a product id to the group that may see its rows; without any, readers see all
    products. `loop` and `see_personal` are exempt from masks and filters.
    """

    catalog: str
    loop: str
    readers: str
    see_personal: str
    products: Mapping[str, str] = field(default_factory=dict)
    functions: str = "ops"


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and what it is for."""

    part: Part
    about: str
    sql: str


def statements(audience: Audience, *, parts: tuple[Part, ...] = PARTS) -> list[Statement]:
    """Return the statements of these parts, in the order in which they can be run.

    Each leaves the same state however often it is run. Tables and schemas are never dropped.
    """
    makers = {
        "tables": _tables,
        "views": _views,
        "tags": _tags,
        "masks": _masks,
        "filters": _filters,
        "grants": _grants,
    }
    return [made for part in PARTS if part in parts for made in makers[part](audience)]


def quoted(*parts: str) -> str:
    """Return a name in backticks, its parts joined by dots."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def literal(text: str) -> str:
    """Return text as a SQL string; Spark reads a backslash as an escape and '' as two strings."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _tables(audience: Audience) -> Iterator[Statement]:
    for table in TABLES:
        columns = ",\n".join(
            f"  {quoted(c.name)} {spark_type(c.type)}"
            + (f" COMMENT {literal(c.doc)}" * bool(c.doc))
            for c in table.columns
        )
        keys = CLUSTERING.get(table.full_name, ())
        clustered = f"\nCLUSTER BY ({', '.join(quoted(k) for k in keys)})" if keys else ""
        yield Statement(
            "tables",
            table.full_name,
            f"CREATE TABLE IF NOT EXISTS {_name(audience, table)} (\n{columns}\n)\n"
            f"USING DELTA\nCOMMENT {literal(table.doc)}{clustered}",
        )


def _views(audience: Audience) -> Iterator[Statement]:
    # The files name `gold.ticket`, no catalog: a view remembers the one that was current.
    yield Statement(
        "views", "the catalog that the views read", f"USE CATALOG {quoted(audience.catalog)}"
    )
    for view in VIEWS:
        yield Statement("views", view.full_name, view.sql)
        name = quoted(audience.catalog, "gold", view.name)
        comment = f"{view.doc} (for {view.reader})"
        yield Statement("views", view.full_name, f"COMMENT ON TABLE {name} IS {literal(comment)}")


def _tags(audience: Audience) -> Iterator[Statement]:
    for table in TABLES:
        for column in table.columns:
            tags: dict[str, str] = {}
            if column.personal is not None:
                tags[PERSONAL_TAG] = column.personal
            if filtered_by_product(table) and column.name == "product":
                tags[PRODUCT_TAG] = "id"
            if tags:
                pairs = ", ".join(f"{literal(k)} = {literal(v)}" for k, v in tags.items())
                yield Statement(
                    "tags",
                    f"{table.full_name}.{column.name}",
                    f"ALTER TABLE {_name(audience, table)} ALTER COLUMN {quoted(column.name)} "
                    f"SET TAGS ({pairs})",
                )


def _masks(audience: Audience) -> Iterator[Statement]:
    function = quoted(audience.catalog, audience.functions, "closeloop_mask")
    yield Statement(
        "masks",
        "what a masked value looks like",
        f"CREATE OR REPLACE FUNCTION {function}(value STRING)\nRETURNS STRING\n"
        "RETURN CASE WHEN value IS NULL THEN NULL ELSE '[masked]' END",
    )
    for kind in MASKED_KINDS:
        yield Statement(
            "masks",
            f"columns that are {kind}",
            f"CREATE OR REPLACE POLICY {quoted(f'closeloop_mask_{kind}')}\n"
            f"ON CATALOG {quoted(audience.catalog)}\n"
            f"COMMENT {literal(f'Masks what closeloop marks as {kind} personal data')}\n"
            f"COLUMN MASK {function}\n{_everybody_but(audience)}\nFOR TABLES\n"
            f"MATCH COLUMNS has_tag_value({literal(PERSONAL_TAG)}, {literal(kind)}) AS personal\n"
            "ON COLUMN personal",
        )


def _filters(audience: Audience) -> Iterator[Statement]:
    function = quoted(audience.catalog, audience.functions, "closeloop_sees_product")
    cases = "".join(
        f"\n  WHEN product = {literal(product)} THEN is_account_group_member({literal(group)})"
        for product, group in sorted(audience.products.items())
    )
    # A row of no product, or of one that nobody was named for, is then seen by the exempt alone.
    answer = f"CASE{cases}\n  ELSE FALSE\nEND" if cases else "TRUE"
    yield Statement(
        "filters",
        "who sees which product",
        f"CREATE OR REPLACE FUNCTION {function}(product STRING)\nRETURNS BOOLEAN\nRETURN {answer}",
    )
    yield Statement(
        "filters",
        "rows by product",
        f"CREATE OR REPLACE POLICY {quoted('closeloop_rows_by_product')}\n"
        f"ON CATALOG {quoted(audience.catalog)}\n"
        "COMMENT 'Shows the rows of the products that a group was named for'\n"
        f"ROW FILTER {function}\n{_everybody_but(audience)}\nFOR TABLES\n"
        f"MATCH COLUMNS has_tag({literal(PRODUCT_TAG)}) AS product\nUSING COLUMNS (product)",
    )


def _grants(audience: Audience) -> Iterator[Statement]:
    # Never on a whole schema: gold.brief and gold.decision have no product that could be filtered.
    readers = quoted(audience.readers)
    catalog, gold = quoted(audience.catalog), quoted(audience.catalog, "gold")
    yield Statement("grants", "catalog", f"GRANT USE CATALOG ON CATALOG {catalog} TO {readers}")
    yield Statement("grants", "gold", f"GRANT USE SCHEMA ON SCHEMA {gold} TO {readers}")
    for view in VIEWS:
        name = quoted(audience.catalog, "gold", view.name)
        yield Statement("grants", view.full_name, f"GRANT SELECT ON TABLE {name} TO {readers}")


def filtered_by_product(table: Table) -> bool:
    """Say whether a table's rows carry the product's id; bronze has the name as delivered."""
    return table.layer != "bronze" and any(c.name == "product" for c in table.columns)


def _name(audience: Audience, table: Table) -> str:
    return quoted(audience.catalog, table.layer, table.name)


def _everybody_but(audience: Audience) -> str:
    exempt = ", ".join(quoted(who) for who in dict.fromkeys((audience.loop, audience.see_personal)))
    return f"TO {quoted('account users')} EXCEPT {exempt}"
