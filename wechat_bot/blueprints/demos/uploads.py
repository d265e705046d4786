"""Demo: file uploads."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, current_app, render_template, request, send_file, session
from flask.typing import ResponseReturnValue

from ...security import same_origin
from ...wiring import services
from .upload_folder import UploadFolder

bp = Blueprint("uploads", __name__)

MAX_LISTED = 5
"""Number of uploads that are listed for a visitor."""


@bp.route("/upload", methods=["GET", "POST"])
@same_origin
def upload() -> str:
    folder = _folder()
    names = session.get("uploads", [])
    if request.method == "POST":
        saved = folder.save(request.files["test"], sender=str(request.remote_addr))
        session["uploads"] = [saved.path.name, *names][:MAX_LISTED]
        return render_template("demos/upload.html", uploads=[saved])
    folder.clean_up()
    uploads = [found for name in names if (found := folder.find(name))]
    return render_template("demos/upload.html", uploads=uploads)


@bp.get("/upload/<name>")
def uploaded(name: str) -> ResponseReturnValue:
    found = _folder().find(name) if name in session.get("uploads", []) else None
    if not found:
        abort(404)
    response: Response = send_file(
        found.path, found.type, as_attachment=not found.is_picture, download_name=found.name
    )
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _folder() -> UploadFolder:
    settings = services().settings
    return UploadFolder(Path(current_app.instance_path, "uploads", "demo"), settings.secret_key.encode())
