"""What the benchmarks need beside the program: looked for, or installed below ``.cache/``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = HERE / "peers"
CACHE = HERE / ".cache"
INSTALL_SECONDS = 600


class Missing(Exception):
    """Something is not installed: one sentence with the remedy."""


def program(name: str, remedy: str) -> str:
    """The path of a program; Missing."""
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is missing: {remedy}")
    return path


def wrk() -> str:
    return program("wrk", "apt install wrk, or the package of that name of your system")


def node() -> str:
    return program("node", "install Node.js 20 or newer")


def python_peer(name: str) -> Path:
    """The ``bin`` of an environment with what ``peers/<name>.txt`` asks for; what both use is the same."""
    wanted = PEERS / f"{name}.txt"
    home = CACHE / name

    def install() -> None:
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        pip = [str(home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "-c", str(ROOT / "constraints.txt"), "-r", str(wanted)])

    _once(home, wanted, install)
    return home / "bin"


def node_modules() -> Path:
    """The packages of ``peers/node/package.json``."""
    npm = program("npm", "install Node.js 20 or newer with npm")
    node()
    wanted = PEERS / "node/package.json"
    home = CACHE / "node"

    def install() -> None:
        shutil.copy(wanted, home)
        quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        _run([npm, "install", *quiet, "--prefix", str(home)])

    _once(home, wanted, install)
    return home / "node_modules"


def _once(home: Path, wanted: Path, install: Callable[[], None]) -> None:
    """Install into `home` unless that was done for what is `wanted`."""
    done = home / "installed"
    if done.exists() and done.read_bytes() == wanted.read_bytes():
        return
    print(f"Installing what {wanted.relative_to(HERE)} asks for ...", file=sys.stderr)
    home.mkdir(parents=True, exist_ok=True)
    install()
    shutil.copy(wanted, done)


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        words = (error.stderr or error.stdout).strip().splitlines() or ["it said nothing"]
        name = Path(command[0]).name
        raise Missing(f"{name} failed ({words[-1]}): correct that and run this again") from error
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{Path(command[0]).name} took too long: run this again") from error
