"""Runs the handler of a message and turns its result into an exchange to be stored."""

from __future__ import annotations

import json
import logging
import time
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ...models import MessageState
from ...routing import Answer, Context, Route
from ...wechat import replies
from ...wechat.messages import Message
from ...wechat.replies import Reply, TextReply
from .exchanges import Exchange, SessionChange
from .lookup import StoredState

log = logging.getLogger(__name__)

QUICK_SECONDS = 1.0
"""Seconds after which a handler should be marked as slow."""
MAX_STATE_LENGTH = 64


@dataclass(frozen=True)
class Push:
    """A push that is being answered, and when it arrived."""

    message: Message
    started: float = field(default_factory=time.monotonic)
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def key(self) -> str:
        return self.message.dedup_key

    @property
    def elapsed(self) -> float:
        """Seconds since it arrived."""
        return time.monotonic() - self.started


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
            message=self.push.message,
            received_at=self.push.received_at,
            state=state,
            **{"origin": self.route.name if self.route else "", **more},
        )


@dataclass(frozen=True)
class HandlerRunner:
    """Runs handlers. Followers read `apology` when one fails; `session_ttl` is in seconds."""

    apology: str
    session_ttl: int

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
            reply, session_change = TextReply(self.apology) if self.apology else None, None
            state, problem = MessageState.FAILED, f"{type(error).__name__}: {error}"[:255]
        seconds = time.monotonic() - started
        if seconds > QUICK_SECONDS and not call.route.slow:
            log.warning("handler %s took %.1f s: mark it slow=True", call.route.name, seconds)
        shown, remainder = _split(reply, call.push.message)
        return call.exchange(
            account_id,
            state,
            reply=shown,
            remainder=remainder,
            session_change=session_change,
            error=problem,
            latency_ms=round(call.push.elapsed * 1000),
        )

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


def _split(reply: Reply | None, message: Message) -> tuple[Reply | None, Reply | None]:
    """Return the part that fits into the reply to `message`, and the remainder."""
    if reply is None:
        return None, None
    if not message.answerable:
        log.warning("a reply to %s cannot be shown and is dropped", type(message).__name__)
        return None, None
    return replies.split_for_passive_reply(reply, message)
