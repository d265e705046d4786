"""What followers are told when nothing else fits."""

from __future__ import annotations

from ..routing import Answer, Context, Router
from ..wechat.messages import (
    Event,
    FileMessage,
    ImageMessage,
    LinkMessage,
    LocationMessage,
    Message,
    TextMessage,
    VideoMessage,
    VoiceMessage,
)

router = Router()

_NAMES: dict[type[Message], str] = {
    ImageMessage: "图片",
    VoiceMessage: "语音",
    VideoMessage: "视频",
    LocationMessage: "位置",
    LinkMessage: "链接",
    FileMessage: "文件",
}


@router.on(Event)
def ignore(event: Event, ctx: Context) -> Answer:
    return None


@router.on(TextMessage)
def apologize(message: TextMessage, ctx: Context) -> Answer:
    ctx.not_understood = True
    return "抱歉，我没有听懂。发送“帮助”看看我会什么。"


@router.on(Message)
def acknowledge(message: Message, ctx: Context) -> Answer:
    name = next((name for kind, name in _NAMES.items() if isinstance(message, kind)), "消息")
    return f"收到你的{name}，谢谢！"
