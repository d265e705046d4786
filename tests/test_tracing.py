"""What OpenTelemetry is told of requests, statements and calls, and what it is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import text

from tests.conftest import APP_SECRET, MakeApp
from wechat_bot import logs, tracing
from wechat_bot.extensions import db
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wiring import services


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    app = make_app(api=api, wechat_app_secret=APP_SECRET)

    @app.get("/ours")
    def ours() -> str:
        with pytest.raises(Exception, match="wrong"):
            db.session.execute(text("SELECT wrong, :words"), {"words": "a follower wrote this"})
        services(app).doctor.diagnose(online=True)
        return "fine"

    @app.get("/fault")
    def fault() -> str:
        raise ValueError("a follower wrote this")

    return app


@pytest.fixture
def exporter(app: Flask) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(tracing.cleaning(SimpleSpanProcessor(exporter)))
    tracing.instrument(app, provider)
    yield exporter
    SQLAlchemyInstrumentor().uninstrument()
    provider.shutdown()


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if name in span.name]


def test_a_request_has_a_trace_with_its_statements_and_calls(
    app: Flask, exporter: InMemorySpanExporter, api: FakeAPI
) -> None:
    api.errcodes["/cgi-bin/getcallbackip"] = [45009]
    assert app.test_client().get("/ours").status_code == 200
    [request] = named(exporter, "GET /ours")
    [call] = named(exporter, "getcallbackip")
    statements = named(exporter, "SELECT")
    assert request.context
    assert call.parent
    assert call.parent.span_id == request.context.span_id
    assert call.attributes
    assert call.attributes["wechat.errcode"] == 45009
    assert not call.status.is_ok
    assert len(statements) > 3
    assert {span.context.trace_id for span in statements if span.context} == {request.context.trace_id}


def test_a_push_is_one_request_without_what_it_brought(
    app: Flask, exporter: InMemorySpanExporter, api: FakeAPI
) -> None:
    FakePlatform.of(app).follower("oSecretFollower").text("一句心里话")
    [push] = named(exporter, "POST /wechat")
    assert push.attributes
    assert push.attributes["http.status_code"] == 200
    told = "".join(span.to_json() for span in exporter.get_finished_spans())
    for secret in ("signature=", "oSecretFollower", "心里话", "\\u5fc3"):
        assert secret not in told


def test_errors_are_told_without_their_texts(app: Flask, exporter: InMemorySpanExporter) -> None:
    assert app.test_client().get("/fault").status_code == 500
    app.test_client().get("/ours?code=a-secret")
    told = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "ValueError" in told
    assert "a follower wrote this" not in told
    assert "a-secret" not in told


def test_statements_outside_of_requests_are_left_out(app: Flask, exporter: InMemorySpanExporter) -> None:
    services(app).projector.catch_up()
    assert exporter.get_finished_spans() == ()


def test_lines_of_the_log_name_the_trace(app: Flask, exporter: InMemorySpanExporter) -> None:
    seen = []

    @app.teardown_request
    def note(_error: BaseException | None) -> None:
        seen.append(logs.ids.get()["trace"])

    app.test_client().get("/healthz")
    [request] = named(exporter, "GET /healthz")
    assert request.context
    assert seen == [f"{request.context.trace_id:032x}"]


def test_nothing_is_traced_unless_the_environment_asks_for_it(app: Flask) -> None:
    assert services(app).call_stats.also_tell is None
