"""The knowledge base: question-answer pairs and documents, from which questions are answered."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import LONG_TEXT, ROW_ID, UTCDateTime, exact
from .history import VersionColumns
from .imports import ImportColumns


class KnowledgeState(StrEnum):
    """Whether a pair or a document is used."""

    SUGGESTED = "suggested"
    """Nobody has approved it, so that nothing is answered from it."""
    APPROVED = "approved"


class PairSource(StrEnum):
    """Where a pair comes from."""

    WRITTEN = "written"
    """An operator wrote it."""
    CONVERSATION = "conversation"
    """It was taken from a conversation."""
    IMPORTED = "imported"
    """It was in a file."""


class DocumentKind(StrEnum):
    MARKDOWN = "markdown"
    TEXT = "text"
    PDF = "pdf"
    ARTICLE = "article"
    """An article of the account, from the platform."""
    ADDRESS = "address"
    """A web page."""


class KnowledgePair(Model):
    """A question with its answer. It stays when it is deleted, so that it can be restored."""

    __tablename__ = "knowledge_pairs"
    __table_args__ = (Index(None, "account_id", "deleted_at", "state", "id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """A `services.knowledge.pairs.Pair`."""
    state: Mapped[KnowledgeState] = mapped_column(String(16))
    """That of the definition, to filter by."""
    source: Mapped[PairSource] = mapped_column(String(16))
    searched: Mapped[str] = mapped_column(LONG_TEXT)
    """The folded texts of the definition, in which operators search."""
    version: Mapped[int] = mapped_column(default=1)
    """Counts its changes, so that none is lost."""
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    operator: Mapped[str] = mapped_column(String(64), default="")
    """Who changed it last: the name at that time."""
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class KnowledgePairVersion(VersionColumns, Model):
    """A version of a pair."""

    __tablename__ = "knowledge_pair_versions"

    pair_id: Mapped[int] = mapped_column(
        ROW_ID, ForeignKey("knowledge_pairs.id"), primary_key=True, sort_order=-1
    )


class KnowledgeDocument(Model):
    """A text that was imported, of which the passages are found."""

    __tablename__ = "knowledge_documents"
    __table_args__ = (Index(None, "account_id", "content_hash"), Index(None, "account_id", "origin"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    title: Mapped[str] = mapped_column(String(255))
    kind: Mapped[DocumentKind] = mapped_column(String(16))
    link: Mapped[str] = mapped_column(String(1024), default="")
    """The address where followers can read it, if there is one."""
    origin: Mapped[str] = mapped_column(exact(255), default="")
    """Names what can be imported again and replaces itself: an article, an address. Empty for files."""
    content_hash: Mapped[str] = mapped_column(exact(64))
    """SHA-256 of the title and the passages, by which the same content is recognised."""
    state: Mapped[KnowledgeState] = mapped_column(String(16))
    imported_at: Mapped[datetime] = mapped_column(UTCDateTime)
    operator: Mapped[str] = mapped_column(String(64), default="")
    """Who imported it: the name at that time."""


class KnowledgePassage(Model):
    """A part of a document of at most some hundred characters. It is never changed, only replaced."""

    __tablename__ = "knowledge_passages"
    __table_args__ = (Index(None, "document_id", "position"), Index(None, "account_id", "id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    document_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("knowledge_documents.id"))
    position: Mapped[int]
    """Its place in the document, from 1."""
    title: Mapped[str] = mapped_column(String(255), default="")
    """The headings above it."""
    page: Mapped[int | None]
    """The page of a PDF on which it begins."""
    text: Mapped[str] = mapped_column(LONG_TEXT)


class KnowledgeVersion(Model):
    """Counts the changes of an account's knowledge base, so that every process notices them."""

    __tablename__ = "knowledge_versions"

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    version: Mapped[int] = mapped_column(default=1)


class KnowledgeVector(Model):
    """What an embedding model has made of a text from which questions are answered."""

    __tablename__ = "knowledge_vectors"
    __table_args__ = (MYSQL,)

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    source: Mapped[str] = mapped_column(String(16), primary_key=True)
    """A `services.knowledge.sources.SourceKind`; ``document`` stands for articles, too."""
    source_id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=False)
    model: Mapped[str] = mapped_column(exact(200))
    text_hash: Mapped[str] = mapped_column(exact(64))
    """SHA-256 of the text, by which a change is recognised."""
    version: Mapped[int]
    """The `KnowledgeVersion` with which it was stored, so that processes read what is new alone."""
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    """Of the length 1, as little-endian floats of 32 bits."""


class KnowledgeImport(ImportColumns, Model):
    """A run through the account's articles at the platform."""

    __tablename__ = "knowledge_imports"
    __table_args__ = (MYSQL,)
