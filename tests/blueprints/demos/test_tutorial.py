"""The pages around the demos: complete, true, and safe to open."""

from __future__ import annotations

import inspect
import re
from html import unescape
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from tests.conftest import MakeApp
from wechat_bot import logs
from wechat_bot.blueprints.demos.lessons import LESSONS
from wechat_bot.settings import Environment, Switch

ROOT = Path(__file__).parents[3]
OWN_PAGES = {"demos.index", "demos.lesson", "demos.static"}
SLUGS = [lesson.slug for lesson in LESSONS]


def demo_rules(app: Flask) -> list[Rule]:
    rules = app.url_map.iter_rules()
    return [rule for rule in rules if rule.endpoint.startswith("demos.") and rule.endpoint not in OWN_PAGES]


def test_every_view_has_a_lesson(app: Flask) -> None:
    shown = {source for lesson in LESSONS for source in lesson.sources}
    assert not [rule for rule in demo_rules(app) if app.view_functions[rule.endpoint] not in shown]


def test_every_path_has_a_row_in_the_documentation(app: Flask) -> None:
    rows = (ROOT / "docs/article.md").read_text("utf-8").splitlines()
    for rule in demo_rules(app):
        view = inspect.unwrap(app.view_functions[rule.endpoint])
        source = Path(inspect.getfile(view)).relative_to(ROOT).as_posix()
        lesson = next(lesson for lesson in LESSONS if app.view_functions[rule.endpoint] in lesson.sources)
        assert [
            row
            for row in rows
            if f"`{rule.rule}`" in row and f"(../{source})" in row and f"`/demo/lessons/{lesson.slug}`" in row
        ], f"docs/article.md has no row for {rule.rule}"


def test_every_section_of_the_article_is_in_its_order() -> None:
    documented = (ROOT / "docs/article.md").read_text("utf-8")
    places = [documented.index(f"| {lesson.section} |") for lesson in LESSONS]
    assert places == sorted(places)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("slug", SLUGS)
def test_a_lesson_shows_source_exchange_and_neighbours(client: FlaskClient, slug: str, language: str) -> None:
    answer = client.get(f"/demo/lessons/{slug}", headers={"Accept-Language": language})
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    assert "wechat_bot/blueprints/demos/" in answer.text
    assert "HTTP/1.1" in answer.text
    assert "style=" not in answer.text
    assert ('rel="prev"' in answer.text) == (slug != SLUGS[0])
    assert ('rel="next"' in answer.text) == (slug != SLUGS[-1])


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("slug", SLUGS)
def test_what_matters_is_marked_in_every_exchange(client: FlaskClient, slug: str, language: str) -> None:
    page = client.get(f"/demo/lessons/{slug}", headers={"Accept-Language": language}).text
    exchanges = re.findall(r'<div class="exchange">.*?</div>', page, re.DOTALL)
    assert exchanges
    for exchange in exchanges:
        _, answer = exchange.split("</figure>")[:2]
        assert "<mark>" in answer, exchange


@pytest.mark.parametrize("slug", SLUGS)
def test_no_example_fails(client: FlaskClient, slug: str) -> None:
    assert "HTTP/1.1 500" not in client.get(f"/demo/lessons/{slug}").text


def test_an_example_is_made_with_the_values_of_the_reader(client: FlaskClient) -> None:
    page = unescape(client.get("/demo/lessons/variables?example=1&username=<i>李").text)
    assert "GET /demo/hello/%3Ci%3E%E6%9D%8E HTTP/1.1" in page
    assert "hello &lt;i&gt;李" in page
    assert "GET /demo/hello1/42 HTTP/1.1" in page


def test_a_reader_cannot_leave_the_example(client: FlaskClient) -> None:
    page = client.get("/demo/lessons/variables?example=5&p=../lessons/variables?example=5%23").text
    assert "GET /demo/hello2/../lessons/variables%3Fexample%3D5%23 HTTP/1.1" in page
    assert page.count('<div class="exchange">') == 7


def test_values_are_cut(client: FlaskClient) -> None:
    page = client.get("/demo/lessons/variables?example=1&username=" + "x" * 5000).text
    assert f"GET /demo/hello/{'x' * 200} HTTP/1.1" in page


@pytest.mark.parametrize("example", ["0", "99", "-1", "word", ""])
def test_an_unknown_example_is_no_error(client: FlaskClient, example: str) -> None:
    assert client.get(f"/demo/lessons/variables?example={example}").status_code == 200


def test_the_story_of_a_session_is_told_with_one_browser(client: FlaskClient) -> None:
    answer = client.get("/demo/lessons/sessions")
    for text in ("登录后第 1 次来。", "登录后第 2 次来。", "签名不对"):
        assert text in answer.text
    assert "Set-Cookie" not in answer.headers


def test_a_post_to_a_lesson_uses_its_form(client: FlaskClient) -> None:
    page = client.post("/demo/lessons/request-data?example=2", data={"username": "li", "passwd": "x y"}).text
    assert "username=li&amp;passwd=x+y" in page


def test_the_exchange_is_that_of_the_visitors_host(client: FlaskClient) -> None:
    page = client.get("/demo/lessons/hello", base_url="https://bot.example:8443").text
    assert "Host: bot.example:8443" in page
    assert "Strict-Transport-Security" in page


def test_a_page_below_a_prefix_makes_its_requests_there(app: Flask) -> None:
    answer = app.test_client().get("/demo/lessons/cookies", base_url="http://localhost/bot")
    assert "GET /bot/demo/setcookie HTTP/1.1" in answer.text
    assert "zhanggd" in answer.text
    assert "Path=/bot/demo/" in answer.text


def test_the_log_goes_on_with_the_id_of_the_visitors_request(client: FlaskClient, app: Flask) -> None:
    ids: list[str] = []

    @app.teardown_request
    def note(_: BaseException | None) -> None:
        ids.append(logs.ids.get()["request"])

    answer = client.get("/demo/lessons/hello")
    inner = re.search("X-Request-ID: (\\w+)", answer.text)
    assert inner
    assert ids == [inner[1], answer.headers["X-Request-ID"]]


def test_the_inner_request_knows_nothing_of_the_outer_one(client: FlaskClient, app: Flask) -> None:
    @app.before_request
    def mark() -> None:
        assert "outer" not in g
        g.outer = True

    assert client.get("/demo/lessons/sessions").status_code == 200
    assert client.get("/demo/lessons/sessions").text.count("Vary: Accept-Language, Cookie") == 4


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=", "text/plain", None]
)
def test_nonsense_instead_of_a_file_is_shown_as_refused(
    client: FlaskClient, content_type: str | None
) -> None:
    page = client.post("/demo/lessons/uploads?example=1", data=b"nonsense", content_type=content_type)
    assert page.status_code == 200
    assert "HTTP/1.1 400 BAD REQUEST" in page.text


@pytest.mark.parametrize(
    "line", [b"\r\n\r\n", b"--x", b"\r\n--x\r\n\r\n\xff", b"filename=\n", b"\n", b"\xff\n"]
)
def test_a_long_form_is_cut_and_costs_little(client: FlaskClient, line: bytes) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + line * (900_000 // len(line))
    page = client.post(
        "/demo/lessons/uploads?example=1", data=form, content_type="multipart/form-data; boundary=x"
    )
    assert page.status_code == 200
    assert len(page.text) < 200_000


def test_switched_off_every_path_is_404(make_app: MakeApp, app: Flask) -> None:
    client = make_app(demos_enabled=Switch.NO).test_client()
    paths = {rule.rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/demo")}
    for path in paths | {"/demo", "/demo/"}:
        for method in ("GET", "POST"):
            assert client.open(path, method=method).status_code == 404


@pytest.mark.parametrize(
    ("environment", "switch", "on"),
    [
        (Environment.DEVELOPMENT, Switch.AUTO, True),
        (Environment.DEVELOPMENT, Switch.NO, False),
        (Environment.PRODUCTION, Switch.AUTO, False),
        (Environment.PRODUCTION, Switch.YES, True),
    ],
)
def test_on_in_development_and_off_in_production_unless_set(
    make_app: MakeApp, environment: Environment, switch: Switch, on: bool
) -> None:
    app = make_app(app_env=environment, demos_enabled=switch)
    assert ("demos.index" in app.view_functions) == on
