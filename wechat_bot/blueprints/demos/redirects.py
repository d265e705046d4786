"""Demo: redirects."""

from __future__ import annotations

import re

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

bp = Blueprint("redirects", __name__)


@bp.route("/redirect")
def index() -> ResponseReturnValue:
    return redirect(url_for("demos.routing.index"))


@bp.route("/redirect/<any('303', '308'):code>", methods=["GET", "POST"])
def with_code(code: str) -> ResponseReturnValue:
    return redirect(url_for("demos.methods.testzz"), int(code))


@bp.route("/redirect/next")
def follow() -> ResponseReturnValue:
    target = request.args["next"]
    if not re.fullmatch(r"/(?![/\\])[!-~]*", target):  # browsers read //x and /\x as another host
        abort(400, _("只转到本站的网址。"))
    return redirect(target)
