"""Finds and runs the handler of a message, and turns its result into an exchange to be stored."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ...models import MessageState
from ...routing import Answer, Context, Route, Router
from ...semaphore import Turn
from ...wechat import replies
from ...wechat.messages import Message
from ...wechat.replies import Reply, TextReply
from . import pickup
from .exchanges import Exchange, SessionChange
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
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    turn: Turn = field(default_factory=Turn)
    """The turn of the thread that answers it, which began when the push arrived."""
    number: int = 1
    """Which of the message's pushes it is."""
    first_at: datetime | None = None
    """When the first one arrived; None if this is the first."""
    waits: str | None = None
    """The dedup key of the message whose answer it waits for (`WaitingPushes`)."""

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
            **{"origin": self.route.name if self.route else "", **more},
        )


class HandlerFinder:
    """Finds the handlers of one account's messages, and loads the sessions that they need. Thread-safe.

    `services` returns the services of the account for the contexts of the handlers.
    """

    def __init__(
        self, account_id: Callable[[], int], router: Router, reader: InboxReader, services: Callable[[], Any]
    ) -> None:
        self._find_account_id = account_id
        self._account_id: int | None = None
        self._router = router
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
        ctx = stored.context(self._services())
        known = stored.message_state is not None and not again
        route = None if known or pickup.parse(push.message) else self._router.resolve(push.message, ctx)
        return HandlerCall(push, stored, route, ctx)

    def reload(self, call: HandlerCall) -> HandlerCall:
        """Return `call` with the session as it is stored now."""
        stored = self._reader.load(call.push.message, self.account_id)
        return replace(
            call, stored=stored, ctx=replace(stored.context(self._services()), match=call.ctx.match)
        )


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

    def run(self, call: HandlerCall, account_id: int) -> Exchange:
        """Return what the handler makes of the message. A handler that raises changes nothing."""
        if call.route is None:
            return call.exchange(account_id)
        started = time.monotonic()
        state, problem = MessageState.ANSWERED, ""
        try:
            reply = _to_reply(call.route.handler(call.push.message, call.ctx))
            session_change = self._session_change(call)
        except Exception as error:
            # The error's text may contain what the follower wrote.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("handler %s failed with %s at\n%s", call.route.name, type(error).__name__, where)
            log.debug("what it said", exc_info=error)
            state, problem = MessageState.FAILED, f"{type(error).__name__}: {error}"[:255]
            reply, session_change = self._apology(f"{call.route.name}: {problem}"), None
        seconds = time.monotonic() - started
        if seconds > QUICK_SECONDS and not call.route.slow:
            log.warning("handler %s took %.1f s: mark it slow=True", call.route.name, seconds)
        return self._with_reply(
            call.exchange(
                account_id,
                state,
                session_change=session_change,
                error=problem,
                latency_ms=round(call.push.elapsed * 1000),
            ),
            reply,
        )

    def interrupted(self, call: HandlerCall, account_id: int) -> Exchange:
        """Return what becomes of a message whose handler was interrupted and must not run again."""
        exchange = call.exchange(account_id, MessageState.FAILED, error="interrupted")
        return self._with_reply(exchange, self._apology(f"{exchange.origin}: interrupted"))

    def _apology(self, problem: str) -> Reply | None:
        """Return what followers read when a handler fails because of `problem`."""
        text = self.apology or (problem if self.shows_errors else "")
        return TextReply(text) if text else None

    def _with_reply(self, exchange: Exchange, reply: Reply | None) -> Exchange:
        """Return `exchange` with `reply`, which has further pages if it is a long text."""
        if reply is None:
            return exchange
        if not exchange.message.answerable:
            kind = type(exchange.message).__name__
            log.warning("a reply to %s cannot be shown and is dropped", kind)
            return exchange
        pages = replies.split_for_passive_reply(reply, exchange.message)
        if len(pages) == 1:
            return replace(exchange, reply=pages[0])
        state = self.late_state()
        if state is MessageState.READY and isinstance(reply, TextReply):
            pages = pickup.pages(reply.content, exchange.key)
        return replace(exchange, reply=pages[0], pages=pages[1:], pages_state=state)

    def _session_change(self, call: HandlerCall) -> SessionChange | None:
        """Return what the handler changed in the session.

        :raises ValueError: if the state is too long.
        :raises TypeError: if the session is not JSON.
        """
        ctx, stored = call.ctx, call.stored
        if ctx.state == stored.state and ctx.session == stored.session:
            return None
        if ctx.state and len(ctx.state) > MAX_STATE_LENGTH:
            raise ValueError(f"ctx.state is longer than {MAX_STATE_LENGTH} characters")
        json.dumps(ctx.session, ensure_ascii=False).encode()
        expires_at = datetime.now(UTC) + timedelta(seconds=self.session_ttl)
        return SessionChange(
            state=ctx.state or None,
            session=ctx.session,
            expires_at=expires_at if ctx.state or ctx.session else None,
            version=stored.version,
        )


def _to_reply(answer: Answer) -> Reply | None:
    if isinstance(answer, str):
        return TextReply(answer) if answer.strip() else None
    if not isinstance(answer, Reply | None):
        raise TypeError(f"a handler returns a reply, a text or None, not {type(answer).__name__}")
    return answer
