"""``flask wechat evaluate``, for continuous integration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from tests.services.evaluations.fake import FakeAssistants
from wechat_bot.services.audit import Actor
from wechat_bot.services.evaluations import definitions, editing
from wechat_bot.services.evaluations.definitions import Given
from wechat_bot.services.evaluations.running import Evaluations
from wechat_bot.wiring import EXTENSION, services


@pytest.fixture
def assistants(app: Flask) -> FakeAssistants:
    """What answers the account's only question, whether it opens at nine."""
    bot, fake = services(app), FakeAssistants(几点开门="九点")
    evaluations = Evaluations(bot.engine, bot.rules, fake, bot.jobs.enqueue)
    app.extensions[EXTENSION] = replace(bot, evaluations=evaluations)
    case = definitions.read({"question": "几点开门", "contains": ["九点"]})
    editing.add(bot.engine, Actor(None, "", ""), bot.account_id, [case])
    return fake


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    shown = app.test_cli_runner().invoke(args=["wechat", "evaluate", *arguments])
    return shown.exit_code, shown.output


def test_expected_answers_succeed(app: Flask, assistants: FakeAssistants) -> None:
    code, shown = run(app)
    assert code == 0
    assert "✓ 几点开门" in shown
    assert "1 of 1 passed" in shown


def test_other_answers_fail_and_are_shown(app: Flask, assistants: FakeAssistants) -> None:
    assistants.answers["几点开门"] = "十点\x1b[2J"
    code, shown = run(app)
    assert code == 1
    assert "✗ 几点开门" in shown
    assert "lacks: 九点" in shown
    assert "十点\\u001b[2J" in shown


def test_only_what_got_worse_fails_if_that_is_asked_for(app: Flask, assistants: FakeAssistants) -> None:
    assistants.answers["几点开门"] = "十点"
    assert run(app, "--only-worse")[0] == 0
    assistants.answers["几点开门"] = "九点"
    assert "0 worse, 1 better" in run(app, "--only-worse")[1]
    assistants.answers["几点开门"] = "十点"
    assert run(app, "--only-worse")[0] == 1


def test_a_draft_is_read_from_a_file(app: Flask, assistants: FakeAssistants, tmp_path: Path) -> None:
    draft = tmp_path / "draft.yaml"
    draft.write_text("instructions: 喵", encoding="utf-8")
    assistants.answers["几点开门"] = "十点"
    assert "十点喵" in run(app, "--draft", str(draft))[1]
    draft.write_text("- 喵", encoding="utf-8")
    assert run(app, "--draft", str(draft))[0] == 1
    draft.write_text("[", encoding="utf-8")
    assert "not YAML" in run(app, "--draft", str(draft))[1]


def test_a_run_that_does_not_end_fails(app: Flask, assistants: FakeAssistants) -> None:
    assistants.answers["几点开门"] = Given("over_budget")
    code, shown = run(app, "--only-worse")
    assert code == 1
    assert "over_budget" in shown


def test_without_an_assistant_it_says_so(app: Flask, tmp_path: Path) -> None:
    bot = services(app)
    case = definitions.read({"question": "几点开门"})
    editing.add(bot.engine, Actor(None, "", ""), bot.account_id, [case])
    code, shown = run(app)
    assert code == 1
    assert "no endpoint" in shown
