"""Every command and snippet of the README works as it is printed, in both languages.

Commands run in the folder of a program that is running. Those that would serve until they are stopped, need a
network or take long are checked without that, see `CHECKS`.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.server.conftest import ROOT, MakeProgram

READMES = ("README.md", "README.zh-CN.md")

CHECKS = (
    # make prints its recipe; what `make run` starts is the program that runs meanwhile.
    (r"^make ", "make -n "),
    # Servers and workers parse their options, and gunicorn loads the application, too.
    (r"^flask (run|wechat worker)$", r"\g<0> --help"),
    (r"\bgunicorn ", "gunicorn --check-config "),
    # What pip installs, and the versions of it, are there to read.
    (r"^pip install -c (\S+) -e \.$", r"test -r \1 -a -r pyproject.toml"),
    # A setting alone is loaded as the program does, for an account that is not made up.
    (r"^[A-Z_]+=\S+$", r"\g<0> WECHAT_API_BASE_URL= python -c 'from wsgi import app'"),
    # A small number of made-up messages is written in the same way as a large one.
    (r"^(.* --messages) \d+$", r"\1 100"),
)
"""Patterns of commands, and what runs in their place."""


def blocks(readme: str) -> list[tuple[str, str]]:
    """Return the fenced blocks as pairs of language and code."""
    return re.findall(r"^```(.*)\n((?:.*\n)*?)```$", (ROOT / readme).read_text(), re.MULTILINE)


def commands(readme: str) -> list[str]:
    lines = [line for language, code in blocks(readme) if language == "sh" for line in code.splitlines()]
    return [line.partition("#")[0].rstrip() for line in lines]


def snippets(readme: str) -> list[str]:
    return [code for language, code in blocks(readme) if language == "python"]


def includes(readme: str) -> list[str]:
    """Return the lines that add the module of handlers to the package."""
    return re.findall(r"`((?:from|router)[^`]*hello[^`]*)`", (ROOT / readme).read_text())


def test_both_files_have_the_same_commands_and_snippets() -> None:
    english, chinese = READMES
    assert {language for readme in READMES for language, _ in blocks(readme)} == {"sh", "python"}
    assert commands(english) == commands(chinese)
    assert includes(english) == includes(chinese)
    assert [ast.dump(ast.parse(code)) for code in snippets(english)] == [
        ast.dump(ast.parse(code)) for code in snippets(chinese)
    ]


def check_of(command: str) -> str:
    for pattern, check in CHECKS:
        command = re.sub(pattern, check, command)
    return command


def test_every_command_runs(make_program: MakeProgram) -> None:
    program = make_program()
    for name in ("Makefile", "constraints.txt", "pyproject.toml"):
        (program.folder / name).symlink_to(ROOT / name)
    (program.folder / ".venv").symlink_to(sys.prefix)
    program.start()
    path = f"{program.folder}/.venv/bin:{os.environ['PATH']}"
    for command in commands(READMES[0]):
        ended = subprocess.run(
            ["sh", "-c", check_of(command)],
            cwd=program.folder,
            env={**program.environment, "PATH": path, "PYTHONPATH": str(ROOT)},
            input="帮助\n",  # to `flask wechat chat`
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"


def test_the_snippets_are_a_module_of_handlers_and_its_test(tmp_path: Path) -> None:
    readme = READMES[0]
    (tmp_path / "migrations").symlink_to(ROOT / "migrations")
    handlers = shutil.copytree(ROOT / "wechat_bot", tmp_path / "wechat_bot") / "handlers"
    module, test = snippets(readme)
    (handlers / "hello.py").write_text(module)
    package = (handlers / "__init__.py").read_text()
    before, first, after = package.partition("router = Router()\n")
    (handlers / "__init__.py").write_text(before + first + "\n".join([*includes(readme), after]))
    (tmp_path / "test_module.py").write_text(test)
    whole_bot = test.replace("wechat_bot.handlers.hello", "wechat_bot.handlers")
    (tmp_path / "test_whole_bot.py").write_text(whole_bot)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout
