"""A bot with a slow handler, which waits for the file ``go`` in its folder, and a quick one.

Both answer with what was written.
"""

import time
from pathlib import Path

from config import settings
from wechat_bot import create_app
from wechat_bot.routing import Answer, Context, Router, matches
from wechat_bot.wechat.messages import TextMessage

router = Router()


@router.on(TextMessage, matches("慢 .+"), slow=True)
def answer_when_told(message: TextMessage, ctx: Context) -> Answer:
    while not Path("go").exists():
        time.sleep(0.05)
    return f"收到：{message.content}"


@router.on(TextMessage)
def answer_at_once(message: TextMessage, ctx: Context) -> Answer:
    return f"收到：{message.content}"


app = create_app(settings, router)
