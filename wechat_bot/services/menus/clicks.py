"""Counts taps on the buttons of a menu, hour by hour, as the projector reads the message log.

A page that sums the messages of 30 days would read millions of them; the sums of the hours are a few thousand
short rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, insert, select, update

from ...models import Direction, MenuClicks
from ...models.projections import hour_of
from ...wechat.api.menu import Button

_KEYED = (
    "click",
    "scancode_push",
    "scancode_waitmsg",
    "pic_sysphoto",
    "pic_photo_or_album",
    "pic_weixin",
    "location_select",
)
EVENTS = {
    **{kind: (kind, "key") for kind in _KEYED},
    "view": ("view", "url"),
    "miniprogram": ("view_miniprogram", "pagepath"),
}
"""Of each kind of button whose taps are pushed: the event, and the field that is the event's key."""
_NAMES = frozenset(event for event, _ in EVENTS.values())

WEEK, MONTH = timedelta(days=7), timedelta(days=30)

Key = tuple[int, int, str]


def target_of(event: str, key: str) -> str:
    """Return the digest by which the taps with an event and its key are counted."""
    return blake2b(f"{event}\0{key}".encode(errors="surrogatepass"), digest_size=16).hexdigest()


def update_clicks(connection: Connection, messages: Iterable[Row[Any]]) -> None:
    """Add the taps among new messages. No other process may do so at the same time."""
    counts: Counter[Key] = Counter()
    for message in messages:
        if message.event in _NAMES and message.direction == Direction.IN:
            target = target_of(message.event, str((message.payload or {}).get("EventKey", "")))
            counts[message.account_id, hour_of(message.received_at), target] += 1
    if counts:
        _add(connection, counts)


def _add(connection: Connection, counts: Counter[Key]) -> None:
    table: Any = MenuClicks.__table__
    columns = table.c.account_id, table.c.hour, table.c.target
    keys = [dict(zip(("account_id", "hour", "target"), key, strict=True)) for key in counts]
    wanted = (column.in_({key[column.key] for key in keys}) for column in columns)
    known = {tuple(row) for row in connection.execute(select(*columns).where(*wanted))}
    rows = list(zip(keys, counts.items(), strict=True))
    new = [{**key, "clicks": clicks} for key, (value, clicks) in rows if value not in known]
    more = [
        {**{f"its_{name}": part for name, part in key.items()}, "more": clicks}
        for key, (value, clicks) in rows
        if value in known
    ]
    if new:
        connection.execute(insert(table), new)
    if more:
        this = [column == bindparam(f"its_{column.key}") for column in columns]
        connection.execute(update(table).where(*this).values(clicks=table.c.clicks + bindparam("more")), more)


def clicks_of(
    connection: Connection, account_id: int, buttons: Sequence[Button], now: datetime
) -> dict[Button, tuple[int, int]]:
    """Return how often buttons whose taps are pushed were tapped within the last 7 and 30 days."""
    targets = {}
    for button in buttons:
        if button.type in EVENTS and not button.sub_button:
            event, name = EVENTS[button.type]
            targets[button] = target_of(event, getattr(button, name))
    week = case((MenuClicks.hour > hour_of(now - WEEK), MenuClicks.clicks), else_=0)
    counted = (
        select(MenuClicks.target, func.sum(week), func.sum(MenuClicks.clicks))
        .where(MenuClicks.account_id == account_id, MenuClicks.hour > hour_of(now - MONTH))
        .where(MenuClicks.target.in_(set(targets.values())))
        .group_by(MenuClicks.target)
    )
    found = {target: (int(week), int(month)) for target, week, month in connection.execute(counted)}
    return {button: found.get(target, (0, 0)) for button, target in targets.items()}


def counted_since(connection: Connection, account_id: int) -> int | None:
    """Return the hour, since 1970, of the first tap that was counted; None if there is none."""
    return connection.scalar(select(func.min(MenuClicks.hour)).where(MenuClicks.account_id == account_id))
