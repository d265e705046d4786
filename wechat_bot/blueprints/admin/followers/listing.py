"""The list of followers that the query string selects: filter, order, counts and pages.

A page continues at a value of the column of its order, and an id, so that its cost does not depend on its
depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import abort, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from sqlalchemy import (
    ColumnElement,
    Engine,
    Row,
    Select,
    and_,
    case,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import aliased

from ....application import row_id
from ....database.clock import database_now
from ....extensions import db
from ....models import Conversation, Follower, FollowerTag, MessageLog, Operator, Tag
from ....models.columns import storable
from ....services.conversations.queries import tags_of
from ....services.outbox.window import Window, spent_since
from ....services.search.index import FOLLOWERS
from ....services.search.tagged import are_few, is_tagged
from ....services.search.tokens import Query
from ....wiring import services
from ..conversations.listing import open_windows
from ..paging import parse_position, parse_time, position_of, searched

PAGE_SIZE = 50
BATCH_SIZE = 1000
"""Followers of one read of an export."""
MAX_COUNT = 10_000
"""Upper limit of counts."""
MAX_OFFERED = 50
"""Followers to choose from, those who wrote last first."""
SPOKEN = {
    "day": lazy_gettext("24 小时内"),
    "week": lazy_gettext("7 天内"),
    "month": lazy_gettext("30 天内"),
    "never": lazy_gettext("从未说话"),
}
_DAYS = {"day": 1, "week": 7, "month": 30}
SOURCES = {
    "ADD_SCENE_SEARCH": lazy_gettext("公众号搜索"),
    "ADD_SCENE_ACCOUNT_MIGRATION": lazy_gettext("公众号迁移"),
    "ADD_SCENE_PROFILE_CARD": lazy_gettext("名片分享"),
    "ADD_SCENE_QR_CODE": lazy_gettext("扫描二维码"),
    "ADD_SCENE_PROFILE_LINK": lazy_gettext("文章里的名称"),
    "ADD_SCENE_PROFILE_ITEM": lazy_gettext("文章右上角菜单"),
    "ADD_SCENE_PAID": lazy_gettext("支付后关注"),
    "ADD_SCENE_WECHAT_ADVERTISEMENT": lazy_gettext("微信广告"),
    "ADD_SCENE_REPRINT": lazy_gettext("他人转载"),
    "ADD_SCENE_LIVESTREAM": lazy_gettext("视频号直播"),
    "ADD_SCENE_CHANNELS": lazy_gettext("视频号"),
    "ADD_SCENE_WXA": lazy_gettext("小程序"),
    "ADD_SCENE_OTHERS": lazy_gettext("其他"),
}
"""How followers found the account, by the platform's value."""
STATES = {"following": lazy_gettext("已关注"), "left": lazy_gettext("已取消关注")}


@dataclass(frozen=True)
class Order:
    """An order of the list. It has only the followers that meet `condition`, whom `only` describes."""

    label: Any
    column: Any
    id: Any
    parse: Callable[[str], Any]
    condition: ColumnElement[bool] = true()
    only: Any = ""
    descending: bool = True

    def beyond(self, position: str, backwards: bool) -> ColumnElement[bool]:
        """Return the condition for followers after `position`, or before it; abort with 400 if it is none."""
        id_, value = parse_position(position, self.parse)
        smaller = self.descending is not backwards
        if smaller:  # the first condition makes the index usable
            return and_(self.column <= value, or_(self.column < value, self.id < id_))
        return and_(self.column >= value, or_(self.column > value, self.id > id_))

    def sort(self, found: Select[Any], backwards: bool) -> Select[Any]:
        columns = self.column, self.id
        smaller_first = self.descending is backwards
        return found.order_by(*(column if smaller_first else column.desc() for column in columns))


ORDERS = {
    "seen": Order(lazy_gettext("最近活动"), Follower.last_seen_at, Follower.id, parse_time),
    "new": Order(
        lazy_gettext("最新关注"),
        Follower.status_at,
        Follower.id,
        parse_time,
        and_(Follower.subscribed, Follower.status_at.is_not(None)),
        lazy_gettext("知道何时关注的"),
    ),
    "messages": Order(
        lazy_gettext("消息最多"),
        Conversation.messages_in,
        Conversation.follower_id,
        row_id,
        Conversation.messages_in > 0,
        lazy_gettext("说过话的"),
    ),
    "name": Order(
        lazy_gettext("备注名"),
        Follower.alias,
        Follower.id,
        storable,
        Follower.alias > "",
        lazy_gettext("有备注名的"),
        descending=False,
    ),
}


@dataclass(frozen=True)
class Listing:
    """A page of followers, and the positions beyond which there are older and newer ones."""

    rows: Sequence[Row[Any]]
    following: str | None
    previous: str | None
    windows: Mapping[int, Window]
    """Open windows by follower id."""


@dataclass(frozen=True)
class Counts:
    """Numbers of followers that match: in all, and by the values of parts of the filter."""

    total: int
    capped: bool
    """Whether the numbers are lower bounds."""
    facets: Mapping[str, Mapping[str, int]]


def chosen_order() -> str:
    """Return the name of the order in the query string; abort with 400 if there is none such."""
    name = request.args.get("sort") or "seen"
    if name not in ORDERS:
        abort(400, _("没有这种排列。"))
    return name


def listing(account_id: int) -> Listing:
    """Return the page of followers that the query string selects; abort with 400 if it is invalid."""
    order, backwards = ORDERS[chosen_order()], "after" in request.args
    position = request.args.get("after" if backwards else "before")
    found = matching(_listed(), order, account_id)
    if position is not None:
        found = found.where(order.beyond(position, backwards))
    rows = db.session.execute(order.sort(found, backwards).limit(PAGE_SIZE + 1)).all()
    rows, more = rows[:PAGE_SIZE], len(rows) > PAGE_SIZE
    if backwards:
        rows = rows[::-1]
    goes_on, goes_back = (True, more) if backwards else (more, position is not None)
    return Listing(
        rows,
        _place_of(rows[-1], order) if rows and goes_on else None,
        _place_of(rows[0], order) if rows and goes_back else None,
        open_windows(rows, database_now()),
    )


def _place_of(row: Row[Any], order: Order) -> str:
    return position_of(row.id, getattr(row, order.column.key))


def find_follower(account_id: int, follower_id: int) -> Row[Any] | None:
    """Return a follower of an account with the columns of the list."""
    this = Follower.id == follower_id, Follower.account_id == account_id
    return db.session.execute(_listed().where(*this)).one_or_none()


_written = aliased(MessageLog)


def _listed() -> Select[Any]:
    return (
        select(
            Follower.__table__,
            Follower.id.label("follower_id"),
            Conversation.messages_in,
            Conversation.messages_out,
            Conversation.status,
            Conversation.starred,
            Operator.name.label("assignee"),
            tags_of(Follower.id),
            _written.created_at.label("written_at"),
            spent_since(Follower.id, Conversation.last_in_id).label("spent"),
        )
        .select_from(Follower)
        .outerjoin(Conversation, Conversation.follower_id == Follower.id)
        .outerjoin(Operator, Operator.id == Conversation.assignee_id)
        .outerjoin(_written, _written.id == Conversation.last_in_id)
    )


def matching(found: Select[Any], order: Order, account_id: int) -> Select[Any]:
    """Apply the filter in the query string, and the order's condition; abort with 400 if it is invalid."""
    account = (Conversation if order.id is Conversation.follower_id else Follower).account_id
    found = found.where(account == account_id, order.condition)
    for name, condition in _CONDITIONS.items():
        if text := request.args.get(name):
            found = found.where(condition(text))
    return found


def matching_ids(account_id: int, limit: int) -> Sequence[int]:
    """Return the ids of the first followers that the query string selects, in its order."""
    order = ORDERS[chosen_order()]
    found: Any = select(Follower.id).outerjoin(Conversation, Conversation.follower_id == Follower.id)
    found = matching(found, order, account_id)
    return db.session.scalars(order.sort(found, backwards=False).limit(limit)).all()


def count(account_id: int) -> Counts:
    """Count the followers that the query string selects, in one statement."""
    now = database_now()
    columns = Follower.source, Follower.subscribed, Follower.last_seen_at, Follower.has_spoken
    found: Any = select(*columns).outerjoin(Conversation, Conversation.follower_id == Follower.id)
    matched = matching(found, ORDERS[chosen_order()], account_id).limit(MAX_COUNT + 1).subquery().c
    parts: dict[str, dict[str, ColumnElement[bool]]] = {
        "state": {"following": matched.subscribed == true(), "left": matched.subscribed == false()},
        "spoken": {name: matched.last_seen_at > now - timedelta(days=days) for name, days in _DAYS.items()},
    }
    parts["spoken"]["never"] = matched.has_spoken == false()
    sums = [
        func.count(case((condition, 1))).label(f"{part}_{value}")
        for part, conditions in parts.items()
        for value, condition in conditions.items()
    ]
    wanted = select(matched.source, func.count().label("total"), *sums).group_by(matched.source)
    rows = db.session.execute(wanted).all()
    facets = {
        part: {
            value: min(MAX_COUNT, sum(getattr(row, f"{part}_{value}") for row in rows))
            for value in conditions
        }
        for part, conditions in parts.items()
    }
    facets["source"] = {row.source: min(MAX_COUNT, row.total) for row in rows if row.source}
    total = sum(row.total for row in rows)
    return Counts(min(total, MAX_COUNT), total > MAX_COUNT, facets)


def all_tags(account_id: int) -> Sequence[Any]:
    """Return the tags of the account with the numbers of their followers."""
    return db.session.execute(
        select(Tag.id, Tag.name, Tag.colour, func.count(FollowerTag.follower_id).label("count"))
        .outerjoin(FollowerTag, FollowerTag.tag_id == Tag.id)
        .where(Tag.account_id == account_id)
        .group_by(Tag.id, Tag.name, Tag.colour)
        .order_by(Tag.name)
    ).all()


def conditions_in_words(tags: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yield the parameters of the filter in the query string, and what each says."""
    args = request.args
    names = {str(tag.id): tag.name for tag in tags}
    words: dict[str, Any] = {
        "q": args.get("q") and f"“{args['q']}”",
        "state": STATES.get(args.get("state", "")),
        "spoken": SPOKEN.get(args.get("spoken", "")),
        "source": SOURCES.get(args.get("source", ""), args.get("source")),
        "scene": args.get("scene") and _("场景 %(scene)s", scene=args["scene"]),
        "tag": args.get("tag") and _("标签 %(name)s", name=names.get(args["tag"], args["tag"])),
        "ids": args.get("ids") and _("选中的"),
        "sort": ORDERS[chosen_order()].only,
    }
    return ((name, str(word)) for name, word in words.items() if word)


def batches(engine: Engine, account_id: int) -> Iterator[Sequence[Row[Any]]]:
    """Return the followers that the query string selects in batches, each read by itself.

    The filter is parsed at once, so that the batches can be read after the request.
    """
    order = ORDERS[chosen_order()]
    return _read_batches(engine, matching(_listed(), order, account_id), order)


def _read_batches(engine: Engine, found: Select[Any], order: Order) -> Iterator[Sequence[Row[Any]]]:
    batch = order.sort(found, backwards=False).limit(BATCH_SIZE)
    while True:
        with engine.connect() as connection:
            rows = connection.execute(batch).all()
        yield rows
        if len(rows) < BATCH_SIZE:
            return
        rest = found.where(order.beyond(_place_of(rows[-1], order), backwards=False))
        batch = order.sort(rest, backwards=False).limit(BATCH_SIZE)


def _has_words(text: str) -> ColumnElement[bool]:
    query = Query.parse(searched("q"))
    if not query:
        return true()
    with_openid = Follower.account_id == services().account_id, Follower.openid == text.strip()
    found = FOLLOWERS.matching_ids(query, db.engine.dialect.name)
    # One list of ids: with OR, no database would use an index.
    return Follower.id.in_(select(union_all(found, select(Follower.id).where(*with_openid)).subquery()))


def _has_tag(text: str) -> ColumnElement[bool]:
    try:
        tag_id = row_id(text)
    except ValueError:
        abort(400, _("没有这个标签。"))
    return is_tagged(Follower.id, tag_id, are_few(db.session.connection(), tag_id))


def _has_state(text: str) -> ColumnElement[bool]:
    if text not in STATES:
        abort(400, _("没有这个状态。"))
    return Follower.subscribed == (true() if text == "following" else false())


def _has_scene(text: str) -> ColumnElement[bool]:
    has_scene = Follower.scene == text
    if ORDERS[chosen_order()].column is not Follower.last_seen_at:
        return has_scene
    # names the index to SQLite, which has the followers of a scene in this order
    return and_(has_scene, Follower.scene != literal_column("''"))


def _has_spoken(text: str) -> ColumnElement[bool]:
    if text == "never":
        return Follower.has_spoken == false()
    if text not in _DAYS:
        abort(400, _("没有这个期间。"))
    return Follower.last_seen_at > database_now() - timedelta(days=_DAYS[text])


def _is_one_of(text: str) -> ColumnElement[bool]:
    try:
        return Follower.id.in_([row_id(id_) for id_ in text.split(",")])
    except ValueError:
        abort(400, _("没有这个粉丝。"))


_CONDITIONS: dict[str, Callable[[str], ColumnElement[bool]]] = {
    "q": _has_words,
    "tag": _has_tag,
    "state": _has_state,
    "spoken": _has_spoken,
    "source": lambda text: Follower.source == text,
    "scene": _has_scene,
    "ids": _is_one_of,
}


def offered(chosen: int | None) -> list[Any]:
    """Return the followers who wrote last, to choose from, and the one with the id `chosen`."""
    columns = Follower.id, Follower.openid, Follower.alias
    of_account = select(*columns).where(Follower.account_id == services().account_id)
    latest = of_account.order_by(Follower.last_seen_at.desc()).limit(MAX_OFFERED)
    found: list[Any] = list(db.session.execute(latest))
    if chosen and all(row.id != chosen for row in found):
        found += db.session.execute(of_account.where(Follower.id == chosen))
    return found
