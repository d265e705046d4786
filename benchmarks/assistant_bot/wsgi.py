"""A bot that leaves slow questions to the assistant, and answers others with what was written."""

from config import settings
from wechat_bot import create_app
from wechat_bot.handlers import chat
from wechat_bot.routing import Answer, Context, Router, matches
from wechat_bot.wechat.messages import Event, TextMessage

router = Router()


@router.on(TextMessage, matches(r"(?!\[slow ).*"))
def answer_at_once(message: TextMessage, ctx: Context) -> Answer:
    return f"收到：{message.content}"


@router.on(Event)
def ignore(event: Event, ctx: Context) -> Answer:
    return None


router.include(chat.router)
app = create_app(settings, router)
