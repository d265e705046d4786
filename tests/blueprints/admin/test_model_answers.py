"""What operators see of the assistant's answers, and what they make of them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, Row, select

from tests.blueprints.admin.conftest import SignIn
from tests.services.assistant.fakes import FakeModel, install
from wechat_bot.llm import ModelError, ModelErrorReason
from wechat_bot.models import AuditEntry, ModelAnswer, Role
from wechat_bot.testing import FakePlatform

QUESTION = "请问几天发货？"


@pytest.fixture
def model(app: Flask) -> FakeModel:
    model = FakeModel(lambda asked: "**三天**内发货。<b>")
    install(app, model)
    return model


def stored(engine: Engine) -> Row[Any]:
    with engine.connect() as connection:
        return connection.execute(select(ModelAnswer.__table__)).one()


def test_below_an_answer_is_what_led_to_it(
    platform: FakePlatform, model: FakeModel, engine: Engine, signed_in: SignIn
) -> None:
    platform.text(QUESTION)
    answer = stored(engine)
    page = signed_in(Role.OPERATOR).get(f"/admin/conversations/{answer.follower_id}").text
    assert page.count('class="model-answer"') == 1
    assert "stand-in" in page
    assert "几天发货？" in page
    assert f"/admin/model-answers/{answer.id}" in page
    assert "/admin/knowledge/new?question=" in page


def test_a_long_answer_has_it_once(
    platform: FakePlatform, model: FakeModel, engine: Engine, signed_in: SignIn
) -> None:
    model.say = lambda asked: "很长。" * 1000
    platform.text(QUESTION)
    page = signed_in().get(f"/admin/conversations/{stored(engine).follower_id}").text
    assert page.count('class="model-answer"') == 1


def test_a_page_says_why(platform: FakePlatform, model: FakeModel, engine: Engine, signed_in: SignIn) -> None:
    platform.text(f"{QUESTION}我是13800138000")
    page = signed_in(Role.VIEWER).get(f"/admin/model-answers/{stored(engine).id}").text
    assert "请问几天发货？我是[手机号1]" in page
    assert "**三天**内发货。&lt;b&gt;" in page
    assert "第 1 版" in page
    assert "提问 100，回答 20" in page
    assert "答得好" not in page, "a viewer judges nothing"


def test_a_page_says_why_there_was_no_answer(
    platform: FakePlatform, model: FakeModel, engine: Engine, signed_in: SignIn
) -> None:
    model.say = lambda asked: ModelError(ModelErrorReason.UNAUTHORIZED, "401: who are you")
    platform.text(QUESTION)
    page = signed_in().get(f"/admin/model-answers/{stored(engine).id}").text
    assert "模型的接口不认密钥" in page
    assert "401: who are you" in page


def test_a_thumb_is_stored_and_taken_back(
    platform: FakePlatform, model: FakeModel, engine: Engine, signed_in: SignIn
) -> None:
    platform.text(QUESTION)
    browser, address = signed_in(Role.OPERATOR), f"/admin/model-answers/{stored(engine).id}"
    assert browser.post(f"{address}/rating", rating="-1").location == address
    assert stored(engine).rating == -1
    assert 'value="0" aria-pressed="true"' in browser.get(address).text
    assert QUESTION in browser.get("/admin/questions").text, "somebody shall see to it"
    browser.post(f"{address}/rating", rating="0")
    assert (stored(engine).rating, stored(engine).rated_by) == (0, None)
    assert browser.post(f"{address}/rating", rating="5").status_code == 400
    with engine.connect() as connection:
        rated = select(AuditEntry.after).where(AuditEntry.action == "model_answer_rated")
        assert connection.scalars(rated).all() == [-1, 0]


def test_an_answer_becomes_a_rule(
    platform: FakePlatform, model: FakeModel, engine: Engine, signed_in: SignIn
) -> None:
    platform.text(QUESTION)
    answer = stored(engine)
    page = signed_in().get(f"/admin/rules/new?message={answer.last_message_id}&model_answer={answer.id}").text
    assert QUESTION in page
    assert "三天内发货。&lt;b&gt;" in page


def test_answers_of_nobody_are_not_found(app: Flask, signed_in: SignIn) -> None:
    browser = signed_in()
    assert browser.get("/admin/model-answers/7").status_code == 404
    assert browser.post("/admin/model-answers/7/rating", rating="1").status_code == 404
