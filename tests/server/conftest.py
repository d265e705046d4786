"""Starts and stops the program, `python -m wechat_bot`, in a process group of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.conftest import AES_KEY, APP_ID, TOKEN
from tests.databases import Databases
from tests.needs import AGAIN
from tests.ports import free_port
from tests.waiting import PATIENCE
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.credentials import Credentials, Mode

ROOT = Path(__file__).parent.parent.parent


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(AGAIN)


@dataclass
class Program:
    """An installation with its folder, database and port, and its process while it runs."""

    folder: Path
    environment: dict[str, str]
    port: int
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *around: str) -> None:
        """Start it, as the last arguments of the command `around`, and wait until it answers."""
        self.launch(*around)
        self.wait_until_it_answers()

    def launch(self, *around: str) -> None:
        """Start it, as the last arguments of the command `around`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*around, sys.executable, "-m", "wechat_bot"],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_it_answers(self) -> None:
        assert self.process
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if httpx2.get(f"{self.url}/healthz", timeout=1).status_code == 200:
                    return
            except httpx2.TransportError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def stop(self, number: signal.Signals) -> int:
        """Signal the process group, wait for its end, and return the exit code."""
        assert self.process
        os.killpg(self.process.pid, number)
        return self.process.wait(40)

    def platform(self, mode: Mode = Mode.SAFE) -> FakePlatform:
        credentials = Credentials(tokens=(TOKEN,), mode=mode, app_id=APP_ID, aes_keys=(AES_KEY,))
        return FakePlatform.at(f"{self.url}/wechat", credentials)


MakeProgram = Callable[..., Program]


@pytest.fixture
def make_program(tmp_path: Path, migrated: Path) -> Iterator[MakeProgram]:
    """Creates installations; keyword arguments are their environment. They are killed at the end.

    `bot` is the module that is served as ``wsgi``. The database is a copy of `template`, if that is given.
    """
    made: list[Program] = []

    def make(bot: Path = ROOT / "wsgi.py", template: Path | None = migrated, **environment: str) -> Program:
        port = free_port()
        folder = tmp_path / f"program{len(made)}"
        folder.mkdir()
        for path in (ROOT / "config.py", ROOT / "migrations", bot):
            (folder / path.name).symlink_to(path)
        if template:
            shutil.copyfile(template, folder / "bot.db")
        program = Program(
            folder,
            {
                "PORT": str(port),
                "INSTANCE_PATH": str(folder / "instance"),
                "DATABASE_URL": f"sqlite:///{folder}/bot.db",
                "WECHAT_TOKEN": TOKEN,
                "WECHAT_APP_ID": APP_ID,
                "WECHAT_ENCODING_AES_KEY": AES_KEY,
                "WECHAT_MESSAGE_MODE": "safe",
                **environment,
            },
            port,
        )
        made.append(program)
        return program

    yield make
    for program in made:
        if program.process and program.process.poll() is None:
            program.stop(signal.SIGKILL)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, databases: Databases, migrated: Path
) -> Iterator[str]:
    with databases.borrow(request.param, tmp_path) as url:
        if request.param == "sqlite":
            shutil.copyfile(migrated, tmp_path / "bot.db")
        yield url


@pytest.fixture
def program(make_program: MakeProgram) -> Program:
    return make_program()
