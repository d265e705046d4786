"""What becomes of questions, and what is recorded of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Row, select

from tests.services.assistant.fakes import PROFILE, FakeModel, install
from wechat_bot.extensions import db
from wechat_bot.llm import ChatMessage, ModelError, ModelErrorReason, Usage
from wechat_bot.models import ModelAnswer, Outcome
from wechat_bot.services.assistant.answering import Answered, Question
from wechat_bot.services.assistant.profile import AssistantProfile
from wechat_bot.services.assistant.prompt import PERSON, UNKNOWN
from wechat_bot.wiring import services

PHONE = "13800138000"


def ask(
    app: Flask, model: FakeModel, *texts: str, memory: tuple[ChatMessage, ...] = (), **changes: Any
) -> Answered:
    profile: AssistantProfile = replace(PROFILE, **changes)
    assistant = install(app, model, profile)
    return assistant.answer(Question(services(app).account_id, texts=texts, memory=memory))


def recorded(app: Flask) -> Row[Any]:
    with app.app_context():
        return db.session.execute(select(ModelAnswer.__table__)).one()


def test_an_answer_from_a_passage_is_recorded_with_all_that_led_to_it(app: Flask) -> None:
    model = FakeModel()
    answered = ask(app, model, "请问几天发货？")
    assert (answered.outcome, answered.text, answered.model) == (Outcome.ANSWERED, "三天内发货。", "stand-in")
    assert "付款后三天内发货。" in model.prompts[0][-1].content
    row = recorded(app)
    assert (row.id, row.outcome, row.question, row.answer) == (
        answered.id,
        "answered",
        "请问几天发货？",
        "三天内发货。",
    )
    assert (row.model, row.profile_version, row.prompt_tokens, row.completion_tokens) == (
        "stand-in",
        1,
        100,
        20,
    )
    assert row.cost == pytest.approx(140 / 1_000_000)
    assert [(each["title"], each["source"]) for each in row.passages] == [("几天发货？", "pair")]


def test_without_a_passage_the_model_is_not_asked(app: Flask) -> None:
    model = FakeModel()
    answered = ask(app, model, "今晚的月亮圆不圆")
    assert (answered.outcome, answered.text, model.prompts) == (Outcome.UNKNOWN, "我不知道。", [])
    assert recorded(app).outcome == "unknown"


def test_a_model_that_may_chat_is_asked_without_a_passage(app: Flask) -> None:
    model = FakeModel(lambda asked: "你好呀。")
    assert ask(app, model, "今晚的月亮圆不圆", may_chat=True).text == "你好呀。"


def test_a_question_that_needs_the_one_before_it_finds_its_passage(app: Flask) -> None:
    memory = ChatMessage("user", "怎么退货？"), ChatMessage("assistant", "寄回。")
    answered = ask(app, FakeModel(), "那要多久", memory=memory)
    assert [each.title for each in answered.passages] == ["怎么退货？"]


@pytest.mark.parametrize(
    ("said", "outcome", "text"),
    [
        (UNKNOWN, Outcome.UNKNOWN, "我不知道。"),
        (f"嗯。{UNKNOWN}", Outcome.UNKNOWN, "我不知道。"),
        (PERSON, Outcome.HANDED_OVER, ""),
        ("去赌博吧", Outcome.BLOCKED, "我不知道。"),
        (" \n", Outcome.FAILED, ""),
        ("三天。\n（由 AI 生成）", Outcome.ANSWERED, "三天。"),
        (ModelError(ModelErrorReason.TIMEOUT, "60 s"), Outcome.FAILED, ""),
        (ModelError(ModelErrorReason.REFUSED), Outcome.FAILED, ""),
    ],
)
def test_what_a_model_says_is_judged(app: Flask, said: str | Exception, outcome: Outcome, text: str) -> None:
    answered = ask(app, FakeModel(lambda asked: said), "几天发货？", blocked_out=("赌博",))
    assert (answered.outcome, answered.text) == (outcome, text)
    row = recorded(app)
    assert (row.outcome, row.answer) == (outcome, said if isinstance(said, str) else "")


def test_a_forbidden_question_does_not_leave(app: Flask) -> None:
    model = FakeModel()
    answered = ask(app, model, "几天发货？赌 博", blocked_in=("赌博",))
    assert (answered.outcome, answered.error, model.prompts) == (Outcome.BLOCKED, "赌博", [])


def test_no_number_of_a_person_leaves_and_the_answer_has_it(app: Flask) -> None:
    memory = (ChatMessage("user", f"我的电话{PHONE}"), ChatMessage("assistant", f"好的，{PHONE}"))
    model = FakeModel(lambda asked: "请打[手机号1]。")
    answered = ask(app, model, f"怎么退货？我是{PHONE}", memory=memory)
    sent = "".join(message.content for message in model.prompts[0])
    assert PHONE not in sent
    assert "400-123-4567" in sent
    assert answered.text == f"请打{PHONE}。"
    row = recorded(app)
    assert (row.question, row.answer) == ("怎么退货？我是[手机号1]", "请打[手机号1]。")


def test_a_used_up_budget_stops_answers_until_midnight(app: Flask) -> None:
    model = FakeModel()
    assert ask(app, model, "几天发货？", daily_tokens=120).outcome is Outcome.ANSWERED
    answered = ask(app, model, "几天发货？", daily_tokens=120)
    assert (answered.outcome, answered.error, len(model.prompts)) == (Outcome.OVER_BUDGET, "daily_tokens", 1)


def test_a_profile_that_is_tried_answers_with_its_own_words(app: Flask) -> None:
    assistant = install(app, FakeModel())
    stored = services(app).profiles.latest(services(app).account_id)
    draft = replace(stored, profile=replace(PROFILE, unknown_text="不清楚。"))
    question = Question(stored.account_id, texts=("今晚的月亮",))
    assert assistant.answer(question, profile=draft).text == "不清楚。"
    assert assistant.answer(question).text == "我不知道。"


def test_the_key_is_in_no_record_and_no_prompt(app: Flask) -> None:
    model = FakeModel()
    ask(app, model, "几天发货？")
    assert "sk-secret" not in str(recorded(app)) + str(model.prompts)


def test_usage_is_recorded_of_an_answer_that_is_not_used(app: Flask) -> None:
    assert ask(app, FakeModel(lambda asked: UNKNOWN), "几天发货？").usage == Usage(100, 20)
    assert recorded(app).prompt_tokens == 100
