"""The editor of the menu: what operators do with it, and what they are told when something is wrong."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select, update
from werkzeug.test import TestResponse

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.database.transactions import write
from wechat_bot.models import MenuState, MenuVersion, Role
from wechat_bot.routing.answers import TextAnswer
from wechat_bot.routing.definitions import Rule, Trigger, TriggerKind
from wechat_bot.services.accounts.capabilities import Feature
from wechat_bot.services.audit import Actor
from wechat_bot.services.rules import editing, reading
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.api.menu import Button
from wechat_bot.wiring import services

CREATE = "/cgi-bin/menu/create"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    return html.unescape(found[1]) if found else ""


class Editor:
    """The form of the editor, as a browser without JavaScript sends it."""

    def __init__(self, browser: Browser, path: str = "/admin/menu") -> None:
        self.browser = browser
        self.path = path
        self.page = browser.get(path).text

    def do(self, step: str = "save", **fields: str) -> TestResponse:
        form = {name: hidden(self.page, name) for name in ("menu", "seen", "at")}
        answer = self.browser.post(f"{self.path}/draft", form_at="/admin/menu", **form, do=step, **fields)
        if answer.status_code == 303:
            self.page = self.browser.get(answer.location).text
        return answer

    @property
    def menu(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(hidden(self.page, "menu"))
        return found


@pytest.fixture
def editor(admin: Browser) -> Editor:
    return Editor(admin)


def compose(editor: Editor) -> None:
    """A menu of a link, and a sub-menu with a button that is answered."""
    editor.do("add:")
    editor.do(name="网店", type="view", url="https://shop.example.com/")
    editor.do("add:")
    editor.do("add:1", name="更多")
    editor.do(name="帮助", type="click", key="MENU_HELP")


def publish(browser: Browser, path: str = "/admin/menu", **form: str) -> TestResponse:
    page = browser.get(f"{path}/publish").text
    form = {name: hidden(page, name) for name in ("seen", "live")} | form
    return browser.post(f"{path}/publish", form_at="/admin/menu/publish", **form)


def state(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(MenuVersion.state).order_by(MenuVersion.number)))


@pytest.mark.parametrize(
    ("enabled", "told"), [(True, "这些是自动回复“帮助”的回答"), (False, "events.help_button")]
)
def test_the_rule_that_takes_a_key_is_named(
    editor: Editor, admin: Browser, app: Flask, engine: Engine, enabled: bool, told: str
) -> None:
    compose(editor)
    trigger = Trigger(TriggerKind.MENU, keys=("MENU_HELP",))
    rule = Rule("帮助", trigger, (TextAnswer("请说"),), enabled=enabled)
    editing.add_all(engine, Actor(None, "li", ""), services(app).account_id, [rule])
    assert told in admin.get("/admin/menu?at=1.0").text


def test_a_menu_is_composed_published_and_tapped(
    editor: Editor, admin: Browser, api: FakeAPI, app: Flask, engine: Engine
) -> None:
    assert "还没有菜单" in editor.page
    compose(editor)
    assert editor.menu == [
        {"name": "网店", "type": "view", "url": "https://shop.example.com/"},
        {"name": "更多", "sub_button": [{"name": "帮助", "type": "click", "key": "MENU_HELP"}]},
    ]
    assert "events.help_button" in editor.page
    assert "新增“网店”" in editor.page
    assert editor.do("review").location == "/admin/menu/publish"
    answer = publish(admin)
    assert answer.status_code == 303
    page = admin.get(answer.location).text
    assert "最多五分钟后换成新菜单" in page
    assert "草稿和微信上的菜单一样。" in page
    assert [button["name"] for button in api.menu_of("o1")] == ["网店", "更多"]
    assert state(engine) == ["published"]
    assert {"menu_saved", "menu_published"} <= set(audited(engine))

    platform = FakePlatform.of(app)
    for openid in ("o1", "o2", "o3"):
        platform.follower(openid).click("MENU_HELP")
    for openid, address in (("o4", "https://shop.example.com/"), ("o5", "https://elsewhere.example.com/")):
        follower = platform.follower(openid)
        follower.push(follower.event("VIEW", EventKey=address))
    assert "近 7 天 3 次，近 30 天 3 次" in admin.get("/admin/menu?at=1.0").text
    assert "近 7 天 1 次，近 30 天 1 次" in admin.get("/admin/menu?at=0").text


@pytest.fixture
def answered(editor: Editor) -> Editor:
    """The editor of a button that has an answer."""
    editor.do("add:")
    editor.do(name="地址", type="click")
    editor.do(**says("人民路 1 号"))
    return editor


def rules(app: Flask) -> list[dict[str, Any]]:
    return [entry.definition for entry in reading.entries(services(app).engine, services(app).account_id)]


def says(text: str) -> dict[str, str]:
    """The fields of an answer."""
    return {"answers[0].kind": "text", "answers[0].text": text}


def rule_fields(editor: Editor) -> dict[str, str]:
    return {name: hidden(editor.page, name) for name in ("rule", "rule_version")}


def test_the_answers_of_a_button_are_written_beside_it(answered: Editor, app: Flask, engine: Engine) -> None:
    [rule] = rules(app)
    assert rule["name"] == "地址"
    assert rule["trigger"] == {"type": "menu", "keys": [answered.menu[0]["key"]]}
    assert "人民路 1 号" in answered.page
    answer = FakePlatform.of(app).follower("o1").click(answered.menu[0]["key"])
    assert "人民路 1 号" in str(answer)
    answered.do(**rule_fields(answered), **says("海边"), name="我们")
    assert [each["answers"] for each in rules(app)] == [[{"kind": "text", "text": "海边"}]]
    assert answered.menu[0]["name"] == "我们"
    answered.do(**rule_fields(answered), **says("海边"), key="where")
    assert rules(app)[0]["trigger"]["keys"] == [rule["trigger"]["keys"][0], "where"]
    assert audited(engine).count("rule_edited") == 2


def test_a_button_whose_answer_stays_empty_makes_no_rule(editor: Editor, app: Flask) -> None:
    editor.do("add:")
    editor.do(name="地址", type="click", **says(""))
    editor.do("go:0", **says(""))
    assert rules(app) == []


def test_answers_are_added_without_a_script_and_what_was_typed_stays(answered: Editor, app: Flask) -> None:
    page = answered.do(**says("人民路"), name="店址", add="answers").text
    assert 'name="answers[1].kind"' in page
    assert "人民路" in page
    assert 'value="店址"' in page
    assert rules(app)[0]["answers"] == [{"kind": "text", "text": "人民路 1 号"}]


def test_an_answer_that_is_not_valid_stores_neither_it_nor_the_button(answered: Editor, app: Flask) -> None:
    before = answered.menu
    answer = answered.do("add:", **rule_fields(answered), **says(""), name="店址")
    assert (answer.status_code, "还没有保存" in answer.text) == (422, True)
    assert 'value="店址"' in answer.text
    assert Editor(answered.browser).menu == before


def test_a_file_is_uploaded_with_the_answers_of_a_button(answered: Editor, app: Flask) -> None:
    picture = rule_fields(answered) | {"answers[0].kind": "image", "answers[0].file_id.image": ""}

    def upload(content: bytes, name: str) -> TestResponse:
        file: Any = {"answers[0].file_id.image.upload": (BytesIO(content), name)}
        return answered.do(**picture, **file, name="店址")

    bad = upload(b"MZ", "a.exe")
    assert (bad.status_code, "没有存入：" in bad.text, 'value="店址"' in bad.text) == (422, True, True)
    assert rules(app)[0]["answers"] == [{"kind": "text", "text": "人民路 1 号"}]
    assert upload(PNG, "地图.png").status_code == 303
    assert rules(app)[0]["answers"] == [{"kind": "image", "file_id": 1}]
    assert "地图.png" in answered.page


def test_answers_that_somebody_else_changed_are_not_overwritten(answered: Editor, app: Flask) -> None:
    stale = rule_fields(answered)
    before = answered.menu
    texts = [says("我的"), says("对方的")]
    answered.do(**stale, **texts[1])
    answer = answered.do(**stale, **texts[0], name="店址")
    assert answer.status_code == 409
    assert "别人改过这条规则" in answer.text
    assert rules(app)[0]["answers"][0]["text"] == "对方的"
    assert Editor(answered.browser).menu == before
    answered.page = answer.text
    answered.do(**rule_fields(answered), **texts[0], name="店址")
    assert rules(app)[0]["answers"][0]["text"] == "我的"
    assert answered.menu[0]["name"] == "店址"


def test_buttons_are_moved_and_removed_without_a_script(editor: Editor) -> None:
    compose(editor)
    editor.do("add:1", name="帮助")
    editor.do("up", name="订单", type="click")
    names = [button["name"] for button in editor.menu[1]["sub_button"]]
    assert names == ["订单", "帮助"]
    assert re.fullmatch(r"menu-[0-9a-f]{8}", editor.menu[1]["sub_button"][0]["key"])
    editor.do("move:1.1>0.0")
    assert [button["name"] for button in editor.menu[0]["sub_button"]] == ["帮助"]
    editor.do("go:1")
    editor.do("left")
    assert [button["name"] for button in editor.menu] == ["更多", "网店"]
    editor.do("remove")
    assert [button["name"] for button in editor.menu] == ["网店"]


@pytest.mark.parametrize("step", ["left", "up", "move:0>9", "move:x>y", "add:7", "step:0>nowhere", "remove"])
def test_a_step_that_does_not_fit_changes_nothing(editor: Editor, step: str) -> None:
    compose(editor)
    before = editor.menu
    editor.do("go:0")
    if step == "remove":
        editor.page = re.sub(r'name="at" value="0"', 'name="at" value="5.5"', editor.page)
    editor.do(step)
    assert "那里放不下" in editor.page
    assert editor.menu == before


def test_everything_that_is_wrong_is_said_at_its_button_and_nothing_is_lost(
    editor: Editor, admin: Browser, api: FakeAPI, engine: Engine
) -> None:
    editor.do("add:")
    editor.do(name="这个名字实在太长了", type="view", url="shop.example.com")
    assert "名称有 27 字节，超过了 16 字节" in editor.page
    assert "网址要以 http:// 或 https:// 开头" in editor.page
    assert editor.menu[0]["name"] == "这个名字实在太长了"
    page = admin.get("/admin/menu/publish").text
    assert "改好才能发布" in page
    assert publish(admin).status_code == 422
    assert CREATE not in api.calls
    assert state(engine) == ["draft"]
    editor.do(name="", type="")
    assert "还没有名称。" in editor.page
    assert "还没有选点了以后做什么" in editor.page


def test_a_field_without_end_is_refused_with_a_sentence(editor: Editor) -> None:
    editor.do("add:")
    answer = editor.do(name="x" * 2001)
    assert answer.status_code == 400
    assert "超过了 2000 个字符" in answer.text


@pytest.mark.parametrize("menu", ["{broken", "[" * 99_999, '[{"name": 1.5, "sub_button": 3}]'])
def test_a_page_with_a_broken_menu_is_refused_with_a_sentence(admin: Browser, menu: str) -> None:
    for path in ("/admin/menu/draft", "/admin/menu/conflict"):
        answer = admin.post(path, form_at="/admin/menu", menu=menu, seen="", keep="mine")
        assert (answer.status_code, "读不懂" in answer.text) == (400, True)


def test_the_second_of_two_editors_sees_the_difference_and_chooses(
    editor: Editor, signed_in: SignIn, engine: Engine
) -> None:
    compose(editor)
    other = Editor(signed_in(Role.OPERATOR, "wang"))
    other.do("go:0")
    editor.do("go:0")
    editor.do(name="商城")
    answer = other.do(name="小店")
    assert answer.status_code == 409
    assert "li" in answer.text
    assert "“商城”：改名为“小店”" in answer.text
    form = {name: hidden(answer.text, name) for name in ("menu", "seen")}
    other.browser.post("/admin/menu/conflict", form_at="/admin/menu", **form, keep="mine")
    assert Editor(editor.browser).menu[0]["name"] == "小店"
    history = editor.browser.get("/admin/menu/versions/1").text
    assert "商城" in history
    assert editor.do(name="我的店").status_code == 409
    form = {name: hidden(editor.do(name="我的店").text, name) for name in ("menu", "seen")}
    editor.browser.post("/admin/menu/conflict", form_at="/admin/menu", **form, keep="theirs")
    assert Editor(editor.browser).menu[0]["name"] == "小店"
    assert "我的店" in editor.browser.get("/admin/menu/versions/3").text
    assert state(engine) == ["withdrawn", "draft", "withdrawn"]


def test_who_publishes_a_draft_that_was_changed_meanwhile_looks_again(
    editor: Editor, admin: Browser, api: FakeAPI
) -> None:
    compose(editor)
    page = admin.get("/admin/menu/publish").text
    seen = hidden(page, "seen")
    editor.do(name="求助")
    answer = publish(admin, seen=seen)
    assert answer.status_code == 409
    assert "草稿刚刚被改过" in answer.text
    assert CREATE not in api.calls
    client = services(editor.browser.client.application).client
    assert client
    live = hidden(admin.get("/admin/menu/publish").text, "live")
    client.menu.create((Button("别处", "click", key="k"),))
    answer = publish(admin, live=live)
    assert answer.status_code == 409
    assert "微信上的菜单刚刚被换过" in answer.text
    assert publish(admin).status_code == 303


def test_a_refusal_is_shown_at_the_button_meant(editor: Editor, admin: Browser, api: FakeAPI) -> None:
    compose(editor)
    api.errcodes[CREATE] = [40054]
    editor.do("go:1.0", name="更多")
    editor.do(name="官网", type="view", url="https://www.example.com/")
    answer = publish(admin)
    assert answer.location == "/admin/menu?at=1.0"
    page = admin.get(answer.location).text
    assert "没有发布成，粉丝看到的还是原来的菜单" in page
    assert "子按钮链接的域名不合法" in page
    assert "可能是因为这个按钮" in page
    assert publish(admin).status_code == 303
    assert "可能是因为这个按钮" not in admin.get("/admin/menu?at=1.0").text


def test_a_platform_that_is_away_is_told_and_the_draft_can_be_edited(
    editor: Editor, admin: Browser, api: FakeAPI, engine: Engine
) -> None:
    compose(editor)
    for path in ("/cgi-bin/get_current_selfmenu_info", CREATE):
        api.errcodes[path] = [-1] * 99
    page = admin.get("/admin/menu?again=1").text
    assert "没有读到微信上的菜单" in page
    answer = publish(admin)
    assert "每分钟会再试一次" in admin.get(answer.location).text
    assert state(engine) == ["scheduled"]
    admin.post("/admin/menu/versions/1/cancel", form_at="/admin/menu")
    assert state(engine) == ["draft"]
    editor = Editor(admin)
    editor.do(name="商城")
    assert editor.menu[0]["name"] == "商城"


def test_a_menu_is_published_at_a_time_of_the_operator(
    editor: Editor, admin: Browser, api: FakeAPI, app: Flask, engine: Engine
) -> None:
    compose(editor)
    for at, problem in (
        ("", "请选发布的日期"),
        ("nonsense", "请选发布的日期"),
        ("2020-01-01T08:00", "在现在之后"),
    ):
        answer = publish(admin, later="1", at=at)
        assert (answer.status_code, problem in answer.text) == (422, True)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    local = (tomorrow + timedelta(hours=8)).strftime("%Y-%m-%dT%H:%M")
    assert publish(admin, later="1", at=local).status_code == 303
    assert "等待发布" in admin.get("/admin/menu").text
    bot = services(app)
    bot.menus.publish_due(bot.account_id, tomorrow - timedelta(minutes=2))
    assert api.menu_of("o1") == []
    bot.menus.publish_due(bot.account_id, tomorrow)
    assert len(api.menu_of("o1")) == 2
    assert admin.post("/admin/menu/versions/1/cancel", form_at="/admin/menu").status_code == 409


def test_any_version_becomes_the_draft_again(editor: Editor, admin: Browser, engine: Engine) -> None:
    compose(editor)
    publish(admin)
    editor = Editor(admin)
    editor.do(name="别的名字")
    page = admin.get("/admin/menu/versions/1").text
    assert "“别的名字”：改名为“网店”" in page
    seen = hidden(page, "seen")
    assert admin.post("/admin/menu/versions/1/restore", form_at="/admin/menu", seen=seen).status_code == 303
    assert Editor(admin).menu[0]["name"] == "网店"
    assert state(engine) == ["published", "withdrawn", "draft"]
    stale = admin.post("/admin/menu/versions/2/restore", form_at="/admin/menu", seen=seen)
    assert stale.status_code == 409
    assert admin.get("/admin/menu/versions/9").status_code == 404


def test_the_menu_of_the_platforms_console_is_where_the_editor_begins(
    admin: Browser, api: FakeAPI, engine: Engine
) -> None:
    api.set_console(
        menu=[
            {"name": "客服", "type": "text", "value": "请留言"},
            {"name": "官网", "type": "view", "url": "https://www.example.com/"},
        ]
    )
    editor = Editor(admin)
    assert [button["name"] for button in editor.menu] == ["客服", "官网"]
    assert "接口发布不了" in editor.page
    assert state(engine) == []
    editor.do("go:1")
    editor.do(name="首页")
    publish(admin)
    assert [button["name"] for button in api.menu_of("o1")] == ["首页"]
    kept = admin.get("/admin/menu/versions/2").text
    assert "客服" in kept
    assert "微信上原有的" in kept


def test_deleting_asks_twice(editor: Editor, admin: Browser, api: FakeAPI) -> None:
    compose(editor)
    publish(admin)
    assert admin.post("/admin/menu/delete", form_at="/admin/menu").status_code == 422
    assert api.menu_of("o1")
    api.errcodes["/cgi-bin/menu/delete"] = [40028]
    answer = admin.post("/admin/menu/delete", form_at="/admin/menu", sure="1")
    assert (answer.status_code, "菜单的使用者不合法" in answer.text) == (502, True)
    answer = admin.post("/admin/menu/delete", form_at="/admin/menu", sure="1")
    assert "菜单已删除" in admin.get(answer.location).text
    assert api.menu_of("o1") == []


def test_an_account_without_the_api_gets_a_list_to_copy(app: Flask, admin: Browser) -> None:
    services(app).capabilities.record_response(services(app).account_id, Feature.MENU, allowed=False)
    editor = Editor(admin)
    compose(editor)
    assert "在公众平台后台这样填写" in editor.page
    assert 'data-copy="https://shop.example.com/"' in editor.page
    assert "48001" in editor.page
    assert 'value="review"' not in editor.page
    assert publish(admin).status_code == 409


def test_a_broken_version_is_said_and_the_history_still_opens(
    editor: Editor, admin: Browser, engine: Engine
) -> None:
    compose(editor)
    publish(admin)
    write(engine, update(MenuVersion).values(buttons="{broken"))
    page = admin.get("/admin/menu").text
    assert "内容坏了，读不出来" in page
    assert admin.get("/admin/menu/versions/1").status_code == 200
    answer = admin.post("/admin/menu/versions/1/restore", form_at="/admin/menu", seen="1.1")
    assert answer.status_code == 409
    Editor(admin).do("add:")
    assert state(engine) == [MenuState.PUBLISHED, MenuState.DRAFT]


def test_a_viewer_reads_and_an_operator_does_not_publish(
    editor: Editor, signed_in: SignIn, api: FakeAPI
) -> None:
    compose(editor)
    viewer = signed_in(Role.VIEWER, "kan")
    page = viewer.get("/admin/menu?at=1.0").text
    assert "disabled" in page
    assert 'name="do" value="go' not in page
    assert viewer.post("/admin/menu/draft", menu="[]", seen="").status_code == 403
    operator = signed_in(Role.OPERATOR, "wang")
    assert "管理员可以发布" in operator.get("/admin/menu").text
    assert operator.get("/admin/menu/publish").status_code == 403
    assert operator.post("/admin/menu/publish", seen="", live="").status_code == 403
    assert operator.post("/admin/menu/delete", sure="1").status_code == 403


def test_nothing_in_a_menu_becomes_markup(editor: Editor) -> None:
    editor.do("add:")
    editor.do(name='<b>"x"</b>', type="view", url='https://a.example/"><script>alert(1)</script>')
    assert "<b>" + '"x"' not in editor.page
    assert "<script>alert" not in editor.page
