"""Messages that the API sends: what is sent and what is made of the answer (sections 7.4, 7.11 to 7.13)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import APP_ID
from tests.wechat.api.recorded import OK, OPENID, OTHER, Recorded, Row, check, named
from wechat_bot.wechat import replies
from wechat_bot.wechat.api.mass import MassJob, Speed
from wechat_bot.wechat.api.media import Uploaded
from wechat_bot.wechat.api.outgoing import (
    Choice,
    Images,
    MiniProgramPage,
    MpNews,
    MpNewsArticle,
    MpVideo,
    MsgMenu,
    Sendable,
    WxCard,
)
from wechat_bot.wechat.api.subscribe import Category, Keyword, NoticeTemplate, Title
from wechat_bot.wechat.api.templates import Industries, Industry, MiniProgram, Template
from wechat_bot.wechat.api.values import Page, Records
from wechat_bot.wechat.errors import Busy, InvalidReply, NotFollowing, WindowClosed

MENU = {
    "head_content": "Solved?",
    "list": [{"id": "101", "content": "Yes"}, {"id": "102", "content": "No"}],
    "tail_content": "Thanks",
}

SENDABLE: list[tuple[Sendable, dict[str, Any]]] = [
    (replies.TextReply("在吗 😀"), {"msgtype": "text", "text": {"content": "在吗 😀"}}),
    (replies.ImageReply("MeDiA"), {"msgtype": "image", "image": {"media_id": "MeDiA"}}),
    (replies.VoiceReply("MeDiA"), {"msgtype": "voice", "voice": {"media_id": "MeDiA"}}),
    (
        replies.VideoReply("MeDiA", "题", "述"),
        {"msgtype": "video", "video": {"media_id": "MeDiA", "title": "题", "description": "述"}},
    ),
    (
        replies.MusicReply("ThUmB", "题", "述", "http://a/", "http://b/"),
        {
            "msgtype": "music",
            "music": {
                "title": "题",
                "description": "述",
                "musicurl": "http://a/",
                "hqmusicurl": "http://b/",
                "thumb_media_id": "ThUmB",
            },
        },
    ),
    (
        replies.NewsReply((replies.Article("题", "述", "http://p/", "http://u/"), replies.Article("二"))),
        {
            "msgtype": "news",
            "news": {
                "articles": [{"title": "题", "description": "述", "url": "http://u/", "picurl": "http://p/"}]
            },
        },
    ),
    (MpNews("MeDiA"), {"msgtype": "mpnews", "mpnews": {"media_id": "MeDiA"}}),
    (MpNewsArticle("ArT"), {"msgtype": "mpnewsarticle", "mpnewsarticle": {"article_id": "ArT"}}),
    (
        MsgMenu("Solved?", (Choice("101", "Yes"), Choice("102", "No")), "Thanks"),
        {"msgtype": "msgmenu", "msgmenu": MENU},
    ),
    (WxCard("CaRd"), {"msgtype": "wxcard", "wxcard": {"card_id": "CaRd"}}),
    (
        MiniProgramPage("题", "wx1", "pages/a", "ThUmB"),
        {
            "msgtype": "miniprogrampage",
            "miniprogrampage": {
                "title": "题",
                "appid": "wx1",
                "pagepath": "pages/a",
                "thumb_media_id": "ThUmB",
            },
        },
    ),
]


@pytest.mark.parametrize(("message", "sent"), SENDABLE, ids=lambda value: type(value).__name__)
def test_a_message_is_sent_to_a_follower(message: Sendable, sent: dict[str, Any]) -> None:
    check(
        (
            lambda client: client.customer.send(OPENID, message),
            "POST /cgi-bin/message/custom/send",
            {},
            {"touser": OPENID, **sent},
            OK,
            None,
        )
    )


def test_what_no_customer_message_can_be_is_not_sent() -> None:
    platform = Recorded([OK])
    with pytest.raises(InvalidReply):
        platform.client.customer.send(OPENID, replies.TransferReply())
    assert platform.requests == []


TEXT = replies.TextReply("你好")
TEXT_SENT = {"msgtype": "text", "text": {"content": "你好"}}

CUSTOMER: list[Row] = [
    (
        lambda client: client.customer.send(OPENID, TEXT, kf_account="anna@example_wx", ai=True),
        "POST /cgi-bin/message/custom/send",
        {},
        {
            "touser": OPENID,
            **TEXT_SENT,
            "customservice": {"kf_account": "anna@example_wx"},
            "aimsgcontext": {"is_ai_msg": 1},
        },
        OK,
        None,
    ),
    (
        lambda client: client.customer.typing(OPENID),
        "POST /cgi-bin/message/custom/typing",
        {},
        {"touser": OPENID, "command": "Typing"},
        OK,
        None,
    ),
    (
        lambda client: client.customer.typing(OPENID),
        "POST /cgi-bin/message/custom/typing",
        {},
        {"touser": OPENID, "command": "Typing"},
        {"errcode": 45081, "errmsg": "typing already"},
        None,
    ),
    (
        lambda client: client.customer.typing(OPENID, on=False),
        "POST /cgi-bin/message/custom/typing",
        {},
        {"touser": OPENID, "command": "CancelTyping"},
        OK,
        None,
    ),
]

JOB = {**OK, "msg_id": 34182, "msg_data_id": 206227730}

MASS: list[Row] = [
    (
        lambda client: client.mass.send_to_all(MpNews("MeDiA")),
        "POST /cgi-bin/message/mass/sendall",
        {},
        {
            "filter": {"is_to_all": True},
            "msgtype": "mpnews",
            "mpnews": {"media_id": "MeDiA"},
            "send_ignore_reprint": 0,
        },
        JOB,
        MassJob(34182, 206227730),
    ),
    (
        lambda client: client.mass.send_to_tag(2, TEXT, clientmsgid="job-1", ignore_reprint=True),
        "POST /cgi-bin/message/mass/sendall",
        {},
        {
            "filter": {"is_to_all": False, "tag_id": 2},
            **TEXT_SENT,
            "clientmsgid": "job-1",
            "send_ignore_reprint": 1,
        },
        {**OK, "msg_id": 34182},
        MassJob(34182),
    ),
    (
        lambda client: client.mass.send([OPENID, OTHER], Images(("A", "B"), "看", 1)),
        "POST /cgi-bin/message/mass/send",
        {},
        {
            "touser": [OPENID, OTHER],
            "msgtype": "image",
            "images": {
                "media_ids": ["A", "B"],
                "recommend": "看",
                "need_open_comment": 1,
                "only_fans_can_comment": 0,
            },
            "send_ignore_reprint": 0,
        },
        JOB,
        MassJob(34182, 206227730),
    ),
    (
        lambda client: client.mass.send_to_all(MpVideo("V", "题", "述"), clientmsgid="job-1"),
        "POST /cgi-bin/message/mass/sendall",
        {},
        {
            "filter": {"is_to_all": True},
            "msgtype": "mpvideo",
            "mpvideo": {"media_id": "V", "title": "题", "description": "述"},
            "clientmsgid": "job-1",
            "send_ignore_reprint": 0,
        },
        {"errcode": 45065, "errmsg": "clientmsgid exist", "msg_id": 34182},
        MassJob(34182),
    ),
    (
        lambda client: client.mass.preview(TEXT, openid=OPENID),
        "POST /cgi-bin/message/mass/preview",
        {},
        {"touser": OPENID, **TEXT_SENT},
        JOB,
        None,
    ),
    (
        lambda client: client.mass.preview(TEXT, towxname="laowang"),
        "POST /cgi-bin/message/mass/preview",
        {},
        {"towxname": "laowang", **TEXT_SENT},
        JOB,
        None,
    ),
    (
        lambda client: client.mass.delete(34182, 2),
        "POST /cgi-bin/message/mass/delete",
        {},
        {"msg_id": 34182, "article_idx": 2},
        OK,
        None,
    ),
    (
        lambda client: client.mass.delete(url="https://mp.weixin.qq.com/s/a"),
        "POST /cgi-bin/message/mass/delete",
        {},
        {"url": "https://mp.weixin.qq.com/s/a"},
        OK,
        None,
    ),
    (
        lambda client: client.mass.status(34182),
        "POST /cgi-bin/message/mass/get",
        {},
        {"msg_id": "34182"},
        {"msg_id": 34182, "msg_status": "SEND_SUCCESS"},
        "SEND_SUCCESS",
    ),
    (
        lambda client: client.mass.speed(),
        "POST /cgi-bin/message/mass/speed/get",
        {},
        {},
        {"speed": 3, "realspeed": 15},
        Speed(3, 15),
    ),
    (
        lambda client: client.mass.set_speed(1),
        "POST /cgi-bin/message/mass/speed/set",
        {},
        {"speed": 1},
        OK,
        None,
    ),
    (
        lambda client: client.mass.prepare_video("MeDiA", "题", "述"),
        "POST /cgi-bin/media/uploadvideo",
        {},
        {"media_id": "MeDiA", "title": "题", "description": "述"},
        {"type": "video", "media_id": "V", "created_at": 1767225600},
        Uploaded("V", 1767225600),
    ),
]

PROGRAM = MiniProgram("wx1", "pages/a")
PROGRAM_SENT = {"appid": "wx1", "pagepath": "pages/a"}

TEMPLATES: list[Row] = [
    (
        lambda client: client.templates.send(OPENID, "TeMpLaTe", {"thing1": "牛奶", "time2": "今天"}),
        "POST /cgi-bin/message/template/send",
        {},
        {
            "touser": OPENID,
            "template_id": "TeMpLaTe",
            "data": {"thing1": {"value": "牛奶"}, "time2": {"value": "今天"}},
        },
        {**OK, "msgid": 200228332},
        200228332,
    ),
    (
        lambda client: client.templates.send(
            OPENID, "T", {}, url="https://u/", miniprogram=PROGRAM, client_msg_id="order-7"
        ),
        "POST /cgi-bin/message/template/send",
        {},
        {
            "touser": OPENID,
            "template_id": "T",
            "url": "https://u/",
            "miniprogram": PROGRAM_SENT,
            "client_msg_id": "order-7",
            "data": {},
        },
        {"errcode": 40241, "errmsg": "duplicate"},
        0,
    ),
    (
        lambda client: client.templates.set_industry("1", "4"),
        "POST /cgi-bin/template/api_set_industry",
        {},
        {"industry_id1": "1", "industry_id2": "4"},
        OK,
        None,
    ),
    (
        lambda client: client.templates.industry(),
        "GET /cgi-bin/template/get_industry",
        {},
        None,
        {
            "primary_industry": {"first_class": "IT科技", "second_class": "互联网"},
            "secondary_industry": {"first_class": "餐饮", "second_class": "餐饮"},
        },
        Industries(Industry("IT科技", "互联网"), Industry("餐饮", "餐饮")),
    ),
    (
        lambda client: client.templates.add("TM00015", ["商品"]),
        "POST /cgi-bin/template/api_add_template",
        {},
        {"template_id_short": "TM00015", "keyword_name_list": ["商品"]},
        {**OK, "template_id": "TeMpLaTe"},
        "TeMpLaTe",
    ),
    (
        lambda client: client.templates.list(),
        "GET /cgi-bin/template/get_all_private_template",
        {},
        None,
        {
            "template_list": [
                {
                    "template_id": "T",
                    "title": "通知",
                    "primary_industry": "IT",
                    "deputy_industry": "网",
                    "content": "{{thing1.DATA}}",
                    "example": "牛奶",
                }
            ]
        },
        (Template("T", "通知", "IT", "网", "{{thing1.DATA}}", "牛奶"),),
    ),
    (
        lambda client: client.templates.delete("T"),
        "POST /cgi-bin/template/del_private_template",
        {},
        {"template_id": "T"},
        OK,
        None,
    ),
    (
        lambda client: client.templates.blocked("T", 7, 10),
        "POST /wxa/sec/queryblocktmplmsg",
        {},
        {"tmpl_msg_id": "T", "largest_id": 7, "limit": 10},
        {**OK, "msginfo": []},
        {**OK, "msginfo": []},
    ),
]

SUBSCRIBE: list[Row] = [
    (
        lambda client: client.subscribe.send_once(
            OPENID, "T", 1000, "题", "内容", color="#173177", url="https://u/", miniprogram=PROGRAM
        ),
        "POST /cgi-bin/message/template/subscribe",
        {},
        {
            "touser": OPENID,
            "template_id": "T",
            "url": "https://u/",
            "miniprogram": PROGRAM_SENT,
            "scene": "1000",
            "title": "题",
            "data": {"content": {"value": "内容", "color": "#173177"}},
        },
        OK,
        None,
    ),
    (
        lambda client: client.subscribe.send(OPENID, "T", {"thing1": "牛奶"}, page="https://u/"),
        "POST /cgi-bin/message/subscribe/bizsend",
        {},
        {"touser": OPENID, "template_id": "T", "page": "https://u/", "data": {"thing1": {"value": "牛奶"}}},
        OK,
        None,
    ),
    (
        lambda client: client.subscribe.add_template("401", [1, 2], "到货"),
        "POST /wxaapi/newtmpl/addtemplate",
        {},
        {"tid": "401", "kidList": [1, 2], "sceneDesc": "到货"},
        {**OK, "priTmplId": "P"},
        "P",
    ),
    (
        lambda client: client.subscribe.templates(),
        "GET /wxaapi/newtmpl/gettemplate",
        {},
        None,
        {**OK, "data": [{"priTmplId": "P", "title": "到货", "content": "c", "example": "e", "type": 2}]},
        (NoticeTemplate("P", "到货", "c", "e", 2),),
    ),
    (
        lambda client: client.subscribe.delete_template("P"),
        "POST /wxaapi/newtmpl/deltemplate",
        {},
        {"priTmplId": "P"},
        OK,
        None,
    ),
    (
        lambda client: client.subscribe.categories(),
        "GET /wxaapi/newtmpl/getcategory",
        {},
        None,
        {**OK, "data": [{"id": 616, "name": "公交"}]},
        (Category(616, "公交"),),
    ),
    (
        lambda client: client.subscribe.titles([2, 616], 0, 10),
        "GET /wxaapi/newtmpl/getpubtemplatetitles",
        {"ids": "2,616", "start": "0", "limit": "10"},
        None,
        {**OK, "count": 55, "data": [{"tid": 99, "title": "付款成功通知", "type": 2, "categoryId": "616"}]},
        Page(55, Records([Title(99, "付款成功通知", 2, "616")])),
    ),
    (
        lambda client: client.subscribe.keywords("99"),
        "GET /wxaapi/newtmpl/getpubtemplatekeywords",
        {"tid": "99"},
        None,
        {**OK, "count": 1, "data": [{"kid": 1, "name": "物品", "example": "名称", "rule": "thing"}]},
        Page(1, Records([Keyword(1, "物品", "名称", "thing")])),
    ),
]


@pytest.mark.parametrize("row", [*CUSTOMER, *MASS, *TEMPLATES, *SUBSCRIBE], ids=named)
def test_what_is_sent_and_what_is_made_of_the_answer(row: Row) -> None:
    check(row)


def test_a_user_is_asked_for_one_message_on_a_page_of_the_platform() -> None:
    url = Recorded([OK]).client.subscribe.confirm_url("T", 1000, "https://bot.example.com/a?b=1&c=2", "x")
    parts = urlsplit(url)
    assert url.startswith("https://mp.weixin.qq.com/mp/subscribemsg?action=get_confirm&")
    assert parts.fragment == "wechat_redirect"
    assert parse_qs(parts.query) == {
        "action": ["get_confirm"],
        "appid": [APP_ID],
        "scene": ["1000"],
        "template_id": ["T"],
        "redirect_url": ["https://bot.example.com/a?b=1&c=2"],
        "reserved": ["x"],
    }


@pytest.mark.parametrize("errcode", [40003, 43004, 43019, 48002])
def test_a_follower_who_cannot_be_reached_is_given_up(errcode: int) -> None:
    with pytest.raises(NotFollowing):
        Recorded([{"errcode": errcode, "errmsg": "no"}]).client.customer.send(OPENID, TEXT)


@pytest.mark.parametrize("errcode", [45015, 45047])
def test_a_closed_window_is_to_be_waited_for(errcode: int) -> None:
    with pytest.raises(WindowClosed):
        Recorded([{"errcode": errcode, "errmsg": "no"}]).client.customer.send(OPENID, TEXT)


@pytest.mark.parametrize(
    "send",
    [
        lambda client: client.customer.send(OPENID, TEXT),
        lambda client: client.mass.send_to_all(TEXT),
        lambda client: client.templates.send(OPENID, "T", {}),
        lambda client: client.subscribe.send(OPENID, "T", {}),
    ],
    ids=["customer", "mass", "template", "notice"],
)
def test_a_message_is_never_sent_twice_by_itself(send: Any) -> None:
    platform = Recorded([{"errcode": -1, "errmsg": "system busy"}])
    with pytest.raises(Busy):
        send(platform.client)
    assert len(platform.requests) == 1
