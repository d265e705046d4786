"""``restart``: replaces, kills and restarts processes of the program while followers write."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from wechat_bot.simulator.flood import Message, Outcome, Result, flood
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.credentials import Mode

from . import ours, traffic
from .databases import SQLite
from .options import Options
from .processes import free_port, listening, settle, tree
from .report import Report, table, verdict
from .servers import Server
from .waiting import BOT, right, serve_bot

PER_SECOND = 50
FOLLOWERS = 1000
CALM_SECONDS = 3.0
"""Seconds of pushes before something happens."""


class Program:
    """The program on an empty database, with the bot that answers with what was written."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._port = free_port()
        self._running = ExitStack()
        self.platform = FakePlatform.at(
            f"http://127.0.0.1:{self._port}/wechat", traffic.credentials(server.mode)
        )

    def start(self) -> None:
        server = self._server
        command = server.command(self._port)
        started = listening(command, self._port, directory=server.directory, environ=server.environ)
        self.pid = self._running.enter_context(started)

    def stop(self) -> None:
        self._running.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def kill(self) -> None:
        """Kill the oldest process that answers, three times in quick succession."""
        for _ in range(3):
            os.kill(self._answering(), signal.SIGKILL)
            time.sleep(1)

    def _answering(self) -> int:
        """Return a process that shares the socket of the main process, which pushes come to."""
        main, *others = tree(self.pid)
        return next(pid for pid in others if _sockets(pid) & _sockets(main))


def _sockets(pid: int) -> set[str]:
    links = [str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()]
    return {link for link in links if link.startswith("socket:")}


DISTURBANCES: dict[str, Callable[[Program], object]] = {
    "nothing": lambda program: None,
    "SIGHUP: all processes are replaced": Program.reload,
    "kill -9 of both processes that answer, and of a successor, in three seconds": Program.kill,
    "SIGTERM, and a new start": Program.restart,
}


def run(options: Options) -> Report:
    seconds = 10 if options.quick else 30
    found = {what: _measure(disturb, seconds) for what, disturb in DISTURBANCES.items()}
    head = [
        "",
        "messages",
        "stored",
        "answered",
        "failure notices",
        "pushed again",
        "p50 ms",
        "p99 ms",
        "slowest ms",
    ]
    rows = [_row(what, results, stored) for what, (results, stored) in found.items()]
    goals = [_goal(what, *found[what]) for what in list(DISTURBANCES)[1:3]]
    return Report(table(head, rows) + "\n" + table(["goal", "wanted", "found", ""], goals))


def _measure(disturb: Callable[[Program], object], seconds: int) -> tuple[list[Result], int]:
    """Push messages while something happens. Return the results, and how many messages were stored."""
    with TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        database = SQLite(directory / "bot.db")
        program = Program(serve_bot(ours.server("ours", Mode.SAFE, directory, database), BOT))
        program.start()
        try:
            settle(program.pid)
            results = asyncio.run(_push(program, disturb, seconds))
        finally:
            program.stop()
        return results, database.count(ours.RECORDED)


async def _push(program: Program, disturb: Callable[[Program], object], seconds: int) -> list[Result]:
    async def disturb_later() -> None:
        await asyncio.sleep(CALM_SECONDS)
        await asyncio.to_thread(disturb, program)

    pushes = flood(program.platform, _messages(PER_SECOND * seconds), per_second=PER_SECOND)
    results, _ = await asyncio.gather(pushes, disturb_later())
    return results


def _messages(count: int) -> Iterator[Message]:
    for number in range(count):
        yield traffic.openid(number % FOLLOWERS), {"Content": f"第 {number} 问"}


def _row(what: str, results: Sequence[Result], stored: int) -> list[str]:
    milliseconds = sorted(result.seconds * 1000 for result in results)
    percentiles = statistics.quantiles(milliseconds, n=100, method="inclusive")
    times = (percentiles[49], percentiles[98], milliseconds[-1])
    counts = (len(results), stored, _answered(results), _notices(results), _repeated(results))
    return [what, *map(str, counts), *(f"{time:.0f}" for time in times)]


def _answered(results: Sequence[Result]) -> int:
    return sum(right(result, result.text) for result in results)


def _notices(results: Sequence[Result]) -> int:
    return sum(result.outcome is Outcome.NOTICE for result in results)


def _repeated(results: Sequence[Result]) -> int:
    return sum(result.pushes > 1 for result in results)


def _goal(what: str, results: Sequence[Result], stored: int) -> list[str]:
    lost = len(results) - min(stored, _answered(results))
    return [f"{what}: messages lost or not answered", "0", str(lost), verdict(lost, 0)]
