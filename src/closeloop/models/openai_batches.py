"""The batch API of (Azure) OpenAI: a file of requests goes up, files of answers come down within a day."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from closeloop.domain.model_answer import AnswerState
from closeloop.errors import TerminalError, redact
from closeloop.models.openai_faults import Fault, Refusal
from closeloop.models.openai_service import OpenAIService, Sending

WINDOW = "24h"
"""The only window there is."""
MARK = "closeloop"
"""Name of the metadata by which a batch is known again."""
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
LISTED = 100
BOUNDARY = "closeloop-6a1f0c9d7e5b4a32"


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch as the service tells of it."""

    batch_id: str
    status: str
    mark: str
    input_file: str | None = None
    output_file: str | None = None
    error_file: str | None = None
    why: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED

    @property
    def files(self) -> tuple[str, ...]:
        """All files of the batch that the service keeps."""
        return tuple(f for f in (self.input_file, self.output_file, self.error_file) if f)


class OpenAIBatches:
    """Files and batches of one service; every method returns a Fault where the service fails."""

    def __init__(self, service: OpenAIService) -> None:
        self._service = service

    def upload(self, name: str, lines: bytes) -> str | Fault:
        """Keep a file of requests at the service; return its id. Sent twice it costs nothing."""
        content = _form(name, lines)
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        sending = Sending("POST", "/files", content, content_type=kind, harmless=True)
        answer = self._ask(sending)
        if isinstance(answer, Fault):
            return answer
        file_id = answer.get("id")
        return file_id if isinstance(file_id, str) else self._wrong("a file without id")

    def create(self, file_id: str, *, path: str, mark: str) -> RemoteBatch | Fault:
        """Start a batch over an uploaded file; `path` is the operation of its lines.

        Not sent twice where it is not sure that it arrived: look for the mark with `find`.
        """
        body = {
            "input_file_id": file_id,
            "endpoint": f"/v1{path}",
            "completion_window": WINDOW,
            "metadata": {MARK: mark},
        }
        answer = self._ask(Sending("POST", "/batches", json.dumps(body).encode()))
        return answer if isinstance(answer, Fault) else _batch(answer)

    def get(self, batch_id: str) -> RemoteBatch | Fault:
        """Return how a batch is getting on."""
        answer = self._ask(Sending("GET", f"/batches/{batch_id}", harmless=True))
        return answer if isinstance(answer, Fault) else _batch(answer)

    def find(self, mark: str) -> RemoteBatch | Fault | None:
        """Return the batch with this mark; None where the service has none."""
        after = ""
        while True:
            path = f"/batches?limit={LISTED}{after}"
            answer = self._ask(Sending("GET", path, harmless=True))
            if isinstance(answer, Fault):
                return answer
            data = answer.get("data")
            listed = [_batch(held) for held in data if isinstance(held, Mapping)] if data else []
            for batch in listed:
                if batch.mark == mark:
                    return batch
            if not listed or not answer.get("has_more"):
                return None
            after = f"&after={listed[-1].batch_id}"

    def lines(self, file_id: str) -> list[Mapping[str, Any]] | Fault:
        """Return the lines of a file of answers; what is no JSON object is left out."""
        content = self._service.download(f"/files/{file_id}/content")
        if isinstance(content, Fault):
            return content
        if isinstance(content, Refusal):
            return self._wrong(f"no file {redact(file_id)} ({content.status})")
        return list(_objects(content))

    def remove(self, file_id: str) -> None:
        """Delete a file at the service: it holds customers' words. One that is gone is well."""
        self._ask(Sending("DELETE", f"/files/{file_id}", harmless=True))

    def _ask(self, sending: Sending) -> dict[str, Any] | Fault:
        answer = self._service.request(sending)
        if isinstance(answer, Refusal):
            return self._wrong(f"a refusal ({answer.reason}, {answer.status}) of {sending.path}")
        return answer

    def _wrong(self, what: str) -> Fault:
        error = TerminalError(
            f"{self._service.where}: answered with {what}",
            hint="check that the service has the batch API (Azure: a deployment of a batch type)",
        )
        return Fault(error, again=False, short=what, state=AnswerState.MALFORMED)


def _batch(held: Mapping[str, Any]) -> RemoteBatch:
    metadata = held.get("metadata")
    errors = held.get("errors")
    faults = errors.get("data") if isinstance(errors, Mapping) else None
    codes = [str(f.get("code")) for f in faults or () if isinstance(f, Mapping)]
    return RemoteBatch(
        batch_id=str(held.get("id") or ""),
        status=str(held.get("status") or ""),
        mark=str(metadata.get(MARK) or "") if isinstance(metadata, Mapping) else "",
        input_file=_text(held.get("input_file_id")),
        output_file=_text(held.get("output_file_id")),
        error_file=_text(held.get("error_file_id")),
        why=redact(", ".join(dict.fromkeys(codes))),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _objects(content: bytes) -> Iterator[Mapping[str, Any]]:
    for line in content.splitlines():
        try:
            held = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(held, dict):
            yield held


def _form(name: str, lines: bytes) -> bytes:
    """Return a multipart form with the purpose and the file (RFC 7578). Lines are JSON in ASCII."""
    purpose = 'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch'
    file = (
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    head = f"--{BOUNDARY}\r\n{purpose}\r\n--{BOUNDARY}\r\n{file}".encode()
    return head + lines + f"\r\n--{BOUNDARY}--\r\n".encode()
