"""Comments on articles (section 7.16)."""

from __future__ import annotations

from typing import Any

from ..state import SimulatedComment
from .call import OK, Answer, Area, Family, SimulatedCall, find, refuse_if

family = Family(Area.COMMENTS)

_ARTICLE = {"msg_data_id": int, "index?": int}
_COMMENT = {**_ARTICLE, "user_comment_id": int}
_MAX_SELECTED = 100
_MAX_REPLY = 140


@family.post("/cgi-bin/comment/open", _ARTICLE)
@family.post("/cgi-bin/comment/close", _ARTICLE)
def open_or_close(call: SimulatedCall) -> None:
    """The state is not kept, because no call returns it."""
    _comments(call)


@family.post("/cgi-bin/comment/list", {**_ARTICLE, "begin": int, "count": int, "type": int})
def list_comments(call: SimulatedCall) -> Answer:
    begin, count, kind = (int(call.body[name]) for name in ("begin", "count", "type"))
    refuse_if(not 1 <= count < 50, 88010)
    comments = [c for c in _comments(call) if kind == 0 or c.selected is (kind == 2)]
    part = comments[begin : begin + count]
    return {**OK, "total": len(comments), "comment": [_as_listed(c) for c in part]}


def _as_listed(comment: SimulatedComment) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "user_comment_id": comment.user_comment_id,
        "openid": comment.openid,
        "create_time": comment.create_time,
        "content": comment.content,
        "comment_type": int(comment.selected),
    }
    if comment.reply:
        fields["reply"] = {"content": comment.reply, "create_time": comment.reply_time}
    return fields


@family.post("/cgi-bin/comment/markelect", _COMMENT)
def select(call: SimulatedCall) -> None:
    comment = _comment(call)
    refuse_if(len([c for c in _comments(call) if c.selected]) >= _MAX_SELECTED, 88003)
    comment.selected = True


@family.post("/cgi-bin/comment/unmarkelect", _COMMENT)
def unselect(call: SimulatedCall) -> None:
    _comment(call).selected = False


@family.post("/cgi-bin/comment/delete", _COMMENT)
def delete(call: SimulatedCall) -> None:
    call.state.comments.remove(_comment(call))


@family.post("/cgi-bin/comment/reply/add", {**_COMMENT, "content": str})
def reply(call: SimulatedCall) -> None:
    comment = _comment(call)
    refuse_if(comment.reply, 88005)
    refuse_if(not 1 <= len(call.body["content"]) <= _MAX_REPLY, 88007)
    comment.reply, comment.reply_time = call.body["content"], int(call.now)


@family.post("/cgi-bin/comment/reply/delete", _COMMENT)
def delete_reply(call: SimulatedCall) -> None:
    _comment(call).reply = ""


def _comments(call: SimulatedCall) -> list[SimulatedComment]:
    article, index = int(call.body["msg_data_id"]), int(call.body.get("index", 0))
    refuse_if(article not in call.state.articles, 88001)
    return [c for c in call.state.comments if (c.msg_data_id, c.index) == (article, index)]


def _comment(call: SimulatedCall) -> SimulatedComment:
    number = int(call.body["user_comment_id"])
    return find((c for c in _comments(call) if c.user_comment_id == number), 88008)
