"""Backups: taken while messages arrive, checked, restored into another installation."""

from __future__ import annotations

import json
import sqlite3
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import downgrade
from sqlalchemy import insert, select

from tests.blueprints.admin.conftest import Browser
from tests.conftest import MakeApp
from tests.databases import SERVERS, Databases
from tests.operators import add_operator
from tests.services.backups.conftest import MakeInstallation, run
from tests.services.media.test_blobs import FakeS3
from tests.services.messages.journal import Journal
from tests.waiting import wait_until
from wechat_bot.database.transactions import write
from wechat_bot.extensions import db
from wechat_bot.models import AuditEntry, Direction, Follower, MessageLog, Role, Worker
from wechat_bot.services.audit import Actor
from wechat_bot.services.search.index import MESSAGES
from wechat_bot.services.search.tokens import Query
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

ENCRYPTED: dict[str, str | None] = {"BACKUP_PASSPHRASE": "correct horse battery"}


def incoming(app: Flask) -> set[str]:
    found = select(MessageLog.text).where(MessageLog.direction == Direction.IN)
    with services(app).engine.connect() as connection:
        return set(connection.scalars(found))


def finds(app: Flask, words: str) -> bool:
    """Whether a message with these words is found."""
    services(app).projector.catch_up()
    engine = services(app).engine
    with engine.connect() as connection:
        return bool(connection.scalars(MESSAGES.matching_ids(Query.parse(words), engine.dialect.name)).all())


class Pushes:
    """Pushes of four followers, who write without a pause."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._stopping = threading.Event()
        self.acknowledged: list[str] = []

    @contextmanager
    def arriving(self) -> Iterator[None]:
        with ThreadPoolExecutor(4) as pool:
            try:
                followers = [pool.submit(self._write, f"oFollower{number}") for number in range(4)]
                yield
            finally:
                self._stopping.set()
        for follower in followers:
            follower.result()

    def _write(self, openid: str) -> None:
        platform, count = FakePlatform.of(self._app, openid=openid), 0
        while not self._stopping.is_set():
            text = f"{openid} 第 {count} 条 🍵"
            assert not platform.push(platform.message("text", Content=text)).failed
            self.acknowledged.append(text)
            count += 1


@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
def test_what_was_acknowledged_before_a_backup_began_is_in_it(
    make_installation: MakeInstallation, databases: Databases, tmp_path: Path, kind: str
) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    with databases.borrow(kind, folders[0]) as url, databases.borrow(kind, folders[1]) as other_url:
        app = make_installation("a", database_url=url)
        add_operator(services(app).engine, "li", Role.ADMIN)
        content = services(app).archive.store.put(b"a picture")
        pushes, backup = Pushes(app), tmp_path / "backup.tar.enc"
        with pushes.arriving():
            wait_until(lambda: len(pushes.acknowledged) > 20)
            before = set(pushes.acknowledged)
            said = run(app, "backup", "--encrypt", "--output", backup, env=ENCRYPTED)
            count = len(pushes.acknowledged)
            wait_until(lambda: len(pushes.acknowledged) > count)
        assert "files: 1," in said
        services(app).close()

        other = make_installation("b", database_url=other_url)
        run(other, "restore", backup, env=ENCRYPTED)
        restored = incoming(other)
        assert before <= restored <= set(pushes.acknowledged) | incoming(app)
        assert finds(other, "oFollower3")
        assert b"".join(services(other).archive.store.open(content)) == b"a picture"
        assert Browser(other.test_client()).sign_in("li").status_code == 303
        assert FakePlatform.of(other).text("帮助")
        if kind == "sqlite":
            with closing(sqlite3.connect(folders[1] / "bot.db")) as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_backup_is_one_private_file_and_old_ones_are_deleted(app: Flask, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("wechat_bot-20261101-030000.tar", "wechat_bot-20261102-030000.tar.enc", "of mine.tar"):
        (folder / name).touch()
    run(app, "backup", "--output", folder, "--keep", "2")
    mine, second, new = sorted(folder.iterdir())
    assert (mine.name, second.name) == ("of mine.tar", "wechat_bot-20261102-030000.tar.enc")
    assert new.stat().st_mode & 0o777 == 0o600
    assert "intact" in run(app, "backup", "--check", new)
    with services(app).engine.connect() as connection:
        entry = connection.execute(select(AuditEntry.action, AuditEntry.detail)).one()
    assert entry == ("backup_taken", new.name)
    assert "already exists" in run(app, "backup", "--output", new, fails=True)


def test_a_damaged_or_cut_off_backup_changes_nothing(
    make_installation: MakeInstallation, tmp_path: Path
) -> None:
    app, backup = make_installation("a"), tmp_path / "backup.tar"
    services(app).archive.store.put(b"a picture" * 1000)
    Journal(services(app).engine).add("你好")
    run(app, "backup", "--output", backup)
    whole = backup.read_bytes()
    other = make_installation("b")
    with tarfile.open(backup) as tar:
        starts = {member.name.partition("/")[0]: member.offset_data for member in tar}
    changed = [whole[:start] + bytes([whole[start] ^ 1]) + whole[start + 1 :] for start in starts.values()]
    cut = [whole[: len(whole) // 2], whole[: starts["manifest.json"] - 512], whole[:100], b""]
    for content in (*changed, *cut):
        backup.write_bytes(content)
        run(app, "backup", "--check", backup, fails=True)
        run(other, "restore", backup, fails=True)
        assert not incoming(other)
        assert not list(services(other).archive.store.digests())


def test_a_database_with_rows_is_replaced_on_request_only(
    make_installation: MakeInstallation, tmp_path: Path
) -> None:
    app, backup = make_installation("a"), tmp_path / "backup.tar"
    Journal(services(app).engine).add("你好")
    run(app, "backup", "--output", backup)
    other = make_installation("b", secret_key="another key for tests")
    Journal(services(other).engine).add("其他")
    assert "--replace" in run(other, "restore", backup, fails=True)
    run(other, "restore", backup, "--replace", input="n\n", fails=True)
    assert incoming(other) == {"其他"}
    said = run(other, "restore", backup, "--replace", input="y\n")
    assert incoming(other) == {"你好"}
    assert "SECRET_KEY" in said


def test_nothing_is_restored_while_the_program_runs(
    make_installation: MakeInstallation, tmp_path: Path
) -> None:
    app, backup = make_installation("a"), tmp_path / "backup.tar"
    run(app, "backup", "--output", backup)
    now = datetime.now(UTC)
    write(services(app).engine, insert(Worker).values(name="host:7", started_at=now, seen_at=now))
    assert "host:7" in run(app, "restore", backup, "--replace", "--yes", fails=True)


def test_a_backup_of_an_older_program_is_upgraded_and_of_a_newer_one_refused(
    make_installation: MakeInstallation, tmp_path: Path
) -> None:
    app, backup = make_installation("a"), tmp_path / "backup.tar"
    Journal(services(app).engine).add("你好")
    with app.app_context():
        downgrade(revision="0026")
    run(app, "backup", "--output", backup)
    other = make_installation("b")
    run(other, "restore", backup)
    assert incoming(other) == {"你好"}
    assert other.test_client().get("/readyz").status_code == 200
    newer = tmp_path / "newer.tar"
    rewrite_manifest(backup, newer, revision="9999")
    assert "newer" in run(other, "restore", newer, "--replace", "--yes", fails=True)
    rewrite_manifest(backup, newer, database="postgresql")
    assert "migrate-data" in run(other, "restore", newer, "--replace", "--yes", fails=True)
    assert incoming(other) == {"你好"}


def test_who_was_erased_after_a_backup_is_erased_again(
    app: Flask, platform: FakePlatform, tmp_path: Path
) -> None:
    platform.text("你好")
    backup, bot = tmp_path / "backup.tar", services(app)
    run(app, "backup", "--output", backup)
    with app.app_context():
        follower_id = db.session.scalars(select(Follower.id)).one()
        db.session.remove()
    bot.erasures.begin(Actor(None, "li", ""), bot.account_id, follower_id)
    assert "1" in run(app, "restore", backup, "--replace", "--yes").splitlines()[-1]
    bot.erasures.work(bot.account_id, 10)
    assert incoming(app) == set()


def rewrite_manifest(backup: Path, changed: Path, **values: str) -> None:
    """Write a backup with another manifest."""
    with tarfile.open(backup) as old, tarfile.open(changed, "w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content
            if member.name == "manifest.json":
                path = changed.with_suffix(".json")
                path.write_text(json.dumps(json.load(content) | values))
                new.add(path, member.name)
            else:
                new.addfile(member, content)


def test_settings_are_included_in_encrypted_backups_only(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    env_file, backup = tmp_path / ".env", tmp_path / "backup.tar.enc"
    env_file.write_text("SECRET_KEY=known to nobody\n")
    result = app.test_cli_runner().invoke(args=["wechat", "backup", "--with-env"])
    assert (result.exit_code, "--encrypt" in result.output) == (2, True)
    short: dict[str, str | None] = {"BACKUP_PASSPHRASE": "short"}
    run(app, "backup", "--encrypt", "--output", backup, fails=True, env=short)
    run(app, "backup", "--encrypt", "--with-env", "--output", backup, env=ENCRYPTED)
    assert b"known to nobody" not in backup.read_bytes()
    run(app, "restore", backup, "--replace", "--yes", env=ENCRYPTED)
    restored = tmp_path / ".env.restored"
    assert restored.read_text() == "SECRET_KEY=known to nobody\n"
    assert restored.stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_of_a_message_is_told_and_does_not_spoil_the_backup(
    make_installation: MakeInstallation, tmp_path: Path
) -> None:
    app, backup = make_installation("a"), tmp_path / "backup.tar"
    store = services(app).archive.store
    good, bad = store.put(b"good"), store.put(b"bad")
    (tmp_path / "a/media" / bad[:2] / bad).write_bytes(b"xyz")
    assert "damaged and not included: 1" in run(app, "backup", "--output", backup)
    other = make_installation("b")
    run(other, "restore", backup)
    assert list(services(other).archive.store.digests()) == [good]


def test_of_a_bucket_the_names_are_kept(
    make_installation: MakeInstallation, bucket: FakeS3, bucket_url: str, tmp_path: Path
) -> None:
    app, backup = make_installation("a", media_url=bucket_url), tmp_path / "backup.tar"
    for content in (b"kept", b"lost"):
        services(app).archive.store.put(content)
    assert "names only" in run(app, "backup", "--output", backup)
    bucket.objects.popitem()
    other = make_installation("b", media_url=bucket_url)
    assert "the bucket does not have: 1." in run(other, "restore", backup)


@pytest.mark.parametrize("kind", [*SERVERS])
def test_a_program_of_the_database_that_is_missing_is_named(
    make_app: MakeApp, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with databases.borrow(kind, tmp_path) as url:
        app = make_app(database_url=url)
        monkeypatch.setenv("PATH", str(tmp_path))
        said = run(app, "backup", "--output", tmp_path / "backup.tar", fails=True)
        assert "apt install" in said
        program = tmp_path / ("pg_dump" if kind == "postgresql" else "mariadb-dump")
        program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1, Distrib 5.5.1-MariaDB'\n")
        program.chmod(0o700)
        said = run(app, "backup", "--output", tmp_path / "backup.tar", fails=True)
        assert "older" in said
        assert [path.name for path in tmp_path.glob("*backup*")] == []
