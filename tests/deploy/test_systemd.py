"""The units of systemd in ``deploy/systemd/``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.proxies import DEPLOY
from tests.needs import lacking
from wechat_bot.server import STOP_SECONDS

UNITS = DEPLOY / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))


@pytest.fixture(params=["systemd-analyze"])
def analyze() -> str:
    """The path of the program."""
    return shutil.which("systemd-analyze") or lacking("no systemd-analyze: apt install systemd")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder with the units, for this checkout instead of an installation."""
    for path in UNITS.iterdir():
        text = path.read_text().replace("/opt/wechat-bot", str(DEPLOY.parent))
        (tmp_path / path.name).write_text(text)
    return tmp_path


def test_the_units_are_valid(analyze: str, units: Path) -> None:
    files = sorted(map(str, units.iterdir()))
    checked = subprocess.run([analyze, "verify", "--man=no", *files], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_may_do_little(analyze: str, service: str) -> None:
    command = [analyze, "security", "--offline=true", "--threshold=20", str(UNITS / service)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_program_has_the_time_that_it_takes_to_stop() -> None:
    unit = (UNITS / "wechat-bot.service").read_text()
    (seconds,) = (
        int(line.partition("=")[2]) for line in unit.splitlines() if line.startswith("TimeoutStopSec")
    )
    assert seconds > STOP_SECONDS
