"""``flask wechat export`` and ``partition-messages``, and ``flask search rebuild``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, select

from tests.services.messages.journal import Journal
from wechat_bot.cli.common import inert
from wechat_bot.models import AuditEntry
from wechat_bot.services.search.index import MESSAGES
from wechat_bot.services.search.tokens import Query
from wechat_bot.wiring import services


def export(app: Flask, *arguments: str) -> str:
    result = app.test_cli_runner().invoke(args=["wechat", "export", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_messages_are_written_to_the_standard_output(app: Flask, engine: Engine) -> None:
    Journal(engine).add_many(["我要退款", "你好"])
    [line] = export(app, "--format", "jsonl", "--output", "-", "--q", "退款").splitlines()
    assert json.loads(line)["text"] == "我要退款"


def test_a_file_is_there_when_it_is_complete(app: Flask, engine: Engine, tmp_path: Path) -> None:
    Journal(engine).add_many(["我要退款", "你好"])
    file = tmp_path / "messages.csv"
    assert export(app, "--format", "csv", "--output", str(file), "--bom", "--zone", "UTC") == ""
    assert file.read_text(encoding="utf-8-sig").count("\n") == 3
    assert list(tmp_path.glob("*.part")) == []


def test_a_file_that_cannot_be_written_is_named(app: Flask, tmp_path: Path) -> None:
    arguments = ["wechat", "export", "--format", "csv", "--output", str(tmp_path / "none" / "messages.csv")]
    result = app.test_cli_runner().invoke(args=arguments)
    assert result.exit_code == 1
    expected = f"Error: Could not open file '{tmp_path}/none/messages.csv.part': No such file or directory\n"
    assert result.stderr == expected


def test_a_terminal_shows_the_lines_of_an_export_as_lines() -> None:
    assert inert("1,a\r\n2,\rb\r\n") == "1,a\r\n2,\\u000db\r\n"


def test_an_export_is_in_the_audit_log(app: Flask, engine: Engine) -> None:
    export(app, "--format", "csv", "--output", "-", "--kind", "text", "--from", "2026-11-01")
    with engine.connect() as connection:
        [entry] = connection.execute(select(AuditEntry.__table__))
    assert (entry.action, entry.operator) == ("exported", "command line")
    assert entry.detail == "csv kind=text from=2026-11-01"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--from", "yesterday"], "--from: it is no date such as 2026-11-01."),
        (["--state", "happy"], "--state: there is no such value."),
        (["--zone", "Mars/Olympus"], "no time zone"),
        (["--zone", "../etc/passwd"], "no time zone"),
    ],
)
def test_what_is_wrong_with_a_filter_is_told(app: Flask, arguments: list[str], sentence: str) -> None:
    command = ["wechat", "export", "--format", "csv", "--output", "-", *arguments]
    result = app.test_cli_runner().invoke(args=command)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_the_index_is_built_again(app: Flask, engine: Engine) -> None:
    Journal(engine).add_many(["我要退款"] * 3)
    services(app).projector.catch_up()
    with engine.begin() as connection:
        MESSAGES.clear(connection)
    result = app.test_cli_runner().invoke(args=["search", "rebuild"])
    assert result.exit_code == 0
    with engine.connect() as connection:
        assert len(connection.scalars(MESSAGES.matching_ids(Query.parse("退款"), "sqlite")).all()) == 3


def test_messages_of_sqlite_cannot_be_partitioned(app: Flask) -> None:
    result = app.test_cli_runner().invoke(args=["wechat", "partition-messages"])
    assert result.exit_code == 1
    assert "PostgreSQL" in result.output
