"""External programs of the benchmarks: finds them, and installs the peers below ``.cache/``."""

from __future__ import annotations

import re
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
    """A program is not installed; the message is one sentence with the remedy."""


def program(name: str, remedy: str) -> str:
    """Return the path of a program.

    :raises Missing: when it is not on the PATH.
    """
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is missing: {remedy}")
    return path


def wrk() -> str:
    return program("wrk", "apt install wrk, or the package of that name of your system")


def node() -> str:
    return program("node", "install Node.js 20 or newer")


def python_peer(name: str) -> Path:
    """Return the ``bin`` folder of an environment with the packages of ``peers/<name>.txt``.

    Packages that wechat_bot uses too have the same versions.
    """
    manifest = PEERS / f"{name}.txt"
    home = CACHE / name

    def install() -> None:
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        pip = [str(home / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
        lock = (ROOT / "constraints.txt").read_text()
        pins = home / "constraints.txt"  # without hashes, which the peers' own packages lack
        pins.write_text("".join(f"{pin}\n" for pin in re.findall(r"^(\S.*) \\$", lock, re.MULTILINE)))
        _run([*pip, "-c", str(pins), "-r", str(manifest)])

    _once(home, manifest, install)
    return home / "bin"


def node_modules() -> Path:
    """Return the folder with the packages of ``peers/node/package.json``."""
    npm = program("npm", "install Node.js 20 or newer with npm")
    node()
    manifest = PEERS / "node/package.json"
    home = CACHE / "node"

    def install() -> None:
        shutil.copy(manifest, home)
        quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        _run([npm, "install", *quiet, "--prefix", str(home)])

    _once(home, manifest, install)
    return home / "node_modules"


def _once(home: Path, manifest: Path, install: Callable[[], None]) -> None:
    """Install into `home` unless that was done for the same content of `manifest`."""
    done = home / "installed"
    if done.exists() and done.read_bytes() == manifest.read_bytes():
        return
    print(f"Installing what {manifest.relative_to(HERE)} asks for ...", file=sys.stderr)
    home.mkdir(parents=True, exist_ok=True)
    install()
    shutil.copy(manifest, done)


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines() or ["it said nothing"]
        name = Path(command[0]).name
        raise Missing(f"{name} failed ({lines[-1]}): correct that and run this again") from error
    except subprocess.TimeoutExpired as error:
        raise Missing(f"{Path(command[0]).name} took too long: run this again") from error
