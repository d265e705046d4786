"""The benchmarks can be imported and show their help."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import benchmarks
from benchmarks.__main__ import COMMANDS, main

MODULES = [module.name for module in pkgutil.iter_modules(benchmarks.__path__, "benchmarks.")]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name: str) -> None:
    importlib.import_module(name)


def test_the_help_names_all_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks/run", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert ", ".join(COMMANDS) in " ".join(capsys.readouterr().out.split())
