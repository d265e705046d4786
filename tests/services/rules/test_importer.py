"""The import of what the account had set in the platform's console."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from tests.conftest import APP_SECRET, MakeApp
from tests.routing.test_rules import answering, rule_set, text
from wechat_bot.handlers import rules
from wechat_bot.models import AuditEntry, LibraryFile
from wechat_bot.routing import Router
from wechat_bot.routing.answers import MissingFile
from wechat_bot.routing.definitions import TriggerKind
from wechat_bot.services.audit import Actor
from wechat_bot.services.media.formats import RefusalReason
from wechat_bot.services.rules import editing, reading
from wechat_bot.services.rules.conversion import Note, NoteCode, Outcome
from wechat_bot.services.rules.files import media_id
from wechat_bot.services.rules.importer import Difference, Importer
from wechat_bot.simulator import sample_console
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.simulator.state import SimulatedAccount
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.api import WeChatClient
from wechat_bot.wechat.errors import Forbidden, NotWhitelisted
from wechat_bot.wechat.replies import ImageReply
from wechat_bot.wiring import services

SOMEBODY = Actor(None, "li", "")


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


@pytest.fixture
def importer(app: Flask) -> Importer:
    return services(app).importer


@pytest.fixture
def account_id(app: Flask) -> int:
    return services(app).account_id


def rows(engine: Engine, model: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(model.__table__)).all())


def names(engine: Engine, account_id: int) -> list[str]:
    return [entry.rule.name for entry in reading.entries(engine, account_id)]


def text_rule(name: str, say: str) -> dict[str, Any]:
    return {
        "rule_name": name,
        "create_time": 1,
        "reply_mode": "reply_all",
        "keyword_list_info": [{"type": "text", "match_mode": "equal", "content": name}],
        "reply_list_info": [{"type": "text", "content": say}],
    }


def set_rules(api: FakeAPI, *rules: dict[str, Any]) -> None:
    api.set_console(auto_replies={"is_autoreply_open": 1, "keyword_autoreply_info": {"list": list(rules)}})


def test_a_shop_with_200_rules_is_imported_with_its_files(
    importer: Importer, engine: Engine, account_id: int, api: FakeAPI
) -> None:
    sample_console.set_up(api, rules=200)
    report = importer.report(SOMEBODY, account_id)
    assert reading.entries(engine, account_id) == []
    assert {row.kind for row in rows(engine, LibraryFile)} == {"image", "voice", "video"}
    assert report.counts == {Outcome.TAKEN: 188, Outcome.CHANGED: 30, Outcome.IMPOSSIBLE: 1}
    assert [button.name for button in report.menu] == ["商城", "服务", "优惠"]
    added = importer.store(SOMEBODY, account_id, report)
    assert len(added) == len(report.rules) == 216
    kinds = [entry.rule.trigger.type for entry in added]
    assert (kinds[0], kinds[-5]) == (TriggerKind.FOLLOWED, TriggerKind.NOTHING_MATCHED)
    assert kinds[-4:] == [TriggerKind.MENU] * 4
    asked = rule_set(*(entry.rule for entry in added))
    assert importer.client
    for name in [each.rule_name for each in importer.client.system.auto_replies().keyword_autoreply_info]:
        assert added[(answering(asked, text(name)) or 0) - 1].rule.name == name
    assert added[(answering(asked, text("我要退款")) or 0) - 1].rule.name == "退款怎么办（半匹配）"
    assert added[(answering(asked, text("你好")) or 0) - 1].rule.name == "收到消息回复"
    assert api.unknown == []


def test_rules_that_were_imported_keep_their_files(
    importer: Importer, engine: Engine, account_id: int, api: FakeAPI
) -> None:
    sample_console.set_up(api)
    importer.store(SOMEBODY, account_id, importer.report(SOMEBODY, account_id))
    with engine.connect() as connection:
        used = importer.library.used_by(connection, account_id)
    assert set(used) == {row.id for row in rows(engine, LibraryFile)}
    assert "服务 › 门店地图" in {usage.name for usages in used.values() for usage in usages}
    with pytest.raises(MissingFile):
        media_id(engine, account_id, min(used))
    assert importer.library.renew(account_id, datetime.now(UTC)) == 3
    assert all(media_id(engine, account_id, file_id) for file_id in used)


def test_followers_are_answered_as_before(make_app: MakeApp, api: FakeAPI) -> None:
    router = Router()
    router.include(rules.router)
    router.include(rules.last)
    app = make_app(router, api=api, wechat_app_secret=APP_SECRET)
    bot = services(app)
    sample_console.set_up(api)
    platform = FakePlatform.of(app)
    assert platform.text("退款怎么办") is None
    bot.importer.store(SOMEBODY, bot.account_id, bot.importer.report(SOMEBODY, bot.account_id))
    bot.library.renew(bot.account_id, datetime.now(UTC))
    assert str(platform.follow()).startswith("欢迎关注小店！")
    assert platform.text("退款怎么办") == "退款怎么办？请看说明的第 1 条。"
    assert platform.text("我想退款") == "退款怎么办？请看说明的第 1 条。"
    assert platform.text("在吗") == "收到，客服上班后回复您。"
    assert str(platform.click("imported-1")).startswith("客服电话：010-12345678")
    picture = platform.click("imported-2")
    assert isinstance(picture, ImageReply)
    client = WeChatClient(api.credentials, "https://api.example.com", api.transport)
    assert client.media.download(picture.media_id).content == PNG


def test_a_second_import_adds_nothing_and_tells_what_has_changed_since(
    importer: Importer, engine: Engine, account_id: int, api: FakeAPI
) -> None:
    set_rules(api, *(text_rule(name, name) for name in "甲乙丙丁"))
    entries = importer.store(SOMEBODY, account_id, importer.report(SOMEBODY, account_id))
    renamed = replace(entries[1].rule, name="乙二").to_json()
    editing.save(engine, SOMEBODY, account_id, entries[1].id, 1, renamed)
    editing.delete(engine, SOMEBODY, account_id, entries[2].id)
    set_rules(
        api, *(text_rule(name, name) for name in "甲乙丙"), text_rule("丁", "四"), text_rule("戊", "五")
    )
    report = importer.report(SOMEBODY, account_id)
    assert importer.differences(account_id, report.rules) == [
        Difference.SAME,
        Difference.CHANGED_HERE,
        Difference.CHANGED_HERE,
        Difference.CHANGED_THERE,
        Difference.NEW,
    ]
    assert [entry.rule.name for entry in importer.store(SOMEBODY, account_id, report)] == ["戊"]
    assert names(engine, account_id) == ["甲", "乙二", "丁", "戊"]
    assert importer.store(SOMEBODY, account_id, report) == []


def test_an_import_is_one_entry_of_the_audit_log(
    importer: Importer, engine: Engine, account_id: int, api: FakeAPI
) -> None:
    set_rules(api, text_rule("甲", "一"), text_rule("乙", "二"))
    importer.store(SOMEBODY, account_id, importer.report(SOMEBODY, account_id))
    [entry] = rows(engine, AuditEntry)
    assert (entry.action, entry.after) == ("rules_imported", ["甲", "乙"])


def test_files_that_are_not_to_be_had_must_be_chosen_again(
    importer: Importer, engine: Engine, account_id: int, api: FakeAPI
) -> None:
    expired = api.give_media("image", b"\x89PNG", "a.png", "image/png")
    api.advance(3 * 86400 + 1)
    broken = api.give_media("image", b"no picture", "b.png", "image/png")
    voice = api.give_media("voice", b"\xff\xd8\xff", "c.amr", "audio/amr")
    menu = [
        {"type": kind, "name": name, "value": value}
        for kind, name, value in [
            ("img", "过期", expired),
            ("img", "坏的", broken),
            ("voice", "不是语音", voice),
            ("video", "地址", "https://v.example.com/"),
        ]
    ]
    api.set_console([{"name": "更多", "sub_button": {"list": menu}}])
    report = importer.report(SOMEBODY, account_id)
    reasons = [item.notes[0] for item in report.items]
    assert all(note.code is NoteCode.CHOOSE_AGAIN for note in reasons)
    assert reasons[0].detail.startswith("40007")
    assert reasons[1:] == [
        Note(NoteCode.CHOOSE_AGAIN, RefusalReason.FORMAT),
        Note(NoteCode.CHOOSE_AGAIN, RefusalReason.FORMAT),
        Note(NoteCode.CHOOSE_AGAIN, "address"),
    ]
    assert rows(engine, LibraryFile) == []


def test_an_unverified_account_imports_all_but_its_temporary_files(make_app: MakeApp, api: FakeAPI) -> None:
    api = FakeAPI(api.credentials, account=SimulatedAccount(AccountKind.UNVERIFIED_SUBSCRIPTION))
    bot = services(make_app(api=api, wechat_app_secret=APP_SECRET))
    sample_console.set_up(api)
    report = bot.importer.report(SOMEBODY, bot.account_id)
    assert [rule.name for rule in report.rules if rule.trigger.type is TriggerKind.MENU] == [
        "服务 › 联系电话",
        "服务 › 门店地图",
        "服务 › 购物指南",
        "优惠",
    ]
    files = {note for item in report.items for note in item.notes if note.code is NoteCode.CHOOSE_AGAIN}
    assert len(files) == 3


def test_an_account_without_a_secret_or_off_the_white_list_is_told_so(
    make_app: MakeApp, api: FakeAPI
) -> None:
    without = services(make_app())
    with pytest.raises(Forbidden):
        without.importer.report(SOMEBODY, without.account_id)
    bot = services(make_app(api=api, wechat_app_secret=APP_SECRET))
    api.errcodes["/cgi-bin/stable_token"] = [40164]
    with pytest.raises(NotWhitelisted):
        bot.importer.report(SOMEBODY, bot.account_id)


def test_rules_are_imported_on_every_database(make_app: MakeApp, any_database: str, api: FakeAPI) -> None:
    bot = services(make_app(api=api, wechat_app_secret=APP_SECRET, database_url=any_database))
    sample_console.set_up(api)
    report = bot.importer.report(SOMEBODY, bot.account_id)
    assert len(bot.importer.store(SOMEBODY, bot.account_id, report)) == len(report.rules) == 36
    assert bot.importer.store(SOMEBODY, bot.account_id, report) == []
    assert set(bot.importer.differences(bot.account_id, report.rules)) == {Difference.SAME}
