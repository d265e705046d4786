"""Background jobs. The database holds what has to be done; the queue only starts a job early.

The worker's periodic tasks (`wechat_bot.worker`) find every row whose job the queue has lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .settings import IN_MEMORY, Settings

if TYPE_CHECKING:
    from huey import Huey

log = logging.getLogger(__name__)

LAST_TIME = datetime(9999, 1, 1)  # noqa: DTZ001  # the queue's times are naive
"""Later than every scheduled job."""


class Job(StrEnum):
    """The jobs by their names in the queue. Each gets the id of a row."""

    SEND = "send"
    """Send the queued messages of a follower."""
    SHOW_TYPING = "show_typing"
    """Show a follower that an operator is typing."""
    FETCH_MEDIA = "fetch"
    """Fetch a file of a message."""
    SYNC_FOLLOWERS = "sync"
    """Continue a synchronisation of the followers."""
    IMPORT_MATERIALS = "materials"
    """Continue an import of the platform's material into the library."""
    IMPORT_ARTICLES = "articles"
    """Continue an import of the account's articles into the knowledge base."""
    EVALUATE = "evaluate"
    """Continue a run of the evaluation's questions."""
    LOAD_SAMPLE_DATA = "load_sample_data"
    """Load the sample data into an account."""


Enqueue = Callable[[Job, int, float], None]
"""Enqueues a job for the row with an id, to be run after some seconds; see `Jobs.enqueue`."""


class Jobs:
    """The job queue of an application. It connects when it is first used."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._functions: dict[Job, Callable[[int], object]] = {}

    def register(self, job: Job, function: Callable[[int], object]) -> None:
        """Let workers run `function` for a job. It must be idempotent, as a job may run twice."""
        self._functions[job] = function

    def enqueue(self, job: Job, row_id: int, seconds: float = 0) -> None:
        """Ask a worker to run a job after so many seconds. Call it after the row is committed."""
        try:
            task = self._tasks[job]
            task.schedule((row_id,), delay=seconds) if seconds else task(row_id)
        except Exception as error:  # noqa: BLE001  # every kind of queue has its own
            log.warning("the job %s of row %d was not enqueued: %s", job, row_id, type(error).__name__)

    @cached_property
    def queue(self) -> Huey:
        """The queue that JOB_QUEUE_URL or REDIS_URL names, or a file of the instance folder."""
        # Imported here: the drivers of all queues come with it, and most processes need none.
        from huey import MemoryHuey, PostgresHuey, RedisHuey, SqliteHuey
        from huey.serializer import SignedSerializer

        url = self._settings.job_queue_url or self._settings.redis_url
        # The queue carries pickles, so only those that this program signed may be read.
        serializer = SignedSerializer(secret=self._settings.secret_key, salt="wechat_bot.jobs")
        options: dict[str, Any] = {"results": False, "serializer": serializer}
        if url == IN_MEMORY:
            return MemoryHuey("wechat_bot", **options)
        if url.startswith("postgres"):
            return PostgresHuey("wechat_bot", dsn=url, **options)
        if url:
            return RedisHuey("wechat_bot", url=url, **options)
        self._folder.mkdir(parents=True, exist_ok=True)
        return SqliteHuey("wechat_bot", filename=str(self._folder / "jobs.db"), **options)

    @cached_property
    def _tasks(self) -> dict[Job, Any]:
        return {job: self.queue.task(name=str(job))(function) for job, function in self._functions.items()}

    def consumer(self, threads: int) -> Any:
        """Return the consumer that takes jobs from the queue and runs them in `threads`."""
        _ = self._tasks  # registers them with the queue
        return self.queue.create_consumer(
            workers=threads, periodic=False, max_delay=0.5, graceful_signal="TERM"
        )

    def run_all(self) -> int:
        """Run all jobs now, scheduled ones too, in this thread; for tests. Return how many were run."""
        done = 0
        _ = self._tasks
        while tasks := [*self._waiting(), *self.queue.read_schedule(LAST_TIME)]:
            for task in tasks:
                task.eta = None
                self.queue.execute(task)
            done += len(tasks)
        return done

    def _waiting(self) -> list[Any]:
        tasks = []
        while task := self.queue.dequeue():
            tasks.append(task)
        return tasks
