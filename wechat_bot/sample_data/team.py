"""What the team of the shop keeps: names, tags and notes of followers, and whose conversation is whose."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sqlalchemy import Connection, Engine, func, select, update

from ..database.transactions import retry_conflicts, transaction
from ..models import Conversation, ConversationStatus, Direction, Follower, MessageLog, Operator, Role
from ..services.audit import Actor
from ..services.conversations import actions

OPEN = 30
"""So many conversations wait for somebody; older ones are done."""
UNREAD = 12
"""So many of the newest nobody has looked at."""
ASSIGNED = 24


@dataclass(frozen=True)
class Regular:
    """A follower whom the team knows: who last wrote `words`."""

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
"""Tags of all who lately wrote a word."""
TAGGED = 8


def add_team_activity(engine: Engine, seed: int) -> None:
    """Let the team have worked on the conversations, as far as there are operators."""
    rng = Random(f"team {seed}")  # noqa: S311
    with engine.connect() as connection:
        operators = list(connection.execute(_OPERATORS))
    actors = [Actor(operator.id, operator.name, "") for operator in operators]
    _finish_old(engine)
    for regular in REGULARS:
        _welcome(engine, regular, rng.choice(actors or [Actor(None, "seed", "")]))
    for name, words in TAGS.items():
        with engine.connect() as connection:
            who = _who_wrote(connection, words, TAGGED)
        actions.tag(engine, actors[0] if actors else Actor(None, "seed", ""), who, name)
    if actors:
        _assign(engine, actors, rng)


def _welcome(engine: Engine, regular: Regular, actor: Actor) -> None:
    """Make the last follower who wrote the words, and whom nobody knows yet, a regular."""
    with engine.connect() as connection:
        who = _who_wrote(connection, regular.words, 1)
    for follower_id in who:
        actions.rename(engine, actor, follower_id, regular.alias)
        for name in regular.tags:
            actions.tag(engine, actor, [follower_id], name)
        if regular.starred:
            actions.star(engine, actor, [follower_id], True)
        if regular.note and actor.operator_id:
            actions.add_note(engine, actor, follower_id, regular.note)


def _who_wrote(connection: Connection, words: str, count: int) -> list[int]:
    """The last followers without an alias who wrote `words`."""
    last = func.max(MessageLog.id)
    found = (
        select(MessageLog.follower_id)
        .join(Follower, Follower.id == MessageLog.follower_id)
        .where(
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
def _finish_old(engine: Engine) -> None:
    """All but the newest conversations are read and done, and those wait since their last message.

    That many changes need not be in the audit log.
    """
    with transaction(engine) as connection:
        newest = select(Conversation.last_id).order_by(Conversation.last_id.desc())
        if unread := connection.scalar(newest.offset(UNREAD).limit(1)):
            connection.execute(
                update(Conversation)
                .where(Conversation.last_id <= unread)
                .values(read_id=Conversation.last_id)
            )
        waiting = newest.where(Conversation.status == ConversationStatus.OPEN)
        if old := connection.scalar(waiting.offset(OPEN).limit(1)):
            connection.execute(
                update(Conversation)
                .where(Conversation.status == ConversationStatus.OPEN, Conversation.last_id <= old)
                .values(status=ConversationStatus.DONE, waiting_since=None)
            )
        asked_at = (
            select(MessageLog.created_at).where(MessageLog.id == Conversation.last_in_id).scalar_subquery()
        )
        still = update(Conversation).where(
            Conversation.status == ConversationStatus.OPEN, Conversation.last_in_id > 0
        )
        connection.execute(still.values(waiting_since=asked_at))


def _assign(engine: Engine, actors: list[Actor], rng: Random) -> None:
    """Give the newest conversations that need somebody to the operators; some wait for the follower."""
    with engine.connect() as connection:
        newest = select(Conversation.follower_id).order_by(Conversation.last_id.desc())
        who = list(
            connection.scalars(newest.where(Conversation.status == ConversationStatus.OPEN).limit(ASSIGNED))
        )
    for follower_id in who:
        actor = rng.choice(actors)
        actions.assign(engine, actor, [follower_id], actor.operator_id)
        if rng.random() < 0.2:
            actions.set_status(engine, actor, [follower_id], ConversationStatus.WAITING)


_OPERATORS = (
    select(Operator.id, Operator.name)
    .where(Operator.disabled.is_(False), Operator.role != Role.VIEWER)
    .order_by(Operator.id)
)
