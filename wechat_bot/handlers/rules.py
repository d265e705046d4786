"""What the rules of the console answer, which owners change without code (`routing.rules`)."""

from __future__ import annotations

from ..routing import Context, Route, Router
from ..wechat.messages import Message

router = Router()
"""All rules but those for what nothing matched."""
last = Router()
"""The rules for what nothing matched."""


def matching(message: Message, ctx: Context) -> Route | None:
    return ctx.rules.find(message, ctx) if ctx.rules else None


def for_the_rest(message: Message, ctx: Context) -> Route | None:
    return ctx.rules.find(message, ctx, last=True) if ctx.rules else None


router.ask(Message, matching)
last.ask(Message, for_the_rest)
