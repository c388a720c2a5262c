"""A fake (Azure) OpenAI service on a loopback socket, which a test scripts answer by answer."""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from closeloop.ports import Vectors
from closeloop.testing.embedders import HashedWordEmbedder
from closeloop.testing.json_schema import violations

KEY = "test-key-0123456789abcdef"
MAX_INPUTS = 2_048
MAX_TOKENS = 300_000
MAX_INPUT_TOKENS = 8_191


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived; `body` is None where it was no JSON object."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `hang` never answers, `drop` closes the connection without a word."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False

    @staticmethod
    def of_json(body: Any, *, status: int = 200, **headers: str) -> Reply:
        """Return an answer with a JSON body; headers_like_this become headers-like-this."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(status, json.dumps(body).encode(), named)


Route = Callable[[Asked], Reply]
Script = Reply | Route


@dataclass(frozen=True, slots=True)
class Operation:
    """What a path does, and the schema of its requests."""

    route: Route
    request: str


class FakeOpenAI:
    """A service with the embeddings operation; used as a context manager around a test.

        with FakeOpenAI(azure=True) as service:
            service.then(too_many(after="2"))        # the next answer; then it works again
            ...
            assert len(service.asked) == 2

    It keeps to the real service's limits (inputs, tokens, empty texts, keys, deployments, a content
    filter for texts that hold "FORBIDDEN") and answers with hashed bags of words, so that the same
    text has the same vector. `contract` is the vendor's OpenAPI document: with it every request and
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
        contract: Mapping[str, Any] | None = None,
    ) -> None:
        self.asked: list[Asked] = []
        self.broken: list[str] = []
        self.keys = {key} if key is not None else None
        self._azure = azure
        self._models = dict(models or {"text-embedding-3-small": 1536})
        self._base64 = base64_vectors
        self._contract = contract
        self._script: deque[Script] = deque()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self.prefix = "/openai/v1" if azure else "/v1"
        self.operations = {
            f"{self.prefix}/embeddings": Operation(self._embeddings, "CreateEmbeddingRequest")
        }
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
        if operation is None:
            return refusal(404, "404", "Resource not found")
        if not self._allowed(asked):
            return refusal(401, "401", f"Incorrect API key provided: {_shown_key(asked)}.")
        return operation.route(asked)

    def answer(self, asked: Asked) -> Reply:
        """Return the next scripted answer, else the one the service gives."""
        with self._lock:
            self.asked.append(asked)
            script = self._script.popleft() if self._script else self.works
        operation = self.operations.get(asked.path)
        if operation is not None:
            self._check(operation.request, asked.body)
        return script if isinstance(script, Reply) else script(asked)

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


def refusal(status: int, code: str, message: str, **headers: str) -> Reply:
    """Return an error as the service words it."""
    error = {"code": code, "message": message, "param": None, "type": "invalid_request_error"}
    return Reply.of_json({"error": error}, status=status, **headers)


def too_many(*, after: str | None = "1", **headers: str) -> Reply:
    """Return a 429 with retry-after (None: without)."""
    more = headers if after is None else {"retry_after": after, **headers}
    return refusal(429, "429", "Requests have exceeded the call rate limit.", **more)


def filtered() -> Reply:
    """Return a 400 of the content filter, as Azure words it."""
    error = {
        "code": "content_filter",
        "message": "The response was filtered.",
        "param": "prompt",
        "type": None,
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
    return Reply.of_json({"error": error}, status=400)


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

        def do_POST(self) -> None:
            """Answer one request."""
            data = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                body = json.loads(data)
            except ValueError:
                body = None
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.path, headers, body if isinstance(body, dict) else None)
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
