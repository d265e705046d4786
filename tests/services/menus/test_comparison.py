"""The difference of two menus, and the button that an error of the platform is about."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.services.menus.test_buttons import HELP, MENU, MORE, SHOP, menus
from wechat_bot.services.menus.buttons import Menu, Place, cleaned, places
from wechat_bot.services.menus.comparison import ChangeKind, differences
from wechat_bot.services.menus.refusals import accused
from wechat_bot.wechat.api.menu import Button
from wechat_bot.wechat.errcodes import explain

ORDERS = Button("订单", "click", key="orders")


def told(before: Menu, after: Menu) -> list[tuple[ChangeKind, str, str]]:
    return [
        (change.kind, change.before.name if change.before else "", change.after.name if change.after else "")
        for change in differences(before, after)
    ]


@given(menus)
def test_equal_menus_do_not_differ(menu: Menu) -> None:
    assert differences(menu, menu) == []


@given(menus, menus)
def test_menus_differ_exactly_when_a_change_is_named(before: Menu, after: Menu) -> None:
    def seen(menu: Menu) -> list[tuple[Place, str, str, str, str]]:
        return [(p, b.name, b.type, b.key, b.url) for p, b in places(cleaned(menu))]

    if seen(before) != seen(after):
        assert differences(before, after)


def test_what_is_new_gone_and_changed_is_named() -> None:
    assert told((), MENU) == [
        (ChangeKind.ADDED, "", "帮助"),
        (ChangeKind.ADDED, "", "更多"),
        (ChangeKind.ADDED, "", "帮助"),
        (ChangeKind.ADDED, "", "网店"),
    ]
    assert told((HELP, SHOP), (HELP,)) == [(ChangeKind.REMOVED, "网店", "")]
    renamed = Button("商城", "view", url=SHOP.url)
    assert told((HELP, SHOP), (HELP, renamed)) == [(ChangeKind.CHANGED, "网店", "商城")]
    elsewhere = Button("网店", "view", url="https://new.example.com/")
    assert told((HELP, SHOP), (HELP, elsewhere)) == [(ChangeKind.CHANGED, "网店", "网店")]


def test_what_follows_a_new_button_has_not_moved() -> None:
    assert told((HELP, SHOP), (ORDERS, HELP, SHOP)) == [(ChangeKind.ADDED, "", "订单")]


def test_a_button_that_left_its_order_or_its_column_has_moved() -> None:
    three = (HELP, SHOP, ORDERS)
    assert len(told(three, (ORDERS, HELP, SHOP))) == 1
    before = (HELP, Button("更多", sub_button=(SHOP, ORDERS)))
    after = (HELP, Button("更多", sub_button=(ORDERS,)), SHOP)
    assert told(before, after) == [(ChangeKind.MOVED, "网店", "网店")]


LONG = Button("一个很长很长的名字", "click", key="k")
LINK = Button("链接", "view", url="https://foreign.example/")
MANY = (
    HELP,
    LINK,
    Button("更多服务", sub_button=(LONG, Button("短", "click", key="a-much-longer-key"), LINK)),
)


@pytest.mark.parametrize(
    ("errcode", "expected"),
    [
        (40016, ()),
        (40018, ("2",)),
        (40019, ("0",)),
        (40020, ("1",)),
        (40055, ("1",)),
        (40023, ("2",)),
        (40025, ("2.0",)),
        (40026, ("2.1",)),
        (40027, ("2.2",)),
        (40054, ("2.2",)),
        (65317, ("1", "2.2")),
        (65316, ("1", "2.2")),
        (48001, ()),
        (45064, ()),
    ],
)
def test_an_error_is_shown_at_the_buttons_that_it_may_be_about(
    errcode: int, expected: tuple[str, ...]
) -> None:
    assert tuple(map(str, accused(errcode, MANY))) == expected


def test_an_error_is_about_the_button_to_which_a_check_objects() -> None:
    assert accused(40018, (HELP, Button("六个汉字是十八字节", "click", key="k"), SHOP)) == (Place(1),)
    assert accused(40055, (SHOP, Button("坏", "view", url="example.com"))) == (Place(1),)
    program = Button("小程序", "miniprogram", appid="wx1", pagepath="p", url=SHOP.url)
    assert accused(45064, (program, MORE)) == (Place(0),)


@pytest.mark.parametrize(
    "errcode", [*range(40015, 40029), 40054, 40055, *range(65301, 65315), 65316, 65317, 65320]
)
def test_every_error_of_menus_has_words(errcode: int) -> None:
    assert "不认识" not in explain(errcode).meaning.zh
