"""Decides what an attempt to publish a version of a menu does to its row."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...models import MenuState
from ...wechat import errors
from ...wechat.errors import APIError
from ..decisions import Decision

RETRY_TIME = timedelta(hours=1)
"""How long a version is tried again while the platform is away."""
NOT_READ_BACK = "published, but the menu could not be read back"
DIFFERS = "published, but the menu that was read back differs"
UNREADABLE = "the stored menu cannot be read"

BROKEN = Decision({"state": MenuState.FAILED, "error": UNREADABLE, "errcode": None, "claimed_until": None})
"""The version cannot be published, as its buttons cannot be read."""

TRANSIENT = (
    errors.Busy,
    errors.CredentialsRefused,
    errors.InvalidToken,
    errors.NotConfirmed,
    errors.NotWhitelisted,
    errors.QuotaUsedUp,
    errors.TooFrequent,
    errors.Unreachable,
)
"""Errors that do not concern the menu itself, so that the same menu may be taken later."""


def published(menuid: str, remark: str, now: datetime) -> Decision:
    """The platform took the menu. `remark` is empty, `NOT_READ_BACK` or `DIFFERS`."""
    done = {"state": MenuState.PUBLISHED, "publish_at": now, "claimed_until": None}
    return Decision({**done, "menuid": menuid, "error": remark, "errcode": None})


def refused(error: APIError, publish_at: datetime, now: datetime) -> Decision:
    """The platform did not take the menu: it stays scheduled for an hour while the error may pass."""
    waits = isinstance(error, TRANSIENT) and now < publish_at + RETRY_TIME
    told = {"error": str(error)[:255], "errcode": error.errcode or None}
    if waits:  # the claim ends by itself, which spaces the attempts
        return Decision(told)
    return Decision({**told, "state": MenuState.FAILED, "claimed_until": None})
