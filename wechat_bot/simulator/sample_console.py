"""What a shop has set in the platform's console: a menu, and as many automatic replies as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from .api import SimulatedAPI
from .sample_files import AMR, GIF, MP3, MP4, PNG, WAV

_TOPICS = ("退款", "快递", "发票", "会员", "优惠券", "尺码", "门店", "保修", "预约", "礼品卡")
_QUESTIONS = (
    "怎么办", "多久", "在哪里", "要钱吗", "电话", "流程", "条件", "时间", "记录", "取消",
    "修改", "查询", "失败", "到账", "地址", "换货", "积分", "投诉", "节假日", "企业",
)  # fmt: skip
_CREATED = 1735689600
"""When the newest rule was created, in Unix time."""


def set_up(api: SimulatedAPI, rules: int = 20) -> None:
    """Set a menu, automatic replies with up to 200 `rules`, and material, with files of all kinds.

    The files of the replies are temporary, that of the menu permanent, as on the platform.
    """
    files = {
        "img": api.give_media("image", PNG, "map.png", "image/png"),
        "voice": api.give_media("voice", AMR, "welcome.amr", "audio/amr"),
        "video": api.give_media("video", MP4, "shop.mp4", "video/mp4"),
    }
    welcome = '欢迎关注小店！\n回复“快递”查物流，或者看<a href="https://shop.example.com">新品</a>。'
    replies = {
        "is_add_friend_reply_open": 1,
        "is_autoreply_open": 1,
        "add_friend_autoreply_info": {"type": "text", "content": welcome},
        "message_default_autoreply_info": {"type": "text", "content": "收到，客服上班后回复您。"},
        "keyword_autoreply_info": {"list": list(islice(_rules(files), rules))},
    }
    picture = api.give_media("image", PNG, "menu.png", "image/png", permanent=True)
    api.set_console(_menu(picture), replies)
    _give_material(api)


def _give_material(api: SimulatedAPI) -> None:
    """Give the account permanent material, of which one voice has a format that cannot be sent."""
    files = [
        ("image", GIF, "海报.gif", "image/gif"),
        ("voice", MP3, "老板的话.mp3", "audio/mpeg"),
        ("voice", WAV, "录音.wav", "audio/wav"),
        ("video", MP4, "开店.mp4", "video/mp4"),
    ]
    for kind, content, filename, content_type in files:
        api.give_media(kind, content, filename, content_type, permanent=True)
    address = "http://mp.weixin.qq.com/s?__biz=MjM5ODUwNTM3Ng==&mid=203929887"
    titles = "开业三周年", "会员日"
    api.give_news(*({"title": title, "url": f"{address}&idx={n}#rd"} for n, title in enumerate(titles, 1)))


def _menu(picture: str) -> list[dict[str, Any]]:
    service = [
        {"type": "text", "name": "联系电话", "value": "客服电话：010-12345678\n每天 9:00–18:00"},
        {"type": "img", "name": "门店地图", "value": picture},
        {"type": "news", "name": "购物指南", "value": "Guide", "news_info": _articles("购物指南")},
        {"type": "view", "name": "我的订单", "url": "https://shop.example.com/orders"},
        {"type": "finder", "name": "视频号", "value": "Channel"},
    ]
    return [
        {"type": "view", "name": "商城", "url": "https://shop.example.com"},
        {"name": "服务", "sub_button": {"list": service}},
        {"type": "text", "name": "优惠", "value": '满减，<a href="https://shop.example.com/sale">去看看</a>'},
    ]


def _rules(files: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield keyword rules, the newest first; every fifth has a file or articles, too."""
    more: list[dict[str, Any]] = [{"type": kind, "content": media_id} for kind, media_id in files.items()]
    more.append({"type": "news", "content": "News", "news_info": _articles("新品上架", "老客专享")})
    for number, (question, topic) in enumerate(product(_QUESTIONS, _TOPICS)):
        name = topic + question
        keywords = [{"type": "text", "match_mode": "equal", "content": name}]
        if number < len(_TOPICS):
            keywords.append({"type": "text", "match_mode": "contain", "content": topic})
        text = {"type": "text", "content": f"{name}？请看说明的第 {number + 1} 条。"}
        yield {
            "rule_name": name,
            "create_time": _CREATED - number * 3600,
            "reply_mode": "random_one" if number % 7 == 6 else "reply_all",
            "keyword_list_info": keywords,
            "reply_list_info": [text, more[number // 5 % len(more)]] if number % 5 == 4 else [text],
        }


def _articles(*titles: str) -> dict[str, Any]:
    return {"list": [_article(title) for title in titles]}


def _article(title: str) -> dict[str, Any]:
    return {
        "title": title,
        "author": "小店",
        "digest": f"{title}，都在这里",
        "show_cover": 1,
        "cover_url": "http://mmbiz.qpic.cn/mmbiz_png/cover/0",
        "content_url": "http://mp.weixin.qq.com/s?__biz=MjM5ODUwNTM3Ng==&mid=203929886&idx=1&sn=628f964cf0c6#rd",
        "source_url": "",
    }
