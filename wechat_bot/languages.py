"""Selection of the language and time zone of a page (Flask-Babel).

The language is the first that is set of: the parameter ``?lang=``, the signed-in operator's preference, the
cookie, the browser's preference, Chinese. The time zone is the operator's, or the default if nobody is signed
in. Interface texts in the source are Chinese, so only English needs a message catalogue.
"""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Flask, Response, after_this_request, current_app, request
from flask_babel import Babel, get_locale
from flask_login import current_user

LANGUAGES = {"zh": "中文", "en": "English"}
DEFAULT_TIME_ZONE = "Asia/Shanghai"
COOKIE = "language"
"""Name of the cookie, which is set only when a language is chosen with ``?lang=``."""
COOKIE_SECONDS = 365 * 86400

babel = Babel()


def init_app(app: Flask) -> None:
    babel.init_app(
        app,
        default_locale="zh",
        default_timezone=DEFAULT_TIME_ZONE,
        locale_selector=select_language,
        timezone_selector=select_time_zone,
    )
    app.jinja_env.globals.update(get_locale=get_locale, languages=LANGUAGES, in_language=in_language)


def select_language() -> str:
    """Return the language of this request. Called once, and only if it has text to translate."""
    after_this_request(_add_vary)
    choice = request.args.get("lang")
    if choice in LANGUAGES:
        after_this_request(_set_cookie)
        return choice
    for preferred in (_preference("language"), request.cookies.get(COOKIE)):
        if preferred in LANGUAGES:
            return preferred
    return request.accept_languages.best_match(LANGUAGES, "zh")


def select_time_zone() -> str | None:
    """Return the operator's time zone; None means the default."""
    return _preference("time_zone")


def _preference(name: str) -> str | None:
    """Return a setting of the operator; None if no operator is signed in, or the app has no sign-in."""
    return getattr(current_user, name, None) if hasattr(current_app, "login_manager") else None


def in_language(language: str) -> str:
    """Return the link to this page in `language`."""
    return "?" + urlencode({**request.args.to_dict(), "lang": language})


def _add_vary(response: Response) -> Response:
    response.vary.update(("Accept-Language", "Cookie"))
    return response


def _set_cookie(response: Response) -> Response:
    response.set_cookie(
        COOKIE,
        request.args["lang"],
        max_age=COOKIE_SECONDS,
        secure=request.is_secure,
        httponly=True,
        samesite="Lax",
    )
    return response
