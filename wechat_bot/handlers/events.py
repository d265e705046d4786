"""What followers are told when they follow, scan or tap."""

from __future__ import annotations

from ..routing import Answer, Context, Router, key
from ..wechat.messages import ClickEvent, ScanEvent, SubscribeEvent
from .commands import HELP

router = Router()


@router.on(SubscribeEvent)
def welcome(event: SubscribeEvent, ctx: Context) -> Answer:
    greeting = "欢迎回来！" if ctx.returning else "欢迎关注！"
    if event.scene:
        greeting += f"你扫描了「{event.scene}」的二维码。"
    return f"{greeting}发送“帮助”看看我会什么。"


@router.on(ScanEvent)
def scanned(event: ScanEvent, ctx: Context) -> Answer:
    return f"你扫描了「{event.key}」的二维码。发送“帮助”看看我会什么。"


@router.on(ClickEvent, key("MENU_HELP"))
def help_button(event: ClickEvent, ctx: Context) -> Answer:
    return HELP
