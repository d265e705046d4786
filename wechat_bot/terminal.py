"""Texts for the terminal, in its language: Chinese if LC_ALL or LANG says so, otherwise English.

Unlike Flask-Babel, this needs no application. So it also serves what is wrong with the settings of one.
"""

from __future__ import annotations

import functools
import gettext as standard
import os
from pathlib import Path


def terminal_language() -> str:
    """Return "zh" or "en"."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if locale.startswith("zh") else "en"


def gettext(text: str, /, **values: object) -> str:
    """Return a Chinese text in the language of the terminal, with `values` for its placeholders."""
    translated = _translations(terminal_language()).gettext(text)
    return translated % values if values else translated


@functools.cache
def _translations(language: str) -> standard.NullTranslations:
    folder = Path(__file__).with_name("translations")
    return standard.translation("messages", str(folder), [language], fallback=True)
