"""What followers can ask for in words."""

from __future__ import annotations

import time

from ..routing import Answer, Context, Router, keyword, state
from ..wechat.messages import TextMessage

router = Router()

THINKING_SECONDS = 8

HELP = """我会这些：
帮助 – 看到这份说明
改名 – 告诉我怎么称呼你
我是谁 – 听我叫你的名字
慢 – 等我想八秒再回答

图片、语音、视频、位置和链接我也收得到。"""


@router.on(TextMessage, keyword("取消"), state("naming"))
def keep_name(message: TextMessage, ctx: Context) -> Answer:
    ctx.state = None
    return "好的，不改了。"


@router.on(TextMessage, state("naming"))
def set_name(message: TextMessage, ctx: Context) -> Answer:
    ctx.state = None
    ctx.session["name"] = message.content.strip()[:20]
    return f"好的，{ctx.session['name']}。"


@router.on(TextMessage, keyword("改名"))
def ask_name(message: TextMessage, ctx: Context) -> Answer:
    ctx.state = "naming"
    return "怎么称呼你？发送“取消”不改。"


@router.on(TextMessage, keyword("我是谁"))
def tell_name(message: TextMessage, ctx: Context) -> Answer:
    name = ctx.session.get("name")
    return f"你是{name}。" if name else "我还不知道，发送“改名”告诉我。"


@router.on(TextMessage, keyword("慢"), slow=True)
def think(message: TextMessage, ctx: Context) -> Answer:
    """Take longer than the platform waits for one push, as a language model may."""
    time.sleep(THINKING_SECONDS)
    return "想好了：不着急。"


@router.on(TextMessage, keyword("帮助", "help", "?"))
def show_help(message: TextMessage, ctx: Context) -> Answer:
    return HELP
