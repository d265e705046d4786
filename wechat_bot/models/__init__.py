"""The tables. What is written to them is decided in `services`."""

from .api import (
    AccessToken,
    CallbackOutcome,
    CallCount,
    Capability,
    Sync,
    SyncState,
    Worker,
    Writeback,
)
from .columns import UTCDateTime
from .desk import (
    CannedReply,
    Draft,
    FollowerTag,
    Hour,
    Mention,
    Note,
    Presence,
    Progress,
    Status,
    Tag,
    Thread,
)
from .inbox import UNSETTLED, Account, Channel, Conversation, Direction, Follower, MessageLog, State
from .media import Media, MediaState
from .operators import AuditEntry, Lockout, Operator, OperatorSession, Role, Theme

__all__ = [
    "UNSETTLED",
    "AccessToken",
    "Account",
    "AuditEntry",
    "CallCount",
    "CallbackOutcome",
    "CannedReply",
    "Capability",
    "Channel",
    "Conversation",
    "Direction",
    "Draft",
    "Follower",
    "FollowerTag",
    "Hour",
    "Lockout",
    "Media",
    "MediaState",
    "Mention",
    "MessageLog",
    "Note",
    "Operator",
    "OperatorSession",
    "Presence",
    "Progress",
    "Role",
    "State",
    "Status",
    "Sync",
    "SyncState",
    "Tag",
    "Theme",
    "Thread",
    "UTCDateTime",
    "Worker",
    "Writeback",
]
