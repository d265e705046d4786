"""``waiting``: pushes floods of slow questions and of reports, beside ordinary questions."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from wechat_bot.services.assistant.profile import AssistantProfile
from wechat_bot.settings import Settings
from wechat_bot.simulator.flood import Message, Outcome, Result, fetch, flood
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.credentials import Mode

from . import ours, tools, traffic
from .databases import Database, SQLite, postgres
from .options import Options
from .processes import NotStarted, free_port, listening, memory_usage, tree
from .report import Report, table, verdict
from .servers import Running, Server, running
from .tools import Missing
from .traffic import WrongAnswer

BOT = tools.HERE / "waiting_bot"
"""The folder of the bot that is served; its handlers answer with `right`."""
ASSISTANT_BOT = tools.HERE / "assistant_bot"
"""The folder of the bot whose slow questions go to a model that is played."""
ORDINARY_FOLLOWERS = 30
"""These are known before: they are those of `traffic.check`."""
WAITING_SECONDS = 4.0
"""When memory is measured: the first pushes are answered or cut after 4.5 to 5 s."""
TAPS = 200
KIBIBYTE = 2**10


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is pushed to a fresh program: slow questions at once, and for `seconds` ordinary ones."""

    what: str
    slow: int = 0
    followers: int = 0
    """The number of followers who ask the slow questions. All ask one unless given."""
    sleep: float = 8
    """How long the handler of a slow question takes, in seconds."""
    ordinary: float = 5
    """Ordinary questions a second."""
    reports: float = 0
    """Reports of template messages a second."""
    seconds: float = 20
    assistant: bool = False
    """Whether the slow questions go to the assistant, whose model takes as long."""
    fetched: bool = False
    """Whether followers who are told to fetch their answers do so afterwards."""

    @property
    def slow_questions(self) -> Iterator[Message]:
        for number in range(self.slow):
            follower = ORDINARY_FOLLOWERS + number % (self.followers or self.slow)
            question = f"[slow {self.sleep}] {number}" if self.assistant else f"慢 {self.sleep} {number}"
            yield traffic.openid(follower), {"Content": question}

    @property
    def ordinary_questions(self) -> Iterator[Message]:
        for number in range(round(self.ordinary * self.seconds)):
            yield traffic.openid(number % ORDINARY_FOLLOWERS), {"Content": f"第 {number} 问"}

    @property
    def reported(self) -> Iterator[Message]:
        for number in range(round(self.reports * self.seconds)):
            fields = {"Event": "TEMPLATESENDJOBFINISH", "MsgID": str(number), "Status": "success"}
            yield traffic.openid(ORDINARY_FOLLOWERS + number), fields


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The results of a run."""

    slow: Sequence[Result]
    ordinary: Sequence[Result]
    reports: Sequence[Result]
    fetched: Sequence[Result]
    """The last result of each follower who was told to fetch an answer, in the order of `slow`."""
    memory: float
    """Growth of the program's resident memory while the slow questions wait, in bytes for each of them."""

    def wrong(self) -> int:
        """Return the number of answers that belong to another question."""
        answers = [result for result in (*self.slow, *self.ordinary) if result.outcome is Outcome.ANSWERED]
        return sum(not right(result, result.text) for result in answers)

    def fetched_right(self) -> int:
        told = [result for result in self.slow if result.outcome is Outcome.FETCH]
        return sum(right(last, first.text) for last, first in zip(self.fetched, told, strict=False))


def right(result: Result, question: str) -> bool:
    """Whether a result has the answer to a question: of a handler, or of the assistant with its mark."""
    asked = question.rpartition("] ")[2]
    return result.reply in {f"收到：{question}", f"你问的是：{asked}\n{AssistantProfile.label}"}


THOROUGH = (
    *(Run(what=f"{slow:,} at once", slow=slow, fetched=True) for slow in (20, 64, 150, 400, 1000)),
    Run(what="4,000 at once", slow=4000, fetched=True),
    Run(what="400 at once to the assistant", slow=400, sleep=8, assistant=True, fetched=True),
    Run(what="200 at once of one follower", slow=200, followers=1),
    Run(what="500 reports a second", ordinary=50, reports=500, seconds=60),
)
QUICK = (
    Run(what="20 at once", slow=20, sleep=2, seconds=5, fetched=True),
    Run(what="10 at once of one follower", slow=10, followers=1, sleep=2, seconds=5),
    Run(what="50 reports a second", ordinary=5, reports=50, seconds=5),
)


_SETTINGS = (
    f"Default settings ({Settings.web_workers} processes, `WEB_THREADS={Settings.web_threads}`,"
    f" `WECHAT_SLOW_HANDLERS={Settings.wechat_slow_handlers}`), safe mode, an account without customer"
    " service. The handler of a slow question takes 8 s.\n"
)


def run(options: Options) -> Report:
    parts, problems = [], []
    for name, make in _databases(options).items():
        try:
            found = {each: _measure(each, make, name) for each in (QUICK if options.quick else THOROUGH)}
        except (Missing, NotStarted, WrongAnswer) as error:
            problems.append(f"{name} is skipped: {error}")
            continue
        parts += [f"### {name}\n", _floods(found), _storms(found), _goals(found)]
        problems += [
            f"{name}, {each.what}: {wrong} answers belong to other questions"
            for each, findings in found.items()
            if (wrong := findings.wrong())
        ]
    return Report("\n".join([_SETTINGS, *parts]), problems)


def _databases(options: Options) -> dict[str, Callable[[Path, ExitStack], Database]]:
    return {
        "SQLite FULL": lambda directory, _: SQLite(directory / "bot.db"),
        "PostgreSQL": lambda _, stack: stack.enter_context(postgres(options.postgres)),
    }


def _measure(each: Run, make: Callable[[Path, ExitStack], Database], name: str) -> Findings:
    print(f"{name}, {each.what}", file=sys.stderr, flush=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        server = ours.server("ours", Mode.SAFE, directory, make(directory, stack))
        server = serve_bot(server, ASSISTANT_BOT if each.assistant else BOT)
        if each.assistant:
            stack.enter_context(_model(server))
        started = stack.enter_context(running(server))
        return asyncio.run(_push(each, started))


@contextmanager
def _model(server: Server) -> Iterator[None]:
    """Serve the stand-in for a language model, and let the assistant of `server` use it."""
    port = free_port()
    command = [sys.executable, str(ASSISTANT_BOT / "model.py"), str(port)]
    with listening(command, port, directory=server.directory, environ=server.environ):
        switch_on = [sys.executable, str(ASSISTANT_BOT / "switch_on.py"), f"http://127.0.0.1:{port}/v1"]
        subprocess.run(switch_on, cwd=server.directory, env=server.environ, check=True)
        yield


def serve_bot(server: Server, bot: Path) -> Server:
    """Return the server with another bot than the shipped one."""
    path = f"{bot}:{server.environ['PYTHONPATH']}"
    return replace(server, environ={**server.environ, "PYTHONPATH": path})


async def _push(each: Run, server: Running) -> Findings:
    url = f"http://127.0.0.1:{server.port}/wechat"
    platform = FakePlatform.at(url, traffic.credentials(server.server.mode))
    resident = _resident(server.pid)

    async def growth() -> int:
        await asyncio.sleep(min(WAITING_SECONDS, each.sleep / 2))
        return await asyncio.to_thread(_resident, server.pid) - resident

    slow, ordinary, reports, grown = await asyncio.gather(
        flood(platform, each.slow_questions),
        flood(platform, each.ordinary_questions, per_second=each.ordinary),
        flood(platform, each.reported, per_second=each.reports),
        growth(),
    )
    told = [result for result in slow if result.outcome is Outcome.FETCH] if each.fetched else []
    return Findings(
        slow=slow,
        ordinary=ordinary,
        reports=reports,
        fetched=await fetch(platform, told, taps=TAPS),
        memory=grown / max(1, len(slow)),
    )


def _resident(pid: int) -> int:
    """Return the resident memory of a process and its descendants, in bytes."""
    return sum(memory_usage(process).get("VmRSS", 0) for process in tree(pid))


def _floods(found: dict[Run, Findings]) -> str:
    head = (
        "slow questions|answered|told to fetch|nothing said|failure notices|fetched later, right"
        "|ordinary: right|failure notices|p50 ms|p95 ms|p99 ms|sent late, ms"
    )
    rows = [_flood_row(each, findings) for each, findings in found.items() if each.slow]
    return table(head.split("|"), rows)


def _flood_row(each: Run, findings: Findings) -> list[str]:
    slow = Counter(result.outcome for result in findings.slow)
    outcomes = (Outcome.ANSWERED, Outcome.FETCH, Outcome.SILENT, Outcome.NOTICE)
    fetched = f"{findings.fetched_right()} of {slow[Outcome.FETCH]}" if each.fetched else "–"
    return [each.what, *(str(slow[outcome]) for outcome in outcomes), fetched, *_ordinary(each, findings)]


def _storms(found: dict[Run, Findings]) -> str:
    head = "reports|acknowledged|failed|messages: right|failure notices|p50 ms|p95 ms|p99 ms|sent late, ms"
    rows = []
    for each, findings in found.items():
        if each.reports:
            reports = Counter(result.outcome for result in findings.reports)
            counts = [str(reports[outcome]) for outcome in (Outcome.SILENT, Outcome.NOTICE)]
            rows.append([f"{each.what}, {each.ordinary:g} messages", *counts, *_ordinary(each, findings)])
    return table(head.split("|"), rows)


def _ordinary(each: Run, findings: Findings) -> list[str]:
    """Return the columns about the ordinary questions. The last one says how late the client was."""
    results = findings.ordinary
    answers = sum(right(result, result.text) for result in results)
    percentiles = [f"{_milliseconds(results, percent):.0f}" for percent in (50, 95, 99)]
    late = max(result.started - number / each.ordinary for number, result in enumerate(results))
    return [f"{answers} of {len(results)}", str(_notices(results)), *percentiles, f"{late * 1000:.0f}"]


def _notices(results: Sequence[Result]) -> int:
    return sum(result.outcome is Outcome.NOTICE for result in results)


def _milliseconds(results: Sequence[Result], percent: int) -> float:
    """Return a percentile of the time until the outcome."""
    seconds = [result.seconds for result in results]
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1] * 1000


def _goals(found: dict[Run, Findings]) -> str:
    return table(
        ["goal", "wanted", "found", ""], [row for item in found.items() for row in _goal_rows(*item)]
    )


def _goal_rows(each: Run, findings: Findings) -> Iterator[list[str]]:
    def latency(percent: int, goal: float) -> list[str]:
        found = _milliseconds(findings.ordinary, percent)
        what = f"{each.what}: p{percent} of the ordinary ones"
        return [what, f"≤ {goal:.0f} ms", f"{found:.0f} ms", verdict(found, goal)]

    notices = _notices((*findings.slow, *findings.ordinary, *findings.reports))
    yield [f"{each.what}: failure notices", "0", str(notices), verdict(notices, 0)]
    if each.slow == 400:
        answered = sum(result.outcome is Outcome.ANSWERED for result in findings.slow)
        yield [f"{each.what}: answered", "400", str(answered), verdict(answered, 400, at_least=True)]
        yield latency(95, 200)
        kibibytes = f"{findings.memory / KIBIBYTE:.0f} KiB"
        yield [f"{each.what}: memory of a waiting push", "said", kibibytes, ""]
    if each.followers:
        yield latency(95, 100)
    if each.reports:
        yield latency(99, 100)
