"""The pages of the knowledge base, as operators use them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select
from werkzeug.test import TestResponse

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.services.knowledge.test_documents import pdf_of
from wechat_bot.models import KnowledgeDocument, KnowledgePair, KnowledgePassage, PairSource, Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.knowledge import pairs
from wechat_bot.wiring import services

ACTOR = Actor(None, "wang", "")
NEW = "/admin/knowledge/new"


def _save(browser: Browser, path: str = NEW, **form: Any) -> TestResponse:
    pair = {"question": "怎么退货？", "wordings": "能退吗\n\n退货流程", "answer": "七天内申请。"}
    return browser.post(path, form_at=NEW, **pair | form)


def _rows(engine: Engine, model: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(model.__table__).order_by(model.id)).all())


def _suggest(app: Flask, question: str = "怎么退货？") -> int:
    bot = services(app)
    definition = {"question": question, "answer": "七天内申请。", "state": "suggested"}
    return pairs.create(bot.engine, ACTOR, bot.account_id, definition, PairSource.CONVERSATION)


def test_a_pair_is_written_found_changed_deleted_and_restored(admin: Browser, engine: Engine) -> None:
    assert _save(admin).status_code == 303
    [row] = _rows(engine, KnowledgePair)
    assert row.definition["wordings"] == ["能退吗", "退货流程"]
    page = admin.get("/admin/knowledge").text
    assert "怎么退货？" in page
    assert "+2 种问法" in page
    found = admin.get("/admin/knowledge/try?q=我想退货").text
    assert "七天内申请。" in found
    assert (
        _save(admin, f"/admin/knowledge/pairs/{row.id}", answer="十五天内申请。", version="1").status_code
        == 303
    )
    assert "十五天内申请。" in admin.get("/admin/knowledge/try?q=我想退货").text
    history = admin.get(f"/admin/knowledge/pairs/{row.id}/history").text
    assert "<del>七天内申请。</del>" in history
    admin.post(f"/admin/knowledge/pairs/{row.id}/delete")
    assert "七天内申请" not in admin.get("/admin/knowledge/try?q=我想退货").text
    assert "怎么退货？" in admin.get("/admin/knowledge?state=deleted").text
    admin.post(f"/admin/knowledge/pairs/{row.id}/restore", version="1")
    assert "七天内申请。" in admin.get("/admin/knowledge/try?q=我想退货").text
    assert audited(engine)[-4:] == ["pair_created", "pair_saved", "pair_deleted", "pair_restored"]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"question": " "}, "question"),
        ({"question": "问" * 201}, "question"),
        ({"answer": ""}, "answer"),
        ({"answer": "答" * 4001}, "answer"),
        ({"wordings": "\n".join(map(str, range(31)))}, "wordings"),
        ({"wordings": "问" * 201}, "wordings"),
        ({"state": "other"}, "state"),
    ],
)
def test_a_pair_that_is_not_valid_is_told_at_its_field(
    admin: Browser, engine: Engine, form: dict[str, str], field: str
) -> None:
    response = _save(admin, **form)
    assert response.status_code == 422
    assert f'id="problem-{field}"' in response.text
    assert _rows(engine, KnowledgePair) == []


def test_two_editors_do_not_overwrite_each_other(admin: Browser, engine: Engine) -> None:
    _save(admin)
    [row] = _rows(engine, KnowledgePair)
    path = f"/admin/knowledge/pairs/{row.id}"
    _save(admin, path, answer="他们的。", version="1")
    response = _save(admin, path, answer="我的。", version="1")
    assert response.status_code == 409
    assert "<td>我的。</td><td>他们的。</td>" in response.text
    assert _save(admin, path, answer="我的。", version="2").status_code == 303


def test_other_pages_fill_the_form(admin: Browser, engine: Engine) -> None:
    page = admin.get(f"{NEW}?question=<b>退货</b>&answer=七天内&source=conversation").text
    assert 'value="&lt;b&gt;退货&lt;/b&gt;"' in page
    assert "七天内</textarea>" in page
    _save(admin, source="conversation")
    assert _rows(engine, KnowledgePair)[0].source == PairSource.CONVERSATION


def test_suggestions_are_approved_singly_and_together(admin: Browser, app: Flask, engine: Engine) -> None:
    one, two, three = (_suggest(app, f"问题 {name}") for name in "甲乙丙")
    assert "有 3 条建议" in admin.get("/admin/knowledge").text
    admin.post("/admin/knowledge/pairs", form_at="/admin/knowledge", approve=str(one))
    admin.post("/admin/knowledge/pairs", form_at="/admin/knowledge", do="approve", pair=[str(two)])
    assert [row.state for row in _rows(engine, KnowledgePair)] == ["approved", "approved", "suggested"]
    admin.post("/admin/knowledge/pairs", form_at="/admin/knowledge", do="delete", pair=[str(two), str(three)])
    assert [bool(row.deleted_at) for row in _rows(engine, KnowledgePair)] == [False, True, True]


def test_the_list_is_filtered_and_has_pages(admin: Browser, app: Flask) -> None:
    bot = services(app)
    several = [pairs.Pair(f"第 {number} 问", "答案") for number in range(60)]
    pairs.add_all(bot.engine, ACTOR, bot.account_id, several)
    _suggest(app, "怎麼開發票？100%")
    page = admin.get("/admin/knowledge").text
    assert "第 59 问" in page
    assert "第 3 问" not in page
    assert "before=" in page
    for query in ("q=发票", "q=100%25", "state=suggested", "source=conversation"):
        page = admin.get(f"/admin/knowledge?{query}").text
        assert "怎麼開發票" in page
        assert "第 59 问" not in page
    assert "没有这样的问答" in admin.get("/admin/knowledge?q=没有的词").text


def test_pairs_travel_as_csv(admin: Browser, engine: Engine) -> None:
    _save(admin, answer="=cmd()", question="-怎么退货？")
    exported = admin.get("/admin/knowledge.csv").data
    assert exported.startswith("\ufeffquestion,wordings,answer,state".encode())
    assert b"'=cmd()" in exported
    response = _upload(admin, "/admin/knowledge/import", exported, "knowledge.csv")
    assert response.status_code == 303
    assert len(_rows(engine, KnowledgePair)) == 1
    more = exported.decode("utf-8-sig") + "怎么开发票？,,在订单里申请。,suggested\r\n"
    _upload(admin, "/admin/knowledge/import", more.encode("gb18030"), "knowledge.csv")
    _, added = _rows(engine, KnowledgePair)
    assert (added.source, added.state) == (PairSource.IMPORTED, "suggested")


def test_a_file_with_errors_imports_nothing_and_names_the_lines(admin: Browser, engine: Engine) -> None:
    content = "question,wordings,answer,state\n怎么退货？,,七天内。,\n,,没有问题,\n好的,,答案,maybe\n"
    response = _upload(admin, "/admin/knowledge/import", content.encode(), "a.csv")
    assert response.status_code == 422
    assert "第 3 行 · 问题" in response.text
    assert "第 4 行 · 状态" in response.text
    assert _rows(engine, KnowledgePair) == []


def _upload(browser: Browser, path: str, content: bytes, name: str) -> TestResponse:
    token = browser.token("/admin/profile")
    form = {"csrf_token": token, "file": (io.BytesIO(content), name)}
    return browser.client.post(path, data=form, headers={"Accept": "text/html", "Accept-Language": "zh"})


# Documents


def test_documents_are_uploaded_read_withdrawn_and_deleted(admin: Browser, engine: Engine) -> None:
    source = "# 手册\n\n## 除垢\n\n每三个月除垢一次。<script>x()</script>"
    _upload(admin, "/admin/knowledge/documents", source.encode(), "咖啡机.md")
    _upload(admin, "/admin/knowledge/documents", source.encode(), "咖啡机.md")
    [document] = _rows(engine, KnowledgeDocument)
    [passage] = _rows(engine, KnowledgePassage)
    path = f"/admin/knowledge/documents/{document.id}"
    page = admin.get(path).text
    assert "手册 › 除垢" in page
    assert "&lt;script&gt;" in page
    found = admin.get("/admin/knowledge/try?q=怎么除垢").text
    assert f"/admin/knowledge/sources/document/{passage.id}" in found
    response = admin.get(f"/admin/knowledge/sources/document/{passage.id}")
    assert response.location == f"{path}#p{passage.id}"
    admin.post(f"{path}/state", approve="no")
    assert "什么也没有找到" in admin.get("/admin/knowledge/try?q=怎么除垢").text
    admin.post(f"{path}/delete")
    assert _rows(engine, KnowledgeDocument) == []
    assert admin.get(path).status_code == 404
    assert admin.get(f"/admin/knowledge/sources/document/{passage.id}").status_code == 404


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.docx", b"PK\x03\x04", "只收 Markdown"),
        ("a.txt", b"a\0b", "这不是文字"),
        ("a.pdf", pdf_of(""), "里面没有文字"),
        ("a.pdf", b"%PDF-1.7 broken", "读不了这个文件"),
        ("<b>.txt", b"", "文件是空的"),
    ],
)
def test_a_file_that_is_refused_is_named_with_the_reason(
    admin: Browser, engine: Engine, name: str, content: bytes, sentence: str
) -> None:
    _upload(admin, "/admin/knowledge/documents", content, name)
    page = admin.get("/admin/knowledge/documents").text
    assert sentence in page
    assert "<b>.txt" not in page
    assert _rows(engine, KnowledgeDocument) == []


def test_a_file_of_20_megabytes_is_refused_before_it_is_read(admin: Browser, engine: Engine) -> None:
    kind = "multipart/form-data; boundary=x"
    response = admin.client.post("/admin/knowledge/documents", data=b"x" * (20 << 20), content_type=kind)
    assert response.status_code == 413
    assert _rows(engine, KnowledgeDocument) == []


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1/", "http://localhost:5000/admin", "file:///etc/passwd", "x"]
)
def test_addresses_of_the_own_network_are_refused(admin: Browser, engine: Engine, address: str) -> None:
    admin.post("/admin/knowledge/documents/address", address=address)
    page = admin.get("/admin/knowledge/documents").text
    assert "内部网络" in page or "http:// 或 https://" in page
    assert _rows(engine, KnowledgeDocument) == []


def test_an_import_of_articles_shows_its_progress(admin: Browser, app: Flask) -> None:
    admin.post("/admin/knowledge/articles")
    assert "HX-Refresh" not in admin.get("/admin/knowledge/articles/progress").headers
    services(app).jobs.run_all()
    response = admin.get("/admin/knowledge/articles/progress")
    assert response.headers["HX-Refresh"] == "true"
    assert "没有全部导入" in response.text


# Who may


def test_viewers_read_and_change_nothing(signed_in: SignIn, app: Flask, engine: Engine) -> None:
    pair_id = _suggest(app)
    viewer = signed_in(Role.VIEWER, "wu")
    page = viewer.get("/admin/knowledge").text
    assert "怎么退货？" in page
    assert 'name="approve"' not in page
    for path in ("/admin/knowledge/documents", "/admin/knowledge/try?q=退货"):
        assert viewer.get(path).status_code == 200
    assert viewer.get(f"/admin/knowledge/pairs/{pair_id}").status_code == 403
    assert viewer.post("/admin/knowledge/pairs", approve=str(pair_id)).status_code == 403
    assert _rows(engine, KnowledgePair)[0].state == "suggested"


@pytest.mark.parametrize(
    "path",
    [
        "/admin/knowledge/pairs/999",
        "/admin/knowledge/pairs/999/history",
        "/admin/knowledge/documents/999",
        "/admin/knowledge/sources/other/1",
    ],
)
def test_what_is_not_there_is_not_found(admin: Browser, path: str) -> None:
    assert admin.get(path).status_code == 404
