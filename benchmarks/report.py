"""Formats results as Markdown, describes the machine, and updates ``RESULTS.md``."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psycopg

from .options import Options
from .tools import HERE, ROOT

RESULTS = HERE / "RESULTS.md"
_TITLE = "# Results\n\nWritten by `benchmarks/run`; README.md tells how to read them.\n"
_LIBRARIES = ("flask", "granian", "sqlalchemy", "cryptography", "xmltodict", "psycopg")
TITLES = {
    "peers": "The callback beside its peers",
    "memory": "Memory of a worker",
    "growth": "Many stored messages",
    "history": "Reading many stored messages",
    "waiting": "Waiting and storms",
    "soak": "Messages beside operators",
    "drill": "Faults",
    "startup": "Start",
    "restart": "Restart",
    "rules": "Rules",
    "knowledge": "Knowledge",
    "questions": "Unanswered questions",
    "profile": "Where the time of a push goes",
}


@dataclass(frozen=True)
class Report:
    """The results of a command as Markdown, and its problems."""

    body: str
    problems: list[str] = field(default_factory=list)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def verdict(value: float, goal: float, *, at_least: bool = False) -> str:
    return "met" if (value >= goal if at_least else value <= goal) else "**missed**"


def section(name: str, result: Report, machine: str, *, quick: bool) -> str:
    """Return the section of one command, with date and machine."""
    warning = "\nA smoke run: the figures mean nothing.\n" if quick else ""
    source = f"`benchmarks/run {name}`, {datetime.now():%Y-%m-%d %H:%M}. {machine}"
    problems = "".join(f"\n**{problem}**\n" for problem in result.problems)
    return f"## {TITLES[name]}\n\n{source}\n{warning}{problems}\n{result.body}"


def save(path: Path, name: str, new: str) -> None:
    """Write a section to the file, replacing that of the same command."""
    text = path.read_text(encoding="utf-8") if path.exists() else _TITLE
    sections = _sections(text) | {TITLES[name]: new}
    in_order = [sections[title].rstrip() + "\n" for title in TITLES.values() if title in sections]
    path.write_text("\n".join([_TITLE, *in_order]), encoding="utf-8")


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].removeprefix("## "): part for part in parts}


def machine(options: Options) -> str:
    """Return one paragraph about the machine and the versions."""
    libraries = [f"{name} {version(name)}" for name in _LIBRARIES]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB; {platform.system()} {platform.release()};"
        f" load before: {os.getloadavg()[0]:.2f}. Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}, {_postgres(options.postgres)}, {_node()},"
        f" {', '.join(libraries)}.{_commit()}"
    )


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _postgres(url: str) -> str:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            row = connection.execute("SELECT current_setting('synchronous_commit')").fetchone()
            number = connection.info.server_version
    except psycopg.OperationalError:
        return "no PostgreSQL"
    return f"PostgreSQL {number // 10000}.{number % 10000} (synchronous_commit={row[0] if row else '?'})"


def _node() -> str:
    number = _output("node", "--version")
    return f"Node.js {number.removeprefix('v')}" if number else "no Node.js"


def _commit() -> str:
    commit = _output("git", "--no-optional-locks", "-C", str(ROOT), "describe", "--always", "--dirty")
    return f" Commit {commit}." if commit else ""


def _output(*command: str) -> str:
    """Return the output of a command, "" when it fails or is missing."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
