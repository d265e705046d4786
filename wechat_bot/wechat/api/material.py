"""API calls for permanent material (``wechat-platform.md`` section 7.8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import Unreachable
from ._http import MAX_FILE_BYTES, File, Http
from ._responses import Download
from .draft import Article, ArticleList
from .values import Page, all_items, convert


@dataclass(frozen=True)
class Added:
    """Added material. `url` is set for images only, and works only in pages of the platform."""

    media_id: str
    url: str = ""


@dataclass(frozen=True)
class Video:
    """A video, which is not downloaded by `Material.get`; `down_url` is its URL."""

    down_url: str
    title: str = ""
    description: str = ""


@dataclass(frozen=True)
class Counts:
    voice_count: int = 0
    video_count: int = 0
    image_count: int = 0
    news_count: int = 0


@dataclass(frozen=True)
class Item:
    """A piece of material. `update_time` is Unix time in seconds; `content` is set for news only."""

    media_id: str
    name: str = ""
    update_time: int = 0
    url: str = ""
    content: ArticleList = ArticleList()


class Material:
    def __init__(self, http: Http) -> None:
        self._http = http

    def add(self, kind: str, filename: str, content: bytes, content_type: str) -> Added:
        """Add an image, voice or thumb (section 7.8, material/add_material)."""
        file = File(filename, content, content_type)
        return convert(Added, self._http.upload("/cgi-bin/material/add_material", file, {"type": kind}))

    def add_video(
        self, filename: str, content: bytes, content_type: str, title: str, introduction: str
    ) -> Added:
        """Add a video (section 7.8, material/add_material)."""
        file = File(filename, content, content_type)
        form = {"description": json.dumps({"title": title, "introduction": introduction}, ensure_ascii=False)}
        answer = self._http.upload("/cgi-bin/material/add_material", file, {"type": "video"}, form)
        return convert(Added, answer)

    def get(self, media_id: str, max_bytes: int = MAX_FILE_BYTES) -> Download | Video | tuple[Article, ...]:
        """Return a file of at most `max_bytes`, a video or articles (section 7.8, material/get_material)."""
        answer = self._http.download("/cgi-bin/material/get_material", max_bytes, body={"media_id": media_id})
        if isinstance(answer, Download):
            return answer
        if "news_item" in answer:
            return convert(ArticleList, answer).news_item
        return convert(Video, answer)

    def download(self, media_id: str, max_bytes: int = MAX_FILE_BYTES) -> Download:
        """Return a file of at most `max_bytes`, also of a video (section 7.8, material/get_material).

        :raises Unreachable: if the material is no file.
        """
        match self.get(media_id, max_bytes):
            case Download() as file:
                return file
            case Video(down_url=url):
                return self._http.fetch(url, max_bytes, redirects=True)
            case _:
                raise Unreachable("articles in place of a file", delivered=True)

    def delete(self, media_id: str) -> None:
        """Delete material that no menu and no automatic reply uses (section 7.8, material/del_material)."""
        self._http.post("/cgi-bin/material/del_material", {"media_id": media_id})

    def count(self) -> Counts:
        """Return the number of items of each kind (section 7.8, material/get_materialcount)."""
        return convert(Counts, self._http.get("/cgi-bin/material/get_materialcount"))

    def list(self, kind: str, offset: int = 0, count: int = 20) -> Page[Item]:
        """Return up to 20 items of a kind: image, voice, video or news (section 7.8,
        material/batchget_material)."""
        body = {"type": kind, "offset": offset, "count": count}
        answer = self._http.post("/cgi-bin/material/batchget_material", body, idempotent=True)
        return Page.of(Item, answer)

    def iterate(self, kind: str) -> Iterator[Item]:
        """Iterate over all items of a kind (section 7.8, material/batchget_material)."""
        return all_items(lambda offset: self.list(kind, offset))
