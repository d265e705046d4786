"""How an exchange went: nearly always well."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from ..models import Channel, State


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of a message and its reply; `weight` tells how often."""

    weight: int = 0
    state: State = State.ANSWERED
    error: str = ""
    attempts: int = 1
    seconds: tuple[float, float] | None = (0.003, 0.09)
    """How long the answer takes; None when there is none."""
    channel: Channel = Channel.REPLY
    reply_state: State = State.SENT
    reply_error: str = ""

    @property
    def reply_attempts(self) -> int:
        return int(self.channel is Channel.CUSTOMER)

    def latency_ms(self, rng: Random) -> int | None:
        return round(rng.uniform(*self.seconds) * 1000) if self.seconds else None


QUICK = Fate(weight=970, seconds=(0.001, 0.006))
"""That of the handlers which wait for nothing."""
_CUSTOMER = Channel.CUSTOMER
FATES = (
    Fate(weight=970),
    Fate(weight=5, attempts=2, seconds=(5.2, 9.3)),
    Fate(weight=3, attempts=3, seconds=(10.3, 13.9)),
    Fate(weight=9, seconds=(4.6, 38), channel=_CUSTOMER),
    Fate(
        weight=2,
        seconds=(4.6, 12),
        channel=_CUSTOMER,
        reply_state=State.UNKNOWN,
        reply_error="no answer within 10 s",
    ),
    Fate(
        weight=2,
        seconds=(4.6, 12),
        channel=_CUSTOMER,
        reply_state=State.FAILED,
        reply_error="45002 content size out of limit",
    ),
    Fate(weight=5, state=State.FAILED, error="TimeoutError: the order system does not answer"),
    Fate(weight=2, state=State.FAILED, error="KeyError: 'order'"),
    Fate(weight=1, state=State.FAILED, error="interrupted", seconds=None),
    Fate(weight=1, state=State.LATE, seconds=None),
)


def choose(rng: Random) -> Fate:
    return rng.choices(FATES, _WEIGHTS)[0]


_WEIGHTS = [fate.weight for fate in FATES]
