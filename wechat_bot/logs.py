"""Logging to stdout, as text or JSON, with the id of the request in each line."""

from __future__ import annotations

import json
import logging
import logging.config
import random
from contextvars import ContextVar
from datetime import UTC, datetime

from flask import Flask, Response

from .settings import LogFormat, Settings

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the current request; it is copied to threads that continue its work."""


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        head = f"{_time(record)} {record.levelname} {request_id.get()} {record.name}"
        line = f"{head}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _time(record),
            "level": record.levelname,
            "request": request_id.get(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def configure_logging(settings: Settings) -> None:
    """Send all log lines of the process to stdout, in the format and from the level of `settings`."""
    formatter = {LogFormat.TEXT: TextFormatter, LogFormat.JSON: JSONFormatter}[settings.log_format]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": formatter}},
            "handlers": {
                "line": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "line"}
            },
            "root": {"level": "WARNING", "handlers": ["line"]},
            "loggers": {
                "wechat_bot": {"level": settings.log_level.value},
                "psycopg": {"level": "ERROR"},  # its warnings are about errors that are handled
            },
        }
    )
    # No line shows the call site, thread or process, so do not collect them (logging HOWTO, "Optimization").
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def name_requests(app: Flask) -> None:
    """Assign an id to each request, for its log lines and the header ``X-Request-ID`` of its response."""

    @app.before_request
    def assign_id() -> None:
        request_id.set(f"{random.getrandbits(32):08x}")

    @app.after_request
    def add_header(response: Response) -> Response:
        response.headers["X-Request-ID"] = request_id.get()
        return response
