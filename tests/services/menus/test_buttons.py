"""Menus as values: their limits in bytes, their JSON, and the steps of an editor."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_bot.services.menus import buttons
from wechat_bot.services.menus.buttons import BrokenMenu, DoesNotFit, Menu, Place, load
from wechat_bot.services.menus.checks import Fault, Finding, findings, is_publishable
from wechat_bot.wechat.api.menu import Button

HELP = Button("帮助", "click", key="MENU_HELP")
SHOP = Button("网店", "view", url="https://shop.example.com/")
MORE = Button("更多", sub_button=(HELP, SHOP))
MENU = (HELP, MORE)

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=24)


def faults(menu: Menu) -> list[Fault]:
    return [finding.fault for finding in findings(menu) if not finding.is_advice]


@given(names, st.booleans())
def test_a_name_is_as_long_as_its_bytes(name: str, is_top: bool) -> None:
    named = Button(name, "click", key="k")
    menu = (named,) if is_top else (Button("更多", sub_button=(named,)),)
    size, limit = len(name.encode()), 16 if is_top else 60
    expected = [Fault.NO_NAME] if not name.strip() else [Fault.NAME_TOO_LONG] if size > limit else []
    assert faults(menu) == expected


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=140))
def test_a_key_is_as_long_as_its_bytes(key: str) -> None:
    expected = [Fault.TOO_LONG] if len(key.encode()) > 128 else []
    assert faults((Button("按钮", "click", key=key),)) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/" + "x" * 1006, []),
        ("https://a.example/" + "x" * 1007, [Fault.TOO_LONG]),
        ("https://中文.example/路径?词=1", []),
        ("", [Fault.MISSING]),
        ("   ", [Fault.MISSING]),
        ("www.example.com", [Fault.NO_ADDRESS]),
        ("ftp://a.example/", [Fault.NO_ADDRESS]),
        ("javascript:alert(1)", [Fault.NO_ADDRESS]),
        ("https:///path", [Fault.NO_ADDRESS]),
        ("https://a.example/a b", [Fault.NO_ADDRESS]),
        ("https://[broken", [Fault.NO_ADDRESS]),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_link_is_a_web_address_of_1024_bytes(url: str, expected: list[Fault]) -> None:
    assert faults((Button("网店", "view", url=url),)) == expected


def test_each_fault_is_at_its_button() -> None:
    third = Button("三级", sub_button=(HELP,))
    menu = (
        Button("空", ""),
        Button("更多", sub_button=(third, Button("", "click", key="k"), *[SHOP] * 4)),
        Button("小程序", "miniprogram", appid="wx1"),
        HELP,
    )
    assert [finding for finding in findings(menu) if not finding.is_advice] == [
        Finding(Fault.TOO_MANY_COLUMNS, size=4, limit=3),
        Finding(Fault.NO_ACTION, Place(0), "type"),
        Finding(Fault.TOO_MANY_SUBS, Place(1), size=6, limit=5),
        Finding(Fault.THIRD_LEVEL, Place(1, 0)),
        Finding(Fault.NO_NAME, Place(1, 1), "name"),
        Finding(Fault.MISSING, Place(2), "pagepath"),
        Finding(Fault.MISSING, Place(2), "url"),
    ]
    assert faults(()) == [Fault.EMPTY]


def test_four_foreign_domains_are_too_many_and_those_of_the_platform_do_not_count() -> None:
    links = [Button("链接", "view", url=f"https://{host}.example/") for host in "abc"]
    own = Button("文章", "view", url="https://mp.weixin.qq.com/s/1")
    assert is_publishable((Button("更多", sub_button=(*links, own)),))
    assert faults((Button("更多", sub_button=(*links, SHOP)),)) == [Fault.TOO_MANY_DOMAINS]


def test_long_names_and_equal_keys_are_only_advised_against() -> None:
    menu = (Button("五个字的", "click", key="a"), Button("五个字的名", "click", key="a"))
    assert [finding.fault for finding in findings(menu)] == [Fault.SAME_KEY, Fault.NAME_CUT, Fault.SAME_KEY]
    assert is_publishable(menu)


def test_buttons_of_the_platforms_console_are_kept_but_not_published() -> None:
    kept = Button("视频号", "finder", value="sph1")
    menu = (HELP, Button("更多", sub_button=(kept, SHOP)), Button("别的", sub_button=(kept,)))
    assert is_publishable(menu)
    assert buttons.published(menu) == (HELP, Button("更多", sub_button=(SHOP,)))
    assert load(buttons.dump(menu)) == menu
    assert faults((kept,)) == [Fault.EMPTY]


def test_only_the_fields_of_its_kind_are_published() -> None:
    typed = Button("网店", "view", key="left over", url="https://shop.example.com/", appid="wx1")
    assert buttons.published((typed,)) == (SHOP,)
    assert buttons.published((Button("更多", "click", key="k", sub_button=(HELP,)),)) == (
        Button("更多", sub_button=(HELP,)),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "1",
        '{"a": 1}',
        "[1]",
        "[[]]",
        '[{"name": {}}]',
        '[{"name": "\\ud800"}]',
        '[{"name": "\\u0000"}]',
        '[{"sub_button": 5}]',
        "[" * 100_000,
    ],
    ids=lambda text: text[:24],
)
def test_broken_json_is_no_menu(text: str) -> None:
    with pytest.raises(BrokenMenu):
        load(text)


leaves = st.builds(Button, names, st.sampled_from(["click", "view", "finder", ""]), names, names)
columns = st.builds(Button, names, sub_button=st.lists(leaves, max_size=5).map(tuple)) | leaves
menus = st.lists(columns, min_size=1, max_size=3).map(tuple)


@given(menus)
def test_a_menu_is_read_as_it_was_stored(menu: Menu) -> None:
    assert load(buttons.dump(menu)) == menu


@given(menus, st.data())
def test_moving_a_button_loses_and_doubles_none(menu: Menu, data: Any) -> None:
    places = [place for place, _ in buttons.places(menu)]
    source = data.draw(st.sampled_from(places))
    target = Place(data.draw(st.integers(0, 3)), data.draw(st.integers(-1, 5)))
    before = sorted(json.dumps(_alone(button)) for _, button in buttons.places(menu))
    try:
        after = buttons.moved(menu, source, target)
    except DoesNotFit:
        return
    assert sorted(json.dumps(_alone(button)) for _, button in buttons.places(after)) == before
    assert _alone(buttons.find(after, target)) == _alone(buttons.find(menu, source))
    assert len(after) <= 3
    assert all(len(column.sub_button) <= 5 for column in after)


def _alone(button: Button | None) -> dict[str, Any]:
    assert button
    return {**vars(button), "sub_button": None, "news_info": None}


def test_steps_lead_to_the_neighbouring_place_and_not_over_the_edge() -> None:
    menu = (HELP, MORE, Button("服务", sub_button=(SHOP,)))
    assert buttons.neighbour(menu, Place(0), "right") == Place(1)
    assert buttons.neighbour(menu, Place(1, 0), "down") == Place(1, 1)
    assert buttons.neighbour(menu, Place(1, 1), "right") == Place(2, 1)
    assert buttons.neighbour(menu, Place(1, 1), "left") == Place(0, 0)
    for place, direction in [
        (Place(0), "left"),
        (Place(2), "right"),
        (Place(1), "up"),
        (Place(1, 0), "up"),
        (Place(1, 1), "down"),
        (Place(2, 0), "right"),
    ]:
        with pytest.raises(DoesNotFit):
            buttons.neighbour(menu, place, direction)


def test_there_is_no_third_level_and_no_fourth_column() -> None:
    full = (Button("更多", sub_button=(HELP,) * 5), MORE, SHOP)
    with pytest.raises(DoesNotFit):
        buttons.added(full, None, HELP)
    with pytest.raises(DoesNotFit):
        buttons.added(full, 0, HELP)
    with pytest.raises(DoesNotFit):
        buttons.moved(full, Place(1), Place(0, 0))
    assert buttons.added(full, 2, HELP)[1] == Place(2, 0)


@pytest.mark.parametrize("text", ["", "x", "0.x", "-1", "0.1.2", "1e3", "999", "٣"])
def test_nonsense_is_no_place(text: str) -> None:
    with pytest.raises(DoesNotFit):
        Place.parse(text)
