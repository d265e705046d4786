"""``benchmarks/run``: the command line."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from wechat_bot.wechat.credentials import Mode

from . import compare, growth, history, memory, report, stages, startup
from .options import POSTGRES_URL, QUICK, THOROUGH, Options
from .tools import Missing

COMMANDS: dict[str, Callable[[Options], report.Report]] = {
    "peers": compare.run,
    "memory": memory.run,
    "growth": growth.run,
    "history": history.run,
    "startup": startup.run,
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
    wanted = list(COMMANDS) if arguments.command == "all" else [arguments.command]
    problems = [problem for name in wanted for problem in _measure(name, options, out)]
    sys.exit("\n".join(problems) or 0)


def _stop(*_: object) -> NoReturn:
    """End as if by an error, so that servers and databases are tidied up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("stopped")


def _measure(name: str, options: Options, out: Path | None) -> list[str]:
    """Run one command, print what it found and keep it in `out`; what went wrong."""
    machine = report.machine(options)
    try:
        found = COMMANDS[name](options)
    except Missing as error:
        return [f"{name}: {error}"]
    section = report.section(name, found, machine, quick=options.quick)
    print(section, flush=True)
    if out:
        report.keep(out, name, section)
    return [f"{name}: {problem}" for problem in found.problems]


def _options(arguments: argparse.Namespace) -> Options:
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    defaults = QUICK if given.pop("quick") else THOROUGH
    return defaults.but(**{name: value for name, value in given.items() if name not in {"command", "out"}})


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
    add("--seconds", type=_within(1, 30), metavar="N", help=f"of load in a turn ({THOROUGH.seconds})")
    add("--repeats", type=_within(1, 20), metavar="N", help=f"turns of each server ({THOROUGH.repeats})")
    add("--connections", type=_connections, metavar="N,N", help="at once; peers (16,64)")
    add("--modes", type=_modes, metavar="MODE,MODE", help="plain, safe; peers (plain,safe)")
    add("--messages", type=_within(1000, 2_000_000), metavar="N", help=f"memory ({THOROUGH.messages:,})")
    add(
        "--rows",
        type=_within(1000, 20_000_000),
        metavar="N",
        help=f"stored; growth, history ({THOROUGH.rows:,})",
    )
    add("--postgres", metavar="URL", help=f"where databases are made and dropped ({POSTGRES_URL})")
    return parser


def _within(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be {least} to {most}")
        return int(text)

    return number


def _connections(text: str) -> tuple[int, ...]:
    return tuple(map(_within(2, 512), text.split(",")))


def _modes(text: str) -> tuple[Mode, ...]:
    modes = tuple(Mode(word) for word in text.split(","))
    if Mode.COMPATIBLE in modes:
        raise argparse.ArgumentTypeError("must be plain or safe")
    return modes


if __name__ == "__main__":
    main()
