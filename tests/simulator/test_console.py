"""What was made in the platform's console: a menu and automatic replies (sections 7.3 and 7.17)."""

from __future__ import annotations

from typing import Any

from tests.simulator.conftest import OK, Caller
from wechat_bot.simulator import sample_console
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat.api import WeChatClient
from wechat_bot.wechat.api.menu import Button, CurrentMenu, NewsInfo
from wechat_bot.wechat.api.system import AutoReplies, AutoReply, Rule, RuleKeyword, RuleReply
from wechat_bot.wechat.api.values import Records

ARTICLE = {
    "title": "新品",
    "author": "小李",
    "digest": "摘要",
    "show_cover": 1,
    "cover_url": "http://mmbiz.qpic.cn/a",
    "content_url": "http://mp.weixin.qq.com/s?a",
    "source_url": "",
}
NEWS = NewsInfo("新品", "小李", "摘要", 1, "http://mmbiz.qpic.cn/a", "http://mp.weixin.qq.com/s?a")
MENU: list[dict[str, Any]] = [
    {"type": "text", "name": "电话", "value": "010-1234567"},
    {
        "name": "更多",
        "sub_button": {
            "list": [
                {"type": "img", "name": "地图", "value": "MeDiA"},
                {"type": "voice", "name": "语音", "value": "VoIcE"},
                {"type": "video", "name": "视频", "value": "https://v.example.com/"},
                {"type": "news", "name": "新品", "value": "NeWs", "news_info": {"list": [ARTICLE]}},
                {"type": "finder", "name": "视频号", "value": "FiNdEr"},
            ]
        },
    },
]
BUTTONS = (
    Button("电话", "text", value="010-1234567"),
    Button(
        "更多",
        sub_button=(
            Button("地图", "img", value="MeDiA"),
            Button("语音", "voice", value="VoIcE"),
            Button("视频", "video", value="https://v.example.com/"),
            Button("新品", "news", value="NeWs", news_info=(NEWS,)),
            Button("视频号", "finder", value="FiNdEr"),
        ),
    ),
)
REPLIES: dict[str, Any] = {
    "is_add_friend_reply_open": 1,
    "is_autoreply_open": 1,
    "add_friend_autoreply_info": {"type": "text", "content": "欢迎"},
    "message_default_autoreply_info": {"type": "img", "content": "MeDiA"},
    "keyword_autoreply_info": {
        "list": [
            {
                "rule_name": "新品",
                "create_time": 1767225600,
                "reply_mode": "random_one",
                "keyword_list_info": [{"type": "text", "match_mode": "equal", "content": "新品"}],
                "reply_list_info": [{"type": "news", "content": "NeWs", "news_info": {"list": [ARTICLE]}}],
            }
        ]
    },
}


def client_of(api: FakeAPI) -> WeChatClient:
    return WeChatClient(api.credentials, "https://api.example.com", api.transport, clock=api.clock)


def test_a_menu_of_the_console_is_read_with_all_that_it_has(api: FakeAPI) -> None:
    api.set_console(menu=MENU)
    client = client_of(api)
    assert client.menu.current() == CurrentMenu(is_menu_open=True, button=BUTTONS)
    assert [button.to_json() for button in BUTTONS[1].sub_button][3]["news_info"] == {"list": [ARTICLE]}


def test_a_menu_of_the_api_takes_the_place_of_that_of_the_console(caller: Caller) -> None:
    caller.api.set_console(menu=MENU)
    info = "/cgi-bin/get_current_selfmenu_info"
    assert caller.get(info) == {"is_menu_open": 1, "selfmenu_info": {"button": MENU}}
    assert caller.get("/cgi-bin/menu/get")["errcode"] == 46003
    click = {"type": "click", "name": "帮助", "key": "HELP"}
    assert caller.post("/cgi-bin/menu/create", {"button": [click]}) == OK
    assert caller.get(info)["selfmenu_info"] == {"button": [click]}
    assert caller.get("/cgi-bin/menu/delete") == OK
    assert caller.get(info)["is_menu_open"] == 0


def test_automatic_replies_of_the_console_are_read(api: FakeAPI) -> None:
    api.set_console(auto_replies=REPLIES)
    assert client_of(api).system.auto_replies() == AutoReplies(
        is_add_friend_reply_open=True,
        is_autoreply_open=True,
        add_friend_autoreply_info=AutoReply("text", "欢迎"),
        message_default_autoreply_info=AutoReply("img", "MeDiA"),
        keyword_autoreply_info=Records(
            [
                Rule(
                    "新品",
                    1767225600,
                    "random_one",
                    (RuleKeyword("text", "equal", "新品"),),
                    (RuleReply("news", "NeWs", (NEWS,)),),
                )
            ]
        ),
    )


def test_the_set_up_of_a_shop_has_as_many_rules_as_the_platform_takes_and_files_that_exist(
    api: FakeAPI,
) -> None:
    sample_console.set_up(api, rules=200)
    client = client_of(api)
    rules = client.system.auto_replies().keyword_autoreply_info
    assert (len(rules), rules.unreadable) == (200, ())
    assert len({rule.rule_name for rule in rules}) == 200
    replies = [reply for rule in rules for reply in rule.reply_list_info]
    files = {reply.content for reply in replies if reply.type in {"img", "voice", "video"}}
    assert len([client.media.download(media_id) for media_id in files]) == 3
    picture = client.menu.current().button[1].sub_button[1]
    assert client.material.download(picture.value).content == PNG
