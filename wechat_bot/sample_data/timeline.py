"""Who says what when: a shop's followers and its bot, as exchanges in the order in which they happen."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from ..models import MessageState
from ..routing import Context, Router
from ..services.inbox.exchanges import Exchange
from ..services.inbox.handling import HandlerCall, HandlerRunner, Push
from ..services.inbox.lookup import StoredState
from ..wechat import messages, replies
from ..wechat.messages import Message
from ..wechat.replies import Reply
from .dialogues import Dialogue, DialogueLine, ScriptedAnswer, dialogues, fill
from .messages import elements, openid, reply
from .outcomes import QUICK, DeliveryProfile, choose
from .traffic import TrafficCurve
from .vocabulary import SCENES

ACCOUNT = "gh_7ea5h0p00001"

OLD = 0.4
"""The share of the followers who were there before."""
SCANNED = 0.6
"""How likely a new follower scanned a code with a scene."""
LEAVES = 0.012
RETURNS = 0.1
"""How likely who speaks says good-bye, and who is gone comes back."""
DELAYED = 0.003
"""How likely a message is minutes under way."""

SHARES = 4
"""A dialogue takes one part in so many of what is left at most: so none ends the story hours too early."""

GOODBYE = Dialogue("goodbye", 0, (DialogueLine("unfollow", ""),))
FILLER = DialogueLine("view", "https://www.example.com/shop")
"""One row: nothing answers it."""


@dataclass(frozen=True)
class Plan:
    """What is wanted. The same plan makes the same messages."""

    messages: int
    until: datetime
    """The last of them is not later."""
    seed: int = 1
    followers: int | None = None
    days: int = 60

    @property
    def people(self) -> int:
        """How many followers there are."""
        return self.followers or max(8, self.messages // 40)


@dataclass(frozen=True)
class SampleExchange:
    """An exchange, and how it went."""

    exchange: Exchange
    fate: DeliveryProfile

    @property
    def rows(self) -> int:
        return 2 if self.exchange.reply else 1


@dataclass
class SamplePerson:
    openid: str
    follows: bool
    has_followed: bool = False
    busy_until: datetime = datetime.min.replace(tzinfo=UTC)
    ctx: Context = field(default_factory=Context)


class SampleTimeline:
    """The exchanges of a plan, in the order in which they are received; together as many rows as it wants.

    What dialogues leave open, `router` answers, but for slow handlers, which may cost something.
    """

    def __init__(self, plan: Plan, account_id: int, router: Router) -> None:
        self._plan = plan
        self._account_id = account_id
        self._router = router
        self._runner = HandlerRunner(apology="", session_ttl=1)
        self._rng = Random(f"{plan.seed} {plan.until.isoformat()}")  # noqa: S311
        self._rhythm = TrafficCurve(self._rng, plan.until - timedelta(days=plan.days), plan.until)
        self._old = round(plan.people * OLD) or 1
        self._people = [SamplePerson(openid(self._rng), follows=True) for _ in range(self._old)]
        self._weights = [dialogue.weight for dialogue in dialogues()]
        self._msg_id = int(plan.until.timestamp()) * 10_000_000

    def __iter__(self) -> Iterator[SampleExchange]:
        waiting: list[tuple[datetime, int, SampleExchange]] = []
        told = 0
        while told < self._plan.messages:
            done = told / self._plan.messages
            start = self._rhythm.at(done)
            while waiting and waiting[0][0] <= start:
                yield heapq.heappop(waiting)[2]
            person, dialogue = self._cast(start, done)
            left = self._plan.messages - told
            for step in self._play(person, dialogue, start, min(left, max(2, left // SHARES))):
                heapq.heappush(waiting, (step.exchange.received_at, told, step))
                told += step.rows
        while waiting:
            yield heapq.heappop(waiting)[2]

    def _cast(self, start: datetime, done: float) -> tuple[SamplePerson, Dialogue]:
        """Who speaks next, and about what."""
        new = self._plan.people - self._old
        if len(self._people) - self._old < new * done:
            person = SamplePerson(openid(self._rng), follows=False)
            self._people.append(person)
        else:
            person = self._somebody(start)
        if not person.follows:
            return person, self._greeting()
        if self._rng.random() < LEAVES:
            return person, GOODBYE
        return person, self._dialogue()

    def _somebody(self, start: datetime) -> SamplePerson:
        """One of the people: the first of them most often, who is gone seldom, who is speaking never."""
        person = self._people[0]
        for _ in range(50):
            person = self._people[int(len(self._people) * self._rng.random() ** 2)]
            if person.busy_until < start and (person.follows or self._rng.random() < RETURNS):
                break
        return person

    def _dialogue(self) -> Dialogue:
        return self._rng.choices(dialogues(), self._weights)[0]

    def _greeting(self) -> Dialogue:
        """A follow, and perhaps what is said next."""
        scene = self._rng.choice(SCENES) if self._rng.random() < SCANNED else ""
        more = self._dialogue().lines if self._rng.random() < 0.5 else ()
        return Dialogue("greeting", 0, (DialogueLine("follow", scene), *more))

    def _play(
        self, person: SamplePerson, dialogue: Dialogue, start: datetime, rows: int
    ) -> Iterator[SampleExchange]:
        """What comes of a dialogue: at most so many `rows`, and nothing after the end of the plan."""
        at, chosen = start, dict[str, str]()
        for line in dialogue.lines:
            at += timedelta(minutes=line.pause)
            if at > self._plan.until or not rows:
                return
            step = self._step(person, line, at, chosen)
            if step.rows > rows:
                if at > start:
                    return
                step = self._step(person, FILLER, at, chosen)
            rows -= step.rows
            person.busy_until = at
            yield step
            at += timedelta(seconds=self._rng.uniform(4, 90))

    def _step(
        self, person: SamplePerson, line: DialogueLine, at: datetime, chosen: dict[str, str]
    ) -> SampleExchange:
        message = self._message(person, line, at, chosen)
        if line.answer:
            fate, origin = choose(self._rng), line.answer.origin
            shown = self._said(line.answer, message, chosen) if fate.state is MessageState.ANSWERED else None
        else:
            fate, (origin, shown) = QUICK, self._bot(person, message)
        if isinstance(message, messages.SubscribeEvent | messages.UnsubscribeEvent):
            person.follows = isinstance(message, messages.SubscribeEvent)
            person.has_followed |= person.follows
        exchange = Exchange(
            account_id=self._account_id,
            follower_id=None,
            message=message,
            received_at=at,
            state=fate.state,
            reply=shown,
            reply_state=fate.reply_state,
            origin=origin,
            error=fate.error,
            latency_ms=fate.latency_ms(self._rng),
        )
        return SampleExchange(exchange, fate)

    def _message(
        self, person: SamplePerson, line: DialogueLine, at: datetime, chosen: dict[str, str]
    ) -> Message:
        seconds = self._rng.uniform(60, 400) if self._rng.random() < DELAYED else self._rng.uniform(0.2, 1.5)
        head = {
            "ToUserName": ACCOUNT,
            "FromUserName": person.openid,
            "CreateTime": str(int(at.timestamp() - seconds)),
        }
        fields = head | elements(line.kind, fill(line.words, self._rng, chosen), self._rng)
        if "Event" not in fields:
            self._msg_id += self._rng.randint(1, 999)
            fields["MsgId"] = str(self._msg_id)
        return messages.parse(fields)

    def _said(self, said: ScriptedAnswer, message: Message, chosen: dict[str, str]) -> Reply | None:
        """What the platform shows of the scripted answer to `message`."""
        if not said.words:
            return None
        return replies.fit(reply(said.kind, fill(said.words, self._rng, chosen)), message)[0]

    def _bot(self, person: SamplePerson, message: Message) -> tuple[str, Reply | None]:
        """The name of the handler that takes `message`, and what it answers."""
        person.ctx.returning = person.has_followed
        route = self._router.resolve(message, person.ctx)
        if route is None or route.slow:
            return route.name if route else "", None
        known = StoredState(session={})
        exchange = self._runner.run(HandlerCall(Push(message), known, route, person.ctx), self._account_id)
        return exchange.origin, exchange.reply
