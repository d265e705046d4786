"""The import in a browser, from the platform's console to the answer that a follower gets."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.console import Console, check_on_all_screens, for_everybody
from wechat_bot.simulator import sample_console
from wechat_bot.testing import FakeAPI


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_a_shop_is_read_and_imported(desk: Console, api: FakeAPI, java_script_enabled: bool) -> None:
    sample_console.set_up(api)
    page = desk.sign_in("/admin/menu", java_script_enabled=java_script_enabled)
    page.get_by_role("link", name="导入公众平台后台的设置").click()
    page.get_by_role("button", name="读取后台的设置").click()
    expect(page.get_by_role("heading", name="不能导入")).to_be_visible()
    expect(page.get_by_role("row", name="视频号")).to_contain_text("接口发布不了这种按钮")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "import.csv"
    page.get_by_role("button", name="导入", exact=True).click()
    expect(page.get_by_text("已导入 36 条规则")).to_be_visible()
    page.get_by_role("link", name="菜单的历史").click()
    page.get_by_role("link", name="第 1 版").click()
    page.get_by_role("button", name="恢复成草稿").click()
    page.get_by_role("button", name="优惠").click()
    expect(page.locator("[name='answers[0].text']")).to_have_value(re.compile("^满减"))


@for_everybody
def test_the_report_fits_and_can_be_read_by_everybody(
    desk: Console, api: FakeAPI, language: str, scheme: str
) -> None:
    sample_console.set_up(api)
    page = desk.sign_in("/admin/import", language=language, color_scheme=scheme)
    for name in ("read", "read", "store", "read"):
        page.locator(f"main button[name=do][value={name}]").click()
        check_on_all_screens(page)
