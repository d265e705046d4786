"""Temporary and permanent media (sections 7.7 and 7.8)."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.wrappers import Response

from ..state import PlatformState, SimulatedMedia
from ..store import StateStore
from .call import (
    Answer,
    Area,
    CallRefused,
    Family,
    SimulatedCall,
    UploadedFile,
    new_secret,
    page_at,
    refuse_if,
)

family = Family(Area.TEMPORARY_MEDIA)

VIDEOS = "/fake/video/"
"""The path of videos. The platform serves them from another host."""

_KB, _MB = 1024, 1024 * 1024
_THREE_DAYS = 3 * 86400

_MAGIC: dict[str, tuple[int, tuple[bytes, ...]]] = {
    "png": (0, (b"\x89PNG\r\n\x1a\n",)),
    "jpg": (0, (b"\xff\xd8\xff",)),
    "gif": (0, (b"GIF8",)),
    "bmp": (0, (b"BM",)),
    "amr": (0, (b"#!AMR",)),
    "mp3": (0, (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")),
    "wav": (8, (b"WAVE",)),
    "wma": (0, (b"\x30\x26\xb2\x75",)),
    "mp4": (4, (b"ftyp",)),
}
"""The offset and the possible values of the signature of each format."""

_TEMPORARY_LIMITS = {
    "image": ({"png", "jpg", "gif"}, 10 * _MB),
    "voice": ({"amr", "mp3"}, 2 * _MB),
    "video": ({"mp4"}, 10 * _MB),
    "thumb": ({"jpg"}, 64 * _KB),
}
_PERMANENT_LIMITS = _TEMPORARY_LIMITS | {
    "image": ({"bmp", "png", "jpg", "gif"}, 10 * _MB),
    "voice": ({"mp3", "wma", "wav", "amr"}, 2 * _MB),
}
"""The formats of a kind and its maximum size in bytes."""
_TOO_LARGE = {"image": 40009, "voice": 40010, "video": 40011, "thumb": 40012}
_MAX_PERMANENT = {"image": 100_000, "voice": 1000, "video": 1000, "thumb": 1000}


def format_of(content: bytes) -> str:
    """Return the format by the first bytes, or empty for an unknown one."""
    for name, (offset, magic) in _MAGIC.items():
        if content[offset : offset + 16].startswith(magic):
            return name
    return ""


_AMR_FRAMES = (13, 14, 16, 18, 20, 21, 27, 32)
"""Size of a frame of 20 ms in bytes, by mode."""


def _seconds(content: bytes) -> float:
    """Return the duration of an AMR file of a constant rate, and 0 for other files."""
    if format_of(content) != "amr" or len(content) < 7:
        return 0
    mode = content[6] >> 3 & 0b1111
    return (len(content) - 6) / _AMR_FRAMES[mode] / 50 if mode < len(_AMR_FRAMES) else 0


def temporary(kind: str, filename: str, content_type: str, now: float) -> SimulatedMedia:
    return SimulatedMedia(new_secret(), kind, filename, content_type, now, now + _THREE_DAYS)


def _upload(call: SimulatedCall, kinds: dict[str, tuple[set[str], int]]) -> tuple[str, UploadedFile]:
    kind = call.query["type"]
    refuse_if(kind not in kinds, 40004)
    formats, limit = kinds[kind]
    upload = _check(call, formats, limit, _TOO_LARGE[kind])
    refuse_if(kind == "voice" and _seconds(upload.content) > 60, 45007)
    return kind, upload


def check_image(call: SimulatedCall, formats: set[str], limit: int) -> UploadedFile:
    """Return the uploaded picture.

    :raises CallRefused: if its format is not in `formats`, or it has more than `limit` bytes.
    """
    return _check(call, formats, limit, 40009)


def _check(call: SimulatedCall, formats: set[str], limit: int, too_large: int) -> UploadedFile:
    upload = call.upload
    assert upload, "the endpoint is not registered with uploads=True"
    refuse_if(not upload.filename, 41005)
    refuse_if(not upload.content, 44001)
    refuse_if(format_of(upload.content) not in formats, 40005)
    refuse_if(len(upload.content) > limit, too_large)
    return upload


@family.post("/cgi-bin/media/upload", query={"type": str}, uploads=True)
def upload_temporary(call: SimulatedCall) -> Answer:
    kind, upload = _upload(call, _TEMPORARY_LIMITS)
    media = temporary(kind, upload.filename, upload.content_type, call.now)
    _store(call, media, upload.content)
    name = "thumb_media_id" if kind == "thumb" else "media_id"
    return {"type": kind, name: media.media_id, "created_at": int(call.now)}


def _store(call: SimulatedCall, media: SimulatedMedia, content: bytes) -> None:
    call.store.write(media.media_id, content)
    call.state.media[media.media_id] = media


@family.get("/cgi-bin/media/get", {"media_id": str})
def download(call: SimulatedCall) -> Answer:
    media = call.find_media(call.query["media_id"])
    if media.kind == "video":
        return {"video_url": f"{call.root.rstrip('/')}{VIDEOS}{media.media_id}"}
    return _file(call.store, media)


@family.get("/cgi-bin/media/get/jssdk", {"media_id": str})
def download_voice(call: SimulatedCall) -> Answer:
    return _file(call.store, call.find_media(call.query["media_id"], "voice"))


def video(store: StateStore, state: PlatformState, path: str) -> Answer:
    """Return the file at a video_url or down_url, which requires no token."""
    media = state.media.get(path.removeprefix(VIDEOS))
    return _file(store, media) if media else Response(status=404)


def _file(store: StateStore, media: SimulatedMedia) -> Response:
    """Return a file under the name that the platform gives it."""
    content = store.read(media.media_id)
    name = f"{media.media_id}.{format_of(content) or 'bin'}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, mimetype=media.content_type, headers=headers)


@family.post("/cgi-bin/media/uploadimg", uploads=True, area=Area.ANY)
def upload_article_picture(call: SimulatedCall) -> Answer:
    check_image(call, {"jpg", "png"}, _MB)
    return {"url": picture_url(new_secret())}


def picture_url(name: str) -> str:
    return f"http://mmbiz.qpic.cn/mmbiz_png/{name}/0"


@family.post("/cgi-bin/media/uploadvideo", {"media_id": str, "title": str, "description": str})
def upload_mass_video(call: SimulatedCall) -> Answer:
    source = call.find_media(call.body["media_id"], "video")
    media = temporary("video", source.filename, source.content_type, call.now)
    _store(call, media, call.store.read(source.media_id))
    return {"type": "video", "media_id": media.media_id, "created_at": int(call.now)}


@family.post("/cgi-bin/material/add_material", query={"type": str}, uploads=True, area=Area.ANY)
def add(call: SimulatedCall) -> Answer:
    kind, upload = _upload(call, _PERMANENT_LIMITS)
    refuse_if(len(_permanent(call, kind)) >= _MAX_PERMANENT[kind], 45006)
    media = SimulatedMedia(new_secret(), kind, upload.filename, upload.content_type, call.now)
    if kind == "video":
        media.title, media.introduction = _description(call)
    _store(call, media, upload.content)
    url = {"url": picture_url(media.media_id)} if kind == "image" else {}
    return {"media_id": media.media_id, **url}


def _description(call: SimulatedCall) -> tuple[str, str]:
    try:
        description = json.loads(call.form["description"])
        return str(description["title"]), str(description["introduction"])
    except (KeyError, ValueError, TypeError):
        raise CallRefused(47001) from None


def _permanent(call: SimulatedCall, kind: str) -> list[SimulatedMedia]:
    media = call.state.media.values()
    return [each for each in media if each.ends is None and each.kind == kind]


@family.post("/cgi-bin/material/get_material", {"media_id": str}, area=Area.ANY)
def get(call: SimulatedCall) -> Answer:
    media = call.find_media(call.body["media_id"], permanent=True)
    if media.kind == "news":
        return {"news_item": media.articles}
    if media.kind != "video":
        return _file(call.store, media)
    return {
        "title": media.title,
        "description": media.introduction,
        "down_url": f"{call.root.rstrip('/')}{VIDEOS}{media.media_id}",
    }


@family.post("/cgi-bin/material/del_material", {"media_id": str}, area=Area.ANY)
def delete(call: SimulatedCall) -> None:
    media = call.find_media(call.body["media_id"], permanent=True)
    menus = [call.state.menu, *(menu.buttons for menu in call.state.conditional_menus)]
    used = any(media.media_id in _media_ids(menu) for menu in menus)
    refuse_if(used or media.media_id in _console_ids(call.state), 48005)
    del call.state.media[media.media_id]


def _media_ids(buttons: list[dict[str, Any]]) -> set[str]:
    own = {button["media_id"] for button in buttons if "media_id" in button}
    return own.union(*(_media_ids(button["sub_button"]) for button in buttons))


def _console_ids(state: PlatformState) -> set[str]:
    """Return all texts of what was set in the platform's console, among which are the ids of files."""
    found, rest = set(), [state.console_menu, state.auto_replies]
    while rest:
        match rest.pop():
            case str() as text:
                found.add(text)
            case list() as parts:
                rest += parts
            case dict() as fields:
                rest += fields.values()
    return found


@family.get("/cgi-bin/material/get_materialcount", area=Area.ANY)
def count(call: SimulatedCall) -> Answer:
    return {
        "voice_count": len(_permanent(call, "voice")),
        "video_count": len(_permanent(call, "video")),
        "image_count": len(_permanent(call, "image")),
        "news_count": len(_permanent(call, "news")),
    }


@family.post("/cgi-bin/material/batchget_material", {"type": str, "offset": int, "count": int}, area=Area.ANY)
def list_materials(call: SimulatedCall) -> Answer:
    kind = call.body["type"]
    refuse_if(kind not in {"image", "voice", "video", "news"}, 40004)
    newest_first = [*reversed(_permanent(call, kind))]
    if kind == "news":  # made before there were drafts
        return page_at(
            call.body,
            [
                {
                    "media_id": media.media_id,
                    "content": {"news_item": media.articles},
                    "update_time": int(media.created_at),
                }
                for media in newest_first
            ],
        )
    return page_at(
        call.body,
        [
            {
                "media_id": media.media_id,
                "name": media.filename,
                "update_time": int(media.created_at),
                "url": picture_url(media.media_id) if kind == "image" else "",
            }
            for media in newest_first
        ],
    )
