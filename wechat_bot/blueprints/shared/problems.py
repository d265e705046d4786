"""Errors of messages, files and calls in words: what has happened, and what to do about it."""

from __future__ import annotations

import re
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ...models import MessageState
from ...services.health.checks import localized
from ...services.outbox.decisions import UNREADABLE_FILE, UNSENDABLE_REPLY
from ...wechat.errcodes import BilingualText, Explanation, explain
from . import bp

NO_RESPONSE = Explanation(
    BilingualText("没有收到回答", "No answer came"),
    BilingualText(
        "查一查本机到微信接口的网络。", "Check the network between this machine and the platform's API."
    ),
)
_OWN_ERRORS = {
    UNREADABLE_FILE: lazy_gettext("文件读不出来：存储里没有它，或者存储连不上。重新选文件再发。"),
    UNSENDABLE_REPLY: lazy_gettext("这种回复只能当场应答，不能作为客服消息发送。请改用别的回复。"),
}
"""Errors of messages that never reached the platform."""
_ERRCODE = re.compile(r"(-?\d+) ")


def describe_error(errcode: int | None, error: str) -> str:
    """Return the meaning and the remedy of an error, as two sentences in the language of the page.

    Without an errcode, `error` may begin with one, be `UNREADABLE_FILE` or `UNSENDABLE_REPLY`, or describe a
    failed connection.
    """
    if error in _OWN_ERRORS:
        return str(_OWN_ERRORS[error])
    if errcode is None and (found := _ERRCODE.match(error)):
        errcode = int(found[1])
    said = explain(errcode, error) if errcode else NO_RESPONSE
    meaning, remedy = localized(said.meaning), localized(said.remedy)
    detail = errcode or error
    return str(_("%(meaning)s（%(detail)s）。%(remedy)s", meaning=meaning, detail=detail, remedy=remedy))


@bp.app_template_filter("what_went_wrong")
def what_went_wrong(row: Any) -> str:
    """Return what became of a message, or of a change for the platform, that has an error."""
    if getattr(row, "state", "") == MessageState.UNKNOWN:
        return str(_("不知道有没有送到。问一问对方，没有收到再按“再发一次”。"))
    return describe_error(row.errcode, row.error)


@bp.app_template_filter("media_problem")
def media_problem(error: str) -> str:
    """Return why the file of a follower could not be fetched."""
    if _ERRCODE.match(error):
        return describe_error(None, error)
    return str(_("没有取到：%(error)s", error=error))


@bp.app_template_filter("upload_problem")
def upload_problem(error: str) -> str:
    """Return why a file of the library could not be uploaded."""
    reason = describe_error(None, error) if _ERRCODE.match(error) else error
    return str(_("没有传到微信：%(reason)s", reason=reason))
