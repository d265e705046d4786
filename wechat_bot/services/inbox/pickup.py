"""Answers that followers fetch by a tap: the links, the texts around them, and long answers as pages.

A link of the chat makes the follower's client send a text with an id of our choice (``wechat-platform.md``
section 10.9). The id names the message whose answer is fetched, and a page of that answer. An answer is shown
to the follower who asked the question and to nobody else, so the id need not be secret, and nothing is stored
for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from ...wechat.messages import Message, TextMessage
from ...wechat.replies import MAX_TEXT_BYTES, TextReply
from ...wechat.texts import parts

STILL_WRITING = "还在写，请稍后再点。"
NO_ANSWER = "这个问题没有得到回复，请再问一次。"
NOT_FOUND = "这条回复找不到了，请再问一次。"

_ID = re.compile(r"late-([0-9a-f]{32})(?:-([1-9][0-9]{0,2}))?")


@dataclass(frozen=True)
class Pickup:
    """A page of the answer to the message with the dedup key `key`."""

    key: str
    page: int = 1

    def link(self, label: str) -> str:
        """Return the link that fetches it."""
        page = "" if self.page == 1 else f"-{self.page}"
        query = f"msgmenucontent={quote('查看回复')}&msgmenuid=late-{self.key}{page}"
        return f'<a href="weixin://bizmsgmenu?{query}">{label}</a>'


def parse(message: Message) -> Pickup | None:
    """Return what a tap on a link fetches; None for all other messages."""
    found = _ID.fullmatch(message.menu_id) if isinstance(message, TextMessage) and message.menu_id else None
    return Pickup(found[1], int(found[2] or 1)) if found else None


def with_link(text: str, key: str) -> TextReply:
    """Return `text` with the link that fetches the answer to the message with the dedup key `key`."""
    return TextReply(f"{text}\n{Pickup(key).link('点这里看回复')}")


def pages(text: str, key: str) -> tuple[TextReply, ...]:
    """Return a long answer as pages, of which each but the last ends with the link to the next."""
    room = len(_next_page(key, 998, 999).encode())
    texts = list(parts(text, MAX_TEXT_BYTES - room))
    last = len(texts)
    links = [*(_next_page(key, number, last) for number in range(1, last)), ""]
    return tuple(TextReply(page + link) for page, link in zip(texts, links, strict=True))


def _next_page(key: str, page: int, last: int) -> str:
    return "\n" + Pickup(key, page + 1).link(f"下一页 ({page + 1}/{last})")
