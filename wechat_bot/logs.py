"""Logging to stdout, as text or JSON. Each line has the ids of what its thread works on."""

from __future__ import annotations

import json
import logging
import logging.config
import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from flask import Flask, Response, request

from .settings import LogFormat, Settings

ids: ContextVar[Mapping[str, Any]] = ContextVar("log_ids", default=MappingProxyType({}))
"""The ids of what the current thread works on, by name; they are copied to threads that continue its work."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def bind(**more: Any) -> None:
    """Add ids to all further lines of the current request or thread."""
    ids.set({**ids.get(), **more})


@contextmanager
def about(**more: Any) -> Iterator[None]:
    """Add ids to the lines of the block."""
    token = ids.set({**ids.get(), **more})
    try:
        yield
    finally:
        ids.reset(token)


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        present = dict(ids.get())
        head = f"{_time(record)} {record.levelname} {present.pop('request', '-')} {record.name}"
        line = f"{head}: {record.getMessage()}"
        if given := " ".join(f"{name}={_quoted(value)}" for name, value in present.items() if value):
            line += f" [{given}]"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _quoted(value: object) -> str:
    """Return an id, in quotes unless it is plain, so that none can look like something else."""
    text = str(value)
    return text if re.fullmatch(r"[\w.:-]+", text, re.ASCII) else json.dumps(text)


class JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _time(record),
            "level": record.levelname,
            "request": "-",
            **ids.get(),
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


def name_requests(app: Flask, *, trusts_proxy: bool) -> None:
    """Assign an id to each request, for its log lines and the header ``X-Request-ID`` of its response.

    It is the one in the header of the request, if that is well-formed and `trusts_proxy` is set.
    """

    @app.before_request
    def assign_id() -> None:
        given = request.environ.get("HTTP_X_REQUEST_ID", "") if trusts_proxy else ""
        ids.set({"request": given if _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(32):08x}"})

    @app.after_request
    def add_header(response: Response) -> Response:
        response.headers["X-Request-ID"] = ids.get()["request"]
        return response
