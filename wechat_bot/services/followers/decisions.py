"""Decides whether a follower follows, and the state of a synchronisation run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ...models import SyncState
from ...models.columns import storable
from ...wechat.errors import APIError
from ...wechat.messages import Message, SubscribeEvent, UnsubscribeEvent
from ..decisions import Decision


def after_push(follower: Any, message: Message) -> Decision:
    """Decide what a push of a follower does to the row `follower`.

    Pushes arrive in any order, so a follow or unfollow that is older than the last one changes nothing
    (``wechat-platform.md`` 10.5). Pushes are lost, too: who writes or acts later than the unfollow follows
    again.
    """
    at, since = message.created_at, follower.status_at
    if isinstance(message, SubscribeEvent | UnsubscribeEvent):
        is_news = since is None or at >= since
    else:
        is_news = not follower.subscribed and (since is None or at > since)
    if not is_news:
        return Decision({})
    changes = {"subscribed": not isinstance(message, UnsubscribeEvent), "status_at": at}
    if isinstance(message, SubscribeEvent):
        changes |= {"scene": storable(message.scene)[:128], "follow_count": follower.follow_count + 1}
    return Decision(changes)


RESUMED = Decision({"state": SyncState.RUNNING, "error": "", "errcode": None, "finished_at": None})
"""A run that had failed or was interrupted continues at its position."""


def failed(error: APIError, now: datetime) -> Decision:
    """Decide what a refused call does to a run, which can be resumed at its position."""
    errcode, text = error.errcode or None, str(error)[:255]
    return Decision({"state": SyncState.FAILED, "error": text, "errcode": errcode, "finished_at": now})


def finished(now: datetime) -> Decision:
    """Decide what the end of the list does to a run."""
    return Decision({"state": SyncState.DONE, "seen_at": now, "finished_at": now})
