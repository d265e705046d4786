"""The simulator's page: the phone, and the panel for developers beside it."""

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

from ...application import row_id
from ...extensions import db
from ...models import Channel, MessageLog, MessageState
from ...models import Follower as KnownFollower
from ...services.messages.records import reply_key
from ...simulator.journal import DeliveryOutcome, JournalEntry, PhoneUser
from ...simulator.platform import NOTICE
from ...simulator.sample_messages import EVENTS, MESSAGES
from ...simulator.state import PlatformState, Sent
from ...wechat.credentials import Mode
from ...wiring import services
from . import bp, forms, inspection, labels
from .access import is_open
from .dependencies import credentials, journal, platform_api, store

MAX_EXCHANGES = 100
"""Number of exchanges of a follower on the page."""
VERSION_HEADER = "X-Seen"
"""The header with the version of the page, which the browser sends back."""
TABS = ("exchange", "push", "platform")


@dataclass(frozen=True)
class ChatEntry:
    """An entry of the chat: an exchange with the bot, or a message that was sent through the API."""

    at: float
    exchange: JournalEntry | None = None
    sent: Sent | None = None


@bp.get("/")
def phone() -> ResponseReturnValue:
    """Return the page, or 204 if the browser already shows the same version."""
    page = render_template("simulator/phone.html", **_context())
    version = hashlib.sha256(page.encode()).hexdigest()[:16]
    if request.headers.get(VERSION_HEADER) == version:
        return "", 204
    response = Response(page)
    response.headers[VERSION_HEADER] = version
    return response


def _context() -> dict[str, Any]:
    followers = journal().followers()
    follower = next((each for each in followers if each.openid == request.args.get("follower")), followers[0])
    exchanges = journal().exchanges(follower.openid, MAX_EXCHANGES)
    with store().opened() as state:
        entries = _entries(follower, exchanges, state)
    chosen = _chosen(exchanges)
    silent = DeliveryOutcome.NOTHING
    rows = _recorded([each for each in exchanges if each is chosen or each.outcome is silent])
    late = _late_answers(exchanges, rows)
    kind = request.args.get("kind", "text")
    return {
        "followers": followers,
        "follower": follower,
        "entries": entries,
        "menu": platform_api().menu_of(follower.openid),
        "account_follower": state.followers.get(follower.openid),
        "typing": _is_typing(state, follower),
        "tab": request.args.get("tab") if request.args.get("tab") in TABS else TABS[0],
        "choices": journal().options(),
        "modes": {mode: credentials(mode).mode is mode for mode in Mode},
        "state": state,
        "api_time": time.time() + state.clock_offset,
        "chosen": chosen,
        "late": late,
        "kind": kind,
        "sample": list(forms.flatten(forms.sample(kind))),
        "kinds": [*MESSAGES, *EVENTS],
        "stored": stored_message(request.args.get("message", type=row_id)),
        "api_used": urlsplit(services().settings.api_base_url).path.startswith("/simulator/api"),
        "link": _link,
        "notice": NOTICE,
        "console": "admin.messages.show" in current_app.view_functions,
        "labels": labels,
        **(_details(chosen, rows, late.get(chosen.id)) if chosen else {}),
    }


def _entries(follower: PhoneUser, exchanges: list[JournalEntry], state: PlatformState) -> list[ChatEntry]:
    pushed = [ChatEntry(each.began, exchange=each) for each in exchanges]
    sent = [ChatEntry(each.arrived, sent=each) for each in state.sent if each.openid == follower.openid]
    return sorted(pushed + sent[-MAX_EXCHANGES:], key=lambda entry: entry.at)


def _is_typing(state: PlatformState, follower: PhoneUser) -> bool:
    """Whether the bot shows the typing status (section 7.4)."""
    known = state.followers.get(follower.openid)
    return known is not None and known.typing_until - state.clock_offset > time.time()


def _chosen(exchanges: list[JournalEntry]) -> JournalEntry | None:
    """Return the exchange in the panel: that of the query, by default the latest."""
    number = request.args.get("exchange", type=row_id)
    named = next((each for each in exchanges if each.id == number), None)
    return named or (exchanges[-1] if exchanges else None)


def _details(exchange: JournalEntry, rows: dict[str, Any], arrived_at: float | None) -> dict[str, Any]:
    token = services().settings.credentials.tokens[0]
    answer = exchange.answered or (exchange.attempts[-1] if exchange.attempts else None)
    return {
        "query": inspection.query(exchange),
        "signatures": inspection.signatures(exchange, token),
        "answer": answer,
        "answer_signature": inspection.answer_signature(answer.answer, token) if answer else None,
        "token": token if is_open() else "••••••",
        "timeline": inspection.timeline(exchange, time.time(), arrived_at),
        "curl": inspection.curl(exchange),
        "row": rows.get(exchange.message.dedup_key) if exchange.message else None,
    }


def _recorded(exchanges: list[JournalEntry]) -> dict[str, Any]:
    """Return the bot's rows of the messages, and of its replies to them, by dedup key."""
    keys = [each.message.dedup_key for each in exchanges if each.message]
    found = select(MessageLog.__table__).where(MessageLog.dedup_key.in_([*keys, *map(reply_key, keys)]))
    try:
        return {row.dedup_key: row for row in db.session.execute(found)}
    except SQLAlchemyError:
        return {}


def _late_answers(exchanges: list[JournalEntry], rows: dict[str, Any]) -> dict[int, float]:
    """Return when exchanges were answered by customer-service messages, in Unix time by exchange id."""
    replies = {each.id: rows.get(reply_key(each.message.dedup_key)) for each in exchanges if each.message}
    return {
        exchange_id: reply.received_at.timestamp()
        for exchange_id, reply in replies.items()
        if reply and reply.channel == Channel.CUSTOMER and reply.state == MessageState.SENT
    }


def stored_message(message_id: int | None) -> Any:
    """Return the row of an incoming message, which can be pushed again, with the openid of its follower."""
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
    """Return the URL at which a message of the console can be pushed again."""
    return url_for("simulator.phone", message=message_id)


def _link(**changes: Any) -> str:
    """Return the URL of this page with changes to its query."""
    names = ("follower", "exchange", "tab", "kind")
    current = {name: request.args[name] for name in names if name in request.args}
    return url_for("simulator.phone", **{**current, **changes})
