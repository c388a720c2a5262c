"""Files and batches of the fake (Azure) OpenAI service: requests go up, answers come down later."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from closeloop.testing.openai_replies import Asked, Reply, refusal

_PART = re.compile(rb"\r\n\r\n(.*?)\r\n--", re.DOTALL)
_FILENAME = re.compile(rb'filename="([^"]*)"')


class BatchDesk:
    """Keeps files and batches; a batch is done once it was asked after `polls` times.

    Each line is answered by `work`, which is what the service does with a single request. Set
    `outcome` to "expired" or "failed" to have the next batch end so: of an expired one the first
    half is answered.
    """

    def __init__(self, work: Callable[[Asked], Reply], *, prefix: str) -> None:
        self._work = work
        self._prefix = prefix
        self.polls = 1
        self.outcome = "completed"
        self.files: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._asked_after: dict[str, int] = {}
        self._made = 0

    def handles(self, asked: Asked) -> bool:
        """Return whether a request is about files or batches."""
        path = urlsplit(asked.path).path.removeprefix(self._prefix)
        return path.split("/")[1] in ("files", "batches")

    def answer(self, asked: Asked) -> Reply:
        """Answer as the service does."""
        parts = urlsplit(asked.path)
        words = parts.path.removeprefix(self._prefix).strip("/").split("/")
        if words[0] == "files":
            return self._file(asked, words[1:])
        if asked.method == "POST":
            return self._create(asked.body or {})
        return self._get(words[1]) if len(words) > 1 else self._list(parse_qs(parts.query))

    def _file(self, asked: Asked, words: list[str]) -> Reply:
        if asked.method == "POST":
            return self._upload(asked.raw)
        file_id = words[0]
        if file_id not in self.files:
            return refusal(404, "404", f"No such File object: {file_id}")
        if asked.method == "DELETE":
            del self.files[file_id]
            return Reply.of_json({"id": file_id, "object": "file", "deleted": True})
        return Reply(body=self.files[file_id])

    def _upload(self, raw: bytes) -> Reply:
        found = _PART.findall(raw)
        name = _FILENAME.search(raw)
        if len(found) != 2 or found[0] != b"batch" or name is None:
            return refusal(400, "invalid_request", "give a purpose and a file")
        file_id = self._new("file")
        self.files[file_id], self.names[file_id] = found[1], name[1].decode()
        return Reply.of_json(
            {
                "id": file_id,
                "object": "file",
                "bytes": len(found[1]),
                "created_at": 1_700_000_000,
                "filename": self.names[file_id],
                "purpose": "batch",
                "status": "processed",
            }
        )

    def _create(self, body: dict[str, Any]) -> Reply:
        if body.get("input_file_id") not in self.files or body.get("completion_window") != "24h":
            return refusal(400, "invalid_request", "no such file, or no window of 24h")
        batch_id = self._new("batch")
        self.batches[batch_id] = {
            "id": batch_id,
            "object": "batch",
            "endpoint": body["endpoint"],
            "input_file_id": body["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "created_at": 1_700_000_000,
            "metadata": body.get("metadata"),
        }
        return Reply.of_json(self.batches[batch_id])

    def _list(self, query: dict[str, list[str]]) -> Reply:
        newest_first = list(self.batches.values())[::-1]
        after = query.get("after", [""])[0]
        ids = [batch["id"] for batch in newest_first]
        start = ids.index(after) + 1 if after in ids else 0
        limit = int(query.get("limit", ["20"])[0])
        page = newest_first[start : start + limit]
        more = start + limit < len(newest_first)
        return Reply.of_json({"object": "list", "data": page, "has_more": more})

    def _get(self, batch_id: str) -> Reply:
        batch = self.batches.get(batch_id)
        if batch is None:
            return refusal(404, "404", f"No batch found with id '{batch_id}'.")
        times = self._asked_after[batch_id] = self._asked_after.get(batch_id, 0) + 1
        if batch["status"] in ("validating", "in_progress"):
            batch["status"] = "in_progress"
            if times >= self.polls:
                self._work_off(batch)
        return Reply.of_json(batch)

    def _work_off(self, batch: dict[str, Any]) -> None:
        batch["status"], self.outcome = self.outcome, "completed"
        if batch["status"] == "failed":
            errors = [{"code": "invalid_json_line", "message": "Line 1 is wrong.", "line": 1}]
            batch["errors"] = {"object": "list", "data": errors}
            return
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        answered = lines if batch["status"] == "completed" else lines[: len(lines) // 2]
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for line in answered:
            reply = self._work(Asked(self._prefix + line["url"][3:], {}, line["body"]))
            response = {
                "status_code": reply.status,
                "request_id": self._new("req"),
                "body": json.loads(reply.body),
            }
            held = {"id": self._new("batch_req"), "custom_id": line["custom_id"], "error": None}
            (good if reply.status == 200 else bad).append({**held, "response": response})
        for line in lines[len(answered) :]:
            error = {"code": "batch_expired", "message": "This request could not be executed."}
            bad.append({"custom_id": line["custom_id"], "response": None, "error": error})
        # The order of the answers is not that of the requests.
        for name, results in (("output_file_id", good[::-1]), ("error_file_id", bad)):
            if results:
                batch[name] = self._new("file")
                self.files[batch[name]] = "\n".join(json.dumps(r) for r in results).encode()

    def _new(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._made:04d}"
