"""Runs ``wrk``, which replays the requests of `traffic` over a number of connections."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import tools, traffic
from .processes import environment

ANSWER_SECONDS = 10
"""Timeout after which a request counts as an error."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Results of wrk. The load is a closed loop: a connection sends its next request after the answer."""

    requests: int
    """Answered requests, whatever their status."""
    refused: int
    """Those of them with a status other than 2xx or 3xx."""
    broken: int
    """Requests whose connection failed."""
    late: int
    """Requests that timed out."""
    wraps: int
    """How often a thread ran out of requests and started over."""
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
    """Send the requests of the directory `requests` to the server at `port` for `seconds`."""
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
