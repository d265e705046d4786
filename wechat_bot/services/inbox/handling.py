"""One message's turn: its handler runs, and what comes of it becomes an exchange to be stored."""

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
"""A handler that takes longer is better marked as slow."""
MAX_STATE = 64


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
    """A push, what was known when it arrived, and who handles it with what context."""

    push: Push
    known: StoredState
    route: Route | None
    ctx: Context

    def exchange(self, account_id: int, state: MessageState = MessageState.ANSWERED, **more: Any) -> Exchange:
        """The message, and `more` that is to be stored with it."""
        return Exchange(
            account_id=account_id,
            follower_id=self.known.follower_id,
            message=self.push.message,
            received_at=self.push.received_at,
            state=state,
            **{"origin": self.route.name if self.route else "", **more},
        )


@dataclass(frozen=True)
class HandlerRunner:
    """Runs handlers. `apology` is what followers read when one failed, `session_ttl` is in seconds."""

    apology: str
    session_ttl: int

    def run(self, turn: HandlerCall, account_id: int) -> Exchange:
        """What the handler of `turn` makes of the message; one that raises changes nothing."""
        if turn.route is None:
            return turn.exchange(account_id)
        started = time.monotonic()
        state, said = MessageState.ANSWERED, ""
        try:
            reply = _reply(turn.route.handler(turn.push.message, turn.ctx))
            session_change = self._session_change(turn)
        except Exception as error:
            # What the error says may be what the follower wrote.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("handler %s failed with %s at\n%s", turn.route.name, type(error).__name__, where)
            log.debug("what it said", exc_info=error)
            reply, session_change = TextReply(self.apology) if self.apology else None, None
            state, said = MessageState.FAILED, f"{type(error).__name__}: {error}"[:255]
        seconds = time.monotonic() - started
        if seconds > QUICK_SECONDS and not turn.route.slow:
            log.warning("handler %s took %.1f s: mark it slow=True", turn.route.name, seconds)
        shown, rest = _fit(reply, turn.push.message)
        return turn.exchange(
            account_id,
            state,
            reply=shown,
            rest=rest,
            session_change=session_change,
            error=said,
            latency_ms=round(turn.push.elapsed * 1000),
        )

    def _session_change(self, turn: HandlerCall) -> SessionChange | None:
        """What the handler changed; ValueError or TypeError when it cannot be stored."""
        ctx, known = turn.ctx, turn.known
        if ctx.state == known.state and ctx.session == known.session:
            return None
        if ctx.state and len(ctx.state) > MAX_STATE:
            raise ValueError(f"ctx.state is longer than {MAX_STATE} characters")
        json.dumps(ctx.session, ensure_ascii=False).encode()
        ends = datetime.now(UTC) + timedelta(seconds=self.session_ttl)
        return SessionChange(
            state=ctx.state or None,
            session=ctx.session,
            expires_at=ends if ctx.state or ctx.session else None,
            version=known.version,
        )


def _reply(answer: Answer) -> Reply | None:
    if isinstance(answer, str):
        return TextReply(answer) if answer.strip() else None
    if not isinstance(answer, Reply | None):
        raise TypeError(f"a handler returns a reply, a text or None, not {type(answer).__name__}")
    return answer


def _fit(reply: Reply | None, message: Message) -> tuple[Reply | None, Reply | None]:
    if reply is None:
        return None, None
    if not message.answerable:
        log.warning("a reply to %s cannot be shown and is dropped", type(message).__name__)
        return None, None
    return replies.fit(reply, message)
