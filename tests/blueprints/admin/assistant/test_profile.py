"""The page of the assistant's profile: what an admin sets, and what nobody is shown."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from html import unescape
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from tests.blueprints.admin.conftest import PAGE, Browser, SignIn, audited
from tests.conftest import MakeApp
from tests.hostile import PUSHED
from wechat_bot.blueprints.admin.assistant import forms, words
from wechat_bot.llm import ModelErrorReason
from wechat_bot.models import Role
from wechat_bot.services.assistant.profile import AssistantProfile
from wechat_bot.services.assistant.profiles import StoredProfile
from wechat_bot.settings import Switch
from wechat_bot.testing import FakeModel, listening
from wechat_bot.wiring import services

PATH = "/admin/assistant"
KEY = "sk-4f1c9a7d2e8b6035"
PROFILE = AssistantProfile(base_url="https://api.deepseek.com/v1", model="deepseek-v4-flash")


@pytest.fixture
def fake() -> FakeModel:
    return FakeModel(sleep=lambda _seconds: None)


@pytest.fixture
def model_url(fake: FakeModel) -> Iterator[str]:
    with listening(fake) as url:
        yield f"{url}/v1"


def post(
    browser: Browser, profile: AssistantProfile = PROFILE, version: int = 0, **form: Any
) -> TestResponse:
    values = dict(forms.form_of(profile).items())
    return browser.post(PATH, form_at=PATH, **{**values, "version": version, **form})


def stored(app: Flask) -> StoredProfile:
    return services(app).profiles.latest(services(app).account_id)


def ask(browser: Browser, question: str, **headers: str) -> str:
    form = {"csrf_token": browser.token(PATH), "question": question}
    answer = browser.client.post(f"{PATH}/try", data=form, headers={**PAGE, **headers})
    return unescape(answer.text)


# Settings


def test_a_profile_is_saved_as_it_is_shown(admin: Browser, app: Flask) -> None:
    profile = replace(
        PROFILE,
        enabled=True,
        filing="Beijing-AI-20240101",
        may_chat=True,
        instructions="第一行\n第二行",
        threshold=0.5,
        price_in=0.8,
        price_out=0.00005,
        daily_yuan=1000.0,
        daily_tokens=10**12,
        blocked_out=("赌博", "<b>"),
        reset_words=(),
    )
    assert post(admin, profile).status_code == 303
    assert stored(app).profile == profile
    assert forms.read(forms.form_of(profile)) == profile
    page = admin.get(PATH).text
    assert "Beijing-AI-20240101" in page
    assert "&lt;b&gt;" in page


def test_a_provider_fills_the_address_and_nothing_is_saved(admin: Browser, app: Flask) -> None:
    page = post(admin, preset="qwen", label="〔AI〕").text
    assert 'value="https://dashscope.aliyuncs.com/compatible-mode/v1"' in page
    assert 'value="〔AI〕"' in page
    assert stored(app).version == 0


@pytest.mark.parametrize("preset", [*forms.PRESETS, "stand_in"])
def test_the_values_of_every_provider_are_valid(admin: Browser, preset: str) -> None:
    values = forms.form_of(AssistantProfile(enabled=True))
    forms.fill(values, (forms.PRESETS | {"stand_in": forms.stand_in("http://127.0.0.1:5000")})[preset])
    assert forms.read(values).model
    assert f'name="preset" value="{preset}"' in admin.get(PATH).text


def test_the_stand_in_is_offered_where_there_is_a_simulator(make_app: MakeApp, admin: Browser) -> None:
    assert 'value="stand_in"' in admin.get(PATH).text
    with make_app(simulator_enabled=Switch.NO).test_client() as client:
        client.set_cookie("session", admin.client.get_cookie("session").value)  # type: ignore[union-attr]
        assert 'value="stand_in"' not in Browser(client).get(PATH).text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("label", " ", "不能是空的"),
        ("base_url", "ftp://example.com", "要像这样"),
        ("threshold", "高", "要是 数字"),
        ("threshold", "1.5", "超出范围：0 – 1"),
        ("max_tokens", "", "要是 整数"),
        ("max_tokens", "99999999999999999999999", "要是 整数"),
        ("per_minute", "0", "超出范围"),
        ("blocked_in", "好\n" + "长" * 65, "最多 64 个字"),
        ("key", "a b", "再复制一次"),
        ("key", "sk-密钥", "再复制一次"),
    ],
)
def test_a_problem_is_named_at_its_field_and_nothing_is_lost(
    admin: Browser, app: Flask, field: str, value: str, sentence: str
) -> None:
    changed: dict[str, Any] = {"instructions": "我写的说明", field: value}
    answer = post(admin, **changed)
    page = unescape(answer.text)
    assert answer.status_code == 422
    assert f'href="#{field}"' in page
    assert sentence in page.partition(f'id="problem-{field}"')[2].partition("</div>")[0]
    assert "我写的说明" in page
    assert stored(app).version == 0


def test_an_assistant_without_a_model_is_not_switched_on(admin: Browser, app: Flask) -> None:
    answer = post(admin, AssistantProfile(enabled=True))
    assert answer.status_code == 422
    assert 'href="#base_url"' in answer.text
    assert 'href="#model"' in answer.text


def test_the_address_of_a_call_is_taken_for_that_of_the_endpoint(admin: Browser, app: Flask) -> None:
    post(admin, base_url=" https://api.deepseek.com/v1/chat/completions/ ")
    assert stored(app).profile.base_url == "https://api.deepseek.com/v1"


def test_the_second_of_two_admins_sees_the_difference(admin: Browser, signed_in: SignIn, app: Flask) -> None:
    other = signed_in(name="wang")
    post(admin, replace(PROFILE, label="〔李〕"))
    answer = post(other, replace(PROFILE, label="〔王〕"), key=KEY)
    page = answer.text
    assert answer.status_code == 409
    assert "<td>〔王〕</td><td>〔李〕</td>" in page
    assert 'name="version" value="1"' in page
    assert stored(app).profile.label == "〔李〕"
    assert KEY not in page
    assert post(other, replace(PROFILE, label="〔王〕"), version=1).status_code == 303
    assert stored(app).profile.label == "〔王〕"


# Access


def test_operators_read_and_admins_edit(signed_in: SignIn, app: Flask) -> None:
    operator = signed_in(Role.OPERATOR, "zhou")
    page = operator.get(PATH).text
    assert '<fieldset class="rule-form" disabled>' in page
    assert f"{PATH}/try" not in page
    for path in (PATH, f"{PATH}/try", f"{PATH}/restore"):
        assert operator.post(path).status_code == 403
    assert signed_in(Role.VIEWER, "wu").get(PATH).status_code == 403


# The key


def test_the_key_is_stored_sealed_and_never_shown(
    admin: Browser, app: Flask, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        post(admin, key=f" {KEY}\n")
        pages = [
            admin.get(path).text for path in (PATH, f"{PATH}/history", "/admin/audit", "/admin/audit.csv")
        ]
        pages.append(post(admin, version=1, label="", key=KEY).text)
    assert services(app).profiles.model(stored(app)).key == KEY
    assert "已经存了一个密钥" in pages[0]
    assert not any(KEY in page for page in [*pages, caplog.text])
    with engine.connect() as connection:
        for table in ("assistant_profiles", "assistant_profile_versions", "audit_entries"):
            assert KEY not in str(connection.execute(text(f"SELECT * FROM {table}")).all())


def test_a_key_stays_until_it_is_removed(admin: Browser, app: Flask) -> None:
    post(admin, key=KEY)
    post(admin, replace(PROFILE, label="〔AI〕"), version=1)
    assert stored(app).has_key
    post(admin, replace(PROFILE, label="〔AI〕"), version=2, remove_key="on")
    assert not stored(app).has_key


def test_another_server_needs_another_key(admin: Browser, app: Flask) -> None:
    post(admin, key=KEY)
    post(admin, replace(PROFILE, base_url="https://ark.cn-beijing.volces.com/api/v3"), version=1)
    assert not stored(app).has_key
    assert "请填上新的密钥" in admin.get(PATH).text


# A question


def test_a_question_shows_the_answer_with_its_time_and_tokens(
    admin: Browser, app: Flask, engine: Engine, fake: FakeModel, model_url: str
) -> None:
    post(admin, replace(PROFILE, base_url=model_url, model="stand-in", instructions="你是店员。"), key=KEY)
    page = ask(admin, "几点<b>营业</b>")
    assert "你问的是：几点<b>营业</b>" in page
    assert "第一个字" in page
    assert "<b>营业" in page.partition("trial-answer")[2]
    assert f"问 {len('你是店员。几点<b>营业</b>')}，答" in page
    assert [message["role"] for message in fake.requests[0]["messages"]] == ["system", "user"]
    assert audited(engine)[-2:] == ["assistant_saved", "assistant_tried"]
    part = ask(admin, "你好", **{"HX-Request": "true"})
    assert "你问的是：你好" in part
    assert "<html" not in part


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("stand-in-401", ModelErrorReason.UNAUTHORIZED),
        ("stand-in-429", ModelErrorReason.RATE_LIMITED),
        ("stand-in-500", ModelErrorReason.UNREACHABLE),
        ("stand-in-half", ModelErrorReason.INTERRUPTED),
        ("stand-in-garbage", ModelErrorReason.INVALID),
        ("stand-in-refusal", ModelErrorReason.REFUSED),
    ],
)
def test_a_failure_is_explained_without_the_key(
    admin: Browser, model_url: str, model: str, reason: ModelErrorReason
) -> None:
    post(admin, replace(PROFILE, base_url=model_url, model=model), key=KEY)
    page = ask(admin, "能退货吗")
    assert str(words.MODEL_ERRORS[reason]) in page
    assert KEY not in page


def test_a_question_needs_a_model(admin: Browser) -> None:
    answer = admin.post(f"{PATH}/try", question="你好")
    assert answer.status_code == 422
    assert "先填好接口地址和模型" in answer.text


def test_what_a_model_says_is_shown_as_text(admin: Browser, model_url: str) -> None:
    post(admin, replace(PROFILE, base_url=model_url, model="stand-in"))
    form = {"csrf_token": admin.token(PATH)}
    for question in PUSHED.values():
        form["question"] = question[:200].replace("\x00", "")  # which no form may have
        answer = admin.client.post(f"{PATH}/try", data=form, headers={**PAGE, "HX-Request": "true"})
        assert "trial-answer" in answer.text
        assert not re.search(r"<[^>]*(hacked|alert\()", answer.text)


# History


def test_an_earlier_version_is_restored(admin: Browser, app: Flask) -> None:
    post(admin)
    post(admin, replace(PROFILE, label="〔AI〕", enabled=True), version=1)
    page = admin.get(f"{PATH}/history").text
    assert "<dt>AI 标识</dt><dd><del>（由 AI 生成）</del> → <ins>〔AI〕</ins></dd>" in page
    assert "<dt>打开</dt><dd><del>否</del> → <ins>是</ins></dd>" in page
    assert admin.post(f"{PATH}/restore", version=1).status_code == 303
    assert stored(app).profile == PROFILE
    assert stored(app).version == 3
    assert admin.post(f"{PATH}/restore", version=99).status_code == 404


def test_a_version_of_another_release_is_not_restored(admin: Browser, app: Flask, engine: Engine) -> None:
    post(admin)
    with engine.begin() as connection:
        connection.execute(text("UPDATE assistant_profile_versions SET definition = '{\"new\": 1}'"))
    admin.post(f"{PATH}/restore", version=1)
    assert "没有这样的字段" in admin.get(f"{PATH}/history").text
    assert stored(app).version == 1


def test_operators_read_the_history_and_do_not_restore(admin: Browser, signed_in: SignIn) -> None:
    post(admin)
    post(admin, replace(PROFILE, label="〔AI〕"), version=1)
    page = signed_in(Role.OPERATOR, "zhou").get(f"{PATH}/history").text
    assert "〔AI〕" in page
    assert "/restore" not in page


# Words


def test_every_field_has_a_name_and_a_place_on_the_page(admin: Browser) -> None:
    page = admin.get(PATH).text
    assert words.FIELDS.keys() == {field.name for field in fields(AssistantProfile)}
    assert all(f'name="{name}"' in page for name in words.FIELDS)
    assert words.MODEL_ERRORS.keys() == set(ModelErrorReason)
