"""A bot with a slow handler and a quick one. Both answer with what was written."""

import time

from config import settings
from wechat_bot import create_app
from wechat_bot.routing import Answer, Context, Router, matches
from wechat_bot.wechat.messages import Event, TextMessage

router = Router()


@router.on(TextMessage, matches(r"慢 (?P<seconds>[\d.]+) .+"), slow=True)
def answer_slowly(message: TextMessage, ctx: Context) -> Answer:
    """Answer after as many seconds as the text says, e.g. 慢 8 …"""
    time.sleep(float(ctx.match["seconds"]))
    return f"收到：{message.content}"


@router.on(TextMessage)
def answer_at_once(message: TextMessage, ctx: Context) -> Answer:
    return f"收到：{message.content}"


@router.on(Event)
def ignore(event: Event, ctx: Context) -> Answer:
    return None


app = create_app(settings, router)
