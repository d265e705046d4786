"""Finds the rule that answers a message, explains why others do not, and gives its answers.

Rules are asked in their order, and the first one that takes a message answers it. Those for messages that
nothing matched are asked after all others. `RuleSet._refusal` alone decides whether a rule takes a message:
`RuleSet.find` asks the rules that an index names, `RuleSet.explain` asks them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from functools import cached_property, partial

from ..wechat.messages import ClickEvent, Event, Message, ScanEvent, SubscribeEvent, TextMessage
from .answers import Giving, MissingFile, PreparedAnswer
from .conditions import clean
from .definitions import FollowerKind, MatchKind, Pick, Rule, ScheduleReason, TriggerKind
from .ownership import HandoverReason, Owner, answered_by, left_to_person
from .router import Answer, Context, Route
from .shadows import Shadows
from .text_index import TextIndex

ORIGIN = "rule."


def origin_of(rule_id: int, *, needs_person: bool) -> str:
    """Return the origin of the messages that a rule answers, and perhaps leaves to a person, too."""
    origin = f"{ORIGIN}{rule_id}"
    return left_to_person(origin) if needs_person else origin


def rule_of(origin: str) -> int | None:
    """Return the id of the rule that has this origin; None for those of others."""
    number = answered_by(origin).removeprefix(ORIGIN)
    return int(number) if origin.startswith(ORIGIN) and number.isdecimal() else None


class Refusal(StrEnum):
    """Why a rule does not answer a message."""

    OFF = "off"
    PERSON = "person"
    """A person answers the follower."""
    DIALOGUE = "dialogue"
    """A handler waits for the follower's next message."""
    TRIGGER = "trigger"
    """The rule is for something else, such as another kind of message."""
    FOLLOWERS = "followers"
    """It is for new followers, or for returning ones."""
    SCENE = "scene"
    KEY = "key"
    TEXT = "text"
    """No pattern matches."""
    OPEN = "open"
    """It answers out of hours, and the hours hold."""
    DATE = ScheduleReason.DATE
    WEEKDAY = ScheduleReason.WEEKDAY
    HOURS = ScheduleReason.HOURS
    TAGS = "tags"
    FOLLOWED_SINCE = "followed_since"
    COOL_DOWN = "cool_down"
    EARLIER = "earlier"
    """It would, but another rule has answered."""


@dataclass(frozen=True)
class Verdict:
    """Whether a rule answers a message."""

    rule_id: int
    refusal: Refusal | None
    """None if it does."""
    pattern: int | None = None
    """The number of its first pattern that matches."""
    by: int | None = None
    """The rule that has answered instead, if the refusal is `EARLIER`."""


@dataclass(frozen=True)
class RuleRoute(Route):
    """The route of a rule."""

    origin: str = ""
    is_last_resort: bool = False

    @property
    def name(self) -> str:
        return self.origin

    @property
    def catch_all(self) -> bool:
        """Whether it takes messages because nobody else does."""
        return self.is_last_resort


def no_files(file_id: int) -> str:
    """Stands for a library that has no files."""
    raise MissingFile(f"there is no library that has the file {file_id}")


class RuleSet:
    """The rules of an account, by id and in their order, compiled for matching. It never changes.

    `zone` is the time zone of schedules. `media_id` returns the platform's id of one of our files, and raises
    `MissingFile`.
    """

    def __init__(
        self, rules: Mapping[int, Rule], zone: tzinfo, media_id: Callable[[int], str] = no_files
    ) -> None:
        self.rules = rules
        self._zone = zone
        self._media_id = media_id
        self._order = tuple(rules.items())
        self._routes = tuple(self._route(rule_id, rule) for rule_id, rule in self._order)
        active = [(position, rule) for position, (_, rule) in enumerate(self._order) if rule.enabled]
        self._texts = TextIndex((position, rule.patterns) for position, rule in active)
        self._by_trigger: dict[TriggerKind, list[int]] = {kind: [] for kind in TriggerKind}
        for position, rule in active:
            self._by_trigger[rule.trigger.type].append(position)

    def _route(self, rule_id: int, rule: Rule) -> RuleRoute:
        return RuleRoute(
            Message,
            (),
            partial(self.answer, rule_id),
            with_person=rule.answers_with_person,
            origin=origin_of(rule_id, needs_person=rule.needs_person),
            is_last_resort=rule.is_last_resort,
        )

    @property
    def resets(self) -> frozenset[str]:
        """The origins of messages before which the assistant forgets the conversation."""
        return frozenset(
            route.origin
            for route, (_, rule) in zip(self._routes, self._order, strict=True)
            if rule.resets_assistant
        )

    # Matching

    def find(self, message: Message, ctx: Context, *, last: bool = False) -> Route | None:
        """Return the route of the rule that answers `message`, or None; set ``ctx.match``.

        With `last`, only the rules for messages that nothing matched are asked, and otherwise all others.
        """
        hits = {} if last else self._hits(message)
        now = ctx.received_at.astimezone(self._zone)
        for position in self._candidates(message, hits, last):
            if self._refusal(position, message, ctx, hits, now) is None:
                ctx.match = hits.get(position)
                return self._routes[position]
        return None

    def explain(self, message: Message, ctx: Context) -> tuple[Verdict, ...]:
        """Return the verdict on each rule in its order, as if no handler took the message."""
        hits = self._hits(message)
        now = ctx.received_at.astimezone(self._zone)
        found = [self._refusal(number, message, ctx, hits, now) for number in range(len(self._order))]
        willing = [number for number, refusal in enumerate(found) if refusal is None]
        last = set(self._by_trigger[TriggerKind.NOTHING_MATCHED])
        first = min(willing, key=lambda number: (number in last, number), default=None)
        verdicts = []
        for number, (rule_id, _) in enumerate(self._order):
            refusal, by = found[number], None
            if refusal is None and first is not None and number != first:
                refusal, by = Refusal.EARLIER, self._order[first][0]
            verdicts.append(Verdict(rule_id, refusal, hits.get(number), by))
        return tuple(verdicts)

    def _hits(self, message: Message) -> dict[int, int]:
        """Return the positions of the rules of which a pattern matches, with the numbers of the patterns."""
        return self._texts.find(message.content) if isinstance(message, TextMessage) else {}

    def _candidates(self, message: Message, hits: Mapping[int, int], last: bool) -> Iterable[int]:
        """Return the positions of all rules that may answer, in order."""
        if last:
            return self._by_trigger[TriggerKind.NOTHING_MATCHED]
        closed = self._by_trigger[TriggerKind.OUT_OF_HOURS]
        trigger = _trigger_of(message)
        if trigger is TriggerKind.TEXT:
            return sorted([*hits, *closed])
        return sorted([*self._by_trigger[trigger], *closed]) if trigger else ()

    def _refusal(
        self, position: int, message: Message, ctx: Context, hits: Mapping[int, int], now: datetime
    ) -> Refusal | None:
        """Decide whether the rule at `position` takes a message that no earlier one took."""
        rule_id, rule = self._order[position]
        if not rule.enabled:
            return Refusal.OFF
        if ctx.owner is not Owner.BOT and not rule.answers_with_person:
            return Refusal.PERSON
        if ctx.state and not isinstance(message, Event):
            return Refusal.DIALOGUE
        refusal = _trigger_refusal(rule, message, ctx)
        if refusal is None and rule.trigger.type is TriggerKind.TEXT and position not in hits:
            refusal = Refusal.TEXT
        return refusal or _schedule_refusal(rule, now) or self._follower_refusal(rule_id, rule, ctx, now)

    def _follower_refusal(self, rule_id: int, rule: Rule, ctx: Context, now: datetime) -> Refusal | None:
        audience = rule.audience
        if audience.tags and ctx.tags.isdisjoint(audience.tags):
            return Refusal.TAGS
        if since := audience.followed_since:
            followed_at = ctx.followed_at and ctx.followed_at.astimezone(self._zone)
            if followed_at is None or followed_at.date() < since:
                return Refusal.FOLLOWED_SINCE
        if rule.cool_down and self._memory(rule_id, ctx).get("until", 0) > now.timestamp():
            return Refusal.COOL_DOWN
        return None

    # Answering

    def answer(self, rule_id: int, message: Message, ctx: Context) -> Answer:
        """Return the answers of a rule to a message that it takes, and remember what it keeps.

        :raises MissingFile: if a file cannot be sent.
        """
        rule = self.rules[rule_id]
        giving = Giving(self._media_id, self._variables(rule, message, ctx))
        picked = self._pick(rule_id, rule, message, ctx)
        replies = tuple(reply for answer in picked if (reply := answer.reply(giving)))
        if any(answer.calls_person for answer in picked):
            ctx.hand_over(HandoverReason.RULE)
        ctx.not_understood = rule.trigger.type is TriggerKind.NOTHING_MATCHED
        if rule.cool_down or rule.pick is Pick.IN_TURN:
            self._remember(rule_id, rule, ctx)
        return replies

    def _pick(self, rule_id: int, rule: Rule, message: Message, ctx: Context) -> tuple[PreparedAnswer, ...]:
        match rule.pick:
            case Pick.ALL:
                return rule.answers
            case Pick.RANDOM:  # the same one when the handler of the message runs again
                number = int(message.dedup_key, 16)
            case Pick.IN_TURN:
                number = int(self._memory(rule_id, ctx).get("turn", 0))
        return (rule.answers[number % len(rule.answers)],)

    def _memory(self, rule_id: int, ctx: Context) -> Mapping[str, float]:
        return ctx.rule_memory.get(str(rule_id), {})

    def _remember(self, rule_id: int, rule: Rule, ctx: Context) -> None:
        """Note until when the rule rests and which answer is next, and forget what no rule needs any more."""
        now = ctx.received_at.timestamp()
        kept = {
            key: memory
            for key, memory in ctx.rule_memory.items()
            if int(key) in self.rules and ("turn" in memory or memory.get("until", 0) > now)
        }
        memory: dict[str, float] = {}
        if rule.cool_down:
            memory["until"] = now + rule.cool_down
        if rule.pick is Pick.IN_TURN:
            memory["turn"] = (self._memory(rule_id, ctx).get("turn", 0) + 1) % len(rule.answers)
        ctx.rule_memory = kept | {str(rule_id): memory}

    def _variables(self, rule: Rule, message: Message, ctx: Context) -> dict[str, str]:
        now = ctx.received_at.astimezone(self._zone)
        name = ctx.session.get("name")
        variables = {"date": now.date().isoformat(), "time": f"{now:%H:%M}"}
        if isinstance(name, str):
            variables["name"] = name
        pattern = None if ctx.match is None else rule.patterns[ctx.match]
        if pattern and pattern.match is MatchKind.PATTERN and isinstance(message, TextMessage):
            found = pattern.regex.fullmatch(clean(message.content))
            groups = {str(number): found[number] for number in range(pattern.regex.groups + 1)}
            variables |= {key: value for key, value in (groups | found.groupdict()).items() if value}
        return variables

    # Advice

    @cached_property
    def shadowed(self) -> Mapping[int, tuple[int, ...]]:
        """The rules that can never answer, each with the rules before it that always do.

        What is found is certain; a rule may be shadowed by several others in ways that are not found.
        """
        found = {}
        for position, covering in Shadows([rule for _, rule in self._order], self._texts).find():
            found[self._order[position][0]] = tuple(self._order[number][0] for number in sorted(covering))
        return found


def _trigger_of(message: Message) -> TriggerKind | None:
    """Return the kind of trigger that a message sets off, besides those for any message."""
    match message:
        case SubscribeEvent():
            return TriggerKind.FOLLOWED
        case ScanEvent():
            return TriggerKind.SCANNED
        case ClickEvent():
            return TriggerKind.MENU
        case Event():
            return None
        case TextMessage():
            return TriggerKind.TEXT
    return TriggerKind.MESSAGE


def _trigger_refusal(rule: Rule, message: Message, ctx: Context) -> Refusal | None:
    trigger = rule.trigger
    if rule.is_last_resort:
        return Refusal.TRIGGER if isinstance(message, Event) else None
    if trigger.type is not _trigger_of(message):
        return Refusal.TRIGGER
    match message:
        case SubscribeEvent():
            return _followed_refusal(rule, message, ctx)
        case ScanEvent():
            return None if message.key.startswith(trigger.scene) else Refusal.SCENE
        case ClickEvent():
            return None if message.key in trigger.keys else Refusal.KEY
        case TextMessage():
            return None
    return Refusal.TRIGGER if trigger.kinds and message.kind not in trigger.kinds else None


def _followed_refusal(rule: Rule, message: SubscribeEvent, ctx: Context) -> Refusal | None:
    expected = FollowerKind.RETURNING if ctx.returning else FollowerKind.NEW
    if rule.trigger.followers not in {FollowerKind.ANY, expected}:
        return Refusal.FOLLOWERS
    return None if message.scene.startswith(rule.trigger.scene) else Refusal.SCENE


def _schedule_refusal(rule: Rule, now: datetime) -> Refusal | None:
    reason = rule.schedule.refusal(now)
    if rule.trigger.type is TriggerKind.OUT_OF_HOURS and reason is not ScheduleReason.DATE:
        return Refusal.OPEN if reason is None else None
    return Refusal(reason) if reason else None
