"""Markdown as followers see it in the chat."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_bot.wechat.markdown import to_chat


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("## 退货\n请在**七天**内寄回，*包装*完好。", "退货\n请在七天内寄回，包装完好。"),
        ("一行\n又一行\n\n一段", "一行\n又一行\n\n一段"),
        ("- 甲\n- 乙\n  - 丙", "• 甲\n• 乙\n  • 丙"),
        ("3. 三\n4. 四", "3. 三\n4. 四"),
        ("见[说明](https://example.com/a?b=1&c=2)。", '见<a href="https://example.com/a?b=1&c=2">说明</a>。'),
        ("[https://example.com](https://example.com)", "https://example.com"),
        ("https://example.com/a_b_c", "https://example.com/a_b_c"),
        ('见<a href="https://example.com">说明</a>', '见<a href="https://example.com">说明</a>'),
        ("![店面](https://example.com/a.png)", '<a href="https://example.com/a.png">店面</a>'),
        ("用 `pip install` 安装：\n```sh\npip install x\n```", "用 pip install 安装：\n\npip install x"),
        ("| 尺码 | 价格 |\n|--|--|\n| 大 | 30 |\n| 小 | |", "• 尺码：大，价格：30\n• 尺码：小"),
        ("> 引用\n\n---\n后面", "> 引用\n\n———\n\n后面"),
        ("5 < 6 且 <b>粗</b>", "5 < 6 且 <b>粗</b>"),
        ("2 * 3 * 4 = 24，a_b_c", "2 * 3 * 4 = 24，a_b_c"),
    ],
)
def test_the_chat_shows_markdown_as_plain_text_with_links(markdown: str, shown: str) -> None:
    assert to_chat(markdown) == shown


@pytest.mark.parametrize(
    "markdown",
    [
        "[点](weixin://bizmsgmenu?msgmenucontent=同意&msgmenuid=1)",
        "[点](javascript:alert(1))",
        '<a href="weixin://bizmsgmenu?msgmenucontent=同意">点</a>',
        '<**a** href="weixin://bizmsgmenu?msgmenucontent=同意">点</a>',
        '`<a href="weixin://dl/business">`',
        '\ue000a href="weixin://dl/business">',
        '<A\nHREF="tel:110">点</A>',
    ],
)
def test_a_model_makes_no_links_but_those_to_web_pages(markdown: str) -> None:
    assert not re.search(r"<\s*/?\s*a\b", to_chat(markdown), re.IGNORECASE)


PIECES = ["<", "a", " href=", '"', "weixin://x", ">", "</a>", "*", "`", "[", "](", ")", "\n", "> ", "字"]


@given(st.lists(st.sampled_from(PIECES)))
def test_whatever_a_model_writes_its_links_go_to_web_pages(parts: list[str]) -> None:
    shown = to_chat("".join(parts))
    opened = re.findall(r"<\s*a\b[^>]*>?", shown, re.IGNORECASE)
    assert all(re.fullmatch(r'<a href="https?://[^"<>\s]+">', tag) for tag in opened)
