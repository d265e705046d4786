"""What supervisors, Prometheus and strangers are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.conftest import MakeApp, statements
from wechat_bot.settings import Switch

TOKEN = "t" * 24


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(metrics_enabled=Switch.YES, metrics_token=TOKEN)


def status(app: Flask, address: str = "127.0.0.1", **headers: str) -> int:
    answer = app.test_client().get(
        "/metrics",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        environ_overrides={"REMOTE_ADDR": address},
    )
    assert (answer.status_code == 200) == ("wechat_database_up" in answer.text)
    return answer.status_code


def test_liveness_and_readiness_tell_strangers_one_word(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/healthz").text == "ok"
    assert client.get("/readyz").text == "database: ok"


def test_the_program_is_ready_without_a_worker(app: Flask) -> None:
    assert app.test_client().get("/readyz").status_code == 200


def test_strangers_who_ask_for_readiness_cost_the_database_next_to_nothing(
    app: Flask, engine: Engine
) -> None:
    with statements() as sent, ThreadPoolExecutor(16) as strangers:
        answers = list(strangers.map(lambda _: app.test_client().get("/readyz").text, range(64)))
    assert set(answers) == {"database: ok"}
    assert len(sent) < 64
    assert not any(statement.startswith(("UPDATE", "INSERT", "DELETE")) for statement in sent)


def test_figures_are_off_unless_they_are_switched_on(make_app: MakeApp) -> None:
    assert status(make_app()) == 404


def test_this_machine_may_read_figures(app: Flask) -> None:
    assert status(app) == 200
    assert status(app, "::1") == 200


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer ключ"])
def test_strangers_may_not_read_figures(app: Flask, authorization: str) -> None:
    assert status(app, "203.0.113.7", Authorization=authorization) == 401


def test_a_proxy_on_this_machine_speaks_for_strangers(app: Flask) -> None:
    assert status(app, X_Forwarded_For="203.0.113.7") == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "203.0.113.7", ""])
def test_a_page_that_names_this_machine_otherwise_may_not_read_figures(app: Flask, host: str) -> None:
    assert status(app, Host=host) == 401
    assert status(app, Host=host, Authorization=f"Bearer {TOKEN}") == 200


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1", "[::1]:5000"])
def test_this_machine_has_several_names(app: Flask, host: str) -> None:
    assert status(app, Host=host) == 200


def test_whoever_has_the_token_may_read_figures(app: Flask) -> None:
    assert status(app, "203.0.113.7", Authorization=f"Bearer {TOKEN}") == 200


def test_no_token_is_set_and_none_is_given_is_no_agreement(make_app: MakeApp) -> None:
    app = make_app(metrics_enabled=Switch.YES)
    assert status(app, "203.0.113.7", Authorization="Bearer ") == 401
