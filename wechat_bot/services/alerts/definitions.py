"""Channels of alerts as admins define them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ...models import Occasion
from ...routing.definitions import Schedule
from ...routing.strict_json import Definition, Problem, ProblemCode

MAX_NAME = 64
MAX_MINUTES = 24 * 60
MAX_RECIPIENTS = 20
MAX_RECIPIENT = 254

TROUBLES = (Occasion.STOPPED, Occasion.FAILING, Occasion.LATE)
"""Troubles with pushes, of which a channel is told when they begin and when they are over."""

_MAIL_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")


class Medium(StrEnum):
    """Where alerts are sent."""

    WECOM = "wecom"
    """A robot in a group of WeCom (企业微信)."""
    FEISHU = "feishu"
    """A robot in a group of Feishu or Lark (飞书)."""
    DINGTALK = "dingtalk"
    """A robot in a group of DingTalk (钉钉)."""
    WEBHOOK = "webhook"
    """An address of one's own, which gets JSON."""
    MAIL = "mail"

    @property
    def signs(self) -> bool:
        """Whether its messages may be signed with a secret."""
        return self in {Medium.FEISHU, Medium.DINGTALK}


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


@dataclass(frozen=True)
class Channel(Definition):
    """What a channel is told of, when, and in which words. Its address is stored beside it, sealed."""

    name: str
    medium: Medium
    enabled: bool = True
    occasions: tuple[Occasion, ...] = (Occasion.WAITING, Occasion.UNANSWERED, *TROUBLES)
    minutes: int = 5
    """After which a follower counts as `UNANSWERED`."""
    quiet: Schedule = Schedule()
    """When nothing is sent; who still waits afterwards is told of then."""
    shows_words: bool = False
    """Whether alerts tell what the follower wrote."""
    language: Language = Language.ZH
    recipients: tuple[str, ...] = ()
    """The addresses of a `MAIL` channel."""

    def problems(self) -> Iterator[Problem]:
        if not self.name.strip():
            yield Problem("name", ProblemCode.BLANK)
        if len(self.name) > MAX_NAME:
            yield Problem("name", ProblemCode.CHARACTERS, str(MAX_NAME))
        if not self.occasions:
            yield Problem("occasions", ProblemCode.MISSING)
        if not 1 <= self.minutes <= MAX_MINUTES:
            yield Problem("minutes", ProblemCode.RANGE, f"1 to {MAX_MINUTES}")
        if self.medium is Medium.MAIL:
            yield from self._recipient_problems()
        elif self.recipients:
            yield Problem("recipients", ProblemCode.USELESS, self.medium)

    def _recipient_problems(self) -> Iterator[Problem]:
        if not self.recipients:
            yield Problem("recipients", ProblemCode.MISSING)
        if len(self.recipients) > MAX_RECIPIENTS:
            yield Problem("recipients", ProblemCode.TOO_MANY, str(MAX_RECIPIENTS))
        for recipient in self.recipients:
            if len(recipient) > MAX_RECIPIENT or not _MAIL_ADDRESS.fullmatch(recipient):
                yield Problem("recipients", ProblemCode.FORMAT, "name@example.com")
                break

    def is_quiet(self, now: datetime) -> bool:
        """Whether nothing is sent at the local time `now`. Without hours and weekdays it is never quiet."""
        return self.quiet != Schedule() and self.quiet.refusal(now) is None
