"""``flask wechat push`` and ``chat``, as a developer uses them, against a bot that listens on a port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from tests.conftest import MakeApp
from tests.hostile import ACTIVE
from wechat_bot.routing import Answer, Context, Router
from wechat_bot.testing import NOTICE, listening
from wechat_bot.wechat.messages import Message

Run = Callable[..., Result]


@pytest.fixture(params=["plain", "compatible", "safe"])
def run(request: pytest.FixtureRequest, make_app: MakeApp) -> Iterator[Run]:
    """Runs a command of an application, against the same application."""
    app = make_app(wechat_message_mode=request.param)
    with listening(app) as url:
        yield lambda *arguments, **more: app.test_cli_runner().invoke(
            args=["wechat", *arguments, "--url", f"{url}/wechat"], **more
        )


def test_a_push_is_shown_raw_and_decrypted(run: Run) -> None:
    shown = run("push", "--content", "改名")
    assert shown.exit_code == 0
    assert "signature = " in shown.output
    assert "<Content>改名</Content>" in shown.output
    assert "← status 200" in shown.output
    assert "<Content>怎么称呼你？发送“取消”不改。</Content>" in shown.output


def test_any_event_and_any_field_can_be_pushed(run: Run) -> None:
    shown = run("push", "--type", "subscribe", "--content", "qrscene_door", "--field", "Ticket=gQH8")
    assert "<Ticket>gQH8</Ticket>" in shown.output
    assert "你扫描了「door」的二维码" in shown.output


def test_what_is_not_given_of_a_kind_is_as_it_may_arrive(run: Run) -> None:
    shown = run("push", "--type", "LOCATION", "--field", "Precision=9")
    assert "<Latitude>31.230416</Latitude>" in shown.output
    assert "<Precision>9</Precision>" in shown.output
    assert "<EventKey>" not in shown.output
    assert "收到你的位置" in run("push", "--type", "location").output


def test_a_field_without_a_value_is_told(run: Run) -> None:
    shown = run("push", "--field", "Ticket")
    assert shown.exit_code == 2
    assert "'Ticket' is not NAME=VALUE" in shown.output


def test_a_wrong_token_ends_in_the_notice_that_followers_read(run: Run) -> None:
    shown = run("push", "--token", "wrongtoken")
    assert shown.exit_code == 1
    assert "status 403" in shown.output
    assert NOTICE in shown.output


def test_credentials_that_cannot_be_right_are_told(run: Run) -> None:
    shown = run("push", "--aes-key", "short", "--mode", "safe")
    assert shown.exit_code == 1
    assert "WECHAT_ENCODING_AES_KEY must be 43 letters and digits." in shown.output


def test_a_conversation_goes_on_until_the_input_ends(run: Run) -> None:
    shown = run("chat", input="改名\n小明\n我是谁\n/scan door\n/click MENU_HELP\n/unfollow\n/follow door\n")
    assert shown.exit_code == 0
    heard = [line.partition("号> ")[2] for line in shown.output.splitlines() if "号> " in line]
    assert heard == [
        "欢迎关注！发送“帮助”看看我会什么。",
        "怎么称呼你？发送“取消”不改。",
        "好的，小明。",
        "你是小明。",
        "你扫描了「door」的二维码。发送“帮助”看看我会什么。",
        "我会这些：",
        "（没有回复）",
        "欢迎回来！你扫描了「door」的二维码。发送“帮助”看看我会什么。",
    ]


def test_an_error_of_a_handler_is_told(make_app: MakeApp) -> None:
    router = Router()

    @router.on(Message)
    def forget(message: Message, ctx: Context) -> Answer:
        raise LookupError("no such city")

    app = make_app(router)
    with listening(app) as url:
        arguments = ["wechat", "chat", "--url", f"{url}/wechat"]
        shown = app.test_cli_runner().invoke(args=arguments, input="天气\n")
    assert shown.output.count("号> test_simulator.forget: LookupError: no such city") == 2


@pytest.fixture
def parrot(make_app: MakeApp) -> Iterator[Run]:
    """Runs a command against a bot that says `ACTIVE`."""
    router = Router()

    @router.on(Message)
    def say(message: Message, ctx: Context) -> Answer:
        return ACTIVE

    app = make_app(router)
    with listening(app) as url:
        yield lambda *arguments, **more: app.test_cli_runner().invoke(
            args=["wechat", *arguments, "--url", f"{url}/wechat"], **more
        )


@pytest.mark.parametrize(
    "command", [("chat",), ("push", "--content", "\x9b\u202e"), ("play",)], ids=lambda c: c[0]
)
def test_what_a_bot_says_does_nothing_to_the_terminal(
    parrot: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    scenario = tmp_path / "talk.yaml"
    scenario.write_text('name: "\\e[2J"\nsteps: [{send: "\\e]0;evil\\a", expect: "\\u202e"}]\n')
    files = [str(scenario)] if command == ("play",) else []
    shown = parrot(*command, *files, input="你好\n").output
    assert "evil" in shown
    assert not set(ACTIVE) & set(shown) - set("evil\n0;[]2J31m")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/wechat", "http://[::1", "wechat"])
def test_nobody_listening_is_told(app: Flask, url: str) -> None:
    shown = app.test_cli_runner().invoke(args=["wechat", "push", "--url", url])
    assert shown.exit_code == 1
    assert f"Error: {url}: no connection" in shown.output
