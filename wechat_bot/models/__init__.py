"""The tables. What is written to them is decided in `services`."""

from .columns import UTCDateTime
from .desk import FollowerTag, Hour, Mention, Note, Presence, Progress, Status, Tag, Thread
from .inbox import UNSETTLED, Account, Channel, Conversation, Direction, Follower, MessageLog, State
from .operators import AuditEntry, Lockout, Operator, OperatorSession, Role, Theme

__all__ = [
    "UNSETTLED",
    "Account",
    "AuditEntry",
    "Channel",
    "Conversation",
    "Direction",
    "Follower",
    "FollowerTag",
    "Hour",
    "Lockout",
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
    "Tag",
    "Theme",
    "Thread",
    "UTCDateTime",
]
