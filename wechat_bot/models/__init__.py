"""The tables, by subject. Only `wechat_bot.services` writes to them."""

from .accounts import AccessToken, Account, Capability
from .audit import AuditEntry
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
from .followers import Follower, FollowerSync, FollowerTag, PendingUpdate, SyncState, Tag, UpdateKind
from .health import CallbackOutcome, CallCount, HandlerProcess, Worker
from .media import Media, MediaState
from .messages import IS_UNFINISHED, UNFINISHED, UNSETTLED, Channel, Direction, MessageLog, MessageState
from .operators import Lockout, Operator, OperatorSession, Role, Theme
from .projections import HourIndex, Progress
