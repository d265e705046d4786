"""The tables, by subject. Only `wechat_bot.services` writes to them."""

from .accounts import AccessToken, Account, Capability
from .audit import AuditEntry
from .columns import UTCDateTime
from .conversations import (
    BotSession,
    CannedReply,
    Conversation,
    ConversationStatus,
    Draft,
    Mention,
    Note,
    Presence,
)
from .followers import Follower, FollowerSync, FollowerTag, PendingUpdate, SyncState, Tag
from .health import CallbackOutcome, CallCount, Worker
from .media import Media, MediaState
from .messages import UNSETTLED, Channel, Direction, MessageLog, MessageState
from .operators import Lockout, Operator, OperatorSession, Role, Theme
from .projections import HourIndex, Progress

__all__ = [
    "UNSETTLED",
    "AccessToken",
    "Account",
    "AuditEntry",
    "BotSession",
    "CallCount",
    "CallbackOutcome",
    "CannedReply",
    "Capability",
    "Channel",
    "Conversation",
    "ConversationStatus",
    "Direction",
    "Draft",
    "Follower",
    "FollowerSync",
    "FollowerTag",
    "HourIndex",
    "Lockout",
    "Media",
    "MediaState",
    "Mention",
    "MessageLog",
    "MessageState",
    "Note",
    "Operator",
    "OperatorSession",
    "PendingUpdate",
    "Presence",
    "Progress",
    "Role",
    "SyncState",
    "Tag",
    "Theme",
    "UTCDateTime",
    "Worker",
]
