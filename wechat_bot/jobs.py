"""Background jobs. What is to be done stands in the database; the queue only wakes a worker soon.

What the queue loses, the rounds of the worker find (`wechat_bot.worker`): nothing depends on it but speed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .settings import IN_MEMORY, Settings

if TYPE_CHECKING:
    from huey import Huey

log = logging.getLogger(__name__)

FAR_AWAY = datetime(9999, 1, 1)  # noqa: DTZ001  # the queue's times are naive
"""After everything that is scheduled."""


class Jobs:
    """The jobs of an application. Connects to the queue when it is first used."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._jobs: dict[str, Callable[[int], object]] = {}

    def register(self, name: str, do: Callable[[int], object]) -> None:
        """Let workers do a job on the row with an id. It may be done twice, and must mean nothing then."""
        self._jobs[name] = do

    def enqueue(self, name: str, row_id: int, seconds: float = 0) -> None:
        """Ask for a job, to be done after so many seconds, once its row is committed."""
        try:
            task = self._tasks[name]
            task.schedule((row_id,), delay=seconds) if seconds else task(row_id)
        except Exception as error:  # noqa: BLE001  # every kind of queue has its own
            log.warning("no worker could be woken to %s %d: %s", name, row_id, type(error).__name__)

    @cached_property
    def queue(self) -> Huey:
        """The queue that JOB_QUEUE_URL or REDIS_URL names, or a file of the instance folder."""
        # Imported here: the drivers of all queues come with it, and most processes need none.
        from huey import MemoryHuey, PostgresHuey, RedisHuey, SqliteHuey
        from huey.serializer import SignedSerializer

        url = self._settings.job_queue_url or self._settings.redis_url
        # The queue carries pickles: nobody else who can write to it shall get them read.
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
    def _tasks(self) -> dict[str, Any]:
        return {name: self.queue.task(name=name)(do) for name, do in self._jobs.items()}

    def consumer(self, threads: int) -> Any:
        """What takes jobs from the queue and does them."""
        _ = self._tasks  # the queue has to know them
        return self.queue.create_consumer(
            workers=threads, periodic=False, max_delay=0.5, graceful_signal="TERM"
        )

    def run(self) -> int:
        """Do in this thread all that is asked for, also for later; how many jobs that were. For tests."""
        done = 0
        _ = self._tasks
        while tasks := [*self._waiting(), *self.queue.read_schedule(FAR_AWAY)]:
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
