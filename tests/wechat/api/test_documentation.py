"""The user's page names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.wechat.api.recorded import OK, Recorded
from wechat_bot.wechat.errors import APIError

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["api.md", "api.zh-CN.md"])
def test_the_page_names_every_family_and_every_error(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    named = {name for row in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in row.split("`")}
    families = {name for name in vars(Recorded([OK]).client) if name.isalpha()}
    classes = {kind.__name__ for kind in APIError.__subclasses__()}
    assert named & (families | classes) == families | classes


def test_both_pages_show_the_same_program() -> None:
    programs = [
        re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
        for page in ("api.md", "api.zh-CN.md")
    ]
    assert programs[0] == programs[1] != []
