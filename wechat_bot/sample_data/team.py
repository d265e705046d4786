"""Simulates the work of the operators: aliases, tags, notes, stars and assigned conversations."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.orm import aliased

from ..database.transactions import retry_conflicts, transaction
from ..models import Conversation, ConversationStatus, Direction, Follower, MessageLog, Operator, Role
from ..services.audit import Actor
from ..services.conversations import actions
from ..services.followers import profiles

OPEN_COUNT = 30
"""Conversations that stay open; older ones are done."""
UNREAD_COUNT = 12
"""Newest conversations that stay unread."""
ASSIGNED_COUNT = 24
"""Newest open conversations that are assigned to operators."""

_SEED = Actor(None, "seed", "")
"""The actor of the audit log if there is no operator."""


@dataclass(frozen=True)
class Regular:
    """What operators know about the follower who wrote `words` last."""

    words: str
    alias: str
    tags: tuple[str, ...]
    note: str = ""
    starred: bool = False


REGULARS = (
    Regular("小区想团购", "小区团购群主王姐", ("VIP", "团购"), "每周四收单，周五送到南门保安亭。", True),
    Regular("我要投诉", "梧桐路店 沈先生", ("投诉",), "下午通过电话，退款已同意，等店长当面道歉。", True),
    Regular("联名礼盒", "文具店采购小何", ("合作",), "报价单发过一版，对方要含税价。"),
    Regular("喝了你们家三年", "老客周阿姨", ("VIP", "老客户"), "觉得新批次淡，寄两泡春茶给她。", True),
    Regular("退款还没到账", "小满（催退款）", ("退款",), "渠道回复最迟明天到账，到时回她一句。"),
    Regular("晒一下我的茶席", "茶席达人木木🌳", ("老客户",)),
    Regular("孕妇能喝吗", "准妈妈小林", (), "只推荐洛神花和荞麦茶。"),
    Regular("Can I pay", "Emily（英文）", ("English",), "回复请用英文。"),
    Regular("年会想订", "年会订单·小梁", ("团购", "待发货"), "12 月 18 日之前要到货。"),
    Regular("带老人", "海棠广场 陈叔", ("老客户",)),
    Regular("显示签收了但是我没收到", "", ("物流",)),
    Regular("补寄的收到了", "补寄 何小姐", ("老客户",)),
)
TAGS = {"待发货": "还没发货", "开票": "发票", "退款": "退款", "会员": "会员"}
"""Tags, and the word that a follower must have written to get it."""
TAGGED_COUNT = 8
"""Followers who get each of these tags."""


def add_team_activity(engine: Engine, account_id: int, seed: int) -> None:
    """Add what operators do for an account. Without operators, nothing is assigned and there are no notes."""
    rng = Random(f"team {seed}")  # noqa: S311
    with engine.connect() as connection:
        operators = list(connection.execute(_OPERATORS))
    actors = [Actor(operator.id, operator.name, "") for operator in operators]
    _close_old(engine, account_id)
    for regular in REGULARS:
        _add_regular(engine, account_id, regular, rng.choice(actors or [_SEED]))
    for name, words in TAGS.items():
        with engine.connect() as connection:
            who = _who_wrote(connection, account_id, words, TAGGED_COUNT)
        profiles.tag(engine, None, actors[0] if actors else _SEED, account_id, who, name)
    if actors:
        _assign(engine, account_id, actors, rng)


def _add_regular(engine: Engine, account_id: int, regular: Regular, actor: Actor) -> None:
    """Give alias, tags, star and note to the last follower without an alias who wrote the words."""
    with engine.connect() as connection:
        who = _who_wrote(connection, account_id, regular.words, 1)
    for follower_id in who:
        profiles.rename(engine, None, actor, account_id, follower_id, regular.alias)
        for name in regular.tags:
            profiles.tag(engine, None, actor, account_id, [follower_id], name)
        if regular.starred:
            actions.star(engine, actor, account_id, [follower_id], True)
        if regular.note and actor.operator_id:
            actions.add_note(engine, actor, account_id, follower_id, regular.note)


def _who_wrote(connection: Connection, account_id: int, words: str, count: int) -> list[int]:
    """Return the ids of the last followers without an alias who wrote `words`, newest first."""
    last = func.max(MessageLog.id)
    found = (
        select(MessageLog.follower_id)
        .join(Follower, Follower.id == MessageLog.follower_id)
        .where(
            MessageLog.account_id == account_id,
            MessageLog.direction == Direction.IN,
            MessageLog.text.contains(words, autoescape=True),
            Follower.alias == "",
        )
        .group_by(MessageLog.follower_id)
        .order_by(last.desc())
        .limit(count)
    )
    return [follower_id for follower_id in connection.scalars(found) if follower_id]


@retry_conflicts
def _close_old(engine: Engine, account_id: int) -> None:
    """Mark all but the newest conversations as read and done; the others wait since their last question.

    These changes are not in the audit log.
    """
    of_account = Conversation.account_id == account_id
    with transaction(engine) as connection:
        newest = select(Conversation.last_id).where(of_account).order_by(Conversation.last_id.desc())
        if unread := connection.scalar(newest.offset(UNREAD_COUNT).limit(1)):
            connection.execute(
                update(Conversation)
                .where(of_account, Conversation.last_id <= unread)
                .values(read_id=Conversation.last_id)
            )
        waiting = update(Conversation).where(of_account, Conversation.waiting_id.is_not(None))
        connection.execute(waiting.values(waiting_id=_LAST_QUESTION))
        connection.execute(waiting.values(waiting_since=_ASKED_AT))
        asked = select(Conversation.waiting_id).where(of_account, Conversation.waiting_id.is_not(None))
        asked = asked.order_by(Conversation.waiting_id.desc())
        if old := connection.scalar(asked.offset(OPEN_COUNT).limit(1)):
            connection.execute(
                update(Conversation)
                .where(of_account, Conversation.waiting_id <= old)
                .values(status=ConversationStatus.DONE, waiting_since=None, waiting_id=None)
            )


def _assign(engine: Engine, account_id: int, actors: list[Actor], rng: Random) -> None:
    """Assign the newest open conversations to operators, and let some of them wait for the follower."""
    with engine.connect() as connection:
        newest = select(Conversation.follower_id).where(Conversation.account_id == account_id)
        who = list(
            connection.scalars(
                newest.where(Conversation.status == ConversationStatus.OPEN)
                .order_by(Conversation.last_id.desc())
                .limit(ASSIGNED_COUNT)
            )
        )
    for follower_id in who:
        actor = rng.choice(actors)
        actions.assign(engine, actor, account_id, [follower_id], actor.operator_id)
        if rng.random() < 0.2:
            actions.set_status(engine, actor, account_id, [follower_id], ConversationStatus.WAITING)


_FIRST = aliased(MessageLog)
_LAST_QUESTION = (
    select(func.max(MessageLog.id))
    .join(_FIRST, _FIRST.origin == MessageLog.origin)
    .where(
        _FIRST.id == Conversation.waiting_id,
        MessageLog.follower_id == Conversation.follower_id,
        MessageLog.direction == Direction.IN,
        MessageLog.event == "",
    )
    .scalar_subquery()
)
"""The last message of a conversation that was left to an operator as was the one since which it waits."""
_ASKED_AT = select(MessageLog.created_at).where(MessageLog.id == Conversation.waiting_id).scalar_subquery()
_OPERATORS = (
    select(Operator.id, Operator.name)
    .where(Operator.disabled.is_(False), Operator.role != Role.VIEWER)
    .order_by(Operator.id)
)
