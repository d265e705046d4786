"""The navigation, which tells operators where they are."""

from __future__ import annotations

import re

import pytest

from tests.blueprints.admin.conftest import Browser

PAGES = [
    ("/admin/rules", "自动回复"),
    ("/admin/rules/new", "自动回复"),
    ("/admin/rules/bench", "自动回复"),
    ("/admin/rules/scenarios/new", "自动回复"),
    ("/admin/import", "自动回复"),
    ("/admin/menu/try", "菜单"),
    ("/admin/canned/new", "话术"),
    ("/admin/library/import", "素材"),
    ("/admin/handover", "转人工"),
    ("/admin/alerts/new/wecom", "转人工"),
    ("/admin/operators/new", "操作员"),
    ("/admin/rules/999", "自动回复"),
    ("/admin/assistant/history", "AI 助手"),
    ("/admin/knowledge/1", "AI 助手"),
    ("/admin/nowhere", None),
]


@pytest.mark.parametrize(("path", "entry"), PAGES)
def test_every_page_is_marked_in_the_navigation(admin: Browser, path: str, entry: str | None) -> None:
    navigation = admin.get(path).text.partition('<nav class="rail"')[2].partition("</nav>")[0]
    marked = re.findall(r'<a [^>]*aria-current="page".*?<span>(.*?)</span>', navigation)
    assert marked == ([entry] if entry else [])
