"""An embedder over the embeddings API of (Azure) OpenAI and of servers that speak the same."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from closeloop.errors import TerminalError, redact
from closeloop.models.openai_faults import Reason, Refusal
from closeloop.models.openai_service import OpenAIService
from closeloop.ports import Progress, Vectors

MAX_INPUTS = 2_048
MAX_REQUEST_TOKENS = 300_000
MAX_TEXT_BYTES = 8_191
"""Limits of the service: inputs and tokens a request, tokens an input (text-embedding-3-*).

Tokens are bounded by bytes of UTF-8: byte-pair tokens have at least one byte each, so the limits
hold for any text. English has about four bytes a token, so a request is filled to a quarter."""
BYTES_PER_TOKEN = 4
"""Of English; only for pacing, corrected by what the service says was used."""
BLANK = "."
"""Sent in place of a text without visible characters (the API refuses empty ones) or one that the
service's content filter refuses."""
LEAST_BYTES = 64
NATIVE_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}


class OpenAIEmbedder:
    """Turns texts into vectors of length 1 by requests of many texts each.

    Texts must be masked before: they leave this machine. A text is cut after `max_text_bytes` of
    UTF-8 (at a character), NUL becomes a space. `model` is what requests name (on Azure the
    deployment), `model_id` what is stored. With `ask_dimensions` the service is asked to shorten
    its vectors, else it must send vectors of `dimensions` by itself.
    """

    def __init__(
        self,
        service: OpenAIService,
        *,
        model: str,
        model_id: str,
        dimensions: int,
        ask_dimensions: bool,
        max_text_bytes: int = MAX_TEXT_BYTES,
        max_request_tokens: int = MAX_REQUEST_TOKENS,
        prefix: str = "",
    ) -> None:
        self._service = service
        self._model = model
        self._model_id = model_id
        self._dimensions = dimensions
        self._ask_dimensions = ask_dimensions
        self._max_text_bytes = max_text_bytes
        self._max_request_tokens = max(max_request_tokens, max_text_bytes)
        self._prefix = prefix

    @property
    def model_id(self) -> str:
        """Name and version of the model."""
        return self._model_id

    @property
    def dimensions(self) -> int:
        """Length of a vector's row."""
        return self._dimensions

    @property
    def place(self) -> str:
        """Host of the service, for people."""
        return self._service.where

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Vectors:
        """Return one row a text, float32 [len(texts), dimensions]; advances progress by texts.

        Raises TransientError where the service stays busy or silent, TerminalError where it
        refuses the request or answers wrongly, each with what to do.
        """
        vectors = np.zeros((len(texts), self._dimensions), np.float32)
        for rows in self.batches(texts):
            sent = [self._prepared(texts[row]) for row in rows]
            vectors[rows] = self._vectors(sent, progress)
            if progress is not None:
                progress.advance(len(rows))
        return vectors

    def batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield the rows of each request, in order: what is paid for at once."""
        batch: list[int] = []
        held = 0
        for row, text in enumerate(texts):
            size = len(self._prepared(text).encode())
            if batch and (len(batch) == MAX_INPUTS or held + size > self._max_request_tokens):
                yield batch
                batch, held = [], 0
            batch.append(row)
            held += size
        if batch:
            yield batch

    def _prepared(self, text: str) -> str:
        if not text.strip(" \t\r\n\0\u200b\ufeff"):
            return BLANK
        return cut(self._prefix + text.replace("\0", " "), self._max_text_bytes)

    def _vectors(self, texts: list[str], progress: Progress | None) -> Vectors:
        body: dict[str, Any] = {
            "model": self._model,
            "input": texts,
            "encoding_format": "base64",
        }
        if self._ask_dimensions:
            body["dimensions"] = self._dimensions
        size = sum(len(text.encode()) for text in texts)
        tokens = len(texts) + size // BYTES_PER_TOKEN
        answer = self._service.post("/embeddings", body, tokens=tokens, progress=progress)
        if isinstance(answer, Refusal):
            return self._narrowed(texts, answer, progress)
        return self._decoded(answer, len(texts))

    def _narrowed(self, texts: list[str], refusal: Refusal, progress: Progress | None) -> Vectors:
        """Halve a refused request until the text is found; one customer's text must not stop all.

        One that is too long is halved; one that the content filter refuses gets the vector of a
        blank text, and that is said.
        """
        if len(texts) > 1:
            middle = len(texts) // 2
            return np.concatenate(
                [self._vectors(part, progress) for part in (texts[:middle], texts[middle:])]
            )
        (text,) = texts
        size = len(text.encode())
        if refusal.reason is Reason.TOO_LONG and size > LEAST_BYTES:
            return self._vectors([cut(text, size // 2)], progress)
        if text == BLANK or refusal.reason is Reason.TOO_LONG:
            raise TerminalError(
                f"{self.place}: refuses every text ({refusal.reason}, {refusal.status})",
                hint="check the deployment's content filter, or the server's own limits",
            )
        if progress is not None:
            progress.note(
                f"{self.place}: its content filter refused a text of {size} bytes; it counts as "
                "a blank one"
            )
        return self._vectors([BLANK], progress)

    def _decoded(self, answer: dict[str, Any], count: int) -> Vectors:
        data = answer.get("data")
        if not isinstance(data, list) or len(data) != count:
            found = len(data) if isinstance(data, list) else 0
            raise self._wrong(f"sent {found} vectors for {count} texts")
        vectors = np.zeros((count, self._dimensions), np.float32)
        seen = np.zeros(count, np.bool_)
        for place, item in enumerate(data):
            held = item if isinstance(item, dict) else {}
            row = held.get("index", place)
            if not isinstance(row, int) or not 0 <= row < count or seen[row]:
                raise self._wrong("numbers its vectors wrongly")
            seen[row] = True
            vector = _floats(held.get("embedding"))
            if vector is None:
                raise self._wrong("sent a vector that is neither numbers nor base64")
            if len(vector) != self._dimensions:
                raise self._wrong(
                    f"sent vectors of {len(vector)} numbers, not {self._dimensions}",
                    hint="set embedder.dimensions to what the model gives",
                )
            vectors[row] = vector
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(norms).all() or not norms.all():
            raise self._wrong("sent a vector without length")
        return np.asarray(vectors / norms, np.float32)

    def _wrong(self, what: str, *, hint: str = "") -> TerminalError:
        return TerminalError(
            f"{self.place}: {what} (model {redact(self._model)!r})",
            hint=hint or "the server does not keep to the embeddings API; try another version",
        )


def cut(text: str, max_bytes: int) -> str:
    """Return the text's first bytes of UTF-8, whole characters only; lone surrogates become ?."""
    data = text.encode("utf-8", "replace")
    return data[:max_bytes].decode("utf-8", "ignore")


def _floats(value: object) -> npt.NDArray[np.float32] | None:
    """Return a vector from base64 of little-endian float32, or from a list of numbers."""
    try:
        if isinstance(value, str):
            return np.frombuffer(base64.b64decode(value, validate=True), "<f4")
        if isinstance(value, list):
            return np.asarray(value, np.float32).reshape(-1)
    except (binascii.Error, ValueError, TypeError):
        return None
    return None
