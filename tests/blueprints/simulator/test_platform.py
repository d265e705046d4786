"""The platform's side: delivery of pushes, faults, and the simulated API."""

from __future__ import annotations

import html
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.blueprints.simulator.conftest import MakeSimulator, Simulator, text_of
from tests.waiting import PATIENCE
from wechat_bot.extensions import db
from wechat_bot.models import MessageLog
from wechat_bot.routing import Answer, Context, Router, keyword, matches
from wechat_bot.services.accounts.capabilities import Feature
from wechat_bot.settings import Switch
from wechat_bot.simulator.journal import DeliveryOutcome, JournalEntry
from wechat_bot.simulator.sample_files import MP4
from wechat_bot.simulator.state import ConditionalMenu
from wechat_bot.testing import NOTICE, OPENID
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wechat.replies import TextReply
from wechat_bot.wiring import services


class Slow:
    """A bot that waits for an event before it answers, and counts calls of its handler."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.runs = 0
        self.router = Router()

        @self.router.on(TextMessage, keyword("慢"), slow=True)
        def think(message: TextMessage, ctx: Context) -> Answer:
            self.runs += 1
            assert self.go_on.wait(PATIENCE)
            return "想好了"


def _ids(exchange: JournalEntry) -> set[str]:
    return {attempt.plain for attempt in exchange.attempts}


@pytest.mark.parametrize("mode", ["plain", "compatible", "safe"])
def test_each_mode_is_supported_and_inspected(make_simulator: MakeSimulator, mode: str) -> None:
    simulator = make_simulator(wechat_message_mode=mode)
    assert simulator.says("帮助").outcome is DeliveryOutcome.REPLY
    page = simulator.page()
    assert ("解密之后" in page) == (mode != "plain")
    assert ("msg_signature" in page) == (mode != "plain")
    assert "不对" not in text_of(page.partition('id="request"')[2])


def test_another_mode_than_the_bots_can_be_chosen(simulator: Simulator) -> None:
    simulator.post("choices", mode="safe")
    exchange = simulator.says("帮助")
    assert (exchange.mode, exchange.outcome) == ("safe", DeliveryOutcome.REPLY)
    assert b"<Content>" not in exchange.request.body


def test_a_mode_that_the_settings_do_not_allow_cannot_be_chosen(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator(wechat_app_id="", wechat_app_secret="", wechat_encoding_aes_key="")
    assert '<option value="safe" disabled>' in simulator.page(tab="platform")
    simulator.post("choices", mode="safe")
    assert simulator.says("帮助").mode == "plain"


@pytest.mark.parametrize(
    ("fault", "status"), [("signature", 403), ("timestamp", 403), ("key", 403), ("size", 413)]
)
def test_a_faulty_push_is_refused_by_the_bot(make_simulator: MakeSimulator, fault: str, status: int) -> None:
    simulator = make_simulator(wechat_message_mode="safe")
    simulator.post("choices", fault=fault)
    exchange = simulator.says("帮助")
    assert {attempt.status for attempt in exchange.attempts} == {status}
    assert exchange.outcome is DeliveryOutcome.NOTICE
    assert (fault == "signature") == ("✗" in _marks(simulator.page()))
    with simulator.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(MessageLog)) == 0


def _marks(page: str) -> str:
    """Return a page with ✓ and ✗ for correct and wrong signatures."""
    return page.replace('aria-label="一致"', "✓").replace('aria-label="不一致"', "✗")


def test_lost_answers_make_the_platform_push_again_and_the_bot_repeat_itself(simulator: Simulator) -> None:
    simulator.post("choices", course="lost")
    exchange = simulator.says("改名")
    assert [attempt.problem for attempt in exchange.attempts] == ["the answer was lost"] * 2 + [""]
    assert exchange.reply == TextReply("怎么称呼你？发送“取消”不改。")
    assert [attempt.seconds for attempt in exchange.attempts[:2]] == [5.0, 5.0], "as after a time-out"
    assert len(_ids(exchange)) == 1
    assert "第 3 次推送" in text_of(simulator.page())


@pytest.mark.parametrize("course", ["duplicate", "parallel"])
def test_repeated_pushes_get_the_same_answer_which_is_shown_once(simulator: Simulator, course: str) -> None:
    simulator.post("choices", course=course)
    exchange = simulator.says("帮助")
    assert len(exchange.attempts) == {"duplicate": 2, "parallel": 3}[course]
    assert len({attempt.opened.partition("<MsgType>")[2] for attempt in exchange.attempts}) == 1
    assert text_of(simulator.page().partition('id="log"')[2].partition('id="foot"')[0]).count("我会这些") == 1
    with simulator.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(MessageLog)) == 2


def test_a_held_message_comes_after_the_next_one(simulator: Simulator) -> None:
    simulator.post("choices", course="held")
    simulator.post("push", **{"f/Content": "改名"})
    assert simulator.last().attempts == []
    assert "扣住了" in text_of(simulator.page())
    simulator.post("choices", course="")
    simulator.says("帮助")
    pause = threading.Event()
    while not all(each.ended for each in simulator.journal.exchanges(OPENID, 2)):
        pause.wait(0.02)
    held, following = simulator.journal.exchanges(OPENID, 2)
    assert held.reply == TextReply("怎么称呼你？发送“取消”不改。")
    assert held.attempts[0].began > following.attempts[0].began


def test_an_unfinished_push_is_shown(make_simulator: MakeSimulator) -> None:
    slow = Slow()
    simulator = make_simulator(slow.router)
    page = simulator.post("push", **{"f/Content": "慢"})
    assert "等待回答" in text_of(page)
    assert "进行中" in text_of(page)
    slow.go_on.set()
    assert simulator.finished().reply == TextReply("想好了")
    assert "进行中" not in text_of(simulator.page())
    assert slow.runs == 1


def test_an_answer_on_the_second_push_is_shown_with_both(make_simulator: MakeSimulator) -> None:
    slow = Slow()
    simulator = make_simulator(slow.router, wechat_customer_service=Switch.NO)
    simulator.post("push", **{"f/Content": "慢"})
    pause = threading.Event()
    while not simulator.last().attempts:
        pause.wait(0.05)
    slow.go_on.set()
    exchange = simulator.finished()
    assert [bool(attempt.problem) for attempt in exchange.attempts] == [True, False]
    assert exchange.reply == TextReply("想好了")
    assert slow.runs == 1
    assert "no answer within 5 s" in text_of(simulator.page())


@pytest.mark.parametrize("mark", [{}, {"aimsgcontext": {"is_ai_msg": 1}}])
def test_a_message_that_says_it_is_made_by_ai_has_the_line_of_the_platform(
    make_simulator: MakeSimulator, mark: dict[str, Any]
) -> None:
    simulator = make_simulator()
    body = {"touser": OPENID, "msgtype": "text", "text": {"content": "三天内发货。"}, **mark}
    assert simulator.call("/cgi-bin/message/custom/send", body) == 0
    assert ("内容由第三方AI生成" in text_of(simulator.page())) is bool(mark)


def test_a_late_answer_arrives_as_a_customer_service_message(make_simulator: MakeSimulator) -> None:
    slow = Slow()
    simulator = make_simulator(slow.router, wechat_answer_seconds=0.5, wechat_customer_service=Switch.YES)
    exchange = simulator.says("慢")
    assert exchange.outcome is DeliveryOutcome.NOTHING
    assert text_of(simulator.page()).count("还没有回复") == 2, "in the chat and beside it"
    slow.go_on.set()
    pause = threading.Event()
    while "迟到的回答" not in (page := text_of(simulator.page())):
        pause.wait(0.05)
    assert page.count("想好了") == 1
    assert page.count("收到客服消息") == 2
    assert "没有回复" not in page
    assert "什么也看不到" not in page
    assert slow.runs == 1


@pytest.mark.parametrize("customer_service", [Switch.YES, Switch.NO])
def test_slow_handlers_run_once_and_their_answers_are_seen_once(
    make_simulator: MakeSimulator, customer_service: Switch
) -> None:
    """Handlers that end during each of three pushes, and after them, run at once for four followers."""
    router, runs = Router(), Counter[str]()

    @router.on(TextMessage, matches(r"(?P<pushes>\d) 次以后"), slow=True)
    def think(message: TextMessage, ctx: Context) -> Answer:
        runs[message.content] += 1
        while not (last := simulator.last(message.openid)).ended:
            if len(last.attempts) == int(ctx.match["pushes"]):
                break
            threading.Event().wait(0.05)
        return f"想了 {message.content}"

    @router.on(TextMessage)
    def listen(message: TextMessage, ctx: Context) -> Answer:
        return "在"

    simulator = make_simulator(router, wechat_customer_service=customer_service)
    simulator.page()
    pushes = {}
    for text in (f"{number} 次以后" for number in range(4)):
        openid = simulator.journal.add_follower().openid
        simulator.client.post("/simulator/push", data={"follower": openid, "f/Content": text})
        pushes[text] = openid
    counts = {}
    for text, openid in pushes.items():
        counts[text] = len(simulator.finished(openid).attempts)
        while not simulator.answers(openid, f"想了 {text}"):
            threading.Event().wait(0.2)
            if customer_service is Switch.NO and text == "3 次以后":
                simulator.post("push", follower=openid, **{"f/Content": "好了吗"})
    assert runs == dict.fromkeys(pushes, 1)
    assert [simulator.answers(openid, f"想了 {text}") for text, openid in pushes.items()] == [1] * 4
    expected = [1, 1, 1, 1] if customer_service is Switch.YES else [1, 2, 3, 3]
    assert list(counts.values()) == expected


def test_the_window_for_customer_service_messages_is_counted(simulator: Simulator) -> None:
    simulator.says("帮助")
    assert "还能发 5 条" in text_of(simulator.page(tab="platform"))
    assert "已过期" not in text_of(simulator.page(tab="platform"))
    assert [simulator.send(f"第 {number} 条") for number in range(5)] == [0] * 5
    assert simulator.send("太多了") == 45047
    page = text_of(simulator.page())
    assert "第 4 条" in page
    assert "太多了" not in page
    simulator.says("还在")
    simulator.post("clock", seconds=str(int(timedelta(hours=48).total_seconds())))
    assert simulator.send("太迟了") == 45015
    page = text_of(simulator.page(tab="platform"))
    assert "窗口已过期" in page
    assert "还能发" not in page
    simulator.post("clock", seconds="reset")
    assert simulator.send("不迟") == 0


def test_an_account_without_the_api_gets_48001(simulator: Simulator) -> None:
    simulator.says("帮助")
    simulator.post("account", kind=AccountKind.UNVERIFIED_SUBSCRIPTION)
    assert simulator.send("在吗") == 48001


def test_the_console_of_the_platform_gets_the_set_up_of_a_shop(simulator: Simulator) -> None:
    simulator.says("帮助")
    assert "菜单按钮 0 个，关键词回复 0 条" in text_of(simulator.page(tab="platform"))
    simulator.post("console")
    assert "菜单按钮 3 个，关键词回复 20 条" in text_of(simulator.page(tab="platform"))


def test_another_kind_of_account_makes_the_bot_forget_what_it_was_refused(simulator: Simulator) -> None:
    bot = services(simulator.app)
    bot.capabilities.record_response(bot.account_id, Feature.MEDIA, allowed=False)
    assert not bot.capabilities.allows(bot.account_id, Feature.MEDIA)
    simulator.says("帮助")
    simulator.post("account", kind=AccountKind.VERIFIED_SERVICE)
    assert bot.capabilities.allows(bot.account_id, Feature.MEDIA)


def test_typing_is_shown(simulator: Simulator) -> None:
    simulator.says("帮助")
    assert simulator.call("/cgi-bin/message/custom/typing", {"touser": OPENID, "command": "Typing"}) == 0
    assert "对方正在输入…" in text_of(simulator.page())
    simulator.send("好了")
    assert "对方正在输入…" not in text_of(simulator.page())


def test_a_chosen_fault_of_the_api_happens_once(simulator: Simulator) -> None:
    simulator.says("帮助")
    simulator.post("fault", fault="45009", path="/cgi-bin/message/custom/send", times="1")
    assert "45009" in simulator.page(tab="platform")
    assert [simulator.send("一"), simulator.send("二")] == [45009, 0]
    before = simulator.api.token
    simulator.post("fault", expire="")
    assert simulator.send("三") == 0
    assert simulator.api.token != before


def test_a_menu_message_can_be_tapped(simulator: Simulator) -> None:
    simulator.says("帮助")
    menu = {"head_content": "解决了吗？", "list": [{"id": "101", "content": "是的"}], "tail_content": "谢谢"}
    body = {"touser": OPENID, "msgtype": "msgmenu", "msgmenu": menu}
    assert simulator.call("/cgi-bin/message/custom/send", body) == 0
    page = simulator.page()
    assert "解决了吗？" in text_of(page)
    tap = page.partition('class="tap" form="tap" name="fields" value="')[2].partition('"')[0]
    simulator.post("push", fields=html.unescape(tap))
    assert simulator.finished().fields["bizmsgmenuid"] == "101"


def test_a_result_that_the_api_announced_is_pushed(simulator: Simulator) -> None:
    simulator.page()
    other = simulator.journal.add_follower().openid
    simulator.says("帮助")
    simulator.post("push", follower=other, **{"f/Content": "帮助"})
    simulator.finished(other)
    body = {"touser": [OPENID, other], "msgtype": "text", "text": {"content": "大家好"}}
    assert simulator.call("/cgi-bin/message/mass/send", body) == 0
    assert "等待推送：1 个" in text_of(simulator.page(tab="platform"))
    simulator.post("clock", seconds="7200")
    simulator.post("events")
    assert simulator.finished().fields["Event"] == "MASSSENDJOBFINISH"


def test_the_api_answers_over_http(simulator: Simulator) -> None:
    answer = simulator.client.post("/simulator/api/cgi-bin/message/custom/send", json={"touser": OPENID})
    assert answer.json()["errcode"] == 41001


def test_the_published_menu_can_be_tapped(simulator: Simulator) -> None:
    with simulator.api.store.opened() as state:
        state.menu = [
            {"type": "click", "name": "帮助", "key": "MENU_HELP"},
            {
                "name": "更多",
                "sub_button": [
                    {"type": "view", "name": "网站", "url": "https://www.example.com/"},
                    {"type": "scancode_waitmsg", "name": "扫", "key": "S"},
                    {"type": "media_id", "name": "图", "media_id": "m"},
                ],
            },
        ]
    bar = simulator.page().partition('id="menu-bar"')[2].partition(">")[2].partition("</nav>")[0]
    assert text_of(bar).split() == ["帮助", "更多", "网站", "扫", "图"]
    assert bar.count("<button") == 4, "a tap is pushed, or the platform sends something"
    simulator.post("push", fields='{"MsgType": "event", "Event": "CLICK", "EventKey": "MENU_HELP"}')
    simulator.finished()
    assert "我会这些" in text_of(simulator.page())


def test_what_was_made_in_the_platforms_console_answers_without_the_bot(simulator: Simulator) -> None:
    simulator.post("console")
    bar = simulator.page().partition('id="menu-bar"')[2].partition("</nav>")[0]
    assert bar.count("<button") == 6
    assert 'class="dead"' in bar, "the button of Channels"
    for place, shown in (("1.0", "客服电话：010-12345678"), ("1.2", "购物指南，都在这里"), ("2", "满减，")):
        simulator.post("menu", place=place)
        assert shown in text_of(simulator.page())
    simulator.post("menu", place="1.1")
    assert 'alt="图片"' in simulator.page()
    assert simulator.page().count("点了菜单，微信自己发的") == 4
    for place in ("9", "1.9", ""):
        assert (
            simulator.client.post("/simulator/menu", data={"follower": OPENID, "place": place}).status_code
            == 404
        )
    assert simulator.page().count('class="exchange') == 4, "nothing was pushed"


def test_the_phone_draws_the_menu_for_the_chosen_follower(simulator: Simulator) -> None:
    simulator.says("帮助")
    with simulator.api.store.opened() as state:
        state.menu = [{"type": "click", "name": "默认", "key": "k", "sub_button": []}]
        conditional = [{"type": "click", "name": "苹果", "key": "k", "sub_button": []}]
        state.conditional_menus = [ConditionalMenu(1, conditional, {"client_platform_type": "1"})]
    assert ">默认</button>" in simulator.page()
    simulator.post("phone", client="1")
    assert ">苹果</button>" in simulator.page()
    bad = simulator.client.post("/simulator/phone", data={"follower": OPENID, "client": "9"})
    assert bad.status_code == 400


def test_an_exchange_is_repeated_exactly_or_anew(simulator: Simulator) -> None:
    first = simulator.says("帮助")
    simulator.post(f"exchanges/{first.id}/repeat", exactly="")
    assert simulator.finished().request == first.request
    simulator.post(f"exchanges/{first.id}/repeat")
    again = simulator.finished()
    assert again.fields["Content"] == "帮助"
    assert again.fields["MsgId"] != first.fields["MsgId"]


def test_a_message_of_the_console_is_pushed_again(simulator: Simulator) -> None:
    simulator.says("改名")
    with simulator.app.app_context():
        message_id = db.session.scalars(select(MessageLog.id).where(MessageLog.direction == "in")).one()
    simulator.post("reset")
    assert "再放一遍" in text_of(simulator.page(message=message_id))
    simulator.post(f"messages/{message_id}/repeat")
    assert simulator.finished().fields["Content"] == "改名"
    assert simulator.client.post("/simulator/messages/999/repeat").status_code == 404


def test_a_curl_command_repeats_a_push(simulator: Simulator) -> None:
    exchange = simulator.says("it's a 'test'")
    page = text_of(simulator.page())
    assert f"{exchange.url}?{exchange.request.query}" in page
    assert "--data-binary" in page


def test_the_phone_works_without_a_recorded_message(simulator: Simulator) -> None:
    simulator.says("帮助")
    with simulator.app.app_context():
        db.session.execute(update(MessageLog).values(dedup_key=None))
        db.session.commit()
    assert "机器人没有记录这条消息" in text_of(simulator.page())
    assert NOTICE not in text_of(simulator.page())


def test_a_video_is_fetched_from_where_the_api_says(simulator: Simulator) -> None:
    media_id = simulator.api.give_media("video", MP4, "a.mp4", "video/mp4")
    query = {**simulator.token(), "media_id": media_id}
    url = simulator.client.get("/simulator/api/cgi-bin/media/get", params=query).json()["video_url"]
    assert "/simulator/api/" in url
    assert simulator.client.get(url).content == MP4
