"""Rules as owners define them: values that are read from JSON, and what they must not contain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

import re2

from . import strict_json
from .answers import PlatformAIAnswer, PreparedAnswer, variables_in
from .conditions import normalize
from .strict_json import Definition, Problem, ProblemCode

MAX_RULES = 1000
MAX_PATTERNS = 10_000
"""Upper limits for the rules of one account, and for the patterns of all of them."""
ADVISED_KEYWORD = 30
"""Characters of a keyword that the platform's own rules allow; longer ones are hardly ever typed."""
MAX_KEYWORD = 200
MAX_NAME = 64
MAX_NOTES = 1000
MAX_ANSWERS = 5
MAX_COOL_DOWN = 30 * 24 * 3600
"""Seconds."""
MESSAGE_KINDS = ("image", "voice", "video", "shortvideo", "location", "link", "file", "miniprogrampage")
"""The kinds of messages besides texts."""
VARIABLES = frozenset({"name", "date", "time"})
"""Variables of every text: the name that the follower told, and the present day and time."""

_HOURS = re.compile("[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}")
_PATTERN_OPTIONS = re2.Options()
_PATTERN_OPTIONS.case_sensitive = False
_PATTERN_OPTIONS.log_errors = False
_PATTERN_OPTIONS.max_mem = 256 << 10


class TriggerKind(StrEnum):
    """When a rule is asked."""

    FOLLOWED = "followed"
    SCANNED = "scanned"
    """Somebody who follows scanned a QR code."""
    TEXT = "text"
    MESSAGE = "message"
    """A message that is no text."""
    MENU = "menu"
    """A tap on a button of the menu."""
    OUT_OF_HOURS = "out_of_hours"
    """Any message, while the rule's hours do not hold."""
    NOTHING_MATCHED = "nothing_matched"
    """Any message that no other rule, and no handler between them, took."""


_OF_EVENTS = frozenset({TriggerKind.FOLLOWED, TriggerKind.SCANNED, TriggerKind.MENU})


class FollowerKind(StrEnum):
    ANY = "any"
    NEW = "new"
    RETURNING = "returning"


class MatchKind(StrEnum):
    """How a text is compared with a pattern. All but `PATTERN` compare normalized texts."""

    WHOLE = "whole"
    CONTAINS = "contains"
    STARTS = "starts"
    WORDS = "words"
    """All of these words, which are divided by blanks, occur."""
    PATTERN = "pattern"
    """A regular expression of RE2 for the whole text."""
    NUMBER = "number"
    """The number of an entry in a list, such as ``1`` or ``1.``."""


class Pick(StrEnum):
    """Which of several answers are given."""

    ALL = "all"
    RANDOM = "random"
    IN_TURN = "in_turn"
    """The next one each time, for each follower."""


@dataclass(frozen=True)
class Trigger(Definition):
    """When a rule is asked; each field belongs to some kinds."""

    type: TriggerKind
    followers: FollowerKind = FollowerKind.ANY
    scene: str = ""
    """How the scene of the QR code begins."""
    kinds: tuple[str, ...] = ()
    """The kinds of messages, of `MESSAGE_KINDS`; empty for all."""
    keys: tuple[str, ...] = ()
    """The keys of the menu's buttons."""

    def problems(self) -> Iterator[Problem]:
        kind = self.type
        if self.followers is not FollowerKind.ANY and kind is not TriggerKind.FOLLOWED:
            yield Problem("followers", ProblemCode.USELESS, kind)
        if self.scene and kind not in {TriggerKind.FOLLOWED, TriggerKind.SCANNED}:
            yield Problem("scene", ProblemCode.USELESS, kind)
        if self.kinds and kind is not TriggerKind.MESSAGE:
            yield Problem("kinds", ProblemCode.USELESS, kind)
        if self.keys and kind is not TriggerKind.MENU:
            yield Problem("keys", ProblemCode.USELESS, kind)
        if kind is TriggerKind.MENU and not all(key.strip() for key in self.keys or ("",)):
            yield Problem("keys", ProblemCode.BLANK)
        for number, name in enumerate(self.kinds):
            if name not in MESSAGE_KINDS:
                yield Problem(f"kinds[{number}]", ProblemCode.VALUE, ", ".join(MESSAGE_KINDS))


@dataclass(frozen=True)
class Pattern(Definition):
    """What a text is compared with."""

    match: MatchKind
    text: str

    def problems(self) -> Iterator[Problem]:
        if len(self.text) > MAX_KEYWORD:
            yield Problem("text", ProblemCode.CHARACTERS, str(MAX_KEYWORD))
        elif not self.keyword:
            yield Problem("text", ProblemCode.BLANK)
        elif self.match is MatchKind.NUMBER and not _is_number(self.keyword):
            yield Problem("text", ProblemCode.FORMAT, "1 to 999")
        elif self.match is MatchKind.PATTERN:
            try:
                self.regex  # noqa: B018
            except re2.error as error:
                reason = error.args[0]
                detail = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
                yield Problem("text", ProblemCode.PATTERN, detail)

    @cached_property
    def keyword(self) -> str:
        """The text in the form that is compared."""
        return normalize(self.text)

    @cached_property
    def regex(self) -> Any:
        """The compiled regular expression of a `PATTERN`.

        :raises re2.error: if RE2 does not know what is written, as it knows no references to groups.
        """
        return re2.compile(self.text, _PATTERN_OPTIONS)

    @property
    def groups(self) -> frozenset[str]:
        """The names and numbers of the groups of a `PATTERN`, as variables."""
        if self.match is not MatchKind.PATTERN:
            return frozenset()
        return frozenset({*self.regex.groupindex, *map(str, range(self.regex.groups + 1))})


class ScheduleReason(StrEnum):
    """Why a schedule does not hold."""

    DATE = "date"
    WEEKDAY = "weekday"
    HOURS = "hours"


@dataclass(frozen=True)
class Schedule(Definition):
    """Times in the account's time zone. What is left out holds always."""

    hours: tuple[str, ...] = ()
    """Such as ``09:00-18:00``. Hours that end before they begin last until the next day."""
    weekdays: tuple[int, ...] = ()
    """1 is Monday; hours that last until the next day belong to the day on which they begin."""
    first_day: date | None = None
    last_day: date | None = None

    def problems(self) -> Iterator[Problem]:
        for number, hours in enumerate(self.hours):
            try:
                _interval(hours)
            except ValueError:
                yield Problem(f"hours[{number}]", ProblemCode.FORMAT, "09:00-18:00")
        for number, weekday in enumerate(self.weekdays):
            if not 1 <= weekday <= 7:
                yield Problem(f"weekdays[{number}]", ProblemCode.RANGE, "1 to 7")
        if self.first_day and self.last_day and self.first_day > self.last_day:
            yield Problem("last_day", ProblemCode.RANGE, f"{self.first_day} or later")

    @cached_property
    def _intervals(self) -> tuple[tuple[time, time], ...]:
        return tuple(map(_interval, self.hours)) or ((time.min, time.min),)

    def refusal(self, now: datetime) -> ScheduleReason | None:
        """Return why the schedule does not hold at the local time `now`; None if it does."""
        if (self.first_day and now.date() < self.first_day) or (self.last_day and now.date() > self.last_day):
            return ScheduleReason.DATE
        if any(self._is_within(now, *interval) for interval in self._intervals):
            return None
        return ScheduleReason.WEEKDAY if not self._has(now) else ScheduleReason.HOURS

    def _is_within(self, now: datetime, start: time, end: time) -> bool:
        moment = now.time()
        if start < end:
            return start <= moment < end and self._has(now)
        return (moment >= start and self._has(now)) or (moment < end and self._has(now - timedelta(days=1)))

    def _has(self, day: datetime) -> bool:
        return not self.weekdays or day.isoweekday() in self.weekdays


@dataclass(frozen=True)
class Audience(Definition):
    """The followers for whom a rule is."""

    tags: tuple[str, ...] = ()
    """They have one of these tags; empty for all followers."""
    followed_since: date | None = None
    """They have followed since this day or a later one."""


@dataclass(frozen=True)
class Rule(Definition):
    """An answer without code. Its id and its place among others belong to what stores it."""

    name: str
    trigger: Trigger
    answers: tuple[PreparedAnswer, ...]
    patterns: tuple[Pattern, ...] = ()
    enabled: bool = True
    pick: Pick = Pick.ALL
    schedule: Schedule = Schedule()
    audience: Audience = Audience()
    cool_down: int = 0
    """Seconds for which the rule leaves a follower's messages to others after it answered one."""
    with_person: bool = False
    """Whether it also answers messages while a person talks with the follower. Rules for events always do."""
    resets_assistant: bool = False
    """Whether the assistant forgets the conversation before a message that the rule takes."""
    notes: str = ""
    """What operators tell each other about the rule."""

    def problems(self) -> Iterator[Problem]:
        if not self.name.strip():
            yield Problem("name", ProblemCode.BLANK)
        for field, limit in (("name", MAX_NAME), ("notes", MAX_NOTES)):
            if len(getattr(self, field)) > limit:
                yield Problem(field, ProblemCode.CHARACTERS, str(limit))
        if not 0 <= self.cool_down <= MAX_COOL_DOWN:
            yield Problem("cool_down", ProblemCode.RANGE, f"0 to {MAX_COOL_DOWN}")
        yield from self._trigger_problems()
        yield from self._answer_problems()
        yield from self._variable_problems()

    def _trigger_problems(self) -> Iterator[Problem]:
        kind = self.trigger.type
        if kind is TriggerKind.TEXT and not self.patterns:
            yield Problem("patterns", ProblemCode.MISSING)
        if kind is not TriggerKind.TEXT and self.patterns:
            yield Problem("patterns", ProblemCode.USELESS, kind)
        if kind is TriggerKind.OUT_OF_HOURS and not (self.schedule.hours or self.schedule.weekdays):
            yield Problem("schedule.hours", ProblemCode.MISSING)

    def _answer_problems(self) -> Iterator[Problem]:
        if not self.answers:
            yield Problem("answers", ProblemCode.MISSING)
        if len(self.answers) > MAX_ANSWERS:
            yield Problem("answers", ProblemCode.TOO_MANY, str(MAX_ANSWERS))
        for number, answer in enumerate(self.answers):
            path = f"answers[{number}]"
            if answer.is_alone and len(self.answers) > 1 and self.pick is Pick.ALL:
                yield Problem(path, ProblemCode.ALONE)
            if isinstance(answer, PlatformAIAnswer) and self.trigger.type in _OF_EVENTS:
                yield Problem(path, ProblemCode.USELESS, self.trigger.type)

    def _variable_problems(self) -> Iterator[Problem]:
        try:
            known = VARIABLES.union(*(pattern.groups for pattern in self.patterns))
        except re2.error:  # which groups there will be is not known
            return
        for number, answer in enumerate(self.answers):
            used = set().union(*map(variables_in, answer.templates))
            for name in sorted(used - known):
                yield Problem(f"answers[{number}]", ProblemCode.VARIABLE, name)

    @classmethod
    def from_json(cls, definition: object) -> Rule:
        """Return the rule that `to_json` returned as `definition`.

        :raises InvalidDefinition: naming every field that is not valid.
        """
        return strict_json.read(cls, definition)

    def to_json(self) -> dict[str, Any]:
        """Return the rule as a JSON object, without the fields that have their defaults."""
        found: dict[str, Any] = strict_json.to_json(self)
        return found

    @property
    def needs_person(self) -> bool:
        """Whether a person has to look at the messages that it answers."""
        return self.is_last_resort or any(answer.hands_over for answer in self.answers)

    @property
    def answers_with_person(self) -> bool:
        """Whether it also answers while a person talks with the follower."""
        return self.with_person or self.trigger.type in _OF_EVENTS

    @property
    def is_last_resort(self) -> bool:
        """Whether it answers because nobody else does."""
        return self.trigger.type in {TriggerKind.NOTHING_MATCHED, TriggerKind.OUT_OF_HOURS}


def advice(rule: Rule) -> Mapping[str, str]:
    """Return what is valid but rarely meant, by field: ``one_character`` and ``long`` keywords."""
    found: dict[str, str] = {}
    for number, pattern in enumerate(rule.patterns):
        length = len(pattern.keyword)
        if pattern.match is MatchKind.CONTAINS and length == 1:
            found[f"patterns[{number}].text"] = "one_character"
        elif pattern.match is not MatchKind.PATTERN and length > ADVISED_KEYWORD:
            found[f"patterns[{number}].text"] = "long"
    return found


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 3 and text[0] != "0"


def _interval(hours: str) -> tuple[time, time]:
    """Return the beginning and the end of ``09:00-18:00``; midnight at the end is ``00:00`` or ``24:00``.

    :raises ValueError: if it is not written so.
    """
    if not _HOURS.fullmatch(hours):
        raise ValueError(hours)
    end = "00:00" if hours[6:] == "24:00" else hours[6:]
    return time.fromisoformat(hours[:5]), time.fromisoformat(end)
