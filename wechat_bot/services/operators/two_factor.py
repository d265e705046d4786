"""Two-factor authentication: codes of an authenticator app (TOTP), and recovery codes."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from datetime import datetime
from typing import Any

import pyotp
from sqlalchemy import Connection, Engine, Row, update

from ...database.transactions import retry_conflicts, transaction
from ...models import Operator
from .. import audit
from ..audit import Actor
from . import passwords
from .management import OperatorError, Problem, lock, subject
from .sealing import Sealer

ISSUER = "wechat_bot"
RECOVERY_CODES = 10
STEP_SECONDS = 30
"""Validity of a code in seconds. The codes before and after the current one are accepted, too."""


def make_secret() -> str:
    return pyotp.random_base32()


def provisioning_uri(name: str, secret: str) -> str:
    """Return the content of the QR code that authenticator apps scan."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


@retry_conflicts
def turn_on(
    engine: Engine, sealer: Sealer, actor: Actor, operator_id: int, secret: str, code: str, now: datetime
) -> list[str]:
    """Require codes of `secret` at every sign-in. Return the recovery codes, of which only hashes are stored.

    The secret is stored sealed.

    :raises OperatorError: if `code` is not a current code of `secret`.
    """
    step = _step(secret, code, 0, now)
    if step is None:
        raise OperatorError(Problem.CODE)
    codes = [passwords.generate(2) for _ in range(RECOVERY_CODES)]
    sealed, hashes = sealer.seal(secret), list(map(_hash, codes))
    values = {"totp_secret": sealed, "totp_step": step, "recovery_hashes": hashes}
    with transaction(engine) as connection:
        connection.execute(update(Operator).where(Operator.id == operator_id).values(values))
        audit.record(connection, actor, "second_factor_on", subject(operator_id))
    return codes


@retry_conflicts
def turn_off(engine: Engine, actor: Actor, operator_id: int) -> None:
    """Require only the password at sign-in.

    :raises OperatorError: if there is no such operator.
    """
    values = {"totp_secret": "", "totp_step": 0, "recovery_hashes": []}
    with transaction(engine) as connection:
        if lock(connection, operator_id).totp_secret:
            connection.execute(update(Operator).where(Operator.id == operator_id).values(values))
            audit.record(connection, actor, "second_factor_off", subject(operator_id))


def consume_code(
    sealer: Sealer, code: str, connection: Connection, actor: Actor, operator: Row[Any], now: datetime
) -> bool:
    """Return whether `code` is valid for `operator`, and make it invalid. The row has to be locked.

    The secret is sealed again, so that it no longer needs a previous SECRET_KEY. If it cannot be opened, only
    recovery codes are valid.
    """
    this = Operator.id == operator.id
    secret = sealer.open(operator.totp_secret)
    step = _step(secret, code, operator.totp_step, now) if secret else None
    if secret and step is not None:
        sealed = sealer.seal(secret)
        connection.execute(update(Operator).where(this).values(totp_step=step, totp_secret=sealed))
        return True
    hashed = _hash(code)
    if hashed not in operator.recovery_hashes:
        return False
    left = [other for other in operator.recovery_hashes if other != hashed]
    connection.execute(update(Operator).where(this).values(recovery_hashes=left))
    audit.record(connection, actor, "recovery_code_used", subject(operator.id), detail=f"{len(left)} left")
    return True


def _step(secret: str, code: str, used: int, now: datetime) -> int | None:
    """Return the time step whose code this is, or None; `used` is the last step that was accepted."""
    totp, current, given = pyotp.TOTP(secret), int(now.timestamp()) // STEP_SECONDS, _normalize(code).encode()
    for step in range(max(current - 1, used + 1), current + 2):
        if hmac.compare_digest(totp.generate_otp(step).encode(), given):
            return step
    return None


def _normalize(code: str) -> str:
    """Return `code` in lower case without separators; full-width characters become ASCII."""
    text = unicodedata.normalize("NFKC", code).lower()
    return "".join(char for char in text if char.isalnum())


def _hash(code: str) -> str:
    return hashlib.sha256(_normalize(code).encode()).hexdigest()
