"""Traces for OpenTelemetry: of requests, with their statements and calls of the platform's API.

They need the extra ``otel`` and the variable OTEL_EXPORTER_OTLP_ENDPOINT; the other variables of
OpenTelemetry work as its documentation says. Without that, nothing is imported. The two statements of a
plain push go past SQLAlchemy, and so have no spans.
"""

from __future__ import annotations

import logging
import os
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from flask import Flask

from . import logs
from .wechat.api import Call
from .wiring import services

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.trace import Tracer

log = logging.getLogger(__name__)

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_ADDRESSES = ("http.url", "http.target", "url.full", "url.query")
"""Attributes with the query of a request, which may hold signatures, codes and openids."""


def init_app(app: Flask) -> None:
    """Trace `app` if the environment asks for it."""
    if not os.environ.get(ENDPOINT):
        return
    try:
        provider = _provider()
    except ImportError:
        log.warning("%s needs: pip install 'wechat-bot[otel]'", ENDPOINT)
    else:
        instrument(app, provider)


def instrument(app: Flask, provider: TracerProvider) -> None:
    """Let `app` report to `provider`, whose processors should be made by `cleaning`."""
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
    from opentelemetry.trace import get_current_span

    bot = services(app)
    flask: Any = FlaskInstrumentor
    flask.instrument_app(app, tracer_provider=provider, enable_commenter=False)
    engines = [bot.engine, bot.writer, bot.slow_engine]
    # Its check of the version knows SQLAlchemy up to 2.0; the events that it listens to are the same in 2.1.
    SQLAlchemyInstrumentor().instrument(engines=engines, tracer_provider=provider, skip_dep_check=True)
    bot.call_stats.also_tell = partial(_add_span, provider.get_tracer(__name__))

    @app.before_request
    def name_trace() -> None:
        logs.bind(trace=f"{get_current_span().get_span_context().trace_id:032x}")


@cache
def _provider() -> TracerProvider:
    """The provider of this process, as the environment configures it.

    :raises ImportError: without the extra ``otel``.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    os.environ.setdefault("OTEL_SERVICE_NAME", "wechat_bot")
    provider = TracerProvider()
    provider.add_span_processor(cleaning(BatchSpanProcessor(OTLPSpanExporter())))
    return provider


def _add_span(tracer: Tracer, call: Call) -> None:
    """Add a span for a call of the API that has just ended."""
    from opentelemetry.trace import SpanKind, StatusCode

    ended = time.time_ns()
    attributes: dict[str, str | int] = {"url.path": call.path, "wechat.errcode": call.errcode}
    start = ended - round(call.seconds * 1e9)
    span = tracer.start_span(call.path, kind=SpanKind.CLIENT, attributes=attributes, start_time=start)
    if call.errmsg:
        span.set_status(StatusCode.ERROR)
    span.end(ended)


def cleaning(following: SpanProcessor) -> SpanProcessor:
    """Return a processor that passes spans on without secrets and without what followers wrote.

    Statements outside of a request, such as the worker's as it looks for work, are left out.
    """
    from opentelemetry.sdk.trace import SpanProcessor

    class Cleaning(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            scope = span.instrumentation_scope
            if span.parent or not scope or "sqlalchemy" not in scope.name:
                following.on_end(_cleaned(span))

        def shutdown(self) -> None:
            following.shutdown()

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return following.force_flush(timeout_millis)

    return Cleaning()


def _cleaned(span: ReadableSpan) -> ReadableSpan:
    """Return a span without the queries of addresses and the texts of errors."""
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Status

    attributes = dict(span.attributes or {})
    for name in attributes.keys() & set(_ADDRESSES):
        attributes[name] = str(attributes[name]).partition("?")[0]
    errors = [
        Event(
            event.name,
            {"exception.type": (event.attributes or {}).get("exception.type", "")},
            event.timestamp,
        )
        for event in span.events
    ]
    return ReadableSpan(
        span.name,
        span.context,
        span.parent,
        span.resource,
        attributes,
        errors,
        span.links,
        span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
