"""Demo: building URLs from the names of views."""

from __future__ import annotations

from flask import Blueprint, render_template

bp = Blueprint("urls", __name__)

CALLS: list[tuple[str, dict[str, str | int | float | bool]]] = [
    ("demos.routing.index", {}),
    ("demos.routing.hello", {"username": "zhang"}),
    ("demos.routing.hello", {"username": "张三"}),
    ("demos.routing.hello", {"username": "zhang", "page": 2}),
    ("demos.routing.hello", {"username": "zhang", "_anchor": "top"}),
    ("demos.routing.hello", {"username": "zhang", "_external": True}),
    ("demos.routing.count", {"c": 42}),
    ("demos.routing.hello2", {"p": "a/b/c"}),
    ("demos.routing.hello3", {"f": 1.5}),
    (".table", {}),
    ("demos.static", {"filename": "flask.svg"}),
    ("demos.lesson", {"slug": "url-for"}),
    ("callback.push", {}),
    ("health.healthz", {}),
]


@bp.route("/url_for")
def table() -> str:
    return render_template("demos/url_for.html", calls=CALLS)
