"""The knowledge base in a real browser."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import FilePayload, expect

from tests.e2e.console import Console, check_on_all_screens, for_everybody
from wechat_bot.models import PairSource
from wechat_bot.services.audit import Actor
from wechat_bot.services.knowledge import documents, pairs
from wechat_bot.wiring import services

PAGE = "/admin/knowledge"
MANUAL = "# 咖啡机\n\n## 除垢\n\n每三个月除垢一次，用一升水。\n\n## 故障灯\n\n红灯常亮表示缺水。"


def fill(app: Flask) -> None:
    bot, actor = services(app), Actor(None, "小李", "")
    pair = {"question": "WiFi 密码是什么？", "answer": "在小票的最下面。" * 20, "wordings": ["无线网密码"]}
    pairs.create(bot.engine, actor, bot.account_id, pair)
    suggested = {"question": "怎么退货？", "answer": "七天内申请。", "state": "suggested"}
    pairs.create(bot.engine, actor, bot.account_id, suggested, PairSource.CONVERSATION)
    documents.put(bot.engine, actor, bot.account_id, documents.read_file("说明.md", MANUAL.encode()))


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_what_is_written_and_uploaded_is_found(console: Console, scripts: bool) -> None:
    page = console.sign_in(PAGE, "小王", java_script_enabled=scripts)
    expect(page.get_by_text("还没有问答")).to_be_visible()
    page.get_by_role("link", name="新的问答").first.click()
    page.get_by_label("问题", exact=True).fill("怎么开发票？")
    page.get_by_label("别的问法").fill("可以开专票吗\n发票抬头")
    page.get_by_label("答案").fill("在订单详情里点“申请发票”。")
    page.get_by_role("button", name="保存").click()
    expect(page.locator(".pairs tbody tr")).to_have_count(1)

    page.get_by_role("link", name="文档和文章").click()
    manual: FilePayload = {"name": "咖啡机.md", "mimeType": "text/markdown", "buffer": MANUAL.encode()}
    page.get_by_label("上传文件").set_input_files([manual])
    page.locator("form", has=page.get_by_label("上传文件")).get_by_role("button", name="导入").click()
    expect(page.get_by_text("已导入“咖啡机”，2 段。")).to_be_visible()

    page.get_by_role("link", name="试一问").click()
    page.get_by_label("粉丝会怎么问").fill("能开专票吗")
    page.get_by_role("button", name="找一找").click()
    expect(page.locator(".passages li").first).to_contain_text("在订单详情里点")
    page.get_by_label("粉丝会怎么问").fill("机器怎么除垢")
    page.get_by_role("button", name="找一找").click()
    page.locator(".passages li").first.get_by_role("link").click()
    expect(page.locator(".passages li:target")).to_contain_text("每三个月除垢一次")


def test_a_suggestion_is_approved(console: Console) -> None:
    fill(console.app)
    page = console.sign_in(f"{PAGE}?state=suggested", "小王")
    page.get_by_role("button", name="采用 怎么退货？").click()
    expect(page.get_by_text("已采用 1 条。")).to_be_visible()
    page.goto(f"{PAGE}/try?q=退货")
    expect(page.locator(".passages li")).to_contain_text("七天内申请。")


@for_everybody
def test_the_pages_fit_and_can_be_used_by_everybody(console: Console, language: str, scheme: str) -> None:
    page = console.sign_in(PAGE, language=language, color_scheme=scheme)
    check_on_all_screens(page)
    page.goto(f"{PAGE}/documents")
    check_on_all_screens(page)
    fill(console.app)
    for path in (
        "",
        "?state=suggested",
        "/new",
        "/pairs/1",
        "/pairs/1/history",
        "/import",
        "/documents",
        "/documents/1",
        "/try?q=WiFi 密码",
        "/try?q=股票",
    ):
        page.goto(f"{PAGE}{path}")
        check_on_all_screens(page)
