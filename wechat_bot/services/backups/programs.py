"""Programs of the database servers, whose input or output is read or written here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen
from tempfile import TemporaryFile
from typing import IO

from ...terminal import gettext as _
from . import BackupError

_MAX_MESSAGE = 500
"""Characters at the end of what a program says about its failure that are shown."""


def find(names: Sequence[str], version: str, server: tuple[int, ...], package: str) -> str:
    """Return the path of the first of the programs `names` that there is.

    :param version: a pattern with a group for each number of the program's version that counts.
    :raises BackupError: if there is none, or it is older than the `server`.
    """
    path = next((path for name in names if (path := shutil.which(name))), None)
    if path is None:
        problem = _("没有 %(name)s：装上它，如 apt install %(package)s。", name=names[0], package=package)
        raise BackupError(problem)
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = re.search(version, said)
    numbers = tuple(map(int, found.groups())) if found else ()
    if numbers < server:
        raise BackupError(
            _(
                "%(path)s 的版本是 %(numbers)s，比数据库的 %(server)s 旧：装上和数据库一样新的 %(package)s。",
                path=path,
                numbers=".".join(map(str, numbers)) or "?",
                server=".".join(map(str, server)),
                package=package,
            )
        )
    return path


@contextmanager
def output_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[IO[bytes]]:
    """Run a program and provide its output.

    :raises BackupError: at the end, with what the program said, if it has failed.
    """
    with _running(command, environment or {}, DEVNULL, PIPE) as process:
        assert process.stdout
        yield process.stdout


@contextmanager
def input_of(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[IO[bytes]]:
    """Run a program and provide its input. An exception kills the program.

    :raises BackupError: at the end, with what the program said, if it has failed.
    """
    with _running(command, environment or {}, PIPE, DEVNULL) as process:
        assert process.stdin
        with suppress(BrokenPipeError):  # the program has ended, and says why
            yield process.stdin
            process.stdin.close()


@contextmanager
def _running(
    command: Sequence[str], environment: Mapping[str, str], stdin: int, stdout: int
) -> Iterator[Popen[bytes]]:
    with TemporaryFile() as errors:
        variables = {**os.environ, **environment}
        process = Popen(command, env=variables, stdin=stdin, stdout=stdout, stderr=errors)  # noqa: S603
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            for stream in filter(None, (process.stdin, process.stdout)):
                with suppress(BrokenPipeError):
                    stream.close()
            process.wait()
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()[-_MAX_MESSAGE:]
            raise BackupError(_("%(name)s 失败了：%(said)s", name=Path(command[0]).name, said=said))
