"""Imports the account's articles at the platform into the knowledge base (sections 7.9 and 7.10).

What is published is approved; drafts are suggestions. A run reads all articles, and stores what has changed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from ...jobs import Enqueue, Job
from ...models import DocumentKind, KnowledgeImport, KnowledgeState
from ...models.columns import storable
from ...wechat.api import WeChatClient
from ...wechat.api.draft import Article
from ...wechat.errors import APIError, Forbidden
from ..audit import Actor
from ..import_runs import ImportRuns
from . import documents, reading
from .documents import DRAFT, PUBLISHED, NewDocument, Outcome
from .reading import RefusedDocument

log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"https?://\S+$")


class Articles:
    """Imports the articles of an account. `client` is None if the account has no API."""

    def __init__(self, engine: Engine, client: WeChatClient | None, enqueue: Enqueue) -> None:
        self.runs = ImportRuns(engine, KnowledgeImport, Job.IMPORT_ARTICLES, "articles_imported", enqueue)
        self._engine = engine
        self._client = client

    def run(self, run_id: int) -> None:
        """Import all articles. An account that may not list one kind gets those of the other."""
        run = self.runs.find_running(run_id)
        if run is None:
            return
        self.runs.update(run_id, total=0, done=0, added=0)
        failed: APIError | None = None
        with self.runs.ending(run_id):
            for count, listed in ((_count_published, _published), (_count_drafts, _drafts)):
                try:
                    self._import(run, count, listed)
                except APIError as error:
                    failed = failed or error
            if failed:
                raise failed

    def _import(
        self,
        run: Any,
        count: Callable[[WeChatClient], int],
        listed: Callable[[WeChatClient], Iterator[list[NewArticle]]],
    ) -> None:
        """Import the articles of one kind.

        :raises APIError: if the account may not list them, or the platform does not answer.
        """
        if not self._client:
            raise Forbidden(48001, "the account has no API")
        actor = Actor(run.operator_id, run.operator, "")
        self.runs.update(run.id, total=KnowledgeImport.total + count(self._client))
        for articles in listed(self._client):
            added = 0
            for article in articles:
                with suppress(RefusedDocument):  # pictures without words
                    imported = documents.put(self._engine, actor, run.account_id, _read(article))
                    added += imported.outcome is not Outcome.SAME
            self.runs.update(run.id, done=KnowledgeImport.done + 1, added=KnowledgeImport.added + added)


@dataclass(frozen=True)
class NewArticle:
    """An article of the platform, and what it is called there."""

    origin: str
    article: Article
    state: KnowledgeState


def _count_published(client: WeChatClient) -> int:
    return client.publish.list(0, 1, content=False).total


def _count_drafts(client: WeChatClient) -> int:
    return client.draft.count()


def _published(client: WeChatClient) -> Iterator[list[NewArticle]]:
    for item in client.publish.iterate():
        yield [
            NewArticle(f"{PUBLISHED}{item.article_id}:{number}", article, KnowledgeState.APPROVED)
            for number, article in enumerate(item.content.news_item)
            if not article.is_deleted
        ]


def _drafts(client: WeChatClient) -> Iterator[list[NewArticle]]:
    for item in client.draft.iterate():
        yield [
            NewArticle(f"{DRAFT}{item.media_id}:{number}", article, KnowledgeState.SUGGESTED)
            for number, article in enumerate(item.content.news_item)
        ]


def _read(new: NewArticle) -> NewDocument:
    """Return an article as a document. The address of a draft expires, so that it is left out.

    :raises RefusedDocument: if it has no text.
    """
    _, sections = reading.html(new.article.content)
    parts = reading.passages(sections)
    title = storable(new.article.title)[: reading.MAX_TITLE] or parts[0].text[:30]
    is_published = new.state is KnowledgeState.APPROVED
    link = new.article.url[:1024] if is_published and _ADDRESS.match(new.article.url) else ""
    return NewDocument(title, DocumentKind.ARTICLE, parts, link, new.origin[:255], new.state)
