"""Rules of the account, for the tests of their pages."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser, SignIn
from wechat_bot.models import Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.rules import editing, reading
from wechat_bot.wiring import services

PAGE = "/admin/rules"


class Rules:
    """The rules of the account."""

    def __init__(self, app: Flask, engine: Engine) -> None:
        self.app, self.engine = app, engine
        self.account_id = services(app).account_id

    def definition(self, name: str, say: str = "好的", keyword: str = "", **more: Any) -> dict[str, Any]:
        text = {"trigger": {"type": "text"}, "patterns": [{"match": "contains", "text": keyword or name}]}
        definition = {"name": name, **text, "answers": [{"kind": "text", "text": say}], **more}
        if definition["trigger"] != text["trigger"]:
            del definition["patterns"]
        return definition

    def add(self, name: str, say: str = "好的", keyword: str = "", **more: Any) -> int:
        definition = self.definition(name, say, keyword, **more)
        return editing.create(self.engine, Actor(None, "阿珍", ""), self.account_id, definition).id

    def id_of(self, name: str) -> int:
        [found] = [it.id for it in reading.entries(self.engine, self.account_id) if it.rule.name == name]
        return found

    @property
    def names(self) -> list[str]:
        return [entry.rule.name for entry in reading.entries(self.engine, self.account_id)]


@pytest.fixture
def rules(app: Flask, engine: Engine) -> Rules:
    return Rules(app, engine)


@pytest.fixture
def operator(signed_in: SignIn) -> Browser:
    return signed_in(Role.OPERATOR)
