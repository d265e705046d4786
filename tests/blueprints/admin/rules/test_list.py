"""The list of rules, as requests of an operator's browser."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.blueprints.admin.rules.conftest import PAGE, Rules
from wechat_bot.models import Role
from wechat_bot.routing.definitions import Rule
from wechat_bot.services.audit import Actor
from wechat_bot.services.rules import editing
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakePlatform


def shown(browser: Browser, path: str = PAGE) -> list[str]:
    return re.findall(r"data-row>([^<]+)</a>", browser.get(path).text)


def test_an_empty_list_offers_examples_that_answer_at_once(
    operator: Browser, rules: Rules, platform: FakePlatform, engine: Engine
) -> None:
    assert "三个都要" in operator.get(PAGE).text
    operator.post(f"{PAGE}/examples", example="all")
    assert rules.names == ["欢迎新粉丝", "营业时间", "没听懂"]
    assert audited(engine)[-3:] == ["rule_created"] * 3
    assert "9:00 到 18:00" in str(platform.text("你们几点开门"))
    assert operator.post(f"{PAGE}/examples", example="no such").status_code == 400


def test_rules_are_listed_in_words_with_code_where_it_stands(operator: Browser, rules: Rules) -> None:
    rules.add("谁也不答", trigger={"type": "nothing_matched"})
    rules.add("退款", "请发订单号", schedule={"hours": ["09:00-18:00"], "weekdays": [1, 2]}, cool_down=600)
    page = operator.get(PAGE).text
    assert shown(operator) == ["退款", "谁也不答"]
    for words in ("说到 退款", "请发订单号", "周一、周二 09:00-18:00 · 冷却 10 分钟", "还没有答过"):
        assert words in page
    places = [
        page.index(words) for words in ("commands.", "说到 退款", "events.", "<p>没有人回答时", "fallback.")
    ]
    assert places == sorted(places)


def test_hits_of_the_month_are_shown(operator: Browser, rules: Rules, platform: FakePlatform) -> None:
    rules.add("退款")
    for text in ("我要退款", "退款"):
        platform.text(text)
    assert "<b>2</b> 次 / 30 天" in operator.get(PAGE).text


def test_what_can_never_answer_and_what_takes_too_much_is_marked(operator: Browser, rules: Rules) -> None:
    rules.add("退款")
    rules.add("退款进度")
    rules.add("一个字", keyword="价")
    page = operator.get(PAGE).text
    assert "永远轮不到：规则「退款」先匹配" in page
    assert "只有一个字的关键词会接走很多别的话" in page


@pytest.mark.parametrize("text", ["人民路", "ADRESSE", "第九句", "给新同事", "ｍｅｎｕ_ａ"])
def test_a_rule_is_found_by_its_answer_keywords_keys_and_notes(
    operator: Browser, rules: Rules, text: str
) -> None:
    rules.add("退款", "请发订单号")
    keywords = [*(f"第{number}句" for number in "一二三四五六七八九"), "Adresse", "menu_a"]
    patterns = [{"match": "contains", "text": keyword} for keyword in keywords]
    rules.add("地址", "人民路 1 号", patterns=patterns, notes="给新同事")
    assert shown(operator, f"{PAGE}?q={text}") == ["地址"]


def test_a_rule_for_the_menu_is_found_by_its_key(operator: Browser, rules: Rules) -> None:
    rules.add("帮助", trigger={"type": "menu", "keys": ["MENU_HELP"]})
    assert shown(operator, f"{PAGE}?q=menu_help") == ["帮助"]


def test_rules_are_filtered_by_state_and_trigger(
    operator: Browser, rules: Rules, platform: FakePlatform
) -> None:
    rules.add("退款")
    rules.add("退款进度")
    rules.add("停", enabled=False)
    rules.add("欢迎", trigger={"type": "followed"})
    platform.text("退款")
    for condition, names in {
        "state=on": ["退款", "退款进度", "欢迎"],
        "state=off": ["停"],
        "state=shadowed": ["退款进度"],
        "state=unused": ["退款进度", "停", "欢迎"],
        "trigger=followed": ["欢迎"],
        "state=unused&trigger=text&q=退款": ["退款进度"],
    }.items():
        assert shown(operator, f"{PAGE}?{condition}") == names
    assert "没有这样的规则" in operator.get(f"{PAGE}?q=不存在").text
    assert operator.get(f"{PAGE}?state=odd").status_code == 400
    assert operator.get(f"{PAGE}?trigger=odd").status_code == 400


def test_a_long_list_has_pages_and_rules_move_across_them(
    operator: Browser, rules: Rules, engine: Engine
) -> None:
    definitions = [{**rules.definition(f"规则 {number}"), "notes": "n"} for number in range(1, 120)]
    rules.add("没懂", trigger={"type": "nothing_matched"})
    editing.add_all(engine, Actor(None, "x", ""), rules.account_id, [*map(Rule.from_json, definitions)])
    first, second, third = (shown(operator, f"{PAGE}?page={number}") for number in (1, 2, 3))
    assert (first[0], second[0], third[-2:]) == ("规则 1", "规则 51", ["规则 119", "没懂"])
    assert "后面还有 70 条规则" in operator.get(PAGE).text
    assert "前面还有 50 条规则" in operator.get(f"{PAGE}?page=2").text
    assert shown(operator, f"{PAGE}?page=99") == third
    moved = rules.id_of("规则 51")
    page = operator.get(f"{PAGE}?page=2").text
    above = re.search(r'value="(\d+)" aria-label="上移 规则 51"', page)
    assert above
    answer = operator.post(f"{PAGE}/{moved}/move?page=2", to=above[1])
    assert answer.location.endswith(f"rule={moved}#r{moved}")
    assert shown(operator, answer.location)[-1] == "规则 51"
    answer = operator.post(f"{PAGE}/{moved}/move", to="", place="120")
    assert shown(operator, answer.location)[-2:] == ["规则 51", "没懂"]


def test_programs_read_the_filtered_list(
    operator: Browser, rules: Rules, engine: Engine, platform: FakePlatform
) -> None:
    first, second = rules.add("退款"), rules.add("退款进度")
    platform.text("退款")
    [line] = operator.get(f"{PAGE}.json?state=shadowed").json["rules"]  # type: ignore[index]
    assert (line["id"], line["position"], line["hits"]) == (second, 2, {})
    assert line["shadowed_by"] == [first]
    assert line["rule"] == rules.definition("退款进度")
    assert [sum(line["hits"].values()) for line in operator.get(f"{PAGE}.json").json["rules"]] == [1, 0]  # type: ignore[index]
    assert audited(engine)[-1] == "exported"


def test_the_history_has_the_hits_as_a_chart_and_as_a_table(
    operator: Browser, rules: Rules, platform: FakePlatform
) -> None:
    rule_id = rules.add("退款")
    assert "hits-chart" not in operator.get(f"{PAGE}/{rule_id}/history").text
    platform.text("退款")
    operator.get(PAGE)  # counts the hit
    page = operator.get(f"{PAGE}/{rule_id}/history").text
    assert "hits-chart" in page
    assert re.search(r'<td>20[0-9-]+</td><td class="number">1</td>', page)
    assert f'href="/admin/messages?origin=rule.{rule_id}"' in page


def test_rules_and_the_import_lead_to_each_other(signed_in: SignIn, operator: Browser, rules: Rules) -> None:
    admin, link = signed_in(Role.ADMIN, "boss"), 'href="/admin/import"'
    assert link in admin.get(PAGE).text
    rules.add("退款")
    assert link in admin.get(PAGE).text
    assert f'class="btn" href="{PAGE}"' in admin.get("/admin/import").text
    assert link not in operator.get(PAGE).text  # it is for admins


def test_rules_are_switched_moved_deleted_and_restored(
    operator: Browser, rules: Rules, engine: Engine, platform: FakePlatform
) -> None:
    first, second = rules.add("一", keyword="退款", say="甲"), rules.add("二", keyword="退款", say="乙")
    operator.post(f"{PAGE}/{second}/move", to="1")
    assert rules.names == ["二", "一"]
    assert platform.text("退款") == "乙"
    operator.post(f"{PAGE}/{second}/switch", on="0")
    assert platform.text("退款 ") == "甲"
    operator.post(f"{PAGE}/{first}/delete")
    assert shown(operator) == ["二"]
    assert operator.get(f"{PAGE}/{first}").status_code == 404
    operator.post(f"{PAGE}/{first}/restore", version="2")
    assert rules.names == ["二", "一"]
    assert audited(engine)[-4:] == ["rule_moved", "rule_disabled", "rule_deleted", "rule_restored"]


@pytest.mark.parametrize("action", ["switch", "move", "delete", "restore"])
def test_a_rule_that_does_not_exist_is_told(operator: Browser, action: str) -> None:
    form = {"on": "1", "to": "1", "version": "1"}
    assert operator.post(f"{PAGE}/9/{action}", **form).status_code == 404


def test_a_place_that_is_no_number_is_refused(operator: Browser, rules: Rules) -> None:
    rule_id = rules.add("一")
    assert operator.post(f"{PAGE}/{rule_id}/move", to="x").status_code == 400


def test_viewers_read_and_change_nothing(signed_in: SignIn, rules: Rules) -> None:
    rule_id = rules.add("退款")
    viewer = signed_in(Role.VIEWER)
    assert shown(viewer) == ["退款"]
    assert "新规则" not in viewer.get(PAGE).text
    assert '<fieldset class="rule-form" disabled>' in viewer.get(f"{PAGE}/{rule_id}").text
    assert viewer.post(f"{PAGE}/{rule_id}/delete").status_code == 403
    assert rules.names == ["退款"]


def upload(browser: Browser, name: str, content: str | bytes, mode: str = "add") -> Any:
    data = content.encode() if isinstance(content, str) else content
    form = {"file": (BytesIO(data), name), "mode": mode, "csrf_token": browser.token("/admin/profile")}
    return browser.client.post(f"{PAGE}/import", data=form, headers={"Accept-Language": "zh"})


@pytest.mark.parametrize("form", ["yaml", "csv"])
def test_what_is_exported_can_be_imported_again(
    operator: Browser, rules: Rules, engine: Engine, form: str
) -> None:
    rules.add("退款", "请发订单号")
    rules.add("欢迎", trigger={"type": "followed"})
    exported = operator.get(f"{PAGE}.{form}")
    assert exported.status_code == 200
    assert upload(operator, f"rules.{form}", exported.data, "replace").status_code == 303
    assert rules.names == ["退款", "欢迎"]
    assert audited(engine)[-2:] == ["exported", "rules_imported"]


def test_a_spreadsheet_in_gb_18030_is_read(operator: Browser, rules: Rules) -> None:
    content = "name,enabled,match,keywords,answer,more\n退款,yes,contains,退款,请发订单号,\n"
    assert upload(operator, "rules.csv", content.encode("gb18030")).status_code == 303
    assert rules.names == ["退款"]


def test_a_file_with_errors_imports_nothing_and_names_their_lines(operator: Browser, rules: Rules) -> None:
    rules.add("退款")
    good = "- {name: a, trigger: {type: followed}, answers: [{kind: nothing}]}"
    answer = upload(operator, "rules.yaml", f"rules:\n{good}\n- {{name: b, trigger: {{type: never}}}}\n")
    assert answer.status_code == 422
    assert "第 3 行" in answer.text
    assert "回答 · 还没有填。" in answer.text
    assert "第 1 行 · 没有叫 rules 的列表" in upload(operator, "rules.yaml", "no: rules").text
    assert "第 2 行 · YAML 用空格缩进" in upload(operator, "rules.yaml", "rules:\n\t- name: a").text
    assert "第 1 行 · 第一行不是规定的列名" in upload(operator, "rules.csv", "名称,关键词").text
    assert "这是 Excel 或 WPS 的表格" in upload(operator, "rules.xlsx", b"PK\x03\x04\0").text
    assert "这不是文字" in upload(operator, "rules.yaml", PNG).text
    assert upload(operator, "", "").status_code == 303
    assert rules.names == ["退款"]
