"""The queue that wakes workers."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import Databases
from wechat_bot.jobs import MAX_PENDING, Job, Jobs
from wechat_bot.settings import Settings


def made(folder: Path, queue: str = "", key: str = "a key of these tests") -> tuple[Jobs, list[int]]:
    jobs, done = Jobs(Settings(secret_key=key, job_queue_url=queue), folder), list[int]()
    jobs.register(Job.SEND, done.append)
    return jobs, done


@pytest.fixture(params=["memory", "file", "postgresql"])
def queue(request: pytest.FixtureRequest, tmp_path: Path, databases: Databases) -> Iterator[str]:
    if request.param == "postgresql":
        with databases.borrow("postgresql", tmp_path) as url:
            yield url.replace("+psycopg", "")
    else:
        yield "memory:" if request.param == "memory" else ""


# Huey leaves the connections of its PostgreSQL queue to the garbage collector, of which psycopg warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_job_is_done_once_it_is_asked_for(tmp_path: Path, queue: str) -> None:
    jobs, done = made(tmp_path, queue)
    jobs.enqueue(Job.SEND, 7)
    jobs.enqueue(Job.SEND, 8, 3600)
    jobs.enqueue(Job.SEND, 9)
    assert done == []
    assert jobs.run_all() == 3
    assert sorted(done) == [7, 8, 9]
    assert jobs.run_all() == 0
    jobs.queue.storage.close()
    del jobs
    gc.collect()  # now, while the warnings are expected


def test_what_one_process_asks_for_another_one_does(tmp_path: Path) -> None:
    asking, _ = made(tmp_path)
    asking.enqueue(Job.SEND, 7)
    asking.flush()
    working, done = made(tmp_path)
    working.run_all()
    assert done == [7]


def test_a_queue_that_is_gone_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    jobs, _ = made(tmp_path, "redis://127.0.0.1:1/0")
    jobs.enqueue(Job.SEND, 7)
    jobs.flush()
    assert "the job send of row 7 was not enqueued" in caplog.text


@pytest.mark.parametrize("kind", ["redis", "postgres"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as above
def test_nobody_waits_for_a_queue_that_takes_connections_and_never_answers(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        jobs, _ = made(tmp_path, f"{kind}://127.0.0.1:{silent.getsockname()[1]}/0")
        for row_id in range(2 * MAX_PENDING):
            jobs.enqueue(Job.SEND, row_id)
        assert "was not enqueued: too many wait" in caplog.text
        assert "the job send of row 0 " not in caplog.text, "it still waits for the queue"
    jobs.flush()
    assert "the job send of row 0 was not enqueued, nor were" in caplog.text


def test_nobody_waits_for_a_queue_that_is_locked(tmp_path: Path) -> None:
    jobs, done = made(tmp_path)
    assert jobs.run_all() == 0
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        jobs.enqueue(Job.SEND, 7)
        other.rollback()
    jobs.run_all()
    assert done == [7]


class Trap:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("trapped",)


def test_what_a_stranger_puts_into_the_queue_is_not_even_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    jobs, done = made(tmp_path)
    jobs.queue.storage.enqueue(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="Separator"):
        jobs.run_all()
    assert not (tmp_path / "trapped").exists()
    assert done == []


def test_nothing_is_opened_before_something_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    jobs, _ = made(folder)
    assert not folder.exists()
    jobs.enqueue(Job.SEND, 1)
    jobs.flush()
    assert (folder / "jobs.db").exists()
