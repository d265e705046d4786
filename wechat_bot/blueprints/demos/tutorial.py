"""The pages of the tutorial: the table of contents, and one page for each lesson."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, abort, current_app, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from ...security import same_origin
from . import source
from .exchange import Browser, HTTPExchange
from .lesson import Example, Lesson
from .lessons import LESSONS

bp = Blueprint("demos", __name__, url_prefix="/demo", template_folder="templates", static_folder="static")

NUMBERS = {lesson.slug: number for number, lesson in enumerate(LESSONS)}
VALUE_LENGTH = 200
"""Maximum number of characters of a value that a visitor enters."""


@dataclass(frozen=True)
class ShownExample:
    """An example with its values. `exchange` is None until the visitor uploads the required file."""

    example: Example
    target: str
    values: Mapping[str, str]
    exchange: HTTPExchange | None


@bp.get("/")
def index() -> str:
    return render_template("demos/index.html", contents=[(lesson, _routes(lesson)) for lesson in LESSONS])


@bp.route("/lessons/<slug>", methods=["GET", "POST"])
@same_origin
def lesson(slug: str) -> ResponseReturnValue:
    if slug not in NUMBERS:
        abort(404)
    number = NUMBERS[slug]
    lesson = LESSONS[number]
    examples = _show(lesson)
    templates = [source.of_template(current_app.jinja_env, name) for name in lesson.templates]
    page = render_template(
        "demos/lesson.html",
        lessons=LESSONS,
        lesson=lesson,
        routes=_routes(lesson),
        examples=examples,
        sources=source.by_file([*map(source.of_function, lesson.sources), *templates]),
        previous=LESSONS[number - 1] if number else None,
        following=LESSONS[number + 1] if number + 1 < len(LESSONS) else None,
    )
    response = make_response(page)
    for shown in examples:
        if shown.example.file and shown.exchange:  # the upload belongs to the visitor's session
            response.headers.extend(("Set-Cookie", cookie) for cookie in shown.exchange.set_cookies)
    return response


@bp.app_template_filter()
def code(text: str) -> Markup:
    """Mark up text between backquotes as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _show(lesson: Lesson) -> list[ShownExample]:
    """Make the requests of all examples in order, in a browser without cookies at first."""
    browser = Browser()
    chosen = request.args.get("example", type=int)
    return [
        _show_example(browser, example, chosen=number == chosen)
        for number, example in enumerate(lesson.examples, 1)
    ]


def _show_example(browser: Browser, example: Example, chosen: bool) -> ShownExample:
    values = {
        name: request.values.get(name, value)[:VALUE_LENGTH] if chosen else value
        for name, value in example.values.items()
    }
    target = url_for("demos.index").rstrip("/") + example.target(values)
    headers, body = example.headers, example.body or example.form(values)
    if example.file:
        if not chosen or request.method != "POST":
            return ShownExample(example, target, values, None)
        headers = {name: request.headers.get(name, "") for name in ("Content-Type", "Cookie")}
        body = request.get_data()
    marks = [mark.format_map(values) for mark in example.marks]
    return ShownExample(example, target, values, browser.send(example.method, target, headers, body, marks))


def _routes(lesson: Lesson) -> dict[str, list[str]]:
    """Return the paths of the views of a lesson, with their methods."""
    routes: dict[str, set[str]] = {}
    for rule in current_app.url_map.iter_rules():
        if current_app.view_functions.get(rule.endpoint) in lesson.sources:
            routes.setdefault(rule.rule, set()).update(rule.methods or ())
    return {path: sorted(methods - {"HEAD", "OPTIONS"}) for path, methods in routes.items()}
