"""Documents become passages, whatever is in the files; nothing hostile gets far."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from flask import Flask
from sqlalchemy import Engine, select

from tests.conftest import APP_SECRET, MakeApp
from wechat_bot.models import DocumentKind, ImportState, KnowledgeImport, KnowledgePassage, KnowledgeState
from wechat_bot.services.audit import Actor
from wechat_bot.services.import_runs import newest_run
from wechat_bot.services.knowledge import documents, reading, web
from wechat_bot.services.knowledge.documents import NewDocument, Outcome
from wechat_bot.services.knowledge.reading import DocumentProblem, Part, RefusedDocument
from wechat_bot.services.knowledge.web import FetchError, FetchProblem
from wechat_bot.services.rules.transfer import FileProblem
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat.api.draft import Article
from wechat_bot.wiring import Services, services

ACTOR = Actor(None, "li", "")


def pdf_of(*pages: str, stream: bytes | None = None) -> bytes:
    """Return a PDF with a line of text on each page; `stream` replaces the contents of the first."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    kids = []
    for number, text in enumerate(pages):
        content = zlib.compress(f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode())
        if stream is not None and number == 0:
            content = stream
        head = b"<< /Length %d /Filter /FlateDecode >>" % len(content)
        objects.append(head + b"\nstream\n" + content + b"\nendstream")
        font = b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
        page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources %s /Contents %d 0 R >>"
        objects.append(page % (font, len(objects)))
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    body, offsets = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start, count = len(body), len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, entries)
    return body + table + b"trailer << /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF" % (count, start)


# Files


def test_markdown_is_divided_at_its_headings() -> None:
    source = "# 手册\n\n开头。\n\n## 除垢 ##\n\n每三个月一次。\n\n```\n# 不是标题\n```\n\n# 保修\n\n一年。"
    document = documents.read_file("咖啡机.md", source.encode())
    assert document.kind is DocumentKind.MARKDOWN
    assert document.title == "咖啡机"
    assert list(document.parts) == [
        Part("手册", "开头。"),
        Part("手册 › 除垢", "每三个月一次。\n```\n# 不是标题\n```"),
        Part("保修", "一年。"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_texts_in_usual_encodings_are_read(encoding: str) -> None:
    document = documents.read_file("a.txt", "营业时间：9 点到 21 点。".encode(encoding))
    assert [part.text for part in document.parts] == ["营业时间：9 点到 21 点。"]


def test_a_pdf_is_read_by_pages() -> None:
    document = documents.read_file("manual.pdf", pdf_of("first page", "second page"))
    assert [(part.page, part.text) for part in document.parts] == [(1, "first page"), (2, "second page")]


def test_passages_have_whole_sentences_and_at_most_500_characters() -> None:
    sentence = "这是一句不长不短的话，正好用来试一试。"
    text = sentence * 100 + "\n\n" + "无" * 1200
    parts = documents.read_file("a.txt", text.encode()).parts
    assert max(len(part.text) for part in parts) <= reading.MAX_PASSAGE
    assert "".join(part.text for part in parts).replace("\n", "") == text.replace("\n", "")
    assert all(part.text.endswith("。") for part in parts[:3])


# What is refused

BOMB = zlib.compress(b"BT " + b" " * 300_000_000)


@pytest.mark.parametrize(
    ("filename", "content", "problem"),
    [
        ("a.txt", b"", FileProblem.EMPTY),
        ("a.txt", b" \n ", FileProblem.EMPTY),
        ("a.txt", b"a\0b", FileProblem.NO_TEXT),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0", FileProblem.NO_TEXT),
        ("a.txt", b"word \xff\xff\xff", FileProblem.ENCODING),
        ("a.md", b"x" * (20 << 20), DocumentProblem.TOO_LARGE),
        ("a.txt", b"word \n\n" * 500_000, DocumentProblem.TOO_LONG),
        ("a.md", b"# a\nb\n" * 6000, DocumentProblem.TOO_LONG),
        ("a.md", b"PK\x03\x04rest", FileProblem.SPREADSHEET),
        ("a.exe", b"text", DocumentProblem.KIND),
        ("a.pdf", b"no PDF", DocumentProblem.UNREADABLE),
        ("a.pdf", b"%PDF-1.4 and nothing else", DocumentProblem.UNREADABLE),
        ("a.pdf", pdf_of(""), DocumentProblem.NO_WORDS),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_file_that_is_no_document_is_refused_with_the_reason(
    filename: str, content: bytes, problem: object
) -> None:
    with pytest.raises(RefusedDocument) as refused:
        documents.read_file(filename, content)
    assert refused.value.problem in {problem, *([FileProblem.TOO_LARGE] if len(content) > 5 << 20 else [])}


def test_a_pdf_that_unfolds_to_hundreds_of_megabytes_is_refused() -> None:
    with pytest.raises(RefusedDocument) as refused:
        documents.read_file("bomb.pdf", pdf_of("", stream=BOMB))
    assert refused.value.problem in {DocumentProblem.UNREADABLE, DocumentProblem.NO_WORDS}


def test_html_that_takes_the_parser_hours_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "TIMEOUT", 1)
    with pytest.raises(RefusedDocument) as refused:
        reading.html("<!--" * 400_000)
    assert refused.value.problem is DocumentProblem.UNREADABLE


def test_scripts_and_styles_of_a_page_are_no_text() -> None:
    source = """<html><head><title>退货 &amp; 退款</title><style>p{}</style></head><body onload="x()">
      <script>alert("<p>no</p>")</script><nav>首页</nav><h1>退货</h1><p>七天<b>内</b>申请。</p>
      <h2>运费</h2><div>八<br>元<script>steal()</script></div><template>no</template>"""
    title, sections = reading.html(source)
    assert title == "退货 & 退款"
    assert [(part.title, part.text) for part in reading.passages(sections)] == [
        ("退货", "七天内申请。"),
        ("退货 › 运费", "八\n元"),
    ]


def test_what_no_database_can_store_is_left_out() -> None:
    _, sections = reading.html("<h1>退\0货&#0;&#xd800;</h1><p>七\0天&#xdfff;</p>")
    [part] = reading.passages(sections)
    assert all(char.isprintable() for char in part.title + part.text)
    assert part.text.startswith("七天")


# Addresses


def _site(responses: dict[str, httpx2.Response]) -> httpx2.MockTransport:
    return httpx2.MockTransport(lambda request: responses[str(request.url)])


def test_a_page_is_fetched_and_read() -> None:
    html = "<meta charset=gbk><title>门店</title><p>文三路 478 号</p>".encode("gbk")
    page = httpx2.Response(200, headers={"Content-Type": "text/html"}, content=html)
    document = documents.read_address("https://shop.example/", _site({"https://shop.example/": page}))
    assert (document.title, document.kind) == ("门店", DocumentKind.ADDRESS)
    assert [part.text for part in document.parts] == ["文三路 478 号"]
    assert document.link == "https://shop.example/"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://10.1.2.3/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://100.64.0.1/",
        "http://224.0.0.1/",
    ],
)
def test_private_addresses_are_never_asked(address: str) -> None:
    with pytest.raises(FetchError) as refused:
        web.fetch(address)
    assert refused.value.problem is FetchProblem.PRIVATE


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "ftp://shop.example/",
        "http://shop.example:6379/",
        "http://a:b@shop.example/",
        "x",
        "",
    ],
)
def test_other_protocols_ports_and_passwords_are_refused(address: str) -> None:
    with pytest.raises(FetchError) as refused:
        web.fetch(address, _site({}))
    assert refused.value.problem in {FetchProblem.ADDRESS, FetchProblem.UNREACHABLE}


def test_a_redirect_to_another_port_is_refused() -> None:
    moved = httpx2.Response(302, headers={"Location": "http://127.0.0.1:5432/"})
    with pytest.raises(FetchError) as refused:
        web.fetch("https://shop.example/", _site({"https://shop.example/": moved}))
    assert refused.value.problem is FetchProblem.ADDRESS


def test_a_page_without_end_is_refused() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    page = httpx2.Response(200, headers={"Content-Type": "text/html"}, content=endless())
    with pytest.raises(FetchError) as refused:
        web.fetch("https://shop.example/", _site({"https://shop.example/": page}))
    assert refused.value.problem is FetchProblem.TOO_LARGE


@pytest.mark.parametrize(
    ("status", "kind", "problem"),
    [(404, "text/html", FetchProblem.STATUS), (200, "application/zip", FetchProblem.NO_PAGE)],
)
def test_what_is_no_page_is_refused(status: int, kind: str, problem: FetchProblem) -> None:
    page = httpx2.Response(status, headers={"Content-Type": kind}, content=b"x")
    with pytest.raises(FetchError) as refused:
        web.fetch("https://shop.example/", _site({"https://shop.example/": page}))
    assert refused.value.problem is problem


# Storing


@pytest.fixture
def account_id(app: Flask) -> int:
    return services(app).account_id


def _new(text: str = "七天内申请。", **values: object) -> NewDocument:
    return NewDocument("退货", DocumentKind.TEXT, [Part("", text)], **values)  # type: ignore[arg-type]


def test_the_same_content_again_changes_nothing(engine: Engine, account_id: int) -> None:
    first = documents.put(engine, ACTOR, account_id, _new())
    again = documents.put(engine, ACTOR, account_id, _new())
    assert (first.outcome, again.outcome) == (Outcome.ADDED, Outcome.SAME)
    assert again.document_id == first.document_id
    with engine.connect() as connection:
        assert len(documents.listed(connection, account_id, 9)) == 1


def test_an_address_replaces_what_it_had(app: Flask, engine: Engine, account_id: int) -> None:
    documents.put(engine, ACTOR, account_id, _new("七天内申请。", origin="address:1"))
    changed = documents.put(engine, ACTOR, account_id, _new("十五天内退款。", origin="address:1"))
    assert changed.outcome is Outcome.REPLACED
    found = services(app).knowledge.find(account_id, "退款要几天")
    assert [passage.text for passage in found] == ["十五天内退款。"]


def test_a_withdrawn_or_deleted_document_answers_nothing(app: Flask, engine: Engine, account_id: int) -> None:
    stored = documents.put(engine, ACTOR, account_id, _new(link="https://shop.example/"))
    knowledge = services(app).knowledge
    [found] = knowledge.find(account_id, "怎么申请退货")
    assert (found.source, found.title, found.link) == ("document", "退货", "https://shop.example/")
    documents.set_state(engine, ACTOR, account_id, stored.document_id, KnowledgeState.SUGGESTED)
    assert knowledge.find(account_id, "怎么申请退货") == []
    documents.set_state(engine, ACTOR, account_id, stored.document_id, KnowledgeState.APPROVED)
    assert knowledge.find(account_id, "怎么申请退货")
    documents.remove(engine, ACTOR, account_id, stored.document_id)
    assert knowledge.find(account_id, "怎么申请退货") == []
    with engine.connect() as connection:
        assert connection.scalars(select(KnowledgePassage.id)).all() == []


def test_a_published_draft_becomes_the_article(engine: Engine, account_id: int) -> None:
    suggested = _new(origin="draft:1:0", state=KnowledgeState.SUGGESTED)
    draft = documents.put(engine, ACTOR, account_id, suggested)
    published = _new(origin="published:2:0", link="https://mp.weixin.qq.com/s/2")
    assert documents.put(engine, ACTOR, account_id, published).document_id == draft.document_id
    assert documents.put(engine, ACTOR, account_id, suggested).outcome is Outcome.SAME
    with engine.connect() as connection:
        row = documents.find(connection, account_id, draft.document_id)
    assert (row.state, row.link) == (KnowledgeState.APPROVED, "https://mp.weixin.qq.com/s/2")


# Articles


def test_articles_are_imported_where_the_account_may(make_app: MakeApp, api: FakeAPI) -> None:
    app = make_app(api=api, wechat_app_secret=APP_SECRET)
    bot = services(app)
    assert bot.client
    thumb = api.give_media("image", PNG, "a.png", "", permanent=True)
    body = "<p>整机<strong>保修</strong>一年。</p>"
    media_id = bot.client.draft.add([Article("保修政策", body, thumb)])
    bot.client.publish.submit(media_id)
    api.advance(5)
    bot.client.draft.add([Article("草稿", "<p>还没有发布。</p>", thumb)])
    first, second = _import(bot), _import(bot)
    assert (first.state, first.total, first.done, first.added) == (ImportState.DONE, 2, 2, 2)
    assert (second.state, second.total, second.done, second.added) == (ImportState.DONE, 2, 2, 0)
    with bot.engine.connect() as connection:
        stored = documents.listed(connection, bot.account_id, 9)
    assert {(row.title, str(row.state)) for row in stored} == {
        ("保修政策", "approved"),
        ("草稿", "suggested"),
    }
    [found] = bot.knowledge.find(bot.account_id, "保修多久")
    assert (found.source, found.text) == ("article", "整机保修一年。")
    assert found.link.startswith("http://mp.weixin.qq.com/")


def test_an_account_without_an_api_is_told_so(app: Flask) -> None:
    run = _import(services(app))
    assert (run.state, run.errcode) == (ImportState.FAILED, 48001)


def test_drafts_are_imported_where_published_articles_may_not_be_listed(
    make_app: MakeApp, api: FakeAPI
) -> None:
    bot = services(make_app(api=api, wechat_app_secret=APP_SECRET))
    assert bot.client
    thumb = api.give_media("image", PNG, "a.png", "", permanent=True)
    bot.client.draft.add([Article("草稿", "<p>还没有发布。</p>", thumb)])
    api.errcodes["/cgi-bin/freepublish/batchget"] = [48001]
    run = _import(bot)
    assert (run.state, run.errcode, run.added) == (ImportState.FAILED, 48001, 1)


def _import(bot: Services) -> Any:
    """Press the button, let the worker work, and return the run."""
    bot.articles.runs.start(ACTOR, bot.account_id)
    bot.jobs.run_all()
    with bot.engine.connect() as connection:
        return connection.execute(newest_run(KnowledgeImport, bot.account_id)).one()
