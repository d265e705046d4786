"""Starts and stops processes, and reads their CPU time and memory from ``/proc``."""

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
SETTLE_SECONDS = 60
"""Seconds within which all processes of a server must have started."""
IDLE = 0.05
"""CPU seconds that a server without requests uses in a second at most."""
_TICK = os.sysconf("SC_CLK_TCK")


class NotStarted(Exception):
    """A server does not listen, or some of its processes still start; the message has what is known."""


def environment(**values: str) -> dict[str, str]:
    """Return the environment of this process with `values`; bytecode is cached, as in production."""
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
    """Start a server and yield its process id; it and its children are stopped at the end of the block.

    :raises NotStarted: when it does not listen on `port`.
    """
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
    lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    raise NotStarted(f"did not start: {lines[-1]}")


def settle(root: int) -> None:
    """Wait until all processes of a server have started, which is when it uses next to no CPU time.

    A server with several processes answers when the first one does, while the others still import.

    :raises NotStarted: when that takes longer than `SETTLE_SECONDS`.
    """
    deadline, before = time.monotonic() + SETTLE_SECONDS, cpu_seconds(root)
    while time.monotonic() < deadline:
        time.sleep(1)
        now = cpu_seconds(root)
        if now - before < IDLE:
            return
        before = now
    raise NotStarted(f"it is busy {SETTLE_SECONDS} seconds after its start")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the process group, of which `process` is the leader."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue


def tree(root: int) -> list[int]:
    """Return the process ids of `root` and its descendants."""
    children = defaultdict(list)
    for pid, stat in _stats():
        children[int(stat[1])].append(pid)
    found = [root]
    for pid in found:  # grows during the iteration
        found += children[pid]
    return found


def cpu_seconds(root: int) -> float:
    """Return the CPU time of a process and its descendants, including ended children."""
    wanted = set(tree(root))
    return sum(sum(map(int, stat[11:15])) for pid, stat in _stats() if pid in wanted) / _TICK


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Yield the process id and the fields of ``/proc/<pid>/stat``, from the third on, of all processes."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # the process has ended
            yield int(entry.name), stat.rpartition(")")[2].split()


def memory_usage(pid: int) -> dict[str, int]:
    """Return the resident memory in bytes: ``VmRSS``, and ``RssAnon``, the part that belongs to no file."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon") if name in fields}
