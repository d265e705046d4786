"""The queue of writers on SQLite."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from wechat_bot.database.transactions import write_lock


@pytest.fixture
def sqlite(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path}/bot.db")


def lock_files(folder: Path) -> int:
    """How many file descriptors of this process are open for the lock."""
    descriptors = Path("/proc/self/fd")
    return sum(os.path.realpath(file) == f"{folder}/bot.db-turn" for file in descriptors.iterdir())


def test_one_thread_at_a_time_has_the_lock(sqlite: Engine) -> None:
    inside, most = 0, []
    start = threading.Barrier(8)

    def write() -> None:
        nonlocal inside
        start.wait()
        for _ in range(50):
            with write_lock(sqlite):
                inside += 1
                most.append(inside)
                inside -= 1

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(write) for _ in range(8)]:
            future.result()
    assert set(most) == {1}
    assert len(most) == 400
    sqlite.dispose()


def test_another_process_waits_while_one_writes(sqlite: Engine, tmp_path: Path) -> None:
    other = create_engine(sqlite.url)  # as another process has it: with file descriptors of its own
    order = []

    def write() -> None:
        with write_lock(other):
            order.append("second")

    with write_lock(sqlite):
        waiting = threading.Thread(target=write)
        waiting.start()
        waiting.join(0.1)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    sqlite.dispose()
    other.dispose()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_the_file_stays_open_until_the_engine_is_disposed_of(sqlite: Engine, tmp_path: Path) -> None:
    for _ in range(3):
        with write_lock(sqlite):
            assert lock_files(tmp_path.resolve()) == 1
    assert lock_files(tmp_path.resolve()) == 1
    sqlite.dispose()
    assert lock_files(tmp_path.resolve()) == 0


def test_an_error_gives_the_lock_back(sqlite: Engine) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="no"), write_lock(sqlite):
            raise ValueError("no")
    sqlite.dispose()
