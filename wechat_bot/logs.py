"""Log lines to stdout, each with the id of its request, to read or to collect."""

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
"""Names the request that is being answered, also in the threads that go on with it."""


class TextFormatter(logging.Formatter):
    """A line to read."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_time(record)} {record.levelname} {request_id.get()} {record.name}"
        line = f"{head}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JSONFormatter(logging.Formatter):
    """An object to collect, on one line."""

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
    """Send all log lines of the process to stdout, as `settings` say."""
    formatter = {LogFormat.TEXT: TextFormatter, LogFormat.JSON: JSONFormatter}[settings.log_format]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": formatter}},
            "handlers": {
                "stdout": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "formatter": "line",
                }
            },
            "root": {"level": "WARNING", "handlers": ["stdout"]},
            "loggers": {
                "wechat_bot": {"level": settings.log_level.value},
                "psycopg": {"level": "ERROR"},  # it warns of errors that are handled
            },
        }
    )
    # What no line shows need not be found out for each (the logging HOWTO, "Optimization").
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def name_requests(app: Flask) -> None:
    """Give every request an id, which its log lines and its answer carry."""

    @app.before_request
    def begin() -> None:
        request_id.set(f"{random.getrandbits(32):08x}")

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers["X-Request-ID"] = request_id.get()
        return response
