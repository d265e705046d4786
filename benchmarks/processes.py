"""Processes of a benchmark: started, watched through ``/proc`` and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 20
STOP_SECONDS = 10
_TICK = os.sysconf("SC_CLK_TCK")


class NotStarted(Exception):
    """A server does not listen; its last words."""


def environment(**values: str) -> dict[str, str]:
    """Ours with `values`; bytecode is kept, as it is where the program is used."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return inherited | values


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def listening(
    command: Sequence[str], port: int, *, directory: Path, environ: Mapping[str, str]
) -> Iterator[int]:
    """The process id of a server that listens on `port`; it and its children end with the block."""
    log = directory / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, env=environ, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _await_port(process, port, log)
        yield process.pid
    finally:
        _stop(process)


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    words = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    raise NotStarted(f"did not start: {words[-1]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group, which it leads."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    children = defaultdict(list)
    for pid, stat in _stats():
        children[int(stat[1])].append(pid)
    found = [root]
    for pid in found:  # grows while it is walked
        found += children[pid]
    return found


def cpu_seconds(root: int) -> float:
    """CPU time that a process, its descendants and those of them that have ended have used."""
    wanted = set(tree(root))
    return sum(sum(map(int, stat[11:15])) for pid, stat in _stats() if pid in wanted) / _TICK


def _stats() -> Iterator[tuple[int, list[str]]]:
    """The fields of ``/proc/<pid>/stat`` of all processes, from the third on."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it has ended
            yield int(entry.name), stat.rpartition(")")[2].split()


def resident(pid: int) -> dict[str, int]:
    """Bytes of memory that a process has: ``VmRSS``, and of it ``RssAnon`` that it shares with no file."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon") if name in fields}
