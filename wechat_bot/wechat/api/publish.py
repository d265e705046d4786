"""API calls for publishing drafts (``wechat-platform.md`` section 7.10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ._http import Http
from .draft import Article, ArticleList
from .values import Page, all_items, convert


@dataclass(frozen=True)
class Submitted:
    """A submitted job. The event PUBLISHJOBFINISH reports its result."""

    publish_id: str
    msg_data_id: str = ""


@dataclass(frozen=True)
class Address:
    idx: int
    article_url: str


@dataclass(frozen=True)
class Addresses:
    count: int = 0
    item: tuple[Address, ...] = ()


@dataclass(frozen=True)
class Job:
    """The state of a job. `publish_status` is 0 (published), 1 (in progress), or 2 to 6 (section 4.8)."""

    publish_id: str
    publish_status: int
    article_id: str = ""
    article_detail: Addresses = Addresses()
    fail_idx: tuple[int, ...] = ()


@dataclass(frozen=True)
class Item:
    """A published article; `update_time` is Unix time in seconds."""

    article_id: str
    content: ArticleList = ArticleList()
    update_time: int = 0


class Publish:
    def __init__(self, http: Http) -> None:
        self._http = http

    def submit(self, media_id: str) -> Submitted:
        """Publish a draft without notifying followers (section 7.10, freepublish/submit)."""
        return convert(Submitted, self._http.post("/cgi-bin/freepublish/submit", {"media_id": media_id}))

    def get(self, publish_id: str) -> Job:
        """Return the state of a job (section 7.10, freepublish/get)."""
        body = {"publish_id": publish_id}
        return convert(Job, self._http.post("/cgi-bin/freepublish/get", body, idempotent=True))

    def delete(self, article_id: str, index: int = 0) -> None:
        """Delete one article of a publication, or all with `index` 0, irreversibly (section 7.10,
        freepublish/delete)."""
        self._http.post("/cgi-bin/freepublish/delete", {"article_id": article_id, "index": index})

    def article(self, article_id: str) -> tuple[Article, ...]:
        """Return the articles of a publication (section 7.10, freepublish/getarticle)."""
        body = {"article_id": article_id}
        answer = self._http.post("/cgi-bin/freepublish/getarticle", body, idempotent=True)
        return convert(ArticleList, answer).news_item

    def list(self, offset: int = 0, count: int = 20, *, content: bool = True) -> Page[Item]:
        """Return up to 20 publications, optionally with `content` (section 7.10, freepublish/batchget)."""
        body = {"offset": offset, "count": count, "no_content": int(not content)}
        return Page.of(Item, self._http.post("/cgi-bin/freepublish/batchget", body, idempotent=True))

    def iterate(self, *, content: bool = True) -> Iterator[Item]:
        """Iterate over all publications (section 7.10, freepublish/batchget)."""
        return all_items(lambda offset: self.list(offset, content=content))
