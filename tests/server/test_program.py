"""Start, stop and wrong settings of the program, as its owner meets them."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.server.conftest import ROOT, MakeProgram, Program
from tests.waiting import PATIENCE, wait_until
from wechat_bot.env_file import load_settings


def test_it_writes_its_env_migrates_answers_and_ends_cleanly(make_program: MakeProgram) -> None:
    program = make_program(template=None)
    program.start()
    platform = program.platform()
    assert platform.verify_url()
    assert str(platform.text("帮助")).startswith("我会这些")
    assert httpx2.get(f"{program.url}/readyz").text == "database: ok"
    assert load_settings(program.folder / ".env", {}).secrets_are_known is False
    assert program.stop(signal.SIGINT) == 0
    log = program.log.read_text()
    assert "Traceback" not in log
    assert f"{program.url}/admin/" in log
    assert log.count("Name admin, password ") == 1
    assert "flask wechat seed" in log
    assert "flask run --debug" in log
    assert load_settings(program.folder / ".env", {}).wechat_token not in log, "no secret outside a terminal"
    written = {*program.folder.rglob("*")} - {program.log}
    readable = [path for path in written if not path.is_symlink() and path.stat().st_mode & 0o077]
    assert readable == [], "other users of the machine read nothing"


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *(command or ("wechat_bot",))],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_a_busy_port_is_told_with_a_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        ended = run(tmp_path, PORT=str(port))
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Cannot listen on 127.0.0.1:{port}")
    assert f"PORT={port + 1} make run" in ended.stderr


@pytest.mark.parametrize(
    ("environment", "sentences"),
    [
        ({"PORT": "many", "LOG_LEVEL": "loud"}, ["PORT is 'many'", "LOG_LEVEL is 'loud'"]),
        ({"APP_ENV": "production", "SECRET_KEY": "secret"}, ["SECRET_KEY is missing or too short"]),
        ({"HOST": "0.0.0.0", "SECRET_KEY": "development"}, ["HOST=0.0.0.0 lets others in"]),
        ({"WECHAT_MESSAGE_MODE": "safe", "WECHAT_APP_ID": ""}, ["WECHAT_MESSAGE_MODE is safe, which needs"]),
        ({"DATABASE_URL": "postgres://127.0.0.1:1/none", "PORT": "0"}, ["The database cannot be used"]),
        ({"INSTANCE_PATH": "/proc/self/none", "PORT": "0"}, ["No files can be written to /proc/self/none ("]),
        ({"INSTANCE_PATH": "/proc/self", "PORT": "0"}, ["No files can be written to /proc/self ("]),
    ],
)
def test_wrong_settings_are_told_all_at_once(
    tmp_path: Path, environment: dict[str, str], sentences: list[str]
) -> None:
    ended = run(tmp_path, **environment)
    assert ended.returncode == 1
    assert all(sentence in ended.stderr for sentence in sentences)
    assert "Traceback" not in ended.stderr


def test_it_speaks_the_language_of_the_terminal(make_program: MakeProgram, tmp_path: Path) -> None:
    ended = run(tmp_path, PORT="many", LANG="zh_CN.UTF-8")
    assert ended.stderr == "PORT 是 'many'，但必须是一个整数。\n"
    program = make_program(LANG="zh_CN.UTF-8")
    program.start()
    wait_until(lambda: "wechat_bot 运行在" in program.log.read_text(encoding="utf-8"))
    assert program.stop(signal.SIGINT) == 0
    log = program.log.read_text(encoding="utf-8")
    assert "在控制台里看粉丝写了什么：" in log


def test_a_command_tells_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    for name in ("config.py", "wsgi.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    ended = run(tmp_path, "flask", "wechat", "sweep", INSTANCE_PATH="/proc/self/none")
    assert ended.returncode == 1
    assert ended.stderr.startswith("No files can be written to /proc/self/none (")
    assert ended.stderr.count("\n") == 1


def test_an_env_file_that_cannot_be_written_is_told() -> None:
    ended = run(Path("/proc/self"))
    assert ended.returncode == 1
    assert re.fullmatch(r"/proc/\d+/\.env cannot be written \(.+\): .+\.\n", ended.stderr)


def test_a_broken_env_file_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=5000\n= nothing\n")
    ended = run(tmp_path)
    assert ended.returncode == 1
    assert "line 2" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_worker_that_dies_is_replaced(make_program: MakeProgram) -> None:
    program = make_program(WEB_WORKERS="1")
    program.start()
    assert program.process
    children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text().split()
    subprocess.run(["kill", "-9", *children], check=True)
    program.wait_until_it_answers()
    assert str(program.platform().text("帮助")).startswith("我会这些")


def test_no_worker_outlives_a_killed_main_process(program: Program) -> None:
    program.start()
    assert program.process
    program.process.kill()
    program.process.wait()
    wait_until(lambda: not listens(program))
    program.start()
    assert str(program.platform().text("帮助")).startswith("我会这些")


def listens(program: Program) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", program.port)) == 0


def test_a_worker_for_jobs_runs_beside_the_server_and_ends_with_it(program: Program) -> None:
    program.start()
    first = wait_for_another_worker(program, "")
    os.kill(int(first.rpartition(":")[2]), signal.SIGKILL)
    wait_for_another_worker(program, first)
    assert program.stop(signal.SIGINT) == 0
    assert workers(program) == [first], "the one that ended in order has signed off"


def wait_for_another_worker(program: Program, known: str) -> str:
    wait_until(lambda: {*workers(program)} - {known}, program.log.read_text)
    return ({*workers(program)} - {known}).pop()


def workers(program: Program) -> list[str]:
    with closing(sqlite3.connect(program.folder / "bot.db")) as database:
        return [row[0] for row in database.execute("SELECT name FROM workers")]
