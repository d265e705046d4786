"""Operators who have chosen a password of their own, and may use the console."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from sqlalchemy import Engine, insert, select

from wechat_bot.database.transactions import transaction
from wechat_bot.models import Operator, Role
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
