"""What was handed in to be answered in batches, in the ledger of model calls."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from closeloop.domain.model_answer import ModelRequest
from closeloop.domain.model_call import ModelCall
from closeloop.ports import Submission
from closeloop.store.model_calls import SqlCallLedger, call_of, call_values
from closeloop.store.model_schema import model_batch, model_batch_request, model_call


class SqlBatchBook:
    """Submissions with their requests, which are kept until the answers have been collected."""

    def __init__(self, ledger: SqlCallLedger) -> None:
        self._ledger = ledger

    def put(
        self, submission: str, entries: Sequence[tuple[ModelCall, ModelRequest]], *, at: datetime
    ) -> None:
        """Record a submission and the intent of its calls, all or none."""
        with self._ledger.transaction() as connection:
            connection.execute(
                insert(model_batch).values(submission=submission, at=at, collected=False)
            )
            connection.execute(insert(model_call), [call_values(call) for call, _ in entries])
            connection.execute(
                insert(model_batch_request),
                [
                    {
                        "submission": submission,
                        "key": call.key,
                        "about": request.about,
                        "request": json.dumps(asdict(request)),
                    }
                    for call, request in entries
                ],
            )

    def open_submissions(self) -> list[Submission]:
        """Return what has not been collected yet, oldest first."""
        query = select(model_batch).where(~model_batch.c.collected).order_by(model_batch.c.at)
        with self._ledger.transaction(reads=True) as connection:
            rows = connection.execute(query).mappings().all()
        return [Submission(row["submission"], row["batch_id"], row["at"]) for row in rows]

    def waiting(self) -> set[str]:
        """Return the content keys that wait in open submissions."""
        query = select(model_batch_request.c.key).join(
            model_batch, model_batch.c.submission == model_batch_request.c.submission
        )
        with self._ledger.transaction(reads=True) as connection:
            return set(connection.execute(query.where(~model_batch.c.collected)).scalars())

    def handed_in(self, submission: str, *, batch_id: str) -> None:
        """Record under which id the service keeps the submission."""
        here = model_batch.c.submission == submission
        with self._ledger.transaction() as connection:
            connection.execute(update(model_batch).where(here).values(batch_id=batch_id))

    def entries(self, submission: str) -> list[tuple[ModelCall, ModelRequest | None]]:
        """Return the calls without an end; no request where it was erased meanwhile."""
        calls = select(model_call).where(
            model_call.c.batch == submission, model_call.c.state.is_(None)
        )
        mine = model_batch_request.c.submission == submission
        with self._ledger.transaction(reads=True) as connection:
            found = [call_of(row) for row in connection.execute(calls).mappings()]
            rows = connection.execute(select(model_batch_request).where(mine)).mappings()
            requests = {row["key"]: _request(row["request"]) for row in rows}
        return [(call, requests.get(call.key)) for call in found]

    def collected(self, submission: str) -> None:
        """Close a submission and forget its requests."""
        with self._ledger.transaction() as connection:
            connection.execute(
                delete(model_batch_request).where(model_batch_request.c.submission == submission)
            )
            here = model_batch.c.submission == submission
            connection.execute(update(model_batch).where(here).values(collected=True))


def _request(text: str) -> ModelRequest:
    held = json.loads(text)
    return ModelRequest(**{**held, "about": tuple(held["about"])})
