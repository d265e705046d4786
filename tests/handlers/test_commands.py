"""What the bot that comes with the program does with words."""

from __future__ import annotations

import pytest

from tests.wechat.corpus import BODIES
from wechat_bot import handlers
from wechat_bot.handlers.commands import HELP
from wechat_bot.routing import Context, Route
from wechat_bot.wechat.messages import TextMessage


def route(content: str) -> Route:
    message = TextMessage(**{**vars(BODIES["messages/text"]), "content": content})
    found = handlers.router.resolve(message, Context())
    assert found
    return found


def test_the_question_that_takes_long_is_answered_in_the_background() -> None:
    assert (route("慢").name, route("慢").slow) == ("commands.think", True)


@pytest.mark.parametrize("content", ["帮助", "改名", "我是谁", "什么"])
def test_all_others_are_answered_at_once(content: str) -> None:
    assert not route(content).slow


@pytest.mark.parametrize("content", ["帮助", "改名", "我是谁", "慢"])
def test_the_help_names_what_the_bot_understands(content: str) -> None:
    assert f"\n{content} – " in HELP
    assert not route(content).catch_all
