"""The rules in a real browser: what a shop owner does who writes no code."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.conftest import MakeApp
from tests.e2e.console import Console, check_on_all_screens, check_page, drag, for_everybody
from tests.files import picture
from wechat_bot.services.audit import Actor
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

PAGE = "/admin/rules"


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app()


def save(page: Page) -> None:
    page.locator(".save-bar button").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_text_that_nobody_answered_becomes_a_rule(console: Console, scripts: bool) -> None:
    console.says("oWithAQuestion", "可以开发票吗")
    page = console.sign_in("/admin/messages/1", "小王", java_script_enabled=scripts)
    page.get_by_role("link", name="做成规则").click()
    expect(page.get_by_label("说到这些词")).to_have_value("可以开发票吗")
    page.get_by_label("说到这些词").fill("发票\n开票")
    page.locator("[name='answers[0].text']").fill("可以，把抬头发来。")
    page.get_by_role("button", name="再加一条回答").click()
    page.locator("[name='answers[1].kind']").select_option("choices")
    page.locator("[name='answers[1].text']").fill("要哪一种？")
    page.locator("[name='answers[1].choices']").fill("纸质发票\n电子发票")
    save(page)
    expect(page.locator(".rule h2")).to_have_text("可以开发票吗")
    expect(page.locator(".rule .what")).to_contain_text("说到 发票、开票")
    page.goto("/admin/messages/1")
    page.get_by_role("link", name="为什么这样回答").click()
    expect(page.locator(".taker")).to_have_text("由规则「可以开发票吗」回答")
    expect(page.locator(".wx-bubble").first).to_have_text("可以，把抬头发来。")
    assert "把抬头发来" in str(FakePlatform.of(console.app).text("能开票吗"))


def test_the_preview_and_the_bench_follow_what_is_typed(console: Console) -> None:
    page = console.sign_in(f"{PAGE}/new", "小王")
    page.get_by_label("名称").fill("退款")
    page.get_by_label("说到这些词").fill("退款")
    page.locator("[name='answers[0].text']").fill("{{name|朋友}}，请发订单号")
    expect(page.locator(".wx-phone .wx-mine")).to_have_text("退款")
    expect(page.locator(".wx-phone .wx-bubble").last).to_have_text("小明，请发订单号")
    expect(page.locator(".answer .bytes")).to_have_text("33/2048 字节")
    page.locator("#try summary").click()
    page.locator("[name='bench.text']").fill("我要退款")
    page.get_by_role("button", name="试", exact=True).click()
    expect(page.locator(".trial .taker")).to_have_text("由规则「退款」回答")
    page.get_by_role("button", name="和真实消息比").click()
    expect(page.locator(".trial")).to_contain_text("比了最近 0 条")
    page.locator("[name='trigger.type']").select_option("followed")
    expect(page.get_by_label("说到这些词")).to_be_hidden()
    expect(page.get_by_label("哪些粉丝")).to_be_visible()


def test_a_picture_is_chosen_by_its_looks_or_uploaded(console: Console) -> None:
    bot = services(console.app)
    for width in range(20, 50):
        bot.library.add(Actor(None, "阿珍", ""), bot.account_id, f"海报 {width}.jpg", picture(width=width))
    page = console.sign_in(f"{PAGE}/new", "小王")
    page.locator("[name='answers[0].kind']").select_option("image")
    field, dialog = page.locator(".of-image .chosen"), page.get_by_role("dialog")
    field.get_by_role("button").click()
    expect(dialog.locator("[data-file]")).to_have_count(25)
    check_page(page)
    dialog.get_by_role("link", name="更早的").click()
    expect(dialog.locator("[data-file]")).to_have_count(6)
    dialog.get_by_role("searchbox").fill("海报 31")
    dialog.get_by_role("searchbox").press("Enter")
    dialog.get_by_role("button", name="海报 31.jpg").click()
    expect(dialog).to_be_hidden()
    expect(page.locator(".wx-bubble img")).to_have_attribute("alt", "海报 31.jpg")
    field.get_by_role("button", name="海报 31.jpg").click()
    dialog.locator("[type=file]").set_input_files({"name": "新.png", "mimeType": "image/png", "buffer": PNG})
    expect(field).to_have_text("新.png")
    expect(page.locator(".wx-bubble img")).to_have_attribute("alt", "新.png")


def test_two_editors_do_not_overwrite_each_other(console: Console) -> None:
    first = console.sign_in(PAGE, "小王")
    first.get_by_role("button", name="三个都要").click()
    first.get_by_role("link", name="营业时间", exact=True).click()
    second = console.sign_in(first.url, "admin")
    first.locator("[name='answers[0].text']").fill("周末休息")
    save(first)
    expect(first.get_by_text("已保存")).to_be_visible()
    second.locator("[name='answers[0].text']").fill("每天都开")
    save(second)
    expect(second.locator(".difference")).to_contain_text("周末休息")
    check_page(second)
    second.get_by_role("button", name="用我的").click()
    expect(second.locator(".rule").nth(1)).to_contain_text("每天都开")
    second.get_by_role("link", name="营业时间", exact=True).click()
    second.get_by_role("link", name="历史").click()
    expect(second.locator(".versions > li")).to_have_count(3)
    check_page(second)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_rules_are_ordered_switched_and_deleted(console: Console, scripts: bool) -> None:
    page = console.sign_in(PAGE, "小王", java_script_enabled=scripts)
    page.get_by_role("button", name="三个都要").click()
    names = page.locator(".rule h2 a")
    page.get_by_role("button", name="下移 欢迎新粉丝").click()
    expect(names).to_have_text(["营业时间", "欢迎新粉丝", "没听懂"])
    page.get_by_role("switch", name="启用 营业时间").click()
    expect(page.get_by_role("switch", name="启用 营业时间")).not_to_be_checked()
    names.first.click()
    page.locator("summary", has_text="删除").click()
    page.get_by_role("button", name="删除这条规则").click()
    expect(names).to_have_text(["欢迎新粉丝", "没听懂"])
    page.locator("summary", has_text="删除的规则").click()
    page.get_by_role("button", name="恢复 营业时间").click()
    expect(names).to_have_text(["欢迎新粉丝", "营业时间", "没听懂"])


def test_a_rule_is_dragged_to_another_place(console: Console) -> None:
    page = console.sign_in(PAGE, "小王")
    page.get_by_role("button", name="三个都要").click()
    rows = page.locator(".rule")
    drag(rows.nth(1), rows.nth(0))
    expect(page.locator(".rule h2 a")).to_have_text(["营业时间", "欢迎新粉丝", "没听懂"])


@for_everybody
def test_the_pages_fit_and_can_be_read_by_everybody(console: Console, language: str, scheme: str) -> None:
    page = console.sign_in(PAGE, language=language, color_scheme=scheme)
    check_on_all_screens(page)
    page.locator("[name=example][value=all]").click()
    expect(page.locator(".rule")).to_have_count(3)
    check_on_all_screens(page)
    for path in ("/import", "/2", "/2/history", "/bench?kind=text&text=opening hours 营业时间", "/new"):
        page.goto(f"{PAGE}{path}")
        check_on_all_screens(page)
    kinds = page.locator("[name='answers[0].kind'] option")
    for kind in kinds.evaluate_all("options => options.map(option => option.value)"):
        page.locator("[name='answers[0].kind']").select_option(kind)
        check_on_all_screens(page)
    save(page)
    expect(page.locator(".problem").first).to_be_visible()
    check_on_all_screens(page)
