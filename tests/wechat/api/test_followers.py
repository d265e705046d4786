"""Followers, tags and menus: what is sent and what is made of the answer (sections 7.1 to 7.3)."""

from __future__ import annotations

import pytest

from tests.wechat.api.recorded import OK, OPENID, OTHER, Recorded, Row, check, named
from wechat_bot.wechat.api.menu import Button, Buttons, CurrentMenu, Menus
from wechat_bot.wechat.api.tags import Tag
from wechat_bot.wechat.api.users import MovedUser, User
from wechat_bot.wechat.api.values import OpenIDPage, Records
from wechat_bot.wechat.errors import NotFollowing, NotFound, Unreachable

USER = {
    "subscribe": 1,
    "openid": OPENID,
    "language": "zh_CN",
    "subscribe_time": 1767225600,
    "unionid": "oUnIoN",
    "remark": "老王 😀",
    "groupid": 0,
    "tagid_list": [134, 2],
    "subscribe_scene": "ADD_SCENE_QR_CODE",
    "qr_scene": 98765,
    "qr_scene_str": "",
    "nickname": "",
    "sex": 0,
}
FOLLOWER = User(
    OPENID,
    subscribe=True,
    unionid="oUnIoN",
    subscribe_time=1767225600,
    subscribe_scene="ADD_SCENE_QR_CODE",
    qr_scene=98765,
    remark="老王 😀",
    tagid_list=(134, 2),
    language="zh_CN",
)

USERS: list[Row] = [
    (
        lambda client: client.users.list("oA"),
        "GET /cgi-bin/user/get",
        {"next_openid": "oA"},
        None,
        {"total": 23, "count": 2, "data": {"openid": [OPENID, OTHER]}, "next_openid": OTHER},
        OpenIDPage(23, Records([OPENID, OTHER]), OTHER),
    ),
    (
        lambda client: client.users.list(),
        "GET /cgi-bin/user/get",
        {"next_openid": ""},
        None,
        {"total": 23, "count": 0, "next_openid": ""},
        OpenIDPage(23, Records(), ""),
    ),
    (
        lambda client: client.users.get(OPENID),
        "GET /cgi-bin/user/info",
        {"openid": OPENID, "lang": "zh_CN"},
        None,
        USER,
        FOLLOWER,
    ),
    (
        lambda client: client.users.get(OTHER, lang="en"),
        "GET /cgi-bin/user/info",
        {"openid": OTHER, "lang": "en"},
        None,
        {"subscribe": 0, "openid": OTHER},
        User(OTHER),
    ),
    (
        lambda client: client.users.batch([OPENID, OTHER]),
        "POST /cgi-bin/user/info/batchget",
        {},
        {"user_list": [{"openid": OPENID, "lang": "zh_CN"}, {"openid": OTHER, "lang": "zh_CN"}]},
        {"user_info_list": [USER, {"subscribe": 0, "openid": OTHER}]},
        (FOLLOWER, User(OTHER)),
    ),
    (
        lambda client: client.users.set_remark(OPENID, "老王 😀"),
        "POST /cgi-bin/user/info/updateremark",
        {},
        {"openid": OPENID, "remark": "老王 😀"},
        OK,
        None,
    ),
    (
        lambda client: client.users.moved("wx0123456789abcdef", [OPENID, OTHER]),
        "POST /cgi-bin/changeopenid",
        {},
        {"from_appid": "wx0123456789abcdef", "openid_list": [OPENID, OTHER]},
        {
            **OK,
            "result_list": [
                {"ori_openid": OPENID, "new_openid": "oNew", "err_msg": "ok"},
                {"ori_openid": OTHER, "err_msg": "ori_openid error"},
            ],
        },
        (MovedUser(OPENID, "oNew", "ok"), MovedUser(OTHER, "", "ori_openid error")),
    ),
]

TAGS: list[Row] = [
    (
        lambda client: client.tags.list(),
        "GET /cgi-bin/tags/get",
        {},
        None,
        {"tags": [{"id": 2, "name": "星标组", "count": 0}, {"id": 134, "name": "广东", "count": 7}]},
        (Tag(2, "星标组"), Tag(134, "广东", 7)),
    ),
    (
        lambda client: client.tags.create("广东"),
        "POST /cgi-bin/tags/create",
        {},
        {"tag": {"name": "广东"}},
        {"tag": {"id": 134, "name": "广东"}},
        Tag(134, "广东"),
    ),
    (
        lambda client: client.tags.rename(134, "广西"),
        "POST /cgi-bin/tags/update",
        {},
        {"tag": {"id": 134, "name": "广西"}},
        OK,
        None,
    ),
    (lambda client: client.tags.delete(134), "POST /cgi-bin/tags/delete", {}, {"tag": {"id": 134}}, OK, None),
    (
        lambda client: client.tags.tag(134, [OPENID, OTHER]),
        "POST /cgi-bin/tags/members/batchtagging",
        {},
        {"openid_list": [OPENID, OTHER], "tagid": 134},
        OK,
        None,
    ),
    (
        lambda client: client.tags.untag(134, iter([OPENID])),
        "POST /cgi-bin/tags/members/batchuntagging",
        {},
        {"openid_list": [OPENID], "tagid": 134},
        OK,
        None,
    ),
    (
        lambda client: client.tags.of(OPENID),
        "POST /cgi-bin/tags/getidlist",
        {},
        {"openid": OPENID},
        {"tagid_list": [134, 2]},
        (134, 2),
    ),
    (
        lambda client: client.tags.openids(134, "oA"),
        "POST /cgi-bin/user/tag/get",
        {},
        {"tagid": 134, "next_openid": "oA"},
        {"count": 1, "data": {"openid": [OPENID]}, "next_openid": OPENID},
        OpenIDPage(1, Records([OPENID]), OPENID),
    ),
    (
        lambda client: client.tags.blacklist("oA"),
        "POST /cgi-bin/tags/members/getblacklist",
        {},
        {"begin_openid": "oA"},
        {"total": 5, "count": 1, "data": {"openid": [OPENID]}, "next_openid": OPENID},
        OpenIDPage(5, Records([OPENID]), OPENID),
    ),
    (
        lambda client: client.tags.block([OPENID]),
        "POST /cgi-bin/tags/members/batchblacklist",
        {},
        {"openid_list": [OPENID]},
        OK,
        None,
    ),
    (
        lambda client: client.tags.unblock([OPENID]),
        "POST /cgi-bin/tags/members/batchunblacklist",
        {},
        {"openid_list": [OPENID]},
        OK,
        None,
    ),
]

BUTTONS = (
    Button("歌曲", "click", key="SONGS"),
    Button(
        "更多",
        sub_button=(
            Button("官网", "view", url="https://example.com/"),
            Button("小程序", "miniprogram", url="https://example.com/", appid="wx1", pagepath="pages/a"),
            Button("图片", "media_id", media_id="MeDiA"),
            Button("文章", "article_id", article_id="ArTiClE"),
        ),
    ),
)
SENT_BUTTONS = [
    {"name": "歌曲", "type": "click", "key": "SONGS"},
    {
        "name": "更多",
        "sub_button": [
            {"name": "官网", "type": "view", "url": "https://example.com/"},
            {
                "name": "小程序",
                "type": "miniprogram",
                "url": "https://example.com/",
                "appid": "wx1",
                "pagepath": "pages/a",
            },
            {"name": "图片", "type": "media_id", "media_id": "MeDiA"},
            {"name": "文章", "type": "article_id", "article_id": "ArTiClE"},
        ],
    },
]

MENU: list[Row] = [
    (
        lambda client: client.menu.create(BUTTONS),
        "POST /cgi-bin/menu/create",
        {},
        {"button": SENT_BUTTONS},
        OK,
        None,
    ),
    (
        lambda client: client.menu.get(),
        "GET /cgi-bin/menu/get",
        {},
        None,
        {
            "menu": {"button": SENT_BUTTONS, "menuid": 208396938},
            "conditionalmenu": [
                {"button": SENT_BUTTONS[:1], "matchrule": {"tag_id": "2"}, "menuid": 208396993}
            ],
        },
        Menus(Buttons(BUTTONS, "208396938"), (Buttons(BUTTONS[:1], "208396993", {"tag_id": "2"}),)),
    ),
    (lambda client: client.menu.delete(), "GET /cgi-bin/menu/delete", {}, None, OK, None),
    (
        lambda client: client.menu.add_conditional(BUTTONS, {"tag_id": "2", "client_platform_type": "2"}),
        "POST /cgi-bin/menu/addconditional",
        {},
        {"button": SENT_BUTTONS, "matchrule": {"tag_id": "2", "client_platform_type": "2"}},
        {"menuid": "208379533"},
        "208379533",
    ),
    (
        lambda client: client.menu.delete_conditional("208379533"),
        "POST /cgi-bin/menu/delconditional",
        {},
        {"menuid": "208379533"},
        OK,
        None,
    ),
    (
        lambda client: client.menu.try_match(OPENID),
        "POST /cgi-bin/menu/trymatch",
        {},
        {"user_id": OPENID},
        {"button": SENT_BUTTONS},
        BUTTONS,
    ),
    (
        lambda client: client.menu.current(),
        "GET /cgi-bin/get_current_selfmenu_info",
        {},
        None,
        {
            "is_menu_open": 1,
            "selfmenu_info": {
                "button": [
                    {"name": "歌曲", "type": "text", "value": "没有歌"},
                    {"name": "更多", "sub_button": {"list": [{"name": "a", "type": "view", "url": "u"}]}},
                ]
            },
        },
        CurrentMenu(
            True,
            (
                Button("歌曲", "text", value="没有歌"),
                Button("更多", sub_button=(Button("a", "view", url="u"),)),
            ),
        ),
    ),
    (
        lambda client: client.menu.current(),
        "GET /cgi-bin/get_current_selfmenu_info",
        {},
        None,
        {"is_menu_open": 0},
        CurrentMenu(False),
    ),
]


@pytest.mark.parametrize("row", [*USERS, *TAGS, *MENU], ids=named)
def test_what_is_sent_and_what_is_made_of_the_answer(row: Row) -> None:
    check(row)


PAGES = [
    {"total": 3, "count": 2, "data": {"openid": ["oA", "oB"]}, "next_openid": "oB"},
    {"total": 3, "count": 1, "data": {"openid": ["oC"]}, "next_openid": "oC"},
    {"total": 3, "count": 0, "next_openid": ""},
]


def test_all_followers_are_found_page_by_page() -> None:
    platform = Recorded([*PAGES])
    assert list(platform.client.users.iter_openids("o0")) == ["oA", "oB", "oC"]
    assert [request.url.params["next_openid"] for request in platform.requests] == ["o0", "oB", "oC"]


def test_all_followers_of_a_tag_and_the_whole_blacklist_are_found() -> None:
    assert list(Recorded([*PAGES]).client.tags.iter_openids(134)) == ["oA", "oB", "oC"]
    assert list(Recorded([*PAGES]).client.tags.iter_blacklist()) == ["oA", "oB", "oC"]


def test_a_list_that_does_not_get_on_ends() -> None:
    platform = Recorded([PAGES[0]])
    assert list(platform.client.users.iter_openids()) == ["oA", "oB", "oA", "oB"]


def test_someone_who_follows_another_account_cannot_be_reached() -> None:
    platform = Recorded([{"errcode": 40003, "errmsg": "invalid openid rid: 61725984-6126f6f9"}])
    with pytest.raises(NotFollowing):
        platform.client.users.get("oForeign")


def test_an_account_without_a_menu_says_so() -> None:
    with pytest.raises(NotFound):
        Recorded([{"errcode": 46003, "errmsg": "menu no exist"}]).client.menu.get()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"subscribe": 1},
        {"openid": [OPENID]},
        {"openid": True},
        {"openid": OPENID, "tagid_list": "134"},
        {"openid": OPENID, "tagid_list": ["x"]},
        {"openid": OPENID, "subscribe_time": "soon"},
    ],
    ids=str,
)
def test_a_user_of_another_shape_is_no_answer(answer: dict[str, object]) -> None:
    with pytest.raises(Unreachable, match="User"):
        Recorded([answer]).client.users.get(OPENID)
