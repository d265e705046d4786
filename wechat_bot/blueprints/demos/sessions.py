"""Demo: sessions, in a signed cookie."""

from __future__ import annotations

from flask import Blueprint, Flask, redirect, render_template, request, session, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue

from ...security import same_origin
from .session_interface import COOKIE, DemoSessions

bp = Blueprint("sessions", __name__)

NAME_LENGTH = 40
"""Maximum number of characters of a name."""


@bp.get("/session")
def visit() -> str:
    if "username" in session:
        session["visits"] = session.get("visits", 0) + 1
    refused = COOKIE in request.cookies and not session
    return render_template("demos/session.html", refused=refused)


@bp.post("/session")
@same_origin
def enter() -> ResponseReturnValue:
    session["username"] = request.form["username"][:NAME_LENGTH]
    return redirect(url_for(".visit"), 303)


@bp.post("/session/end")
@same_origin
def leave() -> ResponseReturnValue:
    session.pop("username", None)
    session.pop("visits", None)
    return redirect(url_for(".visit"), 303)


@bp.record
def install_session_interface(state: BlueprintSetupState) -> None:
    assert isinstance(state.app, Flask)
    state.app.session_interface = DemoSessions(state.url_prefix or "", state.app.session_interface)
