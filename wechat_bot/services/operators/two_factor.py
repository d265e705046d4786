"""The second factor: codes of an authenticator app (TOTP), and recovery codes for when it is lost."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from datetime import datetime
from typing import Any

import pyotp
from sqlalchemy import Connection, Engine, Row, select, update

from ...database.transactions import retry_conflicts, transaction
from ...models import Operator
from .. import audit
from ..audit import Actor
from . import passwords
from .management import OperatorError, Problem, subject

ISSUER = "wechat_bot"
RECOVERY_CODES = 10
STEP = 30
"""Seconds that a code is shown; the one before and the one after are accepted too."""


def make_secret() -> str:
    return pyotp.random_base32()


def uri(name: str, secret: str) -> str:
    """What the QR code says to an authenticator app."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


@retry_conflicts
def turn_on(
    engine: Engine, actor: Actor, operator_id: int, secret: str, code: str, now: datetime
) -> list[str]:
    """Ask for codes of `secret` from now on. Returns the recovery codes, which nobody can read again;
    OperatorError when `code` is not one of it."""
    step = _step(secret, code, 0, now)
    if step is None:
        raise OperatorError(Problem.CODE)
    codes = [passwords.generate(2) for _ in range(RECOVERY_CODES)]
    values = {"totp_secret": secret, "totp_step": step, "recovery_hashes": [_hash(fresh) for fresh in codes]}
    with transaction(engine) as connection:
        connection.execute(update(Operator).where(Operator.id == operator_id).values(values))
        audit.record(connection, actor, "second_factor_on", subject(operator_id))
    return codes


@retry_conflicts
def turn_off(engine: Engine, actor: Actor, operator_id: int) -> None:
    """Ask for the password alone; OperatorError."""
    values = {"totp_secret": "", "totp_step": 0, "recovery_hashes": []}
    with transaction(engine) as connection:
        found = select(Operator.totp_secret).where(Operator.id == operator_id).with_for_update()
        secret = connection.scalar(found)
        if secret is None:
            raise OperatorError(Problem.UNKNOWN)
        if secret:
            connection.execute(update(Operator).where(Operator.id == operator_id).values(values))
            audit.record(connection, actor, "second_factor_off", subject(operator_id))


def accept(connection: Connection, actor: Actor, operator: Row[Any], code: str, now: datetime) -> bool:
    """Whether `code` is good for `operator`, whose row is locked; from now on it is not."""
    this = Operator.id == operator.id
    step = _step(operator.totp_secret, code, operator.totp_step, now)
    if step is not None:
        connection.execute(update(Operator).where(this).values(totp_step=step))
        return True
    used = _hash(code)
    if used not in operator.recovery_hashes:
        return False
    left = [kept for kept in operator.recovery_hashes if kept != used]
    connection.execute(update(Operator).where(this).values(recovery_hashes=left))
    audit.record(connection, actor, "recovery_code_used", subject(operator.id), detail=f"{len(left)} left")
    return True


def _step(secret: str, code: str, used: int, now: datetime) -> int | None:
    """The time step after `used` whose code this is."""
    totp, current, given = pyotp.TOTP(secret), int(now.timestamp()) // STEP, _plain(code).encode()
    for step in range(max(current - 1, used + 1), current + 2):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given):
            return step
    return None


def _plain(code: str) -> str:
    """`code` without what people type between its parts, in ASCII also from a Chinese keyboard."""
    kept = unicodedata.normalize("NFKC", code).lower()
    return "".join(char for char in kept if char.isalnum())


def _hash(code: str) -> str:
    return hashlib.sha256(_plain(code).encode()).hexdigest()
