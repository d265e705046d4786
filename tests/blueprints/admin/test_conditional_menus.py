"""Conditional menus in the console: how they are made, published, ordered, tried and deleted."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine, insert, select, update

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.blueprints.admin.test_menus import Editor, compose, hidden, publish
from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.database.transactions import write
from wechat_bot.models import Follower, FollowerTag, Role, Tag
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.api.menu import Button
from wechat_bot.wiring import services

NEW = "/admin/menu/conditional"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


@pytest.fixture
def starred(app: Flask, api: FakeAPI, engine: Engine) -> int:
    """A follower with the tag that the platform has from the start."""
    FakePlatform.of(app).follower("o1").text("你好")
    api.follower_acted("o1", "follow")
    with api.store.opened() as state:
        state.followers["o1"].tags = [2]
    with engine.connect() as connection:
        follower_id = int(connection.scalars(select(Follower.id)).one())
    tag = {
        "id": 5,
        "account_id": services(app).account_id,
        "name": "星标",
        "colour": "blue",
        "platform_id": 2,
    }
    write(engine, insert(Tag).values(tag))
    write(engine, insert(FollowerTag).values(follower_id=follower_id, tag_id=5))
    return follower_id


@pytest.fixture
def conditional(admin: Browser, starred: int) -> Editor:
    """The editor of a conditional menu that begins as the default menu, which is published."""
    compose(Editor(admin))
    publish(admin)
    made = admin.post(NEW, form_at="/admin/menu")
    return Editor(admin, made.location)


def names(api: FakeAPI, openid: str = "o1") -> list[str]:
    return [button["name"] for button in api.menu_of(openid)]


def test_a_menu_for_a_tag_is_made_published_and_tried(
    conditional: Editor, admin: Browser, api: FakeAPI, engine: Engine, starred: int
) -> None:
    assert [button["name"] for button in conditional.menu] == ["网店", "更多"]
    assert "还没有选谁看到它" in conditional.page
    assert publish(admin, conditional.path).status_code == 422
    conditional.do(name="会员", tag="2")
    assert "还没有选谁看到它" not in conditional.page
    conditional.do("add:")  # a step keeps what was chosen
    conditional.do("remove", tag="2")
    assert 'value="2" selected>星标' in conditional.page
    answer = publish(admin, conditional.path)
    assert answer.location == conditional.path
    page = admin.get(answer.location).text
    assert "最多五分钟后换成新菜单" in page
    assert "草稿和微信上的菜单一样。" in page
    assert (names(api), names(api, "o2")) == (["会员", "更多"], ["网店", "更多"])
    assert {"conditional_menu_created", "menu_saved", "menu_published"} <= set(audited(engine))
    tried = admin.get(f"/admin/menu/try?follower={starred}").text
    assert tried.count("会员") == 2
    made_up = admin.get("/admin/menu/try?client=1").text
    assert "默认菜单" in made_up
    assert "会员" not in made_up
    assert "会员" in admin.get("/admin/menu/try?tag=2&client=1").text


def test_what_differs_is_told_with_who_sees_it(conditional: Editor, admin: Browser, api: FakeAPI) -> None:
    conditional.do(name="会员", tag="2")
    publish(admin, conditional.path)
    conditional = Editor(admin, conditional.path)
    conditional.do(tag="2", client="1")
    review = admin.get(f"{conditional.path}/publish").text
    assert "谁看到：星标 改为 星标 · 苹果手机" in review
    assert "星标 · 苹果手机" in admin.get(f"{conditional.path}/versions/3").text
    assert admin.get("/admin/menu/versions/3").status_code == 404
    seen = hidden(conditional.page, "seen")
    admin.post(f"{conditional.path}/versions/2/restore", form_at="/admin/menu", seen=seen)
    assert 'value="1" selected>苹果手机' not in admin.get(conditional.path).text


def test_the_second_of_two_editors_sees_both_conditions(conditional: Editor, signed_in: SignIn) -> None:
    other = Editor(signed_in(Role.OPERATOR, "wang"), conditional.path)
    conditional.do(tag="2")
    answer = other.do(tag="", client="3")
    assert answer.status_code == 409
    assert "<p>星标</p>" in answer.text
    assert "<p>其他客户端</p>" in answer.text
    form = {name: hidden(answer.text, name) for name in ("menu", "seen", "tag", "client")}
    other.browser.post(f"{conditional.path}/conflict", form_at="/admin/menu", **form, keep="mine")
    assert 'value="3" selected' in other.browser.get(conditional.path).text


@pytest.mark.parametrize("condition", [{"tag": "x"}, {"client": "4"}, {"tag": "1" * 17}])
def test_a_condition_that_makes_no_sense_is_refused(conditional: Editor, condition: dict[str, str]) -> None:
    assert conditional.do(**condition).status_code == 400


def test_the_order_is_changed_here_and_at_the_platform(
    conditional: Editor, admin: Browser, api: FakeAPI
) -> None:
    conditional.do(name="会员", tag="2")
    publish(admin, conditional.path)
    second = Editor(admin, admin.post(NEW, form_at="/admin/menu").location)
    second.do(name="安卓", client="2")
    publish(admin, second.path)
    assert names(api)[0] == "安卓"
    api.errcodes["/cgi-bin/menu/addconditional"] = [65305]
    answer = admin.post(f"{conditional.path}/up", form_at="/admin/menu")
    page = admin.get(answer.location).text
    assert "微信上的先后没有改成" in page
    assert "先后和这里不一样" in page
    assert names(api)[0] == "安卓"
    admin.post(f"{NEW}/order", form_at="/admin/menu")
    assert names(api)[0] == "会员"
    assert "先后和这里不一样" not in admin.get("/admin/menu").text


def test_menus_that_were_made_elsewhere_are_taken_over(
    conditional: Editor, admin: Browser, app: Flask
) -> None:
    client = services(app).client
    assert client
    client.menu.add_conditional((Button("别处", "click", key="k"),), {"tag_id": "77"})
    assert "另有 1 套个性化菜单" in admin.get("/admin/menu?again=1").text
    admin.post(f"{NEW}/adopt", form_at="/admin/menu")
    page = admin.get("/admin/menu").text
    assert "标签 77" in page
    assert "不是在这里做的" not in page


def test_deleting_asks_twice_and_tells_what_happens(
    conditional: Editor, admin: Browser, api: FakeAPI, engine: Engine
) -> None:
    conditional.do(name="会员", tag="2")
    publish(admin, conditional.path)
    page = admin.get("/admin/menu/delete").text
    assert "1 套个性化菜单会一起删掉" in page
    path = f"{conditional.path}/delete"
    assert "不能恢复" in admin.get(path).text
    assert admin.post(path, form_at="/admin/menu").status_code == 422
    assert names(api)[0] == "会员"
    assert "已删除" in admin.get(admin.post(path, form_at="/admin/menu", sure="1").location).text
    assert names(api)[0] == "网店"
    assert admin.get(conditional.path).status_code == 404
    assert admin.post(path, form_at="/admin/menu", sure="1").status_code == 404
    assert "conditional_menu_deleted" in audited(engine)


def test_without_a_default_menu_the_page_says_what_to_do_first(admin: Browser) -> None:
    conditional = Editor(admin, admin.post(NEW, form_at="/admin/menu").location)
    assert "先发布它，再发布个性化菜单" in admin.get(f"{conditional.path}/publish").text


def test_the_platform_may_not_know_whom_it_is_asked_about(
    conditional: Editor, admin: Browser, api: FakeAPI, starred: int, engine: Engine
) -> None:
    write(engine, update(Follower).values(openid="o9"))
    assert "没有匹配到该用户" in admin.get(f"/admin/menu/try?follower={starred}").text


def test_a_viewer_reads_and_an_operator_does_not_order(conditional: Editor, signed_in: SignIn) -> None:
    viewer = signed_in(Role.VIEWER, "kan")
    assert viewer.get(conditional.path).status_code == 200
    assert viewer.get("/admin/menu/try").status_code == 200
    operator = signed_in(Role.OPERATOR, "wang")
    for path in (f"{conditional.path}/up", f"{NEW}/order", f"{NEW}/adopt", f"{conditional.path}/delete"):
        assert operator.post(path).status_code == 403
