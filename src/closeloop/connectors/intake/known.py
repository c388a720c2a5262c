"""Which rows bronze holds already, which of those could not be read, and ids for rows without one."""

from __future__ import annotations

from collections.abc import Sequence

from closeloop.connectors.intake.request import IntakeStep
from closeloop.domain.feedback import QuarantineReason, anonymous_source_id, bronze_id
from closeloop.ports import Condition
from closeloop.tables import BRONZE_FEEDBACK, QUARANTINE


class KnownRows:
    """The bronze ids of one source, and which of them stand for rows that could not be read.

    A row that could not be read and now can (another column mapped, a format declared, a limit
    raised, a future time that has come) is taken in once more under an id of its own, so that
    bronze stays append-only; refining then counts the first one as cured.
    """

    def __init__(self, step: IntakeStep, source: str) -> None:
        here: Condition = ("source", "=", source)
        self._ids = set(_ids(step, [here]))
        self._unread: set[str] = set()
        self._future: set[str] = set()
        if self._ids:
            self._unread.update(_ids(step, [here, ("defect", "!=", None)]))
            self._unread.update(_ids(step, [here, ("text", "=", None)]))
            self._unread.update(_ids(step, [here, ("event_time", "=", None)]))
            self._future.update(
                step.rows(
                    QUARANTINE,
                    columns=["bronze_id"],
                    where=[here, ("reason", "=", QuarantineReason.FUTURE_TIME.value)],
                )
                .column("bronze_id")
                .to_pylist()
            )

    def admit(
        self, identity: str, *, source: str, source_id: str, payload: str, readable: bool, due: bool
    ) -> tuple[str, bool] | None:
        """Return (bronze id, whether it cures an earlier row), or None for a row that is known.

        `readable` says that the row has text, time and no defect; `due` that its time has come.
        """
        if identity not in self._ids:
            self._ids.add(identity)
            return identity, False
        unread = identity in self._unread or (due and identity in self._future)
        if not (readable and unread):
            return None
        cure = cure_id(source, source_id, payload, cures=identity)
        if cure in self._ids:
            return None
        self._ids.add(cure)
        return cure, True


def cure_id(source: str, source_id: str, payload: str, *, cures: str) -> str:
    """Return the bronze id of a row that is taken in once more to cure the one named."""
    return bronze_id(source, source_id, f"{payload}\x1fcures:{cures}")


class Occurrences:
    """Gives rows without an id one: their payload's, and how often it came before in its file."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._seen: dict[str, int] = {}

    def next_id(self, payload: str) -> str:
        """Return the id of the next row with this payload."""
        first = anonymous_source_id(self._source, payload, 0)
        before = self._seen.get(first, 0)
        self._seen[first] = before + 1
        return first if before == 0 else anonymous_source_id(self._source, payload, before)


def _ids(step: IntakeStep, where: Sequence[Condition]) -> list[str]:
    rows = step.rows(BRONZE_FEEDBACK, columns=["bronze_id"], where=where)
    return list(rows.column("bronze_id").to_pylist())
