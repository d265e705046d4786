"""Evaluations, as requests of an operator's browser."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser, SignIn, audited, newest
from tests.services.evaluations.fake import FakeAssistants
from wechat_bot.models import EvaluationRun, Role
from wechat_bot.services.evaluations.running import Evaluations
from wechat_bot.wiring import EXTENSION, services

PAGE = "/admin/evaluations"
CASE = {
    "question": "几点开门",
    "expected": "answer",
    "contains": "九点",
    "excludes": "",
    "source": "pair:12",
    "rule": "",
}


@pytest.fixture
def operator(signed_in: SignIn) -> Browser:
    return signed_in(Role.OPERATOR)


@pytest.fixture
def assistants(app: Flask) -> FakeAssistants:
    bot, fake = services(app), FakeAssistants(几点开门="九点<开门>")
    evaluations = Evaluations(bot.engine, bot.rules, fake, bot.jobs.enqueue)
    app.extensions[EXTENSION] = replace(bot, evaluations=evaluations)
    return fake


def add(browser: Browser, **fields: str) -> Any:
    return browser.post(f"{PAGE}/new", **{**CASE, **fields})


def upload(browser: Browser, content: str | bytes) -> Any:
    data = content if isinstance(content, bytes) else content.encode()
    form = {"file": (BytesIO(data), "questions.yaml"), "csrf_token": browser.token("/admin/profile")}
    return browser.client.post(f"{PAGE}/import", data=form, headers={"Accept-Language": "zh"})


def run(app: Flask, browser: Browser, engine: Engine, **draft: str) -> str:
    """Start a run, let the worker carry it out, and return its page."""
    started = browser.post(f"{PAGE}/runs", **draft)
    assert started.status_code == 303
    assert "已问 0 /" in browser.get(started.location).text
    services(app).evaluations.run(newest(engine, EvaluationRun.id))
    return browser.get(started.location).text


def test_a_question_is_written_asked_and_both_answers_are_shown(
    app: Flask, operator: Browser, engine: Engine, assistants: FakeAssistants
) -> None:
    assert "还没有问题" in operator.get(PAGE).text
    assert add(operator).status_code == 303
    page = operator.get(PAGE).text
    assert "预期：助手回答，有「九点」，来自 pair:12" in page
    assert "还没有问过" in page
    page = run(app, operator, engine)
    assert "问完了：问了 1 / 1 个，通过 1 个" in page
    assert "九点&lt;开门&gt;" in page
    assert "1,200 ms · 345 token" in page
    assert "还没有问过" not in operator.get(PAGE).text
    assistants.answers["几点开门"] = "十点"
    page = run(app, operator, engine)
    assert "1 个变差了" in page
    assert "没有「九点」" in page
    assert page.index("十点") < page.index("九点&lt;开门&gt;")
    assert audited(engine)[-3:] == ["case_added", "evaluation_started", "evaluation_started"]


def test_a_draft_is_asked_without_being_saved(
    app: Flask, operator: Browser, engine: Engine, assistants: FakeAssistants
) -> None:
    add(operator)
    page = run(app, operator, engine, instructions="说喵", model="", threshold="0.5")
    assert "九点&lt;开门&gt;说喵" in page
    assert "<dt>资料的门槛（0 到 1）</dt><dd>0.5</dd>" in page


def test_without_an_assistant_the_page_says_what_to_do(operator: Browser) -> None:
    add(operator)
    refused = operator.post(f"{PAGE}/runs", instructions="说喵")
    assert refused.status_code == 422
    assert "还没有能用的助手" in refused.text
    assert "说喵</textarea>" in refused.text


def test_a_run_is_stopped_and_its_progress_is_polled(
    app: Flask, operator: Browser, engine: Engine, assistants: FakeAssistants
) -> None:
    add(operator)
    at = operator.post(f"{PAGE}/runs").location
    polled = operator.get(f"{at}/progress")
    assert "已问 0 / 0 个" in polled.text
    assert "HX-Refresh" not in polled.headers
    operator.post(f"{at}/stop")
    polled = operator.get(f"{at}/progress")
    assert "停下了" in polled.text
    assert polled.headers["HX-Refresh"] == "true"
    assert operator.get(f"{PAGE}/runs/99").status_code == 404


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"question": " "}, "不能是空的。"),
        ({"question": "长" * 501}, "太长：最多 500 个字。"),
        ({"contains": "字" * 201}, "太长：最多 200 个字。"),
        ({"source": "第一条"}, "写法不对，要像这样：pair:12。"),
        ({"expected": "rule"}, "还没有选。"),
        ({"expected": "magic"}, "只能是："),
    ],
)
def test_what_is_wrong_is_said_at_its_field(operator: Browser, fields: dict[str, str], sentence: str) -> None:
    refused = add(operator, **fields)
    assert refused.status_code == 422
    assert sentence in refused.text


def test_a_question_is_changed_unless_somebody_else_has(operator: Browser, engine: Engine) -> None:
    add(operator)
    first = operator.post(f"{PAGE}/1", **CASE | {"question": "几点关门", "version": "1"})
    assert first.status_code == 303
    second = operator.post(f"{PAGE}/1", **CASE | {"question": "开到几点", "version": "1"})
    assert second.status_code == 409
    assert "别人改过这个问题" in second.text
    assert "几点关门" in second.text
    assert "开到几点</textarea>" in second.text
    operator.post(f"{PAGE}/1", **CASE | {"question": "开到几点", "version": "2"})
    assert "开到几点" in operator.get(PAGE).text
    operator.post(f"{PAGE}/1/delete")
    assert operator.get(f"{PAGE}/1").status_code == 404
    assert operator.post(f"{PAGE}/1", **CASE).status_code == 404
    assert operator.post(f"{PAGE}/1/delete").status_code == 404
    assert audited(engine)[-4:] == ["case_added", "case_edited", "case_edited", "case_deleted"]


def test_questions_travel_in_files(operator: Browser) -> None:
    add(operator)
    add(operator, question="你是谁", expected="unknown", contains="", source="")
    file = operator.get(f"{PAGE}.yaml").get_data()
    for number in (1, 2):
        operator.post(f"{PAGE}/{number}/delete")
    assert upload(operator, file).status_code == 303
    assert operator.get(f"{PAGE}.yaml").get_data() == file
    refusals: dict[str | bytes, str] = {
        "questions: [": "不是 YAML",
        "questions: [{question: ''}]": "questions[0].question",
        b"\xff\xfe": "UTF-8",
        "": "",
        "questions: [" + "{question: 几点}," * 300 + "]": "最多 300 个问题",
    }
    for content, sentence in refusals.items():
        refused = upload(operator, content)
        assert refused.status_code == 422
        assert sentence in refused.text
    assert operator.get(f"{PAGE}.yaml").get_data() == file


def test_a_viewer_reads_and_starts_nothing(signed_in: SignIn, operator: Browser) -> None:
    add(operator)
    viewer = signed_in(Role.VIEWER, "看客")
    assert "几点开门" in viewer.get(PAGE).text
    assert "保存" not in viewer.get(f"{PAGE}/1").text
    assert viewer.get(f"{PAGE}.yaml").status_code == 403
    assert viewer.post(f"{PAGE}/runs").status_code == 403
