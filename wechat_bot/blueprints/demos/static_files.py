"""Demo: static files."""

from __future__ import annotations

from flask import Blueprint, render_template

bp = Blueprint("static_files", __name__)


@bp.route("/static_files")
def show() -> str:
    return render_template("demos/static_files.html")
