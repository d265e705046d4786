"""Answers, as the platform gets them and as the follower sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given

from tests.wechat.corpus import ACCOUNT, BODIES, OPENID
from tests.wechat.strategies import any_text, legal_text
from wechat_bot.wechat import replies, xml
from wechat_bot.wechat.api.outgoing import passive_of, sendable_of, to_payload
from wechat_bot.wechat.errors import InvalidReply
from wechat_bot.wechat.messages import Message
from wechat_bot.wechat.replies import (
    MAX_TEXT_BYTES,
    AITextReply,
    Article,
    ImageReply,
    MusicReply,
    NewsReply,
    PlatformAIReply,
    Reply,
    TextReply,
    TransferReply,
    VideoReply,
    VoiceReply,
    split_for_passive_reply,
)
from wechat_bot.wechat.texts import normalize_line_ends

HELLO = BODIES["messages/text"]
ARTICLE = Article("Timetable 2026", "Valid from January", "https://e.com/p.jpg", "https://e.com/t?a=1&b=2")
EMPTY_ARTICLE = {"Title": "t", "Description": None, "PicUrl": None, "Url": None}

KINDS: list[tuple[Reply, str, xml.Fields]] = [
    (
        TextReply('第一行\n<a href="https://e.com/?a=1&b=2">链接</a> 😀'),
        "text",
        {"Content": '第一行\n<a href="https://e.com/?a=1&b=2">链接</a> 😀'},
    ),
    (TextReply("]]></Content><![CDATA[\r\n&amp;"), "text", {"Content": "]]></Content><![CDATA[\n&amp;"}),
    (ImageReply("m"), "image", {"Image": {"MediaId": "m"}}),
    (VoiceReply("m"), "voice", {"Voice": {"MediaId": "m"}}),
    (VideoReply("m", "t", "d"), "video", {"Video": {"MediaId": "m", "Title": "t", "Description": "d"}}),
    (VideoReply("m"), "video", {"Video": {"MediaId": "m", "Title": None, "Description": None}}),
    (
        MusicReply("m", "t", "d", "u", "hq"),
        "music",
        {
            "Music": {
                "Title": "t",
                "Description": "d",
                "MusicUrl": "u",
                "HQMusicUrl": "hq",
                "ThumbMediaId": "m",
            }
        },
    ),
    (
        NewsReply((ARTICLE,)),
        "news",
        {
            "ArticleCount": "1",
            "Articles": {
                "item": {
                    "Title": "Timetable 2026",
                    "Description": "Valid from January",
                    "PicUrl": "https://e.com/p.jpg",
                    "Url": "https://e.com/t?a=1&b=2",
                }
            },
        },
    ),
    (
        NewsReply((Article("t"),) * 8),
        "news",
        {"ArticleCount": "8", "Articles": {"item": [EMPTY_ARTICLE] * 8}},
    ),
    (TransferReply(), "transfer_customer_service", {}),
    (
        TransferReply("anna@example_wx"),
        "transfer_customer_service",
        {"TransInfo": {"KfAccount": "anna@example_wx"}},
    ),
    (PlatformAIReply(), "transfer_biz_ai_ivr", {}),
]


@pytest.mark.parametrize(("reply", "kind", "fields"), KINDS)
def test_the_platform_reads_every_kind_of_reply(reply: Reply, kind: str, fields: xml.Fields) -> None:
    answer = replies.to_xml(HELLO, reply, now=1767225602.9)
    assert answer.startswith("<xml><ToUserName>")
    assert xml.parse(answer.encode()) == {
        "ToUserName": OPENID,
        "FromUserName": ACCOUNT,
        "CreateTime": "1767225602",
        "MsgType": kind,
        **fields,
    }


@pytest.mark.parametrize("reply", [reply for reply, *_ in KINDS], ids=str)
def test_a_reply_is_read_back_as_it_was(reply: Reply) -> None:
    assert replies.parse(xml.parse(replies.to_xml(HELLO, reply).encode())) == reply


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (TextReply("在吗"), {"text": {"content": "在吗"}}),
        (ImageReply("m"), {"image": {"media_id": "m"}}),
        (VoiceReply("m"), {"voice": {"media_id": "m"}}),
        (VideoReply("m", "t", "d"), {"video": {"media_id": "m", "title": "t", "description": "d"}}),
        (
            MusicReply("m", "t", "d", "u", "hq"),
            {
                "music": {
                    "title": "t",
                    "description": "d",
                    "musicurl": "u",
                    "hqmusicurl": "hq",
                    "thumb_media_id": "m",
                }
            },
        ),
        (
            NewsReply((ARTICLE, Article("second"))),
            {
                "news": {
                    "articles": [
                        {
                            "title": "Timetable 2026",
                            "description": "Valid from January",
                            "url": "https://e.com/t?a=1&b=2",
                            "picurl": "https://e.com/p.jpg",
                        }
                    ]
                }
            },
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Reply) else "",
)
def test_a_reply_can_be_sent_later(reply: Reply, message: dict[str, Any]) -> None:
    assert reply.to_customer_message() == {"msgtype": reply.kind, **message}


@pytest.mark.parametrize("reply", [TransferReply(), PlatformAIReply()])
def test_a_transfer_cannot_be_sent_later(reply: Reply) -> None:
    with pytest.raises(InvalidReply, match=reply.kind):
        reply.to_customer_message()


# What the platform would refuse


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u3000", "\x00\x0b", "\ufffe", "\ud83d"], ids=ascii)
def test_a_text_without_anything_to_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidReply):
        TextReply(text)


@pytest.mark.parametrize("media_id", ["", "\x00"], ids=ascii)
@pytest.mark.parametrize("kind", [ImageReply, VoiceReply, VideoReply, MusicReply])
def test_a_reply_without_its_media_is_refused(kind: type[ImageReply], media_id: str) -> None:
    with pytest.raises(InvalidReply):
        kind(media_id)


@pytest.mark.parametrize("articles", [(), (ARTICLE,) * 9, (ARTICLE, Article(""))], ids=len)
def test_news_has_one_to_eight_articles_with_titles(articles: tuple[Article, ...]) -> None:
    with pytest.raises(InvalidReply):
        NewsReply(articles)


NEWS = {"MsgType": "news", "ArticleCount": "1", "Articles": {"item": EMPTY_ARTICLE}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"MsgType": None},
        {"MsgType": "event"},
        {"MsgType": ["text", "text"], "Content": "hi"},
        {"MsgType": "text"},
        {"MsgType": "text", "Content": None},
        {"MsgType": "text", "Content": ["a", "b"]},
        {"MsgType": "image", "MediaId": "m"},
        {"MsgType": "image", "Image": "m"},
        {"MsgType": "video", "Video": {"Title": "t"}},
        {"MsgType": "music", "Music": {"Title": "t"}},
        {**NEWS, "ArticleCount": "2"},
        {**NEWS, "ArticleCount": None},
        {**NEWS, "Articles": None},
        {**NEWS, "Articles": {"item": {**EMPTY_ARTICLE, "Title": None}}},
        {**NEWS, "ArticleCount": "9", "Articles": {"item": [EMPTY_ARTICLE] * 9}},
    ],
    ids=str,
)
def test_what_the_platform_does_not_understand_is_no_reply(fields: xml.Fields) -> None:
    with pytest.raises(InvalidReply):
        replies.parse(fields)


@given(any_text)
@example("a\x00b\x0b\ufffe\ud800\U0010ffff")
@example("a\r\nb\rc")
def test_every_text_of_a_reply_is_what_xml_can_carry_with_plain_line_ends(text: str) -> None:
    reply = TextReply("x" + text)
    carried = normalize_line_ends(xml.strip_illegal_characters(text))
    assert reply.content == "x" + carried
    assert Article(text).title == ImageReply("x" + text).media_id[1:] == carried
    json.dumps(reply.to_customer_message(), ensure_ascii=False).encode()


@given(legal_text.filter(str.strip))
def test_any_text_reaches_the_follower_unchanged(text: str) -> None:
    assert replies.parse(xml.parse(replies.to_xml(HELLO, TextReply(text)).encode())) == TextReply(text)


# What is shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("messages/text", 1),
        ("messages/image", 1),
        ("messages/location", 1),
        ("events/click", 8),
        ("events/subscribe", 8),
        ("events/scan", 8),
    ],
)
def test_of_several_articles_a_message_is_answered_with_one_and_an_event_with_all(
    name: str, shown: int
) -> None:
    news = NewsReply(tuple(Article(f"{number}") for number in range(8)))
    assert split_for_passive_reply(news, BODIES[name]) == (NewsReply(news.articles[:shown]),)


@pytest.mark.parametrize("message", [HELLO, BODIES["events/click"]], ids=["message", "event"])
@pytest.mark.parametrize(
    "reply", [TextReply("short"), ImageReply("m"), TransferReply(), NewsReply((ARTICLE,))], ids=str
)
def test_a_reply_that_fits_is_shown_whole(reply: Reply, message: Message) -> None:
    assert split_for_passive_reply(reply, message) == (reply,)


def test_a_long_text_is_shown_in_parts_without_blanks_around_them() -> None:
    text = " " + "a" * 2048 + " \n" + "b" * 2048 + "\n"
    assert split_for_passive_reply(TextReply(text), HELLO) == (TextReply("a" * 2048), TextReply("b" * 2048))


def test_a_text_made_by_ai_has_the_mark_of_each_road() -> None:
    reply = AITextReply("三天内发货。", "（由 AI 生成）")
    payload = to_payload(reply)
    marked = TextReply("三天内发货。\n（由 AI 生成）")
    assert reply.fields() == marked.fields()
    assert passive_of(payload) == marked
    sent = {"msgtype": "text", "text": {"content": "三天内发货。"}, "aimsgcontext": {"is_ai_msg": 1}}
    assert sendable_of(payload).to_customer_message() == reply.to_customer_message() == sent


def test_each_part_of_a_long_text_made_by_ai_is_marked() -> None:
    parts = split_for_passive_reply(AITextReply("很长。" * 1000, "（由 AI 生成）"), HELLO)
    assert len(parts) > 1
    for part in parts:
        content = str(part.fields()["Content"])
        assert content.endswith("\n（由 AI 生成）")
        assert len(content.encode()) <= MAX_TEXT_BYTES


def test_the_mark_of_a_text_made_by_ai_is_never_empty() -> None:
    with pytest.raises(InvalidReply):
        AITextReply("三天内发货。", " ")
