"""Commands on a database that has no tables or does not answer say so in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from wechat_bot import create_app
from wechat_bot.settings import Settings
from wechat_bot.wiring import services

COMMANDS = (
    "operator list",
    "operator create li",
    "operator disable li",
    "search rebuild",
    "wechat sweep",
    "wechat seed --messages 1",
    "wechat media fetch",
    "wechat export --format csv --output -",
)

Run = Callable[[str, str], Result]


@pytest.fixture
def run(settings: Settings) -> Iterator[Run]:
    """Runs a command of an application whose database has this URL."""
    made: list[Flask] = []

    def run_command(url: str, command: str) -> Result:
        made.append(create_app(replace(settings, database_url=url)))
        return made[0].test_cli_runner().invoke(args=command.split())

    yield run_command
    services(made[0]).close()


@pytest.mark.parametrize("command", COMMANDS)
def test_tables_that_are_missing_are_told(run: Run, tmp_path: Path, command: str) -> None:
    result = run(f"sqlite:///{tmp_path}/empty.db", command)
    assert result.exit_code == 1
    expected = "Error: The tables of the database are missing or old: run flask db upgrade.\n"
    assert result.stderr == expected


@pytest.mark.parametrize("command", [*COMMANDS, "db upgrade", "db current"])
def test_a_database_that_does_not_answer_is_told(run: Run, command: str) -> None:
    result = run("postgresql://127.0.0.1:1/none", command)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The database cannot be used (")
    assert result.stderr.endswith("): correct DATABASE_URL, or start the database.\n")
    assert result.stderr.count("\n") == 1
