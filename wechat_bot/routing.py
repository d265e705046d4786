"""Routing of messages to handlers: the first route whose message class and conditions match is used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from .wechat.messages import Event, Message, TextMessage
from .wechat.replies import Reply

if TYPE_CHECKING:
    from .wechat.api import WeChatClient
    from .wiring import Services

M = TypeVar("M", bound=Message)

Answer = Reply | str | None
"""The result of a handler: a reply, the text of a text reply, or None for no reply."""


@dataclass
class Context:
    """The session of a follower and the result of routing, as passed to conditions and handlers.

    Changes to `session` and `state` are stored in one transaction with the handler's answer. They are
    discarded if another message of the same follower changed the stored values meanwhile; the handler then
    runs again with these.
    """

    session: dict[str, Any] = field(default_factory=dict)
    """JSON values of this follower. They expire WECHAT_SESSION_TTL seconds after the last change."""
    state: str | None = None
    """The current step of the dialogue with this follower; None outside of a dialogue."""
    returning: bool = False
    """Whether this follower had followed the account before."""
    match: Any = None
    """The value that the last condition returned."""
    _services: Services | None = field(default=None, repr=False, compare=False)

    @property
    def services(self) -> Services:
        """The services of the account to which the message was sent.

        :raises RuntimeError: outside an application, as in a context that a test makes by hand.
        """
        if self._services is None:
            raise RuntimeError("this context has no services: the message does not come from an application")
        return self._services

    @property
    def client(self) -> WeChatClient | None:
        """The client of the platform's API; None without AppID and AppSecret."""
        return self.services.client


Handler = Callable[[M, Context], Answer]
Condition = Callable[[M, Context], object]


@dataclass(frozen=True)
class Route:
    """A handler, and the messages that it handles."""

    kind: type[Message]
    conditions: tuple[Condition[Any], ...]
    handler: Handler[Any]
    slow: bool = False
    rerun: bool = True

    @property
    def name(self) -> str:
        """The handler's module (within its package) and name, for logs and the console."""
        return f"{self.handler.__module__.rpartition('.')[2]}.{self.handler.__name__}"

    @property
    def catch_all(self) -> bool:
        """Whether the route matches every message of its kind."""
        return not self.conditions


class Router:
    """An ordered list of routes, of which the first match is used.

    ::

        @router.on(TextMessage, matches(r"天气\\s*(?P<city>.+)"), slow=True)
        def weather(message: TextMessage, ctx: Context) -> Answer:
            return fetch_weather(ctx.match["city"])

    A `slow` handler (one that waits for I/O) runs in the background, once for each message. If the platform's
    time limit has passed, its answer is sent by other means than the passive reply.
    """

    def __init__(self) -> None:
        self._routes: list[Route | Router] = []
        self._included_in: list[Router] = []
        self._by_class: dict[type[Message], list[Route]] = {}
        """The routes for messages of a class, including those of included routers."""

    def on(
        self, kind: type[M], *conditions: Condition[M], slow: bool = False, rerun: bool = True
    ) -> Callable[[Handler[M]], Handler[M]]:
        """Register a handler for messages of `kind` that meet all `conditions`, evaluated in order.

        A `slow` handler may be interrupted because its process ends. Then it runs again, unless `rerun` is
        False, as for a handler that orders or pays something; the follower gets the apology instead.
        """

        def register(handler: Handler[M]) -> Handler[M]:
            self._add(Route(kind, conditions, handler, slow, rerun))
            return handler

        return register

    def include(self, router: Router) -> None:
        """Insert the routes of `router` at this position, including routes that are added to it later."""
        router._included_in.append(self)
        self._add(router)

    def _add(self, route: Route | Router) -> None:
        self._routes.append(route)
        self._forget_classes()

    def _forget_classes(self) -> None:
        self._by_class.clear()
        for router in self._included_in:
            router._forget_classes()

    def routes(self) -> Iterator[Route]:
        """Iterate over all routes in order of precedence."""
        for route in self._routes:
            if isinstance(route, Router):
                yield from route.routes()
            else:
                yield route

    def resolve(self, message: Message, ctx: Context) -> Route | None:
        """Return the first route that matches `message`, or None; set ``ctx.match``."""
        for route in self._routes_for(type(message)):
            if _matches(route, message, ctx):
                return route
        return None

    def _routes_for(self, kind: type[Message]) -> list[Route]:
        if kind not in self._by_class:
            self._by_class[kind] = [route for route in self.routes() if issubclass(kind, route.kind)]
        return self._by_class[kind]


def _matches(route: Route, message: Message, ctx: Context) -> bool:
    ctx.match = None
    for condition in route.conditions:
        ctx.match = condition(message, ctx)
        if not ctx.match:
            return False
    return True


def keyword(*words: str) -> Condition[TextMessage]:
    """Match a text that equals one of `words`, regardless of case, width and surrounding blanks."""
    normalized = {normalize(word) for word in words}
    return lambda message, _: normalize(message.content) in normalized


def matches(pattern: str) -> Condition[TextMessage]:
    """Match a text, without surrounding blanks, against a regular expression; ``ctx.match`` is the match."""
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda message, _: compiled.fullmatch(message.content.strip())


def key(*keys: str) -> Condition[Event]:
    """Match an event whose key (of a menu button, or a scene) is one of `keys`."""
    return lambda message, _: message.key in keys


def state(name: str) -> Condition[Message]:
    """Match while ``ctx.state`` is `name`."""
    return lambda _, ctx: ctx.state == name


@lru_cache(maxsize=256)  # all keyword conditions of a router normalize the same text
def normalize(text: str) -> str:
    """Return `text` for comparison: NFKC, folded case, without zero-width characters and outer blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if unicodedata.category(char) != "Cf").strip()
