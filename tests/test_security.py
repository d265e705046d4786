"""What browsers are told, and what the platform is not."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from tests.conftest import MakeApp
from wechat_bot import create_app
from wechat_bot.security import HEADERS, HSTS
from wechat_bot.settings import Settings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self';"
    " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


@pytest.mark.parametrize(
    "path", ["/", "/demo/", "/demo/hello/zhang", "/nowhere", "/static/site.css", "/healthz"]
)
def test_every_answer_carries_the_headers(app: Flask, path: str) -> None:
    with app.test_client().get(path) as answer:
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert set(HEADERS) <= set(answer.headers.keys())
        assert "Strict-Transport-Security" not in answer.headers


def test_https_is_asked_for_over_https_alone(app: Flask) -> None:
    answer = app.test_client().get("/demo/", base_url="https://bot.example")
    assert answer.headers["Strict-Transport-Security"] == HSTS


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_of_the_program_is_for_its_user_alone(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    folder.mkdir(mode=0o755)
    create_app(replace(settings, instance_path=str(folder), database_url=""))
    assert mode_of(folder) == 0o700


def test_a_folder_whose_mode_cannot_be_changed_is_told(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    create_app(replace(settings, instance_path=str(tmp_path / "file" / "instance")))
    assert "should have the mode 700, but cannot get it: Not a directory" in capsys.readouterr().out


def test_an_export_is_for_its_user_alone(app: Flask, tmp_path: Path) -> None:
    export = ["wechat", "export", "--format", "csv", "--output", str(tmp_path / "messages.csv")]
    assert app.test_cli_runner().invoke(args=export).exit_code == 0
    assert mode_of(tmp_path / "messages.csv") == 0o600


def test_answers_to_the_platform_are_left_alone(app: Flask) -> None:
    answer = app.test_client().get("/wechat?signature=x", base_url="https://bot.example")
    assert set(answer.headers.keys()) == {"Content-Type", "Content-Length", "X-Request-ID"}


def test_a_proxy_tells_address_and_scheme_and_nothing_else(make_app: MakeApp) -> None:
    forwarded = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "4711",
        "X-Forwarded-Prefix": "//evil.example",
    }
    client = make_app(trusted_proxies=1).test_client()
    answer = client.get("/admin/", headers=forwarded)
    assert answer.location == "/admin/sign-in?next=/admin/"
    assert "Strict-Transport-Security" in answer.headers
    assert "evil.example" not in client.get("/admin/sign-in", headers=forwarded).text
