"""Evaluations ask the assistant, with the saved profile or a draft of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from tests.services.assistant.fakes import PROFILE, FakeModel, install
from wechat_bot.llm import ChatMessage
from wechat_bot.models import EvaluationState
from wechat_bot.routing.strict_json import InvalidDefinition
from wechat_bot.services.audit import Actor
from wechat_bot.services.evaluations import definitions, editing, reading
from wechat_bot.services.evaluations.assistants import ProfileAssistants
from wechat_bot.services.evaluations.running import Evaluations, Unavailable
from wechat_bot.wiring import services

ACTOR = Actor(None, "li", "")


def assistants(app: Flask, model: FakeModel) -> ProfileAssistants:
    assistant = install(app, model, PROFILE)
    return ProfileAssistants(services(app).profiles, assistant)


def test_an_answer_comes_with_its_passages_and_costs(app: Flask) -> None:
    version, ask = assistants(app, FakeModel()).prepare(services(app).account_id, {})
    given = ask("请问几天发货？")
    assert (version, given.outcome, given.text, given.tokens) == (1, "answered", "三天内发货。", 120)
    assert [passage["title"] for passage in given.passages] == ["几天发货？"]
    assert ask("今晚的月亮圆不圆").outcome == "unknown"


def test_a_draft_is_told_to_the_model_and_not_saved(app: Flask) -> None:
    model = FakeModel()
    bot = services(app)
    _version, ask = assistants(app, model).prepare(bot.account_id, {"instructions": "说喵"})
    ask("几天发货？")
    system: ChatMessage = model.prompts[0][0]
    assert "说喵" in system.content
    assert bot.profiles.latest(bot.account_id).profile.instructions == PROFILE.instructions


def test_a_draft_that_is_not_valid_is_refused(app: Flask) -> None:
    with pytest.raises(InvalidDefinition):
        assistants(app, FakeModel()).prepare(services(app).account_id, {"threshold": 7})


def test_without_a_model_nothing_is_asked(app: Flask) -> None:
    bot = services(app)
    prepared = ProfileAssistants(bot.profiles, bot.assistant)
    with pytest.raises(Unavailable):
        prepared.prepare(bot.account_id, {})


def test_a_run_stops_when_the_budget_of_the_day_is_used_up(app: Flask) -> None:
    bot = services(app)
    assistant = install(app, FakeModel(), replace(PROFILE, daily_tokens=100))
    evaluations = Evaluations(
        bot.engine, bot.rules, ProfileAssistants(bot.profiles, assistant), lambda *_: None
    )
    cases = [
        definitions.read({"question": question}) for question in ("几天发货？", "怎么退货？", "几天到？")
    ]
    editing.add(bot.engine, ACTOR, bot.account_id, cases)
    run_id = evaluations.start(ACTOR, bot.account_id, {})
    evaluations.run(run_id)
    with bot.engine.connect() as connection:
        run = reading.find_run(connection, bot.account_id, run_id)
    assert run
    assert (run.state, run.error, run.done) == (EvaluationState.STOPPED, "over_budget", 1)
