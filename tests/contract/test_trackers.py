"""Every tracker passes the shipped contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from closeloop.connectors.trackers.builtin import BuiltInTracker
from closeloop.ports import Tracker
from closeloop.store.database import Database
from closeloop.store.schema import tracker_comment, tracker_issue
from closeloop.testing.tracker_contract import TrackerContract


class TestBuiltInTracker(TrackerContract):
    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path) -> Iterator[None]:
        self.database = Database(f"sqlite:///{tmp_path / 'closeloop.db'}")
        yield
        self.database.close()

    def tracker(self) -> Tracker:
        return BuiltInTracker(self.database)

    def issues(self) -> list[dict[str, str]]:
        with self.database.begin() as connection:
            rows = connection.execute(select(tracker_issue)).mappings().all()
        return [{**row, "key": f"CL-{row['number']}"} for row in rows]

    def comments(self, external_key: str) -> list[str]:
        number = int(external_key.removeprefix("CL-"))
        query = select(tracker_comment.c.body).where(tracker_comment.c.number == number)
        with self.database.begin() as connection:
            return [row[0] for row in connection.execute(query)]
