"""Answers of the assistant: what is shown below them in conversations, and why each is as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_login import current_user
from sqlalchemy import Row

from ...extensions import db
from ...llm import ModelErrorReason
from ...models import Direction, Outcome
from ...services.assistant import records
from ...services.assistant.guards import Limit
from ...services.conversations import queries
from ...services.messages.records import answered_key, reply_key
from ...wechat.markdown import to_chat
from ...wiring import services
from .access import actor
from .knowledge.words import SOURCES

bp = Blueprint("model_answers", __name__)

OUTCOMES = {
    Outcome.ANSWERED: lazy_gettext("回答了"),
    Outcome.UNKNOWN: lazy_gettext("不知道：知识库里没有答案"),
    Outcome.BLOCKED: lazy_gettext("拦下了：有禁用词"),
    Outcome.OVER_BUDGET: lazy_gettext("没有问模型：超出了限制"),
    Outcome.FAILED: lazy_gettext("模型没有回答"),
    Outcome.HANDED_OVER: lazy_gettext("粉丝要找人工"),
}
REASONS = {
    Limit.PER_MINUTE: lazy_gettext("这个粉丝一分钟里问得太多"),
    Limit.PER_DAY: lazy_gettext("这个粉丝今天问得太多"),
    Limit.DAILY_TOKENS: lazy_gettext("今天的 token 用完了"),
    Limit.DAILY_YUAN: lazy_gettext("今天的费用用完了"),
    ModelErrorReason.UNREACHABLE: lazy_gettext("连接不上模型的接口"),
    ModelErrorReason.TIMEOUT: lazy_gettext("模型答得太慢"),
    ModelErrorReason.UNAUTHORIZED: lazy_gettext("模型的接口不认密钥"),
    ModelErrorReason.RATE_LIMITED: lazy_gettext("请求太多，或余额用完了"),
    ModelErrorReason.REFUSED: lazy_gettext("模型因为内容拒绝回答"),
    ModelErrorReason.INVALID: lazy_gettext("模型的接口看不懂请求，或回答看不懂"),
    ModelErrorReason.INTERRUPTED: lazy_gettext("回答到一半断了"),
    "empty": lazy_gettext("回答是空的"),
}
"""What the first part of `ModelAnswer.error` means."""


def inject_model_answers() -> dict[str, Any]:
    return {"model_answer_of": model_answer_of, "model_outcomes": OUTCOMES, "said_by_model": _said}


def preload_model_answers(rows: Iterable[Any]) -> None:
    """Read the assistant's answers among the messages `rows` in one statement."""
    account_id = services().account_id
    if not services().profiles.current(account_id).version:  # there never was an assistant
        return
    keys = {answered_key(row.dedup_key) for row in rows if row.direction == Direction.OUT and row.dedup_key}
    g.model_answers = records.by_keys(db.session.connection(), account_id, keys)


def model_answer_of(row: Any) -> Row[Any] | None:
    """Return what led to an answer of the assistant, of which the first page has it, as it was preloaded."""
    answers: dict[str, Row[Any]] = g.get("model_answers", {})
    found = answers.get(answered_key(row.dedup_key or ""))
    return found if found and row.dedup_key == reply_key(found.dedup_key) else None


@bp.get("/model-answers/<int:answer_id>")
def show(answer_id: int) -> ResponseReturnValue:
    """Render everything that was recorded of an answer."""
    answer = _answer(answer_id)
    follower = answer.follower_id and queries.find_follower(
        db.session.connection(), answer.account_id, answer.follower_id, current_user.id
    )
    reason, _colon, detail = answer.error.partition(": ")
    return render_template(
        "admin/model_answers/show.html",
        answer=answer,
        follower=follower,
        reason=REASONS.get(reason, answer.error),
        detail=detail,
        sources=SOURCES,
        profile=services().profiles.current(answer.account_id).profile,
    )


@bp.post("/model-answers/<int:answer_id>/rating")
def rate(answer_id: int) -> ResponseReturnValue:
    """Store a thumb, or take it back if it is the one that is stored."""
    answer = _answer(answer_id)
    rating = request.form.get("rating", type=int)
    if rating not in {-1, 0, 1}:
        abort(400, _("评价只有好和不好。"))
    records.rate(db.engine, actor(), answer.account_id, answer_id, rating)
    if rating == -1 and answer.dedup_key:
        services().questions.add(answer.account_id, answer.dedup_key)
    if "HX-Request" in request.headers:
        db.session.rollback()  # what was read before is out of date
        return render_template("admin/model_answers/_line.html", answer=_answer(answer_id))
    return redirect(url_for(".show", answer_id=answer_id), 303)


def _answer(answer_id: int) -> Row[Any]:
    found = records.find(db.session.connection(), services().account_id, answer_id)
    return found or abort(404, _("没有这条记录。"))


def _said(answer: Row[Any]) -> str:
    """Return what a model wrote as the chat shows it."""
    return to_chat(answer.answer)
