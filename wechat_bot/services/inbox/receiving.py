"""Receives pushes: each message is recorded once and answered, in time or late (``docs/decisions/0003``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...database.clock import database_now
from ...database.compiled import Connections
from ...models import MessageState
from ...routing import Owner, Router
from ...semaphore import Semaphore, Turn
from ...settings import AccountSettings
from ...wechat.messages import Message
from ...wechat.replies import Reply, TextReply
from ..health.call_stats import PushOutcome
from ..messages.records import claim_held
from ..outbox.sending import Outbox
from ..rules.rule_book import RuleBook
from . import pickup
from .exchanges import Exchange, RecordOutcome, count_push, mark_late
from .handling import MAX_PUSHES, PUSH_TIMEOUT, HandlerCall, HandlerFinder, HandlerRunner, Push
from .handover import HandoverNotices
from .lookup import InboxReader, StoredPage
from .pickup import Pickup
from .recorder import NotRecorded, Recorder, is_passing
from .slow_handlers import SlowHandlers
from .waiting import WaitingPushes

T = TypeVar("T")

GRACE_PERIOD = 0.5
"""Seconds after the platform's time-out for which a push that must not be answered is held."""
LAST_ANSWER = (MAX_PUSHES - 1) * PUSH_TIMEOUT + 4
"""Seconds after the first push until which an answer can be given to the last one."""
MAX_WORKING = 32
"""Pushes that one process works on at once, while they do not wait for an answer."""
MAX_WORKING_SLOW = 16
"""Pushes with slow handlers, and results of these, that one process works on at once. Quick messages have
the rest of `MAX_WORKING` for themselves."""
RETRY_PAUSE = 0.2
"""Seconds after which a push tries again that the database did not take."""
REMAINDER_DELAY = 1
"""Seconds after which the remainder of a long text is sent, so that it follows the passive reply."""


class LeftUnanswered(Exception):
    """The push is not answered, so that the platform pushes the message again."""

    def __init__(self, outcome: PushOutcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Received(NamedTuple):
    """What a push is answered with; None is silence."""

    reply: Reply | None
    outcome: PushOutcome


class Inbox:
    """Receives the pushes of one account. Thread-safe.

    Slow handlers run in an `app_context`. `services` returns the services of the account for the handlers'
    contexts. `engine` and `reader` must be for the inbox alone, so that nothing else can leave it without a
    connection. `clock` and `sleep` are replaced in tests. `runner` runs the handlers, and stores nothing.
    """

    def __init__(
        self,
        account: AccountSettings,
        account_id: Callable[[], int],
        engine: Engine,
        reader: Connections,
        router: Router,
        rules: RuleBook,
        outbox: Outbox,
        app_context: Callable[[], AbstractContextManager[Any]],
        services: Callable[[], Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = account
        self._sleep = sleep
        self._outbox = outbox
        self._reader = InboxReader(engine, reader)
        self._recorder = Recorder(engine)
        self._finder = HandlerFinder(account_id, router, rules, self._reader, services)
        notices = HandoverNotices(engine, self._reader, account.time_zone, router)
        self.runner = HandlerRunner(
            account.apology, account.shows_errors, account.session_ttl, self._late_state, notices
        )
        self._waiting = WaitingPushes(account.waiting_messages)
        self._working, self._working_slow = Semaphore(MAX_WORKING), Semaphore(MAX_WORKING_SLOW)
        self.slow_handlers = SlowHandlers(
            account,
            engine,
            self._recorder,
            self._finder,
            self.runner,
            outbox,
            self._waiting,
            self._working_slow,
            app_context,
            clock,
            sleep,
        )

    @property
    def last_error(self) -> Exception | None:
        """The error of the database because of which the last messages were not recorded, if it is recent."""
        return self._recorder.last_error

    def close(self) -> None:
        """Wait for slow handlers, then close the connections of the recorder."""
        self.slow_handlers.close()
        self._recorder.close()

    def turn(self) -> Turn:
        """Return the turn of a push to be worked on, as a context manager."""
        return Turn(self._working)

    def receive(self, message: Message, turn: Turn) -> Received:
        """Record `message`, whose push has the `turn`, and return the reply to it.

        :raises NotRecorded: if the database does not take the message; then nothing may be answered that the
            platform takes for an answer.
        :raises LeftUnanswered: if the next push of the message will be answered; likewise.
        """
        push = Push(message, self._arrival(turn), turn)
        try:
            reply = self._receive(push)
            return Received(reply and reply.passive, push.outcome)
        except Exception as error:
            if not is_passing(error):
                raise
            self._finder.forget_account()
            if self._wait_for(push, push.key):
                self._hold(push)  # or the platform would use up its pushes within a second
            raise NotRecorded(str(error).partition("\n")[0]) from error
        finally:
            self._leave(push)

    def _arrival(self, turn: Turn) -> datetime:
        """Return when the push arrived that has the `turn`, by the clock of the database."""
        with suppress(SQLAlchemyError):  # it is tried again where that matters
            _ = self._finder.account_id  # the first push opens the connection over which clocks are compared
        return database_now() - timedelta(seconds=turn.elapsed)

    def _receive(self, push: Push) -> Reply | None:
        """Try until the message is recorded, by this push or another; at least once, however late it is."""
        while True:
            call = self._persist(push, partial(self._finder.find, push))
            if call.stored.message_state:
                return self._repeat(call, call.stored.message_state)
            exchange = self._handle(call)
            if self._record(call, exchange) is RecordOutcome.RECORDED:
                return self._answer(call, exchange)
            if push.elapsed > self._settings.answer_seconds:
                raise NotRecorded("too many messages of one follower at once")

    def _handle(self, call: HandlerCall) -> Exchange:
        """Return what is recorded before the push is answered."""
        message, route, ready_id = call.push.message, call.route, call.stored.ready_id
        if tapped := pickup.parse(message):
            return self._fetch(call, tapped)
        if route and route.slow:
            return self._admit(call)
        is_persons = call.stored.owner is not Owner.BOT
        if ready_id and message.answerable and (route is None or route.catch_all or is_persons):
            call.push.outcome = PushOutcome.HELD
            return call.exchange(self._finder.account_id, reply_id=ready_id, claims=True, origin="inbox")
        return self.runner.run(call, self._finder.account_id)

    def _record(self, call: HandlerCall, exchange: Exchange) -> RecordOutcome:
        """Record `exchange`, and start the slow handler that a place was reserved for."""
        outcome = None
        try:
            outcome = self._persist(call.push, partial(self._recorder.record, exchange))
        finally:
            if exchange.owner and outcome is not RecordOutcome.RECORDED:
                self.slow_handlers.cancel(call.push.message.openid, call.push.key)
        if exchange.owner and outcome is RecordOutcome.RECORDED:
            self.slow_handlers.start(call)
        return outcome

    def _answer(self, call: HandlerCall, exchange: Exchange) -> Reply | None:
        """Return the reply of an exchange that has been recorded."""
        if exchange.state is MessageState.RECEIVED:
            call.push.outcome = PushOutcome.WAITED
            return self._await_reply(call)
        if exchange.pages and exchange.pages_state is MessageState.QUEUED:
            self._outbox.schedule(self._follower_id(call), REMAINDER_DELAY)
        return self._stored_reply(call) if exchange.reply_id else exchange.reply or exchange.hint

    def _repeat(self, call: HandlerCall, state: MessageState) -> Reply | None:
        """Return the reply to a message that was pushed before."""
        push = call.push
        push.outcome = PushOutcome.RETRIED
        if state is MessageState.RECEIVED:
            push.turn.switch(self._working_slow)
            count = partial(count_push, key=push.key)
            push.number, push.first_at = self._persist(push, partial(self._recorder.write, count))
            return self._await_reply(call)
        stored = self._stored_reply(call)
        if stored or state is not MessageState.LATE:
            return stored
        hint = self._hint(call)
        push.outcome = _later(hint)
        return hint

    def _persist(self, push: Push, attempt: Callable[[], T]) -> T:
        """Return the result of `attempt`, which is repeated until the database takes it.

        Its last error is raised when the push can no longer be answered, or cannot wait.
        """
        while True:
            try:
                return attempt()
            except Exception as error:
                too_late = push.elapsed > self._settings.answer_seconds
                if not is_passing(error) or too_late or not self._wait_for(push, push.key):
                    raise
                self._finder.forget_account()
            push.turn.switch(None)
            self._sleep(RETRY_PAUSE)
            push.turn.switch(self._working_slow)

    # Slow handlers

    def _admit(self, call: HandlerCall) -> Exchange:
        """Decide whether a slow handler starts now, and whether the push waits for its answer.

        A message whose handler cannot start is queued. Its push waits if it may be answered in time.
        """
        push, account_id, hint = call.push, self._finder.account_id, self._hint(call)
        push.turn.switch(self._working_slow)
        if push.elapsed > PUSH_TIMEOUT:
            raise LeftUnanswered(PushOutcome.TOO_LATE)  # the platform no longer listens, and others wait
        openid, follower_id = push.message.openid, call.stored.follower_id
        busy = self.slow_handlers.handles_message_of(openid) or (
            follower_id is not None and self._reader.is_busy(follower_id)
        )
        owner = None
        if not busy and self.slow_handlers.reserve(openid, push.key):
            owner = self.slow_handlers.process
        else:
            self.slow_handlers.expect()
        if self._fetches_held(call):
            held = call.stored.ready_id
            push.outcome = PushOutcome.HELD
            return call.exchange(account_id, MessageState.LATE, owner=owner, reply_id=held, claims=True)
        in_time = owner or (not busy and self.slow_handlers.estimate() < LAST_ANSWER)
        if in_time and self._wait_for(push, push.key):
            return call.exchange(account_id, MessageState.RECEIVED, owner=owner)
        push.outcome = _later(hint)
        return call.exchange(account_id, MessageState.LATE, owner=owner, hint=hint)

    def _fetches_held(self, call: HandlerCall) -> bool:
        """Whether the push is answered with a held reply, since what its handler says can be sent."""
        is_for_anything = call.push.message.answerable and call.route is not None and call.route.catch_all
        return bool(call.stored.ready_id) and is_for_anything and self._late_state() is MessageState.QUEUED

    def _await_reply(self, call: HandlerCall) -> Reply | None:
        """Return the reply to a message that a handler works on, here or in another process."""
        push = call.push
        if not self._wait_for(push, push.key):
            return self._end_waiting(call)
        self.slow_handlers.start_monitor()
        if self._wait(push, push.key):
            return self._stored_reply(call)
        if not self._outbox.is_proven(self._finder.account_id) and not push.is_last:
            self._hold(push)
            raise LeftUnanswered(PushOutcome.LEFT)
        return self._end_waiting(call)

    def _end_waiting(self, call: HandlerCall) -> Reply | None:
        """Let the answer come later, and return what the follower is told; or the answer, if it has come.

        The follower reads what is written of the answer, or how it is fetched.
        """
        hint = self._hint(call)
        first = self.slow_handlers.first_parts.take(call.push.key, is_linked=hint is not None)
        told: dict[str, Any] = {"reply": first[0], "origin": first[1]} if first else {"hint": hint}
        late = call.exchange(self._finder.account_id, **{"origin": "inbox", **told}, yields_to_person=True)
        mark = partial(mark_late, exchange=late)
        state, shown = self._persist(call.push, partial(self._recorder.write, mark))
        if state is not MessageState.LATE:
            return self._stored_reply(call)
        call.push.outcome = PushOutcome.PART if first else _later(hint)
        return shown

    def _hint(self, call: HandlerCall) -> Reply | None:
        """The text that tells how to fetch a late reply; None if it is certain to be sent."""
        if not call.push.message.answerable or self._outbox.is_proven(self._finder.account_id):
            return None
        return pickup.with_link(self._settings.thinking, call.push.key)

    def _late_state(self) -> MessageState:
        """The state of a reply that cannot be in the answer to its push."""
        return MessageState.QUEUED if self._outbox.available(self._finder.account_id) else MessageState.READY

    def _wait_for(self, push: Push, key: str) -> bool:
        """Let the push wait for the message `key`, unless too many messages are waited for."""
        if push.waits != key:
            self._leave(push)
            push.waits = key if self._waiting.admit(key) else None
        return push.waits is not None

    def _wait(self, push: Push, key: str) -> bool:
        """Wait until the message `key` is finished; False if that takes too long."""
        push.turn.switch(None)
        finished = self._waiting.wait(key, max(0.0, self._settings.answer_seconds - push.elapsed))
        push.turn.switch(self._working_slow)
        return finished

    def _leave(self, push: Push) -> None:
        if push.waits:
            self._waiting.dismiss(push.waits)

    def _hold(self, push: Push) -> None:
        """Wait until the platform no longer listens."""
        push.turn.switch(None)
        self._sleep(max(0.0, PUSH_TIMEOUT + GRACE_PERIOD - push.elapsed))

    # Stored replies

    def _fetch(self, call: HandlerCall, tapped: Pickup) -> Exchange:
        """Return the exchange of a tap on a link, which is answered with a stored page and by no handler."""
        push, show = call.push, partial(call.exchange, self._finder.account_id, origin="inbox")
        push.outcome = PushOutcome.FETCHED
        page = self._find_page(call, tapped)
        if page and page.is_unfinished and self._wait_for(push, tapped.key):
            self.slow_handlers.start_monitor()
            self._wait(push, tapped.key)
            page = self._find_page(call, tapped)
        if page is None:
            return show(reply=TextReply(pickup.NOT_FOUND))
        if page.is_unfinished:
            return show(reply=pickup.with_link(pickup.STILL_WRITING, tapped.key))
        if page.id is None:
            return show(reply=TextReply(pickup.NO_ANSWER))
        if page.state is MessageState.WITHHELD:
            return show(reply=TextReply(pickup.WITHHELD), yields_to_person=False)
        return show(reply_id=page.id, claims=page.state is MessageState.READY)

    def _find_page(self, call: HandlerCall, tapped: Pickup) -> StoredPage | None:
        follower_id = call.stored.follower_id
        if follower_id is None:
            return None
        return self._persist(call.push, partial(self._reader.page, tapped, follower_id))

    def _stored_reply(self, call: HandlerCall) -> Reply | None:
        """Return the stored reply to the message, if there is one. A held one counts as sent from now on."""
        push = call.push
        read = partial(self._reader.reply, push.key)
        stored = self._persist(push, read)
        if stored and stored.state is MessageState.READY:
            claim = partial(claim_held, follower_id=stored.follower_id, message_id=stored.id)
            if not self._persist(push, partial(self._recorder.write, claim)):
                stored = self._persist(push, read)  # another push has it, or an operator sends it again
        return stored.reply if stored else None

    def _follower_id(self, call: HandlerCall) -> int:
        """The id of the sender of a recorded message; a new follower had none before."""
        follower_id = call.stored.follower_id or self._finder.reload(call).stored.follower_id
        assert follower_id
        return follower_id


def _later(hint: Reply | None) -> PushOutcome:
    """Return how a push ends whose answer comes later, with the `hint` that tells how to fetch it or None."""
    return PushOutcome.LINK if hint else PushOutcome.CUSTOMER_SERVICE
