"""The page of the assistant: its profile, a question to try it with, and its history."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import zip_longest

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ....application import row_id
from ....extensions import db
from ....llm import ChatMessage, ModelError, Usage, is_valid_key, load_library
from ....models import Role
from ....routing import strict_json
from ....routing.strict_json import InvalidDefinition, Problem
from ....services import audit
from ....services.assistant.profiles import SUBJECT, Conflict, ProfileNotFound, StoredProfile
from ....wiring import services
from ..access import actor, role
from ..answers import words as answer_words
from ..answers.editor import posted_form
from ..answers.forms import Form, line
from . import forms, words
from .forms import Preset

bp = Blueprint("assistant", __name__)

MAX_KEY = 512
MAX_QUESTION = 500


@dataclass(frozen=True)
class Trial:
    """What a model answered to a question."""

    question: str
    answer: str
    first: float
    """Seconds to the first word."""
    total: float
    usage: Usage
    error: ModelError | None

    @property
    def problem(self) -> str:
        return str(words.MODEL_ERRORS[self.error.reason]) if self.error else ""


@bp.get("/assistant")
@role(Role.OPERATOR)
def show() -> ResponseReturnValue:
    stored = services().profiles.latest(services().account_id)
    return _page(forms.form_of(stored.profile), stored)


@bp.post("/assistant")
@role(Role.ADMIN)
def save() -> ResponseReturnValue:
    """Save the form, or fill in the values of a provider as one of its buttons says."""
    form, profiles, account_id = posted_form(), services().profiles, services().account_id
    stored = profiles.latest(account_id)
    if preset := _presets().get(form.get("preset", "")):
        forms.fill(form, preset)
        return _page(form, stored)
    key, sentence = _key(form)
    if sentence:
        return _page(form, stored, refused={"key": sentence}, status=422)
    try:
        profiles.save(actor(), account_id, form.get("version", default=0, type=row_id), forms.read(form), key)
    except InvalidDefinition as error:
        return _page(form, stored, problems=error.problems, status=422)
    except Conflict as error:
        return _page(form, error.current, conflict=error, status=409)
    after = profiles.latest(account_id)
    if stored.has_key and not after.has_key and key is None:
        flash(_("已保存。接口换了服务器，原来的密钥没有带过去：请填上新的密钥。"), "success")
    else:
        flash(_("已保存，几秒之内生效。"), "success")
    return redirect(url_for("admin.assistant.show"), 303)


def _key(form: Form) -> tuple[str | None, str]:
    """Return what `Profiles.save` takes as the key, and what is wrong with it as a sentence."""
    key = form.get("key", "").strip()
    if "remove_key" in form and not key:
        return "", ""
    if len(key) > MAX_KEY or not is_valid_key(key):
        return None, str(_("密钥里有空格、汉字或别的不该有的字符：再复制一次。"))
    return key or None, ""


def _page(
    form: Form,
    stored: StoredProfile,
    *,
    problems: tuple[Problem, ...] = (),
    refused: dict[str, str] | None = None,
    conflict: Conflict | None = None,
    trial: Trial | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    summary = _summary(form, problems, refused or {})
    errors: dict[str, list[str]] = {}
    for field, _name, sentence in summary:
        errors.setdefault(field, []).append(sentence)
    return render_template(
        "admin/assistant/profile.html",
        stored=stored,
        form=form,
        errors=errors,
        summary=summary,
        version=stored.version if conflict else form.get("version", stored.version),
        conflict=conflict and _conflict(conflict),
        presets=_presets(),
        names=words.FIELDS,
        max_question=MAX_QUESTION,
        trial=trial,
    ), status


def _summary(
    form: Form, problems: tuple[Problem, ...], refused: dict[str, str]
) -> list[tuple[str, str, str]]:
    """Return what is wrong with the form: field, its name, and a sentence."""
    found = [(field, str(_("密钥")), sentence) for field, sentence in refused.items()]
    definition = forms.definition_of(form)
    for problem in problems:
        field, item = forms.field_of(problem, definition)
        found.append((field, str(words.FIELDS[field]), answer_words.problem(problem, item)))
    return found


def _conflict(error: Conflict) -> list[tuple[str, str, str]]:
    """Return the fields in which what is to be saved and what is stored differ."""
    return words.differences(strict_json.to_json(error.mine), strict_json.to_json(error.current.profile))


def _presets() -> dict[str, Preset]:
    settings = services().settings
    if not settings.simulator_is_on:
        return forms.PRESETS
    return forms.PRESETS | {"stand_in": forms.stand_in(settings.own_url)}


# A question


@bp.post("/assistant/try")
@role(Role.ADMIN)
def try_out() -> ResponseReturnValue:
    """Ask the saved model a question with the saved instructions, without passages and memory."""
    stored = services().profiles.latest(services().account_id)
    question = line(posted_form(), "question")[:MAX_QUESTION]
    if not (stored.profile.base_url and stored.profile.model):
        abort(422, _("先填好接口地址和模型，保存以后再试。"))
    audit.record_now(db.engine, actor(), "assistant_tried", SUBJECT, detail=stored.profile.model)
    trial = _ask(stored, question or str(_("你好")))
    if "HX-Request" in request.headers:
        return render_template("admin/assistant/_trial.html", trial=trial)
    return _page(forms.form_of(stored.profile), stored, trial=trial)


def _ask(stored: StoredProfile, question: str) -> Trial:
    messages = [ChatMessage("system", stored.profile.instructions), ChatMessage("user", question)]
    parts: list[str] = []
    first, usage, problem = 0.0, Usage(0, 0), None
    load_library()
    began = time.monotonic()
    try:
        stream = services().profiles.model(stored).stream(messages, max_tokens=stored.profile.max_tokens)
        for part in stream:
            first = first or time.monotonic() - began
            parts.append(part)
        usage = stream.usage
    except ModelError as error:
        problem = error
    return Trial(question, "".join(parts), first, time.monotonic() - began, usage, problem)


# History


@bp.get("/assistant/history")
@role(Role.OPERATOR)
def history() -> ResponseReturnValue:
    profiles, account_id = services().profiles, services().account_id
    versions = profiles.history(account_id)
    changes = [
        (row, words.differences(before.definition, row.definition) if before else ())
        for row, before in zip_longest(versions, versions[1:])
    ]
    current = profiles.latest(account_id).version
    return render_template("admin/assistant/history.html", changes=changes, current=current)


@bp.post("/assistant/restore")
@role(Role.ADMIN)
def restore() -> ResponseReturnValue:
    version = request.form.get("version", default=0, type=row_id)
    try:
        services().profiles.restore(actor(), services().account_id, version)
    except ProfileNotFound:
        abort(404, _("没有这个版本。"))
    except InvalidDefinition as error:
        for each in error.problems:
            name = words.FIELDS.get(each.field.partition("[")[0], each.field)
            flash(f"{name} · {answer_words.problem(each)}", "error")
    else:
        flash(_("已恢复。"), "success")
    return redirect(url_for("admin.assistant.history"), 303)
