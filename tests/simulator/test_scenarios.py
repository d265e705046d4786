"""Scenarios: running them, checking expectations, reading and writing files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask

from tests.conftest import MakeApp
from wechat_bot.simulator import scenarios
from wechat_bot.simulator.scenarios import Expectation, Scenario, ScenarioError, Step
from wechat_bot.testing import FakePlatform, listening

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "conversations").glob("*.yaml"))


@pytest.mark.parametrize("mode", ["plain", "safe"])
def test_the_examples_pass_against_the_shipped_bot(make_app: MakeApp, mode: str) -> None:
    app = make_app(wechat_message_mode=mode)
    with listening(app) as url:
        shown = app.test_cli_runner().invoke(
            args=["wechat", "play", *map(str, EXAMPLES), "--url", f"{url}/wechat"]
        )
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("✓") == 12
    assert "帮助和改名" in shown.output


def run(app: Flask, tmp_path: Path, text: str) -> tuple[int, str]:
    file = tmp_path / "conversation.yaml"
    file.write_text(text, encoding="utf-8")
    with listening(app) as url:
        shown = app.test_cli_runner().invoke(args=["wechat", "play", str(file), "--url", f"{url}/wechat"])
    return shown.exit_code, shown.output


def test_an_unexpected_answer_fails_and_is_shown(app: Flask, tmp_path: Path) -> None:
    steps = "steps:\n- send: 改名\n  expect: 你是谁\n- send: 小明\n  expect: 好的，小明。\n"
    code, output = run(app, tmp_path, steps)
    assert code == 1
    assert "✗ send 改名" in output
    assert "expected text '你是谁', got text: '怎么称呼你？" in output
    assert "✓ send 小明" in output
    assert "1 answers are not as expected." in output


def test_a_file_may_have_several_conversations_each_of_a_new_follower(app: Flask, tmp_path: Path) -> None:
    one = "name: 一\nsteps:\n- send: 改名\n- send: 小明\n  expect: 好的，小明。\n"
    other = "name: 二\nsteps:\n- send: 我是谁\n  expect: {contains: 还不知道}\n"
    code, output = run(app, tmp_path, f"{one}---\n{other}")
    assert code == 0, output
    assert output.count("✓") == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("steps: [{send: 帮助}, {send: 帮助, at: 2026-11-28 22:00}]", "it is of another time"),
        ("tags: [会员]\nsteps: [{send: 帮助}]", "the follower has tags"),
        ("steps: [{send: 帮助, expect: {rule: commands.show_help}}]", "does not say which rule answers"),
    ],
)
def test_what_a_running_bot_cannot_be_asked_is_told_and_does_not_pass(
    app: Flask, tmp_path: Path, text: str, reason: str
) -> None:
    code, output = run(app, tmp_path, text)
    assert code == 1
    assert reason in output
    assert "✓" not in output


def test_the_failure_notice_fails_a_step_without_expectation(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("steps:\n- send: 帮助\n", encoding="utf-8")
    nowhere = ["wechat", "play", str(file), "--url", "http://127.0.0.1:1/wechat"]
    shown = app.test_cli_runner().invoke(args=nowhere)
    assert shown.exit_code == 1
    assert "got notice" in shown.output


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "not YAML"),
        ("name: x", "a list of steps"),
        ("steps: [1]", "step 1: it is not an action"),
        ("steps:\n- {send: a, follow: b}", "step 1: it has one action"),
        ("steps:\n- send: a\n- dance: b", "step 2: there is no action 'dance'"),
        ("steps:\n- {send: a, expect: {sounds: b}}", "step 1: expect is a text or one of"),
        ("steps:\n- push: {Event: CLICK}", "step 1: push has fields, MsgType among them"),
        ("steps:\n- {send: a, expect: {pattern: '('}}", "step 1: pattern"),
        ("steps:\n- {send: a, at: soon}", "step 1: at is a time such as"),
        ("tags: x\nsteps: [{send: a}]", "tags is a list of names"),
        ("a: &a [1]\nb: *a", "an alias (*) cannot be used"),
    ],
)
def test_an_invalid_file_is_explained(app: Flask, tmp_path: Path, text: str, problem: str) -> None:
    code, output = run(app, tmp_path, text)
    assert code == 1
    assert problem in output


@pytest.mark.parametrize(
    "step",
    [
        Step({"MsgType": "text", "Content": "一\n二"}, Expectation("text", "三\n四\n")),
        Step({"MsgType": "text", "Content": "123"}, Expectation("contains", "4.0")),
        Step({"MsgType": "text", "Content": "yes"}, Expectation("pattern", "^a|b$")),
        Step(scenarios.action("follow", "door"), Expectation("shows", "nothing")),
        Step(scenarios.action("follow", ""), Expectation("shows", "notice")),
        Step(scenarios.action("unfollow", "")),
        Step(scenarios.action("scan", "42")),
        Step(scenarios.action("click", "KEY")),
        Step(
            scenarios.action("send", "帮助"),
            Expectation("rule", "帮助"),
            datetime.fromisoformat("2026-11-28 22:00"),
        ),
        Step(scenarios.action("send", "帮助"), None, datetime.fromisoformat("2026-11-28 22:00:05")),
        Step({"MsgType": "event", "Event": "X", "Info": {"A": "1", "B": ["2", "3"]}}),
    ],
)
def test_a_dumped_scenario_can_be_loaded(step: Step) -> None:
    conversation = Scenario("名字", (step,), ("会员", "123"))
    assert scenarios.load(scenarios.dump(conversation)) == conversation


def test_expectations_are_met_or_not(platform: FakePlatform) -> None:
    def passed(**expected: str) -> bool:
        [(kind, value)] = expected.items()
        step = Step({"MsgType": "text", "Content": "改名"}, Expectation(kind, value))
        [result] = scenarios.run(platform.follower("oPlay" + kind + str(len(value))), Scenario("", (step,)))
        return result.passed

    assert passed(text="怎么称呼你？发送“取消”不改。")
    assert not passed(text="怎么称呼你？")
    assert passed(contains="称呼")
    assert not passed(contains="谁")
    assert passed(pattern="怎么.*取消")
    assert not passed(pattern="^取消")
    assert passed(shows="text")
    assert not passed(shows="nothing")


def test_who_scans_any_code_does_so_in_one_word() -> None:
    for event, key, name in (("subscribe", "qrscene_door", "follow"), ("SCAN", "door", "scan")):
        fields = {"MsgType": "event", "Event": event, "EventKey": key, "Ticket": "gQE48DwAAAAAAAAAAS5odHRw"}
        assert scenarios.action_of(Step(fields)) == (name, "door")


def test_errors_name_their_step() -> None:
    with pytest.raises(ScenarioError, match="step 1"):
        scenarios.load("steps: [{}]")
