"""A fake (Azure) OpenAI service on a loopback socket, which a test scripts answer by answer."""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from closeloop.ports import Vectors
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.json_schema import violations
from closeloop.testing.openai_batching import BatchDesk
from closeloop.testing.openai_replies import (
    Asked,
    Reply,
    Route,
    Script,
    filtered,
    refusal,
    too_many,
)
from closeloop.testing.openai_writing import Says, WritingModels, whatever_fits

__all__ = ["KEY", "Asked", "FakeOpenAI", "Operation", "Reply", "filtered", "refusal", "too_many"]

KEY = "test-key-0123456789abcdef"
MAX_INPUTS = 2_048
MAX_TOKENS = 300_000
MAX_INPUT_TOKENS = 8_191


@dataclass(frozen=True, slots=True)
class Operation:
    """What a path does, and the schemas of its requests and answers."""

    route: Route
    request: str
    answer: str | None = None


class FakeOpenAI:
    """A service that embeds and writes; used as a context manager around a test.

        with FakeOpenAI(azure=True) as service:
            service.then(too_many(after="2"))        # the next answer; then it works again
            ...
            assert len(service.asked) == 2

    It keeps to the real service's limits (inputs, tokens, empty texts, keys, deployments, a content
    filter for texts that hold "FORBIDDEN") and answers with hashed bags of words, so that the same
    text has the same vector. `writers` are the models that write, by name, each with what it says.
    `billed` holds the usage of every request that the service did, also where its answer was lost.
    `batching` keeps files and batches, whose requests are answered by the same models. Without `responses_api` it has chat completions only. `contract` is the vendor's OpenAPI document: with it every request and
    answer is checked, and what breaks it is kept in `broken`. Other operations are added to
    `operations` by path.
    """

    def __init__(
        self,
        *,
        azure: bool = False,
        models: Mapping[str, int] | None = None,
        key: str | None = KEY,
        base64_vectors: bool = True,
        writers: Mapping[str, Says] | None = None,
        responses_api: bool = True,
        contract: Mapping[str, Any] | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self.broken: list[str] = []
        self.billed: list[dict[str, Any]] = []
        self.keys = {key} if key is not None else None
        self._azure = azure
        self._models = dict(models or {"text-embedding-3-small": 1536})
        self._base64 = base64_vectors
        self._contract = contract
        self._script: deque[Script] = deque()
        self._closed = threading.Event()
        self._lock = threading.RLock()
        self.prefix = "/openai/v1" if azure else "/v1"
        self.writing = WritingModels(writers or {"gpt-5-mini": whatever_fits}, azure=azure)
        self.operations = {
            f"{self.prefix}/embeddings": Operation(self._embeddings, "CreateEmbeddingRequest"),
            f"{self.prefix}/chat/completions": Operation(
                self.writing.answer, "CreateChatCompletionRequest", "CreateChatCompletionResponse"
            ),
        }
        if responses_api:
            self.operations[f"{self.prefix}/responses"] = Operation(
                self.writing.answer, "CreateResponse", "Response"
            )
        self.batching = BatchDesk(self._in_batch, prefix=self.prefix)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def endpoint(self) -> str:
        """What closeloop.yaml names: with /v1, on Azure the resource's address alone."""
        address = f"http://127.0.0.1:{self._server.server_address[1]}"
        return address if self._azure else address + self.prefix

    def then(self, *replies: Script) -> Self:
        """Answer the next requests so, one each; a function is given the request."""
        self._script.extend(replies)
        return self

    def works(self, asked: Asked) -> Reply:
        """Answer as the service does when nothing is scripted."""
        operation = self.operations.get(asked.path)
        batching = self.batching.handles(asked)
        if operation is None and not batching:
            return refusal(404, "404", "Resource not found")
        if not self._allowed(asked):
            return refusal(401, "401", f"Incorrect API key provided: {_shown_key(asked)}.")
        if operation is None:
            with self._lock:
                return self.batching.answer(asked)
        return operation.route(asked)

    def answer(self, asked: Asked) -> Reply:
        """Return the next scripted answer, else the one the service gives."""
        with self._lock:
            self.asked.append(asked)
            script = self._script.popleft() if self._script else self.works
        operation = self.operations.get(asked.path)
        if operation is not None:
            self._check(operation.request, asked.body)
        reply = script if isinstance(script, Reply) else script(asked)
        self._account(operation, reply)
        return reply

    def commits_then_hangs(self, asked: Asked) -> Reply:
        """Do the work, bill it, and never answer: give it to `then`."""
        return replace(self.works(asked), hang=True)

    def commits_then_drops(self, asked: Asked) -> Reply:
        """Do the work, bill it, and close the connection: give it to `then`."""
        return replace(self.works(asked), drop=True)

    def _in_batch(self, asked: Asked) -> Reply:
        """Answer one line of a batch, and bill it."""
        operation = self.operations.get(asked.path)
        if operation is None:
            return refusal(404, "404", "Resource not found")
        self._check(operation.request, asked.body)
        reply = operation.route(asked)
        self._account(operation, reply)
        return reply

    def _account(self, operation: Operation | None, reply: Reply) -> None:
        if reply.status != 200 or operation is None or operation.answer is None:
            return
        try:
            body = json.loads(reply.body)
        except ValueError:
            return
        self._check(operation.answer, body)
        if isinstance(body, dict) and body.get("usage"):
            with self._lock:
                self.billed.append(body["usage"])

    def wait_for_close(self) -> None:
        """Block until the test is over: what a service that hangs does."""
        self._closed.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _allowed(self, asked: Asked) -> bool:
        return self.keys is None or _shown_key(asked) in self.keys

    def _embeddings(self, asked: Asked) -> Reply:
        body = asked.body or {}
        dimensions = self._models.get(str(body.get("model")))
        if dimensions is None:
            code = "DeploymentNotFound" if self._azure else "model_not_found"
            return refusal(404, code, "The model or deployment does not exist.")
        texts = body.get("input")
        fault = _input_fault(texts)
        if fault is not None or not isinstance(texts, list):
            return fault or refusal(400, "invalid_request", "'$.input' is invalid.")
        vectors = HashedWordEmbedder(dimensions=int(body.get("dimensions", dimensions))).embed(
            texts
        )
        # The service's vectors have length 1; those of compatible servers often have not.
        answer = self._answer(vectors if self._azure else vectors * 3.0, body, texts)
        return Reply.of_json(
            answer,
            x_ratelimit_remaining_requests="99",
            x_ratelimit_reset_requests="600ms",
        )

    def _answer(self, vectors: Vectors, body: dict[str, Any], texts: list[str]) -> dict[str, Any]:
        tokens = sum(_tokens(text) for text in texts)
        answer: dict[str, Any] = {
            "object": "list",
            "model": body["model"],
            "data": [
                {"object": "embedding", "index": row, "embedding": [float(x) for x in vector]}
                for row, vector in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        self._check("CreateEmbeddingResponse", answer)
        if self._base64 and body.get("encoding_format") == "base64":
            for row, item in enumerate(answer["data"]):
                item["embedding"] = base64.b64encode(vectors[row].astype("<f4").tobytes()).decode()
        return answer

    def _check(self, name: str, value: Any) -> None:
        if self._contract is not None:
            schema = self._contract["components"]["schemas"][name]
            self.broken += violations(value, schema, root=self._contract)


def _input_fault(texts: Any) -> Reply | None:
    if not isinstance(texts, list) or not texts or len(texts) > MAX_INPUTS:
        return refusal(400, "invalid_request", "'$.input' is invalid.")
    if any(not isinstance(text, str) or not text for text in texts):
        return refusal(400, "invalid_request", "input cannot be an empty string")
    if any("FORBIDDEN" in text for text in texts):
        return filtered()
    sizes = [_tokens(text) for text in texts]
    if max(sizes) > MAX_INPUT_TOKENS:
        said = f"This model's maximum context length is {MAX_INPUT_TOKENS} tokens"
        return refusal(400, "context_length_exceeded", said)
    if sum(sizes) > MAX_TOKENS:
        return refusal(400, "max_tokens_per_request", "Requested too many tokens in one request")
    return None


def _tokens(text: str) -> int:
    """Return the most tokens a text can have: one a byte."""
    return len(text.encode("utf-8", "surrogatepass"))


def _shown_key(asked: Asked) -> str:
    return asked.headers.get("api-key") or asked.headers.get("authorization", "").removeprefix(
        "Bearer "
    )


def _handler(service: FakeOpenAI) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer one request for something kept."""
            self._answer()

        def do_DELETE(self) -> None:
            """Answer one request to delete something."""
            self._answer()

        def do_POST(self) -> None:
            """Answer one request."""
            self._answer()

        def _answer(self) -> None:
            data = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                body = json.loads(data)
            except ValueError:
                body = None
            headers = {name.lower(): value for name, value in self.headers.items()}
            held = body if isinstance(body, dict) else None
            asked = Asked(self.path, headers, held, method=self.command, raw=data)
            self._send(service.answer(asked))

        def _send(self, reply: Reply) -> None:
            if reply.hang:
                service.wait_for_close()
            if reply.hang or reply.drop:
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
