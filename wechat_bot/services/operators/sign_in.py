"""Signing in and out, and the sessions of operators. Attempts are audited."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, insert, select, update
from sqlalchemy.orm import Session

from ...database.transactions import retry_conflicts, transaction, write
from ...models import Operator, OperatorSession
from .. import audit
from ..audit import Actor
from . import passwords, throttle, two_factor
from .management import subject
from .sealing import Sealer
from .throttle import SignInAttempt

IDLE_TIMEOUT = timedelta(hours=12)
"""A session expires after this time without requests."""
MAX_DURATION = timedelta(days=14)
"""Time after which every session ends, however it is used. A persistent session lasts as long."""
TOUCH_INTERVAL = timedelta(minutes=1)
"""Minimum interval between two updates of the time when a session was last used."""


class SignInRefused(Exception):
    """The sign-in is refused, for a reason that is not disclosed.

    :param wait: time during which no further attempt is accepted; None if there is no such time.
    """

    def __init__(self, wait: timedelta | None = None) -> None:
        super().__init__("refused")
        self.wait = wait


@dataclass(frozen=True)
class ClientInfo:
    address: str
    browser: str = ""
    """User-Agent."""
    device: str = ""
    """The content of the device cookie, see `throttle.new_device`; empty if the browser has none."""


@dataclass(frozen=True)
class CodeNeeded:
    """The password was correct; `enter_code` has to follow. `proof` is void after a change of password."""

    operator_id: int
    proof: str


@dataclass(frozen=True)
class SignedIn:
    """A new session, and the previous sign-in of its operator."""

    token: str
    """The secret of the session, for the cookie only. The database has its hash."""
    last_at: datetime | None
    last_address: str


@dataclass(frozen=True)
class _Claim:
    """A client that claims to be an operator. `operator` is None if nobody has the name."""

    name: str
    operator: Row[Any] | None
    client: ClientInfo

    @property
    def keys(self) -> throttle.Keys:
        operator_id = self.operator.id if self.operator else None
        return throttle.keys(self.name, operator_id, self.client.address, self.client.device)

    def record(self, connection: Connection, action: str, detail: str = "") -> None:
        target = subject(self.operator.id) if self.operator else ""
        audit.record(connection, Actor(None, self.name, self.client.address), action, target, detail=detail)


@dataclass(frozen=True)
class Authenticated:
    """The operator of a session."""

    operator: Operator
    session_id: int


def sign_in(
    engine: Engine, name: str, password: str, client: ClientInfo, now: datetime, *, persistent: bool = False
) -> SignedIn | CodeNeeded:
    """Sign in with name and password; a `persistent` session lasts 14 days, idle or not.

    :raises SignInRefused: if they are wrong, or too many attempts have failed.
    """
    operator = check_password(engine, name, password, client, now)
    if operator.totp_secret:
        return CodeNeeded(operator.id, _proof(operator))
    signed_in = _open_session(engine, operator, client, now, persistent)
    if not signed_in:  # the password was changed meanwhile
        raise SignInRefused
    return signed_in


def enter_code(
    engine: Engine,
    sealer: Sealer,
    pending: CodeNeeded,
    code: str,
    client: ClientInfo,
    now: datetime,
    *,
    persistent: bool = False,
) -> SignedIn:
    """Sign in with a code of the second factor, after `sign_in` has verified the password.

    :raises SignInRefused: if the code is wrong, or too many attempts have failed.
    """
    operator = _find(engine, Operator.id == pending.operator_id)
    if not operator or not hmac.compare_digest(_proof(operator), pending.proof):
        raise SignInRefused
    claim = _Claim(operator.name, operator, client)
    attempt = _count_attempt(engine, claim, now)
    consume = partial(two_factor.consume_code, sealer, code)
    signed_in = _open_session(engine, operator, client, now, persistent, consume)
    if not signed_in:
        _record_failure(engine, claim, attempt)
        raise SignInRefused
    return signed_in


def can_check_codes(engine: Engine, sealer: Sealer, pending: CodeNeeded) -> bool:
    """Whether codes of the app can be verified. Only recovery codes can if SECRET_KEY has been lost."""
    operator = _find(engine, Operator.id == pending.operator_id)
    return operator is not None and sealer.open(operator.totp_secret) is not None


def check_password(engine: Engine, name: str, password: str, client: ClientInfo, now: datetime) -> Row[Any]:
    """Return the operator with this name and password.

    :raises SignInRefused: if there is none, or too many attempts have failed.
    """
    name = "".join(char if char.isprintable() else "\ufffd" for char in name[:64])
    operator = _find(engine, Operator.name == name)
    claim = _Claim(name, operator, client)
    attempt = _count_attempt(engine, claim, now)
    correct = passwords.verify(operator.password_hash if operator else passwords.DUMMY_HASH, password)
    if not operator or not correct:
        _record_failure(engine, claim, attempt)
        raise SignInRefused
    _refund_attempt(engine, attempt)
    if passwords.is_outdated(operator.password_hash):
        return _renew_hash(engine, operator, password)
    return operator


def authenticate(engine: Engine, token: str, now: datetime) -> Authenticated | None:
    """Return the operator and the session of `token`, and update when it was last used.

    Return None if the session has ended or expired, or the operator is disabled.
    """
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
        _touch_session(engine, session_id, now)
    return Authenticated(operator, session_id)


@retry_conflicts
def end_session(engine: Engine, actor: Actor, operator_id: int, session_id: int, action: str) -> None:
    """End a session of an operator; `action` is ``sign_out`` or ``session_revoked``."""
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


def _renew_hash(engine: Engine, verified: Row[Any], password: str) -> Row[Any]:
    """Hash the password with the parameters of today, and return the operator.

    :raises SignInRefused: if the operator has changed since `verified`.
    """
    this, renewed = Operator.id == verified.id, passwords.make_hash(password)
    unchanged = Operator.password_hash == verified.password_hash
    write(engine, update(Operator).where(this, unchanged).values(password_hash=renewed))
    operator = _find(engine, this, Operator.password_hash == renewed)
    if not operator:
        raise SignInRefused
    return operator


@retry_conflicts
def _open_session(
    engine: Engine,
    verified: Row[Any],
    client: ClientInfo,
    now: datetime,
    persistent: bool,
    consume_code: Callable[[Connection, Actor, Row[Any], datetime], bool] | None = None,
) -> SignedIn | None:
    """Open a session. Return None if the operator has changed since `verified` or the code is wrong."""
    this = Operator.id == verified.id, Operator.password_hash == verified.password_hash
    found = select(Operator.__table__).where(*this, Operator.disabled.is_(False)).with_for_update()
    with transaction(engine) as connection:
        operator = connection.execute(found).one_or_none()
        if operator is None:
            return None
        actor = Actor(operator.id, operator.name, client.address)
        if operator.totp_secret and not (consume_code and consume_code(connection, actor, operator, now)):
            return None
        throttle.reset(connection, _Claim(operator.name, operator, client).keys)
        last = {"last_sign_in_at": now, "last_sign_in_address": client.address[:64]}
        connection.execute(update(Operator).where(Operator.id == operator.id).values(last))
        token = _insert_session(connection, operator.id, client, now, persistent)
        audit.record(connection, actor, "sign_in", subject(operator.id), detail=client.browser[:255])
        connection.execute(delete(OperatorSession).where(OperatorSession.expires_at <= now))
        throttle.delete_expired(connection, now)
    return SignedIn(token, operator.last_sign_in_at, operator.last_sign_in_address)


def _insert_session(
    connection: Connection, operator_id: int, client: ClientInfo, now: datetime, persistent: bool
) -> str:
    """Insert a session, and return its token."""
    token = secrets.token_urlsafe(32)
    values = {
        "token_hash": _hash(token),
        "operator_id": operator_id,
        "created_at": now,
        "seen_at": now,
        "expires_at": now + (MAX_DURATION if persistent else IDLE_TIMEOUT),
        "address": client.address[:64],
        "browser": client.browser[:255],
    }
    connection.execute(insert(OperatorSession).values(values))
    return token


@retry_conflicts
def _touch_session(engine: Engine, session_id: int, now: datetime) -> None:
    with transaction(engine) as connection:
        this = OperatorSession.id == session_id
        found = select(OperatorSession.created_at, OperatorSession.expires_at).where(this)
        if row := connection.execute(found).one_or_none():
            expires_at = min(max(row.expires_at, now + IDLE_TIMEOUT), row.created_at + MAX_DURATION)
            values = {"seen_at": now, "expires_at": expires_at}
            connection.execute(update(OperatorSession).where(this).values(values))


@retry_conflicts
def _count_attempt(engine: Engine, claim: _Claim, now: datetime) -> SignInAttempt:
    with transaction(engine) as connection:
        attempt = throttle.count_attempt(connection, claim.keys, now)
        # The 1st, 2nd, 4th, 8th …, so that a flood of attempts is no flood of entries.
        if attempt.blocked.bit_count() == 1:
            claim.record(connection, "sign_in_blocked", detail=str(attempt.blocked))
    if attempt.until:
        raise SignInRefused(attempt.until - now)
    return attempt


@retry_conflicts
def _refund_attempt(engine: Engine, attempt: SignInAttempt) -> None:
    with transaction(engine) as connection:
        throttle.refund(connection, attempt)


@retry_conflicts
def _record_failure(engine: Engine, claim: _Claim, attempt: SignInAttempt) -> None:
    with transaction(engine) as connection:
        claim.record(connection, "sign_in_failed")
        for kind in attempt.locks:
            claim.record(connection, "locked_out", detail=kind)


def _find(engine: Engine, *conditions: ColumnElement[bool]) -> Row[Any] | None:
    """Return the operator that meets `conditions`, or None if there is none or it is disabled."""
    with engine.connect() as connection:
        found = select(Operator.__table__).where(*conditions, Operator.disabled.is_(False))
        return connection.execute(found).one_or_none()


def _proof(operator: Row[Any]) -> str:
    """Return a value that proves a verified password; it cannot be guessed, since the hash is salted."""
    return _hash(operator.password_hash)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
