"""A database with so many rows that the planner of a database would not read all of a table for a few."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Engine, insert, text, update

from tests.conftest import APP_ID
from wechat_bot.database.transactions import transaction
from wechat_bot.models import (
    BotSession,
    Conversation,
    ConversationStatus,
    Direction,
    Follower,
    FollowerTag,
    HourIndex,
    MessageLog,
    MessageState,
    Progress,
    Tag,
)
from wechat_bot.models.projections import hour_of
from wechat_bot.models.rows import Row, new_row
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.search.index import FOLLOWERS, MESSAGES, SearchIndex
from wechat_bot.services.search.tokens import filter_tokens, tokens_of

FOLLOWER_COUNT, SPOKEN, MESSAGE_COUNT = 6_000, 5_500, 16_000
"""Followers, those who have written, who are the ones seen last, and messages."""
ACCOUNT = 1
RARE_TAG, COMMON_TAG = 1, 2
"""Tags of 20 followers, who wrote long ago, and of half of all."""
_END = datetime.now(UTC).replace(microsecond=0)
_PACE = timedelta(minutes=3)


def fill(engine: Engine) -> None:
    """Add messages and followers, with what the projections make of them, and gather statistics."""
    assert ensure_account(engine, APP_ID) == ACCOUNT
    with transaction(engine) as connection:
        connection.execute(insert(Follower), list(_followers()))
        connection.execute(insert(BotSession), [{"follower_id": n} for n in range(1, FOLLOWER_COUNT + 1)])
        connection.execute(insert(MessageLog), list(map(_message, range(1, MESSAGE_COUNT + 1))))
        connection.execute(insert(Conversation), list(map(_conversation, range(1, SPOKEN + 1))))
        connection.execute(insert(Tag), [_tag(RARE_TAG), _tag(COMMON_TAG)])
        connection.execute(insert(FollowerTag), list(_tagged()))
        hours = {hour_of(_time(n)): n for n in range(MESSAGE_COUNT, 0, -1)}
        connection.execute(insert(HourIndex), [{"hour": at, "first_id": n} for at, n in hours.items()])
        _index(connection, MESSAGES, _message_tokens())
        _index(connection, FOLLOWERS, ((n, tokens_of(f"o{n:05}")) for n in range(1, FOLLOWER_COUNT + 1)))
        for name, done in (
            ("messages", MESSAGE_COUNT),
            ("questions", MESSAGE_COUNT),
            ("followers", FOLLOWER_COUNT),
        ):
            connection.execute(update(Progress).where(Progress.name == name).values(watermark=done))
    _gather_statistics(engine)


def _gather_statistics(engine: Engine) -> None:
    tables = ", ".join(("message_logs", "followers", "conversations", "follower_tags", "bot_sessions"))
    analyze = {"sqlite": "ANALYZE", "postgresql": "VACUUM ANALYZE"}.get(engine.dialect.name)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(analyze or f"ANALYZE TABLE {tables}, message_search"))


def _time(number: int) -> datetime:
    return _END - (MESSAGE_COUNT - number) * _PACE


def _followers() -> Iterator[Row]:
    for number in range(1, FOLLOWER_COUNT + 1):
        seen = _time(MESSAGE_COUNT - SPOKEN + number if number <= SPOKEN else 0)
        yield new_row(
            Follower,
            account_id=ACCOUNT,
            openid=f"o{number:05}",
            status_at=seen,
            alias=f"name {number}" if number % 10 == 0 else "",
            scene="shop" if number % 100 == 0 else "",
            source="ADD_SCENE_SEARCH" if number % 3 else "ADD_SCENE_QR_CODE",
            first_seen_at=seen,
            last_seen_at=seen,
        )


def _message(number: int) -> Row:
    incoming, settled = number % 2 == 1, number % 400 > 1
    words = "我要退款" if number % 20 == 1 else "鲸鱼表演" if number == 7 else "你好"
    state = MessageState.ANSWERED if incoming else MessageState.SENT
    return new_row(
        MessageLog,
        account_id=ACCOUNT,
        follower_id=(number // 2) % SPOKEN + 1,
        direction=Direction.IN if incoming else Direction.OUT,
        kind="link" if number % 4000 == 3 else "text",
        text=words,
        payload={"Content": words},
        dedup_key=f"{number:032}",
        created_at=_time(number),
        received_at=_time(number),
        state=state if settled else MessageState.FAILED,
        origin="commands.show_help",
    )


def _conversation(number: int) -> Row:
    last = 2 * number + (2 * SPOKEN if 2 * (number + SPOKEN) <= MESSAGE_COUNT else 0) - 2
    is_open = number % 40 == 0
    return new_row(
        Conversation,
        account_id=ACCOUNT,
        follower_id=number,
        last_id=max(last, 1),
        last_in_id=max(last - 1, 1),
        messages_in=2,
        messages_out=2,
        status=ConversationStatus.OPEN if is_open else ConversationStatus.DONE,
        waiting_since=_time(max(last, 1)) if is_open else None,
        waiting_id=max(last - 1, 1) if is_open else None,
    )


def _tag(tag_id: int) -> Row:
    return {"id": tag_id, "account_id": ACCOUNT, "name": f"tag {tag_id}", "colour": "blue"}


def _tagged() -> Iterator[Row]:
    for number in range(1, FOLLOWER_COUNT + 1):
        if SPOKEN - 20 < number <= SPOKEN:
            yield {"follower_id": number, "tag_id": RARE_TAG}
        if number % 2:
            yield {"follower_id": number, "tag_id": COMMON_TAG}


def _message_tokens() -> Iterator[tuple[int, Iterable[str]]]:
    for number in range(1, MESSAGE_COUNT + 1):
        row = _message(number)
        yield number, [*tokens_of(row["text"]), *filter_tokens(SimpleNamespace(**row))]


def _index(connection: Connection, index: SearchIndex, tokens: Iterator[tuple[int, Any]]) -> None:
    while batch := dict(islice(tokens, 1000)):
        index.put(connection, batch)
