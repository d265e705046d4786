"""The tables. What is written to them is decided in `services`."""

from .api import (
    AccessToken,
    CallbackOutcome,
    CallCount,
    Capability,
    FollowerSync,
    PendingUpdate,
    SyncState,
    Worker,
)
from .columns import UTCDateTime
from .desk import (
    CannedReply,
    Conversation,
    ConversationStatus,
    Draft,
    FollowerTag,
    HourIndex,
    Mention,
    Note,
    Presence,
    Progress,
    Tag,
)
from .inbox import UNSETTLED, Account, BotSession, Channel, Direction, Follower, MessageLog, MessageState
from .media import Media, MediaState
from .operators import AuditEntry, Lockout, Operator, OperatorSession, Role, Theme

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
