"""Drafts of articles (``wechat-platform.md`` section 7.9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ._http import Http
from .values import Page, all_items, given, read


@dataclass(frozen=True)
class Image:
    image_media_id: str


@dataclass(frozen=True)
class ImageList:
    """The pictures of a picture message, 20 at most."""

    image_list: tuple[Image, ...]


@dataclass(frozen=True)
class Article:
    """An article of at most 20 000 characters of HTML, or with `article_type` newspic a picture message.

    What is empty is not sent. `url` and `is_deleted` are the platform's to say.
    """

    title: str = ""
    content: str = ""
    thumb_media_id: str = ""
    author: str = ""
    digest: str = ""
    content_source_url: str = ""
    article_type: str = ""
    need_open_comment: int = 0
    only_fans_can_comment: int = 0
    image_info: ImageList | None = None
    cover_info: dict[str, Any] | None = None
    product_info: dict[str, Any] | None = None
    pic_crop_235_1: str = ""
    pic_crop_1_1: str = ""
    url: str = ""
    is_deleted: bool = False

    def to_json(self) -> dict[str, Any]:
        """The fields that say something, as the platform names them."""
        sent = given(**asdict(self))
        return {name: value for name, value in sent.items() if name not in {"url", "is_deleted"}}


@dataclass(frozen=True)
class ArticleList:
    news_item: tuple[Article, ...] = ()


@dataclass(frozen=True)
class Item:
    """A draft; `update_time` is in seconds since 1970."""

    media_id: str
    content: ArticleList = ArticleList()
    update_time: int = 0


class Draft:
    def __init__(self, http: Http) -> None:
        self._http = http

    def add(self, articles: Sequence[Article]) -> str:
        """A new draft; its media_id (section 7.9, draft/add)."""
        body = {"articles": [article.to_json() for article in articles]}
        return read(str, self._http.post("/cgi-bin/draft/add", body).get("media_id"), "media_id")

    def update(self, media_id: str, article: Article, index: int = 0) -> None:
        """Replace one article of a draft (section 7.9, draft/update)."""
        body = {"media_id": media_id, "index": index, "articles": article.to_json()}
        self._http.post("/cgi-bin/draft/update", body, idempotent=True)

    def get(self, media_id: str) -> tuple[Article, ...]:
        """A draft, with URLs to look at for a while (section 7.9, draft/get)."""
        answer = self._http.post("/cgi-bin/draft/get", {"media_id": media_id}, idempotent=True)
        return read(ArticleList, answer).news_item

    def delete(self, media_id: str) -> None:
        """Delete a draft (section 7.9, draft/delete)."""
        self._http.post("/cgi-bin/draft/delete", {"media_id": media_id})

    def count(self) -> int:
        """How many drafts there are (section 7.9, draft/count)."""
        return read(int, self._http.get("/cgi-bin/draft/count").get("total_count"), "total_count")

    def list(self, offset: int = 0, count: int = 20, *, content: bool = True) -> Page[Item]:
        """At most 20 drafts, with their `content` or without (section 7.9, draft/batchget)."""
        body = {"offset": offset, "count": count, "no_content": int(not content)}
        return Page.of(Item, self._http.post("/cgi-bin/draft/batchget", body, idempotent=True))

    def iterate(self, *, content: bool = True) -> Iterator[Item]:
        """All drafts (section 7.9, draft/batchget)."""
        return all_items(lambda offset: self.list(offset, content=content))
