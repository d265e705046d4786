"""The death of a process of this host is known at once, and never that of another."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import wait_until
from wechat_bot.services.inbox.local_processes import has_died, shown_alive

LIVES = """
import sys
from wechat_bot.services.inbox.local_processes import shown_alive
with shown_alive("vm:1:abcd"):
    print("alive", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the locked files; other tests do not look into it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"wechat_bot-processes-{os.getuid()}"


@contextmanager
def another_process(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", LIVES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"alive\n"
        yield process


def test_a_killed_process_is_known_to_be_dead(tmp_path: Path) -> None:
    with another_process(tmp_path) as process:
        assert not has_died("vm:1:abcd")
        process.kill()
        wait_until(lambda: has_died("vm:1:abcd"))


def test_a_process_that_ends_leaves_no_file(tmp_path: Path, folder: Path) -> None:
    with another_process(tmp_path):
        pass
    assert not has_died("vm:1:abcd")
    assert list(folder.iterdir()) == []


def test_nothing_is_known_of_the_process_of_another_host() -> None:
    assert not has_died("elsewhere:1:abcd")


def test_a_process_knows_that_it_lives() -> None:
    with shown_alive("vm:2:abcd"):
        assert not has_died("vm:2:abcd")


def refuse(*_: object) -> None:
    raise OSError("no locks available")


@pytest.mark.parametrize("kind", ["file", "of somebody else", "without locks"])
def test_without_a_folder_of_its_own_a_process_runs_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "file":
        folder.touch()
    elif kind == "without locks":
        monkeypatch.setattr(fcntl, "flock", refuse)
    else:
        folder.mkdir()
        monkeypatch.setattr(Path, "stat", lambda path: os.stat_result((0o700, 1, 1, 1, 12345, 0, 0, 0, 0, 0)))
    with shown_alive("vm:3:abcd"):
        assert not has_died("vm:3:abcd")
