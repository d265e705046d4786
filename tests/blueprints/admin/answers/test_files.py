"""The files that answers name: chosen by picture, uploaded with the form, and never lost."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.files import picture
from wechat_bot.blueprints.admin.answers import files
from wechat_bot.models import Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.rules import reading
from wechat_bot.simulator.sample_files import AMR, PNG
from wechat_bot.wiring import services

PAGE = "/admin/answers/files"
FORM = {"name": "退款", "trigger.type": "text", "patterns.contains": "退款", "answers[0].kind": "image"}


@pytest.fixture
def operator(signed_in: SignIn) -> Browser:
    return signed_in(Role.OPERATOR)


class Files:
    """The library of the account."""

    def __init__(self, app: Flask) -> None:
        self.services = services(app)

    def add(self, content: bytes = PNG, name: str = "门店.png") -> int:
        return self.services.library.add(Actor(None, "阿珍", ""), self.services.account_id, name, content)

    def delete(self, file_id: int) -> None:
        self.services.library.delete(Actor(None, "阿珍", ""), self.services.account_id, file_id)


@pytest.fixture
def library(app: Flask) -> Files:
    return Files(app)


def shown(browser: Browser, query: str) -> list[str]:
    return re.findall(r'data-file="(\d+)"', browser.get(f"{PAGE}?{query}").text)


def answer_of(engine: Engine, app: Flask) -> Any:
    [entry] = reading.entries(engine, services(app).account_id)
    return entry.definition["answers"][0]


def send(browser: Browser, path: str, **fields: Any) -> Any:
    return browser.post(path, form_at="/admin/rules/new", **fields)


def test_the_picker_finds_files_of_a_kind_by_name_and_pages_them(operator: Browser, library: Files) -> None:
    first = library.add(name="门店 100%.png")
    for width in range(10, 10 + files.PAGE_SIZE):
        library.add(picture(width=width), f"海报 {width}.jpg")
    voice = library.add(AMR, "欢迎.amr")
    assert shown(operator, "kind=voice") == [str(voice)]
    assert shown(operator, "kind=image&q=100%25") == [str(first)]
    assert "没有这个名称的文件" in operator.get(f"{PAGE}?kind=image&q=不存在").text
    newest = shown(operator, "kind=image")
    assert len(newest) == files.PAGE_SIZE
    assert str(first) not in newest
    older = operator.get(f"{PAGE}?kind=image").text
    link = re.search(r'href="([^"]+)" rel="next"', older)
    assert link
    assert shown(operator, link[1].partition("?")[2].replace("&amp;", "&")) == [str(first)]
    assert operator.get(f"{PAGE}?kind=nonsense").status_code == 400


def test_a_file_is_uploaded_where_it_is_chosen(operator: Browser, library: Files, engine: Engine) -> None:
    sent = send(operator, f"{PAGE}?kind=image", file=(BytesIO(PNG), "地图.png"))
    assert sent.status_code == 201
    assert "地图.png" in sent.text
    assert audited(engine)[-1] == "library_added"
    assert "不是这里要的那种文件" in send(operator, f"{PAGE}?kind=voice", file=(BytesIO(PNG), "a.png")).text
    refused = send(operator, f"{PAGE}?kind=image", file=(BytesIO(b"MZ"), "a.exe"))
    assert (refused.status_code, "没有存入" in refused.text) == (422, True)
    assert send(operator, f"{PAGE}?kind=image").status_code == 400


def test_a_file_is_uploaded_with_the_form_where_no_script_runs(
    operator: Browser, app: Flask, engine: Engine
) -> None:
    upload = {"answers[0].file_id.image.upload": (BytesIO(PNG), "地图.png")}
    assert send(operator, "/admin/rules/new", **FORM, **upload).status_code == 303
    assert answer_of(engine, app)["kind"] == "image"
    bad = {"answers[0].file_id.image.upload": (BytesIO(b"MZ"), "a.exe")}
    page = send(operator, "/admin/rules/new", **FORM, **bad)
    assert page.status_code == 422
    assert 'id="problem-answers[0].file_id.image"' in page.text
    assert "没有存入" in page.text


def test_a_chosen_file_stays_chosen_however_old_it_is(
    operator: Browser, library: Files, app: Flask, engine: Engine
) -> None:
    oldest = library.add()
    for width in range(10, 10 + files.MAX_OFFERED):
        library.add(picture(width=width))
    chosen = {"answers[0].file_id.image": str(oldest)}
    page = send(operator, "/admin/rules/new", **FORM, **chosen, add="answers").text
    assert f'<option value="{oldest}" selected>门店.png</option>' in page
    send(operator, "/admin/rules/new", **FORM, **chosen)
    assert answer_of(engine, app) == {"kind": "image", "file_id": oldest}
    assert "[图片] 门店.png" in operator.get("/admin/rules").text


def test_a_file_that_cannot_be_used_is_told_at_its_field(operator: Browser, library: Files) -> None:
    voice, gone = library.add(AMR), library.add()
    library.delete(gone)
    for file_id in (voice, gone, 999):
        page = send(operator, "/admin/rules/new", **FORM, **{"answers[0].file_id.image": str(file_id)})
        assert page.status_code == 422
        assert 'id="problem-answers[0].file_id.image"' in page.text
        assert "或者它不是图片" in page.text
