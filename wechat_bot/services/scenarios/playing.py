"""Plays scenarios: asks the very router and rules that answer followers. Nothing is written or sent.

The session, the follow, the rests and turns of rules go on from step to step as they do for a new follower.
Handlers in code run, too, since dialogues are theirs, but without the services of the program. What cannot be
played is told (`Obstacle`), and does not pass.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from flask_babel import lazy_gettext

from ...models import MessageState
from ...routing import Context, Route, Router
from ...routing.definitions import Pick
from ...routing.rules import RuleSet, rule_of
from ...settings import AccountSettings
from ...simulator.scenarios import Obstacle, Scenario, Step, StepResult, seen
from ...wechat.messages import Message, SubscribeEvent, UnsubscribeEvent
from ...wechat.parsing import parse
from ...wechat.replies import Reply
from ..inbox import pickup
from ..inbox.exchanges import SessionChange
from ..inbox.handling import HandlerCall, HandlerRunner, Push
from ..inbox.lookup import StoredState

OBSTACLES = {
    Obstacle.TIME: lazy_gettext("没有试：它在另一个时间，正在运行的程序只按现在的时间回答。"),
    Obstacle.TAGS: lazy_gettext("没有试：粉丝有标签，正在运行的程序不知道。"),
    Obstacle.RULE: lazy_gettext("看不出：正在运行的程序不说是哪条规则回答的。"),
    Obstacle.SLOW: lazy_gettext("没有试：由一个慢的处理函数回答，这里不运行它。"),
    Obstacle.SERVICES: lazy_gettext("没有试：代码要用到微信的接口或程序的服务，这里没有。"),
    Obstacle.RANDOM: lazy_gettext("看不出：这条规则随机选一条回答。可以改成预期这条规则。"),
    Obstacle.PICKUP: lazy_gettext("没有试：它取的是另一条消息的回复。"),
    Obstacle.EARLIER: lazy_gettext("没有试：前面有一步没法试，对话可能已经不同。"),
    Obstacle.TIMEOUT: lazy_gettext("没有试：时间用完了。"),
}
"""What each obstacle means."""


class _ServicesNeeded(BaseException):
    """A handler asks for services. No handler shall take it for an error of its own."""


class _NoAssistant:
    """Stands for the assistant, whose answers are not the same each time."""

    def is_on(self, account_id: int) -> bool:
        return False


class _NoServices:
    """Stands for the services in the contexts of handlers."""

    account_id = 0
    assistant = _NoAssistant()

    def __getattr__(self, name: str) -> NoReturn:
        raise _ServicesNeeded(name)


@dataclass
class _Follower:
    """A follower in the course of a scenario."""

    stored: StoredState
    """What pushes would have stored."""
    held: list[Reply] = field(default_factory=list)
    """The pages of answers that are still to be fetched."""


@dataclass(frozen=True)
class Stage:
    """What answers the steps of scenarios: `rules`, and the handlers of `router`, as `runner` runs them."""

    account: AccountSettings
    router: Router
    rules: RuleSet
    runner: HandlerRunner

    def play(self, scenario: Scenario, now: datetime, until: float) -> Iterator[StepResult]:
        """Yield the results of all steps; none begins when the monotonic clock has passed `until`."""
        follower = _Follower(StoredState(session={}, tags=frozenset(scenario.tags)))
        at, unplayable = now, None
        for number, step in enumerate(scenario.steps, 1):
            if step.at:
                at = step.at.replace(tzinfo=self.account.time_zone).astimezone(UTC)
            if not unplayable and time.monotonic() > until:
                unplayable = Obstacle.TIMEOUT
            if unplayable:
                yield StepResult(step, obstacle=unplayable)
                continue
            result = self._answer(follower, step, _message(step, at, number), at)
            yield result
            if result.obstacle and result.obstacle is not Obstacle.RANDOM:
                unplayable = Obstacle.EARLIER

    def _answer(self, follower: _Follower, step: Step, message: Message, at: datetime) -> StepResult:
        """Return what becomes of a step, as `inbox.receiving` decides it."""
        stored = follower.stored
        if stored.expires_at and stored.expires_at <= at:
            stored = replace(stored, state=None, session={}, expires_at=None)
        ctx = stored.context(at, self.rules, _NoServices())
        if stored.followed_at is None or isinstance(message, SubscribeEvent):
            ctx.followed_at = at
        if pickup.parse(message):
            return StepResult(step, obstacle=Obstacle.PICKUP)
        route = self.router.resolve(message, ctx)
        result = StepResult(step, **self._taker(route))
        if route and route.slow:
            return replace(result, obstacle=Obstacle.SLOW)
        if follower.held and message.answerable and (route is None or route.catch_all):
            outcome, text = seen(follower.held.pop(0))
            return StepResult(step, outcome, text, by="inbox")
        try:
            exchange = self.runner.run(HandlerCall(Push(message, at), stored, route, ctx), 0)
        except _ServicesNeeded:
            return replace(result, obstacle=Obstacle.SERVICES)
        follower.stored = self._after(message, ctx, stored, exchange.session_change)
        follower.held += exchange.pages if exchange.pages_state is MessageState.READY else ()
        outcome, text = seen(exchange.reply)
        obstacle = Obstacle.RANDOM if self._is_chance(result) else None
        return replace(result, outcome=outcome, text=text, obstacle=obstacle)

    def _taker(self, route: Route | None) -> dict[str, Any]:
        """Return the name of the rule or handler of a route, and the id of the rule."""
        name = route.name if route else ""
        rule_id = rule_of(name)
        return {"by": name if rule_id is None else self.rules.rules[rule_id].name, "rule_id": rule_id}

    def _is_chance(self, result: StepResult) -> bool:
        """Whether a rule chose one of several answers at random, and the expectation is about the answer."""
        if result.rule_id is None or result.step.expected is None or result.step.expected.kind == "rule":
            return False
        rule = self.rules.rules[result.rule_id]
        return rule.pick is Pick.RANDOM and len(rule.answers) > 1

    def _after(
        self, message: Message, ctx: Context, stored: StoredState, change: SessionChange | None
    ) -> StoredState:
        """Return what is stored of a follower after a message."""
        at = ctx.received_at
        if change:
            is_same = (change.state, change.session) == (stored.state, stored.session)
            stored = replace(
                stored,
                state=change.state,
                session=change.session,
                expires_at=stored.expires_at if is_same else at + timedelta(seconds=self.account.session_ttl),
                rule_memory=change.rule_memory,
            )
        returning = stored.returning or isinstance(message, SubscribeEvent)
        followed_at = at if isinstance(message, UnsubscribeEvent) else ctx.followed_at
        return replace(stored, returning=returning, followed_at=followed_at)


def _message(step: Step, at: datetime, number: int) -> Message:
    """Return the message that the platform would push."""
    head = {"ToUserName": "gh_scenario", "FromUserName": "oScenario", "CreateTime": str(int(at.timestamp()))}
    if step.fields["MsgType"] != "event":
        head["MsgId"] = str(number)
    return parse(head | step.fields)
