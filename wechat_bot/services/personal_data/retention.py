"""For how long each kind of data is kept, and the deletion of what is older."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import (
    AuditEntry,
    HandoverEvent,
    HourIndex,
    Media,
    MediaState,
    MessageLog,
    MessageState,
    ModelAnswer,
    QuestionGroup,
    StoredRetentionPolicy,
)
from ...models.projections import hour_of
from ...routing import strict_json
from ...routing.strict_json import Definition, Problem, ProblemCode
from .. import audit
from ..accounts import locked_account
from ..audit import Actor
from ..media.discarding import contents_of, discard
from ..questions.storing import delete_groups
from .deletion import BATCH_SIZE, delete_messages, delete_rows, overwrite_deleted

log = logging.getLogger(__name__)

MIN_MODEL_ANSWERS = 183
"""Days for which answers of the assistant are kept at least: half a year, as the law demands of some."""
MAX_DAYS = 36500
_LAST_ID = 1 << 62
_PENDING = (
    MessageState.RECEIVED,
    MessageState.LATE,
    MessageState.READY,
    MessageState.QUEUED,
    MessageState.SENDING,
)
"""The states of messages that are kept however old they are: somebody still waits for them."""


@dataclass(frozen=True)
class RetentionPolicy(Definition):
    """For how many days each kind of data of an account is kept; 0: for ever."""

    messages: int = 0
    """Messages in either direction, with their files."""
    media: int = 0
    """Files of messages."""
    model_answers: int = 365
    """Questions to the assistant and what became of them."""
    questions: int = 0
    """Groups of unanswered questions, since the last question of each."""
    handovers: int = 0
    """Changes of who answers a follower."""
    audit: int = 0
    """Entries of the audit log."""

    def problems(self) -> Iterator[Problem]:
        least = {"model_answers": MIN_MODEL_ANSWERS}
        for field, days in asdict(self).items():
            if days and not least.get(field, 1) <= days <= MAX_DAYS:
                yield Problem(field, ProblemCode.RANGE, f"{least.get(field, 1)} to {MAX_DAYS}")


@dataclass(frozen=True)
class StoredPolicy:
    policy: RetentionPolicy = RetentionPolicy()
    version: int = 0
    """How often it was changed."""


class PolicyChanged(Exception):
    """Somebody else changed the policy meanwhile."""


def load_policy(connection: Connection, account_id: int) -> StoredPolicy:
    """Return the policy of an account."""
    found = select(StoredRetentionPolicy.definition, StoredRetentionPolicy.version)
    row = connection.execute(found.where(StoredRetentionPolicy.account_id == account_id)).one_or_none()
    if row is None:
        return StoredPolicy()
    return StoredPolicy(strict_json.read(RetentionPolicy, row.definition), row.version)


@retry_conflicts
def save_policy(engine: Engine, actor: Actor, account_id: int, seen: int, policy: RetentionPolicy) -> None:
    """Change the policy of an account.

    :param seen: the version that was edited.
    :raises PolicyChanged: if it is not the present one.
    """
    with locked_account(engine, account_id) as connection:
        before = load_policy(connection, account_id)
        if before.version != seen:
            raise PolicyChanged
        if before.policy == policy:
            return
        values = {"definition": strict_json.to_json(policy), "version": seen + 1}
        if seen:
            this = StoredRetentionPolicy.account_id == account_id
            connection.execute(update(StoredRetentionPolicy).where(this).values(values))
        else:
            connection.execute(insert(StoredRetentionPolicy).values(account_id=account_id, **values))
        old, new = asdict(before.policy), asdict(policy)
        audit.record(connection, actor, "retention_changed", before=old, after=new)


# Deletion


def apply_policy(engine: Engine, account_id: int, now: datetime, seconds: float) -> None:
    """Delete what is older than the policy of an account permits, for so many `seconds`."""
    deadline = time.monotonic() + seconds
    with engine.connect() as connection:
        days = asdict(load_policy(connection, account_id).policy)
    for kind, delete_some in _DELETIONS.items():
        if not days[kind]:
            continue
        count = 0
        while deleted := delete_some(engine, account_id, now - timedelta(days=days[kind])):
            count += deleted
            if time.monotonic() >= deadline:
                break
        if count:
            log.info("%d %s are deleted: they are older than %d days", count, kind, days[kind])


def _delete_messages(engine: Engine, account_id: int, before: datetime) -> int:
    settled = MessageLog.state.not_in(_PENDING)
    return len(delete_messages(engine, *_older(account_id, before), settled))


@retry_conflicts
def _delete_files(engine: Engine, account_id: int, before: datetime) -> int:
    """Delete the files of some old messages. Their rows stay, and say so."""
    found = select(Media.message_id).join(MessageLog, MessageLog.id == Media.message_id)
    found = found.where(*_older(account_id, before), Media.state == MediaState.STORED).distinct()
    gone = {"state": MediaState.DELETED, "digest": "", "thumbnail": "", "playable": ""}
    with transaction(engine) as connection:
        overwrite_deleted(connection)
        ids = connection.scalars(found.limit(BATCH_SIZE)).all()
        discard(connection, contents_of(connection, ids))
        connection.execute(update(Media).where(Media.message_id.in_(ids)).values(gone))
    return len(ids)


def _older(account_id: int, before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for messages from before a time, which bound their ids, too."""
    later = select(func.min(HourIndex.first_id)).where(HourIndex.hour > hour_of(before)).scalar_subquery()
    bound = MessageLog.id < func.coalesce(later, _LAST_ID)
    return MessageLog.account_id == account_id, MessageLog.received_at < before, bound


@retry_conflicts
def _delete_questions(engine: Engine, account_id: int, before: datetime) -> int:
    old = QuestionGroup.account_id == account_id, QuestionGroup.last_at < before
    with transaction(engine) as connection:
        overwrite_deleted(connection)
        ids = connection.scalars(select(QuestionGroup.id).where(*old).limit(BATCH_SIZE)).all()
        delete_groups(connection, ids)
    return len(ids)


def _delete_model_answers(engine: Engine, account_id: int, before: datetime) -> int:
    old = and_(ModelAnswer.account_id == account_id, ModelAnswer.created_at < before)
    return delete_rows(engine, ModelAnswer, old)


def _delete_handovers(engine: Engine, account_id: int, before: datetime) -> int:
    old = and_(HandoverEvent.account_id == account_id, HandoverEvent.at < before)
    return delete_rows(engine, HandoverEvent, old)


def _delete_entries(engine: Engine, _account_id: int, before: datetime) -> int:
    return delete_rows(engine, AuditEntry, AuditEntry.at < before)


_DELETIONS: Mapping[str, Callable[[Engine, int, datetime], int]] = {
    "messages": _delete_messages,
    "media": _delete_files,
    "model_answers": _delete_model_answers,
    "questions": _delete_questions,
    "handovers": _delete_handovers,
    "audit": _delete_entries,
}
"""For each kind, what deletes some of the rows from before a time, and returns how many."""
