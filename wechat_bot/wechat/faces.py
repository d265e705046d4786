"""The faces that WeChat draws for codes in a text, such as ``/::)`` and ``[旺柴]`` (section 3.11).

The table ``faces.tsv`` beside this module is in the order of WeChat's panel. Its names and codes are those
of ``biz_common/utils/emoji_data.js``, a script of articles on mp.weixin.qq.com, and of WeChat 8: `zh`, `hant`
and `en` are the names in simplified Chinese, traditional Chinese and English, with ``|`` between several;
`classic` is the older code. The emoji are the closest ones; where none is close, there is none.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Face:
    emoji: str
    """The closest emoji, or the empty string."""
    zh: str
    """The name in simplified Chinese."""
    en: str
    """The name in English, or the empty string."""
    codes: tuple[str, ...]
    """All codes of the face, the one to send first: the classic one, or the name in simplified Chinese."""


def _read() -> tuple[Face, ...]:
    with Path(__file__).with_name("faces.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return tuple(Face(row["emoji"], row["zh"], row["en"].split("|")[0], _codes(row)) for row in rows)


def _codes(row: dict[str, str]) -> tuple[str, ...]:
    names = dict.fromkeys([row["zh"], *row["hant"].split("|"), *row["en"].split("|")])
    return tuple(filter(None, [row["classic"], *(f"[{name}]" for name in names if name)]))


FACES = _read()
"""In the order of WeChat's panel."""
FACES_BY_CODE = {code: face for face in FACES for code in face.codes}
FACE_CODE = re.compile("|".join(re.escape(code) for code in sorted(FACES_BY_CODE, key=len, reverse=True)))
"""Matches the code of a face; the longest where one begins with another."""
