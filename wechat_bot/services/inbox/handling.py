"""Finds and runs the handler of a message, and turns its result into an exchange to be stored."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ...database.clock import database_now
from ...models import MessageState
from ...routing import Answer, Context, HandoverReason, Owner, Route, Router
from ...routing.ownership import left_to_person
from ...semaphore import Turn
from ...wechat import replies
from ...wechat.messages import Message, SubscribeEvent
from ...wechat.replies import Reply, TextReply
from ..health.call_stats import PushOutcome
from ..rules.rule_book import RuleBook
from . import pickup
from .exchanges import Exchange, SessionChange
from .handover import HandoverNotices
from .lookup import InboxReader, StoredState

log = logging.getLogger(__name__)

MAX_PUSHES = 3
"""How often the platform pushes a message that is not answered (section 1.6)."""
PUSH_TIMEOUT = 5.0
"""Seconds that the platform waits for the answer to a push."""
ANSWER_WINDOW = MAX_PUSHES * PUSH_TIMEOUT
"""Seconds after its first push at which the platform waits for no answer to a message."""
QUICK_SECONDS = 1.0
"""Seconds after which a handler should be marked as slow."""
MAX_STATE_LENGTH = 64


@dataclass(eq=False)
class Push:
    """A push that is being answered, and when it arrived."""

    message: Message
    received_at: datetime = field(default_factory=database_now)
    turn: Turn = field(default_factory=Turn)
    """The turn of the thread that answers it, which began when the push arrived."""
    number: int = 1
    """Which of the message's pushes it is."""
    first_at: datetime | None = None
    """When the first one arrived; None if this is the first."""
    waits: str | None = None
    """The dedup key of the message whose answer it waits for (`WaitingPushes`)."""
    outcome: PushOutcome = PushOutcome.ANSWERED

    @property
    def key(self) -> str:
        return self.message.dedup_key

    @property
    def elapsed(self) -> float:
        """Seconds since it arrived."""
        return self.turn.elapsed

    @property
    def is_last(self) -> bool:
        """Whether the platform may not push again; judged by the clock, too, since pushes may be lost.

        One that comes too early follows a lost connection, as when a process dies. Others may have met the
        same end unseen.
        """
        age = (self.received_at - self.first_at).total_seconds() if self.first_at else 0.0
        is_early = age < (self.number - 1) * PUSH_TIMEOUT - 1
        return is_early or age >= (MAX_PUSHES - 1) * PUSH_TIMEOUT - 1


@dataclass(frozen=True)
class HandlerCall:
    """A push, the state that was stored when it arrived, and the route that handles it in a context."""

    push: Push
    stored: StoredState
    route: Route | None
    ctx: Context

    def exchange(self, account_id: int, state: MessageState = MessageState.ANSWERED, **more: Any) -> Exchange:
        """Return the exchange of the message, with `more` that is to be stored with it."""
        return Exchange(
            account_id=account_id,
            follower_id=self.stored.follower_id,
            subscribed=self.stored.subscribed,
            message=self.push.message,
            received_at=self.push.received_at,
            state=state,
            **{"origin": self.route.name if self.route else "", "yields_to_person": self.is_bots, **more},
        )

    @property
    def is_bots(self) -> bool:
        """Whether it is for the bot alone to answer the message, and not also while a person answers."""
        return self.route is not None and not self.route.interrupts(self.push.message)


class HandlerFinder:
    """Finds the handlers of one account's messages, and loads the sessions that they need. Thread-safe.

    `services` returns the services of the account for the contexts of the handlers.
    """

    def __init__(
        self,
        account_id: Callable[[], int],
        router: Router,
        rules: RuleBook,
        reader: InboxReader,
        services: Callable[[], Any],
    ) -> None:
        self._find_account_id = account_id
        self._account_id: int | None = None
        self._router = router
        self._rules = rules
        self._reader = reader
        self._services = services

    @property
    def account_id(self) -> int:
        if self._account_id is None:
            self._account_id = self._find_account_id()
        return self._account_id

    def forget_account(self) -> None:
        """Look the account's id up again, as it may be another database when it comes back."""
        self._account_id = None

    def find(self, push: Push, *, again: bool = False) -> HandlerCall:
        """Load what is stored of a message, and find its handler.

        A message that was pushed before has none, unless its handler shall run `again`.
        """
        stored = self._reader.load(push.message, self.account_id)
        ctx = self._context(push, stored)
        known = stored.message_state is not None and not again
        route = None if known or pickup.parse(push.message) else self._router.resolve(push.message, ctx)
        return HandlerCall(push, stored, route, ctx)

    def reload(self, call: HandlerCall) -> HandlerCall:
        """Return `call` with the session as it is stored now."""
        stored = self._reader.load(call.push.message, self.account_id)
        ctx = replace(self._context(call.push, stored), match=call.ctx.match)
        return replace(call, stored=stored, ctx=ctx)

    def _context(self, push: Push, stored: StoredState) -> Context:
        rules = self._rules.current(self.account_id, stored.rules_version)
        ctx = stored.context(push.received_at, rules, self._services())
        if stored.followed_at is None or isinstance(push.message, SubscribeEvent):
            ctx.followed_at = push.received_at
        return ctx


@dataclass(frozen=True)
class HandlerRunner:
    """Runs handlers.

    Followers read `apology` when one fails; if it is empty and `shows_errors` is set, they read the error.
    `session_ttl` is in seconds. `late_state` returns the state of a reply that cannot be in the answer to its
    push.
    """

    apology: str
    shows_errors: bool
    session_ttl: int
    late_state: Callable[[], MessageState]
    notices: HandoverNotices | None = None
    """None where no persons are called."""

    def run(self, call: HandlerCall, account_id: int) -> Exchange:
        """Return what the handler makes of the message. A handler that raises changes nothing."""
        if call.route is None:
            return call.exchange(account_id)
        started = time.monotonic()
        state, problem = MessageState.ANSWERED, ""
        try:
            said = _to_replies(call.route.handler(call.push.message, call.ctx))
            said = self._handed_over(call, account_id, said)
            session_change = self._session_change(call)
        except Exception as error:
            # The error's text may contain what the follower wrote.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("handler %s failed with %s at\n%s", call.route.name, type(error).__name__, where)
            log.debug("what it said", exc_info=error)
            state, problem = MessageState.FAILED, f"{type(error).__name__}: {error}"[:255]
            said, session_change = self._apology(f"{call.route.name}: {problem}"), None
            call.ctx.handover = None
        seconds = time.monotonic() - started
        if seconds > QUICK_SECONDS and not call.route.slow:
            log.warning("handler %s took %.1f s: mark it slow=True", call.route.name, seconds)
        origin = call.ctx.origin or call.route.name
        return self._with_replies(
            call.exchange(
                account_id,
                state,
                origin=left_to_person(origin) if call.ctx.handover else origin,
                session_change=session_change,
                handover=call.ctx.handover,
                error=problem,
                latency_ms=round(call.push.elapsed * 1000),
            ),
            said,
        )

    def _handed_over(self, call: HandlerCall, account_id: int, said: tuple[Reply, ...]) -> tuple[Reply, ...]:
        """Return what the follower reads: when a person is called, what the policy says about that.

        A handler that calls a person may say something itself.
        """
        ctx, notices = call.ctx, self.notices
        if notices is None or ctx.owner is not Owner.BOT:
            ctx.handover = None
            return said
        if ctx.not_understood and notices.is_lost(account_id, call.stored, call.push.key):
            ctx.hand_over(HandoverReason.NOT_UNDERSTOOD)
            said = ()
        if ctx.handover is None or said:
            return said
        return _to_replies(notices.text(account_id, ctx.received_at))

    def interrupted(self, call: HandlerCall, account_id: int) -> Exchange:
        """Return what becomes of a message whose handler was interrupted and must not run again."""
        exchange = call.exchange(account_id, MessageState.FAILED, error="interrupted")
        return self._with_replies(exchange, self._apology(f"{exchange.origin}: interrupted"))

    def _apology(self, problem: str) -> tuple[Reply, ...]:
        """Return what followers read when a handler fails because of `problem`."""
        text = self.apology or (problem if self.shows_errors else "")
        return (TextReply(text),) if text else ()

    def _with_replies(self, exchange: Exchange, said: tuple[Reply, ...]) -> Exchange:
        """Return `exchange` with what the handler `said`: the reply, and what follows it as further pages.

        A long text has several pages. Where these cannot be sent by themselves, texts become one, and each
        page has a link to the next.
        """
        if not said:
            return exchange
        if not exchange.message.answerable:
            kind = type(exchange.message).__name__
            log.warning("a reply to %s cannot be shown and is dropped", kind)
            return exchange
        pages = [page for reply in said for page in replies.split_for_passive_reply(reply, exchange.message)]
        if len(pages) == 1:
            return replace(exchange, said=said, reply=pages[0])
        state = self.late_state()
        if state is MessageState.READY:
            pages = list(pickup.linked(said, exchange.message))
        return replace(exchange, said=said, reply=pages[0], pages=tuple(pages[1:]), pages_state=state)

    def after_first_part(self, exchange: Exchange, shown: str) -> Exchange:
        """Return `exchange` with what follows the first part of its answer, which the follower has read.

        An answer that does not begin so follows as a whole.
        """
        state, said = self.late_state(), exchange.said
        pages: tuple[Reply, ...] = exchange.said
        if len(said) == 1 and isinstance(said[0], TextReply):
            rest = said[0].content.removeprefix(shown).strip()
            text = replace(said[0], content=rest) if rest else None
            if state is MessageState.READY:
                key = exchange.key
                pages = pickup.pages(text, key, first=2) if text else (TextReply(pickup.COMPLETE),)
            else:
                pages = text.split() if text else ()
        return replace(exchange, reply=None, pages=pages, pages_state=state)

    def _session_change(self, call: HandlerCall) -> SessionChange | None:
        """Return what the handler changed in the session.

        :raises ValueError: if the state is too long.
        :raises TypeError: if the session is not JSON.
        """
        ctx, stored = call.ctx, call.stored
        is_same = ctx.state == stored.state and ctx.session == stored.session
        if is_same and ctx.rule_memory == stored.rule_memory:
            return None
        if ctx.state and len(ctx.state) > MAX_STATE_LENGTH:
            raise ValueError(f"ctx.state is longer than {MAX_STATE_LENGTH} characters")
        json.dumps(ctx.session, ensure_ascii=False).encode()
        later = database_now() + timedelta(seconds=self.session_ttl)
        expires_at = stored.expires_at if is_same else later
        return SessionChange(
            state=ctx.state or None,
            session=ctx.session,
            expires_at=expires_at if ctx.state or ctx.session else None,
            rule_memory=ctx.rule_memory,
            version=stored.version,
        )


def _to_replies(answer: Answer) -> tuple[Reply, ...]:
    if isinstance(answer, str):
        return (TextReply(answer),) if answer.strip() else ()
    found = answer if isinstance(answer, tuple) else (answer,) if answer is not None else ()
    for reply in found:
        if not isinstance(reply, Reply):
            raise TypeError(f"a handler returns replies, a text or None, not {type(reply).__name__}")
    return found
