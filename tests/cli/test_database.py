"""How a starting program prepares its database."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, inspect, text

from tests.conftest import MakeApp
from tests.server.conftest import ROOT
from wechat_bot.cli.database import prepare_database
from wechat_bot.extensions import db


def set_revision(app: Flask, revision: str) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})


def test_an_older_program_goes_on_with_a_newer_database(
    app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    set_revision(app, "9999")
    prepare_database(app)
    assert capsys.readouterr().err.startswith("The database is newer than this program: ")
    ready = app.test_client().get("/readyz")
    assert (ready.status_code, ready.text) == (200, "database: newer than this program")


def test_two_hosts_that_start_on_an_empty_database_both_find_it_ready(
    make_app: MakeApp, tmp_path: Path, postgresql_database: str
) -> None:
    engine = create_engine(postgresql_database)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    command = [sys.executable, "-m", "flask", "--app", "wechat_bot", "db", "upgrade"]
    environ = {"PYTHONPATH": str(ROOT), "DATABASE_URL": postgresql_database, "INSTANCE_PATH": str(tmp_path)}
    start = partial(subprocess.Popen, command, cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True)
    hosts = [start(), start()]
    said = [host.communicate()[1] for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], said
    assert "message_logs" in inspect(engine).get_table_names()
    engine.dispose()
