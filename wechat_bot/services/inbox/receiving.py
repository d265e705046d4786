"""Receives pushes: each message is recorded once and answered, in time or late (``docs/decisions/0003``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...database.compiled import Connections
from ...database.transactions import is_unavailable
from ...logs import request_id
from ...models import MessageState
from ...routing import Router
from ...settings import AccountSettings
from ...wechat.messages import Message
from ...wechat.replies import Reply, TextReply
from ..outbox.sending import Outbox
from .exchanges import Exchange, RecordOutcome, mark_late, store_result
from .handling import HandlerCall, HandlerRunner, Push
from .lookup import InboxReader
from .recorder import NotRecorded, Recorder

log = logging.getLogger(__name__)

MAX_PUSHES = 3
"""How often the platform pushes a message that is not answered (section 1.6)."""
PUSH_TIMEOUT = 5.0
"""Seconds that the platform waits for the answer to a push."""
GRACE_PERIOD = 0.5
"""Seconds after the platform's time-out for which a push that must not be answered is held."""
POLL_INTERVAL = 0.1
"""Seconds between two looks at a message that another process handles."""
REMAINDER_DELAY = 1
"""Seconds after which the remainder of a long text is sent, so that it follows the passive reply."""


class LeftUnanswered(Exception):
    """The push is not answered, so that the platform pushes the message again."""


class Inbox:
    """Receives the pushes of one account. Thread-safe.

    Slow handlers run in the threads of `executor`, each in an `app_context`. `services` returns the services
    of the account for the handlers' contexts.
    """

    def __init__(
        self,
        account: AccountSettings,
        account_id: Callable[[], int],
        engine: Engine,
        reader: Connections,
        router: Router,
        outbox: Outbox,
        executor: Executor,
        app_context: Callable[[], AbstractContextManager[Any]],
        services: Callable[[], Any],
    ) -> None:
        self._settings = account
        self._find_account_id = account_id
        self._engine = engine
        self._router = router
        self._outbox = outbox
        self._executor = executor
        self._app_context = app_context
        self._services = services
        self._reader = InboxReader(engine, reader)
        self._runner = HandlerRunner(account.apology, account.session_ttl)
        self._recorder = Recorder(engine)
        self._account_id: int | None = None
        self._running: dict[str, Future[None]] = {}

    @property
    def last_error(self) -> Exception | None:
        """The error of the database because of which the last messages were not recorded, if it is recent."""
        return self._recorder.last_error

    def close(self) -> None:
        """Wait for slow handlers, then close the connection of the recorder."""
        self._executor.shutdown()
        self._recorder.close()

    def receive(self, message: Message) -> Reply | None:
        """Record `message` and return the reply to it; None is silence.

        :raises NotRecorded: if the database does not take the message; then nothing may be answered that the
            platform takes for an answer.
        :raises LeftUnanswered: if the next push of the message will be answered; likewise.
        """
        try:
            return self._receive(Push(message))
        except (SQLAlchemyError, NotRecorded) as error:
            if not isinstance(error, NotRecorded) and not is_unavailable(error):
                raise
            self._account_id = None  # it may be another database when it comes back
            raise NotRecorded(str(error).partition("\n")[0]) from error

    def _receive(self, push: Push) -> Reply | None:
        """Try until the message is recorded, by this push or another."""
        while push.elapsed < self._settings.answer_seconds:
            call = self._prepare(push)
            if call.stored.message_state:
                return self._repeat(call)
            exchange = self._handle(call)
            if self._recorder.record(exchange) is RecordOutcome.RECORDED:
                return self._answer(call, exchange)
        raise NotRecorded("too many messages of one follower at once")

    def _prepare(self, push: Push) -> HandlerCall:
        """Load what is stored, and choose the route of a message that was not pushed before."""
        stored = self._reader.load(push.message, self._account())
        ctx = stored.context(self._services())
        route = None if stored.message_state else self._router.resolve(push.message, ctx)
        return HandlerCall(push, stored, route, ctx)

    def _handle(self, call: HandlerCall) -> Exchange:
        """Return what is recorded before the push is answered."""
        route, ready_id = call.route, call.stored.ready_id
        if route and route.slow:
            return call.exchange(self._account(), MessageState.RECEIVED)
        if ready_id and call.push.message.answerable and (route is None or route.catch_all):
            return call.exchange(self._account(), claims=ready_id, origin="inbox")
        return self._run(call)

    def _answer(self, call: HandlerCall, exchange: Exchange) -> Reply | None:
        """Return the reply of an exchange that has been recorded."""
        if exchange.state is MessageState.RECEIVED:
            self._start(call)
            return self._await_reply(call, MessageState.RECEIVED)
        if exchange.remainder and exchange.remainder_state is MessageState.QUEUED:
            self._outbox.schedule(self._follower_id(call), REMAINDER_DELAY)
        return self._reader.reply(exchange.key) if exchange.claims else exchange.reply

    def _repeat(self, call: HandlerCall) -> Reply | None:
        """Return the reply to a message that was pushed before."""
        assert call.stored.message_state
        if call.stored.message_state is MessageState.RECEIVED:
            self._reader.count_push(call.push.key)
        return self._await_reply(call, call.stored.message_state)

    def _run(self, call: HandlerCall) -> Exchange:
        exchange = self._runner.run(call, self._account())
        return replace(exchange, remainder_state=self._late_state()) if exchange.remainder else exchange

    # Slow handlers

    def _start(self, call: HandlerCall) -> None:
        key = call.push.key
        future = self._executor.submit(self._run_slow, call, request_id.get())
        self._running[key] = future
        future.add_done_callback(lambda _: self._running.pop(key, None))

    def _run_slow(self, call: HandlerCall, request: str) -> None:
        """Run a slow handler and store its reply; send it, if the platform no longer waits for it."""
        request_id.set(request)
        try:
            with self._app_context():
                exchange, reply_state = self._run_and_store(call)
            if MessageState.QUEUED in {reply_state, exchange.remainder and exchange.remainder_state}:
                self._outbox.send(self._follower_id(call))
        except Exception:
            log.exception("the answer to a message could not be stored")

    def _run_and_store(self, call: HandlerCall) -> tuple[Exchange, MessageState | None]:
        """Run the handler until the session is unchanged since it was read; return the reply's state, too."""
        while True:
            exchange = self._run(call)
            outcome, reply_state = store_result(self._engine, exchange, late=self._late_state())
            if outcome is not RecordOutcome.CONFLICT:
                return exchange, reply_state
            stored = self._reader.load(call.push.message, self._account())
            ctx = replace(stored.context(self._services()), match=call.ctx.match)
            call = replace(call, stored=stored, ctx=ctx)

    def _late_state(self) -> MessageState:
        """The state of a reply that comes too late for its push."""
        return MessageState.QUEUED if self._outbox.available(self._account()) else MessageState.READY

    # Waiting for replies

    def _await_reply(self, call: HandlerCall, state: MessageState) -> Reply | None:
        """Return the reply to a message that a handler works on, here or in another process."""
        push = call.push
        while state is MessageState.RECEIVED:
            left = self._settings.answer_seconds - push.elapsed
            if left <= 0:
                state = self._time_out(call)
                break
            if future := self._running.get(push.key):
                wait([future], timeout=left)
            else:
                time.sleep(min(POLL_INTERVAL, left))
            state = self._reader.state(push.key)
        return self._late_hint() if state is MessageState.LATE else self._reader.reply(push.key)

    def _late_hint(self) -> Reply | None:
        """The text that tells how to fetch a late reply; None if the reply will be sent."""
        if self._outbox.available(self._account()):
            return None
        return TextReply(self._settings.thinking)

    def _time_out(self, call: HandlerCall) -> MessageState:
        """Decide what becomes of a reply that is not there in time; return the message's state.

        :raises LeftUnanswered: if the platform will push again.
        """
        push = call.push
        if not self._outbox.available(self._account()) and not self._is_last(push):
            time.sleep(max(0.0, PUSH_TIMEOUT + GRACE_PERIOD - push.elapsed))
            raise LeftUnanswered
        mark_late(self._engine, call.exchange(self._account(), origin="inbox"), self._late_hint())
        return self._reader.state(push.key)

    def _is_last(self, push: Push) -> bool:
        """Whether the platform will not push again; judged by the clock, too, since pushes may be lost."""
        attempts, first_at = self._reader.pushes(push.key)
        age = (push.received_at - first_at).total_seconds()
        return attempts >= MAX_PUSHES or age > (MAX_PUSHES - 1) * PUSH_TIMEOUT - 1

    def _follower_id(self, call: HandlerCall) -> int:
        """The id of the sender of a recorded message; a new follower had none before."""
        message = call.push.message
        follower_id = call.stored.follower_id or self._reader.load(message, self._account()).follower_id
        assert follower_id
        return follower_id

    def _account(self) -> int:
        if self._account_id is None:
            self._account_id = self._find_account_id()
        return self._account_id
