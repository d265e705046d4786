"""The test bench: what the account would answer, asked of the very router and rules that answer followers.

Nothing is written and no handler runs. Dialogues, tags, who answers and what rules remember are those of now,
also for messages of the past.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from ...database.clock import database_now
from ...models import BotSession, Direction, Follower, FollowerTag, Handover, MessageLog, Tag
from ...routing import Context, Owner, Router
from ...routing.rules import RuleRoute, RuleSet, Verdict, rule_of
from ...wechat.errors import MalformedMessage
from ...wechat.messages import Message, SubscribeEvent
from ...wechat.parsing import parse
from ...wechat.replies import Reply

SAMPLE = 1000
"""Messages of the log that are compared at most."""
SECONDS = 1.0
"""Seconds after which no other message is compared."""


@dataclass(frozen=True)
class Occasion:
    """A message, and what is known when it arrives."""

    message: Message
    ctx: Context


@dataclass(frozen=True)
class Outcome:
    """What becomes of a message."""

    verdicts: tuple[Verdict, ...]
    """On each rule in its order, as if no handler in code took the message."""
    origin: str
    """The route that takes it; empty if none does."""
    replies: tuple[Reply, ...]
    """What a rule answers; empty if a handler in code takes the message."""

    @property
    def rule_id(self) -> int | None:
        """The rule that answers, if one does."""
        return rule_of(self.origin)


@dataclass(frozen=True)
class Change:
    """A message of the log that would be answered differently, and the routes that take it."""

    message: Row[Any]
    before: str
    after: str


@dataclass(frozen=True)
class Comparison:
    """What other rules would change for the newest messages of the log."""

    compared: int
    changes: Sequence[Change]


def occasion(
    connection: Connection,
    account_id: int,
    message: Message,
    at: datetime,
    follower_id: int | None,
    *,
    is_logged: bool = False,
) -> Occasion:
    """Return the occasion on which a follower sends `message`; with None, somebody new does.

    If it `is_logged`, a follow in it is one that the follower's count has already.
    """
    known = _known_followers(connection, account_id, [follower_id] if follower_id else []).get(follower_id)
    ctx = _context(known, message, at, is_logged=is_logged)
    if known:
        ctx.state, ctx.session, ctx.rule_memory = known.state, dict(known.session), dict(known.rule_memory)
        ctx.owner = known.owner
    return Occasion(message, ctx)


def logged(connection: Connection, account_id: int, message_id: int) -> Row[Any] | None:
    """Return an incoming message of the log with the columns of `find_message`, or None."""
    return connection.execute(_incoming(account_id).where(MessageLog.id == message_id)).one_or_none()


def message_of(row: Row[Any]) -> Message | None:
    """Return the message of a row of the log; None if it cannot be read any more."""
    try:
        return parse(row.payload)
    except MalformedMessage:
        return None


def try_out(router: Router, rules: RuleSet, occasion: Occasion) -> Outcome:
    """Return what becomes of a message with these rules.

    :raises MissingFile: if a file of the answer cannot be sent.
    """
    message, ctx = occasion.message, occasion.ctx
    ctx.rules = rules
    verdicts = rules.explain(message, ctx)
    route = router.resolve(message, ctx)
    replies: tuple[Reply, ...] = ()
    if isinstance(route, RuleRoute):
        found = route.handler(message, ctx)
        replies = tuple(reply.passive for reply in found) if isinstance(found, tuple) else ()
    return Outcome(verdicts, route.name if route else "", replies)


def compare(
    connection: Connection, account_id: int, router: Router, saved: RuleSet, edited: RuleSet
) -> Comparison:
    """Return which of the account's newest messages would be answered differently.

    Messages that continue a dialogue with a handler cannot be told apart from others here.
    """
    newest = _incoming(account_id).order_by(MessageLog.id.desc()).limit(SAMPLE)
    rows = connection.execute(newest).all()
    known = _known_followers(connection, account_id, {row.follower_id for row in rows if row.follower_id})
    until = time.monotonic() + SECONDS
    compared, changes = 0, []
    for row in rows:
        if time.monotonic() > until:
            break
        compared += 1
        if message := message_of(row):
            ctx = _context(known.get(row.follower_id), message, row.received_at, is_logged=True)
            before, after = (_origin(router, rules, message, ctx) for rules in (saved, edited))
            if _answers(saved, before) != _answers(edited, after):
                changes.append(Change(row, before, after))
    return Comparison(compared, changes)


def _origin(router: Router, rules: RuleSet, message: Message, ctx: Context) -> str:
    ctx.rules = rules
    route = router.resolve(message, ctx)
    return route.name if route else ""


def _answers(rules: RuleSet, origin: str) -> object:
    """Return what tells the answers of a route from those of others."""
    rule_id = rule_of(origin)
    return origin if rule_id is None else (rule_id, rules.rules[rule_id].pick, rules.rules[rule_id].answers)


def _incoming(account_id: int) -> Any:
    columns = ("id", "follower_id", "kind", "event", "text", "payload", "received_at")
    found = select(*(getattr(MessageLog, name) for name in columns))
    return found.where(MessageLog.account_id == account_id, MessageLog.direction == Direction.IN)


def _context(known: _Known | None, message: Message, at: datetime, *, is_logged: bool) -> Context:
    """Return the context of a message outside of a dialogue, and as if no rule remembered anything."""
    if known is None:
        return Context(received_at=at, followed_at=at)
    follows = isinstance(message, SubscribeEvent)
    return Context(
        returning=known.follow_count > (1 if follows and is_logged else 0),
        tags=known.tags,
        followed_at=at if follows else known.followed_at,
        received_at=at,
    )


@dataclass(frozen=True)
class _Known:
    """What is known of a follower."""

    follow_count: int
    followed_at: datetime
    tags: frozenset[str]
    state: str | None
    session: Mapping[str, Any]
    rule_memory: Mapping[str, dict[str, float]]
    owner: Owner


def _known_followers(
    connection: Connection, account_id: int, ids: Sequence[int] | set[int]
) -> dict[int | None, _Known]:
    """Return what is known of the followers with these ids, as `inbox.lookup` reads it for a push."""
    tags: dict[int, set[str]] = defaultdict(set)
    followed_at = func.coalesce(Follower.status_at, Follower.subscribed_at, Follower.first_seen_at)
    session = BotSession.state, BotSession.session, BotSession.expires_at, BotSession.rule_memory
    columns = Follower.id, Follower.follow_count, followed_at.label("followed_at"), *session, Handover.owner
    followers = select(*columns).outerjoin(BotSession, BotSession.follower_id == Follower.id)
    followers = followers.outerjoin(Handover, Handover.follower_id == Follower.id)
    tagged = select(FollowerTag.follower_id, Tag.name).join(Tag, Tag.id == FollowerTag.tag_id)
    rows: list[Row[Any]] = []
    for some in _batches(sorted(ids)):
        for follower_id, name in connection.execute(tagged.where(FollowerTag.follower_id.in_(some))):
            tags[follower_id].add(name)
        rows += connection.execute(
            followers.where(Follower.account_id == account_id, Follower.id.in_(some))
        ).all()
    return {row.id: _known(row, frozenset(tags[row.id])) for row in rows}


def _known(row: Row[Any], tags: frozenset[str]) -> _Known:
    alive = row.expires_at is not None and row.expires_at > database_now()
    return _Known(
        follow_count=row.follow_count,
        followed_at=row.followed_at,
        tags=tags,
        state=row.state if alive else None,
        session=row.session if alive else {},
        rule_memory=row.rule_memory or {},
        owner=Owner(row.owner) if row.owner else Owner.BOT,
    )


def _batches(ids: Sequence[int], size: int = 500) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
