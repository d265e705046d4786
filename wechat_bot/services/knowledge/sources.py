"""What questions are answered from: pairs, passages of documents, rules and canned replies.

Rules and canned replies are read where they are; there are no copies of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, literal, select

from ...models import (
    CannedReply,
    DocumentKind,
    KnowledgeDocument,
    KnowledgePair,
    KnowledgePassage,
    KnowledgeState,
    KnowledgeVersion,
    RuleSetVersion,
    StoredRule,
)
from ...routing.answers import Giving

MAX_IDS = 500
"""Ids in one statement."""


class SourceKind(StrEnum):
    PAIR = "pair"
    DOCUMENT = "document"
    ARTICLE = "article"
    RULE = "rule"
    CANNED = "canned"


Key = tuple[SourceKind, int, int]
"""Where a text is, its id there, and its version. `SourceKind.DOCUMENT` stands for articles, too."""


@dataclass(frozen=True)
class Source:
    """A text that answers questions."""

    id: int
    kind: SourceKind
    title: str
    text: str
    link: str = ""
    """The address where followers can read it, if there is one."""
    questions: tuple[str, ...] = ()
    """What it is asked for with, beside its title."""

    @property
    def head(self) -> str:
        """The title and the questions."""
        return "\n".join((self.title, *self.questions))

    @property
    def whole(self) -> str:
        """The head and the text, of which vectors are made."""
        return f"{self.head}\n{self.text}"

    @property
    def text_hash(self) -> str:
        """SHA-256 of the whole."""
        return sha256(self.whole.encode()).hexdigest()


Versions = tuple[int, int, int]


def versions(connection: Connection, account_id: int) -> Versions:
    """Return how often the knowledge base, the rules and the canned replies of an account have changed."""
    own = select(KnowledgeVersion.version).where(KnowledgeVersion.account_id == account_id)
    rules = select(RuleSetVersion.version).where(RuleSetVersion.account_id == account_id)
    canned = select(func.sum(CannedReply.version)).where(CannedReply.account_id == account_id)
    numbers = (each.scalar_subquery() for each in (own, rules, canned))
    return tuple(int(number or 0) for number in connection.execute(select(*numbers)).one())  # type: ignore[return-value]


def keys(connection: Connection, account_id: int) -> set[Key]:
    """Return the keys of all that may be answered from."""
    pairs = select(KnowledgePair.id, KnowledgePair.version).where(*_approved_pairs(account_id))
    passages = (
        select(KnowledgePassage.id)
        .join(KnowledgeDocument, KnowledgeDocument.id == KnowledgePassage.document_id)
        .where(KnowledgePassage.account_id == account_id, KnowledgeDocument.state == KnowledgeState.APPROVED)
    )
    rules = select(StoredRule.id, StoredRule.version).where(
        StoredRule.account_id == account_id, StoredRule.position.is_not(None)
    )
    canned = select(CannedReply.id, CannedReply.version).where(*_shared_replies(account_id))
    return {
        *((SourceKind.PAIR, row.id, row.version) for row in connection.execute(pairs)),
        *((SourceKind.DOCUMENT, passage_id, 1) for passage_id in connection.scalars(passages)),
        *((SourceKind.RULE, row.id, row.version) for row in connection.execute(rules)),
        *((SourceKind.CANNED, row.id, row.version) for row in connection.execute(canned)),
    }


def load(connection: Connection, wanted: Collection[Key]) -> Iterator[tuple[Key, Source]]:
    """Yield the sources with these keys, without those that have changed since or answer with no text."""
    for kind, (found, read) in _READERS.items():
        versions_by_id = {row_id: version for of_kind, row_id, version in wanted if of_kind is kind}
        ids = sorted(versions_by_id)
        for start in range(0, len(ids), MAX_IDS):
            some = found.where(found.selected_columns.id.in_(ids[start : start + MAX_IDS]))
            for row in connection.execute(some):
                source = read(row) if row.version == versions_by_id[row.id] else None
                if source:
                    yield (kind, row.id, row.version), source


def _approved_pairs(account_id: int) -> tuple[Any, ...]:
    state = KnowledgePair.state == KnowledgeState.APPROVED
    return KnowledgePair.account_id == account_id, KnowledgePair.deleted_at.is_(None), state


def _shared_replies(account_id: int) -> tuple[Any, ...]:
    shared = CannedReply.operator_id.is_(None)
    return CannedReply.account_id == account_id, CannedReply.deleted_at.is_(None), shared


def _pair(row: Any) -> Source:
    pair = row.definition
    questions = tuple(pair.get("wordings", ()))
    return Source(row.id, SourceKind.PAIR, pair["question"], pair["answer"], questions=questions)


def _passage(row: Any) -> Source:
    kind = SourceKind.ARTICLE if row.kind == DocumentKind.ARTICLE else SourceKind.DOCUMENT
    is_named = f"{row.title} › ".startswith(f"{row.document} › ")
    title = row.title if is_named else " › ".join(filter(None, (row.document, row.title)))
    return Source(row.id, kind, title, row.text, row.link)


def _rule(row: Any) -> Source | None:
    """Return a rule that answers certain texts of every follower at any time with texts."""
    rule = row.definition
    patterns = [each["text"] for each in rule.get("patterns", ()) if each["match"] in _WORDS]
    is_limited = any(rule.get(name) for name in ("schedule", "audience"))
    if not patterns or is_limited or not rule.get("enabled", True):
        return None
    texts = [_plain(answer["text"]) for answer in rule["answers"] if answer["kind"] == "text"]
    text = "\n".join(texts)
    return Source(row.id, SourceKind.RULE, rule["name"], text, questions=tuple(patterns)) if text else None


_WORDS = frozenset({"whole", "contains", "starts", "words"})
"""The kinds of matches whose patterns are words that followers write."""


def _canned(row: Any) -> Source | None:
    if row.answer["kind"] != "text":
        return None
    return Source(row.id, SourceKind.CANNED, row.title or row.shortcut, _plain(row.answer["text"]))


def _plain(text: str) -> str:
    """Return a text with the defaults of its variables, since it is given to nobody in particular."""
    return _NOBODY.fill(text).strip()


_NOBODY = Giving(media_id=str, variables={})


_READERS: dict[SourceKind, tuple[Any, Callable[[Any], Source | None]]] = {
    SourceKind.PAIR: (select(KnowledgePair.id, KnowledgePair.version, KnowledgePair.definition), _pair),
    SourceKind.DOCUMENT: (
        select(
            KnowledgePassage.id,
            literal(1).label("version"),
            KnowledgePassage.title,
            KnowledgePassage.text,
            KnowledgeDocument.title.label("document"),
            KnowledgeDocument.kind,
            KnowledgeDocument.link,
        ).join(KnowledgeDocument, KnowledgeDocument.id == KnowledgePassage.document_id),
        _passage,
    ),
    SourceKind.RULE: (select(StoredRule.id, StoredRule.version, StoredRule.definition), _rule),
    SourceKind.CANNED: (
        select(
            CannedReply.id, CannedReply.version, CannedReply.title, CannedReply.shortcut, CannedReply.answer
        ),
        _canned,
    ),
}
