"""Comments on articles (section 7.16)."""

from __future__ import annotations

from typing import Any

from ..state import SimulatedComment
from .call import Answer, Area, CallRefused, Family, SimulatedCall

family = Family(Area.COMMENTS)

_ARTICLE = {"msg_data_id": int, "index?": int}
_COMMENT = {**_ARTICLE, "user_comment_id": int}
_MAX_SELECTED = 100
_MAX_REPLY = 140


@family.post("/cgi-bin/comment/open", _ARTICLE)
@family.post("/cgi-bin/comment/close", _ARTICLE)
def open_or_close(call: SimulatedCall) -> Answer:
    """No other call tells whether an article takes comments."""
    _comments(call)
    return None


@family.post("/cgi-bin/comment/list", {**_ARTICLE, "begin": int, "count": int, "type": int})
def list_comments(call: SimulatedCall) -> Answer:
    begin, count, kind = (int(call.body[name]) for name in ("begin", "count", "type"))
    if not 1 <= count < 50:
        raise CallRefused(88010)
    comments = [c for c in _comments(call) if kind == 0 or c.selected is (kind == 2)]
    part = comments[begin : begin + count]
    return {"errcode": 0, "errmsg": "ok", "total": len(comments), "comment": [_shown(c) for c in part]}


def _shown(comment: SimulatedComment) -> dict[str, Any]:
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
def select(call: SimulatedCall) -> Answer:
    comment = _comment(call)
    if len([c for c in _comments(call) if c.selected]) >= _MAX_SELECTED:
        raise CallRefused(88003)
    comment.selected = True
    return None


@family.post("/cgi-bin/comment/unmarkelect", _COMMENT)
def unselect(call: SimulatedCall) -> Answer:
    _comment(call).selected = False
    return None


@family.post("/cgi-bin/comment/delete", _COMMENT)
def delete(call: SimulatedCall) -> Answer:
    call.state.comments.remove(_comment(call))
    return None


@family.post("/cgi-bin/comment/reply/add", {**_COMMENT, "content": str})
def reply(call: SimulatedCall) -> Answer:
    comment = _comment(call)
    if comment.reply:
        raise CallRefused(88005)
    if not 1 <= len(call.body["content"]) <= _MAX_REPLY:
        raise CallRefused(88007)
    comment.reply, comment.reply_time = call.body["content"], int(call.now)
    return None


@family.post("/cgi-bin/comment/reply/delete", _COMMENT)
def delete_reply(call: SimulatedCall) -> Answer:
    _comment(call).reply = ""
    return None


def _comments(call: SimulatedCall) -> list[SimulatedComment]:
    article, index = int(call.body["msg_data_id"]), int(call.body.get("index", 0))
    if article not in call.state.articles:
        raise CallRefused(88001)
    return [c for c in call.state.comments if (c.msg_data_id, c.index) == (article, index)]


def _comment(call: SimulatedCall) -> SimulatedComment:
    for comment in _comments(call):
        if comment.user_comment_id == int(call.body["user_comment_id"]):
            return comment
    raise CallRefused(88008)
