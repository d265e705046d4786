"""``flask wechat export-follower``, ``erase-follower`` and ``erase-again``."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine, select

from tests.services.messages.journal import NOON, Journal
from wechat_bot.models import AuditEntry, Follower, MessageLog

OPENID = "oFollowerToBeForgotten"


def run(app: Flask, *arguments: str, answer: str = "") -> Result:
    return app.test_cli_runner().invoke(args=["wechat", *arguments], input=answer)


@pytest.fixture
def journal(engine: Engine) -> Journal:
    journal = Journal(engine)
    journal.add("我说过的话", follower_id=journal.follower(OPENID))
    return journal


def test_a_follower_is_exported_to_a_file(app: Flask, journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "follower.zip"
    assert run(app, "export-follower", OPENID, "--output", str(path)).exit_code == 0
    with ZipFile(path) as archive:
        assert "我说过的话" in archive.read("messages.csv").decode()
    with journal.engine.connect() as connection:
        assert connection.scalars(select(AuditEntry.action)).all() == ["follower_exported"]


def test_a_follower_is_erased_after_a_question(app: Flask, journal: Journal) -> None:
    assert run(app, "erase-follower", OPENID, answer="n\n").exit_code == 1
    with journal.engine.connect() as connection:
        assert connection.scalar(select(Follower.openid)) == OPENID
    done = run(app, "erase-follower", OPENID, answer="y\n")
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "Deleted.")
    with journal.engine.connect() as connection:
        assert connection.scalars(select(MessageLog.id)).all() == []
        assert connection.scalars(select(Follower.id)).all() == []


def test_whoever_is_not_known_cannot_be_erased(app: Flask, journal: Journal) -> None:
    refused = run(app, "erase-follower", "\x1b[2Jnobody", "--yes")
    assert refused.exit_code == 1
    assert "No follower has the openid \\u001b[2Jnobody." in refused.output


def test_after_a_restore_followers_are_erased_again(app: Flask, journal: Journal) -> None:
    refused = run(app, "erase-again")
    assert (refused.exit_code, "There is no register of erasures at" in refused.output) == (1, True)
    assert run(app, "erase-follower", OPENID, "--yes").exit_code == 0
    journal.follower(OPENID, first_seen_at=NOON)
    again = run(app, "erase-again")
    assert again.output == "1 followers are to be erased again; the worker does it.\n"
    with journal.engine.connect() as connection:
        assert connection.scalars(select(Follower.openid).where(Follower.openid == OPENID)).all() == []
