"""API calls for drafts of articles (``wechat-platform.md`` section 7.9)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ._http import Http
from .values import Page, all_items, convert, convert_field, given


@dataclass(frozen=True)
class Image:
    image_media_id: str


@dataclass(frozen=True)
class ImageList:
    """Up to 20 pictures of a picture message."""

    image_list: tuple[Image, ...]


@dataclass(frozen=True)
class Article:
    """An article of less than 20 000 characters of HTML, or a picture message if `article_type` is newspic.

    Empty fields are not sent. `url` and `is_deleted` are set by the platform only.
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
        """Return the fields to send, under the platform's names."""
        sent = given(**asdict(self))
        return {name: value for name, value in sent.items() if name not in {"url", "is_deleted"}}


@dataclass(frozen=True)
class ArticleList:
    news_item: tuple[Article, ...] = ()


@dataclass(frozen=True)
class Item:
    """A draft; `update_time` is Unix time in seconds."""

    media_id: str
    content: ArticleList = ArticleList()
    update_time: int = 0


class Draft:
    def __init__(self, http: Http) -> None:
        self._http = http

    def add(self, articles: Sequence[Article]) -> str:
        """Create a draft and return its media_id (section 7.9, draft/add)."""
        body = {"articles": [article.to_json() for article in articles]}
        return convert_field(str, self._http.post("/cgi-bin/draft/add", body), "media_id")

    def update(self, media_id: str, article: Article, index: int = 0) -> None:
        """Replace one article of a draft (section 7.9, draft/update)."""
        body = {"media_id": media_id, "index": index, "articles": article.to_json()}
        self._http.post("/cgi-bin/draft/update", body, idempotent=True)

    def get(self, media_id: str) -> tuple[Article, ...]:
        """Return the articles of a draft, with temporary preview URLs (section 7.9, draft/get)."""
        answer = self._http.post("/cgi-bin/draft/get", {"media_id": media_id}, idempotent=True)
        return convert(ArticleList, answer).news_item

    def delete(self, media_id: str) -> None:
        """Delete a draft (section 7.9, draft/delete)."""
        self._http.post("/cgi-bin/draft/delete", {"media_id": media_id})

    def count(self) -> int:
        """Return the number of drafts (section 7.9, draft/count)."""
        return convert_field(int, self._http.get("/cgi-bin/draft/count"), "total_count")

    def list(self, offset: int = 0, count: int = 20, *, content: bool = True) -> Page[Item]:
        """Return up to 20 drafts, with or without their `content` (section 7.9, draft/batchget)."""
        body = {"offset": offset, "count": count, "no_content": int(not content)}
        return Page.of(Item, self._http.post("/cgi-bin/draft/batchget", body, idempotent=True))

    def iterate(self, *, content: bool = True) -> Iterator[Item]:
        """Iterate over all drafts (section 7.9, draft/batchget)."""
        return all_items(lambda offset: self.list(offset, content=content))
