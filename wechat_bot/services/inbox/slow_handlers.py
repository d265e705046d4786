"""Runs slow handlers: a bounded number at once, one for each follower, each until its answer is stored.

A message whose handler cannot start is queued (`services.inbox.queue`). A thread of this process takes
messages from the queue, sends heartbeats, and wakes pushes that wait for what other processes handle.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from contextvars import Context, copy_context
from functools import partial
from threading import Event, Lock, Thread, current_thread
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ... import logs
from ...database.clock import database_now
from ...models import MessageState
from ...semaphore import Semaphore
from ...settings import AccountSettings
from ...wechat.parsing import parse
from ..outbox.sending import Outbox
from . import queue
from .exchanges import Exchange, RecordOutcome, mark_late, store_result
from .first_parts import FirstParts
from .handling import ANSWER_WINDOW, HandlerCall, HandlerFinder, HandlerRunner, Push
from .local_processes import has_died, shown_alive
from .queue import HEARTBEAT_SECONDS, Liveness, QueuedMessage
from .recorder import Recorder, is_passing
from .waiting import WaitingPushes

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_RUNS = 2
"""How often a handler is started at most when its process dies: the message may be what kills it."""
STORE_TIMEOUT = 600.0
"""Seconds for which a finished answer is kept that the database does not take."""
MAX_PAUSE = 10.0
"""Maximum number of seconds between two attempts to store it."""
POLL_SECONDS = 0.1
"""Seconds between two looks at the messages that other processes handle."""
MAX_CLAIMS = 64
"""Messages that are taken from the queue in one transaction."""
KEPT_DURATIONS = 200
"""Number of runs whose durations are kept."""


class SlowHandlers:
    """The slow handlers of one account in this process, a bounded number at once. Thread-safe.

    Each runs in a thread of its own, in an `app_context`. `working` bounds how many results are stored at
    once. `clock` and `sleep` are replaced in tests.
    """

    def __init__(
        self,
        account: AccountSettings,
        engine: Engine,
        recorder: Recorder,
        finder: HandlerFinder,
        runner: HandlerRunner,
        outbox: Outbox,
        waiting: WaitingPushes,
        working: Semaphore,
        app_context: Callable[[], AbstractContextManager[Any]],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self.limit = account.slow_handlers
        self._account = account
        self._engine = engine
        self._recorder = recorder
        self._finder = finder
        self._runner = runner
        self._outbox = outbox
        self._waiting = waiting
        self._working = working
        self._app_context = app_context
        self._clock = clock
        self._sleep = sleep
        self.first_parts = FirstParts()
        self._suffix = secrets.token_hex(4)
        self._lock = Lock()
        self._places: dict[str, str] = {}
        """The openids of the followers whose messages are handled, with the keys of these messages."""
        self._threads: set[Thread] = set()
        self._durations: deque[float] = deque(maxlen=KEPT_DURATIONS)
        self._queued = 0
        self._place_is_free = False
        self._is_monitored = False
        self._receives_pushes = False
        self._closing = Event()
        self._next_heartbeat = 0.0
        self._liveness = Liveness()

    @property
    def process(self) -> str:
        """The name of this process as the owner of messages."""
        return f"{socket.gethostname()[:60]}:{os.getpid()}:{self._suffix}"

    @property
    def p95(self) -> float | None:
        """Seconds that 19 of 20 recent runs took at most; None before the first."""
        durations = sorted(self._durations)
        return durations[len(durations) * 19 // 20] if durations else None

    def reserve(self, openid: str, key: str) -> bool:
        """Take a place for the handler of a message.

        False if all places are taken, or another message of the follower has one. A place is given up by
        `cancel`, or at the end of the run that `start` begins.
        """
        with self._lock:
            if self._closing.is_set() or openid in self._places or len(self._places) >= self.limit:
                return False
            self._places[openid] = key
            return True

    def cancel(self, openid: str, key: str) -> None:
        """Give up the place of a message, if it has one."""
        with self._lock:
            if self._places.get(openid) == key:
                del self._places[openid]
        self._place_is_free = True

    def handles_message_of(self, openid: str) -> bool:
        """Whether a message of the follower has a place."""
        return openid in self._places

    def start(self, call: HandlerCall) -> None:
        """Run the handler of `call`, for which a place was reserved, in a thread."""
        self.start_monitor()
        self._start_thread(copy_context(), self._run, call)

    def expect(self) -> None:
        """Count a message that was queued, and start the thread that handles the queue."""
        self._queued += 1
        self.start_monitor()

    def estimate(self) -> float:
        """Estimate the seconds until a message is answered that is queued now; 0 if nothing is known."""
        return (self._queued / self.limit + 1.5) * (self.p95 or 0)

    def close(self) -> None:
        """Wait for the handlers that run. Queued messages are left to other processes."""
        self._closing.set()
        while threads := tuple(self._threads):
            threads[0].join()

    def _start_thread(self, context: Context, function: Callable[..., None], *args: object) -> None:
        def run() -> None:
            try:
                function(*args)
            finally:
                with self._lock:
                    self._threads.discard(current_thread())

        thread = Thread(target=context.run, args=(run,), name="slow")
        with self._lock:
            self._threads.add(thread)
            thread.start()

    def _run(self, call: HandlerCall, result: Exchange | None = None) -> None:
        """Run a handler unless there is a `result`; store the result, and send it if no push waits for it."""
        message, started = call.push.message, time.monotonic()
        try:
            with self._app_context():
                exchange, reply_state = self._run_and_store(call, result)
            self._durations.append(time.monotonic() - started)
            self._waiting.wake(call.push.key)
            if MessageState.QUEUED in {reply_state, exchange.pages and exchange.pages_state}:
                self._send(call)
        except Exception:
            log.exception("the answer to a message could not be stored")
        finally:
            self.cancel(message.openid, message.dedup_key)

    def _run_and_store(
        self, call: HandlerCall, result: Exchange | None
    ) -> tuple[Exchange, MessageState | None]:
        """Run the handler until the session is unchanged since it was read; return the reply's state, too."""
        while True:
            exchange = result or self._handle(call)
            outcome, reply_state = self._persist(partial(self._store, exchange))
            if outcome is not RecordOutcome.CONFLICT:
                self.first_parts.forget(call.push.key)
                return exchange, reply_state
            call = self._persist(partial(self._finder.reload, call))

    def _handle(self, call: HandlerCall) -> Exchange:
        """Run a handler; what a push has shown of its answer is left out."""
        self.first_parts.begin(call)
        try:
            exchange = self._runner.run(call, self._finder.account_id)
        finally:
            shown = self.first_parts.end(call.push.key)
        return self._runner.after_first_part(exchange, shown) if shown else exchange

    def _store(self, exchange: Exchange) -> tuple[RecordOutcome, MessageState | None]:
        # A push that waits here shows the reply, and so does the next push if this one ends meanwhile.
        in_time = MessageState.SENT if self._waiting.waits_for(exchange.key) else MessageState.READY
        late = self._runner.late_state()
        store = partial(store_result, exchange=exchange, in_time=in_time, late=late)
        self._working.acquire()
        try:
            return self._recorder.write(store)
        finally:
            self._working.release()

    def _send(self, call: HandlerCall) -> None:
        follower_id = call.stored.follower_id or self._finder.reload(call).stored.follower_id
        if follower_id:
            self._outbox.send(follower_id)

    # The thread for messages that other processes handled, or none

    def start_monitor(self, *, receives_pushes: bool = True) -> None:
        """Start the thread that takes queued messages and finds those of dead processes.

        `receives_pushes` tells whether pushes can wait in this process.
        """
        self._receives_pushes |= receives_pushes
        with self._lock:
            starts, self._is_monitored = not self._is_monitored, True
        if starts:
            self._start_thread(Context(), self._monitor)  # it does not belong to the push that starts it

    def _monitor(self) -> None:
        with shown_alive(self.process):
            while not self._closing.is_set():
                try:
                    self._look()
                except Exception as error:  # noqa: BLE001  # it goes on when the database is back
                    self._liveness = Liveness()
                    _report(error)
                self._sleep(POLL_SECONDS)
            with suppress(SQLAlchemyError):
                queue.sign_off(self._engine, self.process)

    def _look(self) -> None:
        """Look once at the messages that other processes handle; once a second send a heartbeat."""
        self._wake_finished()
        if self._clock() >= self._next_heartbeat:
            self._next_heartbeat = self._clock() + HEARTBEAT_SECONDS
            self._heartbeat()
            self._place_is_free = True
        if self._place_is_free:
            self._place_is_free = False
            self._start_queued()

    def _wake_finished(self) -> None:
        """Wake the pushes that wait for a message which another process has finished."""
        if keys := set(self._waiting.keys()) - set(self._places.values()):
            with self._engine.connect() as connection:
                finished = queue.finished(connection, keys)
            for key in finished:
                self._waiting.wake(key)

    def _heartbeat(self) -> None:
        """Send a heartbeat, and return the messages of processes that have died to the queue."""
        p95 = self.p95
        queue.send_heartbeat(
            self._engine,
            self.process,
            running=len(self._places),
            max_running=self.limit,
            waiting=len(self._waiting),
            max_waiting=self._waiting.limit if self._receives_pushes else 0,
            p95_ms=None if p95 is None else round(p95 * 1000),
        )
        with self._engine.connect() as connection:
            heartbeats = queue.heartbeats(connection)
            own = queue.owned(connection, self.process)
            self._queued = queue.length(connection, self._finder.account_id)
        # Places are given up after the result is stored, so a message without one is not handled: the
        # database took it, but seemed not to.
        lost = own - set(self._places.values())
        dead = self._liveness.dead(heartbeats, self._clock()) | set(filter(has_died, heartbeats))
        dead.discard(self.process)
        if (lost or dead) and (count := queue.requeue(self._engine, dead, lost)):
            log.warning("%d messages that no process handles any more return to the queue", count)

    def _start_queued(self) -> None:
        """Start the handlers of queued messages, as far as there are places."""
        while free := self.limit - len(self._places):
            with self._engine.connect() as connection:
                found = queue.oldest(connection, self._finder.account_id, min(free, MAX_CLAIMS))
            reserved = {row.id: row for row in found if self.reserve(row.openid, row.key)}
            if not reserved:
                return
            claimed: set[int] = set()
            try:
                claimed = queue.claim(self._engine, self.process, reserved)
            finally:
                for row in reserved.values():
                    if row.id not in claimed:
                        self.cancel(row.openid, row.key)
            for row_id in claimed:
                self._start_thread(Context(), self._resume, reserved[row_id])

    def _resume(self, row: QueuedMessage) -> None:
        """Run the handler of a queued message, or end the message if its handler must not run again."""
        logs.bind(account=self._account.app_id, message_id=row.id, dedup_key=row.key)
        age = (database_now() - row.received_at).total_seconds()
        try:
            message = parse(dict(row.fields), row.received_at.timestamp)
            push = Push(message, row.received_at)
            call = self._persist(partial(self._finder.find, push, again=True))
            if age > ANSWER_WINDOW:  # no push waits, and none will come
                late = partial(mark_late, exchange=call.exchange(self._finder.account_id))
                self._persist(partial(self._recorder.write, late))
        except Exception:
            self.cancel(row.openid, row.key)
            log.exception("a queued message cannot be handled")
            queue.fail(self._engine, row.id)
            return
        rerun = call.route is None or call.route.rerun
        ended = row.runs >= MAX_RUNS or (row.runs > 0 and not rerun)
        self._run(call, self._runner.interrupted(call, self._finder.account_id) if ended else None)

    def _persist(self, attempt: Callable[[], T]) -> T:
        """Repeat `attempt` until the database takes it, within `STORE_TIMEOUT`, and return its result."""
        deadline, pause = self._clock() + STORE_TIMEOUT, POLL_SECONDS
        while True:
            try:
                return attempt()
            except Exception as error:
                if not is_passing(error) or self._clock() > deadline:
                    raise
                _report(error)
            self._sleep(pause)
            pause = min(2 * pause, MAX_PAUSE)


def _report(error: Exception) -> None:
    if is_passing(error):
        log.warning("the database is in the way: %s", str(error).partition("\n")[0])
    else:
        log.error("unfinished messages could not be read", exc_info=error)
