"""The page of the import: what an admin is told of the platform's console, and what is stored."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select
from werkzeug.test import TestResponse

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.blueprints.admin.test_menus import hidden
from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.blueprints.admin.importer import DIFFERENCES, NOTES, OUTCOMES, SOURCES, sentence
from wechat_bot.models import MenuState, MenuVersion, Role
from wechat_bot.routing.answers import TextAnswer
from wechat_bot.routing.definitions import MAX_RULES, Rule, Trigger, TriggerKind
from wechat_bot.services.audit import Actor
from wechat_bot.services.rules import editing, reading
from wechat_bot.services.rules.conversion import Note, NoteCode, Outcome, Source
from wechat_bot.services.rules.importer import Difference
from wechat_bot.simulator import sample_console
from wechat_bot.testing import FakeAPI
from wechat_bot.wiring import services

PATH = "/admin/import"
SOMEBODY = Actor(None, "li", "")
RULE = Rule("甲", Trigger(TriggerKind.FOLLOWED), (TextAnswer("欢迎"),))


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


def read(browser: Browser, do: str = "read", **form: str) -> TestResponse:
    return browser.post(PATH, form_at=PATH, do=do, **form)


def store(browser: Browser, page: str) -> TestResponse:
    return read(browser, "store", seen=hidden(page, "seen"))


def names(app: Flask) -> list[str]:
    bot = services(app)
    return [entry.rule.name for entry in reading.entries(bot.engine, bot.account_id)]


def set_replies(api: FakeAPI, **replies: str) -> None:
    """Set a rule of the name and keyword of each reply."""
    rules: list[dict[str, Any]] = [
        {
            "rule_name": name,
            "create_time": 1,
            "reply_mode": "reply_all",
            "keyword_list_info": [{"type": "text", "match_mode": "equal", "content": name}],
            "reply_list_info": [{"type": "text", "content": text}],
        }
        for name, text in replies.items()
    ]
    api.set_console(auto_replies={"is_autoreply_open": 1, "keyword_autoreply_info": {"list": rules}})


def test_an_admin_reads_what_becomes_of_a_shop_and_imports_it(
    admin: Browser, app: Flask, api: FakeAPI, engine: Engine
) -> None:
    sample_console.set_up(api)
    assert "读取后台的设置" in admin.get(PATH).text
    page = read(admin).text
    assert names(app) == []
    assert "新的规则：36 条" in page
    assert "接口发布不了这种按钮：视频号。" in page
    assert "分成两条规则" in page
    assert "服务 › 联系电话" in page
    answer = store(admin, page)
    assert (answer.status_code, answer.location) == (303, PATH)
    assert "已导入 36 条规则" in admin.get(PATH).text
    assert len(names(app)) == 36
    assert "rules_imported" in audited(engine)


def test_the_menu_with_the_keys_of_the_rules_is_in_the_history_of_the_menu(
    admin: Browser, api: FakeAPI, engine: Engine
) -> None:
    sample_console.set_up(api)
    store(admin, read(admin).text)
    with engine.connect() as connection:
        [version] = connection.execute(select(MenuVersion.state, MenuVersion.buttons)).all()
    assert version.state == MenuState.WITHDRAWN
    assert '"key": "imported-1"' in version.buttons


def test_a_second_import_shows_only_the_difference(
    admin: Browser, app: Flask, api: FakeAPI, engine: Engine
) -> None:
    set_replies(api, 甲="一", 乙="二", 丙="三")
    store(admin, read(admin).text)
    bot = services(app)
    editing.delete(engine, SOMEBODY, bot.account_id, 1)
    set_replies(api, 甲="一", 乙="二", 丙="三百", 丁="四")
    page = read(admin).text
    assert "新的规则：1 条" in page
    assert "不再列出：1 条" in page
    assert "<td>乙</td>" not in page
    assert "<td>丁</td>" in page
    assert str(DIFFERENCES[Difference.CHANGED_HERE]) in page
    assert str(DIFFERENCES[Difference.CHANGED_THERE]) in page
    store(admin, page)
    assert names(app) == ["乙", "丙", "丁"]
    page = read(admin).text
    assert 'value="store"' not in page


def test_a_second_import_of_the_same_has_nothing_to_show(admin: Browser, api: FakeAPI) -> None:
    set_replies(api, 甲="一")
    store(admin, read(admin).text)
    assert "没有什么要导入" in read(admin).text


def test_nothing_is_stored_that_the_admin_has_not_seen(admin: Browser, app: Flask, api: FakeAPI) -> None:
    set_replies(api, 甲="一")
    page = read(admin).text
    set_replies(api, 甲="一", 乙="二")
    answer = store(admin, page)
    assert answer.status_code == 409
    assert "公众平台后台刚刚改过" in answer.text
    assert "<td>乙</td>" in answer.text
    assert names(app) == []
    assert store(admin, answer.text).status_code == 303
    assert names(app) == ["甲", "乙"]


def test_more_rules_than_there_may_be_are_refused(
    admin: Browser, app: Flask, api: FakeAPI, engine: Engine
) -> None:
    bot = services(app)
    editing.add_all(engine, SOMEBODY, bot.account_id, [RULE] * MAX_RULES)
    set_replies(api, 乙="二")
    answer = store(admin, read(admin).text)
    assert answer.status_code == 422
    assert f"规则会超过 {MAX_RULES} 条" in answer.text
    assert len(names(app)) == MAX_RULES


def test_the_report_can_be_taken_along(admin: Browser, api: FakeAPI, engine: Engine) -> None:
    set_replies(api, 甲="一", 乙="{{二}}")
    answer = read(admin, "csv")
    assert answer.mimetype == "text/csv"
    lines = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert lines == [
        ["source", "name", "outcome", "difference", "notes"],
        ["keywords", "甲", "taken", "new", ""],
        ["keywords", "乙", "changed", "new", str(NOTES[NoteCode.VARIABLE])],
    ]
    assert "exported" in audited(engine)


def test_a_machine_off_the_white_list_is_told_the_address_to_enter(admin: Browser, api: FakeAPI) -> None:
    with api.store.opened() as state:
        state.account.allowed_ips = ["198.51.100.1"]
    answer = read(admin)
    assert answer.status_code == 502
    assert "IP白名单”中加入 127.0.0.1。" in answer.text
    assert "读取后台的设置" in answer.text


def test_an_account_without_the_permission_is_told_so(admin: Browser, api: FakeAPI) -> None:
    api.errcodes["/cgi-bin/get_current_autoreply_info"] = [48001]
    answer = read(admin)
    assert answer.status_code == 502
    assert "（48001）" in answer.text


def test_an_account_without_a_secret_is_told_what_it_lacks(make_app: MakeApp, signed_in: SignIn) -> None:
    signed_in(Role.ADMIN)
    browser = Browser(make_app().test_client())
    browser.sign_in("li")
    page = browser.get(PATH).text
    assert "没有 AppID 和 AppSecret" in page
    assert "读取后台的设置" not in page


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_admins_import(signed_in: SignIn, role: Role) -> None:
    browser = signed_in(role)
    assert browser.get(PATH).status_code == 403
    assert browser.post(PATH, do="read").status_code == 403
    assert PATH not in browser.get("/admin/menu").text


def test_the_page_of_the_menu_leads_to_the_import(admin: Browser) -> None:
    assert f'href="{PATH}"' in admin.get("/admin/menu").text


@pytest.mark.parametrize("code", NoteCode)
def test_every_note_is_a_sentence(app: Flask, code: NoteCode) -> None:
    with app.test_request_context(headers={"Accept-Language": "zh"}):
        assert sentence(Note(code, "40007 invalid media_id")).endswith(("。", "40007 invalid media_id"))


def test_every_source_and_outcome_has_a_name() -> None:
    assert (set(SOURCES), set(OUTCOMES)) == (set(Source), set(Outcome))
    assert set(DIFFERENCES) == set(Difference) - {Difference.NEW, Difference.SAME}
