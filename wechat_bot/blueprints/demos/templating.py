"""Demo: Jinja templates."""

from __future__ import annotations

from flask import Blueprint, render_template

bp = Blueprint("templating", __name__)


@bp.route("/testtemplate")
@bp.route("/testtemplate/<username>")
def testtemplate(username: str | None = None) -> str:
    return render_template("demos/test.html", username=username)


@bp.route("/templates")
def guests() -> str:
    return render_template("demos/guests.html", guests=["zhang", "wang", "<b>li</b>"])


@bp.app_template_filter()
def shout(text: str) -> str:
    return text.upper() + "!"
