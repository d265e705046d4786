"""Which handler takes a message."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.wechat.corpus import BODIES
from wechat_bot.routing import Answer, Context, Route, Router, key, keyword, matches, normalize, state
from wechat_bot.wechat.messages import ClickEvent, Event, ImageMessage, Message, SubscribeEvent, TextMessage

HELLO = BODIES["messages/text"]
CLICK = BODIES["events/click"]


def text(content: str) -> TextMessage:
    return TextMessage(**{**vars(HELLO), "content": content})


def silent(message: Message, ctx: Context) -> Answer:
    return None


def taken(router: Router, message: Message, ctx: Context | None = None) -> str | None:
    """The name of the handler that takes `message`."""
    route = router.resolve(message, ctx or Context())
    return route.handler.__name__ if route else None


def named(name: str) -> Any:
    def handler(message: Message, ctx: Context) -> Answer:
        return name

    handler.__name__ = name
    return handler


def routing(*routes: tuple[Any, ...]) -> Router:
    """A router with a handler for each route, called ``first``, ``second``, ``third``."""
    router = Router()
    for name, route in zip(["first", "second", "third"], routes, strict=False):
        router.on(*route)(named(name))
    return router


# Order


def test_the_first_handler_that_fits_takes_the_message() -> None:
    router = routing((ImageMessage,), (TextMessage, keyword("其他")), (TextMessage,))
    assert taken(router, HELLO) == "third"
    assert taken(router, text("其他")) == "second"


def test_nobody_takes_what_nobody_wants() -> None:
    assert taken(Router(), HELLO) is None
    assert taken(routing((ImageMessage,), (Event,)), HELLO) is None


@pytest.mark.parametrize("kind", [Message, Event, ClickEvent])
def test_a_handler_of_a_general_kind_takes_the_special_ones(kind: type[Message]) -> None:
    assert taken(routing((SubscribeEvent,), (kind,)), CLICK) == "second"


def test_an_included_router_is_asked_in_its_place_and_knows_later_handlers() -> None:
    included, router = Router(), Router()
    router.on(TextMessage, keyword("a"))(named("before"))
    router.include(included)
    router.on(TextMessage)(named("after"))
    assert taken(router, text("b")) == "after"
    included.on(TextMessage, keyword("a", "b"))(named("inside"))
    assert [taken(router, text(word)) for word in "abc"] == ["before", "inside", "after"]
    assert [route.handler.__name__ for route in router.routes()] == ["before", "inside", "after"]


def test_a_handler_stays_the_function_that_it_was() -> None:
    assert Router().on(Message)(silent) is silent


# Conditions


@pytest.mark.parametrize(
    "content", ["Help", "HELP", "ＨＥＬＰ", " help\n", "\u3000帮助 ", "\u200bhe\u200dlp\ufeff"]
)
def test_a_keyword_is_recognised_however_it_is_written(content: str) -> None:
    assert taken(routing((TextMessage, keyword("Help", "帮助"))), text(content)) == "first"


@pytest.mark.parametrize("content", ["", "hel", "help me", "帮 助", "he lp"])
def test_another_text_is_not_the_keyword(content: str) -> None:
    assert taken(routing((TextMessage, keyword("Help", "帮助"))), text(content)) is None


@pytest.mark.parametrize(
    ("text", "normal"),
    [("Ｔｅｓｔ①", "test1"), ("Straße", "strasse"), ("㍿", "株式会社"), (" \u200b a\xad ", "a")],
)
def test_a_keyword_is_compared_in_its_normal_form(text: str, normal: str) -> None:
    assert normalize(text) == normal


def test_a_pattern_matches_the_whole_text() -> None:
    router, ctx = routing((TextMessage, matches(r"天气\s*(?P<city>.+)"))), Context()
    assert taken(router, text(" 天气 上海\n"), ctx) == "first"
    assert isinstance(ctx.match, re.Match)
    assert ctx.match["city"] == "上海"
    assert taken(router, text("今天天气 上海"), ctx) is None
    assert taken(router, text("天气"), ctx) is None
    assert taken(router, text("天气 上海\n今天"), ctx) is None


def test_a_pattern_ignores_case() -> None:
    assert taken(routing((TextMessage, matches("ok(ay)?"))), text("Okay")) == "first"


@pytest.mark.parametrize(
    ("keys", "name"), [(["MENU_HELP"], "first"), (["a", "MENU_HELP"], "first"), (["menu_help"], None)]
)
def test_a_button_is_known_by_its_exact_key(keys: list[str], name: str | None) -> None:
    assert taken(routing((ClickEvent, key(*keys))), CLICK) == name


@pytest.mark.parametrize(("current", "name"), [("naming", "first"), ("other", None), (None, None)])
def test_a_handler_of_a_dialogue_waits_for_its_state(current: str | None, name: str | None) -> None:
    assert taken(routing((TextMessage, state("naming"))), HELLO, Context(state=current)) == name


def test_all_conditions_are_met_in_their_order_and_the_last_is_the_match() -> None:
    asked: list[str] = []

    def condition(name: str, result: object) -> Any:
        def ask(message: Message, ctx: Context) -> object:
            asked.append(name)
            return result

        return ask

    router = routing(
        (Message, condition("a", "yes"), condition("b", 0), condition("c", "never")),
        (Message, condition("d", 1), condition("e", ["last"])),
    )
    ctx = Context()
    assert taken(router, HELLO, ctx) == "second"
    assert asked == ["a", "b", "d", "e"]
    assert ctx.match == ["last"]


def test_a_handler_without_conditions_finds_no_match_of_others() -> None:
    ctx = Context()
    assert taken(routing((Message, lambda *_: ""), (Message,)), HELLO, ctx) == "second"
    assert ctx.match is None


# Routes


def test_a_route_has_the_name_of_its_handler() -> None:
    router = Router()
    router.on(Message, slow=True)(silent)
    router.on(TextMessage, keyword("a"))(silent)
    slow, quick = router.routes()
    assert slow == Route(Message, (), silent, slow=True)
    assert (slow.name, slow.catch_all) == ("test_routing.silent", True)
    assert (quick.slow, quick.catch_all) == (False, False)


# Types


ROOT = Path(__file__).parent.parent
HANDLERS = """
from wechat_bot.routing import Answer, Context, Router, key, keyword, state
from wechat_bot.wechat.messages import ClickEvent, Event, Message, SubscribeEvent, TextMessage
from wechat_bot.wechat.replies import ImageReply

router = Router()

@router.on(TextMessage, keyword("a"), state("b"))
def right(message: TextMessage, ctx: Context) -> Answer:
    return message.content

@router.on(ClickEvent, key("a"), slow=True)
def wider(message: Message, ctx: Context) -> ImageReply:
    return ImageReply("m")

@router.on(TextMessage)  # refused
def other_kind(message: ClickEvent, ctx: Context) -> Answer:
    return message.key

@router.on(Event)  # refused
def narrower(message: SubscribeEvent, ctx: Context) -> Answer:
    return message.scene

@router.on(TextMessage)  # refused
def wrong_answer(message: TextMessage, ctx: Context) -> int:
    return 1

@router.on(TextMessage)  # refused
def no_context(message: TextMessage) -> Answer:
    return None

@router.on(SubscribeEvent, keyword("a"))  # refused
def condition_of_another_kind(message: SubscribeEvent, ctx: Context) -> Answer:
    return None

@router.on(TextMessage, key("a"))  # refused
def key_of_a_text(message: TextMessage, ctx: Context) -> Answer:
    return None

@router.on(TextMessage)
def wrong_attribute(message: TextMessage, ctx: Context) -> Answer:
    return message.key  # refused
"""


def test_a_developer_s_mistakes_are_found_by_mypy(tmp_path: Path) -> None:
    bot = tmp_path / "bot.py"
    bot.write_text(HANDLERS)
    # As `make check` runs it, so that it knows everything else from there.
    command = [sys.executable, "-m", "mypy", str(bot)]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = {int(number) for number in re.findall(r"bot\.py:(\d+): error", checked.stdout)}
    lines = enumerate(HANDLERS.splitlines(), 1)
    assert found == {number for number, line in lines if line.endswith("# refused")}, checked.stdout
