"""Who answers, as operators see and change it; and the policy of the account."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select, update

from tests.blueprints.admin.conftest import Browser, SignIn
from tests.blueprints.admin.conversations.conftest import Operator
from tests.operators import add_operator
from wechat_bot.models import Handover, MessageLog, MessageState, Role
from wechat_bot.models import Operator as OperatorRow
from wechat_bot.routing import Owner
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import handover
from wechat_bot.testing import FakePlatform


def owner(engine: Engine) -> Owner:
    with engine.connect() as connection:
        return Owner(connection.scalar(select(Handover.owner)) or Owner.BOT)


def test_an_operator_takes_a_conversation_and_gives_it_back_with_a_note(
    operator: Operator, engine: Engine, platform: FakePlatform
) -> None:
    assert "机器人在回答" in operator.get(operator.here).text
    operator.post(f"{operator.here}/owner", owner="operator", seen="0")
    page = operator.get(operator.here).text
    assert owner(engine) is Owner.OPERATOR
    assert "你在回答" in page
    assert "接手了对话" in page
    assert platform.text("帮助") is None
    operator.post(f"{operator.here}/owner", owner="bot", note="<b>退款</b>办好了")
    page = operator.get(operator.here).text
    assert "机器人在回答" in page
    assert "&lt;b&gt;退款&lt;/b&gt;办好了" in page
    assert platform.text("帮助")


def test_who_is_slower_reads_who_was_faster(operator: Operator, engine: Engine) -> None:
    handover.take(
        engine, Actor(add_operator(engine, "小李", Role.OPERATOR), "小李", ""), 1, operator.follower_id
    )
    refused = operator.post(f"{operator.here}/owner", owner="operator", seen="0")
    assert refused.status_code == 409
    assert "小李刚刚接手了这个对话" in refused.text


def test_an_operator_is_warned_before_the_conversation_is_given_back_and_keeps_it(
    operator: Operator, engine: Engine
) -> None:
    operator.post(f"{operator.here}/owner", owner="operator", seen="0")
    assert "再留一会儿" not in operator.get(operator.here).text
    soon = datetime.now(UTC) + timedelta(minutes=4, seconds=30)
    with engine.begin() as connection:
        connection.execute(update(Handover).values(until=soon))
    page = operator.get(operator.here).text
    assert "再过 5 分钟交还机器人" in page
    assert "再留一会儿" in page
    operator.post(f"{operator.here}/owner", owner="operator")
    assert "再留一会儿" not in operator.get(operator.here).text


def test_the_list_shows_who_waits_and_can_be_filtered_by_it(
    operator: Operator, platform: FakePlatform, engine: Engine
) -> None:
    platform.follower("oSecond").text("人工")
    assert operator.get("/admin/conversations").text.count("badge bg-red-lt") >= 1
    waiting = operator.get("/admin/conversations?tab=all&owner=waiting").text
    assert waiting.count("data-follower=") == 1
    assert operator.get("/admin/conversations?tab=all&owner=bot").text.count("data-follower=") == 1
    assert operator.get("/admin/conversations?owner=nobody").status_code == 400


def test_what_the_bot_would_have_said_is_offered_above_the_form(
    operator: Operator, engine: Engine, platform: FakePlatform
) -> None:
    handover.take(engine, Actor(1, "", ""), 1, operator.follower_id)
    with engine.begin() as connection:
        answers = MessageLog.direction == "out"
        connection.execute(
            update(MessageLog).where(answers).values(state=MessageState.WITHHELD, text="<i>七天</i>")
        )
        message_id = connection.scalar(select(MessageLog.id).where(answers))
    page = operator.get(operator.here).text
    assert 'id="suggestion"' in page
    assert "&lt;i&gt;七天&lt;/i&gt;" in page.partition('id="suggestion"')[2]
    operator.post(f"/admin/answers/{message_id}/send-withheld")
    with engine.connect() as connection:
        sent = connection.execute(
            select(MessageLog.state, MessageLog.operator_id).where(MessageLog.id == message_id)
        )
        assert sent.one() == (MessageState.READY, connection.scalar(select(OperatorRow.id)))
    assert "&lt;i&gt;七天&lt;/i&gt;" not in operator.get(operator.here).text.partition('id="suggestion"')[2]


def test_an_answer_waits_where_the_account_may_not_send_any(
    operator: Operator, platform: FakePlatform
) -> None:
    page = operator.get(operator.here).text
    assert "对方下次发消息或点菜单时送达" in page
    operator.post(f"{operator.here}/answers", text="在的")
    assert "待领取" in operator.get(operator.here).text
    assert platform.text("帮助") == "在的"


# The policy

POLICY = {
    "version": "0",
    "misses": "3",
    "idle_minutes": "20",
    "silent_hours": "12",
    "notice": "稍等",
    "queue_notice": "前面 {{ahead}} 人",
    "closed_notice": "",
    "hours.hours": "9:00-18:00",
    "hours.weekdays": "1",
}


def test_an_admin_changes_the_policy(admin: Browser, engine: Engine) -> None:
    page = "/admin/handover"
    assert admin.post(page, **POLICY).status_code == 303
    with engine.connect() as connection:
        policy = handover.load_policy(connection, 1).policy
    assert (policy.misses, policy.hours.hours, policy.hours.weekdays) == (3, ("09:00-18:00",), (1,))
    assert 'value="20"' in admin.get(page).text


def test_what_is_wrong_is_said_at_its_field_and_nothing_is_stored(admin: Browser, engine: Engine) -> None:
    page = "/admin/handover"
    wrong = POLICY | {"misses": "99", "idle_minutes": "", "queue_notice": "{{who}}", "hours.hours": "noon"}
    refused = admin.post(page, **wrong)
    assert refused.status_code == 422
    for sentence in ("0 到 10", "要是 整数", "没有 who 这个变量", "09:00-18:00"):
        assert sentence in refused.text
    assert "前面" not in refused.text or "{{who}}" in refused.text
    with engine.connect() as connection:
        assert handover.load_policy(connection, 1).version == 0


def test_nobodys_policy_is_overwritten(admin: Browser) -> None:
    page = "/admin/handover"
    admin.post(page, **POLICY)
    refused = admin.post(page, **POLICY | {"notice": "马上来"})
    assert refused.status_code == 409
    assert "别人改过这些设置" in refused.text
    assert "马上来" in refused.text


def test_only_admins_change_it(signed_in: SignIn) -> None:
    operator = signed_in(Role.OPERATOR)
    assert operator.get("/admin/handover").status_code == 200
    assert operator.post("/admin/handover", **POLICY).status_code == 403
