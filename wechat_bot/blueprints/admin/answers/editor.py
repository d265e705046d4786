"""What a page with the editor of answers needs, and its preview."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from markupsafe import Markup
from werkzeug.datastructures import MultiDict

from ....routing import strict_json
from ....routing.answers import Giving, PreparedAnswer
from ....routing.definitions import MAX_ANSWERS
from ....routing.strict_json import InvalidDefinition, Problem
from ....wechat.replies import MAX_TEXT_BYTES, Reply
from ....wiring import services
from ...shared.display import marked_up
from . import forms, words
from .files import ACCEPTED, offered
from .forms import Form

bp = Blueprint("answer_editor", __name__)

MAX_FIELDS = 2000
"""Upper limit of the fields of a form, above which it is no form of the console."""

_LINK = re.compile(r"<a\s[^<>]*>(.*?)</a>", re.DOTALL)


@dataclass(frozen=True)
class Preview:
    """An answer as it is edited."""

    kind: str
    reply: Reply | None
    problems: tuple[Problem, ...] = ()


def posted_form() -> Form:
    """Return a copy of the form of the request, which the editor may change."""
    if len(request.form) > MAX_FIELDS:
        abort(400, _("表单太长了。"))
    return MultiDict(request.form)


def context(
    form: Form, errors: Mapping[str, Collection[str]], kinds: Collection[str] = tuple(words.KINDS)
) -> dict[str, Any]:
    """Return what the templates of the editor need, for the parameters of a page.

    `errors` are sentences by the fields of the form; `kinds` are those of the answers that can be chosen.
    """
    return {
        "form": form,
        "errors": errors,
        "answer_kinds": {kind: words.KINDS[kind] for kind in kinds},
        "answer_fields": words.FIELDS,
        "answer_paths": forms.paths,
        "file_kinds": forms.FILES,
        "offered_files": offered,
        "accepted_files": ACCEPTED,
        "picks": words.PICKS,
        "max_answers": MAX_ANSWERS,
        "max_bytes": MAX_TEXT_BYTES,
        **preview_context(form),
    }


def errors_of(problems: Iterable[Problem], form: Form) -> dict[str, list[str]]:
    """Return the sentences about the problems of answers, by the fields of the form."""
    errors: dict[str, list[str]] = {}
    for problem in problems:
        errors.setdefault(forms.field_of(problem.field, form), []).append(words.problem(problem))
    return errors


def preview_context(form: Form) -> dict[str, Any]:
    """Return what the preview of the answers in a form needs."""
    answers = forms.answers_of(form)["answers"]
    if "answer.kind" in form:
        answers = [forms.answer_of(form, "answer")]
    return {
        "previews": [preview_of(answer) for answer in answers],
        "pick": form.get("pick", "all"),
        "kind_words": words.KINDS,
    }


def preview_of(answer: Mapping[str, Any]) -> Preview:
    """Return an answer as a follower with a name sees it now, or what is wrong with it."""
    try:
        read: PreparedAnswer = strict_json.read(PreparedAnswer, answer)
    except InvalidDefinition as error:
        return Preview(answer["kind"], None, error.problems)
    now = datetime.now(services().account.time_zone)
    people = {"name": _("小明"), "follower": _("小明"), "operator": current_user.name}
    variables = people | {"date": now.date().isoformat(), "time": f"{now:%H:%M}"}
    reply = read.reply(Giving(str, variables))
    return Preview(read.kind, reply and reply.passive)


@bp.post("/answers/preview")
def preview() -> ResponseReturnValue:
    """Render the answers in a form as followers see them."""
    return render_template("admin/answers/_preview.html", **preview_context(posted_form()))


@bp.app_template_filter()
def wechat_text(text: str) -> Markup:
    """Return a text as the platform shows it: what is a link there looks like one, and leads nowhere."""
    return marked_up(text, _LINK, lambda found: Markup('<span class="wx-link">{}</span>').format(found[1]))
