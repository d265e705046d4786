"""The editor of a rule, with the preview, and its history."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from ....application import row_id
from ....extensions import db
from ....models import Role, Tag
from ....routing.definitions import MAX_NAME, Rule, TriggerKind, advice
from ....routing.rules import origin_of
from ....routing.strict_json import InvalidDefinition, Problem
from ....services.assistant import records
from ....services.rules import bench, editing, reading
from ....services.rules.editing import RuleConflict, RuleNotFound
from ....services.rules.reading import RuleEntry
from ....wechat.markdown import to_chat
from ....wiring import services
from ..access import actor, max_content_length, role
from ..answers import editor as answer_editor
from ..answers.editor import posted_form
from ..answers.files import MAX_FORM, file_names, store_uploads
from ..answers.forms import Form, changed
from ..menus.words import name_of
from . import forms, listing, menu_keys, words
from .loading import entry_or_404, readable
from .testing import bench_fields, try_draft

bp = Blueprint("rule_editor", __name__)


@bp.get("/rules/new")
@role(Role.OPERATOR)
def new() -> ResponseReturnValue:
    """Render an empty rule, or one for the text of a message of the log, or for a button of the menu.

    `model_answer` is an answer of the assistant, whose text the rule gets.
    """
    definition: dict[str, Any] = {"answers": [{"kind": "text", "text": ""}]}
    if message_id := request.args.get("message", type=row_id):
        row = bench.logged(db.session.connection(), services().account_id, message_id)
        text = " ".join(row.text.split())[:60] if row and row.kind == "text" else ""
        if text:
            definition |= {"name": text[:20], "patterns": [{"match": "contains", "text": text}]}
    if answer_id := request.args.get("model_answer", type=row_id):
        answer = records.find(db.session.connection(), services().account_id, answer_id)
        definition |= {"answers": [{"kind": "text", "text": to_chat(answer.answer if answer else "")}]}
    if key := request.args.get("key", ""):
        name = request.args.get("name", "")[:MAX_NAME]
        definition |= {"name": name, "trigger": {"type": "menu", "keys": [key]}}
    return _page(forms.form_of(definition), None)


@bp.get("/rules/<int:rule_id>")
def show(rule_id: int) -> ResponseReturnValue:
    entry = entry_or_404(rule_id)
    if entry.position is None:
        abort(404, _("这条规则已经删除，可以在列表的最下面恢复。"))
    return _page(forms.form_of(entry.definition), entry)


@bp.post("/rules/new")
@max_content_length(MAX_FORM)
def create() -> ResponseReturnValue:
    return _take(None)


@bp.post("/rules/<int:rule_id>")
@max_content_length(MAX_FORM)
def save(rule_id: int) -> ResponseReturnValue:
    return _take(entry_or_404(rule_id))


def _take(entry: RuleEntry | None) -> ResponseReturnValue:
    """Save the form, or do what another of its buttons says."""
    form = posted_form()
    if refused := store_uploads(form):
        return _page(form, entry, refused=refused, status=422)
    if (other := changed(form)) is not None:
        return _page(other, entry)
    if "try" in form or "compare" in form:
        return _page(form, entry, problems=_problems(form))
    definition, account_id = forms.definition_of(form), services().account_id
    try:
        if entry is None:
            saved = editing.create(db.engine, actor(), account_id, definition)
        else:
            version = form.get("version", default=0, type=row_id)
            saved = editing.save(db.engine, actor(), account_id, entry.id, version, definition)
    except InvalidDefinition as error:
        return _page(form, entry, problems=error.problems, status=422)
    except RuleConflict as error:
        return _page(form, error.current, conflict=error, status=409)
    except RuleNotFound:
        abort(404, _("没有这条规则。"))
    flash(_("已保存，下一条消息就按它回答。"), "success")
    return redirect(url_for("admin.rules.index", rule=saved.id, _anchor=f"r{saved.id}"), 303)


def _problems(form: Form) -> tuple[Problem, ...]:
    try:
        Rule.from_json(forms.definition_of(form))
    except InvalidDefinition as error:
        return error.problems
    return ()


@bp.post("/rules/preview")
def preview() -> ResponseReturnValue:
    """Render what stands beside the form, while it is filled in."""
    form = posted_form()
    rule_id = form.get("rule", type=row_id)
    return render_template("admin/rules/_side.html", **_side(form, rule_id))


def _page(
    form: Form,
    entry: RuleEntry | None,
    *,
    problems: tuple[Problem, ...] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
    conflict: RuleConflict | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    errors, summary = _errors(problems, form, refused)
    tags = db.session.scalars(
        select(Tag.name).where(Tag.account_id == services().account_id).order_by(Tag.name)
    )
    keys = menu_keys.drawn(live=form.get("trigger.type") == TriggerKind.MENU)
    return render_template(
        "admin/rules/edit.html",
        entry=entry,
        keys=keys,
        chosen_keys=forms.keys_of(form),
        left_alone=_left_alone(entry) if entry else "",
        version=conflict.current.version if conflict else form.get("version") or (entry and entry.version),
        summary=summary,
        conflict=conflict and _conflict(conflict),
        deleted=entry is not None and entry.position is None,
        advice=_advice(form),
        tags=list(dict.fromkeys([*tags, *form.getlist("audience.tags")])),
        **bench_fields(form.get("bench.follower", type=row_id)),
        **answer_editor.context(form, errors) | _side(form, entry.id if entry else None),
    ), status


def _left_alone(entry: RuleEntry) -> str:
    """Return the names of the menu's buttons that nobody answers without a rule that is on."""
    mine = entry.definition["trigger"].get("keys", ()) if entry.definition.get("enabled", True) else ()
    found = menu_keys.unanswered(entry.id) if mine else []
    return words.listed(words.quoted(name_of(button)) for button in found if button.key in mine)


def _errors(
    problems: tuple[Problem, ...], form: Form, refused: Mapping[str, str]
) -> tuple[dict[str, list[str]], list[tuple[str, str, str]]]:
    """Return the sentences at each field of the form, and all of them as field, its name, and sentence."""
    definition = forms.definition_of(form)
    errors = {field: [sentence] for field, sentence in refused.items()}
    summary = [(field, words.field(field), sentence) for field, sentence in refused.items()]
    for problem in problems:
        field, item = forms.field_of(problem, definition, form)
        sentence = words.problem(problem, item)
        errors.setdefault(field, []).append(sentence)
        summary.append((field, words.field(problem.field), sentence))
    return errors, summary


def _advice(form: Form) -> list[str]:
    """Return what is valid in the form but rarely meant, each sentence once."""
    try:
        rule = Rule.from_json(forms.definition_of(form))
    except InvalidDefinition:
        return []
    return [words.advice(kind) for kind in dict.fromkeys(advice(rule).values())]


def _conflict(error: RuleConflict) -> list[tuple[str, str, str]]:
    """Return the fields in which what is to be saved and what is stored differ."""
    return words.differences(error.mine.to_json(), error.current.definition, file_names())


# Beside the form


def _side(form: Form, rule_id: int | None) -> dict[str, Any]:
    definition = forms.definition_of(form)
    trigger = definition["trigger"]["type"]
    said = next((pattern["text"] for pattern in definition.get("patterns", ())), "…")
    return {
        **answer_editor.preview_context(form),
        "said": said if trigger == TriggerKind.TEXT else "",
        "lead": "" if trigger == TriggerKind.TEXT else words.TRIGGERS.get(trigger, ""),
        "trial": try_draft(form, definition, rule_id),
        "form": form,
        "names": words,
    }


# History


@bp.get("/rules/<int:rule_id>/history")
def history(rule_id: int) -> ResponseReturnValue:
    entry, files = entry_or_404(rule_id), file_names()
    versions = reading.history(db.engine, services().account_id, rule_id)
    older = [*versions[1:], None]
    changes = [
        (row, words.differences(before.definition, row.definition, files) if before else ())
        for row, before in zip(versions, older, strict=True)
    ]
    rule = readable(entry)
    return render_template(
        "admin/rules/history.html",
        entry=entry,
        changes=changes,
        hits=listing.hits([rule_id])[rule_id],
        origin=origin_of(rule_id, needs_person=rule is not None and rule.needs_person),
    )
