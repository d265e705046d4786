"""`flask operator …`, for when nobody can sign in."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine, select

from tests.blueprints.admin.conftest import operator_of
from tests.operators import PASSWORD
from wechat_bot.models import AuditEntry

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    return lambda *arguments, **more: app.test_cli_runner().invoke(args=["operator", *arguments], **more)


@pytest.fixture
def li(run: Run) -> str:
    assert run("create", "li", "--role", "admin", "--password-stdin", input=f"{PASSWORD}\n").exit_code == 0
    return "li"


def error_of(result: Result) -> str:
    """Return the one sentence of an error."""
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    return result.output.removeprefix("Error: ").strip()


def test_a_password_is_read_from_the_standard_input(engine: Engine, run: Run, li: str) -> None:
    assert operator_of(engine, li).role == "admin"
    assert run("list").output == "li  admin  never signed in\n"


def test_commands_speak_the_language_of_the_terminal(run: Run, li: str) -> None:
    assert run("list", env={"LC_ALL": "zh_CN.UTF-8"}).output == "li  admin  从未登录\n"
    assert run("list", env={"LC_ALL": "", "LANG": "zh_TW"}).output == "li  admin  从未登录\n"
    assert run("list", env={"LC_ALL": "de_DE.UTF-8"}).output == "li  admin  never signed in\n"


def test_a_password_is_made_and_shown(run: Run) -> None:
    shown = run("create", "小王")
    assert shown.exit_code == 0
    assert "小王 may sign in as operator." in shown.output
    assert len(shown.output.rpartition(": ")[2].strip()) == 23


def test_the_list_is_for_programs_too(run: Run, li: str) -> None:
    [one] = json.loads(run("list", "--json").output)
    assert one == {
        "name": "li",
        "role": "admin",
        "disabled": False,
        "second_factor": False,
        "last_sign_in_at": None,
    }


def test_an_operator_is_looked_after(engine: Engine, run: Run, li: str) -> None:
    run("create", "wang", "--role", "admin")
    assert run("set-role", "wang", "viewer").output == "wang is viewer.\n"
    assert run("disable", "wang").exit_code == 0
    assert "wang  viewer  disabled" in run("list").output
    assert run("enable", "wang").exit_code == 0
    before = operator_of(engine, "wang").password_hash
    assert "Password, shown once: " in run("reset-password", "wang").output
    assert operator_of(engine, "wang").password_hash != before
    assert run("reset-second-factor", "wang").exit_code == 0
    with engine.connect() as connection:
        entries = connection.execute(select(AuditEntry.operator, AuditEntry.action)).all()
    assert {entry.operator for entry in entries} == {"command line"}
    assert [entry.action for entry in entries[2:]] == [
        "role_changed",
        "operator_disabled",
        "operator_enabled",
        "password_reset",
    ]


def test_a_password_from_the_command_line_is_temporary(engine: Engine, run: Run, li: str) -> None:
    assert operator_of(engine, li).password_temporary
    run("reset-password", "li")
    assert operator_of(engine, li).password_temporary


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create", "li"), "There is an operator with this name already."),
        (("create", "li wang"), "A name has 1 to 64"),
        (("create", "wang", "--password-stdin"), "A password has 10 to 256 characters."),
        (("disable", "li"), "This is the last admin"),
        (("set-role", "li", "viewer"), "This is the last admin"),
        (("disable", "nobody"), "There is no operator 'nobody'"),
        (("reset-password", "nobody"), "There is no operator 'nobody'"),
    ],
)
def test_what_is_wrong_is_one_sentence(run: Run, li: str, arguments: tuple[str, ...], sentence: str) -> None:
    assert error_of(run(*arguments, input="short\n")).startswith(sentence)


def test_roles_that_do_not_exist_are_told(run: Run) -> None:
    assert run("create", "li", "--role", "god").exit_code == 2
