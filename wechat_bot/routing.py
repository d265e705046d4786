"""How a message finds its handler: the first whose kind and conditions fit, from the top."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar

from .wechat.messages import Event, Message, TextMessage
from .wechat.replies import Reply

M = TypeVar("M", bound=Message)

Answer = Reply | str | None
"""What a handler returns: a reply, the text of one, or silence."""


@dataclass
class Context:
    """What a handler may know and change beside the message.

    What it puts into `session` and `state` is stored together with its answer, or not at all: when
    another message of the same follower changed them meanwhile, the handler runs again from there.
    """

    session: dict[str, Any] = field(default_factory=dict)
    """JSON values, kept for WECHAT_SESSION_TTL seconds after the last change."""
    state: str | None = None
    """Where the dialogue with this follower stands."""
    returning: bool = False
    """Whether this follower has followed the account before."""
    match: Any = None
    """What the last condition returned."""


Handler = Callable[[M, Context], Answer]
Condition = Callable[[M, Context], object]


@dataclass(frozen=True)
class Route:
    """A handler and when it is asked."""

    kind: type[Message]
    conditions: tuple[Condition[Any], ...]
    handler: Handler[Any]
    slow: bool

    @property
    def name(self) -> str:
        """The handler's module (within its package) and name, for logs and the console."""
        return f"{self.handler.__module__.rpartition('.')[2]}.{self.handler.__name__}"

    @property
    def catch_all(self) -> bool:
        """Whether it takes every message of its kind."""
        return not self.conditions


class Router:
    """A list of handlers; order is precedence.

    ::

        @router.on(TextMessage, matches(r"天气\\s*(?P<city>.+)"), slow=True)
        def weather(message: TextMessage, ctx: Context) -> Answer:
            return fetch_weather(ctx.match["city"])

    A `slow` handler (one that waits for something) runs in the background, once for each message; its
    answer reaches the follower even when the platform no longer waits for it.
    """

    def __init__(self) -> None:
        self._routes: list[Route | Router] = []

    def on(
        self, kind: type[M], *conditions: Condition[M], slow: bool = False
    ) -> Callable[[Handler[M]], Handler[M]]:
        """Register a handler for messages of `kind` that meet all `conditions`, tried in their order."""

        def register(handler: Handler[M]) -> Handler[M]:
            self._routes.append(Route(kind, conditions, handler, slow))
            return handler

        return register

    def include(self, router: Router) -> None:
        """Ask `router` at this place of the order, also about handlers that it gets later."""
        self._routes.append(router)

    def routes(self) -> Iterator[Route]:
        """All routes in the order of precedence."""
        for route in self._routes:
            if isinstance(route, Router):
                yield from route.routes()
            else:
                yield route

    def resolve(self, message: Message, ctx: Context) -> Route | None:
        """The route that takes `message`, with ``ctx.match`` set; None when nobody wants it."""
        for route in self.routes():
            if isinstance(message, route.kind) and _met(route, message, ctx):
                return route
        return None


def _met(route: Route, message: Message, ctx: Context) -> bool:
    ctx.match = None
    for condition in route.conditions:
        ctx.match = condition(message, ctx)
        if not ctx.match:
            return False
    return True


def keyword(*words: str) -> Condition[TextMessage]:
    """The text is one of `words`, whatever its case, width and surrounding blanks."""
    normal = {normalize(word) for word in words}
    return lambda message, _: normalize(message.content) in normal


def matches(pattern: str) -> Condition[TextMessage]:
    """The regular expression matches the whole text but for outer blanks; ``ctx.match`` is the match."""
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda message, _: compiled.fullmatch(message.content.strip())


def key(*keys: str) -> Condition[Event]:
    """The event's key (menu button, scene) is one of `keys`."""
    return lambda message, _: message.key in keys


def state(name: str) -> Condition[Message]:
    """The dialogue stands at `name`."""
    return lambda _, ctx: ctx.state == name


@lru_cache(maxsize=256)  # every keyword of a router looks at the same text
def normalize(text: str) -> str:
    """`text` as compared with keywords: NFKC, folded case, without zero-width characters and outer blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char) != "Cf").strip()
