"""A bot that answers with what was written: at once, after a second, or with a text of several parts."""

import time

from config import settings
from wechat_bot import create_app
from wechat_bot.routing import Answer, Context, Router, matches
from wechat_bot.wechat.messages import TextMessage

router = Router()


@router.on(TextMessage, matches("慢 .+"), slow=True)
def answer_slowly(message: TextMessage, ctx: Context) -> Answer:
    time.sleep(1)
    return f"收到：{message.content}"


@router.on(TextMessage, matches("长 .+"))
def answer_at_length(message: TextMessage, ctx: Context) -> Answer:
    """The first part is the reply; the queue lets the worker send the others."""
    lines = (f"{message.content} 的回答，第 {line} 行。" for line in range(100))
    return "\n".join([f"收到：{message.content}", *lines])


@router.on(TextMessage)
def answer_at_once(message: TextMessage, ctx: Context) -> Answer:
    return f"收到：{message.content}"


app = create_app(settings, router)
