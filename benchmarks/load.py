"""Load by ``wrk``: what was written by `traffic` is replayed over a number of connections."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import tools, traffic
from .processes import environment

ANSWER_SECONDS = 10
"""After so long a request counts as an error."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What wrk saw. Latencies are those of a closed loop: nobody sends more than is answered."""

    requests: int
    """Answered ones, with whatever status."""
    refused: int
    """Of them, those with a status other than 2xx or 3xx."""
    broken: int
    late: int
    wraps: int
    """How often a thread had to begin again with its requests."""
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float

    @property
    def acknowledged(self) -> int:
        return self.requests - self.refused

    @property
    def rate(self) -> float:
        return self.acknowledged / self.seconds

    @property
    def errors(self) -> int:
        return self.refused + self.broken + self.late


def replay(port: int, requests: Path, *, connections: int, seconds: int) -> Load:
    """Drive the server at `port` with the `requests` of a directory."""
    command = [tools.wrk(), f"-t{traffic.FILES}", f"-c{connections}", f"-d{seconds}s"]
    command += ["--timeout", f"{ANSWER_SECONDS}s", "-s", str(tools.HERE / "replay.lua")]
    result = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/wechat"],
        env=environment(BENCH_REQUESTS=str(requests)),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
    )
    found = result.stdout.rpartition("RESULT ")[2]
    if result.returncode or not found:
        raise RuntimeError(f"wrk failed: {result.stderr or result.stdout}")
    return Load(**json.loads(found))
