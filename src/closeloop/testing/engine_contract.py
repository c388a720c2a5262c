"""What every engine must do; an adapter's test subclasses EngineContract and gives `engine`."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from closeloop.errors import QueryError
from closeloop.ports import Engine, Transaction
from closeloop.tables import ASSIGNMENT, SIGNAL, STATE, TABLES, THEME

NOON = datetime(2024, 2, 6, 12, tzinfo=UTC)


def _theme(theme_id: str, product: str, size: int = 1) -> dict[str, object]:
    return {"theme_id": theme_id, "product": product, "size": size, "first_seen": NOON}


def _products(engine: Engine) -> dict[str, str]:
    rows = engine.read(THEME, version=engine.version(THEME)).to_pylist()
    return {row["theme_id"]: row["product"] for row in rows}


class EngineContract:
    """Same input, same rows out, whatever holds the tables."""

    number = 0

    @pytest.fixture
    def engine(self) -> Engine:
        """Return an engine without tables."""
        raise NotImplementedError

    def transaction(self) -> Transaction:
        """Return a transaction that was not used before."""
        type(self).number += 1
        return Transaction("contract", type(self).number)

    def put(self, engine: Engine, *rows: dict[str, object]) -> int:
        """Append themes."""
        return engine.append(THEME, THEME.from_rows(rows), transaction=self.transaction())

    def test_a_table_that_was_never_written_is_empty(self, engine: Engine) -> None:
        """No version, no rows, the declared schema."""
        assert engine.version(THEME) is None
        assert engine.read(THEME, version=None).schema.names == THEME.schema.names
        assert engine.read(THEME, version=None, columns=["size"]).schema.names == ["size"]

    def test_append_adds_and_versions_stay_readable(self, engine: Engine) -> None:
        """The version before an append shows what was there before."""
        first = self.put(engine, _theme("a", "p"))
        second = self.put(engine, _theme("b", "p"))
        assert second > first
        assert engine.read(THEME, version=first).column("theme_id").to_pylist() == ["a"]
        both = engine.read(THEME, version=second).column("theme_id").to_pylist()
        assert sorted(both) == ["a", "b"]

    def test_read_keeps_types_and_zones(self, engine: Engine) -> None:
        """Times come back with zone UTC, nested columns as they were declared."""
        row = {
            "signal_id": "s",
            "detected_at": NOON,
            "feedback_ids": ["x", "y"],
            "severity_terms": [
                {"name": "size", "value": 0.5, "weight": 2.0, "points": 1.0, "reason": "r"}
            ],
        }
        version = engine.append(SIGNAL, SIGNAL.from_rows([row]), transaction=self.transaction())
        rows = engine.read(SIGNAL, version=version)
        assert rows.schema.equals(SIGNAL.schema)
        assert rows.to_pylist()[0]["detected_at"] == NOON
        assert rows.to_pylist()[0]["severity_terms"][0]["points"] == 1.0

    def test_conditions_hold_together(self, engine: Engine) -> None:
        """Each operator selects what it says; nulls match only '= None'."""
        version = self.put(
            engine,
            _theme("a", "p", 1),
            _theme("b", "p", 5),
            _theme("c", "q", 5),
            {"theme_id": "d"},
        )

        def ids(*where: tuple[str, str, object]) -> list[str]:
            rows = engine.read(THEME, version=version, columns=["theme_id"], where=where)
            return sorted(rows.column("theme_id").to_pylist())

        assert ids(("product", "=", "p"), ("size", ">", 1)) == ["b"]
        assert ids(("product", "in", ["q", "z"])) == ["c"]
        assert ids(("size", "<=", 1)) == ["a"]
        assert ids(("first_seen", ">=", NOON)) == ["a", "b", "c"]
        assert ids(("product", "=", None)) == ["d"]
        assert ids(("product", "!=", "p")) == ["c"]

    def test_merge_replaces_by_key_and_adds_the_rest(self, engine: Engine) -> None:
        """Of rows with the same key in one merge, the last counts."""
        self.put(engine, _theme("a", "old"), _theme("b", "old"))
        rows = THEME.from_rows([_theme("a", "new"), _theme("c", "new"), _theme("c", "newer")])
        engine.merge(THEME, rows, transaction=self.transaction())
        assert _products(engine) == {"a": "new", "b": "old", "c": "newer"}

    def test_merge_matches_keys_of_several_columns(self, engine: Engine) -> None:
        """Numbers are part of a key like texts."""
        first = {"feedback_id": "f", "revision": 1, "theme_id": "a"}
        second = {"feedback_id": "f", "revision": 2, "theme_id": "b"}
        changed = {**second, "theme_id": "c"}
        for rows in ([first, second], [changed]):
            engine.merge(ASSIGNMENT, ASSIGNMENT.from_rows(rows), transaction=self.transaction())
        rows = engine.read(ASSIGNMENT, version=engine.version(ASSIGNMENT)).to_pylist()
        assert {(r["revision"], r["theme_id"]) for r in rows} == {(1, "a"), (2, "c")}

    def test_conditions_hold_together_after_merges_and_appends(self, engine: Engine) -> None:
        """Files of either kind of write are read alike."""
        self.put(engine, *(_theme(f"t{i}", "p") for i in range(50)))
        rows = THEME.from_rows([_theme("t1", "q"), _theme("t2", "q")])
        engine.merge(THEME, rows, transaction=self.transaction())
        version = self.put(engine, _theme("u", "q"))
        where = [("product", "=", "q"), ("theme_id", ">", "t1"), ("label", "=", None)]
        found = engine.read(THEME, version=version, where=where).column("theme_id")
        assert sorted(found.to_pylist()) == ["t2", "u"]

    def test_rows_in_pieces_come_whole_also_where_a_piece_is_empty(self, engine: Engine) -> None:
        """Steps join tables, of which any may hold nothing."""
        first, second, third, fourth = (THEME.from_rows([_theme(t, "p")]) for t in "abcd")
        nothing = first.slice(0, 0)
        pieces = [first, nothing, second]
        engine.append(THEME, pa.concat_tables(pieces), transaction=self.transaction())
        assert set(_products(engine)) == {"a", "b"}
        pieces = [second, nothing, third, nothing]
        engine.merge(THEME, pa.concat_tables(pieces), transaction=self.transaction())
        assert set(_products(engine)) == {"a", "b", "c"}
        pieces = [nothing, third, nothing, fourth]
        engine.replace(THEME, pa.concat_tables(pieces), transaction=self.transaction())
        assert set(_products(engine)) == {"c", "d"}

    def test_replace_puts_rows_in_place_of_all(self, engine: Engine) -> None:
        """Nothing of the old rows stays."""
        self.put(engine, _theme("a", "p"))
        engine.replace(THEME, THEME.from_rows([_theme("z", "q")]), transaction=self.transaction())
        assert _products(engine) == {"z": "q"}

    def test_delete_takes_rows_for_which_all_conditions_hold(self, engine: Engine) -> None:
        """Rows with null in the column stay."""
        self.put(engine, _theme("a", "p"), _theme("b", "q"), {"theme_id": "c"})
        engine.delete(THEME, (("product", "=", "p"),), transaction=self.transaction())
        assert set(_products(engine)) == {"b", "c"}

    def test_a_transaction_written_before_changes_nothing(self, engine: Engine) -> None:
        """A replayed batch is skipped."""
        transaction = self.transaction()
        for _ in range(2):
            engine.append(THEME, THEME.from_rows([_theme("a", "p")]), transaction=transaction)
        assert engine.read(THEME, version=engine.version(THEME)).num_rows == 1

    def test_restore_goes_back_and_later_writes_build_on_it(self, engine: Engine) -> None:
        """What came after the version is gone, and does not come back with the next append."""
        first = self.put(engine, _theme("a", "p"))
        self.put(engine, _theme("lost", "p"))
        engine.restore(THEME, first)
        assert set(_products(engine)) == {"a"}
        self.put(engine, _theme("b", "p"))
        assert set(_products(engine)) == {"a", "b"}
        engine.restore(THEME, None)
        assert _products(engine) == {}

    def test_blobs_survive(self, engine: Engine) -> None:
        """Bytes come back as they were."""
        blob = bytes(range(256))
        rows = STATE.from_rows([{"name": "n", "scope": "", "version": 1, "blob": blob}])
        version = engine.append(STATE, rows, transaction=self.transaction())
        assert engine.read(STATE, version=version).column("blob").to_pylist() == [blob]

    def test_a_batch_step_sees_every_row_once_in_order(self, engine: Engine) -> None:
        """Batches are no larger than asked; no rows give no rows with the step's schema."""

        def double(batch: pa.RecordBatch) -> pa.RecordBatch:
            assert batch.num_rows <= 3
            values = [2 * v for v in batch.column("n").to_pylist()]
            return pa.RecordBatch.from_pydict({"twice": pa.array(values, pa.int64())})

        rows = pa.table({"n": pa.array(range(10), pa.int64())})
        out = engine.map_batches(double, rows, batch_size=3)
        assert out.column("twice").to_pylist() == [2 * n for n in range(10)]
        assert engine.map_batches(double, rows.slice(0, 0), batch_size=3).schema.names == ["twice"]

    def test_sql_reads_the_given_versions_and_nothing_else(self, engine: Engine) -> None:
        """A query sees committed versions, can't write, and can't reach files."""
        first = self.put(engine, _theme("a", "p"))
        self.put(engine, _theme("b", "p"))
        versions: dict[str, int | None] = {t.full_name: None for t in TABLES}
        versions[THEME.full_name] = first
        rows = engine.sql(
            "SELECT theme_id FROM silver.theme WHERE product = ?",
            versions=versions,
            parameters=["p"],
        )
        assert rows.to_pylist() == [{"theme_id": "a"}]
        for hostile in (
            "SELECT * FROM read_text('/etc/passwd')",
            "COPY (SELECT 1) TO '/tmp/closeloop_contract.csv'",
            "SET enable_external_access = true",
            "SELEKT 1",
        ):
            with pytest.raises(QueryError):
                engine.sql(hostile, versions=versions)

    def test_parameters_come_back_as_they_were(self, engine: Engine) -> None:
        """A text is a value and never SQL; numbers and times keep what they are."""
        values = ["it's ? a \\ \n'); é", 7, -1.5, True, NOON]
        asked = ", ".join(f"? AS c{number}" for number in range(len(values)))
        query = f"SELECT {asked}, '?' AS mark -- why?"
        rows = engine.sql(query, versions={}, parameters=values).to_pylist()
        assert list(rows[0].values()) == [*values, "?"]
