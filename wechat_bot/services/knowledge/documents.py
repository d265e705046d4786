"""Documents of the knowledge base: imported, approved, withdrawn and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import httpx2
from sqlalchemy import Connection, Engine, Row, Select, delete, func, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts
from ...models import DocumentKind, KnowledgeDocument, KnowledgePassage, KnowledgeState
from ...models.columns import storable
from ...models.rows import new_row
from .. import audit
from ..audit import Actor
from . import reading, web
from .changes import change
from .reading import DocumentProblem, Part, RefusedDocument

SUFFIXES = {
    "md": DocumentKind.MARKDOWN,
    "markdown": DocumentKind.MARKDOWN,
    "txt": DocumentKind.TEXT,
    "pdf": DocumentKind.PDF,
}
"""The kinds of files by the ends of their names."""
PUBLISHED, DRAFT = "published:", "draft:"
"""Begin the origins of published articles and of drafts."""


class DocumentNotFound(LookupError):
    """There is no such document."""


class Outcome(StrEnum):
    """What an import changed."""

    ADDED = "added"
    REPLACED = "replaced"
    SAME = "same"
    """Nothing, since the content is there already."""


@dataclass(frozen=True)
class NewDocument:
    """A document that has been read."""

    title: str
    kind: DocumentKind
    parts: Sequence[Part]
    link: str = ""
    origin: str = ""
    """Names what replaces itself when it is imported again; empty for a file."""
    state: KnowledgeState = KnowledgeState.APPROVED

    @property
    def content_hash(self) -> str:
        whole = sha256()
        for text in (self.title, *(field for part in self.parts for field in (part.title, part.text))):
            whole.update(text.encode() + b"\0")
        return whole.hexdigest()


@dataclass(frozen=True)
class Imported:
    document_id: int
    outcome: Outcome


# Sources


def read_file(filename: str, content: bytes) -> NewDocument:
    """Return the document in a file: Markdown, text or PDF.

    :raises RefusedDocument: if it cannot be read, or is too large.
    """
    kind = SUFFIXES.get(filename.rpartition(".")[2].lower())
    if len(content) > reading.MAX_BYTES:
        raise RefusedDocument(DocumentProblem.TOO_LARGE)
    if content.startswith(b"%PDF-"):
        kind = DocumentKind.PDF
    if kind is None:
        raise RefusedDocument(DocumentProblem.KIND)
    if kind is DocumentKind.PDF:
        parts = reading.passages(reading.pdf(content))
    else:
        read = reading.markdown if kind is DocumentKind.MARKDOWN else reading.plain
        parts = reading.passages(read(reading.text(content)))
    return NewDocument(_title(reading.name_without_suffix(filename), parts), kind, parts)


def read_address(address: str, transport: httpx2.BaseTransport | None = None) -> NewDocument:
    """Fetch a page, and return it as a document.

    :raises FetchError: if it cannot be fetched.
    :raises RefusedDocument: if it cannot be read.
    """
    page = web.fetch(address, transport)
    title, sections = reading.html(page.source) if page.is_html else ("", list(reading.plain(page.source)))
    parts = reading.passages(sections)
    title, origin = _title(title, parts), sha256(address.encode()).hexdigest()
    return NewDocument(title, DocumentKind.ADDRESS, parts, page.address[:1024], f"address:{origin}")


def _title(title: str, parts: Sequence[Part]) -> str:
    return storable(title)[: reading.MAX_TITLE] or parts[0].title or parts[0].text[:30]


# Reading


def listed(
    connection: Connection, account_id: int, limit: int, before: int | None = None
) -> Sequence[Row[Any]]:
    """Return documents, newest first, of those with ids less than `before`, with the number of `passages`."""
    passages = (
        select(func.count())
        .where(KnowledgePassage.document_id == KnowledgeDocument.id)
        .scalar_subquery()
        .label("passages")
    )
    found = select(KnowledgeDocument.__table__, passages).where(KnowledgeDocument.account_id == account_id)
    if before:
        found = found.where(KnowledgeDocument.id < before)
    return connection.execute(found.order_by(KnowledgeDocument.id.desc()).limit(limit)).all()


def find(connection: Connection, account_id: int, document_id: int) -> Row[Any]:
    """Return a document.

    :raises DocumentNotFound: if there is none.
    """
    row = connection.execute(_of_account(account_id).where(KnowledgeDocument.id == document_id)).one_or_none()
    if row is None:
        raise DocumentNotFound
    return row


def passages(connection: Connection, document_id: int, limit: int, after: int = 0) -> Sequence[Row[Any]]:
    """Return passages of a document in their order, of those with positions greater than `after`."""
    of_document = KnowledgePassage.document_id == document_id, KnowledgePassage.position > after
    found = select(KnowledgePassage.__table__).where(*of_document)
    return connection.execute(found.order_by(KnowledgePassage.position).limit(limit)).all()


def document_of(connection: Connection, account_id: int, passage_id: int) -> tuple[int, int]:
    """Return the id of the document that has a passage, and the position of the passage.

    :raises DocumentNotFound: if the passage is gone.
    """
    this = KnowledgePassage.account_id == account_id, KnowledgePassage.id == passage_id
    found = select(KnowledgePassage.document_id, KnowledgePassage.position).where(*this)
    row = connection.execute(found).one_or_none()
    if row is None:
        raise DocumentNotFound
    return row.document_id, row.position


def _of_account(account_id: int) -> Select[Any]:
    return select(KnowledgeDocument.__table__).where(KnowledgeDocument.account_id == account_id)


# Changes


def subject(document_id: int) -> str:
    """Return the name of a document in the audit log."""
    return f"document:{document_id}"


@retry_conflicts
def put(engine: Engine, actor: Actor, account_id: int, document: NewDocument) -> Imported:
    """Store a document, in place of what was imported from the same origin; the same content changes nothing.

    A draft that is published meanwhile takes the origin, the link and the state of what was published. What
    an operator has withdrawn stays so.
    """
    with change(engine, account_id) as connection:
        present = _present(connection, account_id, document)
        if present is None:
            document_id, outcome = _insert(connection, actor, account_id, document), Outcome.ADDED
        elif present.content_hash == document.content_hash and not _publishes(document, present):
            return Imported(present.id, Outcome.SAME)
        else:
            document_id, outcome = present.id, Outcome.REPLACED
            _replace(connection, actor, present, document)
        about = {"title": document.title, "passages": len(document.parts), "link": document.link}
        audit.record(connection, actor, "document_imported", subject(document_id), after=about)
        return Imported(document_id, outcome)


def _publishes(document: NewDocument, present: Row[Any]) -> bool:
    """Whether a document is what a stored draft has become."""
    return document.origin.startswith(PUBLISHED) and present.origin.startswith(DRAFT)


def _present(connection: Connection, account_id: int, document: NewDocument) -> Row[Any] | None:
    """Return what was imported from the same origin, or else what has the same content."""
    of_account = _of_account(account_id)
    same_origin = of_account.where(KnowledgeDocument.origin == document.origin)
    same_content = of_account.where(KnowledgeDocument.content_hash == document.content_hash)
    found = connection.execute(same_origin).first() if document.origin else None
    return found or connection.execute(same_content).first()


def _insert(connection: Connection, actor: Actor, account_id: int, document: NewDocument) -> int:
    values = _columns(actor, document) | {"state": document.state}
    row = new_row(KnowledgeDocument, account_id=account_id, **values)
    [document_id] = connection.execute(insert(KnowledgeDocument).values(row)).inserted_primary_key or (0,)
    _insert_passages(connection, account_id, document_id, document.parts)
    return int(document_id)


def _replace(connection: Connection, actor: Actor, present: Row[Any], document: NewDocument) -> None:
    values = _columns(actor, document)
    if present.origin != document.origin:
        values["state"] = document.state
    connection.execute(update(KnowledgeDocument).where(KnowledgeDocument.id == present.id).values(values))
    connection.execute(delete(KnowledgePassage).where(KnowledgePassage.document_id == present.id))
    _insert_passages(connection, present.account_id, present.id, document.parts)


def _columns(actor: Actor, document: NewDocument) -> dict[str, Any]:
    return {
        "title": document.title,
        "kind": document.kind,
        "link": document.link,
        "origin": document.origin,
        "content_hash": document.content_hash,
        "imported_at": database_now(),
        "operator": actor.name[:64],
    }


def _insert_passages(
    connection: Connection, account_id: int, document_id: int, parts: Sequence[Part]
) -> None:
    place = {"account_id": account_id, "document_id": document_id}
    rows = [
        new_row(KnowledgePassage, position=number, title=part.title, page=part.page, text=part.text, **place)
        for number, part in enumerate(parts, 1)
    ]
    connection.execute(insert(KnowledgePassage), rows)


@retry_conflicts
def set_state(engine: Engine, actor: Actor, account_id: int, document_id: int, state: KnowledgeState) -> None:
    """Let questions be answered from a document, or no more.

    :raises DocumentNotFound: if there is none.
    """
    with change(engine, account_id) as connection:
        present = find(connection, account_id, document_id)
        this = update(KnowledgeDocument).where(KnowledgeDocument.id == document_id)
        connection.execute(this.values(state=state))
        action = "document_approved" if state is KnowledgeState.APPROVED else "document_withdrawn"
        audit.record(connection, actor, action, subject(document_id), detail=present.title)


@retry_conflicts
def remove(engine: Engine, actor: Actor, account_id: int, document_id: int) -> None:
    """Delete a document, which cannot be restored.

    :raises DocumentNotFound: if there is none.
    """
    with change(engine, account_id) as connection:
        present = find(connection, account_id, document_id)
        connection.execute(delete(KnowledgePassage).where(KnowledgePassage.document_id == document_id))
        connection.execute(delete(KnowledgeDocument).where(KnowledgeDocument.id == document_id))
        about = {"title": present.title, "kind": present.kind, "link": present.link}
        audit.record(connection, actor, "document_removed", subject(document_id), before=about)
