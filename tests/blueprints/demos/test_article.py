"""Every snippet of the article answers at the article's path below /demo."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/hello", "hello,world"),
        ("/hello/zhang", "hello zhang"),
        ("/hello/张三", "hello 张三"),
        ("/hello/<b>zhang", "hello &lt;b&gt;zhang"),
        ("/hello1/42", "you entered 42"),
        ("/count/42", "you entered 42"),
        ("/hello2/a/b/c", "the path is a/b/c"),
        ("/path/a/b/c", "the path is a/b/c"),
        ("/hello3/1.5", "the float is 1.5"),
        ("/float/1.5", "the float is 1.5"),
        ("/float/-1.5", "the float is -1.5"),
        ("/testzz", "the get"),
        ("/methods", "the get"),
        ("/responses/string", "only a body"),
        ("/responses/object", "a response object"),
        ("/responses/stream", "line 1\nline 2\nline 3\n"),
    ],
)
def test_answers_as_in_the_article(client: FlaskClient, path: str, body: str) -> None:
    answer = client.get(f"/demo{path}")
    assert (answer.status_code, answer.text) == (200, body)


@pytest.mark.parametrize("path", ["/hello1/word", "/hello1/-1", "/hello3/word", "/hello3/-1.5", "/hello3/1"])
def test_what_a_converter_does_not_take_is_404(client: FlaskClient, path: str) -> None:
    assert client.get(f"/demo{path}").status_code == 404


def test_url_for_builds_for_the_endpoints_of_this_application(client: FlaskClient) -> None:
    table = client.get("/demo/url_for", base_url="https://bot.example").text
    for url in (
        "/demo/hello/%E5%BC%A0%E4%B8%89",
        "/demo/hello/zhang?page=2",
        "/demo/hello/zhang#top",
        "https://bot.example/demo/hello/zhang",
        "/wechat",
    ):
        assert f"<code>{url}</code>" in table


@pytest.mark.parametrize("path", ["/testzz", "/methods"])
def test_get_and_post_differ_and_other_methods_are_405(client: FlaskClient, path: str) -> None:
    assert client.post(f"/demo{path}").text == "the post"
    refused = client.put(f"/demo{path}")
    assert refused.status_code == 405
    assert {"GET", "POST"} <= set(refused.headers["Allow"].split(", "))


def test_static_files_are_linked_and_revalidated(client: FlaskClient) -> None:
    page = client.get("/demo/static_files").text
    assert '<img class="illustration" src="/demo/static/flask.svg"' in page
    assert '<link rel="stylesheet" href="/demo/static/demos.css">' in page
    picture = client.get("/demo/static/flask.svg", buffered=True)
    assert picture.mimetype == "image/svg+xml"
    assert picture.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": picture.headers["ETag"]}
    again = client.get("/demo/static/flask.svg", headers=known, buffered=True)
    assert (again.status_code, again.data) == (304, b"")


def test_templates_greet_and_escape(client: FlaskClient) -> None:
    assert "hello,world" in client.get("/demo/testtemplate").text
    assert "hello wang" in client.get("/demo/testtemplate/wang").text
    assert "hello &lt;b&gt;wang" in client.get("/demo/testtemplate/<b>wang").text
    guests = client.get("/demo/templates").text
    assert "Hello ZHANG!" in guests
    assert "&lt;B&gt;LI&lt;/B&gt;!" in guests


def test_login_shows_what_was_sent_by_get_and_by_post(client: FlaskClient) -> None:
    data = {"username": "<zhang>", "passwd": "123"}
    for answer, heading in (
        (client.get("/demo/login", query_string=data), "GET METHOD"),
        (client.post("/demo/login", data=data), "POST METHOD"),
    ):
        assert answer.status_code == 200
        for text in (heading, "<dd>&lt;zhang&gt;</dd>", "<dd>123</dd>"):
            assert text in answer.text


def test_a_missing_field_is_named(client: FlaskClient) -> None:
    answer = client.post("/demo/login", data={"username": "zhang"}, headers={"Accept-Language": "zh"})
    assert answer.status_code == 400
    assert "缺少字段 passwd。" in answer.text
    line = client.post("/demo/login", data={"username": "zhang"}, headers={"Accept": "*/*"})
    assert line.text == "400 Bad Request: 缺少字段 passwd。\n"


def test_json_and_headers_are_read(client: FlaskClient) -> None:
    assert client.post("/demo/json", json={"username": "张三"}).json == {"received": {"username": "张三"}}
    assert client.post("/demo/json", data="{", content_type="application/json").status_code == 400
    assert "<b>" not in client.get("/demo/headers", headers={"User-Agent": "<b>"}).text


def test_a_cookie_is_set_read_and_deleted(client: FlaskClient) -> None:
    assert "还没有" in client.get("/demo/getcookie").text
    cookie = client.get("/demo/setcookie").headers["Set-Cookie"]
    assert cookie.startswith("username=zhanggd;")
    for attribute in ("HttpOnly", "SameSite=Lax", "Max-Age=3600", "Path=/demo/"):
        assert attribute in cookie
    assert client.get("/demo/getcookie").text == "zhanggd"
    client.get("/demo/deletecookie")
    assert "还没有" in client.get("/demo/getcookie").text


def test_a_cookie_is_escaped(client: FlaskClient) -> None:
    client.set_cookie("username", "<script>", path="/demo")
    assert client.get("/demo/getcookie").text == "&lt;script&gt;"


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/redirect", 302, "/demo/hello"),
        ("/redirect/303", 303, "/demo/testzz"),
        ("/redirect/308", 308, "/demo/testzz"),
        ("/redirect/next?next=/demo/hello?a=1", 302, "/demo/hello?a=1"),
    ],
)
def test_redirects(client: FlaskClient, path: str, status: int, location: str) -> None:
    answer = client.get(f"/demo{path}")
    assert (answer.status_code, answer.location) == (status, location)


def test_303_turns_a_post_into_a_get_and_308_keeps_it(client: FlaskClient) -> None:
    assert client.post("/demo/redirect/303", follow_redirects=True).text == "the get"
    assert client.post("/demo/redirect/308", follow_redirects=True).text == "the post"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "/\t/evil.example/",
        "/\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "evil.example",
        "",
    ],
)
def test_an_open_redirect_is_refused(client: FlaskClient, target: str) -> None:
    answer = client.get("/demo/redirect/next", query_string={"next": target})
    assert answer.status_code == 400
    assert "只转到本站的网址。" in answer.text


def test_abort_answers_401_with_a_page(client: FlaskClient) -> None:
    answer = client.get("/demo/test2")
    assert answer.status_code == 401
    assert "需要登录" in answer.text


def test_unknown_paths_have_the_designed_404_page(client: FlaskClient) -> None:
    for path in ("/demo/nowhere", "/demo/lessons/nowhere", "/nowhere"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert "没有这个页面" in answer.text


def test_a_response_is_made_with_a_header_of_its_own(client: FlaskClient) -> None:
    answer = client.get("/demo/test3")
    assert (answer.status_code, answer.headers["test"]) == (404, "test")
    assert "404" in answer.text


def test_views_return_tuples_and_json(client: FlaskClient) -> None:
    answer = client.get("/demo/responses/tuple")
    assert (answer.status_code, answer.headers["test"]) == (201, "test")
    assert client.get("/demo/responses/json").json == {"hello": "world"}
    assert client.get("/demo/responses/stream", buffered=False).content_length is None


def test_a_decorator_tells_how_long_the_view_took(client: FlaskClient) -> None:
    assert client.get("/demo/decorated").headers["Server-Timing"].startswith("view;dur=")


def test_the_index_tells_how_to_run(client: FlaskClient) -> None:
    index = client.get("/demo/").text
    for text in ("python3 -m venv .venv", "flask run --debug", "make run", "生产环境绝不能打开调试模式"):
        assert text in index
