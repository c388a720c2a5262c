"""Spans around steps of the loop and calls of models, for whoever collects OpenTelemetry traces.

Off until `start` is called; then nothing is imported that is not installed. Attributes are names,
counts, states and costs: texts only where a person opted in, and then masked ones; secrets never.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from closeloop.errors import ModelMissingError, TerminalError

SCOPE = "closeloop"
FLUSH_MS = 5_000
EXPORTERS = ("none", "console", "otlp")

Value = str | int | float | bool


class Span(Protocol):
    """What is under way; attributes may be added until it ends."""

    def set(self, name: str, value: Value | None) -> None:
        """Add an attribute; None adds none."""
        ...


class _NoSpan:
    def set(self, name: str, value: Value | None) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class _OpenSpan:
    inner: Any

    def set(self, name: str, value: Value | None) -> None:
        """Add an attribute."""
        if value is not None:
            self.inner.set_attribute(name, value)


@dataclass(slots=True)
class _Tracing:
    provider: Any = None
    tracer: Any = None
    texts: bool = False


_NOTHING = _NoSpan()
_state = _Tracing()


@contextmanager
def span(name: str, **attributes: Value | None) -> Iterator[Span]:
    """Open a span for what is done inside; attributes_like_this become attributes.like.this.

    An error ends it as failed, by the error's type: messages may hold what a trace must not.
    """
    if _state.tracer is None:
        yield _NOTHING
        return
    with _state.tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as inner:
        opened = _OpenSpan(inner)
        for key, value in attributes.items():
            opened.set(key.replace("__", ".") if "__" in key else key, value)
        try:
            yield opened
        except BaseException as error:
            from opentelemetry.trace import Status, StatusCode

            inner.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def includes_texts() -> bool:
    """Return whether masked texts may stand in attributes."""
    return _state.tracer is not None and _state.texts


def start(exporter: str, *, endpoint: str | None = None, include_texts: bool = False) -> None:
    """Send spans from now on: to the "console", or to a collector over "otlp" (http/protobuf).

    Raises ModelMissingError where the packages are not installed.
    """
    if exporter == "none":
        return
    try:
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            ConsoleSpanExporter,
            SimpleSpanProcessor,
        )

        if exporter == "console":
            import sys

            use(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)), include_texts)
            return
        exporters = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as error:
        raise ModelMissingError(
            f"tracing.exporter is {exporter}, but the packages of OpenTelemetry are not installed",
            hint="pip install 'closeloop[tracing]', or set tracing.exporter: none",
        ) from error
    address = None if endpoint is None else f"{endpoint.rstrip('/')}/v1/traces"
    use(BatchSpanProcessor(exporters.OTLPSpanExporter(endpoint=address)), include_texts)


def use(processor: Any, include_texts: bool = False) -> None:
    """Hand spans to a span processor of OpenTelemetry's SDK (a test's, or a program's own)."""
    if _state.provider is not None:
        raise TerminalError("tracing has been started already", hint="call tracing.stop() before")
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    from closeloop import __version__

    resource = Resource.create({"service.name": SCOPE, "service.version": __version__})
    _state.provider = TracerProvider(resource=resource)
    _state.provider.add_span_processor(processor)
    _state.tracer = _state.provider.get_tracer(SCOPE, __version__)
    _state.texts = include_texts


def stop() -> None:
    """Send what is left, for at most some seconds, and send nothing more."""
    if _state.provider is not None:
        _state.provider.force_flush(FLUSH_MS)
        _state.provider.shutdown()
    _state.provider = _state.tracer = None
    _state.texts = False
