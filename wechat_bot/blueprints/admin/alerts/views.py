"""The channels of alerts, for admins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from ....application import row_id
from ....database.clock import database_now
from ....extensions import db
from ....languages import LANGUAGES
from ....models import AlertFailure, Role
from ....routing import strict_json
from ....routing.strict_json import InvalidDefinition
from ....services.alerts import channels as service
from ....services.alerts.channels import ChannelConflict, ChannelNotFound, Secrets
from ....services.alerts.definitions import Channel, Medium
from ....wiring import services
from ..access import actor, role
from ..answers import words as answer_words
from ..answers.forms import Form, fill, line, lines
from ..rules.forms import schedule_of
from ..rules.words import WEEKDAYS
from . import words

bp = Blueprint("alerts", __name__)

_NUMBER = re.compile(r"\d{1,9}")


@bp.get("/alerts")
@role(Role.ADMIN)
def index() -> ResponseReturnValue:
    found = [
        (row, channel, _last_failure(row, channel))
        for row, channel in service.all_of(db.session.connection(), services().account_id)
    ]
    return render_template(
        "admin/alerts/index.html",
        channels=found,
        media=words.MEDIA,
        occasions=words.OCCASIONS,
        has_links=bool(services().settings.public_url),
        address_of=_masked_address,
    )


def _last_failure(row: Any, channel: Channel) -> str:
    """Return why the last message of a channel did not arrive, in words; empty if it did."""
    if row.last_failure is None:
        return ""
    return words.failure(channel.medium, AlertFailure(row.last_failure), row.last_code, row.last_detail)


def _masked_address(row: Any) -> str:
    return service.masked_address(services().sealer, row)


@bp.get("/alerts/new/<medium>")
@role(Role.ADMIN)
def new(medium: str) -> ResponseReturnValue:
    return _page(_form_of(Channel(str(words.MEDIA[_medium_or_404(medium)]), Medium(medium))), None)


@bp.post("/alerts/new/<medium>")
@role(Role.ADMIN)
def create(medium: str) -> ResponseReturnValue:
    definition, secrets = _definition_of(request.form, _medium_or_404(medium)), _secrets_of(request.form)
    try:
        service.create(db.engine, services().sealer, actor(), services().account_id, definition, secrets)
    except InvalidDefinition as error:
        return _page(_posted(medium), None, errors=_errors_of(error), status=422)
    flash(_("已保存。按“测试”看看能不能收到。"), "success")
    return redirect(url_for("admin.alerts.index"), 303)


@bp.get("/alerts/<int:channel_id>")
@role(Role.ADMIN)
def show(channel_id: int) -> ResponseReturnValue:
    row = _row_or_404(channel_id)
    return _page(_form_of(service.definition_of(row)), row)


@bp.post("/alerts/<int:channel_id>")
@role(Role.ADMIN)
def save(channel_id: int) -> ResponseReturnValue:
    row = _row_or_404(channel_id)
    medium = service.definition_of(row).medium
    definition, secrets = _definition_of(request.form, medium), _secrets_of(request.form)
    version, account_id = request.form.get("version", default=0, type=row_id), services().account_id
    try:
        service.save(
            db.engine, services().sealer, actor(), account_id, channel_id, version, definition, secrets
        )
    except InvalidDefinition as error:
        return _page(_posted(medium), row, errors=_errors_of(error), status=422)
    except ChannelConflict as conflict:
        return _page(_posted(medium), row, newer=conflict.version, status=409)
    except ChannelNotFound:
        abort(404, _("没有这个提醒渠道。"))
    flash(_("已保存。"), "success")
    return redirect(url_for("admin.alerts.index"), 303)


@bp.post("/alerts/<int:channel_id>/test")
@role(Role.ADMIN)
def test(channel_id: int) -> ResponseReturnValue:
    row = _row_or_404(channel_id)
    channel = service.definition_of(row)
    failure = services().alerts.test(actor(), services().account_id, channel_id, database_now())
    if failure:
        said = words.failure(channel.medium, failure.reason, failure.code, failure.detail)
        flash(_("“%(name)s”没有送到。%(said)s", name=channel.name, said=said), "error")
    else:
        flash(_("“%(name)s”收下了测试消息。", name=channel.name), "success")
    return redirect(url_for("admin.alerts.index"), 303)


@bp.post("/alerts/<int:channel_id>/remove")
@role(Role.ADMIN)
def remove(channel_id: int) -> ResponseReturnValue:
    try:
        service.remove(db.engine, actor(), services().account_id, channel_id)
    except ChannelNotFound:
        abort(404, _("没有这个提醒渠道。"))
    flash(_("已删除。"), "success")
    return redirect(url_for("admin.alerts.index"), 303)


def _medium_or_404(medium: str) -> Medium:
    return Medium(medium) if medium in set(Medium) else abort(404, _("没有这种提醒渠道。"))


def _row_or_404(channel_id: int) -> Any:
    try:
        return service.find(db.session.connection(), services().account_id, channel_id)
    except ChannelNotFound:
        abort(404, _("没有这个提醒渠道。"))


# The form


def _definition_of(form: MultiDict[str, str], medium: Medium) -> dict[str, Any]:
    """Return the definition in a form, which may have problems."""
    minutes = line(form, "minutes")
    definition: dict[str, Any] = {
        "name": line(form, "name"),
        "medium": str(medium),
        "enabled": "enabled" in form,
        "occasions": form.getlist("occasions"),
        "minutes": int(minutes) if _NUMBER.fullmatch(minutes) else minutes,
        "quiet": schedule_of(form, "quiet"),
        "shows_words": "shows_words" in form,
        "language": form.get("language", ""),
    }
    if medium is Medium.MAIL:
        definition["recipients"] = lines(form, "recipients")
    return definition


def _secrets_of(form: MultiDict[str, str]) -> Secrets:
    """Return the secrets in a form. Empty fields keep what is stored; a switch removes the secret."""
    secret = "" if "unsigned" in form else line(form, "secret") or None
    return Secrets(line(form, "url") or None, secret)


def _form_of(channel: Channel) -> Form:
    definition = strict_json.to_json(channel)
    form = Form({"name": channel.name, "minutes": str(channel.minutes), "language": str(channel.language)})
    form["medium"] = str(channel.medium)
    form.setlist("occasions", [str(each) for each in channel.occasions])
    fill(form, "quiet", definition.get("quiet", {}))
    form["quiet.hours"] = "、".join(channel.quiet.hours)
    form["recipients"] = "\n".join(channel.recipients)
    for name in ("enabled", "shows_words"):
        if getattr(channel, name):
            form[name] = "on"
    return form


def _posted(medium: str) -> Form:
    """Return the form of the request without the secrets, which no page shows."""
    form = Form(request.form)
    form["medium"] = medium
    for name in ("url", "secret"):
        form.poplist(name)
    return form


def _errors_of(error: InvalidDefinition) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    for problem in error.problems:
        field = re.sub(r"\[\d+\]", "", problem.field)
        errors.setdefault(field, []).append(answer_words.problem(problem))
    return errors


def _page(
    form: Form,
    row: Any,
    *,
    errors: Mapping[str, list[str]] = MappingProxyType({}),
    newer: int = 0,
    status: int = 200,
) -> ResponseReturnValue:
    return render_template(
        "admin/alerts/edit.html",
        form=form,
        errors=errors,
        row=row,
        newer=newer,
        version=newer or form.get("version") or (row and row.version),
        medium=Medium(form["medium"]),
        media=words.MEDIA,
        occasions=words.OCCASIONS,
        weekdays=WEEKDAYS,
        choices=LANGUAGES,
        address=_masked_address(row) if row else "",
        mail_is_on=bool(services().settings.smtp_url),
    ), status
