"""Operators who have chosen a password of their own, and may use the console."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from functools import cache

from flask.testing import FlaskClient
from sqlalchemy import Engine, insert, select

from wechat_bot.database.transactions import transaction, write
from wechat_bot.models import Operator, OperatorSession, Role
from wechat_bot.services.operators.passwords import make_hash

PASSWORD = "correct horse battery"

hash_once = cache(make_hash)
"""One hash takes as long as a whole test of a page."""


def add_operator(engine: Engine, name: str, role: Role, password: str = PASSWORD) -> int:
    """Add an operator, and return its id."""
    row = {"name": name, "role": role, "password_hash": hash_once(password), "created_at": datetime.now(UTC)}
    with transaction(engine) as connection:
        connection.execute(insert(Operator).values(row))
        return connection.scalars(select(Operator.id).where(Operator.name == name)).one()


def open_session(engine: Engine, client: FlaskClient, name: str) -> None:
    """Let an operator be signed in, without the password: to verify it takes as long as most tests."""
    token, now = secrets.token_urlsafe(), datetime.now(UTC)
    row = {
        "token_hash": hashlib.sha256(token.encode()).hexdigest(),
        "operator_id": select(Operator.id).where(Operator.name == name).scalar_subquery(),
        "created_at": now,
        "seen_at": now,
        "expires_at": now + timedelta(hours=12),
        "address": "127.0.0.1",
        "browser": "",
    }
    write(engine, insert(OperatorSession).values(row))
    with client.session_transaction() as session:
        session["_user_id"] = token
