"""Custom menus (section 7.3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import OK, Caller
from wechat_bot.simulator.sample_files import PNG

CREATE = "/cgi-bin/menu/create"

CLICK = {"type": "click", "name": "帮助", "key": "HELP"}
VIEW = {"type": "view", "name": "网站", "url": "https://www.example.com/"}
MENU = [CLICK, {"name": "更多", "sub_button": [VIEW, CLICK]}]


def click(**changes: Any) -> dict[str, Any]:
    return {**CLICK, **changes}


def view(url: str) -> dict[str, Any]:
    return {**VIEW, "url": url}


def sub(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"name": "更多", "sub_button": list(buttons)}


def test_a_menu_is_made_shown_and_deleted(caller: Caller) -> None:
    assert caller.get("/cgi-bin/menu/get")["errcode"] == 46003
    assert caller.post(CREATE, {"button": MENU}) == OK
    shown = caller.get("/cgi-bin/menu/get")["menu"]
    leaf: dict[str, Any] = {"sub_button": []}
    assert shown["button"] == [CLICK | leaf, {"name": "更多", "sub_button": [VIEW | leaf, CLICK | leaf]}]
    assert caller.post(CREATE, {"button": shown["button"]}) == OK
    assert caller.get("/cgi-bin/menu/delete") == OK
    assert caller.get("/cgi-bin/menu/get")["errcode"] == 46003
    assert caller.api.unknown == []


def test_the_current_menu_is_shown_in_another_form(caller: Caller) -> None:
    info = "/cgi-bin/get_current_selfmenu_info"
    assert caller.get(info) == {"is_menu_open": 0, "selfmenu_info": {"button": []}}
    caller.post(CREATE, {"button": MENU})
    more = {"name": "更多", "sub_button": {"list": [VIEW, CLICK]}}
    assert caller.get(info) == {"is_menu_open": 1, "selfmenu_info": {"button": [CLICK, more]}}


@pytest.mark.parametrize(
    ("buttons", "errcode"),
    [
        ([], 40016),
        ([CLICK] * 4, 40016),
        ([click(name="")], 40018),
        ([click(name="好" * 5 + "x")], 0),
        ([click(name="好" * 5 + "xy")], 40018),
        ([click(type="tap")], 40017),
        ([{"name": "无"}], 40017),
        ([click(key="")], 40019),
        ([click(key="k" * 128)], 0),
        ([click(key="k" * 129)], 40019),
        ([view("https://a.example/" + "x" * 1006)], 0),
        ([view("https://a.example/" + "x" * 1007)], 40020),
        ([view("")], 40020),
        ([view("www.example.com")], 40055),
        ([sub(*[CLICK] * 5)], 0),
        ([sub(*[CLICK] * 6)], 40023),
        ([sub(sub(CLICK))], 40022),
        ([sub(click(name="好" * 20))], 0),
        ([sub(click(name="好" * 20 + "x"))], 40025),
        ([sub(click(type="tap"))], 40024),
        ([sub(click(key="k" * 129))], 40026),
        ([sub(view("https://a.example/" + "x" * 1007))], 40027),
        ([sub(view("ftp://a.example/"))], 40054),
        ([click(type="scancode_waitmsg"), click(type="location_select"), click(type="pic_weixin")], 0),
        ([{"type": "media_id", "name": "图", "media_id": "none"}], 40007),
        ([{"type": "article_id", "name": "文", "article_id": "none"}], 53600),
        ([{**VIEW, "type": "miniprogram", "appid": "wx1", "pagepath": "p"}], 0),
        ([{**VIEW, "type": "miniprogram"}], 47001),
        ([sub(*(view(f"https://{host}.example/") for host in "abc"))], 0),
        ([sub(*(view(f"https://{host}.example/") for host in "abcd"))], 65316),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_menu_has_its_limits(caller: Caller, buttons: list[Any], errcode: int) -> None:
    assert caller.errcode(CREATE, {"button": buttons}) == errcode
    assert ("menu" in caller.get("/cgi-bin/menu/get")) is (errcode == 0)


def test_escaped_names_are_refused(caller: Caller) -> None:
    body = rb'{"button":[{"type":"click","name":"\u5e2e","key":"k"}]}'
    assert caller.raw("POST", CREATE, content=body).json()["errcode"] == 40033


def test_a_button_may_send_permanent_material_which_then_cannot_be_deleted(caller: Caller) -> None:
    media_id = caller.upload("/cgi-bin/material/add_material", PNG, "a.png", type="image")["media_id"]
    button = {"type": "media_id", "name": "图", "media_id": media_id}
    assert caller.post(CREATE, {"button": [sub(button)]}) == OK
    assert caller.errcode("/cgi-bin/material/del_material", {"media_id": media_id}) == 48005
    caller.get("/cgi-bin/menu/delete")
    assert caller.errcode("/cgi-bin/material/del_material", {"media_id": media_id}) == 0


# Conditional menus

ADD = "/cgi-bin/menu/addconditional"


def test_the_newest_menu_that_fits_is_the_one_that_a_follower_sees(caller: Caller) -> None:
    caller.follow("o1", "o2")
    caller.post("/cgi-bin/tags/members/batchtagging", {"openid_list": ["o1"], "tagid": 2})
    caller.post(CREATE, {"button": [click(name="默认")]})
    for name, rule in [("星标", {"tag_id": "2"}), ("苹果", {"tag_id": "2", "client_platform_type": "1"})]:
        answer = caller.post(ADD, {"button": [click(name=name)], "matchrule": rule})
        assert answer.keys() == {"menuid"}

    def seen_by(openid: str) -> list[str]:
        buttons = caller.post("/cgi-bin/menu/trymatch", {"user_id": openid})["button"]
        assert buttons == caller.api.menu_of(openid)
        return [button["name"] for button in buttons]

    assert (seen_by("o1"), seen_by("o2")) == (["星标"], ["默认"])
    caller.state(lambda state: setattr(state.followers["o1"], "platform", "1"))
    assert seen_by("o1") == ["苹果"]
    menus = caller.get("/cgi-bin/menu/get")["conditionalmenu"]
    assert menus[0]["matchrule"] == {"tag_id": "2"}
    assert caller.post("/cgi-bin/menu/delconditional", {"menuid": str(menus[1]["menuid"])}) == OK
    assert seen_by("o1") == ["星标"]
    caller.get("/cgi-bin/menu/delete")
    assert caller.api.menu_of("o1") == []


@pytest.mark.parametrize(
    ("rule", "errcode"),
    [
        ({}, 65304),
        ({"tag_id": ""}, 65304),
        ({"sex": "1"}, 65320),
        ({"tag_id": "2", "language": "zh_CN"}, 65320),
        ({"client_platform_type": "4"}, 40035),
    ],
    ids=str,
)
def test_an_unknown_rule_is_refused(caller: Caller, rule: dict[str, str], errcode: int) -> None:
    caller.post(CREATE, {"button": MENU})
    assert caller.errcode(ADD, {"button": MENU, "matchrule": rule}) == errcode


def test_a_conditional_menu_needs_a_default_one(caller: Caller) -> None:
    assert caller.errcode(ADD, {"button": MENU, "matchrule": {"tag_id": "2"}}) == 65303
    assert caller.errcode("/cgi-bin/menu/delconditional", {"menuid": "1"}) == 65301


def test_a_menu_cannot_be_tried_for_a_stranger(caller: Caller) -> None:
    caller.post(CREATE, {"button": MENU})
    assert caller.errcode("/cgi-bin/menu/trymatch", {"user_id": "foreign"}) == 65302
