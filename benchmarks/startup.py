"""``startup``: measures the start of the program, from import to the first answer."""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from wechat_bot.wechat.credentials import Mode

from . import ours
from .databases import SQLite
from .options import Options
from .processes import free_port, listening
from .report import Report, table, verdict

GOAL_APP = 0.6
GOAL_ANSWER = 3.0
"""Maximum seconds."""
ANSWER_SECONDS = 30
"""Timeout of a start."""

_IMPORT = """
from time import perf_counter
started = perf_counter()
import wsgi
print(perf_counter() - started)
"""


def run(options: Options) -> Report:
    with TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        port = free_port()
        environ = ours.settings(Mode.SAFE, SQLite(directory / "bot.db"), port=port)
        app = _repeat(options.starts, lambda: _import_seconds(directory, environ))
        process = _repeat(options.starts, lambda: _process_seconds(directory, environ))
        answer = _repeat(max(2, options.starts // 2), lambda: _answer_seconds(directory, environ, port))
    head = ["", "median (min–max), s", "wanted", ""]
    rows = [
        _row("import and `create_app` in a new interpreter", app, GOAL_APP),
        _row("the same with the interpreter's own start and end", process, None),
        _row("`python -m wechat_bot` to the first answer of `/healthz`, second start", answer, GOAL_ANSWER),
    ]
    return Report(table(head, rows))


def _repeat(times: int, measure: Callable[[], float]) -> list[float]:
    """Return `times` results, without a first one that compiles bytecode or creates the database."""
    measure()
    return [measure() for _ in range(times)]


def _import_seconds(directory: Path, environ: Mapping[str, str]) -> float:
    command = [sys.executable, "-c", _IMPORT]
    return float(subprocess.check_output(command, cwd=directory, env=environ, timeout=60))


def _process_seconds(directory: Path, environ: Mapping[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import wsgi"], cwd=directory, env=environ, check=True, timeout=60)
    return time.perf_counter() - started


def _answer_seconds(directory: Path, environ: Mapping[str, str], port: int) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "wechat_bot"]
    with listening(command, port, directory=directory, environ=environ):
        while not _answers(port):
            if time.perf_counter() - started > ANSWER_SECONDS:
                raise RuntimeError(f"/healthz is not answered within {ANSWER_SECONDS} s")
            time.sleep(0.01)
        return time.perf_counter() - started


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _row(what: str, seconds: list[float], goal: float | None) -> list[str]:
    median = statistics.median(seconds)
    found = f"{median:.2f} ({min(seconds):.2f}–{max(seconds):.2f})"
    return [what, found, f"< {goal} s" if goal else "", verdict(median, goal) if goal else ""]
