"""Operators who have chosen a password of their own, and may use the console."""

from __future__ import annotations

from sqlalchemy import Engine

from wechat_bot.models import Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators import management
from wechat_bot.services.operators.passwords import generate

PASSWORD = "correct horse battery"


def add_operator(engine: Engine, name: str, role: Role, password: str = PASSWORD) -> int:
    """Create an operator who has changed the first password, and return its id."""
    actor = Actor(None, "tests", "")
    operator_id = management.create(engine, actor, name, role, generate())
    management.change_password(engine, actor, operator_id, password, None)
    return operator_id
