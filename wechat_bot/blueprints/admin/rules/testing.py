"""The test bench: what would be answered, and why, with the saved rules and with an edited one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ....application import row_id
from ....database.clock import database_now
from ....extensions import db
from ....routing.definitions import MESSAGE_KINDS, Rule
from ....routing.rules import RuleSet, rule_of
from ....routing.strict_json import InvalidDefinition
from ....services.rules import bench
from ....services.rules.bench import Occasion, Outcome
from ....wechat.messages import Message
from ....wechat.parsing import parse
from ....wiring import services
from ..answers.forms import Form
from ..followers.listing import offered
from . import words
from .loading import rule_set

bp = Blueprint("rule_bench", __name__)

DRAFT = 0
"""The id of a rule that is not saved yet."""
EVENTS = {
    "text": lazy_gettext("说一句话"),
    "subscribe": lazy_gettext("关注"),
    "scan": lazy_gettext("扫码"),
    "click": lazy_gettext("点击菜单"),
}
"""What a follower does, besides sending messages that are no texts."""


@dataclass(frozen=True)
class Step:
    """A rule on the bench."""

    rule_id: int
    name: str
    answers: bool
    why: str


@dataclass(frozen=True)
class Trial:
    """What becomes of a message."""

    outcome: Outcome
    steps: list[Step]
    winner: str
    """The name of the rule, or of the handler in code; empty if nobody answers."""


@bp.get("/rules/bench")
def show() -> ResponseReturnValue:
    """Render the bench for what the parameters describe, or for the message `message` of the log."""
    form: Form = request.args
    trial = None
    message_id = request.args.get("message", type=row_id)
    if message_id:
        occasion, form = _logged(message_id)
        trial = _try(_saved(), occasion)
    elif "kind" in form:
        trial = _try(_saved(), _occasion(form, ""))
    return render_template(
        "admin/rules/bench.html",
        form=form,
        trial=trial,
        message_id=message_id,
        names=words,
        **bench_fields(form.get("follower", type=row_id)),
    )


def bench_fields(follower_id: int | None) -> dict[str, Any]:
    """Return what the fields of the bench offer, if the follower with this id is chosen."""
    return {"events": EVENTS, "message_kinds": MESSAGE_KINDS, "followers": offered(follower_id)}


def _saved() -> Mapping[int, Rule]:
    return services().rules.latest(services().account_id)[1].rules


def _logged(message_id: int) -> tuple[Occasion, Form]:
    """Return a message of the log as an occasion, and what to fill into the form."""
    connection, account_id = db.session.connection(), services().account_id
    row = bench.logged(connection, account_id, message_id)
    message = row and bench.message_of(row)
    if row is None or message is None:
        abort(404, _("没有这条收到的消息。"))
    zone = services().account.time_zone
    kind = row.event if row.kind == "event" else row.kind
    values = {
        "kind": kind,
        "text": row.text if row.kind == "text" else str(row.payload.get("EventKey") or ""),
        "at": f"{row.received_at.astimezone(zone):%Y-%m-%dT%H:%M}",
        "follower": str(row.follower_id or ""),
    }
    at, follower_id = row.received_at, row.follower_id
    found = bench.occasion(connection, account_id, message, at, follower_id, is_logged=True)
    return found, Form(values)


def _occasion(form: Form, prefix: str) -> Occasion:
    """Return the occasion that fields of a form describe."""
    text, zone = form.get(f"{prefix}text", ""), services().account.time_zone
    at = database_now()
    if given := form.get(f"{prefix}at"):
        try:
            at = datetime.fromisoformat(given).replace(tzinfo=zone).astimezone(UTC)
        except (ValueError, OverflowError):
            abort(400, _("时间要写成 2026-11-01T09:30 这样。"))
    message = _message(form.get(f"{prefix}kind", "text"), text[:10_000], at)
    follower_id = form.get(f"{prefix}follower", type=row_id)
    return bench.occasion(db.session.connection(), services().account_id, message, at, follower_id)


def _message(kind: str, text: str, at: datetime) -> Message:
    """Return the message that the platform would push."""
    fields: dict[str, Any] = {"ToUserName": "gh_bench", "FromUserName": "oBench", "MsgId": "1"}
    fields |= {"CreateTime": str(int(at.timestamp())), "MsgType": kind, "Content": text}
    if kind in EVENTS and kind != "text":
        key = f"qrscene_{text}" if kind == "subscribe" and text else text
        fields |= {"MsgType": "event", "Event": kind, "EventKey": key}
    return parse(fields)


def _try(rules: Mapping[int, Rule], occasion: Occasion) -> Trial:
    occasion = replace(occasion, ctx=replace(occasion.ctx, _services=services()))
    outcome = bench.try_out(services().router, rule_set(rules), occasion)
    names = {rule_id: rule.name for rule_id, rule in rules.items()}
    steps = [
        Step(
            it.rule_id,
            names[it.rule_id],
            it.rule_id == outcome.rule_id,
            words.verdict(it, rules[it.rule_id], names, in_code=outcome.rule_id is None),
        )
        for it in outcome.verdicts
    ]
    return Trial(outcome, steps, _taker(outcome.origin, names))


def _taker(origin: str, names: Mapping[int, str]) -> str:
    rule_id = rule_of(origin)
    return origin if rule_id is None else names.get(rule_id, origin)


# Beside the editor


def try_draft(form: Form, definition: Mapping[str, Any], rule_id: int | None) -> dict[str, Any]:
    """Return what the form of a rule asks of the bench, with the saved rules and with the edited one."""
    asked = "bench.text" in form and (form["bench.text"] or form.get("bench.kind", "text") != "text")
    found: dict[str, Any] = {"saved": None, "edited": None, "comparison": None}
    if not asked and "compare" not in form:
        return found
    saved = _saved()
    edited = _with_draft(saved, definition, rule_id)
    if asked:
        found["saved"] = _try(saved, _occasion(form, "bench."))
        if edited is not None:
            found["edited"] = _try(edited, _occasion(form, "bench."))
    if "compare" in form and edited is not None:
        found["comparison"] = _comparison(rule_set(saved), rule_set(edited))
    return found


def _with_draft(
    saved: Mapping[int, Rule], definition: Mapping[str, Any], rule_id: int | None
) -> dict[int, Rule] | None:
    """Return the saved rules with the edited one at its place, or last; None while it is not valid."""
    try:
        rule = Rule.from_json(definition)
    except InvalidDefinition:
        return None
    return {**saved, rule_id or DRAFT: rule}


def _comparison(saved: RuleSet, edited: RuleSet) -> dict[str, Any]:
    found = bench.compare(db.session.connection(), services().account_id, services().router, saved, edited)
    names = {rule_id: rule.name for rules in (saved, edited) for rule_id, rule in rules.rules.items()}
    return {
        "compared": found.compared,
        "changes": [
            (change.message, _taker(change.before, names), _taker(change.after, names))
            for change in found.changes[:20]
        ],
        "count": len(found.changes),
    }
