"""Answers that followers fetch by a tap: the links, the texts around them, and long answers as pages.

A link of the chat makes the follower's client send a text with an id of our choice (``wechat-platform.md``
section 10.9). The id names the message whose answer is fetched, and a page of that answer. An answer is shown
to the follower who asked the question and to nobody else, so the id need not be secret, and nothing is stored
for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from ...wechat.messages import Message, TextMessage
from ...wechat.replies import AITextReply, Reply, TextReply, split_for_passive_reply

STILL_WRITING = "还在写，请稍后再点。"
NO_ANSWER = "这条消息没有单独的回复，可能已经和前一条一起回答了。"
NOT_FOUND = "这条回复找不到了，请再问一次。"
WITHHELD = "客服会回复你。"
COMPLETE = "上面就是全部回答。"

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


def rest_link(key: str) -> str:
    """Return the line with the link that fetches what follows the first part of an answer."""
    return "\n" + Pickup(key, 2).link("点这里看后面的")


def pages(answer: TextReply, key: str, first: int = 1) -> tuple[TextReply, ...]:
    """Return a long answer as pages, of which each but the last ends with the link to the next.

    :param first: the number of the first of them.
    """
    texts = answer.split(room=len(_next_page(key, 998, 999).encode()))
    last = first + len(texts) - 1
    linked = (
        replace(page, content=page.content + _next_page(key, number, last))
        for number, page in enumerate(texts[:-1], first)
    )
    return (*linked, *texts[-1:])


def linked(replies: Sequence[Reply], message: Message) -> tuple[Reply, ...]:
    """Return several replies to `message` as pages, where the follower has to fetch all but the first.

    Texts become one where it fits. Otherwise each text ends with the link to the next page if it has room.
    """
    key = message.dedup_key
    passive = [reply.passive for reply in replies]
    texts = [reply for reply in passive if isinstance(reply, TextReply)]
    if len(texts) == len(passive):
        made_by_ai = (text for text in texts if isinstance(text, AITextReply))
        joined = "\n\n".join(text.content for text in texts)
        return pages(replace(next(made_by_ai, texts[0]), content=joined), key)
    found = [page for reply in passive for page in split_for_passive_reply(reply, message)]
    for number, page in enumerate(found[:-1], 1):
        link = _next_page(key, number, len(found))
        if isinstance(page, TextReply) and len((page.content + link).encode()) <= page.max_bytes:
            found[number - 1] = replace(page, content=page.content + link)
    return tuple(found)


def _next_page(key: str, page: int, last: int) -> str:
    return "\n" + Pickup(key, page + 1).link(f"下一页 ({page + 1}/{last})")
