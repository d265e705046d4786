"""The language of a page: the one chosen with ``?lang=``, else the operator's, else the one that was chosen
before, else what the browser prefers, else Chinese. And the time zone: the operator's.

The words in the source are Chinese: they are the original, so Chinese needs no catalogue and cannot be
incomplete, and there is one catalogue to look after.
"""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Flask, Response, after_this_request, current_app, request
from flask_babel import Babel, get_locale
from flask_login import current_user

LANGUAGES = {"zh": "中文", "en": "English"}
COOKIE = "language"
"""Set for those who chose a language, and for nobody else."""
COOKIE_SECONDS = 365 * 86400

babel = Babel()


def init_app(app: Flask) -> None:
    babel.init_app(
        app, default_locale="zh", locale_selector=select_language, timezone_selector=select_time_zone
    )
    app.jinja_env.globals.update(get_locale=get_locale, languages=LANGUAGES, in_language=in_language)


def select_language() -> str:
    """The language of this request; asked once, and only for an answer that has words to translate."""
    after_this_request(_tell_caches)
    choice = request.args.get("lang")
    if choice in LANGUAGES:
        after_this_request(_remember_choice)
        return choice
    for preferred in (_preference("language"), request.cookies.get(COOKIE)):
        if preferred in LANGUAGES:
            return preferred
    return request.accept_languages.best_match(LANGUAGES, "zh")


def select_time_zone() -> str | None:
    """None: UTC."""
    return _preference("time_zone")


def _preference(name: str) -> str | None:
    """What the operator has chosen; None when nobody is signed in, or nobody can be."""
    return getattr(current_user, name, None) if hasattr(current_app, "login_manager") else None


def in_language(language: str) -> str:
    """A link to this page in `language`."""
    return "?" + urlencode({**request.args.to_dict(), "lang": language})


def _tell_caches(response: Response) -> Response:
    response.vary.update(("Accept-Language", "Cookie"))
    return response


def _remember_choice(response: Response) -> Response:
    response.set_cookie(
        COOKIE,
        request.args["lang"],
        max_age=COOKIE_SECONDS,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response
