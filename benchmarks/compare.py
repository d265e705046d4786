"""``peers``: compares the callback with other libraries, in turns, since machines are noisy."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from wechat_bot.settings import Synchronous
from wechat_bot.wechat.credentials import Mode

from . import ours, peers, tools, traffic
from .databases import SQLite, postgres
from .options import Options
from .processes import NotStarted
from .report import Report, table, verdict
from .servers import Running, Server, Turn, running
from .tools import Missing
from .traffic import WrongAnswer

FULL = "**ours**, SQLite FULL"
NORMAL = "**ours**, SQLite NORMAL"
POSTGRES = "**ours**, PostgreSQL"
WECHATPY = "wechatpy + Flask, echo"
WEROBOT = "WeRoBot, SQLite sessions"
CO_WECHAT = "co-wechat on koa, echo"
CO_WECHAT_SQLITE = "co-wechat + better-sqlite3 NORMAL, recording"
CO_WECHAT_POSTGRES = "co-wechat + pg, recording"

WARM_UP_REQUESTS = 40_000
MAX_REQUESTS = 200_000
GOAL_CONNECTIONS = 16

Key = tuple[str, Mode, int]
"""Server, mode and connections."""


@dataclass
class Findings:
    """The turns of every server, and why a server was skipped."""

    turns: dict[Key, list[Turn]] = field(default_factory=lambda: defaultdict(list))
    skipped: dict[tuple[str, Mode], str] = field(default_factory=dict)


def run(options: Options) -> Report:
    tools.wrk()
    findings = Findings()
    for mode in options.modes:
        with ExitStack() as stack:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
            _race(_start_all(mode, directory, options, findings, stack), mode, directory, options, findings)
    return Report("\n".join([_table(findings), _goals(findings)]), _problems(findings))


def _lineup(mode: Mode, options: Options, stack: ExitStack) -> dict[str, Callable[[str, Path], Server]]:
    """Return factories of the servers by name; each takes the name and a directory."""

    def ours_on_sqlite(synchronous: Synchronous) -> Callable[[str, Path], Server]:
        return lambda name, directory: ours.server(
            name, mode, directory, SQLite(directory / "bot.db"), synchronous=synchronous
        )

    def ours_on_postgres(name: str, directory: Path) -> Server:
        return ours.server(name, mode, directory, stack.enter_context(postgres(options.postgres)))

    def co_wechat_postgres(name: str, directory: Path) -> Server:
        return peers.co_wechat(name, mode, directory, stack.enter_context(postgres(options.postgres)))

    return {
        FULL: ours_on_sqlite(Synchronous.FULL),
        NORMAL: ours_on_sqlite(Synchronous.NORMAL),
        POSTGRES: ours_on_postgres,
        WECHATPY: lambda name, directory: peers.wechatpy(name, mode, directory),
        WEROBOT: lambda name, directory: peers.werobot(name, mode, directory),
        CO_WECHAT: lambda name, directory: peers.co_wechat(name, mode, directory),
        CO_WECHAT_SQLITE: lambda name, directory: peers.co_wechat(
            name, mode, directory, SQLite(directory / "peer.db")
        ),
        CO_WECHAT_POSTGRES: co_wechat_postgres,
    }


def _start_all(
    mode: Mode, directory: Path, options: Options, findings: Findings, stack: ExitStack
) -> list[Running]:
    """Start all servers and return those that answer correctly."""
    started = []
    for number, (name, make) in enumerate(_lineup(mode, options, stack).items()):
        home = directory / str(number)
        home.mkdir()
        try:
            started.append(stack.enter_context(running(make(name, home))))
        except (Missing, NotStarted, WrongAnswer) as error:
            findings.skipped[name, mode] = str(error)
    return started


def _race(
    servers: Sequence[Running], mode: Mode, directory: Path, options: Options, findings: Findings
) -> None:
    """Warm up all servers, then measure them in turns; in each round all get the same requests."""
    requests = _new_requests(mode, directory, WARM_UP_REQUESTS)
    rate = 0.0
    for server in servers:
        load = server.turn(requests, connections=GOAL_CONNECTIONS, seconds=options.seconds).load
        rate = max(rate, load.requests / load.seconds)
    for connections in options.connections:
        for number in range(1, options.repeats + 1):
            _log(f"{mode}, {connections} connections, round {number} of {options.repeats}")
            count = min(MAX_REQUESTS, int(2 * rate * options.seconds) + 1000)
            requests = _new_requests(mode, directory, count)
            for server in servers:
                turn = server.turn(requests, connections=connections, seconds=options.seconds)
                findings.turns[server.server.name, mode, connections].append(turn)
                rate = max(rate, turn.load.requests / turn.load.seconds)


def _new_requests(mode: Mode, directory: Path, count: int) -> Path:
    traffic.write(mode, directory, count)
    return directory


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _table(findings: Findings) -> str:
    head = (
        "server|mode|connections|req/s (min–max)|p50 ms|p99 ms|max ms|server CPU µs/req"
        "|database CPU µs/req|errors|rows / requests"
    )
    rows = [_row(key, turns) for key, turns in findings.turns.items()]
    skipped = [
        [name, mode, *["–"] * 8, f"skipped: {reason}"] for (name, mode), reason in findings.skipped.items()
    ]
    return table(head.split("|"), rows + skipped)


def _row(key: Key, turns: Sequence[Turn]) -> list[str]:
    name, mode, connections = key
    rates = [turn.load.rate for turn in turns]
    database = [turn.database_us for turn in turns if turn.database_us is not None]
    return [
        name,
        mode,
        str(connections),
        f"{statistics.median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})",
        f"{statistics.median(turn.load.p50_ms for turn in turns):.1f}",
        f"{statistics.median(turn.load.p99_ms for turn in turns):.1f}",
        f"{max(turn.load.max_ms for turn in turns):.0f}",
        f"{statistics.median(turn.server_us for turn in turns):.0f}",
        f"{statistics.median(database):.0f}" if database else "–",
        str(sum(turn.load.errors for turn in turns)),
        _recorded(turns),
    ]


def _recorded(turns: Sequence[Turn]) -> str:
    """Recorded and acknowledged messages; wrk drops the last answers, so a few more rows are correct."""
    wraps = sum(turn.load.wraps for turn in turns)
    wrapped = f", requests used again {wraps} times" if wraps else ""
    if turns[0].rows is None:
        return "records nothing" + wrapped
    rows = sum(turn.rows or 0 for turn in turns)
    return f"{rows} / {sum(turn.load.acknowledged for turn in turns)}{wrapped}"


def _problems(findings: Findings) -> list[str]:
    """Return failures of wechat_bot: it was not measured, or lost or refused messages."""
    problems = [
        f"{name}, {mode}: {reason}"
        for (name, mode), reason in findings.skipped.items()
        if name in {FULL, NORMAL}
    ]
    for (name, mode, connections), turns in findings.turns.items():
        if name not in {FULL, NORMAL, POSTGRES}:
            continue
        where = f"{name}, {mode}, {connections} connections"
        if any((turn.rows or 0) < turn.load.acknowledged and not turn.load.wraps for turn in turns):
            problems.append(f"{where}: acknowledged messages are not in the database")
        if any(turn.load.refused for turn in turns):
            problems.append(f"{where}: pushes were refused")
    return problems


RATIOS = (
    (FULL, WECHATPY, 0.8),
    (NORMAL, WECHATPY, 1.0),
    (FULL, WEROBOT, 4.0),
    (NORMAL, WEROBOT, 5.0),
    (NORMAL, CO_WECHAT_SQLITE, 0.9),
    (POSTGRES, CO_WECHAT_POSTGRES, 1.0),
)
"""Goals: minimum ratio of the requests per second of two servers."""
LATENCIES = ((FULL, 16, 60.0), (FULL, 64, 120.0), (NORMAL, 16, 40.0), (NORMAL, 64, 80.0))
"""Goals: server, connections, maximum p99 in milliseconds."""


def _goals(findings: Findings) -> str:
    """Compare with the goals, in safe mode; a ratio is the median of the ratios of all rounds."""
    rows = []
    for name, other, goal in RATIOS:
        ratios = _ratios(findings, name, other)
        if ratios:
            ratio = statistics.median(ratios)
            found = f"{ratio:.2f} × ({min(ratios):.2f}–{max(ratios):.2f})"
            what = f"{name}: req/s of {other}, {GOAL_CONNECTIONS} connections"
            rows.append([what, f"≥ {goal} ×", found, verdict(ratio, goal, at_least=True)])
    for name, connections, goal in LATENCIES:
        if turns := findings.turns.get((name, Mode.SAFE, connections)):
            p99 = statistics.median(turn.load.p99_ms for turn in turns)
            what = f"{name}: p99, {connections} connections"
            rows.append([what, f"≤ {goal:.0f} ms", f"{p99:.1f} ms", verdict(p99, goal)])
    return table(["goal (safe mode)", "wanted", "found", ""], rows) if rows else ""


def _ratios(findings: Findings, name: str, other: str) -> list[float]:
    """Ratios of the requests per second of two servers, by round."""
    mine, theirs = (findings.turns.get((who, Mode.SAFE, GOAL_CONNECTIONS), []) for who in (name, other))
    return [one.load.rate / two.load.rate for one, two in zip(mine, theirs, strict=False) if two.load.rate]
