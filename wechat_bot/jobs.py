"""Background jobs. The database holds what has to be done; the queue only starts a job early.

The worker's periodic tasks (`wechat_bot.worker`) find every row whose job the queue has lost. So nobody waits
for the queue: a thread of each process brings the jobs to it, and drops them while it does not answer.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from .settings import IN_MEMORY, Settings

if TYPE_CHECKING:
    from huey import Huey

log = logging.getLogger(__name__)

LAST_TIME = datetime(9999, 1, 1)  # noqa: DTZ001  # the queue's times are naive
"""Later than every scheduled job."""
TIMEOUT = 2
"""Seconds to wait for the queue. Longer than the second for which the consumer waits for a job of Redis."""
MAX_PENDING = 1000
"""Jobs that wait for the thread which brings them to the queue."""


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
        self._lock = Lock()
        """Guards `_pending` and `_thread`; never held while the queue is used."""
        self._pending: deque[tuple[Job, int, float]] = deque()
        self._thread: Thread | None = None

    def register(self, job: Job, function: Callable[[int], object]) -> None:
        """Let workers run `function` for a job. It must be idempotent, as a job may run twice."""
        self._functions[job] = function

    def enqueue(self, job: Job, row_id: int, seconds: float = 0) -> None:
        """Ask a worker to run a job after so many seconds. Call it after the row is committed.

        It does not wait for the queue.
        """
        with self._lock:
            if len(self._pending) == MAX_PENDING:
                log.warning("the job %s of row %d was not enqueued: too many wait", job, row_id)
                return
            self._pending.append((job, row_id, seconds))
            if self._thread is None:
                self._thread = Thread(target=self._deliver, name="enqueue", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Wait until the queue has taken, or not, what was enqueued before; for tests."""
        if thread := self._thread:
            thread.join()

    def _deliver(self) -> None:
        """Bring the pending jobs to the queue. After a failure all are dropped, as others would wait."""
        while True:
            with self._lock:
                if not self._pending:
                    self._thread = None
                    return
                job, row_id, seconds = self._pending.popleft()
            try:
                task = self._tasks[job]
                task.schedule((row_id,), delay=seconds) if seconds else task(row_id)
            except Exception as error:  # noqa: BLE001  # every kind of queue has its own
                with self._lock:
                    others = len(self._pending)
                    self._pending.clear()
                text = "the job %s of row %d was not enqueued, nor were %d others: %s"
                log.warning(text, job, row_id, others, type(error).__name__)

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
            lost = {"tcp_user_timeout": TIMEOUT * 1000, "keepalives_idle": TIMEOUT, "keepalives_interval": 1}
            return PostgresHuey("wechat_bot", dsn=url, connect_timeout=TIMEOUT, **lost, **options)
        if url:
            return RedisHuey("wechat_bot", connection_pool=_redis_connections(url), **options)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = str(self._folder / "jobs.db")
        return SqliteHuey("wechat_bot", filename=path, timeout=TIMEOUT, **options)

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
        self.flush()
        done = 0
        _ = self._tasks
        while tasks := [*self._waiting(), *self.queue.read_schedule(LAST_TIME)]:
            for task in tasks:
                task.eta = None
                self.queue.execute(task)
            self.flush()  # a job may enqueue another
            done += len(tasks)
        return done

    def _waiting(self) -> list[Any]:
        tasks = []
        while task := self.queue.dequeue():
            tasks.append(task)
        return tasks


def _redis_connections(url: str) -> Any:
    from redis import ConnectionPool
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry

    again = Retry(ExponentialBackoff(cap=1, base=0.1), 2)  # for a connection that the server has closed
    return ConnectionPool.from_url(url, socket_connect_timeout=TIMEOUT, socket_timeout=TIMEOUT, retry=again)
