"""API calls for comments on articles (``wechat-platform.md`` section 7.16).

An article is identified by the `msg_data_id` of its mass message or publication, and its `index` in that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ._http import Http
from .values import Answer, Page, all_items


@dataclass(frozen=True)
class CommentReply:
    content: str = ""
    create_time: int = 0


@dataclass(frozen=True)
class Comment:
    """A comment. `comment_type` is 1 for a selected one; `create_time` is Unix time in seconds."""

    user_comment_id: int
    openid: str = ""
    create_time: int = 0
    content: str = ""
    comment_type: int = 0
    reply: CommentReply = CommentReply()


class Comments:
    def __init__(self, http: Http) -> None:
        self._http = http

    def open(self, msg_data_id: int, index: int = 0) -> None:
        """Allow comments on an article (section 7.16, comment/open)."""
        self._post("open", msg_data_id, index, idempotent=True)

    def close(self, msg_data_id: int, index: int = 0) -> None:
        """Disallow comments on an article (section 7.16, comment/close)."""
        self._post("close", msg_data_id, index, idempotent=True)

    def list(
        self, msg_data_id: int, index: int = 0, begin: int = 0, count: int = 49, kind: int = 0
    ) -> Page[Comment]:
        """Return up to 49 comments: `kind` 0 all, 1 ordinary, 2 selected (section 7.16, comment/list)."""
        query = {"begin": begin, "count": count, "type": kind}
        answer = self._post("list", msg_data_id, index, idempotent=True, **query)
        return Page.of(Comment, answer, "total", "comment")

    def iterate(self, msg_data_id: int, index: int = 0, kind: int = 0) -> Iterator[Comment]:
        """Iterate over the comments on an article (section 7.16, comment/list)."""
        return all_items(lambda begin: self.list(msg_data_id, index, begin, kind=kind))

    def select(self, msg_data_id: int, index: int, user_comment_id: int) -> None:
        """Select a comment, so that it is shown to all readers (section 7.16, comment/markelect)."""
        self._post("markelect", msg_data_id, index, idempotent=True, user_comment_id=user_comment_id)

    def unselect(self, msg_data_id: int, index: int, user_comment_id: int) -> None:
        """Undo the selection of a comment (section 7.16, comment/unmarkelect)."""
        self._post("unmarkelect", msg_data_id, index, idempotent=True, user_comment_id=user_comment_id)

    def delete(self, msg_data_id: int, index: int, user_comment_id: int) -> None:
        """Delete a comment (section 7.16, comment/delete)."""
        self._post("delete", msg_data_id, index, user_comment_id=user_comment_id)

    def reply(self, msg_data_id: int, index: int, user_comment_id: int, content: str) -> None:
        """Reply to a comment (section 7.16, comment/reply/add)."""
        self._post("reply/add", msg_data_id, index, user_comment_id=user_comment_id, content=content)

    def delete_reply(self, msg_data_id: int, index: int, user_comment_id: int) -> None:
        """Delete the account's reply to a comment (section 7.16, comment/reply/delete)."""
        self._post("reply/delete", msg_data_id, index, user_comment_id=user_comment_id)

    def _post(
        self, call: str, msg_data_id: int, index: int, *, idempotent: bool = False, **more: int | str
    ) -> Answer:
        body = {"msg_data_id": msg_data_id, "index": index, **more}
        return self._http.post(f"/cgi-bin/comment/{call}", body, idempotent=idempotent)
