"""Temporary and permanent media (sections 7.7 and 7.8)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.simulator.conftest import NOON, OK, Caller
from wechat_bot.simulator.sample_files import AMR, GIF, JPEG, MP3, MP4, PNG

UPLOAD = "/cgi-bin/media/upload"
GET = "/cgi-bin/media/get"
ADD = "/cgi-bin/material/add_material"
MB = 1024 * 1024


def of_size(content: bytes, size: int) -> bytes:
    return content + bytes(size - len(content))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("image", PNG),
        ("image", JPEG),
        ("image", GIF),
        ("image", of_size(PNG, 10 * MB)),
        ("voice", AMR),
        ("voice", MP3),
        ("voice", AMR[:6] + AMR[6:] * 60),
        ("voice", of_size(MP3, 2 * MB)),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_file_comes_back_as_it_was_uploaded(caller: Caller, kind: str, content: bytes) -> None:
    uploaded = caller.upload(UPLOAD, content, "图.bin", type=kind)
    assert uploaded.keys() == {"type", "media_id", "created_at"}
    assert (uploaded["type"], uploaded["created_at"]) == (kind, int(NOON))
    answer = caller.raw("GET", GET, {"media_id": uploaded["media_id"]})
    assert answer.content == content
    assert answer.headers["Content-Type"] == "application/octet-stream"
    disposition = f'attachment; filename="{uploaded["media_id"]}.'
    assert answer.headers["Content-Disposition"].startswith(disposition)


def test_a_thumbnail_has_a_name_of_its_own(caller: Caller) -> None:
    assert caller.upload(UPLOAD, JPEG, type="thumb").keys() == {"type", "thumb_media_id", "created_at"}


def test_a_video_is_fetched_from_an_address(caller: Caller) -> None:
    media_id = caller.upload(UPLOAD, MP4, "a.mp4", type="video")["media_id"]
    [(name, url)] = caller.get(GET, media_id=media_id).items()
    assert name == "video_url"
    assert caller.http.get(url).content == MP4
    assert caller.http.get(url + "x").status_code == 404


@pytest.mark.parametrize(
    ("kind", "content", "errcode"),
    [
        ("file", PNG, 40004),
        ("image", MP4, 40005),
        ("image", b"text", 40005),
        ("voice", PNG, 40005),
        ("thumb", PNG, 40005),
        ("image", b"", 44001),
        ("image", of_size(PNG, 10 * MB + 1), 40009),
        ("voice", AMR[:6] + AMR[6:] * 61, 45007),
        ("voice", of_size(MP3, 2 * MB + 1), 40010),
        ("video", of_size(MP4, 10 * MB + 1), 40011),
        ("thumb", of_size(JPEG, 64 * 1024 + 1), 40012),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_file_has_its_limits(caller: Caller, kind: str, content: bytes, errcode: int) -> None:
    assert caller.upload(UPLOAD, content, type=kind)["errcode"] == errcode


def test_an_upload_without_a_file_is_refused(caller: Caller) -> None:
    assert caller.raw("POST", UPLOAD, {"type": "image"}).json()["errcode"] == 41005
    files = {"file": ("a.png", PNG, "image/png")}
    assert caller.raw("POST", UPLOAD, {"type": "image"}, files=files).json()["errcode"] == 41005


def test_a_file_is_valid_for_three_days(caller: Caller) -> None:
    media_id = caller.upload(UPLOAD, PNG, type="image")["media_id"]
    caller.api.advance(3 * 86400 - 1)
    caller.token = caller.new_token()
    assert caller.raw("GET", GET, {"media_id": media_id}).content == PNG
    caller.api.advance(1)
    expired = caller.raw("GET", GET, {"media_id": media_id})
    assert expired.json()["errcode"] == 40007
    assert expired.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(("media_id", "errcode"), [("", 41006), ("none", 40007)])
def test_an_unknown_file_is_an_error(caller: Caller, media_id: str, errcode: int) -> None:
    assert caller.get(GET, media_id=media_id)["errcode"] == errcode


def test_a_file_from_a_follower_can_be_fetched(caller: Caller) -> None:
    voice = caller.api.give_media("voice", AMR, "语音.amr", "audio/amr")
    for path in (GET, f"{GET}/jssdk"):
        answer = caller.raw("GET", path, {"media_id": voice})
        assert (answer.content, answer.headers["Content-Type"]) == (AMR, "audio/amr")
    image = caller.api.give_media("image", PNG, "a.png", "image/png")
    assert caller.get(f"{GET}/jssdk", media_id=image)["errcode"] == 40007


def test_a_video_for_many_is_made_of_another(caller: Caller) -> None:
    source = caller.upload(UPLOAD, MP4, type="video")["media_id"]
    body = {"media_id": source, "title": "片", "description": ""}
    made = caller.post("/cgi-bin/media/uploadvideo", body)
    assert (made["type"], made["media_id"] != source) == ("video", True)
    assert caller.errcode("/cgi-bin/media/uploadvideo", body | {"media_id": "none"}) == 40007


# Permanent


def test_permanent_files_are_counted_listed_fetched_and_deleted(caller: Caller) -> None:
    first, second = (caller.upload(ADD, PNG, name, type="image") for name in ("一.png", "二.png"))
    assert first.keys() == {"media_id", "url"}
    voice = caller.upload(ADD, MP3, "a.mp3", type="voice")
    assert voice.keys() == {"media_id"}
    assert caller.get("/cgi-bin/material/get_materialcount") == {
        "voice_count": 1,
        "video_count": 0,
        "image_count": 2,
        "news_count": 0,
    }
    page = caller.post("/cgi-bin/material/batchget_material", {"type": "image", "offset": 0, "count": 1})
    assert (page["total_count"], page["item_count"]) == (2, 1)
    assert page["item"] == [
        {"media_id": second["media_id"], "name": "二.png", "update_time": int(NOON), "url": second["url"]}
    ]
    caller.api.advance(365 * 86400)
    caller.token = caller.new_token()
    get = "/cgi-bin/material/get_material"
    assert caller.raw("POST", get, json={"media_id": voice["media_id"]}).content == MP3
    assert caller.post("/cgi-bin/material/del_material", {"media_id": voice["media_id"]}) == OK
    assert caller.errcode(get, {"media_id": voice["media_id"]}) == 40007


def test_a_permanent_video_has_a_title(caller: Caller) -> None:
    files = {"media": ("a.mp4", MP4, "video/mp4")}
    description = json.dumps({"title": "片", "introduction": "短片"}, ensure_ascii=False)
    query = {"type": "video"}
    added = caller.raw("POST", ADD, query, files=files, data={"description": description}).json()
    assert added.keys() == {"media_id"}
    video = caller.post("/cgi-bin/material/get_material", {"media_id": added["media_id"]})
    assert (video["title"], video["description"]) == ("片", "短片")
    assert caller.http.get(video["down_url"]).content == MP4
    assert caller.raw("POST", ADD, query, files=files).json()["errcode"] == 47001


def test_a_temporary_file_is_no_permanent_one(caller: Caller) -> None:
    media_id = caller.upload(UPLOAD, PNG, type="image")["media_id"]
    assert caller.errcode("/cgi-bin/material/get_material", {"media_id": media_id}) == 40007


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"type": "image", "offset": 0, "count": 21}, 40097),
        ({"type": "image", "offset": 0, "count": 0}, 40097),
        ({"type": "thing", "offset": 0, "count": 1}, 40004),
        ({"type": "news", "offset": 0, "count": 1}, 0),
    ],
    ids=str,
)
def test_lists_have_their_limits(caller: Caller, body: dict[str, Any], errcode: int) -> None:
    assert caller.errcode("/cgi-bin/material/batchget_material", body) == errcode


@pytest.mark.parametrize(
    ("content", "errcode"), [(PNG, 0), (JPEG, 0), (GIF, 40005), (of_size(PNG, MB + 1), 40009)]
)
def test_a_picture_for_an_article_is_small(caller: Caller, content: bytes, errcode: int) -> None:
    answer = caller.upload("/cgi-bin/media/uploadimg", content, "a.png")
    assert answer.get("errcode", 0) == errcode
    assert ("url" in answer) is (errcode == 0)
