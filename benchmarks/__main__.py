"""Command line of the benchmarks: ``benchmarks/run``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from wechat_bot.wechat.credentials import Mode

from . import (
    compare,
    drill,
    growth,
    history,
    knowledge,
    memory,
    questions,
    report,
    restart,
    rules,
    soak,
    stages,
    startup,
    waiting,
)
from .options import POSTGRES_URL, QUICK, THOROUGH, Options
from .tools import Missing

COMMANDS: dict[str, Callable[[Options], report.Report]] = {
    "peers": compare.run,
    "memory": memory.run,
    "growth": growth.run,
    "history": history.run,
    "waiting": waiting.run,
    "soak": soak.run,
    "drill": drill.run,
    "startup": startup.run,
    "restart": restart.run,
    "rules": rules.run,
    "knowledge": knowledge.run,
    "questions": questions.run,
    "profile": stages.run,
}


def main() -> None:
    signal.signal(signal.SIGTERM, _stop)
    parser = _parser()
    arguments = parser.parse_args()
    try:
        options = _options(arguments)
    except ValueError as error:
        parser.error(str(error))
    out = arguments.out or (None if arguments.quick else report.RESULTS)
    commands = list(COMMANDS) if arguments.command == "all" else [arguments.command]
    problems = [problem for name in commands for problem in _measure(name, options, out)]
    sys.exit("\n".join(problems) or 0)


def _stop(*_: object) -> NoReturn:
    """Exit by an exception, so that servers are stopped and databases dropped."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("stopped")


def _measure(name: str, options: Options, out: Path | None) -> list[str]:
    """Run one command, print its results, save them in `out`, and return its problems."""
    machine = report.machine(options)
    try:
        result = COMMANDS[name](options)
    except Missing as error:
        return [f"{name}: {error}"]
    section = report.section(name, result, machine, quick=options.quick)
    print(section, flush=True)
    if out:
        report.save(out, name, section)
    return [f"{name}: {problem}" for problem in result.problems]


def _options(arguments: argparse.Namespace) -> Options:
    changes = {name: value for name, value in vars(arguments).items() if value is not None}
    defaults = QUICK if changes.pop("quick") else THOROUGH
    return replace(defaults, **{name: changes[name] for name in changes.keys() - {"command", "out"}})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Measure wechat_bot. All traffic stays on 127.0.0.1; README.md tells how to read it.",
        epilog=f"Results replace those of the same command in {report.RESULTS.name}, unless --quick.",
    )
    parser.add_argument(
        "command",
        nargs="?",
        default="all",
        choices=["all", *COMMANDS],
        metavar="COMMAND",
        help=f"one of {', '.join(COMMANDS)}; all of them unless given",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a smoke run of a few seconds; its figures mean nothing")
    add("--out", type=Path, metavar="FILE", help="where results are kept; RESULTS.md unless --quick")
    add("--seconds", type=_integer(1, 30), metavar="N", help=f"of load in a turn ({THOROUGH.seconds})")
    add("--repeats", type=_integer(1, 20), metavar="N", help=f"turns of each server ({THOROUGH.repeats})")
    add("--connections", type=_connections, metavar="N,N", help="at once; peers (16,64)")
    add("--modes", type=_modes, metavar="MODE,MODE", help="plain, safe; peers (plain,safe)")
    add("--messages", type=_integer(1000, 2_000_000), metavar="N", help=f"memory ({THOROUGH.messages:,})")
    add(
        "--rows",
        type=_integer(1000, 20_000_000),
        metavar="N",
        help=f"stored; growth, history ({THOROUGH.rows:,})",
    )
    add("--minutes", type=_integer(1, 600), metavar="N", help=f"soak ({THOROUGH.minutes})")
    add("--rate", type=_integer(1, 2000), metavar="N", help=f"messages a second; soak ({THOROUGH.rate})")
    add(
        "--numbered",
        type=_integer(100, 100_000),
        metavar="N",
        help=f"messages for each fault; drill ({THOROUGH.numbered:,})",
    )
    add("--postgres", metavar="URL", help=f"where databases are made and dropped ({POSTGRES_URL})")
    return parser


def _integer(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not minimum <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(f"must be {minimum} to {maximum}")
        return int(text)

    return parse


def _connections(text: str) -> tuple[int, ...]:
    return tuple(map(_integer(2, 512), text.split(",")))


def _modes(text: str) -> tuple[Mode, ...]:
    modes = tuple(Mode(word) for word in text.split(","))
    if Mode.COMPATIBLE in modes:
        raise argparse.ArgumentTypeError("must be plain or safe")
    return modes


if __name__ == "__main__":
    main()
