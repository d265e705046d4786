"""What an operator may set, and what he reads when it is wrong."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from tests.conftest import AES_KEY, APP_ID, APP_SECRET, TOKEN
from wechat_bot.env_file import create_env_file, env_text, load_settings
from wechat_bot.settings import Environment, Settings, SettingsError, Switch
from wechat_bot.wechat.credentials import Mode

ROOT = Path(__file__).parent.parent
NOWHERE = Path("no such file")
SECRET = "0123456789abcdef" * 4
PRODUCTION = {"APP_ENV": "production", "SECRET_KEY": SECRET, "WECHAT_TOKEN": TOKEN}


def load(environ: Mapping[str, str], env_file: Path = NOWHERE) -> Settings:
    return load_settings(env_file, environ)


def problems(environ: Mapping[str, str], env_file: Path = NOWHERE) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ, env_file)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


# Where settings come from


def test_without_any_setting_the_program_runs_in_development() -> None:
    settings = load({})
    assert settings.app_env is Environment.DEVELOPMENT
    assert settings.secrets_are_known
    assert not settings.reachable_from_outside
    assert settings.credentials.mode is Mode.PLAIN


def test_the_environment_wins_over_the_file(env_file: Path) -> None:
    env_file.write_text("PORT=8000\nHOST=0.0.0.0\n")
    settings = load({"PORT": "9000"}, env_file)
    assert (settings.port, settings.host) == (9000, "0.0.0.0")


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_blank_value_is_no_value(env_file: Path, blank: str) -> None:
    env_file.write_text(f"PORT={blank}\nLOG_LEVEL={blank}\n")
    assert load({"HOST": blank, "WECHAT_TOKEN": blank}, env_file) == load({})


def test_blanks_around_a_pasted_value_do_no_harm() -> None:
    settings = load({"WECHAT_APP_ID": f" {APP_ID}\n", "WECHAT_ENCODING_AES_KEY": f"{AES_KEY} "})
    assert (settings.wechat_app_id, settings.credentials.aes_keys) == (APP_ID, (AES_KEY,))


def test_a_file_may_be_written_as_usual(env_file: Path) -> None:
    lines = ["# comment", "", "export PORT=8000", "WECHAT_APOLOGY='抱歉 # 稍后'", 'HOST = "::1"  # comment']
    env_file.write_text("\r\n".join(lines), encoding="utf-8")
    settings = load({}, env_file)
    assert (settings.port, settings.wechat_apology, settings.host) == (8000, "抱歉 # 稍后", "::1")


def test_a_file_of_a_windows_editor_is_read_from_its_first_line(env_file: Path) -> None:
    env_file.write_text("PORT=8000\n", encoding="utf-8-sig")
    assert load({}, env_file).port == 8000


@pytest.mark.parametrize("line", ["SECRET KEY=x", "= x", "'", 'A="x', "PORT: 8000", "PORT"])
@pytest.mark.parametrize(
    "before", ["HOST=0.0.0.0\n# comment\n", "HOST=0.0.0.0\n\n"], ids=["comment", "blank"]
)
def test_a_line_that_is_no_setting_is_named(env_file: Path, before: str, line: str) -> None:
    env_file.write_text(f"{before}{line}\nLOG_LEVEL=DEBUG\n")
    [problem] = problems({}, env_file)
    assert problem == f"{env_file} has lines that are not NAME=value: correct line 3."


@pytest.mark.parametrize("content", [b"\xff\xfe", "密钥".encode("gbk")])
def test_a_file_that_cannot_be_read_is_named(env_file: Path, content: bytes) -> None:
    env_file.write_bytes(content)
    [problem] = problems({}, env_file)
    assert str(env_file) in problem


def test_a_directory_is_no_settings_file(tmp_path: Path) -> None:
    [problem] = problems({}, tmp_path)
    assert str(tmp_path) in problem


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WECHAT_TOKEM", "WECHAT_TOKEN"),
        ("wechat_token", "WECHAT_TOKEN"),
        ("WECHAT_APPID", "WECHAT_APP_ID"),
        ("DATABASEURL", "DATABASE_URL"),
        ("SECRETKEY", "SECRET_KEY"),
        ("DATABASE_URI", "DATABASE_URL"),
    ],
)
def test_a_misspelt_name_is_told_with_the_setting_that_is_meant(
    env_file: Path, name: str, meant: str
) -> None:
    env_file.write_text(f"HOST=::1\n{name}=x\n")
    assert problems({}, env_file) == [f"{env_file} has {name}, which is no setting: did you mean {meant}?"]


def test_names_of_other_programs_may_stand_in_the_file(env_file: Path) -> None:
    names = ("FLASK_DEBUG", "TEST_DATABASE_URL", "SECRET_KEY_OLD", "COMPOSE_PROJECT_NAME", "WEB_PORT", "TZ")
    env_file.write_text("".join(f"{name}=x\n" for name in names))
    assert load({}, env_file) == load({})


# What is wrong with them


TIME_ZONE = "WECHAT_TIME_ZONE must be the name of a time zone, such as Asia/Shanghai."


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("APP_ENV", "prod", "APP_ENV is 'prod', but must be development or production."),
        ("LOG_LEVEL", "debug", "LOG_LEVEL is 'debug', but must be DEBUG or INFO or WARNING or ERROR."),
        ("PORT", "http", "PORT is 'http', but must be a whole number."),
        ("PORT", "65536", "PORT must be 0 to 65535."),
        ("WEB_WORKERS", "0", "WEB_WORKERS must be 1 or more."),
        ("WEB_THREADS", "3", "WEB_THREADS must be 4 or more."),
        ("WECHAT_SLOW_HANDLERS", "0", "WECHAT_SLOW_HANDLERS must be 1 or more."),
        ("WECHAT_SESSION_TTL", "0", "WECHAT_SESSION_TTL must be 1 or more."),
        *(("WECHAT_TIME_ZONE", name, TIME_ZONE) for name in ("Shanghai", "../UTC", "Asia")),
        ("TRUSTED_PROXIES", "-1", "TRUSTED_PROXIES must be 0 or more."),
        ("WECHAT_ANSWER_SECONDS", "soon", "WECHAT_ANSWER_SECONDS is 'soon', but must be a number."),
        *(
            ("WECHAT_ANSWER_SECONDS", value, "WECHAT_ANSWER_SECONDS must be less than the platform's 5")
            for value in ("0", "5", "-1", "nan", "inf")
        ),
        ("WECHAT_MESSAGE_MODE", "secure", "WECHAT_MESSAGE_MODE must be plain, compatible, safe or empty."),
        ("WECHAT_MESSAGE_MODE", "safe", "WECHAT_MESSAGE_MODE is safe, which needs WECHAT_ENCODING_AES_KEY"),
        ("WECHAT_TOKEN", "no", "WECHAT_TOKEN must be 3 to 32 letters and digits."),
        ("WECHAT_TOKEN_PREVIOUS", "no", "WECHAT_TOKEN must be 3 to 32 letters and digits."),
        ("WECHAT_APP_ID", "gh_1a2b3c4d5e6f", "WECHAT_APP_ID must be wx and 16 hex digits"),
        ("DATABASE_URL", "oracle://db", "DATABASE_URL must begin with sqlite://, postgres:// or mysql://."),
        ("DATABASE_URL", "sqlite://", "DATABASE_URL must name a file"),
        ("MEDIA_MAX_BYTES", "0", "MEDIA_MAX_BYTES must be 1 or more."),
        ("MEDIA_URL", "https://bucket", "MEDIA_URL must be a folder, or begin with s3://"),
        ("MEDIA_URL", "s3://", "MEDIA_URL must be a folder, or begin with s3://"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL must begin with redis://, rediss:// or unix://."),
        ("WECHAT_API_BASE_URL", "api.weixin.qq.com", "WECHAT_API_BASE_URL must begin with https://"),
        ("WECHAT_API_PROXY", "socks5://127.0.0.1:1080", "WECHAT_API_PROXY must begin with http://"),
    ],
)
def test_an_operator_reads_what_is_wrong(name: str, value: str, problem: str) -> None:
    [found] = problems({name: value})
    assert found.startswith(problem)


def test_an_operator_reads_all_problems_at_once() -> None:
    found = problems(
        {
            "APP_ENV": "production",
            "PORT": "http",
            "TRUSTED_PROXIES": "-1",
            "DATABASE_URL": "db",
            "WECHAT_APP_ID": "no",
            "WECHAT_ENCODING_AES_KEY": "no",
        }
    )
    assert sorted(problem.split()[0] for problem in found) == [
        "DATABASE_URL",
        "PORT",
        "SECRET_KEY",
        "TRUSTED_PROXIES",
        "WECHAT_APP_ID",
        "WECHAT_ENCODING_AES_KEY",
        "WECHAT_TOKEN",
    ]
    assert all(problem.endswith(".") for problem in found)


# Secrets


@pytest.mark.parametrize("key", ["", "short", "development", "your-secret-key", "0123456789abcde"])
def test_production_refuses_a_secret_key_that_others_can_guess(key: str) -> None:
    [problem] = problems({**PRODUCTION, "SECRET_KEY": key})
    assert problem.startswith("SECRET_KEY is missing or too short to be secret: set it to the output of")


@pytest.mark.parametrize(
    ("token", "problem"),
    [("", "WECHAT_TOKEN is missing"), ("development", "WECHAT_TOKEN is known to others")],
)
def test_production_refuses_a_token_that_others_know(token: str, problem: str) -> None:
    [found] = problems({**PRODUCTION, "WECHAT_TOKEN": token})
    assert found.startswith(problem)


@pytest.mark.parametrize("name", ["SECRET_KEY_PREVIOUS", "WECHAT_TOKEN_PREVIOUS"])
def test_production_refuses_previous_secrets_that_others_know(name: str) -> None:
    [problem] = problems({**PRODUCTION, name: "development"})
    assert name.removesuffix("_PREVIOUS") in problem


def test_production_runs_with_secrets_of_its_own() -> None:
    settings = load(PRODUCTION)
    assert not settings.secrets_are_known
    assert settings.credentials.tokens == (TOKEN,)


def test_no_secret_is_shown() -> None:
    secrets = {
        "SECRET_KEY": SECRET,
        "SECRET_KEY_PREVIOUS": SECRET[::-1],
        "DATABASE_URL": "postgres://bot:dbpassword@db/bot",
        "REDIS_URL": "redis://:redispassword@cache/0",
        "WECHAT_TOKEN": TOKEN,
        "WECHAT_TOKEN_PREVIOUS": "greyheron2027",
        "WECHAT_APP_SECRET": APP_SECRET,
        "WECHAT_ENCODING_AES_KEY": AES_KEY,
        "WECHAT_ENCODING_AES_KEY_PREVIOUS": AES_KEY[::-1],
        "WECHAT_APP_ID": APP_ID,
    }
    settings = load(secrets)
    for shown in (repr(settings), str(settings), repr(settings.credentials)):
        assert APP_ID in shown
        assert [name for name, value in secrets.items() if value in shown] == ["WECHAT_APP_ID"]


@pytest.mark.parametrize("name", ["WECHAT_TOKEN", "WECHAT_ENCODING_AES_KEY", "DATABASE_URL", "REDIS_URL"])
def test_a_secret_is_not_shown_when_it_is_wrong(name: str) -> None:
    assert not any(SECRET in problem for problem in problems({name: f"x{SECRET}!"}))


# What they mean


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("", "sqlite:///wechat_bot.db"),
        ("sqlite:////var/bot.db", "sqlite:////var/bot.db"),
        ("postgres://u:p@h/d?sslmode=require", "postgresql+psycopg://u:p@h/d?sslmode=require"),
        ("postgresql://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("mysql://h/d?charset=utf8mb4", "mysql+pymysql://h/d?charset=utf8mb4"),
        ("mariadb://h/d", "mariadb+pymysql://h/d"),
        ("mysql+mysqldb://h/d", "mysql+mysqldb://h/d"),
    ],
)
def test_a_database_url_gets_the_driver_that_is_installed(url: str, driver: str) -> None:
    assert load({"DATABASE_URL": url}).sqlalchemy_url == driver


@pytest.mark.parametrize(
    ("environ", "mode"),
    [
        ({}, Mode.PLAIN),
        ({"WECHAT_ENCODING_AES_KEY": AES_KEY}, Mode.SAFE),
        ({"WECHAT_ENCODING_AES_KEY": AES_KEY, "WECHAT_MESSAGE_MODE": "plain"}, Mode.PLAIN),
        ({"WECHAT_ENCODING_AES_KEY": AES_KEY, "WECHAT_MESSAGE_MODE": "compatible"}, Mode.COMPATIBLE),
    ],
)
def test_a_key_without_a_mode_means_safe(environ: dict[str, str], mode: Mode) -> None:
    assert load({"WECHAT_APP_ID": APP_ID, **environ}).credentials.mode is mode


def test_token_and_key_can_be_changed_without_a_gap() -> None:
    environ = {
        "WECHAT_TOKEN": TOKEN,
        "WECHAT_TOKEN_PREVIOUS": "greyheron2027",
        "WECHAT_APP_ID": APP_ID,
        "WECHAT_ENCODING_AES_KEY": AES_KEY,
        "WECHAT_ENCODING_AES_KEY_PREVIOUS": AES_KEY[::-1],
    }
    credentials = load(environ).credentials
    assert credentials.tokens == (TOKEN, "greyheron2027")
    assert credentials.aes_keys == (AES_KEY, AES_KEY[::-1])


@pytest.mark.parametrize(
    ("host", "reachable"),
    [
        ("127.0.0.1", False),
        ("127.0.0.2", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("192.168.1.7", True),
        ("example.com", True),
    ],
)
def test_an_operator_learns_whether_others_can_reach_the_program(host: str, reachable: bool) -> None:
    assert load({"HOST": host}).reachable_from_outside is reachable


# The files


def test_metrics_and_second_factors_of_admins_are_only_on_when_asked_for() -> None:
    for switch in Switch:
        settings = Settings(metrics_enabled=switch, admin_second_factor=switch)
        assert settings.metrics_are_on is (switch is Switch.YES)
        assert settings.admins_need_second_factor is (switch is Switch.YES)


def test_the_example_lists_every_setting() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_text()


def test_the_example_is_the_defaults(env_file: Path) -> None:
    text = env_text()
    env_file.write_text(text, encoding="utf-8")
    assert load({}, env_file) == load({})
    names = re.findall(r"^# .+\n([A-Z_0-9]+)=", text, re.MULTILINE)
    assert names == [setting.name.upper() for setting in fields(Settings)]


def test_a_fresh_file_can_be_used_at_once(env_file: Path) -> None:
    create_env_file(env_file)
    settings = load({"PORT": "5001"}, env_file)
    assert not settings.secrets_are_known
    assert settings.credentials.mode is Mode.PLAIN
    assert settings.api_base_url == "http://127.0.0.1:5001/simulator/api"


def test_production_has_no_use_for_a_made_up_account(env_file: Path) -> None:
    create_env_file(env_file)
    with pytest.raises(SettingsError, match="set WECHAT_APP_ID"):
        load({"APP_ENV": "production"}, env_file)
    own = {"WECHAT_APP_ID": APP_ID, "WECHAT_API_BASE_URL": "https://api.weixin.qq.com"}
    assert load({"APP_ENV": "production", "WECHAT_MESSAGE_MODE": "safe", **own}, env_file)


def test_a_fresh_file_is_for_its_owner_alone(env_file: Path) -> None:
    before = os.umask(0)
    try:
        create_env_file(env_file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600


def test_fresh_files_have_secrets_of_their_own(tmp_path: Path) -> None:
    loaded = []
    for name in ("a", "b"):
        create_env_file(tmp_path / name)
        loaded.append(load({}, tmp_path / name))
    secrets = [(each.secret_key, each.wechat_token, each.wechat_encoding_aes_key) for each in loaded]
    assert len({*secrets[0], *secrets[1]}) == 6


def test_a_file_is_never_overwritten(env_file: Path) -> None:
    env_file.write_text("PORT=8000\n")
    with pytest.raises(FileExistsError):
        create_env_file(env_file)
    assert env_file.read_text() == "PORT=8000\n"


# The core


def test_the_core_needs_no_framework() -> None:
    script = (
        "import sys, wechat_bot.routing, wechat_bot.settings\n"
        "import wechat_bot.wechat.api, wechat_bot.wechat.webhook\n"
        "print(*sorted({'flask', 'werkzeug', 'sqlalchemy', 'flask_sqlalchemy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "\n"


def test_a_bucket_needs_a_library_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load({"MEDIA_URL": "s3://bucket"}).media_url == "s3://bucket"
    monkeypatch.setitem(sys.modules, "boto3", None)  # as if it were not installed
    expected = "MEDIA_URL names a bucket, which needs boto3: pip install 'wechat-bot[s3]'."
    assert problems({"MEDIA_URL": "s3://bucket"}) == [expected]
