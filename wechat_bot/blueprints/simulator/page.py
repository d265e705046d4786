"""The page with the phone and the bench beside it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import Response, current_app, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from ...extensions import db
from ...models import Channel, MessageLog, MessageState
from ...models import Follower as KnownFollower
from ...services.inbox.exchanges import reply_key
from ...simulator.journal import JournalEntry, PhoneUser
from ...simulator.platform import NOTICE
from ...simulator.sample_messages import EVENTS, MESSAGES
from ...simulator.state import PlatformState, Sent
from ...wechat.credentials import Mode
from ...wiring import services
from ..admin.layout import WORDS
from . import bp, forms, inspection
from .access import is_open
from .dependencies import credentials, journal, platform_api, store
from .labels import ACCOUNT_KINDS, API_FAULTS, COURSES, FAULTS, KIND_WORDS, MODES

SHOWN = 100
"""Exchanges of a follower on the page."""
SEEN = "X-Seen"
"""The header with which page and browser tell each other what is shown."""
TABS = ("exchange", "push", "platform")


@dataclass(frozen=True)
class ChatEntry:
    """Something in the chat: an exchange with the bot, or a message that came through the API."""

    at: float
    exchange: JournalEntry | None = None
    sent: Sent | None = None


@bp.get("/")
def phone() -> ResponseReturnValue:
    """The page; nothing when the browser says that it shows it as it is."""
    page = render_template("simulator/phone.html", **_context())
    version = hashlib.sha256(page.encode()).hexdigest()[:16]
    if request.headers.get(SEEN) == version:
        return "", 204
    response = Response(page)
    response.headers[SEEN] = version
    return response


def _context() -> dict[str, Any]:
    followers = journal().followers()
    follower = next((each for each in followers if each.openid == request.args.get("follower")), followers[0])
    exchanges = journal().exchanges(follower.openid, SHOWN)
    with store().opened() as state:
        entries = _entries(follower, exchanges, state)
    chosen = _chosen(exchanges)
    kind = request.args.get("kind", "text")
    return {
        "followers": followers,
        "follower": follower,
        "entries": entries,
        "menu": platform_api().menu_of(follower.openid),
        "typing": _is_typing(state, follower),
        "tab": request.args.get("tab") if request.args.get("tab") in TABS else TABS[0],
        "choices": journal().choices(),
        "modes": {mode: credentials(mode).mode is mode for mode in Mode},
        "state": state,
        "chosen": chosen,
        "kind": kind,
        "sample": list(forms.leaves(forms.sample(kind))),
        "kinds": [*MESSAGES, *EVENTS],
        "stored": stored(request.args.get("message", type=int)),
        "api_used": urlsplit(services().settings.api_base_url).path.startswith("/simulator/api"),
        "link": _link,
        "notice": NOTICE,
        "console": "admin.message" in current_app.view_functions,
        **_words(),
        **(_taken_apart(chosen) if chosen else {}),
    }


def _words() -> dict[str, Any]:
    return {
        "courses": COURSES,
        "faults": FAULTS,
        "mode_words": MODES,
        "kind_words": KIND_WORDS,
        "account_kinds": ACCOUNT_KINDS,
        "api_faults": API_FAULTS,
        "states": WORDS["states"],
    }


def _entries(follower: PhoneUser, exchanges: list[JournalEntry], state: PlatformState) -> list[ChatEntry]:
    """The chat in its order."""
    pushed = [ChatEntry(each.began, exchange=each) for each in exchanges]
    sent = [ChatEntry(each.arrived, sent=each) for each in state.sent if each.openid == follower.openid]
    return sorted(pushed + sent[-SHOWN:], key=lambda entry: entry.at)


def _is_typing(state: PlatformState, follower: PhoneUser) -> bool:
    """Whether the bot says that an answer is being written (section 7.4)."""
    known = state.followers.get(follower.openid)
    return known is not None and known.typing_until - state.clock_offset > time.time()


def _chosen(exchanges: list[JournalEntry]) -> JournalEntry | None:
    """The exchange that is looked at: the last one unless the address names another."""
    number = request.args.get("exchange", type=int)
    named = next((each for each in exchanges if each.id == number), None)
    return named or (exchanges[-1] if exchanges else None)


def _taken_apart(exchange: JournalEntry) -> dict[str, Any]:
    token = services().settings.credentials.tokens[0]
    row, arrived_at = _recorded(exchange)
    answer = exchange.answered or (exchange.attempts[-1] if exchange.attempts else None)
    return {
        "query": inspection.query(exchange),
        "signatures": inspection.signatures(exchange, token),
        "answer": answer,
        "answer_signature": inspection.answer_signature(answer.answer, token) if answer else None,
        "token": token if is_open() else "••••••",
        "timeline": inspection.timeline(exchange, time.time(), arrived_at),
        "curl": inspection.curl(exchange),
        "row": row,
    }


def _recorded(exchange: JournalEntry) -> tuple[Any, float | None]:
    """What the bot recorded of the message, and when its answer arrived as a customer-service message."""
    if not exchange.message:
        return None, None
    key = exchange.message.dedup_key
    found = select(MessageLog.__table__).where(MessageLog.dedup_key.in_((key, reply_key(key))))
    try:
        rows = {row.dedup_key: row for row in db.session.execute(found)}
    except SQLAlchemyError:
        return None, None
    reply = rows.get(reply_key(key))
    if reply and reply.channel == Channel.CUSTOMER and reply.state == MessageState.SENT:
        return rows.get(key), reply.received_at.timestamp()
    return rows.get(key), None


def stored(message_id: int | None) -> Any:
    """A message of the console that can be played again."""
    if message_id is None:
        return None
    found = (
        select(MessageLog.__table__, KnownFollower.openid)
        .outerjoin(KnownFollower, KnownFollower.id == MessageLog.follower_id)
        .where(MessageLog.id == message_id, MessageLog.direction == "in")
    )
    return db.session.execute(found).one_or_none()


@bp.app_template_global("replay_url")
def replay_url(message_id: int) -> str:
    """Where a message of the console can be played again."""
    return url_for("simulator.phone", message=message_id)


def _link(**changes: Any) -> str:
    """This page with something else chosen."""
    names = ("follower", "exchange", "tab", "kind")
    kept = {name: request.args[name] for name in names if name in request.args}
    return url_for("simulator.phone", **{**kept, **changes})
