"""Material, drafts and publishing: what is sent and what is made of the answer (sections 7.7 to 7.10)."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import httpx2
import pytest

from tests.wechat.api.recorded import OK, Recorded, Row, check, named
from wechat_bot.wechat.api import Download, File, WeChatClient
from wechat_bot.wechat.api.draft import Article, ArticleList, Image, ImageList
from wechat_bot.wechat.api.draft import Item as DraftItem
from wechat_bot.wechat.api.material import Added, Counts, Video
from wechat_bot.wechat.api.material import Item as MaterialItem
from wechat_bot.wechat.api.media import Uploaded
from wechat_bot.wechat.api.publish import Address, Addresses, Job, Submitted
from wechat_bot.wechat.api.publish import Item as Published
from wechat_bot.wechat.api.values import Page, Records
from wechat_bot.wechat.errors import NotFound, TooLarge, Unreachable

AMR = b"#!AMR\n" + bytes(13)
MP4 = b"\0\0\0\x18ftypmp42" + bytes(12)
JPEG = b"\xff\xd8\xff\xe0 a picture"

# Uploads

Part = tuple[str, str, str, bytes]
"""The name of a part of a form, its file name, content type and content."""


def parts(request: httpx2.Request) -> list[Part]:
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    form: Any = BytesParser(policy=HTTP).parsebytes(head + request.content)
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename("") or "",
            part.get_content_type() if part["content-type"] else "",
            bytes(part.get_payload(decode=True)),
        )
        for part in form.iter_parts()
    ]


UPLOADS: list[tuple[Callable[[WeChatClient], Any], str, dict[str, str], list[Part], Any, Any]] = [
    (
        lambda client: client.media.upload("image", "照片.jpg", JPEG, "image/jpeg"),
        "/cgi-bin/media/upload",
        {"type": "image"},
        [("media", "__.jpg", "image/jpeg", JPEG)],
        {"type": "image", "media_id": "MeDiA", "created_at": 1767225600},
        Uploaded("MeDiA", 1767225600),
    ),
    (
        lambda client: client.media.upload("thumb", "缩略图", JPEG, "image/jpeg"),
        "/cgi-bin/media/upload",
        {"type": "thumb"},
        [("media", "___.jpg", "image/jpeg", JPEG)],
        {"type": "thumb", "thumb_media_id": "ThUmB", "created_at": "1767225600"},
        Uploaded("ThUmB", 1767225600),
    ),
    (
        lambda client: client.media.upload_image("a.png", b"png", "image/png"),
        "/cgi-bin/media/uploadimg",
        {},
        [("media", "a.png", "image/png", b"png")],
        {"url": "http://mmbiz.qpic.cn/a"},
        "http://mmbiz.qpic.cn/a",
    ),
    (
        lambda client: client.material.add("voice", 'a"\r\nb.mp3', b"mp3", "audio/mpeg"),
        "/cgi-bin/material/add_material",
        {"type": "voice"},
        [("media", "a___b.mp3", "audio/mpeg", b"mp3")],
        {"media_id": "MeDiA"},
        Added("MeDiA"),
    ),
    (
        lambda client: client.material.add_video("a.mp4", b"mp4", "video/mp4", "题", "介绍"),
        "/cgi-bin/material/add_material",
        {"type": "video"},
        [
            ("description", "", "", '{"title": "题", "introduction": "介绍"}'.encode()),
            ("media", "a.mp4", "video/mp4", b"mp4"),
        ],
        {"media_id": "MeDiA", "url": ""},
        Added("MeDiA"),
    ),
    (
        lambda client: client.kfaccount.set_picture("anna@wx", File("a.png", b"png", "image/png")),
        "/customservice/kfaccount/uploadheadimg",
        {"kf_account": "anna@wx"},
        [("media", "a.png", "image/png", b"png")],
        OK,
        None,
    ),
]


@pytest.mark.parametrize(
    ("call", "path", "query", "form", "answer", "result"), UPLOADS, ids=[row[1] for row in UPLOADS]
)
def test_a_file_is_uploaded_as_a_form(
    call: Callable[[WeChatClient], Any],
    path: str,
    query: dict[str, str],
    form: list[Part],
    answer: Any,
    result: Any,
) -> None:
    platform = Recorded([answer])
    assert call(platform.client) == result
    [request] = platform.requests
    assert (request.method, request.url.path) == ("POST", path)
    assert dict(request.url.params) == {"access_token": "ToKeN", **query}
    assert parts(request) == form
    assert "content-length" in request.headers


# Downloads


def served(
    content: bytes, content_type: str = "", disposition: str = "", status: int = 200
) -> httpx2.Response:
    headers = {"Content-Type": content_type, "Content-disposition": disposition}
    return httpx2.Response(status, content=content, headers={k: v for k, v in headers.items() if v})


@pytest.mark.parametrize(
    ("answer", "file"),
    [
        (
            served(JPEG, "image/jpeg", 'attachment; filename="MeDiA.jpg"'),
            Download(JPEG, "image/jpeg", "MeDiA.jpg"),
        ),
        (served(JPEG, "Image/JPEG; x=y"), Download(JPEG, "image/jpeg", "")),
        (served(JPEG), Download(JPEG, "", "")),
        (
            served(b"#!AMR", "audio/amr", "attachment; filename=../../etc/a.amr"),
            Download(b"#!AMR", "audio/amr", "a.amr"),
        ),
        (served(AMR, "text/plain"), Download(AMR, "text/plain", "")),
        (served(MP4, "text/plain", 'attachment; filename="M.mp4"'), Download(MP4, "text/plain", "M.mp4")),
        (served(JPEG, "text/plain"), Download(JPEG, "text/plain", "")),
        (served(b"OggS", "text/plain; charset=utf-8"), Download(b"OggS", "text/plain", "")),
        (served(AMR, "application/json"), Download(AMR, "application/json", "")),
    ],
)
def test_a_file_is_downloaded(answer: httpx2.Response, file: Download) -> None:
    platform = Recorded([answer])
    assert platform.client.media.download("MeDiA") == file
    [request] = platform.requests
    assert (request.method, request.url.path) == ("GET", "/cgi-bin/media/get")
    assert dict(request.url.params) == {"access_token": "ToKeN", "media_id": "MeDiA"}


def test_a_voice_of_the_js_sdk_is_downloaded_from_its_own_path() -> None:
    platform = Recorded([served(b"speex", "voice/speex")])
    assert platform.client.media.download_voice("MeDiA").content == b"speex"
    assert platform.requests[0].url.path == "/cgi-bin/media/get/jssdk"


def test_a_video_is_fetched_from_where_the_platform_says_without_our_token() -> None:
    platform = Recorded([{"video_url": "https://video.example.com/v?a=b"}, served(b"mp4", "video/mp4")])
    assert platform.client.media.download("MeDiA") == Download(b"mp4", "video/mp4", "")
    assert str(platform.requests[1].url) == "https://video.example.com/v?a=b"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/", "//a/", "", "https:///a"])
def test_a_video_is_fetched_from_the_web_only(url: str) -> None:
    platform = Recorded([{"video_url": url}])
    with pytest.raises(Unreachable, match="https://"):
        platform.client.media.download("MeDiA")
    assert len(platform.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (served(b'{"errcode":40007,"errmsg":"invalid media_id"}', "text/plain"), NotFound, "40007"),
        (served(b'{"errcode":40007,"errmsg":"invalid media_id"}'), NotFound, "40007"),
        (served(b'{"errcode":40007,"errmsg":"x"}', "application/json; charset=gbk"), NotFound, "40007"),
        (served(b'\n{"errcode":40007,"errmsg":"invalid media_id"}', "image/jpeg"), NotFound, "40007"),
        (served(b'\xef\xbb\xbf {"errcode":"40007"}', "video/mp4"), NotFound, "40007"),
        (served(b"\n{errcode:40007}", "image/jpeg"), Unreachable, "without JSON"),
        (served(b"<html>", "text/html"), Unreachable, "web page"),
        (served(b"\n<html>", "image/jpeg"), Unreachable, "web page"),
        (served(JPEG, "image/jpeg", status=502), Unreachable, "502"),
        (served(b"", "image/jpeg"), Unreachable, "without JSON"),
        (served(b"{}", "application/json"), Unreachable, "in place of a file"),
        (served(b"x" * 11, "image/jpeg"), TooLarge, "more than 10 bytes"),
    ],
    ids=lambda value: ascii(getattr(value, "content", "")),
)
def test_what_is_no_file_is_an_error(answer: httpx2.Response, error: type[Exception], text: str) -> None:
    limit = 10 if b"x" in answer.content[:1] else 1000
    with pytest.raises(error, match=text):
        Recorded([answer]).client.media.download("MeDiA", limit)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_video_may_be_somewhere_else(status: int) -> None:
    moved = httpx2.Response(status, headers={"Location": "https://cdn.example.com/v?c=d"})
    platform = Recorded([{"video_url": "https://video.example.com/v"}, moved, served(MP4, "text/plain")])
    assert platform.client.media.download("MeDiA").content == MP4
    assert [str(request.url) for request in platform.requests[1:]] == [
        "https://video.example.com/v",
        "https://cdn.example.com/v?c=d",
    ]


def test_a_video_is_not_looked_for_forever() -> None:
    moved = httpx2.Response(302, headers={"Location": "https://video.example.com/v"})
    platform = Recorded([{"video_url": "https://video.example.com/v"}, moved])
    with pytest.raises(Unreachable, match="no answer: TooManyRedirects"):
        platform.client.media.download("MeDiA")


def test_no_other_call_follows_a_redirect() -> None:
    moved = httpx2.Response(302, headers={"Location": "https://cdn.example.com/"})
    platform = Recorded([moved])
    with pytest.raises(Unreachable, match="302"):
        platform.client.media.download("MeDiA")
    with pytest.raises(Unreachable, match="302"):
        platform.client.tags.list()
    assert len(platform.requests) == 2


def test_a_video_is_cut_off_at_the_same_size() -> None:
    platform = Recorded([{"video_url": "https://video.example.com/v"}, served(b"x" * 101, "video/mp4")])
    with pytest.raises(Unreachable, match="more than 100 bytes"):
        platform.client.media.download("MeDiA", 100)


def test_material_is_a_file_a_video_or_articles() -> None:
    platform = Recorded(
        [
            served(JPEG, "image/jpeg"),
            {"title": "题", "description": "述", "down_url": "https://v/"},
            {"news_item": [{"title": "一", "content": "<p>"}]},
        ]
    )
    get = platform.client.material.get
    assert get("A") == Download(JPEG, "image/jpeg", "")
    assert get("B") == Video("https://v/", "题", "述")
    assert get("C") == (Article("一", "<p>"),)
    assert [json.loads(request.content) for request in platform.requests] == [
        {"media_id": "A"},
        {"media_id": "B"},
        {"media_id": "C"},
    ]
    assert {request.method + request.url.path for request in platform.requests} == {
        "POST/cgi-bin/material/get_material"
    }


def test_material_is_downloaded_also_where_the_answer_is_an_address() -> None:
    platform = Recorded(
        [
            served(JPEG, "image/jpeg"),
            {"title": "题", "description": "述", "down_url": "https://v/"},
            served(MP4, "video/mp4"),
            {"news_item": []},
        ]
    )
    download = platform.client.material.download
    assert download("A").content == JPEG
    assert download("B").content == MP4
    with pytest.raises(Unreachable, match="articles in place of a file"):
        download("C")


# The rest

ARTICLE = Article(
    "题",
    "<p>文</p>",
    "ThUmB",
    author="我",
    digest="摘",
    content_source_url="https://u/",
    need_open_comment=1,
    pic_crop_235_1="0_0_1_1",
    cover_info={"crop_percent_list": []},
)
ARTICLE_SENT = {
    "title": "题",
    "content": "<p>文</p>",
    "thumb_media_id": "ThUmB",
    "author": "我",
    "digest": "摘",
    "content_source_url": "https://u/",
    "need_open_comment": 1,
    "only_fans_can_comment": 0,
    "pic_crop_235_1": "0_0_1_1",
    "cover_info": {"crop_percent_list": []},
}
PICTURES = Article("图", "文", article_type="newspic", image_info=ImageList((Image("A"), Image("B"))))
PICTURES_SENT = {
    "title": "图",
    "content": "文",
    "article_type": "newspic",
    "need_open_comment": 0,
    "only_fans_can_comment": 0,
    "image_info": {"image_list": [{"image_media_id": "A"}, {"image_media_id": "B"}]},
}
SHOWN = Article("题", url="https://mp.weixin.qq.com/s/a", is_deleted=True)
SHOWN_SENT = {"title": "题", "url": "https://mp.weixin.qq.com/s/a", "is_deleted": True}

MATERIAL: list[Row] = [
    (
        lambda client: client.material.delete("MeDiA"),
        "POST /cgi-bin/material/del_material",
        {},
        {"media_id": "MeDiA"},
        OK,
        None,
    ),
    (
        lambda client: client.material.count(),
        "GET /cgi-bin/material/get_materialcount",
        {},
        None,
        {"voice_count": 1, "video_count": 2, "image_count": 3, "news_count": 4},
        Counts(1, 2, 3, 4),
    ),
    (
        lambda client: client.material.list("image", 20, 10),
        "POST /cgi-bin/material/batchget_material",
        {},
        {"type": "image", "offset": 20, "count": 10},
        {
            "total_count": 21,
            "item_count": 1,
            "item": [{"media_id": "A", "name": "a.jpg", "update_time": 1767225600, "url": "http://a"}],
        },
        Page(21, Records([MaterialItem("A", "a.jpg", 1767225600, "http://a")])),
    ),
]

DRAFTS: list[Row] = [
    (
        lambda client: client.draft.add([ARTICLE, PICTURES]),
        "POST /cgi-bin/draft/add",
        {},
        {"articles": [ARTICLE_SENT, PICTURES_SENT]},
        {"media_id": "DrAfT"},
        "DrAfT",
    ),
    (
        lambda client: client.draft.update("DrAfT", SHOWN, 1),
        "POST /cgi-bin/draft/update",
        {},
        {
            "media_id": "DrAfT",
            "index": 1,
            "articles": {"title": "题", "need_open_comment": 0, "only_fans_can_comment": 0},
        },
        OK,
        None,
    ),
    (
        lambda client: client.draft.get("DrAfT"),
        "POST /cgi-bin/draft/get",
        {},
        {"media_id": "DrAfT"},
        {"news_item": [ARTICLE_SENT, PICTURES_SENT, SHOWN_SENT]},
        (ARTICLE, PICTURES, SHOWN),
    ),
    (
        lambda client: client.draft.delete("DrAfT"),
        "POST /cgi-bin/draft/delete",
        {},
        {"media_id": "DrAfT"},
        OK,
        None,
    ),
    (lambda client: client.draft.count(), "GET /cgi-bin/draft/count", {}, None, {"total_count": 7}, 7),
    (
        lambda client: client.draft.list(0, 5, content=False),
        "POST /cgi-bin/draft/batchget",
        {},
        {"offset": 0, "count": 5, "no_content": 1},
        {
            "total_count": 1,
            "item_count": 1,
            "item": [{"media_id": "D", "content": {"news_item": [SHOWN_SENT]}, "update_time": 1767225600}],
        },
        Page(1, Records([DraftItem("D", ArticleList((SHOWN,)), 1767225600)])),
    ),
]

PUBLISH: list[Row] = [
    (
        lambda client: client.publish.submit("DrAfT"),
        "POST /cgi-bin/freepublish/submit",
        {},
        {"media_id": "DrAfT"},
        {**OK, "publish_id": 2247504711, "msg_data_id": 2247504712},
        Submitted("2247504711", "2247504712"),
    ),
    (
        lambda client: client.publish.get("2247504711"),
        "POST /cgi-bin/freepublish/get",
        {},
        {"publish_id": "2247504711"},
        {
            "publish_id": 2247504711,
            "publish_status": 0,
            "article_id": "ArT",
            "article_detail": {"count": 1, "item": [{"idx": 1, "article_url": "https://a"}]},
            "fail_idx": [],
        },
        Job("2247504711", 0, "ArT", Addresses(1, (Address(1, "https://a"),))),
    ),
    (
        lambda client: client.publish.get("2247504711"),
        "POST /cgi-bin/freepublish/get",
        {},
        {"publish_id": "2247504711"},
        {"publish_id": "2247504711", "publish_status": 2, "fail_idx": [1, 2]},
        Job("2247504711", 2, fail_idx=(1, 2)),
    ),
    (
        lambda client: client.publish.delete("ArT", 2),
        "POST /cgi-bin/freepublish/delete",
        {},
        {"article_id": "ArT", "index": 2},
        OK,
        None,
    ),
    (
        lambda client: client.publish.article("ArT"),
        "POST /cgi-bin/freepublish/getarticle",
        {},
        {"article_id": "ArT"},
        {"news_item": [SHOWN_SENT]},
        (SHOWN,),
    ),
    (
        lambda client: client.publish.list(10),
        "POST /cgi-bin/freepublish/batchget",
        {},
        {"offset": 10, "count": 20, "no_content": 0},
        {
            "total_count": 11,
            "item": [{"article_id": "A", "content": {"news_item": [SHOWN_SENT]}, "update_time": 1767225600}],
        },
        Page(11, Records([Published("A", ArticleList((SHOWN,)), 1767225600)])),
    ),
]


@pytest.mark.parametrize("row", [*MATERIAL, *DRAFTS, *PUBLISH], ids=named)
def test_what_is_sent_and_what_is_made_of_the_answer(row: Row) -> None:
    check(row)


@pytest.mark.parametrize(
    ("iterate", "key"),
    [
        (lambda client: client.material.iterate("image"), "media_id"),
        (lambda client: client.draft.iterate(content=False), "media_id"),
        (lambda client: client.publish.iterate(), "article_id"),
    ],
    ids=["material", "drafts", "published"],
)
def test_a_list_is_read_page_by_page(iterate: Any, key: str) -> None:
    platform = Recorded(
        [{"total_count": 3, "item": [{key: "A"}, {key: "B"}]}, {"total_count": 3, "item": [{key: "C"}]}]
    )
    assert [getattr(item, key) for item in iterate(platform.client)] == ["A", "B", "C"]
    assert [json.loads(request.content)["offset"] for request in platform.requests] == [0, 2]


def test_a_list_that_shrank_meanwhile_ends() -> None:
    platform = Recorded([{"total_count": 9, "item": [{"media_id": "A"}]}, {"total_count": 9, "item": []}])
    assert len(list(platform.client.draft.iterate())) == 1
