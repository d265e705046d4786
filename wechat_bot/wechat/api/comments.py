"""Comments on articles (``wechat-platform.md`` section 7.16).

An article is named by `msg_data_id`, from mass sending or publishing, and its `index` in it.
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
    """`comment_type` is 1 for selected ones; times are in seconds since 1970."""

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
        """Let an article be commented (section 7.16, comment/open)."""
        self._post("open", msg_data_id, index, idempotent=True)

    def close(self, msg_data_id: int, index: int = 0) -> None:
        """Let an article be commented no longer (section 7.16, comment/close)."""
        self._post("close", msg_data_id, index, idempotent=True)

    def list(
        self, msg_data_id: int, index: int = 0, begin: int = 0, count: int = 49, kind: int = 0
    ) -> Page[Comment]:
        """Less than 50 comments: `kind` 0 all, 1 ordinary, 2 selected ones (section 7.16, comment/list)."""
        query = {"begin": begin, "count": count, "type": kind}
        answer = self._post("list", msg_data_id, index, idempotent=True, **query)
        return Page.of(Comment, answer, "total", "comment")

    def iterate(self, msg_data_id: int, index: int = 0, kind: int = 0) -> Iterator[Comment]:
        """All comments of an article (section 7.16, comment/list)."""
        return all_items(lambda begin: self.list(msg_data_id, index, begin, kind=kind))

    def select(self, msg_data_id: int, index: int, user_comment_id: int) -> None:
        """Show a comment to all (section 7.16, comment/markelect)."""
        self._post("markelect", msg_data_id, index, idempotent=True, user_comment_id=user_comment_id)

    def unselect(self, msg_data_id: int, index: int, user_comment_id: int) -> None:
        """Show a comment no longer (section 7.16, comment/unmarkelect)."""
        self._post("unmarkelect", msg_data_id, index, idempotent=True, user_comment_id=user_comment_id)

    def delete(self, msg_data_id: int, index: int, user_comment_id: int) -> None:
        """Delete a comment (section 7.16, comment/delete)."""
        self._post("delete", msg_data_id, index, user_comment_id=user_comment_id)

    def reply(self, msg_data_id: int, index: int, user_comment_id: int, content: str) -> None:
        """Answer a comment (section 7.16, comment/reply/add)."""
        self._post("reply/add", msg_data_id, index, user_comment_id=user_comment_id, content=content)

    def delete_reply(self, msg_data_id: int, index: int, user_comment_id: int) -> None:
        """Delete our answer to a comment (section 7.16, comment/reply/delete)."""
        self._post("reply/delete", msg_data_id, index, user_comment_id=user_comment_id)

    def _post(
        self, call: str, msg_data_id: int, index: int, *, idempotent: bool = False, **more: int | str
    ) -> Answer:
        body = {"msg_data_id": msg_data_id, "index": index, **more}
        return self._http.post(f"/cgi-bin/comment/{call}", body, idempotent=idempotent)
