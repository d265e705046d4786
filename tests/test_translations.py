"""The English catalogue is complete, current and compiled."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.frontend import CommandLineInterface
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[1]
PO = ROOT / "wechat_bot/translations/en/LC_MESSAGES/messages.po"


@pytest.fixture
def catalogue() -> Catalog:
    with PO.open("rb") as file:
        return read_po(file)


def test_every_word_is_translated_and_no_other(
    catalogue: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    pot = tmp_path / "messages.pot"
    command = f"pybabel -q extract -F pyproject.toml -k lazy_gettext -o {pot} wechat_bot"
    CommandLineInterface().run(command.split())  # type: ignore[no-untyped-call]
    with pot.open("rb") as file:
        used = {message.id for message in read_po(file)}
    assert {message.id for message in catalogue} == used, "run make translations"
    assert not catalogue.obsolete, "run make translations"


def test_no_translation_is_missing_or_doubtful(catalogue: Catalog) -> None:
    messages = [message for message in catalogue if message.id]
    assert messages
    assert not [message.id for message in messages if not message.string or message.fuzzy]
    assert not [error for message in messages for error in message.check(catalogue)]


def test_the_compiled_catalogue_is_that_of_the_source(catalogue: Catalog) -> None:
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    assert PO.with_suffix(".mo").read_bytes() == compiled.getvalue(), "run make translations"
