"""Signing in and out: who is at a browser. Every attempt that is made is in the audit log."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.orm import Session

from ...database.transactions import retry_conflicts, transaction
from ...models import Operator, OperatorSession
from .. import audit
from ..audit import Actor
from . import passwords, throttle, two_factor
from .management import subject
from .throttle import SignInAttempt

IDLE_TIMEOUT = timedelta(hours=12)
"""A session ends when nobody has come back for so long."""
PERSISTENT_TIMEOUT = timedelta(days=14)
"""One that shall be kept lasts so long at least."""
TOUCH_INTERVAL = timedelta(minutes=1)
"""That a session is in use is written no more often."""


class SignInRefused(Exception):
    """Not signed in, and why is not told. `wait` is how long nothing more is tried."""

    def __init__(self, wait: timedelta | None = None) -> None:
        super().__init__("refused")
        self.wait = wait


@dataclass(frozen=True)
class ClientInfo:
    """From where somebody comes."""

    address: str
    browser: str = ""


@dataclass(frozen=True)
class CodeNeeded:
    """The password was right; `enter_code` goes on. `proof` ends with the password."""

    operator_id: int
    proof: str


@dataclass(frozen=True)
class SignedIn:
    """`token` goes to the browser and nowhere else. The rest tells of the sign-in before."""

    token: str
    last_at: datetime | None
    last_address: str


@dataclass(frozen=True)
class Authenticated:
    """The operator of a session."""

    operator: Operator
    session_id: int


def sign_in(
    engine: Engine, name: str, password: str, visit: ClientInfo, now: datetime, *, keep: bool = False
) -> SignedIn | CodeNeeded:
    """Sign in with name and password, for 14 days if `keep`; Refused."""
    operator = check_password(engine, name, password, visit.address, now)
    if operator.totp_secret:
        return CodeNeeded(operator.id, _proof(operator))
    signed_in = _open(engine, operator, None, visit, now, keep)
    if not signed_in:  # another password was set meanwhile
        raise SignInRefused
    return signed_in


def enter_code(
    engine: Engine, pending: CodeNeeded, code: str, visit: ClientInfo, now: datetime, *, keep: bool = False
) -> SignedIn:
    """Sign in with a code of the second factor, after the password; Refused."""
    operator = _find(engine, Operator.id == pending.operator_id)
    if not operator or not hmac.compare_digest(_proof(operator), pending.proof):
        raise SignInRefused
    counted = _count(engine, operator.name, visit.address, now)
    signed_in = _open(engine, operator, code, visit, now, keep)
    if not signed_in:
        _fail(engine, operator, operator.name, visit.address, counted)
        raise SignInRefused
    return signed_in


def check_password(engine: Engine, name: str, password: str, address: str, now: datetime) -> Row[Any]:
    """The operator whose name and password these are; Refused."""
    name = "".join(char if char.isprintable() else "\ufffd" for char in name[:64])
    counted = _count(engine, name, address, now)
    operator = _find(engine, Operator.name == name)
    right = passwords.verify(operator.password_hash if operator else passwords.DUMMY_HASH, password)
    if not operator or not right:
        _fail(engine, operator, name, address, counted)
        raise SignInRefused
    _take_back(engine, name, address)
    if passwords.is_outdated(operator.password_hash):
        _renew_hash(engine, operator, passwords.make_hash(password))
        operator = _find(engine, Operator.id == operator.id)
    return operator or _refuse()


def authenticate(engine: Engine, token: str, now: datetime) -> Authenticated | None:
    """Whose session `token` is. That it is in use is remembered, once a minute."""
    this = OperatorSession.token_hash == _hash(token)
    found = (
        select(Operator, OperatorSession.id, OperatorSession.seen_at)
        .join(Operator, Operator.id == OperatorSession.operator_id)
        .where(this, OperatorSession.expires_at > now, Operator.disabled.is_(False))
    )
    with Session(engine, expire_on_commit=False) as session:
        row = session.execute(found).one_or_none()
    if row is None:
        return None
    operator, session_id, seen_at = row
    if now - seen_at >= TOUCH_INTERVAL:
        _see(engine, session_id, now)
    return Authenticated(operator, session_id)


@retry_conflicts
def end_session(engine: Engine, actor: Actor, operator_id: int, session_id: int, action: str) -> None:
    """Sign a browser of an operator out; `action` is ``sign_out`` or ``session_revoked``."""
    this = OperatorSession.id == session_id, OperatorSession.operator_id == operator_id
    with transaction(engine) as connection:
        browser = connection.scalar(select(OperatorSession.browser).where(*this))
        if connection.execute(delete(OperatorSession).where(*this)).rowcount:
            audit.record(connection, actor, action, subject(operator_id), detail=browser or "")


@retry_conflicts
def end_all_sessions(engine: Engine, actor: Actor, operator_id: int) -> None:
    """Sign all browsers of an operator out."""
    with transaction(engine) as connection:
        connection.execute(delete(OperatorSession).where(OperatorSession.operator_id == operator_id))
        audit.record(connection, actor, "signed_out_everywhere", subject(operator_id))


@retry_conflicts
def _open(
    engine: Engine, verified: Row[Any], code: str | None, visit: ClientInfo, now: datetime, keep: bool
) -> SignedIn | None:
    """A new session, if the operator still is as `verified` and the second factor, if any, is right."""
    this = Operator.id == verified.id, Operator.password_hash == verified.password_hash
    found = select(Operator.__table__).where(*this, Operator.disabled.is_(False)).with_for_update()
    token = secrets.token_urlsafe(32)
    with transaction(engine) as connection:
        operator = connection.execute(found).one_or_none()
        if operator is None:
            return None
        actor = Actor(operator.id, operator.name, visit.address)
        if operator.totp_secret and not two_factor.accept(connection, actor, operator, code or "", now):
            return None
        throttle.reset(connection, operator.name, visit.address)
        connection.execute(
            update(Operator)
            .where(Operator.id == operator.id)
            .values(last_sign_in_at=now, last_sign_in_address=visit.address[:64])
        )
        connection.execute(
            insert(OperatorSession).values(
                token_hash=_hash(token),
                operator_id=operator.id,
                created_at=now,
                seen_at=now,
                expires_at=now + (PERSISTENT_TIMEOUT if keep else IDLE_TIMEOUT),
                address=visit.address[:64],
                browser=visit.browser[:255],
            )
        )
        audit.record(connection, actor, "sign_in", subject(operator.id), detail=visit.browser[:255])
        _clean(connection, now)
    return SignedIn(token, operator.last_sign_in_at, operator.last_sign_in_address)


def _clean(connection: Connection, now: datetime) -> None:
    connection.execute(delete(OperatorSession).where(OperatorSession.expires_at <= now))
    throttle.clean(connection, now)


@retry_conflicts
def _see(engine: Engine, session_id: int, now: datetime) -> None:
    with transaction(engine) as connection:
        this = OperatorSession.id == session_id
        expires_at = connection.scalar(select(OperatorSession.expires_at).where(this))
        if expires_at:
            values = {"seen_at": now, "expires_at": max(expires_at, now + IDLE_TIMEOUT)}
            connection.execute(update(OperatorSession).where(this).values(values))


@retry_conflicts
def _count(engine: Engine, name: str, address: str, now: datetime) -> SignInAttempt:
    with transaction(engine) as connection:
        counted = throttle.count(connection, name, address, now)
    if counted.until:
        raise SignInRefused(counted.until - now)
    return counted


@retry_conflicts
def _take_back(engine: Engine, name: str, address: str) -> None:
    with transaction(engine) as connection:
        throttle.refund(connection, name, address)


@retry_conflicts
def _fail(engine: Engine, operator: Row[Any] | None, name: str, address: str, counted: SignInAttempt) -> None:
    actor, target = Actor(None, name, address), subject(operator.id) if operator else ""
    with transaction(engine) as connection:
        audit.record(connection, actor, "sign_in_failed", target)
        for kind in counted.locks:
            audit.record(connection, actor, "locked_out", target, detail=kind)


@retry_conflicts
def _renew_hash(engine: Engine, operator: Row[Any], password_hash: str) -> None:
    this = Operator.id == operator.id, Operator.password_hash == operator.password_hash
    with transaction(engine) as connection:
        connection.execute(update(Operator).where(*this).values(password_hash=password_hash))


def _find(engine: Engine, condition: ColumnElement[bool]) -> Row[Any] | None:
    """An operator who may sign in."""
    with engine.connect() as connection:
        found = select(Operator.__table__).where(condition, Operator.disabled.is_(False))
        return connection.execute(found).one_or_none()


def _refuse() -> Row[Any]:
    raise SignInRefused


def _proof(operator: Row[Any]) -> str:
    """Known only to who was told: the hash is salted."""
    return _hash(operator.password_hash)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
