"""The pages on deployment, in both languages. deploy/trial.py runs what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.deploy.proxies import DEPLOY
from tests.server.test_readme import commands

PAGES = ["docs/deployment.md", "docs/deployment.zh-CN.md"]


def test_what_the_english_page_tells_to_run_is_on_the_chinese_one() -> None:
    english, chinese = map(commands, PAGES)
    assert [command for command in english if command not in chinese] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_names_exist(page: str) -> None:
    named = re.findall(r"\bdeploy/[\w./-]*\w", Path(DEPLOY.parent, page).read_text())
    assert named
    assert [path for path in named if not (DEPLOY.parent / path).exists() and path != "deploy/.env"] == []
