"""What the assistant answers, a language model with the account's knowledge (`services.assistant`)."""

from __future__ import annotations

from functools import partial

from ..models import Outcome
from ..routing import Answer, Context, Route, Router
from ..routing.conditions import normalize
from ..routing.ownership import HandoverReason, left_to_person
from ..services.assistant.answering import Answered
from ..wechat.markdown import to_chat
from ..wechat.messages import Event, Message, TextMessage
from ..wechat.replies import AITextReply, TextReply

FORGOTTEN = "好的，我们重新开始。"

router = Router()
otherwise = Router()
"""What answers where the assistant does not."""


def answer(message: Message, ctx: Context) -> Answer:
    """Answer all that the follower has written since the last answer."""
    assistant, account_id = ctx.services.assistant, ctx.services.account_id
    resets = ctx.rules.resets if ctx.rules else ()
    question = assistant.question(account_id, message.dedup_key, ctx.received_at, resets)
    if question is None:  # it was part of an earlier question
        return None
    label, written = assistant.profile(account_id).label, [""]

    def reply(text: str) -> AITextReply | None:
        shown = to_chat(text)
        return AITextReply(shown, label) if shown.strip() else None

    ctx.partial = lambda: reply(written[0])
    answered = assistant.answer(question, tell=partial(written.__setitem__, 0))
    match answered.outcome:
        case Outcome.ANSWERED:
            return reply(answered.text)
        case Outcome.HANDED_OVER:
            ctx.hand_over(HandoverReason.ASSISTANT)
            return None
        case Outcome.UNKNOWN | Outcome.BLOCKED:
            return _say_unknown(answered, ctx)
        case _:
            return _answer_without(message, ctx)


def reset(message: Message, ctx: Context) -> Answer:
    """Let the assistant forget the conversation; see `services.assistant.turns.RESET`."""
    return FORGOTTEN


def _say_unknown(answered: Answered, ctx: Context) -> Answer:
    """Say that a person has to answer."""
    ctx.not_understood = answered.outcome is Outcome.UNKNOWN
    ctx.origin = left_to_person(_ANSWER.name)
    return TextReply(answered.text)


def _answer_without(message: Message, ctx: Context) -> Answer:
    """Answer as if there were no assistant, and leave the message to a person."""
    route = otherwise.resolve(message, ctx)
    ctx.origin = left_to_person(route.name if route else _ANSWER.name)
    return route.handler(message, ctx) if route else None


def _is_reset(message: Message, ctx: Context) -> bool:
    if not isinstance(message, TextMessage):
        return False
    words = ctx.services.assistant.profile(ctx.services.account_id).reset_words
    return normalize(message.content) in map(normalize, words)


_RESET = Route(Message, (_is_reset,), reset)
_ANSWER = Route(Message, (), answer, slow=True)


def _choose(message: Message, ctx: Context) -> Route | None:
    if isinstance(message, Event) or not ctx.assistant_is_on:
        return None
    return _RESET.choose(message, ctx) or _ANSWER.choose(message, ctx)


router.ask(Message, _choose)
