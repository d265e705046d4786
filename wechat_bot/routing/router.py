"""Routes of messages to handlers: the first route whose message class and conditions match is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from ..wechat.messages import Event, Message
from ..wechat.replies import Reply, TextReply
from .ownership import HandoverReason, Owner

if TYPE_CHECKING:
    from ..wechat.api import WeChatClient
    from ..wiring import Services
    from .rules import RuleSet

M = TypeVar("M", bound=Message)

Answer = Reply | str | tuple[Reply, ...] | None
"""The result of a handler: a reply, the text of a text reply, several replies, or None for no reply.

The first of several replies is passive; the others follow it by other means.
"""


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
    tags: frozenset[str] = frozenset()
    """The names of this follower's tags."""
    followed_at: datetime | None = None
    """When this follower last followed, as far as is known."""
    received_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the message was pushed."""
    match: Any = None
    """The value that the last condition returned."""
    origin: str = ""
    """Set by handlers whose message is answered by another one: the origin of the message then."""
    rules: RuleSet | None = field(default=None, repr=False, compare=False)
    """The rules of the account; None outside an application."""
    rule_memory: dict[str, dict[str, float]] = field(default_factory=dict)
    """What rules keep of this follower (`routing.rules`); stored like `session`, and does not expire."""
    owner: Owner = Owner.BOT
    """Who answers this follower. While it is not the bot, only events and routes `with_person` match."""
    not_understood: bool = False
    """Set by handlers that could not make sense of the message. After several such messages in a row a
    person is called (`HandoverPolicy.misses`)."""
    handover: HandoverReason | None = None
    """Set by `hand_over`."""
    partial: Callable[[], TextReply | None] = lambda: None
    """Set by slow handlers that write their answer bit by bit: returns what is written so far. Its sentences
    answer a push that cannot wait any longer, and the handler's answer goes on from there."""
    _services: Services | None = field(default=None, repr=False, compare=False)

    def hand_over(self, reason: HandoverReason = HandoverReason.ASKED) -> None:
        """Let a person answer this follower from now on, until the conversation is given back to the bot.

        If the handler returns nothing, the follower is told what the account's `HandoverPolicy` says.
        """
        self.handover = reason

    @property
    def services(self) -> Services:
        """The services of the account to which the message was sent.

        :raises RuntimeError: outside an application, as in a context that a test makes by hand.
        """
        if self._services is None:
            raise RuntimeError("this context has no services: the message does not come from an application")
        return self._services

    @property
    def assistant_is_on(self) -> bool:
        """Whether the assistant of the account answers what no rule takes; False outside an application."""
        return self._services is not None and self._services.assistant.is_on(self._services.account_id)

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
    with_person: bool = False
    """Whether it also takes messages while a person talks with the follower. Events are always taken."""

    @property
    def name(self) -> str:
        """The handler's module (within its package) and name, for logs and the console."""
        return f"{self.handler.__module__.rpartition('.')[2]}.{self.handler.__name__}"

    @property
    def catch_all(self) -> bool:
        """Whether the route matches every message of its kind."""
        return not self.conditions

    def interrupts(self, message: Message) -> bool:
        """Whether it takes `message` also while a person talks with the follower."""
        return self.with_person or isinstance(message, Event)

    def choose(self, message: Message, ctx: Context) -> Route | None:
        """Return this route if `message` meets its conditions; set ``ctx.match``."""
        ctx.match = None
        if ctx.owner is not Owner.BOT and not self.interrupts(message):
            return None
        for condition in self.conditions:
            ctx.match = condition(message, ctx)
            if not ctx.match:
                return None
        return self


@dataclass(frozen=True)
class Choice:
    """A place in the order of routes at which a function returns the route of a message, or None."""

    kind: type[Message]
    choose: Callable[[Message, Context], Route | None]


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
        self._routes: list[Route | Choice | Router] = []
        self._included_in: list[Router] = []
        self._by_class: dict[type[Message], list[Route | Choice]] = {}
        """What messages of a class may take, including what belongs to included routers."""

    def on(
        self,
        kind: type[M],
        *conditions: Condition[M],
        slow: bool = False,
        rerun: bool = True,
        with_person: bool = False,
    ) -> Callable[[Handler[M]], Handler[M]]:
        """Register a handler for messages of `kind` that meet all `conditions`, evaluated in order.

        A `slow` handler may be interrupted because its process ends. Then it runs again, unless `rerun` is
        False, as for a handler that orders or pays something; the follower gets the apology instead.

        While a person answers the follower, messages that are no events are taken by no handlers but those
        `with_person`.
        """

        def register(handler: Handler[M]) -> Handler[M]:
            self._add(Route(kind, conditions, handler, slow, rerun, with_person))
            return handler

        return register

    def ask(self, kind: type[Message], choose: Callable[[Message, Context], Route | None]) -> None:
        """Let `choose` return the routes of messages of `kind`, at this position; it sets ``ctx.match``."""
        self._add(Choice(kind, choose))

    def include(self, router: Router) -> None:
        """Insert the routes of `router` at this position, including routes that are added to it later."""
        router._included_in.append(self)
        self._add(router)

    def _add(self, route: Route | Choice | Router) -> None:
        self._routes.append(route)
        self._forget_classes()

    def _forget_classes(self) -> None:
        self._by_class.clear()
        for router in self._included_in:
            router._forget_classes()

    def routes(self) -> Iterator[Route]:
        """Iterate over all routes in order of precedence, but for those that functions choose."""
        return (entry for entry in self._entries() if isinstance(entry, Route))

    def sections(self) -> list[list[Route]]:
        """Return all routes in order of precedence, divided at the places where functions choose routes."""
        found: list[list[Route]] = [[]]
        for entry in self._entries():
            if isinstance(entry, Route):
                found[-1].append(entry)
            else:
                found.append([])
        return found

    def _entries(self) -> Iterator[Route | Choice]:
        for entry in self._routes:
            if isinstance(entry, Router):
                yield from entry._entries()
            else:
                yield entry

    def catch_alls(self) -> set[str]:
        """Return the origins of messages that nobody has answered: catch-all routes, and "" for no route."""
        return {"", *(route.name for route in self.routes() if route.catch_all)}

    def resolve(self, message: Message, ctx: Context) -> Route | None:
        """Return the first route that matches `message`, or None; set ``ctx.match``."""
        for entry in self._entries_for(type(message)):
            if route := entry.choose(message, ctx):
                return route
        return None

    def _entries_for(self, kind: type[Message]) -> list[Route | Choice]:
        if kind not in self._by_class:
            self._by_class[kind] = [entry for entry in self._entries() if issubclass(kind, entry.kind)]
        return self._by_class[kind]
