"""Who answers a follower: the bot, nobody yet, or an operator."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, update

from tests.conftest import MakeApp, statements
from tests.operators import add_operator
from tests.waiting import PATIENCE
from wechat_bot import handlers
from wechat_bot.extensions import db
from wechat_bot.handlers.commands import HELP
from wechat_bot.models import (
    AuditEntry,
    Conversation,
    ConversationStatus,
    Direction,
    Follower,
    Handover,
    HandoverEvent,
    MessageLog,
    MessageState,
    Role,
)
from wechat_bot.routing import Answer, Context, HandoverReason, Owner, Router, keyword
from wechat_bot.routing.definitions import Schedule
from wechat_bot.routing.handover_policy import HandoverPolicy
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import actions, handover
from wechat_bot.services.conversations.handover import OwnerChanged, PolicyChanged
from wechat_bot.services.outbox.answers import CannotSend, SendBlock
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.replies import TextReply
from wechat_bot.wiring import services

NOTICE = HandoverPolicy().notice
SORRY = "抱歉，我没有听懂。发送“帮助”看看我会什么。"


class Desk:
    """A follower, two operators, and a bot with a slow handler that waits for `thought`."""

    def __init__(self, make_app: MakeApp, url: str) -> None:
        self.thought, self.started = threading.Event(), threading.Event()
        router = Router()

        @router.on(TextMessage, keyword("想"), slow=True)
        def think(message: TextMessage, ctx: Context) -> Answer:
            self.started.set()
            self.thought.wait(PATIENCE)
            ctx.session["thought"] = True
            return "想好了"

        @router.on(TextMessage, keyword("时间"), with_person=True)
        def hours(message: TextMessage, ctx: Context) -> Answer:
            return "九点到六点"

        router.include(handlers.router)
        self.app: Flask = make_app(router, database_url=url, wechat_answer_seconds=0.2)
        self.bot = services(self.app)
        self.bot.inbox._sleep = lambda seconds: None  # pushes that are held until the platform has gone
        with self.app.app_context():
            self.engine: Engine = db.engine
        self.platform = FakePlatform.of(self.app)
        self.li, self.wang = (
            Actor(add_operator(self.engine, name, Role.OPERATOR), name, "") for name in ("小李", "小王")
        )
        self.platform.text("帮助")
        self.follower_id: int = self.value(select(Follower.id))
        self.bot.projector.catch_up()

    def value(self, query: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.scalar(query)

    @property
    def owner(self) -> Owner:
        return Owner(self.value(select(Handover.owner)) or Owner.BOT)

    @property
    def reasons(self) -> list[HandoverReason]:
        with self.engine.connect() as connection:
            found = connection.scalars(select(HandoverEvent.reason).order_by(HandoverEvent.id))
            return [HandoverReason(reason) for reason in found]

    @property
    def status(self) -> ConversationStatus:
        self.bot.projector.catch_up()
        return ConversationStatus(self.value(select(Conversation.status)))

    def take(self, actor: Actor, seen: int | None = None) -> None:
        handover.take(self.engine, actor, self.bot.account_id, self.follower_id, seen)

    def give_back(self, note: str = "") -> bool:
        return handover.give_back(self.engine, self.li, self.bot.account_id, self.follower_id, note)

    def answer(self, text: str, actor: Actor | None = None) -> int:
        return self.bot.answers.send(actor or self.li, self.follower_id, TextReply(text))

    def policy(self, **changes: Any) -> None:
        account_id = self.bot.account_id
        with self.engine.connect() as connection:
            seen = handover.load_policy(connection, account_id).version
        handover.save_policy(self.engine, self.li, account_id, seen, HandoverPolicy(**changes))

    def pass_time(self, **time: float) -> int:
        now = datetime.now(UTC) + timedelta(**time)
        return handover.end_expired(self.engine, self.bot.account_id, now)

    def messages(self, state: MessageState) -> list[str]:
        with self.engine.connect() as connection:
            found = select(MessageLog.text).where(MessageLog.state == state).order_by(MessageLog.id)
            return list(connection.scalars(found.where(MessageLog.direction == Direction.OUT)))


@pytest.fixture
def desk(make_app: MakeApp, any_database: str) -> Desk:
    return Desk(make_app, any_database)


def test_a_follower_who_asks_for_a_person_waits_and_the_bot_is_silent(desk: Desk) -> None:
    assert desk.platform.text("转人工") == NOTICE
    assert (desk.owner, desk.reasons) == (Owner.WAITING, [HandoverReason.ASKED])
    assert desk.platform.text("帮助") is None
    assert desk.platform.text("转人工") is None
    assert desk.platform.text("时间") == "九点到六点"
    assert desk.platform.click("MENU_HELP") == HELP
    assert desk.status is ConversationStatus.OPEN


def test_followers_are_told_how_many_wait_before_them(desk: Desk) -> None:
    desk.platform.text("人工")
    assert desk.platform.follower("oSecond").text("人工") == "已为你转人工，前面还有 1 人，请稍候。"


def test_out_of_hours_followers_are_told_when_they_will_be_answered(desk: Desk) -> None:
    tomorrow = (datetime.now(desk.bot.account.time_zone) + timedelta(days=1)).date()
    desk.policy(hours=Schedule(hours=("09:00-18:00",), first_day=tomorrow), closed_notice="{{hours}} 再来")
    assert desk.platform.text("人工") == "09:00-18:00 再来"


def test_messages_that_are_not_understood_call_a_person(desk: Desk) -> None:
    assert desk.platform.text("?!") == SORRY
    assert desk.platform.text("帮助") == HELP
    assert desk.platform.text("?!") == SORRY
    assert desk.platform.text("?!!") == NOTICE
    assert (desk.owner, desk.reasons) == (Owner.WAITING, [HandoverReason.NOT_UNDERSTOOD])


@pytest.mark.parametrize(("misses", "said"), [(0, [SORRY] * 3), (1, [NOTICE, None, None])])
def test_the_owner_decides_how_often(desk: Desk, misses: int, said: list[str | None]) -> None:
    desk.policy(misses=misses)
    assert [desk.platform.text(text) for text in ("a", "b", "c")] == said


def test_a_message_that_is_not_understood_sends_no_statement_that_has_to_be_prepared(desk: Desk) -> None:
    desk.policy(misses=3)
    assert desk.platform.text("a") == SORRY  # the policy is read
    with statements() as sent:
        assert desk.platform.text("b") == SORRY
    assert sent == []


def test_where_there_are_no_operators_nobody_is_called(make_app: MakeApp) -> None:
    platform = FakePlatform.of(make_app())
    assert [platform.text(text) for text in ("a", "b", "c")] == [SORRY] * 3


def test_an_operator_takes_a_conversation_and_gives_it_back(desk: Desk) -> None:
    desk.take(desk.li)
    assert (desk.owner, desk.platform.text("帮助")) == (Owner.OPERATOR, None)
    assert desk.status is ConversationStatus.OPEN
    assert desk.value(select(Conversation.assignee_id)) == desk.li.operator_id
    assert desk.give_back("退款已经办好")
    assert (desk.owner, desk.platform.text("帮助")) == (Owner.BOT, HELP)
    assert desk.reasons == [HandoverReason.TAKEN, HandoverReason.GIVEN_BACK]
    assert desk.value(select(HandoverEvent.note).where(HandoverEvent.owner == Owner.BOT)) == "退款已经办好"
    assert not desk.give_back()
    audited = select(func.count()).where(AuditEntry.action.like("conversation_%"))
    assert desk.value(audited) == 2


def test_of_two_operators_who_take_at_once_one_wins_and_the_other_sees_who(desk: Desk) -> None:
    desk.take(desk.li, seen=0)
    with pytest.raises(OwnerChanged) as caught:
        desk.take(desk.wang, seen=0)
    assert caught.value.operator == "小李"
    desk.take(desk.wang, seen=1)
    assert desk.value(select(Handover.operator_id)) == desk.wang.operator_id


def test_who_answers_has_the_conversation_unless_a_colleague_has_it(desk: Desk) -> None:
    desk.answer("在的")
    assert (desk.owner, desk.reasons) == (Owner.OPERATOR, [HandoverReason.ANSWERED])
    desk.answer("我也在", desk.wang)
    assert desk.value(select(Handover.operator_id)) == desk.li.operator_id
    assert desk.reasons == [HandoverReason.ANSWERED]


def test_a_conversation_that_is_done_is_the_bots_again(desk: Desk) -> None:
    desk.platform.text("人工")
    desk.bot.projector.catch_up()
    ids = [desk.follower_id]
    actions.set_status(desk.engine, desk.li, desk.bot.account_id, ids, ConversationStatus.DONE)
    assert (desk.owner, desk.reasons[-1]) == (Owner.BOT, HandoverReason.DONE)


def test_operators_and_followers_who_are_silent_too_long_lose_the_conversation(desk: Desk) -> None:
    desk.take(desk.li)
    assert desk.pass_time(minutes=29) == 0
    assert desk.pass_time(minutes=31) == 1
    assert (desk.owner, desk.reasons[-1]) == (Owner.BOT, HandoverReason.IDLE)
    desk.platform.text("人工")
    desk.bot.projector.catch_up()
    assert desk.pass_time(hours=23) == 0
    assert desk.pass_time(hours=25) == 1
    assert (desk.owner, desk.reasons[-1]) == (Owner.BOT, HandoverReason.SILENT)
    assert desk.status is ConversationStatus.OPEN


def test_an_answer_gives_the_operator_more_time(desk: Desk) -> None:
    desk.take(desk.li)
    with desk.engine.begin() as connection:
        connection.execute(update(Handover).values(until=datetime.now(UTC)))
    desk.answer("在的")
    desk.platform.text("好")  # it has been delivered
    assert desk.pass_time(minutes=29) == 0


def test_an_answer_at_the_last_moment_keeps_the_conversation(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.take(desk.li)
    end = handover._end_expired

    def after_an_answer(*args: Any) -> bool:
        desk.answer("在的")
        return end(*args)

    monkeypatch.setattr(handover, "_end_expired", after_an_answer)
    assert desk.pass_time(minutes=31) == 0
    assert desk.owner is Owner.OPERATOR


# Accounts that may not send messages


def test_what_an_operator_says_goes_out_with_the_next_push(desk: Desk) -> None:
    message_id = desk.answer("在的，请讲")
    desk.answer("我是小李")
    assert desk.messages(MessageState.READY) == ["在的，请讲", "我是小李"]
    assert desk.pass_time(hours=1) == 0  # it has not been delivered
    assert desk.platform.click("MENU_HELP") == "在的，请讲"
    assert desk.platform.text("帮助") == "我是小李"
    assert desk.platform.text("帮助") is None
    assert desk.messages(MessageState.SENT)[-2:] == ["在的，请讲", "我是小李"]
    with pytest.raises(CannotSend) as caught:
        desk.bot.answers.withdraw(desk.li, desk.bot.account_id, message_id)
    assert caught.value.block is SendBlock.GONE


def test_it_can_be_withdrawn_until_then(desk: Desk) -> None:
    message_id = desk.answer("在的，请讲")
    desk.answer("我是小李")
    desk.bot.answers.withdraw(desk.li, desk.bot.account_id, message_id)
    assert desk.platform.text("帮助") == "我是小李"


def test_nobody_waits_any_more_for_what_has_been_said(desk: Desk) -> None:
    desk.platform.text("人工")
    desk.bot.projector.catch_up()
    assert desk.value(select(Conversation.waiting_since))
    desk.answer("在的")
    desk.bot.projector.catch_up()
    assert desk.value(select(Conversation.waiting_since)) is None


def test_a_file_cannot_wait_for_a_push(desk: Desk) -> None:
    with pytest.raises(CannotSend) as caught:
        desk.bot.answers.send_file(desk.li, desk.follower_id, "image", PNG)
    assert caught.value.block is SendBlock.NO_API


# Answers of the bot that come too late


def test_an_answer_that_is_ready_when_a_person_takes_over_is_not_sent(desk: Desk) -> None:
    desk.platform.text("想")
    desk.thought.set()
    desk.bot.inbox.close()
    assert desk.messages(MessageState.READY) == ["想好了"]
    desk.take(desk.li)
    assert (desk.messages(MessageState.READY), desk.messages(MessageState.WITHHELD)) == ([], ["想好了"])
    assert desk.platform.text("好了吗") is None


def test_an_answer_that_is_finished_after_a_person_took_over_is_not_sent(desk: Desk) -> None:
    push = threading.Thread(target=desk.platform.text, args=("想",))
    push.start()
    assert desk.started.wait(PATIENCE)
    desk.take(desk.li)
    desk.thought.set()
    push.join()
    desk.bot.inbox.close()
    assert desk.messages(MessageState.WITHHELD) == ["想好了"]
    assert "想好了" not in desk.messages(MessageState.SENT)
    desk.give_back()
    assert desk.platform.text("帮助") == HELP


def test_an_operator_sends_what_the_bot_would_have_said(desk: Desk) -> None:
    desk.platform.text("想")
    desk.thought.set()
    desk.bot.inbox.close()
    desk.take(desk.li)
    message_id = desk.value(select(MessageLog.id).where(MessageLog.state == MessageState.WITHHELD))
    desk.bot.answers.send_withheld(desk.li, desk.bot.account_id, message_id)
    with pytest.raises(CannotSend):
        desk.bot.answers.send_withheld(desk.wang, desk.bot.account_id, message_id)
    assert desk.platform.text("好了吗") == "想好了"
    assert (
        desk.value(select(MessageLog.operator_id).where(MessageLog.id == message_id)) == desk.li.operator_id
    )


# Policies


def test_a_policy_is_not_overwritten_by_who_has_not_seen_it(desk: Desk) -> None:
    handover.save_policy(desk.engine, desk.li, desk.bot.account_id, 0, HandoverPolicy(misses=3))
    with pytest.raises(PolicyChanged):
        handover.save_policy(desk.engine, desk.wang, desk.bot.account_id, 0, HandoverPolicy(misses=4))
    with desk.engine.connect() as connection:
        assert handover.load_policy(connection, desk.bot.account_id).policy.misses == 3


def test_a_follower_of_another_account_cannot_be_taken(desk: Desk) -> None:
    with pytest.raises(LookupError):
        handover.take(desk.engine, desk.li, desk.bot.account_id + 1, desk.follower_id)
