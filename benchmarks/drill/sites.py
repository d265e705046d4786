"""The installations that are drilled: on SQLite, and on PostgreSQL with two hosts."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from wechat_bot.testing import FakeAPI, listening
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.credentials import Mode

from .. import ours, tools, traffic
from ..databases import SQLite
from ..processes import free_port
from . import programs
from .hosts import THIS, Host, network
from .programs import Postgres, Program

BOT = tools.HERE / "drill/bot"
MACHINE = tools.HERE / "drill/machine.c"
CREDENTIALS = replace(traffic.credentials(Mode.SAFE), app_secret="0123456789abcdef0123456789abcdef")
DISK_SIZE = "700m"
"""Size of the disk that is filled: much of it is the log of PostgreSQL."""


@dataclass
class Site:
    """An installation. Faults that it has no part for leave it out."""

    name: str
    url: str
    """Where the platform pushes."""
    database_url: str
    programs: list[Program]
    api: FakeAPI
    disk: Path
    """The folder of the database, on a small disk of its own if that is permitted."""
    slow_disk: Path
    """While this file exists the database's disk is slow."""
    newer: str
    """The PYTHONPATH of a newer version of the program."""
    sqlite: Path | None = None
    postgres: Postgres | None = None
    redis: RedisServer | None = None

    @property
    def last(self) -> Program:
        """The program that most faults are about; there may be another."""
        return self.programs[-1]

    @property
    def can_cut(self) -> bool:
        return bool(self.last.host.inside)

    @property
    def disk_is_small(self) -> bool:
        return os.path.ismount(self.disk)


@dataclass
class RedisServer:
    host: Host
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{self.host.address}:{self.port}/0"

    def start(self) -> None:
        program = tools.program("redis-server", "apt install redis-server")
        options = [
            "--port",
            str(self.port),
            "--bind",
            self.host.address,
            "--save",
            "",
            "--protected-mode",
            "no",
        ]
        log = self.folder / "redis.log"
        with log.open("ab") as output:
            self.process = subprocess.Popen([program, *options], cwd=self.folder, stdout=output)
        programs.wait_for(self._answers, programs.READY_SECONDS, log)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        with closing(redis.Redis.from_url(self.url)) as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False


@contextmanager
def on_sqlite() -> Iterator[Site]:
    """The program on this machine, on SQLite."""
    with _folders() as (folder, disk), _api(THIS) as (api, url):
        path = disk / "bot.db"
        slow, machine = _faulty_machine(folder)
        environ = _environ(f"sqlite:///{path}", url) | machine
        program = _program(THIS, folder, environ)
        with _started([program]):
            yield Site(
                name="SQLite, one host",
                url=f"{program.url}/wechat",
                database_url=f"sqlite:///{path}",
                programs=[program],
                api=api,
                disk=disk,
                slow_disk=slow,
                newer=f"{BOT}:{programs.newer_version(folder)}",
                sqlite=path,
            )


@contextmanager
def on_postgresql(*, with_redis: bool, fast_clock: int = 0) -> Iterator[Site]:
    """The program on two hosts behind nginx, on one PostgreSQL, which is the queue unless Redis is.

    The clock of the last host is fast by so many seconds.
    """
    with ExitStack() as stack:
        folder, disk = stack.enter_context(_folders())
        here, hosts = stack.enter_context(_hosts())
        slow, machine = _faulty_machine(folder)
        server = Postgres(here, disk, free_port(), machine)
        stack.callback(server.stop)
        server.create()
        api, url = stack.enter_context(_api(here))
        environ = _environ(server.url, url) | machine
        redis_server = RedisServer(here, folder) if with_redis else None
        if redis_server:
            redis_server.start()
            stack.callback(redis_server.kill)
        environ |= {"JOB_QUEUE_URL": redis_server.url if redis_server else server.url, "TRUSTED_PROXIES": "1"}
        found = [_program(host, folder, environ) for host in hosts]
        found[-1].environ["FAST_CLOCK"] = str(fast_clock)
        stack.enter_context(_started(found))
        port = free_port()
        configuration = programs.nginx_configuration(here, port, folder, found)
        front = f"http://{here.address}:{port}"
        nginx = [tools.program("nginx", "apt install nginx"), "-p", str(folder), "-c", str(configuration)]
        stack.enter_context(programs.running(nginx, folder / "nginx.log", lambda: _answers(front)))
        yield Site(
            name=f"PostgreSQL, two hosts, {'Redis' if with_redis else 'no Redis'}",
            url=f"{front}/wechat",
            database_url=server.url.replace("postgresql:", "postgresql+psycopg:"),
            programs=found,
            api=api,
            disk=disk,
            slow_disk=slow,
            newer=f"{BOT}:{programs.newer_version(folder)}",
            postgres=server,
            redis=redis_server,
        )


@contextmanager
def _hosts() -> Iterator[tuple[Host, list[Host]]]:
    """Yield this machine and two hosts, which are this machine, too, where there are no namespaces."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(network())
        except tools.Missing:
            yield THIS, [replace(THIS, name=name) for name in ("a", "b")]


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    """Yield a folder, and one on a small disk, which is in memory, if that is permitted."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the database's server is another user
        disk = folder / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "none", str(disk)]
        is_mounted = subprocess.run(mount, capture_output=True).returncode == 0
        disk.chmod(0o777)
        try:
            yield folder, disk
        finally:
            if is_mounted:
                subprocess.run(["umount", "-l", str(disk)], check=True)


@contextmanager
def _api(host: Host) -> Iterator[tuple[FakeAPI, str]]:
    api = FakeAPI(CREDENTIALS)
    with listening(api, host.address) as url:
        yield api, url


def _environ(database_url: str, api_url: str) -> dict[str, str]:
    environ = ours.settings(Mode.SAFE, SQLite(Path()))
    return environ | {
        "DATABASE_URL": database_url,
        "LOG_LEVEL": "WARNING",
        "PYTHONPATH": f"{BOT}:{tools.ROOT}",
        "WECHAT_ACCOUNT_KIND": AccountKind.VERIFIED_SERVICE,
        "WECHAT_API_BASE_URL": api_url,
        "WECHAT_APP_SECRET": CREDENTIALS.app_secret,
    }


def _program(host: Host, folder: Path, environ: dict[str, str]) -> Program:
    own = folder / host.name
    own.mkdir()
    port = free_port()
    more = {"HOST": host.address, "PORT": str(port), "INSTANCE_PATH": str(own / "instance")}
    return Program(host, own, environ | more, port)


@contextmanager
def _started(found: list[Program]) -> Iterator[None]:
    try:
        for program in found:
            program.start()
        yield
    finally:
        for program in found:
            program.power_off()


def _faulty_machine(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return the file that makes the disk slow, and the environment in which faults of a machine are played.

    :raises Missing: without a C compiler.
    """
    compiler = tools.program("cc", "apt install gcc libc6-dev")
    library, slow_disk = folder / "machine.so", folder / "slow"
    subprocess.run([compiler, "-shared", "-fPIC", "-O", "-o", str(library), str(MACHINE)], check=True)
    return slow_disk, {"LD_PRELOAD": str(library), "SLOW_DISK": str(slow_disk)}


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/healthz", timeout=2) as response:
        return bool(response.status == 200)
    time.sleep(0.1)
    return False
