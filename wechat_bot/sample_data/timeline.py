"""Generates the exchanges between followers of a shop and its bot, in the order of their arrival."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from ..models import MessageState
from ..routing import Context, Router
from ..services.inbox.exchanges import Exchange
from ..services.inbox.handling import HandlerCall, HandlerRunner, Push
from ..services.inbox.lookup import StoredState
from ..services.messages.records import reply_key
from ..wechat import messages, parsing, replies
from ..wechat.messages import Message
from ..wechat.replies import Reply
from .dialogues import Dialogue, DialogueLine, ScriptedAnswer, dialogues, expand
from .messages import build_reply, openid, push_fields
from .outcomes import QUICK, DeliveryProfile, random_profile
from .traffic import TrafficCurve
from .vocabulary import SCENES

ACCOUNT = "gh_7ea5h0p00001"

EXISTING_SHARE = 0.4
"""Share of followers who followed before the first message."""
SCAN_PROBABILITY = 0.6
"""Probability that a new follower scanned a QR code with a scene."""
UNFOLLOW_PROBABILITY = 0.012
"""Probability that a chosen follower unfollows instead of starting a dialogue."""
RETURN_PROBABILITY = 0.1
"""Probability that a chosen person who has unfollowed follows again."""
DELAY_PROBABILITY = 0.003
"""Probability that a push arrives minutes after its CreateTime."""
MIN_DIALOGUES_LEFT = 4
"""A dialogue takes at most the remaining rows divided by this, so that rows remain for the last hours."""

GOODBYE = Dialogue("goodbye", 0, (DialogueLine("unfollow", ""),))
FILLER = DialogueLine("view", "https://www.example.com/shop")
"""An event without a reply, hence one row; it is used where a reply would exceed the plan."""


@dataclass(frozen=True)
class Plan:
    """Parameters of the generated messages. The same plan generates the same messages."""

    messages: int
    """Rows in the message log: messages and their replies."""
    until: datetime
    """The latest time of a received message."""
    seed: int = 1
    followers: int | None = None
    """None for one of 40 messages, at least 8."""
    days: int = 60

    @property
    def follower_count(self) -> int:
        return self.followers or max(8, self.messages // 40)


@dataclass(frozen=True)
class SampleExchange:
    """An exchange and its outcome."""

    exchange: Exchange
    profile: DeliveryProfile

    @property
    def rows(self) -> int:
        return 2 if self.exchange.reply else 1

    def reply_columns(self) -> dict[str, Any]:
        """Return the dedup key of the reply, as `reply`, and the columns that describe its delivery."""
        sent_at = self.exchange.received_at + timedelta(milliseconds=self.exchange.latency_ms or 0)
        return {
            "reply": reply_key(self.exchange.key),
            "created_at": sent_at,
            "received_at": sent_at,
            "channel": self.profile.channel,
            "attempts": self.profile.reply_attempts,
            "error": self.profile.reply_error,
        }


@dataclass
class SamplePerson:
    openid: str
    follows: bool
    has_followed: bool = False
    busy_until: datetime = datetime.min.replace(tzinfo=UTC)
    ctx: Context = field(default_factory=Context)


class SampleTimeline:
    """Iterates over the exchanges of a plan in the order in which they are received.

    Together they have exactly `Plan.messages` rows. Messages without a scripted answer are answered by the
    handlers of `router`, except slow ones, which may call paid services.
    """

    def __init__(self, plan: Plan, account_id: int, router: Router) -> None:
        self._plan = plan
        self._account_id = account_id
        self._router = router
        self._runner = HandlerRunner(
            apology="", shows_errors=False, session_ttl=1, late_state=lambda: MessageState.READY
        )
        self._rng = Random(f"{plan.seed} {plan.until.isoformat()}")  # noqa: S311
        self._traffic = TrafficCurve(self._rng, plan.until - timedelta(days=plan.days), plan.until)
        self._existing = round(plan.follower_count * EXISTING_SHARE) or 1
        self._people = [SamplePerson(openid(self._rng), follows=True) for _ in range(self._existing)]
        self._weights = [dialogue.weight for dialogue in dialogues()]
        self._msg_id = int(plan.until.timestamp()) * 10_000_000

    def __iter__(self) -> Iterator[SampleExchange]:
        pending: list[tuple[datetime, int, SampleExchange]] = []
        planned = 0
        while planned < self._plan.messages:
            done = planned / self._plan.messages
            start = self._traffic.at(done)
            while pending and pending[0][0] <= start:
                yield heapq.heappop(pending)[2]
            person, dialogue = self._choose(start, done)
            left = self._plan.messages - planned
            limit = min(left, max(2, left // MIN_DIALOGUES_LEFT))
            for step in self._exchanges(person, dialogue, start, limit):
                heapq.heappush(pending, (step.exchange.received_at, planned, step))
                planned += step.rows
        while pending:
            yield heapq.heappop(pending)[2]

    def _choose(self, start: datetime, done: float) -> tuple[SamplePerson, Dialogue]:
        """Choose who writes next, and the dialogue."""
        new = self._plan.follower_count - self._existing
        if len(self._people) - self._existing < new * done:
            person = SamplePerson(openid(self._rng), follows=False)
            self._people.append(person)
        else:
            person = self._choose_person(start)
        if not person.follows:
            return person, self._greeting()
        if self._rng.random() < UNFOLLOW_PROBABILITY:
            return person, GOODBYE
        return person, self._choose_dialogue()

    def _choose_person(self, start: datetime) -> SamplePerson:
        """Choose a person who is not in a dialogue, most often an early one, rarely one who unfollowed."""
        person = self._people[0]
        for _ in range(50):
            person = self._people[int(len(self._people) * self._rng.random() ** 2)]
            if person.busy_until < start and (person.follows or self._rng.random() < RETURN_PROBABILITY):
                break
        return person

    def _choose_dialogue(self) -> Dialogue:
        return self._rng.choices(dialogues(), self._weights)[0]

    def _greeting(self) -> Dialogue:
        """Return a dialogue that begins with a subscribe event."""
        scene = self._rng.choice(SCENES) if self._rng.random() < SCAN_PROBABILITY else ""
        more = self._choose_dialogue().lines if self._rng.random() < 0.5 else ()
        return Dialogue("greeting", 0, (DialogueLine("follow", scene), *more))

    def _exchanges(
        self, person: SamplePerson, dialogue: Dialogue, start: datetime, rows: int
    ) -> Iterator[SampleExchange]:
        """Yield the exchanges of a dialogue: at most `rows` rows, and none after the end of the plan."""
        at, chosen = start, dict[str, str]()
        for line in dialogue.lines:
            at += timedelta(minutes=line.pause)
            if at > self._plan.until or not rows:
                return
            step = self._exchange(person, line, at, chosen)
            if step.rows > rows:
                if at > start:
                    return
                step = self._exchange(person, FILLER, at, chosen)
            rows -= step.rows
            person.busy_until = at
            yield step
            at += timedelta(seconds=self._rng.uniform(4, 90))

    def _exchange(
        self, person: SamplePerson, line: DialogueLine, at: datetime, chosen: dict[str, str]
    ) -> SampleExchange:
        message = self._message(person, line, at, chosen)
        if line.answer:
            profile, origin = random_profile(self._rng), line.answer.origin
            answered = profile.state is MessageState.ANSWERED
            reply = self._scripted_reply(line.answer, message, chosen) if answered else None
        else:
            profile, (origin, reply) = QUICK, self._handler_reply(person, message)
        if isinstance(message, messages.SubscribeEvent | messages.UnsubscribeEvent):
            person.follows = isinstance(message, messages.SubscribeEvent)
            person.has_followed |= person.follows
        exchange = Exchange(
            account_id=self._account_id,
            follower_id=None,
            message=message,
            received_at=at,
            state=profile.state,
            attempts=profile.attempts,
            reply=reply,
            reply_state=profile.reply_state,
            origin=origin,
            error=profile.error,
            latency_ms=profile.latency_ms(self._rng),
        )
        return SampleExchange(exchange, profile)

    def _message(
        self, person: SamplePerson, line: DialogueLine, at: datetime, chosen: dict[str, str]
    ) -> Message:
        delayed = self._rng.random() < DELAY_PROBABILITY
        seconds = self._rng.uniform(60, 400) if delayed else self._rng.uniform(0.2, 1.5)
        envelope = {
            "ToUserName": ACCOUNT,
            "FromUserName": person.openid,
            "CreateTime": str(int(at.timestamp() - seconds)),
        }
        fields = envelope | push_fields(line.kind, expand(line.words, self._rng, chosen), self._rng)
        if "Event" not in fields:
            self._msg_id += self._rng.randint(1, 999)
            fields["MsgId"] = str(self._msg_id)
        return parsing.parse(fields)

    def _scripted_reply(
        self, answer: ScriptedAnswer, message: Message, chosen: dict[str, str]
    ) -> Reply | None:
        """Return the scripted reply, shortened as a passive reply to `message` is."""
        if not answer.words:
            return None
        reply = build_reply(answer.kind, expand(answer.words, self._rng, chosen))
        return replies.split_for_passive_reply(reply, message)[0]

    def _handler_reply(self, person: SamplePerson, message: Message) -> tuple[str, Reply | None]:
        """Return the name of the handler of `message` and its reply; slow handlers are not called."""
        person.ctx.returning = person.has_followed
        route = self._router.resolve(message, person.ctx)
        if route is None or route.slow:
            return route.name if route else "", None
        known = StoredState(session={})
        exchange = self._runner.run(HandlerCall(Push(message), known, route, person.ctx), self._account_id)
        return exchange.origin, exchange.reply
