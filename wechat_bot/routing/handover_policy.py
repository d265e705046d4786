"""What the owner of an account decides about conversations between followers and persons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..wechat.replies import MAX_TEXT_BYTES
from .answers import fill, variables_in
from .definitions import Schedule
from .strict_json import Definition, Problem, ProblemCode

_RANGES = {"idle_minutes": (1, 24 * 60), "silent_hours": (1, 30 * 24), "misses": (0, 10)}
_VARIABLES = {
    "notice": frozenset[str](),
    "queue_notice": frozenset({"ahead"}),
    "closed_notice": frozenset({"hours"}),
}


@dataclass(frozen=True)
class HandoverPolicy(Definition):
    """When conversations change between the bot and persons, and what followers are told."""

    misses: int = 2
    """How many messages in a row are not understood before a person is called; 0: never."""
    idle_minutes: int = 30
    """Minutes without an answer of the operator after which the bot answers again."""
    silent_hours: int = 24
    """Hours without a message after which a follower does not wait any more."""
    hours: Schedule = Schedule()
    """When operators work, in the account's time zone."""
    notice: str = "已为你转人工，请稍候。"
    """What a follower is told who is the first to wait."""
    queue_notice: str = "已为你转人工，前面还有 {{ahead}} 人，请稍候。"
    """What a follower is told when others wait."""
    closed_notice: str = "现在不是人工服务时间，客服上班后会回复你。"
    """What a follower is told while operators do not work; empty: the same as at other times."""

    def problems(self) -> Iterator[Problem]:
        for field, (least, most) in _RANGES.items():
            if not least <= getattr(self, field) <= most:
                yield Problem(field, ProblemCode.RANGE, f"{least} to {most}")
        for field, known in _VARIABLES.items():
            text = getattr(self, field)
            if len(text.encode()) > MAX_TEXT_BYTES:
                yield Problem(field, ProblemCode.BYTES, str(MAX_TEXT_BYTES))
            for name in sorted(variables_in(text) - known):
                yield Problem(field, ProblemCode.VARIABLE, name)

    @property
    def idle(self) -> timedelta:
        return timedelta(minutes=self.idle_minutes)

    @property
    def silence(self) -> timedelta:
        return timedelta(hours=self.silent_hours)

    def text(self, now: datetime, ahead: int) -> str:
        """Return what a follower is told at the local time `now` with so many `ahead`; perhaps nothing."""
        is_closed = self.hours.refusal(now) is not None
        if is_closed and self.closed_notice.strip():
            return fill(self.closed_notice, {"hours": "、".join(self.hours.hours)})
        return (
            fill(self.queue_notice, {"ahead": str(ahead)})
            if ahead and self.queue_notice.strip()
            else self.notice
        )
