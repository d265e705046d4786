"""What operators and followers wait for when an account has 1,000 rules: parts of ``rules``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade

from wechat_bot import create_app
from wechat_bot.env_file import load_settings
from wechat_bot.extensions import db
from wechat_bot.models import Role
from wechat_bot.routing.definitions import Rule
from wechat_bot.routing.rules import RuleSet
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators import management
from wechat_bot.services.operators.passwords import generate
from wechat_bot.services.rules import bench, editing, reading
from wechat_bot.services.rules.rule_book import RuleBook
from wechat_bot.settings import IN_MEMORY, Settings
from wechat_bot.simulator import sample_console
from wechat_bot.simulator.platform import SimulatedPlatform, http_sender
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wiring import services

from . import ours, traffic
from .databases import SQLite
from .servers import running

MESSAGES = 1000
IMPORTED = 200
ACTOR = Actor(None, "benchmarks", "")
PAGES = {"": "the list of rules", "?page=20": "its last page", "?q=规则 9": "a search in it"}
PASSWORD = "for this measurement only"
CHANGED = "改了"
"""What a rule answers after a change, and to what."""
TRIES = 20
"""Answers of the new rule in a row after which it is live in every process."""


def measure(rules: Sequence[Rule], texts: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of each thing that is waited for, by its name."""
    with _application() as app:
        editing.add_all(db.engine, ACTOR, services().account_id, rules)
        found = _loading(app, rounds)
        found["compare 1,000 real messages with an edited rule"] = _comparing(app, texts, rounds)
        return found | _pages(app, rounds)


def _loading(app: Flask, rounds: int) -> dict[str, list[float]]:
    account_id, zone = services(app).account_id, services(app).account.time_zone
    with db.engine.connect() as connection:
        rule_id = next(iter(reading.positions(connection, account_id)))
    first, changed = [], []
    for number in range(rounds):
        book = RuleBook(db.engine, zone, lambda _account, file_id: str(file_id))
        load = partial(_load, book, account_id)
        first.append(_ms(load))
        editing.enable(db.engine, ACTOR, account_id, rule_id, bool(number % 2))
        changed.append(_ms(load))
    return {"load them in a new process": first, "load them after a change": changed}


def _load(book: RuleBook, account_id: int) -> None:
    with db.engine.connect() as connection:
        version = reading.set_version(connection, account_id)
    book.current(account_id, version)


def _comparing(app: Flask, texts: Sequence[str], rounds: int) -> list[float]:
    platform = FakePlatform.of(app)
    for text in texts[:MESSAGES]:
        platform.text(text)
    account_id, zone = services().account_id, ZoneInfo("Asia/Shanghai")
    rules = {entry.id: entry.rule for entry in reading.entries(db.engine, account_id)}

    def compare() -> None:
        saved, edited = RuleSet(rules, zone), RuleSet(dict(reversed(rules.items())), zone)
        with db.engine.connect() as connection:
            found = bench.compare(connection, account_id, services().router, saved, edited)
        if found.compared < min(MESSAGES, len(texts)):
            raise RuntimeError(f"{found.compared} messages were compared")

    return [_ms(compare) for _ in range(rounds)]


def _pages(app: Flask, rounds: int) -> dict[str, list[float]]:
    browser = _signed_in(app)
    found = {
        name: [_ms(partial(_get, browser, query)) for _ in range(rounds)] for query, name in PAGES.items()
    }
    changed = []
    for number in range(rounds):
        rule_id = next(iter(reading.positions(db.session.connection(), services().account_id)))
        db.session.rollback()
        editing.enable(db.engine, ACTOR, services().account_id, rule_id, bool(number % 2))
        changed.append(_ms(partial(_get, browser, "")))
    return found | {"the list after a change": changed}


def _signed_in(app: Flask) -> FlaskClient:
    operator_id = management.create(db.engine, ACTOR, "li", Role.OPERATOR, generate())
    management.change_password(db.engine, ACTOR, operator_id, PASSWORD, None)
    browser = app.test_client()
    found = re.search(r'name="csrf_token" value="([^"]+)"', browser.get("/admin/sign-in").text)
    assert found
    browser.post("/admin/sign-in", data={"csrf_token": found[1], "name": "li", "password": PASSWORD})
    return browser


def _get(browser: FlaskClient, query: str) -> None:
    answer = browser.get(f"/admin/rules{query}")
    if answer.status_code != 200:
        raise RuntimeError(f"{query}: {answer.status}")


def measure_import() -> tuple[float, int]:
    """Return the seconds in which a full console is read and stored, and the number of its rules."""
    with _application(with_api=True) as app:
        importer, account_id = services(app).importer, services(app).account_id
        started = time.perf_counter()
        report = importer.report(ACTOR, account_id)
        stored = importer.store(ACTOR, account_id, report)
        return time.perf_counter() - started, len(stored)


def measure_change(rules: Sequence[Rule]) -> float:
    """Return the seconds after which every process of a server answers by a changed rule."""
    with TemporaryDirectory(prefix="bench-") as folder:
        directory = Path(folder)
        database = SQLite(directory / "bot.db")
        environ = ours.settings(Mode.PLAIN, database)
        with running(ours.server("ours", Mode.PLAIN, directory, database)) as server:
            app = create_app(load_settings(directory / "no.env", environ))
            try:
                with app.app_context():
                    return _change_live(f"http://127.0.0.1:{server.port}/wechat", rules)
            finally:
                services(app).close()


def _change_live(url: str, rules: Sequence[Rule]) -> float:
    account_id = services().account_id
    entry, *_ = editing.add_all(db.engine, ACTOR, account_id, rules)
    platform = SimulatedPlatform(services().account.credentials, http_sender(url))
    for _ in range(TRIES):  # every process has the rules before the change
        platform.text(CHANGED)
    definition = {**entry.definition, "patterns": [{"match": "whole", "text": CHANGED}]}
    definition["answers"] = [{"kind": "text", "text": CHANGED}]
    editing.save(db.engine, ACTOR, account_id, entry.id, entry.version, definition)
    return _until_live(platform)


def _until_live(platform: SimulatedPlatform) -> float:
    started = time.perf_counter()
    live, answers = 0.0, 0
    while answers < TRIES:
        answers = answers + 1 if platform.text(CHANGED) == CHANGED else 0
        if answers <= 1:
            live = time.perf_counter() - started
    return live


@contextmanager
def _application(*, with_api: bool = False) -> Iterator[Flask]:
    with TemporaryDirectory(prefix="bench-") as folder:
        settings = Settings(
            instance_path=folder,
            job_queue_url=IN_MEMORY,
            wechat_app_id=traffic.APP_ID,
            wechat_app_secret="s" * 32 if with_api else "",
        )
        api = FakeAPI(settings.credentials) if with_api else None
        if api:
            sample_console.set_up(api, IMPORTED)
        app = create_app(settings, None, api.transport if api else None)
        try:
            with app.app_context():
                upgrade()
                yield app
        finally:
            services(app).close()


def _ms(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3
