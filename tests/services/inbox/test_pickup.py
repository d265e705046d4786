"""The links by which followers fetch late answers, and the pages of long ones."""

from __future__ import annotations

import re

from wechat_bot.services.inbox import pickup
from wechat_bot.services.inbox.pickup import Pickup
from wechat_bot.wechat.parsing import parse
from wechat_bot.wechat.replies import TextReply

KEY = "0123456789abcdef" * 2


def tapped(menu_id: str) -> Pickup | None:
    head = {"ToUserName": "gh_1", "FromUserName": "oLi", "CreateTime": "1767225600", "MsgType": "text"}
    return pickup.parse(parse({**head, "Content": "查看回复", "MsgId": "1", "bizmsgmenuid": menu_id}))


def test_each_page_of_a_very_long_answer_leads_to_the_next() -> None:
    pages = pickup.pages(TextReply("长" * 80_000), KEY)
    assert len(pages) > 100
    links = [re.findall(r"msgmenuid=([^\"]+)", page.content) for page in pages]
    assert links.pop() == []
    assert [tapped(menu_id) for [menu_id] in links] == [Pickup(KEY, n + 2) for n in range(len(links))]


def test_other_taps_fetch_nothing() -> None:
    for menu_id in ("", "101", f"late-{KEY[1:]}", f"late-{KEY}-0", f"late-{KEY}-", f"late-{KEY}-1000"):
        assert tapped(menu_id) is None
