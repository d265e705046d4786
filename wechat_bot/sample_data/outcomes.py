"""Outcomes of sample exchanges: states, delivery attempts, errors and latencies, nearly always successful."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from ..models import Channel, MessageState


@dataclass(frozen=True, kw_only=True)
class DeliveryProfile:
    """The outcome of a message and its reply. It is chosen in proportion to its `weight`."""

    weight: int = 0
    state: MessageState = MessageState.ANSWERED
    error: str = ""
    attempts: int = 1
    seconds: tuple[float, float] | None = (0.003, 0.09)
    """The range of the latency in seconds; None when there is no answer."""
    channel: Channel = Channel.REPLY
    reply_state: MessageState = MessageState.SENT
    reply_error: str = ""

    @property
    def reply_attempts(self) -> int:
        return int(self.channel is Channel.CUSTOMER)

    def latency_ms(self, rng: Random) -> int | None:
        return round(rng.uniform(*self.seconds) * 1000) if self.seconds else None


QUICK = DeliveryProfile(weight=970, seconds=(0.001, 0.006))
"""The outcome of handlers that do no I/O."""
_CUSTOMER = Channel.CUSTOMER
PROFILES = (
    DeliveryProfile(weight=970),
    DeliveryProfile(weight=5, attempts=2, seconds=(5.2, 9.3)),
    DeliveryProfile(weight=3, attempts=3, seconds=(10.3, 13.9)),
    DeliveryProfile(weight=9, seconds=(4.6, 38), channel=_CUSTOMER),
    DeliveryProfile(
        weight=2,
        seconds=(4.6, 12),
        channel=_CUSTOMER,
        reply_state=MessageState.UNKNOWN,
        reply_error="no answer within 10 s",
    ),
    DeliveryProfile(
        weight=2,
        seconds=(4.6, 12),
        channel=_CUSTOMER,
        reply_state=MessageState.FAILED,
        reply_error="45002 content size out of limit",
    ),
    DeliveryProfile(
        weight=5, state=MessageState.FAILED, error="TimeoutError: the order system does not answer"
    ),
    DeliveryProfile(weight=2, state=MessageState.FAILED, error="KeyError: 'order'"),
    DeliveryProfile(weight=1, state=MessageState.FAILED, error="interrupted", seconds=None),
    DeliveryProfile(weight=1, state=MessageState.LATE, seconds=None),
)


def random_profile(rng: Random) -> DeliveryProfile:
    return rng.choices(PROFILES, _WEIGHTS)[0]


_WEIGHTS = [profile.weight for profile in PROFILES]
