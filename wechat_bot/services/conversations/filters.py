"""Filters of the list of conversations: parsed from a query string, turned into conditions of a statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, exists, not_, select, true

from ...application import row_id
from ...models import Conversation, ConversationStatus, Follower, FollowerTag, Handover, Mention, Note
from ...routing.ownership import Owner
from ..search.index import FOLLOWERS
from ..search.tokens import MAX_QUERY, Query
from .queries import unseen_mentions


class Tab(StrEnum):
    OPEN = "open"
    UNASSIGNED = "unassigned"
    """Open, and nobody's."""
    MINE = "mine"
    """The operator's own that are not done."""
    ALL = "all"
    WAITING = "waiting"
    DONE = "done"
    STARRED = "starred"
    MENTIONS = "mentions"


class Sort(StrEnum):
    WAITING = "waiting"
    """Longest waiting first."""
    CLOSING = "closing"
    """Window that closes soonest first, without closed windows."""
    NEWEST = "newest"


SORTED_TABS = frozenset({Tab.OPEN, Tab.UNASSIGNED, Tab.MINE})
"""The tabs that have every order; the others have the newest first."""


class Subscribed(StrEnum):
    YES = "yes"
    NO = "no"


@dataclass(frozen=True)
class ConversationFilter:
    """A filter of conversations, and their order. Empty fields match all."""

    tab: Tab = Tab.OPEN
    sort: Sort = Sort.WAITING
    q: str = ""
    tag: int | None = None
    assignee: int | None = None
    status: ConversationStatus | None = None
    subscribed: Subscribed | None = None
    owner: Owner | None = None

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> ConversationFilter:
        """Return the filter in the fields of a query string, of which others are ignored.

        :raises ValueError: when a field has a value that it cannot have.
        """
        if len(fields.get("q", "")) > MAX_QUERY:
            raise ValueError(fields["q"])
        tab = Tab(fields.get("tab") or Tab.OPEN)
        sort = Sort(fields.get("sort") or Sort.WAITING)
        return cls(
            tab=tab,
            sort=sort if tab in SORTED_TABS else Sort.NEWEST,
            q=fields.get("q", "").strip(),
            tag=row_id(fields["tag"]) if fields.get("tag") else None,
            assignee=row_id(fields["assignee"]) if fields.get("assignee") else None,
            status=ConversationStatus(fields["status"]) if fields.get("status") else None,
            subscribed=Subscribed(fields["subscribed"]) if fields.get("subscribed") else None,
            owner=Owner(fields["owner"]) if fields.get("owner") else None,
        )

    def fields(self) -> dict[str, str]:
        """Return the fields of a query string that `parse` turns into this filter."""
        given = {name: str(value) for name, value in vars(self).items() if value is not None and value != ""}
        if self.tab is Tab.OPEN:
            del given["tab"]
        if self.tab not in SORTED_TABS or self.sort is Sort.WAITING:
            del given["sort"]
        return given

    def to_query(self) -> str:
        return urlencode(self.fields())

    def conditions(self, account_id: int, operator_id: int, dialect: str = "") -> list[ColumnElement[bool]]:
        """Return the conditions for conversations of an account, for an operator.

        Words are searched as `dialect` does.
        """
        query = Query.parse(self.q)
        are_listed = self.tab is Tab.MENTIONS or (self.tab is Tab.ALL and query)
        # + 0: not by an index of the account, where others list the followers
        account = Conversation.account_id + 0 if are_listed else Conversation.account_id
        found = [account == account_id, _in_tab(self.tab, operator_id)]
        if self.assignee is not None:
            found.append(Conversation.assignee_id == self.assignee)
        if self.status is not None:
            found.append(Conversation.status == self.status)
        if self.tag is not None:
            tagged = (FollowerTag.follower_id == Conversation.follower_id, FollowerTag.tag_id == self.tag)
            found.append(exists().where(*tagged))
        if self.subscribed is not None:
            follows = Follower.subscribed.is_(self.subscribed is Subscribed.YES)
            found.append(exists().where(Follower.id == Conversation.follower_id, follows))
        if self.owner is not None:
            found.append(_is_owned_by(self.owner))
        if query:
            found.append(Conversation.follower_id.in_(FOLLOWERS.matching_ids(query, dialect)))
        return found


def _is_owned_by(owner: Owner) -> ColumnElement[bool]:
    of_conversation = Handover.follower_id == Conversation.follower_id
    if owner is Owner.BOT:
        return not_(exists().where(of_conversation, Handover.owner != Owner.BOT))
    return exists().where(of_conversation, Handover.owner == owner)


def _in_tab(tab: Tab, operator_id: int) -> ColumnElement[bool]:
    is_open = Conversation.status == ConversationStatus.OPEN
    match tab:
        case Tab.UNASSIGNED:
            return is_open & Conversation.assignee_id.is_(None)
        case Tab.MINE:
            unfinished = Conversation.status.in_([ConversationStatus.OPEN, ConversationStatus.WAITING])
            return (Conversation.assignee_id == operator_id) & unfinished
        case Tab.STARRED:
            return Conversation.starred == true()
        case Tab.MENTIONS:
            notes = select(Note.follower_id).join(Mention)
            return Conversation.follower_id.in_(notes.where(*unseen_mentions(operator_id)))
        case Tab.ALL:
            return true()
        case _:
            return Conversation.status == ConversationStatus(tab.value)
