"""What is published on Unity Catalog: complete, repeatable, and personal data hidden by default."""

import pyarrow as pa
import pytest

from closeloop.engines.unity_lineage import (
    LINEAGE_PATH,
    METADATA_PATH,
    TICKET_COLUMNS,
    External,
    lineage_of_source,
    lineage_of_tracker,
)
from closeloop.engines.unity_publish import publish
from closeloop.engines.unity_sql import (
    CLUSTERING,
    MASKED_KINDS,
    PARTS,
    Audience,
    filtered_by_product,
    literal,
    quoted,
    statements,
)
from closeloop.errors import OutsideError
from closeloop.stages.views import VIEWS
from closeloop.tables import BRONZE_FEEDBACK, FEEDBACK, TABLES, TICKET

AUDIENCE = Audience("main", loop="app-1", readers="readers", see_personal="dpo")


def _sql(part, audience=AUDIENCE):
    return [s.sql for s in statements(audience, parts=(part,))]


def test_every_table_is_made_with_its_columns_and_never_dropped():
    made = _sql("tables")
    assert len(made) == len(TABLES)
    for table, text in zip(TABLES, made, strict=True):
        assert text.startswith(f"CREATE TABLE IF NOT EXISTS `main`.`{table.layer}`.`{table.name}`")
        assert text.count("\n  `") == len(table.columns)
    assert not [s.sql for s in statements(AUDIENCE) if "DROP" in s.sql.upper().split()]


def test_every_statement_may_be_run_again():
    repeatable = (
        "CREATE OR REPLACE ",
        "CREATE TABLE IF NOT EXISTS ",
        "USE CATALOG ",
        "COMMENT ON ",
        "GRANT ",
        "ALTER TABLE ",
    )
    for statement in statements(AUDIENCE):
        assert statement.sql.startswith(repeatable), statement.sql
        assert not statement.sql.startswith("ALTER") or " SET TAGS (" in statement.sql


def test_clustering_keys_are_columns_of_the_declared_tables():
    by_name = {t.full_name: t for t in TABLES}
    for name, keys in CLUSTERING.items():
        assert set(keys) <= set(by_name[name].schema.names)


def test_the_views_are_the_files_word_for_word_in_the_catalog_they_read():
    first, *rest = _sql("views")
    assert first == "USE CATALOG `main`"
    assert [s for s in rest if s.startswith("CREATE")] == [view.sql for view in VIEWS]


def test_what_customers_gave_is_masked_for_all_but_the_loop_and_the_few():
    masks = _sql("masks")
    assert len(masks) == 1 + len(MASKED_KINDS)
    for text in masks[1:]:
        assert "TO `account users` EXCEPT `app-1`, `dpo`" in text
    tagged = {s.about: s.sql for s in statements(AUDIENCE, parts=("tags",))}
    for column in ("payload", "text", "author", "source_id"):
        assert "'closeloop_personal' = 'direct'" in tagged[f"bronze.feedback.{column}"]
    assert "'closeloop_personal' = 'pseudonym'" in tagged["silver.feedback.author_key"]
    assert "'closeloop_personal' = 'residual'" in tagged["silver.feedback.text"]


def test_a_mask_fits_the_type_of_every_column_that_it_hides():
    hidden = [c for t in TABLES for c in t.columns if c.personal in MASKED_KINDS]
    assert hidden
    assert {c.type for c in hidden} == {pa.string()}


def test_columns_that_hold_what_a_person_wrote_are_marked_wherever_they_are():
    wanted = {"text", "payload", "author", "author_key", "order_ref", "actor", "label"}
    unmarked = [
        f"{t.full_name}.{c.name}"
        for t in TABLES
        for c in t.columns
        if c.name in wanted and c.personal is None
    ]
    assert unmarked == []


def test_rows_are_filtered_by_the_one_product_column_of_a_table():
    for table in (FEEDBACK, TICKET):
        assert filtered_by_product(table)
    assert not filtered_by_product(BRONZE_FEEDBACK)
    tagged = [s for s in statements(AUDIENCE, parts=("tags",)) if "closeloop_product" in s.sql]
    tables = [s.about.rpartition(".")[0] for s in tagged]
    assert len(tables) == len(set(tables)) == sum(map(filtered_by_product, TABLES))


def test_without_groups_readers_see_all_products_and_with_them_only_theirs():
    function, policy = _sql("filters")
    assert function.endswith("RETURN TRUE")
    named = Audience("main", "app-1", "readers", "dpo", {"shop": "g-shop", "wallet": "g-wallet"})
    function, same = _sql("filters", named)
    assert "WHEN product = 'shop' THEN is_account_group_member('g-shop')" in function
    assert function.endswith("ELSE FALSE\nEND")
    assert same == policy


def test_readers_are_granted_the_views_and_no_table():
    granted = [s for s in _sql("grants") if "SELECT" in s]
    assert granted == [
        f"GRANT SELECT ON TABLE `main`.`gold`.`{v.name}` TO `readers`" for v in VIEWS
    ]


def test_names_and_texts_can_not_break_out():
    hostile = Audience("ma`in", "a", "readers`; DROP", "dpo", {"o'hara\\": "g'"})
    assert quoted("a`b", "c") == "`a``b`.`c`"
    assert literal("it's \\ so") == "'it\\'s \\\\ so'"
    text = "\n".join(s.sql for s in statements(hostile, parts=("filters", "grants")))
    assert "'o\\'hara\\\\' THEN is_account_group_member('g\\'')" in text
    assert "TO `readers``; DROP`" in text


class Recorder:
    def __init__(self, refuse=None):
        self.ran = []
        self.refuse = refuse

    def sql(self, text):
        if self.refuse and self.refuse in text:
            raise RuntimeError("[PERMISSION_DENIED] no MANAGE on main\nJVM stacktrace: …")
        self.ran.append(text)


def test_publishing_runs_all_in_order_and_counts():
    session, wanted = Recorder(), statements(AUDIENCE)
    done = publish(session, wanted)
    assert session.ran == [s.sql for s in wanted]
    assert list(done) == list(PARTS)
    assert sum(done.values()) == len(wanted)


def test_publishing_stops_at_what_is_refused_and_says_what_it_was_for():
    session = Recorder(refuse="closeloop_mask_direct")
    with pytest.raises(
        OutsideError, match=r"masks of columns that are direct: .*no MANAGE"
    ) as told:
        publish(session, statements(AUDIENCE))
    assert "JVM" not in str(told.value)
    assert not [s for s in session.ran if s.startswith("GRANT")]


def test_lines_are_drawn_from_source_to_bronze_and_from_tickets_to_the_tracker():
    source = External("play", columns={"text": "content", "rating": "score"})
    named, line = lineage_of_source(source, catalog="main")
    assert (named.path, line.path) == (METADATA_PATH, LINEAGE_PATH)
    assert named.body["columns"] == ["content", "score"]
    assert line.body["source"] == {"external_metadata": {"name": named.body["name"]}}
    assert line.body["target"] == {"table": {"name": "main.bronze.feedback"}}
    assert {"source": "content", "target": "text"} in line.body["columns"]
    named, line = lineage_of_tracker(External("snow", system="SERVICENOW"), catalog="main")
    assert named.body["system_type"] == "SERVICENOW"
    assert line.body["source"] == {"table": {"name": "main.gold.ticket"}}
    assert {c["source"] for c in line.body["columns"]} == set(TICKET_COLUMNS)
    assert set(TICKET_COLUMNS) <= set(TICKET.schema.names)


def test_a_system_that_the_service_does_not_know_is_refused():
    with pytest.raises(ValueError, match="JIRA is none of"):
        lineage_of_tracker(External("jira", system="JIRA"), catalog="main")
