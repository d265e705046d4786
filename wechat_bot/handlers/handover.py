"""What calls a person, besides the rules of the console."""

from __future__ import annotations

from ..routing import Answer, Context, Router, keyword
from ..wechat.messages import TextMessage

router = Router()


@router.on(TextMessage, keyword("人工", "转人工", "人工客服", "人工服务"))
def call_person(message: TextMessage, ctx: Context) -> Answer:
    ctx.hand_over()
    return None
