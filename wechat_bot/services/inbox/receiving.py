"""A push: recorded once, answered, in time or late (``docs/decisions/0003``)."""

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
"""So often the platform pushes a message that is not answered (section 1.6)."""
PUSH_TIMEOUT = 5.0
"""So long it waits for each."""
GRACE_PERIOD = 0.5
"""So much longer a push is held that must not be answered: the platform is gone then."""
POLL_INTERVAL = 0.1
"""Between two looks at a message on which another process works."""
REMAINDER_DELAY = 1
"""After which the rest of a long text is sent: its beginning travels in the answer to the push."""


class LeftUnanswered(Exception):
    """The platform shall push the message again."""


class Inbox:
    """Takes the pushes of one account. Thread-safe.

    Slow handlers run in threads of `executor`, within an `app_context`.
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
        self._services = services
        self._engine = engine
        self._router = router
        self._outbox = outbox
        self._executor = executor
        self._app_context = app_context
        self._memory = InboxReader(engine, reader)
        self._runner = HandlerRunner(account.apology, account.session_ttl)
        self._recorder = Recorder(engine)
        self._account_id: int | None = None
        self._working: dict[str, Future[None]] = {}

    @property
    def last_error(self) -> Exception | None:
        """Why the last messages could not be recorded, if that was not long ago."""
        return self._recorder.last_error

    def close(self) -> None:
        """Wait for slow handlers, then close the connection of the recorder."""
        self._executor.shutdown()
        self._recorder.close()

    def receive(self, message: Message) -> Reply | None:
        """The reply to `message`, which has been recorded when this returns; None is silence.

        NotRecorded when it could not be recorded, LeftUnanswered when the next push will be answered: then
        nothing may be answered that the platform takes for an answer.
        """
        try:
            return self._receive(Push(message))
        except (SQLAlchemyError, NotRecorded) as error:
            self._account_id = None  # it may be another database when it comes back
            raise NotRecorded(str(error).partition("\n")[0]) from error

    def _receive(self, push: Push) -> Reply | None:
        """Try until the message is recorded, by this push or another."""
        while push.elapsed < self._settings.answer_seconds:
            turn = self._turn(push)
            if turn.known.log_state:
                return self._repeat(turn)
            exchange = self._begin(turn)
            if self._recorder.record(exchange) is RecordOutcome.RECORDED:
                return self._go_on(turn, exchange)
        raise NotRecorded("too many messages of one follower at once")

    def _turn(self, push: Push) -> HandlerCall:
        known = self._memory.load(push.message, self._account())
        ctx = known.context(self._services())
        route = None if known.log_state else self._router.resolve(push.message, ctx)
        return HandlerCall(push, known, route, ctx)

    def _begin(self, turn: HandlerCall) -> Exchange:
        """What is recorded before the push is answered."""
        route, ready_id = turn.route, turn.known.ready_id
        if route and route.slow:
            return turn.exchange(self._account(), MessageState.RECEIVED)
        if ready_id and turn.push.message.answerable and (route is None or route.catch_all):
            return turn.exchange(self._account(), collects=ready_id, origin="inbox")
        return self._run(turn)

    def _go_on(self, turn: HandlerCall, exchange: Exchange) -> Reply | None:
        """The answer, now that `exchange` is recorded."""
        if exchange.state is MessageState.RECEIVED:
            self._start(turn)
            return self._await_answer(turn, MessageState.RECEIVED)
        if exchange.rest and exchange.rest_state is MessageState.QUEUED:
            self._outbox.wake(self._follower_id(turn), REMAINDER_DELAY)
        return self._memory.reply(exchange.key) if exchange.collects else exchange.reply

    def _repeat(self, turn: HandlerCall) -> Reply | None:
        """The answer to a message that was pushed before."""
        assert turn.known.log_state
        if turn.known.log_state is MessageState.RECEIVED:
            self._memory.count_push(turn.push.key)
        return self._await_answer(turn, turn.known.log_state)

    def _run(self, turn: HandlerCall) -> Exchange:
        exchange = self._runner.run(turn, self._account())
        return replace(exchange, rest_state=self._late_state()) if exchange.rest else exchange

    # Slow handlers

    def _start(self, turn: HandlerCall) -> None:
        key = turn.push.key
        work = self._executor.submit(self._work, turn, request_id.get())
        self._working[key] = work
        work.add_done_callback(lambda _: self._working.pop(key, None))

    def _work(self, turn: HandlerCall, request: str) -> None:
        """Run a slow handler and store its answer; send it, if the platform no longer waits for it."""
        request_id.set(request)
        try:
            with self._app_context():
                exchange, reply_state = self._run_and_store(turn)
            if MessageState.QUEUED in {reply_state, exchange.rest and exchange.rest_state}:
                self._outbox.send(self._follower_id(turn))
        except Exception:
            log.exception("the answer to a message could not be stored")

    def _run_and_store(self, turn: HandlerCall) -> tuple[Exchange, MessageState | None]:
        """Run the handler until its dialogue is still as it was read; what it did, and its reply's state."""
        while True:
            exchange = self._run(turn)
            outcome, reply_state = store_result(self._engine, exchange, late=self._late_state())
            if outcome is not RecordOutcome.CONFLICT:
                return exchange, reply_state
            known = self._memory.load(turn.push.message, self._account())
            turn = replace(
                turn, known=known, ctx=replace(known.context(self._services()), match=turn.ctx.match)
            )

    def _late_state(self) -> MessageState:
        """How a reply travels that is too late for its push."""
        return MessageState.QUEUED if self._outbox.available(self._account()) else MessageState.READY

    # Waiting for answers

    def _await_answer(self, turn: HandlerCall, state: MessageState) -> Reply | None:
        """The answer to a message on which a handler works, here or in another process, or has worked."""
        push = turn.push
        while state is MessageState.RECEIVED:
            left = self._settings.answer_seconds - push.elapsed
            if left <= 0:
                state = self._out_of_time(turn)
                break
            if work := self._working.get(push.key):
                wait([work], timeout=left)
            else:
                time.sleep(min(POLL_INTERVAL, left))
            state = self._memory.state(push.key)
        return self._thinking() if state is MessageState.LATE else self._memory.reply(push.key)

    def _thinking(self) -> Reply | None:
        """What a follower reads whose answer is late: nothing, if it will be sent by itself."""
        if self._outbox.available(self._account()):
            return None
        return TextReply(self._settings.thinking)

    def _out_of_time(self, turn: HandlerCall) -> MessageState:
        """Decide what becomes of an answer that is not there in time; LeftUnanswered."""
        push = turn.push
        if not self._outbox.available(self._account()) and not self._is_last(push):
            time.sleep(max(0.0, PUSH_TIMEOUT + GRACE_PERIOD - push.elapsed))
            raise LeftUnanswered
        mark_late(self._engine, turn.exchange(self._account(), origin="inbox"), self._thinking())
        return self._memory.state(push.key)

    def _is_last(self, push: Push) -> bool:
        """Whether the platform will not push again; also told by the clock, as a push may have been lost."""
        attempts, first_at = self._memory.pushes(push.key)
        age = (push.received_at - first_at).total_seconds()
        return attempts >= MAX_PUSHES or age > (MAX_PUSHES - 1) * PUSH_TIMEOUT - 1

    def _follower_id(self, turn: HandlerCall) -> int:
        """Who sent a message that has been recorded; nobody knew a new follower before."""
        message = turn.push.message
        follower_id = turn.known.follower_id or self._memory.load(message, self._account()).follower_id
        assert follower_id
        return follower_id

    def _account(self) -> int:
        if self._account_id is None:
            self._account_id = self._find_account_id()
        return self._account_id
