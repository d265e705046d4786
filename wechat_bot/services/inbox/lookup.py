"""Looks up the stored message, its follower's session and its reply, before and while a push is answered."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine, and_, bindparam, exists, func, literal_column, or_, select
from sqlalchemy.orm import aliased

from ...database.clock import database_now
from ...database.compiled import Connections, compile_select
from ...database.transactions import retry_conflicts
from ...models import (
    IS_UNFINISHED,
    UNFINISHED,
    UNSETTLED,
    BotSession,
    Channel,
    Direction,
    Follower,
    FollowerTag,
    Handover,
    MessageLog,
    MessageState,
    Operator,
    RuleSetVersion,
    StoredHandoverPolicy,
    Tag,
)
from ...routing import Context, Owner
from ...routing.rules import RuleSet
from ...wechat.api.outgoing import passive_of
from ...wechat.messages import Message
from ...wechat.replies import Reply
from ..messages.records import page_key, reply_key
from .pickup import Pickup


@dataclass(frozen=True, kw_only=True)
class StoredState:
    """What was stored of a message and of its follower's session when a push arrived."""

    message_state: MessageState | None = None
    """None when the message was not pushed before."""
    follower_id: int | None = None
    """None for a new follower, and for messages that concern no follower."""
    subscribed: bool = True
    """Whether the follower follows the account; new followers do."""
    returning: bool = False
    followed_at: datetime | None = None
    tags: frozenset[str] = frozenset()
    state: str | None = None
    session: dict[str, Any]
    rule_memory: dict[str, dict[str, float]] = field(default_factory=dict)
    expires_at: datetime | None = None
    """When `state` and `session` expire."""
    version: int = 0
    ready_id: int | None = None
    """The id of the oldest message that is held for the follower."""
    rules_version: int = 0
    """How often the account's rules have changed (`RuleSetVersion`)."""
    policy_version: int = 0
    """How often the account's `HandoverPolicy` has changed."""
    has_operators: bool = False
    """Whether there are persons who can be called."""
    owner: Owner = Owner.BOT
    """Who answers the follower."""

    def context(self, received_at: datetime, rules: RuleSet | None, services: Any) -> Context:
        """Return a context for the handler, with a copy of the session that it may change."""
        return Context(
            session=copy.deepcopy(self.session) if self.session else {},
            state=self.state,
            returning=self.returning,
            tags=self.tags,
            followed_at=self.followed_at,
            received_at=received_at,
            rules=rules,
            rule_memory=self.rule_memory,
            owner=self.owner,
            _services=services,
        )


@dataclass(frozen=True)
class StoredReply:
    """A stored message that is the answer to a push."""

    id: int
    follower_id: int
    state: MessageState
    reply: Reply


@dataclass(frozen=True)
class StoredPage:
    """A page of the answer to an earlier message."""

    message_state: MessageState
    """The state of that message."""
    id: int | None
    """None if the answer does not exist, or has no such page."""
    state: MessageState | None

    @property
    def is_unfinished(self) -> bool:
        return self.message_state in UNFINISHED


class InboxReader:
    """Reads what `exchanges` wrote. What pushes read goes through `connections`, which are for them alone."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._connections = connections
        self._select_session = compile_select(_SESSION, engine.dialect)
        self._select_new = compile_select(_NEW, engine.dialect)
        self._select_unfinished = compile_select(_UNFINISHED, engine.dialect)
        self._select_page = compile_select(_PAGE, engine.dialect)
        self._select_reply = compile_select(_REPLY, engine.dialect)
        self._select_origins = compile_select(_ORIGINS, engine.dialect)

    @retry_conflicts
    def load(self, message: Message, account_id: int) -> StoredState:
        """Return what is stored of `message` and of its follower."""
        values = {"account_id": account_id, "openid": message.openid, "key": message.dedup_key}
        with self._connections.borrow() as cursor:
            row = self._select_session.fetch_one(cursor, values)
            if row is None:  # a new follower, or a message that concerns no follower
                [row] = self._select_new.fetch_all(cursor, values)
        message_state, rules_version, policy_version, has_operators, *of_follower = row
        found = partial(
            StoredState,
            message_state=MessageState(message_state) if message_state else None,
            rules_version=rules_version or 0,
            policy_version=policy_version or 0,
            has_operators=bool(has_operators),
        )
        if not of_follower:
            return found(session={})
        follower_id, subscribed, follow_count, followed_at, tags, *of_session = of_follower
        state, session, expires_at, version, ready_id, rule_memory, owner = of_session
        alive = expires_at is not None and expires_at > database_now()
        return found(
            follower_id=follower_id,
            subscribed=bool(subscribed),
            returning=follow_count > 0,
            followed_at=followed_at,
            tags=frozenset(tags.split(_BETWEEN_TAGS)) if tags else frozenset(),
            state=state if alive else None,
            session=session if alive else {},
            rule_memory=rule_memory or {},
            expires_at=expires_at if alive else None,
            version=version,
            ready_id=ready_id,
            owner=Owner(owner) if owner else Owner.BOT,
        )

    @retry_conflicts
    def is_busy(self, follower_id: int) -> bool:
        """Whether a slow handler has yet to answer an earlier message of the follower."""
        with self._connections.borrow() as cursor:
            row = self._select_unfinished.fetch_one(cursor, {"follower_id": follower_id})
        return row is not None and row[0] is not None

    @retry_conflicts
    def origins(self, follower_id: int, since: datetime, key: str) -> list[str]:
        """Return the origins of the follower's newest messages since a time, newest first, ten at most.

        Events do not count, nor does the message with the dedup key `key`.
        """
        values = {"follower_id": follower_id, "since": since, "key": key}
        with self._connections.borrow() as cursor:
            return [origin for [origin] in self._select_origins.fetch_all(cursor, values)]

    @retry_conflicts
    def page(self, pickup: Pickup, follower_id: int) -> StoredPage | None:
        """Return a page of the answer to a message of the follower; None if there is no such message."""
        values = {
            "key": pickup.key,
            "page_key": page_key(pickup.key, pickup.page),
            "follower_id": follower_id,
        }
        with self._connections.borrow() as cursor:
            row = self._select_page.fetch_one(cursor, values)
        if row is None:
            return None
        state, page_id, page_state = row
        return StoredPage(MessageState(state), page_id, page_state and MessageState(page_state))

    @retry_conflicts
    def reply(self, key: str) -> StoredReply | None:
        """Return what the message is to be answered with; None if there is nothing, or the API sends it."""
        with self._connections.borrow() as cursor:
            row = self._select_reply.fetch_one(cursor, {"key": key, "reply_key": reply_key(key)})
        if row is None:
            return None
        reply_id, follower_id, state, payload = row
        return StoredReply(reply_id, follower_id, MessageState(state), passive_of(payload))


_THIS = MessageLog.dedup_key == bindparam("key")
_STATE = select(MessageLog.state).where(_THIS)
_UNFINISHED = select(func.min(MessageLog.id)).where(
    UNSETTLED, IS_UNFINISHED, MessageLog.follower_id == bindparam("follower_id")
)
_Page = aliased(MessageLog)
_PAGE = (
    select(MessageLog.state, _Page.id, _Page.state)
    .join(_Page, _Page.dedup_key == bindparam("page_key"), isouter=True)
    .where(_THIS, MessageLog.follower_id == bindparam("follower_id"))
)
_SHOWN = select(MessageLog.reply_id).where(_THIS).scalar_subquery()
_Reply = aliased(MessageLog)
_IS_PASSIVE = _Reply.channel == literal_column(f"'{Channel.REPLY}'")
_REPLY = select(_Reply.id, _Reply.follower_id, _Reply.state, _Reply.payload).where(
    or_(and_(_Reply.dedup_key == bindparam("reply_key"), _IS_PASSIVE), _Reply.id == _SHOWN),
    _Reply.state != literal_column(f"'{MessageState.WITHHELD}'"),
)
_ORIGINS = (
    select(MessageLog.origin)
    .where(MessageLog.follower_id == bindparam("follower_id"), MessageLog.received_at > bindparam("since"))
    .where(MessageLog.direction == literal_column(f"'{Direction.IN}'"))
    .where(MessageLog.event == literal_column("''"), MessageLog.dedup_key != bindparam("key"))
    .order_by(MessageLog.id.desc())
    .limit(literal_column("10"))  # no policy counts more misses
    .offset(literal_column("0"))  # which SQLite gets anyway, but as a parameter
)
_RULES_VERSION = select(RuleSetVersion.version).where(RuleSetVersion.account_id == bindparam("account_id"))
_POLICY_VERSION = select(StoredHandoverPolicy.version).where(
    StoredHandoverPolicy.account_id == bindparam("account_id")
)
_NEW = select(
    _STATE.scalar_subquery().label("message_state"),
    _RULES_VERSION.scalar_subquery().label("rules_version"),
    _POLICY_VERSION.scalar_subquery().label("policy_version"),
    exists().where(Operator.disabled.is_(False)).label("has_operators"),
)
_FOLLOWED_AT = func.coalesce(Follower.status_at, Follower.subscribed_at, Follower.first_seen_at)
_BETWEEN_TAGS = "\n"
_separator: Any = literal_column(f"'{_BETWEEN_TAGS}'")  # the statement takes no other parameters
_TAGS = (
    select(func.aggregate_strings(Tag.name, _separator))
    .join(FollowerTag, FollowerTag.tag_id == Tag.id)
    .where(FollowerTag.follower_id == Follower.id)
)
_SESSION = (
    select(
        *_NEW.selected_columns,
        Follower.id.label("follower_id"),
        Follower.subscribed,
        Follower.follow_count,
        _FOLLOWED_AT.label("followed_at"),
        _TAGS.correlate(Follower).scalar_subquery().label("tags"),
        BotSession.state,
        BotSession.session,
        BotSession.expires_at,
        BotSession.version,
        BotSession.ready_id,
        BotSession.rule_memory,
        Handover.owner,
    )
    .join_from(Follower, BotSession, BotSession.follower_id == Follower.id)
    .outerjoin(Handover, Handover.follower_id == Follower.id)
    .where(Follower.account_id == bindparam("account_id"), Follower.openid == bindparam("openid"))
)
