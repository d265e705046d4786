"""Browsers of operators."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import ColumnElement, Engine, func, select
from sqlalchemy.orm import InstrumentedAttribute
from werkzeug.test import TestResponse

from tests.operators import PASSWORD, add_operator, open_session
from wechat_bot.models import AuditEntry, Operator, Role

PAGE = {"Accept": "text/html,application/xhtml+xml", "Accept-Language": "zh"}


class Browser:
    """A browser, and what a person does with it."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers={**PAGE, **headers})

    def post(
        self, path: str, *, form_at: str = "/admin/profile", referrer: str = "", **form: Any
    ) -> TestResponse:
        """Send a form, with the token that the page `form_at` has, as if from the page `referrer`."""
        form["csrf_token"] = self.token(form_at)
        return self.client.post(path, data=form, headers={**PAGE, "Referer": referrer})

    def token(self, path: str) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(path).text)
        assert found, f"{path} has no form"
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD, **form: str) -> TestResponse:
        return self.post("/admin/sign-in", form_at="/admin/sign-in", name=name, password=password, **form)

    def enter_code(self, code: str) -> TestResponse:
        return self.post("/admin/sign-in/code", form_at="/admin/sign-in/code", code=code)

    def is_signed_in(self) -> bool:
        return self.get("/admin/profile").status_code == 200


Browse = Callable[[], Browser]
SignIn = Callable[..., Browser]


@pytest.fixture
def browse(app: Flask) -> Browse:
    """Opens a browser in which nobody is signed in."""
    return lambda: Browser(app.test_client())


@pytest.fixture
def browser(browse: Browse) -> Browser:
    return browse()


@pytest.fixture
def signed_in(engine: Engine, browse: Browse) -> SignIn:
    """Opens a browser in which an operator, who is made if they are new, is signed in."""

    def sign_in(role: Role = Role.ADMIN, name: str = "li") -> Browser:
        with engine.connect() as connection:
            known = connection.scalar(select(Operator.id).where(Operator.name == name))
        if known is None:
            add_operator(engine, name, role)
        browser = browse()
        open_session(engine, browser.client, name)
        return browser

    return sign_in


@pytest.fixture
def admin(signed_in: SignIn) -> Browser:
    """The browser of li, who is an admin."""
    return signed_in()


def operator_of(engine: Engine, name: str) -> Any:
    with engine.connect() as connection:
        return connection.execute(select(Operator.__table__).where(Operator.name == name)).one()


def audited(engine: Engine) -> list[str]:
    """The actions in the audit log, oldest first."""
    with engine.connect() as connection:
        return list(connection.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def newest(engine: Engine, column: InstrumentedAttribute[int], *conditions: ColumnElement[bool]) -> int:
    """Return the highest id in `column` of the rows that meet the conditions."""
    with engine.connect() as connection:
        found = connection.scalar(select(func.max(column)).where(*conditions))
    assert found, f"there is no {column}"
    return int(found)
