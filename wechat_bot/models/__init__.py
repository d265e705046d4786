"""The tables, by subject. Only `wechat_bot.services` writes to them."""

from .accounts import AccessToken, Account, Capability
from .alerts import Alert, AlertChannel, AlertFailure, Occasion
from .assistant import AssistantProfileVersion, ModelAnswer, Outcome, StoredAssistantProfile
from .audit import AuditEntry
from .conversations import (
    BotSession,
    CannedReply,
    CannedReplyVersion,
    Conversation,
    ConversationStatus,
    Draft,
    Handover,
    HandoverEvent,
    Mention,
    Note,
    Presence,
    SavedView,
    StoredHandoverPolicy,
)
from .evaluations import EvaluationResult, EvaluationRun, EvaluationState, StoredEvaluationCase
from .followers import Follower, FollowerSync, FollowerTag, PendingUpdate, SyncState, Tag, UpdateKind
from .health import CallbackOutcome, CallCount, HandlerProcess, PushCount, Worker
from .history import Change
from .imports import ImportState
from .knowledge import (
    DocumentKind,
    KnowledgeDocument,
    KnowledgeImport,
    KnowledgePair,
    KnowledgePairVersion,
    KnowledgePassage,
    KnowledgeState,
    KnowledgeVector,
    KnowledgeVersion,
    PairSource,
)
from .media import DiscardedFile, LibraryFile, LibraryMediaId, Material, MaterialImport, Media, MediaState
from .menus import ConditionalMenu, MenuClicks, MenuState, MenuVersion
from .messages import IS_UNFINISHED, UNFINISHED, UNSETTLED, Channel, Direction, MessageLog, MessageState
from .operators import Lockout, Operator, OperatorSession, Role, Theme
from .personal_data import Erasure, StoredRetentionPolicy
from .projections import HourIndex, Progress
from .questions import QuestionExample, QuestionGroup, QuestionState, QuestionToken, QuestionWeek
from .rules import RuleHits, RuleSetVersion, RuleVersion, StoredRule
from .scenarios import ScenarioResult, StoredScenario
