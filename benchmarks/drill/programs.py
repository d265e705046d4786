"""The programs of an installation: wechat_bot on each host, the database's server, Redis and nginx."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import psycopg

from ..processes import tree
from ..tools import ROOT, Missing, program
from .hosts import Host

RESTART_SECONDS = 1.0
"""Seconds after which a program that has ended is started again, as by systemd."""
STOP_SECONDS = 40
READY_SECONDS = 90


class Role(StrEnum):
    """What a process of the program does."""

    MAIN = "main"
    WEB = "web"
    WORKER = "worker"


class NotReady(Exception):
    """A program does not answer; the message has the end of its log."""


@dataclass
class Program:
    """wechat_bot on a host. It is started again when it ends."""

    host: Host
    folder: Path
    """Its working folder, with the log."""
    environ: dict[str, str]
    port: int
    _process: subprocess.Popen[bytes] | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _supervisor: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host.address}:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self, **environ: str) -> None:
        """Start it with more variables in its environment, and wait until it is ready."""
        self._stopping.clear()
        self._supervisor = threading.Thread(target=self._supervise, args=({**self.environ, **environ},))
        self._supervisor.start()
        self.wait_until_ready()

    def stop(self) -> None:
        """Stop it as systemd does: SIGTERM, and SIGKILL for what is left."""
        self._end(signal.SIGTERM)

    def power_off(self) -> None:
        """Kill all its processes at once; it is not started again."""
        self._end(signal.SIGKILL)

    def kill(self, role: Role) -> None:
        """Kill the processes of a role."""
        for pid in self.pids()[role]:
            os.kill(pid, signal.SIGKILL)

    def pids(self) -> dict[Role, list[int]]:
        """Return the processes by their roles. The worker gives way to the others."""
        assert self._process
        main = self._process.pid
        spawned = [pid for pid in tree(main) if b"spawn_main" in _command(pid)]
        nice = {pid: os.getpriority(os.PRIO_PROCESS, pid) for pid in [main, *spawned]}
        workers = [pid for pid in spawned if nice[pid] > nice[main]]
        return {Role.MAIN: [main], Role.WEB: [p for p in spawned if p not in workers], Role.WORKER: workers}

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def wait_until_ready(self) -> None:
        wait_for(self.is_ready, READY_SECONDS, self.log)

    def _supervise(self, environ: Mapping[str, str]) -> None:
        while not self._stopping.is_set():
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [*self.host.inside, sys.executable, "-m", "wechat_bot"],
                    cwd=self.folder,
                    env=environ,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self._process.wait()
            self._stopping.wait(RESTART_SECONDS)

    def _end(self, number: signal.Signals) -> None:
        self._stopping.set()
        if self._process and self._supervisor:
            pids = tree(self._process.pid)
            for pid in pids if number == signal.SIGKILL else pids[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            self._supervisor.join(STOP_SECONDS)
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._supervisor.join()


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def wait_for(condition: Callable[[], object], seconds: float, log: Path) -> None:
    """Wait until a condition holds.

    :raises NotReady: if it does not in so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise NotReady("\n".join(log.read_text(errors="replace").splitlines()[-5:]))
        time.sleep(0.1)


class Postgres:
    """A PostgreSQL server of its own in `folder`, where it flushes to the disk."""

    def __init__(self, host: Host, folder: Path, port: int, environ: Mapping[str, str]) -> None:
        self._folder = folder / "data"
        self._log = folder / "postgresql.log"
        self._environ = {**os.environ, **environ}
        self._bin = _postgres_programs()
        self._user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        self._listens = f"-p {port} -c listen_addresses={host.address} -c unix_socket_directories={folder}"
        self.url = f"postgresql://postgres@{host.address}:{port}/postgres"

    def create(self) -> None:
        """Create the server's files and start it."""
        self._run("initdb", "-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8")
        with (self._folder / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "-w", "-l", str(self._log), "-o", self._listens, "start")

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def restart(self) -> None:
        """Let it end as in a crash, and start it again."""
        self.stop()
        self.start()

    def start_if_ended(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "status")
            return
        self.start()

    def set(self, assignment: str) -> None:
        """Change a setting for all connections, old and new ones; ``RESET name`` undoes it."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM {assignment}".encode())
            connection.execute(b"SELECT pg_reload_conf()")

    def _run(self, name: str, *arguments: str) -> None:
        command = [*self._user, str(self._bin / name), "-D", str(self._folder), *arguments]
        subprocess.run(command, check=True, env=self._environ, cwd="/", stdout=subprocess.DEVNULL, timeout=60)


def _postgres_programs() -> Path:
    """Return the folder of the server's programs.

    :raises Missing: if there is none.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else Path(program("initdb", "apt install postgresql")).parent


@contextmanager
def running(
    command: Sequence[str], log: Path, ready: Callable[[], object]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program during the block.

    :raises Missing: if it cannot be run.
    """
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        except OSError as error:
            raise Missing(f"{command[0]} cannot be run: {error.strerror}") from error
    try:
        wait_for(ready, READY_SECONDS, log)
        yield process
    finally:
        process.kill()
        process.wait()


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    upstream wechat_bot {{ least_conn; {servers} keepalive 64; keepalive_timeout 30s; }}
    server {{
        listen {address}:{port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_connect_timeout 1s;
        proxy_read_timeout 15s;
        proxy_ignore_client_abort on;
        location / {{ proxy_pass http://wechat_bot; }}
    }}
}}
"""
"""A push to a host that does not answer counts as open until the next push of the message comes, which
therefore goes to the other host. The program answers within 5.5 s, or holds a push for so long."""


def nginx_configuration(host: Host, port: int, folder: Path, programs: Sequence[Program]) -> Path:
    servers = " ".join(f"server {p.host.address}:{p.port} max_fails=1 fail_timeout=3s;" for p in programs)
    path = folder / "nginx.conf"
    path.write_text(NGINX.format(folder=folder, servers=servers, address=host.address, port=port))
    return path


NEWER = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade():
    op.add_column("canned_replies", sa.Column("drill", sa.Integer, nullable=True))


def downgrade():
    op.drop_column("canned_replies", "drill")
"""
"""A migration that the version before it can live with."""


def newer_version(folder: Path) -> Path:
    """Return a copy of this version with one more migration, to be put on PYTHONPATH."""
    version = folder / "newer"
    version.mkdir()
    for name in ("wechat_bot", "config.py"):
        (version / name).symlink_to(ROOT / name)
    subprocess.run(["cp", "-r", str(ROOT / "migrations"), str(version)], check=True)
    versions = version / "migrations/versions"
    head = max(path.name.split("_")[0] for path in versions.glob("[0-9]*.py"))
    (versions / "9999_drill.py").write_text(NEWER.format(head=head))
    return version
