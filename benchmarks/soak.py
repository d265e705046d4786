"""``soak``: a steady rate of messages for an hour, beside operators who read, search, export and answer."""

from __future__ import annotations

import asyncio
import random
import re
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
from sqlalchemy import Engine

from wechat_bot.extensions import db
from wechat_bot.models import Role
from wechat_bot.routing.handover_policy import HandoverPolicy
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import handover
from wechat_bot.simulator.flood import Message, Outcome, Result, flood
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wiring import services

from . import ours, traffic
from .databases import Database, SQLite, maintain, postgres
from .options import Options
from .processes import memory_usage, tree
from .report import Report, table, verdict
from .servers import Running, running
from .tools import Missing

OPERATORS = 4
PAUSE_SECONDS = 1.0
"""Between two requests of an operator."""
GOAL_MS = 100
SAMPLE = 5
"""The memory at the end is compared with that after so many minutes, when everything is imported."""
GOAL_GROWTH = 1.1
MEBIBYTE = 2**20

PAGES: Mapping[str, str] = {
    "messages": "/admin/messages",
    "a search": "/admin/messages?q=退款",
    "conversations": "/admin/conversations",
    "a conversation": "/admin/conversations/{follower}",
    "followers": "/admin/followers",
    "an export": "/admin/messages.csv?follower={follower}",
}
"""What operators look at in turn, before they answer the conversation."""
ANSWER = "an answer"

CONTENTS = ("帮助", "帮助", "你好")
"""What followers write beside made-up words, which no handler understands."""


@dataclass(frozen=True, kw_only=True)
class Minute:
    """What was measured in one minute."""

    results: Sequence[Result]
    resident: int
    """Resident memory of all processes of the program, in bytes."""
    private: Sequence[int]
    """The part of it that belongs to no file, in bytes, for each process in the order of their start."""
    files: int
    """Files and connections that they have open."""
    backlog: int
    """Messages and followers that cannot be found yet."""

    def count(self, *outcomes: Outcome) -> int:
        return sum(result.outcome in outcomes for result in self.results)

    def milliseconds(self, percent: int) -> float:
        seconds = [result.seconds for result in self.results]
        return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1] * 1000


@dataclass
class Office:
    """Operators who use the console until they are stopped."""

    site: str
    followers: int
    times: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in (*PAGES, ANSWER)})
    """Seconds until a page was complete."""
    problems: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)

    def work(self, number: int) -> None:
        """Be one operator."""
        rng = random.Random(number)
        with httpx2.Client(base_url=self.site, timeout=30, follow_redirects=True) as browser:
            form = ours.sign_in_form(browser.get("/admin/sign-in").text)
            browser.post("/admin/sign-in", data=form)
            while not self.stopping.is_set():
                self._go_round(browser, rng.randint(1, self.followers))

    def _go_round(self, browser: httpx2.Client, follower: int) -> None:
        for name, path in PAGES.items():
            page = self._timed(name, partial(browser.get, path.format(follower=follower)))
            if name == "a conversation" and page:
                form = {"csrf_token": ours.csrf_token(page), "kind": "text", "text": "您好，马上为您处理。"}
                self._timed(
                    ANSWER, partial(browser.post, f"{path.format(follower=follower)}/answers", data=form)
                )

    def _timed(self, name: str, request: Callable[[], httpx2.Response]) -> str:
        if self.stopping.wait(PAUSE_SECONDS):
            return ""
        started = time.perf_counter()
        try:
            answer = request()
        except httpx2.HTTPError as error:
            self.problems[f"{name}: {type(error).__name__}"] += 1
            return ""
        if answer.status_code != 200:
            self.problems[f"{name}: {answer.status_code}"] += 1
            return ""
        self.times[name].append(time.perf_counter() - started)
        return answer.text


def run(options: Options) -> Report:
    parts, problems = [], []
    for name, make in _kinds(options).items():
        try:
            with ExitStack() as stack:
                part, lost = _measure(make, options, stack)
        except Missing as error:
            problems.append(f"{name} is skipped: {error}")
            continue
        parts += [f"### {name}\n", part]
        problems += [f"{name}: {problem}" for problem in lost]
    return Report("\n".join(parts), problems)


def _kinds(options: Options) -> dict[str, Callable[[Path, ExitStack], Database]]:
    return {
        "SQLite FULL": lambda directory, _: SQLite(directory / "bot.db"),
        "PostgreSQL": lambda _, stack: stack.enter_context(postgres(options.postgres)),
    }


def _measure(
    make: Callable[[Path, ExitStack], Database], options: Options, stack: ExitStack
) -> tuple[str, list[str]]:
    directory = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
    database = make(directory, stack)
    server = stack.enter_context(running(ours.server("ours", Mode.SAFE, directory, database)))
    app = stack.enter_context(ours.application(database, directory))
    with app.app_context():
        engine = db.engine
    ours.add_operator(engine, Role.ADMIN)
    _let_the_bot_answer(engine, services(app).account_id)
    before = database.count(ours.RECORDED)
    office = stack.enter_context(_working(server, before))
    minutes = []
    for number in range(options.minutes):
        results = asyncio.run(_push(server, options.rate, number))
        minutes.append(_minute(server, results, services(app).projector.backlog()))
        maintain(engine)
        print(f"minute {number + 1}: p99 {minutes[-1].milliseconds(99):.0f} ms", file=sys.stderr, flush=True)
    stored = database.count(ours.RECORDED) - before
    log = (directory / f"server-{server.port}.log").read_text(errors="replace")
    return _report(minutes, office, stored, _log_lines(log))


def _let_the_bot_answer(engine: Engine, account_id: int) -> None:
    """Call no person for what the bot does not understand, so that it goes on answering."""
    handover.save_policy(engine, Actor(None, "benchmarks", ""), account_id, 0, HandoverPolicy(misses=0))


@contextmanager
def _working(server: Running, followers: int) -> Iterator[Office]:
    """Let operators look at the conversations of the first `followers` inside the context."""
    office = Office(f"http://127.0.0.1:{server.port}", followers)
    threads = [threading.Thread(target=office.work, args=(number,)) for number in range(OPERATORS)]
    for thread in threads:
        thread.start()
    try:
        yield office
    finally:
        office.stopping.set()
        for thread in threads:
            thread.join()


async def _push(server: Running, rate: int, minute: int) -> list[Result]:
    url = f"http://127.0.0.1:{server.port}/wechat"
    platform = FakePlatform.at(url, traffic.credentials(Mode.SAFE))
    return await flood(platform, _messages(rate * 60, minute), per_second=rate)


def _messages(number: int, minute: int) -> Iterator[Message]:
    rng = random.Random(minute)
    for _ in range(number):
        yield (
            traffic.openid(rng.randrange(traffic.OPENIDS)),
            {"Content": rng.choice([*CONTENTS, traffic.text(rng)])},
        )


def _minute(server: Running, results: Sequence[Result], backlog: int) -> Minute:
    processes = tree(server.pid)
    memory = [memory_usage(pid) for pid in processes]
    return Minute(
        results=results,
        resident=sum(sizes.get("VmRSS", 0) for sizes in memory),
        private=[sizes.get("RssAnon", 0) for sizes in memory],
        files=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in processes),
        backlog=backlog,
    )


def _log_lines(log: str) -> Counter[str]:
    """Count the lines of the log from WARNING on, by level and words without numbers."""
    found = re.findall(r"^\S+ (WARNING|ERROR|CRITICAL) \S+ (.*)$", log, re.MULTILINE)
    return Counter(f"{level} {re.sub(r'[0-9a-f]*[0-9][0-9a-f]*', '#', words)}" for level, words in found)


def _report(
    minutes: Sequence[Minute], office: Office, stored: int, log_lines: Counter[str]
) -> tuple[str, list[str]]:
    results = [result for minute in minutes for result in minute.results]
    whole = Minute(results=results, resident=0, private=(), files=0, backlog=0)
    notices = whole.count(Outcome.NOTICE)
    parts = [
        table(
            [
                "minute",
                "messages",
                "failure notices",
                "p50 ms",
                "p99 ms",
                "RSS, MiB",
                "private MiB, by process",
                "open files",
                "backlog",
            ],
            map(_row, count(1), minutes),
        ),
        table(["an operator waits for", "times", "p50 ms", "p95 ms"], map(_page_row, office.times.items())),
        table(["goal", "wanted", "found", ""], _goals(minutes, whole, stored)),
    ]
    for title, counted in (("requests of operators that failed", office.problems), ("log lines", log_lines)):
        if counted:
            parts.append(
                table([title, "times"], [[what, str(times)] for what, times in counted.most_common()])
            )
    acknowledged = len(results) - notices
    lost = [f"{acknowledged - stored} acknowledged messages are lost"] if stored < acknowledged else []
    return "\n".join(parts), lost


def _row(number: int, minute: Minute) -> list[str]:
    percentiles = [f"{minute.milliseconds(percent):.0f}" for percent in (50, 99)]
    counts = [f"{len(minute.results):,}", str(minute.count(Outcome.NOTICE))]
    memory = [
        f"{minute.resident / MEBIBYTE:.0f}",
        ", ".join(f"{size / MEBIBYTE:.0f}" for size in minute.private),
    ]
    return [str(number), *counts, *percentiles, *memory, str(minute.files), f"{minute.backlog:,}"]


def _page_row(item: tuple[str, Sequence[float]]) -> list[str]:
    name, seconds = item
    if len(seconds) < 2:
        return [name, str(len(seconds)), "–", "–"]
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return [name, str(len(seconds)), f"{cuts[49] * 1000:.0f}", f"{cuts[94] * 1000:.0f}"]


def _goals(minutes: Sequence[Minute], whole: Minute, stored: int) -> Iterator[list[str]]:
    p99, notices = whole.milliseconds(99), whole.count(Outcome.NOTICE)
    acknowledged = len(whole.results) - notices
    yield ["p99 of all messages", f"≤ {GOAL_MS} ms", f"{p99:.0f} ms", verdict(p99, GOAL_MS)]
    yield ["failure notices", "0", str(notices), verdict(notices, 0)]
    yield ["acknowledged and not stored", "0", str(acknowledged - stored), verdict(acknowledged - stored, 0)]
    if len(minutes) > SAMPLE:
        growth = minutes[-1].resident / minutes[SAMPLE - 1].resident
        wanted = f"≤ {GOAL_GROWTH} ×"
        yield [
            f"memory, last minute against minute {SAMPLE}",
            wanted,
            f"{growth:.2f} ×",
            verdict(growth, GOAL_GROWTH),
        ]
