"""Installations that are backed up and restored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from tests.conftest import MakeApp
from tests.services.media.test_blobs import bucket, bucket_url, s3  # noqa: F401  # a bucket in memory

MakeInstallation = Callable[..., Flask]


@pytest.fixture
def make_installation(make_app: MakeApp, tmp_path: Path) -> MakeInstallation:
    """Creates applications with folders, and on SQLite databases, of their own, by their names."""

    def make(name: str, **changes: object) -> Flask:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        database = {"database_url": f"sqlite:///{folder}/bot.db", "media_url": f"{folder}/media"}
        return make_app(**{**database, "instance_path": str(folder), **changes})

    return make


def run(
    app: Flask,
    *arguments: str | Path,
    fails: bool = False,
    env: dict[str, str | None] | None = None,
    input: str | None = None,  # noqa: A002
) -> str:
    """Run a command of ``flask wechat`` and return what it says."""
    words = ["wechat", *map(str, arguments)]
    result = app.test_cli_runner().invoke(args=words, env=env, input=input)
    assert result.exit_code == (1 if fails else 0), result.output
    assert "Traceback" not in result.output
    return result.output
