"""The simulated API and the stand-in for a language model over HTTP, and the media that were sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import abort, jsonify, request
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from ...services.media import formats
from ...simulator.language_model import SimulatedLanguageModel
from ...wechat.xml import Fields
from ...wiring import services
from ..health import is_from_this_machine
from . import bp
from .dependencies import platform_api, read_media

_SAMPLES = {
    "image": ("sample.png", "image/png"),
    "voice": ("sample.amr", "audio/amr"),
    "video": ("sample.mp4", "video/mp4"),
}
"""The files that are sent if none is uploaded."""
_SANDBOX = {"Content-Security-Policy": "default-src 'none'; sandbox"}


@bp.route("/api/<path:path>", methods=["GET", "POST"], endpoint="api")
def answer(path: str) -> Response:
    """Pass a call on to the simulated API, of which strangers can change nothing."""
    if not (is_from_this_machine() or platform_api().admits(request)):
        return jsonify(errcode=41001, errmsg="access_token missing: from other machines it comes first")
    return Response.from_app(platform_api(), _mounted(path))


@bp.route("/model/<path:path>", methods=["GET", "POST"], endpoint="model")
def answer_as_model(path: str) -> Response:
    """Pass a call on to the stand-in for a language model, which is only for programs on this machine."""
    if not is_from_this_machine():
        return Response(
            "The stand-in answers programs on its own machine only.\n", 403, mimetype="text/plain"
        )
    return Response.from_app(SimulatedLanguageModel(), _mounted(path))


def _mounted(path: str) -> dict[str, Any]:
    """Return the environment of the request for a WSGI application, for which its path is `path`."""
    mounted_at = request.script_root + request.path.removesuffix(f"/{path}")
    paths = {"PATH_INFO": f"/{path}", "SCRIPT_NAME": mounted_at}
    return request.environ | {name: value.encode().decode("latin-1") for name, value in paths.items()}


def store_media(kind: str, upload: FileStorage | None, base_url: str) -> Fields:
    """Store a file that a follower sends, by default a sample, and return its fields of the push."""
    if upload and upload.filename:
        content, filename, mimetype = upload.read(), upload.filename, upload.mimetype
    else:
        filename, mimetype = _SAMPLES[kind]
        content = (Path(bp.static_folder or "") / filename).read_bytes()
    media_id = platform_api().give_media(kind, content, filename, mimetype)
    match kind:
        case "image":
            return {"MediaId": media_id, "PicUrl": f"{base_url}/simulator/media/{media_id}"}
        case "voice":
            return {"MediaId": media_id, "Format": Path(filename).suffix.removeprefix(".")}
        case _:
            return {"MediaId": media_id, "ThumbMediaId": media_id}


@bp.get("/media/<media_id>")
def media(media_id: str) -> Response:
    """Return a file that a follower or the bot sent. PicUrl leads here."""
    content, content_type = read_media(media_id) or abort(404)
    return Response(content, mimetype=content_type, headers=_SANDBOX)


@bp.get("/media/<media_id>/playable")
def playable(media_id: str) -> Response:
    """Return a voice as MP3, which browsers play; as it is if they play it, or if it cannot be converted."""
    content, content_type = read_media(media_id) or abort(404)
    found = formats.detect(content)
    if found.kind == "voice" and not found.web_playable:
        mp3 = services().archive.converter.mp3(content, found.decoder)
        content, content_type = (mp3, "audio/mpeg") if mp3 else (content, content_type)
    return Response(content, mimetype=content_type, headers=_SANDBOX)
